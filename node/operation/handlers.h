/* What the handlers share: their names, and the steps that many of them begin or end with. Nobody else includes this.
 */
#pragma once

#include "node.h"
#include "operation/call.h"

/* op_connection.c */
status_code op_hello(struct call *call);
status_code op_ping(struct call *call);
status_code op_login(struct call *call);
status_code op_login_challenge(struct call *call);
status_code op_key_authenticate(struct call *call);
status_code op_logout(struct call *call);

/* op_cluster.c */
status_code op_cluster_create(struct call *call);
status_code op_cluster_initialize(struct call *call);
status_code op_cluster_activate(struct call *call);
status_code op_trust_anchor_add(struct call *call);
status_code op_trust_anchor_remove(struct call *call);
status_code op_trust_anchor_list(struct call *call);
status_code op_cluster_rotate_key(struct call *call);
status_code op_cluster_give_up_damaged(struct call *call);
status_code op_cluster_masking_key(struct call *call);
status_code op_cluster_describe(struct call *call);
status_code op_cluster_migrate_store(struct call *call);
status_code op_cluster_restore(struct call *call);

/* op_backup.c */
status_code op_backup_create(struct call *call);
status_code op_backup_list(struct call *call);
status_code op_backup_verify(struct call *call);
status_code op_backup_delete(struct call *call);

/* op_node.c */
status_code op_node_describe(struct call *call);
status_code op_node_csr(struct call *call);
status_code op_node_approve(struct call *call);
status_code op_node_admit(struct call *call);
status_code op_node_renew(struct call *call);
status_code op_node_drain(struct call *call);
status_code op_node_remove(struct call *call);

/* op_user.c */
status_code op_user_create(struct call *call);
status_code op_user_delete(struct call *call);
status_code op_user_list(struct call *call);
status_code op_user_change_password(struct call *call);

status_code op_user_set_signer(struct call *call);

/* op_quorum.c */
status_code op_quorum_request(struct call *call);
status_code op_quorum_approve(struct call *call);
status_code op_quorum_cancel(struct call *call);
status_code op_quorum_list(struct call *call);
status_code op_quorum_set(struct call *call);

/* op_generate.c */
status_code op_key_generate(struct call *call);
status_code op_key_pair_generate(struct call *call);

/* op_object.c */
status_code op_object_create(struct call *call);
status_code op_object_copy(struct call *call);
status_code op_object_get(struct call *call);
status_code op_object_set(struct call *call);
status_code op_object_find(struct call *call);
status_code op_object_delete(struct call *call);
status_code op_object_share(struct call *call);

/* op_sign.c, op_encrypt.c, op_multipart.c, op_wrap.c, op_derive.c, op_encapsulate.c, op_random.c, op_audit.c */
status_code op_sign(struct call *call);
status_code op_verify(struct call *call);
status_code op_verify_recover(struct call *call);
status_code op_encrypt(struct call *call);
status_code op_decrypt(struct call *call);
status_code op_multipart(struct call *call);
status_code op_wrap(struct call *call);
status_code op_unwrap(struct call *call);
status_code op_derive(struct call *call);
status_code op_encapsulate(struct call *call);
status_code op_decapsulate(struct call *call);
status_code op_random(struct call *call);
status_code op_audit_read(struct call *call);
status_code op_audit_checkpoint(struct call *call);

/* Reading requests (request.c). */

/** The mechanism and all its parameters; borrows from the request. STATUS_MECHANISM_INVALID for an unknown one,
 * STATUS_MECHANISM_PARAM_INVALID for an unknown hash or key derivation function. */
status_code call_mechanism(const struct call *call, struct mechanism *mechanism);

/** The object that a pair of fields names (BLOB or SECOND_BLOB is empty for token objects). */
status_code call_object(const struct call *call, enum field id, enum field blob, struct object **object);

/** What every creation takes: OBJECT_ID, REQUEST_ID, ATTRIBUTES. The rest is unset. */
struct object_new call_new(const struct call *call, enum object_origin origin);

static inline struct slice call_bytes(const struct call *call, enum field field)
{
    return values_bytes(call->request, field);
}

/* Making objects and answering with them. */

/** Answers with a creation that was done before: *done says whether there was one. */
status_code call_answer_created(struct call *call, const struct object_new *new, bool *done);

/** Creates and answers: OBJECT_ID, ATTRIBUTES, BLOB, and what object_new.answer held in OUTPUT. */
status_code call_create(struct call *call, const struct object_new *new);

/** Puts a creation's result into three fields. */
status_code call_answer_made(struct call *call, const struct object_made *made, enum field id, enum field attributes,
                             enum field blob);

/** For CLEANUP. */
void call_key_release(struct key **key);
