/* What travels together: operations that wait are gathered into messages by login, work and size. Every function is
 * called with the channel's lock held. */
#include <stdlib.h>
#include "core_internal.h"

void channel_append(struct channel *channel, struct op *ops)
{
    *channel->last = ops;
    for (struct op *op = ops; op; op = op->next) {
        op->state = OP_PENDING;
        channel->pending_us += op->cost_us;
        channel->last = &op->next;
    }
}

static void find_last(struct channel *channel)
{
    channel->last = &channel->first;
    while (*channel->last)
        channel->last = &(*channel->last)->next;
}

void channel_remove(struct channel *channel, struct op *op)
{
    struct op **at = &channel->first;

    while (*at != op)
        at = &(*at)->next;
    *at = op->next;
    channel->pending_us -= op->cost_us;
    find_last(channel);
}

/* --- gathering --- */

static struct flight *free_flight(struct channel *channel)
{
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        if (!channel->flights[i].id)
            return &channel->flights[i];
    }
    return NULL;
}

static bool flight_add(struct flight *flight, unsigned index, struct op *op)
{
    if (flight->n == flight->room) {
        unsigned room = flight->room ? 2 * flight->room : 16;
        struct op **ops = realloc(flight->ops, room * sizeof(struct op *));

        if (!ops)
            return false;
        flight->ops = ops;
        flight->room = room;
    }
    op->flight = index;
    op->position = flight->n;
    op->state = OP_IN_FLIGHT;
    flight->ops[flight->n++] = op;
    flight->n_live++;
    return true;
}

/* The node takes the messages of a connection one after the other: what follows one only hides the way there and back,
 * and is worth a message of its own when it is not much smaller. So threads that were answered together and ask again
 * one by one travel together again. */
static bool may_follow(const struct channel *channel)
{
    return channel->n_fast < FAST_FLIGHTS && 2 * channel->pending_us >= channel->fast_us;
}

static bool may_go(const struct channel *channel, const struct op *op)
{
    return channel->n_flights < FLIGHTS_MAX && (op->slow || channel->n_fast == 0 || may_follow(channel));
}

/* What costs alike, so that nothing waits in a message for what takes many times as long. */
static bool alike(const struct op *a, const struct op *b)
{
    return (a->cost_us < LIGHT_US && b->cost_us < LIGHT_US) ||
           (a->cost_us <= 8 * b->cost_us && b->cost_us <= 8 * a->cost_us);
}

/* A message holds little work, so that its answers come soon; but when much waits anyway, half of it: fewer
 * messages then serve all sooner. */
static uint64_t cost_limit(const struct channel *channel)
{
    uint64_t half = channel->pending_us / 2;

    if (half < MESSAGE_COST_US)
        return MESSAGE_COST_US;
    return half < MESSAGE_COST_MAX_US ? half : MESSAGE_COST_MAX_US;
}

struct measure {
    uint64_t cost, cost_limit;
    size_t size;
};

static bool fits(const struct channel *channel, const struct flight *flight, const struct measure *so_far,
                 const struct op *op)
{
    if (flight->n == 0)
        return may_go(channel, op);
    return !op->alone && op->login == flight->login && alike(flight->ops[0], op) &&
           so_far->cost + op->cost_us <= so_far->cost_limit && so_far->size + op->encoded.len <= MESSAGE_BYTES &&
           flight->n < BATCH_MAX;
}

/* Takes from the pending operations the first that may go and, after it, those that fit. */
static void gather(struct channel *channel, struct flight *flight, unsigned index)
{
    struct measure so_far = {.cost_limit = cost_limit(channel)};
    struct op **at = &channel->first;

    while (*at) {
        struct op *op = *at;

        if (!fits(channel, flight, &so_far, op) || !flight_add(flight, index, op)) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        if (flight->n == 1) {
            flight->slow = op->slow;
            flight->login = login_reference(op->login);
        }
        so_far.cost += op->cost_us;
        so_far.size += op->encoded.len;
        if (op->alone || so_far.cost >= so_far.cost_limit || flight->n == BATCH_MAX)
            break;
    }
    flight->cost_us = so_far.cost;
    channel->pending_us -= so_far.cost;
    find_last(channel);
}

/* --- sending --- */

static status_code encode(struct channel *channel, const struct flight *flight)
{
    CLEANUP(bytes_release) struct bytes ticket = BYTES_SECRET;
    struct core *core = channel->node->core;
    struct values header;

    values_init(&header);
    if (flight->login)
        TRY(login_copy(flight->login, &ticket));
    if (ticket.len)
        values_put_bytes(&header, FIELD_TICKET, bytes_slice(&ticket));
    values_put_uint(&header, FIELD_REVISION, atomic_load_explicit(&core->revision, memory_order_relaxed));
    bytes_clear(&channel->message);
    message_begin(&channel->message, channel->version, &header, flight->n);
    for (unsigned i = 0; i < flight->n; i++)
        bytes_append(&channel->message, flight->ops[i]->encoded.data, flight->ops[i]->encoded.len);
    return bytes_ok(&channel->message);
}

static status_code send_flight(struct channel *channel, struct flight *flight)
{
    const struct link_operations *link = channel->link->operations;

    channel->next_id = (channel->next_id + 1) | HELLO_ID;
    flight->id = channel->next_id;
    flight->sent_ns = platform_now_ns();
    channel->n_flights++;
    if (!flight->slow) {
        channel->n_fast++;
        channel->fast_us += flight->cost_us;
    }
    atomic_fetch_add_explicit(&channel->node->n_messages, 1, memory_order_relaxed);
    TRY(encode(channel, flight));
    TRY(link->send(channel->link, flight->id, bytes_slice(&channel->message)));
    atomic_store_explicit(&channel->sending, link->sending(channel->link), memory_order_relaxed);
    return STATUS_OK;
}

void channel_pump(struct channel *channel)
{
    while (channel->first && channel->link && !channel->broken) {
        struct flight *flight = free_flight(channel);

        if (!flight)
            return;
        gather(channel, flight, (unsigned)(flight - channel->flights));
        if (flight->n == 0)
            return;
        if (send_flight(channel, flight) == STATUS_OK)
            continue;
        node_failed(channel->node, true);
        channel_fail(channel);
    }
}
