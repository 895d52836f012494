/* Other providers come first. A program that asks for RSA or AES-256-GCM, and does not say of whom, gets the first that
 * OpenSSL has met; and it meets them in the order in which they were activated. A machine whose openssl.cnf names this
 * provider before `default` would have all its programs make their keys in the cluster, or fail.
 *
 * Therefore, when OpenSSL asks us for the first time what we have of an operation, we have it ask all the others first.
 * That is done with OpenSSL's own means and in the library context of the whole process alone, which is the one that
 * openssl.cnf is for; OpenSSL holds no lock while it asks. */
#include "precedence.h"

#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>

/* Each has OpenSSL ask every provider for what it has; the callback is called for each method, and has no use here. */
#define ASKING(type, all)                                                                                              \
    static void pass_##type(type *method, void *argument)                                                              \
    {                                                                                                                  \
        (void)method;                                                                                                  \
        (void)argument;                                                                                                \
    }                                                                                                                  \
    static void ask_##type(OSSL_LIB_CTX *library)                                                                      \
    {                                                                                                                  \
        all(library, pass_##type, NULL);                                                                               \
    }

ASKING(EVP_KEYMGMT, EVP_KEYMGMT_do_all_provided)
ASKING(EVP_SIGNATURE, EVP_SIGNATURE_do_all_provided)
ASKING(EVP_ASYM_CIPHER, EVP_ASYM_CIPHER_do_all_provided)
ASKING(EVP_KEYEXCH, EVP_KEYEXCH_do_all_provided)
ASKING(EVP_CIPHER, EVP_CIPHER_do_all_provided)
ASKING(EVP_MAC, EVP_MAC_do_all_provided)
ASKING(OSSL_DECODER, OSSL_DECODER_do_all_provided)
ASKING(OSSL_ENCODER, OSSL_ENCODER_do_all_provided)

static void (*const ASK[])(OSSL_LIB_CTX *library) = {
    [OSSL_OP_KEYMGMT] = ask_EVP_KEYMGMT,         [OSSL_OP_SIGNATURE] = ask_EVP_SIGNATURE,
    [OSSL_OP_ASYM_CIPHER] = ask_EVP_ASYM_CIPHER, [OSSL_OP_KEYEXCH] = ask_EVP_KEYEXCH,
    [OSSL_OP_CIPHER] = ask_EVP_CIPHER,           [OSSL_OP_MAC] = ask_EVP_MAC,
    [OSSL_OP_DECODER] = ask_OSSL_DECODER,        [OSSL_OP_ENCODER] = ask_OSSL_ENCODER,
};

/* The operations that this thread asks the others for, as bits: OpenSSL asks us too meanwhile. A key of pthread rather
 * than a thread-local variable, whose blocks outlive a module that is unloaded. */
static unsigned asked_here(const struct provider *provider)
{
    return (unsigned)(uintptr_t)pthread_getspecific(provider->asking);
}

static void set_asked_here(const struct provider *provider, unsigned bits)
{
    pthread_setspecific(provider->asking, (void *)(uintptr_t)bits);
}

void precedence_begin(struct provider *provider)
{
    provider->goes_last = pthread_key_create(&provider->asking, NULL) == 0;
}

void precedence_end(struct provider *provider)
{
    if (provider->goes_last)
        pthread_key_delete(provider->asking);
}

/* 0: only we have such methods, or nobody has. */
static unsigned bit_of(int operation)
{
    bool shared = operation > 0 && (size_t)operation < sizeof(ASK) / sizeof(ASK[0]) && ASK[operation];

    return shared ? 1u << operation : 0;
}

bool precedence_others_are_asked(const struct provider *provider, int operation)
{
    return provider->goes_last && (asked_here(provider) & bit_of(operation)) != 0;
}

void precedence_ask_others(struct provider *provider, int operation)
{
    const unsigned bit = bit_of(operation);

    if (!provider->goes_last || bit == 0 || (atomic_load(&provider->others_asked) & bit) != 0)
        return;
    set_asked_here(provider, asked_here(provider) | bit);
    ASK[operation](OSSL_LIB_CTX_get0_global_default());
    set_asked_here(provider, asked_here(provider) & ~bit);
    atomic_fetch_or(&provider->others_asked, bit);
}
