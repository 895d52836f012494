/* The life cycle of the cluster (DESIGN: created, initialized, activated) and what it is made of. */
#include "identity/member.h"
#include "operation/handlers.h"
#include "rotation/rotation.h"
#include "store/etcd_client.h"
#include "store/migrate.h"

static void put_ids(struct call *call)
{
    const struct identity *identity = call->node->identity;
    values_put_bytes(call->answer, FIELD_CLUSTER_ID, slice_of(identity_cluster_id(identity), ID_LEN));
    values_put_bytes(call->answer, FIELD_NODE_ID, slice_of(identity_node_id(identity), ID_LEN));
}

status_code op_cluster_create(struct call *call)
{
    struct bytes *csr = call_buffer(call);

    TRY(identity_create_cluster(call->node->identity, call_bytes(call, FIELD_NAME)));
    TRY(identity_csr(call->node->identity, csr));
    put_ids(call);
    call_answer(call, FIELD_CSR, csr);
    return STATUS_OK;
}

status_code op_cluster_initialize(struct call *call)
{
    TRY(identity_initialize(call->node->identity, call_bytes(call, FIELD_CERTIFICATE),
                            call_bytes(call, FIELD_CA_CERTIFICATE)));
    TRY(node_become_member(call->node));
    put_ids(call);
    return STATUS_OK;
}

status_code op_cluster_activate(struct call *call)
{
    return users_activate(call->node->users, call_bytes(call, FIELD_USER_NAME), call_bytes(call, FIELD_PASSWORD),
                          call_bytes(call, FIELD_DATA));
}

status_code op_cluster_describe(struct call *call)
{
    struct node *node = call->node;
    struct bytes *records = call_buffer(call);
    uint64_t n_objects = 0;
    bool active = atomic_load(&node->cluster_active);

    TRY(members_list(node, records, NULL));
    TRY(objects_count(node->objects, &n_objects));
    values_put_bytes(call->answer, FIELD_CLUSTER_ID, slice_of(identity_cluster_id(node->identity), ID_LEN));
    values_put_bytes(call->answer, FIELD_NAME, slice_text(identity_cluster_name(node->identity)));
    values_put_bytes(call->answer, FIELD_STATE_NAME, slice_text(active ? "active" : "initialized"));
    values_put_uint(call->answer, FIELD_REVISION, atomic_load(&node->revision));
    values_put_uint(call->answer, FIELD_COUNT, n_objects);
    call_answer(call, FIELD_RECORDS, records);
    return STATUS_OK;
}

/* From the store of this node's configuration to the one that is named. */
static status_code migrate(struct node *node, const char *target, struct migrated *migrated)
{
    static const char file[] = "sqlite:";
    const uint8_t *cluster_id = identity_cluster_id(node->identity);
    struct etcd_settings settings;
    bool on_etcd = strcmp(node->config.store, "etcd") == 0, to_etcd = strcmp(target, "etcd") == 0;

    node_etcd_settings(&node->config, &settings);
    CHECK(on_etcd != to_etcd, STATUS_INVALID_ARGUMENT,
          "this node's store is %.80s: it moves from sqlite to etcd, or back", node->config.store);
    if (to_etcd)
        return migrate_to_etcd(node->config.store + strlen(file), &settings, cluster_id, migrated);
    CHECK(strncmp(target, "sqlite:/", 8) == 0, STATUS_INVALID_ARGUMENT,
          "the target must be etcd, or sqlite: and an absolute path, not %.80s", target);
    return migrate_to_sqlite(&settings, target + strlen(file), cluster_id, migrated);
}

status_code op_cluster_migrate_store(struct call *call)
{
    static atomic_flag running = ATOMIC_FLAG_INIT;
    struct migrated migrated = {0, 0};
    struct slice name = call_bytes(call, FIELD_ADDRESS);
    char target[257];

    CHECK(call->node->store, STATUS_CLUSTER_STATE, "this node belongs to no cluster yet");
    CHECK(!atomic_flag_test_and_set(&running), STATUS_BUSY, "the store is being moved already");
    snprintf(target, sizeof target, "%.*s", (int)name.len, (const char *)name.data);
    /* Before it begins: afterwards nothing can be written where this node writes. */
    status_code status = audit_record(call->node->audit, call, STATUS_OK);

    call->recorded = true;
    if (status == STATUS_STORE_READ_ONLY || status == STATUS_CLUSTER_STATE)
        status = STATUS_OK; /* an earlier attempt, which was recorded, closed this store */
    if (status == STATUS_OK)
        status = migrate(call->node, target, &migrated);
    atomic_flag_clear(&running);
    TRY(status);
    log_event(LOG_LEVEL_INFO, "store moved", "to", target, "records", log_number((long long)migrated.n_records),
              "revision", log_number((long long)migrated.revision), "hint",
              "set `store` in the configuration of every node, and restart them", NULL);
    values_put_uint(call->answer, FIELD_COUNT, migrated.n_records);
    values_put_uint(call->answer, FIELD_REVISION, migrated.revision);
    return STATUS_OK;
}

#define GRACE_S     86400u
#define GRACE_MAX_S 31536000u

status_code op_cluster_rotate_key(struct call *call)
{
    uint64_t grace_s = values_uint(call->request, FIELD_COUNT, GRACE_S);
    uint32_t generation;

    CHECK(grace_s <= GRACE_MAX_S, STATUS_INVALID_ARGUMENT, "a grace of %llu s; the most is %u s, a year",
          (unsigned long long)grace_s, GRACE_MAX_S);
    TRY(rotation_begin(call->node, call_bytes(call, FIELD_REQUEST_ID).data, grace_s, &generation));
    values_put_uint(call->answer, FIELD_VERSION, generation);
    return STATUS_OK;
}

status_code op_cluster_give_up_damaged(struct call *call)
{
    return rotation_give_up_damaged(call->node, values_uint(call->request, FIELD_COUNT, 0));
}

status_code op_cluster_masking_key(struct call *call)
{
    struct rotation_status status;
    struct bytes *worker = call_buffer(call), *numbers = call_buffer(call);

    TRY(rotation_describe(call->node, &status));
    TRY(bytes_assign(worker, slice_of(status.worker_id, ID_LEN)));
    uints_encode(numbers, (const uint64_t[]){status.n_damaged, status.n_given_up}, 2);
    TRY(bytes_ok(numbers));
    values_put_bytes(call->answer, FIELD_NUMBERS, bytes_slice(numbers));
    values_put_uint(call->answer, FIELD_VERSION, status.generation);
    values_put_bytes(call->answer, FIELD_STATE_NAME, slice_text(status.phase));
    values_put_uint(call->answer, FIELD_COUNT, status.n_done);
    values_put_uint(call->answer, FIELD_SEQUENCE, status.n_total);
    values_put_uint(call->answer, FIELD_TIME_MS, status.retire_ms);
    call_answer(call, FIELD_NODE_ID, worker);
    return STATUS_OK;
}
