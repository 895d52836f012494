/* Keys: their kinds, their public parts and their counting. See key.h. */
#include "key.h"

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include "connection.h"

const struct key_kind KEY_KINDS[N_KINDS] = {
    [KIND_RSA] = {"RSA", HSM_KEY_TYPE_RSA, 0, HSM_MECHANISM_RSA_KEY_PAIR_GEN, "RSA", NULL},
    [KIND_EC] = {"EC", HSM_KEY_TYPE_EC, 0, HSM_MECHANISM_EC_KEY_PAIR_GEN, "ECDSA", "ECDH"},
    [KIND_ED25519] = {"ED25519", HSM_KEY_TYPE_EC_EDWARDS, HSM_CURVE_ED25519, HSM_MECHANISM_EDWARDS_KEY_PAIR_GEN,
                      "ED25519", NULL},
    [KIND_ED448] = {"ED448", HSM_KEY_TYPE_EC_EDWARDS, HSM_CURVE_ED448, HSM_MECHANISM_EDWARDS_KEY_PAIR_GEN, "ED448",
                    NULL},
    [KIND_X25519] = {"X25519", HSM_KEY_TYPE_EC_MONTGOMERY, HSM_CURVE_X25519, HSM_MECHANISM_MONTGOMERY_KEY_PAIR_GEN,
                     NULL, "X25519"},
    [KIND_X448] = {"X448", HSM_KEY_TYPE_EC_MONTGOMERY, HSM_CURVE_X448, HSM_MECHANISM_MONTGOMERY_KEY_PAIR_GEN, NULL,
                   "X448"},
};

const struct key_kind *key_kind_of(const EVP_PKEY *public_key)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (EVP_PKEY_is_a(public_key, KEY_KINDS[i].name))
            return &KEY_KINDS[i];
    return NULL;
}

struct key *key_new(struct provider *provider, const struct key_kind *kind)
{
    struct key *key = calloc(1, sizeof(*key));

    if (!key)
        return NULL;
    atomic_init(&key->n_users, 1);
    key->provider = provider;
    key->kind = kind;
    return key;
}

struct key *key_hold(struct key *key)
{
    atomic_fetch_add(&key->n_users, 1);
    return key;
}

/* A session object lives as long as somebody has the key. */
static void forget_session_object(const struct key *key)
{
    struct connection *connection;

    if (key->has_private && !key->reference && connection_get(key->provider, &connection))
        hsm_session_forget_object(connection->serving, key->object);
}

void key_release(struct key *key)
{
    if (!key || atomic_fetch_sub(&key->n_users, 1) != 1)
        return;
    forget_session_object(key);
    EVP_PKEY_free(key->public_key);
    hsm_reference_free(key->reference);
    free(key);
}

static EVP_PKEY *read_public(struct provider *provider, const uint8_t *info, size_t info_len)
{
    const unsigned char *at = info;
    EVP_PKEY *public_key = d2i_PUBKEY_ex(NULL, &at, (long)info_len, provider->library, NULL);

    if (!public_key)
        RAISE(provider, REASON_OPENSSL, "%s", "the public key cannot be read");
    return public_key;
}

int key_from_public_info(struct provider *provider, const uint8_t *info, size_t info_len, struct key **key)
{
    EVP_PKEY *public_key = read_public(provider, info, info_len);
    const struct key_kind *kind = public_key ? key_kind_of(public_key) : NULL;
    struct key *made = kind ? key_new(provider, kind) : NULL;

    if (!made) {
        EVP_PKEY_free(public_key);
        return kind ? RAISE(provider, HSM_OUT_OF_MEMORY, "%s", "")
                    : RAISE(provider, REASON_UNSUPPORTED, "%s", "this kind of key");
    }
    made->public_key = public_key;
    *key = made;
    return 1;
}

/* The cluster is opened with the first key, because a server may give up its rights to the files before it uses it. */
int key_from_reference(struct provider *provider, hsm_reference *reference, struct key **key)
{
    size_t info_len;
    const uint8_t *info = hsm_reference_public_key_info(reference, &info_len);
    struct connection *connection;
    struct key *made;

    if (!connection_get(provider, &connection) || !key_from_public_info(provider, info, info_len, &made)) {
        hsm_reference_free(reference);
        return 0;
    }
    made->has_private = true;
    made->object = hsm_reference_key(reference);
    made->reference = reference;
    *key = made;
    return 1;
}

int key_public_info(const struct key *key, unsigned char **info, size_t *info_len)
{
    *info = NULL;
    int len = i2d_PUBKEY(key->public_key, info);

    CHECK(key->provider, len > 0, REASON_OPENSSL, "%s", "the public key cannot be written");
    *info_len = (size_t)len;
    return 1;
}

int key_give(struct key *key, OSSL_CALLBACK *callback, void *argument)
{
    int object_type = OSSL_OBJECT_PKEY;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &object_type),
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, (char *)(uintptr_t)key->kind->name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &key, sizeof(key)),
        OSSL_PARAM_construct_end(),
    };
    int result = callback(params, argument);

    key_release(key); /* the EVP_PKEY has counted it */
    return result;
}
