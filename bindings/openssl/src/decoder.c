/* Reads key references (provider-decoder(7)): files that stand where a private key is expected. Two steps, as OpenSSL's
 * own decoders have it: from PEM to DER, and from DER to a key. Nothing reaches the network. */
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include "key.h"

#define STRUCTURE     "hsm-reference"
#define PEM_NAME      "HSM KEY REFERENCE"
#define REFERENCE_MAX (64 * 1024)

static void *decoder_new(void *provider)
{
    return provider;
}

static void decoder_free(void *data)
{
    (void)data;
}

/* --- PEM --- */

/* What is no reference is left to other decoders: that is success without an object. */
static int pem_decode(void *data, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *callback, void *argument,
                      OSSL_PASSPHRASE_CALLBACK *ask, void *ask_argument)
{
    const struct provider *provider = data;
    BIO *bio = BIO_new_from_core_bio(provider->library, in);
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long der_len = 0;
    int result = 1;

    (void)selection;
    (void)ask;
    (void)ask_argument;
    if (bio && PEM_read_bio(bio, &name, &header, &der, &der_len) == 1 && strcmp(name, PEM_NAME) == 0) {
        int object_type = OSSL_OBJECT_PKEY;
        const OSSL_PARAM params[] = {
            OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_DATA, der, (size_t)der_len),
            OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_STRUCTURE, (char *)(uintptr_t)STRUCTURE, 0),
            OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &object_type),
            OSSL_PARAM_construct_end(),
        };

        result = callback(params, argument);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, (size_t)der_len); /* every private key of a program comes by here, in clear */
    BIO_free(bio);
    return result;
}

static const OSSL_DISPATCH PEM_FUNCTIONS[] = {
    {OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))decoder_new},
    {OSSL_FUNC_DECODER_FREECTX, (void (*)(void))decoder_free},
    {OSSL_FUNC_DECODER_DECODE, (void (*)(void))pem_decode},
    {0, NULL},
};

/* --- DER --- */

/* The reference that the input is; nothing when it is none, or too long for one. From the heap, because jobs and
 * threads of servers have small stacks; wiped, because what is no reference may be a private key of the program's own.
 */
static bool read_reference(const struct provider *provider, OSSL_CORE_BIO *in, hsm_reference **reference)
{
    BIO *bio = BIO_new_from_core_bio(provider->library, in);
    unsigned char *der = OPENSSL_malloc(REFERENCE_MAX);
    size_t der_len = 0;
    bool read = bio && der && BIO_read_ex(bio, der, REFERENCE_MAX, &der_len) == 1 && der_len < REFERENCE_MAX &&
                hsm_reference_parse(der, der_len, reference) == HSM_OK;

    OPENSSL_clear_free(der, der_len);
    BIO_free(bio);
    return read;
}

static int der_decode(struct provider *provider, const struct key_kind *kind, OSSL_CORE_BIO *in,
                      OSSL_CALLBACK *callback, void *argument)
{
    hsm_reference *reference;
    struct key *key;

    if (!read_reference(provider, in, &reference))
        return 1;
    TRY(key_from_reference(provider, reference, &key));
    if (key->kind == kind)
        return key_give(key, callback, argument);
    key_release(key); /* another decoder's */
    return 1;
}

static int does_selection(void *provider, int selection)
{
    (void)provider;
    return selection == 0 || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0;
}

#define KIND_DECODER(kind)                                                                                             \
    static int decode_##kind(void *provider, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *callback,                \
                             void *argument, OSSL_PASSPHRASE_CALLBACK *ask, void *ask_argument)                        \
    {                                                                                                                  \
        (void)selection;                                                                                               \
        (void)ask;                                                                                                     \
        (void)ask_argument;                                                                                            \
        return der_decode(provider, &KEY_KINDS[KIND_##kind], in, callback, argument);                                  \
    }                                                                                                                  \
    static const OSSL_DISPATCH FUNCTIONS_##kind[] = {                                                                  \
        {OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))decoder_new},                                                       \
        {OSSL_FUNC_DECODER_FREECTX, (void (*)(void))decoder_free},                                                     \
        {OSSL_FUNC_DECODER_DOES_SELECTION, (void (*)(void))does_selection},                                            \
        {OSSL_FUNC_DECODER_DECODE, (void (*)(void))decode_##kind},                                                     \
        {0, NULL},                                                                                                     \
    };

KIND_DECODER(RSA)
KIND_DECODER(EC)
KIND_DECODER(ED25519)
KIND_DECODER(ED448)
KIND_DECODER(X25519)
KIND_DECODER(X448)

#define FROM_PEM PROVIDER_PROPERTIES ",input=pem"
#define FROM_DER PROVIDER_PROPERTIES ",input=der,structure=" STRUCTURE

const OSSL_ALGORITHM DECODER_ALGORITHMS[] = {
    {"DER", FROM_PEM, PEM_FUNCTIONS, "a key reference's PEM"},
    {"RSA", FROM_DER, FUNCTIONS_RSA, "a reference to an RSA key"},
    {"EC", FROM_DER, FUNCTIONS_EC, "a reference to an EC key"},
    {"ED25519", FROM_DER, FUNCTIONS_ED25519, "a reference to an Ed25519 key"},
    {"ED448", FROM_DER, FUNCTIONS_ED448, "a reference to an Ed448 key"},
    {"X25519", FROM_DER, FUNCTIONS_X25519, "a reference to an X25519 key"},
    {"X448", FROM_DER, FUNCTIONS_X448, "a reference to an X448 key"},
    {NULL, NULL, NULL, NULL},
};
