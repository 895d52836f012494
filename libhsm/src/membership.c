/* Which nodes there are: those configured, which are never forgotten, and those that any node tells of. All functions
 * but node_add take the core's lock, which guards the table and the names in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core_internal.h"

status_code node_add(struct core *core, const char *url, bool seed, struct node_entry **node)
{
    unsigned n = atomic_load(&core->n_nodes);

    for (unsigned i = 0; i < n; i++) {
        if (strcmp(core->nodes[i]->url, url))
            continue;
        atomic_store(&core->nodes[i]->gone, false);
        *node = core->nodes[i];
        return STATUS_OK;
    }
    CHECK(n < NODES_MAX, STATUS_TOO_LARGE, "more than %u node addresses", NODES_MAX);
    CHECK(strlen(url) < sizeof((*node)->url), STATUS_CONFIG_INVALID, "nodes: %.64s...: too long", url);
    struct node_entry *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a node");
    made->core = core;
    made->index = n;
    made->seed = seed;
    snprintf(made->url, sizeof(made->url), "%s", url);
    made->n_channels = core->config->connections;
    for (unsigned i = 0; i < made->n_channels; i++)
        channel_init(&made->channels[i], made);
    core->nodes[n] = made;
    atomic_store(&core->n_nodes, n + 1);
    *node = made;
    return STATUS_OK;
}

void node_describe(struct core *core, const struct node_entry *node, char name[CORE_NODE_NAME_MAX])
{
    name[0] = 0;
    if (!node)
        return;
    pthread_mutex_lock(&core->lock);
    const char *from = node->name[0] ? node->name : node->url;

    memcpy(name, from, strlen(from) + 1); /* both fit */
    pthread_mutex_unlock(&core->lock);
}

int node_find(struct core *core, const char *name)
{
    int found = -1;

    pthread_mutex_lock(&core->lock);
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++) {
        if (strcmp(core->nodes[i]->url, name) == 0 || strcmp(core->nodes[i]->name, name) == 0)
            found = (int)i;
    }
    pthread_mutex_unlock(&core->lock);
    return found;
}

/* Name, zone and id, where the node tells them. */
static void take_identity(struct node_entry *node, const struct values *from)
{
    struct slice name = values_bytes(from, FIELD_NAME), zone = values_bytes(from, FIELD_ZONE);
    struct slice id = values_bytes(from, FIELD_NODE_ID);
    const char *own_zone = node->core->config->zone;

    if (name.len)
        snprintf(node->name, sizeof(node->name), "%.*s", (int)name.len, (const char *)name.data);
    if (zone.len)
        snprintf(node->zone, sizeof(node->zone), "%.*s", (int)zone.len, (const char *)zone.data);
    if (id.len == ID_LEN)
        memcpy(node->id, id.data, ID_LEN);
    atomic_store(&node->near, own_zone && strcmp(node->zone, own_zone) == 0);
}

/* A node that has no cluster yet says so with zeros. One endpoint alone is whatever it is. */
static bool is_foreign(struct core *core, struct slice cluster)
{
    static const uint8_t none[ID_LEN] = {0};

    if (core->single || cluster.len != ID_LEN || memcmp(cluster.data, none, ID_LEN) == 0)
        return false;
    if (core->has_cluster_id)
        return memcmp(core->cluster_id, cluster.data, ID_LEN) != 0;
    memcpy(core->cluster_id, cluster.data, ID_LEN);
    core->has_cluster_id = true;
    return false;
}

status_code node_introduce(struct node_entry *node, const struct values *hello)
{
    pthread_mutex_lock(&node->core->lock);
    bool foreign = is_foreign(node->core, values_bytes(hello, FIELD_CLUSTER_ID));

    if (!foreign)
        take_identity(node, hello);
    pthread_mutex_unlock(&node->core->lock);
    CHECK(!foreign, STATUS_TLS_ERROR, "%s belongs to another cluster than the other nodes", node->url);
    return STATUS_OK;
}

/* A node that cannot be connected to from here, such as one that listens on a private address, does no harm: its
 * circuit opens. */
static void learn_one(struct core *core, const struct values *record, bool *listed)
{
    struct slice address = values_bytes(record, FIELD_ADDRESS), id = values_bytes(record, FIELD_NODE_ID);
    struct node_entry *node;
    char url[256];

    if (address.len == 0 || address.len >= sizeof(url))
        return;
    snprintf(url, sizeof(url), "%.*s", (int)address.len, (const char *)address.data);
    /* The same node under the address that was configured stays under that. */
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++) {
        if (id.len == ID_LEN && memcmp(core->nodes[i]->id, id.data, ID_LEN) == 0) {
            atomic_store(&core->nodes[i]->gone, false);
            listed[i] = true;
            return;
        }
    }
    if (node_add(core, url, false, &node) != STATUS_OK)
        return;
    listed[node->index] = true;
    take_identity(node, record);
}

void node_learn_all(struct core *core, const struct values *description)
{
    bool listed[NODES_MAX] = {false};
    struct reader reader;
    struct values record;
    uint32_t n;

    if (!values_has(description, FIELD_RECORDS) ||
        sets_begin(values_bytes(description, FIELD_RECORDS), &reader, &n) != STATUS_OK)
        return;
    pthread_mutex_lock(&core->lock);
    while (n-- > 0 && values_decode(&FIELD_SCHEMA, &reader, &record) == STATUS_OK)
        learn_one(core, &record, listed);
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++) {
        if (!listed[i] && !core->nodes[i]->seed)
            atomic_store(&core->nodes[i]->gone, true);
    }
    pthread_mutex_unlock(&core->lock);
}
