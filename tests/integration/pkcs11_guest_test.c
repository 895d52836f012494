/* What is seen before a login, when the configuration itself has a user and the password. */
#include "pkcs11_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define MESSAGE TEXT("a message")

static CK_OBJECT_HANDLE public_key, private_key, secret_key, open_secret, open_data, private_data;

static CK_OBJECT_HANDLE token_data(bool secret)
{
    CK_OBJECT_HANDLE object;
    CK_BBOOL is_private = secret;

    FINE(p11->C_CreateObject(session,
                             TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA), A_TRUE(CKA_TOKEN), A_TEXT(CKA_LABEL, "guest"),
                                      {CKA_PRIVATE, &is_private, sizeof(is_private)}, A_TEXT(CKA_VALUE, "content")),
                             &object));
    return object;
}

/* What others of the group left is taken away, what is looked at is made. */
static void make_objects(void)
{
    CK_OBJECT_HANDLE found[64];
    CK_ULONG n = search(session, TEMPLATE(A_TRUE(CKA_TOKEN)), found, 64);

    for (CK_ULONG i = 0; i < n; i++)
        FINE(p11->C_DestroyObject(session, found[i]));
    FINE(p11->C_GenerateKeyPair(
        session, MECHANISM(CKM_RSA_PKCS_KEY_PAIR_GEN),
        TEMPLATE(A_NUMBER(CKA_MODULUS_BITS, 2048), A_TRUE(CKA_TOKEN), A_TEXT(CKA_LABEL, "guest"), A_TRUE(CKA_VERIFY),
                 A_TRUE(CKA_ENCRYPT), A_TRUE(CKA_WRAP)),
        TEMPLATE(A_TRUE(CKA_TOKEN), A_TEXT(CKA_LABEL, "guest"), A_TRUE(CKA_SIGN), A_TRUE(CKA_DECRYPT)), &public_key,
        &private_key));
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 32), A_TRUE(CKA_TOKEN), A_TEXT(CKA_LABEL, "guest"),
                                     A_FALSE(CKA_PRIVATE), A_TRUE(CKA_ENCRYPT), A_TRUE(CKA_VERIFY)),
                            &secret_key));
    FINE(p11->C_CreateObject(session,
                             TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
                                      A_TRUE(CKA_TOKEN), A_TEXT(CKA_LABEL, "guest of a value"), A_FALSE(CKA_PRIVATE),
                                      A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE), A_TEXT(CKA_VALUE, "a secret")),
                             &open_secret));
    open_data = token_data(false);
    private_data = token_data(true);
}

static int configured_begin(void **state)
{
    setenv("HSM_USER", USER, 1);
    setenv("HSM_PASSWORD", USER_PASSWORD, 1);
    return user_begin(state);
}

static int configured_end(void **state)
{
    unsetenv("HSM_USER");
    unsetenv("HSM_PASSWORD");
    return user_end(state);
}

/* As a program does that begins. */
static void begin_anew(void)
{
    FINE(p11->C_Finalize(NULL));
    FINE(p11->C_Initialize(NULL));
    session = open_session(CKF_RW_SESSION);
}

static CK_ULONG seen(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE *found, CK_ULONG room)
{
    return search(in, TEMPLATE(A_TEXT(CKA_LABEL, "guest")), found, room);
}

static CK_OBJECT_HANDLE only(CK_OBJECT_CLASS object_class)
{
    CK_OBJECT_HANDLE found[2];

    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "guest"), A_NUMBER(CKA_CLASS, object_class)), found, 2),
                     1);
    return found[0];
}

static void what_is_not_private_is_seen_before_a_login(void **state)
{
    CK_OBJECT_HANDLE found[8];
    char value[16];

    (void)state;
    make_objects();
    begin_anew();
    assert_int_equal(seen(session, found, 8), 3);
    for (int i = 0; i < 3; i++)
        assert_false(flag_of(found[i], CKA_PRIVATE));
    assert_int_equal(value_of(only(CKO_DATA), CKA_VALUE, value, sizeof(value)), 7);
    assert_memory_equal(value, "content", 7);
    assert_int_equal(search(session, TEMPLATE(A_TRUE(CKA_PRIVATE)), found, 8), 0);
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "guest"), A_FALSE(CKA_PRIVATE)), found, 8), 3);
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "guest"), A_TEXT(CKA_VALUE, "content")), found, 8), 1);
    assert_int_equal(state_of(session), CKS_RW_PUBLIC_SESSION);
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_Logout(session));
}

static void public_keys_verify_and_encrypt(void **state)
{
    CK_BYTE signature[256], ciphertext[256];
    CK_ULONG len = sizeof(signature);

    (void)state;
    make_objects();
    FINE(p11->C_SignInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), private_key));
    FINE(p11->C_Sign(session, MESSAGE, signature, &len));
    begin_anew();
    CK_OBJECT_HANDLE key = only(CKO_PUBLIC_KEY);
    FINE(p11->C_VerifyInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), key));
    FINE(p11->C_Verify(session, MESSAGE, signature, len));
    FINE(p11->C_VerifyInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), key));
    FINE(p11->C_VerifyUpdate(session, TEXT("a ")));
    FINE(p11->C_VerifyUpdate(session, TEXT("message")));
    FINE(p11->C_VerifyFinal(session, signature, len));
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_RSA_PKCS), key));
    FINE(p11->C_Encrypt(session, MESSAGE, ciphertext, &len));
    assert_int_equal(state_of(session), CKS_RW_PUBLIC_SESSION);
}

static void no_other_key_is_used_and_nothing_changed(void **state)
{
    CK_OBJECT_HANDLE made;
    CK_BYTE bytes[256];
    CK_ULONG len = sizeof(bytes);

    (void)state;
    make_objects();
    FINE(p11->C_Logout(session));
    RV(CKR_OBJECT_HANDLE_INVALID, look_at(session, private_data));
    secret_key = only(CKO_SECRET_KEY);
    CK_ATTRIBUTE value = {CKA_VALUE, bytes, sizeof(bytes)};
    assert_int_equal(search(session, TEMPLATE(A_TEXT(CKA_LABEL, "guest of a value")), &open_secret, 1), 1);
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_GetAttributeValue(session, open_secret, &value, 1));
    public_key = only(CKO_PUBLIC_KEY);
    open_data = only(CKO_DATA);
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_SignInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), private_key));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_DecryptInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_EncryptInit(session, MECHANISM(CKM_AES_ECB), secret_key));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_VerifyInit(session, MECHANISM(CKM_AES_CMAC), secret_key));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_WrapKey(session, MECHANISM(CKM_RSA_PKCS), public_key, secret_key, bytes, &len));
    RV(CKR_USER_NOT_LOGGED_IN,
       p11->C_CreateObject(session, TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA), A_TEXT(CKA_VALUE, "x")), &made));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_CopyObject(session, open_data, NULL, 0, &made));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_SetAttributeValue(session, open_data, TEMPLATE(A_TEXT(CKA_LABEL, "x"))));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_DestroyObject(session, open_data));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_GenerateRandom(session, bytes, sizeof(bytes)));
    FINE(look_at(session, open_data));
}

/* What was begun by a user is not carried on by the guest. */
static void an_operation_ends_with_its_login(void **state)
{
    CK_BYTE signature[256];
    CK_ULONG len = sizeof(signature);

    (void)state;
    make_objects();
    FINE(p11->C_SignInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), private_key));
    FINE(p11->C_Logout(session));
    assert_int_equal(seen(session, &public_key, 1), 3); /* the guest is there */
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_Sign(session, MESSAGE, signature, &len));
}

static void handles_of_what_is_public_outlive_logins(void **state)
{
    CK_OBJECT_HANDLE found[8];

    (void)state;
    make_objects();
    begin_anew();
    CK_OBJECT_HANDLE key = only(CKO_PUBLIC_KEY);
    FINE(log_in(session, CKU_USER, USER_PIN));
    assert_int_equal(state_of(session), CKS_RW_USER_FUNCTIONS);
    assert_int_equal(only(CKO_PUBLIC_KEY), key);
    assert_int_equal(seen(session, found, 8), 5);
    FINE(p11->C_Logout(session));
    assert_int_equal(only(CKO_PUBLIC_KEY), key);
    assert_int_equal(seen(session, found, 8), 3);
    /* Without a PIN, as servers do. */
    FINE(p11->C_Login(session, CKU_USER, NULL, 0));
    assert_int_equal(seen(session, found, 8), 5);
    FINE(p11->C_Logout(session));
    FINE(log_in(session, CKU_SO, ADMIN_PIN));
    FINE(p11->C_InitPIN(session, (CK_UTF8CHAR *)"visitor:a long password", 23));
    FINE(p11->C_Logout(session));
    FINE(log_in(session, CKU_USER, "visitor:a long password"));
    assert_int_equal(seen(session, found, 8), 2); /* somebody else's: nodes keep secret keys to their owner */
    FINE(look_at(session, key));
}

static void a_search_goes_on_over_a_login(void **state)
{
    CK_OBJECT_HANDLE found[8];
    CK_ULONG n, total = 0;

    (void)state;
    make_objects();
    begin_anew();
    FINE(p11->C_FindObjectsInit(session, TEMPLATE(A_TEXT(CKA_LABEL, "guest"))));
    FINE(p11->C_FindObjects(session, found, 1, &total));
    FINE(log_in(session, CKU_USER, USER_PIN));
    FINE(p11->C_FindObjects(session, found, 8, &n));
    FINE(p11->C_FindObjectsFinal(session));
    assert_int_equal(total + n, 3); /* of what it began with */
}

static bool log_says(const char *path, const char *text)
{
    char line[1024];
    bool found = false;
    FILE *log = fopen(path, "r");

    while (log && fgets(line, sizeof(line), log))
        found = found || strstr(line, text);
    if (log)
        fclose(log);
    return found;
}

static void a_wrong_password_shows_nothing_and_is_tried_once(void **state)
{
    char path[300];
    CK_OBJECT_HANDLE found[8];

    (void)state;
    make_objects();
    snprintf(path, sizeof(path), "%s/pkcs11.log", world->folder);
    setenv("HSM_PKCS11_LOG", path, 1);
    setenv("HSM_PASSWORD", "not the password", 1);
    begin_anew();
    for (int i = 0; i < 30; i++)
        assert_int_equal(seen(session, found, 8), 0);
    unsetenv("HSM_PKCS11_LOG");
    assert_true(log_says(path, "nothing is shown before a login"));
    assert_false(log_says(path, "not the password"));
    FINE(log_in(session, CKU_USER, USER_PIN)); /* not locked */
    assert_int_equal(seen(session, found, 8), 5);
}

static void an_administrator_is_no_guest(void **state)
{
    CK_OBJECT_HANDLE found[8];

    (void)state;
    make_objects();
    setenv("HSM_USER", ADMIN, 1);
    setenv("HSM_PASSWORD", ADMIN_PASSWORD, 1);
    begin_anew();
    assert_int_equal(seen(session, found, 8), 0);
}

static void without_a_configured_password_nothing_is_seen(void **state)
{
    CK_OBJECT_HANDLE found[8];

    (void)state;
    make_objects();
    unsetenv("HSM_PASSWORD");
    begin_anew();
    assert_int_equal(seen(session, found, 8), 0);
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_VerifyInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), 1));
}

static void a_child_of_fork_sees_it_too(void **state)
{
    CK_OBJECT_HANDLE found[8];

    (void)state;
    make_objects();
    begin_anew();
    for (int warm = 0; warm < 2; warm++) { /* before the guest is there, and after */
        pid_t child = fork();
        if (child == 0) {
            CK_ULONG n = 0;
            CK_RV rv = p11->C_FindObjectsInit(session, TEMPLATE(A_TEXT(CKA_LABEL, "guest")));

            if (rv == CKR_OK)
                rv = p11->C_FindObjects(session, found, 8, &n);
            _exit(rv != CKR_OK || n != 3);
        }
        expect_child(child);
        assert_int_equal(seen(session, found, 8), 3);
    }
}

static void *look_again_and_again(void *given)
{
    CK_SESSION_HANDLE own = open_session(0);
    CK_OBJECT_HANDLE found[8];

    (void)given;
    for (int i = 0; i < 20; i++) {
        CK_ULONG n = 0;

        FINE(p11->C_FindObjectsInit(own, TEMPLATE(A_TEXT(CKA_LABEL, "guest"))));
        CK_RV rv = p11->C_FindObjects(own, found, 8, &n);

        if (rv == CKR_OK)
            assert_in_range(n, 0, 5);
        else
            RV(CKR_USER_NOT_LOGGED_IN, rv); /* the login ended in between */
        FINE(p11->C_FindObjectsFinal(own));
    }
    FINE(p11->C_CloseSession(own));
    return NULL;
}

static void threads_look_while_others_log_in_and_out(void **state)
{
    enum { N = 4 };
    pthread_t threads[N];
    CK_OBJECT_HANDLE found[8];

    (void)state;
    make_objects();
    begin_anew();
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_again_and_again, NULL), 0);
    for (int i = 0; i < 5; i++) {
        FINE(log_in(session, CKU_USER, USER_PIN));
        FINE(p11->C_Logout(session));
    }
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(seen(session, found, 8), 3);
}

#define guest_test(name) cmocka_unit_test_setup_teardown(name, configured_begin, configured_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        guest_test(what_is_not_private_is_seen_before_a_login),       guest_test(public_keys_verify_and_encrypt),
        guest_test(no_other_key_is_used_and_nothing_changed),         guest_test(an_operation_ends_with_its_login),
        guest_test(handles_of_what_is_public_outlive_logins),         guest_test(a_search_goes_on_over_a_login),
        guest_test(a_wrong_password_shows_nothing_and_is_tried_once), guest_test(an_administrator_is_no_guest),
        guest_test(without_a_configured_password_nothing_is_seen),    guest_test(a_child_of_fork_sees_it_too),
        guest_test(threads_look_while_others_log_in_and_out),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
