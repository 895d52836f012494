/* Objects: keys, certificates and data, with their attributes and the rules of PKCS#11 3.0, section 4, on them.
 *
 * An object in memory is an immutable snapshot, shared by reference; a change makes a new one. Token objects are cached
 * by id until a change in the store is seen; session objects are opened from the sealed blob that comes with the
 * request and cached the same way. "No such object" is never said from the cache alone. */
#pragma once

#include "crypto/key.h"
#include "user/user.h"

struct objects;
struct resealed;
struct store_record;
struct store_write;

struct object {
    uint8_t id[ID_LEN];
    uint64_t version;
    bool token;
    bool always_authenticate;              /* each use needs the password of whoever uses it: user/use_proof.h */
    uint8_t quorum_use, quorum_management; /* how many of its users must approve; 0: none */
    uint8_t owner_id[ID_LEN];
    /* private to node/object */
    struct key *key; /* opened on first use; NULL for certificates and data */
    struct object_private *own;
    /* Borrows from the object; never contains VALUE of a key. Allocated only up to the last attribute that exists: read
     * it by values_..., never copy it as a whole. */
    struct values attributes;
};

status_code objects_open(struct node *node, struct objects **objects);
void objects_close(struct objects *objects);

/** A reference to the object, if `caller` may see it: STATUS_OBJECT_NOT_FOUND otherwise. `blob` is empty for token
 * objects. Release it with object_release (fits CLEANUP). */
status_code object_get(struct objects *objects, const struct caller *caller, struct slice id, struct slice blob,
                       struct object **object);
void object_release(struct object **object);

/** Whether the object may be used so: usage attribute (ATTRIBUTE_SIGN, ...), allowed mechanisms, dates, class; borrowed
 * key in *key. STATUS_KEY_FUNCTION_NOT_PERMITTED, STATUS_MECHANISM_INVALID. */
status_code object_use(struct object *object, const struct caller *caller, uint32_t usage_attribute,
                       const struct mechanism *mechanism, struct key **key);

/** Where an object comes from: decides LOCAL, ALWAYS_SENSITIVE, NEVER_EXTRACTABLE and which attributes a template may
 * give. */
enum object_origin { ORIGIN_GENERATED, ORIGIN_IMPORTED, ORIGIN_UNWRAPPED, ORIGIN_DERIVED, ORIGIN_COPIED };

/** Whether the base key can be computed back from what the mechanism derives: then that is guarded as the base is, and
 * owners alone may derive. */
static inline bool derivation_is_reversible(enum mechanism_type type)
{
    return type == MECHANISM_CONCATENATE || type == MECHANISM_XOR || type == MECHANISM_EXTRACT;
}

struct object_new {
    struct slice id; /* ID_LEN bytes */
    struct slice request_id;
    struct slice attributes; /* the caller's template, encoded */
    enum object_class class; /* 0: the template must say */
    enum key_type key_type;  /* 0: the template must say, for keys */
    enum mechanism_type mechanism;
    enum object_origin origin;
    struct key *key;       /* its material; NULL for certificates, data and OBJECT_CREATE of keys (VALUE is opened) */
    struct slice value;    /* of a data object that is derived */
    struct object *parent; /* base key, unwrapping key or original: its templates and flags are inherited; or NULL */
    struct object *second; /* CONCATENATE's other key: its flags are inherited too; or NULL */
    struct slice answer;   /* what else the creation answered (a ciphertext): kept, so that a resend answers the same */
};

/** Result of a creation: the encoded non-secret attributes, the blob when it is a session object, and object_new's
 * answer. Zero-initialized is empty. */
struct object_made {
    struct bytes attributes;
    struct bytes blob;
    struct bytes answer;
};

void object_made_release(struct object_made *made);

/** Checks the template, seals and (token objects) stores `n` objects in one write: all or none. A resend (same id and
 * same request id) answers with what is stored. STATUS_TEMPLATE_INCOMPLETE, _INCONSISTENT, STATUS_ATTRIBUTE_*,
 * STATUS_ALREADY_EXISTS (same id, other request id), STATUS_QUOTA_EXCEEDED. */
status_code objects_create(struct objects *objects, const struct caller *caller, const struct object_new *news,
                           size_t n, struct object_made *mades);

/** Whether a creation with these ids was done already (then *mades is filled in): asked before costly generation.
 * Session objects leave no trace to ask for: they are passed over, and when all are, *done is false. */
status_code objects_created(struct objects *objects, const struct caller *caller, const struct object_new *news,
                            size_t n, bool *done, struct object_made *mades);

/** What the template says, decoded, with the parent's UNWRAP_TEMPLATE or DERIVE_TEMPLATE merged in; borrows from both.
 * STATUS_TEMPLATE_INCONSISTENT when they contradict each other. */
status_code object_template(const struct object_new *new, struct values *template);

/** Everything that can be said against the template before a key is there: for before costly generation. */
status_code object_check_template(const struct object_new *new);

/** The key without regard to usage, for what was permitted on other grounds: borrowed from the object. */
status_code object_key(struct object *object, struct key **key);

/** Whether `caller` may take the object's value out under `wrapping`: it is his, extractable, WRAP_WITH_TRUSTED and
 * WRAP_TEMPLATE are respected. STATUS_NOT_PERMITTED, STATUS_KEY_UNEXTRACTABLE, STATUS_KEY_NOT_WRAPPABLE. */
status_code object_may_wrap(struct object *object, const struct caller *caller, const struct object *wrapping);

/** Whether it is the caller's own: STATUS_NOT_PERMITTED that says `what` only the owner does. */
status_code object_check_owner(const struct object *object, const struct caller *caller, const char *what);

/** The same for what the key's QUORUM_MANAGEMENT guards: STATUS_QUORUM_NEEDED without a token that was approved. */
status_code object_manage(const struct object *object, const struct caller *caller, const char *what);

/** Whether the user owns it or it is shared with that user. */
bool object_has_user(const struct object *object, const uint8_t user_id[ID_LEN]);

/** The encoded attributes asked for by `wanted` (a UINTS value; empty: all that are not secret). VALUE only when
 * wanted: of a private or secret key only for its owner, and if it is extractable and not sensitive:
 * STATUS_ATTRIBUTE_SENSITIVE.
 */
status_code object_describe(struct object *object, const struct caller *caller, struct slice wanted,
                            struct bytes *attributes);

/** Changes attributes in the safe direction. Token objects: compare-and-swap with retry; session objects: a new blob.
 */
status_code objects_set(struct objects *objects, const struct caller *caller, struct slice id, struct slice blob,
                        struct slice request_id, struct slice attributes, struct object_made *made);

status_code objects_delete(struct objects *objects, const struct caller *caller, struct slice id, struct slice blob,
                           struct slice request_id);

status_code objects_share(struct objects *objects, const struct caller *caller, struct slice id, struct slice user_name,
                          bool share, struct slice request_id);

/** One page of token objects that have all the attributes given, as an encoded SETS value of {OBJECT_ID, ATTRIBUTES}.
 * A page may be short, even empty, and still have a next one: *next_cursor is empty after the last. */
status_code objects_find(struct objects *objects, const struct caller *caller, struct slice attributes,
                         struct slice wanted, struct slice cursor, uint64_t limit, struct bytes *records,
                         struct bytes *next_cursor);

/** How many token objects the cluster has; may be some seconds old. */
status_code objects_count(struct objects *objects, uint64_t *n);

/** How many token objects a user owns. */
status_code objects_count_owned(struct objects *objects, const uint8_t user_id[ID_LEN], uint64_t *n);

/** An object changed in the store: drop it from the cache. */
void objects_forget(struct objects *objects, const uint8_t id[ID_LEN]);
void objects_forget_all(struct objects *objects);

/** A masking key was forgotten: what came from clients under it must not be used any longer. */
void objects_forget_session_objects(struct objects *objects);

/** A resealer (seal/record.h), of token objects and removed-markers. */
status_code object_reseal(struct node *node, const struct store_record *stored, struct resealed *memory,
                          struct store_write *write);
