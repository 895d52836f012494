/* Signatures that carry their data (PKCS#11 2.40, 5.11 and 5.12): of RSA with PKCS#1 v1.5 padding, and raw where nodes
 * offer it. Signing so is what C_Sign does with these mechanisms; the way back is one request of its own. */
#include "operation.h"

CK_RV C_SignRecoverInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_begin(session, OPERATION_SIGN_RECOVER, pMechanism, hKey, CKF_SIGN_RECOVER);
}

CK_RV C_SignRecover(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pData, CK_ULONG ulDataLen, CK_BYTE_PTR pSignature,
                    CK_ULONG_PTR pulSignatureLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_once(session, OPERATION_SIGN_RECOVER, hsm_sign, pData, ulDataLen, pSignature, pulSignatureLen);
}

CK_RV C_VerifyRecoverInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_begin(session, OPERATION_VERIFY_RECOVER, pMechanism, hKey, CKF_VERIFY_RECOVER);
}

static CK_RV check_signature_len(struct session *session, CK_ULONG len)
{
    struct operation *operation;
    size_t expected;
    bool exact;

    TRY(operation_active(session, OPERATION_VERIFY_RECOVER, &operation));
    CK_RV result = operation_output(session, operation, true, 0, &expected, &exact);

    if (result == CKR_OK && len != expected)
        result = CKR_SIGNATURE_LEN_RANGE;
    return result == CKR_OK ? CKR_OK : operation_done(operation, result);
}

CK_RV C_VerifyRecover(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pSignature, CK_ULONG ulSignatureLen, CK_BYTE_PTR pData,
                      CK_ULONG_PTR pulDataLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    TRY(check_signature_len(session, ulSignatureLen));
    return operation_once(session, OPERATION_VERIFY_RECOVER, hsm_verify_recover, pSignature, ulSignatureLen, pData,
                          pulDataLen);
}
