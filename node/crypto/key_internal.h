/* What the files of node/crypto share: the key itself, its cached contexts, the table of mechanisms and fetched
 * algorithms. Nobody else includes this. */
#pragma once

#include <stdatomic.h>
#include "crypto/key.h"

#define KEY_CONTEXTS 6u /* contexts that a worker keeps for one key */

typedef void (*context_free)(void *context);

struct key_context {
    uint64_t tag; /* what it was set up for; 0: empty */
    void *context;
    context_free free;
};

struct worker_contexts {
    struct worker_contexts *others; /* other workers' contexts */
    unsigned worker;
    unsigned oldest; /* the slot that is replaced next */
    struct key_context slot[KEY_CONTEXTS];
};

struct key {
    atomic_uint references;
    enum object_class class;
    enum key_type type;
    uint32_t bits;
    uint32_t parameter_set;
    const struct curve_info *curve;
    EVP_PKEY *pkey;       /* asymmetric keys */
    struct secret secret; /* secret keys */
    /* One for each worker that has used the key, touched by that worker alone; only ever added to. */
    _Atomic(struct worker_contexts *) contexts;
};

/** A key around a secret that is copied, or around `pkey`, whose reference it takes (also on failure). */
status_code key_from_secret(enum key_type type, struct slice secret, struct key **key);
status_code key_from_pkey(enum object_class class, enum key_type type, EVP_PKEY *pkey, struct key **key);

/* open_direct.c: NULL when the material, which must be our own, is not in the plain form. */
EVP_PKEY *open_private_directly(struct slice material);
EVP_PKEY *open_public_directly(struct slice material);

/** The context that this worker keeps under `tag`, or NULL. */
void *key_context_find(struct key *key, unsigned worker, uint64_t tag);

/** Keeps a context for the next use; when that is impossible the context is freed and the call fails. */
status_code key_context_keep(struct key *key, unsigned worker, uint64_t tag, void *context, context_free free_context);

/** Tags: what a context is for, with everything that is set in it once. */
enum context_use { CONTEXT_SIGN = 1, CONTEXT_VERIFY, CONTEXT_ENCRYPT, CONTEXT_DECRYPT, CONTEXT_MAC, CONTEXT_GHASH };
uint64_t context_tag(enum context_use use, const struct mechanism *mechanism, uint32_t extra);

/* Algorithms fetched once at start. */
enum cipher_mode {
    CIPHER_ECB,
    CIPHER_CBC,
    CIPHER_CTR,
    CIPHER_GCM,
    CIPHER_CCM,
    CIPHER_WRAP,
    CIPHER_WRAP_PAD,
    CIPHER_MODES
};

/** NULL when this OpenSSL does not have it. */
const EVP_CIPHER *crypto_cipher(enum key_type type, size_t key_len, enum cipher_mode mode);
const EVP_MD *crypto_digest(enum hash hash);
EVP_MAC *crypto_mac(enum mechanism_type type); /* MECHANISM_HMAC or MECHANISM_AES_CMAC */
const char *crypto_digest_name(enum hash hash);

/** Whether a fetch by name succeeds: found at run time, not by version. */
bool crypto_has_key_type(const char *openssl_name);

/* One row per mechanism. Functions that are NULL are uses that it does not have. */
struct mechanism_row {
    uint32_t key_types; /* bit per enum key_type */
    status_code (*sign)(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
    status_code (*verify)(struct key *, unsigned, const struct mechanism *, struct slice, struct slice);
    status_code (*encrypt)(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *,
                           struct bytes *);
    status_code (*decrypt)(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
    status_code (*wrap)(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *, struct bytes *);
    status_code (*unwrap)(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
    status_code (*derive)(struct key *, const struct mechanism *, struct key *, struct slice, struct bytes *);
};

/* rsa.c */
status_code rsa_sign(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
status_code rsa_verify_recover(struct key *, const struct mechanism *, struct slice, struct bytes *);
status_code rsa_verify(struct key *, unsigned, const struct mechanism *, struct slice, struct slice);
status_code rsa_encrypt(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *, struct bytes *);
status_code rsa_decrypt(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
status_code rsa_aes_wrap(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *,
                         struct bytes *);
status_code rsa_aes_unwrap(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);

/* ec.c */
status_code ecdsa_sign(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
status_code ecdsa_verify(struct key *, unsigned, const struct mechanism *, struct slice, struct slice);
status_code ecdh_derive(struct key *, const struct mechanism *, struct key *, struct slice, struct bytes *);

/* message_signature.c: EdDSA and ML-DSA, which sign the message itself */
status_code message_sign(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
status_code message_verify(struct key *, unsigned, const struct mechanism *, struct slice, struct slice);

/* cipher.c: ECB, CBC, CTR */
/** With the key in it, without padding; the caller frees it. NULL: see ERR_get_error. */
EVP_CIPHER_CTX *cipher_context_new(const struct key *key, enum cipher_mode mode, bool encrypt);
status_code cipher_encrypt(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *,
                           struct bytes *);
status_code cipher_decrypt(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
/** One block with the bare cipher, for KCV, CMAC and GHASH. */
status_code cipher_block(struct key *key, unsigned worker, const uint8_t in[16], uint8_t out[16]);
/** Whole blocks of AES-CBC or AES-CTR encryption without padding, from `iv` on. */
status_code cipher_blocks(struct key *key, unsigned worker, enum cipher_mode mode, const uint8_t iv[16],
                          struct slice data, uint8_t *out);

/* aead.c */
status_code gcm_encrypt(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *, struct bytes *);
status_code gcm_decrypt(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
status_code ccm_encrypt(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *, struct bytes *);
status_code ccm_decrypt(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
status_code gmac_sign(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
status_code gmac_verify(struct key *, unsigned, const struct mechanism *, struct slice, struct slice);
#define GCM_NONCE_LEN 12u
#define GCM_TAG_LEN   16u
/** The tag length asked for; STATUS_MECHANISM_PARAM_INVALID unless SP 800-38D allows it. */
status_code gcm_tag_len(const struct mechanism *mechanism, size_t *tag_len);

/* mac.c */
/** HMAC with the hash, or AES-CMAC, with the key in it; the caller frees it. NULL: see ERR_get_error. */
EVP_MAC_CTX *mac_context_new(const struct key *key, enum mechanism_type type, enum hash hash);
status_code mac_sign(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
status_code mac_verify(struct key *, unsigned, const struct mechanism *, struct slice, struct slice);
/** The MAC length asked for, at most `full`. */
status_code mac_len(const struct mechanism *mechanism, size_t full, size_t *len);

/* key_wrap.c */
status_code key_wrap_encrypt(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *,
                             struct bytes *);
status_code key_wrap_decrypt(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);
status_code des3_wrap(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *, struct bytes *);
status_code des3_unwrap(struct key *, unsigned, const struct mechanism *, struct slice, struct bytes *);

/* kdf.c */
status_code hkdf_derive(struct key *, const struct mechanism *, struct key *, struct slice, struct bytes *);
status_code sp800_108_derive(struct key *, const struct mechanism *, struct key *, struct slice, struct bytes *);
#define DERIVED_MAX 4096u /* bytes of a derived key */
/** What is asked for, or `natural`. */
size_t derived_len(const struct mechanism *mechanism, size_t natural);
/** kdf_108.c: the layouts that OpenSSL does not have. */
status_code sp800_108_iterate(struct key *key, const struct mechanism *mechanism, size_t len, struct bytes *out);
/** After key agreement: X9.63 or the one-step function of SP 800-56C. */
status_code agreement_kdf(enum kdf kdf, enum hash hash, struct slice shared, struct slice info, size_t len,
                          struct bytes *out);

/* derive_simple.c */
status_code concatenate_derive(struct key *, const struct mechanism *, struct key *, struct slice, struct bytes *);
status_code xor_derive(struct key *, const struct mechanism *, struct key *, struct slice, struct bytes *);
status_code digest_key_derive(struct key *, const struct mechanism *, struct key *, struct slice, struct bytes *);
status_code extract_derive(struct key *, const struct mechanism *, struct key *, struct slice, struct bytes *);
status_code encrypt_data_derive(struct key *, const struct mechanism *, struct key *, struct slice, struct bytes *);

/* random.c */
status_code random_fill(unsigned worker, uint8_t *out, size_t len);
void random_stop(void);

/** STATUS_INTERNAL with OpenSSL's own reason: for failures that no input should be able to cause. */
status_code crypto_failed(const char *what);
