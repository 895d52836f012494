/* The module as a whole, its slot, sessions and logins (PKCS#11 2.40 and 3.0, sections 5.4 to 5.6). */
#include "pkcs11_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define RO 0
#define RW CKF_RW_SESSION

static CK_OBJECT_HANDLE data_object(CK_SESSION_HANDLE in, bool token, bool secret)
{
    CK_OBJECT_HANDLE object;

    FINE(p11->C_CreateObject(in,
                             TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA), A_TEXT(CKA_LABEL, "session test"),
                                      A_BYTES(CKA_TOKEN, &(CK_BBOOL){token}, 1),
                                      A_BYTES(CKA_PRIVATE, &(CK_BBOOL){secret}, 1), A_TEXT(CKA_VALUE, "data")),
                             &object));
    return object;
}

static CK_RV look_at(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE object)
{
    CK_BBOOL token;
    CK_ATTRIBUTE wanted = {CKA_TOKEN, &token, sizeof(token)};

    return p11->C_GetAttributeValue(in, object, &wanted, 1);
}

/* --- C_Initialize, and what is there before --- */

#define EARLY(call) RV(CKR_CRYPTOKI_NOT_INITIALIZED, p11->call)

static void general_functions_before_initialize_say_so(void **state)
{
    CK_BYTE buffer[64];
    CK_ULONG len = sizeof(buffer), count = 1;
    CK_INFO info;
    CK_SLOT_INFO slot_info;
    CK_TOKEN_INFO token_info;
    CK_SESSION_INFO session_info;
    CK_MECHANISM_INFO mechanism_info;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE opened;

    (void)state;
    EARLY(C_Finalize(NULL));
    EARLY(C_GetInfo(&info));
    EARLY(C_GetSlotList(CK_TRUE, &slot, &count));
    EARLY(C_GetSlotInfo(0, &slot_info));
    EARLY(C_GetTokenInfo(0, &token_info));
    EARLY(C_GetMechanismList(0, NULL, &count));
    EARLY(C_GetMechanismInfo(0, CKM_AES_GCM, &mechanism_info));
    EARLY(C_InitToken(0, TEXT("pin"), buffer));
    EARLY(C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
    EARLY(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &opened));
    EARLY(C_CloseSession(1));
    EARLY(C_CloseAllSessions(0));
    EARLY(C_GetSessionInfo(1, &session_info));
    EARLY(C_InitPIN(1, TEXT("pin")));
    EARLY(C_SetPIN(1, TEXT("pin"), TEXT("pin")));
    EARLY(C_Login(1, CKU_USER, TEXT(USER_PIN)));
    EARLY(C_LoginUser(1, CKU_USER, TEXT(USER_PASSWORD), TEXT(USER)));
    EARLY(C_Logout(1));
    EARLY(C_GetOperationState(1, buffer, &len));
    EARLY(C_SetOperationState(1, buffer, len, 0, 0));
    EARLY(C_SessionCancel(1, CKF_SIGN));
    EARLY(C_SeedRandom(1, buffer, len));
    EARLY(C_GenerateRandom(1, buffer, len));
    EARLY(C_GetFunctionStatus(1));
    EARLY(C_CancelFunction(1));
}

static void object_functions_before_initialize_say_so(void **state)
{
    CK_BYTE buffer[64];
    CK_ULONG len = sizeof(buffer);
    CK_OBJECT_HANDLE made, other;
    CK_ATTRIBUTE wanted = {CKA_LABEL, buffer, sizeof(buffer)};
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};

    (void)state;
    EARLY(C_CreateObject(1, &wanted, 1, &made));
    EARLY(C_CopyObject(1, 1, &wanted, 1, &made));
    EARLY(C_DestroyObject(1, 1));
    EARLY(C_GetObjectSize(1, 1, &len));
    EARLY(C_GetAttributeValue(1, 1, &wanted, 1));
    EARLY(C_SetAttributeValue(1, 1, &wanted, 1));
    EARLY(C_FindObjectsInit(1, NULL, 0));
    EARLY(C_FindObjects(1, &made, 1, &len));
    EARLY(C_FindObjectsFinal(1));
    EARLY(C_GenerateKey(1, &mechanism, &wanted, 1, &made));
    EARLY(C_GenerateKeyPair(1, &mechanism, &wanted, 1, &wanted, 1, &made, &other));
    EARLY(C_WrapKey(1, &mechanism, 1, 2, buffer, &len));
    EARLY(C_UnwrapKey(1, &mechanism, 1, buffer, len, &wanted, 1, &made));
    EARLY(C_DeriveKey(1, &mechanism, 1, &wanted, 1, &made));
}

static void operations_before_initialize_say_so(void **state)
{
    CK_BYTE in[16] = {0}, out[64];
    CK_ULONG len = sizeof(out);
    CK_MECHANISM mechanism = {CKM_AES_ECB, NULL, 0};

    (void)state;
    EARLY(C_EncryptInit(1, &mechanism, 1));
    EARLY(C_Encrypt(1, in, 16, out, &len));
    EARLY(C_EncryptUpdate(1, in, 16, out, &len));
    EARLY(C_EncryptFinal(1, out, &len));
    EARLY(C_DecryptInit(1, &mechanism, 1));
    EARLY(C_Decrypt(1, in, 16, out, &len));
    EARLY(C_DecryptUpdate(1, in, 16, out, &len));
    EARLY(C_DecryptFinal(1, out, &len));
    EARLY(C_DigestInit(1, &mechanism));
    EARLY(C_Digest(1, in, 16, out, &len));
    EARLY(C_DigestUpdate(1, in, 16));
    EARLY(C_DigestKey(1, 1));
    EARLY(C_DigestFinal(1, out, &len));
    EARLY(C_SignInit(1, &mechanism, 1));
    EARLY(C_Sign(1, in, 16, out, &len));
    EARLY(C_SignUpdate(1, in, 16));
    EARLY(C_SignFinal(1, out, &len));
    EARLY(C_SignRecoverInit(1, &mechanism, 1));
    EARLY(C_SignRecover(1, in, 16, out, &len));
    EARLY(C_VerifyInit(1, &mechanism, 1));
    EARLY(C_Verify(1, in, 16, out, len));
    EARLY(C_VerifyUpdate(1, in, 16));
    EARLY(C_VerifyFinal(1, out, len));
    EARLY(C_VerifyRecoverInit(1, &mechanism, 1));
    EARLY(C_VerifyRecover(1, in, 16, out, &len));
    EARLY(C_DigestEncryptUpdate(1, in, 16, out, &len));
    EARLY(C_DecryptDigestUpdate(1, in, 16, out, &len));
    EARLY(C_SignEncryptUpdate(1, in, 16, out, &len));
    EARLY(C_DecryptVerifyUpdate(1, in, 16, out, &len));
}

static void message_functions_before_initialize_say_so(void **state)
{
    CK_BYTE in[16] = {0}, out[64];
    CK_ULONG len = sizeof(out);
    CK_MECHANISM mechanism = {CKM_AES_GCM, NULL, 0};

    (void)state;
    EARLY(C_MessageEncryptInit(1, &mechanism, 1));
    EARLY(C_EncryptMessage(1, in, 16, in, 16, in, 16, out, &len));
    EARLY(C_EncryptMessageBegin(1, in, 16, in, 16));
    EARLY(C_EncryptMessageNext(1, in, 16, in, 16, out, &len, CKF_END_OF_MESSAGE));
    EARLY(C_MessageEncryptFinal(1));
    EARLY(C_MessageDecryptInit(1, &mechanism, 1));
    EARLY(C_DecryptMessage(1, in, 16, in, 16, in, 16, out, &len));
    EARLY(C_DecryptMessageBegin(1, in, 16, in, 16));
    EARLY(C_DecryptMessageNext(1, in, 16, in, 16, out, &len, CKF_END_OF_MESSAGE));
    EARLY(C_MessageDecryptFinal(1));
    EARLY(C_MessageSignInit(1, &mechanism, 1));
    EARLY(C_SignMessage(1, in, 16, in, 16, out, &len));
    EARLY(C_SignMessageBegin(1, in, 16));
    EARLY(C_SignMessageNext(1, in, 16, in, 16, out, &len));
    EARLY(C_MessageSignFinal(1));
    EARLY(C_MessageVerifyInit(1, &mechanism, 1));
    EARLY(C_VerifyMessage(1, in, 16, in, 16, out, len));
    EARLY(C_VerifyMessageBegin(1, in, 16));
    EARLY(C_VerifyMessageNext(1, in, 16, in, 16, out, len));
    EARLY(C_MessageVerifyFinal(1));
}

static void lists_of_functions_agree_and_have_no_holes(void **state)
{
    CK_FUNCTION_LIST *older;
    void *const *ours, *const *theirs;

    (void)state;
    FINE(p11->C_GetFunctionList(&older));
    RV(CKR_ARGUMENTS_BAD, p11->C_GetFunctionList(NULL));
    assert_int_equal(older->version.major, 2);
    assert_int_equal(older->version.minor, 40);
    assert_int_equal(p11->version.major, 3);
    assert_int_equal(p11->version.minor, 0);
    assert_ptr_equal(older->C_WaitForSlotEvent, p11->C_WaitForSlotEvent);
    ours = (void *const *)&p11->C_Initialize;
    theirs = (void *const *)&older->C_Initialize;
    for (; ours <= (void *const *)&p11->C_WaitForSlotEvent; ours++, theirs++) {
        assert_non_null(*ours);
        assert_ptr_equal(*ours, *theirs);
    }
    for (; ours <= (void *const *)&p11->C_MessageVerifyFinal; ours++)
        assert_non_null(*ours);
}

static void interfaces_are_found_by_name_version_and_flags(void **state)
{
    CK_INTERFACE list[8], *found;
    CK_ULONG n = 0;
    CK_VERSION v3 = {3, 0}, v2 = {2, 40}, v9 = {9, 9};
    CK_UTF8CHAR name[] = "PKCS 11", other[] = "Vendor nobody";

    (void)state;
    FINE(p11->C_GetInterfaceList(NULL, &n));
    assert_int_equal(n, 2);
    n = 1;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_GetInterfaceList(list, &n));
    assert_int_equal(n, 2);
    n = 8;
    FINE(p11->C_GetInterfaceList(list, &n));
    assert_int_equal(n, 2);
    RV(CKR_ARGUMENTS_BAD, p11->C_GetInterfaceList(list, NULL));
    for (CK_ULONG i = 0; i < n; i++)
        assert_string_equal(list[i].pInterfaceName, "PKCS 11");
    RV(CKR_ARGUMENTS_BAD, p11->C_GetInterface(name, &v3, NULL, 0));
    FINE(p11->C_GetInterface(NULL, NULL, &found, 0));
    assert_int_equal(((CK_VERSION *)found->pFunctionList)->major, 3);
    FINE(p11->C_GetInterface(name, &v2, &found, CKF_INTERFACE_FORK_SAFE));
    assert_int_equal(((CK_VERSION *)found->pFunctionList)->major, 2);
    REFUSED(p11->C_GetInterface(name, &v9, &found, 0));
    REFUSED(p11->C_GetInterface(other, NULL, &found, 0));
    REFUSED(p11->C_GetInterface(name, &v3, &found, 0x80));
}

static CK_RV nothing(void *mutex)
{
    (void)mutex;
    return CKR_OK;
}

static CK_RV make_nothing(void **mutex)
{
    *mutex = NULL;
    return CKR_OK;
}

static void initialize_takes_all_callbacks_or_none(void **state)
{
    CK_C_INITIALIZE_ARGS all = {make_nothing, nothing, nothing, nothing, CKF_OS_LOCKING_OK, NULL, NULL};
    CK_C_INITIALIZE_ARGS none = {.flags = CKF_OS_LOCKING_OK}, empty = {0}, some = {.LockMutex = nothing};
    CK_C_INITIALIZE_ARGS three = {make_nothing, nothing, nothing, NULL, 0, NULL, NULL};
    CK_C_INITIALIZE_ARGS reserved = {.LibraryParameters = (CK_CHAR_PTR *)"x"};

    (void)state;
    RV(CKR_ARGUMENTS_BAD, p11->C_Initialize(&some));
    RV(CKR_ARGUMENTS_BAD, p11->C_Initialize(&three));
    RV(CKR_ARGUMENTS_BAD, p11->C_Initialize(&reserved));
    FINE(p11->C_Initialize(&all));
    RV(CKR_CRYPTOKI_ALREADY_INITIALIZED, p11->C_Initialize(NULL));
    FINE(p11->C_Finalize(NULL));
    FINE(p11->C_Initialize(&none));
    FINE(p11->C_Finalize(NULL));
    FINE(p11->C_Initialize(&empty));
    RV(CKR_ARGUMENTS_BAD, p11->C_Finalize(&empty));
    FINE(p11->C_Finalize(NULL));
    RV(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_Finalize(NULL));
}

static void finalize_takes_sessions_and_login_along(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        CK_SESSION_INFO info;

        FINE(p11->C_Initialize(NULL));
        CK_SESSION_HANDLE opened = open_session(RW);
        assert_int_equal(state_of(opened), CKS_RW_PUBLIC_SESSION);
        FINE(log_in(opened, CKU_USER, USER_PIN));
        (void)data_object(opened, false, true);
        FINE(p11->C_Finalize(NULL));
        RV(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_GetSessionInfo(opened, &info));
        FINE(p11->C_Initialize(NULL));
        RV(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(opened, &info));
        FINE(p11->C_Finalize(NULL));
    }
}

static void *wait_for_event(void *result)
{
    CK_SLOT_ID slot;

    *(CK_RV *)result = p11->C_WaitForSlotEvent(0, &slot, NULL);
    return NULL;
}

static void finalize_wakes_who_waits_for_a_slot(void **state)
{
    CK_RV result = CKR_OK;
    CK_SLOT_ID slot;
    pthread_t thread;

    (void)state;
    RV(CKR_NO_EVENT, p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
    pthread_create(&thread, NULL, wait_for_event, &result);
    usleep(150000);
    FINE(p11->C_Finalize(NULL));
    pthread_join(thread, NULL);
    RV(CKR_CRYPTOKI_NOT_INITIALIZED, result);
}

/* --- slots and tokens --- */

static void assert_padded(const CK_UTF8CHAR *field, size_t len, const char *text)
{
    size_t text_len = strlen(text);

    assert_null(memchr(field, '\0', len));
    assert_memory_equal(field, text, text_len);
    for (size_t i = text_len; i < len; i++)
        assert_int_equal(field[i], ' ');
}

#define PADDED(field, text) assert_padded((field), sizeof(field), (text))
#define WITHOUT_NUL(field)  assert_null(memchr((field), '\0', sizeof(field)))

static void texts_are_filled_with_blanks_and_have_no_nul(void **state)
{
    CK_INFO info;
    CK_SLOT_INFO slot;
    CK_TOKEN_INFO token;

    (void)state;
    memset(&info, 0, sizeof(info));
    FINE(p11->C_GetInfo(&info));
    WITHOUT_NUL(info.manufacturerID);
    WITHOUT_NUL(info.libraryDescription);
    assert_int_equal(info.flags, 0);
    assert_true(info.cryptokiVersion.major >= 2);
    memset(&slot, 0, sizeof(slot));
    FINE(p11->C_GetSlotInfo(0, &slot));
    WITHOUT_NUL(slot.manufacturerID);
    PADDED(slot.slotDescription, world->nodes[0].url);
    assert_true(slot.flags & CKF_TOKEN_PRESENT);
    memset(&token, 0, sizeof(token));
    FINE(p11->C_GetTokenInfo(0, &token));
    PADDED(token.label, "test");
    WITHOUT_NUL(token.manufacturerID);
    WITHOUT_NUL(token.model);
    WITHOUT_NUL(token.serialNumber);
    for (size_t i = 0; i < sizeof(token.utcTime); i++)
        assert_true(token.utcTime[i] >= '0' && token.utcTime[i] <= '9');
    assert_true(token.flags & CKF_TOKEN_INITIALIZED);
    assert_true(token.flags & CKF_LOGIN_REQUIRED);
    assert_true(token.flags & CKF_RNG);
    assert_false(token.flags & CKF_WRITE_PROTECTED);
    assert_false(token.flags & CKF_PROTECTED_AUTHENTICATION_PATH);
}

static void slot_list_is_counted_then_given(void **state)
{
    CK_SLOT_ID slots[4];
    CK_ULONG n = 77;
    CK_SLOT_INFO info;

    (void)state;
    FINE(p11->C_GetSlotList(CK_FALSE, NULL, &n));
    assert_int_equal(n, 1);
    n = 0;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_GetSlotList(CK_FALSE, slots, &n));
    assert_int_equal(n, 1);
    n = 4;
    FINE(p11->C_GetSlotList(CK_TRUE, slots, &n));
    assert_int_equal(n, 1);
    FINE(p11->C_GetSlotInfo(slots[0], &info));
    RV(CKR_SLOT_ID_INVALID, p11->C_GetSlotInfo(slots[0] + 1, &info));
    RV(CKR_SLOT_ID_INVALID, p11->C_GetSlotInfo(CK_UNAVAILABLE_INFORMATION, &info));
}

static void every_listed_mechanism_has_its_info_once(void **state)
{
    CK_MECHANISM_TYPE types[512];
    CK_ULONG n = 0;
    CK_MECHANISM_INFO info;

    (void)state;
    FINE(p11->C_GetMechanismList(0, NULL, &n));
    assert_true(n > 60 && n < 512);
    CK_ULONG fewer = n - 1;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_GetMechanismList(0, types, &fewer));
    assert_int_equal(fewer, n);
    FINE(p11->C_GetMechanismList(0, types, &n));
    for (CK_ULONG i = 0; i < n; i++) {
        FINE(p11->C_GetMechanismInfo(0, types[i], &info));
        assert_true(info.flags != 0);
        assert_true(info.ulMinKeySize <= info.ulMaxKeySize);
        for (CK_ULONG k = 0; k < i; k++)
            assert_int_not_equal(types[k], types[i]);
    }
    FINE(p11->C_GetMechanismInfo(0, CKM_AES_GCM, &info));
    assert_int_equal(info.ulMinKeySize, 16);
    assert_int_equal(info.ulMaxKeySize, 32);
    assert_int_equal(info.flags & (CKF_ENCRYPT | CKF_DECRYPT | CKF_SIGN), CKF_ENCRYPT | CKF_DECRYPT);
    FINE(p11->C_GetMechanismInfo(0, CKM_RSA_PKCS_KEY_PAIR_GEN, &info));
    assert_int_equal(info.ulMinKeySize, 2048);
    assert_true(info.flags & CKF_GENERATE_KEY_PAIR);
    RV(CKR_MECHANISM_INVALID, p11->C_GetMechanismInfo(0, CKM_MD5, &info));
    RV(CKR_MECHANISM_INVALID, p11->C_GetMechanismInfo(0, CKM_VENDOR_DEFINED | 0x7ffffff, &info));
    RV(CKR_SLOT_ID_INVALID, p11->C_GetMechanismInfo(99, CKM_AES_GCM, &info));
    RV(CKR_SLOT_ID_INVALID, p11->C_GetMechanismList(99, NULL, &n));
}

static void the_token_cannot_be_initialized_by_a_program(void **state)
{
    CK_UTF8CHAR label[32];

    (void)state;
    memset(label, ' ', sizeof(label));
    REFUSED(p11->C_InitToken(0, TEXT(ADMIN_PIN), label));
    RV(CKR_SLOT_ID_INVALID, p11->C_InitToken(9, TEXT(ADMIN_PIN), label));
}

/* --- sessions --- */

static void sessions_are_public_user_or_officer_by_the_login(void **state)
{
    CK_SESSION_HANDLE read_only, read_write;
    CK_SESSION_INFO info;

    (void)state;
    RV(CKR_SESSION_PARALLEL_NOT_SUPPORTED, p11->C_OpenSession(0, RW, NULL, NULL, &read_only));
    RV(CKR_SLOT_ID_INVALID, p11->C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &read_only));
    read_only = open_session(RO);
    read_write = open_session(RW);
    FINE(p11->C_GetSessionInfo(read_write, &info));
    assert_int_equal(info.slotID, 0);
    assert_int_equal(info.flags, CKF_SERIAL_SESSION | CKF_RW_SESSION);
    assert_int_equal(state_of(read_only), CKS_RO_PUBLIC_SESSION);
    assert_int_equal(state_of(read_write), CKS_RW_PUBLIC_SESSION);
    FINE(log_in(read_only, CKU_USER, USER_PIN));
    assert_int_equal(state_of(read_only), CKS_RO_USER_FUNCTIONS);
    assert_int_equal(state_of(read_write), CKS_RW_USER_FUNCTIONS);
    assert_int_equal(state_of(open_session(RO)), CKS_RO_USER_FUNCTIONS);
    FINE(p11->C_Logout(read_write));
    assert_int_equal(state_of(read_only), CKS_RO_PUBLIC_SESSION);
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_Logout(read_write));
    FINE(p11->C_CloseAllSessions(0));
    read_write = open_session(RW);
    FINE(log_in(read_write, CKU_SO, ADMIN_PIN));
    assert_int_equal(state_of(read_write), CKS_RW_SO_FUNCTIONS);
    RV(CKR_SESSION_READ_WRITE_SO_EXISTS, p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &read_only));
}

static void token_info_counts_sessions(void **state)
{
    CK_TOKEN_INFO token;

    (void)state;
    (void)open_session(RO);
    CK_SESSION_HANDLE read_write = open_session(RW);
    FINE(p11->C_GetTokenInfo(0, &token));
    assert_int_equal(token.ulSessionCount, 2);
    assert_int_equal(token.ulRwSessionCount, 1);
    FINE(p11->C_CloseSession(read_write));
    FINE(p11->C_GetTokenInfo(0, &token));
    assert_int_equal(token.ulSessionCount, 1);
    assert_int_equal(token.ulRwSessionCount, 0);
}

static void handles_of_closed_sessions_are_never_given_again(void **state)
{
    enum { N = 300 };
    CK_SESSION_HANDLE seen[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        seen[i] = open_session(RO);
        for (int k = 0; k < i; k++)
            assert_int_not_equal(seen[k], seen[i]);
        FINE(p11->C_CloseSession(seen[i]));
        RV(CKR_SESSION_HANDLE_INVALID, p11->C_CloseSession(seen[i]));
    }
}

static void a_thousand_sessions_are_open_at_once(void **state)
{
    enum { N = 1000 };
    static CK_SESSION_HANDLE all[N];
    CK_SESSION_INFO info;

    (void)state;
    for (int i = 0; i < N; i++)
        all[i] = open_session(i % 2 ? RW : RO);
    for (int i = 0; i < N; i++)
        assert_int_equal(state_of(all[i]), i % 2 ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION);
    FINE(p11->C_CloseAllSessions(0));
    for (int i = 0; i < N; i++)
        RV(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(all[i], &info));
}

static void closing_a_session_destroys_its_objects_and_no_others(void **state)
{
    CK_SESSION_HANDLE other = open_session(RW);

    (void)state;
    CK_OBJECT_HANDLE mine = data_object(other, false, true), token = data_object(other, true, true);
    CK_OBJECT_HANDLE theirs = data_object(session, false, true);
    FINE(look_at(session, mine)); /* seen from every session of the application */
    FINE(p11->C_CloseSession(other));
    RV(CKR_OBJECT_HANDLE_INVALID, look_at(session, mine));
    FINE(look_at(session, theirs));
    FINE(look_at(session, token));
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "session test")), NULL, 0), 2);
    FINE(p11->C_DestroyObject(session, token));
}

static void the_last_close_ends_the_login(void **state)
{
    (void)state;
    CK_SESSION_HANDLE first = open_session(RW), second = open_session(RO);
    FINE(log_in(first, CKU_USER, USER_PIN));
    FINE(p11->C_CloseSession(first));
    assert_int_equal(state_of(second), CKS_RO_USER_FUNCTIONS);
    FINE(p11->C_CloseSession(second));
    assert_int_equal(state_of(open_session(RO)), CKS_RO_PUBLIC_SESSION);
    FINE(p11->C_CloseAllSessions(0));
    first = open_session(RW);
    FINE(log_in(first, CKU_USER, USER_PIN));
    FINE(p11->C_CloseAllSessions(0));
    assert_int_equal(state_of(open_session(RO)), CKS_RO_PUBLIC_SESSION);
}

/* --- logging in --- */

static void a_pin_is_user_and_password(void **state)
{
    (void)state;
    CK_SESSION_HANDLE opened = open_session(RW);
    RV(CKR_PIN_INCORRECT, log_in(opened, CKU_USER, USER ":not the password"));
    RV(CKR_PIN_INCORRECT, log_in(opened, CKU_USER, "nobody:" USER_PASSWORD));
    RV(CKR_PIN_INCORRECT, log_in(opened, CKU_USER, ":" USER_PASSWORD));
    RV(CKR_PIN_INCORRECT, log_in(opened, CKU_USER, USER_PASSWORD)); /* of no configured user */
    RV(CKR_PIN_INCORRECT, p11->C_Login(opened, CKU_USER, TEXT("cry\0to:" USER_PASSWORD)));
    RV(CKR_PIN_INCORRECT, log_in(opened, CKU_USER, "a name that is longer than any user has:" USER_PASSWORD));
    RV(CKR_ARGUMENTS_BAD, p11->C_Login(opened, CKU_USER, NULL, 0)); /* nothing configured */
    RV(CKR_ARGUMENTS_BAD, p11->C_Login(opened, CKU_USER, NULL, 10));
    RV(CKR_PIN_LEN_RANGE, p11->C_Login(opened, CKU_USER, (CK_UTF8CHAR *)USER_PIN, 100000));
    RV(CKR_PIN_LEN_RANGE, p11->C_Login(opened, CKU_USER, (CK_UTF8CHAR *)USER_PIN, (CK_ULONG)-1));
    RV(CKR_USER_TYPE_INVALID, log_in(opened, 77, USER_PIN));
    assert_int_equal(state_of(opened), CKS_RW_PUBLIC_SESSION);
    FINE(log_in(opened, CKU_USER, USER_PIN));
}

static void login_user_takes_the_name_on_its_own(void **state)
{
    (void)state;
    CK_SESSION_HANDLE opened = open_session(RW);
    RV(CKR_PIN_INCORRECT, p11->C_LoginUser(opened, CKU_USER, TEXT("wrong password"), TEXT(USER)));
    RV(CKR_PIN_INCORRECT, p11->C_LoginUser(opened, CKU_USER, TEXT(USER_PASSWORD), TEXT("nobody")));
    RV(CKR_ARGUMENTS_BAD, p11->C_LoginUser(opened, CKU_USER, TEXT(USER_PASSWORD), NULL, 4));
    RV(CKR_PIN_LEN_RANGE, p11->C_LoginUser(opened, CKU_USER, (CK_UTF8CHAR *)"x", (CK_ULONG)-1, TEXT(USER)));
    REFUSED(p11->C_LoginUser(opened, CKU_USER, TEXT(USER_PASSWORD), (CK_UTF8CHAR *)USER, (CK_ULONG)-1));
    FINE(p11->C_LoginUser(opened, CKU_USER, TEXT(USER_PASSWORD), TEXT(USER)));
    RV(CKR_USER_ALREADY_LOGGED_IN, p11->C_LoginUser(opened, CKU_USER, TEXT(USER_PASSWORD), TEXT(USER)));
    assert_int_equal(state_of(opened), CKS_RW_USER_FUNCTIONS);
}

static void a_second_login_is_refused_in_the_standards_words(void **state)
{
    (void)state;
    CK_SESSION_HANDLE opened = open_session(RW), read_only = open_session(RO);
    RV(CKR_SESSION_READ_ONLY_EXISTS, log_in(opened, CKU_SO, ADMIN_PIN));
    FINE(log_in(opened, CKU_USER, USER_PIN));
    RV(CKR_USER_ALREADY_LOGGED_IN, log_in(read_only, CKU_USER, USER_PIN));
    RV(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, log_in(opened, CKU_SO, ADMIN_PIN));
    FINE(p11->C_CloseSession(read_only));
    FINE(p11->C_Logout(opened));
    FINE(log_in(opened, CKU_SO, ADMIN_PIN));
    RV(CKR_USER_ALREADY_LOGGED_IN, log_in(opened, CKU_SO, ADMIN_PIN));
    RV(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, log_in(opened, CKU_USER, USER_PIN));
}

static void a_user_is_no_officer_nor_the_other_way_round(void **state)
{
    (void)state;
    CK_SESSION_HANDLE opened = open_session(RW);
    REFUSED(log_in(opened, CKU_SO, USER_PIN));
    REFUSED(log_in(opened, CKU_USER, ADMIN_PIN));
    assert_int_equal(state_of(opened), CKS_RW_PUBLIC_SESSION);
    FINE(log_in(opened, CKU_SO, ADMIN_PIN));
    CK_OBJECT_HANDLE key;
    RV(CKR_USER_NOT_LOGGED_IN,
       p11->C_GenerateKey(opened, MECHANISM(CKM_AES_KEY_GEN), TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 32)), &key));
}

static void a_password_from_the_environment_needs_no_pin(void **state)
{
    CK_TOKEN_INFO token;

    (void)state;
    setenv("HSM_USER", USER, 1);
    setenv("HSM_PASSWORD", USER_PASSWORD, 1);
    FINE(p11->C_Initialize(NULL));
    FINE(p11->C_GetTokenInfo(0, &token));
    assert_true(token.flags & CKF_PROTECTED_AUTHENTICATION_PATH);
    CK_SESSION_HANDLE opened = open_session(RW);
    FINE(p11->C_Login(opened, CKU_USER, NULL, 0));
    assert_int_equal(state_of(opened), CKS_RW_USER_FUNCTIONS);
    FINE(p11->C_Logout(opened));
    unsetenv("HSM_PASSWORD");
    FINE(log_in(opened, CKU_USER, USER_PASSWORD)); /* of the configured user */
    FINE(p11->C_Finalize(NULL));
    unsetenv("HSM_USER");
}

static void keys_need_a_login(void **state)
{
    CK_OBJECT_HANDLE key, other;
    CK_BYTE bytes[8];

    (void)state;
    CK_SESSION_HANDLE opened = open_session(RW);
    RV(CKR_USER_NOT_LOGGED_IN,
       p11->C_GenerateKey(opened, MECHANISM(CKM_AES_KEY_GEN), TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 32)), &key));
    RV(CKR_USER_NOT_LOGGED_IN,
       p11->C_GenerateKeyPair(opened, MECHANISM(CKM_EC_KEY_PAIR_GEN), TEMPLATE(A_TEXT(CKA_EC_PARAMS, P256)),
                              TEMPLATE(A_TRUE(CKA_SIGN)), &key, &other));
    REFUSED(p11->C_SignInit(opened, MECHANISM(CKM_SHA256_HMAC), 1));
    REFUSED(p11->C_EncryptInit(opened, MECHANISM(CKM_AES_ECB), 1));
    (void)p11->C_GenerateRandom(opened, bytes, sizeof(bytes)); /* with or without */
    FINE(p11->C_DigestInit(opened, MECHANISM(CKM_SHA256)));
}

static void logout_takes_private_objects_away(void **state)
{
    (void)state;
    CK_OBJECT_HANDLE secret = data_object(session, true, true), key = aes_key_of(16);
    CK_BYTE in[16] = {0}, out[16];
    CK_ULONG len = sizeof(out);
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key));
    FINE(p11->C_Logout(session));
    REFUSED(look_at(session, secret));
    REFUSED(look_at(session, key));
    REFUSED(p11->C_Encrypt(session, in, 16, out, &len));
    FINE(log_in(session, CKU_USER, USER_PIN));
    RV(CKR_OBJECT_HANDLE_INVALID, look_at(session, secret)); /* the handle stays invalid, the object is there */
    REFUSED(p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), key));
    CK_OBJECT_HANDLE found;
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "session test")), &found, 1), 1);
    assert_int_not_equal(found, secret);
    FINE(p11->C_DestroyObject(session, found));
}

/* --- PINs --- */

static void the_officer_makes_users_and_they_change_their_passwords(void **state)
{
    (void)state;
    CK_SESSION_HANDLE opened = open_session(RW);
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_InitPIN(opened, TEXT("newcomer:first password")));
    FINE(log_in(opened, CKU_SO, ADMIN_PIN));
    RV(CKR_ARGUMENTS_BAD, p11->C_InitPIN(opened, NULL, 5));
    REFUSED(p11->C_InitPIN(opened, TEXT("newcomer:x"))); /* too short */
    FINE(p11->C_InitPIN(opened, TEXT("newcomer:first password")));
    FINE(p11->C_InitPIN(opened, TEXT("newcomer:second password")));
    FINE(p11->C_Logout(opened));
    RV(CKR_PIN_INCORRECT, log_in(opened, CKU_USER, "newcomer:first password"));
    FINE(log_in(opened, CKU_USER, "newcomer:second password"));
    RV(CKR_PIN_INCORRECT, p11->C_SetPIN(opened, TEXT("newcomer:wrong password"), TEXT("third password")));
    REFUSED(p11->C_SetPIN(opened, TEXT("newcomer:second password"), TEXT("x")));
    FINE(p11->C_SetPIN(opened, TEXT("newcomer:second password"), TEXT("newcomer:third password")));
    FINE(p11->C_SetPIN(opened, TEXT("newcomer:third password"), TEXT("fourth password")));
    RV(CKR_SESSION_READ_ONLY, p11->C_SetPIN(open_session(RO), TEXT("newcomer:fourth password"), TEXT("any password")));
    RV(CKR_ARGUMENTS_BAD, p11->C_SetPIN(opened, NULL, 3, TEXT("any password")));
    RV(CKR_ARGUMENTS_BAD, p11->C_SetPIN(opened, TEXT("newcomer:fourth password"), NULL, 3));
    RV(CKR_PIN_LEN_RANGE,
       p11->C_SetPIN(opened, TEXT("newcomer:fourth password"), (CK_UTF8CHAR *)"any password", (CK_ULONG)-1));
    FINE(p11->C_Logout(opened));
    FINE(log_in(opened, CKU_USER, "newcomer:fourth password"));
}

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
    }
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

static void operation_states_are_not_saved(void **state)
{
    CK_BYTE buffer[256];
    CK_ULONG len = sizeof(buffer);

    (void)state;
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_GetOperationState(session, buffer, &len));
    FINE(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    RV(CKR_STATE_UNSAVEABLE, p11->C_GetOperationState(session, buffer, &len));
    RV(CKR_SAVED_STATE_INVALID, p11->C_SetOperationState(session, buffer, 16, 0, 0));
    RV(CKR_FUNCTION_NOT_PARALLEL, p11->C_GetFunctionStatus(session));
    RV(CKR_FUNCTION_NOT_PARALLEL, p11->C_CancelFunction(session));
}

static void random_bytes_differ(void **state)
{
    static CK_BYTE first[100000], second[sizeof(first)];

    (void)state;
    FINE(p11->C_GenerateRandom(session, first, sizeof(first)));
    FINE(p11->C_GenerateRandom(session, second, sizeof(second)));
    assert_memory_not_equal(first, second, 32);
    assert_memory_not_equal(first + sizeof(first) - 32, first, 32);
    FINE(p11->C_GenerateRandom(session, first, 0));
    RV(CKR_RANDOM_SEED_NOT_SUPPORTED, p11->C_SeedRandom(session, first, 8));
}

/* --- fork: a child cannot fail the test, its exit code does --- */

#define CHILD_NEEDS(expected, call)                                                                                    \
    do {                                                                                                               \
        CK_RV child_rv_ = (call);                                                                                      \
        if (child_rv_ != (expected)) {                                                                                 \
            fprintf(stderr, "child: %s:%d: %s gave %s\n", __FILE__, __LINE__, #call, rv_name(child_rv_));              \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

static void expect_child(pid_t child)
{
    int status = -1;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static CK_RV mac(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE key)
{
    CK_BYTE out[16];
    CK_ULONG len = sizeof(out);
    CK_RV rv = p11->C_SignInit(in, MECHANISM(CKM_AES_CMAC), key);

    return rv == CKR_OK ? p11->C_Sign(in, TEXT("message"), out, &len) : rv;
}

static void a_child_goes_on_with_what_its_parent_had(void **state)
{
    (void)state;
    if (over_nng()) /* which is refused in a child: transport_nng.c */
        skip();
    CK_OBJECT_HANDLE key = aes_key_of(16);
    FINE(mac(session, key));
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();

        if (child == 0) {
            for (int k = 0; k < 5; k++)
                CHILD_NEEDS(CKR_OK, mac(session, key));
            CHILD_NEEDS(CKR_OK, p11->C_CloseSession(session));
            CHILD_NEEDS(CKR_OK, p11->C_Finalize(NULL));
            _exit(0);
        }
        FINE(mac(session, key));
        expect_child(child);
        FINE(mac(session, key)); /* the child's end did not end our login */
    }
}

static void a_child_may_initialize_anew(void **state)
{
    (void)state;
    if (over_nng()) /* which is refused in a child: transport_nng.c */
        skip();
    CK_OBJECT_HANDLE key = aes_key_of(16);
    pid_t child = fork();

    if (child == 0) {
        CK_SESSION_HANDLE opened;
        CK_SESSION_INFO info;

        CHILD_NEEDS(CKR_OK, p11->C_Initialize(NULL));
        CHILD_NEEDS(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(session, &info));
        CHILD_NEEDS(CKR_CRYPTOKI_ALREADY_INITIALIZED, p11->C_Initialize(NULL));
        CHILD_NEEDS(CKR_OK, p11->C_OpenSession(0, CKF_SERIAL_SESSION | RW, NULL, NULL, &opened));
        CHILD_NEEDS(CKR_KEY_HANDLE_INVALID,
                    log_in(opened, CKU_USER, USER_PIN) == CKR_OK ? mac(opened, key) : CKR_PIN_INCORRECT);
        CHILD_NEEDS(CKR_OK, p11->C_Finalize(NULL));
        _exit(0);
    }
    expect_child(child);
    FINE(mac(session, key));
}

struct busy {
    pthread_t thread;
    CK_OBJECT_HANDLE key;
    volatile bool *stop;
    CK_RV rv;
    int n_done;
};

static void *use_the_module(void *argument)
{
    struct busy *busy = argument;
    CK_SESSION_HANDLE own = CK_INVALID_HANDLE;

    while (!*busy->stop && busy->rv == CKR_OK) {
        busy->rv = p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &own);
        if (busy->rv == CKR_OK)
            busy->rv = mac(own, busy->key);
        if (busy->rv == CKR_OK)
            busy->rv = p11->C_CloseSession(own);
        busy->n_done++;
    }
    return NULL;
}

static void children_are_whole_when_threads_were_using_the_module(void **state)
{
    enum { THREADS = 4, CHILDREN = 20 };
    struct busy busy[THREADS];
    volatile bool stop = false;
    CK_OBJECT_HANDLE key = aes_key_of(16);

    (void)state;
    if (over_nng() || SANITIZED) /* whose memory stays locked in a child when another thread was in it */
        skip();
    for (int i = 0; i < THREADS; i++) {
        busy[i] = (struct busy){.key = key, .stop = &stop};
        pthread_create(&busy[i].thread, NULL, use_the_module, &busy[i]);
    }
    int failed = 0;
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        int status = -1;

        if (child == 0) {
            CK_SESSION_HANDLE own;

            alarm(30); /* a lock that nobody frees */
            if (i % 2 == 0)
                CHILD_NEEDS(CKR_OK, mac(session, key));
            else
                CHILD_NEEDS(CKR_OK, p11->C_Initialize(NULL));
            CHILD_NEEDS(CKR_OK, p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &own));
            CHILD_NEEDS(CKR_OK, p11->C_CloseAllSessions(0));
            CHILD_NEEDS(CKR_OK, p11->C_Finalize(NULL));
            _exit(0);
        }
        waitpid(child, &status, 0);
        failed += status != 0;
    }
    stop = true;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(busy[i].thread, NULL);
        FINE(busy[i].rv);
        assert_true(busy[i].n_done > 0);
    }
    assert_int_equal(failed, 0);
}

/* --- threads --- */

static void *open_and_close(void *argument)
{
    struct busy *busy = argument;
    CK_SESSION_HANDLE mine[20];
    CK_SESSION_INFO info;

    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 20 && busy->rv == CKR_OK; i++)
            busy->rv = p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &mine[i]);
        for (int i = 0; i < 20 && busy->rv == CKR_OK; i++)
            busy->rv = p11->C_GetSessionInfo(mine[i], &info);
        for (int i = 0; i < 20 && busy->rv == CKR_OK; i++)
            busy->rv = p11->C_CloseSession(mine[i]);
    }
    return NULL;
}

static void threads_open_and_close_sessions_at_once(void **state)
{
    struct busy busy[8] = {{0}};

    (void)state;
    for (int i = 0; i < 8; i++)
        pthread_create(&busy[i].thread, NULL, open_and_close, &busy[i]);
    for (int i = 0; i < 8; i++)
        pthread_join(busy[i].thread, NULL);
    for (int i = 0; i < 8; i++)
        FINE(busy[i].rv);
    assert_int_equal(state_of(session), CKS_RW_USER_FUNCTIONS);
}

static void *use_until_it_ends(void *argument)
{
    struct busy *busy = argument;

    do {
        busy->rv = mac(session, busy->key);
    } while (busy->rv == CKR_OK || busy->rv == CKR_OPERATION_ACTIVE || busy->rv == CKR_OPERATION_NOT_INITIALIZED);
    return NULL;
}

static void a_session_may_be_closed_while_others_use_it(void **state)
{
    struct busy busy[4];
    CK_OBJECT_HANDLE key = aes_key_of(16);

    (void)state;
    (void)open_session(RO);
    for (int i = 0; i < 4; i++) {
        busy[i] = (struct busy){.key = key};
        pthread_create(&busy[i].thread, NULL, use_until_it_ends, &busy[i]);
    }
    usleep(100000);
    FINE(p11->C_CloseSession(session));
    for (int i = 0; i < 4; i++) {
        pthread_join(busy[i].thread, NULL);
        assert_true(busy[i].rv == CKR_SESSION_HANDLE_INVALID || busy[i].rv == CKR_KEY_HANDLE_INVALID);
    }
}

static void finalize_while_others_use_the_module_is_survived(void **state)
{
    struct busy busy[4];
    CK_OBJECT_HANDLE key = aes_key_of(16);

    (void)state;
    for (int i = 0; i < 4; i++) {
        busy[i] = (struct busy){.key = key};
        pthread_create(&busy[i].thread, NULL, use_until_it_ends, &busy[i]);
    }
    usleep(100000);
    FINE(p11->C_Finalize(NULL));
    for (int i = 0; i < 4; i++)
        pthread_join(busy[i].thread, NULL);
}

/* --- unloading --- */

static void the_module_is_unloaded_with_sessions_open_and_loaded_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        FINE(p11->C_Initialize(NULL));
        CK_SESSION_HANDLE opened = open_session(RW);
        FINE(log_in(opened, CKU_USER, USER_PIN));
        (void)data_object(opened, false, true);
        if (i == 2 || SANITIZED) /* what a program leaves open is lost: a leak */
            FINE(p11->C_Finalize(NULL));
        unload_module();
        pid_t child = fork(); /* what the module registered for this is gone with it */
        if (child == 0)
            _exit(0);
        expect_child(child);
        reload_module();
        RV(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_CloseSession(opened));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(general_functions_before_initialize_say_so),
        cmocka_unit_test(object_functions_before_initialize_say_so),
        cmocka_unit_test(operations_before_initialize_say_so),
        cmocka_unit_test(message_functions_before_initialize_say_so),
        cmocka_unit_test(lists_of_functions_agree_and_have_no_holes),
        cmocka_unit_test(interfaces_are_found_by_name_version_and_flags),
        cmocka_unit_test(initialize_takes_all_callbacks_or_none),
        cmocka_unit_test(finalize_takes_sessions_and_login_along),
        initialized_test(finalize_wakes_who_waits_for_a_slot),
        initialized_test(texts_are_filled_with_blanks_and_have_no_nul),
        initialized_test(slot_list_is_counted_then_given),
        initialized_test(every_listed_mechanism_has_its_info_once),
        initialized_test(the_token_cannot_be_initialized_by_a_program),
        initialized_test(sessions_are_public_user_or_officer_by_the_login),
        initialized_test(token_info_counts_sessions),
        initialized_test(handles_of_closed_sessions_are_never_given_again),
        initialized_test(a_thousand_sessions_are_open_at_once),
        user_test(closing_a_session_destroys_its_objects_and_no_others),
        initialized_test(the_last_close_ends_the_login),
        initialized_test(a_pin_is_user_and_password),
        initialized_test(login_user_takes_the_name_on_its_own),
        initialized_test(a_second_login_is_refused_in_the_standards_words),
        initialized_test(a_user_is_no_officer_nor_the_other_way_round),
        cmocka_unit_test(a_password_from_the_environment_needs_no_pin),
        initialized_test(keys_need_a_login),
        user_test(logout_takes_private_objects_away),
        initialized_test(the_officer_makes_users_and_they_change_their_passwords),
        user_test(null_pointers_are_refused),
        user_test(null_pointers_within_operations_are_refused),
        user_test(absurd_lengths_are_refused),
        user_test(absurd_handles_are_refused),
        user_test(operation_states_are_not_saved),
        user_test(random_bytes_differ),
        user_test(a_child_goes_on_with_what_its_parent_had),
        user_test(a_child_may_initialize_anew),
        user_test(children_are_whole_when_threads_were_using_the_module),
        user_test(threads_open_and_close_sessions_at_once),
        user_test(a_session_may_be_closed_while_others_use_it),
        user_test(finalize_while_others_use_the_module_is_survived),
        cmocka_unit_test(the_module_is_unloaded_with_sessions_open_and_loaded_again),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
