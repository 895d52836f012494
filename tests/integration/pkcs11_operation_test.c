/* The rules of operations, shown with signatures and digests (PKCS#11 2.40, 5.2): how they begin, go on and end, one
 * beside the other and in many threads. */
#include "pkcs11_fixture.h"

#include <pthread.h>

#define ROOM RESULT_ROOM

static CK_BYTE message[] = "what is signed";
#define MESSAGE message, sizeof(message) - 1

static void asking_for_the_length_leaves_the_operation_active(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE signature[ROOM];
    CK_ULONG len = 0;

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), private_key));
    FINE(p11->C_Sign(session, MESSAGE, NULL, &len));
    assert_int_equal(len, 64);
    FINE(p11->C_Sign(session, MESSAGE, NULL, &len));
    len = 63;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_Sign(session, MESSAGE, signature, &len));
    assert_int_equal(len, 64);
    FINE(p11->C_Sign(session, MESSAGE, signature, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_Sign(session, MESSAGE, signature, &len));
    FINE(verify_at_once(MECHANISM(CKM_ECDSA_SHA256), public_key, MESSAGE, signature, len));
}

static void an_operation_in_parts_takes_no_single_part(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_BYTE mac[16];
    CK_ULONG len = sizeof(mac);

    (void)state;
    FINE(p11->C_SignInit(session, MECHANISM(CKM_AES_CMAC), key));
    FINE(p11->C_SignUpdate(session, message, 4));
    RV(CKR_OPERATION_ACTIVE, p11->C_Sign(session, MESSAGE, mac, &len));
    RV(CKR_OPERATION_ACTIVE, p11->C_SignInit(session, MECHANISM(CKM_AES_CMAC), key));
    FINE(p11->C_SignFinal(session, mac, &len));
    FINE(p11->C_VerifyInit(session, MECHANISM(CKM_AES_CMAC), key));
    FINE(p11->C_VerifyUpdate(session, message, 4));
    RV(CKR_OPERATION_ACTIVE, p11->C_Verify(session, message, 4, mac, len));
    FINE(p11->C_VerifyFinal(session, mac, len));
}

static void nothing_goes_on_that_was_not_begun(void **state)
{
    CK_BYTE mac[16] = {0};
    CK_ULONG len = sizeof(mac);

    (void)state;
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_Sign(session, MESSAGE, mac, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignUpdate(session, MESSAGE));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignFinal(session, mac, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_Verify(session, MESSAGE, mac, len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyUpdate(session, MESSAGE));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyFinal(session, mac, len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_Digest(session, MESSAGE, mac, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestUpdate(session, MESSAGE));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestFinal(session, mac, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestKey(session, 1));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignRecover(session, MESSAGE, mac, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyRecover(session, mac, len, mac, &len));
}

static void keys_of_another_type_or_use_are_refused_at_once(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key, aes = aes_key_of(16), verifies;
    CK_OBJECT_HANDLE data;

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    RV(CKR_KEY_TYPE_INCONSISTENT, p11->C_SignInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), private_key));
    RV(CKR_KEY_TYPE_INCONSISTENT, p11->C_SignInit(session, MECHANISM(CKM_ECDSA), aes));
    RV(CKR_KEY_TYPE_INCONSISTENT, p11->C_SignInit(session, MECHANISM(CKM_AES_CMAC), private_key));
    RV(CKR_KEY_TYPE_INCONSISTENT, p11->C_VerifyInit(session, MECHANISM(CKM_EDDSA), public_key));
    REFUSED(p11->C_SignInit(session, MECHANISM(CKM_ECDSA), public_key));
    REFUSED(p11->C_VerifyInit(session, MECHANISM(CKM_ECDSA), private_key));
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_TRUE(CKA_VERIFY), A_FALSE(CKA_SIGN)), &verifies));
    RV(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_SignInit(session, MECHANISM(CKM_AES_CMAC), verifies));
    FINE(p11->C_VerifyInit(session, MECHANISM(CKM_AES_CMAC), verifies));
    FINE(p11->C_CreateObject(session, TEMPLATE(A_NUMBER(CKA_CLASS, CKO_DATA), A_TEXT(CKA_VALUE, "x")), &data));
    REFUSED(p11->C_SignInit(session, MECHANISM(CKM_AES_CMAC), data));
    RV(CKR_MECHANISM_INVALID, p11->C_SignInit(session, MECHANISM(CKM_AES_GCM), aes));
    RV(CKR_MECHANISM_INVALID, p11->C_SignInit(session, MECHANISM(CKM_MD5_RSA_PKCS), private_key));
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_SignInit(session, MECHANISM_OF(CKM_ECDSA, message, 5), private_key));
    RV(CKR_KEY_TYPE_INCONSISTENT, p11->C_SignRecoverInit(session, MECHANISM(CKM_RSA_PKCS), private_key));
    RV(CKR_KEY_TYPE_INCONSISTENT, p11->C_VerifyRecoverInit(session, MECHANISM(CKM_RSA_PKCS), public_key));
    RV(CKR_MECHANISM_INVALID, p11->C_SignRecoverInit(session, MECHANISM(CKM_SHA256_RSA_PKCS), private_key));
    RV(CKR_MECHANISM_INVALID, p11->C_SignRecoverInit(session, MECHANISM(CKM_RSA_X_509), private_key)); /* by policy */
}

static void a_failed_operation_has_ended(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE signature[64] = {1};

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    RV(CKR_SIGNATURE_INVALID, verify_at_once(MECHANISM(CKM_ECDSA_SHA256), public_key, MESSAGE, signature, 64));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_Verify(session, MESSAGE, signature, 64));
    RV(CKR_SIGNATURE_LEN_RANGE, verify_at_once(MECHANISM(CKM_ECDSA_SHA256), public_key, MESSAGE, signature, 20));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_Verify(session, MESSAGE, signature, 64));
    REFUSED(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), NO_HANDLE));
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), private_key)); /* a failed Init began nothing */
}

static void operations_are_cancelled_by_flags_or_by_a_null_mechanism(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_MECHANISM *cmac = MECHANISM(CKM_AES_CMAC);
    CK_BYTE mac[16];
    CK_ULONG len = sizeof(mac);

    (void)state;
    FINE(p11->C_SignInit(session, cmac, key));
    FINE(p11->C_SignUpdate(session, message, 4));
    FINE(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    FINE(p11->C_VerifyInit(session, cmac, key));
    FINE(p11->C_SessionCancel(session, CKF_SIGN | CKF_DIGEST));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignFinal(session, mac, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestUpdate(session, MESSAGE));
    FINE(p11->C_VerifyUpdate(session, MESSAGE)); /* not among the flags */
    FINE(p11->C_VerifyInit(session, NULL, 0));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyUpdate(session, MESSAGE));
    FINE(p11->C_SignInit(session, cmac, key));
    FINE(p11->C_SignInit(session, NULL, CK_INVALID_HANDLE));
    FINE(p11->C_SignInit(session, cmac, key));
    FINE(p11->C_FindObjectsInit(session, NULL, 0));
    FINE(p11->C_SessionCancel(session, CKF_FIND_OBJECTS));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjectsFinal(session));
}

static void different_operations_go_on_side_by_side(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_BYTE mac[16], digest[32], expected[32];
    CK_ULONG len = sizeof(mac), digest_len = sizeof(digest);

    (void)state;
    FINE(p11->C_SignInit(session, MECHANISM(CKM_AES_CMAC), key));
    FINE(p11->C_DigestInit(session, MECHANISM(CKM_SHA256)));
    FINE(p11->C_FindObjectsInit(session, NULL, 0));
    FINE(p11->C_SignUpdate(session, MESSAGE));
    FINE(p11->C_DigestUpdate(session, MESSAGE));
    FINE(p11->C_SignFinal(session, mac, &len));
    FINE(p11->C_DigestFinal(session, digest, &digest_len));
    FINE(p11->C_FindObjectsFinal(session));
    assert_true(EVP_Q_digest(NULL, "SHA256", NULL, MESSAGE, expected, NULL));
    assert_memory_equal(digest, expected, 32);
    FINE(verify_at_once(MECHANISM(CKM_AES_CMAC), key, MESSAGE, mac, 16));
}

/* --- threads --- */

enum { THREADS = 8, ROUNDS = 40 };

struct worker {
    pthread_t thread;
    CK_SESSION_HANDLE in;
    CK_OBJECT_HANDLE private_key, public_key;
    CK_RV rv;
    int n_done;
};

static CK_RV sign_and_verify(const struct worker *worker, CK_BYTE *data, CK_ULONG data_len)
{
    CK_BYTE signature[64];
    CK_ULONG len = sizeof(signature);
    CK_RV rv = p11->C_SignInit(worker->in, MECHANISM(CKM_ECDSA_SHA256), worker->private_key);

    if (rv == CKR_OK)
        rv = p11->C_Sign(worker->in, data, data_len, signature, &len);
    if (rv == CKR_OK)
        rv = p11->C_VerifyInit(worker->in, MECHANISM(CKM_ECDSA_SHA256), worker->public_key);
    return rv == CKR_OK ? p11->C_Verify(worker->in, data, data_len, signature, len) : rv;
}

static void *work_in_own_session(void *argument)
{
    struct worker *worker = argument;

    for (int i = 0; i < ROUNDS && worker->rv == CKR_OK; i++) {
        CK_BYTE data[8] = {(CK_BYTE)i, (CK_BYTE)worker->in};

        worker->rv = sign_and_verify(worker, data, sizeof(data));
    }
    return NULL;
}

static void many_threads_sign_in_their_own_sessions(void **state)
{
    struct worker workers[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.in = open_session(0)};
        ec_pair(P256, sizeof(P256) - 1, &workers[i].public_key, &workers[i].private_key);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_create(&workers[i].thread, NULL, work_in_own_session, &workers[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++)
        FINE(workers[i].rv);
}

static void *work_in_shared_session(void *argument)
{
    struct worker *worker = argument;
    CK_BYTE digest[32];

    for (int i = 0; i < 10 * ROUNDS; i++) {
        CK_ULONG len = sizeof(digest);
        CK_RV rv = p11->C_DigestInit(worker->in, MECHANISM(CKM_SHA256));

        if (rv == CKR_OK)
            rv = p11->C_Digest(worker->in, message, sizeof(message), digest, &len);
        worker->n_done += rv == CKR_OK;
        /* What the standard lets a session say that two threads share without a lock. */
        if (rv != CKR_OK && rv != CKR_OPERATION_ACTIVE && rv != CKR_OPERATION_NOT_INITIALIZED)
            worker->rv = rv;
        rv = sign_and_verify(worker, message, sizeof(message));
        worker->n_done += rv == CKR_OK;
        if (rv != CKR_OK && rv != CKR_OPERATION_ACTIVE && rv != CKR_OPERATION_NOT_INITIALIZED &&
            rv != CKR_SIGNATURE_INVALID)
            worker->rv = rv;
        if (i % 10 == 0)
            (void)p11->C_SessionCancel(worker->in, CKF_SIGN | CKF_VERIFY);
    }
    return NULL;
}

static void a_session_shared_by_threads_stays_in_order(void **state)
{
    struct worker workers[THREADS];
    CK_OBJECT_HANDLE public_key, private_key;
    int n_done = 0;

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.in = session, .public_key = public_key, .private_key = private_key};
        pthread_create(&workers[i].thread, NULL, work_in_shared_session, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) {
        FINE(workers[i].rv);
        n_done += workers[i].n_done;
    }
    assert_true(n_done > 0);
    (void)p11->C_SessionCancel(session, (CK_FLAGS)-1);
    FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), private_key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(asking_for_the_length_leaves_the_operation_active),
        user_test(an_operation_in_parts_takes_no_single_part),
        user_test(nothing_goes_on_that_was_not_begun),
        user_test(keys_of_another_type_or_use_are_refused_at_once),
        user_test(a_failed_operation_has_ended),
        user_test(operations_are_cancelled_by_flags_or_by_a_null_mechanism),
        user_test(different_operations_go_on_side_by_side),
        user_test(many_threads_sign_in_their_own_sessions),
        user_test(a_session_shared_by_threads_stays_in_order),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
