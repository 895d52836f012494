/* Who may approve a token, and how many must. Nobody but node/quorum includes this. */
#pragma once

#include "quorum/quorum_token.h"
#include "user/account.h"

/** STATUS_NOT_PERMITTED that says who could: an administrator; of a key, one of its users. */
status_code quorum_check_entitled(struct node *node, const struct quorum_token *token, const struct account *account);

/** Whether an approval still counts: its user is entitled and has the key that it signed with. */
bool quorum_is_valid(struct node *node, const struct quorum_token *token, const struct approval *approval,
                     const struct account *account);

/** Approvals that count now. */
status_code quorum_count_entitled(struct node *node, const struct quorum_token *token, uint64_t *n);

/** How many must approve: the policy, or the key. For service quorum, the policy of that service alone. */
status_code quorum_needed(struct node *node, const struct quorum_token *token, uint64_t *n);
