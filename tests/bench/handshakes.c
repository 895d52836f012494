/* Full TLS handshakes from one thread: as many connections at once as asked for, each closed when its handshake is done
 * and replaced by a new one. No session is resumed. bench_handshakes PORT CONNECTIONS SECONDS (TLS1.2|TLS1.3) */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "measure.h"

#define CONNECTIONS_MAX 4096

struct connection {
    int fd;
    SSL *tls;
    uint64_t began_ns;
    uint32_t waits_for;
};

static SSL_CTX *context;
static struct sockaddr_in server = {.sin_family = AF_INET};
static int set;
static uint64_t n_failed;
static struct measure *measure;

static void fail(const char *what)
{
    fprintf(stderr, "bench_handshakes: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* A reset at the end leaves no port behind in TIME_WAIT: there are not enough of them for a minute's handshakes. */
static void set_options(int fd)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    const int yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

static void begin(struct connection *connection)
{
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        fail("socket");
    set_options(connection->fd);
    connection->began_ns = measure_now_ns();
    if (connect(connection->fd, (struct sockaddr *)&server, sizeof(server)) != 0 && errno != EINPROGRESS)
        fail("connect");
    connection->tls = SSL_new(context);
    if (!connection->tls || !SSL_set_fd(connection->tls, connection->fd))
        fail("SSL_new");
    SSL_set_connect_state(connection->tls);
    connection->waits_for = EPOLLOUT;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};

    epoll_ctl(set, EPOLL_CTL_ADD, connection->fd, &event);
}

static void end(struct connection *connection)
{
    SSL_free(connection->tls);
    close(connection->fd);
}

static void wait_for(struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};

    if (connection->waits_for != events)
        epoll_ctl(set, EPOLL_CTL_MOD, connection->fd, &event);
    connection->waits_for = events;
}

/* Whether the connection is done, well or not. */
static int go_on(struct connection *connection)
{
    int result = SSL_do_handshake(connection->tls);

    if (result == 1) {
        measure_add(measure, measure_now_ns() - connection->began_ns);
        return 1;
    }
    switch (SSL_get_error(connection->tls, result)) {
    case SSL_ERROR_WANT_READ:
        wait_for(connection, EPOLLIN);
        return 0;
    case SSL_ERROR_WANT_WRITE:
        wait_for(connection, EPOLLOUT);
        return 0;
    default:
        n_failed++;
        return 1;
    }
}

int main(int argc, char **argv)
{
    static struct connection connections[CONNECTIONS_MAX];

    if (argc != 5)
        return 2;
    server.sin_port = htons((uint16_t)atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    unsigned n = (unsigned)atoi(argv[2]);
    double seconds = atof(argv[3]);
    int version = strcmp(argv[4], "TLS1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;

    context = SSL_CTX_new(TLS_client_method());
    measure = calloc(1, sizeof(*measure));
    set = epoll_create1(EPOLL_CLOEXEC);
    if (!context || !measure || set < 0 || n == 0 || n > CONNECTIONS_MAX)
        fail("begin");
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set1_groups_list(context, "X25519:P-256");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    for (unsigned i = 0; i < n; i++)
        begin(&connections[i]);
    uint64_t began_ns = measure_now_ns(), until_ns = began_ns + (uint64_t)(seconds * 1e9);

    while (measure_now_ns() < until_ns) {
        struct epoll_event events[64];
        int n_events = epoll_wait(set, events, 64, 100);

        for (int i = 0; i < n_events; i++) {
            struct connection *connection = events[i].data.ptr;

            if (!go_on(connection))
                continue;
            end(connection);
            begin(connection);
        }
    }
    fprintf(stderr, "%llu failed\n", (unsigned long long)n_failed);
    measure_print(&measure, 1, (double)(measure_now_ns() - began_ns) / 1e9, measure_cpu_us());
    return n_failed > 0;
}
