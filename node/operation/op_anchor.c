/* Trust anchors: identity/anchor.h has the rules. */
#include "identity/anchor.h"
#include "operation/handlers.h"

status_code op_trust_anchor_add(struct call *call)
{
    struct bytes *answer = call_buffer(call);
    uint8_t hash[32];

    TRY(anchors_add(call->node, call_bytes(call, FIELD_CERTIFICATE), hash));
    TRY(bytes_assign(answer, slice_of(hash, sizeof(hash))));
    call_answer(call, FIELD_HASH_VALUE, answer);
    return STATUS_OK;
}

status_code op_trust_anchor_remove(struct call *call)
{
    return anchors_remove(call->node, call_bytes(call, FIELD_HASH_VALUE));
}

status_code op_trust_anchor_list(struct call *call)
{
    struct bytes *records = call_buffer(call);

    TRY(anchors_list(call->node, records));
    call_answer(call, FIELD_RECORDS, records);
    return STATUS_OK;
}
