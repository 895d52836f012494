/* Buffers and answers of a call. */
#include "operation/call.h"

#include <stdlib.h>

struct bytes *call_buffer(struct call *call)
{
    if (call->n_buffers >= CALL_BUFFERS_MAX)
        abort(); /* a handler that takes more than there are is wrong for every request */
    struct bytes *buffer = &call->buffers[call->n_buffers++];
    bytes_clear(buffer);
    return buffer;
}

void call_answer(struct call *call, enum field field, const struct bytes *buffer)
{
    if (buffer->len)
        values_put_bytes(call->answer, field, bytes_slice(buffer));
}
