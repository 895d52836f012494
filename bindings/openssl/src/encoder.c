/* Writes keys (provider-encoder(7)). Where a program writes a private key (openssl genpkey), a reference is written: it
 * can be read back in its place. As text: what can be told. Public keys are written by OpenSSL's own encoders. */
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include "key.h"

static void *encoder_new(void *provider)
{
    return provider;
}

static void encoder_free(void *data)
{
    (void)data;
}

static int does_selection(void *provider, int selection)
{
    (void)provider;
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0;
}

static int check_reference(const struct provider *provider, const struct key *key)
{
    CHECK(provider, key && key->has_private, REASON_NO_PRIVATE_KEY, "%s", "this is a public key alone");
    CHECK(provider, key->reference, REASON_PRIVATE_KEY_STAYS, "%s",
          "nothing refers to a key that ends with this session");
    return 1;
}

static int write_all(const struct provider *provider, OSSL_CORE_BIO *out, const void *text, size_t len)
{
    BIO *bio = BIO_new_from_core_bio(provider->library, out);
    size_t written = 0;
    int result = bio && BIO_write_ex(bio, text, len, &written) == 1 && written == len;

    BIO_free(bio);
    return result;
}

static int encode(const struct provider *provider, OSSL_CORE_BIO *out, const void *data,
                  hsm_status (*form)(const hsm_reference *, hsm_buffer *))
{
    const struct key *key = data;
    hsm_buffer buffer = {NULL, 0};

    TRY(check_reference(provider, key));
    HSM(provider, form(key->reference, &buffer));
    int result = write_all(provider, out, buffer.data, buffer.len);

    hsm_buffer_free(&buffer);
    return result;
}

static int encode_pem(void *provider, OSSL_CORE_BIO *out, const void *key, const OSSL_PARAM abstract[], int selection,
                      OSSL_PASSPHRASE_CALLBACK *ask, void *ask_argument)
{
    (void)abstract;
    (void)selection;
    (void)ask;
    (void)ask_argument;
    return encode(provider, out, key, hsm_reference_pem);
}

static int encode_der(void *provider, OSSL_CORE_BIO *out, const void *key, const OSSL_PARAM abstract[], int selection,
                      OSSL_PASSPHRASE_CALLBACK *ask, void *ask_argument)
{
    (void)abstract;
    (void)selection;
    (void)ask;
    (void)ask_argument;
    return encode(provider, out, key, hsm_reference_der);
}

static int print_private(BIO *bio, const struct key *key)
{
    TRY(BIO_printf(bio, "Private key in the cluster\nObject: "));
    for (size_t i = 0; i < HSM_ID_LEN; i++)
        TRY(BIO_printf(bio, "%02x", key->object.id[i]));
    return BIO_printf(bio, "\nLabel: %s\n", key->reference ? hsm_reference_label(key->reference) : "");
}

static int encode_text(void *data, OSSL_CORE_BIO *out, const void *key_data, const OSSL_PARAM abstract[], int selection,
                       OSSL_PASSPHRASE_CALLBACK *ask, void *ask_argument)
{
    const struct provider *provider = data;
    const struct key *key = key_data;
    BIO *bio = BIO_new_from_core_bio(provider->library, out);

    (void)abstract;
    (void)selection;
    (void)ask;
    (void)ask_argument;
    int result = bio && (!key->has_private || print_private(bio, key) > 0) &&
                 EVP_PKEY_print_public(bio, key->public_key, 0, NULL) == 1;

    BIO_free(bio);
    return result;
}

#define ENCODER(form)                                                                                                  \
    static const OSSL_DISPATCH FUNCTIONS_##form[] = {                                                                  \
        {OSSL_FUNC_ENCODER_NEWCTX, (void (*)(void))encoder_new},                                                       \
        {OSSL_FUNC_ENCODER_FREECTX, (void (*)(void))encoder_free},                                                     \
        {OSSL_FUNC_ENCODER_DOES_SELECTION, (void (*)(void))does_selection},                                            \
        {OSSL_FUNC_ENCODER_ENCODE, (void (*)(void))encode_##form},                                                     \
        {0, NULL},                                                                                                     \
    };

ENCODER(pem)
ENCODER(der)
ENCODER(text)

#define PRIVATE(form) PROVIDER_PROPERTIES ",output=" form ",structure=PrivateKeyInfo"

#define KIND(name)                                                                                                     \
    {name, PRIVATE("pem"), FUNCTIONS_pem, "a reference to the key"},                                                   \
        {name, PRIVATE("der"), FUNCTIONS_der, "a reference to the key"},                                               \
    {                                                                                                                  \
        name, PROVIDER_PROPERTIES ",output=text", FUNCTIONS_text, "the public part as text"                            \
    }

const OSSL_ALGORITHM ENCODER_ALGORITHMS[] = {
    KIND("RSA"), KIND("EC"), KIND("ED25519"), KIND("ED448"), KIND("X25519"), KIND("X448"), {NULL, NULL, NULL, NULL},
};
