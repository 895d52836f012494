/* Resumable GHASH: see ghash.h. Multiplication is bitwise without secret-dependent branches or look-ups. */
#include "crypto/ghash.h"

#include <stdlib.h>

struct element {
    uint64_t high, low; /* bit 0 of SP 800-38D is the top bit of high */
};

struct ghash_context {
    EVP_CIPHER_CTX *gmac; /* AES-GCM with the key and 12-byte nonces */
    struct element h, h_inverse;
    uint8_t mask[GHASH_BLOCK]; /* E(J) for the all-zero nonce */
};

static uint64_t load(const uint8_t *in)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value = value << 8 | in[i];
    return value;
}

static void store(uint64_t value, uint8_t *out)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static struct element element_load(const uint8_t block[GHASH_BLOCK])
{
    return (struct element){load(block), load(block + 8)};
}

static void element_store(struct element element, uint8_t block[GHASH_BLOCK])
{
    store(element.high, block);
    store(element.low, block + 8);
}

/* SP 800-38D, 6.3, algorithm 1. */
static struct element multiply(struct element x, struct element y)
{
    struct element z = {0, 0}, v = y;

    for (unsigned i = 0; i < 128; i++) {
        uint64_t bit = i < 64 ? x.high >> (63 - i) : x.low >> (127 - i);
        uint64_t take = 0 - (bit & 1), reduce = 0 - (v.low & 1);

        z.high ^= v.high & take;
        z.low ^= v.low & take;
        v.low = v.low >> 1 | v.high << 63;
        v.high = v.high >> 1 ^ (0xe100000000000000u & reduce);
    }
    return z;
}

/* x^(2^128 - 2): the product of x^(2^i) for i from 1 to 127. */
static struct element invert(struct element x)
{
    struct element power = x, product = {0x8000000000000000u, 0};

    for (unsigned i = 1; i < 128; i++) {
        power = multiply(power, power);
        product = multiply(product, power);
    }
    return product;
}

static void context_release(void *context)
{
    struct ghash_context *ghash = context;

    if (!ghash)
        return;
    EVP_CIPHER_CTX_free(ghash->gmac);
    secret_wipe(ghash, sizeof(*ghash));
    free(ghash);
}

static status_code context_make(struct key *key, unsigned worker, struct ghash_context *ghash)
{
    static const uint8_t zero[16] = {0}, first[16] = {[15] = 1};
    uint8_t h[GHASH_BLOCK];

    TRY(cipher_block(key, worker, zero, h));
    TRY(cipher_block(key, worker, first, ghash->mask));
    ghash->h = element_load(h);
    ghash->h_inverse = invert(ghash->h);
    secret_wipe(h, sizeof(h));
    ghash->gmac = EVP_CIPHER_CTX_new();
    if (!ghash->gmac || !EVP_EncryptInit_ex2(ghash->gmac, crypto_cipher(KEY_AES, key->secret.len, CIPHER_GCM),
                                             key->secret.data, zero, NULL))
        return crypto_failed("setting up GHASH");
    return STATUS_OK;
}

static status_code context_for(struct key *key, unsigned worker, struct ghash_context **context)
{
    uint64_t tag = (uint64_t)CONTEXT_GHASH << 56;

    *context = key_context_find(key, worker, tag);
    if (*context)
        return STATUS_OK;
    *context = calloc(1, sizeof(**context));
    CHECK(*context, STATUS_OUT_OF_MEMORY, "no memory for a context");
    status_code status = context_make(key, worker, *context);
    if (status != STATUS_OK) {
        context_release(*context);
        return status;
    }
    return key_context_keep(key, worker, tag, *context, context_release);
}

static struct element gmac_to_hash(const struct ghash_context *ghash, const uint8_t tag[GHASH_BLOCK], uint64_t len)
{
    struct element s = element_load(tag), mask = element_load(ghash->mask);

    s = multiply((struct element){s.high ^ mask.high, s.low ^ mask.low}, ghash->h_inverse);
    s.high ^= 8 * len; /* the length block: additional data in bits, no ciphertext */
    return s;
}

status_code ghash_update(struct key *key, unsigned worker, uint8_t hash[GHASH_BLOCK], struct slice data)
{
    static const uint8_t zero[GHASH_BLOCK] = {0};
    struct ghash_context *ghash;
    uint8_t first[GHASH_BLOCK] = {0}, tag[GHASH_BLOCK];
    size_t head = data.len < GHASH_BLOCK ? data.len : GHASH_BLOCK;
    int len;

    if (data.len == 0)
        return STATUS_OK;
    TRY(context_for(key, worker, &ghash));
    memcpy(first, data.data, head);
    for (unsigned i = 0; i < GHASH_BLOCK; i++)
        first[i] ^= hash[i];
    /* OpenSSL pads the end itself, but the length that it hashes is the one it was given. */
    uint64_t total = GHASH_BLOCK + (data.len - head);
    bool ok =
        EVP_EncryptInit_ex2(ghash->gmac, NULL, NULL, zero, NULL) &&
        EVP_EncryptUpdate(ghash->gmac, NULL, &len, first, GHASH_BLOCK) &&
        (data.len == head || EVP_EncryptUpdate(ghash->gmac, NULL, &len, data.data + head, (int)(data.len - head))) &&
        EVP_EncryptFinal_ex(ghash->gmac, tag, &len) &&
        EVP_CIPHER_CTX_ctrl(ghash->gmac, EVP_CTRL_AEAD_GET_TAG, GHASH_BLOCK, tag) > 0;
    if (!ok)
        return crypto_failed("hashing for AES-GCM");
    element_store(gmac_to_hash(ghash, tag, total), hash);
    return STATUS_OK;
}

status_code ghash_lengths(struct key *key, unsigned worker, uint8_t hash[GHASH_BLOCK], uint64_t aad_len,
                          uint64_t data_len)
{
    struct ghash_context *ghash;
    struct element x = element_load(hash);

    TRY(context_for(key, worker, &ghash));
    x.high ^= 8 * aad_len;
    x.low ^= 8 * data_len;
    element_store(multiply(x, ghash->h), hash);
    return STATUS_OK;
}
