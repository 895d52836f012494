/* What tests of cryptography share. See api_fixture.h. */
#include "api_fixture.h"

uint8_t *pattern(size_t len)
{
    assert_in_range(len, 0, 1 << 30);
    uint8_t *data = (uint8_t *)malloc(len % (1 << 30) + 1);

    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 31 + i / 251);
    return data;
}

hsm_key aes_key(hsm_session *session)
{
    hsm_key key;

    OK(hsm_key_generate_aes(session, "aes", 256, &key));
    return key;
}

size_t in_parts(hsm_session *session, uint32_t kind, hsm_key key, const hsm_mechanism *mechanism, const uint8_t *data,
                size_t len, size_t part, uint32_t flags, uint8_t *out, size_t room)
{
    hsm_operation *operation = NULL;
    size_t total = 0;

    OK(hsm_operation_begin(session, kind, &key, mechanism, flags, &operation));
    for (size_t at = 0; at < len; at += part) {
        size_t n = len - at < part ? len - at : part, got = room - total;

        OK(hsm_operation_update(operation, data + at, n, out + total, &got));
        total += got;
    }
    size_t last = room - total;
    OK(hsm_operation_final(operation, out + total, &last));
    FAILS(HSM_OPERATION_NOT_ACTIVE, hsm_operation_final(operation, out + total, &last));
    hsm_operation_free(operation);
    return total + last;
}
