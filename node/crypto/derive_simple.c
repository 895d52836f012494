/* The simple derivations of PKCS#11: a key's value put together with another's or with data, a part of it, its digest,
 * and data encrypted with it. From what the first of them make, the base key can be computed back
 * (derivation_is_reversible). */
#include "crypto/key_internal.h"

static status_code take(struct bytes *whole, const struct mechanism *mechanism, struct bytes *out)
{
    size_t len = derived_len(mechanism, whole->len);

    CHECK(len >= 1 && len <= whole->len, STATUS_KEY_SIZE_RANGE, "%zu bytes cannot be taken from %zu", len, whole->len);
    bytes_append(out, whole->data, len);
    return bytes_ok(out);
}

status_code concatenate_derive(struct key *key, const struct mechanism *mechanism, struct key *second,
                               struct slice data, struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes whole = BYTES_SECRET;
    bool data_first = mechanism->flags & FLAG_CONCATENATE_DATA_FIRST;

    CHECK((second != NULL) != (data.len > 0), STATUS_MECHANISM_PARAM_INVALID,
          "either a second key or data is concatenated");
    CHECK(!second || second->class == CLASS_SECRET_KEY, STATUS_KEY_TYPE_INCONSISTENT,
          "the second key must be a secret key");
    if (data_first)
        bytes_append(&whole, data.data, data.len);
    bytes_append(&whole, key->secret.data, key->secret.len);
    if (second)
        bytes_append(&whole, second->secret.data, second->secret.len);
    if (!data_first)
        bytes_append(&whole, data.data, data.len);
    TRY(bytes_ok(&whole));
    return take(&whole, mechanism, out);
}

status_code xor_derive(struct key *key, const struct mechanism *mechanism, struct key *second, struct slice data,
                       struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes whole = BYTES_SECRET;
    size_t len = data.len < key->secret.len ? data.len : key->secret.len;

    (void)second;
    CHECK(data.len, STATUS_MECHANISM_PARAM_INVALID, "data to combine with the key is missing");
    uint8_t *to = bytes_reserve(&whole, len);

    TRY(bytes_ok(&whole));
    for (size_t i = 0; i < len; i++)
        to[i] = data.data[i] ^ key->secret.data[i];
    whole.len = len;
    return take(&whole, mechanism, out);
}

status_code digest_key_derive(struct key *key, const struct mechanism *mechanism, struct key *second, struct slice data,
                              struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes whole = BYTES_SECRET;

    (void)second;
    (void)data;
    CHECK(mechanism->hash, STATUS_MECHANISM_PARAM_INVALID, "the digest of a key needs a hash");
    unsigned len = (unsigned)hash_info(mechanism->hash)->len;
    uint8_t *to = bytes_reserve(&whole, len);

    TRY(bytes_ok(&whole));
    if (!EVP_Digest(key->secret.data, key->secret.len, to, &len, crypto_digest(mechanism->hash), NULL))
        return crypto_failed("hashing a key");
    whole.len = len;
    return take(&whole, mechanism, out);
}

/* PKCS#11 3.0, 2.43.11: bits are counted from the most significant one of the first byte, and the first bit comes after
 * the last. */
status_code extract_derive(struct key *key, const struct mechanism *mechanism, struct key *second, struct slice data,
                           struct bytes *out)
{
    const uint8_t *from = key->secret.data;
    size_t whole = key->secret.len, len = derived_len(mechanism, whole), first = mechanism->flags / 8;
    unsigned shift = mechanism->flags % 8;

    (void)second;
    (void)data;
    CHECK(first < whole, STATUS_MECHANISM_PARAM_INVALID, "a key of %zu bits has no bit %u", 8 * whole,
          mechanism->flags);
    CHECK(len >= 1 && len <= whole, STATUS_KEY_SIZE_RANGE, "%zu bytes cannot be taken from %zu", len, whole);
    uint8_t *to = bytes_reserve(out, len);

    TRY(bytes_ok(out));
    for (size_t i = 0; i < len; i++) {
        unsigned both = (unsigned)from[(first + i) % whole] << 8 | from[(first + i + 1) % whole];

        to[i] = (uint8_t)(both >> (8 - shift));
    }
    out->len += len;
    return STATUS_OK;
}

static status_code encrypt_blocks(struct key *key, struct slice nonce, struct slice data, uint8_t *out)
{
    EVP_CIPHER_CTX *context = cipher_context_new(key, nonce.len ? CIPHER_CBC : CIPHER_ECB, true);
    int len = 0;
    bool ok = context && (!nonce.len || EVP_CipherInit_ex2(context, NULL, NULL, nonce.data, -1, NULL)) &&
              EVP_CipherUpdate(context, out, &len, data.data, (int)data.len) && (size_t)len == data.len;

    EVP_CIPHER_CTX_free(context);
    return ok ? STATUS_OK : crypto_failed("encrypting data for a key");
}

/* PKCS#11 3.0, 2.15: what is too much is removed from the trailing end. */
status_code encrypt_data_derive(struct key *key, const struct mechanism *mechanism, struct key *second,
                                struct slice data, struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes whole = BYTES_SECRET;
    bool chained =
        mechanism->type == MECHANISM_AES_CBC_ENCRYPT_DATA || mechanism->type == MECHANISM_DES3_CBC_ENCRYPT_DATA;
    size_t block = key->type == KEY_DES3 ? 8 : 16, nonce_len = chained ? block : 0;

    (void)second;
    CHECK(mechanism->nonce.len == nonce_len, STATUS_MECHANISM_PARAM_INVALID,
          "an initialization vector of %zu bytes is expected, not %zu", nonce_len, mechanism->nonce.len);
    CHECK(data.len && data.len % block == 0 && data.len <= DERIVED_MAX, STATUS_MECHANISM_PARAM_INVALID,
          "%zu bytes are not whole blocks of %zu, up to %u", data.len, block, DERIVED_MAX);
    uint8_t *to = bytes_reserve(&whole, data.len);

    TRY(bytes_ok(&whole));
    TRY(encrypt_blocks(key, mechanism->nonce, data, to));
    whole.len = data.len;
    return take(&whole, mechanism, out);
}
