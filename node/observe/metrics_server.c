/* The metrics page and the health check over HTTP (libmicrohttpd), on the loopback address and nowhere else: the page
 * tells who does what how often, which is nobody else's business. One thread of the library serves a few connections.
 */
#include "observe/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include "node.h"

#define CONNECTIONS_MAX   16u
#define CONNECTION_IDLE_S 10u
#define PAGE_MAX          ((size_t)1 << 20)

struct metrics_server {
    struct node *node;
    struct MHD_Daemon *daemon;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type, struct slice body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_metrics(struct node *node, struct MHD_Connection *connection)
{
    CLEANUP(bytes_release) struct bytes page = BYTES_INIT;
    page.limit = PAGE_MAX;
    metrics_render(node, &page);
    if (bytes_ok(&page) != STATUS_OK)
        return answer(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "text/plain", slice_text("out of memory\n"));
    return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", bytes_slice(&page));
}

/** 200 while clients should send requests here, else 503: what load balancers and monitors look at. */
static enum MHD_Result answer_health(struct node *node, struct MHD_Connection *connection)
{
    enum node_state state = atomic_load(&node->state);
    char body[96];
    snprintf(body, sizeof body, "{\"state\":\"%s\",\"cluster_active\":%s}\n", node_state_name(state),
             atomic_load(&node->cluster_active) ? "true" : "false");
    return answer(connection, state == NODE_SERVING ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, "application/json",
                  slice_text(body));
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_len, void **state)
{
    struct metrics_server *server = context;
    (void)version;
    (void)upload;
    (void)state;
    (void)upload_len;

    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", slice_text("only GET\n"));
    if (strcmp(url, "/metrics") == 0)
        return answer_metrics(server->node, connection);
    if (strcmp(url, "/health") == 0)
        return answer_health(server->node, connection);
    return answer(connection, MHD_HTTP_NOT_FOUND, "text/plain", slice_text("see /metrics and /health\n"));
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_host(const char *host, uint16_t port, union address *address)
{
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(port);
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons(port);
        return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
    }
    return false;
}

/** ADDRESS:PORT or [ADDRESS]:PORT, loopback only. */
static status_code parse_address(const char *text, union address *address)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    size_t len = colon ? (size_t)(colon - text) : 0;

    CHECK(colon && len > 0 && len < sizeof host && colon[1] >= '0' && colon[1] <= '9' && !*end && port <= 65535,
          STATUS_CONFIG_INVALID, "metrics: %.64s is not ADDRESS:PORT, such as 127.0.0.1:9464", text);
    if (text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    memcpy(host, text, len);
    host[len] = 0;
    CHECK(parse_host(host, (uint16_t)port, address), STATUS_CONFIG_INVALID,
          "metrics: %s is not a loopback address: metrics are served on 127.0.0.1 or ::1 only", host);
    return STATUS_OK;
}

static uint16_t bound_port(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

status_code metrics_serve(struct node *node, const char *address_text, uint16_t *port, struct metrics_server **server)
{
    union address address;
    TRY(parse_address(address_text, &address));

    struct metrics_server *made = calloc(1, sizeof *made);
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the metrics server");
    made->node = node;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | (address.any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    made->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, made, MHD_OPTION_SOCK_ADDR, &address.any,
                                    MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                    CONNECTION_IDLE_S, MHD_OPTION_END);
    if (!made->daemon) {
        free(made);
        FAIL(STATUS_CONFIG_INVALID, "metrics: cannot listen on %s: %s", address_text, strerror(errno));
    }
    *port = bound_port(made->daemon);
    *server = made;
    return STATUS_OK;
}

void metrics_stop(struct metrics_server *server)
{
    if (!server)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}
