/* Signing and verifying. */
#include "operation.h"

/* CKM_RSA_PKCS_PSS and CKM_ECDSA take a digest; the rows that name a hash take the message. */
static bool takes_digest(const struct mechanism *mechanism)
{
    return mechanism->row->hash == HSM_HASH_NONE && mechanism->hsm.type == HSM_MECHANISM_RSA_PKCS_PSS;
}

CK_RV C_SignInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_begin(session, OPERATION_SIGN, pMechanism, hKey, CKF_SIGN);
}

CK_RV C_Sign(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pData, CK_ULONG ulDataLen, CK_BYTE_PTR pSignature,
             CK_ULONG_PTR pulSignatureLen)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct operation *operation;

    TRY(session_enter(hSession, &session));
    TRY(operation_active(session, OPERATION_SIGN, &operation));
    single_part call = takes_digest(&operation->mechanism) ? (single_part)hsm_sign_digest : hsm_sign;

    return operation_once(session, OPERATION_SIGN, call, pData, ulDataLen, pSignature, pulSignatureLen);
}

CK_RV C_SignUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart, CK_ULONG ulPartLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_update(session, OPERATION_SIGN, pPart, ulPartLen, NULL, NULL);
}

CK_RV C_SignFinal(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pSignature, CK_ULONG_PTR pulSignatureLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_final(session, OPERATION_SIGN, pSignature, pulSignatureLen);
}

/* --- verifying --- */

CK_RV C_VerifyInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_begin(session, OPERATION_VERIFY, pMechanism, hKey, CKF_VERIFY);
}

static CK_RV check_signature_len(struct session *session, struct operation *operation, CK_ULONG len)
{
    size_t expected;
    bool exact;

    TRY(operation_output(session, operation, false, 0, &expected, &exact));
    return !exact || len == expected ? CKR_OK : CKR_SIGNATURE_LEN_RANGE;
}

static CK_RV verify(struct session *session, struct operation *operation, const CK_BYTE *data, CK_ULONG data_len,
                    const CK_BYTE *signature, CK_ULONG signature_len)
{
    const hsm_mechanism *mechanism = &operation->mechanism.hsm;
    hsm_session *login;
    hsm_key key = operation->key.key;

    TRY(operation_login(session, operation, &login));
    CHECK((data || !data_len) && signature && data_len <= SIZE_MAX / 2 && signature_len <= SIZE_MAX / 2,
          CKR_ARGUMENTS_BAD);
    TRY(check_signature_len(session, operation, signature_len));
    return operation_result(session, OPERATION_VERIFY,
                            takes_digest(&operation->mechanism)
                                ? hsm_verify_digest(login, key, mechanism, data, data_len, signature, signature_len)
                                : hsm_verify(login, key, mechanism, data, data_len, signature, signature_len));
}

CK_RV C_Verify(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pData, CK_ULONG ulDataLen, CK_BYTE_PTR pSignature,
               CK_ULONG ulSignatureLen)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct operation *operation;

    TRY(session_enter(hSession, &session));
    TRY(operation_active(session, OPERATION_VERIFY, &operation));
    CHECK(!operation->in_parts, CKR_OPERATION_ACTIVE);
    CK_RV result = verify(session, operation, pData, ulDataLen, pSignature, ulSignatureLen);

    operation_end(operation);
    return result;
}

CK_RV C_VerifyUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart, CK_ULONG ulPartLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_update(session, OPERATION_VERIFY, pPart, ulPartLen, NULL, NULL);
}

static CK_RV verify_final(struct session *session, struct operation *operation, const CK_BYTE *signature,
                          CK_ULONG signature_len)
{
    TRY(operation_goes_on(session, operation));
    CHECK(signature && signature_len <= SIZE_MAX / 2, CKR_ARGUMENTS_BAD);
    TRY(check_signature_len(session, operation, signature_len));
    if (!operation->parts) /* of an empty message */
        TRY(operation_update(session, OPERATION_VERIFY, NULL, 0, NULL, NULL));
    return operation_result(session, OPERATION_VERIFY,
                            hsm_operation_final_verify(operation->parts, signature, signature_len));
}

CK_RV C_VerifyFinal(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pSignature, CK_ULONG ulSignatureLen)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct operation *operation;

    TRY(session_enter(hSession, &session));
    TRY(operation_active(session, OPERATION_VERIFY, &operation));
    CK_RV result = verify_final(session, operation, pSignature, ulSignatureLen);

    operation_end(operation);
    return result;
}
