/* ML-KEM (FIPS 203) where this OpenSSL has it. */
#include "crypto/key_internal.h"

static status_code check_key(const struct key *key, enum object_class class, const char *use)
{
    CHECK(key->type == KEY_ML_KEM, STATUS_KEY_TYPE_INCONSISTENT, "ML_KEM does not fit keys of type %s",
          key_type_name(key->type));
    CHECK(key->class == class, STATUS_KEY_FUNCTION_NOT_PERMITTED, "this half of the pair cannot %s", use);
    return STATUS_OK;
}

status_code crypto_encapsulate(struct key *key, const struct mechanism *mechanism, struct bytes *ciphertext,
                               struct bytes *secret)
{
    size_t ciphertext_len = 0, secret_len = 0;

    CHECK(mechanism->type == MECHANISM_ML_KEM, STATUS_MECHANISM_INVALID, "this mechanism does not encapsulate");
    TRY(check_key(key, CLASS_PUBLIC_KEY, "encapsulate"));
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(crypto_context(), key->pkey, NULL);
    bool ok = context && EVP_PKEY_encapsulate_init(context, NULL) > 0 &&
              EVP_PKEY_encapsulate(context, NULL, &ciphertext_len, NULL, &secret_len) > 0;
    uint8_t *to = ok ? bytes_reserve(ciphertext, ciphertext_len) : NULL;
    uint8_t *secret_to = ok ? bytes_reserve(secret, secret_len) : NULL;

    ok = to && secret_to && EVP_PKEY_encapsulate(context, to, &ciphertext_len, secret_to, &secret_len) > 0;
    EVP_PKEY_CTX_free(context);
    if (!ok)
        return crypto_failed("encapsulating");
    ciphertext->len += ciphertext_len;
    secret->len += secret_len;
    return STATUS_OK;
}

status_code crypto_decapsulate(struct key *key, const struct mechanism *mechanism, struct slice ciphertext,
                               struct bytes *secret)
{
    char reason[128];
    size_t len = 0;

    CHECK(mechanism->type == MECHANISM_ML_KEM, STATUS_MECHANISM_INVALID, "this mechanism does not decapsulate");
    TRY(check_key(key, CLASS_PRIVATE_KEY, "decapsulate"));
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(crypto_context(), key->pkey, NULL);
    bool ok = context && EVP_PKEY_decapsulate_init(context, NULL) > 0 &&
              EVP_PKEY_decapsulate(context, NULL, &len, ciphertext.data, ciphertext.len) > 0;
    uint8_t *to = ok ? bytes_reserve(secret, len) : NULL;

    ok = to && EVP_PKEY_decapsulate(context, to, &len, ciphertext.data, ciphertext.len) > 0;
    EVP_PKEY_CTX_free(context);
    /* A wrong ciphertext of the right length decapsulates to an unrelated secret (FIPS 203, 6.3); the length is
     * checked. */
    CHECK(ok, STATUS_DATA_LENGTH, "%zu bytes are no ciphertext of this key: %s", ciphertext.len,
          failure_openssl_reason(reason, sizeof(reason)));
    secret->len += len;
    return STATUS_OK;
}
