/* Sealing: AES-256-GCM under keys that are derived (HKDF) from the cluster's masking key, one per purpose, and then,
 * with the first half of a 24-byte random nonce, one per sealing, so that random nonces never run out.
 *
 * Every sealing is bound to the cluster id, its purpose and a context that the caller gives (kind, object id, version,
 * attributes): a value that was altered, or moved to another place, does not open. Thread-safe. */
#pragma once

#include "protocol/bytes.h"
#include "protocol/limits.h"
#include "protocol/secret.h"
#include "store/store.h"

struct keyring;

enum seal_purpose {
    SEAL_RECORD = 1,       /* records in the store, except key material */
    SEAL_KEY_MATERIAL = 2, /* the secret part of objects in the store */
    SEAL_SESSION_OBJECT = 3,
    SEAL_TICKET = 4,
    SEAL_MULTIPART = 5,
    SEAL_INDEX = 6, /* HMAC key of index tokens */
    SEAL_AUDIT = 7, /* HMAC key that chains the audit log */
};

#define MASKING_KEY_LEN 32u
#define SEAL_OVERHEAD   40u /* nonce 24, tag 16 */

/** Derives all purpose keys; `masking_key` may be released afterwards. */
status_code keyring_create(const struct secret *masking_key, const uint8_t cluster_id[ID_LEN],
                           struct keyring **keyring);
void keyring_free(struct keyring *keyring);

const uint8_t *keyring_cluster_id(const struct keyring *keyring);

/** Appends SEAL_OVERHEAD + plaintext.len bytes to `sealed`. */
status_code seal(struct keyring *keyring, enum seal_purpose purpose, struct slice context, struct slice plaintext,
                 struct bytes *sealed);

/** Appends the plaintext. STATUS_STORE_DAMAGED when it does not open (the caller gives it a better name). */
status_code unseal(struct keyring *keyring, enum seal_purpose purpose, struct slice context, struct slice sealed,
                   struct bytes *plaintext);

/** Token by which `value` of `what` (an attribute number, or a number of the caller's above 255) is found. */
status_code keyring_token(struct keyring *keyring, uint32_t what, struct slice value, struct index_token *token);

/** HMAC-SHA-256 under the key of SEAL_INDEX or SEAL_AUDIT. */
status_code keyring_mac(struct keyring *keyring, enum seal_purpose purpose, struct slice data, uint8_t mac[32]);
