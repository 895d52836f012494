/* Key references as PEM (RFC 7468): see reference.h. What stands around the block is skipped line by line; within it
 * are base 64 and white space alone. */
#include <openssl/evp.h>
#include "reference.h"

#define LINE_LEN 48u /* bytes of DER in a line of 64 characters */

static const char begin_line[] = "-----BEGIN HSM KEY REFERENCE-----";
static const char end_line[] = "-----END HSM KEY REFERENCE-----";

static struct slice line_at(struct slice text)
{
    const uint8_t *end = memchr(text.data, '\n', text.len);

    return slice_of(text.data, end ? (size_t)(end - text.data) : text.len);
}

/* The text behind the line. */
static struct slice behind(struct slice text, struct slice line)
{
    size_t n = line.len < text.len ? line.len + 1 : line.len;

    return slice_of(text.data + n, text.len - n);
}

/* Whether a line is this one, with white space at its end or without. */
static bool line_is(struct slice line, const char *wanted)
{
    size_t len = strlen(wanted);

    while (line.len && memchr(" \t\r", line.data[line.len - 1], 3))
        line.len--;
    return line.len == len && memcmp(line.data, wanted, len) == 0;
}

/* Moves `text` behind the line that is `wanted`; `before` is what stood before it. */
static bool skip_to(struct slice *text, const char *wanted, struct slice *before)
{
    const uint8_t *start = text->data;

    while (text->len) {
        struct slice line = line_at(*text);

        *before = slice_of(start, (size_t)(text->data - start));
        *text = behind(*text, line);
        if (line_is(line, wanted))
            return true;
    }
    return false;
}

static bool decode_into(EVP_ENCODE_CTX *context, struct slice body, uint8_t *to, size_t *len)
{
    int n = 0, last = 0;

    EVP_DecodeInit(context);
    if (EVP_DecodeUpdate(context, to, &n, body.data, (int)body.len) < 0 || EVP_DecodeFinal(context, to + n, &last) != 1)
        return false;
    *len = (size_t)n + (size_t)last;
    return true;
}

static status_code decode(struct slice body, struct bytes *der)
{
    EVP_ENCODE_CTX *context = EVP_ENCODE_CTX_new();
    uint8_t *to = bytes_reserve(der, body.len + 1);
    size_t len = 0;
    bool done = context && to && decode_into(context, body, to, &len);

    EVP_ENCODE_CTX_free(context);
    CHECK(context && to, STATUS_OUT_OF_MEMORY, "no memory for a key reference");
    CHECK(done, STATUS_INVALID_ARGUMENT, "the key reference is damaged: it is no base 64");
    der->len += len;
    return STATUS_OK;
}

status_code reference_from_pem(struct slice text, struct bytes *der)
{
    struct slice body;

    CHECK(text.len <= HSM_REFERENCE_MAX, STATUS_TOO_LARGE, "%zu bytes; the limit for a key reference is %u", text.len,
          HSM_REFERENCE_MAX);
    CHECK(skip_to(&text, begin_line, &body), STATUS_INVALID_ARGUMENT, "no key reference: no line is \"%s\"",
          begin_line);
    CHECK(skip_to(&text, end_line, &body), STATUS_INVALID_ARGUMENT,
          "the key reference is damaged: its last line is missing");
    return decode(body, der);
}

status_code reference_to_pem(struct slice der, struct bytes *pem)
{
    bytes_append(pem, begin_line, sizeof(begin_line) - 1);
    bytes_append(pem, "\n", 1);
    for (size_t at = 0; at < der.len; at += LINE_LEN) {
        uint8_t line[LINE_LEN / 3 * 4 + 1];
        size_t n = der.len - at < LINE_LEN ? der.len - at : LINE_LEN;

        bytes_append(pem, line, (size_t)EVP_EncodeBlock(line, der.data + at, (int)n));
        bytes_append(pem, "\n", 1);
    }
    bytes_append(pem, end_line, sizeof(end_line) - 1);
    bytes_append(pem, "\n", 1);
    return bytes_ok(pem);
}
