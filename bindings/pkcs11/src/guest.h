/* What programs see before they log in: NSS, GnuTLS and servers look for certificates and public keys then, but nodes
 * show objects to users alone. Where the configuration has a user and its password, so that no PIN is needed anyway,
 * the module itself logs in as that user when something is first looked for, apart from the slot's login and hidden
 * from the application, and shows what has CKA_PRIVATE false. Public keys verify and encrypt through it; nothing is
 * made, changed or destroyed, and no secret or private key is used. */
#pragma once

#include "session.h"

/* Whether there can be a guest: user and password in the configuration or the environment. A password that comes
 * through a descriptor can be read but once, which is left to C_Login. */
bool guest_is_configured(const struct slot *slot);

/* Through which login the call looks at objects, the same until it returns: the slot's; or, when nobody is logged in,
 * the guest's. Where there is no guest it is the slot's, at which nodes refuse. Reaches the network when the guest logs
 * in; failures are those of a node that cannot be reached. */
CK_RV session_reader(struct session *session, hsm_session **reader);

/* Whether that is the guest's. */
bool session_is_guest(const struct session *session);

/* Results of calls with the guest's login, who is not the one that the application logged in. */
CK_RV guest_result(struct slot *slot, hsm_status status);

/* After fork, in the child: nobody is logging the guest in. */
void guest_after_fork(struct slot *slot);
