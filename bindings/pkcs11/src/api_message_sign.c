/* Message-based signing (PKCS#11 3.0, 5.14): no mechanism of the cluster has parameters that change from message to
 * message, so none is offered for it (C_GetMechanismInfo shows CKF_MESSAGE_SIGN for none), and no such operation is
 * ever active. C_SessionCancel stands here, too. */
#include "find.h"
#include "operation.h"

static CK_RV refuse(CK_SESSION_HANDLE handle, const CK_MECHANISM *mechanism)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(handle, &session));
    CHECK(mechanism, CKR_ARGUMENTS_BAD);
    return CKR_MECHANISM_INVALID;
}

static CK_RV not_begun(CK_SESSION_HANDLE handle)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(handle, &session));
    return CKR_OPERATION_NOT_INITIALIZED;
}

CK_RV C_MessageSignInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey)
{
    (void)hKey;
    return refuse(hSession, pMechanism);
}

CK_RV C_SignMessage(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen, CK_BYTE_PTR pData,
                    CK_ULONG ulDataLen, CK_BYTE_PTR pSignature, CK_ULONG_PTR pulSignatureLen)
{
    (void)pParameter, (void)ulParameterLen, (void)pData, (void)ulDataLen, (void)pSignature, (void)pulSignatureLen;
    return not_begun(hSession);
}

CK_RV C_SignMessageBegin(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen)
{
    (void)pParameter, (void)ulParameterLen;
    return not_begun(hSession);
}

CK_RV C_SignMessageNext(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen, CK_BYTE_PTR pData,
                        CK_ULONG ulDataLen, CK_BYTE_PTR pSignature, CK_ULONG_PTR pulSignatureLen)
{
    (void)pParameter, (void)ulParameterLen, (void)pData, (void)ulDataLen, (void)pSignature, (void)pulSignatureLen;
    return not_begun(hSession);
}

CK_RV C_MessageSignFinal(CK_SESSION_HANDLE hSession)
{
    return not_begun(hSession);
}

CK_RV C_MessageVerifyInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey)
{
    (void)hKey;
    return refuse(hSession, pMechanism);
}

CK_RV C_VerifyMessage(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen, CK_BYTE_PTR pData,
                      CK_ULONG ulDataLen, CK_BYTE_PTR pSignature, CK_ULONG ulSignatureLen)
{
    (void)pParameter, (void)ulParameterLen, (void)pData, (void)ulDataLen, (void)pSignature, (void)ulSignatureLen;
    return not_begun(hSession);
}

CK_RV C_VerifyMessageBegin(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen)
{
    (void)pParameter, (void)ulParameterLen;
    return not_begun(hSession);
}

CK_RV C_VerifyMessageNext(CK_SESSION_HANDLE hSession, CK_VOID_PTR pParameter, CK_ULONG ulParameterLen,
                          CK_BYTE_PTR pData, CK_ULONG ulDataLen, CK_BYTE_PTR pSignature, CK_ULONG ulSignatureLen)
{
    (void)pParameter, (void)ulParameterLen, (void)pData, (void)ulDataLen, (void)pSignature, (void)ulSignatureLen;
    return not_begun(hSession);
}

CK_RV C_MessageVerifyFinal(CK_SESSION_HANDLE hSession)
{
    return not_begun(hSession);
}

/* Ends what the flags name; what is not active is no error (PKCS#11 3.0, 5.6.7). */
CK_RV C_SessionCancel(CK_SESSION_HANDLE hSession, CK_FLAGS flags)
{
    static const CK_FLAGS FLAGS[OPERATION_KINDS] = {
        [OPERATION_ENCRYPT] = CKF_ENCRYPT,
        [OPERATION_DECRYPT] = CKF_DECRYPT,
        [OPERATION_DIGEST] = CKF_DIGEST,
        [OPERATION_SIGN] = CKF_SIGN,
        [OPERATION_VERIFY] = CKF_VERIFY,
        [OPERATION_SIGN_RECOVER] = CKF_SIGN_RECOVER,
        [OPERATION_VERIFY_RECOVER] = CKF_VERIFY_RECOVER,
        [OPERATION_MESSAGE_ENCRYPT] = CKF_MESSAGE_ENCRYPT,
        [OPERATION_MESSAGE_DECRYPT] = CKF_MESSAGE_DECRYPT,
    };
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    for (int i = 0; i < OPERATION_KINDS; i++)
        if (flags & FLAGS[i])
            operation_end(&session->operations[i]);
    if (flags & CKF_FIND_OBJECTS)
        find_end(session);
    return CKR_OK;
}
