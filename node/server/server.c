/* Workers, slow pool and listeners of a node, and the order in which they come and go.
 *
 * Going: listeners stop accepting; the slow pool ends, so that no answer comes in late; NNG's sockets close; the
 * reactors end with their connections; at last the listeners' memory, which an event might have named until then. */
#include "server/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "node.h"
#include "server/dispatch.h"
#include "server/reactor.h"

struct server {
    struct node *node;
    struct reactors *reactors;
    struct slow_pool *slow_pool;
    struct slow_pool *write_pool;
    struct listener *own_socket;
    atomic_uint next_worker;

    pthread_mutex_t lock; /* guards all below */
    struct member_listener {
        struct listener *listener;
        bool nng;
    } members[2 * NODE_LISTENERS_MAX]; /* `listen`, then `listen-nng` */
    bool draining;
};

struct reactors *server_reactors(struct server *server)
{
    return server->reactors;
}

struct slow_pool *server_pool(struct server *server, enum operation_cost cost)
{
    return cost == COST_WRITES || cost == COST_LONG ? server->write_pool : server->slow_pool;
}

unsigned server_take_worker(struct server *server)
{
    unsigned worker = atomic_load(&server->next_worker);

    while (worker < WORKERS_MAX && !atomic_compare_exchange_weak(&server->next_worker, &worker, worker + 1))
        continue;
    return worker;
}

/* --- listeners --- */

static status_code open_member(struct server *server, const char *url, bool nng, struct member_listener *member)
{
    char bound[LISTENER_URL_MAX];

    if (member->listener)
        return STATUS_OK;
    member->nng = nng && listener_nng_is_sound(url);
    TRY(member->nng ? listener_open_nng(server->node, url, bound, &member->listener)
                    : listener_open_direct(server->node, url, 0, bound, &member->listener));
    node_listening(server->node, bound);
    log_event(LOG_LEVEL_INFO, "listening", "url", bound, "through", member->nng ? "nng" : "direct", NULL);
    return STATUS_OK;
}

static status_code open_all(struct server *server)
{
    const struct node_config *config = &server->node->config;

    for (unsigned i = 0; i < config->n_listen; i++)
        TRY(open_member(server, config->listen[i], false, &server->members[i]));
    for (unsigned i = 0; i < config->n_listen_nng; i++)
        TRY(open_member(server, config->listen_nng[i], true, &server->members[NODE_LISTENERS_MAX + i]));
    return STATUS_OK;
}

status_code server_open_member_listeners(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    status_code status = server->draining ? STATUS_OK : open_all(server);
    pthread_mutex_unlock(&server->lock);
    return status;
}

static status_code open_own_socket(struct server *server)
{
    char url[sizeof(server->node->config.state_folder) + 32], bound[LISTENER_URL_MAX];

    snprintf(url, sizeof(url), "ipc://%s/node.sock", server->node->config.state_folder);
    return listener_open_direct(server->node, url, 1, bound, &server->own_socket);
}

/* --- coming --- */

/* Connections are files: as many as the system lets us have. */
static void raise_file_limit(const struct node_config *config)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < config->connections_max + 64u)
        log_event(LOG_LEVEL_WARNING, "few open files allowed", "limit", log_number((long long)limit.rlim_max), "hint",
                  "raise LimitNOFILE, or lower connections-max", NULL);
}

static status_code start_parts(struct server *server)
{
    struct node *node = server->node;

    raise_file_limit(&node->config);
    TRY(reactors_start(node, server, &server->reactors));
    TRY(slow_pool_start(node, server, node->config.slow_workers, &server->slow_pool));
    TRY(slow_pool_start(node, server, node->config.store_workers, &server->write_pool));
    node->server = server; /* listeners look for the reactors there */
    TRY(open_own_socket(server));
    if (identity_state(node->identity) != IDENTITY_MEMBER)
        return STATUS_OK;
    return server_open_member_listeners(server);
}

status_code server_start(struct node *node, struct server **server)
{
    struct server *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the server");
    made->node = node;
    pthread_mutex_init(&made->lock, NULL);
    status_code status = start_parts(made);
    if (status != STATUS_OK) {
        server_stop(made);
        node->server = NULL;
        return status;
    }
    *server = made;
    return STATUS_OK;
}

/* --- going --- */

static void stop_accepting(struct listener *listener)
{
    if (listener)
        listener->operations->stop_accepting(listener);
}

static void close_listener(struct listener **listener)
{
    if (*listener)
        (*listener)->operations->close(*listener);
    *listener = NULL;
}

void server_drain(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    server->draining = true;
    for (unsigned i = 0; i < 2 * NODE_LISTENERS_MAX; i++)
        stop_accepting(server->members[i].listener);
    pthread_mutex_unlock(&server->lock);
}

bool server_idle(struct server *server)
{
    bool idle =
        slow_pool_idle(server->slow_pool) && slow_pool_idle(server->write_pool) && reactors_idle(server->reactors);

    pthread_mutex_lock(&server->lock);
    for (unsigned i = 0; i < 2 * NODE_LISTENERS_MAX && idle; i++) {
        struct listener *listener = server->members[i].listener;

        idle = !listener || listener->operations->idle(listener);
    }
    pthread_mutex_unlock(&server->lock);
    return idle;
}

static void close_members(struct server *server, bool nng)
{
    for (unsigned i = 0; i < 2 * NODE_LISTENERS_MAX; i++) {
        if (server->members[i].nng == nng)
            close_listener(&server->members[i].listener);
    }
}

void server_stop(struct server *server)
{
    server_drain(server);
    stop_accepting(server->own_socket);
    slow_pool_stop(server->slow_pool);
    slow_pool_stop(server->write_pool);
    close_members(server, true);
    reactors_stop(server->reactors);
    close_members(server, false);
    close_listener(&server->own_socket);
    slow_pool_free(server->slow_pool);
    slow_pool_free(server->write_pool);
    pthread_mutex_destroy(&server->lock);
    dispatch_release();
    free(server);
}
