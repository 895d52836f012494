/* Mechanisms: the standard's (and AWS CloudHSM's) by rows of one table, each with what it is to the cluster and how its
 * parameter is read.
 *
 * A parameter from outside is read once, at the beginning of the operation, into memory of its own: the caller may free
 * or change it afterwards (PKCS#11 2.40, 5.8.1). Only what the standard lets a token write back (a nonce that the node
 * made) is kept as a pointer. */
#pragma once

#include "cryptoki_later.h"
#include "module.h"

/* What the row's operations give out, so that lengths are told without asking a node. */
enum output_rule {
    OUTPUT_NONE,
    OUTPUT_MODULUS,      /* as long as the RSA modulus; decrypting: at most that */
    OUTPUT_ECDSA,        /* twice the length of the group's order */
    OUTPUT_EDDSA,        /* 64 or 114 bytes, by the curve */
    OUTPUT_ML_DSA,       /* by the parameter set */
    OUTPUT_MAC,          /* tag_len of the mechanism, else of the hash, else 16 */
    OUTPUT_SAME,         /* as long as the input */
    OUTPUT_PADDED,       /* the next whole block; decrypting: at most as long as the input */
    OUTPUT_TAGGED,       /* and the tag behind */
    OUTPUT_NONCE_TAGGED, /* the nonce in front, and the tag behind (CKM_CLOUDHSM_AES_GCM) */
    OUTPUT_DIGEST,       /* of the hash */
    OUTPUT_ASK,          /* the library knows or asks a node (key wrapping) */
};

struct mechanism;

/* Reads the parameter into `mechanism`: CKR_MECHANISM_PARAM_INVALID when it does not fit. */
typedef CK_RV (*mechanism_reader)(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);

struct mechanism_row {
    CK_MECHANISM_TYPE type;
    const char *name;   /* "CKM_ECDSA_SHA256" */
    uint32_t mechanism; /* HSM_MECHANISM_...; 0: done here (digests) */
    uint32_t hash;      /* HSM_HASH_...: the message is hashed with it; none: signing takes a digest as it is */
    CK_FLAGS uses;      /* CKF_ENCRYPT | ..., as far as the cluster's node offers `mechanism`; 0: keys remember it, but
                           no function of this interface can use it */
    CK_KEY_TYPE key_type; /* CK_UNAVAILABLE_INFORMATION: any, or none */
    enum output_rule output;
    uint32_t block_len;    /* of OUTPUT_PADDED and of mechanisms that take whole blocks; 0 */
    mechanism_reader read; /* NULL: it takes no parameter */
};

/* Bytes of a parameter that were copied. */
struct kept;

/* Where the length of the derived key stands in the fixed input of SP 800-108; see mechanism_set_key_lens. */
struct length_field {
    uint8_t *at; /* NULL: nowhere */
    size_t len;  /* 1 to 8 bytes */
    bool little_endian;
    bool of_segments; /* whole outputs of the pseudorandom function count, not the key alone */
};

/* A mechanism that was read: what hsm_mechanism points to lies in `kept`, or with the caller. */
struct mechanism {
    const struct mechanism_row *row;
    hsm_mechanism hsm;
    CK_OBJECT_HANDLE second_handle; /* what is joined, or HKDF's salt: the caller finds it and sets hsm.second_key */
    hsm_key second_key;             /* what hsm.second_key points to */
    uint8_t nonce_made[HSM_NONCE_MADE_LEN]; /* where the node's nonce goes (hsm.nonce_out) */
    uint8_t *nonce_back;                    /* the caller's, which it is copied to; NULL */
    uint64_t data_max; /* most bytes that the operation may take, CKR_DATA_LEN_RANGE beyond; 0: no limit */
    bool has_text_len; /* the parameter said how long the plaintext is */
    uint64_t text_len;
    struct length_field key_len;
    const CK_DERIVED_KEY *further_keys; /* the caller's: other keys of the same derivation */
    CK_ULONG n_further_keys;
    struct kept *kept; /* wiped and freed with it */
};

#define MECHANISM_INIT                                                                                                 \
    {                                                                                                                  \
        0                                                                                                              \
    }

/* The row of a type; NULL. */
const struct mechanism_row *mechanism_row(CK_MECHANISM_TYPE type);
const struct mechanism_row *mechanism_rows(size_t *n);

/* By what a key remembers (KEY_GEN_MECHANISM, ALLOWED_MECHANISMS): mechanism | hash << 16. The first row that fits, or
 * NULL. A number without a hash fits the rows that name none; where all name one (HMAC), the first. */
const struct mechanism_row *mechanism_of_number(uint64_t number);

/* And back: 0 when keys do not remember it (digests), or it is unknown. */
uint64_t number_of_mechanism(CK_MECHANISM_TYPE type);

/* Reads what the caller gave for one use (one CKF_ bit). CKR_ARGUMENTS_BAD (NULL), CKR_MECHANISM_INVALID (no such one,
 * or not for this use), CKR_MECHANISM_PARAM_INVALID, CKR_HOST_MEMORY. `mechanism` is MECHANISM_INIT before, to be
 * released in any case, and stays where it is (it points into itself).
 *
 * CKM_AES_GCM and CKM_AES_CCM for messages (CKF_MESSAGE_...): the parameter says nothing here, each message has its
 * own; nonce, aad and tag_len are the caller's to set. CKM_CLOUDHSM_AES_GCM, decrypting and unwrapping: the nonce
 * stands in front of the data, from where the caller takes it. */
CK_RV mechanism_read(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism);
void mechanism_release(struct mechanism *mechanism);

/* Tells a mechanism that derives how long the keys become, in bytes: what the templates say, or the key types; 0: it is
 * not said. To be called before hsm_derive, because SP 800-108 may make the length part of what is hashed (the library
 * refuses such a mechanism until then). CKR_MECHANISM_PARAM_INVALID when it does not fit into the field that the
 * parameter gave it. */
CK_RV mechanism_set_key_lens(struct mechanism *mechanism, const CK_ULONG *lens, size_t n);

/* Of several keys: the one of `len` bytes has been made, the one of `next_len` bytes is next. */
CK_RV mechanism_skip_key(struct mechanism *mechanism, CK_ULONG len, CK_ULONG next_len);

/* For readers: copies `len` bytes into the mechanism's memory. NULL with length 0 gives NULL.
 * CKR_MECHANISM_PARAM_INVALID when `bytes` is NULL with a length, or the length is beyond HSM_MESSAGE_MAX. */
CK_RV mechanism_keep(struct mechanism *mechanism, const void *bytes, CK_ULONG len, const uint8_t **kept);

/* A CKM_ or CKG_MGF1_ value as HSM_HASH_...: CKR_MECHANISM_PARAM_INVALID. */
CK_RV hash_of_mechanism(CK_MECHANISM_TYPE type, uint32_t *hash);
CK_RV hash_of_mgf(CK_RSA_PKCS_MGF_TYPE mgf, uint32_t *hash);
