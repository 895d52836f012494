/* Failed logins, counted in the store, so that a cluster of many nodes allows no more attempts than one. */
#pragma once

#include "user/account.h"

/** STATUS_USER_LOCKED while the user is locked out. *failures is what lockout_clear needs. */
status_code lockout_check(struct node *node, const uint8_t user_id[ID_LEN], bool *failures);

/** Counts a failed login; from config.login_attempts on the user is locked for config.login_lock_s, doubling each time
 * up to an hour. */
void lockout_count(struct node *node, const uint8_t user_id[ID_LEN]);

/** Forgets the failures: after a successful login or a reset. */
void lockout_clear(struct node *node, const uint8_t user_id[ID_LEN]);

/** For listings. */
bool lockout_active(struct node *node, const uint8_t user_id[ID_LEN]);
