/* RANDOM (SP 800-90A, from the worker's own generator). */
#include "operation/handlers.h"

status_code op_random(struct call *call)
{
    struct bytes *random = call_buffer(call);
    uint64_t len = values_uint(call->request, FIELD_OUTPUT_LEN, 0);

    CHECK(len >= 1, STATUS_DATA_LENGTH, "OUTPUT_LEN must be 1 to %u", DATA_MAX);
    TRY(crypto_random(call->worker, len, random));
    call_answer(call, FIELD_OUTPUT, random);
    return STATUS_OK;
}
