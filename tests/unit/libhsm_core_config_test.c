/* Settings: defaults, files, environment, and mistakes that are named with what was probably meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "config.h"

/* The C library's, here without its look at the process's rights: those are `has_more_rights_than_its_user`. */
static bool has_more_rights_than_its_user;

char *secure_getenv(const char *name)
{
    return has_more_rights_than_its_user ? NULL : getenv(name);
}

static int set_up(void **state)
{
    struct hsm_config *config;

    assert_int_equal(config_new(&config), STATUS_OK);
    *state = config;
    return 0;
}

static int tear_down(void **state)
{
    config_free(*state);
    return 0;
}

static status_code parse(struct hsm_config *config, const char *text)
{
    return config_parse(config, slice_text(text), "hsm.yaml");
}

static void a_file_sets_what_it_names(void **state)
{
    struct hsm_config *config = *state;

    assert_int_equal(parse(config, "nodes:\n  - tls+tcp://a:1\n  - tls+tcp://b:2\ntimeout-ms: 5000\nbalance: zone\n"),
                     STATUS_OK);
    assert_int_equal(config->n_nodes, 2);
    assert_string_equal(config->nodes[1], "tls+tcp://b:2");
    assert_int_equal(config->timeout_ms, 5000);
    assert_int_equal(config->balance, BALANCE_ZONE);
    assert_int_equal(config->connections, 2);
}

static void a_misspelt_setting_is_named_with_line_and_nearest(void **state)
{
    assert_int_equal(parse(*state, "ca-file: x\ntimeuot-ms: 5\n"), STATUS_CONFIG_INVALID);
    assert_non_null(strstr(failure_detail(), "hsm.yaml:2"));
    assert_non_null(strstr(failure_detail(), "timeout-ms"));
}

static void values_out_of_range_are_refused(void **state)
{
    assert_int_equal(parse(*state, "timeout-ms: 0\n"), STATUS_CONFIG_INVALID);
    assert_int_equal(parse(*state, "timeout-ms: 99999999999999999999\n"), STATUS_CONFIG_INVALID);
    assert_int_equal(parse(*state, "timeout-ms: -5\n"), STATUS_CONFIG_INVALID);
    assert_int_equal(parse(*state, "balance: best\n"), STATUS_CONFIG_INVALID);
    assert_non_null(strstr(failure_detail(), "least-outstanding"));
    assert_int_equal(parse(*state, "nodes: http://a\n"), STATUS_CONFIG_INVALID);
    assert_int_equal(parse(*state, "user: {a: b}\n"), STATUS_CONFIG_INVALID);
    assert_int_equal(parse(*state, "- a\n- b\n"), STATUS_CONFIG_INVALID);
    assert_int_equal(parse(*state, "user: [\n"), STATUS_CONFIG_INVALID);
}

static void the_environment_wins_over_the_file(void **state)
{
    struct hsm_config *config = *state;

    assert_int_equal(parse(config, "user: file\n"), STATUS_OK);
    setenv("HSM_CONFIG", "", 1);
    setenv("HOME", "/nonexistent", 1);
    setenv("HSM_USER", "environment", 1);
    assert_int_equal(config_load(config, NULL), STATUS_OK);
    assert_string_equal(config->user, "environment");
    setenv("HSM_TIMEOUT_MS", "soon", 1);
    assert_int_equal(config_load(config, NULL), STATUS_CONFIG_INVALID);
    assert_non_null(strstr(failure_detail(), "HSM_TIMEOUT_MS"));
    unsetenv("HSM_USER");
    unsetenv("HSM_TIMEOUT_MS");
}

/* A user who starts a setuid program would have its password sent to a node of his own. */
static void a_program_with_more_rights_than_its_user_reads_no_environment(void **state)
{
    struct hsm_config *config = *state;

    assert_int_equal(parse(config, "user: file\nnodes: tls+tcp://a:1\n"), STATUS_OK);
    setenv("HSM_CONFIG", "/nonexistent", 1);
    setenv("HOME", "/nonexistent", 1);
    setenv("HSM_USER", "environment", 1);
    setenv("HSM_NODES", "tls+tcp://b:2", 1);
    has_more_rights_than_its_user = true;
    status_code status = config_load(config, NULL);

    has_more_rights_than_its_user = false;
    unsetenv("HSM_CONFIG");
    unsetenv("HSM_USER");
    unsetenv("HSM_NODES");
    assert_int_equal(status, STATUS_OK);
    assert_string_equal(config->user, "file");
    assert_string_equal(config->nodes[0], "tls+tcp://a:1");
}

static void secrets_are_not_given_out(void **state)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;

    assert_int_equal(config_set(*state, "password", "hidden", "test"), STATUS_OK);
    assert_int_equal(config_get(*state, "password", &text), STATUS_NOT_PERMITTED);
    assert_int_equal(config_get(*state, "balance", &text), STATUS_OK);
    assert_true(slice_equal(bytes_slice(&text), slice_text("round-robin")));
}

static void a_copy_stands_alone(void **state)
{
    struct hsm_config *copy;

    assert_int_equal(config_set(*state, "nodes", "tcp://a:1, tcp://b:2", "test"), STATUS_OK);
    assert_int_equal(config_copy(*state, &copy), STATUS_OK);
    assert_int_equal(config_set(*state, "nodes", "tcp://c:3", "test"), STATUS_OK);
    assert_int_equal(copy->n_nodes, 2);
    assert_string_equal(copy->nodes[1], "tcp://b:2");
    config_free(copy);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_sets_what_it_names),
        TEST(a_misspelt_setting_is_named_with_line_and_nearest),
        TEST(values_out_of_range_are_refused),
        TEST(the_environment_wins_over_the_file),
        TEST(a_program_with_more_rights_than_its_user_reads_no_environment),
        TEST(secrets_are_not_given_out),
        TEST(a_copy_stands_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
