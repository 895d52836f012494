/* C_Login and what belongs to it. All sessions of a slot are logged in, or none (PKCS#11 2.40, 6.7.4).
 *
 * A PIN is "user:password", as programs for AWS CloudHSM write it, or the password alone of the user that the
 * configuration names, or nothing when the configuration has the password, too. */
#include "login.h"

#include <stdlib.h>
#include <unistd.h>

struct credentials {
    char user[HSM_USER_NAME_MAX + 1];
    const uint8_t *password; /* within the caller's PIN */
    size_t password_len;
};

static CK_RV take_user(const uint8_t *name, size_t name_len, struct credentials *credentials)
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

static CK_RV take_pin(const struct slot *slot, const uint8_t *pin, CK_ULONG pin_len, struct credentials *credentials)
{
    CHECK(pin_len <= HSM_USER_NAME_MAX + 1 + HSM_PASSWORD_MAX, CKR_PIN_LEN_RANGE);
    const uint8_t *colon = memchr(pin, ':', pin_len);

    credentials->password = colon ? colon + 1 : pin;
    credentials->password_len = pin_len - (size_t)(credentials->password - pin);
    if (colon)
        return take_user(pin, (size_t)(colon - pin), credentials);
    return configured_user(slot, credentials);
}

bool login_is_configured(const struct slot *slot)
{
    char text[512];
    size_t len = sizeof(text);

    if (getenv("HSM_PASSWORD") || getenv("HSM_PASSWORD_FILE") || getenv("HSM_PASSWORD_FD"))
        return true;
    return hsm_config_get(slot->config, "password-file", text, &len) == HSM_OK && len > 0;
}

/* --- the slot's state --- */

/* Under the module's lock. */
static void leave_state(struct slot *slot)
{
    objects_of_login_end(slot);
    slot->n_logins_ended++;
    slot->state = LOGIN_NONE;
}

/* Under the module's lock. */
static CK_RV check_sessions(const struct slot *slot, enum login_state wanted)
{
    CHECK(slot->n_sessions > 0, CKR_SESSION_CLOSED);
    CHECK(wanted != LOGIN_OFFICER || slot->n_read_write == slot->n_sessions, CKR_SESSION_READ_ONLY_EXISTS);
    return CKR_OK;
}

/* Sessions may have come and gone while a node was asked. */
static CK_RV enter_state(struct slot *slot, enum login_state wanted)
{
    module_lock();
    CK_RV result = check_sessions(slot, wanted);

    if (result == CKR_OK)
        slot->state = wanted;
    module_unlock();
    return result;
}

static CK_RV may_log_in(struct slot *slot, enum login_state wanted)
{
    module_lock();
    enum login_state state = slot->state;
    CK_RV result = check_sessions(slot, wanted);

    module_unlock();
    CHECK(state != wanted, CKR_USER_ALREADY_LOGGED_IN);
    CHECK(state == LOGIN_NONE, CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
    return result;
}

/* A child of fork has its parent's login, which is not its own to end. */
static void end_login(struct slot *slot)
{
    module_lock();
    leave_state(slot);
    module_unlock();
    if (slot->login_process == getpid())
        (void)hsm_logout(slot->login); /* a node that cannot be reached lets it expire */
    (void)hsm_login_forget(slot->login);
}

void login_end_unused(struct slot *slot)
{
    pthread_mutex_lock(&slot->login_lock);
    module_lock();
    bool unused = slot->n_sessions == 0 && slot->state != LOGIN_NONE;

    module_unlock();
    if (unused)
        end_login(slot);
    pthread_mutex_unlock(&slot->login_lock);
}

/* Another thread may have logged in anew since the call began. */
static void expired(struct session *session)
{
    struct slot *slot = session->slot;

    module_lock();
    if (slot->n_logins_ended == session->n_logins_ended && slot->state != LOGIN_NONE)
        leave_state(slot);
    module_unlock();
}

CK_RV login_result(struct session *session, hsm_status status)
{
    switch (status) {
    case HSM_TICKET_EXPIRED:
        expired(session);
        return result_of(status);
    case HSM_LOGIN_FAILED: /* of a password file that is not right at the moment */
    case HSM_USER_LOCKED:
        return result_as(CKR_USER_NOT_LOGGED_IN);
    default:
        return result_of(status);
    }
}

/* --- logging in --- */

static CK_RV check_role(struct slot *slot, enum login_state wanted)
{
    hsm_login_info info = {.size = sizeof(info)};

    HSM(hsm_session_login_info(slot->login, &info));
    return info.role == (wanted == LOGIN_OFFICER ? HSM_ROLE_ADMIN : HSM_ROLE_USER) ? CKR_OK : CKR_USER_TYPE_INVALID;
}

static CK_RV log_in(struct slot *slot, const struct credentials *credentials, enum login_state wanted)
{
    if (credentials)
        HSM(hsm_login_kept(slot->login, credentials->user, credentials->password, credentials->password_len));
    else
        HSM(hsm_login_default(slot->login));
    slot->login_process = getpid();
    CK_RV result = check_role(slot, wanted);

    if (result == CKR_OK)
        result = enter_state(slot, wanted);
    if (result != CKR_OK)
        (void)hsm_logout(slot->login);
    return result;
}

static CK_RV log_in_once(struct slot *slot, const struct credentials *credentials, enum login_state wanted)
{
    pthread_mutex_lock(&slot->login_lock);
    CK_RV result = may_log_in(slot, wanted);

    if (result == CKR_OK)
        result = log_in(slot, credentials, wanted);
    pthread_mutex_unlock(&slot->login_lock);
    return result;
}

/* For one use of a key (CKA_ALWAYS_AUTHENTICATE): the password is looked at again, the login stays as it is. */
static CK_RV confirm_user(struct session *session, const struct credentials *credentials)
{
    hsm_session *other = NULL;

    TRY(session_needs_user(session));
    CHECK(session->operations[OPERATION_SIGN].active || session->operations[OPERATION_DECRYPT].active,
          CKR_OPERATION_NOT_INITIALIZED);
    HSM(hsm_session_open(session->slot->cluster, &other));
    hsm_status status = credentials
                            ? hsm_login(other, credentials->user, credentials->password, credentials->password_len)
                            : hsm_login_default(other);
    CK_RV result = result_of(status);

    if (result == CKR_OK)
        (void)hsm_logout(other);
    hsm_session_close(other);
    return result;
}

static CK_RV log_in_as(struct session *session, CK_USER_TYPE type, const struct credentials *credentials)
{
    switch (type) {
    case CKU_SO:
        return log_in_once(session->slot, credentials, LOGIN_OFFICER);
    case CKU_USER:
        return log_in_once(session->slot, credentials, LOGIN_USER);
    case CKU_CONTEXT_SPECIFIC:
        return confirm_user(session, credentials);
    default:
        return CKR_USER_TYPE_INVALID;
    }
}

CK_RV C_Login(CK_SESSION_HANDLE hSession, CK_USER_TYPE userType, CK_CHAR_PTR pPin, CK_ULONG ulPinLen)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct credentials credentials;

    TRY(session_enter(hSession, &session));
    if (!pPin || ulPinLen == 0) {
        CHECK(login_is_configured(session->slot), pPin ? CKR_PIN_INCORRECT : CKR_ARGUMENTS_BAD);
        return log_in_as(session, userType, NULL);
    }
    TRY(take_pin(session->slot, pPin, ulPinLen, &credentials));
    return log_in_as(session, userType, &credentials);
}

CK_RV C_LoginUser(CK_SESSION_HANDLE hSession, CK_USER_TYPE userType, CK_UTF8CHAR_PTR pPin, CK_ULONG ulPinLen,
                  CK_UTF8CHAR_PTR pUsername, CK_ULONG ulUsernameLen)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct credentials credentials;

    TRY(session_enter(hSession, &session));
    CHECK(pPin && pUsername, CKR_ARGUMENTS_BAD);
    CHECK(ulPinLen <= HSM_PASSWORD_MAX, CKR_PIN_LEN_RANGE);
    credentials.password = pPin;
    credentials.password_len = ulPinLen;
    TRY(take_user(pUsername, ulUsernameLen, &credentials));
    return log_in_as(session, userType, &credentials);
}

CK_RV C_Logout(CK_SESSION_HANDLE hSession)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    struct slot *slot = session->slot;

    pthread_mutex_lock(&slot->login_lock);
    bool logged_in = slot->state != LOGIN_NONE;

    if (logged_in)
        end_login(slot);
    pthread_mutex_unlock(&slot->login_lock);
    return logged_in ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
}

/* --- changing passwords --- */

/* The officer makes a user, or gives one a new password: "user:password". */
static CK_RV give_password(struct session *session, const struct credentials *credentials)
{
    struct slot *slot = session->slot;
    hsm_status status = hsm_user_create(slot->login, credentials->user, credentials->password,
                                        credentials->password_len, HSM_ROLE_USER);

    if (status == HSM_ALREADY_EXISTS)
        status = hsm_user_change_password(slot->login, credentials->user, NULL, 0, credentials->password,
                                          credentials->password_len);
    return login_result(session, status);
}

CK_RV C_InitPIN(CK_SESSION_HANDLE hSession, CK_CHAR_PTR pPin, CK_ULONG ulPinLen)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct credentials credentials;

    TRY(session_enter(hSession, &session));
    CHECK(pPin, CKR_ARGUMENTS_BAD);
    CHECK(session_login(session) == LOGIN_OFFICER, CKR_USER_NOT_LOGGED_IN);
    TRY(take_pin(session->slot, pPin, ulPinLen, &credentials));
    return give_password(session, &credentials);
}

/* Whoever knows the old password may change it, logged in or not. */
static CK_RV change_password(struct slot *slot, const struct credentials *before, const struct credentials *after)
{
    hsm_session *other = NULL;

    HSM(hsm_session_open(slot->cluster, &other));
    hsm_status status = hsm_login(other, before->user, before->password, before->password_len);

    if (status == HSM_OK)
        status = hsm_user_change_password(other, before->user, before->password, before->password_len, after->password,
                                          after->password_len);
    CK_RV result = result_of(status);

    hsm_session_close(other);
    return result;
}

/* A new password ends the user's logins everywhere: the slot's goes on with it, and keeps its session objects. */
static CK_RV renew_login(struct slot *slot, const struct credentials *changed)
{
    hsm_login_info info = {.size = sizeof(info)};

    if (hsm_session_login_info(slot->login, &info) != HSM_OK || strcmp(info.user, changed->user) != 0)
        return CKR_OK;
    HSM(hsm_login_kept(slot->login, changed->user, changed->password, changed->password_len));
    slot->login_process = getpid();
    return CKR_OK;
}

static CK_RV set_password(struct slot *slot, const struct credentials *before, const struct credentials *after)
{
    pthread_mutex_lock(&slot->login_lock);
    CK_RV result = change_password(slot, before, after);

    if (result == CKR_OK)
        result = renew_login(slot, after);
    pthread_mutex_unlock(&slot->login_lock);
    return result;
}

CK_RV C_SetPIN(CK_SESSION_HANDLE hSession, CK_CHAR_PTR pOldPin, CK_ULONG ulOldLen, CK_CHAR_PTR pNewPin,
               CK_ULONG ulNewLen)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct credentials before, after;

    TRY(session_enter(hSession, &session));
    CHECK(pOldPin && pNewPin, CKR_ARGUMENTS_BAD);
    CHECK(session->flags & CKF_RW_SESSION, CKR_SESSION_READ_ONLY);
    TRY(take_pin(session->slot, pOldPin, ulOldLen, &before));
    after = before; /* of the same user, whose name may stand in front again */
    after.password = pNewPin;
    after.password_len = ulNewLen;
    size_t name_len = strlen(before.user);

    if (ulNewLen > name_len && memcmp(pNewPin, before.user, name_len) == 0 && pNewPin[name_len] == ':') {
        after.password += name_len + 1;
        after.password_len -= name_len + 1;
    }
    CHECK(after.password_len <= HSM_PASSWORD_MAX, CKR_PIN_LEN_RANGE);
    return set_password(session->slot, &before, &after);
}

/* A token is initialized by those who run the cluster (hsm cluster initialize), never by a program that uses it: it
 * would destroy everybody's keys. */
CK_RV C_InitToken(CK_SLOT_ID slotID, CK_CHAR_PTR pPin, CK_ULONG ulPinLen, CK_CHAR_PTR pLabel)
{
    CLEANUP(slot_leave) struct slot *slot = NULL;

    (void)ulPinLen;
    TRY(slot_enter(slotID, &slot));
    CHECK(pPin && pLabel, CKR_ARGUMENTS_BAD);
    return CKR_TOKEN_WRITE_PROTECTED;
}
