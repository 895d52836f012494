/* The ciphers' table, and the life of a context. See cipher.h. */
#include "cipher.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/* --- what all forms do --- */

static bool node_is_to_make_nonce(const struct cipher *cipher)
{
    return cipher->kind->form->is_aead && cipher->encrypts && cipher->nonce_state == NONCE_NONE;
}

int cipher_check_ready(const struct cipher *cipher)
{
    const struct provider *provider = cipher->provider;
    const struct cipher_kind *kind = cipher->kind;

    TRY(secret_check(provider, &cipher->secret, HSM_KEY_TYPE_AES, kind->key_len));
    CHECK(provider, !cipher->is_done, HSM_OPERATION_NOT_ACTIVE, "%s", "the text has ended: initialize for another");
    if (kind->nonce_len == 0 || kind->form == &WRAP_FORM)
        return 1;
    CHECK(provider, cipher->nonce_state == NONCE_GIVEN || cipher->nonce_state == NONCE_NONE,
          HSM_MECHANISM_PARAM_INVALID, "%s", "the nonce was used for another text: it is good for one");
    CHECK(provider,
          cipher->nonce_state == NONCE_GIVEN ||
              (node_is_to_make_nonce(cipher) && cipher->nonce_len == HSM_NONCE_MADE_LEN),
          HSM_MECHANISM_PARAM_INVALID,
          "no initialization vector was given; nodes make those of %d bytes, of GCM and CCM", HSM_NONCE_MADE_LEN);
    return 1;
}

void cipher_mechanism(struct cipher *cipher, hsm_mechanism *mechanism)
{
    *mechanism = (hsm_mechanism)HSM_MECHANISM_INIT(cipher->kind->mechanism);
    if (cipher->kind->form == &WRAP_FORM)
        return;
    if (cipher->nonce_state == NONCE_GIVEN) {
        mechanism->nonce = cipher->nonce;
        mechanism->nonce_len = cipher->nonce_len;
    } else if (node_is_to_make_nonce(cipher)) {
        mechanism->nonce_out = cipher->nonce;
    }
    if (cipher->kind->form->is_aead) {
        mechanism->tag_len = (uint32_t)cipher->tag_len;
        mechanism->aad = cipher->aad;
        mechanism->aad_len = cipher->aad_len;
    }
}

void cipher_note_made(struct cipher *cipher)
{
    if (node_is_to_make_nonce(cipher))
        cipher->nonce_state = NONCE_MADE;
}

/* Whatever becomes of the text: a node may have seen it under this nonce. */
static void note_nonce_used(struct cipher *cipher)
{
    if (cipher->nonce_state == NONCE_GIVEN)
        cipher->nonce_state = NONCE_USED;
}

int cipher_begin(struct cipher *cipher, uint32_t flags)
{
    hsm_session *session;
    hsm_mechanism mechanism;

    if (cipher->operation)
        return 1;
    TRY(cipher_check_ready(cipher));
    TRY(secret_session(cipher->provider, &session));
    cipher_mechanism(cipher, &mechanism);
    HSM(cipher->provider, hsm_operation_begin(session, cipher->encrypts ? HSM_OPERATION_ENCRYPT : HSM_OPERATION_DECRYPT,
                                              &cipher->secret.object, &mechanism, flags, &cipher->operation));
    note_nonce_used(cipher);
    return 1;
}

static hsm_status run_whole(hsm_session *session, struct cipher *cipher, const unsigned char *in, size_t in_len,
                            unsigned char *out, size_t *out_len)
{
    hsm_mechanism mechanism;

    cipher_mechanism(cipher, &mechanism);
    return (cipher->encrypts ? hsm_encrypt : hsm_decrypt)(session, cipher->secret.object, &mechanism, in, in_len, out,
                                                          out_len);
}

int cipher_whole(struct cipher *cipher, const unsigned char *in, size_t in_len, unsigned char **made, size_t *made_len)
{
    const size_t room = in_len + 2 * BLOCK_LEN; /* a tag; or a wrapping's check and padding */
    hsm_session *session;

    TRY(cipher_check_ready(cipher));
    CHECK(cipher->provider, in_len <= HSM_MESSAGE_MAX, HSM_TOO_LARGE, "at most %d bytes in one piece", HSM_MESSAGE_MAX);
    TRY(secret_session(cipher->provider, &session));
    *made = OPENSSL_malloc(room);
    CHECK(cipher->provider, *made, HSM_OUT_OF_MEMORY, "%s", "");
    *made_len = room;
    hsm_status status = run_whole(session, cipher, in, in_len, *made, made_len);

    if (status == HSM_OK || cipher->encrypts)
        note_nonce_used(cipher);
    if (status == HSM_OK) {
        cipher_note_made(cipher);
        return 1;
    }
    RAISE_LAST(cipher->provider);
    OPENSSL_clear_free(*made, room);
    *made = NULL;
    return 0;
}

/* --- life --- */

static void *cipher_new(struct provider *provider, const struct cipher_kind *kind)
{
    struct cipher *cipher = calloc(1, sizeof(*cipher));

    if (!cipher)
        return NULL;
    cipher->provider = provider;
    cipher->kind = kind;
    cipher->padded = true;
    cipher->nonce_len = kind->nonce_len_first;
    cipher->tag_len = kind->tag_len_first;
    return cipher;
}

/* What belongs to one text. */
static void forget_text(struct cipher *cipher)
{
    hsm_operation_free(cipher->operation);
    cipher->operation = NULL;
    OPENSSL_clear_free(cipher->aad, cipher->aad_len);
    cipher->aad = NULL;
    cipher->aad_len = 0;
    OPENSSL_cleanse(cipher->held, sizeof(cipher->held));
    cipher->holds = cipher->is_done = false;
    cipher->n_over = 0;
}

static void cipher_free(void *data)
{
    struct cipher *cipher = data;

    forget_text(cipher);
    OPENSSL_cleanse(cipher, sizeof(*cipher));
    free(cipher);
}

static int duplicate_text(const struct cipher *from, struct cipher *to)
{
    /* The operation knows the original's place for the nonce: it must have no more use for it. */
    CHECK(from->provider, !from->operation || !node_is_to_make_nonce(from), HSM_MECHANISM_PARAM_INVALID, "%s",
          "the nonce is still to be made by a node: the context cannot be copied now");
    if (from->aad) {
        to->aad = OPENSSL_memdup(from->aad, from->aad_len);
        CHECK(from->provider, to->aad, HSM_OUT_OF_MEMORY, "%s", "");
        to->aad_len = from->aad_len;
    }
    if (from->operation)
        HSM(from->provider, hsm_operation_copy(from->operation, &to->operation));
    return 1;
}

static void *cipher_duplicate(void *data)
{
    const struct cipher *from = data;
    struct cipher *to = cipher_new(from->provider, from->kind);

    if (!to)
        return NULL;
    *to = *from;
    to->aad = NULL;
    to->aad_len = 0;
    to->operation = NULL;
    if (!duplicate_text(from, to)) {
        cipher_free(to);
        return NULL;
    }
    return to;
}

/* --- operation --- */

static int take_nonce(struct cipher *cipher, const unsigned char *nonce, size_t nonce_len)
{
    bool free_len = cipher->kind->form == &GCM_FORM;

    CHECK(cipher->provider, free_len ? nonce_len > 0 && nonce_len <= NONCE_MAX_LEN : nonce_len == cipher->nonce_len,
          HSM_MECHANISM_PARAM_INVALID, "an initialization vector of %zu bytes", nonce_len);
    memcpy(cipher->nonce, nonce, nonce_len);
    cipher->nonce_len = nonce_len;
    cipher->nonce_state = NONCE_GIVEN;
    return 1;
}

/* Without a new one, CBC begins with the last again, as OpenSSL's own does; elsewhere a second use would be fatal. */
static void keep_nonce(struct cipher *cipher)
{
    if (cipher->nonce_state == NONCE_USED && cipher->kind->mode == EVP_CIPH_CBC_MODE)
        cipher->nonce_state = NONCE_GIVEN;
    if (cipher->nonce_state == NONCE_MADE)
        cipher->nonce_state = NONCE_NONE;
}

static int cipher_init(struct cipher *cipher, const unsigned char *key, const unsigned char *nonce, size_t nonce_len,
                       const OSSL_PARAM params[], bool encrypts)
{
    if (key)
        return secret_refuse_bytes(cipher->provider);
    if (cipher->operation || cipher->is_done || encrypts)
        cipher->has_tag = false; /* another, given before the initialization, is for the text that comes */
    forget_text(cipher);
    cipher->encrypts = encrypts;
    if (nonce && cipher->kind->nonce_len > 0)
        TRY(take_nonce(cipher, nonce, nonce_len));
    else
        keep_nonce(cipher);
    return cipher_set_params(cipher, params);
}

static int encrypt_init(void *data, const unsigned char *key, size_t key_len, const unsigned char *nonce,
                        size_t nonce_len, const OSSL_PARAM params[])
{
    (void)key_len;
    return cipher_init(data, key, nonce, nonce_len, params, true);
}

static int decrypt_init(void *data, const unsigned char *key, size_t key_len, const unsigned char *nonce,
                        size_t nonce_len, const OSSL_PARAM params[])
{
    (void)key_len;
    return cipher_init(data, key, nonce, nonce_len, params, false);
}

static int update(void *data, unsigned char *out, size_t *out_len, size_t room, const unsigned char *in, size_t in_len)
{
    struct cipher *cipher = data;

    *out_len = 0;
    return cipher->kind->form->update(cipher, in, in_len, out, room, out_len);
}

static int final(void *data, unsigned char *out, size_t *out_len, size_t room)
{
    struct cipher *cipher = data;

    *out_len = 0;
    return cipher->kind->form->final(cipher, out, room, out_len);
}

/* --- the table --- */

#define ECB(bits)                                                                                                      \
    {                                                                                                                  \
        &STREAM_FORM, HSM_MECHANISM_AES_ECB, EVP_CIPH_ECB_MODE, (bits) / 8, 16, 0, 0, 0, false                         \
    }
#define CBC(bits)                                                                                                      \
    {                                                                                                                  \
        &STREAM_FORM, HSM_MECHANISM_AES_CBC, EVP_CIPH_CBC_MODE, (bits) / 8, 16, 16, 16, 0, false                       \
    }
#define CTR(bits)                                                                                                      \
    {                                                                                                                  \
        &STREAM_FORM, HSM_MECHANISM_AES_CTR, EVP_CIPH_CTR_MODE, (bits) / 8, 1, 16, 16, 0, false                        \
    }
#define GCM(bits)                                                                                                      \
    {                                                                                                                  \
        &GCM_FORM, HSM_MECHANISM_AES_GCM, EVP_CIPH_GCM_MODE, (bits) / 8, 1, 12, 12, 16, true                           \
    }
/* OpenSSL's contexts of CCM begin with a nonce of 7 bytes and a tag of 12. */
#define CCM(bits)                                                                                                      \
    {                                                                                                                  \
        &CCM_FORM, HSM_MECHANISM_AES_CCM, EVP_CIPH_CCM_MODE, (bits) / 8, 1, 12, 7, 12, true                            \
    }
#define WRAP(bits)                                                                                                     \
    {                                                                                                                  \
        &WRAP_FORM, HSM_MECHANISM_AES_KEY_WRAP, EVP_CIPH_WRAP_MODE, (bits) / 8, 8, 8, 8, 0, true                       \
    }
#define WRAP_PAD(bits)                                                                                                 \
    {                                                                                                                  \
        &WRAP_FORM, HSM_MECHANISM_AES_KEY_WRAP_PAD, EVP_CIPH_WRAP_MODE, (bits) / 8, 8, 4, 4, 0, true                   \
    }

#define CIPHER(mode, bits)                                                                                             \
    static const struct cipher_kind KIND_##mode##_##bits = mode(bits);                                                 \
    static void *new_##mode##_##bits(void *provider)                                                                   \
    {                                                                                                                  \
        return cipher_new(provider, &KIND_##mode##_##bits);                                                            \
    }                                                                                                                  \
    static int get_params_##mode##_##bits(OSSL_PARAM params[])                                                         \
    {                                                                                                                  \
        return cipher_kind_get_params(&KIND_##mode##_##bits, params);                                                  \
    }                                                                                                                  \
    static const OSSL_DISPATCH FUNCTIONS_##mode##_##bits[] = {                                                         \
        {OSSL_FUNC_CIPHER_NEWCTX, (void (*)(void))new_##mode##_##bits},                                                \
        {OSSL_FUNC_CIPHER_FREECTX, (void (*)(void))cipher_free},                                                       \
        {OSSL_FUNC_CIPHER_DUPCTX, (void (*)(void))cipher_duplicate},                                                   \
        {OSSL_FUNC_CIPHER_ENCRYPT_INIT, (void (*)(void))encrypt_init},                                                 \
        {OSSL_FUNC_CIPHER_DECRYPT_INIT, (void (*)(void))decrypt_init},                                                 \
        {OSSL_FUNC_CIPHER_UPDATE, (void (*)(void))update},                                                             \
        {OSSL_FUNC_CIPHER_FINAL, (void (*)(void)) final},                                                              \
        {OSSL_FUNC_CIPHER_GET_PARAMS, (void (*)(void))get_params_##mode##_##bits},                                     \
        {OSSL_FUNC_CIPHER_GET_CTX_PARAMS, (void (*)(void))cipher_get_params},                                          \
        {OSSL_FUNC_CIPHER_SET_CTX_PARAMS, (void (*)(void))cipher_set_params},                                          \
        {OSSL_FUNC_CIPHER_GETTABLE_PARAMS, (void (*)(void))cipher_gettable},                                           \
        {OSSL_FUNC_CIPHER_GETTABLE_CTX_PARAMS, (void (*)(void))cipher_gettable_params},                                \
        {OSSL_FUNC_CIPHER_SETTABLE_CTX_PARAMS, (void (*)(void))cipher_settable_params},                                \
        {0, NULL},                                                                                                     \
    };

#define CIPHERS_OF(bits)                                                                                               \
    CIPHER(ECB, bits)                                                                                                  \
    CIPHER(CBC, bits)                                                                                                  \
    CIPHER(CTR, bits) CIPHER(GCM, bits) CIPHER(CCM, bits) CIPHER(WRAP, bits) CIPHER(WRAP_PAD, bits)

CIPHERS_OF(128)
CIPHERS_OF(192)
CIPHERS_OF(256)

/* `arc`: of the object identifiers 2.16.840.1.101.3.4.1.x, where the key length's begin. */
#define OID(arc) "2.16.840.1.101.3.4.1." arc
#define ROWS(bits, ecb, cbc, wrap, gcm, ccm, wrap_pad)                                                                 \
    {"AES-" #bits "-ECB:" OID(ecb), PROVIDER_PROPERTIES, FUNCTIONS_ECB_##bits, NULL},                                  \
        {"AES-" #bits "-CBC:AES" #bits ":" OID(cbc), PROVIDER_PROPERTIES, FUNCTIONS_CBC_##bits, NULL},                 \
        {"AES-" #bits "-CTR", PROVIDER_PROPERTIES, FUNCTIONS_CTR_##bits, NULL},                                        \
        {"AES-" #bits "-GCM:id-aes" #bits "-GCM:" OID(gcm), PROVIDER_PROPERTIES, FUNCTIONS_GCM_##bits, NULL},          \
        {"AES-" #bits "-CCM:id-aes" #bits "-CCM:" OID(ccm), PROVIDER_PROPERTIES, FUNCTIONS_CCM_##bits, NULL},          \
        {"AES-" #bits "-WRAP:id-aes" #bits "-wrap:AES" #bits "-WRAP:" OID(wrap), PROVIDER_PROPERTIES,                  \
         FUNCTIONS_WRAP_##bits, NULL},                                                                                 \
    {                                                                                                                  \
        "AES-" #bits "-WRAP-PAD:id-aes" #bits "-wrap-pad:AES" #bits "-WRAP-PAD:" OID(wrap_pad), PROVIDER_PROPERTIES,   \
            FUNCTIONS_WRAP_PAD_##bits, NULL                                                                            \
    }

const OSSL_ALGORITHM CIPHER_ALGORITHMS[] = {
    ROWS(128, "1", "2", "5", "6", "7", "8"),
    ROWS(192, "21", "22", "25", "26", "27", "28"),
    ROWS(256, "41", "42", "45", "46", "47", "48"),
    {NULL, NULL, NULL, NULL},
};
