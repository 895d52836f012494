/* Two operations over the same data at once (PKCS#11 2.40, 5.12): each part goes through one and then the other. */
#include "operation.h"

static CK_RV both_active(struct session *session, enum operation_kind first, enum operation_kind second)
{
    struct operation *operation;

    TRY(operation_active(session, first, &operation));
    return operation_active(session, second, &operation);
}

/* Plaintext goes to the digest or signature, once the cipher has taken it. */
static CK_RV encrypt_and(CK_SESSION_HANDLE handle, enum operation_kind other, const CK_BYTE *part, CK_ULONG part_len,
                         CK_BYTE *out, CK_ULONG *out_len)
{
    CLEANUP(session_leave) struct session *session = NULL;
    CLEANUP(input_copy_release) struct input_copy copy = {NULL, 0};

    TRY(session_enter(handle, &session));
    TRY(both_active(session, OPERATION_ENCRYPT, other));
    if (part && out_len && part_len <= SIZE_MAX / 2)
        TRY(input_apart(&part, part_len, out, *out_len, &copy));
    TRY(operation_update(session, OPERATION_ENCRYPT, part, part_len, out, out_len));
    return out ? operation_update(session, other, part, part_len, NULL, NULL) : CKR_OK;
}

static CK_RV decrypt_and(CK_SESSION_HANDLE handle, enum operation_kind other, const CK_BYTE *part, CK_ULONG part_len,
                         CK_BYTE *out, CK_ULONG *out_len)
{
    CLEANUP(session_leave) struct session *session = NULL;

    TRY(session_enter(handle, &session));
    TRY(both_active(session, OPERATION_DECRYPT, other));
    TRY(operation_update(session, OPERATION_DECRYPT, part, part_len, out, out_len));
    return out ? operation_update(session, other, out, *out_len, NULL, NULL) : CKR_OK;
}

CK_RV C_DigestEncryptUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart, CK_ULONG ulPartLen,
                            CK_BYTE_PTR pEncryptedPart, CK_ULONG_PTR pulEncryptedPartLen)
{
    return encrypt_and(hSession, OPERATION_DIGEST, pPart, ulPartLen, pEncryptedPart, pulEncryptedPartLen);
}

CK_RV C_SignEncryptUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pPart, CK_ULONG ulPartLen, CK_BYTE_PTR pEncryptedPart,
                          CK_ULONG_PTR pulEncryptedPartLen)
{
    return encrypt_and(hSession, OPERATION_SIGN, pPart, ulPartLen, pEncryptedPart, pulEncryptedPartLen);
}

CK_RV C_DecryptDigestUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pEncryptedPart, CK_ULONG ulEncryptedPartLen,
                            CK_BYTE_PTR pPart, CK_ULONG_PTR pulPartLen)
{
    return decrypt_and(hSession, OPERATION_DIGEST, pEncryptedPart, ulEncryptedPartLen, pPart, pulPartLen);
}

CK_RV C_DecryptVerifyUpdate(CK_SESSION_HANDLE hSession, CK_BYTE_PTR pEncryptedPart, CK_ULONG ulEncryptedPartLen,
                            CK_BYTE_PTR pPart, CK_ULONG_PTR pulPartLen)
{
    return decrypt_and(hSession, OPERATION_VERIFY, pEncryptedPart, ulEncryptedPartLen, pPart, pulPartLen);
}
