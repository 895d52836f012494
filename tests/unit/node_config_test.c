/* Settings: what a file, the environment and the command line may say, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <unistd.h>
#include "config/setting.h"

static char path[] = "/tmp/hsmd-config-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static status_code load(const char *text, struct node_config *config)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
    return node_config_load(path, config);
}

static void refused(const char *text, const char *why)
{
    static struct node_config config;
    assert_int_equal(load(text, &config), STATUS_CONFIG_INVALID);
    if (!strstr(failure_detail(), why))
        fail_msg("expected \"%s\" in \"%s\"", why, failure_detail());
}

static void defaults_hold_without_a_file(void **state)
{
    static struct node_config config;
    (void)state;
    assert_int_equal(node_config_load(NULL, &config), STATUS_OK);
    assert_string_equal(config.state_folder, "/var/lib/hsmd");
    assert_string_equal(config.store, "sqlite:/var/lib/hsmd/store.db");
    assert_string_equal(config.listen[0], "tls+tcp://0.0.0.0:2223");
    assert_int_equal(config.n_listen, 1);
    assert_int_equal(config.n_listen_nng, 0);
    assert_int_equal(config.tail_interval_ms, 20);
    assert_int_equal(config.password_iterations, 210000);
    assert_true(config.hardening);
    assert_false(config.policy.allow_raw_rsa);
    assert_true(config.workers >= 1);
    assert_true(strlen(config.name) > 0);
    assert_null(config.log.file);
}

static void a_file_sets_every_kind_of_value(void **state)
{
    static struct node_config config;
    (void)state;
    assert_int_equal(load("name: node1\nstate-folder: /var/lib/x\nworkers: 7\nhardening: no\nlog-level: debug\n"
                          "log-format: json\nlisten: [\"tls+tcp://[::1]:0\", tcp://127.0.0.1:1]\n"
                          "listen-nng: wss://0.0.0.0:443/hsm\nlog-file: /tmp/x.log\nallow-raw-rsa: true\n",
                          &config),
                     STATUS_OK);
    assert_string_equal(config.name, "node1");
    assert_string_equal(config.store, "sqlite:/var/lib/x/store.db");
    assert_int_equal(config.workers, 7);
    assert_false(config.hardening);
    assert_int_equal(config.log.level, LOG_LEVEL_DEBUG);
    assert_true(config.log.json);
    assert_int_equal(config.n_listen, 2);
    assert_string_equal(config.listen[0], "tls+tcp://[::1]:0");
    assert_string_equal(config.listen_nng[0], "wss://0.0.0.0:443/hsm");
    assert_string_equal(config.log.file, "/tmp/x.log");
    assert_true(config.policy.allow_raw_rsa);
}

static void json_is_accepted(void **state)
{
    static struct node_config config;
    (void)state;
    assert_int_equal(load("{\"name\": \"n\", \"listen\": [\"tls+tcp://127.0.0.1:0\"], \"fips\": false}\n", &config),
                     STATUS_OK);
    assert_string_equal(config.name, "n");
}

static void environment_precedes_file_and_command_line_precedes_both(void **state)
{
    static struct node_config config;
    const char *overrides[] = {"workers=3"};
    (void)state;
    setenv("HSMD_TAIL_INTERVAL_MS", "33", 1);
    setenv("HSMD_WORKERS", "2", 1);
    setenv("HSMD_LISTEN", "tcp://127.0.0.1:1, tcp://127.0.0.1:2", 1);
    assert_int_equal(load("workers: 1\ntail-interval-ms: 5\n", &config), STATUS_OK);
    assert_int_equal(config.workers, 2);
    assert_int_equal(config.tail_interval_ms, 33);
    assert_int_equal(config.n_listen, 2);
    assert_string_equal(config.listen[1], "tcp://127.0.0.1:2");
    assert_int_equal(node_config_load_with(path, overrides, 1, &config), STATUS_OK);
    assert_int_equal(config.workers, 3);
    unsetenv("HSMD_TAIL_INTERVAL_MS");
    unsetenv("HSMD_WORKERS");
    unsetenv("HSMD_LISTEN");
}

static void misspelt_settings_are_named_with_the_nearest(void **state)
{
    static struct node_config config;
    const char *overrides[] = {"zoone=a"};
    (void)state;
    refused("name: x\nworker: 3\n", ":2: unknown setting worker; did you mean workers?");
    refused("state_folder: /x\n", "did you mean state-folder?");
    refused("Listen: []\n", "did you mean listen?");
    refused("metricz: off\n", "did you mean metrics?");
    refused("utterly-different: 1\n", "--print-config lists all");
    setenv("HSMD_STOER", "sqlite:/x", 1);
    refused("name: x\n", "environment, HSMD_STOER: unknown setting stoer; did you mean store?");
    unsetenv("HSMD_STOER");
    assert_int_equal(node_config_load_with(NULL, overrides, 1, &config), STATUS_CONFIG_INVALID);
    assert_non_null(strstr(failure_detail(), "did you mean zone?"));
}

static void wrong_values_are_named_with_their_line(void **state)
{
    (void)state;
    refused("workers: many\n", ":1: workers must be a number from 0 to 32, not many");
    refused("\nworkers: 33\n", ":2: workers must be");
    refused("workers: -1\n", "workers must be");
    refused("workers: 99999999999999999999\n", "workers must be");
    refused("workers: 0x10\n", "workers must be");
    refused("hardening: maybe\n", "must be true or false");
    refused("log-level: loud\n", "one of: error warning info debug");
    refused("state-folder: relative\n", "absolute path");
    refused("store: etcd://x\n", "store must be etcd, or sqlite:");
    refused("listen: http://x:1\n", "schemes: tls+tcp tcp ipc");
    refused("listen: [tcp://]\n", "must be a URL");
    refused("name: \"a\\nb\"\n", "control characters");
    refused("name: \"a\\0b\"\n", "plain value");
    refused("name: 0123456789012345678901234567890123456789012345678901234567890123456789\n", "longer than 64 bytes");
    refused("name:\n", "has no value");
    refused("zone: ~\n", "has no value");
    refused("listen: []\n", "both empty");
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    refused("name: {first: x}\n", "not a mapping");
    refused("name: [x]\n", "not a list");
    refused("listen: [[tcp://127.0.0.1:1]]\n", "a list of URLs");
    refused("? [a]\n: b\n", "must be plain text");
    refused("- name\n", "expected lines of the form");
    refused("just text\n", "expected lines of the form");
    refused("name: a\nname: b\n", ":2: name was set before");
    refused("name: a\n---\nname: b\n", "more than one YAML document");
    refused("name: [unclosed\n", "not valid YAML");
    refused("name: \xff\xfe\n", "not valid YAML");
    refused("listen: [tcp://a:1,tcp://a:1,tcp://a:1,tcp://a:1,tcp://a:1,tcp://a:1,tcp://a:1,tcp://a:1,tcp://a:1]\n",
            "more than 8 URLs");
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    static char text[(64 << 10) + 3];
    (void)state;
    memset(text, '#', sizeof text - 1);
    refused(text, "larger than 65536 bytes");
}

static void a_missing_file_is_refused(void **state)
{
    static struct node_config config;
    (void)state;
    assert_int_equal(node_config_load("/nonexistent/hsmd.yaml", &config), STATUS_CONFIG_INVALID);
    assert_non_null(strstr(failure_detail(), "/nonexistent/hsmd.yaml"));
}

static void an_empty_file_means_defaults(void **state)
{
    static struct node_config config;
    (void)state;
    assert_int_equal(load("# nothing\n", &config), STATUS_OK);
    assert_int_equal(load("", &config), STATUS_OK);
}

/** What --print-config prints, with its comment signs taken away, is a file that sets every default. */
static void the_printed_file_loads_again(void **state)
{
    static struct node_config config;
    struct bytes printed = BYTES_INIT, text = BYTES_INIT;
    (void)state;
    assert_int_equal(node_config_print(&printed), STATUS_OK);
    bytes_append(&printed, "", 1);
    for (char *line = strtok((char *)printed.data, "\n"); line; line = strtok(NULL, "\n")) {
        if (line[0] != '#' || line[1] == ' ')
            continue;
        bytes_append(&text, line + 1, strlen(line + 1));
        bytes_append(&text, "\n", 1);
    }
    bytes_append(&text, "", 1);
    for (size_t i = 0; i < N_SETTINGS; i++)
        assert_non_null(strstr((char *)text.data, SETTINGS[i].name));
    assert_int_equal(load((char *)text.data, &config), STATUS_OK);
    bytes_release(&printed);
    bytes_release(&text);
}

static void the_manual_lists_every_setting_with_its_default(void **state)
{
    static char manual[128 << 10];
    FILE *file = fopen(HSM_SOURCE_DIR "/docs/node.md", "r");
    (void)state;
    assert_non_null(file);
    manual[fread(manual, 1, sizeof manual - 1, file)] = 0;
    fclose(file);
    for (size_t i = 0; i < N_SETTINGS; i++) {
        char row[512];
        const char *quote = SETTINGS[i].standard[0] ? "`" : "";
        snprintf(row, sizeof row, "| `%s` | %s%s%s | %s", SETTINGS[i].name, quote, SETTINGS[i].standard, quote,
                 SETTINGS[i].doc);
        if (!strstr(manual, row))
            fail_msg("docs/node.md lacks: %s", row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_without_a_file),
        cmocka_unit_test(a_file_sets_every_kind_of_value),
        cmocka_unit_test(json_is_accepted),
        cmocka_unit_test(environment_precedes_file_and_command_line_precedes_both),
        cmocka_unit_test(misspelt_settings_are_named_with_the_nearest),
        cmocka_unit_test(wrong_values_are_named_with_their_line),
        cmocka_unit_test(wrong_shapes_are_refused),
        cmocka_unit_test(a_file_that_is_too_large_is_refused),
        cmocka_unit_test(a_missing_file_is_refused),
        cmocka_unit_test(an_empty_file_means_defaults),
        cmocka_unit_test(the_printed_file_loads_again),
        cmocka_unit_test(the_manual_lists_every_setting_with_its_default),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
