/* Completion queues: everything completes once, whoever asks, whatever nodes do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include "libhsm_core_fixture.h"

static void a_queue_completes_everything_once(void **state)
{
    struct fixture fixture;
    struct core_queue *queue;
    struct values fields;
    bool seen[300] = {false};

    (void)state;
    fixture_start(&fixture, 2, (const enum behaviour[]){BEHAVE, DROP}, "5000");
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
    fixture_stop(&fixture);
}

static void a_queue_may_be_closed_with_operations_under_way(void **state)
{
    struct fixture fixture;
    struct core_queue *queue;
    struct values fields;

    (void)state;
    fixture_start(&fixture, 1, (const enum behaviour[]){HANG}, "5000");
    assert_int_equal(core_queue_open(fixture.core, &queue), STATUS_OK);
    values_init(&fields);
    struct core_request request = {.operation = OP_PING, .fields = &fields};
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(core_submit(queue, &request, NULL), STATUS_OK);
    assert_int_equal(core_queue_flush(queue), STATUS_OK);
    core_queue_close(queue);
    fixture_stop(&fixture);
}

#define SHARERS 4
#define SHARE   200u

struct share {
    struct core_queue *queue;
    atomic_uint *seen; /* one per operation */
    uint32_t first;
};

static void submit_number(struct core_queue *queue, uint32_t number, void *user_data)
{
    struct values fields;

    values_init(&fields);
    values_put_bytes(&fields, FIELD_DATA, slice_of(&number, sizeof(number)));
    struct core_request request = {.operation = OP_PING, .fields = &fields};
    assert_int_equal(core_submit(queue, &request, user_data), STATUS_OK);
}

/* Submits its share while taking completions of anybody's. */
static void *share(void *argument)
{
    struct share *mine = argument;
    struct core_result *result;

    for (uint32_t i = 0; i < SHARE; i++) {
        submit_number(mine->queue, mine->first + i, &mine->seen[mine->first + i]);
        if (i % 16 == 15 && core_queue_next(mine->queue, 0, &result) == STATUS_OK) {
            assert_int_equal(result->status, STATUS_OK);
            atomic_fetch_add((atomic_uint *)result->user_data, 1);
            core_result_free(result);
        }
    }
    while (core_queue_next(mine->queue, 10000, &result) == STATUS_OK) {
        assert_int_equal(result->status, STATUS_OK);
        atomic_fetch_add((atomic_uint *)result->user_data, 1);
        core_result_free(result);
    }
    return NULL;
}

static void threads_may_share_a_queue(void **state)
{
    static atomic_uint seen[SHARERS * SHARE];
    struct fixture fixture;
    struct core_queue *queue;
    struct share shares[SHARERS];
    pthread_t threads[SHARERS];

    (void)state;
    fixture_start(&fixture, 3, (const enum behaviour[]){BEHAVE, HANG, BEHAVE}, "20000");
    assert_int_equal(core_queue_open(fixture.core, &queue), STATUS_OK);
    for (uint32_t i = 0; i < SHARERS; i++) {
        shares[i] = (struct share){queue, seen, i * SHARE};
        assert_int_equal(pthread_create(&threads[i], NULL, share, &shares[i]), 0);
    }
    for (unsigned i = 0; i < SHARERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < SHARERS * SHARE; i++)
        assert_int_equal(atomic_load(&seen[i]), 1);
    core_queue_close(queue);
    fixture_stop(&fixture);
}

static void the_descriptor_tells_when_there_is_something(void **state)
{
    struct fixture fixture;
    struct core_queue *queue;
    struct core_result *result;
    status_code status;

    (void)state;
    fixture_start(&fixture, 1, (const enum behaviour[]){BEHAVE}, "5000");
    assert_int_equal(core_queue_open(fixture.core, &queue), STATUS_OK);
    submit_number(queue, 7, NULL);
    assert_int_equal(core_queue_flush(queue), STATUS_OK);
    do {
        struct pollfd poll_fd = {.fd = core_queue_fd(queue), .events = POLLIN};

        assert_int_equal(poll(&poll_fd, 1, 5000), 1);
        status = core_queue_next(queue, 0, &result);
    } while (status == STATUS_PENDING);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(result->status, STATUS_OK);
    core_result_free(result);
    core_queue_close(queue);
    fixture_stop(&fixture);
}

static void a_queue_goes_on_when_its_node_closes_connections(void **state)
{
    struct fixture fixture;
    struct core_queue *queue;
    struct core_result *result;

    (void)state;
    fixture_start(&fixture, 1, (const enum behaviour[]){DROP}, "10000");
    assert_int_equal(core_queue_open(fixture.core, &queue), STATUS_OK);
    submit_number(queue, 1, NULL);
    assert_int_equal(core_queue_next(queue, 50, &result), STATUS_PENDING);
    atomic_store(&fixture.nodes[0].behaviour, BEHAVE);
    assert_int_equal(core_queue_next(queue, 10000, &result), STATUS_OK);
    assert_int_equal(result->status, STATUS_OK);
    core_result_free(result);
    core_queue_close(queue);
    fixture_stop(&fixture);
}

static void what_a_queue_is_given_large_arrives(void **state)
{
    static const uint8_t large[300000] = {1, 2, 3};
    struct fixture fixture;
    struct core_queue *queue;
    struct core_result *result;
    struct values fields;

    (void)state;
    fixture_start(&fixture, 1, (const enum behaviour[]){BEHAVE}, "20000");
    assert_int_equal(core_queue_open(fixture.core, &queue), STATUS_OK);
    values_init(&fields);
    values_put_bytes(&fields, FIELD_DATA, slice_of(large, sizeof(large)));
    struct core_request request = {.operation = OP_PING, .fields = &fields};
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(core_submit(queue, &request, NULL), STATUS_OK);
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(core_queue_next(queue, 20000, &result), STATUS_OK);
        assert_int_equal(result->status, STATUS_OK);
        assert_true(slice_equal(values_bytes(&result->answer, FIELD_DATA), slice_of(large, sizeof(large))));
        core_result_free(result);
    }
    core_queue_close(queue);
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_completes_everything_once),
        cmocka_unit_test(a_queue_may_be_closed_with_operations_under_way),
        cmocka_unit_test(threads_may_share_a_queue),
        cmocka_unit_test(the_descriptor_tells_when_there_is_something),
        cmocka_unit_test(a_queue_goes_on_when_its_node_closes_connections),
        cmocka_unit_test(what_a_queue_is_given_large_arrives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
