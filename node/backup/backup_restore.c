/* Making a new cluster of a backup: backup.h.
 *
 * The records go into the store first, which no node opens before it is whole; then the node takes the keys, in one
 * atomic step. The new cluster's id follows from the backup and the node, so that an attempt that was interrupted
 * between the two finds its own store again. */
#include <stdio.h>
#include "backup/backup_job.h"
#include "store/etcd_client.h"
#include "store/restore.h"

struct restoring {
    struct node *node;
    struct restore *store;
    struct backup_header header;
    uint8_t cluster_id[ID_LEN];
    struct secret masking_keys;
};

static void restoring_release(struct restoring *restoring)
{
    restore_close(restoring->store);
    secret_release(&restoring->masking_keys);
}

static status_code choose_cluster_id(struct restoring *restoring)
{
    static const char purpose[] = "libhsm restored cluster";
    uint8_t input[sizeof(purpose) + BACKUP_ID_LEN + ID_LEN], hash[32];

    memcpy(input, purpose, sizeof(purpose));
    memcpy(input + sizeof(purpose), restoring->header.backup_id, BACKUP_ID_LEN);
    memcpy(input + sizeof(purpose) + BACKUP_ID_LEN, identity_node_id(restoring->node->identity), ID_LEN);
    CHECK(EVP_Q_digest(crypto_context(), "SHA256", NULL, input, sizeof(input), hash, NULL) == 1, STATUS_INTERNAL,
          "hashing a cluster id");
    memcpy(restoring->cluster_id, hash, ID_LEN);
    return STATUS_OK;
}

static status_code open_store(struct restoring *restoring)
{
    const struct node_config *config = &restoring->node->config;
    struct etcd_settings settings;

    if (strcmp(config->store, "etcd") != 0)
        return restore_open_sqlite(config->store + strlen("sqlite:"), restoring->cluster_id, &restoring->store);
    node_etcd_settings(config, &settings);
    return restore_open_etcd(&settings, restoring->cluster_id, &restoring->store);
}

static status_code begin(void *context, const struct backup_header *header, struct slice masking_keys)
{
    struct restoring *restoring = context;

    restoring->header = *header;
    TRY(secret_copy(&restoring->masking_keys, masking_keys));
    TRY(choose_cluster_id(restoring));
    return open_store(restoring);
}

static status_code put_record(void *context, const struct store_write *record)
{
    struct restoring *restoring = context;

    TRY(backup_job_step(restoring->node));
    return restore_put(restoring->store, record);
}

/* --- which one --- */

struct newest {
    struct backup_name name;
    bool found, mixed;
};

static status_code take_newest(void *context, const struct backup_name *name, uint64_t size)
{
    struct newest *newest = context;

    (void)size;
    newest->mixed = newest->mixed || (newest->found && strcmp(newest->name.cluster, name->cluster) != 0);
    if (!newest->found || name->created_ms > newest->name.created_ms ||
        (name->created_ms == newest->name.created_ms && name->revision > newest->name.revision))
        newest->name = *name;
    newest->found = true;
    return STATUS_OK;
}

static status_code choose(struct destination *destination, struct slice wanted, struct backup_name *name)
{
    struct newest newest = {.found = false};

    if (wanted.len)
        return backup_take_name(wanted, name);
    TRY(destination->operations->list(destination, take_newest, &newest));
    CHECK(newest.found, STATUS_OBJECT_NOT_FOUND, "there is no backup at this destination");
    CHECK(!newest.mixed, STATUS_INVALID_ARGUMENT,
          "there are backups of several clusters here: name the one to restore");
    *name = newest.name;
    return STATUS_OK;
}

static status_code open_source(struct node *node, struct slice where, struct destination **destination)
{
    char text[1024];

    CHECK(where.len < sizeof(text), STATUS_INVALID_ARGUMENT, "the destination's name is too long");
    snprintf(text, sizeof(text), "%.*s", (int)where.len, (const char *)where.data);
    return destination_open(&node->config, where.len ? text : node->config.backup_to, destination);
}

static status_code take_keys(struct restoring *restoring)
{
    struct identity_restored restored = {.cluster_name = slice_text(restoring->header.cluster_name),
                                         .masking_keys = secret_slice(&restoring->masking_keys)};

    memcpy(restored.cluster_id, restoring->cluster_id, ID_LEN);
    memcpy(restored.seal_id, restoring->header.seal_id, ID_LEN);
    return identity_restore(restoring->node->identity, &restored);
}

static status_code restore_from(struct restoring *restoring, struct destination *destination, const char *name,
                                struct slice recovery_key, uint64_t *n_records)
{
    const struct backup_visitor visitor = {begin, put_record, restoring};

    TRY(backup_read_all(destination, name, recovery_key, &visitor, n_records));
    TRY(restore_finish(restoring->store, restoring->header.revision));
    return take_keys(restoring);
}

status_code backup_restore(struct node *node, struct slice name, struct slice where, struct slice recovery_key,
                           struct backup_done *done)
{
    CLEANUP(backup_job_release) bool begun = false;
    CLEANUP(backup_destination_release) struct destination *destination = NULL;
    CLEANUP(restoring_release) struct restoring restoring = {.node = node, .masking_keys = SECRET_INIT};
    struct backup_name chosen;

    CHECK(recovery_key.len == RECOVERY_KEY_LEN, STATUS_INVALID_ARGUMENT, "a recovery key has %u bytes, not %zu",
          RECOVERY_KEY_LEN, recovery_key.len);
    CHECK(
        identity_state(node->identity) == IDENTITY_EMPTY, STATUS_CLUSTER_STATE,
        "this node belongs to cluster %s: a backup is restored into a new cluster, on a node with a fresh state folder",
        identity_cluster_name(node->identity));
    TRY(backup_job_begin());
    begun = true;
    TRY(open_source(node, where, &destination));
    TRY(choose(destination, name, &chosen));
    *done = (struct backup_done){.n_records = 0};
    TRY(restore_from(&restoring, destination, chosen.text, recovery_key, &done->n_records));
    snprintf(done->name, sizeof(done->name), "%s", chosen.text);
    snprintf(done->cluster_name, sizeof(done->cluster_name), "%s", restoring.header.cluster_name);
    done->created_ms = restoring.header.created_ms;
    done->revision = restoring.header.revision;
    log_event(LOG_LEVEL_INFO, "cluster restored", "backup", chosen.text, "records",
              log_number((long long)done->n_records), NULL);
    return STATUS_OK;
}
