/* See nodes.h; and the commands that show the cluster and its nodes. */
#include "nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double node_fact(const hsm_node_description *description, const char *name)
{
    for (size_t i = 0; i < description->n_facts; i++) {
        if (strcmp(description->facts[i]->name, name) == 0)
            return strtod(description->facts[i]->value, NULL);
    }
    return 0;
}

/* Only the node itself knows; one that is not there is not asked. */
static void ask_node(struct context *context, const hsm_node_info *node, json_t *row, node_row_extra extra,
                     void *argument)
{
    hsm_node_description *description = NULL;

    if (strcmp(node->state, "away") == 0 || strcmp(node->state, "approved") == 0)
        return;
    if (hsm_node_describe(context->cluster, node->address, &description) != HSM_OK) {
        json_object_set_new(row, "state", json_string("unreachable"));
        return;
    }
    json_object_set_new(row, "state", json_string(description->state));
    json_object_set_new(row, "revision", json_integer((json_int_t)description->revision));
    json_object_set_new(row, "behind_ms", json_integer((json_int_t)node_fact(description, "store-age-ms")));
    json_object_set_new(row, "load_percent", json_integer((json_int_t)node_fact(description, "load-percent")));
    if (extra)
        extra(row, description, argument);
    hsm_node_description_free(description);
}

json_t *node_rows(struct context *context, const hsm_cluster_info *info, node_row_extra extra, void *argument)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < info->n_nodes; i++) {
        const hsm_node_info *node = info->nodes[i];
        json_t *row =
            json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*, s:I, s:I, s:o, s:o}", "name", node->name, "zone", node->zone,
                      "address", node->address, "state", node->state, "version", node->version, "protocol_version",
                      (json_int_t)node->protocol_version, "key_generation", (json_int_t)node->key_generation, "started",
                      json_time(node->started_ms), "id", json_hex(node->id, HSM_ID_LEN));

        ask_node(context, node, row, extra, argument);
        json_array_append_new(rows, row);
    }
    return rows;
}

int run_cluster_describe(struct context *context)
{
    static const char *const columns[] = {NODE_COLUMNS};
    hsm_cluster_info *info = NULL;

    STEP(context_cluster_impatient(context));
    CALL("cluster describe", hsm_cluster_describe(context->cluster, &info));
    json_auto_t *cluster = json_pack("{s:s*, s:s*, s:o, s:I, s:I}", "name", info->name, "state", info->state, "id",
                                     json_hex(info->id, HSM_ID_LEN), "revision", (json_int_t)info->revision, "objects",
                                     (json_int_t)info->n_objects);
    json_auto_t *nodes = node_rows(context, info, NULL, NULL);

    hsm_cluster_info_free(info);
    if (context->json) {
        json_object_set(cluster, "nodes", nodes);
        return output_object(context, cluster);
    }
    output_object(context, cluster);
    putchar('\n');
    return output_rows(context, nodes, columns, sizeof(columns) / sizeof(*columns));
}

int run_node_list(struct context *context)
{
    static const char *const columns[] = {NODE_COLUMNS};
    hsm_cluster_info *info = NULL;

    STEP(context_cluster_impatient(context));
    CALL("node list", hsm_cluster_describe(context->cluster, &info));
    json_auto_t *rows = node_rows(context, info, NULL, NULL);

    hsm_cluster_info_free(info);
    return output_rows(context, rows, columns, sizeof(columns) / sizeof(*columns));
}

int run_cluster_watch(struct context *context)
{
    double interval = context->options.interval > 0 ? context->options.interval : 2;

    for (;;) {
        if (!context->json && isatty(STDOUT_FILENO))
            printf("\x1b[H\x1b[2J");
        STEP(run_node_list(context));
        fflush(stdout);
        usleep((useconds_t)(interval * 1e6));
    }
}

static json_t *mechanisms_json(const hsm_node_description *description)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < description->n_mechanisms; i++) {
        const hsm_mechanism_info *mechanism = description->mechanisms[i];

        json_array_append_new(rows, json_pack("{s:s*, s:I, s:I}", "name", mechanism->name, "bits_min",
                                              (json_int_t)mechanism->key_bits_min, "bits_max",
                                              (json_int_t)mechanism->key_bits_max));
    }
    return rows;
}

int run_node_describe(struct context *context)
{
    static const char *const columns[] = {"name", "bits_min", "bits_max"};
    hsm_node_description *description = NULL;

    STEP(context_cluster_impatient(context));
    CALL("node describe",
         hsm_node_describe(context->cluster, context->n_arguments ? context->arguments[0] : NULL, &description));
    json_auto_t *node =
        json_pack("{s:s*, s:s*, s:s*, s:s*, s:o, s:o, s:I, s:I}", "name", description->name, "address",
                  description->address, "zone", description->zone, "state", description->state, "id",
                  json_hex(description->id, HSM_ID_LEN), "time", json_time(description->time_ms), "revision",
                  (json_int_t)description->revision, "objects", (json_int_t)description->n_objects);
    json_auto_t *mechanisms = mechanisms_json(description);

    for (size_t i = 0; i < description->n_facts; i++)
        json_object_set_new(node, description->facts[i]->name, json_string(description->facts[i]->value));
    hsm_node_description_free(description);
    if (context->json) {
        json_object_set(node, "mechanisms", mechanisms);
        return output_object(context, node);
    }
    output_object(context, node);
    putchar('\n');
    return output_rows(context, mechanisms, columns, 3);
}
