/* The library context of the node's cryptography, the algorithms fetched from it once, and which mechanisms they make
 * possible. Everything here is written at start by one thread and only read afterwards. */
#include "crypto/key_internal.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdio.h>

/* Room for the private halves of 40,000 opened RSA-4096 keys, both caches of objects full; touched as it is used. */
#define SECURE_HEAP_BYTES   ((size_t)128 << 20)
#define SECURE_HEAP_MINIMUM 32u

static struct {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *providers[2];
    struct crypto_policy policy;
    EVP_CIPHER *aes[3][CIPHER_MODES];
    EVP_CIPHER *des3[CIPHER_MODES];
    EVP_MD *digests[HASH_COUNT];
    EVP_MAC *hmac, *cmac;
    bool available[MECHANISM_COUNT];
} crypto;

OSSL_LIB_CTX *crypto_context(void)
{
    return crypto.context;
}

const struct crypto_policy *crypto_policy(void)
{
    return &crypto.policy;
}

const char *crypto_version(void)
{
    static char version[64];

    snprintf(version, sizeof(version), "OpenSSL %s", OpenSSL_version(OPENSSL_VERSION_STRING));
    return version;
}

const EVP_CIPHER *crypto_cipher(enum key_type type, size_t key_len, enum cipher_mode mode)
{
    if (type == KEY_DES3)
        return crypto.des3[mode];
    return key_len == 16 || key_len == 24 || key_len == 32 ? crypto.aes[key_len / 8 - 2][mode] : NULL;
}

const EVP_MD *crypto_digest(enum hash hash)
{
    return hash < HASH_COUNT ? crypto.digests[hash] : NULL;
}

const char *crypto_digest_name(enum hash hash)
{
    return crypto_digest(hash) ? hash_info(hash)->openssl_name : NULL;
}

EVP_MAC *crypto_mac(enum mechanism_type type)
{
    return type == MECHANISM_HMAC ? crypto.hmac : crypto.cmac;
}

bool crypto_has_key_type(const char *openssl_name)
{
    EVP_PKEY_CTX *probe = EVP_PKEY_CTX_new_from_name(crypto.context, openssl_name, NULL);
    bool found = probe != NULL;

    EVP_PKEY_CTX_free(probe);
    ERR_clear_error();
    return found;
}

static void fetch_algorithms(void)
{
    static const char *const modes[CIPHER_MODES] = {"ECB", "CBC", "CTR", "GCM", "CCM", "WRAP", "WRAP-PAD"};
    char name[32];

    for (unsigned size = 0; size < 3; size++) {
        for (unsigned mode = 0; mode < CIPHER_MODES; mode++) {
            snprintf(name, sizeof(name), "AES-%u-%s", 128 + 64 * size, modes[mode]);
            crypto.aes[size][mode] = EVP_CIPHER_fetch(crypto.context, name, NULL);
        }
    }
    crypto.des3[CIPHER_ECB] = EVP_CIPHER_fetch(crypto.context, "DES-EDE3-ECB", NULL);
    crypto.des3[CIPHER_CBC] = EVP_CIPHER_fetch(crypto.context, "DES-EDE3-CBC", NULL);
    for (unsigned hash = HASH_NONE + 1; hash < HASH_COUNT; hash++)
        crypto.digests[hash] = EVP_MD_fetch(crypto.context, hash_info(hash)->openssl_name, NULL);
    crypto.hmac = EVP_MAC_fetch(crypto.context, "HMAC", NULL);
    crypto.cmac = EVP_MAC_fetch(crypto.context, "CMAC", NULL);
    ERR_clear_error();
}

static bool kdf_found(const char *name)
{
    EVP_KDF *kdf = EVP_KDF_fetch(crypto.context, name, NULL);

    EVP_KDF_free(kdf);
    ERR_clear_error();
    return kdf != NULL;
}

static bool found(enum mechanism_type type, const struct mechanism_info *info)
{
    switch (type) {
    case MECHANISM_RSA_X_509:
        return crypto.policy.allow_raw_rsa;
    case MECHANISM_DES3_KEY_GEN:
    case MECHANISM_DES3_ECB_ENCRYPT_DATA:
    case MECHANISM_DES3_CBC_ENCRYPT_DATA:
        return crypto.policy.allow_des3_encrypt && crypto.des3[CIPHER_CBC];
    case MECHANISM_HKDF:
        return kdf_found("HKDF");
    case MECHANISM_SP800_108_COUNTER:
    case MECHANISM_SP800_108_FEEDBACK:
    case MECHANISM_SP800_108_DOUBLE_PIPELINE:
        return kdf_found("KBKDF");
    case MECHANISM_HMAC:
        return crypto.hmac != NULL;
    case MECHANISM_AES_CMAC:
        return crypto.cmac != NULL;
    default:
        break;
    }
    switch (info->key_type) {
    case KEY_EC_EDWARDS:
        return crypto_has_key_type("ED25519");
    case KEY_EC_MONTGOMERY:
        return crypto_has_key_type("X25519");
    case KEY_ML_DSA:
        return crypto_has_key_type("ML-DSA-44");
    case KEY_ML_KEM:
        return crypto_has_key_type("ML-KEM-768");
    case KEY_DES3:
        return crypto.des3[CIPHER_CBC] != NULL;
    default:
        return true;
    }
}

static status_code load_providers(bool fips)
{
    crypto.context = OSSL_LIB_CTX_new();
    CHECK(crypto.context, STATUS_OUT_OF_MEMORY, "no OpenSSL library context");
    crypto.providers[0] = OSSL_PROVIDER_load(crypto.context, fips ? "fips" : "default");
    CHECK(crypto.providers[0], STATUS_NOT_SUPPORTED,
          fips ? "OpenSSL's FIPS provider cannot be loaded: install and configure it, or set fips: false"
               : "OpenSSL's default provider cannot be loaded");
    /* Encoders and decoders of key files are not cryptography and not in the FIPS module. */
    if (fips)
        crypto.providers[1] = OSSL_PROVIDER_load(crypto.context, "base");
    return STATUS_OK;
}

status_code crypto_start(bool fips, const struct crypto_policy *policy)
{
    crypto.policy = *policy;
    CHECK(CRYPTO_secure_malloc_initialized() || CRYPTO_secure_malloc_init(SECURE_HEAP_BYTES, SECURE_HEAP_MINIMUM),
          STATUS_OUT_OF_MEMORY, "no %zu bytes of address space for the heap of secrets", SECURE_HEAP_BYTES);
    TRY(load_providers(fips));
    fetch_algorithms();
    for (unsigned type = 0; type < MECHANISM_COUNT; type++) {
        const struct mechanism_info *info = mechanism_info(type);

        crypto.available[type] = info && found((enum mechanism_type)type, info);
    }
    return STATUS_OK;
}

void crypto_stop(void)
{
    random_stop();
    for (unsigned mode = 0; mode < CIPHER_MODES; mode++) {
        for (unsigned size = 0; size < 3; size++)
            EVP_CIPHER_free(crypto.aes[size][mode]);
        EVP_CIPHER_free(crypto.des3[mode]);
    }
    for (unsigned hash = 0; hash < HASH_COUNT; hash++)
        EVP_MD_free(crypto.digests[hash]);
    EVP_MAC_free(crypto.hmac);
    EVP_MAC_free(crypto.cmac);
    for (unsigned i = 0; i < 2; i++) {
        if (crypto.providers[i])
            OSSL_PROVIDER_unload(crypto.providers[i]);
    }
    OSSL_LIB_CTX_free(crypto.context);
    memset(&crypto, 0, sizeof(crypto));
}

static void key_bits_of(const struct mechanism_info *info, enum mechanism_type type, uint32_t *min, uint32_t *max)
{
    static const uint32_t bits[KEY_TYPE_COUNT][2] = {
        [KEY_RSA] = {2048, 4096},          [KEY_EC] = {224, 521},   [KEY_EC_EDWARDS] = {256, 456},
        [KEY_EC_MONTGOMERY] = {256, 448},  [KEY_AES] = {128, 256},  [KEY_DES3] = {192, 192},
        [KEY_GENERIC_SECRET] = {8, 32768}, [KEY_ML_DSA] = {44, 87}, [KEY_ML_KEM] = {512, 1024},
    };

    *min = bits[info->key_type][0];
    *max = type == MECHANISM_ECDH ? 521 : bits[info->key_type][1];
}

bool mechanism_available(enum mechanism_type type, uint32_t *key_bits_min, uint32_t *key_bits_max)
{
    if (type >= MECHANISM_COUNT || !crypto.available[type])
        return false;
    key_bits_of(mechanism_info(type), type, key_bits_min, key_bits_max);
    return true;
}
