/* Multi-part operations: AES-GCM, AES-GMAC, AES-CMAC and HMAC in any number of parts, each on any node. All that a part
 * needs of the earlier ones is its state, which the caller seals; nothing stays here.
 *
 * The state begins with mechanism type, direction and the tag length. Resending a part with the state that it was sent
 * with gives the same answer, which is what makes a retry harmless. */
#include "crypto/ghash.h"
#include "crypto/hash_state.h"

#include <stdlib.h>

#define BLOCK         16u
#define GCM_BYTES_MAX ((1ull << 36) - 32) /* SP 800-38D, 5.2.1.1 */

struct part {
    struct key *key;
    unsigned worker;
    const struct mechanism *mechanism;
    enum multipart_direction direction;
    struct slice data;
    bool final;
    struct slice tag;
    struct bytes *out;
};

/* Fixed part of the state; HMAC's hash state follows it. */
struct state {
    uint8_t type, direction, tag_len, n_partial;
    uint8_t hash;
    uint8_t reserved[3];
    uint8_t nonce_block[BLOCK]; /* GCM: J0. CMAC: the chaining value */
    uint8_t digest[BLOCK];      /* GCM: GHASH so far */
    uint8_t partial[BLOCK];     /* ciphertext (GCM), data (GMAC, CMAC) of the block begun */
    uint8_t aad_len[8], data_len[8];
};

static uint64_t get_count(const uint8_t bytes[8])
{
    uint64_t count = 0;

    for (unsigned i = 0; i < 8; i++)
        count = count << 8 | bytes[i];
    return count;
}

static void put_count(uint8_t bytes[8], uint64_t count)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(count >> (56 - 8 * i));
}

static status_code finish(const struct part *part, const uint8_t *mac, size_t len)
{
    bool deciding = part->direction == MULTIPART_DECRYPT || part->direction == MULTIPART_VERIFY;

    if (!deciding) {
        bytes_append(part->out, mac, len);
        return bytes_ok(part->out);
    }
    if (secret_equal(slice_of(mac, len), part->tag))
        return STATUS_OK;
    FAIL(part->direction == MULTIPART_DECRYPT ? STATUS_CIPHERTEXT_INVALID : STATUS_SIGNATURE_INVALID,
         "the %s does not verify", part->direction == MULTIPART_DECRYPT ? "authentication tag" : "MAC");
}

/* --- AES-GCM and GMAC --- */

static status_code gcm_start(const struct part *part, struct state *state, struct bytes *nonce_made)
{
    uint8_t made[GCM_NONCE_LEN];
    struct slice nonce = part->mechanism->nonce;
    size_t tag_len;

    TRY(gcm_tag_len(part->mechanism, &tag_len));
    if (!part->mechanism->has_nonce && part->direction == MULTIPART_ENCRYPT) {
        TRY(random_fill(part->worker, made, sizeof(made)));
        nonce = slice_of(made, sizeof(made));
        bytes_append(nonce_made, made, sizeof(made));
    }
    CHECK(nonce.len == GCM_NONCE_LEN, STATUS_MECHANISM_PARAM_INVALID, "in parts a nonce has %u bytes, not %zu",
          GCM_NONCE_LEN, nonce.len);
    memcpy(state->nonce_block, nonce.data, GCM_NONCE_LEN);
    state->nonce_block[BLOCK - 1] = 1;
    state->tag_len = (uint8_t)tag_len;
    if (part->mechanism->type == MECHANISM_AES_GCM)
        put_count(state->aad_len, part->mechanism->aad.len);
    return part->mechanism->type == MECHANISM_AES_GCM
               ? ghash_update(part->key, part->worker, state->digest, part->mechanism->aad)
               : STATUS_OK;
}

/* The counter block for the data at `offset`: the 32-bit counter is that of the first data block plus whole blocks. */
static void counter_at(const struct state *state, uint64_t offset, uint8_t counter[BLOCK])
{
    uint32_t number = 2 + (uint32_t)(offset / BLOCK);

    memcpy(counter, state->nonce_block, BLOCK);
    for (unsigned i = 0; i < 4; i++)
        counter[12 + i] = (uint8_t)(number >> (24 - 8 * i));
}

/* GHASH over `text`, given the block begun; what does not fill a block stays in the state. */
static status_code absorb(const struct part *part, struct state *state, struct slice text)
{
    size_t take = state->n_partial ? BLOCK - state->n_partial : 0;

    if (take > text.len)
        take = text.len;
    memcpy(state->partial + state->n_partial, text.data, take);
    state->n_partial = (uint8_t)(state->n_partial + take);
    if (state->n_partial == BLOCK) {
        TRY(ghash_update(part->key, part->worker, state->digest, slice_of(state->partial, BLOCK)));
        state->n_partial = 0;
    }
    size_t rest = text.len - take, whole = rest - rest % BLOCK;

    TRY(ghash_update(part->key, part->worker, state->digest, slice_of(text.data + take, whole)));
    if (rest > whole) {
        memcpy(state->partial, text.data + take + whole, rest - whole);
        state->n_partial = (uint8_t)(rest - whole);
    }
    return STATUS_OK;
}

/* CTR from any offset: a run that begins inside a block begins with the rest of that block's key stream. */
static status_code crypt(const struct part *part, const struct state *state, uint8_t *out)
{
    uint8_t counter[BLOCK], stream[BLOCK];
    uint64_t offset = get_count(state->data_len);
    size_t skip = offset % BLOCK, head = skip ? BLOCK - skip : 0;

    if (head > part->data.len)
        head = part->data.len;
    if (head) {
        counter_at(state, offset, counter);
        TRY(cipher_block(part->key, part->worker, counter, stream));
        for (size_t i = 0; i < head; i++)
            out[i] = part->data.data[i] ^ stream[skip + i];
        secret_wipe(stream, sizeof(stream));
    }
    if (part->data.len == head)
        return STATUS_OK;
    counter_at(state, offset + head, counter);
    return cipher_blocks(part->key, part->worker, CIPHER_CTR, counter,
                         slice_of(part->data.data + head, part->data.len - head), out + head);
}

static status_code gcm_text(const struct part *part, struct state *state)
{
    uint64_t offset = get_count(state->data_len);
    uint8_t *to = bytes_reserve(part->out, part->data.len);

    TRY(bytes_ok(part->out));
    CHECK(offset + part->data.len <= GCM_BYTES_MAX, STATUS_TOO_LARGE, "AES-GCM takes at most 2^36 - 32 bytes");
    TRY(crypt(part, state, to));
    put_count(state->data_len, offset + part->data.len);
    struct slice ciphertext = part->direction == MULTIPART_ENCRYPT ? slice_of(to, part->data.len) : part->data;

    TRY(absorb(part, state, ciphertext));
    part->out->len += part->data.len;
    return STATUS_OK;
}

static status_code gcm_finish(const struct part *part, struct state *state)
{
    uint8_t mask[BLOCK];

    TRY(ghash_update(part->key, part->worker, state->digest, slice_of(state->partial, state->n_partial)));
    TRY(ghash_lengths(part->key, part->worker, state->digest, get_count(state->aad_len), get_count(state->data_len)));
    TRY(cipher_block(part->key, part->worker, state->nonce_block, mask));
    for (unsigned i = 0; i < BLOCK; i++)
        mask[i] ^= state->digest[i];
    return finish(part, mask, state->tag_len);
}

static status_code gcm_part(const struct part *part, struct state *state)
{
    TRY(gcm_text(part, state));
    return part->final ? gcm_finish(part, state) : STATUS_OK;
}

static status_code gmac_part(const struct part *part, struct state *state)
{
    put_count(state->aad_len, get_count(state->aad_len) + part->data.len);
    TRY(absorb(part, state, part->data));
    return part->final ? gcm_finish(part, state) : STATUS_OK;
}

/* --- AES-CMAC: the last block, full or not, is held back, since it is treated differently (SP 800-38B, 6.2) --- */

static status_code cmac_start(const struct part *part, struct state *state)
{
    size_t len;

    TRY(mac_len(part->mechanism, BLOCK, &len));
    state->tag_len = (uint8_t)len;
    return STATUS_OK;
}

static status_code cmac_chain(const struct part *part, struct state *state, struct slice blocks)
{
    CLEANUP(bytes_release) struct bytes chained = BYTES_SECRET;
    uint8_t *to = blocks.len ? bytes_reserve(&chained, blocks.len) : NULL;

    if (blocks.len == 0)
        return STATUS_OK;
    TRY(bytes_ok(&chained));
    TRY(cipher_blocks(part->key, part->worker, CIPHER_CBC, state->nonce_block, blocks, to));
    memcpy(state->nonce_block, to + blocks.len - BLOCK, BLOCK);
    return STATUS_OK;
}

static void cmac_double(uint8_t block[BLOCK])
{
    uint8_t carry = block[0] >> 7;

    for (unsigned i = 0; i < BLOCK; i++)
        block[i] = (uint8_t)(block[i] << 1 | (i + 1 < BLOCK ? block[i + 1] >> 7 : 0));
    block[BLOCK - 1] ^= (uint8_t)(0x87 & (0 - carry));
}

static status_code cmac_finish(const struct part *part, struct state *state)
{
    uint8_t subkey[BLOCK] = {0}, mac[BLOCK];
    bool whole = state->n_partial == BLOCK;

    TRY(cipher_block(part->key, part->worker, subkey, subkey));
    cmac_double(subkey);
    if (!whole) {
        cmac_double(subkey);
        state->partial[state->n_partial] = 0x80;
        memset(state->partial + state->n_partial + 1, 0, BLOCK - 1u - state->n_partial);
    }
    for (unsigned i = 0; i < BLOCK; i++)
        state->partial[i] ^= subkey[i] ^ state->nonce_block[i];
    TRY(cipher_block(part->key, part->worker, state->partial, mac));
    secret_wipe(subkey, sizeof(subkey));
    return finish(part, mac, state->tag_len);
}

static status_code cmac_part(const struct part *part, struct state *state)
{
    struct slice data = part->data;
    size_t take = BLOCK - state->n_partial;

    if (take > data.len)
        take = data.len;
    memcpy(state->partial + state->n_partial, data.data, take);
    state->n_partial = (uint8_t)(state->n_partial + take);
    data = slice_of(data.data + take, data.len - take);
    if (data.len) {
        size_t whole = (data.len - 1) / BLOCK * BLOCK;

        TRY(cmac_chain(part, state, slice_of(state->partial, BLOCK)));
        TRY(cmac_chain(part, state, slice_of(data.data, whole)));
        memcpy(state->partial, data.data + whole, data.len - whole);
        state->n_partial = (uint8_t)(data.len - whole);
    }
    return part->final ? cmac_finish(part, state) : STATUS_OK;
}

/* --- HMAC: the inner hash travels --- */

static void hmac_pad(const struct part *part, uint8_t with, uint8_t block[HASH_BLOCK_MAX])
{
    enum hash hash = part->mechanism->hash;
    size_t block_len = hash_block_len(hash);
    const struct secret *secret = &part->key->secret;

    memset(block, 0, HASH_BLOCK_MAX);
    if (secret->len > block_len)
        EVP_Digest(secret->data, secret->len, block, NULL, crypto_digest(hash), NULL);
    else
        memcpy(block, secret->data, secret->len);
    for (size_t i = 0; i < block_len; i++)
        block[i] ^= with;
}

static status_code hmac_start(const struct part *part, struct state *state, struct hash_state **inner)
{
    uint8_t block[HASH_BLOCK_MAX];
    size_t len;

    TRY(hash_state_new(part->mechanism->hash, inner));
    TRY(mac_len(part->mechanism, hash_info(part->mechanism->hash)->len, &len));
    state->tag_len = (uint8_t)len;
    state->hash = (uint8_t)part->mechanism->hash;
    hmac_pad(part, 0x36, block);
    hash_state_update(*inner, slice_of(block, hash_block_len(part->mechanism->hash)));
    secret_wipe(block, sizeof(block));
    return STATUS_OK;
}

static status_code hmac_finish(const struct part *part, const struct state *state, struct hash_state *inner)
{
    CLEANUP(hash_state_free) struct hash_state *outer = NULL;
    uint8_t block[HASH_BLOCK_MAX], digest[EVP_MAX_MD_SIZE];
    size_t len = hash_info(part->mechanism->hash)->len;

    TRY(hash_state_new(part->mechanism->hash, &outer));
    hmac_pad(part, 0x5c, block);
    hash_state_update(outer, slice_of(block, hash_block_len(part->mechanism->hash)));
    hash_state_finish(inner, digest);
    hash_state_update(outer, slice_of(digest, len));
    hash_state_finish(outer, digest);
    secret_wipe(block, sizeof(block));
    status_code status = finish(part, digest, state->tag_len);
    secret_wipe(digest, sizeof(digest));
    return status;
}

static status_code hmac_part(const struct part *part, struct bytes *stored, struct state *state, bool first)
{
    CLEANUP(hash_state_free) struct hash_state *inner = NULL;

    if (first)
        TRY(hmac_start(part, state, &inner));
    else
        TRY(hash_state_read(part->mechanism->hash,
                            slice_of(stored->data + sizeof(*state), stored->len - sizeof(*state)), &inner));
    CHECK(state->hash == part->mechanism->hash, STATUS_DATA_INVALID, "the state is one of another hash");
    hash_state_update(inner, part->data);
    if (part->final)
        return hmac_finish(part, state, inner);
    bytes_clear(stored);
    bytes_append(stored, state, sizeof(*state));
    return hash_state_write(inner, stored);
}

static status_code check_direction(const struct part *part)
{
    bool cipher = part->mechanism->type == MECHANISM_AES_GCM;
    bool ciphering = part->direction == MULTIPART_ENCRYPT || part->direction == MULTIPART_DECRYPT;

    CHECK(part->mechanism->type == MECHANISM_HMAC ? part->key->type == KEY_GENERIC_SECRET : part->key->type == KEY_AES,
          STATUS_KEY_TYPE_INCONSISTENT, "%s does not fit keys of type %s", mechanism_info(part->mechanism->type)->name,
          key_type_name(part->key->type));
    CHECK(cipher == ciphering, STATUS_MECHANISM_INVALID, "%s does not work in that direction",
          mechanism_info(part->mechanism->type)->name);
    return STATUS_OK;
}

static size_t tag_max(const struct mechanism *mechanism)
{
    return mechanism->type == MECHANISM_HMAC ? hash_info(mechanism->hash)->len : BLOCK;
}

static status_code open_state(const struct part *part, const struct bytes *stored, struct state *state, bool first,
                              struct bytes *nonce_made)
{
    memset(state, 0, sizeof(*state));
    if (!first) {
        CHECK(stored->len >= sizeof(*state), STATUS_DATA_INVALID, "the state is too short");
        memcpy(state, stored->data, sizeof(*state));
        CHECK(state->type == part->mechanism->type && state->direction == part->direction &&
                  state->n_partial <= BLOCK && state->tag_len <= tag_max(part->mechanism),
              STATUS_DATA_INVALID, "the state is one of another operation");
        return STATUS_OK;
    }
    state->type = (uint8_t)part->mechanism->type;
    state->direction = (uint8_t)part->direction;
    switch (part->mechanism->type) {
    case MECHANISM_AES_GCM:
    case MECHANISM_AES_GMAC:
        return gcm_start(part, state, nonce_made);
    case MECHANISM_AES_CMAC:
        return cmac_start(part, state);
    default:
        return STATUS_OK;
    }
}

static status_code run(const struct part *part, struct bytes *stored, struct state *state, bool first)
{
    switch (part->mechanism->type) {
    case MECHANISM_AES_GCM:
        TRY(gcm_part(part, state));
        break;
    case MECHANISM_AES_GMAC:
        TRY(gmac_part(part, state));
        break;
    case MECHANISM_AES_CMAC:
        TRY(cmac_part(part, state));
        break;
    default:
        return hmac_part(part, stored, state, first);
    }
    bytes_clear(stored);
    if (!part->final)
        bytes_append(stored, state, sizeof(*state));
    return bytes_ok(stored);
}

status_code crypto_multipart(struct key *key, unsigned worker, const struct mechanism *mechanism,
                             enum multipart_direction direction, struct bytes *state, struct slice data, bool final,
                             struct slice tag, struct bytes *out, struct bytes *nonce_made)
{
    const struct part part = {key, worker, mechanism, direction, data, final, tag, out};
    struct state opened;
    bool first = state->len == 0;

    CHECK(mechanism->type == MECHANISM_AES_GCM || mechanism->type == MECHANISM_AES_GMAC ||
              mechanism->type == MECHANISM_AES_CMAC || mechanism->type == MECHANISM_HMAC,
          STATUS_MECHANISM_INVALID, "this mechanism keeps no state in the node: chain it in the client");
    TRY(check_direction(&part));
    status_code status = open_state(&part, state, &opened, first, nonce_made);
    if (status == STATUS_OK)
        status = run(&part, state, &opened, first);
    secret_wipe(&opened, sizeof(opened));
    return status;
}
