/* Random bytes from a node, in as many requests as they need (hsm/crypto.h). */
#include "hsm/crypto.h"

#include "api_call.h"
#include "protocol/secret.h"

static status_code random_part(hsm_session *session, uint8_t *out, size_t len)
{
    CLEANUP(call_release) struct call call;
    size_t got = len;

    TRY(call_begin(&call, session, NULL, OP_RANDOM));
    values_put_uint(&call.fields, FIELD_OUTPUT_LEN, len);
    TRY(call_run(&call));
    TRY(call_give(&call, FIELD_OUTPUT, out, &got));
    CHECK(got == len, STATUS_PROTOCOL_ERROR, "a node gave %zu random bytes, not %zu", got, len);
    return STATUS_OK;
}

static status_code random_bytes(hsm_session *session, uint8_t *out, size_t len)
{
    ARGUMENT(out || len == 0, "no place for random bytes");
    for (size_t at = 0; at < len;) {
        size_t part = len - at < DATA_MAX ? len - at : DATA_MAX;
        status_code status = random_part(session, out + at, part);

        if (status != STATUS_OK) {
            secret_wipe(out, at);
            return status;
        }
        at += part;
    }
    return STATUS_OK;
}

hsm_status hsm_random(hsm_session *session, void *out, size_t out_len)
{
    return API(random_bytes(session, (uint8_t *)out, out_len));
}
