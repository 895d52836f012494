/* The direct listener: listening sockets for tls+tcp, tcp and ipc, whose connections the reactors carry. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "node.h"
#include "server/reactor.h"
#include "server/server.h"

#define BACKLOG 1024

enum scheme { SCHEME_TLS, SCHEME_TCP, SCHEME_IPC };

struct listener_direct {
    struct watched watched; /* first: the reactor knows no more */
    struct listener base;
    struct node *node;
    struct reactors *reactors;
    enum scheme scheme;
    bool local;
    int fd;
    SSL_CTX *tls;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

static struct listener_direct *direct_of(struct listener *listener)
{
    return (struct listener_direct *)((char *)listener - offsetof(struct listener_direct, base));
}

static void accept_ready(struct watched *watched, struct reactor *reactor, uint32_t events)
{
    struct listener_direct *listener = (struct listener_direct *)watched;
    const int on = 1;

    (void)reactor;
    (void)events;
    for (unsigned i = 0; i < BACKLOG; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        if (listener->scheme != SCHEME_IPC) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        }
        reactors_adopt(listener->reactors, fd, listener->tls, listener->scheme == SCHEME_IPC, listener->local);
    }
}

static void stop_accepting(struct listener *base)
{
    struct listener_direct *listener = direct_of(base);

    if (listener->fd < 0)
        return;
    reactors_unwatch(listener->reactors, listener->fd);
    close(listener->fd);
    listener->fd = -1;
    if (listener->scheme == SCHEME_IPC)
        unlink(listener->path);
}

static int idle(struct listener *base)
{
    (void)base; /* its connections are the reactors' */
    return 1;
}

/* Freed when the reactors have ended would be too late for a listener that is closed alone, so the memory stays until
 * then: an event that was fetched before may still name it. */
static void close_listener(struct listener *base)
{
    struct listener_direct *listener = direct_of(base);

    stop_accepting(base);
    SSL_CTX_free(listener->tls);
    listener->tls = NULL;
}

static const struct listener_operations operations = {stop_accepting, idle, close_listener};

static status_code split_url(const char *url, enum scheme *scheme, const char **rest)
{
    static const struct {
        const char *prefix;
        enum scheme scheme;
    } schemes[] = {{"tls+tcp://", SCHEME_TLS}, {"tcp://", SCHEME_TCP}, {"ipc://", SCHEME_IPC}};

    for (unsigned i = 0; i < 3; i++) {
        size_t len = strlen(schemes[i].prefix);

        if (strncmp(url, schemes[i].prefix, len))
            continue;
        *scheme = schemes[i].scheme;
        *rest = url + len;
        return STATUS_OK;
    }
    FAIL(STATUS_CONFIG_INVALID, "listen: %s: the schemes are tls+tcp, tcp and ipc; others go into listen-nng", url);
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static status_code bind_address(struct listener_direct *listener, const struct addrinfo *address, const char *url)
{
    const int on = 1, off = 0;

    CHECK(listener->scheme != SCHEME_TCP || is_loopback(address->ai_addr), STATUS_CONFIG_INVALID,
          "listen: %s: without TLS only on a loopback address", url);
    listener->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(listener->fd >= 0, STATUS_IO_ERROR, "listen: %s: %s", url, strerror(errno));
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6)
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    CHECK(bind(listener->fd, address->ai_addr, address->ai_addrlen) == 0 && listen(listener->fd, BACKLOG) == 0,
          STATUS_IO_ERROR, "listen: %s: %s", url, strerror(errno));
    return STATUS_OK;
}

static void describe_bound(const struct listener_direct *listener, const char *host, char bound_url[256])
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    char port[16] = "0";

    getsockname(listener->fd, (struct sockaddr *)&address, &len);
    getnameinfo((struct sockaddr *)&address, len, NULL, 0, port, sizeof(port), NI_NUMERICSERV);
    snprintf(bound_url, 256, "%s%s:%s", listener->scheme == SCHEME_TLS ? "tls+tcp://" : "tcp://", host, port);
}

static status_code open_tcp(struct listener_direct *listener, const char *url, const char *rest, char bound_url[256])
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *addresses;
    const char *colon = strrchr(rest, ':');
    char host[200], name[200];

    CHECK(colon && (size_t)(colon - rest) < sizeof(host), STATUS_CONFIG_INVALID, "listen: %s: HOST:PORT is missing",
          url);
    snprintf(host, sizeof(host), "%.*s", (int)(colon - rest), rest);
    size_t len = strlen(host);
    bool bracketed = len > 2 && host[0] == '[' && host[len - 1] == ']';
    snprintf(name, sizeof(name), "%.*s", (int)(bracketed ? len - 2 : len), bracketed ? host + 1 : host);

    bool any = name[0] == 0 || strcmp(name, "*") == 0;
    int code = getaddrinfo(any ? NULL : name, colon + 1, &hints, &addresses);
    CHECK(code == 0, STATUS_CONFIG_INVALID, "listen: %s: %s", url, gai_strerror(code));
    status_code status = bind_address(listener, addresses, url);
    freeaddrinfo(addresses);
    TRY(status);
    describe_bound(listener, host, bound_url);
    return STATUS_OK;
}

static status_code open_ipc(struct listener_direct *listener, const char *url, const char *path, char bound_url[256])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    CHECK(strlen(path) < sizeof(address.sun_path), STATUS_CONFIG_INVALID,
          "%s: the path of a socket has at most %zu bytes: choose a shorter state-folder", url,
          sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path));
    memcpy(listener->path, address.sun_path, sizeof(listener->path));
    unlink(path); /* of an earlier run: the state folder's lock says that nobody else uses it */
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t before = umask(0177); /* mode 0600 from its first moment on */
    bool bound = listener->fd >= 0 && bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    umask(before);
    CHECK(bound && listen(listener->fd, BACKLOG) == 0, STATUS_IO_ERROR, "%s: %s", url, strerror(errno));
    snprintf(bound_url, 256, "%.255s", url);
    return STATUS_OK;
}

static status_code open_socket(struct listener_direct *listener, const char *url, char bound_url[256])
{
    const char *rest;

    TRY(split_url(url, &listener->scheme, &rest));
    if (listener->scheme == SCHEME_IPC)
        return open_ipc(listener, url, rest, bound_url);
    if (listener->scheme == SCHEME_TLS)
        TRY(identity_tls_context(listener->node->identity, &listener->tls));
    return open_tcp(listener, url, rest, bound_url);
}

status_code listener_open_direct(struct node *node, const char *url, int local, char *bound_url,
                                 struct listener **listener)
{
    struct listener_direct *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a listener");
    made->watched.ready = accept_ready;
    made->base.operations = &operations;
    made->node = node;
    made->reactors = server_reactors(node->server);
    made->local = local;
    made->fd = -1;
    status_code status = open_socket(made, url, bound_url);
    if (status == STATUS_OK)
        status = reactors_watch(made->reactors, made->fd, &made->watched);
    if (status != STATUS_OK) {
        if (made->fd >= 0)
            close(made->fd);
        SSL_CTX_free(made->tls);
        free(made);
        return status;
    }
    *listener = &made->base;
    return STATUS_OK;
}
