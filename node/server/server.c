/* Workers, slow pool and listeners of a node, and the order in which they come and go. */
#include "server/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "node.h"
#include "server/dispatch.h"
#include "server/reactor.h"

#define SLOW_QUEUE_MAX 1024u

struct slow_job {
    bool local;
    struct bytes message;
    slow_done done;
    void *context;
    struct slow_job *next;
};

struct server {
    struct node *node;
    struct reactors *reactors;
    struct listener *own_socket;
    struct listener *members[2 * NODE_LISTENERS_MAX];
    unsigned n_members;

    pthread_mutex_t lock; /* guards all below, and opening of members */
    pthread_cond_t wake;
    struct slow_job *first, **last;
    unsigned n_queued;
    bool stopping;
    pthread_t slow[WORKERS_MAX];
    unsigned n_slow;

    atomic_uint slow_active; /* queued or running */
    atomic_uint next_worker;
};

struct reactors *server_reactors(struct server *server)
{
    return server->reactors;
}

unsigned server_take_worker(struct server *server)
{
    unsigned worker = atomic_fetch_add(&server->next_worker, 1);

    return worker < WORKERS_MAX ? worker : WORKERS_MAX;
}

/* --- slow pool --- */

static void job_free(struct slow_job *job)
{
    bytes_release(&job->message);
    free(job);
}

status_code server_run_slow(struct server *server, bool local, struct slice message, slow_done done, void *context)
{
    struct slow_job *job = calloc(1, sizeof(*job));

    CHECK(job, STATUS_OUT_OF_MEMORY, "no memory for a request");
    *job = (struct slow_job){.local = local, .message = BYTES_SECRET, .done = done, .context = context};
    status_code status = bytes_assign(&job->message, message);
    pthread_mutex_lock(&server->lock);
    if (status == STATUS_OK && (server->stopping || server->n_queued >= SLOW_QUEUE_MAX))
        status = failure_set(STATUS_BUSY, "too many slow requests wait on this node");
    if (status == STATUS_OK) {
        *server->last = job;
        server->last = &job->next;
        server->n_queued++;
        atomic_fetch_add(&server->slow_active, 1);
        pthread_cond_signal(&server->wake);
    }
    pthread_mutex_unlock(&server->lock);
    if (status != STATUS_OK)
        job_free(job);
    return status;
}

static struct slow_job *take_job(struct server *server)
{
    struct slow_job *job;

    pthread_mutex_lock(&server->lock);
    while (!server->first && !server->stopping)
        pthread_cond_wait(&server->wake, &server->lock);
    job = server->first;
    if (job) {
        server->first = job->next;
        server->n_queued--;
        if (!server->first)
            server->last = &server->first;
    }
    pthread_mutex_unlock(&server->lock);
    return job;
}

static void *slow_thread(void *argument)
{
    struct server *server = argument;
    struct bytes reply = BYTES_SECRET;
    unsigned worker = server_take_worker(server);
    struct slow_job *job;

    reply.limit = 2 * MESSAGE_MAX;
    while ((job = take_job(server))) {
        struct peer peer = {.local = job->local, .ticket = BYTES_INIT};

        dispatch_message(server->node, worker, &peer, bytes_slice(&job->message), &reply);
        peer_release(&peer);
        job->done(job->context, &reply);
        job_free(job);
        atomic_fetch_sub(&server->slow_active, 1);
    }
    bytes_release(&reply);
    return NULL;
}

static status_code start_slow(struct server *server)
{
    for (unsigned i = 0; i < server->node->config.slow_workers; i++) {
        CHECK(pthread_create(&server->slow[i], NULL, slow_thread, server) == 0, STATUS_OUT_OF_MEMORY,
              "a thread cannot be started");
        server->n_slow++;
    }
    return STATUS_OK;
}

/* --- listeners --- */

static status_code open_one(struct server *server, const char *url, bool nng)
{
    struct listener *listener;
    char bound[256];

    TRY(nng ? listener_open_nng(server->node, url, bound, &listener)
            : listener_open_direct(server->node, url, 0, bound, &listener));
    server->members[server->n_members++] = listener;
    node_listening(server->node, bound);
    log_event(LOG_LEVEL_INFO, "listening", "url", bound, "through", nng ? "nng" : "direct", NULL);
    return STATUS_OK;
}

status_code server_open_member_listeners(struct server *server)
{
    const struct node_config *config = &server->node->config;
    status_code status = STATUS_OK;
    static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&opening);
    if (server->n_members == 0) {
        for (unsigned i = 0; i < config->n_listen && status == STATUS_OK; i++)
            status = open_one(server, config->listen[i], false);
        for (unsigned i = 0; i < config->n_listen_nng && status == STATUS_OK; i++)
            status = open_one(server, config->listen_nng[i], true);
    }
    pthread_mutex_unlock(&opening);
    return status;
}

static status_code open_own_socket(struct server *server)
{
    char url[1100], bound[256];

    snprintf(url, sizeof(url), "ipc://%s/node.sock", server->node->config.state_folder);
    return listener_open_direct(server->node, url, 1, bound, &server->own_socket);
}

static status_code start_parts(struct server *server)
{
    TRY(reactors_start(server->node, server, &server->reactors));
    TRY(start_slow(server));
    server->node->server = server; /* listeners look for the reactors there */
    TRY(open_own_socket(server));
    if (identity_state(server->node->identity) != IDENTITY_MEMBER)
        return STATUS_OK;
    return server_open_member_listeners(server);
}

status_code server_start(struct node *node, struct server **server)
{
    struct server *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the server");
    made->node = node;
    made->last = &made->first;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->wake, NULL);
    status_code status = start_parts(made);
    if (status != STATUS_OK) {
        server_stop(made);
        node->server = NULL;
        return status;
    }
    *server = made;
    return STATUS_OK;
}

void server_drain(struct server *server)
{
    for (unsigned i = 0; i < server->n_members; i++)
        server->members[i]->operations->stop_accepting(server->members[i]);
}

bool server_idle(struct server *server)
{
    if (atomic_load(&server->slow_active) || !reactors_idle(server->reactors))
        return false;
    for (unsigned i = 0; i < server->n_members; i++) {
        if (!server->members[i]->operations->idle(server->members[i]))
            return false;
    }
    return true;
}

void server_stop(struct server *server)
{
    for (unsigned i = 0; i < server->n_members; i++)
        server->members[i]->operations->close(server->members[i]);
    if (server->own_socket)
        server->own_socket->operations->close(server->own_socket);
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_broadcast(&server->wake);
    pthread_mutex_unlock(&server->lock);
    for (unsigned i = 0; i < server->n_slow; i++)
        pthread_join(server->slow[i], NULL);
    reactors_stop(server->reactors);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->wake);
    dispatch_release();
    free(server);
}
