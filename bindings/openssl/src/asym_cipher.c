/* RSA encryption (provider-asym_cipher(7)). As with signatures, a twin of OpenSSL's default provider over the public
 * key takes the parameters and encrypts; the cluster decrypts. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/prov_ssl.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include "key.h"
#include "signature.h"

#define NAME_MAX_LEN  50
#define PLAINTEXT_MAX 1024 /* of the largest RSA keys, 8192 bits */

struct asym_cipher {
    struct provider *provider;
    struct key *key;
    EVP_PKEY_CTX *twin;
};

/* --- life --- */

static void *cipher_new(void *provider)
{
    struct asym_cipher *cipher = calloc(1, sizeof(*cipher));

    if (cipher)
        cipher->provider = provider;
    return cipher;
}

static void cipher_free(void *data)
{
    struct asym_cipher *cipher = data;

    EVP_PKEY_CTX_free(cipher->twin);
    key_release(cipher->key);
    free(cipher);
}

static void *cipher_duplicate(void *data)
{
    const struct asym_cipher *from = data;
    struct asym_cipher *to = cipher_new(from->provider);

    if (!to)
        return NULL;
    to->key = from->key ? key_hold(from->key) : NULL;
    to->twin = from->twin ? EVP_PKEY_CTX_dup(from->twin) : NULL;
    if (from->twin && !to->twin) {
        cipher_free(to);
        return NULL;
    }
    return to;
}

/* --- parameters --- */

static int set_params(void *data, const OSSL_PARAM params[])
{
    const struct asym_cipher *cipher = data;

    return !params || !params->key || (cipher->twin && EVP_PKEY_CTX_set_params(cipher->twin, params) == 1);
}

static int get_params(void *data, OSSL_PARAM params[])
{
    const struct asym_cipher *cipher = data;

    return !cipher->twin || EVP_PKEY_CTX_get_params(cipher->twin, params) == 1;
}

static const OSSL_PARAM *gettable_params(void *data, void *provider)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_octet_ptr(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, NULL, 0),
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, NULL),
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, NULL),
        OSSL_PARAM_END,
    };

    (void)data;
    (void)provider;
    return PARAMS;
}

static const OSSL_PARAM *settable_params(void *data, void *provider)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST_PROPS, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST_PROPS, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, NULL, 0),
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, NULL),
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, NULL),
        OSSL_PARAM_END,
    };

    (void)data;
    (void)provider;
    return PARAMS;
}

/* --- beginning --- */

static int begin(struct asym_cipher *cipher, void *data, const OSSL_PARAM params[], bool decrypts)
{
    struct key *key = data ? data : cipher->key;

    CHECK(cipher->provider, key && (!decrypts || key->has_private), REASON_NO_PRIVATE_KEY, "%s",
          "this is a public key alone");
    EVP_PKEY_CTX *twin = EVP_PKEY_CTX_new_from_pkey(cipher->provider->library, key->public_key, NULL);

    if (!twin || EVP_PKEY_encrypt_init(twin) != 1) {
        EVP_PKEY_CTX_free(twin);
        return RAISE(cipher->provider, REASON_UNSUPPORTED, "%s", "this kind of key does not encrypt");
    }
    EVP_PKEY_CTX_free(cipher->twin);
    cipher->twin = twin;
    if (data) {
        key_hold(key);
        key_release(cipher->key);
        cipher->key = key;
    }
    return set_params(cipher, params);
}

static int encrypt_init(void *data, void *key, const OSSL_PARAM params[])
{
    return begin(data, key, params, false);
}

static int decrypt_init(void *data, void *key, const OSSL_PARAM params[])
{
    return begin(data, key, params, true);
}

static int encrypt(void *data, unsigned char *out, size_t *out_len, size_t room, const unsigned char *in, size_t in_len)
{
    const struct asym_cipher *cipher = data;

    *out_len = room;
    return EVP_PKEY_encrypt(cipher->twin, out, out_len, in, in_len) == 1;
}

/* --- decryption --- */

static int oaep_hash(const struct asym_cipher *cipher, int (*get)(EVP_PKEY_CTX *, char *, size_t), uint32_t *hash)
{
    char name[NAME_MAX_LEN] = "";

    TRY(get(cipher->twin, name, sizeof(name)));
    *hash = hash_of_name(name[0] != '\0' ? name : "SHA1");
    CHECK(cipher->provider, *hash != HSM_HASH_NONE, REASON_UNSUPPORTED, "the cluster has no OAEP with %s", name);
    return 1;
}

static int take_oaep(const struct asym_cipher *cipher, hsm_mechanism *mechanism)
{
    unsigned char *label = NULL;
    int label_len;

    mechanism->type = HSM_MECHANISM_RSA_PKCS_OAEP;
    TRY(oaep_hash(cipher, EVP_PKEY_CTX_get_rsa_oaep_md_name, &mechanism->hash));
    TRY(oaep_hash(cipher, EVP_PKEY_CTX_get_rsa_mgf1_md_name, &mechanism->mgf_hash));
    label_len = EVP_PKEY_CTX_get0_rsa_oaep_label(cipher->twin, &label);
    if (label_len > 0) {
        mechanism->aad = label;
        mechanism->aad_len = (size_t)label_len;
    }
    return 1;
}

static int decrypt_mechanism(const struct asym_cipher *cipher, int padding, hsm_mechanism *mechanism)
{
    switch (padding) {
    case RSA_PKCS1_PADDING:
        mechanism->type = HSM_MECHANISM_RSA_PKCS;
        return 1;
    case RSA_PKCS1_OAEP_PADDING:
        return take_oaep(cipher, mechanism);
    case RSA_NO_PADDING:
        mechanism->type = HSM_MECHANISM_RSA_X_509;
        return 1;
    default:
        return RAISE(cipher->provider, REASON_UNSUPPORTED, "%s", "the cluster has no such padding");
    }
}

#define PREMASTER_LEN SSL_MAX_MASTER_KEY_LENGTH

/* The versions that stand in front of a good premaster secret. */
static int take_versions(const struct asym_cipher *cipher, unsigned *wanted, unsigned *negotiated)
{
    OSSL_PARAM versions[] = {
        OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, wanted),
        OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, negotiated),
        OSSL_PARAM_construct_end(),
    };

    *wanted = *negotiated = 0;
    TRY(EVP_PKEY_CTX_get_params(cipher->twin, versions));
    CHECK(cipher->provider, *wanted != 0, REASON_PARAMETER, "%s", "which version of TLS did the client ask for?");
    return 1;
}

struct premaster {
    unsigned char random[PREMASTER_LEN], plain[PLAINTEXT_MAX];
    size_t plain_len;
};

static void premaster_wipe(struct premaster *premaster)
{
    OPENSSL_cleanse(premaster, sizeof(*premaster));
}

/* The premaster secret of TLS 1.2's RSA key exchange. RFC 5246, 7.4.7.1: whatever is wrong with it, the handshake goes
 * on with random bytes, so that an attacker does not learn from the server whether the padding was right. */
static int decrypt_premaster(const struct asym_cipher *cipher, unsigned char *out, size_t *out_len, size_t room,
                             const unsigned char *in, size_t in_len)
{
    const hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_RSA_PKCS);
    CLEANUP(premaster_wipe) struct premaster made = {.plain_len = PLAINTEXT_MAX};
    bool invalid = false;
    unsigned wanted, negotiated;

    CHECK(cipher->provider, room >= PREMASTER_LEN, HSM_BUFFER_TOO_SMALL, "%s", "a premaster secret takes 48 bytes");
    TRY(take_versions(cipher, &wanted, &negotiated));
    TRY(RAND_priv_bytes_ex(cipher->provider->library, made.random, PREMASTER_LEN, 0));
    TRY(key_decrypt(cipher->key, &mechanism, in, in_len, made.plain, &made.plain_len, &invalid));
    unsigned version = ((unsigned)made.plain[0] << 8) | made.plain[1];
    unsigned good = !invalid & (made.plain_len == PREMASTER_LEN) &
                    ((version == wanted) | ((negotiated != 0) & (version == negotiated)));
    const unsigned char mask = (unsigned char)(0 - good);

    for (size_t i = 0; i < PREMASTER_LEN; i++)
        out[i] = (unsigned char)((made.plain[i] & mask) | (made.random[i] & ~mask));
    *out_len = PREMASTER_LEN;
    return 1;
}

static int decrypt_padded(const struct asym_cipher *cipher, int padding, unsigned char *out, size_t *out_len,
                          size_t room, const unsigned char *in, size_t in_len)
{
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_RSA_PKCS);

    TRY(decrypt_mechanism(cipher, padding, &mechanism));
    *out_len = room;
    return key_decrypt(cipher->key, &mechanism, in, in_len, out, out_len, NULL);
}

/* As a number: TLS's own has no name, for want of which EVP_PKEY_CTX_get_rsa_padding of OpenSSL 3.0 crashes. */
static int padding_of(const struct asym_cipher *cipher, int *padding)
{
    OSSL_PARAM wanted[] = {
        OSSL_PARAM_construct_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, padding),
        OSSL_PARAM_construct_end(),
    };

    return EVP_PKEY_CTX_get_params(cipher->twin, wanted) == 1;
}

static int decrypt(void *data, unsigned char *out, size_t *out_len, size_t room, const unsigned char *in, size_t in_len)
{
    const struct asym_cipher *cipher = data;
    int padding = 0;

    TRY(padding_of(cipher, &padding));
    if (!out) {
        *out_len =
            padding == RSA_PKCS1_WITH_TLS_PADDING ? PREMASTER_LEN : (size_t)EVP_PKEY_get_size(cipher->key->public_key);
        return 1;
    }
    if (padding == RSA_PKCS1_WITH_TLS_PADDING)
        return decrypt_premaster(cipher, out, out_len, room, in, in_len);
    return decrypt_padded(cipher, padding, out, out_len, room, in, in_len);
}

static const OSSL_DISPATCH RSA_FUNCTIONS[] = {
    {OSSL_FUNC_ASYM_CIPHER_NEWCTX, (void (*)(void))cipher_new},
    {OSSL_FUNC_ASYM_CIPHER_FREECTX, (void (*)(void))cipher_free},
    {OSSL_FUNC_ASYM_CIPHER_DUPCTX, (void (*)(void))cipher_duplicate},
    {OSSL_FUNC_ASYM_CIPHER_ENCRYPT_INIT, (void (*)(void))encrypt_init},
    {OSSL_FUNC_ASYM_CIPHER_ENCRYPT, (void (*)(void))encrypt},
    {OSSL_FUNC_ASYM_CIPHER_DECRYPT_INIT, (void (*)(void))decrypt_init},
    {OSSL_FUNC_ASYM_CIPHER_DECRYPT, (void (*)(void))decrypt},
    {OSSL_FUNC_ASYM_CIPHER_GET_CTX_PARAMS, (void (*)(void))get_params},
    {OSSL_FUNC_ASYM_CIPHER_GETTABLE_CTX_PARAMS, (void (*)(void))gettable_params},
    {OSSL_FUNC_ASYM_CIPHER_SET_CTX_PARAMS, (void (*)(void))set_params},
    {OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, (void (*)(void))settable_params},
    {0, NULL},
};

const OSSL_ALGORITHM ASYM_CIPHER_ALGORITHMS[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROVIDER_PROPERTIES, RSA_FUNCTIONS, "RSA decryption by the cluster"},
    {NULL, NULL, NULL, NULL},
};
