/* Ciphers with a key of the cluster (provider-cipher(7)): the program names the key by the parameter hsm-key, its data
 * travels to a node and comes back transformed. Names, lengths, parameters and the meaning of update and final are
 * those of OpenSSL's own ciphers; a program that works with those works with these, once it gives a name instead of
 * bytes. */
#pragma once

#include <openssl/evp.h>
#include "secret.h"

#define BLOCK_LEN     16u
#define TAG_MAX       16u
#define NONCE_MAX_LEN 128u /* as OpenSSL's GCM has it */

struct cipher;

/* How a mode takes data. `in_len` may be 0. `out` NULL: additional data, or a length that is announced. */
struct cipher_form {
    int (*update)(struct cipher *cipher, const unsigned char *in, size_t in_len, unsigned char *out, size_t room,
                  size_t *out_len);
    int (*final)(struct cipher *cipher, unsigned char *out, size_t room, size_t *out_len);
    bool is_aead;
};

extern const struct cipher_form STREAM_FORM, GCM_FORM, CCM_FORM, WRAP_FORM;

/* What the ciphers differ in. */
struct cipher_kind {
    const struct cipher_form *form;
    uint32_t mechanism; /* HSM_MECHANISM_... */
    unsigned mode;      /* EVP_CIPH_..._MODE */
    size_t key_len, block_len;
    size_t nonce_len; /* as the cipher tells it; a new context's is `nonce_len_first` */
    size_t nonce_len_first;
    size_t tag_len_first;
    bool nonce_is_custom; /* OpenSSL's flag: the mode itself keeps the nonce */
};

enum nonce_state {
    NONCE_NONE,
    NONCE_GIVEN,
    NONCE_USED, /* by a text that was begun */
    NONCE_MADE, /* by a node, for such a text */
};

struct cipher {
    struct provider *provider;
    const struct cipher_kind *kind;
    struct secret secret;
    bool encrypts;
    bool padded;
    enum nonce_state nonce_state;
    unsigned char nonce[NONCE_MAX_LEN];
    size_t nonce_len;
    unsigned char tag[TAG_MAX]; /* given to decrypt, made by encrypting */
    size_t tag_len;
    bool has_tag;
    unsigned char *aad;
    size_t aad_len;
    hsm_operation *operation; /* of the text that was begun */
    bool is_done;             /* with this text: another needs an initialization */
    size_t n_over;            /* STREAM_FORM: bytes taken beyond whole blocks */
    unsigned char held[BLOCK_LEN];
    bool holds; /* STREAM_FORM, decrypting padded text: `held`, which may be the last block */
};

/* --- cipher.c: what all forms do --- */

/* Whether a text can begin: the key fits, the nonce is there where one is needed. */
int cipher_check_ready(const struct cipher *cipher);

/* The mechanism, with the nonce and the additional data of the context: borrowed. */
void cipher_mechanism(struct cipher *cipher, hsm_mechanism *mechanism);

/* A node has answered: if the nonce was for it to make, it has. */
void cipher_note_made(struct cipher *cipher);

/* Begins `cipher->operation`, unless it was begun. */
int cipher_begin(struct cipher *cipher, uint32_t flags);

/* A whole text in one request: with its tag at the end, where there is one. The caller frees `*made`, which has
 * `*made_len` bytes, with OPENSSL_clear_free. */
int cipher_whole(struct cipher *cipher, const unsigned char *in, size_t in_len, unsigned char **made, size_t *made_len);

/* --- cipher_params.c --- */

int cipher_kind_get_params(const struct cipher_kind *kind, OSSL_PARAM params[]);
int cipher_get_params(void *cipher, OSSL_PARAM params[]);
int cipher_set_params(void *cipher, const OSSL_PARAM params[]);
const OSSL_PARAM *cipher_gettable(void *provider);
const OSSL_PARAM *cipher_gettable_params(void *cipher, void *provider);
const OSSL_PARAM *cipher_settable_params(void *cipher, void *provider);
