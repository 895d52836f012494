/* What the cluster and its nodes say of themselves (hsm/cluster.h). */
#include "hsm/cluster.h"

#include "api_call.h"
#include "api_cluster.h"
#include "api_records.h"

static status_code take_node(struct records *records, const struct values *record, void *item)
{
    hsm_node_info *node = (hsm_node_info *)item;
    struct slice hash = values_bytes(record, FIELD_HASH_VALUE);

    node->size = sizeof(*node);
    records_id(node->id, values_bytes(record, FIELD_NODE_ID));
    node->name = records_text(records, values_bytes(record, FIELD_NAME));
    node->address = records_text(records, values_bytes(record, FIELD_ADDRESS));
    node->zone = records_text(records, values_bytes(record, FIELD_ZONE));
    node->state = records_text(records, values_bytes(record, FIELD_STATE_NAME));
    node->certificate_hash = hash.len ? records_bytes(records, hash) : NULL;
    node->certificate_hash_len = hash.len;
    node->version = records_text(records, values_bytes(record, FIELD_VALUE_TEXT));
    node->started_ms = values_uint(record, FIELD_TIME_MS, 0);
    node->protocol_version = (uint32_t)values_uint(record, FIELD_VERSION, 0);
    node->key_generation = (uint32_t)values_uint(record, FIELD_KEY_GENERATION, 0);
    return STATUS_OK;
}

static status_code cluster_describe(hsm_cluster *cluster, hsm_cluster_info **info)
{
    CLEANUP(call_release) struct call call;
    struct records records;

    TRY(call_begin(&call, NULL, cluster, OP_CLUSTER_DESCRIBE));
    ARGUMENT(info, "no place for the description");
    TRY(call_run(&call));

    TRY(records_begin(&records, sizeof(hsm_cluster_info)));
    hsm_cluster_info *made = (hsm_cluster_info *)records.head;
    made->size = sizeof(*made);
    records_id(made->id, values_bytes(&call.request.answer, FIELD_CLUSTER_ID));
    made->name = records_text(&records, values_bytes(&call.request.answer, FIELD_NAME));
    made->state = records_text(&records, values_bytes(&call.request.answer, FIELD_STATE_NAME));
    made->revision = values_uint(&call.request.answer, FIELD_REVISION, 0);
    made->n_objects = values_uint(&call.request.answer, FIELD_COUNT, 0);
    made->nodes = (const hsm_node_info *const *)records_take(
        &records, values_bytes(&call.request.answer, FIELD_RECORDS), sizeof(hsm_node_info), take_node, &made->n_nodes);
    return records_finish(&records, (void **)info);
}

hsm_status hsm_cluster_describe(hsm_cluster *cluster, hsm_cluster_info **info)
{
    return API(cluster_describe(cluster, info));
}

static void keep_id(hsm_cluster *cluster, struct slice id)
{
    api_lock_take(&cluster->lock);
    if (!atomic_load(&cluster->has_id))
        memcpy(cluster->id, id.data, ID_LEN);
    atomic_store_explicit(&cluster->has_id, true, memory_order_release);
    api_lock_give(&cluster->lock);
}

status_code cluster_id_get(hsm_cluster *cluster, uint8_t id[ID_LEN])
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, cluster, OP_CLUSTER_DESCRIBE));
    if (!atomic_load_explicit(&cluster->has_id, memory_order_acquire)) {
        TRY(call_run(&call));
        struct slice told = values_bytes(&call.request.answer, FIELD_CLUSTER_ID);

        CHECK(told.len == ID_LEN, STATUS_PROTOCOL_ERROR, "a node described its cluster without the cluster's id");
        keep_id(cluster, told);
    }
    memcpy(id, cluster->id, ID_LEN);
    return STATUS_OK;
}

void hsm_cluster_info_free(hsm_cluster_info *info)
{
    records_free(info);
}

static status_code take_fact(struct records *records, const struct values *record, void *item)
{
    hsm_node_fact *fact = (hsm_node_fact *)item;

    fact->name = records_text(records, values_bytes(record, FIELD_NAME));
    fact->value = records_text(records, values_bytes(record, FIELD_VALUE_TEXT));
    return STATUS_OK;
}

static status_code take_mechanism(struct records *records, const struct values *record, void *item)
{
    hsm_mechanism_info *mechanism = (hsm_mechanism_info *)item;

    mechanism->size = sizeof(*mechanism);
    mechanism->mechanism = (uint32_t)values_uint(record, FIELD_MECHANISM, 0);
    mechanism->uses = (uint32_t)values_uint(record, FIELD_FLAGS, 0);
    mechanism->key_bits_min = (uint32_t)values_uint(record, FIELD_KEY_BITS_MIN, 0);
    mechanism->key_bits_max = (uint32_t)values_uint(record, FIELD_KEY_BITS_MAX, 0);
    mechanism->name = records_text(records, values_bytes(record, FIELD_NAME));
    return STATUS_OK;
}

static void take_description(struct records *records, const struct values *answer, hsm_node_description *made)
{
    made->size = sizeof(*made);
    records_id(made->id, values_bytes(answer, FIELD_NODE_ID));
    made->name = records_text(records, values_bytes(answer, FIELD_NAME));
    made->address = records_text(records, values_bytes(answer, FIELD_ADDRESS));
    made->zone = records_text(records, values_bytes(answer, FIELD_ZONE));
    made->state = records_text(records, values_bytes(answer, FIELD_STATE_NAME));
    made->time_ms = values_uint(answer, FIELD_TIME_MS, 0);
    made->revision = values_uint(answer, FIELD_REVISION, 0);
    made->n_objects = values_uint(answer, FIELD_COUNT, 0);
    made->facts = (const hsm_node_fact *const *)records_take(records, values_bytes(answer, FIELD_RECORDS),
                                                             sizeof(hsm_node_fact), take_fact, &made->n_facts);
    made->mechanisms = (const hsm_mechanism_info *const *)records_take(
        records, values_bytes(answer, FIELD_SETS), sizeof(hsm_mechanism_info), take_mechanism, &made->n_mechanisms);
}

static status_code learn_nodes(hsm_cluster *cluster)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, cluster, OP_CLUSTER_DESCRIBE));
    return call_run(&call);
}

static status_code node_describe(hsm_cluster *cluster, const char *node, hsm_node_description **description)
{
    CLEANUP(call_release) struct call call;
    struct records records;

    TRY(call_begin(&call, NULL, cluster, OP_NODE_DESCRIBE));
    ARGUMENT(description, "no place for the description");
    call.request.node = node;
    status_code status = call_run(&call);
    if (node && status == STATUS_INVALID_ARGUMENT) {
        /* A node that joined since the list was learned: asking for the list teaches it to the core. */
        TRY(learn_nodes(cluster));
        status = call_run(&call);
    }
    TRY(status);
    TRY(records_begin(&records, sizeof(hsm_node_description)));
    take_description(&records, &call.request.answer, (hsm_node_description *)records.head);
    return records_finish(&records, (void **)description);
}

hsm_status hsm_node_describe(hsm_cluster *cluster, const char *node, hsm_node_description **description)
{
    return API(node_describe(cluster, node, description));
}

void hsm_node_description_free(hsm_node_description *description)
{
    records_free(description);
}
