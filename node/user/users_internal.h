/* What the files of node/user share. */
#pragma once

#include <stdatomic.h>
#include "user/session_cache.h"

struct users {
    struct node *node;
    struct session_cache *cache;
    _Atomic unsigned n_logouts;
    atomic_flag purging;       /* guards purged_to */
    uint8_t purged_to[ID_LEN]; /* how far old revocations were looked for */
};

/** Finds the user and checks its password; failures are counted and lock out (lockout.h). Slow. STATUS_LOGIN_FAILED
 * alike for unknown users and wrong passwords; STATUS_USER_LOCKED. */
status_code users_check_password(struct users *users, struct slice name, struct slice password,
                                 struct account *account);

/** Looks through the next page of revocations and removes those that no living ticket can refer to. */
void users_purge_revocations(struct users *users);

/** At start: chooses where to begin, and looks through a first page. */
status_code users_start_purging(struct users *users);
