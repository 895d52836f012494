/* Who calls, and what that caller may do: tickets, roles, and the state of the node. Called by the dispatcher alone. */
#pragma once

#include "operation/call.h"
#include "server/dispatch.h"

/** How a message's ticket fared: found out once a message, held against each of its requests. */
struct login {
    status_code status;
    char detail[FAILURE_DETAIL_MAX]; /* why, unless STATUS_OK */
};

/** Fills in `caller` from the header's ticket. An unchanged one is opened again only after a change in the store or
 * 100 ms. `renewed` gets a new ticket when it is time for one. */
void access_identify(struct node *node, struct peer *peer, const struct values *header, uint64_t now_ns,
                     struct caller *caller, struct bytes *renewed, struct login *login);

/** Whether the caller may have this operation carried out, in a message whose turn came at `start_ns`. */
status_code access_check(const struct call *call, const struct operation_info *info, const struct login *login,
                         uint64_t start_ns);
