/* Failover, balance and membership: nodes that die under load, come back, drain, join; logins that do not mix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libhsm_core_fixture.h"
#include "platform.h"

#define THREADS 8

struct load {
    struct core *core;
    atomic_bool stop;
    atomic_uint n, n_failed;
    pthread_t threads[THREADS];
};

static void *keep_calling(void *argument)
{
    struct load *load = argument;

    for (uint32_t i = 0; !atomic_load(&load->stop); i++) {
        atomic_fetch_add(&load->n_failed, ping(load->core, i) != STATUS_OK);
        atomic_fetch_add(&load->n, 1);
    }
    return NULL;
}

static void load_start(struct load *load, struct core *core)
{
    load->core = core;
    atomic_init(&load->stop, false);
    atomic_init(&load->n, 0);
    atomic_init(&load->n_failed, 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&load->threads[i], NULL, keep_calling, load), 0);
}

static void load_wait_for(struct load *load, unsigned more)
{
    unsigned until = atomic_load(&load->n) + more;

    while (atomic_load(&load->n) < until)
        usleep(1000);
}

static void load_stop(struct load *load)
{
    atomic_store(&load->stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(load->threads[i], NULL);
}

/* Waits until the node serves; false when it never does. */
static bool comes_to_serve(struct core *core, const struct fake_node *node)
{
    unsigned before = atomic_load(&node->n_requests);

    for (unsigned i = 0; i < 5000 && atomic_load(&node->n_requests) == before; i++) {
        assert_int_equal(ping(core, i), STATUS_OK);
        usleep(1000);
    }
    return atomic_load(&node->n_requests) > before;
}

static void no_call_fails_when_a_node_is_killed_under_load(void **state)
{
    struct fixture fixture;
    struct load load;

    (void)state;
    fixture_start(&fixture, 3, (const enum behaviour[]){BEHAVE, BEHAVE, BEHAVE}, "20000");
    load_start(&load, fixture.core);
    load_wait_for(&load, 500);
    fake_node_stop(&fixture.nodes[1]);
    load_wait_for(&load, 500);
    load_stop(&load);
    assert_int_equal(atomic_load(&load.n_failed), 0);
    core_close(fixture.core);
    fake_node_stop(&fixture.nodes[0]);
    fake_node_stop(&fixture.nodes[2]);
}

static void no_call_fails_when_a_node_hangs_under_load(void **state)
{
    struct fixture fixture;
    struct load load;

    (void)state;
    fixture_start(&fixture, 3, (const enum behaviour[]){BEHAVE, BEHAVE, BEHAVE}, "20000");
    load_start(&load, fixture.core);
    load_wait_for(&load, 500);
    atomic_store(&fixture.nodes[1].behaviour, HANG);
    load_wait_for(&load, 500);
    load_stop(&load);
    assert_int_equal(atomic_load(&load.n_failed), 0);
    fixture_stop(&fixture);
}

static void a_node_that_recovers_serves_again(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_start(&fixture, 2, (const enum behaviour[]){BEHAVE, DROP}, "20000");
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    atomic_store(&fixture.nodes[1].behaviour, BEHAVE);
    assert_true(comes_to_serve(fixture.core, &fixture.nodes[1]));
    fixture_stop(&fixture);
}

static void a_draining_node_is_spared(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_start(&fixture, 2, (const enum behaviour[]){DRAIN, BEHAVE}, "5000");
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    assert_true(atomic_load(&fixture.nodes[0].n_requests) <= 2);
    fixture_stop(&fixture);
}

static void a_draining_node_serves_when_it_is_the_only_one(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_start(&fixture, 1, (const enum behaviour[]){DRAIN}, "5000");
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    fixture_stop(&fixture);
}

static void nodes_are_learned_and_seeds_not_forgotten(void **state)
{
    struct fixture fixture;
    struct fake_node joined;
    struct core_statistics *statistics = malloc(sizeof(*statistics));

    (void)state;
    fake_node_start(&joined, BEHAVE);
    fixture.n = 1;
    fake_node_start(&fixture.nodes[0], BEHAVE);
    fixture.nodes[0].member = &joined;
    fixture_open_core(&fixture, "5000", "refresh-interval-ms", "7");
    assert_true(comes_to_serve(fixture.core, &joined));
    core_statistics(fixture.core, statistics);
    assert_int_equal(statistics->n_nodes, 2);
    /* The one that joined tells of nobody: it does not go on being a member, the seed stays. */
    atomic_store(&fixture.nodes[0].behaviour, DROP);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(ping(fixture.core, i), STATUS_OK);
    atomic_store(&fixture.nodes[0].behaviour, BEHAVE);
    assert_true(comes_to_serve(fixture.core, &fixture.nodes[0]));
    free(statistics);
    fixture_stop(&fixture);
    fake_node_stop(&joined);
}

struct user {
    struct core *core;
    struct login *login;
    char letter;
};

static void *call_as_user(void *argument)
{
    struct user *user = argument;
    struct values fields;

    values_init(&fields);
    values_put_bytes(&fields, FIELD_DATA, slice_of(&user->letter, 1));
    for (unsigned i = 0; i < 200; i++) {
        struct core_request request = {
            .operation = OP_PING, .fields = &fields, .login = user->login, .reply = BYTES_SECRET};

        assert_int_equal(core_call(user->core, &request), STATUS_OK);
        bytes_release(&request.reply);
    }
    return NULL;
}

static void requests_travel_under_their_own_login(void **state)
{
    struct fixture fixture;
    struct login *logins[2] = {login_new(), login_new()};
    struct user users[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    fixture_start(&fixture, 1, (const enum behaviour[]){BEHAVE}, "20000");
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(login_set(logins[i], slice_text(i ? "B" : "A")), STATUS_OK);
    for (unsigned i = 0; i < THREADS; i++) {
        users[i] = (struct user){fixture.core, logins[i % 2], i % 2 ? 'B' : 'A'};
        assert_int_equal(pthread_create(&threads[i], NULL, call_as_user, &users[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&fixture.nodes[0].n_requests), THREADS * 200);
    assert_int_equal(atomic_load(&fixture.nodes[0].n_strays), 0);
    login_release(logins[0]);
    login_release(logins[1]);
    fixture_stop(&fixture);
}

/* The child has threads of its own by the time that it first calls. */
static int call_in_child(struct core *core)
{
    struct load load;

    load_start(&load, core);
    load_wait_for(&load, 200);
    load_stop(&load);
    return atomic_load(&load.n_failed) == 0 ? 0 : 1;
}

static void a_child_forked_while_threads_call_works(void **state)
{
    struct fixture fixture;
    struct load load;

    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizers' own allocators do not survive the fork of a process with busy threads */
#endif
    fixture_start(&fixture, 2, (const enum behaviour[]){BEHAVE, BEHAVE}, "20000");
    load_start(&load, fixture.core);
    for (unsigned i = 0; i < 4; i++) {
        int status;

        load_wait_for(&load, 100);
        pid_t child = fork();

        if (child == 0)
            _exit(call_in_child(fixture.core));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    load_stop(&load);
    assert_int_equal(atomic_load(&load.n_failed), 0);
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_call_fails_when_a_node_is_killed_under_load),
        cmocka_unit_test(no_call_fails_when_a_node_hangs_under_load),
        cmocka_unit_test(a_node_that_recovers_serves_again),
        cmocka_unit_test(a_draining_node_is_spared),
        cmocka_unit_test(a_draining_node_serves_when_it_is_the_only_one),
        cmocka_unit_test(nodes_are_learned_and_seeds_not_forgotten),
        cmocka_unit_test(requests_travel_under_their_own_login),
        cmocka_unit_test(a_child_forked_while_threads_call_works),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
