/* ECB, CBC and CTR of AES and 3DES (SP 800-38A, SP 800-67). A worker keeps a context with the key schedule for each
 * key, mode and direction; a use sets the initialization vector and runs. */
#include "crypto/key_internal.h"

#define BLOCK_MAX 16u

static const struct cipher_row {
    enum mechanism_type type;
    enum cipher_mode mode;
    bool padded;
} cipher_rows[] = {
    {MECHANISM_AES_ECB, CIPHER_ECB, false},     {MECHANISM_AES_CBC, CIPHER_CBC, false},
    {MECHANISM_AES_CBC_PAD, CIPHER_CBC, true},  {MECHANISM_AES_CTR, CIPHER_CTR, false},
    {MECHANISM_DES3_ECB, CIPHER_ECB, false},    {MECHANISM_DES3_CBC, CIPHER_CBC, false},
    {MECHANISM_DES3_CBC_PAD, CIPHER_CBC, true},
};

static const struct cipher_row *row_of(enum mechanism_type type)
{
    for (size_t i = 0; i < sizeof(cipher_rows) / sizeof(*cipher_rows); i++) {
        if (cipher_rows[i].type == type)
            return &cipher_rows[i];
    }
    return NULL;
}

static void free_context(void *context)
{
    EVP_CIPHER_CTX_free(context);
}

EVP_CIPHER_CTX *cipher_context_new(const struct key *key, enum cipher_mode mode, bool encrypt)
{
    const EVP_CIPHER *cipher = crypto_cipher(key->type, key->secret.len, mode);
    EVP_CIPHER_CTX *context = cipher ? EVP_CIPHER_CTX_new() : NULL;

    if (context && EVP_CipherInit_ex2(context, cipher, key->secret.data, NULL, encrypt, NULL) &&
        EVP_CIPHER_CTX_set_padding(context, 0))
        return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

static status_code context_for(struct key *key, unsigned worker, enum cipher_mode mode, bool encrypt,
                               EVP_CIPHER_CTX **context)
{
    uint64_t tag = (uint64_t)(encrypt ? CONTEXT_ENCRYPT : CONTEXT_DECRYPT) << 56 | 1ull << 40 | mode;

    *context = key_context_find(key, worker, tag);
    if (*context)
        return STATUS_OK;
    CHECK(crypto_cipher(key->type, key->secret.len, mode), STATUS_NOT_SUPPORTED, "this cipher is not offered by %s",
          crypto_version());
    *context = cipher_context_new(key, mode, encrypt);
    if (!*context)
        return crypto_failed("setting up a cipher");
    return key_context_keep(key, worker, tag, *context, free_context);
}

static status_code run(struct key *key, unsigned worker, const struct mechanism *mechanism, bool encrypt,
                       struct slice data, struct bytes *out)
{
    const struct cipher_row *row = row_of(mechanism->type);
    size_t block = key->type == KEY_DES3 ? 8 : 16;
    size_t nonce_len = row->mode == CIPHER_ECB ? 0 : block;
    uint8_t *to = bytes_reserve(out, data.len + BLOCK_MAX);
    EVP_CIPHER_CTX *context;
    char reason[128];
    int len = 0, last = 0;

    TRY(bytes_ok(out));
    CHECK(mechanism->nonce.len == nonce_len, STATUS_MECHANISM_PARAM_INVALID,
          "an initialization vector of %zu bytes is expected, not %zu", nonce_len, mechanism->nonce.len);
    CHECK(row->mode == CIPHER_CTR || (row->padded && encrypt) || data.len % block == 0, STATUS_DATA_LENGTH,
          "%zu bytes are not whole blocks of %zu", data.len, block);
    CHECK(!row->padded || encrypt || data.len > 0, STATUS_DATA_LENGTH, "a padded ciphertext has at least one block");
    TRY(context_for(key, worker, row->mode, encrypt, &context));
    bool ok = EVP_CipherInit_ex2(context, NULL, NULL, nonce_len ? mechanism->nonce.data : NULL, -1, NULL) &&
              EVP_CIPHER_CTX_set_padding(context, row->padded) &&
              EVP_CipherUpdate(context, to, &len, data.data, (int)data.len) &&
              EVP_CipherFinal_ex(context, to + len, &last);
    failure_openssl_reason(reason, sizeof(reason));
    CHECK(ok, STATUS_CIPHERTEXT_INVALID, "the ciphertext or its padding is not valid");
    out->len += (size_t)(len + last);
    return STATUS_OK;
}

status_code cipher_encrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                           struct bytes *out, struct bytes *nonce_made)
{
    (void)nonce_made;
    return run(key, worker, mechanism, true, data, out);
}

status_code cipher_decrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                           struct bytes *out)
{
    return run(key, worker, mechanism, false, data, out);
}

status_code cipher_blocks(struct key *key, unsigned worker, enum cipher_mode mode, const uint8_t iv[16],
                          struct slice data, uint8_t *out)
{
    EVP_CIPHER_CTX *context;
    int len = 0;

    TRY(context_for(key, worker, mode, true, &context));
    if (!EVP_CipherInit_ex2(context, NULL, NULL, iv, -1, NULL) || !EVP_CIPHER_CTX_set_padding(context, 0) ||
        !EVP_CipherUpdate(context, out, &len, data.data, (int)data.len) || (size_t)len != data.len)
        return crypto_failed("encrypting blocks");
    return STATUS_OK;
}

status_code cipher_block(struct key *key, unsigned worker, const uint8_t in[16], uint8_t out[16])
{
    return cipher_blocks(key, worker, CIPHER_ECB, NULL, slice_of(in, key->type == KEY_DES3 ? 8 : 16), out);
}
