/* What a PIN is: "user:password", as programs for AWS CloudHSM write it, or the password alone of the user that the
 * configuration names, or nothing when the configuration has the password, too. */
#pragma once

#include "slot.h"

struct credentials {
    char user[HSM_USER_NAME_MAX + 1];
    const uint8_t *password; /* within the caller's PIN */
    size_t password_len;
};

/* CKR_PIN_INCORRECT when it is no name. */
CK_RV credentials_take_user(const uint8_t *name, size_t name_len, struct credentials *credentials);

/* `type`: of C_Login; a password alone is, for one use of a key, that of whoever is logged in. CKR_PIN_LEN_RANGE,
 * CKR_PIN_INCORRECT. */
CK_RV credentials_take_pin(const struct slot *slot, CK_USER_TYPE type, const uint8_t *pin, CK_ULONG pin_len,
                           struct credentials *credentials);

/* The name of whoever is logged in; the password is left alone. */
CK_RV credentials_user_logged_in(const struct slot *slot, struct credentials *credentials);
