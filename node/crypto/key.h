/* Key material, opened and ready for use: an EVP_PKEY or secret bytes, with cached cipher and signature contexts so
 * that using a key costs no set-up. Immutable after creation and shared by reference between threads; contexts are
 * kept per worker, so no lock is taken on use. Knows nothing of attributes, users or the store. */
#pragma once

#include <openssl/evp.h>
#include "protocol/catalog.h"
#include "protocol/secret.h"

struct key;

/** Threads that use keys concurrently have numbers below this (call.worker); contexts are cached for those. */
#define WORKERS_MAX 64u

/** Everything that describes a use beyond key and data; unset lengths are 0. Borrows. */
struct mechanism {
    enum mechanism_type type;
    enum hash hash;
    enum hash mgf_hash;
    bool has_salt_len;
    size_t salt_len;
    bool has_nonce;
    struct slice nonce;
    struct slice aad; /* OAEP label, EdDSA or ML-DSA context, SP 800-108 context */
    bool has_tag_len;
    size_t tag_len;
    enum kdf kdf;
    struct slice shared_info;
    struct slice peer_public;
    struct slice salt;
    uint32_t flags;
    bool has_output_len;
    size_t output_len;
};

/** What node policy lets through; defaults are all false. */
struct crypto_policy {
    bool allow_des3_encrypt;
    bool allow_raw_rsa;
    bool allow_sha1_sign;
};

/** Prepares the library: OSSL_LIB_CTX (FIPS provider when `fips`), secure heap, list of available mechanisms. Once,
 * before any thread starts. */
status_code crypto_start(bool fips, const struct crypto_policy *policy);
void crypto_stop(void);

/** What crypto_start was told. */
const struct crypto_policy *crypto_policy(void);

/** The library context that all of the node's cryptography uses. */
OSSL_LIB_CTX *crypto_context(void);

/** "OpenSSL 3.0.19", for describe. */
const char *crypto_version(void);

/** Known-answer tests of every algorithm offered, and of the random generator. STATUS_SELF_TEST_FAILED names it. */
status_code crypto_self_test(void);

/** Whether this machine's OpenSSL and the policy offer it; key sizes in bits. */
bool mechanism_available(enum mechanism_type type, uint32_t *key_bits_min, uint32_t *key_bits_max);

/* Making keys. */

/** What a key is made from; unset fields 0 or empty. */
struct key_parameters {
    enum key_type type;
    uint32_t bits;                /* RSA modulus; secret keys: 8 * length */
    struct slice public_exponent; /* RSA, big-endian; default 65537 */
    const struct curve_info *curve;
    uint32_t parameter_set; /* ML-DSA, ML-KEM */
};

/** Generates (a secret key, or the private key of a pair). A pair has passed its pairwise consistency test (FIPS 140-3,
 * 10.3.A). STATUS_KEY_SIZE_RANGE, STATUS_NOT_SUPPORTED. */
status_code key_generate(const struct key_parameters *parameters, struct key **key);

/** Opens material as stored or imported: secret bytes, PKCS#8 DER or SubjectPublicKeyInfo DER. Checks that it is what
 * `type` and class say, and (RSA, EC) that it is a valid key. STATUS_ATTRIBUTE_VALUE_INVALID. `trusted`: it was sealed
 * by us, skip costly checks. */
status_code key_open(enum object_class class, enum key_type type, struct slice material, bool trusted,
                     struct key **key);

/** The public half of a private key, as a key of its own. */
status_code key_public(struct key *key, struct key **public_key);

struct key *key_reference(struct key *key);
void key_release(struct key *key);

/** Material as key_open takes it. `material` should be a secret `bytes`. */
status_code key_material(struct key *key, struct bytes *material);

/* What a key tells of itself, for attributes. Empty when it does not apply. */
enum object_class key_class(const struct key *key);
enum key_type key_type(const struct key *key);
uint32_t key_bits(const struct key *key);
const struct curve_info *key_curve(const struct key *key);
uint32_t key_parameter_set(const struct key *key);
status_code key_modulus(struct key *key, struct bytes *modulus);
status_code key_public_exponent(struct key *key, struct bytes *exponent);
status_code key_ec_point(struct key *key, struct bytes *der_octet_string);
status_code key_public_info(struct key *key, struct bytes *subject_public_key_info);
/** KCV, 3 bytes; empty for asymmetric keys. */
status_code key_check_value(struct key *key, struct bytes *check_value);

/* Using keys. `worker` is the caller's number below WORKERS_MAX. Each checks that mechanism and key type fit
 * (STATUS_KEY_TYPE_INCONSISTENT, STATUS_MECHANISM_INVALID), parameters (STATUS_MECHANISM_PARAM_INVALID) and lengths
 * (STATUS_DATA_LENGTH). Output is appended to `out`. */
status_code crypto_sign(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                        struct bytes *out);
/** STATUS_OK or STATUS_SIGNATURE_INVALID. */
status_code crypto_verify(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                          struct slice signature);
/** The data that stands in an RSA signature. STATUS_SIGNATURE_INVALID. */
status_code crypto_verify_recover(struct key *key, const struct mechanism *mechanism, struct slice signature,
                                  struct bytes *out);
/** `nonce_made` gets the nonce when the node made it (AES_GCM, AES_CCM without one given). */
status_code crypto_encrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                           struct bytes *out, struct bytes *nonce_made);
status_code crypto_decrypt(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice data,
                           struct bytes *out);

/** Key material (as of key_material) encrypted under `key`. */
status_code crypto_wrap(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice material,
                        struct bytes *out, struct bytes *nonce_made);
/** STATUS_WRAPPED_KEY_INVALID. `material` must be a secret `bytes`. */
status_code crypto_unwrap(struct key *key, unsigned worker, const struct mechanism *mechanism, struct slice wrapped,
                          struct bytes *material);

/** Derives a secret; its length is mechanism->output_len, or the mechanism's natural length without. `second` is
 * CONCATENATE's other key or NULL; `data` as mechanisms.def says. */
status_code crypto_derive(struct key *key, unsigned worker, const struct mechanism *mechanism, struct key *second,
                          struct slice data, struct bytes *secret);

status_code crypto_encapsulate(struct key *key, const struct mechanism *mechanism, struct bytes *ciphertext,
                               struct bytes *secret);
status_code crypto_decapsulate(struct key *key, const struct mechanism *mechanism, struct slice ciphertext,
                               struct bytes *secret);

/** Random bytes for callers, from the worker's own generator. */
status_code crypto_random(unsigned worker, size_t len, struct bytes *out);

/* Multi-part operations whose state only the node may see. */
enum multipart_direction { MULTIPART_ENCRYPT = 1, MULTIPART_DECRYPT, MULTIPART_SIGN, MULTIPART_VERIFY };

/** One part of AES_GCM, AES_CMAC, AES_GMAC or HMAC. `state` is empty in the first part, and then what the previous call
 * left there (plain: the caller seals it); it is bound to mechanism type and direction. At `final`, decrypt and verify
 * compare with `tag` (STATUS_CIPHERTEXT_INVALID, STATUS_SIGNATURE_INVALID), encrypt and sign append it to `out`. */
status_code crypto_multipart(struct key *key, unsigned worker, const struct mechanism *mechanism,
                             enum multipart_direction direction, struct bytes *state, struct slice data, bool final,
                             struct slice tag, struct bytes *out, struct bytes *nonce_made);
