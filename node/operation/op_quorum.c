/* Quorum: requests become calls; the rules are in quorum/quorum.h. */
#include "operation/handlers.h"
#include "quorum/quorum.h"

/* Of ID_LEN bytes: message_next_request checked. */
static const uint8_t *token_id_of(const struct call *call)
{
    return call_bytes(call, FIELD_REQUEST_ID).data;
}

status_code op_quorum_request(struct call *call)
{
    struct bytes *text = call_buffer(call), *id = call_buffer(call);
    uint8_t token_id[ID_LEN];
    uint64_t expires_ms;

    TRY(quorum_request(call->node, &call->caller, quorum_service_find(call_bytes(call, FIELD_NAME)),
                       call_bytes(call, FIELD_OBJECT_ID), values_uint(call->request, FIELD_COUNT, 0), token_id, text,
                       &expires_ms));
    bytes_append(id, token_id, ID_LEN);
    TRY(bytes_ok(id));
    call_answer(call, FIELD_REQUEST_ID, id);
    call_answer(call, FIELD_DATA, text);
    values_put_uint(call->answer, FIELD_TIME_MS, expires_ms);
    return STATUS_OK;
}

status_code op_quorum_approve(struct call *call)
{
    uint64_t n_approvals, n_needed;

    TRY(quorum_approve(call->node, &call->caller, token_id_of(call), call_bytes(call, FIELD_USER_NAME),
                       call_bytes(call, FIELD_SIGNATURE), &n_approvals, &n_needed));
    values_put_uint(call->answer, FIELD_COUNT, n_approvals);
    values_put_uint(call->answer, FIELD_LIMIT, n_needed);
    return STATUS_OK;
}

status_code op_quorum_cancel(struct call *call)
{
    return quorum_cancel(call->node, &call->caller, token_id_of(call));
}

status_code op_quorum_list(struct call *call)
{
    struct bytes *records = call_buffer(call), *sets = call_buffer(call);

    TRY(quorum_list(call->node, records));
    TRY(quorum_policy_list(call->node, sets));
    call_answer(call, FIELD_RECORDS, records);
    call_answer(call, FIELD_SETS, sets);
    return STATUS_OK;
}

status_code op_quorum_set(struct call *call)
{
    return quorum_set(call->node, &call->caller, quorum_service_find(call_bytes(call, FIELD_NAME)),
                      values_uint(call->request, FIELD_COUNT, 0));
}
