/* The life of a connection: see connection.h. Events and turns lead through here; bytes are connection_stream.c's,
 * messages connection_message.c's. */
#include "server/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define HANDSHAKE_MS 10000u
#define MESSAGE_MS   60000u            /* for the rest of a message once it has begun */
#define WRITE_MS     60000u            /* for a client to take something of what waits for it */
#define SLICE_NS     300000ull         /* a connection's turn */
#define BUFFER_KEEP  ((size_t)1 << 20) /* larger ones are given back as soon as they are empty */
#define IN_MAX       ((size_t)MESSAGE_MAX + 8 * CONNECTION_READ)
#define OUT_MAX      (3 * (size_t)MESSAGE_MAX)

size_t connection_available(const struct connection *connection)
{
    return connection->in.len - connection->in_start;
}

void connection_empty(struct bytes *buffer, size_t *start)
{
    bytes_clear(buffer);
    *start = 0;
    if (buffer->capacity > BUFFER_KEEP)
        bytes_release(buffer);
}

/* --- end --- */

static void unlink_connection(struct connection *connection)
{
    struct reactor *reactor = connection->reactor;

    pthread_mutex_lock(&reactor->lock);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        reactor->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    pthread_mutex_unlock(&reactor->lock);
    atomic_fetch_sub(&reactor->n_connections, 1);
    metric_add(reactor->worker, METRIC_CONNECTIONS, -1);
}

static void bury_when_unused(struct connection *connection)
{
    if (connection->state != STATE_CLOSED || connection->outstanding || connection->in_turns)
        return;
    connection->next_dead = connection->reactor->dead;
    connection->reactor->dead = connection;
}

void connection_close(struct connection *connection)
{
    if (connection->state == STATE_CLOSED)
        return;
    stream_close(connection);
    connection->state = STATE_CLOSED;
    unlink_connection(connection);
    peer_release(&connection->peer);
    bytes_release(&connection->in);
    bytes_release(&connection->out);
    bury_when_unused(connection);
}

void connections_bury(struct reactor *reactor)
{
    struct connection *connection = reactor->dead, *next;

    reactor->dead = NULL;
    for (; connection; connection = next) {
        next = connection->next_dead;
        free(connection);
    }
}

static const char *describe_peer(const struct connection *connection, char text[64])
{
    const struct sockaddr_in6 *in6 = &connection->from;
    const struct sockaddr_in *in4 = (const struct sockaddr_in *)in6;
    char host[INET6_ADDRSTRLEN] = "";

    if (in6->sin6_family == AF_INET)
        inet_ntop(AF_INET, &in4->sin_addr, host, sizeof(host));
    if (in6->sin6_family == AF_INET6)
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
    if (!host[0])
        return "local";
    snprintf(text, 64, "%s port %u", host, ntohs(in6->sin6_port)); /* at the same place for both */
    return text;
}

/* At most one line a second for what peers did wrong: a flood of bad connections must not flood the log. */
static void refuse(struct connection *connection)
{
    static _Atomic uint64_t last_ms;
    uint64_t now = reactor_now_ms(), last = atomic_load(&last_ms);
    char text[64];

    metric_add(connection->reactor->worker,
               connection->state == STATE_TLS ? METRIC_TLS_FAILURES : METRIC_PROTOCOL_ERRORS, 1);
    if (now - last >= 1000 && atomic_compare_exchange_strong(&last_ms, &last, now))
        log_event(LOG_LEVEL_WARNING, "connection closed", "peer", describe_peer(connection, text), "detail",
                  failure_detail(), NULL);
    connection_close(connection);
}

/* --- turns --- */

static void ask_for_turn(struct connection *connection)
{
    struct reactor *reactor = connection->reactor;

    connection->in_turns = true;
    connection->next_turn = NULL;
    *reactor->last_turn = connection;
    reactor->last_turn = &connection->next_turn;
}

/* Reading waits for its turn like answering does: what a client sends ahead stays in the kernel. */
void connection_turn(struct connection *connection)
{
    uint64_t now = dispatch_now_ns();

    connection->in_turns = false;
    if (connection->state == STATE_CLOSED) {
        bury_when_unused(connection);
        return;
    }
    connection->active = true;
    if (!message_at_hand(connection) && !connection->peer_closed && !message_saturated(connection)) {
        stream_read(connection);
        connection->peer.arrived_ns = now;
    }
    if (message_answer_all(connection, now + SLICE_NS) != STATUS_OK) {
        refuse(connection);
        return;
    }
    bool flushed = stream_flush(connection), more = message_at_hand(connection);

    if (!flushed || (connection->peer_closed && !more && !connection->outstanding && !connection->unsent))
        connection_close(connection);
    else if (!message_saturated(connection) && (more || (connection->unread && !connection->peer_closed)))
        ask_for_turn(connection);
}

void connection_slow_reply(struct slow_reply *slow)
{
    struct connection *connection = slow->connection;

    connection->outstanding--;
    connection->outstanding_len -= slow->message_len;
    if (connection->state == STATE_CLOSED)
        bury_when_unused(connection);
    else if (message_send_slow_reply(connection, slow) != STATUS_OK)
        connection_close(connection);
    else if (!connection->in_turns)
        connection_turn(connection); /* takes up what had to wait, too */
    bytes_release(&slow->reply);
    free(slow);
}

/* --- events --- */

/* TLS, then SP, as far as they come. */
static status_code begin(struct connection *connection)
{
    bool done = true;

    if (connection->state == STATE_TLS) {
        TRY(stream_handshake(connection, &done));
        if (!done)
            return STATUS_OK;
        connection->state = STATE_SP;
        message_send_handshake(connection);
    }
    stream_read(connection);
    connection->peer.arrived_ns = dispatch_now_ns();
    return message_take_handshake(connection);
}

static void ready(struct watched *watched, uint32_t events)
{
    struct connection *connection = (struct connection *)watched;

    if (connection->state == STATE_CLOSED)
        return;
    if (events & (EPOLLERR | EPOLLHUP)) {
        connection_close(connection); /* nothing that we say arrives any more */
        return;
    }
    if (connection->state != STATE_OPEN && begin(connection) != STATUS_OK) {
        refuse(connection);
        return;
    }
    if (connection->state == STATE_OPEN && !connection->in_turns)
        connection_turn(connection);
    else if (connection->state == STATE_SP && (!stream_flush(connection) || connection->peer_closed))
        connection_close(connection);
}

/* --- beginning --- */

static status_code link_connection(struct connection *connection)
{
    struct reactor *reactor = connection->reactor;
    struct epoll_event event = {.events = EPOLLIN | (connection->want_write ? EPOLLOUT : 0u),
                                .data.ptr = &connection->watched};

    pthread_mutex_lock(&reactor->lock);
    connection->next = reactor->connections;
    if (connection->next)
        connection->next->previous = connection;
    reactor->connections = connection;
    pthread_mutex_unlock(&reactor->lock);
    atomic_fetch_add(&reactor->n_connections, 1);
    metric_add(reactor->worker, METRIC_CONNECTIONS, 1);
    /* From here on the reactor's thread may be using it. */
    if (epoll_ctl(reactor->epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0)
        return STATUS_OK;
    unlink_connection(connection);
    FAIL(STATUS_IO_ERROR, "epoll: %s", strerror(errno));
}

status_code connection_open(struct reactor *reactor, int fd, SSL_CTX *tls, bool ipc, bool local)
{
    struct connection *made = calloc(1, sizeof(*made));
    socklen_t from_len = sizeof(made->from);
    status_code status = STATUS_OK;

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a connection");
    made->watched.ready = ready;
    made->reactor = reactor;
    made->fd = fd;
    made->ipc = ipc;
    getpeername(fd, (struct sockaddr *)&made->from, &from_len);
    made->in = made->out = (struct bytes)BYTES_SECRET;
    made->in.limit = IN_MAX;
    made->out.limit = OUT_MAX;
    made->peer.local = local;
    made->want_write = !tls;
    made->want_read = true;
    made->in_since_ms = made->out_since_ms = reactor_now_ms();
    made->state = tls ? STATE_TLS : STATE_SP;
    if (tls)
        status = stream_open(made, tls);
    else
        message_send_handshake(made);
    if (status == STATUS_OK)
        status = link_connection(made);
    if (status == STATUS_OK)
        return STATUS_OK;
    SSL_free(made->tls);
    bytes_release(&made->out);
    free(made);
    return status;
}

/* --- sweeping --- */

static bool overdue(const struct connection *connection, uint64_t now)
{
    if (connection->state != STATE_OPEN)
        return now - connection->in_since_ms > HANDSHAKE_MS;
    if (connection->out.len > connection->out_start && now - connection->out_since_ms > WRITE_MS)
        return true;
    return connection_available(connection) && !connection->in_turns && !message_saturated(connection) &&
           now - connection->in_since_ms > MESSAGE_MS;
}

static void give_back_buffers(struct connection *connection)
{
    if (connection->active || connection->in_turns) {
        connection->active = false;
        return;
    }
    if (connection->in.capacity && connection_available(connection) == 0)
        bytes_release(&connection->in);
    if (connection->out.capacity && connection->out.len == connection->out_start)
        bytes_release(&connection->out);
    if (!connection->in.capacity)
        connection->in_start = 0;
    if (!connection->out.capacity)
        connection->out_start = 0;
}

void connections_sweep(struct reactor *reactor)
{
    uint64_t now = reactor_now_ms();
    struct connection *connection, *next;

    pthread_mutex_lock(&reactor->lock);
    connection = reactor->connections;
    pthread_mutex_unlock(&reactor->lock);
    /* Others only ever put new ones in front; taking out is this thread's. */
    for (; connection; connection = next) {
        next = connection->next;
        if (overdue(connection, now)) {
            (void)failure_set(STATUS_PROTOCOL_ERROR,
                              "the client did not finish its handshake or its message in time, or did "
                              "not take its answers");
            refuse(connection);
            continue;
        }
        give_back_buffers(connection);
    }
}

void connections_close_all(struct reactor *reactor)
{
    struct connection *connection, *next;

    for (connection = reactor->turns; connection; connection = next) {
        next = connection->next_turn;
        connection->in_turns = false;
        bury_when_unused(connection);
    }
    reactor->turns = NULL;
    for (connection = reactor->connections; connection; connection = next) {
        next = connection->next;
        connection_close(connection);
    }
    connections_bury(reactor);
}
