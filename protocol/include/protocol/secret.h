/* Memory and comparisons for secrets: wiped on release, compared in constant time, and small ones in
 * OpenSSL's secure heap, which is locked in memory, once that was set up. Whatever holds a key, a password or a ticket
 * key is a `struct secret` or a `bytes` with secret set. */
#pragma once

#include "protocol/bytes.h"

struct secret {
    uint8_t *data;
    size_t len;
};

#define SECRET_INIT                                                                                                    \
    {                                                                                                                  \
        NULL, 0                                                                                                        \
    }

/** Allocates `len` zeroed bytes (OpenSSL's secure heap when it was set up and has room, else plain memory). */
status_code secret_allocate(struct secret *secret, size_t len);

/** Allocates and copies. */
status_code secret_copy(struct secret *secret, struct slice from);

/** Wipes and frees; harmless on SECRET_INIT. Fits CLEANUP(). */
void secret_release(struct secret *secret);

/** Constant-time for equal lengths; lengths are not secret. */
bool secret_equal(struct slice a, struct slice b);

/** Overwrites memory in a way that the compiler keeps. */
void secret_wipe(void *data, size_t len);

static inline struct slice secret_slice(const struct secret *secret)
{
    return (struct slice){secret->data, secret->len};
}
