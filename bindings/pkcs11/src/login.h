/* Logins: whose credentials a slot uses. */
#pragma once

#include "session.h"

/* Ends the login when the last session of the slot has gone. */
void login_end_unused(struct slot *slot);

/* Results of calls with the slot's login: as result_of. When the login has ended for good, the application is logged
 * out, and may log in again; when its password is refused for the moment, it is told so and stays as it is. */
CK_RV login_result(struct session *session, hsm_status status);

#define LOGGED_IN(session, call) TRY(login_result((session), (call)))

/* Whether user and password are configured, so that C_Login needs no PIN. */
bool login_is_configured(const struct slot *slot);
