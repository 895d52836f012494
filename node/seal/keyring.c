/* Sealing and the keys for it.
 *
 * Purpose key: HKDF-SHA-256(masking key, salt: cluster id, info: "libhsm seal " and the purpose's name).
 * Sealed value: nonce (24 random bytes) || AES-256-GCM ciphertext || tag (16), where the key of one sealing is
 * HMAC-SHA-256(purpose key, first 12 bytes of the nonce), the last 12 bytes are GCM's nonce, and the additional data is
 * cluster id || context. */
#include "seal/keyring.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include "crypto/key.h"

#define PURPOSES    (SEAL_AUDIT + 1)
#define KEY_LEN     32u
#define NONCE_LEN   24u
#define HALF_NONCE  12u
#define TAG_LEN     16u
#define CONTEXT_MAX ((size_t)1 << 20)

struct keyring {
    uint8_t cluster_id[ID_LEN];
    uint8_t (*keys)[KEY_LEN]; /* by purpose, in secret memory */
    struct secret memory;
    EVP_MAC_CTX *mac[PURPOSES]; /* HMAC-SHA-256 under the purpose's key: duplicated for each use */
    EVP_CIPHER *gcm;
};

static const char *const purpose_names[PURPOSES] = {
    [SEAL_RECORD] = "record",   [SEAL_KEY_MATERIAL] = "key material", [SEAL_SESSION_OBJECT] = "session object",
    [SEAL_TICKET] = "ticket",   [SEAL_MULTIPART] = "multipart",       [SEAL_INDEX] = "index",
    [SEAL_AUDIT] = "audit log",
};

static status_code failed(const char *what)
{
    char reason[128];

    FAIL(STATUS_INTERNAL, "%s: %s", what, failure_openssl_reason(reason, sizeof(reason)));
}

static status_code derive(const struct secret *masking_key, const uint8_t cluster_id[ID_LEN], const char *purpose,
                          uint8_t key[KEY_LEN])
{
    char info[64];
    EVP_KDF *kdf = EVP_KDF_fetch(crypto_context(), "HKDF", NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int info_len = snprintf(info, sizeof(info), "libhsm seal %s", purpose);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, masking_key->data, masking_key->len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)cluster_id, ID_LEN),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)info_len), OSSL_PARAM_construct_end()};
    int done = context ? EVP_KDF_derive(context, key, KEY_LEN, parameters) : 0;

    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return done > 0 ? STATUS_OK : failed("deriving a sealing key");
}

static EVP_MAC_CTX *hmac_context(const uint8_t key[KEY_LEN])
{
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
                               OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(crypto_context(), "HMAC", NULL);
    EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

    EVP_MAC_free(hmac);
    if (context && !EVP_MAC_init(context, key, KEY_LEN, parameters)) {
        EVP_MAC_CTX_free(context);
        context = NULL;
    }
    return context;
}

static status_code fill(struct keyring *keyring, const struct secret *masking_key)
{
    TRY(secret_allocate(&keyring->memory, PURPOSES * KEY_LEN));
    keyring->keys = (uint8_t(*)[KEY_LEN])keyring->memory.data;
    keyring->gcm = EVP_CIPHER_fetch(crypto_context(), "AES-256-GCM", NULL);
    if (!keyring->gcm)
        return failed("fetching AES-256-GCM");
    for (unsigned purpose = 1; purpose < PURPOSES; purpose++) {
        TRY(derive(masking_key, keyring->cluster_id, purpose_names[purpose], keyring->keys[purpose]));
        keyring->mac[purpose] = hmac_context(keyring->keys[purpose]);
        if (!keyring->mac[purpose])
            return failed("setting up HMAC");
    }
    return STATUS_OK;
}

status_code keyring_create(const struct secret *masking_key, const uint8_t cluster_id[ID_LEN], struct keyring **keyring)
{
    CHECK(masking_key->len == MASKING_KEY_LEN, STATUS_INTERNAL, "the masking key has %zu bytes", masking_key->len);
    struct keyring *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the keyring");
    memcpy(made->cluster_id, cluster_id, ID_LEN);
    status_code status = fill(made, masking_key);
    if (status != STATUS_OK) {
        keyring_free(made);
        return status;
    }
    *keyring = made;
    return STATUS_OK;
}

void keyring_free(struct keyring *keyring)
{
    if (!keyring)
        return;
    for (unsigned purpose = 0; purpose < PURPOSES; purpose++)
        EVP_MAC_CTX_free(keyring->mac[purpose]);
    EVP_CIPHER_free(keyring->gcm);
    secret_release(&keyring->memory);
    free(keyring);
}

const uint8_t *keyring_cluster_id(const struct keyring *keyring)
{
    return keyring->cluster_id;
}

/* HMAC of two parts. A duplicate carries the key, so concurrent callers do not meet. */
static status_code mac_of(struct keyring *keyring, enum seal_purpose purpose, struct slice first, struct slice second,
                          uint8_t mac[32])
{
    EVP_MAC_CTX *context = EVP_MAC_CTX_dup(keyring->mac[purpose]);
    size_t len;
    bool ok = context && EVP_MAC_update(context, first.data, first.len) &&
              (second.len == 0 || EVP_MAC_update(context, second.data, second.len)) &&
              EVP_MAC_final(context, mac, &len, 32);

    EVP_MAC_CTX_free(context);
    return ok ? STATUS_OK : failed("computing an HMAC");
}

status_code keyring_mac(struct keyring *keyring, enum seal_purpose purpose, struct slice data, uint8_t mac[32])
{
    /* The other purposes' keys make the keys of sealings: nobody else may choose what they are applied to. */
    CHECK(purpose == SEAL_INDEX || purpose == SEAL_AUDIT, STATUS_INTERNAL, "%s is no purpose of MACs",
          purpose_names[purpose]);
    return mac_of(keyring, purpose, data, (struct slice){NULL, 0}, mac);
}

status_code keyring_token(struct keyring *keyring, uint32_t what, struct slice value, struct index_token *token)
{
    uint8_t number[4] = {(uint8_t)(what >> 24), (uint8_t)(what >> 16), (uint8_t)(what >> 8), (uint8_t)what}, mac[32];

    TRY(mac_of(keyring, SEAL_INDEX, slice_of(number, sizeof(number)), value, mac));
    memcpy(token->bytes, mac, TOKEN_LEN);
    return STATUS_OK;
}

static bool add_context(EVP_CIPHER_CTX *gcm, const struct keyring *keyring, struct slice context)
{
    int len;

    return EVP_CipherUpdate(gcm, NULL, &len, keyring->cluster_id, ID_LEN) &&
           (context.len == 0 || EVP_CipherUpdate(gcm, NULL, &len, context.data, (int)context.len));
}

/* A cipher context for one sealing, with its own key and the context taken in; NULL on failure. */
static EVP_CIPHER_CTX *begin(struct keyring *keyring, enum seal_purpose purpose, struct slice context,
                             const uint8_t nonce[NONCE_LEN], bool encrypt)
{
    uint8_t key[KEY_LEN];

    if (mac_of(keyring, purpose, slice_of(nonce, HALF_NONCE), (struct slice){NULL, 0}, key) != STATUS_OK)
        return NULL;
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    bool ok = gcm && EVP_CipherInit_ex2(gcm, keyring->gcm, key, nonce + HALF_NONCE, encrypt, NULL) &&
              add_context(gcm, keyring, context);

    secret_wipe(key, sizeof(key));
    if (!ok) {
        EVP_CIPHER_CTX_free(gcm);
        return NULL;
    }
    return gcm;
}

status_code seal(struct keyring *keyring, enum seal_purpose purpose, struct slice context, struct slice plaintext,
                 struct bytes *sealed)
{
    CHECK(context.len <= CONTEXT_MAX && plaintext.len <= BYTES_DEFAULT_LIMIT, STATUS_TOO_LARGE,
          "too much to seal: %zu bytes", plaintext.len);
    uint8_t *nonce = bytes_reserve(sealed, SEAL_OVERHEAD + plaintext.len);

    TRY(bytes_ok(sealed));
    if (RAND_bytes_ex(crypto_context(), nonce, NONCE_LEN, 0) != 1) {
        (void)failed("drawing a nonce");
        return STATUS_RANDOM_FAILED;
    }
    uint8_t *text = nonce + NONCE_LEN;
    EVP_CIPHER_CTX *gcm = begin(keyring, purpose, context, nonce, true);
    int len = 0, last = 0;
    bool ok = gcm && (plaintext.len == 0 || EVP_CipherUpdate(gcm, text, &len, plaintext.data, (int)plaintext.len)) &&
              EVP_CipherFinal_ex(gcm, text + len, &last) &&
              EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, text + plaintext.len) > 0;

    EVP_CIPHER_CTX_free(gcm);
    if (!ok)
        return failed("sealing");
    sealed->len += SEAL_OVERHEAD + plaintext.len;
    return STATUS_OK;
}

status_code unseal(struct keyring *keyring, enum seal_purpose purpose, struct slice context, struct slice sealed,
                   struct bytes *plaintext)
{
    char reason[128];

    CHECK(sealed.len >= SEAL_OVERHEAD && context.len <= CONTEXT_MAX, STATUS_STORE_DAMAGED,
          "a sealed value of %zu bytes is cut short", sealed.len);
    size_t text_len = sealed.len - SEAL_OVERHEAD;
    const uint8_t *text = sealed.data + NONCE_LEN;
    uint8_t *to = bytes_reserve(plaintext, text_len + 1);

    TRY(bytes_ok(plaintext));
    EVP_CIPHER_CTX *gcm = begin(keyring, purpose, context, sealed.data, false);
    int len = 0, last = 0;
    bool ok = gcm && (text_len == 0 || EVP_CipherUpdate(gcm, to, &len, text, (int)text_len)) &&
              EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, (void *)(text + text_len)) > 0 &&
              EVP_CipherFinal_ex(gcm, to + len, &last) > 0;

    EVP_CIPHER_CTX_free(gcm);
    if (!ok) {
        secret_wipe(to, text_len);
        failure_openssl_reason(reason, sizeof(reason));
        FAIL(STATUS_STORE_DAMAGED, "a sealed %s does not open: it was altered, moved, or belongs to another cluster",
             purpose_names[purpose]);
    }
    plaintext->len += text_len;
    return STATUS_OK;
}
