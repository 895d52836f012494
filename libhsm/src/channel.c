/* A channel: one connection to a node, and the operations that travel on it.
 *
 * Whoever has an operation appends it and, while fewer than FAST_FLIGHTS messages are under way, sends at once;
 * otherwise it waits and travels with all the others that came meanwhile when an answer makes room (as group commit
 * does). One waiting thread, the reader, polls the socket and reads for all; when its own answer has come it hands that
 * role to another, its heir. Invariant: while a thread waits for an operation on the channel, some thread is the reader
 * or about to become it. Threads whose operations are over are woken when the lock is free, and do not need it. */
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include "core_internal.h"

#define LOOK_NS     100000u
#define POLL_MAX_MS 50 /* for links whose descriptor cannot be made to tell that the connection was given up */

void channel_init(struct channel *channel, struct node_entry *node)
{
    memset(channel, 0, sizeof(*channel));
    pthread_mutex_init(&channel->lock, NULL);
    channel->node = node;
    channel->last = &channel->first;
    channel->message = (struct bytes)BYTES_SECRET;
    channel->message.limit = 2 * (size_t)MESSAGE_MAX;
}

/* A child of fork forgets: what a thread of the parent may have been changing is not touched, not even freed. */
void channel_close(struct channel *channel, bool forget)
{
    if (channel->link)
        channel->link->operations->close(channel->link, forget);
    channel->link = NULL;
    if (forget)
        return;
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        login_release(channel->flights[i].login);
        free(channel->flights[i].ops);
    }
    bytes_release(&channel->message);
    pthread_mutex_destroy(&channel->lock);
}

/* --- the lock, and who is told when it is free --- */

/* Whoever waits longest stays reader longest: an operation not sent yet, or one of the last message. */
static struct op *choose_heir(struct channel *channel)
{
    struct op *found = NULL;
    uint64_t sent = 0;

    for (struct op *op = channel->first; op; op = op->next) {
        if (!op->queue)
            return op;
    }
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        struct flight *flight = &channel->flights[i];

        for (unsigned j = 0; flight->id && flight->sent_ns > sent && j < flight->n; j++) {
            if (!flight->ops[j] || flight->ops[j]->queue)
                continue;
            found = flight->ops[j];
            sent = flight->sent_ns;
        }
    }
    return found;
}

/* The event to wake, if its thread sleeps. */
static platform_event *name_heir(struct channel *channel)
{
    if (channel->has_reader || channel->heir || channel->n_waiting == 0)
        return NULL;
    channel->heir = choose_heir(channel);
    return channel->heir && platform_event_mark(&channel->heir->event, EVENT_READ) ? &channel->heir->event : NULL;
}

static void unlock(struct channel *channel)
{
    platform_event *heir = name_heir(channel);
    struct op *over = channel->over;

    channel->over = NULL;
    pthread_mutex_unlock(&channel->lock);
    if (heir)
        platform_event_wake(heir);
    while (over) {
        struct op *next = over->next;
        platform_event *event = &over->event;

        /* Once marked, the operation is its owner's, who may be gone with it. */
        if (platform_event_mark(event, EVENT_OVER))
            platform_event_wake(event);
        over = next;
    }
}

/* --- entering --- */

static status_code ensure_link(struct channel *channel, uint64_t end_ns)
{
    CHECK(!channel->broken, STATUS_UNAVAILABLE, "the connection is being given up");
    return channel->link ? STATUS_OK : channel_connect(channel, end_ns);
}

static void refuse_all(struct channel *channel, struct op *ops, status_code status)
{
    char detail[FAILURE_DETAIL_MAX];

    snprintf(detail, sizeof(detail), "%s", failure_detail());
    node_failed(channel->node, true);
    for (struct op *next; ops; ops = next) {
        next = ops->next;
        channel_lose(ops, status, detail);
    }
}

static void enter(struct channel *channel, struct op *ops)
{
    for (struct op *op = ops; op; op = op->next) {
        op->channel = channel;
        channel->n_waiting += !op->queue;
        atomic_fetch_add_explicit(&channel->load, 1, memory_order_relaxed);
    }
    status_code status = ensure_link(channel, ops->attempt_end_ns);

    if (status != STATUS_OK) {
        refuse_all(channel, ops, status);
        return;
    }
    channel_append(channel, ops);
    channel_pump(channel);
}

void channel_put(struct channel *channel, struct op *ops)
{
    pthread_mutex_lock(&channel->lock);
    enter(channel, ops);
    unlock(channel);
}

void channel_drive(struct channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    channel_receive(channel);
    unlock(channel);
}

/* --- giving up --- */

static void give_up(struct channel *channel, struct op *op)
{
    struct flight *flight = op->state == OP_IN_FLIGHT ? &channel->flights[op->flight] : NULL;

    if (flight) {
        flight->ops[op->position] = NULL;
        flight->n_live--;
    } else {
        channel_remove(channel, op);
    }
    node_failed(channel->node, false);
    channel_lose(op, STATUS_UNAVAILABLE, "no answer in time");
    /* Nobody waits for this message any more: a connection on which that happens is not worth keeping. */
    if (flight && flight->n_live == 0) {
        (void)failure_set(STATUS_UNAVAILABLE, "no answer in time");
        channel_fail(channel);
    }
}

static bool is_here(const struct op *op)
{
    return op->state == OP_PENDING || op->state == OP_IN_FLIGHT;
}

void channel_give_up(struct op *op)
{
    struct channel *channel = op->channel;

    pthread_mutex_lock(&channel->lock);
    if (is_here(op))
        give_up(channel, op);
    unlock(channel);
}

/* The first operation of a queue whose attempt has lasted too long. */
static struct op *late_op(struct channel *channel, uint64_t now_ns)
{
    for (struct op *op = channel->first; op; op = op->next) {
        if (op->queue && now_ns >= op->attempt_end_ns)
            return op;
    }
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        struct flight *flight = &channel->flights[i];

        for (unsigned j = 0; flight->id && j < flight->n; j++) {
            if (flight->ops[j] && flight->ops[j]->queue && now_ns >= flight->ops[j]->attempt_end_ns)
                return flight->ops[j];
        }
    }
    return NULL;
}

void channel_expire(struct channel *channel, uint64_t now_ns)
{
    struct op *late;

    if (atomic_load_explicit(&channel->load, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&channel->lock);
    while ((late = late_op(channel, now_ns)))
        give_up(channel, late);
    unlock(channel);
}

/* --- waiting --- */

/* Falling asleep and being woken on another core takes longer than a short operation: a thread that is alone here looks
 * again for as long as that, and lets others run in between. */
static bool ready_soon(struct pollfd *poll_fd, uint64_t now)
{
    for (uint64_t end = now + LOOK_NS; now < end; now = platform_now_ns()) {
        if (poll(poll_fd, 1, 0) != 0)
            return true;
        sched_yield();
    }
    return false;
}

/* Waits outside of the lock until the socket is ready. */
static void poll_link(struct channel *channel, short events, uint64_t until_ns)
{
    struct pollfd poll_fd = {.fd = channel->link->operations->fd(channel->link), .events = events};
    uint64_t now = platform_now_ns();
    uint64_t left_ms = now < until_ns ? (until_ns - now) / 1000000 + 1 : 0;

    bool look = channel->n_waiting == 1 &&
                atomic_load_explicit(&channel->node->latency_us, memory_order_relaxed) * 1000 < LOOK_NS;

    channel->n_polling++;
    unlock(channel);
    if (!look || !ready_soon(&poll_fd, now))
        poll(&poll_fd, 1, left_ms < POLL_MAX_MS ? (int)left_ms : POLL_MAX_MS);
    pthread_mutex_lock(&channel->lock);
    channel->n_polling--;
    if (channel->broken)
        channel_close_link(channel);
}

/* Until the own operation is over or its attempt has lasted long enough. */
static void read_for_all(struct channel *channel, struct op *op)
{
    channel->has_reader = true;
    channel->heir = NULL;
    while (is_here(op) && platform_now_ns() < op->attempt_end_ns) {
        bool sending = channel->link->operations->sending(channel->link);

        poll_link(channel, sending ? POLLIN | POLLOUT : POLLIN, op->attempt_end_ns);
        channel_receive(channel);
    }
    channel->has_reader = false;
}

/* True when the operation is over, which needs no lock. */
static bool sleep_until_called(struct channel *channel, struct op *op)
{
    unlock(channel);
    if (platform_event_wait(&op->event, op->attempt_end_ns) == EVENT_OVER)
        return true;
    pthread_mutex_lock(&channel->lock);
    platform_event_unmark(&op->event, EVENT_READ);
    return false;
}

/* One step of waiting; true when the operation is over and the lock not held. */
static bool wait_here(struct channel *channel, struct op *op)
{
    if (!channel->has_reader && (!channel->heir || channel->heir == op)) {
        read_for_all(channel, op);
        return false;
    }
    /* The reader does not know that there is something to write. */
    if (channel->has_reader && channel->link->operations->sending(channel->link)) {
        poll_link(channel, POLLOUT, op->attempt_end_ns);
        channel_receive(channel);
        return false;
    }
    return sleep_until_called(channel, op);
}

void channel_call(struct channel *channel, struct op *op)
{
    op->next = NULL;
    atomic_store_explicit(&op->event, 0, memory_order_relaxed);
    pthread_mutex_lock(&channel->lock);
    enter(channel, op);
    while (is_here(op)) {
        if (wait_here(channel, op))
            return;
        if (is_here(op) && platform_now_ns() >= op->attempt_end_ns)
            give_up(channel, op);
    }
    unlock(channel);
    /* Another thread may have found it over and not said so yet. */
    while (platform_event_wait(&op->event, UINT64_MAX) != EVENT_OVER)
        platform_event_unmark(&op->event, EVENT_READ);
}
