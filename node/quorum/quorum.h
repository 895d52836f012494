/* Quorum: what M of N people must agree to before it is done (M of N approval by signed tokens).
 *
 * Whoever wants something that a quorum guards asks for a token: a record in the store that says who may do what, how
 * often and until when. Its text is signed by others with keys that they registered; each signature that is handed in
 * counts as an approval. Requests then name the token. It is checked again at each use: the approvers must still be
 * entitled, with the same keys. A token is this cluster's alone, since the cluster's id stands in the text.
 *
 * Services: user, quorum and cluster are for administrators, with an M that is the cluster's policy; key-use and
 * key-management are a key's own, with the M that it was made with, for its owner and those that it is shared with. */
#pragma once

#include "protocol/message.h"
#include "store/store.h"
#include "user/user.h"

struct node;
struct object;
struct cluster_record;

enum quorum_service {
    QUORUM_NONE,
    QUORUM_USER,
    QUORUM_POLICY,
    QUORUM_CLUSTER,
    QUORUM_KEY_USE,
    QUORUM_KEY_MANAGEMENT,
    QUORUM_SERVICES
};

#define QUORUM_MAX  8u    /* highest M */
#define QUORUM_USES 1000u /* most operations of one token */

/** "user", "quorum", "cluster", "key-use", "key-management"; NULL for none. */
const char *quorum_service_name(enum quorum_service service);
enum quorum_service quorum_service_find(struct slice name);

/* Tokens. */

/** A new token for `uses` operations of the caller: its id, and the text that approvers sign. object_id: of a key's
 * service, else empty. */
status_code quorum_request(struct node *node, const struct caller *caller, enum quorum_service service,
                           struct slice object_id, uint64_t uses, uint8_t token_id[ID_LEN], struct bytes *text,
                           uint64_t *expires_ms);

/** Counts a signature of `signer` over the token's text. STATUS_SIGNATURE_INVALID, STATUS_NOT_PERMITTED when the signer
 * is not entitled, STATUS_OBJECT_NOT_FOUND. */
status_code quorum_approve(struct node *node, const struct caller *caller, const uint8_t token_id[ID_LEN],
                           struct slice signer, struct slice signature, uint64_t *n_approvals, uint64_t *n_needed);

/** By whoever requested it, or an administrator. */
status_code quorum_cancel(struct node *node, const struct caller *caller, const uint8_t token_id[ID_LEN]);

/** Tokens that have not expired as a SETS value: REQUEST_ID, NAME, USER_NAME, OBJECT_ID, COUNT, TIME_MS, VALUE_TEXT. */
status_code quorum_list(struct node *node, struct bytes *records);

/** The administrators' services as a SETS value: NAME, COUNT (M), LIMIT (registered signers). */
status_code quorum_policy_list(struct node *node, struct bytes *records);

/** Sets the M of an administrators' service; 0: nobody needs to approve. Needs a token of service quorum as soon as
 * that or the service itself has an M. STATUS_QUORUM_NEEDED; STATUS_INVALID_ARGUMENT above the number of signers. */
status_code quorum_set(struct node *node, const struct caller *caller, enum quorum_service service, uint64_t m);

/* Where things are done. */

/** Before an operation that the caller's role permits: spends a token where the cluster's policy wants one. */
status_code quorum_check_operation(struct node *node, const struct caller *caller, enum operation operation,
                                   const struct values *request);

/** Before a key is used or managed. `m` is the key's: 0 passes at once. */
status_code quorum_check_key(struct node *node, const struct caller *caller, enum quorum_service service,
                             const struct object *object, uint64_t m);

/** M of a service in the cluster's policy. */
uint64_t quorum_policy_of(const struct cluster_record *cluster, enum quorum_service service);
