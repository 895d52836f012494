/* A user and a password that are kept in this process, to log in with later. Never changes: where there is another, it
 * is replaced as a whole (api_lock.h). */
#pragma once

#include "protocol/bytes.h"
#include "protocol/limits.h"

struct kept_login {
    char user[USER_NAME_MAX + 1];
    uint8_t password[PASSWORD_MAX];
    size_t password_len;
};

/** STATUS_INVALID_ARGUMENT: too long; STATUS_OUT_OF_MEMORY. */
status_code kept_login_new(const char *user, struct slice password, struct kept_login **kept);

/** Wipes it; harmless on NULL. */
void kept_login_free(struct kept_login *kept);
