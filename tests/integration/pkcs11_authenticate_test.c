/* CKA_ALWAYS_AUTHENTICATE (PKCS#11 3.0, 4.9 and 5.6.8): a login with CKU_CONTEXT_SPECIFIC before each use of a key. */
#include "pkcs11_fixture.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <unistd.h>

#define MESSAGE TEXT("a message")

static void guarded_ec_pair(CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    FINE(p11->C_GenerateKeyPair(
        session, MECHANISM(CKM_EC_KEY_PAIR_GEN), TEMPLATE(A_TEXT(CKA_EC_PARAMS, P256), A_TRUE(CKA_VERIFY)),
        TEMPLATE(A_TRUE(CKA_SIGN), A_TRUE(CKA_DERIVE), A_TRUE(CKA_ALWAYS_AUTHENTICATE)), public_key, private_key));
}

static void guarded_rsa_pair(CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    FINE(p11->C_GenerateKeyPair(
        session, MECHANISM(CKM_RSA_PKCS_KEY_PAIR_GEN),
        TEMPLATE(A_NUMBER(CKA_MODULUS_BITS, 2048), A_TRUE(CKA_VERIFY), A_TRUE(CKA_ENCRYPT)),
        TEMPLATE(A_TRUE(CKA_SIGN), A_TRUE(CKA_DECRYPT), A_TRUE(CKA_UNWRAP), A_TRUE(CKA_ALWAYS_AUTHENTICATE)),
        public_key, private_key));
}

static CK_RV sign_now(CK_SESSION_HANDLE in, CK_BYTE *signature, CK_ULONG *len)
{
    return p11->C_Sign(in, MESSAGE, signature, len);
}

static CK_RV again(CK_SESSION_HANDLE in, const char *pin)
{
    return log_in(in, CKU_CONTEXT_SPECIFIC, pin);
}

static void a_signature_needs_a_login_after_the_beginning(void **state)
{
    CK_OBJECT_HANDLE public_key, key;
    CK_BYTE signature[64];
    CK_ULONG len = sizeof(signature);

    (void)state;
    guarded_ec_pair(&public_key, &key);
    assert_true(flag_of(key, CKA_ALWAYS_AUTHENTICATE));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    RV(CKR_USER_NOT_LOGGED_IN, sign_now(session, signature, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, sign_now(session, signature, &len));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    FINE(again(session, USER_PIN));
    RV(CKR_USER_ALREADY_LOGGED_IN, again(session, USER_PIN));
    FINE(sign_now(session, signature, &len));
    FINE(p11->C_VerifyInit(session, MECHANISM(CKM_ECDSA_SHA256), public_key));
    FINE(p11->C_Verify(session, MESSAGE, signature, len));
    /* The next one needs the next login. */
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    RV(CKR_USER_NOT_LOGGED_IN, sign_now(session, signature, &len));
    assert_int_equal(state_of(session), CKS_RW_USER_FUNCTIONS);
}

static void parts_need_one_login_for_all(void **state)
{
    CK_OBJECT_HANDLE public_key, key;
    CK_BYTE signature[64];
    CK_ULONG len = sizeof(signature);

    (void)state;
    guarded_ec_pair(&public_key, &key);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_SignUpdate(session, MESSAGE));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_SignFinal(session, signature, &len));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    FINE(again(session, USER_PIN));
    FINE(p11->C_SignUpdate(session, TEXT("a ")));
    FINE(p11->C_SignUpdate(session, TEXT("message")));
    FINE(p11->C_SignFinal(session, signature, &len));
    FINE(p11->C_VerifyInit(session, MECHANISM(CKM_ECDSA_SHA256), public_key));
    FINE(p11->C_Verify(session, MESSAGE, signature, len));
}

static void decryption_needs_a_login_and_asks_for_lengths_after_it(void **state)
{
    CK_OBJECT_HANDLE public_key, key;
    CK_BYTE ciphertext[256], plain[256];
    CK_ULONG len = sizeof(ciphertext), plain_len = 0;

    (void)state;
    guarded_rsa_pair(&public_key, &key);
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_RSA_PKCS), public_key));
    FINE(p11->C_Encrypt(session, MESSAGE, ciphertext, &len));
    FINE(p11->C_DecryptInit(session, MECHANISM(CKM_RSA_PKCS), key));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_Decrypt(session, ciphertext, len, plain, &plain_len));
    FINE(p11->C_DecryptInit(session, MECHANISM(CKM_RSA_PKCS), key));
    FINE(again(session, USER_PIN));
    FINE(p11->C_Decrypt(session, ciphertext, len, NULL, &plain_len));
    plain_len = 2; /* too little: the result waits, and takes no second login */
    RV(CKR_BUFFER_TOO_SMALL, p11->C_Decrypt(session, ciphertext, len, plain, &plain_len));
    FINE(p11->C_Decrypt(session, ciphertext, len, plain, &plain_len));
    assert_int_equal(plain_len, 9);
    assert_memory_equal(plain, "a message", 9);
}

static void a_wrong_pin_leaves_the_operation_waiting(void **state)
{
    CK_OBJECT_HANDLE public_key, key;
    CK_BYTE signature[64];
    CK_ULONG len = sizeof(signature);

    (void)state;
    guarded_ec_pair(&public_key, &key);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    RV(CKR_PIN_INCORRECT, again(session, USER ":not the password"));
    RV(CKR_PIN_INCORRECT, again(session, ADMIN_PIN)); /* somebody else's */
    FINE(again(session, USER_PASSWORD));              /* alone: of whoever is logged in */
    FINE(sign_now(session, signature, &len));
}

static void without_such_an_operation_there_is_nothing_to_log_in_for(void **state)
{
    CK_OBJECT_HANDLE public_key, key;

    (void)state;
    RV(CKR_OPERATION_NOT_INITIALIZED, again(session, USER_PIN));
    ec_pair(P256, sizeof(P256) - 1, &public_key, &key);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    RV(CKR_OPERATION_NOT_INITIALIZED, again(session, USER_PIN));
    FINE(p11->C_Logout(session));
    RV(CKR_USER_NOT_LOGGED_IN, again(session, USER_PIN));
}

static void the_name_may_come_by_itself(void **state)
{
    CK_OBJECT_HANDLE public_key, key;
    CK_BYTE signature[64];
    CK_ULONG len = sizeof(signature);

    (void)state;
    guarded_ec_pair(&public_key, &key);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    RV(CKR_PIN_INCORRECT, p11->C_LoginUser(session, CKU_CONTEXT_SPECIFIC, TEXT("not the password"), TEXT(USER)));
    RV(CKR_PIN_INCORRECT, p11->C_LoginUser(session, CKU_CONTEXT_SPECIFIC, TEXT(ADMIN_PASSWORD), TEXT(ADMIN)));
    FINE(p11->C_LoginUser(session, CKU_CONTEXT_SPECIFIC, TEXT(USER_PASSWORD), TEXT(USER)));
    FINE(sign_now(session, signature, &len));
}

static void a_login_is_for_the_operation_that_was_begun_last(void **state)
{
    CK_OBJECT_HANDLE public_key, key;
    CK_BYTE ciphertext[256], plain[256], signature[256];
    CK_ULONG len = sizeof(ciphertext), plain_len = sizeof(plain), signature_len = sizeof(signature);

    (void)state;
    guarded_rsa_pair(&public_key, &key);
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_RSA_PKCS), public_key));
    FINE(p11->C_Encrypt(session, MESSAGE, ciphertext, &len));
    FINE(p11->C_DecryptInit(session, MECHANISM(CKM_RSA_PKCS), key));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), key));
    FINE(again(session, USER_PIN));
    RV(CKR_USER_NOT_LOGGED_IN, p11->C_Decrypt(session, ciphertext, len, plain, &plain_len));
    FINE(sign_now(session, signature, &signature_len));
}

static void uses_without_a_beginning_are_refused(void **state)
{
    CK_OBJECT_HANDLE public_key, key, made;
    CK_BYTE wrapped[256];
    CK_ULONG len = sizeof(wrapped);

    (void)state;
    guarded_rsa_pair(&public_key, &key);
    FINE(p11->C_EncryptInit(session, MECHANISM(CKM_RSA_PKCS), public_key));
    FINE(p11->C_Encrypt(session, TEXT("0123456789abcdef"), wrapped, &len));
    RV(CKR_USER_NOT_LOGGED_IN,
       p11->C_UnwrapKey(session, MECHANISM(CKM_RSA_PKCS), key, wrapped, len,
                        TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES)), &made));

    /* Nor do they use up a login that was for a signature. */
    CK_BYTE signature[256];
    CK_ULONG signature_len = sizeof(signature);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), key));
    FINE(again(session, USER_PIN));
    RV(CKR_USER_NOT_LOGGED_IN,
       p11->C_UnwrapKey(session, MECHANISM(CKM_RSA_PKCS), key, wrapped, len,
                        TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES)), &made));
    FINE(sign_now(session, signature, &signature_len));
}

static void imported_and_unwrapped_keys_have_it_too(void **state)
{
    CK_OBJECT_HANDLE public_key, key, wrapping = aes_key_of(32), unwrapped;
    CK_BYTE wrapped[4096], signature[64];
    CK_ULONG len = sizeof(wrapped), signature_len = sizeof(signature);

    (void)state;
    FINE(p11->C_GenerateKeyPair(session, MECHANISM(CKM_EC_KEY_PAIR_GEN),
                                TEMPLATE(A_TEXT(CKA_EC_PARAMS, P256), A_TRUE(CKA_VERIFY)),
                                TEMPLATE(A_TRUE(CKA_SIGN), A_TRUE(CKA_EXTRACTABLE)), &public_key, &key));
    FINE(p11->C_WrapKey(session, MECHANISM(CKM_AES_KEY_WRAP_KWP), wrapping, key, wrapped, &len));
    FINE(p11->C_UnwrapKey(session, MECHANISM(CKM_AES_KEY_WRAP_KWP), wrapping, wrapped, len,
                          TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC),
                                   A_TRUE(CKA_SIGN), A_TRUE(CKA_ALWAYS_AUTHENTICATE)),
                          &unwrapped));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), unwrapped));
    RV(CKR_USER_NOT_LOGGED_IN, sign_now(session, signature, &signature_len));
    FINE(p11->C_CreateObject(
        session,
        TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC), A_TEXT(CKA_EC_PARAMS, P256),
                 A_TEXT(CKA_VALUE, "\x51\x9b\x42\x3d\x71\x5f\x8b\x58\x1f\x4f\xa8\xee\x59\xf4\x77\x1a"
                                   "\x5b\x44\xc8\x13\x0b\x4e\x3e\xac\xca\x54\xa5\x6d\xda\x72\xb4\x64"),
                 A_TRUE(CKA_SIGN), A_TRUE(CKA_ALWAYS_AUTHENTICATE)),
        &key));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    RV(CKR_USER_NOT_LOGGED_IN, sign_now(session, signature, &signature_len));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    FINE(again(session, USER_PIN));
    FINE(sign_now(session, signature, &signature_len));
}

static void only_private_keys_that_are_private_can_have_it(void **state)
{
    CK_OBJECT_HANDLE public_key, key;

    (void)state;
    RV(CKR_TEMPLATE_INCONSISTENT,
       p11->C_GenerateKeyPair(session, MECHANISM(CKM_EC_KEY_PAIR_GEN), TEMPLATE(A_TEXT(CKA_EC_PARAMS, P256)),
                              TEMPLATE(A_FALSE(CKA_PRIVATE), A_TRUE(CKA_ALWAYS_AUTHENTICATE)), &public_key, &key));
    RV(CKR_ATTRIBUTE_TYPE_INVALID,
       p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                          TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 32), A_TRUE(CKA_ALWAYS_AUTHENTICATE)), &key));
    guarded_ec_pair(&public_key, &key);
    RV(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(session, key, TEMPLATE(A_FALSE(CKA_ALWAYS_AUTHENTICATE))));
}

/* --- the node itself --- */

struct signer {
    CK_OBJECT_HANDLE key;
    unsigned n_signed;
};

static void *sign_with_logins(void *given)
{
    struct signer *signer = given;
    CK_SESSION_HANDLE own = open_session(CKF_RW_SESSION);

    for (int i = 0; i < 8; i++) {
        CK_BYTE signature[64], data[32];
        CK_ULONG len = sizeof(signature);

        RAND_bytes(data, sizeof(data));
        bool logs_in = i % 2;

        FINE(p11->C_SignInit(own, MECHANISM(CKM_ECDSA), signer->key));
        if (logs_in)
            FINE(again(own, USER_PIN));
        RV(logs_in ? CKR_OK : CKR_USER_NOT_LOGGED_IN, p11->C_Sign(own, data, sizeof(data), signature, &len));
        signer->n_signed += logs_in;
    }
    FINE(p11->C_CloseSession(own));
    return NULL;
}

/* One thread's login is no other's: their requests travel together, and each has its own. */
static void threads_log_in_each_for_themselves(void **state)
{
    enum { N = 6 };
    CK_OBJECT_HANDLE public_key, key;
    struct signer signers[N];
    pthread_t threads[N];

    (void)state;
    guarded_ec_pair(&public_key, &key);
    for (int i = 0; i < N; i++) {
        signers[i] = (struct signer){key, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, sign_with_logins, &signers[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(signers[i].n_signed, 4);
    }
}

static void a_child_of_fork_logs_in_for_itself(void **state)
{
    CK_OBJECT_HANDLE public_key, key;
    CK_BYTE signature[64];
    CK_ULONG len = sizeof(signature);

    (void)state;
    guarded_ec_pair(&public_key, &key);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), key));
    pid_t child = fork();
    if (child == 0)
        _exit(again(session, USER_PIN) != CKR_OK || sign_now(session, signature, &len) != CKR_OK);
    expect_child(child);
    RV(CKR_USER_NOT_LOGGED_IN, sign_now(session, signature, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(a_signature_needs_a_login_after_the_beginning),
        user_test(parts_need_one_login_for_all),
        user_test(decryption_needs_a_login_and_asks_for_lengths_after_it),
        user_test(a_wrong_pin_leaves_the_operation_waiting),
        user_test(without_such_an_operation_there_is_nothing_to_log_in_for),
        user_test(the_name_may_come_by_itself),
        user_test(a_login_is_for_the_operation_that_was_begun_last),
        user_test(uses_without_a_beginning_are_refused),
        user_test(imported_and_unwrapped_keys_have_it_too),
        user_test(only_private_keys_that_are_private_can_have_it),
        user_test(threads_log_in_each_for_themselves),
        user_test(a_child_of_fork_logs_in_for_itself),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
