/* What this provider does inside an ASYNC_JOB fits on the job's stack: 32 KiB, taken from the heap, with nothing behind
 * it that would notice. The first operation of a process connects and logs in there. */
#include "openssl_fixture.h"

#include <openssl/async.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <poll.h>
#include <stdlib.h>

#define STACK_LEN 32768 /* crypto/async/arch/async_posix.h */
#define STACKS    16
#define UNTOUCHED 0xa7

/* The rest is what the program and TLS need above us; sanitizers need more. */
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
#define FITS STACK_LEN
#else
#define FITS (STACK_LEN / 4 * 3)
#endif

/* --- allocations of that length are watched --- */

static unsigned char *stacks[STACKS];
static size_t n_stacks;

static void *allocate(size_t len, const char *file, int line)
{
    unsigned char *made = malloc(len);

    (void)file;
    (void)line;
    if (made && len == STACK_LEN && n_stacks < STACKS) {
        memset(made, UNTOUCHED, len);
        stacks[n_stacks++] = made;
    }
    return made;
}

static void *allocate_again(void *before, size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(before, len);
}

static void release(void *what, const char *file, int line)
{
    (void)file;
    (void)line;
    for (size_t i = 0; what && i < n_stacks; i++)
        if (stacks[i] == what)
            stacks[i] = stacks[--n_stacks];
    free(what);
}

/* The most that any of them was used. */
static size_t deepest(void)
{
    size_t most = 0;

    for (size_t i = 0; i < n_stacks; i++) {
        size_t at = 0;

        while (at < STACK_LEN && stacks[i][at] == UNTOUCHED)
            at++;
        if (STACK_LEN - at > most)
            most = STACK_LEN - at;
    }
    return most;
}

/* --- a job --- */

static int run_job(int (*work)(void *), void *argument)
{
    ASYNC_WAIT_CTX *wait = ASYNC_WAIT_CTX_new();
    ASYNC_JOB *job = NULL;
    int result = 0;

    while (ASYNC_start_job(&job, wait, &result, work, &argument, sizeof(argument)) == ASYNC_PAUSE) {
        OSSL_ASYNC_FD descriptor = -1;
        size_t n = 1;

        assert_int_equal(ASYNC_WAIT_CTX_get_all_fds(wait, &descriptor, &n), 1);
        struct pollfd polled = {.fd = descriptor, .events = POLLIN};

        assert_true(poll(&polled, 1, 10000) > 0);
    }
    ASYNC_WAIT_CTX_free(wait);
    return result;
}

static int sign(void *argument)
{
    EVP_PKEY *key = *(EVP_PKEY **)argument;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char signature[512];
    size_t signature_len = sizeof(signature);
    int result = EVP_DigestSignInit_ex(context, NULL, "SHA256", library, NULL, key, NULL) == 1 &&
                 EVP_DigestSign(context, signature, &signature_len, (const unsigned char *)"text", 4) == 1;

    EVP_MD_CTX_free(context);
    return result;
}

static int read_reference(void *argument)
{
    const char *pem = *(const char **)argument;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey_ex(bio, NULL, NULL, NULL, library, NULL);
    int result = key != NULL;

    EVP_PKEY_free(key);
    BIO_free(bio);
    return result;
}

static char pem[4096];
static EVP_PKEY *key;

static int key_begin(void **state)
{
    if (openssl_begin(state) != 0)
        return 1;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t) "P-256", 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(library, "EC", OURS);
    BIO *bio = BIO_new(BIO_s_mem());

    WORKS(EVP_PKEY_keygen_init(context));
    WORKS(EVP_PKEY_CTX_set_params(context, params));
    WORKS(EVP_PKEY_generate(context, &key));
    EVP_PKEY_CTX_free(context);
    WORKS(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
    assert_true(BIO_read(bio, pem, sizeof(pem) - 1) > 0);
    BIO_free(bio);
    return 0;
}

static int key_end(void **state)
{
    EVP_PKEY_free(key);
    return openssl_end(state);
}

/* --- what fits --- */

static void a_jobs_stack_is_enough_to_connect_log_in_and_sign(void **state)
{
    (void)state;
    assert_true(ASYNC_init_thread(2, 2));
    WORKS(run_job(sign, key));
    assert_in_range(deepest(), 1, FITS);
    ASYNC_cleanup_thread();
}

static void a_jobs_stack_is_enough_to_read_a_reference(void **state)
{
    (void)state;
    assert_true(ASYNC_init_thread(2, 2));
    WORKS(run_job(read_reference, pem));
    assert_in_range(deepest(), 1, FITS);
    ASYNC_cleanup_thread();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jobs_stack_is_enough_to_connect_log_in_and_sign),
        cmocka_unit_test(a_jobs_stack_is_enough_to_read_a_reference),
    };

    if (!CRYPTO_set_mem_functions(allocate, allocate_again, release))
        return 1;
    return cmocka_run_group_tests(tests, key_begin, key_end);
}
