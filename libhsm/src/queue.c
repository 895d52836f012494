/* Completion queues: many operations in flight from one thread.
 *
 * What is submitted is staged; a flush spreads it over nodes and connections, so that it travels in few messages. The
 * thread that takes completions also reads the sockets. Completed operations wait in `done`; those that were lost go
 * back to `staged` when somebody looks. */
#include <stdio.h>
#include <stdlib.h>
#include "core_internal.h"

#define CHUNK   64u /* operations given to one connection at a time */
#define TICK_MS 10  /* how often attempts are looked at that may have lasted too long */
#define CALL_MS                                                                                                        \
    50 /* how often those are called for this who poll the descriptor, as long as something is outstanding */

#define READY_MAX    16u
#define SIGNAL_TOKEN UINT32_MAX
#define TIMER_TOKEN  (UINT32_MAX - 1)

/* What `set` knows of a channel. */
struct watched {
    uint64_t generation; /* of the link whose descriptor is in the set; 0: none */
    bool sending;
};

struct core_queue {
    struct core *core;
    long pid;
    pthread_mutex_t lock; /* guards all below */
    struct op *staged, **staged_last;
    struct op *done, **done_last;
    struct op *all; /* every operation that was submitted and not taken */
    size_t n_outstanding;
    uint64_t staged_not_before_ns; /* lost operations wait a little when every node failed */
    bool driving;                  /* a thread is in core_queue_next and will see what completes */
    pthread_t driver;
    int set, signal, timer;
    struct watched watched[NODES_MAX][CONNECTIONS_MAX];
    _Atomic uint64_t checked_ns;
};

status_code core_queue_open(struct core *core, struct core_queue **queue)
{
    TRY(core_check_fork(core));
    struct core_queue *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a queue");
    made->core = core;
    made->pid = platform_process();
    pthread_mutex_init(&made->lock, NULL);
    made->staged_last = &made->staged;
    made->done_last = &made->done;
    made->set = platform_set_open();
    made->signal = platform_signal_open();
    made->timer = platform_timer_open();
    if (made->set >= 0 && made->signal >= 0)
        platform_set_add(made->set, made->signal, SIGNAL_TOKEN);
    if (made->set >= 0 && made->timer >= 0)
        platform_set_add(made->set, made->timer, TIMER_TOKEN);
    *queue = made;
    return STATUS_OK;
}

int core_queue_fd(struct core_queue *queue)
{
    return queue->set;
}

size_t core_queue_outstanding(struct core_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t n = queue->n_outstanding;

    pthread_mutex_unlock(&queue->lock);
    return n;
}

static void stage(struct core_queue *queue, struct op *op)
{
    op->next = NULL;
    *queue->staged_last = op;
    queue->staged_last = &op->next;
}

static void link_op(struct core_queue *queue, struct op *op)
{
    op->queue_previous = NULL;
    op->queue_next = queue->all;
    if (queue->all)
        queue->all->queue_previous = op;
    queue->all = op;
    if (queue->n_outstanding++ == 0)
        platform_timer_set(queue->timer, CALL_MS);
}

static void unlink_op(struct core_queue *queue, struct op *op)
{
    if (op->queue_previous)
        op->queue_previous->queue_next = op->queue_next;
    else
        queue->all = op->queue_next;
    if (op->queue_next)
        op->queue_next->queue_previous = op->queue_previous;
    if (--queue->n_outstanding == 0)
        platform_timer_set(queue->timer, 0);
}

/* Called with the channel's lock held. */
void queue_completed(struct op *op)
{
    struct core_queue *queue = op->queue;

    pthread_mutex_lock(&queue->lock);
    op->next = NULL;
    bool first = queue->done == NULL;

    *queue->done_last = op;
    queue->done_last = &op->next;
    bool seen = queue->driving && pthread_equal(queue->driver, pthread_self());
    pthread_mutex_unlock(&queue->lock);
    if (first && !seen)
        platform_signal(queue->signal);
}

static status_code check_pid(struct core_queue *queue)
{
    TRY(core_check_fork(queue->core));
    CHECK(queue->pid == platform_process(), STATUS_INVALID_ARGUMENT, "a child of fork opens a queue of its own");
    return STATUS_OK;
}

status_code core_submit(struct core_queue *queue, const struct core_request *request, void *user_data)
{
    TRY(check_pid(queue));
    struct op *op = malloc(sizeof(*op));

    CHECK(op, STATUS_OUT_OF_MEMORY, "no memory for an operation");
    status_code status = op_init(queue->core, request, op);
    if (status != STATUS_OK) {
        free(op);
        return status;
    }
    op->queue = queue;
    op->user_data = user_data;
    pthread_mutex_lock(&queue->lock);
    link_op(queue, op);
    stage(queue, op);
    pthread_mutex_unlock(&queue->lock);
    return STATUS_OK;
}

static struct op *take_staged(struct core_queue *queue)
{
    struct op *ops = NULL;

    pthread_mutex_lock(&queue->lock);
    if (queue->staged && platform_now_ns() >= queue->staged_not_before_ns) {
        ops = queue->staged;
        queue->staged = NULL;
        queue->staged_last = &queue->staged;
    }
    pthread_mutex_unlock(&queue->lock);
    return ops;
}

/* Cuts off what goes to one connection: operations that may go to any node, up to a chunk. */
static struct op *cut(struct op **ops)
{
    struct op *first = *ops, *last = first;

    for (unsigned n = 1; n < CHUNK && last->next && first->only_node < 0 && last->next->only_node < 0 &&
                         last->next->tried == first->tried;
         n++)
        last = last->next;
    *ops = last->next;
    last->next = NULL;
    return first;
}

static uint32_t token_of(const struct channel *channel)
{
    return channel->node->index * CONNECTIONS_MAX + (uint32_t)(channel - channel->node->channels);
}

/* Keeps the set in step with the channel: its present descriptor, and whether there is something to write. */
static void watch(struct core_queue *queue, struct channel *channel)
{
    struct watched *watched = &queue->watched[channel->node->index][channel - channel->node->channels];

    pthread_mutex_lock(&channel->lock);
    struct link *link = channel->broken ? NULL : channel->link;
    bool sending = atomic_load_explicit(&channel->sending, memory_order_relaxed);

    pthread_mutex_lock(&queue->lock);
    if (link && watched->generation != channel->generation) {
        platform_set_add(queue->set, link->operations->fd(link), token_of(channel));
        *watched = (struct watched){.generation = channel->generation};
    }
    if (link && watched->sending != sending)
        platform_set_change(queue->set, link->operations->fd(link), token_of(channel), sending);
    watched->sending = sending;
    pthread_mutex_unlock(&queue->lock);
    pthread_mutex_unlock(&channel->lock);
}

static void send_chunk(struct core_queue *queue, struct op *ops)
{
    struct channel *channel = op_begin_attempt(queue->core, ops);

    for (struct op *op = ops->next; op; op = op->next) {
        op->node = ops->node;
        op->attempt_end_ns = op->deadline_ns < ops->attempt_end_ns ? op->deadline_ns : ops->attempt_end_ns;
    }
    if (channel) {
        channel_put(channel, ops);
        watch(queue, channel);
        return;
    }
    for (struct op *next; ops; ops = next) {
        next = ops->next;
        ops->state = OP_LOST;
        ops->status = STATUS_UNAVAILABLE;
        queue_completed(ops);
    }
}

status_code core_queue_flush(struct core_queue *queue)
{
    TRY(check_pid(queue));
    struct op *ops = take_staged(queue);

    if (ops)
        core_refresh_if_due(queue->core);
    while (ops)
        send_chunk(queue, cut(&ops));
    return STATUS_OK;
}

/* Reads the connections that have something, for up to timeout_ms. */
static void drive(struct core_queue *queue, int timeout_ms)
{
    uint32_t ready[READY_MAX];
    unsigned n = platform_set_wait(queue->set, ready, READY_MAX, timeout_ms);

    for (unsigned i = 0; i < n; i++) {
        if (ready[i] == SIGNAL_TOKEN || ready[i] == TIMER_TOKEN) {
            platform_signal_drain(ready[i] == SIGNAL_TOKEN ? queue->signal : queue->timer);
            continue;
        }
        struct channel *channel = &queue->core->nodes[ready[i] / CONNECTIONS_MAX]->channels[ready[i] % CONNECTIONS_MAX];

        channel_drive(channel);
        watch(queue, channel);
    }
}

/* Attempts that have lasted too long are given up, which puts them into `done` as lost. */
static void check_times(struct core_queue *queue)
{
    uint64_t now = platform_now_ns();

    if (now - atomic_load_explicit(&queue->checked_ns, memory_order_relaxed) < TICK_MS * 1000000ull)
        return;
    atomic_store_explicit(&queue->checked_ns, now, memory_order_relaxed);
    for (unsigned i = 0; i < atomic_load(&queue->core->n_nodes); i++) {
        struct node_entry *node = queue->core->nodes[i];

        for (unsigned j = 0; j < node->n_channels; j++)
            channel_expire(&node->channels[j], now);
    }
}

/* The next operation that is over for good; those that are to be tried again are staged. */
static struct op *take_done(struct core_queue *queue)
{
    struct op *op;

    pthread_mutex_lock(&queue->lock);
    while ((op = queue->done)) {
        uint64_t not_before;

        queue->done = op->next;
        if (!queue->done)
            queue->done_last = &queue->done;
        if (!op_try_again(queue->core, op, &not_before))
            break;
        if (not_before > queue->staged_not_before_ns)
            queue->staged_not_before_ns = not_before;
        stage(queue, op);
    }
    pthread_mutex_unlock(&queue->lock);
    return op;
}

static status_code make_result(struct core_queue *queue, struct op *op, struct core_result **result)
{
    struct core_result *made = malloc(sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a completion");
    op_conclude(queue->core, op);
    made->user_data = op->user_data;
    made->operation = op->operation;
    made->status = op->status;
    made->reply = (struct bytes)BYTES_SECRET;
    values_init(&made->answer);
    snprintf(made->detail, sizeof(made->detail), "%s", op->detail);
    node_describe(queue->core, op->node, made->node_name);
    if (op->status == STATUS_OK)
        made->status = op_take_answer(op, &made->reply, &made->answer);
    *result = made;
    return STATUS_OK;
}

static void set_driving(struct core_queue *queue, bool driving)
{
    pthread_mutex_lock(&queue->lock);
    queue->driving = driving;
    queue->driver = pthread_self();
    pthread_mutex_unlock(&queue->lock);
}

/* NULL when the time has passed or other threads have taken all there was. */
static struct op *wait_for_one(struct core_queue *queue, uint64_t until_ns)
{
    struct op *op;

    for (;;) {
        (void)core_queue_flush(queue);
        if ((op = take_done(queue)))
            return op;
        uint64_t now = platform_now_ns();
        uint64_t left_ms = now < until_ns ? (until_ns - now) / 1000000 + 1 : 0;

        drive(queue, left_ms < TICK_MS ? (int)left_ms : TICK_MS);
        check_times(queue);
        if ((op = take_done(queue)) || left_ms == 0 || core_queue_outstanding(queue) == 0)
            return op;
    }
}

/* The next operation that is over, still linked. */
static struct op *next_over(struct core_queue *queue, uint64_t until_ns)
{
    struct op *op = take_done(queue);

    if (op)
        return op;
    set_driving(queue, true);
    op = wait_for_one(queue, until_ns);
    set_driving(queue, false);
    return op;
}

static void submit_again(struct core_queue *queue, struct op *op)
{
    pthread_mutex_lock(&queue->lock);
    stage(queue, op);
    pthread_mutex_unlock(&queue->lock);
}

/* What it came to goes into *result; it is gone. */
static status_code finish(struct core_queue *queue, struct op *op, struct core_result **result)
{
    pthread_mutex_lock(&queue->lock);
    unlink_op(queue, op);
    pthread_mutex_unlock(&queue->lock);
    status_code status = make_result(queue, op, result);

    op_release(op);
    free(op);
    return status;
}

status_code core_queue_next(struct core_queue *queue, int32_t timeout_ms, struct core_result **result)
{
    struct op *op;

    TRY(check_pid(queue));
    CHECK(core_queue_outstanding(queue), STATUS_OPERATION_NOT_ACTIVE, "nothing was submitted");
    uint64_t until_ns = timeout_ms < 0 ? UINT64_MAX : platform_now_ns() + (uint64_t)timeout_ms * 1000000;

    while ((op = next_over(queue, until_ns)) && op_log_in_again(op))
        submit_again(queue, op);
    if (op)
        return finish(queue, op, result);
    CHECK(core_queue_outstanding(queue), STATUS_OPERATION_NOT_ACTIVE, "another thread took the last completion");
    return STATUS_PENDING;
}

void core_result_free(struct core_result *result)
{
    if (!result)
        return;
    bytes_release(&result->reply);
    free(result);
}

void core_queue_close(struct core_queue *queue)
{
    if (!queue)
        return;
    bool own = check_pid(queue) == STATUS_OK;

    /* First all leave their channels, so that nobody else can reach them or the queue; then they go. */
    for (struct op *op = own ? queue->all : NULL; op; op = op->queue_next) {
        op->deadline_ns = 0;
        if (op->channel)
            channel_give_up(op);
    }
    while (own && queue->all) {
        struct op *op = queue->all;

        unlink_op(queue, op);
        op_release(op);
        free(op);
    }
    if (queue->set >= 0)
        platform_close(queue->set);
    if (queue->signal >= 0)
        platform_close(queue->signal);
    if (queue->timer >= 0)
        platform_close(queue->timer);
    if (own)
        pthread_mutex_destroy(&queue->lock);
    free(queue);
}
