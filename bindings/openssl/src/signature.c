/* Signatures (provider-signature(7)). Everything but the private operation is done by a twin: a verification context of
 * OpenSSL's default provider over the public key. It takes every parameter that the program sets, checks it, answers
 * what the program asks (the AlgorithmIdentifier of a certificate, for example), and verifies. To sign, the parameters
 * are read back from it, the message is hashed here, and the digest goes to the cluster. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include "key.h"
#include "signature.h"

struct signature {
    struct provider *provider;
    struct key *key;
    bool signs;
    EVP_MD_CTX *twin_digest; /* of digest-sign and digest-verify: owns the twin then */
    EVP_PKEY_CTX *twin;
    EVP_MD_CTX *digest; /* of the message to be signed; NULL: none, the message itself is signed */
};

/* --- life --- */

static void *signature_new(void *provider, const char *properties)
{
    struct signature *signature = calloc(1, sizeof(*signature));

    (void)properties;
    if (signature)
        signature->provider = provider;
    return signature;
}

static void signature_empty(struct signature *signature)
{
    if (signature->twin_digest)
        EVP_MD_CTX_free(signature->twin_digest);
    else
        EVP_PKEY_CTX_free(signature->twin);
    EVP_MD_CTX_free(signature->digest);
    key_release(signature->key);
    *signature = (struct signature){.provider = signature->provider};
}

static void signature_free(void *data)
{
    signature_empty(data);
    free(data);
}

static bool copy_twin(const struct signature *from, struct signature *to)
{
    if (!from->twin_digest)
        return !from->twin || (to->twin = EVP_PKEY_CTX_dup(from->twin)) != NULL;
    to->twin_digest = EVP_MD_CTX_new();
    if (!to->twin_digest || !EVP_MD_CTX_copy_ex(to->twin_digest, from->twin_digest))
        return false;
    to->twin = EVP_MD_CTX_get_pkey_ctx(to->twin_digest);
    return true;
}

static bool copy_digest(const struct signature *from, struct signature *to)
{
    if (!from->digest)
        return true;
    to->digest = EVP_MD_CTX_new();
    return to->digest && EVP_MD_CTX_copy_ex(to->digest, from->digest);
}

static void *signature_duplicate(void *data)
{
    const struct signature *from = data;
    struct signature *to = signature_new(from->provider, NULL);

    if (!to)
        return NULL;
    to->signs = from->signs;
    to->key = from->key ? key_hold(from->key) : NULL;
    if (!copy_twin(from, to) || !copy_digest(from, to)) {
        signature_free(to);
        return NULL;
    }
    return to;
}

/* --- beginning --- */

static int take_key(struct signature *signature, void *data, bool signs)
{
    struct key *key = data;

    CHECK(signature->provider, key || signature->key, REASON_NO_PRIVATE_KEY, "%s", "no key was given");
    if (key) {
        key_hold(key);
        key_release(signature->key);
        signature->key = key;
    }
    CHECK(signature->provider, !signs || signature->key->has_private, REASON_NO_PRIVATE_KEY, "%s",
          "this is a public key alone");
    signature->signs = signs;
    return 1;
}

static int check_begun(const struct signature *signature, const void *what)
{
    CHECK(signature->provider, what, REASON_PARAMETER, "%s", "the operation has not begun");
    return 1;
}

static int set_params(void *data, const OSSL_PARAM params[])
{
    const struct signature *signature = data;

    if (!params || !params->key)
        return 1;
    TRY(check_begun(signature, signature->twin));
    return EVP_PKEY_CTX_set_params(signature->twin, params) == 1 &&
           (!signature->signs || signature_allows(signature->key, params));
}

static int begin(struct signature *signature, void *key, const OSSL_PARAM params[], bool signs)
{
    TRY(take_key(signature, key, signs));
    EVP_PKEY_CTX *twin = EVP_PKEY_CTX_new_from_pkey(signature->provider->library, signature->key->public_key, NULL);

    if (!twin || EVP_PKEY_verify_init(twin) != 1) {
        EVP_PKEY_CTX_free(twin);
        return RAISE(signature->provider, REASON_UNSUPPORTED, "%s", "this kind of key signs whole messages alone");
    }
    if (!signature->twin_digest)
        EVP_PKEY_CTX_free(signature->twin);
    EVP_MD_CTX_free(signature->twin_digest);
    signature->twin_digest = NULL;
    signature->twin = twin;
    return set_params(signature, params);
}

static int sign_init(void *data, void *key, const OSSL_PARAM params[])
{
    return begin(data, key, params, true);
}

static int verify_init(void *data, void *key, const OSSL_PARAM params[])
{
    return begin(data, key, params, false);
}

static bool signs_whole_messages(const struct signature *signature)
{
    return signature->key->kind->key_type == HSM_KEY_TYPE_EC_EDWARDS;
}

/* The message is hashed here when it is to be signed, with the digest that the twin has settled on; the twin hashes
 * what it verifies. */
static int begin_hashing(struct signature *signature)
{
    EVP_MD_CTX_free(signature->digest);
    signature->digest = NULL;
    if (!signature->signs || signs_whole_messages(signature))
        return 1;
    const EVP_MD *md = EVP_MD_CTX_get0_md(signature->twin_digest);

    CHECK(signature->provider, md, REASON_PARAMETER, "%s", "with which digest?");
    signature->digest = EVP_MD_CTX_new();
    CHECK(signature->provider, signature->digest && EVP_DigestInit_ex2(signature->digest, md, NULL) == 1,
          REASON_OPENSSL, "no hashing with %s", EVP_MD_get0_name(md));
    return 1;
}

/* `name` NULL: begun again without saying with which digest, that is, with the same. */
static int start_digest(struct signature *signature, const char *name, void *key, const OSSL_PARAM params[], bool signs)
{
    TRY(take_key(signature, key, signs));
    if (!name && signature->twin_digest && EVP_MD_CTX_get0_md(signature->twin_digest))
        name = EVP_MD_get0_name(EVP_MD_CTX_get0_md(signature->twin_digest));
    EVP_MD_CTX *twin_digest = EVP_MD_CTX_new();
    EVP_PKEY_CTX *twin = NULL;

    if (!twin_digest || EVP_DigestVerifyInit_ex(twin_digest, &twin, name, signature->provider->library, NULL,
                                                signature->key->public_key, NULL) != 1) {
        EVP_MD_CTX_free(twin_digest);
        return RAISE(signature->provider, REASON_PARAMETER, "%s with %s", signature->key->kind->name,
                     name ? name : "its default digest");
    }
    if (!signature->twin_digest)
        EVP_PKEY_CTX_free(signature->twin);
    EVP_MD_CTX_free(signature->twin_digest);
    signature->twin_digest = twin_digest;
    signature->twin = twin;
    TRY(set_params(signature, params));
    return begin_hashing(signature);
}

/* OpenSSL lets a program go on with what has not begun, unless that program looks: then there is nothing to go on with.
 */
static int begin_digest(struct signature *signature, const char *name, void *key, const OSSL_PARAM params[], bool signs)
{
    if (start_digest(signature, name, key, params, signs))
        return 1;
    signature_empty(signature);
    return 0;
}

static int digest_sign_init(void *data, const char *name, void *key, const OSSL_PARAM params[])
{
    return begin_digest(data, name, key, params, true);
}

static int digest_verify_init(void *data, const char *name, void *key, const OSSL_PARAM params[])
{
    return begin_digest(data, name, key, params, false);
}

/* --- signing --- */

static int signature_len(const struct signature *signature, size_t *len)
{
    int size = EVP_PKEY_get_size(signature->key->public_key);

    CHECK(signature->provider, size > 0, REASON_OPENSSL, "%s", "the key has no size");
    *len = (size_t)size;
    return 1;
}

/* The parameters as the program set them, and data as the cluster signs it. */
static int sign_data(struct signature *signature, unsigned char *out, size_t *out_len, size_t room,
                     const unsigned char *data, size_t data_len, bool is_digest)
{
    size_t needed = 0;

    TRY(check_begun(signature, signature->twin));
    TRY(signature_len(signature, &needed));
    if (!out) {
        *out_len = needed;
        return 1;
    }
    CHECK(signature->provider, room >= needed, HSM_BUFFER_TOO_SMALL, "the signature takes %zu bytes", needed);
    *out_len = room;
    return signature_make(signature->key, signature->twin, is_digest, data, data_len, out, out_len);
}

static int sign(void *data, unsigned char *out, size_t *out_len, size_t room, const unsigned char *tbs, size_t tbs_len)
{
    return sign_data(data, out, out_len, room, tbs, tbs_len, true);
}

static int digest_sign_update(void *data, const unsigned char *part, size_t part_len)
{
    struct signature *signature = data;

    CHECK(signature->provider, signature->digest, REASON_UNSUPPORTED, "%s",
          "this kind of key signs a message as a whole");
    return EVP_DigestUpdate(signature->digest, part, part_len);
}

static int digest_sign_final(void *data, unsigned char *out, size_t *out_len, size_t room)
{
    struct signature *signature = data;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;

    CHECK(signature->provider, signature->digest, REASON_UNSUPPORTED, "%s",
          "this kind of key signs a message as a whole");
    if (out)
        TRY(EVP_DigestFinal_ex(signature->digest, digest, &digest_len));
    return sign_data(signature, out, out_len, room, digest, digest_len, true);
}

/* Of a whole message: the only way for Edwards keys, whose hash takes the message in twice (RFC 8032). */
static int digest_sign(void *data, unsigned char *out, size_t *out_len, size_t room, const unsigned char *message,
                       size_t message_len)
{
    struct signature *signature = data;

    TRY(check_begun(signature, signature->twin));
    if (signs_whole_messages(signature))
        return sign_data(signature, out, out_len, room, message, message_len, false);
    TRY(check_begun(signature, signature->digest));
    if (out)
        TRY(EVP_DigestUpdate(signature->digest, message, message_len));
    return digest_sign_final(signature, out, out_len, room);
}

/* --- verifying: the twin's; its negative results are errors as well, which to a careless program would be true --- */

static int verify(void *data, const unsigned char *value, size_t value_len, const unsigned char *tbs, size_t tbs_len)
{
    const struct signature *signature = data;

    return EVP_PKEY_verify(signature->twin, value, value_len, tbs, tbs_len) == 1;
}

static int digest_verify_update(void *data, const unsigned char *part, size_t part_len)
{
    const struct signature *signature = data;

    TRY(check_begun(signature, signature->twin_digest));
    return EVP_DigestVerifyUpdate(signature->twin_digest, part, part_len) == 1;
}

static int digest_verify_final(void *data, const unsigned char *value, size_t value_len)
{
    const struct signature *signature = data;

    TRY(check_begun(signature, signature->twin_digest));
    return EVP_DigestVerifyFinal(signature->twin_digest, value, value_len) == 1;
}

static int digest_verify(void *data, const unsigned char *value, size_t value_len, const unsigned char *message,
                         size_t message_len)
{
    const struct signature *signature = data;

    TRY(check_begun(signature, signature->twin_digest));
    return EVP_DigestVerify(signature->twin_digest, value, value_len, message, message_len) == 1;
}

/* What stands in a signature is seen with the public key alone. */
static int verify_recover_init(void *data, void *key, const OSSL_PARAM params[])
{
    struct signature *signature = data;

    TRY(begin(signature, key, NULL, false));
    TRY(EVP_PKEY_verify_recover_init(signature->twin));
    return set_params(signature, params);
}

static int verify_recover(void *data, unsigned char *out, size_t *out_len, size_t room, const unsigned char *value,
                          size_t value_len)
{
    const struct signature *signature = data;

    *out_len = room;
    return EVP_PKEY_verify_recover(signature->twin, out, out_len, value, value_len) == 1;
}

/* --- parameters: the twin's --- */

static int get_params(void *data, OSSL_PARAM params[])
{
    const struct signature *signature = data;

    return !signature->twin || EVP_PKEY_CTX_get_params(signature->twin, params) == 1;
}

static const OSSL_PARAM *gettable_params(void *data, void *provider)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_size_t(OSSL_SIGNATURE_PARAM_DIGEST_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)data;
    (void)provider;
    return PARAMS;
}

static const OSSL_PARAM *settable_params(void *data, void *provider)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PROPERTIES, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_PROPERTIES, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_END,
    };
    const struct signature *signature = data;

    (void)provider;
    return signature && signature->twin ? EVP_PKEY_CTX_settable_params(signature->twin) : PARAMS;
}

/* --- the tables --- */

#define FOR_MESSAGES                                                                                                   \
    {OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))signature_new},                                                       \
        {OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))signature_free},                                                 \
        {OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))signature_duplicate},                                             \
        {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))digest_sign_init},                                      \
        {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))digest_sign},                                                \
        {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, (void (*)(void))digest_verify_init},                                  \
        {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY, (void (*)(void))digest_verify},                                            \
        {OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (void (*)(void))get_params},                                              \
    {                                                                                                                  \
        OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (void (*)(void))gettable_params                                       \
    }

#define FOR_DIGESTS                                                                                                    \
    FOR_MESSAGES, {OSSL_FUNC_SIGNATURE_SIGN_INIT, (void (*)(void))sign_init},                                          \
        {OSSL_FUNC_SIGNATURE_SIGN, (void (*)(void))sign},                                                              \
        {OSSL_FUNC_SIGNATURE_VERIFY_INIT, (void (*)(void))verify_init},                                                \
        {OSSL_FUNC_SIGNATURE_VERIFY, (void (*)(void))verify},                                                          \
        {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (void (*)(void))digest_sign_update},                                  \
        {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (void (*)(void))digest_sign_final},                                    \
        {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, (void (*)(void))digest_verify_update},                              \
        {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, (void (*)(void))digest_verify_final},                                \
        {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))set_params},                                              \
    {                                                                                                                  \
        OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))settable_params                                       \
    }

static const OSSL_DISPATCH EDWARDS_FUNCTIONS[] = {FOR_MESSAGES, {0, NULL}};
static const OSSL_DISPATCH EC_FUNCTIONS[] = {FOR_DIGESTS, {0, NULL}};
static const OSSL_DISPATCH RSA_FUNCTIONS[] = {
    FOR_DIGESTS,
    {OSSL_FUNC_SIGNATURE_VERIFY_RECOVER_INIT, (void (*)(void))verify_recover_init},
    {OSSL_FUNC_SIGNATURE_VERIFY_RECOVER, (void (*)(void))verify_recover},
    {0, NULL},
};

const OSSL_ALGORITHM SIGNATURE_ALGORITHMS[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROVIDER_PROPERTIES, RSA_FUNCTIONS, "RSA signatures by the cluster"},
    {"ECDSA", PROVIDER_PROPERTIES, EC_FUNCTIONS, "ECDSA by the cluster"},
    {"ED25519:1.3.101.112", PROVIDER_PROPERTIES, EDWARDS_FUNCTIONS, "Ed25519 by the cluster"},
    {"ED448:1.3.101.113", PROVIDER_PROPERTIES, EDWARDS_FUNCTIONS, "Ed448 by the cluster"},
    {NULL, NULL, NULL, NULL},
};
