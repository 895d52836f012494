/* See api_kept_login.h. */
#include "api_kept_login.h"

#include <stdlib.h>
#include <string.h>
#include "protocol/failure.h"
#include "protocol/secret.h"

status_code kept_login_new(const char *user, struct slice password, struct kept_login **kept)
{
    CHECK(strlen(user) <= USER_NAME_MAX && password.len <= PASSWORD_MAX, STATUS_INVALID_ARGUMENT,
          "the user's name or the password is too long");
    struct kept_login *made = (struct kept_login *)calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a login");
    memcpy(made->user, user, strlen(user) + 1);
    made->password_len = password.len;
    if (password.len)
        memcpy(made->password, password.data, password.len);
    *kept = made;
    return STATUS_OK;
}

void kept_login_free(struct kept_login *kept)
{
    if (kept)
        secret_wipe(kept, sizeof(*kept));
    free(kept);
}
