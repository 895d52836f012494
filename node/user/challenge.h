/* The second factor: a text that the node makes and the user signs with the key that is registered for approvals. It is
 * sealed to whom and until when it is for, so that any node takes it, and none needs to remember it. */
#pragma once

#include "user/account.h"

/** `text` is what is to be signed, `state` comes back with the signature. */
status_code challenge_make(struct node *node, struct slice user_name, struct bytes *text, struct bytes *state);

/** What a login carries besides the password; both empty without a second factor. */
struct login_proof {
    struct slice state, signature;
};

/** Whether an account that wants a second factor has it. STATUS_SECOND_FACTOR_NEEDED when there is no proof;
 * STATUS_LOGIN_FAILED when it is wrong, too old or another user's. */
status_code challenge_check(struct node *node, const struct account *account, const struct login_proof *proof);
