/* Key wrap with triple DES: TKW of SP 800-38F, 7.2. It is the algorithm of RFC 3394 on half-blocks of four bytes. */
#include "crypto/key_internal.h"

enum { HALF = 4, BLOCK = 2 * HALF, ROUNDS = 6, WRAPPED_MAX = 16384 };

/* ICV3 of SP 800-38F, 7.2. */
static const uint8_t check_value[HALF] = {0xa6, 0xa6, 0xa6, 0xa6};

/* The step's number, as 32 bits, goes into the first half. */
static void mix(uint8_t block[BLOCK], uint32_t step)
{
    for (unsigned i = 0; i < HALF; i++)
        block[i] ^= (uint8_t)(step >> 8 * (HALF - 1 - i));
}

/* W and its inverse (SP 800-38F, 7.1): the first half-block goes through all others, six times. */
static bool mingle(EVP_CIPHER_CTX *context, uint8_t *halves, size_t n, bool encrypt)
{
    uint32_t steps = (uint32_t)(ROUNDS * (n - 1));
    uint8_t block[BLOCK];
    bool ok = true;
    int len;

    for (uint32_t i = 1; ok && i <= steps; i++) {
        uint32_t step = encrypt ? i : steps + 1 - i;
        uint8_t *other = halves + HALF * (1 + (step - 1) % (n - 1));

        memcpy(block, halves, HALF);
        memcpy(block + HALF, other, HALF);
        if (!encrypt)
            mix(block, step);
        ok = EVP_CipherUpdate(context, block, &len, block, BLOCK) > 0 && len == BLOCK;
        if (encrypt)
            mix(block, step);
        memcpy(halves, block, HALF);
        memcpy(other, block + HALF, HALF);
    }
    secret_wipe(block, sizeof(block));
    return ok;
}

static status_code run(struct key *key, uint8_t *halves, size_t len, bool encrypt)
{
    EVP_CIPHER_CTX *context = cipher_context_new(key, CIPHER_ECB, encrypt);
    bool ok = context && mingle(context, halves, len / HALF, encrypt);

    EVP_CIPHER_CTX_free(context);
    return ok ? STATUS_OK : crypto_failed("triple-DES key wrapping");
}

status_code des3_wrap(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                      struct bytes *out, struct bytes *nonce_made)
{
    CLEANUP(bytes_release) struct bytes halves = BYTES_SECRET;

    (void)worker;
    (void)mechanism;
    (void)nonce_made;
    CHECK(data.len >= BLOCK && data.len % HALF == 0 && data.len <= WRAPPED_MAX - HALF, STATUS_DATA_LENGTH,
          "%zu bytes cannot be wrapped so: TKW takes %d or more in multiples of %d", data.len, BLOCK, HALF);
    bytes_append(&halves, check_value, HALF);
    bytes_append(&halves, data.data, data.len);
    TRY(bytes_ok(&halves));
    TRY(run(key, halves.data, halves.len, true));
    bytes_append(out, halves.data, halves.len);
    return bytes_ok(out);
}

status_code des3_unwrap(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                        struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes halves = BYTES_SECRET;

    (void)worker;
    (void)mechanism;
    CHECK(data.len >= BLOCK + HALF && data.len % HALF == 0 && data.len <= WRAPPED_MAX, STATUS_DATA_LENGTH,
          "%zu bytes are no wrapped data", data.len);
    bytes_append(&halves, data.data, data.len);
    TRY(bytes_ok(&halves));
    TRY(run(key, halves.data, halves.len, false));
    CHECK(secret_equal(slice_of(halves.data, HALF), slice_of(check_value, HALF)), STATUS_CIPHERTEXT_INVALID,
          "the integrity check of the wrapped data fails");
    bytes_append(out, halves.data + HALF, halves.len - HALF);
    return bytes_ok(out);
}
