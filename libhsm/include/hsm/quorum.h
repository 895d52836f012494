/* Quorum: what M of N people must approve before it is done.
 *
 * The administrators' services are "user" (making and deleting users, resetting passwords, administrators' keys for
 * approvals), "quorum" (this policy) and "cluster" (admitting and removing nodes, deleting backups), each with an M
 * that hsm_quorum_set gives it. "key-use" and "key-management" are a key's own, with the M in its attributes QUORUM_USE
 * and QUORUM_MANAGEMENT, for its owner and those whom it is shared with.
 *
 * Who wants something requests a token; others sign its text, with keys that they registered (hsm_user_set_signer), on
 * whatever they keep those on; the signatures are handed in; then the requester names the token and does it. Every call
 * reaches the network and is safe from any number of threads, except where it says otherwise. */
#pragma once

#include "hsm/session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HSM_QUORUM_MAX           8    /**< most people of a quorum */
#define HSM_QUORUM_USES          1000 /**< most operations of one token */
#define HSM_SIGNER_SECOND_FACTOR 1    /**< logins need a challenge signed with the key */

/**
 * The text that proves the possession of a key for approvals: to be signed with its private key. Asks the cluster for
 * its id.
 *
 * @param public_key  SubjectPublicKeyInfo, DER: RSA of at least 2,048 bits, or EC of at least 224
 * @param text        out: freed with hsm_buffer_free
 */
HSM_API hsm_status hsm_user_signer_text(hsm_cluster *cluster, const char *user, const void *public_key,
                                        size_t public_key_len, hsm_buffer *text);

/**
 * Registers the caller's key for approvals in place of an earlier one, or (public_key NULL) takes one away: one's own,
 * or as an administrator another's.
 *
 * @param flags  HSM_SIGNER_SECOND_FACTOR: from now on this user's logins need a challenge signed with the key besides
 * the password (hsm_login_challenge); 0: they do not
 * @param signature  over hsm_user_signer_text: SHA-256 with RSA (PKCS#1 v1.5) or ECDSA (DER)
 * @return HSM_OK; HSM_SIGNATURE_INVALID; HSM_INVALID_ARGUMENT; HSM_NOT_PERMITTED, also when too few signers would be
 * left; HSM_QUORUM_NEEDED
 */
HSM_API hsm_status hsm_user_set_signer(hsm_session *session, const char *user, const void *public_key,
                                       size_t public_key_len, const void *signature, size_t signature_len,
                                       uint32_t flags);

/**
 * Requests a token.
 *
 * @param service   name of a service
 * @param key       of key-use and key-management; else NULL
 * @param n_uses    1 to HSM_QUORUM_USES operations
 * @param token_id  out: HSM_ID_LEN bytes
 * @param text      out: what approvers sign, as signer_text is signed; freed with hsm_buffer_free
 * @return HSM_OK; HSM_NOT_PERMITTED; HSM_INVALID_ARGUMENT; HSM_OBJECT_NOT_FOUND; HSM_QUOTA_EXCEEDED
 */
HSM_API hsm_status hsm_quorum_request(hsm_session *session, const char *service, const hsm_key *key, uint32_t n_uses,
                                      uint8_t *token_id, hsm_buffer *text);

/**
 * Hands in a signature, anybody's.
 *
 * @param n_approvals, n_needed  out: how many approve by now, and how many must; may be NULL
 * @return HSM_OK (again, for the same signer); HSM_SIGNATURE_INVALID; HSM_NOT_PERMITTED when the signer is not entitled
 * or has registered no key; HSM_OBJECT_NOT_FOUND when the token has expired
 */
HSM_API hsm_status hsm_quorum_approve(hsm_session *session, const uint8_t *token_id, const char *signer,
                                      const void *signature, size_t signature_len, uint32_t *n_approvals,
                                      uint32_t *n_needed);

/** The session's calls spend this token from now on, where a quorum is needed. @param token_id  NULL: none. Reaches no
 * network. */
HSM_API hsm_status hsm_session_set_quorum_token(hsm_session *session, const uint8_t *token_id);

/** Cancels a token: its requester, or an administrator. */
HSM_API hsm_status hsm_quorum_cancel(hsm_session *session, const uint8_t *token_id);

/**
 * Sets how many administrators must approve what belongs to "user", "quorum" or "cluster"; 0: nobody needs to. Needs a
 * token of service quorum once that service or the one that is changed has a number.
 *
 * @return HSM_OK; HSM_INVALID_ARGUMENT above the number of administrators with a key for approvals; HSM_QUORUM_NEEDED
 */
HSM_API hsm_status hsm_quorum_set(hsm_session *session, const char *service, uint32_t m);

typedef struct hsm_quorum_token {
    size_t size;
    uint8_t id[HSM_ID_LEN];
    uint8_t key[HSM_ID_LEN]; /**< zero for administrators' services */
    const char *service;
    const char *requester;
    const char *approvers; /**< names, separated by commas */
    uint64_t n_uses_left;
    uint64_t expires_ms; /**< milliseconds since 1970 */
} hsm_quorum_token;

typedef struct hsm_quorum_policy {
    size_t size;
    const char *service;
    uint32_t m;         /**< how many must approve; 0: nobody */
    uint32_t n_signers; /**< administrators who could */
} hsm_quorum_policy;

typedef struct hsm_quorum_list {
    size_t size;
    size_t n_tokens;
    const hsm_quorum_token *const *tokens;
    size_t n_policies;
    const hsm_quorum_policy *const *policies;
} hsm_quorum_list;

/** Tokens that have not expired, and the administrators' policy. @param list  out: freed with hsm_quorum_list_free */
HSM_API hsm_status hsm_quorum_list_all(hsm_session *session, hsm_quorum_list **list);
HSM_API void hsm_quorum_list_free(hsm_quorum_list *list);

#ifdef __cplusplus
}
#endif
