/* Handles of objects. A handle stands for one object of the cluster as long as the application is initialized, and is
 * never given to another. What is known of an object's attributes is kept beside it for a moment, so that a program
 * that asks for one attribute after another asks a node once. */
#pragma once

#include "module.h"

struct slot;
struct session;

/* Attributes of an object as they were read, shared by whoever looks at them. */
struct object_facts;

struct object {
    hsm_key key;
    CK_SESSION_HANDLE session; /* that a session object belongs to; 0: a token object */
    bool gone;                 /* destroyed, or of a login that ended */
    bool secret;               /* CKA_PRIVATE: goes with the login */
    struct object_facts *facts;
};

struct object_table {
    struct object *objects; /* handle - 1 is the index */
    size_t n, room;
    size_t n_of_sessions; /* session objects that are not gone */
    size_t *slots;        /* index + 1 by key id, open addressing; 0: free */
    size_t n_slots;
};

/* An object during a call. */
struct object_ref {
    CK_OBJECT_HANDLE handle;
    hsm_key key;
    CK_SESSION_HANDLE session;
};

void object_table_release(struct object_table *table);

/* The handle of a key, a new one when it has none yet. `session` is 0 for a token object. Takes over `attributes`,
 * which may be NULL. CKR_HOST_MEMORY. */
CK_RV object_handle(struct slot *slot, hsm_key key, CK_SESSION_HANDLE session, hsm_attributes *attributes,
                    CK_OBJECT_HANDLE *handle);

/* What a handle stands for. CKR_OBJECT_HANDLE_INVALID. */
CK_RV object_find(struct slot *slot, CK_OBJECT_HANDLE handle, struct object_ref *object);

/* As object_find, for arguments that are keys: CKR_KEY_HANDLE_INVALID. */
CK_RV object_find_key(struct slot *slot, CK_OBJECT_HANDLE handle, struct object_ref *object);

/* All attributes that are not secret, as known for a moment or asked for now. To be given back. */
CK_RV object_facts(struct slot *slot, const struct object_ref *object, struct object_facts **facts);
const hsm_attributes *object_facts_attributes(const struct object_facts *facts);
void object_facts_release(struct object_facts **facts);

/* The same without the network: NULL when nothing is known. */
struct object_facts *object_facts_known(struct slot *slot, const struct object_ref *object);

/* Something changed them. */
void object_facts_forget(struct slot *slot, const struct object_ref *object);

/* The handle stands for nothing any more. */
void object_forget(struct slot *slot, const struct object_ref *object);

/* Destroys the session objects of a session. */
void objects_of_session_end(struct slot *slot, CK_SESSION_HANDLE session);

/* The login ended: private objects are not to be reached by the handles that were given out. Under the module's lock.
 */
void objects_of_login_end(struct slot *slot);
