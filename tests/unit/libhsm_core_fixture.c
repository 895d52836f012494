/* A core over fake nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "libhsm_core_fixture.h"

void fixture_open_core(struct fixture *fixture, const char *timeout_ms, const char *setting, const char *value)
{
    struct hsm_config *config;
    char urls[256] = "";

    for (unsigned i = 0; i < fixture->n; i++)
        snprintf(urls + strlen(urls), sizeof(urls) - strlen(urls), "%s%s", i ? "," : "", fixture->nodes[i].url);
    assert_int_equal(config_new(&config), STATUS_OK);
    assert_int_equal(config_set(config, "nodes", urls, "test"), STATUS_OK);
    assert_int_equal(config_set(config, "timeout-ms", timeout_ms, "test"), STATUS_OK);
    assert_int_equal(config_set(config, "attempt-timeout-ms", "100", "test"), STATUS_OK);
    assert_int_equal(config_set(config, "refresh-interval-ms", "0", "test"), STATUS_OK);
    assert_int_equal(config_set(config, setting, value, "test"), STATUS_OK);
    assert_int_equal(core_open(config, NULL, &fixture->core), STATUS_OK);
    config_free(config);
}

void fixture_start(struct fixture *fixture, unsigned n, const enum behaviour *behaviours, const char *timeout_ms)
{
    fixture->n = n;
    for (unsigned i = 0; i < n; i++)
        fake_node_start(&fixture->nodes[i], behaviours[i]);
    fixture_open_core(fixture, timeout_ms, "balance", "round-robin");
}

void fixture_stop(struct fixture *fixture)
{
    core_close(fixture->core);
    for (unsigned i = 0; i < fixture->n; i++)
        fake_node_stop(&fixture->nodes[i]);
}

status_code ping(struct core *core, uint32_t number)
{
    struct values fields;

    values_init(&fields);
    values_put_bytes(&fields, FIELD_DATA, slice_of(&number, sizeof(number)));
    struct core_request request = {.operation = OP_PING, .fields = &fields, .reply = BYTES_SECRET};
    status_code status = core_call(core, &request);

    if (status == STATUS_OK)
        assert_true(slice_equal(values_bytes(&request.answer, FIELD_DATA), slice_of(&number, sizeof(number))));
    bytes_release(&request.reply);
    return status;
}
