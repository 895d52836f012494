/* Who waits for answers: a program's event loop, played by an epoll, learns of all that it has to resume, and of
 * nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "wait.h"

#define KEY ((const void *)"provider")

struct program {
    int loop, answers;
    struct waiting waiting;
};

struct connection {
    ASYNC_WAIT_CTX *context;
    struct waiter *waiter;
};

static void program_begin(struct program *program)
{
    program->loop = epoll_create1(EPOLL_CLOEXEC);
    program->answers = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(program->loop >= 0 && program->answers >= 0);
    waiting_init(&program->waiting, program->answers);
}

static void program_end(struct program *program)
{
    waiting_release(&program->waiting);
    close(program->answers);
    close(program->loop);
}

static void submit(struct program *program, struct connection *connection)
{
    connection->waiter = waiter_get(&program->waiting, connection->context, KEY);
    assert_non_null(connection->waiter);
    waiter_begin(connection->waiter);
}

/* What a program does when a job is paused: it looks at the descriptor that it is told of. */
static void pause_job(struct program *program, struct connection *connection)
{
    OSSL_ASYNC_FD descriptor;
    size_t n_added = 1, n_removed = 0;
    bool known = connection->waiter->descriptor >= 0;

    assert_true(waiter_show(connection->waiter, connection->context, KEY));
    if (known)
        return;
    assert_true(ASYNC_WAIT_CTX_get_changed_fds(connection->context, &descriptor, &n_added, NULL, &n_removed));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

    assert_int_equal(epoll_ctl(program->loop, EPOLL_CTL_ADD, descriptor, &event), 0);
}

static struct connection connection_begin(struct program *program)
{
    struct connection connection = {.context = ASYNC_WAIT_CTX_new()};

    assert_non_null(connection.context);
    submit(program, &connection);
    return connection;
}

static void answer(const struct connection *connection, const struct connection *taker)
{
    const hsm_completion completion = HSM_COMPLETION_INIT;

    waiter_answer(connection->waiter, &completion, taker ? taker->waiter : NULL);
}

static bool is_called(const struct connection *connection)
{
    struct pollfd poll_fd = {.fd = connection->waiter->descriptor, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

static size_t n_descriptors(const struct connection *connection)
{
    size_t n = 0;

    assert_true(ASYNC_WAIT_CTX_get_all_fds(connection->context, NULL, &n));
    return n;
}

#define N_CROWD 700u /* more than Linux lets one bell be heard by */

static void everybody_is_called_when_all_answers_come_at_once(void **state)
{
    static struct connection crowd[N_CROWD];
    static struct epoll_event events[N_CROWD];
    struct program program;

    (void)state;
    program_begin(&program);
    for (unsigned i = 0; i < N_CROWD; i++) {
        crowd[i] = connection_begin(&program);
        pause_job(&program, &crowd[i]);
    }
    assert_int_equal(epoll_wait(program.loop, events, N_CROWD, 0), 0);
    for (unsigned i = 0; i < N_CROWD; i++)
        answer(&crowd[i], NULL);
    assert_int_equal(epoll_wait(program.loop, events, N_CROWD, 0), N_CROWD);
    for (unsigned i = 0; i < N_CROWD; i++) {
        waiter_end(crowd[i].waiter);
        ASYNC_WAIT_CTX_free(crowd[i].context);
    }
    program_end(&program);
}

static void an_answer_that_is_there_at_once_leaves_no_descriptor(void **state)
{
    struct program program;

    (void)state;
    program_begin(&program);
    struct connection connection = connection_begin(&program);

    answer(&connection, &connection);
    assert_false(waiter_is_pending(connection.waiter));
    waiter_end(connection.waiter);
    assert_int_equal(n_descriptors(&connection), 0);
    ASYNC_WAIT_CTX_free(connection.context);
    program_end(&program);
}

static void an_answer_that_was_taken_before_the_pause_ends_it(void **state)
{
    struct program program;

    (void)state;
    program_begin(&program);
    struct connection connection = connection_begin(&program);

    answer(&connection, NULL);
    pause_job(&program, &connection);
    assert_true(is_called(&connection));
    waiter_end(connection.waiter);
    ASYNC_WAIT_CTX_free(connection.context);
    program_end(&program);
}

static void one_descriptor_serves_a_connection_for_all_its_operations(void **state)
{
    struct program program;

    (void)state;
    program_begin(&program);
    struct connection connection = connection_begin(&program);

    for (unsigned i = 0; i < 3; i++) {
        pause_job(&program, &connection);
        assert_false(is_called(&connection));
        answer(&connection, NULL);
        assert_true(is_called(&connection));
        assert_int_equal(n_descriptors(&connection), 1);
        waiter_end(connection.waiter);
        submit(&program, &connection);
    }
    waiter_cancel(connection.waiter);
    waiter_end(connection.waiter);
    ASYNC_WAIT_CTX_free(connection.context);
    program_end(&program);
}

static void exactly_one_is_called_for_answers_whoever_leaves(void **state)
{
    struct connection connections[3];
    struct program program;

    (void)state;
    program_begin(&program);
    assert_int_equal(eventfd_write(program.answers, 1), 0);
    for (unsigned i = 0; i < 3; i++) {
        connections[i] = connection_begin(&program);
        pause_job(&program, &connections[i]);
    }
    for (unsigned n = 3; n > 0; n--) {
        struct epoll_event events[3];

        assert_int_equal(epoll_wait(program.loop, events, 3, 0), 1);
        struct connection *leader = events[0].data.ptr;

        assert_int_equal(epoll_ctl(program.loop, EPOLL_CTL_DEL, leader->waiter->descriptor, NULL), 0);
        ASYNC_WAIT_CTX_free(leader->context); /* the program closes this connection; the answer frees what waits */
    }
    for (unsigned i = 0; i < 3; i++)
        answer(&connections[i], NULL);
    program_end(&program);
}

static void a_second_operation_in_one_context_is_refused(void **state)
{
    struct program program;

    (void)state;
    program_begin(&program);
    struct connection connection = connection_begin(&program);

    pause_job(&program, &connection);
    assert_null(waiter_get(&program.waiting, connection.context, KEY));
    answer(&connection, NULL);
    waiter_end(connection.waiter);
    ASYNC_WAIT_CTX_free(connection.context);
    program_end(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_is_called_when_all_answers_come_at_once),
        cmocka_unit_test(an_answer_that_is_there_at_once_leaves_no_descriptor),
        cmocka_unit_test(an_answer_that_was_taken_before_the_pause_ends_it),
        cmocka_unit_test(one_descriptor_serves_a_connection_for_all_its_operations),
        cmocka_unit_test(exactly_one_is_called_for_answers_whoever_leaves),
        cmocka_unit_test(a_second_operation_in_one_context_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
