/* What the files of node/user share. */
#pragma once

#include <stdatomic.h>
#include "user/challenge.h"
#include "user/session_cache.h"

struct use_spent;

struct users {
    struct node *node;
    struct session_cache *cache;
    struct use_spent *spent; /* use_proof.c */
    _Atomic unsigned n_logouts;
    atomic_flag purging;       /* guards purged_to */
    uint8_t purged_to[ID_LEN]; /* how far old revocations were looked for */
};

/** Finds the user and checks its password; failures are counted and lock out (lockout.h). Slow. STATUS_LOGIN_FAILED
 * alike for unknown users and wrong passwords; STATUS_USER_LOCKED. */
status_code users_check_password(struct users *users, struct slice name, struct slice password,
                                 struct account *account);

/** The same for what needs all that a login needs, the second factor too. STATUS_SECOND_FACTOR_NEEDED. */
status_code users_check_login(struct users *users, struct slice name, struct slice password,
                              const struct login_proof *proof, struct account *account);

/** What a user is at the moment, or (kind STORE_REVOCATION) whether a session was revoked; cached. */
status_code users_standing(struct users *users, enum store_kind kind, const uint8_t id[ID_LEN],
                           struct standing *standing);

/** What use_proof.c remembers. NULL without memory. */
struct use_spent *use_spent_new(void);
void use_spent_free(struct use_spent *spent);

/** Looks through the next page of revocations and removes those that no living ticket can refer to. */
void users_purge_revocations(struct users *users);

/** At start: chooses where to begin, and looks through a first page. */
status_code users_start_purging(struct users *users);
