/* C_Login and what belongs to it. All sessions of a slot are logged in, or none (PKCS#11 2.40, 6.7.4). */
#include "login.h"
#include "credentials.h"
#include "guest.h"

#include <stdlib.h>
#include <unistd.h>

bool login_is_configured(const struct slot *slot)
{
    char text[512];
    size_t len = sizeof(text);

    if (secure_getenv("HSM_PASSWORD") || secure_getenv("HSM_PASSWORD_FILE") || secure_getenv("HSM_PASSWORD_FD"))
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
    if (session_is_guest(session))
        return guest_result(session->slot, status);
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

/* The operation that was begun last, of those whose key wants the user. */
static struct operation *operation_that_waits(struct session *session)
{
    struct operation *last = NULL;

    for (int i = 0; i < OPERATION_KINDS; i++) {
        struct operation *operation = &session->operations[i];

        if (operation->active && operation->wants_user && (!last || operation->begun > last->begun))
            last = operation;
    }
    return last;
}

/* Nobody else's password opens the key: asking a node for it would only count as a guess. */
static CK_RV check_same_user(const struct slot *slot, const struct credentials *credentials)
{
    struct credentials current;

    TRY(credentials_user_logged_in(slot, &current));
    return strcmp(current.user, credentials->user) == 0 ? CKR_OK : CKR_PIN_INCORRECT;
}

static CK_RV confirm_result(struct session *session, hsm_status status)
{
    if (status == HSM_LOGIN_FAILED || status == HSM_USER_LOCKED)
        return result_of(status);
    return status == HSM_OBJECT_NOT_FOUND ? result_as(CKR_KEY_HANDLE_INVALID) : login_result(session, status);
}

/* For one use of a key (CKA_ALWAYS_AUTHENTICATE): the password is looked at again, the login stays as it is. */
static CK_RV confirm_user(struct session *session, const struct credentials *credentials)
{
    struct operation *operation = operation_that_waits(session);
    struct slot *slot = session->slot;

    TRY(session_needs_user(session));
    CHECK(operation, CKR_OPERATION_NOT_INITIALIZED);
    CHECK(!operation->user_came, CKR_USER_ALREADY_LOGGED_IN);
    if (credentials)
        TRY(check_same_user(slot, credentials));
    hsm_status status = credentials ? hsm_key_authenticate(slot->login, operation->key.key, credentials->password,
                                                           credentials->password_len)
                                    : hsm_key_authenticate_default(slot->login, operation->key.key);

    TRY(confirm_result(session, status));
    operation->user_came = true;
    return CKR_OK;
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
    TRY(credentials_take_pin(session->slot, userType, pPin, ulPinLen, &credentials));
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
    TRY(credentials_take_user(pUsername, ulUsernameLen, &credentials));
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
