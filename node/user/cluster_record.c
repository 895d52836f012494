/* The cluster record: see cluster_record.h. */
#include "user/cluster_record.h"

#include <stdio.h>
#include "node.h"
#include "quorum/quorum.h"
#include "seal/record.h"

enum {
    CLUSTER_NAME = 1,
    CLUSTER_ACTIVE,
    CLUSTER_CREATED_MS,
    CLUSTER_RECOVERY_KEY,
    CLUSTER_QUORUM_USER,
    CLUSTER_QUORUM_POLICY,
    CLUSTER_QUORUM_CLUSTER,
    CLUSTER_KEY_GENERATION,
    CLUSTER_KEY_SETTLED,
    CLUSTER_KEY_OLDEST,
    CLUSTER_KEY_GRACE_S,
    CLUSTER_KEY_RETIRE_MS
};

static const struct schema_entry entries[] = {
    [CLUSTER_NAME] = {"NAME", VALUE_TEXT, 128, NULL},
    [CLUSTER_ACTIVE] = {"ACTIVE", VALUE_BOOL, 1, NULL},
    [CLUSTER_CREATED_MS] = {"CREATED_MS", VALUE_UINT, UINT64_MAX, NULL},
    [CLUSTER_RECOVERY_KEY] = {"RECOVERY_KEY", VALUE_BIN, RECOVERY_KEY_LEN, NULL},
    [CLUSTER_QUORUM_USER] = {"QUORUM_USER", VALUE_UINT, QUORUM_MAX, NULL},
    [CLUSTER_QUORUM_POLICY] = {"QUORUM_POLICY", VALUE_UINT, QUORUM_MAX, NULL},
    [CLUSTER_QUORUM_CLUSTER] = {"QUORUM_CLUSTER", VALUE_UINT, QUORUM_MAX, NULL},
    [CLUSTER_KEY_GENERATION] = {"KEY_GENERATION", VALUE_UINT, UINT32_MAX - 1, NULL},
    [CLUSTER_KEY_SETTLED] = {"KEY_SETTLED", VALUE_UINT, UINT32_MAX - 1, NULL},
    [CLUSTER_KEY_OLDEST] = {"KEY_OLDEST", VALUE_UINT, UINT32_MAX - 1, NULL},
    [CLUSTER_KEY_GRACE_S] = {"KEY_GRACE_S", VALUE_UINT, UINT32_MAX, NULL},
    [CLUSTER_KEY_RETIRE_MS] = {"KEY_RETIRE_MS", VALUE_UINT, UINT64_MAX, NULL},
};

static const struct schema cluster_schema = {"cluster field", entries, sizeof(entries) / sizeof(*entries)};

static const uint8_t cluster_record_id[ID_LEN] = {0};

void cluster_record_wipe(struct cluster_record *record)
{
    secret_wipe(record, sizeof(*record));
}

status_code cluster_record_read(struct node *node, struct cluster_record *record)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    struct values values;

    TRY(record_read(node, STORE_CLUSTER, cluster_record_id, &plaintext, &record->version));
    TRY(record_decode(&cluster_schema, &plaintext, &values));
    struct slice name = values_bytes(&values, CLUSTER_NAME);

    record->active = values_bool(&values, CLUSTER_ACTIVE, false);
    record->created_ms = values_uint(&values, CLUSTER_CREATED_MS, 0);
    snprintf(record->name, sizeof(record->name), "%.*s", (int)name.len, (const char *)name.data);
    record->quorum_user = values_uint(&values, CLUSTER_QUORUM_USER, 0);
    record->quorum_policy = values_uint(&values, CLUSTER_QUORUM_POLICY, 0);
    record->quorum_cluster = values_uint(&values, CLUSTER_QUORUM_CLUSTER, 0);
    record->key_generation = (uint32_t)values_uint(&values, CLUSTER_KEY_GENERATION, FIRST_GENERATION);
    record->key_settled = (uint32_t)values_uint(&values, CLUSTER_KEY_SETTLED, FIRST_GENERATION);
    record->key_oldest = (uint32_t)values_uint(&values, CLUSTER_KEY_OLDEST, FIRST_GENERATION);
    record->key_grace_s = values_uint(&values, CLUSTER_KEY_GRACE_S, 0);
    record->key_retire_ms = values_uint(&values, CLUSTER_KEY_RETIRE_MS, 0);
    struct slice recovery_key = values_bytes(&values, CLUSTER_RECOVERY_KEY);

    CHECK(recovery_key.len == 0 || recovery_key.len == RECOVERY_KEY_LEN, STATUS_STORE_DAMAGED,
          "the cluster's recovery key is cut off: restore the store from a backup");
    record->recovery_key_len = recovery_key.len;
    memset(record->recovery_key, 0, sizeof(record->recovery_key));
    if (recovery_key.len)
        memcpy(record->recovery_key, recovery_key.data, recovery_key.len);
    return STATUS_OK;
}

status_code cluster_record_try(struct node *node, struct keyring *keyring)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, plaintext = BYTES_SECRET;
    uint8_t context[RECORD_CONTEXT_LEN];
    uint64_t version;

    TRY(node->store->operations->read(node->store, STORE_CLUSTER, cluster_record_id, &sealed, &version));
    if (generation_of(bytes_slice(&sealed)) <= keyring_newest(node->keyring))
        return STATUS_OK;
    return unseal(keyring, SEAL_RECORD, record_context(STORE_CLUSTER, cluster_record_id, version, context),
                  bytes_slice(&sealed), &plaintext);
}

status_code cluster_record_version(struct node *node, uint64_t *version)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;
    status_code status = node->store->operations->read(node->store, STORE_CLUSTER, cluster_record_id, &sealed, version);

    if (status != STATUS_OBJECT_NOT_FOUND)
        return status;
    *version = 0;
    return STATUS_OK;
}

status_code cluster_record_write(struct node *node, const struct cluster_record *record, struct bytes *sealed,
                                 struct store_write *write)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    struct values values;

    values_init(&values);
    values_put_bytes(&values, CLUSTER_NAME, slice_text(record->name));
    values_put_bool(&values, CLUSTER_ACTIVE, record->active);
    values_put_uint(&values, CLUSTER_CREATED_MS, record->created_ms);
    values_put_uint(&values, CLUSTER_QUORUM_USER, record->quorum_user);
    values_put_uint(&values, CLUSTER_QUORUM_POLICY, record->quorum_policy);
    values_put_uint(&values, CLUSTER_QUORUM_CLUSTER, record->quorum_cluster);
    values_put_uint(&values, CLUSTER_KEY_GENERATION, record->key_generation);
    values_put_uint(&values, CLUSTER_KEY_SETTLED, record->key_settled);
    values_put_uint(&values, CLUSTER_KEY_OLDEST, record->key_oldest);
    values_put_uint(&values, CLUSTER_KEY_GRACE_S, record->key_grace_s);
    values_put_uint(&values, CLUSTER_KEY_RETIRE_MS, record->key_retire_ms);
    if (record->recovery_key_len)
        values_put_bytes(&values, CLUSTER_RECOVERY_KEY, slice_of(record->recovery_key, record->recovery_key_len));
    values_encode(&cluster_schema, &values, &plaintext);
    TRY(bytes_ok(&plaintext));
    return record_prepare(node, STORE_CLUSTER, cluster_record_id, record->version, bytes_slice(&plaintext), sealed,
                          write);
}

status_code cluster_record_create(struct node *node, const char *name)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;
    CLEANUP(cluster_record_wipe) struct cluster_record record;
    struct store_write write;
    uint64_t revision;
    status_code status = cluster_record_read(node, &record);

    if (status != STATUS_OBJECT_NOT_FOUND)
        return status;
    record = (struct cluster_record){.created_ms = node_now_ms(node),
                                     .key_generation = FIRST_GENERATION,
                                     .key_settled = FIRST_GENERATION,
                                     .key_oldest = FIRST_GENERATION};
    snprintf(record.name, sizeof(record.name), "%s", name);
    TRY(cluster_record_write(node, &record, &sealed, &write));
    status = node->store->operations->write(node->store, &write, 1, &revision);
    if (status == STATUS_ALREADY_EXISTS) /* another node was quicker: of this cluster, if the record opens */
        return cluster_record_read(node, &record);
    TRY(status);
    node_wrote(node, revision);
    return STATUS_OK;
}
