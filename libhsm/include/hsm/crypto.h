/* Cryptography with keys that stay in the cluster. Every call is safe from any number of threads at once and reaches
 * the network unless its comment says otherwise. Concurrent calls travel together, so many threads cost little more
 * than one.
 *
 * Data may have any length: what is too long for one message (HSM_MESSAGE_MAX) is streamed in parts, for the mechanisms
 * that can (all but AES_CCM, EDDSA, ML_DSA and key wrapping: HSM_TOO_LARGE). A node may be lost between two parts. The
 * plaintext of AES_GCM is given out only after the tag has been verified.
 *
 * `in` and `out` of a call must not overlap. Calls that use a key share these errors:
 *   HSM_OBJECT_NOT_FOUND, HSM_KEY_FUNCTION_NOT_PERMITTED (the key's usage attributes, dates or allowed mechanisms
 * forbid it), HSM_KEY_TYPE_INCONSISTENT, HSM_MECHANISM_INVALID, HSM_MECHANISM_PARAM_INVALID, HSM_NOT_SUPPORTED,
 * HSM_BUFFER_TOO_SMALL */
#pragma once

#include "hsm/object.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HSM_SALT_LEN_HASH (-1) /**< salt_len: as long as the hash */

/**
 * What is done, with its parameters. Begin with HSM_MECHANISM_INIT and set what the mechanism needs (types.h says what
 * each takes); pointers are borrowed for the duration of the call (hsm_operation_begin copies).
 */
typedef struct hsm_mechanism {
    size_t size;
    uint32_t type;        /* HSM_MECHANISM_... */
    uint32_t hash;        /* HSM_HASH_... */
    uint32_t mgf_hash;    /* of MGF1; HSM_HASH_NONE: as `hash` */
    int32_t salt_len;     /* PSS, in bytes; HSM_SALT_LEN_HASH */
    uint32_t kdf;         /* ECDH: HSM_KDF_... */
    uint32_t flags;       /* HSM_FLAG_... */
    uint32_t tag_len;     /* tag or MAC in bytes; 0: 16, for HMAC as long as the hash */
    uint32_t output_len;  /* length of a derived key in bytes; 0: VALUE_LEN of the template, else what is natural */
    const uint8_t *nonce; /* nonce, initialization vector or counter block; NULL: made by the node (AES_GCM, AES_CCM) */
    size_t nonce_len;
    uint8_t *nonce_out; /* where a nonce that the node made goes: room for HSM_NONCE_MADE_LEN bytes. Without it,
                           encrypting without a nonce is refused, because the ciphertext could never be read */
    const uint8_t *aad; /* additional authenticated data; OAEP label; EdDSA and ML-DSA context; SP 800-108 context */
    size_t aad_len;
    const uint8_t *shared_info; /* HKDF and X9.63 info; SP 800-108 label */
    size_t shared_info_len;
    const uint8_t *salt; /* HKDF */
    size_t salt_value_len;
    const uint8_t *peer_public; /* ECDH: the other's public key: point, raw, or SubjectPublicKeyInfo DER */
    size_t peer_public_len;
    const hsm_key *second_key; /* CONCATENATE: the key whose value is appended; HKDF: the one that is the salt */
    const uint8_t *data;       /* CONCATENATE, XOR: bytes to join with the key's value; ..._ENCRYPT_DATA */
    size_t data_len;
} hsm_mechanism;

#define HSM_MECHANISM_INIT(mechanism_type)                                                                             \
    {                                                                                                                  \
        sizeof(hsm_mechanism), (mechanism_type), 0, 0, HSM_SALT_LEN_HASH, 0, 0, 0, 0, NULL, 0, NULL, NULL, 0, NULL, 0, \
            NULL, 0, NULL, 0, NULL, NULL, 0                                                                            \
    }

/* Signing. */

/**
 * Signs a message, or computes its MAC.
 *
 * RSA_PKCS, RSA_PKCS_PSS and ECDSA with `mechanism.hash`: the hash is computed here, only the digest travels. RSA_PKCS
 * and ECDSA without: `data` is signed as hsm_sign_digest does. EDDSA, ML_DSA, HMAC, AES_CMAC, AES_GMAC: the message
 * itself travels.
 *
 * @param data  `data_len` bytes
 * @param signature_len  in: room; out: length, or what is needed. ECDSA: r || s
 * @return HSM_OK; HSM_DATA_LENGTH; HSM_TOO_LARGE; the errors of using a key
 */
HSM_API hsm_status hsm_sign(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                            size_t data_len, uint8_t *signature, size_t *signature_len);

/**
 * Signs a digest: RSA_PKCS, RSA_PKCS_PSS, ECDSA (FIPS 186-5, RFC 8017).
 *
 * @param digest  of `mechanism.hash`. Without hash: RSA_PKCS signs these bytes as they are (a DigestInfo), ECDSA takes
 * any digest
 * @return as hsm_sign; HSM_DATA_LENGTH when the digest does not have the hash's length
 */
HSM_API hsm_status hsm_sign_digest(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism,
                                   const uint8_t *digest, size_t digest_len, uint8_t *signature, size_t *signature_len);

/** Verifies what hsm_sign makes, with the public or secret key. @return HSM_OK: it is good; HSM_SIGNATURE_INVALID; as
 * hsm_sign */
HSM_API hsm_status hsm_verify(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                              size_t data_len, const uint8_t *signature, size_t signature_len);

/** Verifies what hsm_sign_digest makes. @return as hsm_verify */
HSM_API hsm_status hsm_verify_digest(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism,
                                     const uint8_t *digest, size_t digest_len, const uint8_t *signature,
                                     size_t signature_len);

/**
 * The data that stands in an RSA signature (RSA_PKCS without a hash; RSA_X_509 where nodes offer it), with a public key
 * whose VERIFY_RECOVER is true. Without a hash in the mechanism hsm_sign makes such signatures; SIGN_RECOVER permits
 * them as SIGN does.
 *
 * @param data_len  in: room in `data`; out: bytes written; with `data` NULL the most that there can be
 * @return HSM_OK; HSM_SIGNATURE_INVALID: it has another length, or no such padding; as hsm_sign
 */
HSM_API hsm_status hsm_verify_recover(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism,
                                      const void *signature, size_t signature_len, uint8_t *data, size_t *data_len);

/* Encrypting. */

/**
 * Encrypts. AES_GCM and AES_CCM: ciphertext || tag.
 *
 * @param out_len  in: room; out: length, or what is needed
 * @return HSM_OK; HSM_DATA_LENGTH (AES_ECB and AES_CBC take whole blocks; RSA at most what the modulus holds);
 * HSM_TOO_LARGE; the errors of using a key
 */
HSM_API hsm_status hsm_encrypt(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                               size_t data_len, uint8_t *out, size_t *out_len);

/**
 * Decrypts what hsm_encrypt makes. With `out` NULL the answer is an upper bound where padding hides the length.
 *
 * @return HSM_OK; HSM_CIPHERTEXT_INVALID (tag or padding); HSM_DATA_LENGTH; the errors of using a key
 */
HSM_API hsm_status hsm_decrypt(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                               size_t data_len, uint8_t *out, size_t *out_len);

/* Keys under keys. */

/**
 * Encrypts a key under another: AES_KEY_WRAP (RFC 3394), AES_KEY_WRAP_PAD (RFC 5649), AES_GCM, AES_CBC_PAD,
 * RSA_PKCS_OAEP, RSA_AES_KEY_WRAP, ... Private keys are wrapped as PKCS#8.
 *
 * @return HSM_OK; HSM_KEY_UNEXTRACTABLE; HSM_KEY_NOT_WRAPPABLE (only by a trusted key, or its WRAP_TEMPLATE does not
 * match); the errors of using a key
 */
HSM_API hsm_status hsm_wrap(hsm_session *session, hsm_key wrapping_key, const hsm_mechanism *mechanism, hsm_key key,
                            uint8_t *wrapped, size_t *wrapped_len);

/**
 * Makes a key out of what hsm_wrap made.
 *
 * @param attributes  with CLASS and KEY_TYPE
 * @return HSM_OK; HSM_WRAPPED_KEY_INVALID; HSM_DATA_LENGTH: nothing that is wrapped so is that long; the errors of
 * using a key and of making objects
 */
HSM_API hsm_status hsm_unwrap(hsm_session *session, hsm_key unwrapping_key, const hsm_mechanism *mechanism,
                              const uint8_t *wrapped, size_t wrapped_len, const hsm_attribute *attributes, size_t n,
                              hsm_key *key);

/**
 * Derives a key: ECDH, HKDF, SP800_108_COUNTER, _FEEDBACK and _DOUBLE_PIPELINE, CONCATENATE, XOR,
 * DIGEST_KEY, EXTRACT, AES_ECB_ENCRYPT_DATA and its like.
 *
 * @param attributes  with KEY_TYPE, and VALUE_LEN (or mechanism.output_len) where the length is free
 * @return HSM_OK; the errors of using a key and of making objects
 */
HSM_API hsm_status hsm_derive(hsm_session *session, hsm_key base_key, const hsm_mechanism *mechanism,
                              const hsm_attribute *attributes, size_t n, hsm_key *key);

/**
 * ML-KEM (FIPS 203): makes a shared secret under a public key.
 *
 * @param ciphertext  out: what the holder of the private key needs, at most 1568 bytes; with too little room no key is
 * made
 * @param key  out: the shared secret, 32 bytes
 * @return HSM_OK; HSM_NOT_SUPPORTED when the node's OpenSSL has no ML-KEM; the errors of using a key and of making
 * objects
 */
HSM_API hsm_status hsm_encapsulate(hsm_session *session, hsm_key public_key, const hsm_mechanism *mechanism,
                                   const hsm_attribute *attributes, size_t n, uint8_t *ciphertext,
                                   size_t *ciphertext_len, hsm_key *key);

/** The other half: the shared secret out of the ciphertext (a wrong one gives another secret, not an error). @return as
 * hsm_encapsulate; HSM_DATA_LENGTH */
HSM_API hsm_status hsm_decapsulate(hsm_session *session, hsm_key private_key, const hsm_mechanism *mechanism,
                                   const uint8_t *ciphertext, size_t ciphertext_len, const hsm_attribute *attributes,
                                   size_t n, hsm_key *key);

/* Without a key. */

/** Random bytes from a node's generator (SP 800-90A), any length. @return HSM_OK; HSM_RANDOM_FAILED */
HSM_API hsm_status hsm_random(hsm_session *session, void *out, size_t out_len);

/** Digest of data, computed here: does not reach the network. @return HSM_OK; HSM_INVALID_ARGUMENT for an unknown hash
 */
HSM_API hsm_status hsm_digest(uint32_t hash, const void *data, size_t data_len, uint8_t *digest, size_t *digest_len);

/* In parts. */

/** What an hsm_operation does. */
enum {
    HSM_OPERATION_SIGN = 1,
    HSM_OPERATION_VERIFY = 2,
    HSM_OPERATION_ENCRYPT = 3,
    HSM_OPERATION_DECRYPT = 4,
    HSM_OPERATION_DIGEST = 5,
};

/** Bits for hsm_operation_begin. */
enum {
    HSM_OPERATION_HOLD_PLAINTEXT =
        1, /**< AES_GCM decryption: update gives out nothing, final gives all once the tag is verified */
    HSM_OPERATION_TAG_APART = 2, /**< AES_GCM decryption: the tag comes by hsm_operation_final_tag, so that update holds
                                    nothing back for it */
};

/**
 * An operation whose data comes in parts. Its state is here, or sealed here: no node remembers it, so any node may take
 * the next part. Used by one thread at a time. An update or final that fails because no node answered may be repeated;
 * after any other failure the operation can only be freed.
 */
typedef struct hsm_operation hsm_operation;

/**
 * Begins. For signatures computed over a digest, and for digests, nothing travels before final.
 *
 * @param kind  HSM_OPERATION_...
 * @param session, key  NULL (and NULL) for HSM_OPERATION_DIGEST
 * @param mechanism  copied; digest: only its `hash`. `nonce_out` is filled in by the first update or final that
 * travels, and must stay valid until then
 * @param operation  out: freed with hsm_operation_free, before the session is closed
 * @return HSM_OK; HSM_MECHANISM_INVALID; HSM_MECHANISM_PARAM_INVALID; key errors show at the first part that travels
 */
HSM_API hsm_status hsm_operation_begin(hsm_session *session, uint32_t kind, const hsm_key *key,
                                       const hsm_mechanism *mechanism, uint32_t flags, hsm_operation **operation);

/**
 * Takes the next part, of any length. Encryption and decryption may give out less or more than went in: what is
 * buffered inside comes later. AES_GCM decryption: what update gives out is not authenticated until final has returned
 * HSM_OK; do not act on it before, or ask for HSM_OPERATION_HOLD_PLAINTEXT.
 *
 * @param out  NULL and `out_len` NULL for sign, verify and digest; with `out` NULL and `out_len` given, the room needed
 * @return HSM_OK; HSM_BUFFER_TOO_SMALL: nothing was taken, call again; the errors of using a key
 */
HSM_API hsm_status hsm_operation_update(hsm_operation *operation, const void *data, size_t data_len, uint8_t *out,
                                        size_t *out_len);

/**
 * Ends it: gives the signature, MAC or digest, or the last of the ciphertext or plaintext.
 *
 * @return HSM_OK; HSM_BUFFER_TOO_SMALL: call again; HSM_CIPHERTEXT_INVALID; HSM_DATA_LENGTH; HSM_OPERATION_NOT_ACTIVE
 * when it has ended already; the errors of using a key
 */
HSM_API hsm_status hsm_operation_final(hsm_operation *operation, uint8_t *out, size_t *out_len);

/** Ends a HSM_OPERATION_VERIFY. @return HSM_OK: the signature is good; HSM_SIGNATURE_INVALID; as hsm_operation_final */
HSM_API hsm_status hsm_operation_final_verify(hsm_operation *operation, const uint8_t *signature, size_t signature_len);

/** Ends a HSM_OPERATION_DECRYPT whose tag was kept apart from the ciphertext; otherwise as hsm_operation_final, which
 * takes the last tag_len bytes of the data as the tag. To be used only when `mechanism` is AES_GCM. */
HSM_API hsm_status hsm_operation_final_tag(hsm_operation *operation, const uint8_t *tag, size_t tag_len, uint8_t *out,
                                           size_t *out_len);

/** A second operation in the same state, to go on independently. Does not reach the network. Where the node is still to
 * make the nonce, each makes its own and both write it to the `nonce_out` given at the beginning: let one finish first.
 */
HSM_API hsm_status hsm_operation_copy(const hsm_operation *operation, hsm_operation **copy);

/** Frees it in any state, secrets wiped; harmless on NULL. */
HSM_API void hsm_operation_free(hsm_operation *operation);

#ifdef __cplusplus
}
#endif
