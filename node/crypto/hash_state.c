/* Hash states that travel: see hash_state.h. Written form: the chaining words, the count of whole blocks and the bytes
 * of the block begun. */
#include "crypto/hash_state.h"

#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <nettle/sha3.h>
#include <stdlib.h>
#include "protocol/secret.h"

struct hash_state {
    enum hash hash;
    union {
        struct sha1_ctx sha1;
        struct sha256_ctx sha256; /* SHA-224 too */
        struct sha512_ctx sha512; /* SHA-384 too */
        struct sha3_224_ctx sha3_224;
        struct sha3_256_ctx sha3_256;
        struct sha3_384_ctx sha3_384;
        struct sha3_512_ctx sha3_512;
    } context;
};

typedef void (*init_function)(void *);
typedef void (*update_function)(void *, size_t, const uint8_t *);
typedef void (*digest_function)(void *, size_t, uint8_t *);

#define FUNCTIONS(name) (init_function) name##_init, (update_function)name##_update, (digest_function)name##_digest

static const struct {
    init_function init;
    update_function update;
    digest_function digest;
    size_t block_len;
} hashes[HASH_COUNT] = {
    [HASH_SHA1] = {FUNCTIONS(nettle_sha1), 64},
    [HASH_SHA224] = {(init_function)nettle_sha224_init, (update_function)nettle_sha256_update,
                     (digest_function)nettle_sha224_digest, 64},
    [HASH_SHA256] = {FUNCTIONS(nettle_sha256), 64},
    [HASH_SHA384] = {(init_function)nettle_sha384_init, (update_function)nettle_sha512_update,
                     (digest_function)nettle_sha384_digest, 128},
    [HASH_SHA512] = {FUNCTIONS(nettle_sha512), 128},
    [HASH_SHA3_224] = {FUNCTIONS(nettle_sha3_224), 144},
    [HASH_SHA3_256] = {FUNCTIONS(nettle_sha3_256), 136},
    [HASH_SHA3_384] = {FUNCTIONS(nettle_sha3_384), 104},
    [HASH_SHA3_512] = {FUNCTIONS(nettle_sha3_512), 72},
    [HASH_SHA512_224] = {(init_function)nettle_sha512_224_init, (update_function)nettle_sha512_update,
                         (digest_function)nettle_sha512_224_digest, 128},
    [HASH_SHA512_256] = {(init_function)nettle_sha512_256_init, (update_function)nettle_sha512_update,
                         (digest_function)nettle_sha512_256_digest, 128},
};

/* Where nettle keeps the three parts of each context. */
struct parts {
    void *words;
    unsigned n_words;
    size_t word_size;
    uint64_t *count, *count_high; /* whole blocks; NULL where the hash does not count */
    unsigned *index;              /* bytes of the block begun */
    uint8_t *block;
};

static struct parts parts_of(struct hash_state *state)
{
    switch (state->hash) {
    case HASH_SHA1:
        return (struct parts){state->context.sha1.state,  5,    4,
                              &state->context.sha1.count, NULL, &state->context.sha1.index,
                              state->context.sha1.block};
    case HASH_SHA224:
    case HASH_SHA256:
        return (struct parts){state->context.sha256.state,  8,    4,
                              &state->context.sha256.count, NULL, &state->context.sha256.index,
                              state->context.sha256.block};
    case HASH_SHA384:
    case HASH_SHA512:
    case HASH_SHA512_224:
    case HASH_SHA512_256:
        return (struct parts){state->context.sha512.state,
                              8,
                              8,
                              &state->context.sha512.count_low,
                              &state->context.sha512.count_high,
                              &state->context.sha512.index,
                              state->context.sha512.block};
    case HASH_SHA3_224:
        return (struct parts){state->context.sha3_224.state.a, 25, 8, NULL, NULL, &state->context.sha3_224.index,
                              state->context.sha3_224.block};
    case HASH_SHA3_256:
        return (struct parts){state->context.sha3_256.state.a, 25, 8, NULL, NULL, &state->context.sha3_256.index,
                              state->context.sha3_256.block};
    case HASH_SHA3_384:
        return (struct parts){state->context.sha3_384.state.a, 25, 8, NULL, NULL, &state->context.sha3_384.index,
                              state->context.sha3_384.block};
    default:
        return (struct parts){state->context.sha3_512.state.a, 25, 8, NULL, NULL, &state->context.sha3_512.index,
                              state->context.sha3_512.block};
    }
}

size_t hash_block_len(enum hash hash)
{
    return hash < HASH_COUNT ? hashes[hash].block_len : 0;
}

status_code hash_state_new(enum hash hash, struct hash_state **state)
{
    CHECK(hash_block_len(hash), STATUS_MECHANISM_PARAM_INVALID, "a hash is missing or unknown");
    struct hash_state *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a hash");
    made->hash = hash;
    hashes[hash].init(&made->context);
    *state = made;
    return STATUS_OK;
}

void hash_state_free(struct hash_state **state)
{
    if (!*state)
        return;
    secret_wipe(*state, sizeof(**state));
    free(*state);
    *state = NULL;
}

void hash_state_update(struct hash_state *state, struct slice data)
{
    hashes[state->hash].update(&state->context, data.len, data.data);
}

void hash_state_finish(struct hash_state *state, uint8_t *digest)
{
    hashes[state->hash].digest(&state->context, hash_info(state->hash)->len, digest);
}

static void write_number(struct bytes *out, uint64_t number, size_t size)
{
    uint8_t digits[8];

    for (size_t i = 0; i < size; i++)
        digits[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
    bytes_append(out, digits, size);
}

static uint64_t read_number(const uint8_t **at, size_t size)
{
    uint64_t number = 0;

    for (size_t i = 0; i < size; i++)
        number = number << 8 | *(*at)++;
    return number;
}

status_code hash_state_write(const struct hash_state *state, struct bytes *out)
{
    struct parts parts = parts_of((struct hash_state *)state);

    for (unsigned i = 0; i < parts.n_words; i++)
        write_number(out, parts.word_size == 4 ? ((uint32_t *)parts.words)[i] : ((uint64_t *)parts.words)[i],
                     parts.word_size);
    write_number(out, parts.count_high ? *parts.count_high : 0, 8);
    write_number(out, parts.count ? *parts.count : 0, 8);
    write_number(out, *parts.index, 1);
    bytes_append(out, parts.block, *parts.index);
    return bytes_ok(out);
}

status_code hash_state_read(enum hash hash, struct slice written, struct hash_state **state)
{
    CLEANUP(hash_state_free) struct hash_state *made = NULL;

    TRY(hash_state_new(hash, &made));
    struct parts parts = parts_of(made);
    size_t fixed = parts.n_words * parts.word_size + 17;
    const uint8_t *at = written.data;

    CHECK(written.len >= fixed && written.len - fixed == written.data[fixed - 1] &&
              written.len - fixed < hash_block_len(hash),
          STATUS_DATA_INVALID, "the state does not fit the hash");
    for (unsigned i = 0; i < parts.n_words; i++) {
        uint64_t word = read_number(&at, parts.word_size);

        if (parts.word_size == 4)
            ((uint32_t *)parts.words)[i] = (uint32_t)word;
        else
            ((uint64_t *)parts.words)[i] = word;
    }
    uint64_t high = read_number(&at, 8), low = read_number(&at, 8);
    if (parts.count_high)
        *parts.count_high = high;
    if (parts.count)
        *parts.count = low;
    *parts.index = (unsigned)read_number(&at, 1);
    memcpy(parts.block, at, *parts.index);
    *state = made;
    made = NULL;
    return STATUS_OK;
}
