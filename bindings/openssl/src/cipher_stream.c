/* ECB, CBC and CTR: what can be transformed goes to a node with each update. ECB and CBC take whole blocks; padding
 * (PKCS#7) is put on and taken off here. When padded text is decrypted, a block at the end is held back until more
 * follows, because it may be the last. */
#include <openssl/crypto.h>
#include "cipher.h"

/* What an update will come to. */
struct step {
    size_t made;   /* bytes that come from the node */
    size_t given;  /* bytes that go to the program */
    size_t n_over; /* bytes left for the next */
    bool holds;
};

static bool holds_back(const struct cipher *cipher)
{
    return !cipher->encrypts && cipher->padded && cipher->kind->block_len > 1;
}

static struct step step_of(const struct cipher *cipher, size_t in_len)
{
    size_t block_len = cipher->kind->block_len, total = cipher->n_over + in_len;
    struct step step = {.made = total - total % block_len, .n_over = total % block_len};
    size_t there = step.made + (cipher->holds ? block_len : 0);

    step.holds = holds_back(cipher) && step.n_over == 0 && there > 0;
    step.given = there - (step.holds ? block_len : 0);
    return step;
}

/* Into `made`, which begins with what was held. A buffer of its own, because a program may give the same place for both
 * texts. */
static int run(struct cipher *cipher, const unsigned char *in, size_t in_len, const struct step *step,
               unsigned char *made)
{
    size_t held_len = cipher->holds ? BLOCK_LEN : 0, len = step->made;

    memcpy(made, cipher->held, held_len);
    HSM(cipher->provider, hsm_operation_update(cipher->operation, in, in_len, made + held_len, &len));
    CHECK(cipher->provider, len == step->made, HSM_INTERNAL, "%zu bytes came for %zu", len, step->made);
    return 1;
}

static int take(struct cipher *cipher, const unsigned char *in, size_t in_len, unsigned char *out, size_t room,
                size_t *out_len)
{
    const struct step step = step_of(cipher, in_len);
    const size_t made_room = step.made + BLOCK_LEN;

    CHECK(cipher->provider, room >= step.given, HSM_BUFFER_TOO_SMALL, "%zu bytes come out", step.given);
    unsigned char *made = OPENSSL_malloc(made_room);
    CHECK(cipher->provider, made, HSM_OUT_OF_MEMORY, "%s", "");
    int result = run(cipher, in, in_len, &step, made);

    if (result) {
        memcpy(out, made, step.given);
        if (step.holds)
            memcpy(cipher->held, made + step.given, BLOCK_LEN);
        cipher->holds = step.holds;
        cipher->n_over = step.n_over;
        *out_len = step.given;
    }
    OPENSSL_clear_free(made, made_room);
    return result;
}

static int stream_update(struct cipher *cipher, const unsigned char *in, size_t in_len, unsigned char *out, size_t room,
                         size_t *out_len)
{
    if (in_len == 0)
        return 1;
    CHECK(cipher->provider, in && out, REASON_PARAMETER, "%s", "no place for the data");
    TRY(cipher_begin(cipher, 0));
    return take(cipher, in, in_len, out, room, out_len);
}

/* --- the end --- */

static int pad(struct cipher *cipher, unsigned char *out, size_t room, size_t *out_len)
{
    unsigned char padding[BLOCK_LEN];
    size_t len = BLOCK_LEN - cipher->n_over;

    memset(padding, (int)len, sizeof(padding));
    TRY(cipher_begin(cipher, 0));
    return take(cipher, padding, len, out, room, out_len);
}

static int unpad(const struct cipher *cipher, unsigned char *out, size_t room, size_t *out_len)
{
    unsigned char n = cipher->held[BLOCK_LEN - 1], wrong = n == 0 || n > BLOCK_LEN;

    CHECK(cipher->provider, cipher->holds && cipher->n_over == 0, HSM_DATA_LENGTH, "%s",
          "the ciphertext is not of whole blocks");
    for (size_t i = 0; i < BLOCK_LEN; i++)
        wrong |= i + n >= BLOCK_LEN ? cipher->held[i] ^ n : 0;
    CHECK(cipher->provider, !wrong, HSM_CIPHERTEXT_INVALID, "%s", "the padding is not valid");
    CHECK(cipher->provider, room >= BLOCK_LEN - n, HSM_BUFFER_TOO_SMALL, "%zu bytes come out", (size_t)BLOCK_LEN - n);
    memcpy(out, cipher->held, BLOCK_LEN - n);
    *out_len = BLOCK_LEN - n;
    return 1;
}

static int end(struct cipher *cipher, unsigned char *out, size_t room, size_t *out_len)
{
    if (cipher->kind->block_len == 1)
        return 1;
    if (!cipher->padded) {
        CHECK(cipher->provider, cipher->n_over == 0, HSM_DATA_LENGTH,
              "without padding the text is of whole blocks: %zu bytes are left over", cipher->n_over);
        return 1;
    }
    return cipher->encrypts ? pad(cipher, out, room, out_len) : unpad(cipher, out, room, out_len);
}

static int stream_final(struct cipher *cipher, unsigned char *out, size_t room, size_t *out_len)
{
    CHECK(cipher->provider, !cipher->is_done, HSM_OPERATION_NOT_ACTIVE, "%s",
          "the text has ended: initialize for another");
    TRY(end(cipher, out, room, out_len));
    hsm_operation_free(cipher->operation);
    cipher->operation = NULL;
    OPENSSL_cleanse(cipher->held, sizeof(cipher->held));
    cipher->holds = false;
    cipher->is_done = true;
    return 1;
}

const struct cipher_form STREAM_FORM = {stream_update, stream_final, false};
