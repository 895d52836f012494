/* One-off sealing outside the cluster's keyring (which does not exist yet): the vault under the key protector, and the
 * handover under an agreed key. Each call derives a key of its own, so a random 96-bit nonce is safe. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include "crypto/key.h"
#include "identity/vault.h"

#define KEY_SIZE   32u
#define NONCE_SIZE 12u
#define TAG_SIZE   16u

static void free_kdf_context(EVP_KDF_CTX **context)
{
    EVP_KDF_CTX_free(*context);
}

static void free_cipher_context(EVP_CIPHER_CTX **context)
{
    EVP_CIPHER_CTX_free(*context);
}

static void free_cipher(EVP_CIPHER **cipher)
{
    EVP_CIPHER_free(*cipher);
}

static status_code derive(struct slice secret, struct slice salt, const char *info, struct secret *key)
{
    TRY(secret_allocate(key, KEY_SIZE));
    EVP_KDF *kdf = EVP_KDF_fetch(crypto_context(), "HKDF", NULL);
    CLEANUP(free_kdf_context) EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    EVP_KDF_free(kdf);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret.data, secret.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.data, salt.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, strlen(info)),
        OSSL_PARAM_construct_end(),
    };
    char reason[160];
    CHECK(context && EVP_KDF_derive(context, key->data, key->len, parameters) == 1, STATUS_INTERNAL,
          "deriving a sealing key: %s", failure_openssl_reason(reason, sizeof reason));
    return STATUS_OK;
}

static status_code cipher_begin(const struct secret *key, const uint8_t *nonce, bool encrypt, struct slice aad,
                                EVP_CIPHER_CTX **context)
{
    int n = 0;
    CLEANUP(free_cipher) EVP_CIPHER *aes = EVP_CIPHER_fetch(crypto_context(), "AES-256-GCM", NULL);
    *context = EVP_CIPHER_CTX_new();
    CHECK(*context && aes && EVP_CipherInit_ex2(*context, aes, key->data, nonce, encrypt, NULL) &&
              EVP_CipherUpdate(*context, NULL, &n, aad.data, (int)aad.len),
          STATUS_INTERNAL, "AES-256-GCM cannot be used");
    return STATUS_OK;
}

status_code sealed_make(struct slice secret, struct slice salt, const char *info, struct slice aad,
                        struct slice plaintext, struct bytes *sealed)
{
    CLEANUP(secret_release) struct secret key = SECRET_INIT;
    CLEANUP(free_cipher_context) EVP_CIPHER_CTX *context = NULL;
    int n = 0, rest = 0;

    uint8_t *at = bytes_reserve(sealed, NONCE_SIZE + plaintext.len + TAG_SIZE);
    CHECK(at, STATUS_TOO_LARGE, "no room for a sealed value of %zu bytes", plaintext.len);
    CHECK(RAND_bytes_ex(crypto_context(), at, NONCE_SIZE, 0) == 1, STATUS_RANDOM_FAILED, "no random nonce");
    TRY(derive(secret, salt, info, &key));
    TRY(cipher_begin(&key, at, true, aad, &context));
    CHECK(EVP_CipherUpdate(context, at + NONCE_SIZE, &n, plaintext.data, (int)plaintext.len) &&
              EVP_CipherFinal_ex(context, at + NONCE_SIZE + n, &rest) &&
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, at + NONCE_SIZE + plaintext.len),
          STATUS_INTERNAL, "sealing failed");
    sealed->len += NONCE_SIZE + plaintext.len + TAG_SIZE;
    return STATUS_OK;
}

status_code sealed_open(struct slice secret, struct slice salt, const char *info, struct slice aad, struct slice sealed,
                        struct bytes *plaintext)
{
    CLEANUP(secret_release) struct secret key = SECRET_INIT;
    CLEANUP(free_cipher_context) EVP_CIPHER_CTX *context = NULL;
    int n = 0, rest = 0;

    CHECK(sealed.len >= NONCE_SIZE + TAG_SIZE, STATUS_CIPHERTEXT_INVALID, "a sealed value is cut off");
    size_t len = sealed.len - NONCE_SIZE - TAG_SIZE;
    uint8_t *at = bytes_reserve(plaintext, len + 1);
    CHECK(at, STATUS_TOO_LARGE, "no room for a value of %zu bytes", len);
    TRY(derive(secret, salt, info, &key));
    TRY(cipher_begin(&key, sealed.data, false, aad, &context));
    bool good = EVP_CipherUpdate(context, at, &n, sealed.data + NONCE_SIZE, (int)len) &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE,
                                    (void *)(uintptr_t)(sealed.data + NONCE_SIZE + len)) &&
                EVP_CipherFinal_ex(context, at + n, &rest) == 1;
    if (!good) {
        secret_wipe(at, len);
        FAIL(STATUS_CIPHERTEXT_INVALID, "a sealed value does not open");
    }
    plaintext->len += len;
    return STATUS_OK;
}
