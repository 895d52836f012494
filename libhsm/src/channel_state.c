/* How operations and connections leave a channel. Every function is called with the channel's lock held. */
#include <stdio.h>
#include <sys/socket.h>
#include "core_internal.h"

void channel_leave(struct op *op, enum op_state state)
{
    struct channel *channel = op->channel;

    atomic_fetch_sub_explicit(&channel->load, 1, memory_order_relaxed);
    op->state = state;
    if (op->queue) {
        queue_completed(op);
        return;
    }
    channel->n_waiting--;
    if (channel->heir == op)
        channel->heir = NULL;
    op->next = channel->over;
    channel->over = op;
}

void channel_lose(struct op *op, status_code status, const char *detail)
{
    op->status = status;
    /* What an attempt was cut short by, the end of the time, tells less than what failed before. */
    if (!op->detail[0] || platform_now_ns() < op->deadline_ns)
        snprintf(op->detail, sizeof(op->detail), "%s", detail);
    channel_leave(op, OP_LOST);
}

void flight_free(struct channel *channel, struct flight *flight)
{
    flight->id = 0;
    flight->n = flight->n_live = 0;
    login_release(flight->login);
    flight->login = NULL;
    channel->n_flights--;
    if (!flight->slow) {
        channel->n_fast--;
        channel->fast_us -= flight->cost_us;
    }
}

/* While a thread polls the descriptor it stays open: the shutdown wakes that thread, which then closes. */
void channel_close_link(struct channel *channel)
{
    struct link *link = channel->link;

    if (!link)
        return;
    if (channel->n_polling) {
        if (!channel->broken)
            shutdown(link->operations->fd(link), SHUT_RDWR);
        channel->broken = true;
        return;
    }
    /* In this order, so that a child forked in between does not close it again. */
    channel->link = NULL;
    channel->broken = false;
    atomic_store(&channel->sending, false);
    atomic_store(&channel->node->connected, false);
    link->operations->close(link, false);
}

void channel_fail(struct channel *channel)
{
    struct op *op = channel->first, *next;
    char detail[FAILURE_DETAIL_MAX];

    snprintf(detail, sizeof(detail), "%s", failure_detail());
    channel_close_link(channel);
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        struct flight *flight = &channel->flights[i];

        for (unsigned j = 0; flight->id && j < flight->n; j++) {
            if (flight->ops[j])
                channel_lose(flight->ops[j], STATUS_UNAVAILABLE, detail);
        }
        if (flight->id)
            flight_free(channel, flight);
    }
    channel->first = NULL;
    channel->last = &channel->first;
    channel->pending_us = 0;
    for (; op; op = next) {
        next = op->next;
        channel_lose(op, STATUS_UNAVAILABLE, detail);
    }
}
