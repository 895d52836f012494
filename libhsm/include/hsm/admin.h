/* The life of a cluster and of its nodes, and the audit log. What changes a node itself goes over that node's own
 * socket in its state folder, opened with hsm_cluster_open_endpoint("ipc://..."); the rest goes to any node.
 * Certificates and requests are PEM text. Every call reaches the network (or the socket) and is safe from any number of
 * threads.
 *
 * A cluster's life: create on the first node -> have the owner's CA sign the request -> initialize -> activate ->
 * users. A further node: node_csr on it -> sign -> node_approve by an administrator -> node_admit on it. */
#pragma once

#include "hsm/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a new cluster with this node as its first member: creates the masking key inside it.
 *
 * @param node  the node's own socket
 * @param csr  out: its certificate signing request, freed with hsm_buffer_free
 * @return HSM_OK (again, with the same request, until the cluster is initialized); HSM_CLUSTER_STATE; HSM_NOT_PERMITTED
 * when the endpoint is not the node's own socket
 */
HSM_API hsm_status hsm_cluster_create(hsm_cluster *node, const char *name, hsm_buffer *csr);

/**
 * Installs the first node's signed certificate and the CA's.
 *
 * @return HSM_OK; HSM_INVALID_ARGUMENT or HSM_TLS_ERROR when the certificates do not fit each other or the request;
 * HSM_CLUSTER_STATE; HSM_NOT_PERMITTED
 */
HSM_API hsm_status hsm_cluster_initialize(hsm_cluster *node, const char *certificate_pem,
                                          const char *ca_certificate_pem);

/** Makes the first administrator; works once in a cluster's life. @return HSM_OK; HSM_CLUSTER_STATE;
 * HSM_PASSWORD_UNACCEPTABLE */
HSM_API hsm_status hsm_cluster_activate(hsm_cluster *cluster, const char *user, const void *password,
                                        size_t password_len);

/**
 * Moves the cluster from one store to another: copies it, checks the copy, and closes the old one for good. Every other
 * node should be stopped; afterwards `store` in the configuration of each node has to follow, and they are restarted.
 * May take minutes; interrupted, it is called again.
 *
 * @param node       the own socket of a node whose configuration can reach both stores
 * @param target     "etcd", or "sqlite:" and the absolute path of a file that does not exist yet
 * @param n_records  out: how many records were moved; may be NULL
 * @return HSM_OK; HSM_ALREADY_EXISTS when the target is not empty; HSM_STORE_UNAVAILABLE; HSM_STORE_LOCKED;
 * HSM_NOT_PERMITTED when the endpoint is not the node's own socket
 */
HSM_API hsm_status hsm_cluster_migrate_store(hsm_cluster *node, const char *target, uint64_t *n_records);

/**
 * Begins to replace the masking key, under which nodes seal all that is stored and all that clients hold. The cluster
 * goes on working; hsm_cluster_masking_key tells how far it is, and any node goes on when one dies. Administrators
 * only.
 *
 * @param grace_s  for how many seconds, once all that is stored is sealed anew, the key before goes on opening the
 * logins and session keys that clients hold; clients that make any call in that time notice nothing. 0 after a key was
 * exposed
 * @param generation  out: number of the new key; may be NULL
 * @return HSM_OK; HSM_CLUSTER_STATE while it is being replaced already, or when a node has not taken up the key before;
 * HSM_NOT_PERMITTED; HSM_QUORUM_NEEDED
 */
HSM_API hsm_status hsm_cluster_rotate_key(hsm_session *session, uint32_t grace_s, uint32_t *generation);

/** How the masking key stands. `size` is set by the caller. */
typedef struct hsm_masking_key_info {
    size_t size;
    uint32_t generation;           /**< number of the key: 1 from the cluster's creation on, one more each time */
    char phase[16];                /**< "none", "sealing", "checking" or "grace" */
    uint64_t n_done;               /**< records looked at by the last replacement */
    uint64_t n_total;              /**< and how many there are; 0: there was none */
    uint64_t retire_ms;            /**< in "grace": when the key before is forgotten, in ms since 1970-01-01 UTC */
    uint8_t worker_id[HSM_ID_LEN]; /**< the node that works on it; zero: none at the moment */
    uint64_t n_damaged;  /**< records that open under no key, and hold the replacement up; at most 64 are told */
    uint64_t n_given_up; /**< records that were given up: see hsm_cluster_give_up_damaged */
} hsm_masking_key_info;

/** Asks any node. Needs no login. @return HSM_OK; HSM_INVALID_ARGUMENT when `size` is not set */
HSM_API hsm_status hsm_cluster_masking_key(hsm_cluster *cluster, hsm_masking_key_info *info);

/**
 * Lets the replacement of the masking key that is under way come to its end without the records that open under no key.
 * They were of no use before; after this they stay so, even where a sound copy of them turns up. Nodes log which they
 * are. Administrators only.
 *
 * @param n  n_damaged of hsm_cluster_masking_key: how many of them the administrator knows of
 * @return HSM_OK; HSM_INVALID_ARGUMENT when there are more or less of them now; HSM_CLUSTER_STATE when no replacement
 * is under way; HSM_NOT_PERMITTED; HSM_QUORUM_NEEDED
 */
HSM_API hsm_status hsm_cluster_give_up_damaged(hsm_session *session, uint64_t n);

/**
 * The certificate signing request of a node that is to join.
 *
 * @param node  the node's own socket
 * @param csr, state  out: freed with hsm_buffer_free; `state` (the node's state) may be NULL
 */
HSM_API hsm_status hsm_node_csr(hsm_cluster *node, hsm_buffer *csr, hsm_buffer *state);

/**
 * Admits the node with this certificate. Administrators only.
 *
 * @param handover  out: the masking key, sealed to that certificate; of use to nobody else; freed with hsm_buffer_free
 * @return HSM_OK; HSM_INVALID_ARGUMENT when it is no certificate; HSM_TLS_ERROR when the CA did not sign it;
 * HSM_QUOTA_EXCEEDED
 */
HSM_API hsm_status hsm_node_approve(hsm_session *session, const char *certificate_pem, hsm_buffer *handover);

/**
 * Makes a node a member, with what hsm_node_approve gave.
 *
 * @param node  the node's own socket
 * @return HSM_OK; HSM_INVALID_ARGUMENT or HSM_TLS_ERROR (certificates); HSM_CLUSTER_STATE; HSM_STORE_FOREIGN when its
 * store is another cluster's
 */
HSM_API hsm_status hsm_node_admit(hsm_cluster *node, const char *certificate_pem, const char *ca_certificate_pem,
                                  const uint8_t *handover, size_t handover_len);

/**
 * Gives a node a new certificate for its key, before the one that it has expires. Connections that are open stay.
 *
 * @param node  the node's own socket
 * @return HSM_OK; HSM_TLS_ERROR when it is for another key or not signed by the cluster's CA; HSM_CLUSTER_STATE
 */
HSM_API hsm_status hsm_node_renew(hsm_cluster *node, const char *certificate_pem);

/** A node takes no new requests and finishes those at hand. @param node  its own socket  @param drain  0: it serves
 * again */
HSM_API hsm_status hsm_node_drain(hsm_cluster *node, int drain);

/** Takes a node out of the cluster: its certificate is refused from now on. Administrators only. @param node_id
 * HSM_ID_LEN bytes */
HSM_API hsm_status hsm_node_remove(hsm_session *session, const uint8_t *node_id);

/** An entry of a node's audit log. Each carries the hash of the one before, so that nothing can be cut out unseen. */
typedef struct hsm_audit_entry {
    size_t size;
    uint64_t sequence; /* counts from 1 on each node */
    uint64_t time_ms;  /* milliseconds since 1970-01-01 UTC */
    const char *operation;
    const char *user; /* "" when nobody was logged in */
    uint8_t object[HSM_ID_LEN];
    uint8_t has_object;
    hsm_status status;
    const char *detail;
    const uint8_t *hash;
    size_t hash_len;
    const uint8_t *previous_hash;
    size_t previous_hash_len;
} hsm_audit_entry;

typedef struct hsm_audit_page {
    size_t size;
    uint64_t n_total; /* entries in the log */
    size_t n_entries;
    const hsm_audit_entry *const *entries;
} hsm_audit_page;

/**
 * Reads the audit log of a node. Administrators and auditors.
 *
 * @param node_id   HSM_ID_LEN bytes; NULL: the node that answers (open the cluster with hsm_cluster_open_endpoint to
 * choose)
 * @param sequence  from this entry on; 0: from the beginning
 * @param limit     most entries wanted; 0: as many as fit a message
 * @param page      out: freed with hsm_audit_page_free, all at once
 */
HSM_API hsm_status hsm_audit_read(hsm_session *session, const uint8_t *node_id, uint64_t sequence, uint32_t limit,
                                  hsm_audit_page **page);
HSM_API void hsm_audit_page_free(hsm_audit_page *page);

/**
 * How far a node's audit log reaches now, signed by the node that answers: kept with what was read so far, it shows
 * later whether entries were cut off. Administrators and auditors.
 *
 * @param node_id      as above
 * @param text         out: lines that name cluster, node, sequence, hash and time
 * @param signature    out: over the text, SHA-256 with ECDSA (DER)
 * @param certificate  out: of the node that signed, PEM; the cluster's CA signed it. All freed with hsm_buffer_free
 */
HSM_API hsm_status hsm_audit_checkpoint(hsm_session *session, const uint8_t *node_id, hsm_buffer *text,
                                        hsm_buffer *signature, hsm_buffer *certificate);

#ifdef __cplusplus
}
#endif
