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

struct core_queue {
    struct core *core;
    pid_t pid;
    pthread_mutex_t lock; /* guards all below */
    struct op *staged, **staged_last;
    struct op *done, **done_last;
    struct op *all; /* every operation that was submitted and not taken */
    size_t n_outstanding;
    uint64_t staged_not_before_ns; /* lost operations wait a little when every node failed */
    bool driving;                  /* a thread is in core_queue_next and will see what completes */
    pthread_t driver;
    int set, signal;
    uint64_t watched[NODES_MAX][CONNECTIONS_MAX]; /* generation of the link whose descriptor is in `set` */
    uint64_t checked_ns;
};

status_code core_queue_open(struct core *core, struct core_queue **queue)
{
    TRY(core_check_fork(core));
    struct core_queue *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a queue");
    made->core = core;
    made->pid = core->pid;
    pthread_mutex_init(&made->lock, NULL);
    made->staged_last = &made->staged;
    made->done_last = &made->done;
    made->set = platform_set_open();
    made->signal = platform_signal_open();
    if (made->set >= 0 && made->signal >= 0)
        platform_set_add(made->set, made->signal);
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
    queue->n_outstanding++;
}

static void unlink_op(struct core_queue *queue, struct op *op)
{
    if (op->queue_previous)
        op->queue_previous->queue_next = op->queue_next;
    else
        queue->all = op->queue_next;
    if (op->queue_next)
        op->queue_next->queue_previous = op->queue_previous;
    queue->n_outstanding--;
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
    CHECK(queue->pid == queue->core->pid, STATUS_INVALID_ARGUMENT, "a child of fork opens a queue of its own");
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

static void watch(struct core_queue *queue, struct channel *channel)
{
    struct node_entry *node = channel->node;
    uint64_t *watched = &queue->watched[node->index][channel - node->channels];

    pthread_mutex_lock(&channel->lock);
    int fd = channel->link && *watched != channel->generation ? channel->link->operations->fd(channel->link) : -1;

    *watched = channel->generation;
    pthread_mutex_unlock(&channel->lock);
    if (fd >= 0)
        platform_set_add(queue->set, fd);
}

static uint64_t attempt_end(const struct core_queue *queue, const struct op *op)
{
    uint64_t attempt = queue->core->config->attempt_timeout_ms * 1000000ull;
    uint64_t usual = 4000 * atomic_load_explicit(&op->node->latency_us, memory_order_relaxed);
    uint64_t end = platform_now_ns() + (op->slow ? 20 : 1) * (usual > attempt ? usual : attempt);

    return end < op->deadline_ns && node_has_alternative(queue->core, op->node) ? end : op->deadline_ns;
}

static void send_chunk(struct core_queue *queue, struct op *ops)
{
    struct node_entry *node = node_choose(queue->core, ops);
    struct channel *channel = node ? node_channel(node) : NULL;

    for (struct op *op = ops; op; op = op->next) {
        op->node = node;
        op->attempt_end_ns = node ? attempt_end(queue, op) : op->deadline_ns;
    }
    if (channel) {
        channel_put(channel, ops);
        watch(queue, channel);
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

static void drive(struct core_queue *queue)
{
    for (unsigned i = 0; i < atomic_load(&queue->core->n_nodes); i++) {
        struct node_entry *node = queue->core->nodes[i];

        for (unsigned j = 0; j < node->n_channels; j++)
            channel_drive(&node->channels[j]);
    }
}

/* Attempts that have lasted too long are given up, which puts them into `done` as lost. */
static void check_times(struct core_queue *queue)
{
    uint64_t now = platform_now_ns();
    struct op *late[CHUNK];
    unsigned n = 0;

    if (now - queue->checked_ns < TICK_MS * 1000000ull)
        return;
    queue->checked_ns = now;
    pthread_mutex_lock(&queue->lock);
    for (struct op *op = queue->all; op && n < CHUNK; op = op->queue_next) {
        if (op->channel && op->attempt_end_ns && now >= op->attempt_end_ns)
            late[n++] = op;
    }
    pthread_mutex_unlock(&queue->lock);
    for (unsigned i = 0; i < n; i++)
        channel_give_up(late[i]);
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
        if (!op_try_again(queue->core, op, &not_before)) {
            unlink_op(queue, op);
            break;
        }
        if (not_before > queue->staged_not_before_ns)
            queue->staged_not_before_ns = not_before;
        stage(queue, op);
    }
    pthread_mutex_unlock(&queue->lock);
    return op;
}

static status_code make_result(struct core_queue *queue, struct op *op, struct core_result **result)
{
    struct core_result *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a completion");
    op_conclude(queue->core, op);
    made->user_data = op->user_data;
    made->operation = op->operation;
    made->status = op->status;
    made->reply = (struct bytes)BYTES_SECRET;
    memcpy(made->detail, op->detail, sizeof(made->detail));
    if (op->node)
        snprintf(made->node_name, sizeof(made->node_name), "%s", op->node->name[0] ? op->node->name : op->node->url);
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

static struct op *wait_for_one(struct core_queue *queue, uint64_t until_ns)
{
    struct op *op;

    while (!(op = take_done(queue))) {
        (void)core_queue_flush(queue);
        drive(queue);
        if ((op = take_done(queue)))
            return op;
        uint64_t now = platform_now_ns();

        if (now >= until_ns)
            return NULL;
        uint64_t left_ms = (until_ns - now) / 1000000 + 1;

        platform_set_wait(queue->set, left_ms < TICK_MS ? (int)left_ms : TICK_MS);
        platform_signal_drain(queue->signal);
        check_times(queue);
    }
    return op;
}

status_code core_queue_next(struct core_queue *queue, int32_t timeout_ms, struct core_result **result)
{
    struct op *op;

    TRY(check_pid(queue));
    CHECK(core_queue_outstanding(queue), STATUS_OPERATION_NOT_ACTIVE, "nothing was submitted");
    op = take_done(queue);
    if (!op) {
        uint64_t now = platform_now_ns();

        set_driving(queue, true);
        op = wait_for_one(queue, timeout_ms < 0 ? UINT64_MAX : now + (uint64_t)timeout_ms * 1000000);
        set_driving(queue, false);
    }
    if (!op)
        return STATUS_PENDING;
    status_code status = make_result(queue, op, result);
    op_release(op);
    free(op);
    return status;
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
    if (own)
        pthread_mutex_destroy(&queue->lock);
    free(queue);
}
