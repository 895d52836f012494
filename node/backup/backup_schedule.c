/* Automatic backups. Every node that has a destination looks there now and then: when the newest backup of this cluster
 * is older than the interval, it makes one, and then removes those that were kept long enough, but never the newest. So
 * nodes that share a destination share the work, and one that is down is not missed. */
#include <stdlib.h>
#include <time.h>
#include "backup/backup_job.h"

#define LOOK_EVERY_MAX_S 300u
#define FIRST_LOOK_S     1u

struct backups {
    struct node *node;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stopping */
    pthread_cond_t wake;
    bool stopping;
};

/* --- what is there --- */

struct kept {
    const struct node *node;
    char cluster[9];
    struct backup_name newest;
    bool any;
};

static status_code note_newest(void *context, const struct backup_name *name, uint64_t size)
{
    struct kept *kept = context;

    (void)size;
    if (strcmp(name->cluster, kept->cluster) != 0 || (kept->any && name->created_ms <= kept->newest.created_ms))
        return STATUS_OK;
    kept->newest = *name;
    kept->any = true;
    return STATUS_OK;
}

static status_code look(struct node *node, struct destination *destination, struct kept *kept)
{
    *kept = (struct kept){.node = node};
    hex_encode(slice_of(identity_cluster_id(node->identity), 4), kept->cluster);
    return destination->operations->list(destination, note_newest, kept);
}

/* --- what was kept long enough --- */

#define EXPIRED_MAX 64u

struct expired {
    const struct kept *kept;
    uint64_t before_ms;
    struct backup_name names[EXPIRED_MAX];
    unsigned n;
};

static status_code note_expired(void *context, const struct backup_name *name, uint64_t size)
{
    struct expired *expired = context;

    (void)size;
    if (expired->n < EXPIRED_MAX && strcmp(name->cluster, expired->kept->cluster) == 0 &&
        name->created_ms < expired->before_ms && strcmp(name->text, expired->kept->newest.text) != 0)
        expired->names[expired->n++] = *name;
    return STATUS_OK;
}

static status_code remove_expired(struct node *node, struct destination *destination)
{
    uint64_t keep_ms = 86400000ull * node->config.backup_keep_days, now = node_now_ms(node);
    struct expired *expired = NULL;
    struct kept kept;

    if (keep_ms == 0 || now < keep_ms)
        return STATUS_OK;
    TRY(look(node, destination, &kept));
    expired = calloc(1, sizeof(*expired));
    CHECK(expired, STATUS_OUT_OF_MEMORY, "no memory for a list of backups");
    expired->kept = &kept;
    expired->before_ms = now - keep_ms;
    status_code status = destination->operations->list(destination, note_expired, expired);

    for (unsigned i = 0; i < expired->n && status == STATUS_OK; i++) {
        status = destination->operations->remove(destination, expired->names[i].text);
        status = status == STATUS_OBJECT_NOT_FOUND ? STATUS_OK : status; /* another node was quicker */
        if (status == STATUS_OK)
            log_event(LOG_LEVEL_INFO, "backup removed", "name", expired->names[i].text, "reason",
                      "older than backup-keep-days", NULL);
    }
    free(expired);
    return status;
}

/* --- the thread --- */

static status_code run_once(struct node *node)
{
    CLEANUP(backup_destination_release) struct destination *destination = NULL;
    uint64_t interval_ms = 1000ull * node->config.backup_interval_s;
    struct backup_done done;
    struct kept kept;

    if (atomic_load(&node->state) != NODE_SERVING || !atomic_load(&node->cluster_active))
        return STATUS_OK;
    TRY(destination_open(&node->config, node->config.backup_to, &destination));
    TRY(look(node, destination, &kept));
    if (kept.any && node_now_ms(node) < kept.newest.created_ms + interval_ms)
        return STATUS_OK;
    TRY(backup_create(node, &done));
    return remove_expired(node, destination);
}

static void report(status_code status)
{
    if (status == STATUS_OK || status == STATUS_BUSY)
        return;
    metric_add(WORKERS_MAX, METRIC_BACKUP_FAILURES, 1);
    log_event(LOG_LEVEL_ERROR, "no automatic backup", "status", status_name(status), "detail", failure_detail(), NULL);
}

/* False when it is time to stop. */
static bool rest(struct backups *backups, unsigned seconds)
{
    struct timespec until;
    int waited = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&backups->lock);
    while (!backups->stopping && waited == 0)
        waited = pthread_cond_timedwait(&backups->wake, &backups->lock, &until);
    bool go_on = !backups->stopping;

    pthread_mutex_unlock(&backups->lock);
    return go_on;
}

static void *run(void *context)
{
    struct backups *backups = context;
    unsigned interval = backups->node->config.backup_interval_s;
    unsigned pause = interval / 10 < 1 ? 1 : interval / 10 > LOOK_EVERY_MAX_S ? LOOK_EVERY_MAX_S : interval / 10;

    for (bool go_on = rest(backups, FIRST_LOOK_S); go_on; go_on = rest(backups, pause))
        report(run_once(backups->node));
    return NULL;
}

static void backups_free(struct backups *backups)
{
    pthread_cond_destroy(&backups->wake);
    pthread_mutex_destroy(&backups->lock);
    free(backups);
}

status_code backups_open(struct node *node, struct backups **backups)
{
    pthread_condattr_t monotonic;

    if (!node->config.backup_to[0] || node->config.backup_interval_s == 0)
        return STATUS_OK;
    struct backups *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for backups");
    made->node = node;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&made->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&made->lock, NULL);
    if (pthread_create(&made->thread, NULL, run, made) != 0) {
        backups_free(made);
        FAIL(STATUS_OUT_OF_MEMORY, "no thread for backups");
    }
    *backups = made;
    return STATUS_OK;
}

void backups_close(struct backups *backups)
{
    if (!backups)
        return;
    pthread_mutex_lock(&backups->lock);
    backups->stopping = true;
    pthread_cond_signal(&backups->wake);
    pthread_mutex_unlock(&backups->lock);
    pthread_join(backups->thread, NULL);
    backups_free(backups);
}
