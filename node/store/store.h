/* The replicated store, as an interface: compare-and-swap on record versions, look-up by id, by index token and by
 * range, and the list of changes since a revision. It sees sealed values only.
 *
 * A value begins with the generation (4 bytes, big-endian) of the masking key that it is sealed under. Of that the
 * store knows one thing: values of a generation below its floor are not written any more (raise_floor). So once a
 * masking key was replaced nothing can come in under the old one, from however slow a node.
 *
 * Invariants: a successful store_write is durable (fsynced, or on a majority) before it returns; all its records change
 * at one new revision or none does; revisions only grow. All functions may be called from any thread. */
#pragma once

#include "protocol/generation.h"
#include "protocol/limits.h"

struct store;

enum store_kind {
    STORE_CLUSTER = 1,    /* one record: state and policy; id is all zero */
    STORE_NODE = 2,       /* members; id is the node id */
    STORE_USER = 3,       /* id is the user's; its name is an index token */
    STORE_LOGIN = 4,      /* failed logins of a user; id is the user's */
    STORE_REVOCATION = 5, /* sessions that logged out; id is the session's */
    STORE_OBJECT = 6,     /* token objects */
    STORE_AUDIT = 7,      /* id: first 8 bytes of the node id, then the sequence, big-endian; not in the change list */
    STORE_QUORUM = 8,     /* tokens; id is the token's */
    STORE_HANDOVER = 9,   /* the next masking key on its way to a node; id is the node's */
    STORE_ROTATION = 10,  /* one record: how far the records are sealed anew; id is all zero */
    STORE_ANCHOR = 11,    /* further CAs of clients; id: beginning of the certificate's SHA-256 */
};
#define STORE_KIND_MAX 35u /* a digit or a letter in the keys of etcd */

#define TOKEN_LEN        12u
#define STORE_WRITES_MAX 112u /* in one store_write: etcd takes 128 operations, of which some are the store's own */

/** A keyed hash of something to be found by: the store learns nothing but equality. */
struct index_token {
    uint8_t bytes[TOKEN_LEN];
};

struct store_write {
    enum store_kind kind;
    uint8_t id[ID_LEN];
    uint64_t expected_version; /* 0: must not exist. Otherwise the version that it must have now */
    bool remove;
    struct slice value; /* sealed; its version becomes expected_version + 1 */
    const struct index_token *tokens;
    size_t n_tokens; /* replace all tokens that the record had */
};

struct store_record {
    enum store_kind kind;
    uint8_t id[ID_LEN];
    uint64_t version;
    uint64_t revision; /* at which it last changed */
    struct slice value;
};

struct store_change {
    uint64_t revision;
    enum store_kind kind;
    uint8_t id[ID_LEN];
    bool removed;
};

/** A record as the write that would make it: expected_version is one less than its version. */
typedef status_code (*record_visitor)(void *context, const struct store_write *record, uint64_t revision);

/** Takes a snapshot: `begin` first, then `record` for each, in ascending order of kind and id; returning anything but
 * STATUS_OK ends it with that status. */
struct snapshot_visitor {
    status_code (*begin)(void *context, uint64_t revision, uint64_t n_records);
    record_visitor record; /* its revision is 0 */
};

/** For implementations: STATUS_BUSY when a value that is written is of a generation below the floor. */
status_code store_check_floor(const struct store_write *writes, size_t n, uint64_t floor);

/** Called per record in ascending id order; returning anything but STATUS_OK ends the iteration with that status. */
typedef status_code (*store_visitor)(void *context, const struct store_record *record);
typedef status_code (*store_change_visitor)(void *context, const struct store_change *change);

#define PRESENCE_MAX 512u

typedef status_code (*presence_visitor)(void *context, const uint8_t node_id[ID_LEN], struct slice value);

struct store_operations {
    void (*close)(struct store *store);

    /** STATUS_OBJECT_NOT_FOUND when there is none. */
    status_code (*read)(struct store *store, enum store_kind kind, const uint8_t id[ID_LEN], struct bytes *value,
                        uint64_t *version);

    /** All or nothing. STATUS_CONFLICT when a version differs (STATUS_ALREADY_EXISTS when expected_version is 0 and it
     * exists), STATUS_BUSY when a value's generation is below the floor; STATUS_STORE_FULL, _LOCKED, _READ_ONLY,
     * _DAMAGED. */
    status_code (*write)(struct store *store, const struct store_write *writes, size_t n, uint64_t *revision);

    /** Records of a kind after an id (NULL: from the first), at most `limit`. */
    status_code (*range)(struct store *store, enum store_kind kind, const uint8_t *after, const uint8_t *before,
                         size_t limit, store_visitor visit, void *context);

    /** Records of a kind that have all the tokens, after an id. Order the tokens by selectivity, best first. */
    status_code (*find)(struct store *store, enum store_kind kind, const struct index_token *tokens, size_t n_tokens,
                        const uint8_t *after, size_t limit, store_visitor visit, void *context);

    /** Number of records that have a token. */
    status_code (*count)(struct store *store, enum store_kind kind, const struct index_token *token, uint64_t *n);

    /** Changes after `since`, ascending; ends at the newest. *revision becomes the revision reached. STATUS_CONFLICT
     * when the list no longer reaches back so far: the caller then forgets all that it has cached. */
    status_code (*changes)(struct store *store, uint64_t since, store_change_visitor visit, void *context,
                           uint64_t *revision);

    /** The revision that reads reflect at least. */
    status_code (*revision)(struct store *store, uint64_t *revision);

    /** The newest revision that any node has written, asked of the engine itself. STATUS_STORE_UNAVAILABLE. */
    status_code (*newest)(struct store *store, uint64_t *revision);

    /** Returns when reads reflect `revision`. STATUS_STORE_UNAVAILABLE when that takes too long. */
    status_code (*wait)(struct store *store, uint64_t revision);

    /** How long ago reads were last known to reflect the newest revision, in milliseconds. */
    status_code (*age)(struct store *store, uint64_t *ms);

    /** Raises the floor to a generation; harmless when it is there already. */
    status_code (*raise_floor)(struct store *store, uint32_t generation);

    /** Says that this node is there, with a value (at most PRESENCE_MAX bytes) that the others see; again to change it.
     * It holds as long as the store is open and the engine hears of this node: soon after a crash it is over. */
    status_code (*be_present)(struct store *store, const uint8_t node_id[ID_LEN], struct slice value);

    /** Who is there. STATUS_STORE_UNAVAILABLE when the engine cannot say. */
    status_code (*each_present)(struct store *store, presence_visitor visit, void *context);

    /** All records as they are at one revision. Writers go on meanwhile. */
    status_code (*snapshot)(struct store *store, const struct snapshot_visitor *visitor, void *context);
};

/** First member of every implementation. */
struct store {
    const struct store_operations *operations;
};

/** Opens (or creates) the SQLite store at `path`. A fresh one takes `cluster_id` with its first write of STORE_CLUSTER;
 * one that holds another cluster's id is STATUS_STORE_FOREIGN; cluster_id may be NULL to take it as it is. */
status_code store_open_sqlite(const char *path, const uint8_t *cluster_id, struct store **store);

struct etcd_settings;

/** Opens the store that the members of etcd keep, with a replica of it at `replica_path`: reads come from the replica,
 * which follows; writes are etcd's. Returns when the replica is up to date, or, when etcd cannot be reached, at once
 * with the replica as it is; without one STATUS_STORE_UNAVAILABLE. cluster_id as above, but never NULL. */
status_code store_open_etcd(const struct etcd_settings *settings, const char *replica_path, const uint8_t *cluster_id,
                            struct store **store);

/** The cluster id that an SQLite store holds; STATUS_OBJECT_NOT_FOUND in a fresh one. */
status_code store_cluster_id(struct store *store, uint8_t cluster_id[ID_LEN]);
