/* Whom a client trusts: nodes with a certificate of the cluster's CA, made for servers, over TLS 1.3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "libhsm_core_fixture.h"
#include "libhsm_core_tls_front.h"

struct side {
    struct authority ca, other_ca;
    struct pem_files client, node, foreign_node, second_client;
    struct fake_node behind;
};

static int set_up(void **state)
{
    static struct side side;

    /* The front's own OpenSSL writes with write(2), which raises it when a client has gone. */
    signal(SIGPIPE, SIG_IGN);
    authority_make(&side.ca);
    authority_make(&side.other_ca);
    authority_issue(&side.ca, "clientAuth", &side.client);
    authority_issue(&side.ca, "clientAuth", &side.second_client);
    authority_issue(&side.ca, "serverAuth", &side.node);
    authority_issue(&side.other_ca, "serverAuth", &side.foreign_node);
    fake_node_start(&side.behind, BEHAVE);
    *state = &side;
    return 0;
}

static int tear_down(void **state)
{
    struct side *side = *state;

    fake_node_stop(&side->behind);
    pem_files_remove(&side->client);
    pem_files_remove(&side->second_client);
    pem_files_remove(&side->node);
    pem_files_remove(&side->foreign_node);
    authority_free(&side->ca);
    authority_free(&side->other_ca);
    return 0;
}

static void configure(const struct pem_files *client, const char *key, const char *url, struct hsm_config **config)
{
    assert_int_equal(config_new(config), STATUS_OK);
    assert_int_equal(config_set(*config, "nodes", url, "test"), STATUS_OK);
    assert_int_equal(config_set(*config, "ca-file", client->ca, "test"), STATUS_OK);
    assert_int_equal(config_set(*config, "certificate-file", client->certificate, "test"), STATUS_OK);
    assert_int_equal(config_set(*config, "key-file", key, "test"), STATUS_OK);
    assert_int_equal(config_set(*config, "timeout-ms", "3000", "test"), STATUS_OK);
    assert_int_equal(config_set(*config, "connections", "1", "test"), STATUS_OK);
    assert_int_equal(config_set(*config, "refresh-interval-ms", "0", "test"), STATUS_OK);
}

/* Calls a node that has these files. */
static status_code call(const struct side *side, const struct pem_files *node, int max_version)
{
    struct hsm_config *config;
    struct tls_front front;
    struct core *core;

    tls_front_start(&front, node, max_version, side->behind.url);
    configure(&side->client, side->client.key, front.url, &config);
    assert_int_equal(core_open(config, NULL, &core), STATUS_OK);
    config_free(config);
    status_code status = ping(core, 1);

    for (uint32_t i = 2; i < 20 && status == STATUS_OK; i++)
        status = ping(core, i);
    core_close(core);
    tls_front_stop(&front);
    return status;
}

static void a_node_of_the_clusters_ca_is_trusted(void **state)
{
    struct side *side = *state;

    assert_int_equal(call(side, &side->node, TLS1_3_VERSION), STATUS_OK);
}

static void a_node_of_another_ca_is_refused(void **state)
{
    struct side *side = *state;
    unsigned before = atomic_load(&side->behind.n_requests);

    assert_int_equal(call(side, &side->foreign_node, TLS1_3_VERSION), STATUS_TLS_ERROR);
    assert_non_null(strstr(failure_detail(), "certificate"));
    assert_int_equal(atomic_load(&side->behind.n_requests), before);
}

static void a_clients_certificate_makes_no_node(void **state)
{
    struct side *side = *state;

    assert_int_equal(call(side, &side->second_client, TLS1_3_VERSION), STATUS_TLS_ERROR);
}

static void tls_before_1_3_is_refused(void **state)
{
    struct side *side = *state;

    assert_int_equal(call(side, &side->node, TLS1_2_VERSION), STATUS_TLS_ERROR);
}

static void files_that_do_not_fit_are_named(void **state)
{
    struct side *side = *state;
    struct hsm_config *config;
    struct core *core;

    configure(&side->client, side->second_client.key, "tls+tcp://127.0.0.1:1", &config);
    assert_int_equal(core_open(config, NULL, &core), STATUS_CONFIG_INVALID);
    assert_non_null(strstr(failure_detail(), "key-file"));
    config_free(config);
    configure(&side->client, "/nonexistent/key.pem", "tls+tcp://127.0.0.1:1", &config);
    assert_int_equal(core_open(config, NULL, &core), STATUS_CONFIG_INVALID);
    assert_non_null(strstr(failure_detail(), "/nonexistent/key.pem"));
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_of_the_clusters_ca_is_trusted), cmocka_unit_test(a_node_of_another_ca_is_refused),
        cmocka_unit_test(a_clients_certificate_makes_no_node),  cmocka_unit_test(tls_before_1_3_is_refused),
        cmocka_unit_test(files_that_do_not_fit_are_named),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
