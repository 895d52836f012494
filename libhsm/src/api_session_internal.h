/* The inside of a session, for api_session*.c and api_login.c alone. */
#pragma once

#include <stdatomic.h>
#include "api_kept_login.h"
#include "api_lock.h"
#include "api_session.h"
#include "cluster_core.h"
#include "protocol/limits.h"

struct object_table;

struct use_proof;
struct refusal;

struct hsm_session {
    hsm_cluster *cluster;
    struct login *login; /* the ticket; the same from open to close */
    struct api_lock
        lock; /* guards `info`, `kept`, `refusal`, `quorum_token`, `proofs`, `objects` and what it points to */
    hsm_login_info info;
    struct object_table *objects;
    struct use_proof *proofs; /* api_use_proof.c */
    uint8_t quorum_token[16];
    _Atomic bool has_quorum_token;  /* false: no look-up needed */
    _Atomic bool has_proofs;        /* false: no look-up needed */
    _Atomic uint32_t n_objects;     /* 0: no look-up needed */
    _Atomic uint32_t generation;    /* of the login */
    _Atomic long logging_in;        /* process id of a thread that is logging in again; 0: none */
    _Atomic int login_again_status; /* of the last time that one did */
    _Atomic bool from_config;       /* the library may log in again by itself, with the configuration's credentials */
    _Atomic bool prepared;          /* also for the first time, and with what is kept when they cannot be read */
    struct kept_login *kept;        /* NULL: nothing is kept */
    struct refusal *refusal;        /* api_login_refused.c */
    _Atomic uint32_t timeout_ms;    /* of calls; 0: the configuration's */
};

/* What a second factor adds to a login. */
struct login_proof {
    struct slice state, signature;
};

/** Asks a node for a ticket. An earlier one of the same user goes along, even expired: the session is kept. `proof` may
 * be NULL. */
status_code session_log_in(hsm_session *session, const char *user, struct slice password,
                           const struct login_proof *proof);

/** Keeps a copy for logging in again, in place of what was kept before. */
status_code session_keep_login(hsm_session *session, const char *user, struct slice password);

/** With the credentials of the configuration, read anew. */
status_code session_log_in_from_config(hsm_session *session);

struct credentials;

/** The credentials of the configuration, read anew; of a prepared session those that are kept, when they cannot be. */
status_code session_credentials(hsm_session *session, struct credentials *credentials, bool *from_kept);

/** Whether the library may try these by itself: STATUS_LOGIN_FAILED when nodes refused them a short time ago. */
status_code session_check_refusal(hsm_session *session, const struct credentials *credentials);

/** What came of a login with them. */
void session_note_refusal(hsm_session *session, const struct credentials *credentials, status_code status);

void session_forget_refusal(hsm_session *session);

/** Whether this user is logged in. */
bool session_is_of(hsm_session *session, const char *user);

status_code session_forget_login(hsm_session *session);
