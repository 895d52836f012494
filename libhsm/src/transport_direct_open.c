/* Opening a connection of the direct transport: address, TLS 1.3, SP handshake; nothing blocks beyond the time given.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "platform.h"
#include "protocol/limits.h"
#include "protocol/sp.h"
#include "transport_direct.h"

enum scheme { SCHEME_TLS, SCHEME_TCP, SCHEME_IPC };

static bool split_url(const char *url, enum scheme *scheme, const char **rest)
{
    static const char *const prefixes[] = {"tls+tcp://", "tcp://", "ipc://"};

    for (unsigned i = 0; i < 3; i++) {
        size_t len = strlen(prefixes[i]);

        if (strncmp(url, prefixes[i], len))
            continue;
        *scheme = (enum scheme)i;
        *rest = url + len;
        return true;
    }
    return false;
}

bool direct_speaks(const char *url)
{
    enum scheme scheme;
    const char *rest;

    return split_url(url, &scheme, &rest);
}

/* --- addresses --- */

static status_code wait_for(int fd, short events, uint64_t until_ns)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    uint64_t now = platform_now_ns();
    int timeout = now < until_ns ? (int)((until_ns - now + 999999) / 1000000) : 0;

    CHECK(poll(&poll_fd, 1, timeout) > 0, STATUS_UNAVAILABLE, "no answer in time");
    return STATUS_OK;
}

static status_code connect_to(struct direct *link, const struct sockaddr *address, socklen_t len, uint64_t until_ns)
{
    int error = 0;
    socklen_t error_len = sizeof(error);

    link->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(link->fd >= 0, STATUS_UNAVAILABLE, "no socket: %s", strerror(errno));
    if (connect(link->fd, address, len) == 0)
        return STATUS_OK;
    CHECK(errno == EINPROGRESS || errno == EAGAIN, STATUS_UNAVAILABLE, "%s", strerror(errno));
    TRY(wait_for(link->fd, POLLOUT, until_ns));
    getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
    CHECK(error == 0, STATUS_UNAVAILABLE, "%s", strerror(error));
    return STATUS_OK;
}

static status_code connect_tcp(struct direct *link, const char *rest, uint64_t until_ns)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *addresses, *address;
    const char *colon = strrchr(rest, ':');
    const int on = 1;
    char host[256];

    CHECK(colon && (size_t)(colon - rest) < sizeof(host), STATUS_CONFIG_INVALID, "%s: HOST:PORT is expected", rest);
    bool bracketed = rest[0] == '[' && colon > rest + 1 && colon[-1] == ']';
    snprintf(host, sizeof(host), "%.*s", (int)(colon - rest) - (bracketed ? 2 : 0), rest + bracketed);
    int code = getaddrinfo(host, colon + 1, &hints, &addresses);
    CHECK(code == 0, STATUS_UNAVAILABLE, "%s: %s", host, gai_strerror(code));

    status_code status = failure_set(STATUS_UNAVAILABLE, "%s has no address", host);
    for (address = addresses; address && status != STATUS_OK; address = address->ai_next) {
        if (link->fd >= 0)
            close(link->fd);
        link->fd = -1;
        status = connect_to(link, address->ai_addr, address->ai_addrlen, until_ns);
    }
    freeaddrinfo(addresses);
    TRY(status);
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(link->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    return STATUS_OK;
}

static status_code connect_ipc(struct direct *link, const char *path, uint64_t until_ns)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    CHECK(strlen(path) < sizeof(address.sun_path), STATUS_CONFIG_INVALID, "%s: too long for the path of a socket",
          path);
    memcpy(address.sun_path, path, strlen(path));
    link->ipc = true;
    return connect_to(link, (struct sockaddr *)&address, sizeof(address), until_ns);
}

/* --- TLS --- */

/* OpenSSL's socket BIO writes with write(), which raises SIGPIPE in a process that did not ask for us. */
static int socket_write(BIO *bio, const char *data, int len)
{
    ssize_t n = send((int)(intptr_t)BIO_get_data(bio), data, (size_t)len, MSG_NOSIGNAL);

    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)n;
}

static int socket_read(BIO *bio, char *data, int len)
{
    ssize_t n = recv((int)(intptr_t)BIO_get_data(bio), data, (size_t)len, 0);

    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)n;
}

static long socket_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* The method lives as long as the BIO: it goes with it, so that the library can be unloaded. */
static int socket_destroy(BIO *bio)
{
    (void)bio;
    return 1;
}

static BIO_METHOD *socket_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "libhsm socket");

    if (method && (!BIO_meth_set_write(method, socket_write) || !BIO_meth_set_read(method, socket_read) ||
                   !BIO_meth_set_ctrl(method, socket_ctrl) || !BIO_meth_set_destroy(method, socket_destroy))) {
        BIO_meth_free(method);
        method = NULL;
    }
    return method;
}

static status_code start_tls(struct direct *link, SSL_CTX *context)
{
    CHECK(context, STATUS_CONFIG_INVALID, "tls+tcp:// needs the settings ca-file, certificate-file and key-file");
    BIO_METHOD *method = socket_method();
    BIO *bio = method ? BIO_new(method) : NULL;

    link->tls = bio ? SSL_new(context) : NULL;
    if (!link->tls) {
        BIO_free(bio);
        BIO_meth_free(method);
        FAIL(STATUS_OUT_OF_MEMORY, "no memory for a TLS connection");
    }
    BIO_set_data(bio, (void *)(intptr_t)link->fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(link->tls, bio, bio);
    SSL_set_app_data(link->tls, method);
    SSL_set_connect_state(link->tls);
    SSL_set_mode(link->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_read_ahead(link->tls, 1);
    return STATUS_OK;
}

static status_code tls_handshake(struct direct *link, uint64_t until_ns)
{
    char reason[128];
    int result;

    while ((result = SSL_do_handshake(link->tls)) != 1) {
        int error = SSL_get_error(link->tls, result);
        long verified = SSL_get_verify_result(link->tls);

        CHECK(verified == X509_V_OK, STATUS_TLS_ERROR, "the node's certificate was refused: %s",
              (ERR_clear_error(), X509_verify_cert_error_string(verified)));
        CHECK(error != SSL_ERROR_SSL, STATUS_TLS_ERROR, "TLS handshake: %s",
              failure_openssl_reason(reason, sizeof(reason)));
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            return direct_lost("it ended during the TLS handshake");
        TRY(wait_for(link->fd, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until_ns));
    }
    return STATUS_OK;
}

static status_code sp_handshake(struct direct *link, uint64_t until_ns)
{
    uint8_t handshake[SP_HANDSHAKE_LEN];
    size_t done;

    sp_handshake_encode(SP_PROTOCOL_REQ, handshake);
    bytes_append(&link->out, handshake, sizeof(handshake));
    TRY(direct_flush(link));
    while (direct_available(link) < SP_HANDSHAKE_LEN) {
        TRY(direct_fill(link, &done));
        if (done == 0)
            TRY(wait_for(link->fd, POLLIN, until_ns));
    }
    TRY(sp_handshake_check(link->in.data + link->in_start, SP_PROTOCOL_REP));
    link->in_start += SP_HANDSHAKE_LEN;
    return STATUS_OK;
}

static status_code open_parts(struct direct *link, const char *url, const struct link_settings *settings)
{
    enum scheme scheme;
    const char *rest;

    CHECK(split_url(url, &scheme, &rest), STATUS_CONFIG_INVALID,
          "%s: the direct transport speaks tls+tcp://, tcp:// and ipc://; set transport to nng for others", url);
    TRY(scheme == SCHEME_IPC ? connect_ipc(link, rest, settings->until_ns)
                             : connect_tcp(link, rest, settings->until_ns));
    if (scheme == SCHEME_TLS) {
        TRY(start_tls(link, settings->tls));
        TRY(tls_handshake(link, settings->until_ns));
    }
    return sp_handshake(link, settings->until_ns);
}

status_code direct_open(const char *url, const struct link_settings *settings, struct link **link)
{
    struct direct *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a connection");
    made->base.operations = &direct_operations;
    made->fd = -1;
    made->in = made->out = (struct bytes)BYTES_SECRET;
    made->in.limit = 2 * (size_t)MESSAGE_MAX + DIRECT_READ;
    made->out.limit = 8 * (size_t)MESSAGE_MAX;
    status_code status = open_parts(made, url, settings);
    if (status != STATUS_OK) {
        char detail[FAILURE_DETAIL_MAX];

        snprintf(detail, sizeof(detail), "%s", failure_detail());
        direct_operations.close(&made->base, false);
        return failure_set(status, "%s", detail);
    }
    *link = &made->base;
    return STATUS_OK;
}
