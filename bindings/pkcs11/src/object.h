/* Handles of objects. A handle stands for one object of the cluster as long as the application is initialized, and is
 * never given to another. What is known of an object's attributes is kept beside it for a moment, so that a program
 * that asks for one attribute after another asks a node once. */
#pragma once

#include <sys/queue.h>
#include "module.h"

struct slot;
struct session;

/* Attributes of an object as they were read, shared by whoever looks at them. */
struct object_facts;

struct object {
    CK_OBJECT_HANDLE handle;
    hsm_key key;
    CK_SESSION_HANDLE session; /* that a session object belongs to; CK_INVALID_HANDLE: a token object */
    bool secret;               /* CKA_PRIVATE: goes with the login */
    unsigned n_changes;        /* what was read before a change does not count */
    struct object_facts *facts;
    TAILQ_ENTRY(object) place;       /* among the token objects, or the session objects */
    TAILQ_ENTRY(object) facts_place; /* among those with facts */
};

TAILQ_HEAD(object_list, object);

/* All guarded by the module's lock. */
struct object_table {
    void *by_handle, *by_key; /* trees (tsearch) */
    CK_OBJECT_HANDLE last;    /* that was given out */
    struct object_list of_token, of_sessions;
    struct object_list with_facts; /* in the order in which they were read */
    size_t n_with_facts;
};

/* An object during a call. */
struct object_ref {
    CK_OBJECT_HANDLE handle;
    hsm_key key;
    CK_SESSION_HANDLE session;
};

void object_table_begin(struct object_table *table);
void object_table_release(struct object_table *table);

/* The handle of an object that the session just made. CKR_USER_NOT_LOGGED_IN: the login that made it has ended
 * meanwhile; CKR_HOST_MEMORY: it is deleted, since nobody could. */
CK_RV object_take_new(struct session *session, hsm_key key, bool token, CK_OBJECT_HANDLE *handle);

/* The handle of an object that the session found, whoever made it. Takes over `attributes`. CKR_USER_NOT_LOGGED_IN,
 * CKR_HOST_MEMORY. */
CK_RV object_take_found(struct session *session, hsm_key key, hsm_attributes *attributes, CK_OBJECT_HANDLE *handle);

/* What a handle stands for. CKR_OBJECT_HANDLE_INVALID. */
CK_RV object_find(struct slot *slot, CK_OBJECT_HANDLE handle, struct object_ref *object);

/* As object_find, for arguments that are keys: CKR_KEY_HANDLE_INVALID. */
CK_RV object_find_key(struct slot *slot, CK_OBJECT_HANDLE handle, struct object_ref *object);

/* All attributes that are not secret, as known for a moment or asked for now. To be given back. */
CK_RV object_facts(struct session *session, const struct object_ref *object, struct object_facts **facts);
const hsm_attributes *object_facts_attributes(const struct object_facts *facts);
void object_facts_release(struct object_facts **facts);

/* The same without the network, however old: NULL when nothing is known. */
struct object_facts *object_facts_known(struct slot *slot, const struct object_ref *object);

/* Something changed them. */
void object_facts_forget(struct slot *slot, const struct object_ref *object);

/* The handle stands for nothing any more. */
void object_forget(struct slot *slot, const struct object_ref *object);

/* Destroys the session objects of a session, which are in this process alone. */
void objects_of_session_end(struct slot *slot, CK_SESSION_HANDLE session);

/* The login ended: neither session objects nor private ones are to be reached by the handles that were given out. Under
 * the module's lock. */
void objects_of_login_end(struct slot *slot);
