/* The tail: one thread that looks for changes every tail-interval-ms, and the same pass on demand, when a client has
 * seen a newer revision than this node (tail.h). */
#include "tail.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "identity/anchor.h"
#include "identity/member.h"
#include "node.h"

struct tail {
    struct node *node;
    pthread_t thread;
    pthread_mutex_t pass; /* one pass at a time */
    pthread_mutex_t lock; /* guards `stopping` */
    pthread_cond_t wake;
    bool stopping;
    time_t sampled_s; /* when the load was looked at; of the thread alone */
    struct load_sample load;
    status_code failing; /* of the last pass; of the thread alone, so that a failure is logged once */
};

/** What a pass found that needs the store itself: done after the list, which may hold the store's lock. */
struct pass {
    struct node *node;
    bool cluster_changed;
    bool members_changed;
    bool anchors_changed;
    bool own_record_changed;
};

static status_code pass_on(void *context, const struct store_change *change)
{
    struct pass *pass = context;
    struct node *node = pass->node;
    switch (change->kind) {
    case STORE_CLUSTER:
        pass->cluster_changed = true;
        return STATUS_OK;
    case STORE_NODE:
        pass->members_changed = true;
        pass->own_record_changed |= memcmp(change->id, identity_node_id(node->identity), ID_LEN) == 0;
        return STATUS_OK;
    case STORE_USER:
    case STORE_LOGIN:
    case STORE_REVOCATION:
        users_forget(node->users, change->kind, change->id);
        return STATUS_OK;
    case STORE_OBJECT:
        objects_forget(node->objects, change->id);
        return STATUS_OK;
    case STORE_ANCHOR:
        pass->anchors_changed = true;
        return STATUS_OK;
    case STORE_AUDIT:
    case STORE_QUORUM:
    case STORE_HANDOVER:
    case STORE_ROTATION:
        return STATUS_OK; /* nothing is cached of it */
    }
    return STATUS_OK; /* a kind that a newer node writes: nothing here is cached of it */
}

static status_code check_own_record(struct node *node)
{
    bool removed = false;
    TRY(members_own_removed(node, &removed));
    if (removed)
        node_was_removed(node);
    return STATUS_OK;
}

static status_code finish_pass(const struct pass *pass, uint64_t revision)
{
    if (pass->cluster_changed)
        TRY(node_cluster_changed(pass->node));
    if (pass->members_changed)
        TRY(node_members_changed(pass->node));
    if (pass->anchors_changed)
        TRY(anchors_follow(pass->node));
    if (pass->own_record_changed)
        TRY(check_own_record(pass->node));
    revision_raise(&pass->node->revision, revision); /* a writer may have raised it meanwhile */
    return STATUS_OK;
}

/** The list of changes does not reach back to where we are. The revision is read before anything is dropped: what
 * changes in between is seen by the next pass. */
static status_code forget_all(struct node *node)
{
    const struct pass everything = {node, true, true, true, true};
    uint64_t revision = 0;
    TRY(node->store->operations->revision(node->store, &revision));
    users_forget_all(node->users);
    objects_forget_all(node->objects);
    log_event(LOG_LEVEL_INFO, "caches emptied", "reason", "this node was too far behind the store", NULL);
    return finish_pass(&everything, revision);
}

status_code tail_catch_up(struct tail *tail)
{
    struct node *node = tail->node;
    struct pass pass = {.node = node};
    uint64_t revision = 0;
    pthread_mutex_lock(&tail->pass);
    status_code code =
        node->store->operations->changes(node->store, atomic_load(&node->revision), pass_on, &pass, &revision);
    if (code == STATUS_OK)
        code = finish_pass(&pass, revision);
    else if (code == STATUS_CONFLICT)
        code = forget_all(node);
    pthread_mutex_unlock(&tail->pass);
    return code;
}

/** Until the next pass; false when it is time to stop. */
static bool rest(struct tail *tail)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nanoseconds = (uint64_t)until.tv_nsec + (uint64_t)tail->node->config.tail_interval_ms * 1000000u;
    until.tv_sec += (time_t)(nanoseconds / 1000000000u);
    until.tv_nsec = (long)(nanoseconds % 1000000000u);

    pthread_mutex_lock(&tail->lock);
    int waited = 0;
    while (!tail->stopping && waited == 0)
        waited = pthread_cond_timedwait(&tail->wake, &tail->lock, &until);
    bool go_on = !tail->stopping;
    pthread_mutex_unlock(&tail->lock);
    return go_on;
}

/** Whether the node has been out of touch for longer than its owner allows. */
static void check_age(struct node *node)
{
    uint64_t limit_ms = 1000ull * node->config.staleness_limit_s, age_ms = 0;
    if (limit_ms == 0 || node->store->operations->age(node->store, &age_ms) != STATUS_OK)
        return;
    bool stale = age_ms > limit_ms;
    if (atomic_exchange(&node->stale, stale) != stale)
        log_event(stale ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, stale ? "too long out of touch" : "in touch again",
                  "age_ms", log_number((long long)age_ms), "limit_ms", log_number((long long)limit_ms), NULL);
}

static void sample_load(struct tail *tail)
{
    const unsigned workers = tail->node->config.workers;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec == tail->sampled_s)
        return;
    tail->sampled_s = now.tv_sec;
    metrics_sample_load(&tail->load, workers ? workers : (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
}

static void *run(void *context)
{
    struct tail *tail = context;
    while (rest(tail)) {
        status_code code = tail_catch_up(tail);
        check_age(tail->node);
        sample_load(tail);
        if (code != STATUS_OK && code != tail->failing)
            log_event(LOG_LEVEL_ERROR, "store cannot be followed", "status", status_name(code), "detail",
                      failure_detail(), NULL);
        if (code == STATUS_OK && tail->failing != STATUS_OK)
            log_event(LOG_LEVEL_INFO, "store is followed again", NULL);
        if (code != STATUS_OK)
            metric_add(WORKERS_MAX, METRIC_STORE_ERRORS, 1);
        tail->failing = code;
    }
    return NULL;
}

static void tail_free(struct tail *tail)
{
    pthread_cond_destroy(&tail->wake);
    pthread_mutex_destroy(&tail->lock);
    pthread_mutex_destroy(&tail->pass);
    free(tail);
}

status_code tail_start(struct node *node, struct tail **tail)
{
    struct tail *made = calloc(1, sizeof *made);
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory to follow the store");
    made->node = node;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&made->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&made->pass, NULL);
    pthread_mutex_init(&made->lock, NULL);
    if (pthread_create(&made->thread, NULL, run, made) != 0) {
        tail_free(made);
        FAIL(STATUS_OUT_OF_MEMORY, "no thread to follow the store");
    }
    *tail = made;
    return STATUS_OK;
}

void tail_stop(struct tail *tail)
{
    if (!tail)
        return;
    pthread_mutex_lock(&tail->lock);
    tail->stopping = true;
    pthread_cond_signal(&tail->wake);
    pthread_mutex_unlock(&tail->lock);
    pthread_join(tail->thread, NULL);
    tail_free(tail);
}
