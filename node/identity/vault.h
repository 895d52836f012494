/* The sealed file `identity` of the state folder: everything of a node that is secret, or that decides what the node
 * is, in one value set, so that each step of the life cycle is one atomic write.
 *
 * It is sealed (AES-256-GCM) under a key derived from the key protector: the systemd credential hsmd-secret where there
 * is one, else 32 random bytes in the file `node.secret` beside it. */
#pragma once

#include "identity/identity.h"

struct vault {
    enum identity_state state;
    uint8_t node_id[ID_LEN];
    struct secret tls_key;      /* PKCS#8 DER */
    struct secret masking_keys; /* as in seal/masking_keys.h; empty while EMPTY */
    uint32_t settled;           /* generation before which no masking key opens anything in the store any more */
    uint8_t cluster_id[ID_LEN];
    uint8_t seal_id[ID_LEN]; /* what sealings are bound to: cluster_id, or, restored, the first cluster's */
    char cluster_name[129];
    bool founding;       /* this node creates the cluster's record in the store, and has not done so yet */
    uint8_t ca_hash[32]; /* SHA-256 of the CA certificate once MEMBER: ca.pem must be that one */
};

/** STATUS_OBJECT_NOT_FOUND in a fresh folder; STATUS_STORE_DAMAGED when the file does not open under the protector. */
status_code vault_load(int folder, struct vault *vault);

/** Writes it; makes the protector's secret at the first time. */
status_code vault_save(int folder, const struct vault *vault);

void vault_release(struct vault *vault);

/* Sealing as the vault and the handover do it: AES-256-GCM under HKDF-SHA-256(secret, salt, info), a 12-byte random
 * nonce in front. */
status_code sealed_make(struct slice secret, struct slice salt, const char *info, struct slice aad,
                        struct slice plaintext, struct bytes *sealed);

/** STATUS_CIPHERTEXT_INVALID when it does not open. */
status_code sealed_open(struct slice secret, struct slice salt, const char *info, struct slice aad, struct slice sealed,
                        struct bytes *plaintext);
