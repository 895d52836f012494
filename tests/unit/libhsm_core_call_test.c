/* Calls through the core against nodes that die, hang, drop, answer nonsense: no call fails while one node behaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libhsm_core_fixture.h"
#include "platform.h"

static void calls_go_round_all_nodes(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_start(&fixture, 3, (const enum behaviour[]){BEHAVE, BEHAVE, BEHAVE}, "2000");
    for (uint32_t i = 0; i < 30; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(atomic_load(&fixture.nodes[i].n_requests), 8, 12);
    assert_true(core_revision(fixture.core) == 77);
    fixture_stop(&fixture);
}

static void no_call_fails_while_one_node_behaves(void **state)
{
    static const enum behaviour bad[] = {HANG, DROP, ANSWER_JUNK, ANSWER_SHORT, ANSWER_BUSY, ANSWER_HUGE};

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct fixture fixture;

        fixture_start(&fixture, 2, (const enum behaviour[]){bad[i], BEHAVE}, "5000");
        for (uint32_t j = 0; j < 6; j++)
            assert_int_equal(ping(fixture.core, j), STATUS_OK);
        fixture_stop(&fixture);
    }
}

static void answers_may_come_a_byte_at_a_time(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_start(&fixture, 1, (const enum behaviour[]){TRICKLE}, "2000");
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    fixture_stop(&fixture);
}

static void a_call_ends_by_its_deadline(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_start(&fixture, 1, (const enum behaviour[]){HANG}, "300");
    uint64_t begin = platform_now_ns();
    assert_int_equal(ping(fixture.core, 1), STATUS_UNAVAILABLE);
    assert_in_range((platform_now_ns() - begin) / 1000000, 250, 3000);
    fixture_stop(&fixture);
}

/* The kernel completes the connection; nobody ever says a word on it. */
static void a_call_ends_by_its_deadline_where_nobody_shakes_hands(void **state)
{
    struct fixture fixture = {.n = 1};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int mute = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(bind(mute, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(mute, 16), 0);
    assert_int_equal(getsockname(mute, (struct sockaddr *)&address, &len), 0);
    snprintf(fixture.nodes[0].url, sizeof(fixture.nodes[0].url), "tcp://127.0.0.1:%d", ntohs(address.sin_port));
    for (unsigned i = 0; i < 2; i++) {
        fixture_open_core(&fixture, "300", "transport", i ? "nng" : "direct");
        uint64_t begin = platform_now_ns();
        assert_int_equal(ping(fixture.core, 1), STATUS_UNAVAILABLE);
        assert_in_range((platform_now_ns() - begin) / 1000000, 250, 3000);
        core_close(fixture.core);
    }
    close(mute);
}

static void a_node_that_is_gone_costs_no_call(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_start(&fixture, 2, (const enum behaviour[]){BEHAVE, BEHAVE}, "5000");
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
    fixture_start(&fixture, 2, (const enum behaviour[]){BEHAVE, FOREIGN}, "3000");
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    assert_true(atomic_load(&fixture.nodes[0].n_requests) == 0 || atomic_load(&fixture.nodes[1].n_requests) == 0);
    fixture_stop(&fixture);
}

static void a_renewed_ticket_replaces_the_old_one(void **state)
{
    struct fixture fixture;
    struct login *login = login_new();
    CLEANUP(bytes_release) struct bytes ticket = BYTES_SECRET;
    struct values fields;

    (void)state;
    fixture_start(&fixture, 1, (const enum behaviour[]){RENEW}, "2000");
    assert_int_equal(login_set(login, slice_text("first")), STATUS_OK);
    values_init(&fields);
    struct core_request request = {.operation = OP_PING, .fields = &fields, .login = login, .reply = BYTES_SECRET};
    assert_int_equal(core_call(fixture.core, &request), STATUS_OK);
    bytes_release(&request.reply);
    assert_int_equal(login_copy(login, &ticket), STATUS_OK);
    assert_true(slice_equal(bytes_slice(&ticket), slice_text("renewed")));
    login_release(login);
    fixture_stop(&fixture);
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
    fixture_start(&fixture, 1, (const enum behaviour[]){BEHAVE}, "20000");
    for (uint32_t i = 0; i < 16; i++) {
        callers[i] = (struct caller){fixture.core, i * 1000};
        assert_int_equal(pthread_create(&threads[i], NULL, call_many, &callers[i]), 0);
    }
    for (unsigned i = 0; i < 16; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&fixture.nodes[0].n_requests), 3200);
    assert_true(atomic_load(&fixture.nodes[0].n_messages) < 3200);
    fixture_stop(&fixture);
}

static void a_child_of_fork_opens_connections_of_its_own(void **state)
{
    struct fixture fixture;
    int status;

    (void)state;
    fixture_start(&fixture, 1, (const enum behaviour[]){BEHAVE}, "5000");
    assert_int_equal(ping(fixture.core, 1), STATUS_OK);
    unsigned before = atomic_load(&fixture.nodes[0].n_connections);
    pid_t child = fork();

    if (child == 0)
        _exit(ping(fixture.core, 2) == STATUS_OK && ping(fixture.core, 3) == STATUS_OK ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ping(fixture.core, 4), STATUS_OK);
    assert_true(atomic_load(&fixture.nodes[0].n_connections) == before + 1);
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_go_round_all_nodes),
        cmocka_unit_test(no_call_fails_while_one_node_behaves),
        cmocka_unit_test(answers_may_come_a_byte_at_a_time),
        cmocka_unit_test(a_call_ends_by_its_deadline),
        cmocka_unit_test(a_call_ends_by_its_deadline_where_nobody_shakes_hands),
        cmocka_unit_test(a_node_that_is_gone_costs_no_call),
        cmocka_unit_test(nodes_of_another_cluster_are_not_used),
        cmocka_unit_test(a_renewed_ticket_replaces_the_old_one),
        cmocka_unit_test(concurrent_calls_travel_together),
        cmocka_unit_test(a_child_of_fork_opens_connections_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
