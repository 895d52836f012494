/* See chunk_cipher.h. */
#include "backup/chunk_cipher.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include "crypto/key.h"

#define KEY_LEN   32u
#define NONCE_LEN 12u
#define HASH_LEN  32u
#define BOUND_LEN (HASH_LEN + 9u)

struct chunk_cipher {
    struct secret key;
    EVP_CIPHER *gcm;
    uint64_t number;          /* of the next chunk */
    uint8_t bound[BOUND_LEN]; /* hash of the preamble, number, last: the additional data */
};

static status_code openssl_failure(const char *what)
{
    char reason[160];

    return failure_set(STATUS_INTERNAL, "%s: %s", what, failure_openssl_reason(reason, sizeof(reason)));
}

status_code recovery_derive(struct slice recovery_key, struct slice salt, const char *info, uint8_t *out, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(crypto_context(), "HKDF", NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)recovery_key.data, recovery_key.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.data, salt.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, strlen(info)),
        OSSL_PARAM_construct_end()};
    int done = context ? EVP_KDF_derive(context, out, len, parameters) : 0;

    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return done > 0 ? STATUS_OK : openssl_failure("deriving a backup's key");
}

static status_code fill(struct chunk_cipher *cipher, struct slice recovery_key, const uint8_t *backup_id,
                        struct slice preamble)
{
    TRY(secret_allocate(&cipher->key, KEY_LEN));
    TRY(recovery_derive(recovery_key, slice_of(backup_id, BACKUP_ID_LEN), "libhsm backup", cipher->key.data, KEY_LEN));
    cipher->gcm = EVP_CIPHER_fetch(crypto_context(), "AES-256-GCM", NULL);
    if (!cipher->gcm ||
        EVP_Q_digest(crypto_context(), "SHA256", NULL, preamble.data, preamble.len, cipher->bound, NULL) != 1)
        return openssl_failure("setting up a backup's cipher");
    return STATUS_OK;
}

status_code chunk_cipher_new(struct slice recovery_key, const uint8_t backup_id[BACKUP_ID_LEN], struct slice preamble,
                             struct chunk_cipher **cipher)
{
    *cipher = calloc(1, sizeof(**cipher));
    CHECK(*cipher, STATUS_OUT_OF_MEMORY, "no memory for a backup's cipher");
    return fill(*cipher, recovery_key, backup_id, preamble);
}

void chunk_cipher_free(struct chunk_cipher *cipher)
{
    if (!cipher)
        return;
    secret_release(&cipher->key);
    EVP_CIPHER_free(cipher->gcm);
    free(cipher);
}

static EVP_CIPHER_CTX *begin(struct chunk_cipher *cipher, bool last, bool encrypt)
{
    uint8_t nonce[NONCE_LEN] = {0};
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int len;

    for (int i = 0; i < 8; i++)
        nonce[4 + i] = cipher->bound[HASH_LEN + i] = (uint8_t)(cipher->number >> (56 - 8 * i));
    cipher->bound[HASH_LEN + 8] = last;
    cipher->number++;
    if (context && EVP_CipherInit_ex2(context, cipher->gcm, cipher->key.data, nonce, encrypt, NULL) &&
        EVP_CipherUpdate(context, NULL, &len, cipher->bound, sizeof(cipher->bound)))
        return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

status_code chunk_encrypt(struct chunk_cipher *cipher, bool last, struct slice plaintext, struct bytes *out)
{
    uint8_t *at = bytes_reserve(out, plaintext.len + CHUNK_TAG_LEN);
    int len = 0, rest = 0;

    CHECK(at, STATUS_OUT_OF_MEMORY, "no memory for a part of a backup");
    EVP_CIPHER_CTX *context = begin(cipher, last, true);
    bool done = context && EVP_CipherUpdate(context, at, &len, plaintext.data, (int)plaintext.len) &&
                EVP_CipherFinal_ex(context, at + len, &rest) &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CHUNK_TAG_LEN, at + plaintext.len) > 0;

    EVP_CIPHER_CTX_free(context);
    if (!done)
        return openssl_failure("encrypting a backup");
    out->len += plaintext.len + CHUNK_TAG_LEN;
    return STATUS_OK;
}

status_code chunk_decrypt(struct chunk_cipher *cipher, bool last, struct slice ciphertext, struct bytes *out)
{
    char reason[160];
    int len = 0, rest = 0;

    CHECK(ciphertext.len >= CHUNK_TAG_LEN, STATUS_BACKUP_INVALID, "a part of the backup is cut off");
    size_t text_len = ciphertext.len - CHUNK_TAG_LEN;
    uint8_t *at = bytes_reserve(out, text_len + 1);
    CHECK(at, STATUS_OUT_OF_MEMORY, "no memory for a part of a backup");
    EVP_CIPHER_CTX *context = begin(cipher, last, false);
    bool good = context && EVP_CipherUpdate(context, at, &len, ciphertext.data, (int)text_len) &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, CHUNK_TAG_LEN,
                                    (void *)(uintptr_t)(ciphertext.data + text_len)) > 0 &&
                EVP_CipherFinal_ex(context, at + len, &rest) > 0;

    EVP_CIPHER_CTX_free(context);
    failure_openssl_reason(reason, sizeof(reason));
    if (!good) {
        secret_wipe(at, text_len);
        FAIL(STATUS_BACKUP_INVALID, "part %llu of the backup was altered, or is damaged",
             (unsigned long long)cipher->number);
    }
    out->len += text_len;
    return STATUS_OK;
}
