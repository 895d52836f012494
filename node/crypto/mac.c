/* HMAC (FIPS 198-1) and AES-CMAC (SP 800-38B) in one call. A worker keeps a context that holds the key; a use starts it
 * anew with that key. */
#include "crypto/key_internal.h"

#include <openssl/core_names.h>
#include <stdio.h>

#define MAC_MIN 4u

status_code mac_len(const struct mechanism *mechanism, size_t full, size_t *len)
{
    *len = mechanism->has_tag_len ? mechanism->tag_len : full;
    CHECK(*len >= MAC_MIN && *len <= full, STATUS_MECHANISM_PARAM_INVALID, "a MAC of %u to %zu bytes, not %zu", MAC_MIN,
          full, *len);
    return STATUS_OK;
}

static void free_context(void *context)
{
    EVP_MAC_CTX_free(context);
}

EVP_MAC_CTX *mac_context_new(const struct key *key, enum mechanism_type type, enum hash hash)
{
    bool hmac = type == MECHANISM_HMAC;
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(crypto_mac(type));
    char name[32];

    if (hmac)
        snprintf(name, sizeof(name), "%s", crypto_digest_name(hash));
    else
        snprintf(name, sizeof(name), "AES-%zu-CBC", 8 * key->secret.len);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(hmac ? OSSL_MAC_PARAM_DIGEST : OSSL_MAC_PARAM_CIPHER, name, 0),
        OSSL_PARAM_construct_end()};

    if (context && EVP_MAC_init(context, key->secret.data, key->secret.len, parameters))
        return context;
    EVP_MAC_CTX_free(context);
    return NULL;
}

static status_code context_for(struct key *key, unsigned worker, const struct mechanism *mechanism,
                               EVP_MAC_CTX **context)
{
    uint64_t tag = (uint64_t)CONTEXT_MAC << 56 | (uint64_t)mechanism->type << 44 | (uint64_t)mechanism->hash << 36;

    *context = key_context_find(key, worker, tag);
    if (*context)
        return EVP_MAC_init(*context, NULL, 0, NULL) ? STATUS_OK : crypto_failed("starting a MAC");
    *context = mac_context_new(key, mechanism->type, mechanism->hash);
    if (!*context)
        return crypto_failed("setting up a MAC");
    return key_context_keep(key, worker, tag, *context, free_context);
}

status_code mac_sign(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                     struct bytes *out)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    EVP_MAC_CTX *context;
    size_t full, len;

    CHECK(mechanism->type != MECHANISM_HMAC || mechanism->hash, STATUS_MECHANISM_PARAM_INVALID, "HMAC needs a hash");
    TRY(mac_len(mechanism, mechanism->type == MECHANISM_HMAC ? hash_info(mechanism->hash)->len : 16, &len));
    TRY(context_for(key, worker, mechanism, &context));
    if (!EVP_MAC_update(context, data.data, data.len) || !EVP_MAC_final(context, mac, &full, sizeof(mac)))
        return crypto_failed("computing a MAC");
    bytes_append(out, mac, len);
    secret_wipe(mac, sizeof(mac));
    return bytes_ok(out);
}

status_code mac_verify(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                       struct slice signature)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_SECRET;

    TRY(mac_sign(key, worker, mechanism, data, &made));
    CHECK(secret_equal(bytes_slice(&made), signature), STATUS_SIGNATURE_INVALID, "the MAC does not verify");
    return STATUS_OK;
}
