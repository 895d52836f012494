/* A channel: one connection to a node, and the operations that travel on it.
 *
 * Whoever has an operation appends it and, while fewer than FAST_FLIGHTS messages are under way, sends at once;
 * otherwise it waits and travels with all the others that came meanwhile when an answer makes room (as group commit
 * does). One waiting thread, the reader, polls the socket and reads for all; when its own answer has come it hands that
 * role to another. Invariant: while a thread waits for an operation on the channel, some thread is the reader or about
 * to become it. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "core_internal.h"

#define HELLO_ID 0x80000000u

void channel_init(struct channel *channel, struct node_entry *node)
{
    memset(channel, 0, sizeof(*channel));
    pthread_mutex_init(&channel->lock, NULL);
    channel->node = node;
    channel->last = &channel->first;
    channel->message = (struct bytes)BYTES_SECRET;
    channel->message.limit = 2 * (size_t)MESSAGE_MAX;
}

/* --- operations leave the channel --- */

static void hand_over(struct channel *channel);

static void leave(struct op *op, enum op_state state)
{
    atomic_fetch_sub_explicit(&op->channel->load, 1, memory_order_relaxed);
    op->state = state;
    if (op->queue)
        queue_completed(op);
    else
        platform_event_set(&op->event);
}

static void flight_free(struct channel *channel, struct flight *flight)
{
    flight->id = 0;
    flight->n = flight->n_live = 0;
    login_release(flight->login);
    flight->login = NULL;
    channel->n_flights--;
    if (!flight->slow)
        channel->n_fast--;
}

/* Closing is left to a reader that may be polling the descriptor; the shutdown wakes it. */
static void close_link(struct channel *channel, bool by_reader)
{
    if (!channel->link)
        return;
    if (channel->has_reader && !by_reader) {
        channel->broken = true;
        shutdown(channel->link->operations->fd(channel->link), SHUT_RDWR);
        return;
    }
    channel->link->operations->close(channel->link, false);
    channel->link = NULL;
    channel->broken = false;
    atomic_store(&channel->node->connected, false);
}

/* The connection is over: everything on it is to be tried elsewhere. */
static void fail(struct channel *channel, bool by_reader)
{
    char detail[FAILURE_DETAIL_MAX];

    snprintf(detail, sizeof(detail), "%s", failure_detail());
    close_link(channel, by_reader);
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        struct flight *flight = &channel->flights[i];

        if (!flight->id)
            continue;
        for (unsigned j = 0; j < flight->n; j++) {
            struct op *op = flight->ops[j];

            if (!op)
                continue;
            snprintf(op->detail, sizeof(op->detail), "%s", detail);
            op->status = STATUS_UNAVAILABLE;
            leave(op, OP_LOST);
        }
        flight_free(channel, flight);
    }
    struct op *op = channel->first, *next;

    channel->first = NULL;
    channel->last = &channel->first;
    for (; op; op = next) {
        next = op->next;
        snprintf(op->detail, sizeof(op->detail), "%s", detail);
        op->status = STATUS_UNAVAILABLE;
        leave(op, OP_LOST);
    }
}

/* --- sending --- */

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

static bool may_go(const struct channel *channel, const struct op *op)
{
    return op->slow ? channel->n_flights < FLIGHTS_MAX
                    : channel->n_fast < FAST_FLIGHTS && channel->n_flights < FLIGHTS_MAX;
}

/* Takes from the pending operations what travels together: the first that may go and, after it, those of the same login
 * as long as the estimated work and the size stay small. */
static void gather(struct channel *channel, struct flight *flight, unsigned index)
{
    struct op **at = &channel->first;
    uint64_t cost = 0;
    size_t size = 0;
    bool full = false;

    while (*at && !full) {
        struct op *op = *at;
        bool first = flight->n == 0;
        bool fits = first ? may_go(channel, op)
                          : !op->alone && op->login == flight->login && cost + op->cost_us <= MESSAGE_COST_US &&
                                size + op->encoded.len <= MESSAGE_BYTES && flight->n < BATCH_MAX;

        if (!fits || !flight_add(flight, index, op)) {
            full = !first && !fits && cost + op->cost_us > MESSAGE_COST_US && !op->slow;
            at = &op->next;
            continue;
        }
        *at = op->next;
        if (first) {
            flight->slow = op->slow;
            flight->login = login_reference(op->login);
            full = op->alone;
        }
        cost += op->cost_us;
        size += op->encoded.len;
    }
    channel->last = &channel->first;
    while (*channel->last)
        channel->last = &(*channel->last)->next;
}

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
    message_begin(&channel->message, &header, flight->n);
    for (unsigned i = 0; i < flight->n; i++)
        bytes_append(&channel->message, flight->ops[i]->encoded.data, flight->ops[i]->encoded.len);
    return bytes_ok(&channel->message);
}

static status_code send_flight(struct channel *channel, struct flight *flight)
{
    channel->next_id = (channel->next_id + 1) | HELLO_ID;
    flight->id = channel->next_id;
    flight->sent_ns = platform_now_ns();
    channel->n_flights++;
    if (!flight->slow)
        channel->n_fast++;
    atomic_fetch_add_explicit(&channel->node->n_messages, 1, memory_order_relaxed);
    TRY(encode(channel, flight));
    return channel->link->operations->send(channel->link, flight->id, bytes_slice(&channel->message));
}

/* Sends as much as may be under way. */
static void pump(struct channel *channel, bool by_reader)
{
    while (channel->first && channel->link && !channel->broken) {
        struct flight *flight = free_flight(channel);

        if (!flight)
            return;
        gather(channel, flight, (unsigned)(flight - channel->flights));
        if (flight->n == 0)
            return;
        if (send_flight(channel, flight) != STATUS_OK) {
            fail(channel, by_reader);
            return;
        }
    }
}

/* --- receiving --- */

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
    leave(op, OP_ANSWERED);
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

/* Everything that has arrived; then what had to wait for it. */
static void receive(struct channel *channel, bool by_reader)
{
    status_code status = STATUS_OK;

    while (channel->link && !channel->broken) {
        struct slice message;
        uint32_t id;

        status = channel->link->operations->receive(channel->link, &id, &message);
        if (status != STATUS_OK || !id)
            break;
        struct flight *flight = flight_of(channel, id);

        if (!flight) /* of a request that was given up */
            continue;
        status = take_reply(channel, flight, message);
        if (status != STATUS_OK)
            break;
        flight_free(channel, flight);
        pump(channel, by_reader);
    }
    if (status != STATUS_OK) {
        node_failed(channel->node, true);
        fail(channel, by_reader);
    }
}

/* --- opening --- */

static status_code check_cluster(struct node_entry *node, const struct values *answer)
{
    struct core *core = node->core;
    struct slice cluster = values_bytes(answer, FIELD_CLUSTER_ID), name = values_bytes(answer, FIELD_NAME);
    struct slice zone = values_bytes(answer, FIELD_ZONE), id = values_bytes(answer, FIELD_NODE_ID);
    static const uint8_t none[ID_LEN] = {0};
    bool foreign = false;

    pthread_mutex_lock(&core->lock);
    if (cluster.len == ID_LEN && memcmp(cluster.data, none, ID_LEN) != 0 && !core->single) {
        foreign = core->has_cluster_id && memcmp(core->cluster_id, cluster.data, ID_LEN) != 0;
        if (!core->has_cluster_id)
            memcpy(core->cluster_id, cluster.data, ID_LEN);
        core->has_cluster_id = true;
    }
    if (name.len)
        snprintf(node->name, sizeof(node->name), "%.*s", (int)name.len, (const char *)name.data);
    if (zone.len)
        snprintf(node->zone, sizeof(node->zone), "%.*s", (int)zone.len, (const char *)zone.data);
    if (id.len == ID_LEN)
        memcpy(node->id, id.data, ID_LEN);
    pthread_mutex_unlock(&core->lock);
    CHECK(!foreign, STATUS_TLS_ERROR, "%s belongs to another cluster than the other nodes", node->url);
    return STATUS_OK;
}

static status_code hello_message(struct bytes *message)
{
    struct values header, fields;

    values_init(&header);
    values_init(&fields);
    values_put_uint(&fields, FIELD_VERSION_MIN, PROTOCOL_VERSION_MIN);
    values_put_uint(&fields, FIELD_VERSION_MAX, PROTOCOL_VERSION);
    values_put_bytes(&fields, FIELD_NAME, slice_text("libhsm"));
    message_begin(message, &header, 1);
    message_append_request(message, OP_HELLO, &fields);
    return bytes_ok(message);
}

/* The version handshake, once a connection: tells who is there. */
static status_code hello(struct channel *channel, struct link *link, uint64_t until_ns)
{
    CLEANUP(bytes_release) struct bytes request = BYTES_INIT;
    struct message message;
    struct values answer;
    struct slice reply;
    status_code status;
    uint32_t id = 0;

    TRY(hello_message(&request));
    TRY(link->operations->send(link, HELLO_ID, bytes_slice(&request)));
    while (id != HELLO_ID) {
        TRY(link->operations->receive(link, &id, &reply));
        struct pollfd poll_fd = {.fd = link->operations->fd(link), .events = POLLIN};
        uint64_t now = platform_now_ns();

        if (!id)
            CHECK(now < until_ns && poll(&poll_fd, 1, (int)((until_ns - now) / 1000000) + 1) > 0, STATUS_UNAVAILABLE,
                  "no answer in time");
    }
    TRY(message_open(reply, &message));
    CHECK(message.n == 1, STATUS_PROTOCOL_ERROR, "the node did not answer the version handshake");
    TRY(message_next_answer(&message, &status, &answer));
    CHECK(status == STATUS_OK, status, "the node refused the version handshake");
    return check_cluster(channel->node, &answer);
}

static status_code open_transport(struct channel *channel, uint64_t until_ns, struct link **link)
{
    struct core *core = channel->node->core;
    const char *url = channel->node->url;
    struct link_settings settings = {.tls = core->tls,
                                     .ca_pem = core->ca_pem,
                                     .certificate_pem = core->certificate_pem,
                                     .key_pem = core->key_pem,
                                     .until_ns = until_ns};

    if (core->config->transport == TRANSPORT_DIRECT && direct_speaks(url))
        return direct_open(url, &settings, link);
#ifdef HSM_WITH_NNG
    return nng_link_open(url, &settings, link);
#else
    FAIL(STATUS_CONFIG_INVALID, "%s: this library was built without the nng transport", url);
#endif
}

/* Connects, with the lock held: others see `connecting` and choose another node. */
static status_code connect_channel(struct channel *channel, uint64_t end_ns)
{
    struct node_entry *node = channel->node;
    uint64_t until = platform_now_ns() + node->core->config->connect_timeout_ms * 1000000ull;
    struct link *link;

    if (until > end_ns)
        until = end_ns;
    atomic_store(&node->connecting, true);
    status_code status = open_transport(channel, until, &link);
    if (status == STATUS_OK) {
        status = hello(channel, link, until);
        if (status != STATUS_OK)
            link->operations->close(link, false);
    }
    atomic_store(&node->connecting, false);
    TRY(status);
    channel->link = link;
    channel->generation++;
    atomic_store(&node->connected, true);
    return STATUS_OK;
}

static status_code ensure_link(struct channel *channel, uint64_t end_ns)
{
    CHECK(!channel->broken, STATUS_UNAVAILABLE, "the connection is being given up");
    return channel->link ? STATUS_OK : connect_channel(channel, end_ns);
}

static void lose_all(struct channel *channel, struct op *ops, status_code status)
{
    char detail[FAILURE_DETAIL_MAX];

    snprintf(detail, sizeof(detail), "%s", failure_detail());
    node_failed(channel->node, true);
    for (struct op *next; ops; ops = next) {
        next = ops->next;
        snprintf(ops->detail, sizeof(ops->detail), "%s", detail);
        ops->status = status;
        leave(ops, OP_LOST);
    }
}

static void append(struct channel *channel, struct op *ops)
{
    *channel->last = ops;
    for (struct op *op = ops; op; op = op->next) {
        op->state = OP_PENDING;
        channel->last = &op->next;
    }
}

static void enter(struct channel *channel, struct op *ops)
{
    for (struct op *op = ops; op; op = op->next) {
        op->channel = channel;
        op->node = channel->node;
        atomic_fetch_add_explicit(&channel->load, 1, memory_order_relaxed);
    }
    status_code status = ensure_link(channel, ops->attempt_end_ns);
    if (status != STATUS_OK) {
        lose_all(channel, ops, status);
        return;
    }
    append(channel, ops);
    pump(channel, false);
}

void channel_put(struct channel *channel, struct op *ops)
{
    pthread_mutex_lock(&channel->lock);
    enter(channel, ops);
    pthread_mutex_unlock(&channel->lock);
}

void channel_drive(struct channel *channel)
{
    if (atomic_load_explicit(&channel->load, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&channel->lock);
    receive(channel, false);
    pthread_mutex_unlock(&channel->lock);
}

/* --- waiting --- */

static struct op *waiting_op(struct channel *channel)
{
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        struct flight *flight = &channel->flights[i];

        for (unsigned j = 0; flight->id && j < flight->n; j++) {
            if (flight->ops[j] && !flight->ops[j]->queue)
                return flight->ops[j];
        }
    }
    for (struct op *op = channel->first; op; op = op->next) {
        if (!op->queue)
            return op;
    }
    return NULL;
}

/* Nobody reads: some thread that waits for an operation of this channel must. */
static void hand_over(struct channel *channel)
{
    struct op *op = channel->has_reader ? NULL : waiting_op(channel);

    if (!op)
        return;
    op->promoted = true;
    platform_event_set(&op->event);
}

static bool over(const struct op *op)
{
    return op->state == OP_ANSWERED || op->state == OP_LOST;
}

/* Polls outside of the lock, reads inside, until the own operation is over or its attempt has lasted long enough. */
static void read_for_all(struct channel *channel, struct op *op)
{
    channel->has_reader = true;
    while (!over(op)) {
        struct pollfd poll_fd = {.fd = channel->link->operations->fd(channel->link), .events = POLLIN};
        uint64_t now = platform_now_ns();

        if (now >= op->attempt_end_ns)
            break;
        if (channel->link->operations->sending(channel->link))
            poll_fd.events |= POLLOUT;
        pthread_mutex_unlock(&channel->lock);
        poll(&poll_fd, 1, (int)((op->attempt_end_ns - now) / 1000000) + 1);
        pthread_mutex_lock(&channel->lock);
        if (channel->broken) {
            close_link(channel, true);
            break;
        }
        receive(channel, true);
        if (!channel->link)
            break;
    }
    channel->has_reader = false;
    if (channel->broken)
        close_link(channel, true);
}

static void give_up_locked(struct channel *channel, struct op *op)
{
    if (op->state == OP_PENDING) {
        struct op **at = &channel->first;

        while (*at != op)
            at = &(*at)->next;
        *at = op->next;
        for (channel->last = &channel->first; *channel->last;)
            channel->last = &(*channel->last)->next;
    }
    struct flight *flight = op->state == OP_IN_FLIGHT ? &channel->flights[op->flight] : NULL;

    if (flight) {
        flight->ops[op->position] = NULL;
        flight->n_live--;
    }
    op->status = STATUS_UNAVAILABLE;
    snprintf(op->detail, sizeof(op->detail), "no answer in time");
    atomic_fetch_sub_explicit(&channel->load, 1, memory_order_relaxed);
    op->state = OP_LOST;
    node_failed(channel->node, false);
    /* Nobody waits for this message any more: a connection on which that happens is not worth keeping. */
    if (flight && flight->n_live == 0) {
        (void)failure_set(STATUS_UNAVAILABLE, "no answer in time");
        fail(channel, false);
    }
}

void channel_give_up(struct op *op)
{
    struct channel *channel = op->channel;

    pthread_mutex_lock(&channel->lock);
    if (op->state == OP_PENDING || op->state == OP_IN_FLIGHT) {
        give_up_locked(channel, op);
        if (op->queue)
            queue_completed(op);
    }
    pthread_mutex_unlock(&channel->lock);
}

void channel_call(struct channel *channel, struct op *op)
{
    op->next = NULL;
    op->promoted = false;
    atomic_store(&op->event, 0);
    pthread_mutex_lock(&channel->lock);
    enter(channel, op);
    while (!over(op)) {
        if (!channel->has_reader && channel->link) {
            op->promoted = false;
            read_for_all(channel, op);
        } else {
            pthread_mutex_unlock(&channel->lock);
            platform_event_wait(&op->event, op->attempt_end_ns);
            pthread_mutex_lock(&channel->lock);
            atomic_store(&op->event, 0);
        }
        if (!over(op) && platform_now_ns() >= op->attempt_end_ns)
            give_up_locked(channel, op);
    }
    hand_over(channel);
    pthread_mutex_unlock(&channel->lock);
}

void channel_close(struct channel *channel, bool forget)
{
    if (channel->link)
        channel->link->operations->close(channel->link, forget);
    channel->link = NULL;
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        if (channel->flights[i].id && !forget)
            login_release(channel->flights[i].login);
        free(channel->flights[i].ops);
    }
    bytes_release(&channel->message);
    if (!forget)
        pthread_mutex_destroy(&channel->lock);
}
