/* Arguments that no program should give: the standard's refusals, and never a crash. */
#include "pkcs11_fixture.h"

/* --- hostile arguments --- */

static void null_pointers_are_refused(void **state)
{
    CK_BYTE buffer[64] = {0};
    CK_ULONG len = sizeof(buffer);
    CK_OBJECT_HANDLE key = aes_key_of(16), made;
    CK_MECHANISM *generate = MECHANISM(CKM_AES_KEY_GEN), *pair = MECHANISM(CKM_EC_KEY_PAIR_GEN);

    (void)state;
    RV(CKR_ARGUMENTS_BAD, p11->C_GetInfo(NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_GetSlotList(CK_TRUE, NULL, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_GetSlotInfo(0, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_GetTokenInfo(0, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_GetMechanismList(0, NULL, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_GetMechanismInfo(0, CKM_AES_GCM, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, NULL, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_GetSessionInfo(session, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_InitToken(0, NULL, 0, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_GetOperationState(session, NULL, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_CreateObject(session, NULL, 3, &made));
    RV(CKR_ARGUMENTS_BAD, p11->C_CreateObject(session, TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA)), NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_CreateObject(session, TEMPLATE({CKA_LABEL, NULL, 5}), &made));
    RV(CKR_ARGUMENTS_BAD, p11->C_CopyObject(session, key, NULL, 1, &made));
    RV(CKR_ARGUMENTS_BAD, p11->C_CopyObject(session, key, NULL, 0, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_GetObjectSize(session, key, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_GetAttributeValue(session, key, NULL, 1));
    RV(CKR_ARGUMENTS_BAD, p11->C_SetAttributeValue(session, key, NULL, 1));
    RV(CKR_ARGUMENTS_BAD, p11->C_FindObjectsInit(session, NULL, 1));
    RV(CKR_ARGUMENTS_BAD, p11->C_GenerateKey(session, NULL, NULL, 0, &made));
    RV(CKR_ARGUMENTS_BAD, p11->C_GenerateKey(session, generate, NULL, 1, &made));
    RV(CKR_ARGUMENTS_BAD, p11->C_GenerateKey(session, generate, TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16)), NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_GenerateKeyPair(session, NULL, NULL, 0, NULL, 0, &made, &made));
    RV(CKR_ARGUMENTS_BAD, p11->C_GenerateKeyPair(session, pair, NULL, 0, NULL, 0, NULL, &made));
    RV(CKR_ARGUMENTS_BAD, p11->C_GenerateKeyPair(session, pair, NULL, 0, NULL, 0, &made, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_WrapKey(session, NULL, key, key, buffer, &len));
    RV(CKR_ARGUMENTS_BAD, p11->C_WrapKey(session, MECHANISM(CKM_AES_KEY_WRAP), key, key, buffer, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_UnwrapKey(session, NULL, key, buffer, 24, NULL, 0, &made));
    RV(CKR_ARGUMENTS_BAD, p11->C_UnwrapKey(session, MECHANISM(CKM_AES_KEY_WRAP), key, NULL, 24, NULL, 0, &made));
    RV(CKR_ARGUMENTS_BAD, p11->C_UnwrapKey(session, MECHANISM(CKM_AES_KEY_WRAP), key, buffer, 24, NULL, 0, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_DeriveKey(session, NULL, key, NULL, 0, &made));
    RV(CKR_ARGUMENTS_BAD, p11->C_DeriveKey(session, MECHANISM(CKM_HKDF_DERIVE), key, NULL, 0, NULL));
    RV(CKR_ARGUMENTS_BAD, p11->C_GenerateRandom(session, NULL, 8));
    RV(CKR_ARGUMENTS_BAD, p11->C_SeedRandom(session, NULL, 8));
    RV(CKR_ARGUMENTS_BAD, p11->C_SignRecoverInit(session, NULL, key));
}

/* Each begins an operation that the call with NULL must leave the module able to go on from. */
static void null_pointers_within_operations_are_refused(void **state)
{
    CK_BYTE in[16] = {0}, out[64];
    CK_ULONG len = sizeof(out);
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_MECHANISM *ecb = MECHANISM(CKM_AES_ECB), *cmac = MECHANISM(CKM_AES_CMAC), *sha = MECHANISM(CKM_SHA256);

    (void)state;
#define AFTER(begin, call)                                                                                             \
    do {                                                                                                               \
        FINE(begin);                                                                                                   \
        RV(CKR_ARGUMENTS_BAD, call);                                                                                   \
        (void)p11->C_SessionCancel(session, (CK_FLAGS)-1);                                                             \
    } while (0)
    AFTER(p11->C_EncryptInit(session, ecb, key), p11->C_Encrypt(session, NULL, 16, out, &len));
    AFTER(p11->C_EncryptInit(session, ecb, key), p11->C_Encrypt(session, in, 16, out, NULL));
    AFTER(p11->C_EncryptInit(session, ecb, key), p11->C_EncryptUpdate(session, NULL, 16, out, &len));
    AFTER(p11->C_EncryptInit(session, ecb, key), p11->C_EncryptUpdate(session, in, 16, out, NULL));
    AFTER(p11->C_EncryptInit(session, ecb, key), p11->C_EncryptFinal(session, out, NULL));
    AFTER(p11->C_DecryptInit(session, ecb, key), p11->C_Decrypt(session, NULL, 16, out, &len));
    AFTER(p11->C_DecryptInit(session, ecb, key), p11->C_DecryptUpdate(session, in, 16, out, NULL));
    AFTER(p11->C_DecryptInit(session, ecb, key), p11->C_DecryptFinal(session, out, NULL));
    AFTER(p11->C_DigestInit(session, sha), p11->C_Digest(session, NULL, 16, out, &len));
    AFTER(p11->C_DigestInit(session, sha), p11->C_Digest(session, in, 16, out, NULL));
    AFTER(p11->C_DigestInit(session, sha), p11->C_DigestUpdate(session, NULL, 16));
    AFTER(p11->C_DigestInit(session, sha), p11->C_DigestFinal(session, out, NULL));
    AFTER(p11->C_SignInit(session, cmac, key), p11->C_Sign(session, NULL, 16, out, &len));
    AFTER(p11->C_SignInit(session, cmac, key), p11->C_Sign(session, in, 16, out, NULL));
    AFTER(p11->C_SignInit(session, cmac, key), p11->C_SignUpdate(session, NULL, 16));
    AFTER(p11->C_SignInit(session, cmac, key), p11->C_SignFinal(session, out, NULL));
    AFTER(p11->C_VerifyInit(session, cmac, key), p11->C_Verify(session, in, 16, NULL, 16));
    AFTER(p11->C_VerifyInit(session, cmac, key), p11->C_Verify(session, NULL, 16, in, 16));
    AFTER(p11->C_VerifyInit(session, cmac, key), p11->C_VerifyUpdate(session, NULL, 16));
    AFTER(p11->C_VerifyInit(session, cmac, key), p11->C_VerifyFinal(session, NULL, 16));
    AFTER(p11->C_FindObjectsInit(session, NULL, 0), p11->C_FindObjects(session, NULL, 16, &len));
    AFTER(p11->C_FindObjectsInit(session, NULL, 0), p11->C_FindObjects(session, (CK_OBJECT_HANDLE *)out, 1, NULL));
#undef AFTER
}

static void absurd_lengths_are_refused(void **state)
{
    CK_BYTE in[16] = {0}, out[64];
    CK_ULONG len = sizeof(out), huge[] = {(CK_ULONG)-1, (CK_ULONG)1 << 63};
    CK_OBJECT_HANDLE key = aes_key_of(16), made;

    (void)state;
    for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
        FINE(p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key));
        REFUSED(p11->C_Encrypt(session, in, huge[i], out, &len));
        (void)p11->C_SessionCancel(session, (CK_FLAGS)-1);
        FINE(p11->C_SignInit(session, MECHANISM(CKM_AES_CMAC), key));
        REFUSED(p11->C_Sign(session, in, huge[i], out, &len));
        (void)p11->C_SessionCancel(session, (CK_FLAGS)-1);
        REFUSED(p11->C_CreateObject(session, TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA), A_BYTES(CKA_LABEL, in, huge[i])),
                                    &made));
        REFUSED(p11->C_UnwrapKey(session, MECHANISM(CKM_AES_KEY_WRAP), key, in, huge[i],
                                 TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES)),
                                 &made));
        REFUSED(p11->C_EncryptInit(session, MECHANISM_OF(CKM_AES_CBC, in, huge[i]), key));
        RV(CKR_ARGUMENTS_BAD, p11->C_GenerateRandom(session, in, huge[i]));
        FINE(p11->C_VerifyInit(session, MECHANISM(CKM_AES_CMAC), key));
        RV(CKR_ARGUMENTS_BAD, p11->C_Verify(session, in, huge[i], out, 16));
        FINE(p11->C_VerifyInit(session, MECHANISM(CKM_AES_CMAC), key));
        RV(CKR_ARGUMENTS_BAD, p11->C_Verify(session, in, 16, out, huge[i]));
        FINE(p11->C_VerifyInit(session, MECHANISM(CKM_AES_CMAC), key));
        RV(CKR_ARGUMENTS_BAD, p11->C_VerifyFinal(session, out, huge[i]));
    }
}

/* What lies behind a count that no template can have is not looked at. */
static void absurd_counts_of_attributes_are_refused(void **state)
{
    static const CK_ULONG ABSURD[] = {(CK_ULONG)-1, (CK_ULONG)1 << 63, 1 << 20};
    CK_ATTRIBUTE label = {CKA_LABEL, "label", 5};
    CK_OBJECT_HANDLE key = aes_key_of(16), made;
    CK_MECHANISM *generate = MECHANISM(CKM_AES_KEY_GEN), *pair = MECHANISM(CKM_EC_KEY_PAIR_GEN);

    (void)state;
    for (size_t i = 0; i < sizeof(ABSURD) / sizeof(ABSURD[0]); i++) {
        CK_ULONG n = ABSURD[i];

        RV(CKR_ARGUMENTS_BAD, p11->C_CreateObject(session, &label, n, &made));
        RV(CKR_ARGUMENTS_BAD, p11->C_CopyObject(session, key, &label, n, &made));
        RV(CKR_ARGUMENTS_BAD, p11->C_SetAttributeValue(session, key, &label, n));
        RV(CKR_ARGUMENTS_BAD, p11->C_FindObjectsInit(session, &label, n));
        RV(CKR_ARGUMENTS_BAD, p11->C_GenerateKey(session, generate, &label, n, &made));
        RV(CKR_ARGUMENTS_BAD, p11->C_GenerateKeyPair(session, pair, NULL, 0, &label, n, &made, &made));
        RV(CKR_ARGUMENTS_BAD, p11->C_DeriveKey(session,
                                               MECHANISM_OF(CKM_XOR_BASE_AND_DATA,
                                                            (&(CK_KEY_DERIVATION_STRING_DATA){(CK_BYTE *)"data", 4}),
                                                            sizeof(CK_KEY_DERIVATION_STRING_DATA)),
                                               key, &label, n, &made));
        RV(CKR_ARGUMENTS_BAD,
           p11->C_UnwrapKey(session, MECHANISM(CKM_AES_KEY_WRAP), key, (CK_BYTE *)"wrapped", 7, &label, n, &made));
    }
    RV(CKR_ARGUMENTS_BAD, p11->C_GetAttributeValue(session, key, &label, ABSURD[0]));
    RV(CKR_ARGUMENTS_BAD, p11->C_GetAttributeValue(session, key, &label, ABSURD[1]));
}

static void absurd_handles_are_refused(void **state)
{
    /* The highest bit alone begins the handles of the objects that stand for mechanisms. */
    static const CK_ULONG absurd[] = {0, NO_HANDLE, (CK_ULONG)-1, (CK_ULONG)1 << 62, 0x100000000UL, 0xfffff};
    CK_BYTE in[16] = {0}, out[64];
    CK_ULONG len = sizeof(out);
    CK_OBJECT_HANDLE key = aes_key_of(16), made;
    CK_SESSION_INFO info;

    (void)state;
    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        CK_ULONG handle = absurd[i];

        RV(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(handle, &info));
        RV(CKR_SESSION_HANDLE_INVALID, p11->C_CloseSession(handle));
        RV(CKR_SESSION_HANDLE_INVALID, p11->C_Login(handle, CKU_USER, TEXT(USER_PIN)));
        RV(CKR_SESSION_HANDLE_INVALID, p11->C_EncryptInit(handle, MECHANISM(CKM_AES_ECB), key));
        RV(CKR_SESSION_HANDLE_INVALID, p11->C_Sign(handle, in, 16, out, &len));
        RV(CKR_SESSION_HANDLE_INVALID, p11->C_FindObjectsFinal(handle));
        RV(CKR_SESSION_HANDLE_INVALID, p11->C_SessionCancel(handle, 0));
        RV(CKR_OBJECT_HANDLE_INVALID, look_at(session, handle));
        RV(CKR_OBJECT_HANDLE_INVALID, p11->C_DestroyObject(session, handle));
        RV(CKR_OBJECT_HANDLE_INVALID, p11->C_CopyObject(session, handle, NULL, 0, &made));
        RV(CKR_OBJECT_HANDLE_INVALID, p11->C_GetObjectSize(session, handle, &len));
        RV(CKR_OBJECT_HANDLE_INVALID, p11->C_SetAttributeValue(session, handle, TEMPLATE(A_TEXT(CKA_LABEL, "x"))));
        RV(CKR_KEY_HANDLE_INVALID, p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), handle));
        RV(CKR_KEY_HANDLE_INVALID, p11->C_SignInit(session, MECHANISM(CKM_AES_CMAC), handle));
        RV(CKR_KEY_HANDLE_INVALID, p11->C_WrapKey(session, MECHANISM(CKM_AES_KEY_WRAP), key, handle, out, &len));
        RV(CKR_WRAPPING_KEY_HANDLE_INVALID,
           p11->C_WrapKey(session, MECHANISM(CKM_AES_KEY_WRAP), handle, key, out, &len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(null_pointers_are_refused),  user_test(null_pointers_within_operations_are_refused),
        user_test(absurd_lengths_are_refused), user_test(absurd_counts_of_attributes_are_refused),
        user_test(absurd_handles_are_refused),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
