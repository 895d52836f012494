/* Parameters of ciphers, as OpenSSL's own have them, and hsm-key. See cipher.h. */
#include <openssl/core_names.h>
#include <openssl/params.h>
#include "cipher.h"

/* --- of a cipher --- */

int cipher_kind_get_params(const struct cipher_kind *kind, OSSL_PARAM params[])
{
    const struct {
        const char *name;
        size_t value;
    } VALUES[] = {
        {OSSL_CIPHER_PARAM_MODE, kind->mode},
        {OSSL_CIPHER_PARAM_KEYLEN, kind->key_len},
        {OSSL_CIPHER_PARAM_IVLEN, kind->nonce_len},
        {OSSL_CIPHER_PARAM_BLOCK_SIZE, kind->block_len},
        {OSSL_CIPHER_PARAM_AEAD, kind->form->is_aead},
        {OSSL_CIPHER_PARAM_CUSTOM_IV, kind->nonce_is_custom},
        {OSSL_CIPHER_PARAM_CTS, 0},
        {OSSL_CIPHER_PARAM_TLS1_MULTIBLOCK, 0},
        {OSSL_CIPHER_PARAM_HAS_RAND_KEY, 0},
    };

    for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++) {
        OSSL_PARAM *param = OSSL_PARAM_locate(params, VALUES[i].name);

        if (param)
            TRY(OSSL_PARAM_set_size_t(param, VALUES[i].value));
    }
    return 1;
}

const OSSL_PARAM *cipher_gettable(void *provider)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_uint(OSSL_CIPHER_PARAM_MODE, NULL),        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),     OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_BLOCK_SIZE, NULL),
        OSSL_PARAM_int(OSSL_CIPHER_PARAM_AEAD, NULL),         OSSL_PARAM_int(OSSL_CIPHER_PARAM_CUSTOM_IV, NULL),
        OSSL_PARAM_int(OSSL_CIPHER_PARAM_CTS, NULL),          OSSL_PARAM_int(OSSL_CIPHER_PARAM_TLS1_MULTIBLOCK, NULL),
        OSSL_PARAM_int(OSSL_CIPHER_PARAM_HAS_RAND_KEY, NULL), OSSL_PARAM_END,
    };

    (void)provider;
    return PARAMS;
}

/* --- of a context: got --- */

static int give_nonce(const struct cipher *cipher, OSSL_PARAM *param)
{
    const void *nonce = cipher->nonce;

    if (!param)
        return 1;
    CHECK(cipher->provider, cipher->nonce_state != NONCE_NONE || cipher->kind->nonce_len == 0, REASON_PARAMETER, "%s",
          "there is no initialization vector yet");
    if (param->data_type == OSSL_PARAM_OCTET_PTR)
        return OSSL_PARAM_set_octet_ptr(param, nonce, cipher->nonce_len);
    CHECK(cipher->provider, param->data_size >= cipher->nonce_len, HSM_BUFFER_TOO_SMALL,
          "the initialization vector has %zu bytes", cipher->nonce_len);
    return OSSL_PARAM_set_octet_string(param, nonce, cipher->nonce_len);
}

static int give_tag(const struct cipher *cipher, OSSL_PARAM *param)
{
    bool whole = cipher->kind->form == &CCM_FORM; /* the length of a tag is part of what it is computed over */

    if (!param)
        return 1;
    CHECK(cipher->provider, cipher->encrypts && cipher->has_tag, REASON_PARAMETER, "%s",
          "the tag is there when encryption has ended");
    CHECK(cipher->provider,
          param->data_size > 0 && (whole ? param->data_size == cipher->tag_len : param->data_size <= cipher->tag_len),
          REASON_PARAMETER, "the tag has %zu bytes, not %zu", cipher->tag_len, param->data_size);
    return OSSL_PARAM_set_octet_string(param, cipher->tag, param->data_size);
}

static int give_size(OSSL_PARAM params[], const char *name, size_t value)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);

    return !param || OSSL_PARAM_set_size_t(param, value);
}

int cipher_get_params(void *data, OSSL_PARAM params[])
{
    const struct cipher *cipher = data;

    TRY(give_size(params, OSSL_CIPHER_PARAM_KEYLEN, cipher->kind->key_len));
    TRY(give_size(params, OSSL_CIPHER_PARAM_IVLEN, cipher->nonce_len));
    TRY(give_nonce(cipher, OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_IV)));
    if (!cipher->kind->form->is_aead)
        return give_size(params, OSSL_CIPHER_PARAM_PADDING, cipher->padded);
    TRY(give_size(params, OSSL_CIPHER_PARAM_AEAD_TAGLEN, cipher->tag_len));
    TRY(give_nonce(cipher, OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_UPDATED_IV)));
    return give_tag(cipher, OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD_TAG));
}

const OSSL_PARAM *cipher_gettable_params(void *data, void *provider)
{
    static const OSSL_PARAM PLAIN[] = {
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),
        OSSL_PARAM_uint(OSSL_CIPHER_PARAM_PADDING, NULL),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_IV, NULL, 0),
        OSSL_PARAM_END,
    };
    static const OSSL_PARAM AEAD[] = {
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TAGLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_IV, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_UPDATED_IV, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
        OSSL_PARAM_END,
    };
    const struct cipher *cipher = data;

    (void)provider;
    return cipher && cipher->kind->form->is_aead ? AEAD : PLAIN;
}

/* --- of a context: set --- */

static int take_key_len(const struct cipher *cipher, const OSSL_PARAM *param)
{
    size_t len;

    if (!param)
        return 1;
    CHECK(cipher->provider, OSSL_PARAM_get_size_t(param, &len) && len == cipher->kind->key_len, HSM_KEY_SIZE_RANGE,
          "the cipher's keys have %zu bytes", cipher->kind->key_len);
    return 1;
}

static int take_padding(struct cipher *cipher, const OSSL_PARAM *param)
{
    unsigned padded;

    if (!param)
        return 1;
    CHECK(cipher->provider, OSSL_PARAM_get_uint(param, &padded), REASON_PARAMETER, "%s", "padding is a number");
    CHECK(cipher->provider, !cipher->operation || cipher->padded == (padded != 0), REASON_PARAMETER, "%s",
          "padding is chosen before the first data");
    cipher->padded = padded != 0;
    return 1;
}

/* RFC 3610 and SP 800-38C: 7 to 13 bytes. Another length is another nonce. */
static int take_nonce_len(struct cipher *cipher, const OSSL_PARAM *param)
{
    bool ccm = cipher->kind->form == &CCM_FORM;
    size_t len;

    if (!param)
        return 1;
    CHECK(cipher->provider,
          OSSL_PARAM_get_size_t(param, &len) && len >= (ccm ? 7 : 1) && len <= (ccm ? 13 : NONCE_MAX_LEN),
          REASON_PARAMETER, "%s", "the nonce cannot have this length");
    if (len == cipher->nonce_len)
        return 1;
    CHECK(cipher->provider, !cipher->operation, REASON_PARAMETER, "%s", "the text was begun with another nonce");
    cipher->nonce_len = len;
    cipher->nonce_state = NONCE_NONE;
    return 1;
}

static bool tag_len_is_good(const struct cipher *cipher, size_t len)
{
    if (cipher->kind->form == &CCM_FORM) /* SP 800-38C, A.1 */
        return len >= 4 && len <= TAG_MAX && len % 2 == 0;
    return len == 4 || len == 8 || (len >= 12 && len <= TAG_MAX); /* SP 800-38D, 5.2.1.2 */
}

/* To decrypt: the tag. CCM without bytes, in either direction: its length alone. */
static int take_tag(struct cipher *cipher, const OSSL_PARAM *param)
{
    bool length_alone = param && cipher->kind->form == &CCM_FORM && !param->data;

    if (!param)
        return 1;
    CHECK(cipher->provider, param->data_type == OSSL_PARAM_OCTET_STRING && (param->data || length_alone),
          REASON_PARAMETER, "%s", "a tag is bytes");
    CHECK(cipher->provider, tag_len_is_good(cipher, param->data_size), REASON_PARAMETER,
          "the cluster has no tags of %zu bytes", param->data_size);
    CHECK(cipher->provider, length_alone || !cipher->encrypts, REASON_PARAMETER, "%s",
          "a tag is made by encryption, and given to decryption");
    CHECK(cipher->provider, !cipher->operation || param->data_size == cipher->tag_len, REASON_PARAMETER,
          "a tag of other than %zu bytes is given before the data", cipher->tag_len);
    if (!length_alone) {
        memcpy(cipher->tag, param->data, param->data_size);
        cipher->has_tag = true;
    }
    cipher->tag_len = param->data_size;
    return 1;
}

static int take_secret(struct cipher *cipher, const OSSL_PARAM params[])
{
    struct secret secret = {.is_set = false};

    TRY(secret_from_params(cipher->provider, params, &secret));
    if (!secret.is_set)
        return 1;
    CHECK(cipher->provider, !cipher->operation, REASON_PARAMETER, "%s", "the text was begun with another key");
    TRY(secret_check(cipher->provider, &secret, HSM_KEY_TYPE_AES, cipher->kind->key_len));
    cipher->secret = secret;
    return 1;
}

int cipher_set_params(void *data, const OSSL_PARAM params[])
{
    struct cipher *cipher = data;

    if (!params)
        return 1;
    TRY(take_key_len(cipher, OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_KEYLEN)));
    if (!cipher->kind->form->is_aead)
        TRY(take_padding(cipher, OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_PADDING)));
    if (cipher->kind->form->is_aead) {
        TRY(take_tag(cipher, OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_TAG)));
        TRY(take_nonce_len(cipher, OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_IVLEN)));
    }
    return take_secret(cipher, params);
}

const OSSL_PARAM *cipher_settable_params(void *data, void *provider)
{
    static const OSSL_PARAM PARAMS[] = {
        OSSL_PARAM_utf8_string(SECRET_PARAM, NULL, 0),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_uint(OSSL_CIPHER_PARAM_PADDING, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)data;
    (void)provider;
    return PARAMS;
}
