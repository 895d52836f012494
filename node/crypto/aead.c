/* AES-GCM and GMAC (SP 800-38D), AES-CCM (SP 800-38C). Nonces of encryption are made here, 96 random bits (SP 800-38D,
 * 8.2.2), unless the caller gives one. Plaintext is given out only after its tag has verified. */
#include "crypto/key_internal.h"

#define GCM_NONCE_MAX 128u
#define CCM_NONCE_LEN 12u

status_code gcm_tag_len(const struct mechanism *mechanism, size_t *tag_len)
{
    size_t len = mechanism->has_tag_len ? mechanism->tag_len : GCM_TAG_LEN;

    /* SP 800-38D, 5.2.1.2 */
    CHECK(len == 4 || len == 8 || (len >= 12 && len <= 16), STATUS_MECHANISM_PARAM_INVALID,
          "a tag has 4, 8 or 12 to 16 bytes, not %zu", len);
    *tag_len = len;
    return STATUS_OK;
}

static void free_context(void *context)
{
    EVP_CIPHER_CTX_free(context);
}

static status_code gcm_context(struct key *key, unsigned worker, bool encrypt, size_t nonce_len,
                               EVP_CIPHER_CTX **context)
{
    uint64_t tag = (uint64_t)(encrypt ? CONTEXT_ENCRYPT : CONTEXT_DECRYPT) << 56 | 2ull << 40 | nonce_len;

    *context = key_context_find(key, worker, tag);
    if (*context)
        return STATUS_OK;
    *context = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = crypto_cipher(KEY_AES, key->secret.len, CIPHER_GCM);
    bool ok = *context && EVP_CipherInit_ex2(*context, cipher, NULL, NULL, encrypt, NULL) &&
              EVP_CIPHER_CTX_ctrl(*context, EVP_CTRL_AEAD_SET_IVLEN, (int)nonce_len, NULL) > 0 &&
              EVP_CipherInit_ex2(*context, NULL, key->secret.data, NULL, encrypt, NULL);
    if (!ok) {
        EVP_CIPHER_CTX_free(*context);
        return crypto_failed("setting up AES-GCM");
    }
    return key_context_keep(key, worker, tag, *context, free_context);
}

/* The nonce to use: the caller's, or a fresh one that the caller learns through nonce_made. */
static status_code nonce_for(unsigned worker, const struct mechanism *mechanism, size_t len, struct bytes *nonce_made,
                             uint8_t *made, struct slice *nonce)
{
    *nonce = mechanism->nonce;
    if (mechanism->has_nonce)
        return STATUS_OK;
    TRY(random_fill(worker, made, len));
    *nonce = slice_of(made, len);
    bytes_append(nonce_made, made, len);
    return bytes_ok(nonce_made);
}

static status_code check_gcm_nonce(struct slice nonce)
{
    CHECK(nonce.len >= 1 && nonce.len <= GCM_NONCE_MAX, STATUS_MECHANISM_PARAM_INVALID,
          "a nonce has 1 to %u bytes, not %zu", GCM_NONCE_MAX, nonce.len);
    return STATUS_OK;
}

static bool gcm_begin(EVP_CIPHER_CTX *context, struct slice nonce, struct slice aad)
{
    int len;

    return EVP_CipherInit_ex2(context, NULL, NULL, nonce.data, -1, NULL) &&
           (aad.len == 0 || EVP_CipherUpdate(context, NULL, &len, aad.data, (int)aad.len));
}

static status_code gcm_seal(struct key *key, unsigned worker, struct slice nonce, struct slice aad, struct slice data,
                            size_t tag_len, struct bytes *out)
{
    EVP_CIPHER_CTX *context;
    uint8_t *to = bytes_reserve(out, data.len + GCM_TAG_LEN);
    int len = 0, last = 0;

    TRY(bytes_ok(out));
    TRY(gcm_context(key, worker, true, nonce.len, &context));
    bool ok = gcm_begin(context, nonce, aad) &&
              (data.len == 0 || EVP_CipherUpdate(context, to, &len, data.data, (int)data.len)) &&
              EVP_CipherFinal_ex(context, to + len, &last) &&
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, (int)tag_len, to + len) > 0;
    if (!ok)
        return crypto_failed("encrypting with AES-GCM");
    out->len += (size_t)len + tag_len;
    return STATUS_OK;
}

status_code gcm_encrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                        struct bytes *out, struct bytes *nonce_made)
{
    uint8_t made[GCM_NONCE_LEN];
    struct slice nonce;
    size_t tag_len;

    TRY(gcm_tag_len(mechanism, &tag_len));
    TRY(nonce_for(worker, mechanism, GCM_NONCE_LEN, nonce_made, made, &nonce));
    TRY(check_gcm_nonce(nonce));
    return gcm_seal(key, worker, nonce, mechanism->aad, data, tag_len, out);
}

status_code gcm_decrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                        struct bytes *out)
{
    EVP_CIPHER_CTX *context;
    char reason[128];
    size_t tag_len;
    int len = 0, last = 0;

    TRY(gcm_tag_len(mechanism, &tag_len));
    TRY(check_gcm_nonce(mechanism->nonce));
    CHECK(data.len >= tag_len, STATUS_DATA_LENGTH, "%zu bytes are shorter than the tag", data.len);
    size_t text_len = data.len - tag_len;
    uint8_t *to = bytes_reserve(out, text_len + 1);

    TRY(bytes_ok(out));
    TRY(gcm_context(key, worker, false, mechanism->nonce.len, &context));
    bool ok = gcm_begin(context, mechanism->nonce, mechanism->aad) &&
              (text_len == 0 || EVP_CipherUpdate(context, to, &len, data.data, (int)text_len)) &&
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, (int)tag_len, (void *)(data.data + text_len)) > 0 &&
              EVP_CipherFinal_ex(context, to + len, &last) > 0;
    if (!ok) {
        secret_wipe(to, text_len);
        failure_openssl_reason(reason, sizeof(reason));
        FAIL(STATUS_CIPHERTEXT_INVALID, "the authentication tag does not verify");
    }
    out->len += (size_t)(len + last);
    return STATUS_OK;
}

status_code gmac_sign(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                      struct bytes *out)
{
    size_t tag_len;

    TRY(gcm_tag_len(mechanism, &tag_len));
    CHECK(mechanism->has_nonce, STATUS_MECHANISM_PARAM_INVALID, "GMAC needs a nonce that was never used with this key");
    TRY(check_gcm_nonce(mechanism->nonce));
    return gcm_seal(key, worker, mechanism->nonce, data, (struct slice){NULL, 0}, tag_len, out);
}

status_code gmac_verify(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                        struct slice signature)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_SECRET;

    TRY(gmac_sign(key, worker, mechanism, data, &made));
    CHECK(secret_equal(bytes_slice(&made), signature), STATUS_SIGNATURE_INVALID, "the MAC does not verify");
    return STATUS_OK;
}

static status_code check_ccm(const struct mechanism *mechanism, struct slice nonce, struct slice data, size_t *tag_len)
{
    *tag_len = mechanism->has_tag_len ? mechanism->tag_len : 16;
    /* SP 800-38C, A.1 */
    CHECK(*tag_len >= 4 && *tag_len <= 16 && *tag_len % 2 == 0, STATUS_MECHANISM_PARAM_INVALID,
          "a tag has 4, 6, ... or 16 bytes, not %zu", *tag_len);
    CHECK(nonce.len >= 7 && nonce.len <= 13, STATUS_MECHANISM_PARAM_INVALID, "a nonce has 7 to 13 bytes, not %zu",
          nonce.len);
    CHECK(nonce.len < 13 || data.len < 65536, STATUS_DATA_LENGTH, "with a nonce of 13 bytes at most 65,535 bytes");
    return STATUS_OK;
}

/* `tag` is NULL for encryption. The order of the steps is CCM's: lengths first. */
static bool ccm_run(struct key *key, struct slice nonce, struct slice aad, struct slice data, size_t tag_len,
                    const uint8_t *tag, uint8_t *out, uint8_t *made_tag)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = crypto_cipher(KEY_AES, key->secret.len, CIPHER_CCM);
    static const uint8_t nothing[1] = {0};
    int len;
    bool ok = context && EVP_CipherInit_ex2(context, cipher, NULL, NULL, tag == NULL, NULL) &&
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)nonce.len, NULL) > 0 &&
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, (int)tag_len, (void *)tag) > 0 &&
              EVP_CipherInit_ex2(context, NULL, key->secret.data, nonce.data, -1, NULL) &&
              EVP_CipherUpdate(context, NULL, &len, NULL, (int)data.len) &&
              (aad.len == 0 || EVP_CipherUpdate(context, NULL, &len, aad.data, (int)aad.len)) &&
              EVP_CipherUpdate(context, out, &len, data.len ? data.data : nothing, (int)data.len) > 0;

    if (ok && !tag)
        ok = EVP_CipherFinal_ex(context, out + len, &len) &&
             EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, (int)tag_len, made_tag) > 0;
    EVP_CIPHER_CTX_free(context);
    return ok;
}

status_code ccm_encrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                        struct bytes *out, struct bytes *nonce_made)
{
    uint8_t made[CCM_NONCE_LEN];
    struct slice nonce;
    size_t tag_len;

    TRY(nonce_for(worker, mechanism, CCM_NONCE_LEN, nonce_made, made, &nonce));
    TRY(check_ccm(mechanism, nonce, data, &tag_len));
    uint8_t *to = bytes_reserve(out, data.len + tag_len + 16);

    TRY(bytes_ok(out));
    if (!ccm_run(key, nonce, mechanism->aad, data, tag_len, NULL, to, to + data.len))
        return crypto_failed("encrypting with AES-CCM");
    out->len += data.len + tag_len;
    return STATUS_OK;
}

status_code ccm_decrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                        struct bytes *out)
{
    char reason[128];
    size_t tag_len;

    (void)worker;
    TRY(check_ccm(mechanism, mechanism->nonce, data, &tag_len));
    CHECK(data.len >= tag_len, STATUS_DATA_LENGTH, "%zu bytes are shorter than the tag", data.len);
    struct slice text = slice_of(data.data, data.len - tag_len);
    uint8_t *to = bytes_reserve(out, text.len + 16);

    TRY(bytes_ok(out));
    if (!ccm_run(key, mechanism->nonce, mechanism->aad, text, tag_len, data.data + text.len, to, NULL)) {
        secret_wipe(to, text.len);
        failure_openssl_reason(reason, sizeof(reason));
        FAIL(STATUS_CIPHERTEXT_INVALID, "the authentication tag does not verify");
    }
    out->len += text.len;
    return STATUS_OK;
}
