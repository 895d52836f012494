/* Sealing and the keys for it.
 *
 * Purpose key: HKDF-SHA-256(masking key, salt: cluster id, info: "libhsm seal " and the purpose's name).
 * Sealed value: generation (4 bytes, big-endian) || nonce (24 random bytes) || AES-256-GCM ciphertext || tag (16),
 * where the key of one sealing is HMAC-SHA-256(purpose key, first 12 bytes of the nonce), the last 12 bytes are GCM's
 * nonce, and the additional data is cluster id || context. */
#include "seal/keyring.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "crypto/key.h"

#define PURPOSES    (SEAL_HANDOVER + 1)
#define KEY_LEN     32u
#define HALF_NONCE  12u
#define TAG_LEN     16u
#define CONTEXT_MAX ((size_t)1 << 20)
#define OVERTAKEN_S 60 /* so long after it was settled a reader may be in the middle of something older */

/* The keys of one generation. */
struct generation {
    uint32_t number;
    EVP_MAC_CTX *mac[PURPOSES]; /* HMAC-SHA-256 under the purpose's key: duplicated for each use */
};

struct keyring {
    uint8_t cluster_id[ID_LEN];
    EVP_CIPHER *gcm;
    keyring_learner learner;
    void *learner_context;
    pthread_rwlock_t lock; /* guards all below; never held while anything else is waited for */
    struct generation generations[MASKING_KEYS_MAX]; /* ascending */
    unsigned n;
    uint32_t settled;
    time_t settled_s; /* when that was raised, monotonic */
};

static const char *const purpose_names[PURPOSES] = {
    [SEAL_RECORD] = "record",   [SEAL_KEY_MATERIAL] = "key material", [SEAL_SESSION_OBJECT] = "session object",
    [SEAL_TICKET] = "ticket",   [SEAL_MULTIPART] = "multipart",       [SEAL_INDEX] = "index",
    [SEAL_AUDIT] = "audit log", [SEAL_HANDOVER] = "handover",
};

/* Whether the value's home is the store, and not with a client. */
static bool is_stored(enum seal_purpose purpose)
{
    return purpose == SEAL_RECORD || purpose == SEAL_KEY_MATERIAL || purpose == SEAL_AUDIT;
}

static status_code failed(const char *what)
{
    char reason[128];

    FAIL(STATUS_INTERNAL, "%s: %s", what, failure_openssl_reason(reason, sizeof(reason)));
}

/* --- keys --- */

static status_code derive(struct slice masking_key, const uint8_t cluster_id[ID_LEN], const char *purpose,
                          struct secret *key)
{
    char info[64];
    TRY(secret_allocate(key, KEY_LEN));
    EVP_KDF *kdf = EVP_KDF_fetch(crypto_context(), "HKDF", NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int info_len = snprintf(info, sizeof(info), "libhsm seal %s", purpose);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)masking_key.data, masking_key.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)cluster_id, ID_LEN),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)info_len), OSSL_PARAM_construct_end()};
    int done = context ? EVP_KDF_derive(context, key->data, KEY_LEN, parameters) : 0;

    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return done > 0 ? STATUS_OK : failed("deriving a sealing key");
}

static EVP_MAC_CTX *hmac_context(const struct secret *key)
{
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
                               OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(crypto_context(), "HMAC", NULL);
    EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

    EVP_MAC_free(hmac);
    if (context && !EVP_MAC_init(context, key->data, KEY_LEN, parameters)) {
        EVP_MAC_CTX_free(context);
        context = NULL;
    }
    return context;
}

static void generation_free(struct generation *generation)
{
    for (unsigned purpose = 0; purpose < PURPOSES; purpose++)
        EVP_MAC_CTX_free(generation->mac[purpose]);
    *generation = (struct generation){.number = 0};
}

static status_code generation_make(const struct keyring *keyring, uint32_t number, struct slice masking_key,
                                   struct generation *generation)
{
    generation->number = number;
    for (unsigned purpose = 1; purpose < PURPOSES; purpose++) {
        CLEANUP(secret_release) struct secret key = SECRET_INIT;

        TRY(derive(masking_key, keyring->cluster_id, purpose_names[purpose], &key));
        generation->mac[purpose] = hmac_context(&key);
        if (!generation->mac[purpose])
            return failed("setting up HMAC");
    }
    return STATUS_OK;
}

/* --- the ring --- */

static void swap_in(struct keyring *keyring, struct generation made[MASKING_KEYS_MAX], unsigned n)
{
    struct generation before[MASKING_KEYS_MAX];

    pthread_rwlock_wrlock(&keyring->lock);
    memcpy(before, keyring->generations, sizeof(before));
    memcpy(keyring->generations, made, sizeof(before));
    keyring->n = n;
    pthread_rwlock_unlock(&keyring->lock);
    memcpy(made, before, sizeof(before));
}

status_code keyring_change(struct keyring *keyring, struct slice masking_keys)
{
    struct generation made[MASKING_KEYS_MAX] = {{.number = 0}};
    status_code status = masking_keys_check(masking_keys);
    unsigned n = status == STATUS_OK ? masking_keys_count(masking_keys) : 0;

    for (unsigned i = 0; i < n && status == STATUS_OK; i++)
        status = generation_make(keyring, masking_keys_generation(masking_keys, i), masking_keys_key(masking_keys, i),
                                 &made[i]);
    if (status == STATUS_OK)
        swap_in(keyring, made, n);
    for (unsigned i = 0; i < MASKING_KEYS_MAX; i++)
        generation_free(&made[i]);
    return status;
}

/* A stream of readers must not keep a new key out. */
static void lock_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attributes;

    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
}

status_code keyring_create(struct slice masking_keys, const uint8_t cluster_id[ID_LEN], struct keyring **keyring)
{
    struct keyring *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the keyring");
    lock_init(&made->lock);
    memcpy(made->cluster_id, cluster_id, ID_LEN);
    made->gcm = EVP_CIPHER_fetch(crypto_context(), "AES-256-GCM", NULL);
    status_code status = made->gcm ? keyring_change(made, masking_keys) : failed("fetching AES-256-GCM");

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
    for (unsigned i = 0; i < MASKING_KEYS_MAX; i++)
        generation_free(&keyring->generations[i]);
    EVP_CIPHER_free(keyring->gcm);
    pthread_rwlock_destroy(&keyring->lock);
    free(keyring);
}

const uint8_t *keyring_cluster_id(const struct keyring *keyring)
{
    return keyring->cluster_id;
}

void keyring_on_unknown(struct keyring *keyring, keyring_learner learner, void *context)
{
    keyring->learner_context = context;
    keyring->learner = learner;
}

static time_t monotonic_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

void keyring_settle(struct keyring *keyring, uint32_t generation)
{
    pthread_rwlock_wrlock(&keyring->lock);
    if (keyring->settled < generation) { /* somebody who read the cluster record earlier may come later */
        keyring->settled = generation;
        keyring->settled_s = monotonic_s();
    }
    pthread_rwlock_unlock(&keyring->lock);
}

uint32_t keyring_settled(struct keyring *keyring)
{
    pthread_rwlock_rdlock(&keyring->lock);
    uint32_t settled = keyring->settled;

    pthread_rwlock_unlock(&keyring->lock);
    return settled;
}

uint32_t keyring_newest(struct keyring *keyring)
{
    pthread_rwlock_rdlock(&keyring->lock);
    uint32_t newest = keyring->generations[keyring->n - 1].number;

    pthread_rwlock_unlock(&keyring->lock);
    return newest;
}

unsigned keyring_searched(struct keyring *keyring, uint32_t generations[MASKING_KEYS_MAX])
{
    unsigned n = 0;

    pthread_rwlock_rdlock(&keyring->lock);
    for (unsigned i = 0; i < keyring->n; i++)
        if (keyring->generations[i].number >= keyring->settled)
            generations[n++] = keyring->generations[i].number;
    pthread_rwlock_unlock(&keyring->lock);
    return n;
}

/* With the lock held. */
static const struct generation *find(const struct keyring *keyring, uint32_t number)
{
    for (unsigned i = 0; i < keyring->n; i++)
        if (keyring->generations[i].number == number)
            return &keyring->generations[i];
    return NULL;
}

/* A context with the purpose's key that is the caller's own. STATUS_OBJECT_NOT_FOUND without that generation. */
static status_code mac_begin(struct keyring *keyring, uint32_t number, enum seal_purpose purpose, EVP_MAC_CTX **context)
{
    pthread_rwlock_rdlock(&keyring->lock);
    bool replaced = is_stored(purpose) && number < keyring->settled;
    bool overtaken = replaced && monotonic_s() - keyring->settled_s < OVERTAKEN_S;
    const struct generation *generation = find(keyring, number);

    *context = generation && !replaced ? EVP_MAC_CTX_dup(generation->mac[purpose]) : NULL;
    pthread_rwlock_unlock(&keyring->lock);
    CHECK(!overtaken, STATUS_BUSY, "a %s is sealed under a masking key that was replaced: send it again",
          purpose_names[purpose]);
    CHECK(!replaced, STATUS_STORE_DAMAGED, "a %s is sealed under masking key %u, which was replaced",
          purpose_names[purpose], number);
    CHECK(generation, STATUS_OBJECT_NOT_FOUND, "there is no masking key of generation %u here", number);
    return *context ? STATUS_OK : failed("computing an HMAC");
}

static status_code mac_end(EVP_MAC_CTX *context, struct slice first, struct slice second, uint8_t mac[32])
{
    size_t len;
    bool ok = EVP_MAC_update(context, first.data, first.len) &&
              (second.len == 0 || EVP_MAC_update(context, second.data, second.len)) &&
              EVP_MAC_final(context, mac, &len, 32);

    EVP_MAC_CTX_free(context);
    return ok ? STATUS_OK : failed("computing an HMAC");
}

status_code keyring_token(struct keyring *keyring, uint32_t generation, uint32_t what, struct slice value,
                          struct index_token *token)
{
    uint8_t number[4] = {(uint8_t)(what >> 24), (uint8_t)(what >> 16), (uint8_t)(what >> 8), (uint8_t)what}, mac[32];
    EVP_MAC_CTX *context;

    TRY(mac_begin(keyring, generation, SEAL_INDEX, &context));
    TRY(mac_end(context, slice_of(number, sizeof(number)), value, mac));
    memcpy(token->bytes, mac, TOKEN_LEN);
    return STATUS_OK;
}

/* --- sealing --- */

static bool add_context(EVP_CIPHER_CTX *gcm, const struct keyring *keyring, struct slice context)
{
    int len;

    return EVP_CipherUpdate(gcm, NULL, &len, keyring->cluster_id, ID_LEN) &&
           (context.len == 0 || EVP_CipherUpdate(gcm, NULL, &len, context.data, (int)context.len));
}

/* A cipher context for one sealing, with its own key and the context taken in. */
static status_code begin(struct keyring *keyring, uint32_t generation, enum seal_purpose purpose, struct slice context,
                         const uint8_t nonce[SEAL_NONCE_LEN], bool encrypt, EVP_CIPHER_CTX **gcm)
{
    uint8_t key[KEY_LEN];
    EVP_MAC_CTX *mac;

    TRY(mac_begin(keyring, generation, purpose, &mac));
    TRY(mac_end(mac, slice_of(nonce, HALF_NONCE), (struct slice){NULL, 0}, key));
    *gcm = EVP_CIPHER_CTX_new();
    bool ok = *gcm && EVP_CipherInit_ex2(*gcm, keyring->gcm, key, nonce + HALF_NONCE, encrypt, NULL) &&
              add_context(*gcm, keyring, context);

    secret_wipe(key, sizeof(key));
    if (ok)
        return STATUS_OK;
    EVP_CIPHER_CTX_free(*gcm);
    return failed("setting up a cipher");
}

status_code seal(struct keyring *keyring, uint32_t generation, enum seal_purpose purpose, struct slice context,
                 struct slice plaintext, struct bytes *sealed)
{
    CHECK(context.len <= CONTEXT_MAX && plaintext.len <= BYTES_DEFAULT_LIMIT, STATUS_TOO_LARGE,
          "too much to seal: %zu bytes", plaintext.len);
    uint8_t *to = bytes_reserve(sealed, SEAL_OVERHEAD + plaintext.len), *nonce = to + GENERATION_LEN;
    EVP_CIPHER_CTX *gcm;
    int len = 0, last = 0;

    TRY(bytes_ok(sealed));
    if (generation == SEAL_NEWEST)
        generation = keyring_newest(keyring);
    generation_put(generation, to);
    if (RAND_bytes_ex(crypto_context(), nonce, SEAL_NONCE_LEN, 0) != 1) {
        (void)failed("drawing a nonce");
        return STATUS_RANDOM_FAILED;
    }
    uint8_t *text = nonce + SEAL_NONCE_LEN;

    TRY(begin(keyring, generation, purpose, context, nonce, true, &gcm));
    bool ok = (plaintext.len == 0 || EVP_CipherUpdate(gcm, text, &len, plaintext.data, (int)plaintext.len)) &&
              EVP_CipherFinal_ex(gcm, text + len, &last) &&
              EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, text + plaintext.len) > 0;

    EVP_CIPHER_CTX_free(gcm);
    if (!ok)
        return failed("sealing");
    sealed->len += SEAL_OVERHEAD + plaintext.len;
    return STATUS_OK;
}

/* As begin, for what is there to be opened: a generation that the store knows but this node does not is learned. What a
 * client holds says nothing about what the store knows: then the store is looked at. */
static status_code begin_opening(struct keyring *keyring, enum seal_purpose purpose, struct slice context,
                                 struct slice sealed, EVP_CIPHER_CTX **gcm)
{
    uint32_t generation = generation_of(sealed);
    const uint8_t *nonce = sealed.data + GENERATION_LEN;
    status_code status = begin(keyring, generation, purpose, context, nonce, false, gcm);

    if (status != STATUS_OBJECT_NOT_FOUND || generation < keyring_newest(keyring) || !keyring->learner)
        return status;
    status = keyring->learner(keyring->learner_context, is_stored(purpose) ? generation : 0);
    if (status == STATUS_STORE_DAMAGED) /* the handover, not this value: other nodes may do better */
        return STATUS_BUSY;
    TRY(status);
    return begin(keyring, generation, purpose, context, nonce, false, gcm);
}

status_code unseal(struct keyring *keyring, enum seal_purpose purpose, struct slice context, struct slice sealed,
                   struct bytes *plaintext)
{
    char reason[128];
    EVP_CIPHER_CTX *gcm = NULL;
    int len = 0, last = 0;

    CHECK(sealed.len >= SEAL_OVERHEAD && context.len <= CONTEXT_MAX, STATUS_STORE_DAMAGED,
          "a sealed value of %zu bytes is cut short", sealed.len);
    size_t text_len = sealed.len - SEAL_OVERHEAD;
    const uint8_t *text = sealed.data + SEAL_OVERHEAD - TAG_LEN;
    uint8_t *to = bytes_reserve(plaintext, text_len + 1);

    TRY(bytes_ok(plaintext));
    status_code status = begin_opening(keyring, purpose, context, sealed, &gcm);

    CHECK(status != STATUS_OBJECT_NOT_FOUND, STATUS_STORE_DAMAGED,
          "a sealed %s is of generation %u, of which this node has no masking key", purpose_names[purpose],
          generation_of(sealed));
    TRY(status);
    bool ok = (text_len == 0 || EVP_CipherUpdate(gcm, to, &len, text, (int)text_len)) &&
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
