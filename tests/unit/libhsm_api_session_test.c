/* Sessions over a core without a network: expired logins, session objects, errors, locks across fork. */
#include "libhsm_api_fake_core.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include "api_lock.h"
#include "library_context.h"
#include "protocol/catalog.h"
#include "protocol/generation.h"
#include "protocol/writer.h"

static hsm_cluster *cluster;
static hsm_session *session;

static int begin(void **state)
{
    (void)state;
    fake_open(&cluster, &session);
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_close(cluster, session);
    return 0;
}

/* --- logins that expire --- */

static atomic_int n_logins;
static atomic_bool expired;

static status_code expiring_node(const struct core_request *request, struct values *answer)
{
    static uint8_t bytes[64];

    if (fake_login(request, answer)) {
        assert_true(values_has(request->fields, FIELD_TICKET)); /* so that the session is kept */
        usleep(20000);
        atomic_fetch_add(&n_logins, 1);
        atomic_store(&expired, false);
        return STATUS_OK;
    }
    if (atomic_load(&expired))
        FAIL(STATUS_TICKET_EXPIRED, "log in again");
    values_put_bytes(answer, FIELD_OUTPUT, slice_of(bytes, values_uint(request->fields, FIELD_OUTPUT_LEN, 0)));
    return STATUS_OK;
}

static void *ask(void *argument)
{
    uint8_t byte;

    (void)argument;
    return (void *)(intptr_t)hsm_random(session, &byte, 1);
}

static void threads_with_an_expired_login_log_in_once(void **state)
{
    pthread_t threads[8];
    void *result;

    (void)state;
    fake_answer = expiring_node;
    atomic_store(&n_logins, 0);
    atomic_store(&expired, true);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, NULL), 0);
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], &result);
        assert_int_equal((intptr_t)result, HSM_OK);
    }
    assert_int_equal(atomic_load(&n_logins), 1);
}

static void a_login_that_is_kept_is_renewed_until_its_logout(void **state)
{
    uint8_t byte;

    (void)state;
    assert_int_equal(hsm_login_kept(session, "tester", "password", 8), HSM_OK);
    fake_answer = expiring_node;
    atomic_store(&n_logins, 0);
    atomic_store(&expired, true);
    assert_int_equal(hsm_random(session, &byte, 1), HSM_OK);
    assert_int_equal(atomic_load(&n_logins), 1);
    assert_int_equal(hsm_logout(session), HSM_OK);
    assert_int_equal(hsm_random(session, &byte, 1), HSM_NOT_LOGGED_IN);
    assert_int_equal(atomic_load(&n_logins), 1);
}

/* --- time limits --- */

static uint32_t seen_timeout_ms;

static status_code node_that_looks_at_the_time(const struct core_request *request, struct values *answer)
{
    static uint8_t byte;

    seen_timeout_ms = request->timeout_ms;
    if (!fake_login(request, answer))
        values_put_bytes(answer, FIELD_OUTPUT, slice_of(&byte, 1));
    return STATUS_OK;
}

static void calls_take_no_longer_than_their_session_allows(void **state)
{
    uint8_t byte;

    (void)state;
    fake_answer = node_that_looks_at_the_time;
    assert_int_equal(hsm_session_set_timeout(session, 250), HSM_OK);
    assert_int_equal(hsm_random(session, &byte, 1), HSM_OK);
    assert_int_equal(seen_timeout_ms, 250);
    assert_int_equal(hsm_login(session, "tester", "password", 8), HSM_OK);
    assert_int_equal(seen_timeout_ms, 250);
    assert_int_equal(hsm_session_set_timeout(session, 0), HSM_OK);
    assert_int_equal(hsm_random(session, &byte, 1), HSM_OK);
    assert_int_equal(seen_timeout_ms, 0); /* as the configuration has it */
    assert_int_equal(hsm_session_set_timeout(session, 9), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_session_set_timeout(session, 3600001), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_session_set_timeout(NULL, 100), HSM_INVALID_ARGUMENT);
}

static status_code node_that_cannot_be_reached_to_log_in(const struct core_request *request, struct values *answer)
{
    (void)answer;
    if (request->operation == OP_LOGIN) {
        usleep(20000);
        FAIL(STATUS_UNAVAILABLE, "no node answered in time");
    }
    FAIL(STATUS_TICKET_EXPIRED, "log in again");
}

/* The login is as good as before: to be told that it has ended would make a program give up what it has. */
static void an_outage_is_told_to_all_who_wait_for_the_login(void **state)
{
    pthread_t threads[8];
    void *result;

    (void)state;
    assert_int_equal(hsm_login_kept(session, "tester", "password", 8), HSM_OK);
    fake_answer = node_that_cannot_be_reached_to_log_in;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, NULL), 0);
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], &result);
        assert_int_equal((intptr_t)result, HSM_UNAVAILABLE);
    }
}

static void a_forgotten_login_is_not_told_to_nodes(void **state)
{
    hsm_login_info info = {.size = sizeof(info)};
    uint8_t byte;

    (void)state;
    assert_int_equal(hsm_login_kept(session, "tester", "password", 8), HSM_OK);
    fake_answer = node_that_cannot_be_reached_to_log_in;
    assert_int_equal(hsm_login_forget(session), HSM_OK);
    assert_int_equal(hsm_random(session, &byte, 1), HSM_NOT_LOGGED_IN);
    assert_int_equal(hsm_session_login_info(session, &info), HSM_OK);
    assert_string_equal(info.user, "");
}

static status_code node_that_knows_another_password(const struct core_request *request, struct values *answer)
{
    (void)answer;
    if (request->operation == OP_LOGIN) {
        atomic_fetch_add(&n_logins, 1);
        FAIL(STATUS_LOGIN_FAILED, "wrong user name or password");
    }
    FAIL(STATUS_TICKET_EXPIRED, "log in again");
}

static void a_kept_password_that_was_changed_is_tried_once(void **state)
{
    uint8_t byte;

    (void)state;
    assert_int_equal(hsm_login_kept(session, "tester", "password", 8), HSM_OK);
    fake_answer = node_that_knows_another_password;
    atomic_store(&n_logins, 0);
    assert_int_equal(hsm_random(session, &byte, 1), HSM_TICKET_EXPIRED);
    assert_int_equal(hsm_random(session, &byte, 1), HSM_TICKET_EXPIRED);
    assert_int_equal(atomic_load(&n_logins), 1);
}

static void without_credentials_an_expired_login_is_told(void **state)
{
    uint8_t byte;

    (void)state;
    assert_int_equal(hsm_login(session, "tester", "password", 8), HSM_OK);
    fake_answer = expiring_node;
    atomic_store(&n_logins, 0);
    atomic_store(&expired, true);
    assert_int_equal(hsm_random(session, &byte, 1), HSM_TICKET_EXPIRED);
    assert_string_equal(hsm_last_error()->detail, "log in again");
    assert_int_equal(atomic_load(&n_logins), 0);
}

/* --- session objects --- */

#define GENERATION "tick" /* that the fake node's tickets begin with */

static uint8_t blob_sent[64];
static size_t blob_sent_len;
static const char *blob_generation = GENERATION;
static unsigned n_exchanged;

static status_code sealing_node(const struct core_request *request, struct values *answer)
{
    static uint8_t blob[32], encoded[64];
    struct bytes attributes = BYTES_INIT;

    if (request->operation == OP_OBJECT_SET) {
        n_exchanged++;
        memcpy(blob, values_bytes(request->fields, FIELD_BLOB).data, sizeof(blob));
        memcpy(blob, blob_generation = GENERATION, GENERATION_LEN);
        values_put_bytes(answer, FIELD_BLOB, slice_of(blob, sizeof(blob)));
        return STATUS_OK;
    }
    if (request->operation != OP_KEY_GENERATE) {
        struct slice sent = values_bytes(request->fields, FIELD_BLOB);

        blob_sent_len = sent.len;
        if (sent.len)
            memcpy(blob_sent, sent.data, sent.len);
        values_put_bytes(answer, FIELD_OUTPUT, slice_text("0123456789abcdef"));
        return STATUS_OK;
    }
    struct slice id = values_bytes(request->fields, FIELD_OBJECT_ID);
    memcpy(blob, blob_generation, GENERATION_LEN);
    memcpy(blob + GENERATION_LEN, id.data, ID_LEN);
    write_map(&attributes, 1);
    write_uint(&attributes, ATTRIBUTE_LABEL);
    write_bin(&attributes, slice_text("mine"));
    memcpy(encoded, attributes.data, attributes.len);
    values_put_bytes(answer, FIELD_OBJECT_ID, id);
    values_put_bytes(answer, FIELD_BLOB, slice_of(blob, sizeof(blob)));
    values_put_bytes(answer, FIELD_ATTRIBUTES, slice_of(encoded, attributes.len));
    bytes_release(&attributes);
    return STATUS_OK;
}

static void a_session_key_travels_with_its_requests(void **state)
{
    hsm_mechanism cmac = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_CMAC);
    hsm_key keys[100], other = {{9}};
    uint8_t mac[16];
    size_t len = sizeof(mac);

    (void)state;
    fake_answer = sealing_node;
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(hsm_key_generate(session, HSM_MECHANISM_AES_KEY_GEN, NULL, 0, &keys[i]), HSM_OK);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(hsm_sign(session, keys[i], &cmac, "x", 1, mac, &len), HSM_OK);
        assert_int_equal(blob_sent_len, 32);
        assert_memory_equal(blob_sent + GENERATION_LEN, keys[i].id, ID_LEN);
    }
    assert_int_equal(hsm_sign(session, other, &cmac, "x", 1, mac, &len), HSM_OK);
    assert_int_equal(blob_sent_len, 0);
    assert_int_equal(hsm_object_delete(session, keys[50]), HSM_OK);
    assert_int_equal(hsm_sign(session, keys[50], &cmac, "x", 1, mac, &len), HSM_OK);
    assert_int_equal(blob_sent_len, 0);
    assert_int_equal(hsm_sign(session, keys[51], &cmac, "x", 1, mac, &len), HSM_OK);
    assert_int_equal(blob_sent_len, 32);
}

static void a_session_key_under_a_replaced_masking_key_is_exchanged_once(void **state)
{
    hsm_mechanism cmac = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_CMAC);
    hsm_key key;
    uint8_t mac[16];
    size_t len = sizeof(mac);

    (void)state;
    fake_answer = sealing_node;
    n_exchanged = 0;
    blob_generation = "\0\0\0\1";
    assert_int_equal(hsm_key_generate(session, HSM_MECHANISM_AES_KEY_GEN, NULL, 0, &key), HSM_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hsm_sign(session, key, &cmac, "x", 1, mac, &len), HSM_OK);
        assert_memory_equal(blob_sent, GENERATION, GENERATION_LEN);
        assert_memory_equal(blob_sent + GENERATION_LEN, key.id, ID_LEN);
    }
    assert_int_equal(n_exchanged, 1);
}

static status_code malformed_node(const struct core_request *request, struct values *answer)
{
    (void)request;
    /* A map of one attribute that says it has 200 bytes. */
    values_put_bytes(answer, FIELD_ATTRIBUTES, slice_of("\x81\x03\xc4\xc8", 4));
    return STATUS_OK;
}

static void malformed_attributes_are_an_error(void **state)
{
    hsm_attributes *attributes = NULL;
    hsm_key key = {{1}};

    (void)state;
    fake_answer = malformed_node;
    assert_int_equal(hsm_object_get(session, key, NULL, 0, &attributes), HSM_PROTOCOL_ERROR);
    assert_null(attributes);
}

static status_code refusing_node(const struct core_request *request, struct values *answer)
{
    (void)request, (void)answer;
    FAIL(STATUS_NOT_PERMITTED, "only on Sundays");
}

static void the_last_error_tells_what_where_and_why(void **state)
{
    hsm_key key = {{1}};

    (void)state;
    fake_answer = refusing_node;
    assert_int_equal(hsm_object_delete(session, key), HSM_NOT_PERMITTED);
    assert_int_equal(hsm_last_error()->status, HSM_NOT_PERMITTED);
    assert_string_equal(hsm_last_error()->detail, "only on Sundays");
    assert_string_equal(hsm_last_error()->node, "fake node");
    assert_string_equal(hsm_last_error()->operation, "OBJECT_DELETE");
    assert_int_equal(hsm_digest(HSM_HASH_SHA256, "x", 1, (uint8_t[32]){0}, &(size_t){32}), HSM_OK);
    assert_int_equal(hsm_last_error()->status, HSM_NOT_PERMITTED);
    assert_int_equal(hsm_user_delete(session, NULL), HSM_INVALID_ARGUMENT);
    assert_string_equal(hsm_last_error()->node, "");
    assert_string_equal(hsm_last_error()->operation, "");
}

static void a_lock_held_by_the_parent_does_not_stop_the_child(void **state)
{
    struct api_lock lock = {0};
    int result = -1;

    (void)state;
    api_lock_take(&lock);
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        api_lock_take(&lock);
        api_lock_give(&lock);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    api_lock_give(&lock);
}

/* A thread of the parent may have been within it, holding locks that the child would wait for. */
static void a_child_leaves_its_parents_openssl_context_alone(void **state)
{
    const OSSL_LIB_CTX *of_parent = library_context();
    int result = -1;

    (void)state;
    assert_non_null(of_parent);
    assert_ptr_equal(library_context(), of_parent);
    pid_t child = fork();

    if (child == 0) {
        const OSSL_LIB_CTX *own = library_context();

        _exit(own && own != of_parent && library_context() == own ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(threads_with_an_expired_login_log_in_once, begin, end),
        cmocka_unit_test_setup_teardown(a_login_that_is_kept_is_renewed_until_its_logout, begin, end),
        cmocka_unit_test_setup_teardown(calls_take_no_longer_than_their_session_allows, begin, end),
        cmocka_unit_test_setup_teardown(an_outage_is_told_to_all_who_wait_for_the_login, begin, end),
        cmocka_unit_test_setup_teardown(a_forgotten_login_is_not_told_to_nodes, begin, end),
        cmocka_unit_test_setup_teardown(a_kept_password_that_was_changed_is_tried_once, begin, end),
        cmocka_unit_test_setup_teardown(without_credentials_an_expired_login_is_told, begin, end),
        cmocka_unit_test_setup_teardown(a_session_key_travels_with_its_requests, begin, end),
        cmocka_unit_test_setup_teardown(a_session_key_under_a_replaced_masking_key_is_exchanged_once, begin, end),
        cmocka_unit_test_setup_teardown(malformed_attributes_are_an_error, begin, end),
        cmocka_unit_test_setup_teardown(the_last_error_tells_what_where_and_why, begin, end),
        cmocka_unit_test(a_lock_held_by_the_parent_does_not_stop_the_child),
        cmocka_unit_test(a_child_leaves_its_parents_openssl_context_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
