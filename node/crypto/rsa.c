/* RSA (RFC 8017): PKCS#1 v1.5, PSS, OAEP, raw, and the RSA-AES key wrap of PKCS#11. Contexts are set up once per key,
 * worker and parameters; a use is one EVP call. */
#include "crypto/key_internal.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

static int padding_of(enum mechanism_type type)
{
    switch (type) {
    case MECHANISM_RSA_PKCS_PSS:
        return RSA_PKCS1_PSS_PADDING;
    case MECHANISM_RSA_PKCS_OAEP:
    case MECHANISM_RSA_AES_KEY_WRAP:
        return RSA_PKCS1_OAEP_PADDING;
    case MECHANISM_RSA_X_509:
        return RSA_NO_PADDING;
    default:
        return RSA_PKCS1_PADDING;
    }
}

static const EVP_MD *mgf_digest(const struct mechanism *mechanism)
{
    return crypto_digest(mechanism->mgf_hash ? mechanism->mgf_hash : mechanism->hash);
}

static status_code check_signing(const struct key *key, const struct mechanism *mechanism, struct slice data)
{
    size_t size = (size_t)EVP_PKEY_get_size(key->pkey);
    size_t hash_len = hash_info(mechanism->hash)->len;

    if (mechanism->type == MECHANISM_RSA_X_509) {
        CHECK(data.len <= size, STATUS_DATA_LENGTH, "raw RSA takes %zu bytes at most, not %zu", size, data.len);
        return STATUS_OK;
    }
    CHECK(mechanism->hash || mechanism->type == MECHANISM_RSA_PKCS, STATUS_MECHANISM_PARAM_INVALID, "PSS needs a hash");
    if (!mechanism->hash) {
        CHECK(data.len + 11 <= size, STATUS_DATA_LENGTH, "%zu bytes are too long for this key", data.len);
        return STATUS_OK;
    }
    CHECK(data.len == hash_len, STATUS_DATA_LENGTH, "a digest of %zu bytes is expected, not %zu", hash_len, data.len);
    CHECK(!mechanism->has_salt_len || mechanism->salt_len <= size - 2 - hash_len, STATUS_MECHANISM_PARAM_INVALID,
          "a salt of %zu bytes is too long for this key", mechanism->salt_len);
    return STATUS_OK;
}

/* PKCS#11 2.40, 2.1.8: raw RSA takes numbers; what is shorter than the modulus has zeros in front. */
static status_code put_zeros_in_front(const struct key *key, const struct mechanism *mechanism, struct slice *data,
                                      struct bytes *storage)
{
    static const uint8_t zeros[64];
    size_t size = (size_t)EVP_PKEY_get_size(key->pkey);

    if (mechanism->type != MECHANISM_RSA_X_509 || data->len >= size)
        return STATUS_OK;
    for (size_t missing = size - data->len, n; missing; missing -= n) {
        n = missing < sizeof(zeros) ? missing : sizeof(zeros);
        bytes_append(storage, zeros, n);
    }
    bytes_append(storage, data->data, data->len);
    TRY(bytes_ok(storage));
    *data = bytes_slice(storage);
    return STATUS_OK;
}

/* A DigestInfo of SHA-1 that is signed as it is would get around what crypto_sign refuses. */
static status_code check_digest_info(const struct mechanism *mechanism, struct slice data)
{
    static const uint8_t sha1[] = {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a};

    CHECK(mechanism->hash || mechanism->type != MECHANISM_RSA_PKCS || crypto_policy()->allow_sha1_sign ||
              data.len <= sizeof(sha1) || memcmp(data.data, sha1, sizeof(sha1)) != 0,
          STATUS_MECHANISM_INVALID, "new signatures with SHA-1 are not made (SP 800-131A)");
    return STATUS_OK;
}

static bool set_signing(EVP_PKEY_CTX *context, const struct mechanism *mechanism)
{
    if (EVP_PKEY_CTX_set_rsa_padding(context, padding_of(mechanism->type)) <= 0)
        return false;
    if (mechanism->hash && mechanism->type != MECHANISM_RSA_X_509 &&
        EVP_PKEY_CTX_set_signature_md(context, crypto_digest(mechanism->hash)) <= 0)
        return false;
    if (mechanism->type != MECHANISM_RSA_PKCS_PSS)
        return true;
    return EVP_PKEY_CTX_set_rsa_mgf1_md(context, mgf_digest(mechanism)) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, mechanism->has_salt_len ? (int)mechanism->salt_len
                                                                             : RSA_PSS_SALTLEN_DIGEST) > 0;
}

static void free_context(void *context)
{
    EVP_PKEY_CTX_free(context);
}

static status_code signing_context(struct key *key, unsigned worker, enum context_use use,
                                   const struct mechanism *mechanism, EVP_PKEY_CTX **context)
{
    uint32_t salt = mechanism->has_salt_len ? (uint32_t)mechanism->salt_len + 1 : 0;
    uint64_t tag = context_tag(use, mechanism, salt);

    *context = key_context_find(key, worker, tag);
    if (*context)
        return STATUS_OK;
    *context = EVP_PKEY_CTX_new_from_pkey(crypto_context(), key->pkey, NULL);
    bool ok = *context && (use == CONTEXT_SIGN ? EVP_PKEY_sign_init(*context) : EVP_PKEY_verify_init(*context)) > 0 &&
              set_signing(*context, mechanism);
    if (!ok) {
        char reason[128];

        EVP_PKEY_CTX_free(*context);
        FAIL(STATUS_MECHANISM_PARAM_INVALID, "RSA parameters: %s", failure_openssl_reason(reason, sizeof(reason)));
    }
    return key_context_keep(key, worker, tag, *context, free_context);
}

status_code rsa_sign(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                     struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes whole = BYTES_SECRET;
    EVP_PKEY_CTX *context;
    size_t len = (size_t)EVP_PKEY_get_size(key->pkey);
    uint8_t *to = bytes_reserve(out, len);

    TRY(bytes_ok(out));
    TRY(check_signing(key, mechanism, data));
    TRY(check_digest_info(mechanism, data));
    TRY(put_zeros_in_front(key, mechanism, &data, &whole));
    TRY(signing_context(key, worker, CONTEXT_SIGN, mechanism, &context));
    if (EVP_PKEY_sign(context, to, &len, data.data, data.len) <= 0) {
        char reason[128];

        FAIL(STATUS_DATA_INVALID, "RSA: %s", failure_openssl_reason(reason, sizeof(reason)));
    }
    out->len += len;
    return STATUS_OK;
}

status_code rsa_verify(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                       struct slice signature)
{
    CLEANUP(bytes_release) struct bytes whole = BYTES_SECRET;
    size_t size = (size_t)EVP_PKEY_get_size(key->pkey);
    EVP_PKEY_CTX *context;
    char reason[128];

    TRY(check_signing(key, mechanism, data));
    CHECK(signature.len == size, STATUS_SIGNATURE_INVALID, "a signature has %zu bytes, not %zu", size, signature.len);
    TRY(put_zeros_in_front(key, mechanism, &data, &whole));
    TRY(signing_context(key, worker, CONTEXT_VERIFY, mechanism, &context));
    if (EVP_PKEY_verify(context, signature.data, signature.len, data.data, data.len) > 0)
        return STATUS_OK;
    failure_openssl_reason(reason, sizeof(reason));
    FAIL(STATUS_SIGNATURE_INVALID, "the signature does not verify with this key and data");
}

/* What the private key was applied to: the data itself, without the padding in front of it. */
status_code rsa_verify_recover(struct key *key, const struct mechanism *mechanism, struct slice signature,
                               struct bytes *out)
{
    char reason[128];
    size_t size = (size_t)EVP_PKEY_get_size(key->pkey), len = size;
    uint8_t *to = bytes_reserve(out, len);

    TRY(bytes_ok(out));
    CHECK(!mechanism->hash, STATUS_MECHANISM_PARAM_INVALID, "a digest is verified, not recovered: name no hash");
    CHECK(signature.len == size, STATUS_SIGNATURE_INVALID, "a signature has %zu bytes, not %zu", size, signature.len);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(crypto_context(), key->pkey, NULL);
    bool done = context && EVP_PKEY_verify_recover_init(context) > 0 && set_signing(context, mechanism) &&
                EVP_PKEY_verify_recover(context, to, &len, signature.data, signature.len) > 0;

    EVP_PKEY_CTX_free(context);
    failure_openssl_reason(reason, sizeof(reason));
    CHECK(done, STATUS_SIGNATURE_INVALID, "no data of this padding stands in the signature");
    out->len += len;
    return STATUS_OK;
}

static bool set_encryption(EVP_PKEY_CTX *context, const struct mechanism *mechanism)
{
    int padding = padding_of(mechanism->type);

    if (EVP_PKEY_CTX_set_rsa_padding(context, padding) <= 0)
        return false;
    if (padding != RSA_PKCS1_OAEP_PADDING)
        return true;
    if (EVP_PKEY_CTX_set_rsa_oaep_md(context, crypto_digest(mechanism->hash)) <= 0 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(context, mgf_digest(mechanism)) <= 0)
        return false;
    if (!mechanism->aad.len)
        return true;
    OSSL_PARAM label[] = {OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL,
                                                            (void *)mechanism->aad.data, mechanism->aad.len),
                          OSSL_PARAM_construct_end()};
    return EVP_PKEY_CTX_set_params(context, label) > 0;
}

static status_code encryption_context(struct key *key, bool encrypt, const struct mechanism *mechanism,
                                      EVP_PKEY_CTX **made)
{
    CHECK(padding_of(mechanism->type) != RSA_PKCS1_OAEP_PADDING || mechanism->hash, STATUS_MECHANISM_PARAM_INVALID,
          "OAEP needs a hash");
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(crypto_context(), key->pkey, NULL);
    bool ok = context && (encrypt ? EVP_PKEY_encrypt_init(context) : EVP_PKEY_decrypt_init(context)) > 0 &&
              set_encryption(context, mechanism);

    if (!ok) {
        char reason[128];

        EVP_PKEY_CTX_free(context);
        FAIL(STATUS_MECHANISM_PARAM_INVALID, "RSA parameters: %s", failure_openssl_reason(reason, sizeof(reason)));
    }
    *made = context;
    return STATUS_OK;
}

static status_code does_not_fit(const struct mechanism *mechanism, struct slice data, size_t size)
{
    char reason[128];

    failure_openssl_reason(reason, sizeof(reason));
    CHECK(mechanism->type != MECHANISM_RSA_X_509 || data.len != size, STATUS_DATA_INVALID,
          "the number is not below the modulus");
    FAIL(STATUS_DATA_LENGTH, "%zu bytes do not fit this key and padding: %s", data.len, reason);
}

status_code rsa_encrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                        struct bytes *out, struct bytes *nonce_made)
{
    CLEANUP(bytes_release) struct bytes whole = BYTES_SECRET;
    EVP_PKEY_CTX *context;
    size_t len = (size_t)EVP_PKEY_get_size(key->pkey);
    uint8_t *to = bytes_reserve(out, len);

    (void)worker;
    (void)nonce_made;
    TRY(bytes_ok(out));
    TRY(put_zeros_in_front(key, mechanism, &data, &whole));
    TRY(encryption_context(key, true, mechanism, &context));
    int done = EVP_PKEY_encrypt(context, to, &len, data.data, data.len);
    EVP_PKEY_CTX_free(context);
    if (done <= 0)
        return does_not_fit(mechanism, data, (size_t)EVP_PKEY_get_size(key->pkey));
    out->len += len;
    return STATUS_OK;
}

status_code rsa_decrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                        struct bytes *out)
{
    EVP_PKEY_CTX *context;
    char reason[128];
    size_t size = (size_t)EVP_PKEY_get_size(key->pkey), len = size;
    uint8_t *to = bytes_reserve(out, len);

    (void)worker;
    TRY(bytes_ok(out));
    CHECK(data.len == size, STATUS_DATA_LENGTH, "a ciphertext of %zu bytes is expected, not %zu", size, data.len);
    TRY(encryption_context(key, false, mechanism, &context));
    int done = EVP_PKEY_decrypt(context, to, &len, data.data, data.len);
    EVP_PKEY_CTX_free(context);
    failure_openssl_reason(reason, sizeof(reason));
    /* One answer whatever was wrong with the padding: anything finer is Bleichenbacher's oracle. */
    CHECK(done > 0, STATUS_CIPHERTEXT_INVALID, "the ciphertext does not decrypt with this key and padding");
    out->len += len;
    return STATUS_OK;
}

/* PKCS#11 2.40, 2.1.21: the temporary key under OAEP, then the wanted key under the temporary one (RFC 5649). */
#define TEMPORARY_KEY_LEN 32u

static const struct mechanism wrap_pad = {.type = MECHANISM_AES_KEY_WRAP_PAD};

status_code rsa_aes_wrap(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                         struct bytes *out, struct bytes *nonce_made)
{
    CLEANUP(secret_release) struct secret temporary = SECRET_INIT;
    struct key *aes;

    TRY(secret_allocate(&temporary, TEMPORARY_KEY_LEN));
    TRY(random_fill(WORKERS_MAX, temporary.data, temporary.len));
    TRY(rsa_encrypt(key, worker, mechanism, secret_slice(&temporary), out, nonce_made));
    TRY(key_from_secret(KEY_AES, secret_slice(&temporary), &aes));
    status_code status = key_wrap_encrypt(aes, WORKERS_MAX, &wrap_pad, data, out, nonce_made);
    key_release(aes);
    return status;
}

status_code rsa_aes_unwrap(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                           struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes temporary = BYTES_SECRET;
    size_t head = (size_t)EVP_PKEY_get_size(key->pkey);
    struct key *aes;

    CHECK(data.len > head, STATUS_DATA_LENGTH, "a key wrapped so has more than %zu bytes", head);
    TRY(rsa_decrypt(key, worker, mechanism, slice_of(data.data, head), &temporary));
    CHECK(temporary.len == 16 || temporary.len == 24 || temporary.len == 32, STATUS_CIPHERTEXT_INVALID,
          "the temporary key is no AES key");
    TRY(key_from_secret(KEY_AES, bytes_slice(&temporary), &aes));
    status_code status =
        key_wrap_decrypt(aes, WORKERS_MAX, &wrap_pad, slice_of(data.data + head, data.len - head), out);
    key_release(aes);
    return status;
}
