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

/* As an event loop does: it looks when the descriptor calls, and never of its own accord. */
static void expect_by_descriptor(enum behaviour behaviour, const char *timeout_ms, status_code expected)
{
    struct fixture fixture;
    struct core_queue *queue;
    struct core_result *result;
    status_code status;

    fixture_start(&fixture, 1, &behaviour, timeout_ms);
    assert_int_equal(core_queue_open(fixture.core, &queue), STATUS_OK);
    struct pollfd poll_fd = {.fd = core_queue_fd(queue), .events = POLLIN};

    submit_number(queue, 7, NULL);
    assert_int_equal(core_queue_flush(queue), STATUS_OK);
    do {
        assert_int_equal(poll(&poll_fd, 1, 5000), 1);
        status = core_queue_next(queue, 0, &result);
    } while (status == STATUS_PENDING);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(result->status, expected);
    core_result_free(result);
    assert_int_equal(poll(&poll_fd, 1, 100), 0); /* nothing is outstanding: it is silent */
    core_queue_close(queue);
    fixture_stop(&fixture);
}

static void the_descriptor_tells_when_there_is_something(void **state)
{
    (void)state;
    expect_by_descriptor(BEHAVE, "5000", STATUS_OK);
}

static void the_descriptor_tells_when_a_silent_node_is_to_be_given_up(void **state)
{
    (void)state;
    expect_by_descriptor(HANG, "500", STATUS_UNAVAILABLE);
}

static void the_descriptor_tells_when_an_operation_is_to_be_tried_again(void **state)
{
    (void)state;
    expect_by_descriptor(DROP, "500", STATUS_UNAVAILABLE);
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

/* --- logins that expire --- */

struct owner {
    struct login *login;
    const char *fresh; /* ticket; NULL: the login fails */
    unsigned n_logins, n_asked;
};

static status_code log_in(void *argument, uint32_t generation)
{
    struct owner *owner = argument;

    owner->n_asked++;
    if (generation != owner->n_logins)
        return STATUS_OK; /* made for another request */
    CHECK(owner->fresh, STATUS_IO_ERROR, "the password is lost");
    owner->n_logins++;
    return login_set(owner->login, slice_text(owner->fresh));
}

/* Submits `n` requests under a ticket that has expired, and asserts what they come to. */
static void expect_completions(struct owner *owner, bool can_log_in, unsigned n, status_code expected,
                               const char *detail)
{
    struct fixture fixture;
    struct core_queue *queue;
    struct core_result *result;
    struct values fields;

    fixture_start(&fixture, 1, (const enum behaviour[]){EXPIRE_OLD}, "10000");
    owner->login = login_new();
    assert_int_equal(login_set(owner->login, slice_text("old")), STATUS_OK);
    assert_int_equal(core_queue_open(fixture.core, &queue), STATUS_OK);
    values_init(&fields);
    values_put_bytes(&fields, FIELD_DATA, slice_text("data"));
    struct core_request request = {.operation = OP_PING, .fields = &fields, .login = owner->login};
    if (can_log_in)
        request.again = (struct core_relogin){log_in, owner, 0};
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(core_submit(queue, &request, NULL), STATUS_OK);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(core_queue_next(queue, 10000, &result), STATUS_OK);
        assert_int_equal(result->status, expected);
        assert_string_equal(result->detail, detail);
        assert_true(expected != STATUS_OK ||
                    slice_equal(values_bytes(&result->answer, FIELD_DATA), slice_text("data")));
        core_result_free(result);
    }
    assert_int_equal(core_queue_outstanding(queue), 0);
    core_queue_close(queue);
    login_release(owner->login);
    fixture_stop(&fixture);
}

static void an_expired_login_is_made_anew_once_for_all_requests(void **state)
{
    struct owner owner = {.fresh = "new"};

    (void)state;
    expect_completions(&owner, true, 50, STATUS_OK, "");
    assert_int_equal(owner.n_logins, 1);
}

static void a_login_that_cannot_be_made_anew_is_the_completions_error(void **state)
{
    struct owner owner = {.fresh = NULL};

    (void)state;
    expect_completions(&owner, true, 3, STATUS_IO_ERROR, "the password is lost");
    assert_int_equal(owner.n_asked, 3);
}

static void a_ticket_that_is_refused_when_it_is_new_is_told(void **state)
{
    struct owner owner = {.fresh = "old"};

    (void)state;
    expect_completions(&owner, true, 1, STATUS_TICKET_EXPIRED, "");
    assert_int_equal(owner.n_asked, 1);
}

static void an_expired_login_that_nobody_can_renew_is_told(void **state)
{
    struct owner owner = {.fresh = "new"};

    (void)state;
    expect_completions(&owner, false, 2, STATUS_TICKET_EXPIRED, "");
    assert_int_equal(owner.n_asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_completes_everything_once),
        cmocka_unit_test(a_queue_may_be_closed_with_operations_under_way),
        cmocka_unit_test(threads_may_share_a_queue),
        cmocka_unit_test(the_descriptor_tells_when_there_is_something),
        cmocka_unit_test(the_descriptor_tells_when_a_silent_node_is_to_be_given_up),
        cmocka_unit_test(the_descriptor_tells_when_an_operation_is_to_be_tried_again),
        cmocka_unit_test(a_queue_goes_on_when_its_node_closes_connections),
        cmocka_unit_test(what_a_queue_is_given_large_arrives),
        cmocka_unit_test(an_expired_login_is_made_anew_once_for_all_requests),
        cmocka_unit_test(a_login_that_cannot_be_made_anew_is_the_completions_error),
        cmocka_unit_test(a_ticket_that_is_refused_when_it_is_new_is_told),
        cmocka_unit_test(an_expired_login_that_nobody_can_renew_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
