/* EdDSA (RFC 8032) and ML-DSA (FIPS 204): signatures over the message itself. A worker keeps the context of the plain
 * use, without parameters, which is only started anew; a use with parameters is set up in full. */
#include "crypto/key_internal.h"

#include <openssl/core_names.h>

#define ED_CONTEXT_MAX 255u

static void free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

/* Ed448 takes a context as it is, Ed25519 by its instance Ed25519ctx (RFC 8032, 5.1); where OpenSSL knows them. */
static unsigned parameters_of(const struct key *key, const struct mechanism *mechanism, int *deterministic,
                              OSSL_PARAM *parameters)
{
    unsigned n = 0;

    if (mechanism->aad.len) {
        parameters[n++] =
            OSSL_PARAM_construct_octet_string("context-string", (void *)mechanism->aad.data, mechanism->aad.len);
        if (key->type == KEY_EC_EDWARDS && key->curve->bits == 256)
            parameters[n++] = OSSL_PARAM_construct_utf8_string("instance", (char *)"Ed25519ctx", 0);
    }
    if (mechanism->type == MECHANISM_ML_DSA && (mechanism->flags & FLAG_ML_DSA_DETERMINISTIC)) {
        *deterministic = 1;
        parameters[n++] = OSSL_PARAM_construct_int("deterministic", deterministic);
    }
    parameters[n] = OSSL_PARAM_construct_end();
    return n;
}

/* A parameter that OpenSSL does not know would be passed over in silence, and another message signed. */
static status_code check_settable(EVP_PKEY_CTX *context, const OSSL_PARAM *parameters)
{
    const OSSL_PARAM *settable = EVP_PKEY_CTX_settable_params(context);

    for (; parameters->key; parameters++)
        CHECK(settable && OSSL_PARAM_locate_const(settable, parameters->key), STATUS_MECHANISM_PARAM_INVALID,
              "%s does not offer %s for this mechanism", crypto_version(), parameters->key);
    return STATUS_OK;
}

static bool start(EVP_MD_CTX *context, EVP_PKEY_CTX **pkey_context, bool sign, EVP_PKEY *pkey)
{
    int done = sign ? EVP_DigestSignInit_ex(context, pkey_context, NULL, crypto_context(), NULL, pkey, NULL)
                    : EVP_DigestVerifyInit_ex(context, pkey_context, NULL, crypto_context(), NULL, pkey, NULL);

    return done > 0;
}

/* The tag's mechanism alone tells the plain context: keys of one mechanism have nothing else that could differ. */
static status_code plain_context(struct key *key, unsigned worker, const struct mechanism *mechanism, bool sign,
                                 EVP_MD_CTX **context)
{
    uint64_t tag = (uint64_t)(sign ? CONTEXT_SIGN : CONTEXT_VERIFY) << 56 | (uint64_t)mechanism->type << 44;

    *context = key_context_find(key, worker, tag);
    if (*context)
        return start(*context, NULL, sign, NULL) ? STATUS_OK : crypto_failed("starting a signature");
    *context = EVP_MD_CTX_new();
    if (!*context || !start(*context, NULL, sign, key->pkey)) {
        EVP_MD_CTX_free(*context);
        return crypto_failed("setting up a signature");
    }
    return key_context_keep(key, worker, tag, *context, free_context);
}

static status_code parameter_context(struct key *key, unsigned worker, const OSSL_PARAM *parameters, bool sign,
                                     EVP_MD_CTX **context)
{
    const uint64_t tag = (uint64_t)CONTEXT_SIGN << 56 | 1;
    EVP_PKEY_CTX *pkey_context = NULL;

    *context = key_context_find(key, worker, tag);
    if (!*context) {
        *context = EVP_MD_CTX_new();
        CHECK(*context, STATUS_OUT_OF_MEMORY, "no memory for a context");
        TRY(key_context_keep(key, worker, tag, *context, free_context));
    }
    EVP_MD_CTX_reset(*context);
    if (!start(*context, &pkey_context, sign, key->pkey))
        return crypto_failed("setting up a signature");
    TRY(check_settable(pkey_context, parameters));
    return EVP_PKEY_CTX_set_params(pkey_context, parameters) > 0 ? STATUS_OK
                                                                 : crypto_failed("setting signature parameters");
}

static status_code begin(struct key *key, unsigned worker, const struct mechanism *mechanism, bool sign,
                         EVP_MD_CTX **context)
{
    OSSL_PARAM parameters[4];
    int deterministic = 0;

    CHECK(mechanism->aad.len <= ED_CONTEXT_MAX, STATUS_MECHANISM_PARAM_INVALID,
          "the context has at most %u bytes, not %zu", ED_CONTEXT_MAX, mechanism->aad.len);
    if (parameters_of(key, mechanism, &deterministic, parameters) == 0)
        return plain_context(key, worker, mechanism, sign, context);
    return parameter_context(key, worker, parameters, sign, context);
}

status_code message_sign(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                         struct bytes *out)
{
    EVP_MD_CTX *context;
    size_t len = (size_t)EVP_PKEY_get_size(key->pkey);
    uint8_t *to = bytes_reserve(out, len);

    TRY(bytes_ok(out));
    TRY(begin(key, worker, mechanism, true, &context));
    if (EVP_DigestSign(context, to, &len, data.data, data.len) <= 0)
        return crypto_failed("signing");
    out->len += len;
    return STATUS_OK;
}

status_code message_verify(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                           struct slice signature)
{
    EVP_MD_CTX *context;
    char reason[128];

    TRY(begin(key, worker, mechanism, false, &context));
    if (EVP_DigestVerify(context, signature.data, signature.len, data.data, data.len) > 0)
        return STATUS_OK;
    failure_openssl_reason(reason, sizeof(reason));
    FAIL(STATUS_SIGNATURE_INVALID, "the signature does not verify with this key and data");
}
