/* GCM and CCM. GCM with a nonce of 12 bytes streams: plaintext is given out by update, as OpenSSL's contract has it,
 * and is not to be acted upon before final has verified the tag. GCM with another nonce, and CCM, are done by one
 * update that has the whole text, and give out plaintext only when the tag has verified. */
#include <openssl/crypto.h>
#include "cipher.h"

/* --- additional data --- */

static int take_aad(struct cipher *cipher, const unsigned char *aad, size_t aad_len)
{
    CHECK(cipher->provider, !cipher->operation && !cipher->is_done, REASON_PARAMETER, "%s",
          "additional data comes before the text");
    CHECK(cipher->provider, aad_len <= HSM_MESSAGE_MAX - cipher->aad_len, HSM_TOO_LARGE,
          "at most %d bytes of additional data", HSM_MESSAGE_MAX);
    unsigned char *joined = OPENSSL_clear_realloc(cipher->aad, cipher->aad_len, cipher->aad_len + aad_len);

    CHECK(cipher->provider, joined, HSM_OUT_OF_MEMORY, "%s", "");
    memcpy(joined + cipher->aad_len, aad, aad_len);
    cipher->aad = joined;
    cipher->aad_len += aad_len;
    return 1;
}

/* Update without a place for output: additional data, or, to CCM, the text's length, which only OpenSSL has use for. */
static int take_beside(struct cipher *cipher, const unsigned char *in, size_t in_len, size_t *out_len)
{
    CHECK(cipher->provider, in || cipher->kind->form == &CCM_FORM, REASON_PARAMETER, "%s", "no place for the data");
    if (in && in_len > 0)
        TRY(take_aad(cipher, in, in_len));
    *out_len = in_len;
    return 1;
}

/* --- in one piece --- */

static void split(struct cipher *cipher, const unsigned char *made, size_t text_len, unsigned char *out)
{
    if (text_len > 0)
        memcpy(out, made, text_len);
    if (cipher->encrypts) {
        memcpy(cipher->tag, made + text_len, cipher->tag_len);
        cipher->has_tag = true;
    }
    cipher->is_done = true;
}

static int run_joined(struct cipher *cipher, const unsigned char *joined, size_t joined_len, unsigned char *out,
                      size_t text_len)
{
    unsigned char *made;
    size_t made_len;

    TRY(cipher_whole(cipher, joined, joined_len, &made, &made_len));
    bool good = made_len == text_len + (cipher->encrypts ? cipher->tag_len : 0);

    if (good)
        split(cipher, made, text_len, out);
    OPENSSL_clear_free(made, made_len);
    return good ? 1 : RAISE(cipher->provider, HSM_INTERNAL, "%s", "what came has another length");
}

static int decrypt_whole(struct cipher *cipher, const unsigned char *in, size_t in_len, unsigned char *out)
{
    CHECK(cipher->provider, cipher->has_tag, REASON_PARAMETER, "%s", "the tag is wanted before the text");
    CHECK(cipher->provider, in_len <= HSM_MESSAGE_MAX, HSM_TOO_LARGE, "at most %d bytes in one piece", HSM_MESSAGE_MAX);
    unsigned char *joined = OPENSSL_malloc(in_len + cipher->tag_len);

    CHECK(cipher->provider, joined, HSM_OUT_OF_MEMORY, "%s", "");
    if (in_len > 0)
        memcpy(joined, in, in_len);
    memcpy(joined + in_len, cipher->tag, cipher->tag_len);
    int result = run_joined(cipher, joined, in_len + cipher->tag_len, out, in_len);

    OPENSSL_free(joined);
    return result;
}

static int run_whole(struct cipher *cipher, const unsigned char *in, size_t in_len, unsigned char *out, size_t room,
                     size_t *out_len)
{
    CHECK(cipher->provider, room >= in_len, HSM_BUFFER_TOO_SMALL, "%zu bytes come out", in_len);
    TRY(cipher->encrypts ? run_joined(cipher, in, in_len, out, in_len) : decrypt_whole(cipher, in, in_len, out));
    *out_len = in_len;
    return 1;
}

/* --- GCM in parts --- */

static bool in_parts(const struct cipher *cipher)
{
    return cipher->nonce_len == HSM_NONCE_MADE_LEN;
}

static int run_part(struct cipher *cipher, const unsigned char *in, size_t in_len, unsigned char *out)
{
    unsigned char *made = OPENSSL_malloc(in_len);
    size_t made_len = in_len;

    CHECK(cipher->provider, made, HSM_OUT_OF_MEMORY, "%s", "");
    hsm_status status = hsm_operation_update(cipher->operation, in, in_len, made, &made_len);
    bool good = status == HSM_OK && made_len == in_len;

    if (good) {
        cipher_note_made(cipher);
        memcpy(out, made, in_len);
    }
    OPENSSL_clear_free(made, in_len);
    if (status != HSM_OK)
        return RAISE_LAST(cipher->provider);
    return good ? 1 : RAISE(cipher->provider, HSM_INTERNAL, "%s", "what came has another length");
}

static int gcm_update(struct cipher *cipher, const unsigned char *in, size_t in_len, unsigned char *out, size_t room,
                      size_t *out_len)
{
    if (!out)
        return take_beside(cipher, in, in_len, out_len);
    if (in_len == 0)
        return 1;
    CHECK(cipher->provider, in, REASON_PARAMETER, "%s", "no data");
    if (!in_parts(cipher))
        return run_whole(cipher, in, in_len, out, room, out_len);
    CHECK(cipher->provider, room >= in_len, HSM_BUFFER_TOO_SMALL, "%zu bytes come out", in_len);
    TRY(cipher_begin(cipher, HSM_OPERATION_TAG_APART));
    TRY(run_part(cipher, in, in_len, out));
    *out_len = in_len;
    return 1;
}

static int end_parts(struct cipher *cipher)
{
    unsigned char nothing[TAG_MAX];
    size_t len = sizeof(cipher->tag);

    CHECK(cipher->provider, cipher->encrypts || cipher->has_tag, REASON_PARAMETER, "%s", "the tag was not given");
    TRY(cipher_begin(cipher, HSM_OPERATION_TAG_APART));
    if (cipher->encrypts) {
        HSM(cipher->provider, hsm_operation_final(cipher->operation, cipher->tag, &len));
        cipher_note_made(cipher);
        cipher->has_tag = true;
    } else {
        len = sizeof(nothing);
        HSM(cipher->provider, hsm_operation_final_tag(cipher->operation, cipher->tag, cipher->tag_len, nothing, &len));
    }
    hsm_operation_free(cipher->operation);
    cipher->operation = NULL;
    cipher->is_done = true;
    return 1;
}

static int gcm_final(struct cipher *cipher, unsigned char *out, size_t room, size_t *out_len)
{
    if (in_parts(cipher))
        return end_parts(cipher);
    return cipher->is_done ? 1 : run_whole(cipher, NULL, 0, out, room, out_len);
}

/* --- CCM --- */

static int ccm_update(struct cipher *cipher, const unsigned char *in, size_t in_len, unsigned char *out, size_t room,
                      size_t *out_len)
{
    if (!out)
        return take_beside(cipher, in, in_len, out_len);
    CHECK(cipher->provider, in, REASON_PARAMETER, "%s", "no data");
    return run_whole(cipher, in, in_len, out, room, out_len);
}

/* Of no text at all there was no update. */
static int ccm_final(struct cipher *cipher, unsigned char *out, size_t room, size_t *out_len)
{
    return cipher->is_done ? 1 : run_whole(cipher, NULL, 0, out, room, out_len);
}

const struct cipher_form GCM_FORM = {gcm_update, gcm_final, true};
const struct cipher_form CCM_FORM = {ccm_update, ccm_final, true};
