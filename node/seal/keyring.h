/* Sealing: AES-256-GCM under keys that are derived (HKDF) from the cluster's masking keys, one per generation and
 * purpose, and then, with the first half of a 24-byte random nonce, one per sealing, so that random nonces never run
 * out.
 *
 * Every sealing is bound to the cluster id, its purpose and a context that the caller gives (kind, object id, version,
 * attributes): a value that was altered, or moved to another place, does not open. It begins with the generation of the
 * masking key that it is sealed under, as a value of the store does (store.h). Thread-safe. */
#pragma once

#include "protocol/bytes.h"
#include "protocol/limits.h"
#include "seal/masking_keys.h"
#include "store/store.h"

struct keyring;

enum seal_purpose {
    SEAL_RECORD = 1,       /* records in the store, except key material */
    SEAL_KEY_MATERIAL = 2, /* the secret part of objects in the store */
    SEAL_SESSION_OBJECT = 3,
    SEAL_TICKET = 4,
    SEAL_MULTIPART = 5,
    SEAL_INDEX = 6,    /* HMAC key of index tokens */
    SEAL_AUDIT = 7,    /* entries of the audit log */
    SEAL_HANDOVER = 8, /* the next masking key on its way to a node */
};

#define SEAL_NONCE_LEN 24u
#define SEAL_OVERHEAD  (GENERATION_LEN + SEAL_NONCE_LEN + 16u) /* and GCM's tag */
#define SEAL_NEWEST    0u                                      /* as a generation: the newest that the keyring has */

/** Derives all purposes' keys of all generations; `masking_keys` (a list as in masking_keys.h) may be released
 * afterwards. */
status_code keyring_create(struct slice masking_keys, const uint8_t cluster_id[ID_LEN], struct keyring **keyring);
void keyring_free(struct keyring *keyring);

const uint8_t *keyring_cluster_id(const struct keyring *keyring);

/** Takes this list of masking keys in place of the one before. */
status_code keyring_change(struct keyring *keyring, struct slice masking_keys);

/** Nothing in the store is sealed under an older generation any more: what claims to be is refused, for a minute with
 * STATUS_BUSY, since a reader may just have been overtaken, and then as damaged. Older generations still open what
 * clients hold. It never goes down. */
void keyring_settle(struct keyring *keyring, uint32_t generation);
uint32_t keyring_settled(struct keyring *keyring);

/** Called, without a lock held, when a value of the store names a generation that is not there, which must then come;
 * or a value from a client does: generation is 0 then, for whatever generation the store says. It may call
 * keyring_change.
 */
typedef status_code (*keyring_learner)(void *context, uint32_t generation);
void keyring_on_unknown(struct keyring *keyring, keyring_learner learner, void *context);

/** The newest generation: what is sealed now. */
uint32_t keyring_newest(struct keyring *keyring);

/** Generations that records in the store may have tokens of, the oldest first; their number. */
unsigned keyring_searched(struct keyring *keyring, uint32_t generations[MASKING_KEYS_MAX]);

/** Appends SEAL_OVERHEAD + plaintext.len bytes to `sealed`. */
status_code seal(struct keyring *keyring, uint32_t generation, enum seal_purpose purpose, struct slice context,
                 struct slice plaintext, struct bytes *sealed);

/** Appends the plaintext. STATUS_STORE_DAMAGED when it does not open (the caller gives it a better name); STATUS_BUSY:
 * see keyring_settle. Whatever else comes from looking for a generation that is not here. */
status_code unseal(struct keyring *keyring, enum seal_purpose purpose, struct slice context, struct slice sealed,
                   struct bytes *plaintext);

/** Token by which `value` of `what` (an attribute number, or a number of the caller's above 255) is found. */
status_code keyring_token(struct keyring *keyring, uint32_t generation, uint32_t what, struct slice value,
                          struct index_token *token);
