/* Opening and closing sessions, and what they say of themselves. */
#include <unistd.h>
#include "login.h"
#include "session.h"

CK_RV C_OpenSession(CK_SLOT_ID slotID, CK_FLAGS flags, CK_VOID_PTR pApplication, CK_NOTIFY Notify,
                    CK_SESSION_HANDLE_PTR phSession)
{
    CLEANUP(slot_leave) struct slot *slot = NULL;

    TRY(slot_enter(slotID, &slot));
    CHECK(phSession, CKR_ARGUMENTS_BAD);
    CHECK(flags & CKF_SERIAL_SESSION, CKR_SESSION_PARALLEL_NOT_SUPPORTED);
    return session_open(slot, flags & (CKF_SERIAL_SESSION | CKF_RW_SESSION), pApplication, Notify, phSession);
}

CK_RV C_CloseSession(CK_SESSION_HANDLE hSession)
{
    TRY(module_check());
    return session_close(hSession);
}

CK_RV C_CloseAllSessions(CK_SLOT_ID slotID)
{
    CLEANUP(slot_leave) struct slot *slot = NULL;

    TRY(slot_enter(slotID, &slot));
    module_lock();
    struct session *idle = sessions_take(slot);

    module_unlock();
    sessions_free(idle);
    login_end_unused(slot);
    return CKR_OK;
}

static CK_STATE state_of(enum login_state login, bool read_write)
{
    switch (login) {
    case LOGIN_USER:
        return read_write ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
    case LOGIN_OFFICER:
        return CKS_RW_SO_FUNCTIONS;
    case LOGIN_NONE:
        break;
    }
    return read_write ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
}

CK_RV C_GetSessionInfo(CK_SESSION_HANDLE hSession, CK_SESSION_INFO_PTR pInfo)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    CHECK(pInfo, CKR_ARGUMENTS_BAD);
    module_lock();
    enum login_state login = session->slot->state;

    module_unlock();
    *pInfo = (CK_SESSION_INFO){.slotID = session->slot->id,
                               .state = state_of(login, session->flags & CKF_RW_SESSION),
                               .flags = session->flags};
    return CKR_OK;
}

/* Hashes that are under way lie in contexts of OpenSSL, which neither give nor take their state; what nodes do in parts
 * is sealed for the login. The standard lets a token say so (PKCS#11 2.40, 5.6.5). */
CK_RV C_GetOperationState(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pOperationState, CK_ULONG_PTR pulOperationStateLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    (void)pOperationState;
    TRY(session_enter(hSession, &session));
    CHECK(pulOperationStateLen, CKR_ARGUMENTS_BAD);
    for (int i = 0; i < OPERATION_KINDS; i++)
        CHECK(!session->operations[i].active, CKR_STATE_UNSAVEABLE);
    return CKR_OPERATION_NOT_INITIALIZED;
}

CK_RV C_SetOperationState(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pOperationState, CK_ULONG ulOperationStateLen,
                          CK_OBJECT_HANDLE hEncryptionKey, CK_OBJECT_HANDLE hAuthenticationKey)
{
    CLEANUP(session_leave) struct session *session = NULL;

    (void)ulOperationStateLen;
    (void)hEncryptionKey;
    (void)hAuthenticationKey;
    TRY(session_enter(hSession, &session));
    CHECK(pOperationState, CKR_ARGUMENTS_BAD);
    return CKR_SAVED_STATE_INVALID; /* none was ever given out */
}

/* Legacy functions, which no token runs in parallel any more (PKCS#11 2.40, 5.16). */
CK_RV C_GetFunctionStatus(CK_SESSION_HANDLE hSession)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return CKR_FUNCTION_NOT_PARALLEL;
}

CK_RV C_CancelFunction(CK_SESSION_HANDLE hSession)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return CKR_FUNCTION_NOT_PARALLEL;
}
