/* The direct listener: listening sockets for tls+tcp, tcp and ipc, whose connections the reactors carry. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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

#define BACKLOG     1024
#define ACCEPTS_MAX 64 /* at a turn: the connections that are there want theirs */

enum scheme { SCHEME_TLS, SCHEME_TCP, SCHEME_IPC };

struct listener_direct {
    struct watched watched; /* first: the reactor knows no more */
    struct listener base;
    struct node *node;
    struct reactors *reactors;
    enum scheme scheme;
    bool local;
    bool stopped;
    int fd;
    int reserve; /* a descriptor to give up when there are no more */
    SSL_CTX *tls;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

static struct listener_direct *direct_of(struct listener *listener)
{
    return (struct listener_direct *)((char *)listener - offsetof(struct listener_direct, base));
}

/* --- accepting --- */

static void set_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},           {SOL_SOCKET, SO_KEEPALIVE, 1}, /* who is gone without a word is noticed
                                                                                   after two minutes */
        {IPPROTO_TCP, TCP_KEEPIDLE, 60},         {IPPROTO_TCP, TCP_KEEPINTVL, 15}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 120000},
    };

    for (unsigned i = 0; i < sizeof(options) / sizeof(*options); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
}

/* No descriptor is left: without one in reserve, the client could not even be turned away, and its connection would
 * wake us up for ever. */
static bool turn_away(struct listener_direct *listener)
{
    if (errno != EMFILE && errno != ENFILE)
        return errno == EINTR || errno == ECONNABORTED;
    close(listener->reserve);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && listener->reserve >= 0;
}

static void accept_ready(struct watched *watched, uint32_t events)
{
    struct listener_direct *listener = (struct listener_direct *)watched;

    (void)events;
    for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && !turn_away(listener))
            return;
        if (fd < 0)
            continue;
        if (listener->scheme != SCHEME_IPC)
            set_options(fd);
        reactors_adopt(listener->reactors, fd, listener->tls, listener->scheme == SCHEME_IPC, listener->local);
    }
}

/* The descriptor stays until the reactors have ended: one of them may be accepting from it right now. */
static void stop_accepting(struct listener *base)
{
    struct listener_direct *listener = direct_of(base);

    if (listener->stopped)
        return;
    listener->stopped = true;
    reactors_unwatch(listener->reactors, listener->fd);
    shutdown(listener->fd, SHUT_RD);
    if (listener->scheme == SCHEME_IPC)
        unlink(listener->path);
}

static int idle(struct listener *base)
{
    (void)base; /* its connections are the reactors' */
    return 1;
}

static void free_listener(struct listener_direct *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->reserve >= 0)
        close(listener->reserve);
    SSL_CTX_free(listener->tls);
    free(listener);
}

static void close_listener(struct listener *base)
{
    free_listener(direct_of(base));
}

static const struct listener_operations operations = {stop_accepting, idle, close_listener};

/* --- binding --- */

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

/* HOST:PORT, where HOST may be [IPv6], empty or * for all addresses. */
static status_code resolve(const char *url, const char *host_and_port, struct addrinfo **addresses)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(host_and_port, ':');
    size_t len = colon ? (size_t)(colon - host_and_port) : 0;
    bool bracketed = len > 2 && host_and_port[0] == '[' && host_and_port[len - 1] == ']';
    char name[200];

    CHECK(colon && len < sizeof(name), STATUS_CONFIG_INVALID, "listen: %s: HOST:PORT is missing", url);
    snprintf(name, sizeof(name), "%.*s", (int)(bracketed ? len - 2 : len), host_and_port + (bracketed ? 1 : 0));
    bool any = name[0] == 0 || strcmp(name, "*") == 0;
    int code = getaddrinfo(any ? NULL : name, colon + 1, &hints, addresses);

    CHECK(code == 0, STATUS_CONFIG_INVALID, "listen: %s: %s", url, gai_strerror(code));
    return STATUS_OK;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static status_code check_loopback(const char *url, const struct addrinfo *address)
{
    for (; address; address = address->ai_next)
        CHECK(is_loopback(address->ai_addr), STATUS_CONFIG_INVALID,
              "listen: %s: without TLS a node listens on loopback addresses only (127.0.0.1, [::1]); use tls+tcp or "
              "wss",
              url);
    return STATUS_OK;
}

status_code listener_check_loopback(const char *url, const char *host_and_port)
{
    struct addrinfo *addresses;

    TRY(resolve(url, host_and_port, &addresses));
    status_code status = check_loopback(url, addresses);
    freeaddrinfo(addresses);
    return status;
}

static status_code bind_address(struct listener_direct *listener, const struct addrinfo *address, const char *url)
{
    const int on = 1, off = 0;

    if (listener->scheme == SCHEME_TCP)
        TRY(check_loopback(url, address));
    listener->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(listener->fd >= 0, STATUS_IO_ERROR, "listen: %s: %s", url, strerror(errno));
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6)
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    CHECK(bind(listener->fd, address->ai_addr, address->ai_addrlen) == 0 && listen(listener->fd, BACKLOG) == 0,
          STATUS_IO_ERROR, "listen: %s: %s", url, strerror(errno));
    return STATUS_OK;
}

static void describe_bound(const struct listener_direct *listener, const char *rest, char *bound_url)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    char port[16] = "0";

    getsockname(listener->fd, (struct sockaddr *)&address, &len);
    getnameinfo((struct sockaddr *)&address, len, NULL, 0, port, sizeof(port), NI_NUMERICSERV);
    snprintf(bound_url, LISTENER_URL_MAX, "%s%.*s:%s", listener->scheme == SCHEME_TLS ? "tls+tcp://" : "tcp://",
             (int)(strrchr(rest, ':') - rest), rest, port);
}

static status_code open_tcp(struct listener_direct *listener, const char *url, const char *rest, char *bound_url)
{
    struct addrinfo *addresses;

    TRY(resolve(url, rest, &addresses));
    status_code status = bind_address(listener, addresses, url);
    freeaddrinfo(addresses);
    TRY(status);
    describe_bound(listener, rest, bound_url);
    return STATUS_OK;
}

/* A socket that an earlier run left behind goes; one that somebody answers on, or something else, stays. */
static status_code clear_path(const struct sockaddr_un *address)
{
    struct stat status;

    if (lstat(address->sun_path, &status) != 0)
        return STATUS_OK;
    CHECK(S_ISSOCK(status.st_mode), STATUS_CONFIG_INVALID, "%s is no socket: it is not replaced", address->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool answered = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;

    if (fd >= 0)
        close(fd);
    CHECK(!answered, STATUS_IO_ERROR, "%s: another process listens there", address->sun_path);
    unlink(address->sun_path);
    return STATUS_OK;
}

static status_code open_ipc(struct listener_direct *listener, const char *url, const char *path, char *bound_url)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    CHECK(strlen(path) < sizeof(address.sun_path), STATUS_CONFIG_INVALID,
          "%s: the path of a socket has at most %zu bytes: choose a shorter state-folder", url,
          sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path));
    TRY(clear_path(&address));
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* unix(7): the file gets the mode that the socket has when it is bound, so 0600 from its first moment on. */
    CHECK(listener->fd >= 0 && fchmod(listener->fd, 0600) == 0 &&
              bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) == 0 && chmod(path, 0600) == 0 &&
              listen(listener->fd, BACKLOG) == 0,
          STATUS_IO_ERROR, "%s: %s", url, strerror(errno));
    memcpy(listener->path, address.sun_path, sizeof(listener->path));
    snprintf(bound_url, LISTENER_URL_MAX, "%.255s", url);
    return STATUS_OK;
}

static status_code open_socket(struct listener_direct *listener, const char *url, char *bound_url)
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
    made->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    status_code status = open_socket(made, url, bound_url);
    if (status == STATUS_OK)
        status = reactors_watch(made->reactors, made->fd, &made->watched);
    if (status != STATUS_OK) {
        free_listener(made);
        return status;
    }
    *listener = &made->base;
    return STATUS_OK;
}
