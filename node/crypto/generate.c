/* Making keys. A pair leaves this file only after its pairwise consistency test (FIPS 140-3, 10.3.A). */
#include "crypto/key_internal.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdio.h>

#define PUBLIC_EXPONENT_DEFAULT 65537u
#define SECRET_MAX              4096u

static status_code generate_secret(const struct key_parameters *parameters, struct key **key)
{
    CLEANUP(secret_release) struct secret secret = SECRET_INIT;
    size_t len = parameters->bits / 8;

    CHECK(parameters->bits % 8 == 0, STATUS_KEY_SIZE_RANGE, "%u bits are no whole bytes", parameters->bits);
    if (parameters->type == KEY_AES)
        CHECK(len == 16 || len == 24 || len == 32, STATUS_KEY_SIZE_RANGE, "an AES key has 16, 24 or 32 bytes, not %zu",
              len);
    if (parameters->type == KEY_DES3)
        CHECK(len == 24, STATUS_KEY_SIZE_RANGE, "a DES3 key has 24 bytes, not %zu", len);
    CHECK(len >= 1 && len <= SECRET_MAX, STATUS_KEY_SIZE_RANGE, "a secret key has 1 to %u bytes, not %zu", SECRET_MAX,
          len);
    TRY(secret_allocate(&secret, len));
    TRY(random_fill(WORKERS_MAX, secret.data, len));
    return key_from_secret(parameters->type, secret_slice(&secret), key);
}

/* FIPS 186-5, A.1.1: odd, above 2^16, below 2^256. */
static status_code check_exponent(struct slice exponent)
{
    size_t skip = 0;

    while (skip < exponent.len && exponent.data[skip] == 0)
        skip++;
    struct slice value = slice_of(exponent.data + skip, exponent.len - skip);

    CHECK(value.len >= 1 && (value.data[value.len - 1] & 1), STATUS_ATTRIBUTE_VALUE_INVALID,
          "the public exponent must be odd");
    CHECK(value.len <= 32 && (value.len > 3 || (value.len == 3 && value.data[0] >= 1)), STATUS_ATTRIBUTE_VALUE_INVALID,
          "the public exponent must lie between 65537 and 2^256");
    return STATUS_OK;
}

static status_code set_rsa(EVP_PKEY_CTX *context, const struct key_parameters *parameters)
{
    CHECK(parameters->bits == 2048 || parameters->bits == 3072 || parameters->bits == 4096, STATUS_KEY_SIZE_RANGE,
          "RSA keys have 2048, 3072 or 4096 bits, not %u", parameters->bits);
    BIGNUM *exponent = BN_new();
    bool ok = exponent != NULL;
    status_code status = STATUS_OK;

    if (ok && parameters->public_exponent.len) {
        status = check_exponent(parameters->public_exponent);
        ok = status == STATUS_OK &&
             BN_bin2bn(parameters->public_exponent.data, (int)parameters->public_exponent.len, exponent);
    } else if (ok) {
        ok = BN_set_word(exponent, PUBLIC_EXPONENT_DEFAULT);
    }
    ok = ok && EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)parameters->bits) > 0 &&
         EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, exponent) > 0;
    BN_free(exponent);
    if (status != STATUS_OK)
        return status;
    return ok ? STATUS_OK : crypto_failed("setting up RSA key generation");
}

static status_code set_group(EVP_PKEY_CTX *context, const struct curve_info *curve)
{
    char name[32];

    snprintf(name, sizeof(name), "%s", curve->openssl_name);
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0),
                               OSSL_PARAM_construct_end()};

    return EVP_PKEY_CTX_set_params(context, parameters) > 0 ? STATUS_OK : crypto_failed("setting the curve");
}

/* OpenSSL's name of the pair to be made. */
static status_code algorithm_name(const struct key_parameters *parameters, char *name, size_t size)
{
    switch (parameters->type) {
    case KEY_RSA:
        snprintf(name, size, "RSA");
        return STATUS_OK;
    case KEY_EC:
    case KEY_EC_EDWARDS:
    case KEY_EC_MONTGOMERY:
        CHECK(parameters->curve && parameters->curve->key_type == parameters->type, STATUS_ATTRIBUTE_VALUE_INVALID,
              "the curve is unknown, or not one for this mechanism");
        snprintf(name, size, "%s", parameters->type == KEY_EC ? "EC" : parameters->curve->openssl_name);
        return STATUS_OK;
    case KEY_ML_DSA:
    case KEY_ML_KEM:
        snprintf(name, size, "%s-%u", parameters->type == KEY_ML_DSA ? "ML-DSA" : "ML-KEM", parameters->parameter_set);
        return STATUS_OK;
    default:
        FAIL(STATUS_MECHANISM_INVALID, "no pairs are made of this key type");
    }
}

static status_code consistent_signature(struct key *private_key, struct key *public_key)
{
    CLEANUP(bytes_release) struct bytes signature = BYTES_INIT;
    uint8_t message[32] = "pairwise consistency test";
    struct mechanism mechanism = {.hash = HASH_SHA256};

    mechanism.type = private_key->type == KEY_RSA          ? MECHANISM_RSA_PKCS
                     : private_key->type == KEY_EC         ? MECHANISM_ECDSA
                     : private_key->type == KEY_EC_EDWARDS ? MECHANISM_EDDSA
                                                           : MECHANISM_ML_DSA;
    TRY(crypto_sign(private_key, WORKERS_MAX, &mechanism, slice_of(message, 32), &signature));
    return crypto_verify(public_key, WORKERS_MAX, &mechanism, slice_of(message, 32), bytes_slice(&signature));
}

static status_code consistent_encapsulation(struct key *private_key, struct key *public_key)
{
    CLEANUP(bytes_release) struct bytes ciphertext = BYTES_INIT, one = BYTES_SECRET, other = BYTES_SECRET;
    struct mechanism mechanism = {.type = MECHANISM_ML_KEM};

    TRY(crypto_encapsulate(public_key, &mechanism, &ciphertext, &one));
    TRY(crypto_decapsulate(private_key, &mechanism, bytes_slice(&ciphertext), &other));
    CHECK(secret_equal(bytes_slice(&one), bytes_slice(&other)), STATUS_SELF_TEST_FAILED, "the secrets differ");
    return STATUS_OK;
}

/* Agreement with an ephemeral pair must give the same from both sides. */
static status_code consistent_agreement(struct key *private_key)
{
    CLEANUP(bytes_release) struct bytes one = BYTES_SECRET, other = BYTES_SECRET, public = BYTES_INIT;
    EVP_PKEY *ephemeral = EVP_PKEY_Q_keygen(crypto_context(), NULL, private_key->curve->openssl_name);
    struct mechanism mechanism = {.type = MECHANISM_ECDH};
    struct key *second = NULL;

    if (!ephemeral)
        return crypto_failed("making an ephemeral pair");
    TRY(key_from_pkey(CLASS_PRIVATE_KEY, private_key->type, ephemeral, &second));
    status_code status = key_public_info(second, &public);
    mechanism.peer_public = bytes_slice(&public);
    if (status == STATUS_OK)
        status = crypto_derive(private_key, WORKERS_MAX, &mechanism, NULL, (struct slice){0}, &one);
    bytes_clear(&public);
    if (status == STATUS_OK)
        status = key_public_info(private_key, &public);
    mechanism.peer_public = bytes_slice(&public);
    if (status == STATUS_OK)
        status = crypto_derive(second, WORKERS_MAX, &mechanism, NULL, (struct slice){0}, &other);
    key_release(second);
    TRY(status);
    CHECK(secret_equal(bytes_slice(&one), bytes_slice(&other)), STATUS_SELF_TEST_FAILED, "the secrets differ");
    return STATUS_OK;
}

static status_code pairwise_test(struct key *private_key)
{
    struct key *public_key;
    status_code status;

    TRY(key_public(private_key, &public_key));
    switch (private_key->type) {
    case KEY_EC_MONTGOMERY:
        status = consistent_agreement(private_key);
        break;
    case KEY_ML_KEM:
        status = consistent_encapsulation(private_key, public_key);
        break;
    default:
        status = consistent_signature(private_key, public_key);
        break;
    }
    key_release(public_key);
    if (status != STATUS_OK)
        FAIL(STATUS_SELF_TEST_FAILED, "a new pair failed its pairwise consistency test and was discarded");
    return STATUS_OK;
}

static status_code generate_pair(const struct key_parameters *parameters, struct key **key)
{
    char name[32], reason[128];
    EVP_PKEY *pkey = NULL;

    TRY(algorithm_name(parameters, name, sizeof(name)));
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(crypto_context(), name, NULL);
    if (!context || EVP_PKEY_keygen_init(context) <= 0) {
        EVP_PKEY_CTX_free(context);
        FAIL(STATUS_NOT_SUPPORTED, "%s: %s (%s)", name, failure_openssl_reason(reason, sizeof(reason)),
             crypto_version());
    }
    status_code status = STATUS_OK;
    if (parameters->type == KEY_RSA)
        status = set_rsa(context, parameters);
    if (parameters->type == KEY_EC)
        status = set_group(context, parameters->curve);
    if (status == STATUS_OK && EVP_PKEY_generate(context, &pkey) <= 0)
        status = crypto_failed("generating a key pair");
    EVP_PKEY_CTX_free(context);
    TRY(status);

    struct key *made;
    TRY(key_from_pkey(CLASS_PRIVATE_KEY, parameters->type, pkey, &made));
    status = pairwise_test(made);
    if (status != STATUS_OK) {
        key_release(made);
        return status;
    }
    *key = made;
    return STATUS_OK;
}

status_code key_generate(const struct key_parameters *parameters, struct key **key)
{
    switch (parameters->type) {
    case KEY_AES:
    case KEY_DES3:
    case KEY_GENERIC_SECRET:
        return generate_secret(parameters, key);
    default:
        return generate_pair(parameters, key);
    }
}
