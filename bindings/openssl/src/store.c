/* OSSL_STORE over the cluster (provider-storemgmt(7)): `openssl ... -key hsm:label=web`, `openssl storeutl hsm:`. */
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>
#include <openssl/store.h>
#include <stdlib.h>
#include "connection.h"
#include "key.h"
#include "uri.h"

struct store {
    struct provider *provider;
    struct uri uri;
    int expected; /* OSSL_STORE_INFO_...; 0: anything */
    hsm_find *find;
    uint64_t finding; /* the class that `find` looks for */
    bool at_end;
};

/* --- life --- */

static int open_checked(struct provider *provider, const char *text, struct store **store)
{
    struct uri uri;

    TRY(uri_parse(provider, text, &uri));
    CHECK(provider, uri.object_class != HSM_CLASS_SECRET_KEY, REASON_UNSUPPORTED, "%s",
          "OpenSSL's stores hold no secret keys: ciphers and MACs take them by the parameter hsm-key");
    *store = calloc(1, sizeof(**store));
    CHECK(provider, *store, HSM_OUT_OF_MEMORY, "%s", "");
    (*store)->provider = provider;
    (*store)->uri = uri;
    return 1;
}

static void *store_open(void *provider, const char *text)
{
    struct store *store = NULL;

    return open_checked(provider, text, &store) ? store : NULL;
}

static int store_close(void *data)
{
    struct store *store = data;

    hsm_find_close(store->find);
    free(store);
    return 1;
}

static const OSSL_PARAM *settable_params(void *provider)
{
    static const OSSL_PARAM PARAMS[] = {OSSL_PARAM_int(OSSL_STORE_PARAM_EXPECT, NULL), OSSL_PARAM_END};

    (void)provider;
    return PARAMS;
}

static int set_params(void *data, const OSSL_PARAM params[])
{
    struct store *store = data;
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, OSSL_STORE_PARAM_EXPECT);

    return !param || OSSL_PARAM_get_int(param, &store->expected);
}

/* --- which classes --- */

static bool is_wanted(const struct store *store, uint64_t object_class)
{
    static const struct {
        uint64_t object_class;
        int info;
    } INFOS[] = {{HSM_CLASS_PRIVATE_KEY, OSSL_STORE_INFO_PKEY},
                 {HSM_CLASS_CERTIFICATE, OSSL_STORE_INFO_CERT},
                 {HSM_CLASS_PUBLIC_KEY, OSSL_STORE_INFO_PUBKEY}};

    for (size_t i = 0; i < sizeof(INFOS) / sizeof(INFOS[0]); i++) {
        if (INFOS[i].object_class != object_class)
            continue;
        if (store->uri.object_class != 0 && store->uri.object_class != object_class)
            return false;
        if (store->expected != 0)
            return store->expected == INFOS[i].info;
        /* A public key says nothing that its private key does not: given when it is asked for. */
        return object_class != HSM_CLASS_PUBLIC_KEY || store->uri.object_class == object_class;
    }
    return false;
}

/* The next class to look for; 0 when all were looked for. */
static uint64_t next_class(const struct store *store, uint64_t after)
{
    static const uint64_t ORDER[] = {HSM_CLASS_PRIVATE_KEY, HSM_CLASS_PUBLIC_KEY, HSM_CLASS_CERTIFICATE};
    bool passed = after == 0;

    for (size_t i = 0; i < sizeof(ORDER) / sizeof(ORDER[0]); i++) {
        if (passed && is_wanted(store, ORDER[i]))
            return ORDER[i];
        passed |= ORDER[i] == after;
    }
    return 0;
}

/* --- finding --- */

static const uint32_t WANTED[] = {HSM_ATTR_CLASS, HSM_ATTR_KEY_TYPE, HSM_ATTR_TOKEN, HSM_ATTR_LABEL,
                                  HSM_ATTR_PUBLIC_KEY_INFO};
static const uint32_t WANTED_OF_CERTIFICATES[] = {HSM_ATTR_CLASS, HSM_ATTR_LABEL, HSM_ATTR_VALUE};
#define N_WANTED                 (sizeof(WANTED) / sizeof(WANTED[0]))
#define N_WANTED_OF_CERTIFICATES (sizeof(WANTED_OF_CERTIFICATES) / sizeof(WANTED_OF_CERTIFICATES[0]))

static int begin(struct store *store, uint64_t object_class)
{
    hsm_attribute attributes[URI_ATTRIBUTES_MAX];
    struct connection *connection;
    bool certificate = object_class == HSM_CLASS_CERTIFICATE;

    TRY(connection_get(store->provider, &connection));
    store->finding = object_class;
    size_t n = uri_template(&store->uri, &store->finding, attributes);

    hsm_find_close(store->find);
    store->find = NULL;
    HSM(store->provider,
        hsm_find_open(connection->managing, attributes, n, certificate ? WANTED_OF_CERTIFICATES : WANTED,
                      certificate ? N_WANTED_OF_CERTIFICATES : N_WANTED, &store->find));
    return 1;
}

/* The next object; `attributes` NULL: there is none. */
static int next_object(struct store *store, hsm_key *object, hsm_attributes **attributes)
{
    *attributes = NULL;
    while (!store->at_end) {
        size_t n = 0;

        if (store->find)
            HSM(store->provider, hsm_find_next(store->find, object, attributes, 1, &n));
        if (n == 1)
            return 1;
        uint64_t object_class = next_class(store, store->finding);

        if (object_class == 0)
            store->at_end = true;
        else
            TRY(begin(store, object_class));
    }
    return 1;
}

/* Asked for its class first, because a certificate's value is wanted, and no other's. */
static int named_object(struct store *store, hsm_key *object, hsm_attributes **attributes)
{
    struct connection *connection;

    *object = store->uri.object;
    store->at_end = true;
    TRY(connection_get(store->provider, &connection));
    HSM(store->provider, hsm_object_get(connection->managing, *object, WANTED, N_WANTED, attributes));
    uint64_t object_class = hsm_attributes_uint(*attributes, HSM_ATTR_CLASS, 0);
    bool as_named = store->uri.object_class == 0 || store->uri.object_class == object_class;

    if (as_named && object_class != HSM_CLASS_CERTIFICATE)
        return 1;
    hsm_attributes_free(*attributes);
    *attributes = NULL;
    CHECK(store->provider, as_named, HSM_OBJECT_NOT_FOUND, "%s", "the object is of another type than the URI says");
    HSM(store->provider,
        hsm_object_get(connection->managing, *object, WANTED_OF_CERTIFICATES, N_WANTED_OF_CERTIFICATES, attributes));
    return 1;
}

/* --- giving --- */

static int give_private(struct provider *provider, hsm_key object, const hsm_attributes *attributes,
                        OSSL_CALLBACK *callback, void *argument)
{
    struct connection *connection;
    hsm_reference *reference;
    struct key *key;

    TRY(connection_get(provider, &connection));
    HSM(provider, hsm_reference_make(connection->managing, object, attributes, &reference));
    TRY(key_from_reference(provider, reference, &key));
    return key_give(key, callback, argument);
}

static int give_public(struct provider *provider, const hsm_attributes *attributes, OSSL_CALLBACK *callback,
                       void *argument)
{
    size_t info_len;
    const uint8_t *info = hsm_attributes_bytes(attributes, HSM_ATTR_PUBLIC_KEY_INFO, &info_len);
    struct key *key;

    CHECK(provider, info, REASON_UNSUPPORTED, "%s", "the object has no public key");
    TRY(key_from_public_info(provider, info, info_len, &key));
    return key_give(key, callback, argument);
}

static int give_certificate(struct provider *provider, const hsm_attributes *attributes, OSSL_CALLBACK *callback,
                            void *argument)
{
    int object_type = OSSL_OBJECT_CERT;
    size_t der_len;
    const uint8_t *der = hsm_attributes_bytes(attributes, HSM_ATTR_VALUE, &der_len);

    CHECK(provider, der, REASON_UNSUPPORTED, "%s", "the object has no certificate in it");
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &object_type),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_DATA, (void *)(uintptr_t)der, der_len),
        OSSL_PARAM_construct_end(),
    };

    return callback(params, argument);
}

static int give(struct store *store, hsm_key object, const hsm_attributes *attributes, OSSL_CALLBACK *callback,
                void *argument)
{
    switch (hsm_attributes_uint(attributes, HSM_ATTR_CLASS, 0)) {
    case HSM_CLASS_PRIVATE_KEY:
        return give_private(store->provider, object, attributes, callback, argument);
    case HSM_CLASS_PUBLIC_KEY:
        return give_public(store->provider, attributes, callback, argument);
    case HSM_CLASS_CERTIFICATE:
        return give_certificate(store->provider, attributes, callback, argument);
    default:
        return RAISE(store->provider, REASON_UNSUPPORTED, "%s",
                     "only asymmetric keys and certificates are objects here");
    }
}

static int load(void *data, OSSL_CALLBACK *callback, void *argument, OSSL_PASSPHRASE_CALLBACK *ask, void *ask_argument)
{
    struct store *store = data;
    hsm_attributes *attributes = NULL;
    hsm_key object = {{0}};

    (void)ask;
    (void)ask_argument;
    if (!(store->uri.by_object ? named_object : next_object)(store, &object, &attributes)) {
        store->at_end = true; /* a program that goes on after an error would ask for ever */
        return 0;
    }
    if (!attributes)
        return 0; /* the end: not an error to tell */
    int result = give(store, object, attributes, callback, argument);

    hsm_attributes_free(attributes);
    return result;
}

static int at_end(void *data)
{
    const struct store *store = data;

    return store->at_end;
}

static const OSSL_DISPATCH FUNCTIONS[] = {
    {OSSL_FUNC_STORE_OPEN, (void (*)(void))store_open},
    {OSSL_FUNC_STORE_SETTABLE_CTX_PARAMS, (void (*)(void))settable_params},
    {OSSL_FUNC_STORE_SET_CTX_PARAMS, (void (*)(void))set_params},
    {OSSL_FUNC_STORE_LOAD, (void (*)(void))load},
    {OSSL_FUNC_STORE_EOF, (void (*)(void))at_end},
    {OSSL_FUNC_STORE_CLOSE, (void (*)(void))store_close},
    {0, NULL},
};

const OSSL_ALGORITHM STORE_ALGORITHMS[] = {
    {"hsm", PROVIDER_PROPERTIES, FUNCTIONS, "objects of the cluster"},
    {NULL, NULL, NULL, NULL},
};
