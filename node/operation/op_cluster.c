/* The life cycle of the cluster (DESIGN: created, initialized, activated) and what it is made of. */
#include "identity/member.h"
#include "operation/handlers.h"

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
    return users_activate(call->node->users, call_bytes(call, FIELD_USER_NAME), call_bytes(call, FIELD_PASSWORD));
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
