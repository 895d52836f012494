/* Proof that a user gave the password again, for one use of a key whose ALWAYS_AUTHENTICATE is true.
 *
 * It is sealed to the user with the password's version, the session, the key and two minutes, so that any node takes
 * it: a client whose node died goes on at another one. A node takes each proof for one request, and for resends of that
 * one; what several nodes took they do not tell each other, so that a client that is bent on it gets one use of each
 * node out of one password. */
#pragma once

#include "user/user.h"

/** Checks the caller's password (slow, and guesses count), and the second factor of who has one. STATUS_LOGIN_FAILED,
 * STATUS_USER_LOCKED, STATUS_SECOND_FACTOR_NEEDED. */
status_code use_proof_make(struct node *node, const struct caller *caller, const uint8_t object_id[ID_LEN],
                           struct slice password, const struct login_proof *second, struct bytes *sealed,
                           uint64_t *expires_ms);

/** Whether the request at hand carries one for this key that is still good, and takes it. STATUS_AUTHENTICATION_NEEDED;
 * STATUS_BUSY when more were taken than this node remembers at a time. */
status_code use_proof_check(struct node *node, const struct caller *caller, const uint8_t object_id[ID_LEN]);
