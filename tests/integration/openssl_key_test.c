/* Keys of the cluster through OpenSSL's own interface, as servers use it: many asynchronous jobs of one thread, jobs
 * that are given up, threads, children of fork, and private keys that a program brings. What OpenSSL's command does is
 * in openssl_tool_test.py. */
#include "openssl_fixture.h"

#include <openssl/async.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static const unsigned char MESSAGE[] = "what is signed";

static EVP_PKEY *ec_key, *rsa_key;

/* --- keys and signatures --- */

static EVP_PKEY *generate(const char *kind, const char *properties, const OSSL_PARAM *params)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(library, kind, properties);
    EVP_PKEY *key = NULL;

    assert_non_null(context);
    WORKS(EVP_PKEY_keygen_init(context));
    WORKS(EVP_PKEY_CTX_set_params(context, params));
    WORKS(EVP_PKEY_generate(context, &key));
    EVP_PKEY_CTX_free(context);
    return key;
}

static EVP_PKEY *generate_ec(const char *properties)
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t) "P-256", 0),
        OSSL_PARAM_construct_end(),
    };

    return generate("EC", properties, params);
}

static EVP_PKEY *generate_rsa(const char *properties)
{
    size_t bits = 2048;
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_PKEY_PARAM_RSA_BITS, &bits),
                                 OSSL_PARAM_construct_end()};

    return generate("RSA", properties, params);
}

static int keys_begin(void **state)
{
    if (openssl_begin(state) != 0)
        return 1;
    ec_key = generate_ec(OURS);
    rsa_key = generate_rsa(OURS);
    return 0;
}

static int keys_end(void **state)
{
    EVP_PKEY_free(ec_key);
    EVP_PKEY_free(rsa_key);
    return openssl_end(state);
}

struct signing {
    EVP_PKEY *key;
    unsigned char signature[512];
    size_t signature_len;
};

static int sign(struct signing *signing)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    signing->signature_len = sizeof(signing->signature);
    int result = context && EVP_DigestSignInit_ex(context, NULL, "SHA256", library, NULL, signing->key, NULL) == 1 &&
                 EVP_DigestSign(context, signing->signature, &signing->signature_len, MESSAGE, sizeof(MESSAGE)) == 1;

    EVP_MD_CTX_free(context);
    return result;
}

/* By OpenSSL's own provider. */
static int is_good(const struct signing *signing)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char *info = NULL;
    int info_len = i2d_PUBKEY(signing->key, &info);
    const unsigned char *at = info;
    EVP_PKEY *public = d2i_PUBKEY_ex(NULL, &at, info_len, library, THEIRS);
    int result = EVP_DigestVerifyInit_ex(context, NULL, "SHA256", library, THEIRS, public, NULL) == 1 &&
                 EVP_DigestVerify(context, signing->signature, signing->signature_len, MESSAGE, sizeof(MESSAGE)) == 1;

    OPENSSL_free(info);
    EVP_PKEY_free(public);
    EVP_MD_CTX_free(context);
    return result;
}

/* --- jobs --- */

#define N_JOBS 500

struct job {
    ASYNC_JOB *job;
    ASYNC_WAIT_CTX *wait;
    struct signing signing;
    int result;
    bool finished;
};

static int sign_in_job(void *argument)
{
    return sign(*(struct signing **)argument);
}

static void start_or_resume(struct job *job)
{
    struct signing *signing = &job->signing;

    switch (ASYNC_start_job(&job->job, job->wait, &job->result, sign_in_job, &signing, sizeof(signing))) {
    case ASYNC_FINISH:
        job->finished = true;
        break;
    case ASYNC_PAUSE:
        break;
    default:
        fail_msg("a job cannot be started");
    }
}

static int descriptor_of(const struct job *job)
{
    OSSL_ASYNC_FD descriptor = -1;
    size_t n = 0;

    assert_int_equal(ASYNC_WAIT_CTX_get_all_fds(job->wait, NULL, &n), 1);
    assert_int_equal(n, 1);
    assert_int_equal(ASYNC_WAIT_CTX_get_all_fds(job->wait, &descriptor, &n), 1);
    return descriptor;
}

static void begin_jobs(struct job *jobs, size_t n)
{
    assert_true(ASYNC_init_thread(n, 0));
    for (size_t i = 0; i < n; i++) {
        jobs[i].wait = ASYNC_WAIT_CTX_new();
        jobs[i].signing.key = i % 8 == 0 ? rsa_key : ec_key;
        start_or_resume(&jobs[i]);
    }
}

/* Resumes those whose descriptors say so, as an event loop does, until all have finished. */
static unsigned run_jobs(struct job *jobs, size_t n)
{
    static struct pollfd polled[N_JOBS];
    static struct job *of[N_JOBS];
    unsigned n_resumed = 0;

    for (;;) {
        nfds_t n_waiting = 0;

        for (size_t i = 0; i < n; i++) {
            if (jobs[i].finished || !jobs[i].wait)
                continue;
            of[n_waiting] = &jobs[i];
            polled[n_waiting++] = (struct pollfd){.fd = descriptor_of(&jobs[i]), .events = POLLIN};
        }
        if (n_waiting == 0)
            return n_resumed;
        assert_true(poll(polled, n_waiting, 10000) > 0);
        for (nfds_t i = 0; i < n_waiting; i++) {
            if ((polled[i].revents & POLLIN) == 0)
                continue;
            start_or_resume(of[i]);
            n_resumed++;
        }
    }
}

static void end_jobs(struct job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ASYNC_WAIT_CTX_free(jobs[i].wait);
    ASYNC_cleanup_thread();
}

static void one_thread_keeps_hundreds_of_signatures_in_flight(void **state)
{
    static struct job jobs[N_JOBS];

    (void)state;
    memset(jobs, 0, sizeof(jobs));
    begin_jobs(jobs, N_JOBS);
    unsigned n_paused = 0;

    for (size_t i = 0; i < N_JOBS; i++)
        n_paused += !jobs[i].finished;
    assert_true(n_paused > 0);
    unsigned n_resumed = run_jobs(jobs, N_JOBS);

    for (size_t i = 0; i < N_JOBS; i++) {
        assert_int_equal(jobs[i].result, 1);
        assert_true(is_good(&jobs[i].signing));
    }
    /* Each is resumed when its answer is there; the leader also when another's is. */
    assert_true(n_resumed < 4 * N_JOBS);
    end_jobs(jobs, N_JOBS);
}

static void a_context_serves_one_operation_after_another(void **state)
{
    static struct job job;

    (void)state;
    memset(&job, 0, sizeof(job));
    begin_jobs(&job, 1);
    for (unsigned i = 0; i < 20; i++) {
        run_jobs(&job, 1);
        assert_int_equal(job.result, 1);
        assert_true(is_good(&job.signing));
        job.finished = false;
        job.job = NULL;
        start_or_resume(&job);
    }
    run_jobs(&job, 1);
    end_jobs(&job, 1);
}

/* The program lets go of connections while their jobs are paused, the leader's among them: the others go on. */
static void jobs_that_are_given_up_leave_the_others_going(void **state)
{
    static struct job jobs[64];

    (void)state;
    memset(jobs, 0, sizeof(jobs));
    begin_jobs(jobs, 64);
    for (size_t i = 0; i < 64; i++) {
        if (i % 2 != 0 || jobs[i].finished)
            continue;
        ASYNC_WAIT_CTX_free(jobs[i].wait);
        jobs[i].wait = NULL;
    }
    run_jobs(jobs, 64);
    for (size_t i = 0; i < 64; i++) {
        if (!jobs[i].wait)
            continue;
        assert_int_equal(jobs[i].result, 1);
        assert_true(is_good(&jobs[i].signing));
    }
    for (size_t i = 0; i < 64; i++)
        ASYNC_WAIT_CTX_free(jobs[i].wait);
}

static void a_job_that_fails_says_why(void **state)
{
    static struct job job;
    EVP_PKEY *verifying = generate_ec(OURS);

    (void)state;
    memset(&job, 0, sizeof(job));
    hsm_key object;
    hsm_find *find;
    uint64_t class = HSM_CLASS_PRIVATE_KEY;
    const hsm_attribute wanted[] = {hsm_attribute_uint(HSM_ATTR_CLASS, &class), hsm_attribute_bool(HSM_ATTR_TOKEN, 1)};
    size_t n = 1;

    OK(hsm_find_open(session, wanted, 2, NULL, 0, &find));
    while (hsm_find_next(find, &object, NULL, 1, &n) == HSM_OK && n == 1) {
        uint8_t info[200];
        size_t info_len = sizeof(info);
        unsigned char *ours = NULL;
        int ours_len = i2d_PUBKEY(verifying, &ours);

        if (hsm_key_export_public(session, object, info, &info_len) == HSM_OK && info_len == (size_t)ours_len &&
            memcmp(info, ours, info_len) == 0)
            OK(hsm_object_delete(session, object));
        OPENSSL_free(ours);
    }
    hsm_find_close(find);
    assert_true(ASYNC_init_thread(1, 0));
    job.wait = ASYNC_WAIT_CTX_new();
    job.signing.key = verifying;
    start_or_resume(&job);
    run_jobs(&job, 1);
    REFUSED(hsm_status_text(HSM_OBJECT_NOT_FOUND), job.result);
    end_jobs(&job, 1);
    EVP_PKEY_free(verifying);
}

/* --- threads and processes --- */

static void *sign_many(void *argument)
{
    struct signing signing = {.key = argument};
    uintptr_t n_good = 0;

    for (unsigned i = 0; i < 50; i++)
        n_good += sign(&signing) && is_good(&signing);
    return (void *)n_good;
}

static void threads_share_a_key(void **state)
{
    pthread_t threads[8];

    (void)state;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_many, i % 2 ? ec_key : rsa_key), 0);
    for (size_t i = 0; i < 8; i++) {
        void *n_good;

        pthread_join(threads[i], &n_good);
        assert_int_equal((uintptr_t)n_good, 50);
    }
}

/* Children sign with what their parent had, asynchronously too, and so does the parent afterwards. */
static void children_go_on_with_the_parents_keys(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        pid_t child = fork();

        if (child == 0) {
            static struct job job;
            struct signing signing = {.key = ec_key};

            memset(&job, 0, sizeof(job));
            begin_jobs(&job, 1);
            run_jobs(&job, 1);
            _exit(sign(&signing) && is_good(&signing) && job.result == 1 && is_good(&job.signing) ? 0 : 1);
        }
        int status = -1;

        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    struct signing signing = {.key = ec_key};

    assert_true(sign(&signing) && is_good(&signing));
}

/* A child that lets go of its parent's paused jobs takes nothing from the parent. */
static void children_leave_their_parents_jobs_alone(void **state)
{
    static struct job jobs[16];

    (void)state;
    memset(jobs, 0, sizeof(jobs));
    begin_jobs(jobs, 16);
    pid_t child = fork();

    if (child == 0) {
        for (size_t i = 0; i < 16; i++)
            ASYNC_WAIT_CTX_free(jobs[i].wait);
        _exit(0);
    }
    int status = -1;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    run_jobs(jobs, 16);
    for (size_t i = 0; i < 16; i++)
        assert_true(jobs[i].result == 1 && is_good(&jobs[i].signing));
    end_jobs(jobs, 16);
}

/* --- private keys of the program's own --- */

/* Another provider's key, in an operation of ours. */
static int sign_with(OSSL_LIB_CTX *in, EVP_PKEY *key, struct signing *signing)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(in, key, OURS);
    const unsigned char digest[32] = {1};

    signing->signature_len = sizeof(signing->signature);
    int result = context && EVP_PKEY_sign_init(context) == 1 &&
                 EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
                 EVP_PKEY_sign(context, signing->signature, &signing->signature_len, digest, sizeof(digest)) == 1;

    EVP_PKEY_CTX_free(context);
    return result;
}

static void a_private_key_is_taken_in_only_where_the_configuration_says_so(void **state)
{
    const struct world *world = *state;
    OSSL_LIB_CTX *other = library_with(world, "import = yes");
    EVP_PKEY *keys[] = {generate_ec(THEIRS), generate_rsa(THEIRS)};
    struct signing signing;
    size_t n_before = n_objects();

    for (size_t i = 0; i < 2; i++) {
        EVP_PKEY *theirs = NULL;
        unsigned char *der = NULL;
        int der_len = i2d_PrivateKey(keys[i], &der);
        const unsigned char *at = der;

        assert_false(sign_with(library, keys[i], &signing));
        ERR_clear_error();
        theirs = d2i_AutoPrivateKey_ex(NULL, &at, der_len, other, THEIRS);
        assert_non_null(theirs);
        WORKS(sign_with(other, theirs, &signing));
        assert_int_equal(n_objects(), n_before); /* it is a session object of the provider's */
        EVP_PKEY_free(theirs);
        OPENSSL_clear_free(der, (size_t)der_len);
        EVP_PKEY_free(keys[i]);
    }
    OSSL_LIB_CTX_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_keeps_hundreds_of_signatures_in_flight),
        cmocka_unit_test(a_context_serves_one_operation_after_another),
        cmocka_unit_test(jobs_that_are_given_up_leave_the_others_going),
        cmocka_unit_test(a_job_that_fails_says_why),
        cmocka_unit_test(threads_share_a_key),
        cmocka_unit_test(children_go_on_with_the_parents_keys),
        cmocka_unit_test(children_leave_their_parents_jobs_alone),
        cmocka_unit_test(a_private_key_is_taken_in_only_where_the_configuration_says_so),
    };

    return cmocka_run_group_tests(tests, keys_begin, keys_end);
}
