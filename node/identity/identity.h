/* What makes this node itself: its id, its TLS key and certificate, the cluster's CA certificate and the masking key,
 * all in the state folder with mode 0600, and the life cycle that they come from (DESIGN section 7).
 *
 * States: EMPTY (no cluster yet) -> CREATED (has a masking key, waits for its signed certificate) -> MEMBER; a node
 * that is to join goes EMPTY -> MEMBER with a handover. Whether the cluster is activated stands in the store. */
#pragma once

#include <openssl/ssl.h>
#include "protocol/limits.h"
#include "protocol/secret.h"

struct node;
struct identity;

enum identity_state { IDENTITY_EMPTY, IDENTITY_CREATED, IDENTITY_MEMBER };

/** Loads the state folder, or makes a fresh one: node id and an EC P-256 key. Clear errors for wrong modes, owners and
 * damaged files. */
status_code identity_open(struct node *node, const char *state_folder, struct identity **identity);
void identity_close(struct identity *identity);

enum identity_state identity_state(const struct identity *identity);
const uint8_t *identity_node_id(const struct identity *identity);
/** Zero until the node is CREATED or MEMBER. */
const uint8_t *identity_cluster_id(const struct identity *identity);

/** What the keyring binds sealings to: the cluster's id or, of a restored cluster, that of the one whose keys they are.
 */
const uint8_t *identity_seal_id(const struct identity *identity);

/** "" until the node is CREATED or MEMBER. */
const char *identity_cluster_name(const struct identity *identity);
/** SHA-256 of this node's certificate, and the certificate. STATUS_CLUSTER_STATE unless MEMBER. */
status_code identity_certificate(struct identity *identity, uint8_t hash[32], struct bytes *pem);
/** Descriptor of the state folder, locked as long as the identity is open. */
int identity_folder(const struct identity *identity);
/** Reads node.pem of the state folder again, if it was renewed; a certificate that does not fit changes nothing. */
status_code identity_reload(struct identity *identity);
/** Takes a new certificate, and keeps it as node.pem. STATUS_TLS_ERROR when it does not fit. */
status_code identity_renew(struct identity *identity, struct slice certificate_pem);

/** A copy of the masking keys, as in seal/masking_keys.h. */
status_code identity_masking_keys(struct identity *identity, struct secret *masking_keys);

/** Signs with this node's key; its certificate (PEM) comes along. STATUS_CLUSTER_STATE unless MEMBER. */
status_code identity_sign(struct identity *identity, struct slice data, struct bytes *signature,
                          struct bytes *certificate_pem);

/** PEM. */
status_code identity_csr(struct identity *identity, struct bytes *csr);

/** The TLS 1.3 server context with mutual authentication; a reference that the caller frees. Fails unless MEMBER. */
status_code identity_tls_context(struct identity *identity, SSL_CTX **context);

/** From now on clients may have certificates of these CAs too. */
status_code identity_trust(struct identity *identity, X509 *const *anchors, unsigned n);

/** Whether this node has yet to make the cluster's record in the store: from identity_create_cluster until
 * identity_founded. A store without that record is accepted from no other node: it would be the wrong, or a lost one.
 */
bool identity_is_founding(struct identity *identity);
status_code identity_founded(struct identity *identity);

status_code identity_create_cluster(struct identity *identity, struct slice cluster_name);

/** What a backup holds of the cluster that it was made of. */
struct identity_restored {
    uint8_t cluster_id[ID_LEN]; /* the new cluster's */
    uint8_t seal_id[ID_LEN];
    struct slice cluster_name;
    struct slice masking_keys;
};

/** Instead of identity_create_cluster: EMPTY -> CREATED with the keys of a cluster that was backed up. */
status_code identity_restore(struct identity *identity, const struct identity_restored *restored);
status_code identity_initialize(struct identity *identity, struct slice certificate, struct slice ca_certificate);
/** Seals the masking keys to the node whose certificate this is (ECDH to its key, signed with ours). */
status_code identity_approve(struct identity *identity, struct slice certificate, struct bytes *handover,
                             uint8_t node_id[ID_LEN]);
status_code identity_admit(struct identity *identity, struct slice certificate, struct slice ca_certificate,
                           struct slice handover);

/** Hands these masking keys to a member (or this node itself) instead of those that this node has. */
status_code identity_hand_over(struct identity *identity, const uint8_t node_id[ID_LEN], struct slice certificate_pem,
                               struct slice masking_keys, struct bytes *handover);

/** What this node's masking keys would be with what another member handed over so. STATUS_NOT_PERMITTED when one of
 * them is another than this node knows. */
status_code identity_look_into(struct identity *identity, struct slice handover, struct secret *masking_keys);

/** Takes that up. */
status_code identity_take_up(struct identity *identity, struct slice handover);

/** The generation before which no masking key opens anything in the store any more: raised, and kept over restarts, so
 * that a store that was meddled with meanwhile cannot lower it. */
uint32_t identity_settled(struct identity *identity);
status_code identity_settle(struct identity *identity, uint32_t generation);

/** Forgets masking keys of generations before `oldest`, if it has newer ones; *masking_keys are those that are left. */
status_code identity_retire(struct identity *identity, uint32_t oldest, struct secret *masking_keys);
