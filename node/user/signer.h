/* A user's public key for approvals: registered by its owner, who proves that the private key is there. */
#pragma once

#include "user/account.h"

#define SIGNER_HASH 32u

/** SHA-256 of the registered key. */
status_code signer_hash(const struct account *account, uint8_t hash[SIGNER_HASH]);

/** Whether `signature` is the account's over `text`: SHA-256 with RSA (PKCS#1 v1.5, RFC 8017) or ECDSA (DER).
 * STATUS_SIGNATURE_INVALID; STATUS_NOT_PERMITTED when no key is registered. */
status_code signer_verify(const struct account *account, struct slice text, struct slice signature);

/** Gives the account a key, or (empty) takes it away. The signature is over lines that name
 * cluster, user and key (docs/quorum.md). */
status_code signer_set(struct node *node, struct account *account, struct slice public_key, struct slice signature);
