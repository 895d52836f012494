/* A key as this provider's operations see it: which object of the cluster, and its public part.
 *
 * The public part is a key of OpenSSL's default provider in our own library context: whatever asks for parameters,
 * compares, encodes, verifies or encrypts is answered by that, here. A key never changes once it is complete; it is
 * counted, because contexts of operations outlive the EVP_PKEY that they were made from. */
#pragma once

#include <openssl/evp.h>
#include "provider.h"

/* What the kinds of keys differ in. */
struct key_kind {
    const char *name;      /* as OpenSSL calls it */
    uint32_t key_type;     /* HSM_KEY_TYPE_... */
    uint32_t curve;        /* of Edwards and Montgomery keys; 0: chosen at generation */
    uint32_t generation;   /* HSM_MECHANISM_... */
    const char *signature; /* name of its signature algorithm; NULL: does not sign */
    const char *exchange;  /* of its key exchange; NULL: none */
};

enum key_kind_index { KIND_RSA, KIND_EC, KIND_ED25519, KIND_ED448, KIND_X25519, KIND_X448, N_KINDS };

extern const struct key_kind KEY_KINDS[N_KINDS];

struct key {
    _Atomic unsigned n_users;
    struct provider *provider;
    const struct key_kind *kind;
    EVP_PKEY *public_key; /* NULL while the key is being made */
    bool is_template;     /* the public key has parameters alone: a program is about to set the rest */
    bool has_private;
    hsm_key object;           /* when it has */
    hsm_reference *reference; /* that names it to other processes; NULL for session objects and public keys */
};

struct key *key_new(struct provider *provider, const struct key_kind *kind);
struct key *key_hold(struct key *key);
void key_release(struct key *key); /* harmless on NULL */

/* The kind of a public key; NULL when the cluster has no such keys. */
const struct key_kind *key_kind_of(const EVP_PKEY *public_key);

/* Takes the reference over, whether it fails or not. Reads the configuration; does not reach the network. */
int key_from_reference(struct provider *provider, hsm_reference *reference, struct key **key);

/* A public key alone, from SubjectPublicKeyInfo DER. */
int key_from_public_info(struct provider *provider, const uint8_t *info, size_t info_len, struct key **key);

/* SubjectPublicKeyInfo DER of the public part; freed with OPENSSL_free. */
int key_public_info(const struct key *key, unsigned char **info, size_t *info_len);

/* Hands a key over to OpenSSL as an object that a decoder or a store has found; releases it. */
int key_give(struct key *key, OSSL_CALLBACK *callback, void *argument);

/* Private operations; sleeping in the network, or, inside an ASYNC_JOB, paused until the answer is there. `out_len`:
 * in: room; out: length. */
int key_sign(const struct key *key, const hsm_mechanism *mechanism, bool is_digest, const void *data, size_t data_len,
             unsigned char *out, size_t *out_len);

/* `invalid`: told, instead of an error, that the ciphertext or its padding is not good; NULL: that is an error. */
int key_decrypt(const struct key *key, const hsm_mechanism *mechanism, const void *data, size_t data_len,
                unsigned char *out, size_t *out_len, bool *invalid);
