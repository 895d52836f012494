/* Opening, closing and counting (hsm/cluster.h); what the nodes say is in api_describe.c. */
#include "api_cluster.h"

#include <stdlib.h>
#include "api_call.h"
#include "api_records.h"

static status_code own_config(const hsm_config *config, bool needed, struct hsm_config **copy)
{
    if (config)
        return config_copy(config, copy);
    TRY(config_new(copy));
    return needed ? config_load(*copy, NULL) : STATUS_OK;
}

static status_code cluster_fill(hsm_cluster *made, const char *endpoint, const hsm_config *config)
{
    TRY(own_config(config, endpoint == NULL, &made->config));
    return core_open(made->config, endpoint, &made->core);
}

static void cluster_free(hsm_cluster *cluster)
{
    if (cluster->core)
        core_close(cluster->core);
    config_free(cluster->config);
    cluster_forget_prepared(cluster);
    free(cluster);
}

static status_code cluster_open(const char *endpoint, const hsm_config *config, hsm_cluster **cluster)
{
    ARGUMENT(cluster, "no place for the cluster");
    hsm_cluster *made = (hsm_cluster *)calloc(1, sizeof(*made));
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a cluster");
    status_code status = cluster_fill(made, endpoint, config);
    if (status != STATUS_OK) {
        cluster_free(made);
        return status;
    }
    *cluster = made;
    return STATUS_OK;
}

hsm_status hsm_cluster_open(const hsm_config *config, hsm_cluster **cluster)
{
    return API(cluster_open(NULL, config, cluster));
}

static status_code open_endpoint(const char *endpoint, const hsm_config *config, hsm_cluster **cluster)
{
    ARGUMENT(endpoint, "no endpoint");
    return cluster_open(endpoint, config, cluster);
}

hsm_status hsm_cluster_open_endpoint(const char *endpoint, const hsm_config *config, hsm_cluster **cluster)
{
    return API(open_endpoint(endpoint, config, cluster));
}

void hsm_cluster_close(hsm_cluster *cluster)
{
    if (cluster)
        cluster_free(cluster);
}

static status_code ping(hsm_cluster *cluster)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, cluster, OP_PING));
    return call_run(&call);
}

hsm_status hsm_ping(hsm_cluster *cluster)
{
    return API(ping(cluster));
}

uint64_t hsm_cluster_revision(const hsm_cluster *cluster)
{
    return cluster ? core_revision(cluster->core) : 0;
}

void hsm_cluster_observe(hsm_cluster *cluster, uint64_t revision)
{
    if (cluster)
        core_observe(cluster->core, revision);
}

static hsm_node_statistics *take_node(struct records *records, const struct core_node_statistics *from)
{
    hsm_node_statistics *node = (hsm_node_statistics *)records_allocate(records, sizeof(*node));

    if (!node)
        return NULL;
    node->size = sizeof(*node);
    node->name = records_text(records, slice_text(from->name));
    node->address = records_text(records, slice_text(from->address));
    node->zone = records_text(records, slice_text(from->zone));
    node->healthy = from->healthy;
    node->n_requests = from->n_requests;
    node->n_failures = from->n_failures;
    node->n_messages = from->n_messages;
    node->n_outstanding = from->n_outstanding;
    node->latency_us = from->latency_us;
    node->node_time_us = from->node_time_us;
    return node;
}

static status_code take_statistics(const struct core_statistics *from, hsm_statistics **statistics)
{
    struct records records;

    TRY(records_begin(&records, sizeof(hsm_statistics)));
    hsm_statistics *made = (hsm_statistics *)records.head;
    hsm_node_statistics **nodes =
        (hsm_node_statistics **)records_allocate(&records, (from->n_nodes + 1u) * sizeof(hsm_node_statistics *));
    made->size = sizeof(*made);
    made->n_requests = from->n_requests;
    made->n_retries = from->n_retries;
    made->n_failures = from->n_failures;
    made->n_nodes = from->n_nodes;
    made->nodes = (const hsm_node_statistics *const *)nodes;
    for (unsigned i = 0; nodes && i < from->n_nodes; i++)
        nodes[i] = take_node(&records, &from->nodes[i]);
    return records_finish(&records, (void **)statistics);
}

static status_code cluster_statistics(hsm_cluster *cluster, hsm_statistics **statistics)
{
    ARGUMENT(cluster && statistics, "no cluster, or no place for the statistics");
    struct core_statistics *from = (struct core_statistics *)malloc(sizeof(*from));
    CHECK(from, STATUS_OUT_OF_MEMORY, "no memory for statistics");
    core_statistics(cluster->core, from);
    status_code status = take_statistics(from, statistics);
    free(from);
    return status;
}

hsm_status hsm_cluster_statistics(hsm_cluster *cluster, hsm_statistics **statistics)
{
    return API(cluster_statistics(cluster, statistics));
}

void hsm_statistics_free(hsm_statistics *statistics)
{
    records_free(statistics);
}
