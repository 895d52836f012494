/* Reading and writing DER. Content is written first and moved up when the length of its header is known: lengths need
 * not be computed beforehand, and a secret lies in one place only. */
#include "der.h"

#include <string.h>

#define LENGTH_BYTES_MAX 3 /* longer than anything a key is made of */
#define HEADER_MAX       (2 + LENGTH_BYTES_MAX)

/* --- reading --- */

/* The length behind the tag, and how long tag and length are. */
static bool read_header(const struct der *from, size_t *header, size_t *len)
{
    if (from->len < 2)
        return false;
    *header = 2;
    *len = from->data[1];
    if (*len < 0x80)
        return true;
    size_t n = *len & 0x7f;

    if (n < 1 || n > LENGTH_BYTES_MAX || from->len < 2 + n || from->data[2] == 0)
        return false;
    *header += n;
    *len = 0;
    for (size_t i = 0; i < n; i++)
        *len = *len << 8 | from->data[2 + i];
    return *len >= 0x80;
}

bool der_take(struct der *from, uint8_t tag, struct der *content)
{
    size_t header, len;

    if (!read_header(from, &header, &len) || from->data[0] != tag || len > from->len - header)
        return false;
    *content = (struct der){from->data + header, len};
    *from = (struct der){from->data + header + len, from->len - header - len};
    return true;
}

bool der_take_only(struct der from, uint8_t tag, struct der *content)
{
    return der_take(&from, tag, content) && from.len == 0;
}

struct der der_without_zeros(const void *number, size_t len)
{
    const uint8_t *data = number;

    while (len > 0 && data[0] == 0) {
        data++;
        len--;
    }
    return (struct der){data, len};
}

bool der_take_integer(struct der *from, struct der *number)
{
    struct der rest = *from, content;

    if (!der_take(&rest, DER_INTEGER, &content) || content.len == 0 || content.data[0] & 0x80)
        return false;
    *from = rest;
    *number = der_without_zeros(content.data, content.len);
    return true;
}

bool der_take_bits(struct der *from, struct der *content)
{
    struct der rest = *from, bits;

    if (!der_take(&rest, DER_BITS, &bits) || bits.len < 1 || bits.data[0] != 0)
        return false;
    *from = rest;
    *content = (struct der){bits.data + 1, bits.len - 1};
    return true;
}

/* --- writing --- */

void der_put(struct der_writer *out, const void *bytes, size_t len)
{
    if (out->overflow || len > out->room - out->len) {
        out->overflow = true;
        return;
    }
    if (len > 0)
        memcpy(out->data + out->len, bytes, len);
    out->len += len;
}

size_t der_open(const struct der_writer *out)
{
    return out->len;
}

static size_t write_header(uint8_t tag, size_t len, uint8_t header[HEADER_MAX])
{
    size_t n = 0;

    header[0] = tag;
    if (len < 0x80) {
        header[1] = (uint8_t)len;
        return 2;
    }
    while (n < sizeof(len) && len >> 8 * n)
        n++;
    header[1] = (uint8_t)(0x80 | n);
    for (size_t i = 0; i < n; i++)
        header[2 + i] = (uint8_t)(len >> 8 * (n - 1 - i));
    return 2 + n;
}

void der_close(struct der_writer *out, uint8_t tag, size_t opened)
{
    uint8_t header[HEADER_MAX];
    size_t len = out->len - opened;

    if (out->overflow || len >> 8 * LENGTH_BYTES_MAX) {
        out->overflow = true;
        return;
    }
    size_t header_len = write_header(tag, len, header);

    if (header_len > out->room - out->len) {
        out->overflow = true;
        return;
    }
    memmove(out->data + opened + header_len, out->data + opened, len);
    memcpy(out->data + opened, header, header_len);
    out->len += header_len;
}

void der_put_integer(struct der_writer *out, const void *number, size_t len)
{
    struct der digits = der_without_zeros(number, len);
    size_t opened = der_open(out);

    if (digits.len == 0 || digits.data[0] & 0x80)
        der_put(out, "", 1); /* the NUL: else it would be negative */
    der_put(out, digits.data, digits.len);
    der_close(out, DER_INTEGER, opened);
}
