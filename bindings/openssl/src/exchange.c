/* Key agreement with a static key of the cluster: ECDH, X25519, X448 (provider-keyexch(7)); CMS uses it. The cluster
 * derives; the secret, which the program asks for, is read as a session object and forgotten. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <strings.h>
#include "connection.h"
#include "key.h"
#include "signature.h"

#define NAME_MAX_LEN 50
#define UKM_MAX      1024
#define SECRET_MAX   1024

struct exchange {
    struct provider *provider;
    struct key *key, *peer;
    bool with_kdf; /* ANSI X9.63; otherwise the shared secret itself */
    char digest[NAME_MAX_LEN];
    size_t kdf_len;
    unsigned char ukm[UKM_MAX];
    size_t ukm_len;
};

/* --- life --- */

static void *exchange_new(void *provider)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));

    if (exchange)
        exchange->provider = provider;
    return exchange;
}

static void exchange_free(void *data)
{
    struct exchange *exchange = data;

    key_release(exchange->key);
    key_release(exchange->peer);
    free(exchange);
}

static void *exchange_duplicate(void *data)
{
    const struct exchange *from = data;
    struct exchange *to = exchange_new(from->provider);

    if (!to)
        return NULL;
    *to = *from;
    to->key = from->key ? key_hold(from->key) : NULL;
    to->peer = from->peer ? key_hold(from->peer) : NULL;
    return to;
}

/* --- parameters --- */

static int take_kdf(struct exchange *exchange, const OSSL_PARAM params[])
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_TYPE);
    char name[NAME_MAX_LEN] = "", *at = name;

    if (!param)
        return 1;
    CHECK(exchange->provider, OSSL_PARAM_get_utf8_string(param, &at, sizeof(name)), REASON_PARAMETER, "%s",
          "the KDF's name");
    exchange->with_kdf = strcasecmp(name, OSSL_KDF_NAME_X963KDF) == 0;
    CHECK(exchange->provider, exchange->with_kdf || name[0] == '\0', REASON_UNSUPPORTED, "there is no KDF %s here",
          name);
    return 1;
}

static int take_text(const struct exchange *exchange, const OSSL_PARAM params[], const char *name,
                     char out[NAME_MAX_LEN])
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, name);
    char text[NAME_MAX_LEN] = "", *at = text;

    CHECK(exchange->provider, !param || OSSL_PARAM_get_utf8_string(param, &at, sizeof(text)), REASON_PARAMETER, "%s",
          name);
    if (param)
        memcpy(out, text, sizeof(text));
    return 1;
}

static int take_ukm(struct exchange *exchange, const OSSL_PARAM params[])
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_UKM);
    void *at = exchange->ukm;
    size_t len = 0;

    if (!param)
        return 1;
    /* On failure, too, OpenSSL tells the length that it would have been. */
    CHECK(exchange->provider, OSSL_PARAM_get_octet_string(param, &at, UKM_MAX, &len), REASON_PARAMETER,
          "the shared information is at most %d bytes long", UKM_MAX);
    exchange->ukm_len = len;
    return 1;
}

/* NIST's curves have cofactor 1: both modes are the same. */
static int take_cofactor(const struct exchange *exchange, const OSSL_PARAM params[])
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE);
    int mode = 0;

    CHECK(exchange->provider, !param || (OSSL_PARAM_get_int(param, &mode) && mode >= -1 && mode <= 1), REASON_PARAMETER,
          "%s", "the cofactor mode");
    return 1;
}

static int set_params(void *data, const OSSL_PARAM params[])
{
    struct exchange *exchange = data;
    const OSSL_PARAM *len;

    if (!params)
        return 1;
    TRY(take_kdf(exchange, params));
    TRY(take_text(exchange, params, OSSL_EXCHANGE_PARAM_KDF_DIGEST, exchange->digest));
    TRY(take_ukm(exchange, params));
    TRY(take_cofactor(exchange, params));
    len = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_OUTLEN);
    CHECK(exchange->provider, !len || OSSL_PARAM_get_size_t(len, &exchange->kdf_len), REASON_PARAMETER, "%s",
          "the length of what is derived");
    return 1;
}

static const OSSL_PARAM *settable_params(void *data, void *provider)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_int(OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE, NULL),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_TYPE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_DIGEST_PROPS, NULL, 0),
        OSSL_PARAM_size_t(OSSL_EXCHANGE_PARAM_KDF_OUTLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_EXCHANGE_PARAM_KDF_UKM, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)data;
    (void)provider;
    return PARAMS;
}

static int give(OSSL_PARAM params[], const char *name, const char *text)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);

    return !param || OSSL_PARAM_set_utf8_string(param, text);
}

static int get_params(void *data, OSSL_PARAM params[])
{
    struct exchange *exchange = data;
    OSSL_PARAM *param;

    TRY(give(params, OSSL_EXCHANGE_PARAM_KDF_TYPE, exchange->with_kdf ? OSSL_KDF_NAME_X963KDF : ""));
    TRY(give(params, OSSL_EXCHANGE_PARAM_KDF_DIGEST, exchange->digest));
    if ((param = OSSL_PARAM_locate(params, OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE)) != NULL)
        TRY(OSSL_PARAM_set_int(param, 0));
    if ((param = OSSL_PARAM_locate(params, OSSL_EXCHANGE_PARAM_KDF_OUTLEN)) != NULL)
        TRY(OSSL_PARAM_set_size_t(param, exchange->kdf_len));
    if ((param = OSSL_PARAM_locate(params, OSSL_EXCHANGE_PARAM_KDF_UKM)) != NULL)
        TRY(OSSL_PARAM_set_octet_ptr(param, exchange->ukm, exchange->ukm_len));
    return 1;
}

static const OSSL_PARAM *gettable_params(void *data, void *provider)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_int(OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE, NULL),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_TYPE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_DIGEST, NULL, 0),
        OSSL_PARAM_size_t(OSSL_EXCHANGE_PARAM_KDF_OUTLEN, NULL),
        OSSL_PARAM_octet_ptr(OSSL_EXCHANGE_PARAM_KDF_UKM, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)data;
    (void)provider;
    return PARAMS;
}

/* --- doing --- */

static int init(void *data, void *key, const OSSL_PARAM params[])
{
    struct exchange *exchange = data;

    CHECK(exchange->provider, ((struct key *)key)->has_private, REASON_NO_PRIVATE_KEY, "%s",
          "this is a public key alone");
    key_release(exchange->key);
    exchange->key = key_hold(key);
    return set_params(exchange, params);
}

static int set_peer(void *data, void *peer)
{
    struct exchange *exchange = data;

    key_release(exchange->peer);
    exchange->peer = key_hold(peer);
    return 1;
}

/* Of the shared secret: the length of a field element; of X25519 and X448: of a key. */
static size_t shared_len(const struct key *key)
{
    return ((size_t)EVP_PKEY_get_bits(key->public_key) + 7) / 8;
}

static int read_secret(struct provider *provider, hsm_session *session, hsm_key secret, unsigned char *out, size_t len)
{
    const uint32_t wanted[] = {HSM_ATTR_VALUE};
    hsm_attributes *attributes = NULL;
    size_t value_len = 0;

    HSM(provider, hsm_object_get(session, secret, wanted, 1, &attributes));
    const uint8_t *value = hsm_attributes_bytes(attributes, HSM_ATTR_VALUE, &value_len);
    bool fits = value && value_len == len;

    if (fits)
        memcpy(out, value, len);
    hsm_attributes_free(attributes);
    CHECK(provider, fits, HSM_INTERNAL, "the secret is %zu bytes long, not %zu", value_len, len);
    return 1;
}

static int derive_as(const struct exchange *exchange, const hsm_mechanism *mechanism, unsigned char *out, size_t len)
{
    static const uint64_t SECRET_KEY = HSM_CLASS_SECRET_KEY, GENERIC = HSM_KEY_TYPE_GENERIC_SECRET;
    const uint64_t value_len = len;
    const hsm_attribute attributes[] = {
        hsm_attribute_uint(HSM_ATTR_CLASS, &SECRET_KEY),    hsm_attribute_uint(HSM_ATTR_KEY_TYPE, &GENERIC),
        hsm_attribute_uint(HSM_ATTR_VALUE_LEN, &value_len), hsm_attribute_bool(HSM_ATTR_SENSITIVE, 0),
        hsm_attribute_bool(HSM_ATTR_EXTRACTABLE, 1),
    };
    struct provider *provider = exchange->provider;
    struct connection *connection;
    hsm_key secret;

    TRY(connection_get(provider, &connection));
    HSM(provider, hsm_derive(connection->serving, exchange->key->object, mechanism, attributes,
                             sizeof(attributes) / sizeof(attributes[0]), &secret));
    int result = read_secret(provider, connection->serving, secret, out, len);

    hsm_session_forget_object(connection->serving, secret);
    return result;
}

static int derive(void *data, unsigned char *out, size_t *out_len, size_t room)
{
    const struct exchange *exchange = data;
    struct provider *provider = exchange->provider;
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_ECDH);
    unsigned char *peer = NULL;

    CHECK(provider, exchange->key && exchange->peer, REASON_PARAMETER, "%s", "the other's public key is missing");
    size_t len = exchange->with_kdf ? exchange->kdf_len : shared_len(exchange->key);

    CHECK(provider, len > 0 && len <= SECRET_MAX, REASON_PARAMETER, "at most %d bytes are derived", SECRET_MAX);
    *out_len = len;
    if (!out)
        return 1;
    CHECK(provider, room >= len, HSM_BUFFER_TOO_SMALL, "the secret takes %zu bytes", len);
    if (exchange->with_kdf) {
        mechanism.kdf = HSM_KDF_X963;
        mechanism.hash = hash_of_name(exchange->digest);
        mechanism.shared_info = exchange->ukm;
        mechanism.shared_info_len = exchange->ukm_len;
        CHECK(provider, mechanism.hash != HSM_HASH_NONE, REASON_PARAMETER, "no KDF with the digest \"%s\"",
              exchange->digest);
    }
    TRY(key_public_info(exchange->peer, &peer, &mechanism.peer_public_len));
    mechanism.peer_public = peer;
    int result = derive_as(exchange, &mechanism, out, len);

    OPENSSL_free(peer);
    return result;
}

static const OSSL_DISPATCH FUNCTIONS[] = {
    {OSSL_FUNC_KEYEXCH_NEWCTX, (void (*)(void))exchange_new},
    {OSSL_FUNC_KEYEXCH_FREECTX, (void (*)(void))exchange_free},
    {OSSL_FUNC_KEYEXCH_DUPCTX, (void (*)(void))exchange_duplicate},
    {OSSL_FUNC_KEYEXCH_INIT, (void (*)(void))init},
    {OSSL_FUNC_KEYEXCH_SET_PEER, (void (*)(void))set_peer},
    {OSSL_FUNC_KEYEXCH_DERIVE, (void (*)(void))derive},
    {OSSL_FUNC_KEYEXCH_SET_CTX_PARAMS, (void (*)(void))set_params},
    {OSSL_FUNC_KEYEXCH_SETTABLE_CTX_PARAMS, (void (*)(void))settable_params},
    {OSSL_FUNC_KEYEXCH_GET_CTX_PARAMS, (void (*)(void))get_params},
    {OSSL_FUNC_KEYEXCH_GETTABLE_CTX_PARAMS, (void (*)(void))gettable_params},
    {0, NULL},
};

const OSSL_ALGORITHM EXCHANGE_ALGORITHMS[] = {
    {"ECDH", PROVIDER_PROPERTIES, FUNCTIONS, "ECDH by the cluster"},
    {"X25519:1.3.101.110", PROVIDER_PROPERTIES, FUNCTIONS, "X25519 by the cluster"},
    {"X448:1.3.101.111", PROVIDER_PROPERTIES, FUNCTIONS, "X448 by the cluster"},
    {NULL, NULL, NULL, NULL},
};
