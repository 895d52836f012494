/* A session: the login, and the session objects in their sealed form. The objects are immutable things with a count of
 * references; whoever needs one takes a reference under the lock and then works without it. */
#pragma once

#include "api.h"
#include "hsm/session.h"
#include "protocol/bytes.h"
#include "protocol/limits.h"

/* The login. */

struct login;

/** The ticket that requests of the session carry, as long as the session. */
struct login *session_login(const hsm_session *session);
hsm_cluster *session_cluster(const hsm_session *session);

/** Changes with every login, so that a thread sees that another has logged in again already. */
uint32_t session_generation(const hsm_session *session);

/** After a ticket of `generation` expired: logs in again with the configuration's credentials or those that are kept,
 * once for all threads. STATUS_TICKET_EXPIRED when there are none. */
status_code session_login_again(hsm_session *session, uint32_t generation);

/** Before a request that needs a login: logs a session in that was prepared for it and has none yet, once for all
 * threads. STATUS_NOT_LOGGED_IN when it was not prepared. */
status_code session_require_login(hsm_session *session);

/** Wipes what hsm_login_kept and hsm_login_prepare left. */
void session_forget_kept(hsm_session *session);

/** The token that requests of the session spend where a quorum is needed; false: none. */
bool session_quorum_token(hsm_session *session, uint8_t token_id[ID_LEN]);
void session_set_quorum_token(hsm_session *session, const uint8_t *token_id);

/** Takes what hsm_key_authenticate left for one use of a key; false: nothing. */
bool session_use_proof(hsm_session *session, const uint8_t key_id[ID_LEN], struct bytes *proof);
/** Another login cannot use them. */
void session_use_proofs_drop(hsm_session *session);

/* Session objects. */

struct session_object;

struct slice session_object_id(const struct session_object *object);
struct slice session_object_blob(const struct session_object *object);
/** As the node answered with them, encoded; none of them secret. */
struct slice session_object_attributes(const struct session_object *object);
void session_object_release(struct session_object *object);

/** A reference; NULL when `id` is none of the session's objects. */
struct session_object *session_object_find(hsm_session *session, const uint8_t id[ID_LEN]);

/** Takes in a new object, or a new version of one. */
status_code session_object_keep(hsm_session *session, const uint8_t id[ID_LEN], struct slice blob,
                                struct slice attributes);
/** Takes in a new version, unless `own` was changed or deleted meanwhile. */
status_code session_object_exchange(hsm_session *session, struct session_object *own, struct slice blob,
                                    struct slice attributes);
/** Whether it was there. */
bool session_object_forget(hsm_session *session, const uint8_t id[ID_LEN]);

/** Has a node seal it anew, and keeps that in its place (api_object.c). Reaches the network. */
status_code session_object_seal_anew(hsm_session *session, struct session_object *object);

/** References to all; the array is the caller's to free. */
status_code session_objects_all(hsm_session *session, struct session_object ***objects, size_t *n);

/** Releases all: another login does not open them. */
void session_objects_drop(hsm_session *session);
