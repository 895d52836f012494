/* See masking_keys.h. */
#include "seal/masking_keys.h"

#include <openssl/rand.h>
#include "crypto/key.h"

unsigned masking_keys_count(struct slice keys)
{
    return (unsigned)(keys.len / MASKING_KEY_ENTRY_LEN);
}

uint32_t masking_keys_generation(struct slice keys, unsigned i)
{
    return generation_of(slice_of(keys.data + (size_t)i * MASKING_KEY_ENTRY_LEN, GENERATION_LEN));
}

struct slice masking_keys_key(struct slice keys, unsigned i)
{
    return slice_of(keys.data + (size_t)i * MASKING_KEY_ENTRY_LEN + GENERATION_LEN, MASKING_KEY_LEN);
}

uint32_t masking_keys_newest(struct slice keys)
{
    unsigned n = masking_keys_count(keys);

    return n ? masking_keys_generation(keys, n - 1) : 0;
}

status_code masking_keys_check(struct slice keys)
{
    unsigned n = masking_keys_count(keys);
    uint32_t before = 0;

    CHECK(n >= 1 && n <= MASKING_KEYS_MAX && keys.len % MASKING_KEY_ENTRY_LEN == 0, STATUS_STORE_DAMAGED,
          "a list of masking keys has %zu bytes", keys.len);
    for (unsigned i = 0; i < n; i++) {
        uint32_t generation = masking_keys_generation(keys, i);

        CHECK(generation > before && generation < UINT32_MAX, STATUS_STORE_DAMAGED,
              "a list of masking keys is not in order");
        before = generation;
    }
    return STATUS_OK;
}

static void put(struct secret *keys, uint32_t generation, struct slice key)
{
    uint8_t *at = keys->data + keys->len;

    generation_put(generation, at);
    memcpy(at + GENERATION_LEN, key.data, MASKING_KEY_LEN);
    keys->len += MASKING_KEY_ENTRY_LEN;
}

status_code masking_keys_make(uint32_t generation, struct secret *keys)
{
    CLEANUP(secret_release) struct secret key = SECRET_INIT;

    TRY(secret_allocate(&key, MASKING_KEY_LEN));
    CHECK(RAND_priv_bytes_ex(crypto_context(), key.data, MASKING_KEY_LEN, 0) == 1, STATUS_RANDOM_FAILED,
          "no random masking key");
    TRY(secret_allocate(keys, MASKING_KEY_ENTRY_LEN));
    keys->len = 0;
    put(keys, generation, secret_slice(&key));
    return STATUS_OK;
}

/* Room for the longest list; it grows with what is put. */
static status_code begin(struct secret *keys)
{
    TRY(secret_allocate(keys, MASKING_KEYS_LEN_MAX));
    keys->len = 0;
    return STATUS_OK;
}

static status_code merge(struct slice one, struct slice other, struct secret *joined)
{
    unsigned n = masking_keys_count(one), m = masking_keys_count(other), i = 0, j = 0;

    while (i < n || j < m) {
        uint32_t left = i < n ? masking_keys_generation(one, i) : UINT32_MAX;
        uint32_t right = j < m ? masking_keys_generation(other, j) : UINT32_MAX;

        CHECK(left != right || secret_equal(masking_keys_key(one, i), masking_keys_key(other, j)), STATUS_NOT_PERMITTED,
              "there are two different masking keys of generation %u", left);
        CHECK(joined->len < MASKING_KEYS_LEN_MAX, STATUS_QUOTA_EXCEEDED,
              "there are more than %u masking keys at a time", MASKING_KEYS_MAX);
        put(joined, left < right ? left : right, left <= right ? masking_keys_key(one, i) : masking_keys_key(other, j));
        i += left <= right;
        j += right <= left;
    }
    return STATUS_OK;
}

status_code masking_keys_join(struct slice one, struct slice other, struct secret *joined)
{
    TRY(begin(joined));
    status_code status = merge(one, other, joined);

    if (status != STATUS_OK)
        secret_release(joined);
    return status;
}

status_code masking_keys_from(struct slice keys, uint32_t oldest, struct secret *kept)
{
    TRY(begin(kept));
    for (unsigned i = 0; i < masking_keys_count(keys); i++)
        if (masking_keys_generation(keys, i) >= oldest)
            put(kept, masking_keys_generation(keys, i), masking_keys_key(keys, i));
    return STATUS_OK;
}
