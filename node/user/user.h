/* Users, logins and tickets.
 *
 * A ticket is a sealed statement (user id, role, credential version, session id, expiry) that every node opens. It is
 * good while the user exists with that credential version and the session was not revoked. A ticket past half of its
 * life is renewed in the answer's header, so a session lives as long as it is used. */
#pragma once

#include "protocol/catalog.h"
#include "protocol/message.h"
#include "store/store.h"

struct node;

/** Who calls: filled in from the ticket before an operation runs. */
struct caller {
    enum role role; /* ROLE_NONE before login */
    uint8_t user_id[ID_LEN];
    char user_name[USER_NAME_MAX + 1];
    uint8_t session_id[ID_LEN];
    bool local; /* came over the node's own socket */
    /* What a quorum token would be spent on; borrowed from the request. */
    enum operation operation;
    const struct values *request;
};

struct users;
struct login_proof;

status_code users_open(struct node *node, struct users **users);
void users_close(struct users *users);

/** Checks name and password (slow: PBKDF2) and makes a ticket. An earlier ticket of the same user passes its session id
 * on. `proof`: of the second factor, user/challenge.h. STATUS_LOGIN_FAILED alike for unknown users and wrong passwords;
 * STATUS_USER_LOCKED. */
status_code users_login(struct users *users, struct slice name, struct slice password, const struct login_proof *proof,
                        struct slice earlier_ticket, struct caller *caller, struct bytes *ticket, uint64_t *expires_ms);

/** Opens a ticket and checks that it still holds. Fast: no store access when the user is cached. `renewed` gets a new
 * ticket when the old one is past half of its life, else stays empty. STATUS_TICKET_EXPIRED, STATUS_NOT_LOGGED_IN. */
status_code users_check_ticket(struct users *users, struct slice ticket, struct caller *caller, struct bytes *renewed);

status_code users_logout(struct users *users, const struct caller *caller);

status_code users_create(struct users *users, const struct caller *caller, struct slice name, struct slice password,
                         enum role role, const uint8_t request_id[ID_LEN]);
/** The first administrator, once in a cluster's life, in the same write that makes the cluster active. recovery_key:
 * what backups are sealed under; or empty, and there are none. */
status_code users_activate(struct users *users, struct slice name, struct slice password, struct slice recovery_key);
status_code users_delete(struct users *users, const struct caller *caller, struct slice name);
status_code users_change_password(struct users *users, const struct caller *caller, struct slice name,
                                  struct slice old_password, struct slice new_password);

/** Registers the caller's public key for approvals, or (empty) removes one: user/signer.h. */
status_code users_set_signer(struct users *users, const struct caller *caller, struct slice name,
                             struct slice public_key, struct slice signature, bool second_factor);

/** Appends user records (USER_NAME, USER_ROLE, STATE_NAME, TIME_MS), encoded as a SETS value, and the next cursor. */
status_code users_list(struct users *users, struct slice cursor, uint64_t limit, struct bytes *records,
                       struct bytes *next_cursor);

/** Id of a user by name: STATUS_USER_NOT_FOUND. */
status_code users_find(struct users *users, struct slice name, uint8_t user_id[ID_LEN], enum role *role);

/** A user or revocation record changed in the store: forget what is cached of it. */
void users_forget(struct users *users, enum store_kind kind, const uint8_t id[ID_LEN]);
void users_forget_all(struct users *users);
