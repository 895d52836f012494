/* Encrypting and decrypting. */
#include "operation.h"

#include <stdlib.h>

/* CKM_CLOUDHSM_AES_GCM carries the nonce in front of the ciphertext. */
static bool carries_nonce(const struct operation *operation)
{
    return operation->mechanism.row->output == OUTPUT_NONCE_TAGGED;
}

static hsm_status encrypt_with_nonce(hsm_session *login, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                                     size_t data_len, uint8_t *out, size_t *out_len)
{
    size_t room = *out_len - HSM_NONCE_MADE_LEN; /* operation_once has seen to it that there is enough */
    hsm_status status = hsm_encrypt(login, key, mechanism, data, data_len, out + HSM_NONCE_MADE_LEN, &room);

    if (status != HSM_OK)
        return status;
    memcpy(out, mechanism->nonce_out, HSM_NONCE_MADE_LEN);
    *out_len = HSM_NONCE_MADE_LEN + room;
    return HSM_OK;
}

static hsm_status decrypt_with_nonce(hsm_session *login, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                                     size_t data_len, uint8_t *out, size_t *out_len)
{
    hsm_mechanism its = *mechanism;

    if (data_len < HSM_NONCE_MADE_LEN)
        return HSM_DATA_LENGTH;
    its.nonce = data;
    its.nonce_len = HSM_NONCE_MADE_LEN;
    return hsm_decrypt(login, key, &its, (const uint8_t *)data + HSM_NONCE_MADE_LEN, data_len - HSM_NONCE_MADE_LEN, out,
                       out_len);
}

CK_RV C_EncryptInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_begin(session, OPERATION_ENCRYPT, pMechanism, hKey, CKF_ENCRYPT);
}

CK_RV C_Encrypt(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pData, CK_ULONG ulDataLen, CK_BYTE_PTR pEncryptedData,
                CK_ULONG_PTR pulEncryptedDataLen)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct operation *operation;

    TRY(session_enter(hSession, &session));
    TRY(operation_active(session, OPERATION_ENCRYPT, &operation));
    return operation_once(session, OPERATION_ENCRYPT, carries_nonce(operation) ? encrypt_with_nonce : hsm_encrypt,
                          pData, ulDataLen, pEncryptedData, pulEncryptedDataLen);
}

CK_RV C_EncryptUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart, CK_ULONG ulPartLen, CK_BYTE_PTR pEncryptedPart,
                      CK_ULONG_PTR pulEncryptedPartLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_update(session, OPERATION_ENCRYPT, pPart, ulPartLen, pEncryptedPart, pulEncryptedPartLen);
}

CK_RV C_EncryptFinal(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pLastEncryptedPart, CK_ULONG_PTR pulLastEncryptedPartLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_final(session, OPERATION_ENCRYPT, pLastEncryptedPart, pulLastEncryptedPartLen);
}

CK_RV C_DecryptInit(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_begin(session, OPERATION_DECRYPT, pMechanism, hKey, CKF_DECRYPT);
}

CK_RV C_Decrypt(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pEncryptedData, CK_ULONG ulEncryptedDataLen, CK_BYTE_PTR pData,
                CK_ULONG_PTR pulDataLen)
{
    CLEANUP(session_leave) struct session *session = NULL;
    struct operation *operation;

    TRY(session_enter(hSession, &session));
    TRY(operation_active(session, OPERATION_DECRYPT, &operation));
    return operation_once(session, OPERATION_DECRYPT, carries_nonce(operation) ? decrypt_with_nonce : hsm_decrypt,
                          pEncryptedData, ulEncryptedDataLen, pData, pulDataLen);
}

CK_RV C_DecryptUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pEncryptedPart, CK_ULONG ulEncryptedPartLen,
                      CK_BYTE_PTR pPart, CK_ULONG_PTR pulPartLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_update(session, OPERATION_DECRYPT, pEncryptedPart, ulEncryptedPartLen, pPart, pulPartLen);
}

CK_RV C_DecryptFinal(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pLastPart, CK_ULONG_PTR pulLastPartLen)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(hSession, &session));
    return operation_final(session, OPERATION_DECRYPT, pLastPart, pulLastPartLen);
}
