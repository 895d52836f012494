/* hsm_login_prepare over a core without a network: when the library logs in, and with which password. */
#include "libhsm_api_fake_core.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], password_file[96];
static hsm_cluster *cluster;
static hsm_session *session;

/* --- the node --- */

static const char *good_password;
static atomic_int n_logins; /* that were tried */
static atomic_bool expired, locked;

static status_code answer_login(const struct core_request *request, struct values *answer)
{
    struct slice password = values_bytes(request->fields, FIELD_PASSWORD);

    usleep(20000);
    atomic_fetch_add(&n_logins, 1);
    CHECK(!atomic_load(&locked), STATUS_USER_LOCKED, "wait");
    CHECK(slice_equal(password, slice_text(good_password)), STATUS_LOGIN_FAILED, "wrong user name or password");
    atomic_store(&expired, false);
    fake_login(request, answer);
    return STATUS_OK;
}

static status_code node(const struct core_request *request, struct values *answer)
{
    static uint8_t bytes[64];

    if (request->operation == OP_LOGIN)
        return answer_login(request, answer);
    CHECK(!atomic_load(&expired), STATUS_TICKET_EXPIRED, "log in again");
    values_put_bytes(answer, FIELD_OUTPUT, slice_of(bytes, values_uint(request->fields, FIELD_OUTPUT_LEN, 0)));
    values_put_bytes(answer, FIELD_TICKET, slice_text("proof"));
    return STATUS_OK;
}

/* --- the client --- */

static void write_password(const char *text)
{
    FILE *file = fopen(password_file, "w");

    assert_non_null(file);
    fprintf(file, "%s\n", text);
    fclose(file);
}

static hsm_status use(void)
{
    uint8_t byte;

    return hsm_random(session, &byte, 1);
}

static void open_with(const char *setting, const char *value)
{
    hsm_config *config = NULL;

    assert_int_equal(hsm_config_new(&config), HSM_OK);
    assert_int_equal(hsm_config_set(config, "user", "server"), HSM_OK);
    if (setting)
        assert_int_equal(hsm_config_set(config, setting, value), HSM_OK);
    assert_int_equal(hsm_cluster_open(config, &cluster), HSM_OK);
    hsm_config_free(config);
    assert_int_equal(hsm_session_open(cluster, &session), HSM_OK);
}

static int begin(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/hsm-prepare-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(password_file, sizeof(password_file), "%s/password", folder);
    good_password = "first password";
    write_password("first password");
    fake_answer = node;
    atomic_store(&n_logins, 0);
    atomic_store(&fake_calls, 0);
    atomic_store(&expired, false);
    atomic_store(&locked, false);
    open_with("password-file", password_file);
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_close(cluster, session);
    unlink(password_file);
    rmdir(folder);
    return 0;
}

static void prepare(void)
{
    assert_int_equal(hsm_login_prepare(session), HSM_OK);
}

/* --- when --- */

static void the_first_call_logs_in(void **state)
{
    hsm_login_info info = {.size = sizeof(info)};

    (void)state;
    prepare();
    assert_int_equal(atomic_load(&fake_calls), 0);
    assert_int_equal(hsm_session_login_info(session, &info), HSM_OK);
    assert_string_equal(info.user, "");
    assert_int_equal(use(), HSM_OK);
    assert_int_equal(use(), HSM_OK);
    assert_int_equal(atomic_load(&n_logins), 1);
    assert_int_equal(hsm_session_login_info(session, &info), HSM_OK);
    assert_string_equal(info.user, "server");
}

static void *ask(void *argument)
{
    (void)argument;
    return (void *)(intptr_t)use();
}

static void threads_log_in_once(void **state)
{
    pthread_t threads[8];
    void *result;

    (void)state;
    prepare();
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, NULL), 0);
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], &result);
        assert_int_equal((intptr_t)result, HSM_OK);
    }
    assert_int_equal(atomic_load(&n_logins), 1);
}

static void each_child_of_fork_logs_in_by_itself(void **state)
{
    (void)state;
    prepare();
    unlink(password_file); /* as if it could not be reached from there */
    for (int i = 0; i < 2; i++) {
        int result = -1;
        pid_t child = fork();

        if (child == 0) {
            alarm(10);
            _exit(use() == HSM_OK && use() == HSM_OK && atomic_load(&n_logins) == 1 ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_int_equal(result, 0);
    }
    assert_int_equal(atomic_load(&n_logins), 0);
    assert_int_equal(use(), HSM_OK);
}

static void *ask_forever(void *argument)
{
    while (!atomic_load((atomic_bool *)argument))
        (void)use();
    return NULL;
}

/* The thread that was logging in is not there in the child. */
static void a_child_forked_while_its_parent_logs_in_does_so_too(void **state)
{
    atomic_bool done = false;
    int result = -1;
    pthread_t thread;

    (void)state;
    prepare();
    assert_int_equal(pthread_create(&thread, NULL, ask_forever, &done), 0);
    usleep(10000);
    pid_t child = fork();

    if (child == 0) {
        alarm(10);
        _exit(use() == HSM_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    atomic_store(&done, true);
    pthread_join(thread, NULL);
}

/* --- with which password --- */

static void a_password_that_cannot_be_read_any_more_is_known(void **state)
{
    (void)state;
    prepare();
    unlink(password_file);
    assert_int_equal(use(), HSM_OK);
    atomic_store(&expired, true);
    assert_int_equal(use(), HSM_OK);
    assert_int_equal(atomic_load(&n_logins), 2);
}

static void a_changed_password_is_taken_up_and_kept(void **state)
{
    (void)state;
    prepare();
    good_password = "second password";
    write_password("second password");
    assert_int_equal(use(), HSM_OK);
    unlink(password_file);
    atomic_store(&expired, true);
    assert_int_equal(use(), HSM_OK);
    good_password = "third password";
    write_password("third password");
    atomic_store(&expired, true);
    assert_int_equal(use(), HSM_OK);
    assert_int_equal(atomic_load(&n_logins), 3);
}

static void a_kept_password_that_is_refused_is_tried_once(void **state)
{
    (void)state;
    prepare();
    unlink(password_file);
    good_password = "second password";
    assert_int_equal(use(), HSM_LOGIN_FAILED);
    assert_int_equal(use(), HSM_IO_ERROR);
    assert_non_null(strstr(hsm_last_error()->detail, password_file));
    assert_int_equal(atomic_load(&n_logins), 1);
    write_password("second password");
    assert_int_equal(use(), HSM_OK);
}

/* Every handshake of a server asks for a login: they would lock the user. */
static void a_password_in_a_file_that_is_refused_rests_until_it_has_changed(void **state)
{
    (void)state;
    prepare();
    good_password = "second password";
    for (int i = 0; i < 20; i++)
        assert_int_equal(use(), HSM_LOGIN_FAILED);
    assert_non_null(strstr(hsm_last_error()->detail, "tried again in 15 s"));
    assert_int_equal(atomic_load(&n_logins), 1);
    write_password("second password");
    assert_int_equal(use(), HSM_OK);
    /* What the program asks for is tried. */
    good_password = "third password";
    atomic_store(&expired, true);
    assert_int_equal(use(), HSM_LOGIN_FAILED);
    assert_int_equal(hsm_login_default(session), HSM_LOGIN_FAILED);
    assert_int_equal(atomic_load(&n_logins), 4);
}

static void a_locked_user_is_no_reason_to_forget_the_password(void **state)
{
    (void)state;
    prepare();
    unlink(password_file);
    atomic_store(&locked, true);
    assert_int_equal(use(), HSM_USER_LOCKED);
    atomic_store(&locked, false);
    assert_int_equal(use(), HSM_OK);
}

static void a_pipe_in_the_files_place_is_not_waited_for(void **state)
{
    (void)state;
    prepare();
    unlink(password_file);
    assert_int_equal(mkfifo(password_file, 0600), 0);
    alarm(20);
    assert_int_equal(use(), HSM_OK);
    alarm(0);
}

/* By the time of the login the descriptor's number may be that of a connection. */
static void a_descriptor_is_read_only_once(void **state)
{
    int ends[2], others[2];
    char number[12], text[16] = "";

    (void)state;
    fake_close(cluster, session);
    open_with(NULL, NULL);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "first password\n", 15), 15);
    close(ends[1]);
    snprintf(number, sizeof(number), "%d", ends[0]);
    setenv("HSM_PASSWORD_FD", number, 1);
    prepare();
    hsm_session *second = NULL; /* of the same cluster: there is nothing left in the descriptor */

    assert_int_equal(hsm_session_open(cluster, &second), HSM_OK);
    assert_int_equal(hsm_login_prepare(second), HSM_OK);
    hsm_session_close(second);
    assert_int_equal(pipe(others), 0);
    assert_int_equal(dup2(others[0], ends[0]), ends[0]);
    assert_int_equal(write(others[1], "not yours\n", 10), 10);
    assert_int_equal(use(), HSM_OK);
    assert_int_equal(read(others[0], text, sizeof(text)), 10);
    assert_string_equal(text, "not yours\n");
    unsetenv("HSM_PASSWORD_FD");
    close(ends[0]);
    close(others[0]);
    close(others[1]);
}

static void a_use_of_a_key_is_authenticated_with_it(void **state)
{
    const hsm_key key = {{1}};

    (void)state;
    prepare();
    unlink(password_file);
    assert_int_equal(hsm_key_authenticate_default(session, key), HSM_OK);
    assert_int_equal(atomic_load(&n_logins), 1);
}

/* --- its end --- */

static void logging_out_ends_it(void **state)
{
    (void)state;
    prepare();
    assert_int_equal(use(), HSM_OK);
    assert_int_equal(hsm_logout(session), HSM_OK);
    assert_int_equal(use(), HSM_NOT_LOGGED_IN);
    prepare();
    assert_int_equal(hsm_login_forget(session), HSM_OK);
    assert_int_equal(use(), HSM_NOT_LOGGED_IN);
    assert_int_equal(atomic_load(&n_logins), 1);
}

static void another_login_takes_its_place(void **state)
{
    (void)state;
    prepare();
    assert_int_equal(hsm_login(session, "other", "first password", 14), HSM_OK);
    atomic_store(&expired, true);
    assert_int_equal(use(), HSM_TICKET_EXPIRED);
    assert_int_equal(atomic_load(&n_logins), 1);
}

static void a_login_of_the_same_user_goes_on(void **state)
{
    (void)state;
    assert_int_equal(hsm_login(session, "server", "first password", 14), HSM_OK);
    prepare();
    assert_int_equal(use(), HSM_OK);
    assert_int_equal(atomic_load(&n_logins), 1);
    assert_int_equal(hsm_login(session, "other", "first password", 14), HSM_OK);
    prepare();
    assert_int_equal(use(), HSM_OK);
    assert_int_equal(atomic_load(&n_logins), 3);
}

static void what_is_missing_is_told_at_once(void **state)
{
    (void)state;
    unlink(password_file);
    assert_int_equal(hsm_login_prepare(session), HSM_IO_ERROR);
    assert_int_equal(use(), HSM_NOT_LOGGED_IN);
    fake_close(cluster, session);
    open_with(NULL, NULL);
    assert_int_equal(hsm_login_prepare(session), HSM_CONFIG_INVALID);
    assert_int_equal(use(), HSM_NOT_LOGGED_IN);
    assert_int_equal(hsm_login_prepare(NULL), HSM_INVALID_ARGUMENT);
    assert_int_equal(atomic_load(&fake_calls), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_call_logs_in, begin, end),
        cmocka_unit_test_setup_teardown(threads_log_in_once, begin, end),
        cmocka_unit_test_setup_teardown(each_child_of_fork_logs_in_by_itself, begin, end),
        cmocka_unit_test_setup_teardown(a_child_forked_while_its_parent_logs_in_does_so_too, begin, end),
        cmocka_unit_test_setup_teardown(a_password_that_cannot_be_read_any_more_is_known, begin, end),
        cmocka_unit_test_setup_teardown(a_changed_password_is_taken_up_and_kept, begin, end),
        cmocka_unit_test_setup_teardown(a_kept_password_that_is_refused_is_tried_once, begin, end),
        cmocka_unit_test_setup_teardown(a_password_in_a_file_that_is_refused_rests_until_it_has_changed, begin, end),
        cmocka_unit_test_setup_teardown(a_locked_user_is_no_reason_to_forget_the_password, begin, end),
        cmocka_unit_test_setup_teardown(a_pipe_in_the_files_place_is_not_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(a_descriptor_is_read_only_once, begin, end),
        cmocka_unit_test_setup_teardown(a_use_of_a_key_is_authenticated_with_it, begin, end),
        cmocka_unit_test_setup_teardown(logging_out_ends_it, begin, end),
        cmocka_unit_test_setup_teardown(another_login_takes_its_place, begin, end),
        cmocka_unit_test_setup_teardown(a_login_of_the_same_user_goes_on, begin, end),
        cmocka_unit_test_setup_teardown(what_is_missing_is_told_at_once, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
