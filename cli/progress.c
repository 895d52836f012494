/* See progress.h. */
#include "progress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVERY_US 200000
#define WIDTH    40

struct progress {
    const char *what;
    hsm_cluster *cluster;
    bool all;
    pthread_t thread;
    _Atomic bool stopping;
};

static void take_facts(const hsm_node_description *node, unsigned long long *done, unsigned long long *total)
{
    for (size_t i = 0; i < node->n_facts; i++) {
        if (strcmp(node->facts[i]->name, "backup-records-done") == 0)
            *done += strtoull(node->facts[i]->value, NULL, 10);
        if (strcmp(node->facts[i]->name, "backup-records-total") == 0)
            *total += strtoull(node->facts[i]->value, NULL, 10);
    }
}

static void ask_node(hsm_cluster *cluster, const char *address, unsigned long long *done, unsigned long long *total)
{
    hsm_node_description *node = NULL;

    if (hsm_node_describe(cluster, address, &node) != HSM_OK)
        return;
    take_facts(node, done, total);
    hsm_node_description_free(node);
}

static void ask(struct progress *progress, unsigned long long *done, unsigned long long *total)
{
    hsm_cluster_info *info = NULL;

    *done = *total = 0;
    if (!progress->all) {
        ask_node(progress->cluster, NULL, done, total);
        return;
    }
    if (hsm_cluster_describe(progress->cluster, &info) != HSM_OK)
        return;
    for (size_t i = 0; i < info->n_nodes; i++)
        ask_node(progress->cluster, info->nodes[i]->address, done, total);
    hsm_cluster_info_free(info);
}

void progress_draw(const char *what, unsigned long long done, unsigned long long total)
{
    char bar[WIDTH + 1];
    double share = total ? (double)done / (double)total : 0;
    int filled = share > 1 ? WIDTH : (int)(share * WIDTH);

    memset(bar, ' ', WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[WIDTH] = 0;
    if (total)
        fprintf(stderr, "\r%s [%s] %3.0f %%, %llu of %llu records\x1b[K", what, bar, share > 1 ? 100 : share * 100,
                done, total);
    else
        fprintf(stderr, "\r%s ... %llu records\x1b[K", what, done); /* a restore learns the number at the end */
}

void progress_clear(void)
{
    fprintf(stderr, "\r\x1b[K");
}

bool progress_wanted(const struct context *context)
{
    return !context->json && isatty(STDERR_FILENO);
}

static void *run(void *context)
{
    struct progress *progress = context;
    unsigned long long done, total;

    while (!atomic_load(&progress->stopping)) {
        ask(progress, &done, &total);
        progress_draw(progress->what, done, total);
        usleep(EVERY_US);
    }
    progress_clear();
    return NULL;
}

struct progress *progress_begin(const struct context *context, const char *what, const char *node)
{
    struct progress *progress = progress_wanted(context) ? calloc(1, sizeof(*progress)) : NULL;

    if (!progress)
        return NULL;
    progress->what = what;
    progress->all = !node;
    hsm_status status = node ? hsm_cluster_open_endpoint(node, context->config, &progress->cluster)
                             : hsm_cluster_open(context->config, &progress->cluster);
    if (status == HSM_OK && pthread_create(&progress->thread, NULL, run, progress) == 0)
        return progress;
    hsm_cluster_close(progress->cluster);
    free(progress);
    return NULL;
}

void progress_end(struct progress *progress)
{
    if (!progress)
        return;
    atomic_store(&progress->stopping, true);
    pthread_join(progress->thread, NULL);
    hsm_cluster_close(progress->cluster);
    free(progress);
}
