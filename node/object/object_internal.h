/* What the files of node/object share: the parts of an object that its users do not see, records, caches, rules.
 * Nobody else includes this. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include "node.h"
#include "object/object.h"
#include "seal/index.h"
#include "seal/record.h"

/* Index terms above the numbers of attributes. */
enum {
    TERM_ANY = 256,        /* every object */
    TERM_VISIBLE_TO = 257, /* user id: owner and sharees of what is not everybody's */
    TERM_EVERYBODY = 258,  /* what all who are logged in may see */
    TERM_OWNER = 259,      /* user id */
    TERM_REMOVED = 260,    /* every removed-marker */
};

#define ATTRIBUTES_MAX 49152u /* encoded attributes of one object */
#define ANSWER_MAX     4096u
#define SHAREES_MAX    250u
#define CHANGES_KEPT   16u /* requests of the last changes of an object */
#define RECORD_MAX     65536u
#define OPENING_LOCKS  16u

/* What a record or a blob holds besides the key material; encoded and sealed as one. */
struct content {
    struct slice attributes; /* encoded by ATTRIBUTE_SCHEMA */
    struct slice owner_id;
    struct slice sharees; /* user ids, one behind the other, in the order of SHARED_WITH */
    struct slice creation_request;
    struct slice change_requests; /* of the last changes, newest first, CHANGES_KEPT at most */
    struct slice answer;
};

struct object_private {
    atomic_uint references;
    struct objects *objects;
    struct slice encoded; /* the encoded content, behind this: the material is sealed to it */
    struct content content;
    bool everybody;               /* all who are logged in may see it */
    uint32_t first_day, last_day; /* YYYYMMDD; 0: unlimited */
    struct bytes sealed;          /* token objects: material, until the key was opened; guarded by objects->opening */
    struct bytes blob;            /* session objects: what it was opened from */
    uint8_t session_id[ID_LEN];   /* session objects */
};

/* Caches. */

struct cache;
#define CACHE_KEY_LEN 16u

status_code cache_create(size_t capacity, struct cache **cache);
void cache_free(struct cache *cache);

/** A new reference to what is cached under the key, or NULL; then *generation is to be passed to cache_insert. */
struct object *cache_find(struct cache *cache, const uint8_t key[CACHE_KEY_LEN], uint64_t *generation);

/** Caches a reference of its own, unless something was forgotten since the look-up that gave `generation`. */
void cache_insert(struct cache *cache, const uint8_t key[CACHE_KEY_LEN], uint64_t generation, struct object *object);
void cache_forget(struct cache *cache, const uint8_t key[CACHE_KEY_LEN]);
void cache_clear(struct cache *cache);

/* Quota: counts per user, from the store now and then, and in between by what this node makes. */

struct quota;
status_code quota_create(struct quota **quota);
void quota_free(struct quota *quota);
/** STATUS_QUOTA_EXCEEDED if `n` more would be too many; else counts them. */
status_code quota_take(struct objects *objects, const uint8_t user_id[ID_LEN], uint64_t n);

struct objects {
    struct node *node;
    struct cache *tokens;   /* by object id */
    struct cache *sessions; /* by the blob's nonce */
    struct quota *quota;
    pthread_mutex_t
        opening[OPENING_LOCKS]; /* chosen by id: makes one thread open a key; guards object_private.sealed */
};

/* Records (record.c). */

void content_encode(const struct content *content, struct bytes *out);
status_code content_decode(struct slice encoded, struct content *content);

/** The value of a token object's record at `version`. `material` is empty for what holds no secret. */
status_code object_record_seal(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version,
                               const struct content *content, struct slice material, struct bytes *value);

/** What a record holds. Borrows from `plaintext` and from the record's value. */
struct object_record {
    bool removed;         /* a marker: only creation_request (of the removal) and owner_id are set in content */
    uint64_t removed_ms;  /* of a marker */
    struct slice encoded; /* the encoded content */
    struct content content;
    struct slice sealed_material;
};

/** STATUS_STORE_DAMAGED, naming the object, when it does not open. */
status_code object_record_open(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version, struct slice value,
                               struct bytes *plaintext, struct object_record *record);

/** Appends the material of a record at `version`. */
status_code object_record_open_material(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version,
                                        struct slice encoded_content, struct slice sealed, struct bytes *material);

/** The value of a removed-marker. */
status_code object_record_seal_removed(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version,
                                       struct slice request_id, struct slice user_id, struct bytes *value);

/** The same of what such a marker holds. */
status_code object_record_seal_marker(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version,
                                      struct slice encoded, struct bytes *value);

/** What removed-markers are found by (remove.c). */
extern const struct index_term REMOVED_TERM;

/** Reads a record; STATUS_OBJECT_NOT_FOUND when there is none. `value` and `plaintext` keep what `record` borrows. */
status_code object_record_read(struct objects *objects, const uint8_t id[ID_LEN], struct bytes *value,
                               struct bytes *plaintext, struct object_record *record, uint64_t *version);

/** The same, but that there is none is said only after all that any node has written was looked at. */
status_code object_record_read_newest(struct objects *objects, const uint8_t id[ID_LEN], struct bytes *value,
                                      struct bytes *plaintext, struct object_record *record, uint64_t *version);

/** Session objects: one blob of everything, bound to session and object id. */
status_code blob_seal(struct objects *objects, const uint8_t session_id[ID_LEN], const uint8_t id[ID_LEN],
                      const struct content *content, struct slice material, struct bytes *blob);
status_code blob_open(struct objects *objects, const uint8_t session_id[ID_LEN], const uint8_t id[ID_LEN],
                      struct slice blob, struct bytes *plaintext, struct slice *encoded_content,
                      struct slice *material);

/** How many values a set of attributes can have: the highest number and one. */
union attribute_numbers {
#define ATTRIBUTE(name, number, type, max, flags, doc) uint8_t name[number + 1];
#include "protocol/attributes.def"
#undef ATTRIBUTE
};
#define ATTRIBUTES_END  sizeof(union attribute_numbers)
#define ATTRIBUTES_SIZE (offsetof(struct values, value) + ATTRIBUTES_END * sizeof(union value))

/** Copies a set of attributes, also one of an object, which is shorter than the type says. */
static inline void attributes_copy(const struct values *from, struct values *to)
{
    memcpy(to, from, ATTRIBUTES_SIZE);
}

/* Snapshots (snapshot.c). */

/** A snapshot of a token object's record. */
status_code object_from_record(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version,
                               const struct object_record *record, struct object **object);
struct object *object_reference(struct object *object);

/** Opens a session object. */
status_code object_from_blob(struct objects *objects, const uint8_t session_id[ID_LEN], const uint8_t id[ID_LEN],
                             struct slice blob, struct object **object);

/** The key under which a session object is cached. */
static inline const uint8_t *blob_cache_key(struct slice blob)
{
    return blob.data + GENERATION_LEN; /* a random nonce, longer than the key */
}

/* Rules (rules.c, template.c, objects.c). */

enum sight { SIGHT_NONE, SIGHT_METADATA, SIGHT_AS_EVERYBODY, SIGHT_AS_SHAREE, SIGHT_AS_OWNER };
enum sight object_sight(const struct object *object, const struct caller *caller);

/** The same of a record's content. */
enum sight content_sight(const struct content *content, const struct values *attributes, const struct caller *caller);

/** Whether an attribute can stand on an object of this class and key type (0 for what is no key). */
bool attribute_applies(uint32_t attribute, uint64_t class, uint64_t key_type);

/** Adds the default of every attribute that applies, may be given at creation, has a default, and is absent. */
void attributes_default(struct values *attributes);

/** Whether the value is one that the attribute can have (dates, templates, lists): STATUS_ATTRIBUTE_VALUE_INVALID. */
status_code attribute_check_value(const struct values *attributes, uint32_t attribute);

/** Whether an owner may change it so later: STATUS_ATTRIBUTE_READ_ONLY. */
status_code attribute_check_change(const struct values *before, const struct values *after, uint32_t attribute);

/** Whether all in `template` is so in `attributes`; *first gets the first that is not. */
bool attributes_match(const struct values *attributes, const struct values *template, uint32_t *first);

/** The attributes wanted (a UINTS value; empty: all but VALUE) that are there. VALUE of a private or secret key is
 * never there. */
status_code attributes_select(const struct values *attributes, struct slice wanted, struct values *selected);

/** Everything that can be said against a template before a key is there. */
status_code template_check(const struct object_new *new, const struct values *template);

/** A date attribute as a number YYYYMMDD; 0 when absent or empty. */
uint32_t day_of(struct slice date);
uint32_t today(struct node *node);

const char *attribute_name(uint32_t attribute);

/* Attributes that the node sets (draft.c). */

/** An object in the making. */
struct draft {
    struct values attributes;
    struct bytes storage; /* of what the node computed */
    struct key *key;      /* reference; NULL for certificates and data */
};

void draft_release(struct draft *draft);
status_code draft_make(struct objects *objects, const struct caller *caller, const struct object_new *new,
                       struct draft *draft);

/* Index (find.c). */

#define TERMS_MAX (VALUES_MAX + 4u + SHAREES_MAX)

/** Puts all tokens under which an object is found into the write of its record, which refers to `memory`. */
status_code object_put_tokens(struct objects *objects, const struct values *attributes, const struct content *content,
                              struct bytes *memory, struct store_write *write);

static inline bool attribute_flag(const struct object *object, enum attribute attribute)
{
    return values_bool(&object->attributes, attribute, false);
}

static inline bool holds_secret(uint64_t class)
{
    return class == CLASS_PRIVATE_KEY || class == CLASS_SECRET_KEY;
}

static inline bool is_key_class(uint64_t class)
{
    return class == CLASS_PUBLIC_KEY || holds_secret(class);
}
