/* See credentials.h. */
#include "credentials.h"

CK_RV credentials_take_user(const uint8_t *name, size_t name_len, struct credentials *credentials)
{
    CHECK(name_len > 0 && name_len <= HSM_USER_NAME_MAX && !memchr(name, '\0', name_len), CKR_PIN_INCORRECT);
    memcpy(credentials->user, name, name_len);
    credentials->user[name_len] = '\0';
    return CKR_OK;
}

static CK_RV configured_user(const struct slot *slot, struct credentials *credentials)
{
    size_t len = sizeof(credentials->user);

    CHECK(hsm_config_get(slot->config, "user", credentials->user, &len) == HSM_OK && len > 0, CKR_PIN_INCORRECT);
    return CKR_OK;
}

CK_RV credentials_user_logged_in(const struct slot *slot, struct credentials *credentials)
{
    hsm_login_info info = {.size = sizeof(info)};

    HSM(hsm_session_login_info(slot->login, &info));
    memcpy(credentials->user, info.user, sizeof(credentials->user));
    return CKR_OK;
}

CK_RV credentials_take_pin(const struct slot *slot, CK_USER_TYPE type, const uint8_t *pin, CK_ULONG pin_len,
                           struct credentials *credentials)
{
    CHECK(pin_len <= HSM_USER_NAME_MAX + 1 + HSM_PASSWORD_MAX, CKR_PIN_LEN_RANGE);
    const uint8_t *colon = memchr(pin, ':', pin_len);

    credentials->password = colon ? colon + 1 : pin;
    credentials->password_len = pin_len - (size_t)(credentials->password - pin);
    if (colon)
        return credentials_take_user(pin, (size_t)(colon - pin), credentials);
    return type == CKU_CONTEXT_SPECIFIC ? credentials_user_logged_in(slot, credentials)
                                        : configured_user(slot, credentials);
}
