/* One request of a public function, from the caller's arguments to the decoded answer. A call owns everything that its
 * request refers to besides the caller's own arguments: sealed session objects, new ids, encoded templates. Begin it,
 * put fields, run it, read call->request.answer, release it (CLEANUP(call_release)). */
#pragma once

#include "api_session.h"
#include "api_template.h"
#include "cluster_core.h"
#include "protocol/message.h"

#define CALL_KEYS_MAX 3

struct call {
    hsm_session *session; /* NULL: no login travels */
    hsm_cluster *cluster;
    struct values fields;
    struct core_request request; /* .answer: of a successful run, borrowing from its reply; .node may be set before */
    hsm_key new_ids[2];
    uint8_t request_id[ID_LEN];
    uint8_t quorum_token[ID_LEN];
    struct bytes attributes;        /* secret: encoded template */
    struct bytes public_attributes; /* encoded template */
    struct bytes wanted;
    struct bytes use_proof;                     /* secret */
    struct session_object *keys[CALL_KEYS_MAX]; /* held while the request refers to their blobs */
    unsigned n_keys;
};

/** `session` may be NULL for calls without a login, `cluster` NULL otherwise. STATUS_INVALID_ARGUMENT when both are. */
status_code call_begin(struct call *call, hsm_session *session, hsm_cluster *cluster, enum operation operation);
void call_release(struct call *call);

/** Names a key in `id_field`, and puts its sealed form into `blob_field` when it is one of the session's own. `key`
 * must live as long as the call. */
void call_put_key(struct call *call, const hsm_key *key, enum field id_field, enum field blob_field);
#define CALL_KEY(call, key)    call_put_key(call, key, FIELD_OBJECT_ID, FIELD_BLOB)
#define CALL_SECOND(call, key) call_put_key(call, key, FIELD_SECOND_ID, FIELD_SECOND_BLOB)

/** Puts text, bounded by the field's limit: STATUS_INVALID_ARGUMENT. */
status_code call_put_text(struct call *call, enum field field, const char *text, const char *what);
status_code call_put_bytes(struct call *call, enum field field, const void *data, size_t len, const char *what);

/** Chooses and puts OBJECT_ID and REQUEST_ID, and encodes the template into ATTRIBUTES. */
status_code call_put_new_object(struct call *call, const hsm_attribute *attributes, size_t n);
/** Puts MECHANISM, which must be one that makes keys: STATUS_MECHANISM_INVALID. */
status_code call_put_generator(struct call *call, uint32_t mechanism);
/** Puts REQUEST_ID alone: for changes. */
status_code call_put_request_id(struct call *call);

/** Sends it and waits; decodes the answer. Logs in again when the configuration holds the credentials. Notes for
 * hsm_last_error who failed. */
status_code call_run(struct call *call);

/** Takes what a creation answered: a session object into the session; the new key into *key. */
status_code call_take_object(struct call *call, hsm_key *key);

/** Gives bytes of the answer to the caller. */
status_code call_give(const struct call *call, enum field field, void *out, size_t *out_len);
/** An owned copy of bytes or text of the answer. */
status_code call_give_buffer(const struct call *call, enum field field, hsm_buffer *buffer);
