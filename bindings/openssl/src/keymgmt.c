/* Key management (provider-keymgmt(7)): keys of the cluster as EVP_PKEYs. Everything about the public part is answered
 * by OpenSSL's default provider; the private part has nothing to answer: it is in the cluster. */
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include "generate.h"
#include "key.h"

#define PRIVATE OSSL_KEYMGMT_SELECT_PRIVATE_KEY
#define PUBLIC  OSSL_KEYMGMT_SELECT_PUBLIC_KEY

/* --- life --- */

static void *load(const void *reference, size_t reference_len)
{
    struct key *key = NULL;

    if (reference_len != sizeof(key))
        return NULL;
    memcpy(&key, reference, sizeof(key));
    return key_hold(key);
}

static void release(void *data)
{
    key_release(data);
}

/* What a key of another is to begin with: its curve. */
static struct key *copy_parameters(const struct key *from)
{
    struct key *to = key_new(from->provider, from->kind);

    if (!to)
        return NULL;
    to->is_template = true;
    to->public_key = EVP_PKEY_new();
    if (to->public_key && from->public_key && EVP_PKEY_missing_parameters(from->public_key) == 0 &&
        EVP_PKEY_copy_parameters(to->public_key, from->public_key) == 1)
        return to;
    key_release(to);
    return NULL;
}

static struct key *copy_public(const struct key *from)
{
    struct key *to = key_new(from->provider, from->kind);

    if (!to)
        return NULL;
    EVP_PKEY_up_ref(from->public_key);
    to->public_key = from->public_key;
    return to;
}

/* A complete key never changes: the copy is the same key. */
static void *duplicate(const void *data, int selection)
{
    const struct key *key = data;

    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0 || key->is_template)
        return copy_parameters(key);
    if ((selection & PRIVATE) == 0 && key->has_private)
        return copy_public(key);
    return key_hold((struct key *)(uintptr_t)data);
}

/* --- asking --- */

static int has(const void *data, int selection)
{
    const struct key *key = data;

    if (!key)
        return 0;
    if ((selection & PRIVATE) && !key->has_private)
        return 0;
    if ((selection & PUBLIC) && key->is_template)
        return 0;
    return (selection & (PUBLIC | OSSL_KEYMGMT_SELECT_ALL_PARAMETERS)) == 0 || key->public_key != NULL;
}

/* Two private keys are the same when their public keys are: a pair is made together. */
static int match(const void *a, const void *b, int selection)
{
    const struct key *one = a, *other = b;

    if (!one->public_key || !other->public_key)
        return 0;
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
        return EVP_PKEY_parameters_eq(one->public_key, other->public_key) == 1;
    return EVP_PKEY_eq(one->public_key, other->public_key) == 1;
}

static int validate(const void *data, int selection, int check_type)
{
    const struct key *key = data;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(key->provider->library, key->public_key, NULL);
    int result = has(data, selection) && context != NULL;

    if (result && (selection & PUBLIC))
        result = check_type == OSSL_KEYMGMT_VALIDATE_QUICK_CHECK ? EVP_PKEY_public_check_quick(context)
                                                                 : EVP_PKEY_public_check(context);
    EVP_PKEY_CTX_free(context);
    return result == 1;
}

static int get_params(void *data, OSSL_PARAM params[])
{
    const struct key *key = data;

    return EVP_PKEY_get_params(key->public_key, params) == 1;
}

/* The union of what public keys of any kind tell: asked for without a key. */
static const OSSL_PARAM *gettable_params(void *context)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_X, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_Y, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_ENCODING, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_FIELD_TYPE, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)context;
    return PARAMS;
}

/* The other's public key in a key agreement: the parameters were copied, the point follows. */
static int set_params(void *data, const OSSL_PARAM params[])
{
    struct key *key = data;

    if (!params || !params->key)
        return 1;
    CHECK(key->provider, key->is_template, REASON_PARAMETER, "%s", "a complete key cannot be changed");
    TRY(EVP_PKEY_set_params(key->public_key, (OSSL_PARAM *)(uintptr_t)params));
    key->is_template = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY) == NULL;
    return 1;
}

static const OSSL_PARAM *settable_params(void *context)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)context;
    return PARAMS;
}

/* --- giving out and taking in --- */

static int export_key(void *data, int selection, OSSL_CALLBACK *callback, void *argument)
{
    const struct key *key = data;
    OSSL_PARAM *params = NULL;

    /* Not an error to tell: OpenSSL asks every provider before it turns to the key's own. */
    if ((selection & PRIVATE) && key->has_private)
        return 0;
    if (EVP_PKEY_todata(key->public_key, selection & ~PRIVATE, &params) != 1)
        return 0;
    int result = callback(params, argument);

    OSSL_PARAM_free(params);
    return result;
}

static const OSSL_PARAM *key_params(int selection)
{
    static const OSSL_PARAM PUBLIC_PARAMS[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_END,
    };

    return selection & (PUBLIC | OSSL_KEYMGMT_SELECT_ALL_PARAMETERS) ? PUBLIC_PARAMS : NULL;
}

static int import_private(struct key *key, EVP_PKEY *pair)
{
    struct provider *provider = key->provider;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pair);
    unsigned char *der = NULL;
    int der_len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;

    PKCS8_PRIV_KEY_INFO_free(info);
    CHECK(provider, der_len > 0, REASON_OPENSSL, "%s", "the private key cannot be written");
    int result = import_pkcs8(key, der, (size_t)der_len);

    OPENSSL_clear_free(der, (size_t)der_len);
    return result;
}

static int import_key(void *data, int selection, const OSSL_PARAM params[])
{
    struct key *key = data;
    struct provider *provider = key->provider;
    bool private = (selection & PRIVATE) != 0 &&
                   OSSL_PARAM_locate_const(params, key->kind->key_type == HSM_KEY_TYPE_RSA ? OSSL_PKEY_PARAM_RSA_D
                                                                                           : OSSL_PKEY_PARAM_PRIV_KEY);

    CHECK(provider, !private || provider->allow_import, REASON_UNSUPPORTED, "%s",
          "private keys are taken in when the provider's section of openssl.cnf says import = yes");
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(provider->library, key->kind->name, NULL);
    EVP_PKEY *made = NULL;
    int result = context && EVP_PKEY_fromdata_init(context) == 1 &&
                 EVP_PKEY_fromdata(context, &made, private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                                   (OSSL_PARAM *)(uintptr_t)params) == 1;

    EVP_PKEY_CTX_free(context);
    CHECK(provider, result, REASON_PARAMETER, "%s", "the key's parameters are not valid");
    if (private)
        result = import_private(key, made);
    else
        key->public_key = EVP_PKEY_dup(made);
    EVP_PKEY_free(made);
    return result && key->public_key != NULL;
}

static const char *operation_name(const struct key_kind *kind, int operation)
{
    switch (operation) {
    case OSSL_OP_SIGNATURE:
        return kind->signature;
    case OSSL_OP_KEYEXCH:
        return kind->exchange;
    default:
        return kind->name;
    }
}

/* --- the tables: one for each kind --- */

#define KIND_FUNCTIONS(kind)                                                                                           \
    static void *new_##kind(void *provider)                                                                            \
    {                                                                                                                  \
        return key_new(provider, &KEY_KINDS[KIND_##kind]);                                                             \
    }                                                                                                                  \
    static void *generate_init_##kind(void *provider, int selection, const OSSL_PARAM params[])                        \
    {                                                                                                                  \
        return generation_new(provider, &KEY_KINDS[KIND_##kind], selection, params);                                   \
    }                                                                                                                  \
    static const OSSL_PARAM *generate_settable_##kind(void *generation, void *provider)                                \
    {                                                                                                                  \
        (void)generation;                                                                                              \
        (void)provider;                                                                                                \
        return generation_settable(&KEY_KINDS[KIND_##kind]);                                                           \
    }                                                                                                                  \
    static const char *operation_name_##kind(int operation)                                                            \
    {                                                                                                                  \
        return operation_name(&KEY_KINDS[KIND_##kind], operation);                                                     \
    }                                                                                                                  \
    static const OSSL_DISPATCH FUNCTIONS_##kind[] = {                                                                  \
        {OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))new_##kind},                                                           \
        {OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))release},                                                             \
        {OSSL_FUNC_KEYMGMT_LOAD, (void (*)(void))load},                                                                \
        {OSSL_FUNC_KEYMGMT_DUP, (void (*)(void))duplicate},                                                            \
        {OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))has},                                                                  \
        {OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))match},                                                              \
        {OSSL_FUNC_KEYMGMT_VALIDATE, (void (*)(void))validate},                                                        \
        {OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))get_params},                                                    \
        {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))gettable_params},                                          \
        {OSSL_FUNC_KEYMGMT_SET_PARAMS, (void (*)(void))set_params},                                                    \
        {OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, (void (*)(void))settable_params},                                          \
        {OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))export_key},                                                        \
        {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))key_params},                                                  \
        {OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))import_key},                                                        \
        {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))key_params},                                                  \
        {OSSL_FUNC_KEYMGMT_GEN_INIT, (void (*)(void))generate_init_##kind},                                            \
        {OSSL_FUNC_KEYMGMT_GEN_SET_TEMPLATE, (void (*)(void))generation_set_template},                                 \
        {OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, (void (*)(void))generation_set_params},                                     \
        {OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, (void (*)(void))generate_settable_##kind},                             \
        {OSSL_FUNC_KEYMGMT_GEN, (void (*)(void))generation_run},                                                       \
        {OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (void (*)(void))generation_free},                                              \
        {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (void (*)(void))operation_name_##kind},                               \
        {0, NULL},                                                                                                     \
    };

KIND_FUNCTIONS(RSA)
KIND_FUNCTIONS(EC)
KIND_FUNCTIONS(ED25519)
KIND_FUNCTIONS(ED448)
KIND_FUNCTIONS(X25519)
KIND_FUNCTIONS(X448)

/* Names and object identifiers as OpenSSL's default provider registers them, so that both mean the same. */
const OSSL_ALGORITHM KEYMGMT_ALGORITHMS[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROVIDER_PROPERTIES, FUNCTIONS_RSA, "RSA key in the cluster"},
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", PROVIDER_PROPERTIES, FUNCTIONS_EC, "EC key in the cluster"},
    {"ED25519:1.3.101.112", PROVIDER_PROPERTIES, FUNCTIONS_ED25519, "Ed25519 key in the cluster"},
    {"ED448:1.3.101.113", PROVIDER_PROPERTIES, FUNCTIONS_ED448, "Ed448 key in the cluster"},
    {"X25519:1.3.101.110", PROVIDER_PROPERTIES, FUNCTIONS_X25519, "X25519 key in the cluster"},
    {"X448:1.3.101.111", PROVIDER_PROPERTIES, FUNCTIONS_X448, "X448 key in the cluster"},
    {NULL, NULL, NULL, NULL},
};
