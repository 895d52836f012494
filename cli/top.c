/* What the nodes do, refreshed: load, messages a second, connections, cache. */
#include <stdio.h>
#include <unistd.h>
#include "nodes.h"

/* What counters stood at in the round before. */
struct rounds {
    json_t *before;
    double seconds;
};

/* The change of a counter since the last round, per second. */
static json_t *rate(const struct rounds *rounds, const char *node, const char *name, double value)
{
    char key[300];

    snprintf(key, sizeof(key), "%s %s", node, name);
    json_t *had = json_object_get(rounds->before, key);
    double per_second = had ? (value - json_real_value(had)) / rounds->seconds : 0;

    json_object_set_new(rounds->before, key, json_real(value));
    return json_real(per_second);
}

static void add_activity(json_t *row, const hsm_node_description *description, void *argument)
{
    const struct rounds *rounds = argument;
    const char *node = description->address;

    json_object_set_new(row, "messages_s", rate(rounds, node, "messages", node_fact(description, "messages")));
    json_object_set_new(row, "kib_in_s", rate(rounds, node, "in", node_fact(description, "bytes-in") / 1024));
    json_object_set_new(row, "connections", json_integer((json_int_t)node_fact(description, "connections")));
    json_object_set_new(row, "objects_cached", json_integer((json_int_t)node_fact(description, "objects-cached")));
}

int run_top(struct context *context)
{
    static const char *const columns[] = {"name",           "zone",       "state",    "version",
                                          "load_percent",   "messages_s", "kib_in_s", "connections",
                                          "objects_cached", "revision",   "behind_ms"};
    double interval = context->options.interval > 0 ? context->options.interval : 1;
    bool once = context->json || !isatty(STDOUT_FILENO);
    json_auto_t *before = json_object();
    struct rounds rounds = {before, interval};

    STEP(context_cluster_impatient(context));
    for (unsigned round = 0;; round++) {
        hsm_cluster_info *info = NULL;

        CALL("top", hsm_cluster_describe(context->cluster, &info));
        json_auto_t *rows = node_rows(context, info, add_activity, &rounds);

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
