/* From OpenSSL's parameters to a mechanism of the cluster, and from the cluster's signature to OpenSSL's form. */
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include "signature.h"

#define NAME_MAX_LEN 50

/* --- digests --- */

uint32_t hash_of_name(const char *name)
{
    static const struct {
        const char *name;
        uint32_t hash;
    } HASHES[] = {
        {"SHA1", HSM_HASH_SHA1},
        {"SHA224", HSM_HASH_SHA224},
        {"SHA256", HSM_HASH_SHA256},
        {"SHA384", HSM_HASH_SHA384},
        {"SHA512", HSM_HASH_SHA512},
        {"SHA3-224", HSM_HASH_SHA3_224},
        {"SHA3-256", HSM_HASH_SHA3_256},
        {"SHA3-384", HSM_HASH_SHA3_384},
        {"SHA3-512", HSM_HASH_SHA3_512},
        {"SHA2-224", HSM_HASH_SHA224},
        {"SHA2-256", HSM_HASH_SHA256},
        {"SHA2-384", HSM_HASH_SHA384},
        {"SHA2-512", HSM_HASH_SHA512},
        {"SHA-1", HSM_HASH_SHA1},
        {"SHA-224", HSM_HASH_SHA224},
        {"SHA-256", HSM_HASH_SHA256},
        {"SHA-384", HSM_HASH_SHA384},
        {"SHA-512", HSM_HASH_SHA512},
        {"SHA-512/224", HSM_HASH_SHA512_224},
        {"SHA-512/256", HSM_HASH_SHA512_256},
        {"SHA512-224", HSM_HASH_SHA512_224},
        {"SHA512-256", HSM_HASH_SHA512_256},
        {"SHA2-512/224", HSM_HASH_SHA512_224},
        {"SHA2-512/256", HSM_HASH_SHA512_256},
    };

    for (size_t i = 0; i < sizeof(HASHES) / sizeof(HASHES[0]); i++)
        if (OPENSSL_strcasecmp(HASHES[i].name, name) == 0)
            return HASHES[i].hash;
    return HSM_HASH_NONE;
}

static int digest_name(EVP_PKEY_CTX *parameters, char name[NAME_MAX_LEN])
{
    OSSL_PARAM wanted[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, name, NAME_MAX_LEN),
        OSSL_PARAM_construct_end(),
    };

    name[0] = '\0';
    return EVP_PKEY_CTX_get_params(parameters, wanted) == 1;
}

/* --- RSA --- */

/* TLS before 1.2 signs MD5 and SHA-1 side by side, without a DigestInfo; others than these have one that the cluster
 * cannot make, because it has no such digest. */
static int take_hash(const struct key *key, const char *name, hsm_mechanism *mechanism)
{
    if (name[0] == '\0' || OPENSSL_strcasecmp(name, "MD5-SHA1") == 0)
        return 1;
    mechanism->hash = hash_of_name(name);
    CHECK(key->provider, mechanism->hash != HSM_HASH_NONE, REASON_UNSUPPORTED, "the cluster does not sign with %s",
          name);
    return 1;
}

/* RFC 8017, 9.1.1: what is left in the encoded message beside the hash and two bytes. */
static int32_t salt_len_max(const struct key *key, size_t hash_len)
{
    int encoded_len = (EVP_PKEY_get_bits(key->public_key) - 1 + 7) / 8;

    return encoded_len - (int)hash_len - 2;
}

static int take_salt(const struct key *key, EVP_PKEY_CTX *parameters, size_t hash_len, hsm_mechanism *mechanism)
{
    int salt_len;

    TRY(EVP_PKEY_CTX_get_rsa_pss_saltlen(parameters, &salt_len));
    if (salt_len >= 0) {
        mechanism->salt_len = salt_len;
        return 1;
    }
    mechanism->salt_len = HSM_SALT_LEN_HASH;
    if (salt_len == RSA_PSS_SALTLEN_DIGEST)
        return 1;
    int32_t most = salt_len_max(key, hash_len);

    /* What "auto" means to a signer: as much as fits, or, where OpenSSL says so (FIPS 186-4), not more than the hash.
     */
    if (salt_len == RSA_PSS_SALTLEN_AUTO || salt_len == RSA_PSS_SALTLEN_MAX || most < (int32_t)hash_len)
        mechanism->salt_len = most;
    CHECK(key->provider, most >= 0, REASON_PARAMETER, "%s", "the digest is too long for this key");
    return 1;
}

static int take_pss(const struct key *key, EVP_PKEY_CTX *parameters, size_t hash_len, hsm_mechanism *mechanism)
{
    char mgf_name[NAME_MAX_LEN] = "";

    mechanism->type = HSM_MECHANISM_RSA_PKCS_PSS;
    mechanism->mgf_hash = mechanism->hash;
    TRY(EVP_PKEY_CTX_get_rsa_mgf1_md_name(parameters, mgf_name, sizeof(mgf_name)));
    if (mgf_name[0] != '\0')
        mechanism->mgf_hash = hash_of_name(mgf_name);
    CHECK(key->provider, mechanism->mgf_hash != HSM_HASH_NONE, REASON_UNSUPPORTED, "the cluster has no MGF1 with %s",
          mgf_name);
    return take_salt(key, parameters, hash_len, mechanism);
}

static int rsa_mechanism(const struct key *key, EVP_PKEY_CTX *parameters, size_t data_len, hsm_mechanism *mechanism)
{
    char name[NAME_MAX_LEN];
    int padding;

    TRY(EVP_PKEY_CTX_get_rsa_padding(parameters, &padding));
    TRY(digest_name(parameters, name));
    TRY(take_hash(key, name, mechanism));
    switch (padding) {
    case RSA_PKCS1_PADDING:
        mechanism->type = HSM_MECHANISM_RSA_PKCS;
        return 1;
    case RSA_PKCS1_PSS_PADDING:
        CHECK(key->provider, mechanism->hash != HSM_HASH_NONE, REASON_PARAMETER, "%s", "PSS takes a digest");
        return take_pss(key, parameters, data_len, mechanism);
    case RSA_NO_PADDING:
        CHECK(key->provider, name[0] == '\0', REASON_PARAMETER, "%s", "raw RSA takes no digest");
        mechanism->type = HSM_MECHANISM_RSA_X_509;
        return 1;
    default:
        return RAISE(key->provider, REASON_UNSUPPORTED, "%s", "the cluster has no such padding");
    }
}

/* --- ECDSA --- */

/* r || s as DER (RFC 3279, 2.2.3). */
static int to_der(const struct key *key, const unsigned char *raw, size_t raw_len, unsigned char *out, size_t *out_len)
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, (int)(raw_len / 2), NULL);
    BIGNUM *s = BN_bin2bn(raw + raw_len / 2, (int)(raw_len / 2), NULL);
    int len = -1;

    if (signature && r && s && ECDSA_SIG_set0(signature, r, s) == 1) {
        r = s = NULL; /* the signature's now */
        len = i2d_ECDSA_SIG(signature, NULL);
        if (len > 0 && (size_t)len <= *out_len)
            len = i2d_ECDSA_SIG(signature, &out);
        else
            len = -1;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(signature);
    CHECK(key->provider, len > 0, REASON_OPENSSL, "%s", "the signature cannot be encoded");
    *out_len = (size_t)len;
    return 1;
}

/* The digest may be any: ECDSA takes its leftmost bits (FIPS 186-5, 6.4.1). When it was said which, it has its length.
 */
static int check_digest(const struct key *key, EVP_PKEY_CTX *parameters, size_t data_len)
{
    size_t digest_len = 0;
    OSSL_PARAM wanted[] = {
        OSSL_PARAM_construct_size_t(OSSL_SIGNATURE_PARAM_DIGEST_SIZE, &digest_len),
        OSSL_PARAM_construct_end(),
    };

    TRY(EVP_PKEY_CTX_get_params(parameters, wanted));
    CHECK(key->provider, digest_len == 0 || digest_len == data_len, HSM_DATA_LENGTH,
          "a digest of %zu bytes is expected, not %zu", digest_len, data_len);
    return 1;
}

static int sign_ec(const struct key *key, EVP_PKEY_CTX *parameters, bool is_digest, const unsigned char *data,
                   size_t data_len, unsigned char *out, size_t *out_len)
{
    const hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_ECDSA);
    unsigned char raw[256];
    size_t raw_len = sizeof(raw);

    TRY(check_digest(key, parameters, data_len));
    TRY(key_sign(key, &mechanism, is_digest, data, data_len, raw, &raw_len));
    return to_der(key, raw, raw_len, out, out_len);
}

/* --- all --- */

int signature_allows(const struct key *key, const OSSL_PARAM params[])
{
    const OSSL_PARAM *instance = OSSL_PARAM_locate_const(params, "instance"),
                     *context = OSSL_PARAM_locate_const(params, "context-string"),
                     *nonce_type = OSSL_PARAM_locate_const(params, "nonce-type");
    const char *name = NULL;
    unsigned type = 0;

    CHECK(key->provider,
          !instance ||
              (OSSL_PARAM_get_utf8_string_ptr(instance, &name) && OPENSSL_strcasecmp(name, key->kind->name) == 0),
          REASON_UNSUPPORTED, "%s", "of EdDSA's variants the cluster has the plain one");
    CHECK(key->provider, !context || context->data_size == 0, REASON_UNSUPPORTED, "%s",
          "the cluster signs without a context string");
    CHECK(key->provider, !nonce_type || (OSSL_PARAM_get_uint(nonce_type, &type) && type == 0), REASON_UNSUPPORTED, "%s",
          "the cluster's nonces are random");
    return 1;
}

int signature_make(const struct key *key, EVP_PKEY_CTX *parameters, bool is_digest, const unsigned char *data,
                   size_t data_len, unsigned char *out, size_t *out_len)
{
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_EDDSA);

    if (key->kind->key_type == HSM_KEY_TYPE_EC)
        return sign_ec(key, parameters, is_digest, data, data_len, out, out_len);
    if (key->kind->key_type == HSM_KEY_TYPE_RSA)
        TRY(rsa_mechanism(key, parameters, data_len, &mechanism));
    return key_sign(key, &mechanism, is_digest, data, data_len, out, out_len);
}
