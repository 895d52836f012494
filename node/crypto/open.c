/* Opening key material that was stored or is imported. What we sealed ourselves is believed; what comes from outside is
 * checked to be a valid key of the type that it claims. */
#include "crypto/key_internal.h"

#include <openssl/err.h>
#include <openssl/x509.h>

static const char *const openssl_names[KEY_TYPE_COUNT] = {[KEY_RSA] = "RSA", [KEY_EC] = "EC"};

static bool is_type(EVP_PKEY *pkey, enum key_type type)
{
    static const char *const sets[][3] = {{"ML-DSA-44", "ML-DSA-65", "ML-DSA-87"},
                                          {"ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"}};

    if (openssl_names[type])
        return EVP_PKEY_is_a(pkey, openssl_names[type]);
    if (type == KEY_EC_EDWARDS)
        return EVP_PKEY_is_a(pkey, "ED25519") || EVP_PKEY_is_a(pkey, "ED448");
    if (type == KEY_EC_MONTGOMERY)
        return EVP_PKEY_is_a(pkey, "X25519") || EVP_PKEY_is_a(pkey, "X448");
    for (unsigned i = 0; i < 3 && (type == KEY_ML_DSA || type == KEY_ML_KEM); i++) {
        if (EVP_PKEY_is_a(pkey, sets[type == KEY_ML_KEM][i]))
            return true;
    }
    return false;
}

static EVP_PKEY *decode_private(struct slice material)
{
    const uint8_t *at = material.data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)material.len);
    EVP_PKEY *pkey =
        info && at == material.data + material.len ? EVP_PKCS82PKEY_ex(info, crypto_context(), NULL) : NULL;

    PKCS8_PRIV_KEY_INFO_free(info);
    return pkey;
}

static EVP_PKEY *decode_public(struct slice material)
{
    const uint8_t *at = material.data;
    EVP_PKEY *pkey = d2i_PUBKEY_ex(NULL, &at, (long)material.len, crypto_context(), NULL);

    if (pkey && at != material.data + material.len) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return pkey;
}

/* SP 800-56A, 5.6.2.3 and SP 800-89: ranges, curve membership, consistency of the halves. */
static status_code check_key(EVP_PKEY *pkey, enum object_class class, enum key_type type)
{
    char reason[128];
    int bits = EVP_PKEY_get_bits(pkey), valid = 0;

    CHECK(type != KEY_RSA || (bits >= 2048 && bits <= 4096), STATUS_KEY_SIZE_RANGE,
          "RSA keys have 2048 to 4096 bits, not %d", bits);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(crypto_context(), pkey, NULL);
    if (context)
        valid = class == CLASS_PRIVATE_KEY ? EVP_PKEY_pairwise_check(context) : EVP_PKEY_public_check(context);
    EVP_PKEY_CTX_free(context);
    if (valid == -2) { /* the type has no such check: decoding was all */
        failure_openssl_reason(reason, sizeof(reason));
        return STATUS_OK;
    }
    CHECK(valid > 0, STATUS_ATTRIBUTE_VALUE_INVALID, "the key is not valid: %s",
          failure_openssl_reason(reason, sizeof(reason)));
    return STATUS_OK;
}

static EVP_PKEY *open_directly(enum object_class class, struct slice material)
{
    EVP_PKEY *pkey = class == CLASS_PRIVATE_KEY ? open_private_directly(material) : open_public_directly(material);

    ERR_clear_error();
    return pkey;
}

/* What we sealed decoded once: when it no longer does, this node lacks the algorithm or memory, and another may not. */
static status_code undecodable(enum object_class class, enum key_type type, bool trusted)
{
    char reason[128];

    failure_openssl_reason(reason, sizeof(reason));
    CHECK(type != KEY_ML_DSA || crypto_has_key_type("ML-DSA-44"), STATUS_NOT_SUPPORTED, "%s has no ML-DSA",
          crypto_version());
    CHECK(type != KEY_ML_KEM || crypto_has_key_type("ML-KEM-768"), STATUS_NOT_SUPPORTED, "%s has no ML-KEM",
          crypto_version());
    CHECK(!trusted, STATUS_OUT_OF_MEMORY, "a stored key cannot be opened: %s (heap of secrets: %zu bytes used)", reason,
          CRYPTO_secure_used());
    FAIL(STATUS_ATTRIBUTE_VALUE_INVALID, "VALUE is not the DER of a %s: %s",
         class == CLASS_PRIVATE_KEY ? "PKCS#8 private key" : "SubjectPublicKeyInfo", reason);
}

static status_code open_pkey(enum object_class class, enum key_type type, struct slice material, bool trusted,
                             struct key **key)
{
    struct key *made;

    CHECK(material.len <= 65536, STATUS_ATTRIBUTE_VALUE_INVALID, "key material of %zu bytes", material.len);
    EVP_PKEY *pkey = trusted ? open_directly(class, material) : NULL;
    if (!pkey)
        pkey = class == CLASS_PRIVATE_KEY ? decode_private(material) : decode_public(material);
    if (!pkey)
        return undecodable(class, type, trusted);
    if (!is_type(pkey, type)) {
        EVP_PKEY_free(pkey);
        FAIL(STATUS_ATTRIBUTE_VALUE_INVALID, "VALUE is a key of another type than KEY_TYPE says");
    }
    status_code status = trusted ? STATUS_OK : check_key(pkey, class, type);
    if (status != STATUS_OK) {
        EVP_PKEY_free(pkey);
        return status;
    }
    TRY(key_from_pkey(class, type, pkey, &made));
    if (!made->curve && (type == KEY_EC || type == KEY_EC_EDWARDS || type == KEY_EC_MONTGOMERY)) {
        key_release(made);
        FAIL(STATUS_ATTRIBUTE_VALUE_INVALID, "the key's curve is none of those offered");
    }
    *key = made;
    return STATUS_OK;
}

static status_code open_secret(enum key_type type, struct slice material, struct key **key)
{
    if (type == KEY_AES)
        CHECK(material.len == 16 || material.len == 24 || material.len == 32, STATUS_ATTRIBUTE_VALUE_INVALID,
              "an AES key has 16, 24 or 32 bytes, not %zu", material.len);
    if (type == KEY_DES3)
        CHECK(material.len == 24, STATUS_ATTRIBUTE_VALUE_INVALID, "a DES3 key has 24 bytes, not %zu", material.len);
    CHECK(type == KEY_AES || type == KEY_DES3 || type == KEY_GENERIC_SECRET, STATUS_TEMPLATE_INCONSISTENT,
          "this key type is not that of a secret key");
    CHECK(material.len >= 1 && material.len <= 4096, STATUS_ATTRIBUTE_VALUE_INVALID,
          "a secret key has 1 to 4096 bytes, not %zu", material.len);
    return key_from_secret(type, material, key);
}

status_code key_open(enum object_class class, enum key_type type, struct slice material, bool trusted, struct key **key)
{
    if (class == CLASS_SECRET_KEY)
        return open_secret(type, material, key);
    CHECK(class == CLASS_PRIVATE_KEY || class == CLASS_PUBLIC_KEY, STATUS_TEMPLATE_INCONSISTENT,
          "objects of this class hold no key");
    CHECK(type >= KEY_RSA && type < KEY_TYPE_COUNT, STATUS_ATTRIBUTE_VALUE_INVALID, "unknown key type");
    return open_pkey(class, type, material, trusted, key);
}

status_code key_public(struct key *key, struct key **public_key)
{
    CLEANUP(bytes_release) struct bytes info = BYTES_INIT;

    CHECK(key->pkey, STATUS_KEY_TYPE_INCONSISTENT, "a secret key has no public half");
    TRY(key_public_info(key, &info));
    return key_open(CLASS_PUBLIC_KEY, key->type, bytes_slice(&info), true, public_key);
}
