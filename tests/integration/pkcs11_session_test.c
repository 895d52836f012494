/* Sessions and logins (PKCS#11 2.40, 5.6). */
#include "pkcs11_fixture.h"

#include <stdio.h>
#include <unistd.h>

#define RO 0
#define RW CKF_RW_SESSION

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

/* --- what sessions have besides --- */

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

/* PKCS#11 2.40, 5.6.8, leaves open whether they are active still; what another login may not do is told in its words.
 */
static void operations_that_a_user_began_do_not_go_on_for_the_officer(void **state)
{
    CK_BYTE in[16] = {0}, out[64], nonce[12] = "twelve bytes", tag[16];
    CK_GCM_MESSAGE_PARAMS params = {nonce, 12, 0, CKG_NO_GENERATE, tag, 128};
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_ULONG len = sizeof(out);

    (void)state;
    FINE(p11->C_EncryptInit(session, MECHANISM_OF(CKM_AES_CBC, in, 16), key));
    FINE(p11->C_EncryptUpdate(session, in, 16, out, &len));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_AES_CMAC), key));
    FINE(p11->C_SignUpdate(session, in, 16));
    FINE(p11->C_VerifyInit(session, MECHANISM(CKM_AES_CMAC), key));
    FINE(p11->C_VerifyUpdate(session, in, 16));
    FINE(p11->C_MessageEncryptInit(session, MECHANISM(CKM_AES_GCM), key));
    FINE(p11->C_MessageDecryptInit(session, MECHANISM(CKM_AES_GCM), key));
    FINE(p11->C_DecryptMessageBegin(session, &params, sizeof(params), NULL, 0));
    FINE(p11->C_Logout(session));
    FINE(log_in(session, CKU_SO, ADMIN_PIN));
    len = sizeof(out);
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_EncryptUpdate(session, in, 16, out, &len));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_SignFinal(session, out, &len));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_VerifyFinal(session, out, 16));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_EncryptMessage(session, &params, sizeof(params), NULL, 0, in, 16, out, &len));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_EncryptMessageBegin(session, &params, sizeof(params), NULL, 0));
    RV(CKR_USER_NOT_LOGGED_IN,
       p11->C_DecryptMessageNext(session, &params, sizeof(params), in, 16, out, &len, CKF_END_OF_MESSAGE));
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

static void a_new_password_leaves_the_login_and_its_session_objects(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(16), found;

    (void)state;
    FINE(p11->C_SetPIN(session, TEXT(USER_PIN), TEXT(USER ":another password")));
    FINE(mac(session, key));
    assert_int_equal(search(session, TEMPLATE(A_NUMBER(CKA_KEY_TYPE, CKK_AES)), &found, 1), 1);
    assert_int_equal(state_of(session), CKS_RW_USER_FUNCTIONS);
    FINE(p11->C_SetPIN(session, TEXT(USER ":another password"), TEXT(USER_PIN)));
    FINE(mac(session, key));
}

static void a_login_that_was_ended_elsewhere_can_be_begun_anew(void **state)
{
    CK_OBJECT_HANDLE object = data_object(session, true, true);
    CK_OBJECT_HANDLE found;

    (void)state;
    OK(hsm_user_change_password(world->admin, USER, NULL, 0, "changed by others", 17));
    usleep(2100000); /* what is known of the object for a moment needs no login */
    RV(CKR_USER_NOT_LOGGED_IN, look_at(session, object));
    assert_int_equal(state_of(session), CKS_RW_PUBLIC_SESSION);
    OK(hsm_user_change_password(world->admin, USER, NULL, 0, USER_PASSWORD, strlen(USER_PASSWORD)));
    FINE(log_in(session, CKU_USER, USER_PIN));
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "session test")), &found, 1), 1);
    FINE(p11->C_DestroyObject(session, found));
}

static void an_undestroyable_session_object_goes_with_its_session(void **state)
{
    CK_SESSION_HANDLE other = open_session(RW);
    CK_OBJECT_HANDLE object;

    (void)state;
    FINE(p11->C_CreateObject(other,
                             TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA), A_TEXT(CKA_LABEL, "stays"),
                                      A_FALSE(CKA_DESTROYABLE), A_TEXT(CKA_VALUE, "data")),
                             &object));
    FINE(p11->C_CloseSession(other));
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "stays")), &object, 1), 0);
}

static void finding_a_session_object_does_not_take_it_over(void **state)
{
    CK_OBJECT_HANDLE mine = data_object(session, false, true), found;
    CK_SESSION_HANDLE other = open_session(RW);

    (void)state;
    assert_int_equal(search(other, TEMPLATE(A_TEXT(CKA_LABEL, "session test")), &found, 1), 1);
    assert_int_equal(found, mine);
    FINE(p11->C_CloseSession(other));
    FINE(look_at(session, mine));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        user_test(operation_states_are_not_saved),
        user_test(operations_that_a_user_began_do_not_go_on_for_the_officer),
        user_test(random_bytes_differ),
        user_test(a_new_password_leaves_the_login_and_its_session_objects),
        user_test(a_login_that_was_ended_elsewhere_can_be_begun_anew),
        user_test(an_undestroyable_session_object_goes_with_its_session),
        user_test(finding_a_session_object_does_not_take_it_over),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
