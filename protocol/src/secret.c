/* Secrets live in OpenSSL's secure heap when the process set one up (the node does), which is locked and guarded. */
#include "protocol/secret.h"

#include <openssl/crypto.h>

status_code secret_allocate(struct secret *secret, size_t len)
{
    *secret = (struct secret)SECRET_INIT;
    secret->data = OPENSSL_secure_zalloc(len ? len : 1);
    CHECK(secret->data, STATUS_OUT_OF_MEMORY, "no memory for a secret of %zu bytes", len);
    secret->len = len;
    return STATUS_OK;
}

status_code secret_copy(struct secret *secret, struct slice from)
{
    TRY(secret_allocate(secret, from.len));
    if (from.len)
        memcpy(secret->data, from.data, from.len);
    return STATUS_OK;
}

void secret_release(struct secret *secret)
{
    OPENSSL_secure_clear_free(secret->data, secret->len ? secret->len : 1);
    *secret = (struct secret)SECRET_INIT;
}

bool secret_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0);
}

void secret_wipe(void *data, size_t len)
{
    OPENSSL_cleanse(data, len);
}
