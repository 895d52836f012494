/* One client connection: TLS, SP framing, and messages handed to the dispatcher.
 *
 * Invariants: touched by its reactor's thread alone; freed only when no reply of the slow pool is outstanding; what was
 * read or is to be written is wiped when it is given back, since it may hold passwords and plaintext. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "identity/member.h"
#include "protocol/sp.h"
#include "server/reactor_internal.h"

#define READ_SIZE       ((size_t)64 << 10)
#define HANDSHAKE_MS    10000u
#define MESSAGE_MS      60000u              /* for the rest of a message once it has begun */
#define OUT_HIGH        ((size_t)8 << 20)   /* unread answers: then no more requests are taken */
#define OUTSTANDING_MAX 64u                 /* requests of one connection in the slow pool */
#define BUFFER_KEEP     ((size_t)256 << 10) /* larger ones are given back when empty */
#define SLICE_NS        300000ull           /* a connection's turn */
#define BACKTRACE_MAX   8u

enum state { STATE_TLS, STATE_SP, STATE_OPEN, STATE_CLOSED };

struct connection {
    struct watched watched;
    struct reactor *reactor;
    int fd;
    SSL *tls;
    bool ipc;
    enum state state;
    bool want_read;  /* EPOLLIN is watched */
    bool want_write; /* EPOLLOUT is watched */
    bool in_turns;   /* in the reactor's list of turns */
    bool peer_closed;
    unsigned outstanding; /* in the slow pool */
    uint64_t since_ms;    /* when the handshake, or the message that is incomplete, began */
    struct peer peer;
    struct bytes in, out;
    size_t in_start, out_start;
    struct connection *next_turn;
    struct connection *previous, *next; /* in reactor->connections */
};

struct connection *connection_next_turn(struct connection *connection)
{
    return connection->next_turn;
}

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

static void free_when_unused(struct connection *connection)
{
    if (connection->state != STATE_CLOSED || connection->outstanding || connection->in_turns)
        return;
    unlink_connection(connection);
    peer_release(&connection->peer);
    bytes_release(&connection->in);
    bytes_release(&connection->out);
    free(connection);
}

/* The caller does not touch the connection afterwards, unless it holds it in a list of turns. */
static void close_connection(struct connection *connection)
{
    if (connection->state != STATE_CLOSED) {
        connection->state = STATE_CLOSED;
        if (connection->tls)
            SSL_shutdown(connection->tls);
        SSL_free(connection->tls);
        connection->tls = NULL;
        close(connection->fd);
        ERR_clear_error();
    }
    free_when_unused(connection);
}

/* At most one line a second for what a peer did wrong: a flood of bad connections must not flood the log. */
static void log_refused(const struct connection *connection)
{
    static _Atomic uint64_t last_ms;
    uint64_t now = reactor_now_ms(), last = atomic_load(&last_ms);

    if (connection->state != STATE_OPEN)
        metric_add(connection->reactor->worker, METRIC_TLS_FAILURES, 1);
    if (now - last >= 1000 && atomic_compare_exchange_strong(&last_ms, &last, now))
        log_event(LOG_LEVEL_WARNING, "connection closed", "detail", failure_detail(), NULL);
}

static void watch(struct connection *connection, bool want_write, bool want_read)
{
    struct epoll_event event = {.events = (want_read ? EPOLLIN : 0u) | (want_write ? EPOLLOUT : 0u),
                                .data.ptr = &connection->watched};

    if (connection->want_write == want_write && connection->want_read == want_read)
        return;
    connection->want_write = want_write;
    connection->want_read = want_read;
    epoll_ctl(connection->reactor->epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

/* Enough is waiting: no more requests are read until some of it has gone. */
static bool saturated(const struct connection *connection)
{
    return connection->outstanding >= OUTSTANDING_MAX || connection->out.len - connection->out_start >= OUT_HIGH;
}

/* --- bytes in and out --- */

/* Bytes read; 0 when there are none at the moment; -1 when the connection is over. */
static ssize_t read_some(struct connection *connection, uint8_t *to, size_t room)
{
    if (!connection->tls) {
        ssize_t n = recv(connection->fd, to, room, 0);

        if (n > 0)
            return n;
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    size_t n = 0;
    if (SSL_read_ex(connection->tls, to, room, &n))
        return (ssize_t)n;
    int error = SSL_get_error(connection->tls, 0);

    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static ssize_t write_some(struct connection *connection, const uint8_t *from, size_t len)
{
    if (!connection->tls) {
        ssize_t n = send(connection->fd, from, len, MSG_NOSIGNAL);

        if (n >= 0)
            return n;
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    size_t n = 0;
    if (SSL_write_ex(connection->tls, from, len, &n))
        return (ssize_t)n;
    int error = SSL_get_error(connection->tls, 0);

    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void give_back(struct bytes *buffer, size_t *start)
{
    bytes_clear(buffer);
    *start = 0;
    if (buffer->capacity > BUFFER_KEEP)
        bytes_release(buffer);
}

/* False when the connection is over. */
static bool flush(struct connection *connection)
{
    while (connection->out_start < connection->out.len) {
        ssize_t n = write_some(connection, connection->out.data + connection->out_start,
                               connection->out.len - connection->out_start);

        if (n < 0)
            return false;
        if (n == 0) {
            watch(connection, true, !saturated(connection));
            return true;
        }
        connection->out_start += (size_t)n;
    }
    give_back(&connection->out, &connection->out_start);
    watch(connection, false, !saturated(connection));
    return true;
}

static size_t available(const struct connection *connection)
{
    return connection->in.len - connection->in_start;
}

/* Room at the end of `in`, after moving what is left to its beginning when that saves growing. */
static uint8_t *make_room(struct connection *connection)
{
    struct bytes *in = &connection->in;

    if (connection->in_start && in->len + READ_SIZE > in->capacity) {
        memmove(in->data, in->data + connection->in_start, available(connection));
        in->len -= connection->in_start;
        connection->in_start = 0;
    }
    return bytes_reserve(in, READ_SIZE);
}

/* --- messages --- */

static size_t header_len(const struct connection *connection)
{
    return connection->ipc ? SP_IPC_HEADER_LEN : SP_TCP_HEADER_LEN;
}

/* The next whole frame's payload. *whole is false when bytes are missing. */
static status_code next_frame(struct connection *connection, struct slice *payload, bool *whole)
{
    const uint8_t *at = connection->in.data + connection->in_start;
    uint64_t len;

    *whole = false;
    if (available(connection) < header_len(connection))
        return STATUS_OK;
    TRY(sp_header_decode(connection->ipc, at, MESSAGE_MAX + SP_ID_LEN * BACKTRACE_MAX, &len));
    if (available(connection) - header_len(connection) < len)
        return STATUS_OK;
    *payload = slice_of(at + header_len(connection), (size_t)len);
    *whole = true;
    return STATUS_OK;
}

/* The stack of ids before the message ends with the one whose top bit is set (sp-request-reply-01). */
static status_code split_backtrace(struct slice payload, struct slice *backtrace, struct slice *message)
{
    for (size_t len = SP_ID_LEN; len <= payload.len && len <= SP_ID_LEN * BACKTRACE_MAX; len += SP_ID_LEN) {
        if (!(payload.data[len - SP_ID_LEN] & 0x80))
            continue;
        *backtrace = slice_of(payload.data, len);
        *message = slice_of(payload.data + len, payload.len - len);
        return STATUS_OK;
    }
    FAIL(STATUS_PROTOCOL_ERROR, "a message without a request id");
}

static status_code send_reply(struct connection *connection, struct slice backtrace, struct slice reply)
{
    uint8_t header[SP_IPC_HEADER_LEN];
    size_t len = sp_header_encode(connection->ipc, backtrace.len + reply.len, header);

    bytes_append(&connection->out, header, len);
    bytes_append(&connection->out, backtrace.data, backtrace.len);
    bytes_append(&connection->out, reply.data, reply.len);
    return bytes_ok(&connection->out);
}

static void slow_finished(void *context, struct bytes *reply)
{
    struct slow_reply *slow = context;

    slow->reply = *reply;
    *reply = (struct bytes)BYTES_SECRET;
    reply->limit = 2 * MESSAGE_MAX;
    reactor_post(slow->connection->reactor, slow);
}

static status_code send_to_pool(struct connection *connection, struct slice backtrace, struct slice message)
{
    struct slow_reply *slow = calloc(1, sizeof(*slow));

    CHECK(slow, STATUS_OUT_OF_MEMORY, "no memory for a request");
    slow->connection = connection;
    slow->reply = (struct bytes)BYTES_SECRET;
    memcpy(slow->backtrace, backtrace.data, backtrace.len);
    slow->backtrace_len = backtrace.len;
    status_code status =
        server_run_slow(connection->reactor->server, connection->peer.local, message, slow_finished, slow);
    if (status != STATUS_OK) {
        free(slow);
        return status;
    }
    connection->outstanding++;
    return STATUS_OK;
}

static status_code answer_frame(struct connection *connection, struct slice payload)
{
    struct reactor *reactor = connection->reactor;
    struct slice backtrace, message;

    TRY(split_backtrace(payload, &backtrace, &message));
    if (dispatch_is_slow(message))
        return send_to_pool(connection, backtrace, message);
    dispatch_message(reactor->node, reactor->worker, &connection->peer, message, &reactor->reply);
    return send_reply(connection, backtrace, bytes_slice(&reactor->reply));
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Answers what is at hand, for a slice of time. */
static status_code answer_messages(struct connection *connection)
{
    uint64_t end = 0;

    while (!saturated(connection)) {
        struct slice payload;
        bool whole;

        TRY(next_frame(connection, &payload, &whole));
        if (!whole || (end && now_ns() >= end))
            break;
        TRY(answer_frame(connection, payload));
        connection->in_start += header_len(connection) + payload.len;
        connection->since_ms = reactor_now_ms();
        if (!end)
            end = now_ns() + SLICE_NS;
    }
    if (available(connection) == 0)
        give_back(&connection->in, &connection->in_start);
    return STATUS_OK;
}

/* Reads what is there, up to a few messages' worth; the rest comes with the next turn of events. */
static void read_all(struct connection *connection)
{
    for (unsigned rounds = 0; rounds < 4 && !saturated(connection); rounds++) {
        uint8_t *to = make_room(connection);
        ssize_t n = to ? read_some(connection, to, READ_SIZE) : -1;

        if (n < 0)
            connection->peer_closed = true;
        if (n <= 0)
            return;
        if (available(connection) == 0)
            connection->since_ms = reactor_now_ms();
        connection->in.len += (size_t)n;
        if ((size_t)n < READ_SIZE && !(connection->tls && SSL_has_pending(connection->tls)))
            return;
    }
}

/* Bytes that no event will announce any more: inside the TLS library, or a whole message in `in`. */
static bool more_at_hand(struct connection *connection)
{
    struct slice payload;
    bool whole;

    if (saturated(connection))
        return false;
    if (connection->tls && SSL_has_pending(connection->tls))
        return true;
    return next_frame(connection, &payload, &whole) != STATUS_OK || whole;
}

void connection_turn(struct connection *connection)
{
    connection->in_turns = false;
    if (connection->state == STATE_CLOSED) {
        free_when_unused(connection);
        return;
    }
    if (connection->tls && SSL_has_pending(connection->tls))
        read_all(connection);
    status_code status = answer_messages(connection);
    if (status != STATUS_OK)
        log_refused(connection);
    if (status != STATUS_OK || !flush(connection)) {
        close_connection(connection);
        return;
    }
    bool more = more_at_hand(connection);
    if (connection->peer_closed && !more && !connection->outstanding) {
        close_connection(connection);
        return;
    }
    if (!more)
        return;
    connection->in_turns = true;
    reactor_add_turn(connection->reactor, connection, &connection->next_turn);
}

void connection_slow_reply(struct slow_reply *slow)
{
    struct connection *connection = slow->connection;

    connection->outstanding--;
    if (connection->state == STATE_CLOSED) {
        free_when_unused(connection);
    } else if (send_reply(connection, slice_of(slow->backtrace, slow->backtrace_len), bytes_slice(&slow->reply)) !=
               STATUS_OK) {
        close_connection(connection);
    } else if (!connection->in_turns) {
        /* Also takes up what had to wait while the pool was full of this connection's requests. */
        connection_turn(connection);
    }
    bytes_release(&slow->reply);
    free(slow);
}

/* --- beginning --- */

static status_code check_peer_certificate(struct connection *connection)
{
    X509 *certificate = SSL_get1_peer_certificate(connection->tls);
    unsigned len = 0;
    bool removed = false;
    bool ok = certificate && X509_digest(certificate, EVP_sha256(), connection->peer.certificate_hash, &len);

    X509_free(certificate);
    CHECK(ok, STATUS_TLS_ERROR, "a client without a certificate");
    TRY(members_is_removed(connection->reactor->node, connection->peer.certificate_hash, &removed));
    CHECK(!removed, STATUS_TLS_ERROR, "the certificate of a removed node");
    return STATUS_OK;
}

/* *done: the handshake is over. */
static status_code tls_handshake(struct connection *connection, bool *done)
{
    char reason[160];
    int result = SSL_accept(connection->tls);

    *done = result == 1;
    if (*done)
        return check_peer_certificate(connection);
    int error = SSL_get_error(connection->tls, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        watch(connection, error == SSL_ERROR_WANT_WRITE, true);
        return STATUS_OK;
    }
    long verified = SSL_get_verify_result(connection->tls);
    FAIL(STATUS_TLS_ERROR, "TLS handshake: %s%s%s", failure_openssl_reason(reason, sizeof(reason)),
         verified == X509_V_OK ? "" : ": ", verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified));
}

static void send_sp_handshake(struct connection *connection)
{
    uint8_t handshake[SP_HANDSHAKE_LEN];

    sp_handshake_encode(SP_PROTOCOL_REP, handshake);
    bytes_append(&connection->out, handshake, sizeof(handshake));
}

static status_code take_sp_handshake(struct connection *connection)
{
    if (available(connection) < SP_HANDSHAKE_LEN)
        return STATUS_OK;
    TRY(sp_handshake_check(connection->in.data + connection->in_start, SP_PROTOCOL_REQ));
    connection->in_start += SP_HANDSHAKE_LEN;
    connection->state = STATE_OPEN;
    return STATUS_OK;
}

static status_code progress(struct connection *connection)
{
    bool done = true;

    if (connection->state == STATE_TLS) {
        TRY(tls_handshake(connection, &done));
        if (!done)
            return STATUS_OK;
        connection->state = STATE_SP;
        send_sp_handshake(connection);
    }
    read_all(connection);
    if (connection->state == STATE_SP)
        TRY(take_sp_handshake(connection));
    return STATUS_OK;
}

static void ready(struct watched *watched, struct reactor *reactor, uint32_t events)
{
    struct connection *connection = (struct connection *)watched;

    (void)reactor;
    (void)events;
    if (connection->state == STATE_CLOSED)
        return;
    if (progress(connection) != STATUS_OK) {
        log_refused(connection);
        close_connection(connection);
        return;
    }
    if (connection->state == STATE_OPEN && !connection->in_turns) {
        connection_turn(connection);
        return;
    }
    if (!flush(connection) || connection->peer_closed)
        close_connection(connection);
}

static status_code set_up(struct connection *connection, SSL_CTX *tls)
{
    if (!tls) {
        connection->state = STATE_SP;
        send_sp_handshake(connection);
        return STATUS_OK;
    }
    connection->tls = SSL_new(tls);
    CHECK(connection->tls && SSL_set_fd(connection->tls, connection->fd), STATUS_OUT_OF_MEMORY,
          "no memory for a TLS connection");
    SSL_set_mode(connection->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_read_ahead(connection->tls, 1);
    return STATUS_OK;
}

status_code connection_open(struct reactor *reactor, int fd, SSL_CTX *tls, bool ipc, bool local)
{
    struct connection *made = calloc(1, sizeof(*made));
    struct epoll_event event = {.events = EPOLLIN | (tls ? 0u : EPOLLOUT)};

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a connection");
    made->watched.ready = ready;
    made->reactor = reactor;
    made->fd = fd;
    made->ipc = ipc;
    made->in = made->out = (struct bytes)BYTES_SECRET;
    made->in.limit = 2 * (size_t)MESSAGE_MAX + READ_SIZE;
    made->out.limit = OUT_HIGH + 3 * (size_t)MESSAGE_MAX;
    made->peer.local = local;
    made->want_write = !tls;
    made->want_read = true;
    made->since_ms = reactor_now_ms();
    status_code status = set_up(made, tls);
    if (status != STATUS_OK) {
        SSL_free(made->tls);
        bytes_release(&made->out);
        free(made);
        return status;
    }
    pthread_mutex_lock(&reactor->lock);
    made->next = reactor->connections;
    if (made->next)
        made->next->previous = made;
    reactor->connections = made;
    pthread_mutex_unlock(&reactor->lock);
    atomic_fetch_add(&reactor->n_connections, 1);
    metric_add(reactor->worker, METRIC_CONNECTIONS, 1);
    /* From here on the reactor's thread may be using it. */
    event.data.ptr = &made->watched;
    epoll_ctl(reactor->epoll, EPOLL_CTL_ADD, fd, &event);
    return STATUS_OK;
}

static bool overdue(const struct connection *connection, uint64_t now)
{
    if (connection->state == STATE_TLS || connection->state == STATE_SP)
        return now - connection->since_ms > HANDSHAKE_MS;
    return connection->state == STATE_OPEN && available(connection) && !connection->in_turns &&
           !connection->outstanding && now - connection->since_ms > MESSAGE_MS;
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
        if (!overdue(connection, now))
            continue;
        (void)failure_set(STATUS_TLS_ERROR, "a client did not finish its handshake or its message in time");
        log_refused(connection);
        close_connection(connection);
    }
}

void connections_close_all(struct reactor *reactor)
{
    struct connection *connection = reactor->connections, *next;

    for (; connection; connection = next) {
        next = connection->next;
        connection->outstanding = 0;
        connection->in_turns = false;
        close_connection(connection);
    }
}
