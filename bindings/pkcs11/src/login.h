/* Logins: whose credentials a slot uses. */
#pragma once

#include "slot.h"

/* Ends the login when the last session of the slot has gone. */
void login_end_unused(struct slot *slot);

/* A node said that the login has expired: the application may log in again. */
void login_expired(struct slot *slot);

/* Whether user and password are configured, so that C_Login needs no PIN. */
bool login_is_configured(const struct slot *slot);
