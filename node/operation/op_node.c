/* Nodes: what one is, how one joins, drains and goes. */
#include <stdio.h>
#include "backup/backup.h"
#include "crypto/key.h"
#include "identity/member.h"
#include "identity/presence.h"
#include "operation/handlers.h"
#include "protocol/writer.h"

/* NODE_DESCRIBE: FLAGS say what to leave out. */
#define WITHOUT_FACTS      1u
#define WITHOUT_MECHANISMS 2u

static void put_fact(struct bytes *facts, uint32_t *n, const char *name, const char *value)
{
    struct values fact;
    values_init(&fact);
    values_put_bytes(&fact, FIELD_NAME, slice_text(name));
    values_put_bytes(&fact, FIELD_VALUE_TEXT, slice_text(value));
    values_encode(&FIELD_SCHEMA, &fact, facts);
    (*n)++;
}

static void put_number(struct bytes *facts, uint32_t *n, const char *name, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    put_fact(facts, n, name, text);
}

static const struct metric_fact {
    enum metric metric;
    const char *name;
} METRIC_FACTS[] = {
    {METRIC_CONNECTIONS, "connections"},
    {METRIC_MESSAGES, "messages"},
    {METRIC_BYTES_IN, "bytes-in"},
    {METRIC_BYTES_OUT, "bytes-out"},
    {METRIC_TLS_FAILURES, "tls-failures"},
    {METRIC_LOGIN_FAILURES, "login-failures"},
    {METRIC_OBJECT_CACHE_HITS, "object-cache-hits"},
    {METRIC_OBJECT_CACHE_MISSES, "object-cache-misses"},
    {METRIC_OBJECTS_CACHED, "objects-cached"},
    {METRIC_STORE_WRITES, "store-writes"},
    {METRIC_STORE_ERRORS, "store-errors"},
    {METRIC_AUDIT_ENTRIES, "audit-entries"},
};

static void put_operations(struct bytes *facts, uint32_t *n)
{
    char name[80];
    for (uint64_t number = 0; number <= OPERATION_NUMBER_MAX; number++) {
        const struct operation_info *info = operation_info(number);
        uint64_t total = info ? metric_operations_total((enum operation)number) : 0;
        if (total == 0)
            continue;
        snprintf(name, sizeof name, "operations-%s", info->name);
        put_number(facts, n, name, (int64_t)total);
    }
}

/* Policy that takes uses of mechanisms away: clients tell their programs before these try. */
static void put_policy(struct bytes *facts, uint32_t *n)
{
    const struct crypto_policy *policy = crypto_policy();

    put_number(facts, n, "allow-des3-encrypt", policy->allow_des3_encrypt);
    put_number(facts, n, "allow-sha1-sign", policy->allow_sha1_sign);
}

static status_code list_facts(struct node *node, struct bytes *facts, struct bytes *records)
{
    uint64_t n_backed_up, n_to_back_up;
    uint32_t n = 0;
    put_fact(facts, &n, "version", HSMD_VERSION);
    put_fact(facts, &n, "openssl", crypto_version());
    put_number(facts, &n, "protocol-version", PROTOCOL_VERSION);
    put_number(facts, &n, "protocol-version-of-cluster", (int64_t)atomic_load(&node->cluster_version));
    put_number(facts, &n, "started-ms", (int64_t)node->started_ms);
    for (size_t i = 0; i < sizeof METRIC_FACTS / sizeof *METRIC_FACTS; i++)
        put_number(facts, &n, METRIC_FACTS[i].name, metric_value(METRIC_FACTS[i].metric));
    put_number(facts, &n, "load-percent", metrics_load_percent());
    put_number(facts, &n, "store-age-ms", (int64_t)node_store_age_ms(node));
    backup_progress(&n_backed_up, &n_to_back_up);
    put_number(facts, &n, "backup-records-done", (int64_t)n_backed_up);
    put_number(facts, &n, "backup-records-total", (int64_t)n_to_back_up);
    put_number(facts, &n, "backup-last-ms", (int64_t)backup_last_ms());
    put_policy(facts, &n);
    put_operations(facts, &n);
    write_array(records, n);
    write_encoded(records, bytes_slice(facts));
    TRY(bytes_ok(facts));
    return bytes_ok(records);
}

static status_code list_mechanisms(struct bytes *entries, struct bytes *sets)
{
    uint32_t n = 0, bits_min, bits_max;
    struct values entry;

    for (uint64_t type = 0; type < MECHANISM_COUNT; type++) {
        const struct mechanism_info *info = mechanism_info(type);
        if (!info || !mechanism_available((enum mechanism_type)type, &bits_min, &bits_max))
            continue;
        values_init(&entry);
        values_put_uint(&entry, FIELD_MECHANISM, type);
        values_put_bytes(&entry, FIELD_NAME, slice_text(info->name));
        values_put_uint(&entry, FIELD_KEY_BITS_MIN, bits_min);
        values_put_uint(&entry, FIELD_KEY_BITS_MAX, bits_max);
        values_put_uint(&entry, FIELD_FLAGS, info->uses);
        values_encode(&FIELD_SCHEMA, &entry, entries);
        n++;
    }
    write_array(sets, n);
    write_encoded(sets, bytes_slice(entries));
    TRY(bytes_ok(entries));
    return bytes_ok(sets);
}

static status_code put_lists(struct call *call, uint64_t left_out)
{
    struct bytes *facts = call_buffer(call), *records = call_buffer(call);
    struct bytes *mechanisms = call_buffer(call), *sets = call_buffer(call);
    if (!(left_out & WITHOUT_FACTS))
        TRY(list_facts(call->node, facts, records));
    if (!(left_out & WITHOUT_MECHANISMS))
        TRY(list_mechanisms(mechanisms, sets));
    call_answer(call, FIELD_RECORDS, records);
    call_answer(call, FIELD_SETS, sets);
    return STATUS_OK;
}

status_code op_node_describe(struct call *call)
{
    struct node *node = call->node;
    struct bytes *address = call_buffer(call);
    uint64_t n_objects = 0;

    char *text = (char *)bytes_reserve(address, 256);
    TRY(bytes_ok(address));
    node_address(node, text);
    address->len = strlen(text);
    TRY(put_lists(call, values_uint(call->request, FIELD_FLAGS, 0)));
    if (node->objects)
        TRY(objects_count(node->objects, &n_objects));
    values_put_bytes(call->answer, FIELD_NODE_ID, slice_of(identity_node_id(node->identity), ID_LEN));
    values_put_bytes(call->answer, FIELD_NAME, slice_text(node->config.name));
    values_put_bytes(call->answer, FIELD_ZONE, slice_text(node->config.zone));
    values_put_bytes(call->answer, FIELD_ADDRESS, bytes_slice(address));
    values_put_bytes(call->answer, FIELD_STATE_NAME, slice_text(node_state_name(atomic_load(&node->state))));
    values_put_uint(call->answer, FIELD_TIME_MS, node_now_ms(node));
    values_put_uint(call->answer, FIELD_REVISION, atomic_load(&node->revision));
    values_put_uint(call->answer, FIELD_COUNT, n_objects);
    return STATUS_OK;
}

/* Joining. */

static const char *identity_state_name(enum identity_state state)
{
    switch (state) {
    case IDENTITY_EMPTY:
        return "empty";
    case IDENTITY_CREATED:
        return "created";
    case IDENTITY_MEMBER:
        return "member";
    }
    return "unknown";
}

status_code op_node_csr(struct call *call)
{
    struct identity *identity = call->node->identity;
    struct bytes *csr = call_buffer(call);

    TRY(identity_csr(identity, csr));
    values_put_bytes(call->answer, FIELD_NODE_ID, slice_of(identity_node_id(identity), ID_LEN));
    values_put_bytes(call->answer, FIELD_STATE_NAME, slice_text(identity_state_name(identity_state(identity))));
    call_answer(call, FIELD_CSR, csr);
    return STATUS_OK;
}

/** The member is recorded before its handover is given out: no node has the masking key that the cluster does not know.
 * The handover is made anew then, with the keys of that moment: a rotation that begins later knows the new member. */
status_code op_node_approve(struct call *call)
{
    struct node *node = call->node;
    struct bytes *handover = call_buffer(call);
    uint8_t node_id[ID_LEN];

    TRY(identity_approve(node->identity, call_bytes(call, FIELD_CERTIFICATE), handover, node_id));
    TRY(members_approve(node, node_id, call_bytes(call, FIELD_CERTIFICATE)));
    TRY(node_catch_up_with_all(node));
    bytes_clear(handover);
    TRY(identity_approve(node->identity, call_bytes(call, FIELD_CERTIFICATE), handover, node_id));
    values_put_bytes(call->answer, FIELD_CLUSTER_ID, slice_of(identity_cluster_id(node->identity), ID_LEN));
    call_answer(call, FIELD_HANDOVER, handover);
    return STATUS_OK;
}

status_code op_node_admit(struct call *call)
{
    struct node *node = call->node;

    TRY(identity_admit(node->identity, call_bytes(call, FIELD_CERTIFICATE), call_bytes(call, FIELD_CA_CERTIFICATE),
                       call_bytes(call, FIELD_HANDOVER)));
    TRY(node_become_member(node));
    values_put_bytes(call->answer, FIELD_CLUSTER_ID, slice_of(identity_cluster_id(node->identity), ID_LEN));
    values_put_bytes(call->answer, FIELD_NODE_ID, slice_of(identity_node_id(node->identity), ID_LEN));
    return STATUS_OK;
}

status_code op_node_renew(struct call *call)
{
    struct node *node = call->node;

    TRY(identity_renew(node->identity, call_bytes(call, FIELD_CERTIFICATE)));
    return node_announce(node); /* the members' list names the certificate's hash */
}

/* Draining and going. */

#define FLAG_SERVE_AGAIN 1u

status_code op_node_drain(struct call *call)
{
    struct node *node = call->node;
    bool serve = values_uint(call->request, FIELD_FLAGS, 0) & FLAG_SERVE_AGAIN;
    enum node_state from = serve ? NODE_DRAINING : NODE_SERVING, to = serve ? NODE_SERVING : NODE_DRAINING;
    bool removed = false;

    if (serve && node->store)
        TRY(members_own_removed(node, &removed));
    CHECK(!removed, STATUS_CLUSTER_STATE, "this node was removed from the cluster and serves no more");
    bool changed = atomic_compare_exchange_strong(&node->state, &from, to);
    CHECK(changed || from == to, STATUS_CLUSTER_STATE, "the node is %s", node_state_name(from));
    presence_tell(node);
    TRY(node_write_ready(node));
    values_put_bytes(call->answer, FIELD_STATE_NAME, slice_text(node_state_name(to)));
    return STATUS_OK;
}

status_code op_node_remove(struct call *call)
{
    struct slice node_id = call_bytes(call, FIELD_NODE_ID);
    CHECK(node_id.len == ID_LEN, STATUS_INVALID_ARGUMENT, "a node id has %u bytes, not %zu", ID_LEN, node_id.len);
    return members_remove(call->node, node_id.data);
}
