/* The core as a whole: opening, closing, forks, statistics. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core_internal.h"

static status_code open_parts(struct core *core, const char *endpoint)
{
    struct node_entry *node;

    TRY(tls_read_files(core));
    TRY(tls_set_up(core));
    if (endpoint)
        return node_add(core, endpoint, true, &node);
    CHECK(core->config->n_nodes, STATUS_CONFIG_INVALID,
          "no node is configured: set nodes in the configuration file, or HSM_NODES");
    for (unsigned i = 0; i < core->config->n_nodes; i++)
        TRY(node_add(core, core->config->nodes[i], true, &node));
    return STATUS_OK;
}

status_code core_open(const struct hsm_config *config, const char *endpoint, struct core **core)
{
    struct core *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a cluster");
    pthread_mutex_init(&made->lock, NULL);
    atomic_init(&made->pid, platform_process());
    made->single = endpoint != NULL;
    status_code status = config_copy(config, &made->config);
    if (status == STATUS_OK)
        status = open_parts(made, endpoint);
    if (status != STATUS_OK) {
        core_close(made);
        return status;
    }
    *core = made;
    return STATUS_OK;
}

static void close_channels(struct core *core, bool forget)
{
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++) {
        for (unsigned j = 0; j < core->nodes[i]->n_channels; j++)
            channel_close(&core->nodes[i]->channels[j], forget);
    }
}

void core_close(struct core *core)
{
    if (!core)
        return;
    bool of_parent = atomic_load(&core->pid) != platform_process();

    close_channels(core, of_parent);
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++)
        free(core->nodes[i]);
    tls_tear_down(core, of_parent);
    config_free(core->config);
    pthread_mutex_destroy(&core->lock);
    free(core);
}

/* A child of fork begins anew: own connections, own OpenSSL context. What the parent's threads may have been using is
 * let go of without being touched. */
static status_code begin_anew(struct core *core)
{
    pthread_mutex_init(&core->lock, NULL);
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++) {
        struct node_entry *node = core->nodes[i];

        for (unsigned j = 0; j < node->n_channels; j++) {
            channel_close(&node->channels[j], true);
            channel_init(&node->channels[j], node);
        }
        atomic_store(&node->connected, false);
        atomic_store(&node->connecting, false);
        atomic_store(&node->probing, false);
    }
    atomic_store(&core->refreshing, false);
    core->tls = NULL;
    return tls_set_up(core);
}

/* The child may have threads by the time that it first calls: one begins anew, the others wait. The id of the process
 * that is doing so is kept negative, so that a grandchild forked meanwhile takes it over. */
static status_code after_fork(struct core *core, long self)
{
    for (long made_for = atomic_load(&core->pid); made_for != self; made_for = atomic_load(&core->pid)) {
        if (made_for == -self) {
            sched_yield();
            continue;
        }
        if (!atomic_compare_exchange_strong(&core->pid, &made_for, -self))
            continue;
        status_code status = begin_anew(core);

        atomic_store(&core->pid, status == STATUS_OK ? self : 0);
        return status;
    }
    return STATUS_OK;
}

status_code core_check_fork(struct core *core)
{
    long self = platform_process();

    if (atomic_load_explicit(&core->pid, memory_order_acquire) != self)
        TRY(after_fork(core, self));
    (void)crypto_context_use(core->context);
    return STATUS_OK;
}

uint64_t core_revision(struct core *core)
{
    return atomic_load(&core->revision);
}

void core_observe(struct core *core, uint64_t revision)
{
    uint64_t seen = atomic_load_explicit(&core->revision, memory_order_relaxed);

    while (seen < revision && !atomic_compare_exchange_weak(&core->revision, &seen, revision))
        continue;
}

void core_statistics(struct core *core, struct core_statistics *statistics)
{
    memset(statistics, 0, sizeof(*statistics));
    statistics->n_requests = atomic_load(&core->n_requests);
    statistics->n_retries = atomic_load(&core->n_retries);
    statistics->n_failures = atomic_load(&core->n_failures);
    if (core_check_fork(core) != STATUS_OK)
        return;
    pthread_mutex_lock(&core->lock);
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++) {
        struct node_entry *node = core->nodes[i];
        struct core_node_statistics *out = &statistics->nodes[statistics->n_nodes];

        if (atomic_load(&node->gone))
            continue;
        statistics->n_nodes++;
        snprintf(out->name, sizeof(out->name), "%s", node->name[0] ? node->name : node->url);
        snprintf(out->address, sizeof(out->address), "%s", node->url);
        snprintf(out->zone, sizeof(out->zone), "%s", node->zone);
        out->healthy = node_is_healthy(node);
        out->n_requests = atomic_load(&node->n_requests);
        out->n_failures = atomic_load(&node->n_failures);
        out->n_messages = atomic_load(&node->n_messages);
        out->latency_us = atomic_load(&node->latency_us);
        out->node_time_us = atomic_load(&node->node_time_us);
        for (unsigned j = 0; j < node->n_channels; j++)
            out->n_outstanding += atomic_load(&node->channels[j].load);
    }
    pthread_mutex_unlock(&core->lock);
}
