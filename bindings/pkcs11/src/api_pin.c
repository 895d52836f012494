/* C_InitPIN and C_SetPIN: users and their passwords; C_InitToken. */
#include <unistd.h>
#include "credentials.h"
#include "login.h"

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
    TRY(credentials_take_pin(session->slot, CKU_USER, pPin, ulPinLen, &credentials));
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
    TRY(credentials_take_pin(session->slot, CKU_USER, pOldPin, ulOldLen, &before));
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
