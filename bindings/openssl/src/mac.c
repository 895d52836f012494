/* MACs with a key of the cluster (provider-mac(7)): HMAC with a generic secret, CMAC and GMAC with an AES key, each
 * named by the parameter hsm-key. Data is gathered, and travels when there is much of it, or at the end. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include "secret.h"
#include "signature.h"

#define NAME_MAX_LEN  64
#define NONCE_MAX_LEN 128u
#define AES_BLOCK_LEN 16u

struct mac_kind {
    uint32_t mechanism; /* HSM_MECHANISM_... */
    uint64_t key_type;  /* HSM_KEY_TYPE_... */
    const char *mode;   /* of the AES cipher that a program may name; NULL: it names a digest */
    bool has_nonce;
};

static const struct mac_kind HMAC = {HSM_MECHANISM_HMAC, HSM_KEY_TYPE_GENERIC_SECRET, NULL, false};
static const struct mac_kind CMAC = {HSM_MECHANISM_AES_CMAC, HSM_KEY_TYPE_AES, "CBC", false};
static const struct mac_kind GMAC = {HSM_MECHANISM_AES_GMAC, HSM_KEY_TYPE_AES, "GCM", true};

struct mac {
    struct provider *provider;
    const struct mac_kind *kind;
    struct secret secret;
    uint32_t hash;               /* HSM_HASH_... */
    size_t hash_len, hash_block; /* in bytes */
    size_t key_len;              /* of the cipher that was named; 0: none was */
    unsigned char nonce[NONCE_MAX_LEN];
    size_t nonce_len;         /* 0: none, or used */
    hsm_operation *operation; /* of the message that was begun */
    bool is_done;             /* with this message */
};

/* --- life --- */

static void *mac_new(struct provider *provider, const struct mac_kind *kind)
{
    struct mac *mac = calloc(1, sizeof(*mac));

    if (!mac)
        return NULL;
    mac->provider = provider;
    mac->kind = kind;
    return mac;
}

static void mac_free(void *data)
{
    struct mac *mac = data;

    hsm_operation_free(mac->operation);
    free(mac);
}

static int duplicate(const struct mac *from, struct mac *to)
{
    *to = *from;
    to->operation = NULL;
    if (from->operation)
        HSM(from->provider, hsm_operation_copy(from->operation, &to->operation));
    return 1;
}

static void *mac_duplicate(void *data)
{
    const struct mac *from = data;
    struct mac *to = mac_new(from->provider, from->kind);

    if (to && !duplicate(from, to)) {
        mac_free(to);
        return NULL;
    }
    return to;
}

/* --- parameters --- */

static size_t size_of(const struct mac *mac)
{
    return mac->kind == &HMAC ? mac->hash_len : AES_BLOCK_LEN;
}

static size_t block_size_of(const struct mac *mac)
{
    return mac->kind == &HMAC ? mac->hash_block : AES_BLOCK_LEN;
}

static int mac_get_params(void *data, OSSL_PARAM params[])
{
    const struct mac *mac = data;
    OSSL_PARAM *param;

    if ((param = OSSL_PARAM_locate(params, OSSL_MAC_PARAM_SIZE)) != NULL)
        TRY(OSSL_PARAM_set_size_t(param, size_of(mac)));
    if ((param = OSSL_PARAM_locate(params, OSSL_MAC_PARAM_BLOCK_SIZE)) != NULL)
        TRY(OSSL_PARAM_set_size_t(param, block_size_of(mac)));
    return 1;
}

static const OSSL_PARAM *mac_gettable_params(void *data, void *provider)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_size_t(OSSL_MAC_PARAM_SIZE, NULL),
        OSSL_PARAM_size_t(OSSL_MAC_PARAM_BLOCK_SIZE, NULL),
        OSSL_PARAM_END,
    };

    (void)data;
    (void)provider;
    return PARAMS;
}

static int take_name(const struct mac *mac, const OSSL_PARAM *param, char name[NAME_MAX_LEN])
{
    CHECK(mac->provider, OSSL_PARAM_get_utf8_string(param, &name, NAME_MAX_LEN), REASON_PARAMETER, "%s is a name",
          param->key);
    CHECK(mac->provider, !mac->operation, REASON_PARAMETER, "%s is chosen before the data", param->key);
    return 1;
}

/* Whatever OpenSSL calls it: SHA256, SHA2-256, 2.16.840.1.101.3.4.2.1. */
static int take_digest(struct mac *mac, const OSSL_PARAM *param)
{
    char name[NAME_MAX_LEN] = "";

    if (!param)
        return 1;
    TRY(take_name(mac, param, name));
    EVP_MD *digest = EVP_MD_fetch(mac->provider->library, name, NULL);
    uint32_t hash = digest ? hash_of_name(EVP_MD_get0_name(digest)) : HSM_HASH_NONE;

    if (hash != HSM_HASH_NONE) {
        mac->hash = hash;
        mac->hash_len = (size_t)EVP_MD_get_size(digest);
        mac->hash_block = (size_t)EVP_MD_get_block_size(digest);
    }
    EVP_MD_free(digest);
    CHECK(mac->provider, hash != HSM_HASH_NONE, REASON_UNSUPPORTED, "the cluster has no HMAC with %s", name);
    return 1;
}

/* The cipher says how long the key is: checked against the key that the cluster has. */
static int take_cipher(struct mac *mac, const OSSL_PARAM *param)
{
    char name[NAME_MAX_LEN] = "", wanted[NAME_MAX_LEN];

    if (!param)
        return 1;
    TRY(take_name(mac, param, name));
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(mac->provider->library, name, NULL);
    int key_len = cipher ? EVP_CIPHER_get_key_length(cipher) : 0;

    snprintf(wanted, sizeof(wanted), "AES-%d-%s", key_len * 8, mac->kind->mode);
    bool good = cipher && EVP_CIPHER_is_a(cipher, wanted);

    EVP_CIPHER_free(cipher);
    CHECK(mac->provider, good, REASON_UNSUPPORTED, "it takes AES-128-%s, AES-192-%s or AES-256-%s, not %s",
          mac->kind->mode, mac->kind->mode, mac->kind->mode, name);
    mac->key_len = (size_t)key_len;
    return 1;
}

static int take_nonce(struct mac *mac, const OSSL_PARAM *param)
{
    void *at = mac->nonce;
    size_t len = 0;

    if (!param)
        return 1;
    CHECK(mac->provider, !mac->operation, REASON_PARAMETER, "%s", "the message was begun with another nonce");
    CHECK(mac->provider, OSSL_PARAM_get_octet_string(param, &at, sizeof(mac->nonce), &len) && len > 0,
          HSM_MECHANISM_PARAM_INVALID, "a nonce of 1 to %u bytes", NONCE_MAX_LEN);
    mac->nonce_len = len;
    return 1;
}

static int take_secret(struct mac *mac, const OSSL_PARAM params[])
{
    struct secret secret = {.is_set = false};

    TRY(secret_from_params(mac->provider, params, &secret));
    if (!secret.is_set)
        return 1;
    CHECK(mac->provider, !mac->operation, REASON_PARAMETER, "%s", "the message was begun with another key");
    TRY(secret_check(mac->provider, &secret, mac->kind->key_type, 0));
    mac->secret = secret;
    return 1;
}

static int mac_set_params(void *data, const OSSL_PARAM params[])
{
    struct mac *mac = data;

    if (!params)
        return 1;
    if (OSSL_PARAM_locate_const(params, OSSL_MAC_PARAM_KEY))
        return secret_refuse_bytes(mac->provider);
    if (mac->kind->mode)
        TRY(take_cipher(mac, OSSL_PARAM_locate_const(params, OSSL_MAC_PARAM_CIPHER)));
    else
        TRY(take_digest(mac, OSSL_PARAM_locate_const(params, OSSL_MAC_PARAM_DIGEST)));
    if (mac->kind->has_nonce)
        TRY(take_nonce(mac, OSSL_PARAM_locate_const(params, OSSL_MAC_PARAM_IV)));
    return take_secret(mac, params);
}

static const OSSL_PARAM *settable_of(const struct mac_kind *kind)
{
#define COMMON                                                                                                         \
    OSSL_PARAM_utf8_string(SECRET_PARAM, NULL, 0), OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, NULL, 0),               \
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_PROPERTIES, NULL, 0)
    static const OSSL_PARAM OF_HMAC[] = {COMMON, OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, NULL, 0),
                                         OSSL_PARAM_END};
    static const OSSL_PARAM OF_CMAC[] = {COMMON, OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_CIPHER, NULL, 0),
                                         OSSL_PARAM_END};
    static const OSSL_PARAM OF_GMAC[] = {COMMON, OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_CIPHER, NULL, 0),
                                         OSSL_PARAM_octet_string(OSSL_MAC_PARAM_IV, NULL, 0), OSSL_PARAM_END};
#undef COMMON

    return !kind->mode ? OF_HMAC : kind->has_nonce ? OF_GMAC : OF_CMAC;
}

/* --- operation --- */

static int mac_init(void *data, const unsigned char *key, size_t key_len, const OSSL_PARAM params[])
{
    struct mac *mac = data;

    (void)key_len;
    if (key)
        return secret_refuse_bytes(mac->provider);
    hsm_operation_free(mac->operation);
    mac->operation = NULL;
    mac->is_done = false;
    return mac_set_params(mac, params);
}

static int begin(struct mac *mac)
{
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(mac->kind->mechanism);
    hsm_session *session;

    if (mac->operation)
        return 1;
    CHECK(mac->provider, !mac->is_done, HSM_OPERATION_NOT_ACTIVE, "%s",
          "the message has ended: initialize for another");
    TRY(secret_check(mac->provider, &mac->secret, mac->kind->key_type, mac->key_len));
    CHECK(mac->provider, mac->kind->mode || mac->hash != HSM_HASH_NONE, REASON_PARAMETER, "%s", "HMAC needs a digest");
    CHECK(mac->provider, !mac->kind->has_nonce || mac->nonce_len > 0, HSM_MECHANISM_PARAM_INVALID, "%s",
          "GMAC needs a nonce for each message");
    TRY(secret_session(mac->provider, &session));
    mechanism.hash = mac->hash;
    if (mac->nonce_len > 0) {
        mechanism.nonce = mac->nonce;
        mechanism.nonce_len = mac->nonce_len;
    }
    HSM(mac->provider,
        hsm_operation_begin(session, HSM_OPERATION_SIGN, &mac->secret.object, &mechanism, 0, &mac->operation));
    mac->nonce_len = 0; /* it is good for one message */
    return 1;
}

static int mac_update(void *data, const unsigned char *in, size_t in_len)
{
    struct mac *mac = data;

    if (in_len == 0)
        return 1;
    CHECK(mac->provider, in, REASON_PARAMETER, "%s", "no data");
    TRY(begin(mac));
    HSM(mac->provider, hsm_operation_update(mac->operation, in, in_len, NULL, NULL));
    return 1;
}

static int mac_final(void *data, unsigned char *out, size_t *out_len, size_t room)
{
    struct mac *mac = data;
    size_t len = room;

    TRY(begin(mac));
    CHECK(mac->provider, room >= size_of(mac), HSM_BUFFER_TOO_SMALL, "the MAC has %zu bytes", size_of(mac));
    HSM(mac->provider, hsm_operation_final(mac->operation, out, &len));
    hsm_operation_free(mac->operation);
    mac->operation = NULL;
    mac->is_done = true;
    *out_len = len;
    return 1;
}

#define KIND(kind)                                                                                                     \
    static void *new_##kind(void *provider)                                                                            \
    {                                                                                                                  \
        return mac_new(provider, &(kind));                                                                             \
    }                                                                                                                  \
    static const OSSL_PARAM *settable_##kind(void *data, void *provider)                                               \
    {                                                                                                                  \
        (void)data;                                                                                                    \
        (void)provider;                                                                                                \
        return settable_of(&(kind));                                                                                   \
    }                                                                                                                  \
    static const OSSL_DISPATCH FUNCTIONS_##kind[] = {                                                                  \
        {OSSL_FUNC_MAC_NEWCTX, (void (*)(void))new_##kind},                                                            \
        {OSSL_FUNC_MAC_FREECTX, (void (*)(void))mac_free},                                                             \
        {OSSL_FUNC_MAC_DUPCTX, (void (*)(void))mac_duplicate},                                                         \
        {OSSL_FUNC_MAC_INIT, (void (*)(void))mac_init},                                                                \
        {OSSL_FUNC_MAC_UPDATE, (void (*)(void))mac_update},                                                            \
        {OSSL_FUNC_MAC_FINAL, (void (*)(void))mac_final},                                                              \
        {OSSL_FUNC_MAC_GET_CTX_PARAMS, (void (*)(void))mac_get_params},                                                \
        {OSSL_FUNC_MAC_SET_CTX_PARAMS, (void (*)(void))mac_set_params},                                                \
        {OSSL_FUNC_MAC_GETTABLE_CTX_PARAMS, (void (*)(void))mac_gettable_params},                                      \
        {OSSL_FUNC_MAC_SETTABLE_CTX_PARAMS, (void (*)(void))settable_##kind},                                          \
        {0, NULL},                                                                                                     \
    };

KIND(HMAC)
KIND(CMAC)
KIND(GMAC)

const OSSL_ALGORITHM MAC_ALGORITHMS[] = {
    {"HMAC", PROVIDER_PROPERTIES, FUNCTIONS_HMAC, "HMAC by the cluster"},
    {"CMAC", PROVIDER_PROPERTIES, FUNCTIONS_CMAC, "CMAC by the cluster"},
    {"GMAC:1.0.9797.3.4", PROVIDER_PROPERTIES, FUNCTIONS_GMAC, "GMAC by the cluster"},
    {NULL, NULL, NULL, NULL},
};
