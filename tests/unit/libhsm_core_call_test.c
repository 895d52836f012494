/* Calls through the core against nodes that die, hang, drop, answer nonsense: no call fails while one node behaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cluster_core.h"
#include "config.h"
#include "libhsm_core_fake_node.h"
#include "platform.h"

#define NODES 3

struct fixture {
    struct fake_node nodes[NODES];
    unsigned n;
    struct core *core;
};

static void open_core(struct fixture *fixture, const char *timeout_ms)
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
    assert_int_equal(core_open(config, NULL, &fixture->core), STATUS_OK);
    config_free(config);
}

static void start(struct fixture *fixture, unsigned n, const enum behaviour *behaviours, const char *timeout_ms)
{
    fixture->n = n;
    for (unsigned i = 0; i < n; i++)
        fake_node_start(&fixture->nodes[i], behaviours[i]);
    open_core(fixture, timeout_ms);
}

static void stop(struct fixture *fixture)
{
    core_close(fixture->core);
    for (unsigned i = 0; i < fixture->n; i++)
        fake_node_stop(&fixture->nodes[i]);
}

static status_code ping(struct core *core, uint32_t number)
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

static void calls_go_round_all_nodes(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, 3, (const enum behaviour[]){BEHAVE, BEHAVE, BEHAVE}, "2000");
    for (uint32_t i = 0; i < 30; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(atomic_load(&fixture.nodes[i].n_requests), 8, 12);
    assert_true(core_revision(fixture.core) == 77);
    stop(&fixture);
}

static void no_call_fails_while_one_node_behaves(void **state)
{
    static const enum behaviour bad[] = {HANG, DROP, ANSWER_JUNK, ANSWER_SHORT, ANSWER_BUSY};

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct fixture fixture;

        start(&fixture, 2, (const enum behaviour[]){bad[i], BEHAVE}, "5000");
        for (uint32_t j = 0; j < 6; j++)
            assert_int_equal(ping(fixture.core, j), STATUS_OK);
        stop(&fixture);
    }
}

static void answers_may_come_a_byte_at_a_time(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, 1, (const enum behaviour[]){TRICKLE}, "2000");
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    stop(&fixture);
}

static void a_call_ends_by_its_deadline(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, 1, (const enum behaviour[]){HANG}, "300");
    uint64_t begin = platform_now_ns();
    assert_int_equal(ping(fixture.core, 1), STATUS_UNAVAILABLE);
    assert_in_range((platform_now_ns() - begin) / 1000000, 250, 3000);
    stop(&fixture);
}

static void a_node_that_is_gone_costs_no_call(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, 2, (const enum behaviour[]){BEHAVE, BEHAVE}, "5000");
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    fake_node_stop(&fixture.nodes[0]);
    close(fixture.nodes[0].listener);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    core_close(fixture.core);
    fake_node_stop(&fixture.nodes[1]);
}

static void nodes_of_another_cluster_are_not_used(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture, 2, (const enum behaviour[]){BEHAVE, FOREIGN}, "3000");
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    assert_true(atomic_load(&fixture.nodes[0].n_requests) == 0 || atomic_load(&fixture.nodes[1].n_requests) == 0);
    stop(&fixture);
}

static void a_renewed_ticket_replaces_the_old_one(void **state)
{
    struct fixture fixture;
    struct login *login = login_new();
    CLEANUP(bytes_release) struct bytes ticket = BYTES_SECRET;
    struct values fields;

    (void)state;
    start(&fixture, 1, (const enum behaviour[]){RENEW}, "2000");
    assert_int_equal(login_set(login, slice_text("first")), STATUS_OK);
    values_init(&fields);
    struct core_request request = {.operation = OP_PING, .fields = &fields, .login = login, .reply = BYTES_SECRET};
    assert_int_equal(core_call(fixture.core, &request), STATUS_OK);
    bytes_release(&request.reply);
    assert_int_equal(login_copy(login, &ticket), STATUS_OK);
    assert_true(slice_equal(bytes_slice(&ticket), slice_text("renewed")));
    login_release(login);
    stop(&fixture);
}

struct caller {
    struct core *core;
    uint32_t first;
};

static void *call_many(void *argument)
{
    struct caller *caller = argument;

    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(ping(caller->core, caller->first + i), STATUS_OK);
    return NULL;
}

static void concurrent_calls_travel_together(void **state)
{
    struct fixture fixture;
    struct caller callers[16];
    pthread_t threads[16];

    (void)state;
    start(&fixture, 1, (const enum behaviour[]){BEHAVE}, "20000");
    for (uint32_t i = 0; i < 16; i++) {
        callers[i] = (struct caller){fixture.core, i * 1000};
        assert_int_equal(pthread_create(&threads[i], NULL, call_many, &callers[i]), 0);
    }
    for (unsigned i = 0; i < 16; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&fixture.nodes[0].n_requests), 3200);
    assert_true(atomic_load(&fixture.nodes[0].n_messages) < 3200);
    stop(&fixture);
}

static void a_child_of_fork_opens_connections_of_its_own(void **state)
{
    struct fixture fixture;
    int status;

    (void)state;
    start(&fixture, 1, (const enum behaviour[]){BEHAVE}, "5000");
    assert_int_equal(ping(fixture.core, 1), STATUS_OK);
    unsigned before = atomic_load(&fixture.nodes[0].n_connections);
    pid_t child = fork();

    if (child == 0)
        _exit(ping(fixture.core, 2) == STATUS_OK && ping(fixture.core, 3) == STATUS_OK ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ping(fixture.core, 4), STATUS_OK);
    assert_true(atomic_load(&fixture.nodes[0].n_connections) == before + 1);
    stop(&fixture);
}

static void a_queue_completes_everything_once(void **state)
{
    struct fixture fixture;
    struct core_queue *queue;
    struct values fields;
    bool seen[300] = {false};

    (void)state;
    start(&fixture, 2, (const enum behaviour[]){BEHAVE, DROP}, "5000");
    assert_int_equal(core_queue_open(fixture.core, &queue), STATUS_OK);
    for (uint32_t i = 0; i < 300; i++) {
        values_init(&fields);
        values_put_bytes(&fields, FIELD_DATA, slice_of(&i, sizeof(i)));
        struct core_request request = {.operation = OP_PING, .fields = &fields};
        assert_int_equal(core_submit(queue, &request, &seen[i]), STATUS_OK);
    }
    for (uint32_t i = 0; i < 300; i++) {
        struct core_result *result;

        assert_int_equal(core_queue_next(queue, 10000, &result), STATUS_OK);
        assert_int_equal(result->status, STATUS_OK);
        bool *mine = result->user_data;
        assert_false(*mine);
        *mine = true;
        core_result_free(result);
    }
    assert_int_equal(core_queue_outstanding(queue), 0);
    core_queue_close(queue);
    stop(&fixture);
}

static void a_queue_may_be_closed_with_operations_under_way(void **state)
{
    struct fixture fixture;
    struct core_queue *queue;
    struct values fields;

    (void)state;
    start(&fixture, 1, (const enum behaviour[]){HANG}, "5000");
    assert_int_equal(core_queue_open(fixture.core, &queue), STATUS_OK);
    values_init(&fields);
    struct core_request request = {.operation = OP_PING, .fields = &fields};
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(core_submit(queue, &request, NULL), STATUS_OK);
    assert_int_equal(core_queue_flush(queue), STATUS_OK);
    core_queue_close(queue);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_go_round_all_nodes),
        cmocka_unit_test(no_call_fails_while_one_node_behaves),
        cmocka_unit_test(answers_may_come_a_byte_at_a_time),
        cmocka_unit_test(a_call_ends_by_its_deadline),
        cmocka_unit_test(a_node_that_is_gone_costs_no_call),
        cmocka_unit_test(nodes_of_another_cluster_are_not_used),
        cmocka_unit_test(a_renewed_ticket_replaces_the_old_one),
        cmocka_unit_test(concurrent_calls_travel_together),
        cmocka_unit_test(a_child_of_fork_opens_connections_of_its_own),
        cmocka_unit_test(a_queue_completes_everything_once),
        cmocka_unit_test(a_queue_may_be_closed_with_operations_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
