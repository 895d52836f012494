/* Bytes: `slice` borrows, `bytes` owns. All variable-length output is built in a `bytes`, which is bounded by the
 * limit that it is given and which wipes what it held when it holds secrets.
 *
 * A `bytes` that once failed to grow stays failed (bytes_ok is false) and ignores further appends, so that encoders can
 * append freely and check once at the end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "protocol/failure.h"

struct slice {
    const uint8_t *data;
    size_t len;
};

struct bytes {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t limit;  /* most bytes that it may ever hold; 0 means BYTES_DEFAULT_LIMIT */
    bool secret;   /* wiped before the memory is given back, also when it grows */
    bool overflow; /* an append was refused */
};

#define BYTES_DEFAULT_LIMIT ((size_t)64 << 20)
#define BYTES_INIT                                                                                                     \
    {                                                                                                                  \
        NULL, 0, 0, 0, false, false                                                                                    \
    }
#define BYTES_SECRET                                                                                                   \
    {                                                                                                                  \
        NULL, 0, 0, 0, true, false                                                                                     \
    }

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){data, len};
}

static inline struct slice slice_text(const char *text)
{
    return (struct slice){(const uint8_t *)text, text ? strlen(text) : 0};
}

static inline struct slice bytes_slice(const struct bytes *bytes)
{
    return (struct slice){bytes->data, bytes->len};
}

/** Not for secrets: see secret_equal. */
static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/** Appends; false, and overflow set, when the limit or the memory does not allow it. */
bool bytes_append(struct bytes *bytes, const void *data, size_t len);

/** Makes room for `len` more bytes and returns where they go (the caller writes, then adds to `len`); NULL if refused.
 */
uint8_t *bytes_reserve(struct bytes *bytes, size_t len);

/** Replaces the content with a copy. STATUS_TOO_LARGE or STATUS_OUT_OF_MEMORY. */
status_code bytes_assign(struct bytes *bytes, struct slice from);

/** STATUS_OK, or STATUS_TOO_LARGE when an append was refused. */
status_code bytes_ok(const struct bytes *bytes);

/** Empties it and keeps the memory (wiped when secret). */
void bytes_clear(struct bytes *bytes);

/** Gives the memory back (wiped when secret) and makes it BYTES_INIT again, keeping `secret` and `limit`. */
void bytes_release(struct bytes *bytes);

/** Lower-case hexadecimal; `out` has room for 2 * len + 1. */
void hex_encode(struct slice from, char *out);

/** Exactly out_len bytes from 2 * out_len digits; false otherwise. */
bool hex_decode(const char *text, uint8_t *out, size_t out_len);
