/* The store that the members of etcd keep: writes are etcd's transactions, reads are the local replica's. */
#include <stdlib.h>
#include "store/etcd_fill.h"
#include "store/etcd_follow.h"
#include "store/etcd_write.h"
#include "store/sqlite_write.h"

#define WAIT_MS       2000u
#define FIRST_WAIT_MS 600000u /* a million records are read in some minutes */

struct store_etcd {
    struct store base;
    struct etcd_settings settings;
    uint8_t cluster_id[ID_LEN];
    struct etcd_client *client;
    struct replica replica;
    struct etcd_presence *presence;
    struct follower *follower;
};

static struct store_etcd *etcd_of(struct store *store)
{
    return (struct store_etcd *)store;
}

/* --- reading: the replica's --- */

static struct store *replica_of(struct store *store)
{
    return etcd_of(store)->replica.reads;
}

static status_code etcd_store_read(struct store *store, enum store_kind kind, const uint8_t id[ID_LEN],
                                   struct bytes *value, uint64_t *version)
{
    return replica_of(store)->operations->read(replica_of(store), kind, id, value, version);
}

static status_code etcd_store_range(struct store *store, enum store_kind kind, const uint8_t *after,
                                    const uint8_t *before, size_t limit, store_visitor visit, void *context)
{
    return replica_of(store)->operations->range(replica_of(store), kind, after, before, limit, visit, context);
}

static status_code etcd_store_find(struct store *store, enum store_kind kind, const struct index_token *tokens,
                                   size_t n_tokens, const uint8_t *after, size_t limit, store_visitor visit,
                                   void *context)
{
    return replica_of(store)->operations->find(replica_of(store), kind, tokens, n_tokens, after, limit, visit, context);
}

static status_code etcd_store_count(struct store *store, enum store_kind kind, const struct index_token *token,
                                    uint64_t *n)
{
    return replica_of(store)->operations->count(replica_of(store), kind, token, n);
}

static status_code etcd_store_changes(struct store *store, uint64_t since, store_change_visitor visit, void *context,
                                      uint64_t *revision)
{
    return replica_of(store)->operations->changes(replica_of(store), since, visit, context, revision);
}

static status_code etcd_store_revision(struct store *store, uint64_t *revision)
{
    return replica_of(store)->operations->revision(replica_of(store), revision);
}

static status_code etcd_store_snapshot(struct store *store, const struct snapshot_visitor *visitor, void *context)
{
    return replica_of(store)->operations->snapshot(replica_of(store), visitor, context);
}

/* --- who is there --- */

static status_code etcd_be_present(struct store *store, const uint8_t node_id[ID_LEN], struct slice value)
{
    return etcd_presence_put(etcd_of(store)->presence, node_id, value);
}

static status_code etcd_each_present(struct store *store, presence_visitor visit, void *context)
{
    return etcd_presence_each(etcd_of(store)->presence, visit, context);
}

/* --- how new it is --- */

static status_code etcd_store_newest(struct store *store, uint64_t *revision)
{
    return follower_newest(etcd_of(store)->follower, revision);
}

static status_code etcd_store_wait(struct store *store, uint64_t revision)
{
    return follower_wait(etcd_of(store)->follower, revision, WAIT_MS);
}

static status_code etcd_store_age(struct store *store, uint64_t *ms)
{
    *ms = follower_age_ms(etcd_of(store)->follower);
    return STATUS_OK;
}

/* --- writing --- */

/* What is written replaces what was seen: etcd compares revisions, so the replica's are looked up. */
static status_code look_up(struct store_etcd *store, const struct store_write *writes, size_t n, uint64_t offset,
                           uint64_t *revisions)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t version, revision;

        TRY(sqlite_position(store->replica.reads, writes[i].kind, writes[i].id, &version, &revision));
        CHECK(writes[i].expected_version != 0 || version == 0, STATUS_ALREADY_EXISTS, "the record exists");
        CHECK(version == writes[i].expected_version, STATUS_CONFLICT, "the record has version %llu, not %llu",
              (unsigned long long)version, (unsigned long long)writes[i].expected_version);
        revisions[i] = revision ? revision - offset : 0;
    }
    return STATUS_OK;
}

static bool founds(const struct store_write *writes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (writes[i].kind == STORE_CLUSTER && writes[i].expected_version == 0)
            return true;
    return false;
}

static status_code write_once(struct store_etcd *store, const struct store_write *writes, size_t n,
                              struct etcd_cluster *cluster, uint64_t *reached)
{
    uint64_t revisions[STORE_WRITES_MAX];
    struct etcd_write write = {.client = store->client,
                               .settings = &store->settings,
                               .cluster = cluster,
                               .away = follower_is_away(store->follower),
                               .writes = writes,
                               .revisions = revisions,
                               .n = n};

    TRY(follower_cluster(store->follower, cluster, &write.founded));
    CHECK(write.founded || founds(writes, n), STATUS_STORE_DAMAGED, "etcd holds no cluster under this prefix");
    TRY(store_check_floor(writes, n, cluster->floor));
    TRY(look_up(store, writes, n, cluster->offset, revisions));
    return etcd_transact(&write, reached);
}

/* Whether another node put another text under /cluster, of the same cluster. */
static bool cluster_was_changed(struct store_etcd *store, const struct etcd_cluster *before)
{
    struct etcd_cluster now;
    bool founded;

    follower_forget_cluster(store->follower);
    return follower_cluster(store->follower, &now, &founded) == STATUS_OK && founded &&
           strcmp(now.text, before->text) != 0;
}

static status_code etcd_store_write(struct store *base, const struct store_write *writes, size_t n, uint64_t *revision)
{
    struct store_etcd *store = etcd_of(base);
    struct etcd_cluster cluster = {.offset = 0};
    char detail[FAILURE_DETAIL_MAX];
    uint64_t reached = 0;

    CHECK(n <= STORE_WRITES_MAX, STATUS_INTERNAL, "%zu records in one write", n);
    status_code status = write_once(store, writes, n, &cluster, &reached);

    memcpy(detail, failure_detail(), sizeof(detail));
    if (status == STATUS_CLUSTER_STATE && cluster_was_changed(store, &cluster)) {
        status = write_once(store, writes, n, &cluster, &reached);
        memcpy(detail, failure_detail(), sizeof(detail));
    }
    if (reached)
        reached += cluster.offset;
    if (status == STATUS_OK)
        *revision = reached;
    else if ((status != STATUS_CONFLICT && status != STATUS_ALREADY_EXISTS) || !reached)
        return failure_set(status, "%s", detail);
    /* The caller may look at once for what it wrote, or for what was in its way. A replica that lags is no failure of
     * the write: whoever comes with this revision waits for it. */
    follower_etcd_answered(store->follower);
    follower_wait(store->follower, reached, WAIT_MS);
    return status == STATUS_OK ? STATUS_OK : failure_set(status, "%s", detail);
}

static status_code raise_once(struct store_etcd *store, uint32_t generation)
{
    struct etcd_cluster cluster, raised;
    bool founded;

    TRY(follower_cluster(store->follower, &cluster, &founded));
    CHECK(founded, STATUS_STORE_DAMAGED, "etcd holds no cluster under this prefix");
    if (cluster.floor >= generation)
        return STATUS_OK;
    etcd_cluster_make(store->cluster_id, cluster.offset, generation, &raised);
    const struct etcd_fill fill = {.client = store->client, .settings = &store->settings, .expected = cluster.text};
    status_code status =
        etcd_fill_transact(&fill, json_pack("[o]", etcd_fill_key(&store->settings, "/cluster", raised.text)));

    follower_forget_cluster(store->follower);
    return status;
}

static status_code etcd_raise_floor(struct store *store, uint32_t generation)
{
    status_code status = raise_once(etcd_of(store), generation);

    /* Another node was quicker, or this node did not know the newest text. */
    return status == STATUS_CONFLICT ? raise_once(etcd_of(store), generation) : status;
}

/* --- opening --- */

static void etcd_store_close(struct store *base)
{
    struct store_etcd *store = etcd_of(base);

    bool away = store->follower && follower_is_away(store->follower);

    follower_stop(store->follower);
    etcd_presence_close(store->presence, away);
    replica_close(&store->replica);
    etcd_client_close(store->client);
    free(store);
}

static const struct store_operations operations = {
    .close = etcd_store_close,
    .read = etcd_store_read,
    .write = etcd_store_write,
    .range = etcd_store_range,
    .find = etcd_store_find,
    .count = etcd_store_count,
    .changes = etcd_store_changes,
    .revision = etcd_store_revision,
    .newest = etcd_store_newest,
    .wait = etcd_store_wait,
    .age = etcd_store_age,
    .raise_floor = etcd_raise_floor,
    .be_present = etcd_be_present,
    .each_present = etcd_each_present,
    .snapshot = etcd_store_snapshot,
};

static status_code catch_up(struct store_etcd *store)
{
    struct etcd_cluster cluster;
    uint64_t newest, held;
    bool founded;

    TRY(etcd_store_revision(&store->base, &held));
    TRY(follower_cluster(store->follower, &cluster, &founded));
    TRY(follower_newest(store->follower, &newest));
    CHECK(newest >= held, STATUS_STORE_DAMAGED, FOLLOWER_OLDER);
    return follower_wait(store->follower, newest, FIRST_WAIT_MS);
}

/* With etcd there, the replica must be up to date before the node serves; without, any replica will do. */
static status_code begin(struct store_etcd *store)
{
    const struct followed followed = {store->client, &store->settings, store->cluster_id, &store->replica,
                                      store->presence};
    uint64_t held;

    TRY(follower_start(&followed, &store->follower));
    status_code status = catch_up(store);

    if (status != STATUS_STORE_UNAVAILABLE)
        return status;
    TRY(etcd_store_revision(&store->base, &held));
    return held > 0 ? STATUS_OK : status;
}

static status_code open_parts(struct store_etcd *store, const char *replica_path)
{
    TRY(replica_open(replica_path, store->cluster_id, &store->replica));
    TRY(etcd_client_open(&store->settings, &store->client));
    TRY(etcd_presence_open(store->client, &store->settings, &store->presence));
    return begin(store);
}

status_code store_open_etcd(const struct etcd_settings *settings, const char *replica_path, const uint8_t *cluster_id,
                            struct store **store)
{
    struct store_etcd *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the store");
    made->base.operations = &operations;
    made->settings = *settings;
    memcpy(made->cluster_id, cluster_id, ID_LEN);
    status_code status = open_parts(made, replica_path);

    if (status != STATUS_OK) {
        char detail[FAILURE_DETAIL_MAX];

        memcpy(detail, failure_detail(), sizeof(detail));
        etcd_store_close(&made->base);
        return failure_set(status, "%s", detail);
    }
    *store = &made->base;
    return STATUS_OK;
}
