/* AES key wrap (RFC 3394, RFC 5649) of bytes that a program has: each update wraps or unwraps all that it is given.
 * Keys of the cluster are wrapped by hsm_wrap, and are not bytes here. */
#include <openssl/crypto.h>
#include "cipher.h"

#define SEMIBLOCK 8u

/* The cluster has the initial values of the two standards alone. */
static int check_nonce(const struct cipher *cipher)
{
    static const unsigned char STANDARD[] = {0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6};
    static const unsigned char STANDARD_PADDED[] = {0xa6, 0x59, 0x59, 0xa6};
    const unsigned char *standard =
        cipher->kind->mechanism == HSM_MECHANISM_AES_KEY_WRAP_PAD ? STANDARD_PADDED : STANDARD;

    CHECK(cipher->provider,
          cipher->nonce_state == NONCE_NONE || memcmp(cipher->nonce, standard, cipher->nonce_len) == 0,
          HSM_MECHANISM_PARAM_INVALID, "%s", "the initial value is the standard's alone");
    return 1;
}

static size_t room_for(const struct cipher *cipher, size_t in_len)
{
    if (!cipher->encrypts)
        return in_len > SEMIBLOCK ? in_len - SEMIBLOCK : 0;
    return (in_len + SEMIBLOCK - 1) / SEMIBLOCK * SEMIBLOCK + SEMIBLOCK;
}

static int wrap_update(struct cipher *cipher, const unsigned char *in, size_t in_len, unsigned char *out, size_t room,
                       size_t *out_len)
{
    unsigned char *made;
    size_t made_len;

    if (in_len == 0)
        return 1;
    CHECK(cipher->provider, in && in_len <= HSM_MESSAGE_MAX, HSM_TOO_LARGE, "at most %d bytes", HSM_MESSAGE_MAX);
    if (!out) {
        *out_len = room_for(cipher, in_len);
        return 1;
    }
    /* EVP_EncryptUpdate says that there is room for a semiblock more, where RFC 5649 may need almost two: as with
     * OpenSSL's own, programs give what they were told when they asked for the length. */
    CHECK(cipher->provider, room >= in_len, HSM_BUFFER_TOO_SMALL, "%zu bytes come out", room_for(cipher, in_len));
    TRY(check_nonce(cipher));
    TRY(cipher_whole(cipher, in, in_len, &made, &made_len));
    bool good = made_len <= room_for(cipher, in_len);

    if (good) {
        memcpy(out, made, made_len);
        *out_len = made_len;
    }
    OPENSSL_clear_free(made, made_len);
    return good ? 1 : RAISE(cipher->provider, HSM_INTERNAL, "%s", "what came is too long");
}

static int wrap_final(struct cipher *cipher, unsigned char *out, size_t room, size_t *out_len)
{
    (void)cipher;
    (void)out;
    (void)room;
    *out_len = 0;
    return 1;
}

const struct cipher_form WRAP_FORM = {wrap_update, wrap_final, false};
