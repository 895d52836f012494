/* What the nodes do, refreshed: operations a second, connections, cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "command.h"

static const char *fact(const hsm_node_description *description, const char *name)
{
    for (size_t i = 0; i < description->n_facts; i++) {
        if (strcmp(description->facts[i]->name, name) == 0)
            return description->facts[i]->value;
    }
    return "0";
}

/* The change of a counter since the last round, per second. */
static double rate(json_t *before, const char *node, const char *name, double value, double seconds)
{
    char key[300];

    snprintf(key, sizeof(key), "%s %s", node, name);
    json_t *had = json_object_get(before, key);
    double per_second = had ? (value - json_real_value(had)) / seconds : 0;

    json_object_set_new(before, key, json_real(value));
    return per_second;
}

static json_t *row_of(struct context *context, const hsm_node_info *node, json_t *before, double seconds)
{
    hsm_node_description *description = NULL;
    json_t *row = json_pack("{s:s*, s:s*}", "name", node->name, "zone", node->zone);

    if (hsm_node_describe(context->cluster, node->address, &description) != HSM_OK) {
        json_object_set_new(row, "state", json_string("unreachable"));
        return row;
    }
    json_object_set_new(row, "state", json_string(description->state ? description->state : ""));
    json_object_set_new(
        row, "messages_s",
        json_real(rate(before, node->address, "messages", strtod(fact(description, "messages"), NULL), seconds)));
    json_object_set_new(
        row, "kib_in_s",
        json_real(rate(before, node->address, "in", strtod(fact(description, "bytes-in"), NULL) / 1024, seconds)));
    json_object_set_new(row, "connections", json_string(fact(description, "connections")));
    json_object_set_new(row, "objects_cached", json_string(fact(description, "objects-cached")));
    json_object_set_new(row, "version", json_string(fact(description, "version")));
    json_object_set_new(row, "revision", json_integer((json_int_t)description->revision));
    json_object_set_new(row, "behind_ms", json_string(fact(description, "store-age-ms")));
    hsm_node_description_free(description);
    return row;
}

int run_top(struct context *context)
{
    static const char *const columns[] = {"name",     "zone",        "state",          "version",  "messages_s",
                                          "kib_in_s", "connections", "objects_cached", "revision", "behind_ms"};
    double interval = context->options.interval > 0 ? context->options.interval : 1;
    bool once = context->json || !isatty(STDOUT_FILENO);
    json_auto_t *before = json_object();

    STEP(context_cluster(context));
    for (unsigned round = 0;; round++) {
        hsm_cluster_info *info = NULL;
        json_auto_t *rows = json_array();

        CALL("top", hsm_cluster_describe(context->cluster, &info));
        for (size_t i = 0; i < info->n_nodes; i++)
            json_array_append_new(rows, row_of(context, info->nodes[i], before, interval));
        hsm_cluster_info_free(info);
        if (!once)
            printf("\x1b[H\x1b[2J");
        if (!once || round == 1)
            STEP(output_rows(context, rows, columns, sizeof(columns) / sizeof(*columns)));
        if (once && round == 1)
            break;
        fflush(stdout);
        usleep((useconds_t)(interval * 1e6));
    }
    return EXIT_OK;
}
