/* Key derivation: HKDF (RFC 5869), SP 800-108 with HMAC or AES-CMAC, ANSI X9.63 and SP 800-56C. */
#include "crypto/key_internal.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <stdio.h>

#define PARAMETERS_MAX 12u

struct parameters {
    OSSL_PARAM list[PARAMETERS_MAX];
    unsigned n;
};

static void put_text(struct parameters *parameters, const char *name, const char *value)
{
    parameters->list[parameters->n++] = OSSL_PARAM_construct_utf8_string(name, (char *)value, 0);
}

static void put_bytes(struct parameters *parameters, const char *name, struct slice value)
{
    if (value.len)
        parameters->list[parameters->n++] = OSSL_PARAM_construct_octet_string(name, (void *)value.data, value.len);
}

static void put_int(struct parameters *parameters, const char *name, int *value)
{
    parameters->list[parameters->n++] = OSSL_PARAM_construct_int(name, value);
}

static status_code run(const char *algorithm, struct parameters *parameters, size_t len, struct bytes *out)
{
    char reason[128];

    CHECK(len >= 1 && len <= DERIVED_MAX, STATUS_KEY_SIZE_RANGE, "1 to %u bytes can be derived, not %zu", DERIVED_MAX,
          len);
    parameters->list[parameters->n] = OSSL_PARAM_construct_end();
    uint8_t *to = bytes_reserve(out, len);
    EVP_KDF *kdf = EVP_KDF_fetch(crypto_context(), algorithm, NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int done = to && context ? EVP_KDF_derive(context, to, len, parameters->list) : 0;

    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    TRY(bytes_ok(out));
    if (done <= 0)
        secret_wipe(to, len); /* what was made so far */
    CHECK(done > 0, STATUS_MECHANISM_PARAM_INVALID, "%s: %s", algorithm,
          failure_openssl_reason(reason, sizeof(reason)));
    out->len += len;
    return STATUS_OK;
}

size_t derived_len(const struct mechanism *mechanism, size_t natural)
{
    return mechanism->has_output_len ? mechanism->output_len : natural;
}

status_code agreement_kdf(enum kdf kdf, enum hash hash, struct slice shared, struct slice info, size_t len,
                          struct bytes *out)
{
    static const char *const algorithms[] = {[KDF_NULL] = NULL, [KDF_X963] = "X963KDF", [KDF_SP800_56A] = "SSKDF"};
    struct parameters parameters = {.n = 0};

    CHECK(kdf < sizeof(algorithms) / sizeof(*algorithms) && algorithms[kdf], STATUS_MECHANISM_PARAM_INVALID,
          "unknown key derivation function %u", kdf);
    CHECK(hash, STATUS_MECHANISM_PARAM_INVALID, "the key derivation after an agreement needs a hash");
    put_text(&parameters, OSSL_KDF_PARAM_DIGEST, crypto_digest_name(hash));
    put_bytes(&parameters, OSSL_KDF_PARAM_KEY, shared);
    put_bytes(&parameters, OSSL_KDF_PARAM_INFO, info);
    return run(algorithms[kdf], &parameters, len, out);
}

status_code hkdf_derive(struct key *key, const struct mechanism *mechanism, struct key *second, struct slice data,
                        struct bytes *out)
{
    struct parameters parameters = {.n = 0};
    bool extract = !(mechanism->flags & FLAG_HKDF_NO_EXTRACT), expand = !(mechanism->flags & FLAG_HKDF_NO_EXPAND);
    int mode = extract && expand ? EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND
               : extract         ? EVP_KDF_HKDF_MODE_EXTRACT_ONLY
                                 : EVP_KDF_HKDF_MODE_EXPAND_ONLY;

    (void)data;
    CHECK(!second || (extract && !mechanism->salt.len && second->class == CLASS_SECRET_KEY),
          STATUS_MECHANISM_PARAM_INVALID, "either a secret key is the salt of HKDF's extraction, or SALT is");
    CHECK(extract || expand, STATUS_MECHANISM_PARAM_INVALID, "HKDF must extract, expand or both");
    CHECK(mechanism->hash, STATUS_MECHANISM_PARAM_INVALID, "HKDF needs a hash");
    size_t hash_len = hash_info(mechanism->hash)->len;
    CHECK(expand || derived_len(mechanism, hash_len) == hash_len, STATUS_KEY_SIZE_RANGE,
          "extraction alone yields %zu bytes", hash_len);
    put_text(&parameters, OSSL_KDF_PARAM_DIGEST, crypto_digest_name(mechanism->hash));
    put_bytes(&parameters, OSSL_KDF_PARAM_KEY, secret_slice(&key->secret));
    put_int(&parameters, OSSL_KDF_PARAM_MODE, &mode);
    if (extract)
        put_bytes(&parameters, OSSL_KDF_PARAM_SALT, second ? secret_slice(&second->secret) : mechanism->salt);
    if (expand)
        put_bytes(&parameters, OSSL_KDF_PARAM_INFO, mechanism->shared_info);
    return run("HKDF", &parameters, derived_len(mechanism, hash_len), out);
}

status_code sp800_108_derive(struct key *key, const struct mechanism *mechanism, struct key *second, struct slice data,
                             struct bytes *out)
{
    struct parameters parameters = {.n = 0};
    bool fixed_input = mechanism->flags & FLAG_KDF_FIXED_INPUT;
    size_t len = derived_len(mechanism, mechanism->hash ? hash_info(mechanism->hash)->len : 16);
    int off = 0;
    char cipher[32];

    (void)second;
    (void)data;
    CHECK(mechanism->hash || key->type == KEY_AES, STATUS_MECHANISM_PARAM_INVALID,
          "without a hash the function is AES-CMAC, which needs an AES key");
    /* What OpenSSL cannot lay out. */
    if (mechanism->flags & ~(uint32_t)FLAG_KDF_FIXED_INPUT || mechanism->salt.len ||
        (fixed_input && mechanism->aad.len) || mechanism->type == MECHANISM_SP800_108_DOUBLE_PIPELINE)
        return sp800_108_iterate(key, mechanism, len, out);
    put_text(&parameters, OSSL_KDF_PARAM_MODE, mechanism->type == MECHANISM_SP800_108_COUNTER ? "counter" : "feedback");
    put_text(&parameters, OSSL_KDF_PARAM_MAC, mechanism->hash ? "HMAC" : "CMAC");
    if (mechanism->hash) {
        put_text(&parameters, OSSL_KDF_PARAM_DIGEST, crypto_digest_name(mechanism->hash));
    } else {
        snprintf(cipher, sizeof(cipher), "AES-%zu-CBC", 8 * key->secret.len);
        put_text(&parameters, OSSL_KDF_PARAM_CIPHER, cipher);
    }
    put_bytes(&parameters, OSSL_KDF_PARAM_KEY, secret_slice(&key->secret));
    put_bytes(&parameters, OSSL_KDF_PARAM_SALT, mechanism->shared_info); /* OpenSSL's name for the label */
    put_bytes(&parameters, OSSL_KDF_PARAM_INFO, mechanism->aad);         /* and for the context */
    if (mechanism->type == MECHANISM_SP800_108_FEEDBACK)
        put_bytes(&parameters, OSSL_KDF_PARAM_SEED, mechanism->nonce);
    if (fixed_input) {
        put_int(&parameters, OSSL_KDF_PARAM_KBKDF_USE_L, &off);
        put_int(&parameters, OSSL_KDF_PARAM_KBKDF_USE_SEPARATOR, &off);
    }
    return run("KBKDF", &parameters, len, out);
}
