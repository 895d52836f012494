/* The one growable buffer. Growth doubles, within the limit; secret content never stays behind in memory given back. */
#include "protocol/bytes.h"

#include <stdlib.h>
#include "protocol/secret.h"

#define FIRST_CAPACITY 256u

static size_t limit_of(const struct bytes *bytes)
{
    return bytes->limit ? bytes->limit : BYTES_DEFAULT_LIMIT;
}

static bool grow(struct bytes *bytes, size_t needed)
{
    size_t capacity = bytes->capacity ? bytes->capacity : FIRST_CAPACITY;

    while (capacity < needed)
        capacity *= 2;
    if (capacity > limit_of(bytes))
        capacity = limit_of(bytes);

    uint8_t *data = malloc(capacity);
    if (!data)
        return false;
    if (bytes->len)
        memcpy(data, bytes->data, bytes->len);
    if (bytes->secret && bytes->data)
        secret_wipe(bytes->data, bytes->capacity);
    free(bytes->data);
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

uint8_t *bytes_reserve(struct bytes *bytes, size_t len)
{
    if (bytes->overflow)
        return NULL;
    if (len > limit_of(bytes) - bytes->len || bytes->len > limit_of(bytes)) {
        bytes->overflow = true;
        return NULL;
    }
    if (len > bytes->capacity - bytes->len || !bytes->data) {
        if (!grow(bytes, bytes->len + len)) {
            bytes->overflow = true;
            return NULL;
        }
    }
    return bytes->data + bytes->len;
}

bool bytes_append(struct bytes *bytes, const void *data, size_t len)
{
    uint8_t *to = bytes_reserve(bytes, len);

    if (!to)
        return false;
    if (len)
        memcpy(to, data, len);
    bytes->len += len;
    return true;
}

status_code bytes_assign(struct bytes *bytes, struct slice from)
{
    bytes_clear(bytes);
    bytes_append(bytes, from.data, from.len);
    return bytes_ok(bytes);
}

status_code bytes_ok(const struct bytes *bytes)
{
    CHECK(!bytes->overflow, STATUS_TOO_LARGE, "more than %zu bytes, or out of memory", limit_of(bytes));
    return STATUS_OK;
}

void bytes_clear(struct bytes *bytes)
{
    if (bytes->secret && bytes->len)
        secret_wipe(bytes->data, bytes->len);
    bytes->len = 0;
    bytes->overflow = false;
}

void bytes_release(struct bytes *bytes)
{
    if (bytes->secret && bytes->data)
        secret_wipe(bytes->data, bytes->capacity);
    free(bytes->data);
    bytes->data = NULL;
    bytes->len = bytes->capacity = 0;
    bytes->overflow = false;
}

void hex_encode(struct slice from, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < from.len; i++) {
        out[2 * i] = digits[from.data[i] >> 4];
        out[2 * i + 1] = digits[from.data[i] & 15];
    }
    out[2 * from.len] = 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_decode(const char *text, uint8_t *out, size_t out_len)
{
    if (strlen(text) != 2 * out_len)
        return false;
    for (size_t i = 0; i < out_len; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
