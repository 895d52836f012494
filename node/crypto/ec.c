/* ECDSA (FIPS 186-5, section 6) with signatures as r || s, and Diffie-Hellman on all curves (SP 800-56A, RFC 7748). */
/* ECDSA_do_sign() is deprecated for what has a provider of its own; for signing with keys in memory it computes the
 * same and leaves out 1.2 of 20 us (P-256, OpenSSL 3.0) that EVP_PKEY_sign() spends on lengths and DER. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/key_internal.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/x509.h>

#define COORDINATE_MAX 66u                             /* P-521 */
#define DER_MAX        (2u * (COORDINATE_MAX + 4) + 4) /* sequence of two integers */

static size_t coordinate_len(const struct key *key)
{
    return (key->curve->bits + 7) / 8;
}

static size_t integer_to_der(const uint8_t *digits, size_t len, uint8_t *out)
{
    while (len > 1 && *digits == 0)
        digits++, len--;
    size_t pad = *digits >> 7;

    out[0] = 0x02;
    out[1] = (uint8_t)(len + pad);
    out[2] = 0;
    memcpy(out + 2 + pad, digits, len);
    return 2 + pad + len;
}

static size_t signature_to_der(const uint8_t *signature, size_t len, uint8_t der[DER_MAX])
{
    uint8_t body[DER_MAX];
    size_t n = integer_to_der(signature, len, body), at = 0;

    n += integer_to_der(signature + len, len, body + n);
    der[at++] = 0x30;
    if (n > 127)
        der[at++] = 0x81;
    der[at++] = (uint8_t)n;
    memcpy(der + at, body, n);
    return at + n;
}

static void free_signing_key(void *ec_key)
{
    EC_KEY_free(ec_key);
}

static status_code signing_key(struct key *key, unsigned worker, EC_KEY **ec_key)
{
    const uint64_t tag = (uint64_t)CONTEXT_SIGN << 56 | (uint64_t)MECHANISM_ECDSA << 44;

    *ec_key = key_context_find(key, worker, tag);
    if (*ec_key)
        return STATUS_OK;
    *ec_key = EVP_PKEY_get1_EC_KEY(key->pkey);
    if (!*ec_key)
        return crypto_failed("setting up ECDSA");
    return key_context_keep(key, worker, tag, *ec_key, free_signing_key);
}

static void free_context(void *context)
{
    EVP_PKEY_CTX_free(context);
}

static status_code verifying_context(struct key *key, unsigned worker, EVP_PKEY_CTX **context)
{
    const uint64_t tag = (uint64_t)CONTEXT_VERIFY << 56 | (uint64_t)MECHANISM_ECDSA << 44;

    *context = key_context_find(key, worker, tag);
    if (*context)
        return STATUS_OK;
    *context = EVP_PKEY_CTX_new_from_pkey(crypto_context(), key->pkey, NULL);
    if (!*context || EVP_PKEY_verify_init(*context) <= 0) {
        EVP_PKEY_CTX_free(*context);
        return crypto_failed("setting up ECDSA");
    }
    return key_context_keep(key, worker, tag, *context, free_context);
}

static status_code check_digest(const struct mechanism *mechanism, struct slice digest)
{
    CHECK(digest.len >= 1 && digest.len <= EVP_MAX_MD_SIZE, STATUS_DATA_LENGTH,
          "ECDSA takes a digest of 1 to %u bytes, not %zu", EVP_MAX_MD_SIZE, digest.len);
    CHECK(!mechanism->hash || digest.len == hash_info(mechanism->hash)->len, STATUS_DATA_LENGTH,
          "a digest of %zu bytes is expected, not %zu", hash_info(mechanism->hash)->len, digest.len);
    return STATUS_OK;
}

status_code ecdsa_sign(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                       struct bytes *out)
{
    EC_KEY *ec_key;
    size_t len = coordinate_len(key);
    uint8_t *to = bytes_reserve(out, 2 * len);

    TRY(bytes_ok(out));
    TRY(check_digest(mechanism, data));
    TRY(signing_key(key, worker, &ec_key));
    ECDSA_SIG *signature = ECDSA_do_sign(data.data, (int)data.len, ec_key);
    bool ok = signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), to, (int)len) > 0 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(signature), to + len, (int)len) > 0;

    ECDSA_SIG_free(signature);
    if (!ok)
        return crypto_failed("signing");
    out->len += 2 * len;
    return STATUS_OK;
}

status_code ecdsa_verify(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                         struct slice signature)
{
    uint8_t der[DER_MAX];
    EVP_PKEY_CTX *context;
    char reason[128];
    size_t len = coordinate_len(key);

    TRY(check_digest(mechanism, data));
    CHECK(signature.len == 2 * len, STATUS_SIGNATURE_INVALID, "a signature of %zu bytes (r || s) is expected, not %zu",
          2 * len, signature.len);
    TRY(verifying_context(key, worker, &context));
    if (EVP_PKEY_verify(context, der, signature_to_der(signature.data, len, der), data.data, data.len) > 0)
        return STATUS_OK;
    failure_openssl_reason(reason, sizeof(reason));
    FAIL(STATUS_SIGNATURE_INVALID, "the signature does not verify with this key and data");
}

static EVP_PKEY *decode_info(struct slice info)
{
    const uint8_t *at = info.data;
    EVP_PKEY *pkey = d2i_PUBKEY_ex(NULL, &at, (long)info.len, crypto_context(), NULL);

    if (pkey && at == info.data + info.len)
        return pkey;
    EVP_PKEY_free(pkey);
    return NULL;
}

static EVP_PKEY *decode_point(const struct key *key, struct slice point)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)key->curve->openssl_name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point.data, point.len),
        OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(crypto_context(), "EC", NULL);
    EVP_PKEY *pkey = NULL;

    if (context && EVP_PKEY_fromdata_init(context) > 0)
        (void)EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters);
    EVP_PKEY_CTX_free(context);
    return pkey;
}

/* What is inside a DER OCTET STRING; anything else as it is. */
static struct slice without_header(struct slice peer)
{
    size_t header = peer.len > 2 && peer.data[1] == 0x81 ? 3 : 2;
    bool wrapped = peer.len > header && peer.data[0] == 0x04 && peer.data[header - 1] == peer.len - header;

    return wrapped ? slice_of(peer.data + header, peer.len - header) : peer;
}

/* The other party's key, as SubjectPublicKeyInfo, as a point (compressed or not) or raw, or either inside a DER OCTET
 * STRING (PKCS#11). The lengths tell them apart. */
static EVP_PKEY *decode_peer(const struct key *key, struct slice peer)
{
    size_t len = coordinate_len(key);
    bool montgomery = key->type == KEY_EC_MONTGOMERY;
    size_t raw = montgomery ? len : 2 * len + 1;

    if (peer.len > raw + 3 && peer.data[0] == 0x30)
        return decode_info(peer);
    if (peer.len != raw)
        peer = without_header(peer);
    if (peer.len != raw && (montgomery || peer.len != len + 1))
        return NULL;
    if (montgomery)
        return EVP_PKEY_new_raw_public_key_ex(crypto_context(), key->curve->openssl_name, NULL, peer.data, peer.len);
    return decode_point(key, peer);
}

/* OpenSSL refuses points off the curve when it decodes, and an all-zero X25519 or X448 result when it derives. */
static status_code agree(struct key *key, struct slice peer_public, struct bytes *shared)
{
    char reason[128];
    EVP_PKEY *peer = decode_peer(key, peer_public);
    EVP_PKEY_CTX *context = peer ? EVP_PKEY_CTX_new_from_pkey(crypto_context(), key->pkey, NULL) : NULL;
    size_t len = 0;
    bool ok = context && EVP_PKEY_derive_init(context) > 0 && EVP_PKEY_derive_set_peer_ex(context, peer, 1) > 0 &&
              EVP_PKEY_derive(context, NULL, &len) > 0;
    uint8_t *to = ok ? bytes_reserve(shared, len) : NULL;

    ok = to && EVP_PKEY_derive(context, to, &len) > 0;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    CHECK(ok, STATUS_MECHANISM_PARAM_INVALID, "the other party's public key does not fit this key: %s",
          failure_openssl_reason(reason, sizeof(reason)));
    shared->len += len;
    return STATUS_OK;
}

status_code ecdh_derive(struct key *key, const struct mechanism *mechanism, struct key *second, struct slice data,
                        struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes shared = BYTES_SECRET;

    (void)second;
    (void)data;
    CHECK(mechanism->peer_public.len, STATUS_MECHANISM_PARAM_INVALID, "the other party's public key is missing");
    TRY(agree(key, mechanism->peer_public, &shared));
    size_t len = mechanism->has_output_len ? mechanism->output_len : shared.len;

    if (mechanism->kdf != KDF_NULL)
        return agreement_kdf(mechanism->kdf, mechanism->hash, bytes_slice(&shared), mechanism->shared_info, len, out);
    CHECK(len >= 1 && len <= shared.len, STATUS_KEY_SIZE_RANGE, "%zu bytes cannot be taken from a secret of %zu", len,
          shared.len);
    /* PKCS#11 3.0, 2.3.8: what is too much is removed from the leading end. */
    bytes_append(out, shared.data + shared.len - len, len);
    return bytes_ok(out);
}
