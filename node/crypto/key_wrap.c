/* AES key wrap: RFC 3394, RFC 5649, and RFC 3394 over PKCS#7-padded data. */
#include "crypto/key_internal.h"

#define SEMIBLOCK 8u

static bool run(struct key *key, enum cipher_mode mode, bool encrypt, struct slice data, uint8_t *out, int *len)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = crypto_cipher(KEY_AES, key->secret.len, mode);
    int last = 0;
    bool ok;

    if (context)
        EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    ok = context && cipher && EVP_CipherInit_ex2(context, cipher, key->secret.data, NULL, encrypt, NULL) &&
         EVP_CipherUpdate(context, out, len, data.data, (int)data.len) > 0 &&
         EVP_CipherFinal_ex(context, out + *len, &last) > 0;
    *len += last;
    EVP_CIPHER_CTX_free(context);
    return ok;
}

static status_code pad(struct slice data, struct bytes *padded)
{
    uint8_t n = (uint8_t)(SEMIBLOCK - data.len % SEMIBLOCK), padding[SEMIBLOCK];

    memset(padding, n, sizeof(padding));
    bytes_append(padded, data.data, data.len);
    bytes_append(padded, padding, n);
    return bytes_ok(padded);
}

static status_code unpad(struct bytes *padded, size_t start)
{
    size_t len = padded->len - start;
    uint8_t n = len ? padded->data[padded->len - 1] : 0, wrong = 0;

    CHECK(n >= 1 && n <= SEMIBLOCK && n <= len, STATUS_CIPHERTEXT_INVALID, "the padding is not valid");
    for (size_t i = 0; i < n; i++)
        wrong |= padded->data[padded->len - 1 - i] ^ n;
    CHECK(!wrong, STATUS_CIPHERTEXT_INVALID, "the padding is not valid");
    secret_wipe(padded->data + padded->len - n, n);
    padded->len -= n;
    return STATUS_OK;
}

status_code key_wrap_encrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                             struct bytes *out, struct bytes *nonce_made)
{
    CLEANUP(bytes_release) struct bytes padded = BYTES_SECRET;
    bool rfc5649 = mechanism->type == MECHANISM_AES_KEY_WRAP_PAD;
    int len = 0;

    (void)worker;
    (void)nonce_made;
    if (mechanism->type == MECHANISM_AES_KEY_WRAP_PKCS7) {
        TRY(pad(data, &padded));
        data = bytes_slice(&padded);
    }
    CHECK(rfc5649 ? data.len >= 1 : data.len >= 2 * SEMIBLOCK && data.len % SEMIBLOCK == 0, STATUS_DATA_LENGTH,
          "%zu bytes cannot be wrapped so: RFC 3394 takes 16 or more in multiples of 8", data.len);
    uint8_t *to = bytes_reserve(out, data.len + 3 * SEMIBLOCK);

    TRY(bytes_ok(out));
    if (!run(key, rfc5649 ? CIPHER_WRAP_PAD : CIPHER_WRAP, true, data, to, &len))
        return crypto_failed("wrapping");
    out->len += (size_t)len;
    return STATUS_OK;
}

status_code key_wrap_decrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                             struct bytes *out)
{
    bool rfc5649 = mechanism->type == MECHANISM_AES_KEY_WRAP_PAD;
    size_t start = out->len;
    char reason[128];
    int len = 0;

    (void)worker;
    CHECK(data.len >= (rfc5649 ? 2u : 3u) * SEMIBLOCK && data.len % SEMIBLOCK == 0, STATUS_DATA_LENGTH,
          "%zu bytes are no wrapped data", data.len);
    uint8_t *to = bytes_reserve(out, data.len + SEMIBLOCK);

    TRY(bytes_ok(out));
    if (!run(key, rfc5649 ? CIPHER_WRAP_PAD : CIPHER_WRAP, false, data, to, &len)) {
        secret_wipe(to, data.len);
        failure_openssl_reason(reason, sizeof(reason));
        FAIL(STATUS_CIPHERTEXT_INVALID, "the integrity check of the wrapped data fails");
    }
    out->len += (size_t)len;
    return mechanism->type == MECHANISM_AES_KEY_WRAP_PKCS7 ? unpad(out, start) : STATUS_OK;
}
