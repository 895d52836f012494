/* The direct transport: SP over tls+tcp, tcp and ipc on plain non-blocking sockets. No threads, no global state, no
 * SIGPIPE; a child of fork can let go of what it inherited without a byte on the wire. This file is about connections
 * that are open. */
#include "transport_direct.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "protocol/limits.h"
#include "protocol/sp.h"

#define KEEP ((size_t)1 << 20) /* larger buffers are given back when empty */

/* --- bytes --- */

status_code direct_lost(const char *why)
{
    FAIL(STATUS_UNAVAILABLE, "the connection was lost: %s", why);
}

/* With TLS 1.3 a client hears only at its first read that its certificate was refused. */
static bool is_refused_certificate(unsigned long error)
{
    int reason = ERR_GET_REASON(error);

    return ERR_GET_LIB(error) == ERR_LIB_SSL &&
           (reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA || reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED ||
            (reason >= SSL_R_SSLV3_ALERT_NO_CERTIFICATE && reason <= SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN));
}

static status_code tls_failed(void)
{
    char reason[128];
    bool refused = is_refused_certificate(ERR_peek_last_error());

    failure_openssl_reason(reason, sizeof(reason));
    CHECK(!refused, STATUS_TLS_ERROR,
          "the node refused this client's certificate (%s): it must be signed by the cluster's CA for clients, and in "
          "its time by the node's clock; the node's log says which",
          reason);
    return direct_lost(reason);
}

/* Bytes written or read; 0: not now. */
static status_code tls_result(struct direct *link, size_t n, int ok, size_t *done)
{
    int error;

    *done = ok ? n : 0;
    if (ok)
        return STATUS_OK;
    error = SSL_get_error(link->tls, 0);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return STATUS_OK;
    if (error == SSL_ERROR_SSL)
        return tls_failed();
    ERR_clear_error();
    return direct_lost("the node closed it");
}

static status_code write_some(struct direct *link, const uint8_t *from, size_t len, size_t *done)
{
    size_t n = 0;

    if (link->tls) {
        int ok = SSL_write_ex(link->tls, from, len, &n);

        return tls_result(link, n, ok, done);
    }
    ssize_t sent = send(link->fd, from, len, MSG_NOSIGNAL);

    *done = sent > 0 ? (size_t)sent : 0;
    return sent >= 0 || errno == EAGAIN || errno == EINTR ? STATUS_OK : direct_lost(strerror(errno));
}

static status_code read_some(struct direct *link, uint8_t *to, size_t room, size_t *done)
{
    size_t n = 0;

    if (link->tls) {
        int ok = SSL_read_ex(link->tls, to, room, &n);

        return tls_result(link, n, ok, done);
    }
    ssize_t got = recv(link->fd, to, room, 0);

    *done = got > 0 ? (size_t)got : 0;
    if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
        return STATUS_OK;
    return direct_lost(got == 0 ? "the node closed it" : strerror(errno));
}

static void give_back(struct bytes *buffer, size_t *start)
{
    bytes_clear(buffer);
    *start = 0;
    if (buffer->capacity > KEEP)
        bytes_release(buffer);
}

status_code direct_flush(struct direct *link)
{
    while (link->out_start < link->out.len) {
        size_t done;

        TRY(write_some(link, link->out.data + link->out_start, link->out.len - link->out_start, &done));
        if (done == 0)
            return STATUS_OK;
        link->out_start += done;
    }
    give_back(&link->out, &link->out_start);
    return STATUS_OK;
}

/* --- messages --- */

static size_t header_len(const struct direct *link)
{
    return link->ipc ? SP_IPC_HEADER_LEN : SP_TCP_HEADER_LEN;
}

static int direct_fd(const struct link *base)
{
    return ((const struct direct *)base)->fd;
}

static bool direct_sending(const struct link *base)
{
    const struct direct *link = (const struct direct *)base;

    return link->out_start < link->out.len;
}

static status_code direct_send(struct link *base, uint32_t id, struct slice message)
{
    struct direct *link = (struct direct *)base;
    uint8_t header[SP_IPC_HEADER_LEN + SP_ID_LEN];
    size_t len = sp_header_encode(link->ipc, SP_ID_LEN + message.len, header);

    sp_id_encode(id, header + len);
    bytes_append(&link->out, header, len + SP_ID_LEN);
    bytes_append(&link->out, message.data, message.len);
    TRY(bytes_ok(&link->out));
    return direct_flush(link);
}

size_t direct_available(const struct direct *link)
{
    return link->in.len - link->in_start;
}

/* A whole frame at the beginning of what was read; *id stays 0 when bytes are missing. */
static status_code take_frame(struct direct *link, uint32_t *id, struct slice *message)
{
    uint64_t len;

    *id = 0;
    if (direct_available(link) < header_len(link))
        return STATUS_OK;
    const uint8_t *at = link->in.data + link->in_start;

    TRY(sp_header_decode(link->ipc, at, MESSAGE_MAX + SP_ID_LEN, &len));
    CHECK(len >= SP_ID_LEN, STATUS_PROTOCOL_ERROR, "the node sent a reply without an id");
    if (direct_available(link) - header_len(link) < len)
        return STATUS_OK;
    *id = sp_id_decode(at + header_len(link));
    *message = slice_of(at + header_len(link) + SP_ID_LEN, (size_t)len - SP_ID_LEN);
    link->in_start += header_len(link) + (size_t)len;
    return STATUS_OK;
}

status_code direct_fill(struct direct *link, size_t *done)
{
    struct bytes *in = &link->in;

    if (direct_available(link) == 0)
        give_back(in, &link->in_start);
    if (link->in_start && in->len + DIRECT_READ > in->capacity) {
        memmove(in->data, in->data + link->in_start, direct_available(link));
        in->len -= link->in_start;
        link->in_start = 0;
    }
    uint8_t *to = bytes_reserve(in, DIRECT_READ);

    TRY(bytes_ok(in));
    TRY(read_some(link, to, DIRECT_READ, done));
    in->len += *done;
    return STATUS_OK;
}

static status_code direct_receive(struct link *base, uint32_t *id, struct slice *message)
{
    struct direct *link = (struct direct *)base;
    size_t done;

    TRY(direct_flush(link));
    for (;;) {
        TRY(take_frame(link, id, message));
        if (*id)
            return STATUS_OK;
        TRY(direct_fill(link, &done));
        if (done == 0)
            return STATUS_OK;
    }
}

static void free_tls(SSL *tls)
{
    BIO_METHOD *method = tls ? SSL_get_app_data(tls) : NULL;

    if (tls)
        SSL_shutdown(tls);
    SSL_free(tls);
    BIO_meth_free(method);
    ERR_clear_error();
}

static void direct_close(struct link *base, bool forget)
{
    struct direct *link = (struct direct *)base;

    /* After fork another thread of the parent may have been inside OpenSSL or a buffer: what it left is not touched. */
    if (!forget)
        free_tls(link->tls);
    if (link->fd >= 0)
        close(link->fd);
    if (forget)
        return;
    bytes_release(&link->in);
    bytes_release(&link->out);
    free(link);
}

const struct link_operations direct_operations = {
    .fd = direct_fd,
    .send = direct_send,
    .receive = direct_receive,
    .sending = direct_sending,
    .close = direct_close,
};
