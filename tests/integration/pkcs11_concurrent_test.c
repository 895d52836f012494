/* The module in children of fork, and under many threads. */
#include "pkcs11_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
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

/* --- fork: a child cannot fail the test, its exit code does --- */

#define CHILD_NEEDS(expected, call)                                                                                    \
    do {                                                                                                               \
        CK_RV child_rv_ = (call);                                                                                      \
        if (child_rv_ != (expected)) {                                                                                 \
            fprintf(stderr, "child: %s:%d: %s gave %s\n", __FILE__, __LINE__, #call, rv_name(child_rv_));              \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

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
    atomic_bool *stop;
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
    atomic_bool stop = false;
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

/* PKCS#11 has no word for it: the login that a child inherits is its parent's. */
static void a_childs_logins_and_logouts_leave_its_parents_alone(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(16);

    (void)state;
    if (over_nng()) /* which is refused in a child: transport_nng.c */
        skip();
    FINE(mac(session, key));
    pid_t child = fork();

    if (child == 0) {
        CHILD_NEEDS(CKR_OK, p11->C_Logout(session));
        CHILD_NEEDS(CKR_OK, log_in(session, CKU_USER, USER_PIN));
        CHILD_NEEDS(CKR_OK, p11->C_Logout(session));
        CHILD_NEEDS(CKR_OK, p11->C_CloseAllSessions(0));
        _exit(0);
    }
    expect_child(child);
    FINE(mac(session, key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(a_child_goes_on_with_what_its_parent_had),
        user_test(a_child_may_initialize_anew),
        user_test(children_are_whole_when_threads_were_using_the_module),
        user_test(threads_open_and_close_sessions_at_once),
        user_test(a_session_may_be_closed_while_others_use_it),
        user_test(finalize_while_others_use_the_module_is_survived),
        user_test(a_childs_logins_and_logouts_leave_its_parents_alone),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
