/* Output of variable length and owned text: the same convention everywhere (hsm/hsm.h). */
#include "api.h"

#include <stdlib.h>
#include <string.h>
#include "protocol/secret.h"

status_code output_room(size_t len, const void *out, size_t *out_len, int *asked_only)
{
    ARGUMENT(out_len, "no place for the output's length");
    *asked_only = out == NULL;
    if (!out) {
        *out_len = len;
        return STATUS_OK;
    }
    if (*out_len < len) {
        size_t room = *out_len;

        *out_len = len;
        FAIL(STATUS_BUFFER_TOO_SMALL, "%zu bytes are needed, there is room for %zu", len, room);
    }
    return STATUS_OK;
}

status_code output_give(const void *from, size_t len, void *out, size_t *out_len)
{
    int asked_only;

    TRY(output_room(len, out, out_len, &asked_only));
    if (asked_only)
        return STATUS_OK;
    if (len)
        memcpy(out, from, len);
    *out_len = len;
    return STATUS_OK;
}

void hsm_buffer_free(hsm_buffer *buffer)
{
    if (!buffer)
        return;
    if (buffer->data)
        secret_wipe(buffer->data, buffer->len);
    free(buffer->data);
    *buffer = (hsm_buffer){NULL, 0};
}

#define TEXT_OF(number)   #number
#define NUMBER_AS(number) TEXT_OF(number)

const char *hsm_version(void)
{
    return NUMBER_AS(HSM_VERSION_MAJOR) "." NUMBER_AS(HSM_VERSION_MINOR) "." NUMBER_AS(HSM_VERSION_PATCH);
}

status_code output_buffer(struct slice from, hsm_buffer *buffer)
{
    uint8_t *copy = (uint8_t *)malloc(from.len + 1);

    CHECK(copy, STATUS_OUT_OF_MEMORY, "no memory for %zu bytes", from.len);
    if (from.len)
        memcpy(copy, from.data, from.len);
    copy[from.len] = 0;
    *buffer = (hsm_buffer){copy, from.len};
    return STATUS_OK;
}
