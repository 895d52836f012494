/* Tickets: what a login is, sealed so that any node opens it (DESIGN section 3). Holds no secret of the user. */
#pragma once

#include "user/account.h"

struct ticket {
    uint8_t user_id[ID_LEN];
    uint8_t session_id[ID_LEN];
    enum role role;
    uint64_t credential_version;
    uint64_t login_ms; /* when the password was checked */
    uint64_t issued_ms;
    uint64_t expires_ms;
};

status_code ticket_seal(struct node *node, const struct ticket *ticket, struct bytes *sealed);

/** STATUS_TICKET_EXPIRED when it does not open; expiry is the caller's to check. */
status_code ticket_open(struct node *node, struct slice sealed, struct ticket *ticket);
