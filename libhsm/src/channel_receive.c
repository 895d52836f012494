/* What nodes answer: replies are taken apart and handed to the operations that they answer. All bytes come from a peer.
 * Every function is called with the channel's lock held. */
#include "core_internal.h"

static void note_header(struct channel *channel, struct flight *flight, const struct values *header, uint64_t now)
{
    struct node_entry *node = channel->node;
    uint64_t duration = values_uint(header, FIELD_DURATION_US, 0);
    struct slice ticket = values_bytes(header, FIELD_TICKET);

    core_observe(node->core, values_uint(header, FIELD_REVISION, 0));
    atomic_store_explicit(&node->draining, values_bool(header, FIELD_DRAINING, false), memory_order_relaxed);
    atomic_fetch_add_explicit(&node->node_time_us, duration, memory_order_relaxed);
    atomic_fetch_add_explicit(&node->n_requests, flight->n, memory_order_relaxed);
    if (ticket.len && flight->login)
        login_renew(flight->login, ticket);
    if (flight->n && flight->ops[0] && flight->ops[0]->cost_key)
        cost_learn(node->core, flight->ops[0]->cost_key, duration / flight->n);
    node_succeeded(node, flight->slow ? 0 : (now - flight->sent_ns) / 1000);
}

static void answer_op(struct op *op, status_code status, struct slice fields)
{
    op->status = status;
    bytes_clear(&op->reply);
    bytes_append(&op->reply, fields.data, fields.len);
    if (bytes_ok(&op->reply) != STATUS_OK)
        op->status = STATUS_OUT_OF_MEMORY;
    channel_leave(op, OP_ANSWERED);
}

/* The node refused the message as a whole: every operation in it gets that answer. */
static void answer_refused(struct flight *flight, const struct values *header)
{
    status_code status = (status_code)values_uint(header, FIELD_STATUS, STATUS_PROTOCOL_ERROR);
    struct slice detail = values_bytes(header, FIELD_DETAIL);
    struct bytes fields = BYTES_INIT;
    struct values values;

    values_init(&values);
    values_put_bytes(&values, FIELD_DETAIL, detail);
    values_encode(&FIELD_SCHEMA, &values, &fields);
    for (unsigned i = 0; i < flight->n; i++) {
        if (flight->ops[i])
            answer_op(flight->ops[i], status == STATUS_OK ? STATUS_PROTOCOL_ERROR : status, bytes_slice(&fields));
    }
    bytes_release(&fields);
}

static status_code next_answer(struct message *message, status_code *status, struct slice *fields)
{
    uint32_t n;
    uint64_t number;

    TRY(read_array(&message->reader, &n));
    CHECK(n == 2, STATUS_PROTOCOL_ERROR, "an answer that is no pair");
    TRY(read_uint(&message->reader, &number));
    CHECK(number <= INT16_MAX, STATUS_PROTOCOL_ERROR, "a status out of range");
    *status = (status_code)number;
    return read_any(&message->reader, fields);
}

/* All answers are found before the first is handed out: a message that turns out malformed is as if it never came. */
static status_code check_answers(struct message message)
{
    status_code status;
    struct slice fields;

    for (uint32_t i = 0; i < message.n; i++)
        TRY(next_answer(&message, &status, &fields));
    return message_close(&message);
}

static status_code take_reply(struct channel *channel, struct flight *flight, struct slice encoded)
{
    struct message message;
    status_code status;
    struct slice fields;

    TRY(message_open(encoded, &message));
    if (message.n != flight->n) {
        CHECK(message.n == 0 && values_has(&message.header, FIELD_STATUS), STATUS_PROTOCOL_ERROR,
              "%u answers to %u requests", message.n, flight->n);
        answer_refused(flight, &message.header);
        return STATUS_OK;
    }
    TRY(check_answers(message));
    note_header(channel, flight, &message.header, platform_now_ns());
    for (unsigned i = 0; i < flight->n; i++) {
        TRY(next_answer(&message, &status, &fields));
        if (flight->ops[i])
            answer_op(flight->ops[i], status, fields);
    }
    return STATUS_OK;
}

static struct flight *flight_of(struct channel *channel, uint32_t id)
{
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        if (channel->flights[i].id == id)
            return &channel->flights[i];
    }
    return NULL;
}

/* One message; *more when there may be another. */
static status_code receive_one(struct channel *channel, bool *more)
{
    struct slice message;
    uint32_t id;

    *more = false;
    TRY(channel->link->operations->receive(channel->link, &id, &message));
    if (!id)
        return STATUS_OK;
    struct flight *flight = flight_of(channel, id);

    if (flight) { /* else of a request that was given up */
        TRY(take_reply(channel, flight, message));
        flight_free(channel, flight);
        channel_pump(channel);
    }
    *more = channel->n_flights > 0;
    return STATUS_OK;
}

void channel_receive(struct channel *channel)
{
    bool more = true;

    while (more && channel->link && !channel->broken) {
        if (receive_one(channel, &more) == STATUS_OK)
            continue;
        node_failed(channel->node, true);
        channel_fail(channel);
    }
    if (channel->link)
        atomic_store_explicit(&channel->sending, channel->link->operations->sending(channel->link),
                              memory_order_relaxed);
}
