/* The bytes of a connection, through TLS or plain: see connection.h.
 *
 * OpenSSL looks at the thread's error queue to tell what became of a call, so the queue is emptied before each: what a
 * request's cryptography left there must not end the connection. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "identity/member.h"
#include "server/connection.h"

#define READ_BUDGET (4 * CONNECTION_READ) /* bytes at a turn */

/* TLS hands out a record at a time: as many as fill the buffer. */
static ssize_t read_tls(struct connection *connection, uint8_t *to, size_t room)
{
    size_t n = 0;

    ERR_clear_error();
    if (SSL_read_ex(connection->tls, to, room, &n))
        return (ssize_t)n;
    int error = SSL_get_error(connection->tls, 0);

    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

/* Bytes read; 0 when there are none at the moment; -1 when no more will come. */
static ssize_t read_some(struct connection *connection, uint8_t *to, size_t room)
{
    if (connection->tls)
        return read_tls(connection, to, room);
    ssize_t n = recv(connection->fd, to, room, 0);

    if (n > 0)
        return n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static ssize_t write_tls(struct connection *connection, const uint8_t *from, size_t len)
{
    size_t n = 0;

    ERR_clear_error();
    if (SSL_write_ex(connection->tls, from, len, &n))
        return (ssize_t)n;
    int error = SSL_get_error(connection->tls, 0);

    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static ssize_t write_some(struct connection *connection, const uint8_t *from, size_t len)
{
    if (connection->tls)
        return write_tls(connection, from, len);
    ssize_t n = send(connection->fd, from, len, MSG_NOSIGNAL);

    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

void stream_watch(struct connection *connection, bool want_read, bool want_write)
{
    struct epoll_event event = {.events = (want_read ? EPOLLIN : 0u) | (want_write ? EPOLLOUT : 0u),
                                .data.ptr = &connection->watched};

    if (connection->want_write == want_write && connection->want_read == want_read)
        return;
    connection->want_write = want_write;
    connection->want_read = want_read;
    epoll_ctl(connection->reactor->epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

/* Room at the end of `in`, after moving what is left to its beginning when that saves growing. */
static uint8_t *make_room(struct connection *connection)
{
    struct bytes *in = &connection->in;

    if (connection->in_start && in->len + CONNECTION_READ > in->capacity) {
        size_t left = connection_available(connection);

        memmove(in->data, in->data + connection->in_start, left);
        secret_wipe(in->data + left, in->len - left);
        in->len = left;
        connection->in_start = 0;
    }
    return bytes_reserve(in, CONNECTION_READ);
}

void stream_read(struct connection *connection)
{
    connection->unread = false;
    for (size_t total = 0; total < READ_BUDGET;) {
        uint8_t *to = make_room(connection);
        ssize_t n = to ? read_some(connection, to, CONNECTION_READ) : -1;

        if (n < 0)
            connection->peer_closed = true;
        if (n <= 0)
            return;
        if (connection_available(connection) == 0)
            connection->in_since_ms = reactor_now_ms();
        connection->in.len += (size_t)n;
        total += (size_t)n;
        if ((size_t)n < CONNECTION_READ && !(connection->tls && SSL_has_pending(connection->tls)))
            return; /* an event will tell of more */
    }
    connection->unread = true;
}

static void count_unsent(struct connection *connection, bool unsent)
{
    if (connection->unsent == unsent)
        return;
    connection->unsent = unsent;
    if (unsent)
        atomic_fetch_add(&connection->reactor->n_unsent, 1);
    else
        atomic_fetch_sub(&connection->reactor->n_unsent, 1);
}

static bool write_out(struct connection *connection, bool *stuck)
{
    struct bytes *out = &connection->out;

    *stuck = false;
    while (connection->out_start < out->len) {
        ssize_t n = write_some(connection, out->data + connection->out_start, out->len - connection->out_start);

        if (n < 0)
            return false;
        *stuck = n == 0;
        if (*stuck)
            return true;
        connection->out_start += (size_t)n;
        connection->out_since_ms = reactor_now_ms();
    }
    connection_empty(out, &connection->out_start);
    return true;
}

bool stream_flush(struct connection *connection)
{
    bool stuck;

    if (!write_out(connection, &stuck))
        return false;
    count_unsent(connection, stuck);
    stream_watch(connection, !message_saturated(connection) && !connection->peer_closed, stuck);
    return true;
}

/* --- beginning and end --- */

status_code stream_open(struct connection *connection, SSL_CTX *tls)
{
    connection->tls = SSL_new(tls);
    CHECK(connection->tls && SSL_set_fd(connection->tls, connection->fd), STATUS_OUT_OF_MEMORY,
          "no memory for a TLS connection");
    /* Idle connections hold no buffers; plaintext that was taken out of them is wiped. */
    SSL_set_mode(connection->tls,
                 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_set_options(connection->tls, SSL_OP_CLEANSE_PLAINTEXT);
    SSL_set_read_ahead(connection->tls, 1);
    SSL_set_default_read_buffer_len(connection->tls, CONNECTION_READ);
    SSL_set_accept_state(connection->tls);
    return STATUS_OK;
}

static status_code check_certificate(struct connection *connection)
{
    X509 *certificate = SSL_get1_peer_certificate(connection->tls);
    unsigned len = 0;
    bool removed = false;
    bool ok = certificate && X509_digest(certificate, EVP_sha256(), connection->peer.certificate_hash, &len);

    X509_free(certificate);
    CHECK(ok, STATUS_TLS_ERROR, "a client without a certificate");
    TRY(members_is_removed(connection->reactor->node, connection->peer.certificate_hash, &removed));
    CHECK(!removed, STATUS_TLS_ERROR, "the certificate of a node that was removed from the cluster");
    return STATUS_OK;
}

status_code stream_handshake(struct connection *connection, bool *done)
{
    char reason[160];

    ERR_clear_error();
    int result = SSL_accept(connection->tls);

    *done = result == 1;
    if (*done)
        return check_certificate(connection);
    int error = SSL_get_error(connection->tls, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        stream_watch(connection, true, error == SSL_ERROR_WANT_WRITE);
        return STATUS_OK;
    }
    long verified = SSL_get_verify_result(connection->tls);
    FAIL(STATUS_TLS_ERROR, "TLS handshake: %s%s%s", failure_openssl_reason(reason, sizeof(reason)),
         verified == X509_V_OK ? "" : ": ", verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified));
}

/* What came and was not read would turn the close into a reset, and the client might never see the alert that tells why
 * its handshake failed. */
static void swallow(int fd)
{
    uint8_t scrap[4096];

    shutdown(fd, SHUT_WR);
    for (unsigned i = 0; i < 16; i++) {
        if (recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT) <= 0)
            return;
    }
}

void stream_close(struct connection *connection)
{
    ERR_clear_error();
    if (connection->tls && SSL_is_init_finished(connection->tls))
        SSL_shutdown(connection->tls);
    SSL_free(connection->tls);
    connection->tls = NULL;
    if (connection->state != STATE_OPEN)
        swallow(connection->fd);
    close(connection->fd);
    connection->fd = -1;
    count_unsent(connection, false);
    ERR_clear_error();
}
