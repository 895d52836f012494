/* AUDIT_READ. */
#include "operation/handlers.h"

status_code op_audit_read(struct call *call)
{
    struct slice node_id = call_bytes(call, FIELD_NODE_ID);
    struct bytes *records = call_buffer(call);
    uint64_t head = 0;

    CHECK(node_id.len == 0 || node_id.len == ID_LEN, STATUS_INVALID_ARGUMENT, "a node id has %u bytes, not %zu", ID_LEN,
          node_id.len);
    TRY(audit_read(call->node->audit, node_id.len ? node_id.data : identity_node_id(call->node->identity),
                   values_uint(call->request, FIELD_SEQUENCE, 1),
                   values_uint(call->request, FIELD_LIMIT, FIND_PAGE_MAX), records, &head));
    call_answer(call, FIELD_RECORDS, records);
    values_put_uint(call->answer, FIELD_COUNT, head);
    return STATUS_OK;
}

status_code op_audit_checkpoint(struct call *call)
{
    struct slice node_id = call_bytes(call, FIELD_NODE_ID);
    struct bytes *text = call_buffer(call), *signature = call_buffer(call), *certificate = call_buffer(call);

    TRY(audit_checkpoint(call->node->audit, node_id.len ? node_id.data : identity_node_id(call->node->identity), text,
                         signature, certificate));
    call_answer(call, FIELD_DATA, text);
    call_answer(call, FIELD_SIGNATURE, signature);
    call_answer(call, FIELD_CERTIFICATE, certificate);
    return STATUS_OK;
}
