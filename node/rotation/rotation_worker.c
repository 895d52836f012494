/* The thread's work on a rotation. One node at a time does it: whoever stands in the progress record as its worker, or,
 * when that node has not moved the record for a while, another one. Two at a time would do no harm. */
#include <stdlib.h>
#include <time.h>
#include "identity/member.h"
#include "identity/presence.h"
#include "rotation/reseal.h"
#include "rotation/rotation_internal.h"

#define ABANDONED_MS 10000u /* by this node's own clock */
#define HELD_UP_MS   60000u /* so long damaged records are left before they are looked at again */
#define RETRIES      16u

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool may_work(struct rotation *rotation)
{
    return atomic_load(&rotation->node->state) == NODE_SERVING && !rotation_stopping(rotation);
}

/* --- how far it is --- */

/* The first pass seals all; in the second the floor keeps out whoever still seals under the key before, and what came
 * in meanwhile is sealed. After that a pass finds nothing any more, unless there are records that open under no key. */
static bool is_complete(const struct rotation_progress *progress)
{
    return progress->pass >= 2 && progress->kind == 0 && progress->n_old == progress->n_damaged &&
           progress->n_damaged == rotation_progress_listed(progress, true);
}

static bool is_held_up(const struct rotation_progress *progress)
{
    return progress->pass >= 2 && progress->kind == 0 && progress->n_damaged > rotation_progress_listed(progress, true);
}

/* --- whose work it is --- */

static bool is_abandoned(struct rotation *rotation, const struct rotation_progress *progress)
{
    static const uint8_t nobody[ID_LEN];

    if (memcmp(progress->worker_id, nobody, ID_LEN) == 0)
        return true;
    if (progress->version != rotation->watched_version) {
        rotation->watched_version = progress->version;
        rotation->watched_since_ms = monotonic_ms();
    }
    return monotonic_ms() - rotation->watched_since_ms >= (is_held_up(progress) ? HELD_UP_MS : ABANDONED_MS);
}

static status_code write_progress(struct node *node, struct rotation_progress *progress)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;
    struct store_write write;
    uint64_t revision;

    TRY(rotation_progress_write(node, progress, &sealed, &write));
    TRY(node->store->operations->write(node->store, &write, 1, &revision));
    node_wrote(node, revision);
    progress->version++;
    return STATUS_OK;
}

static status_code take_number(void *context, uint64_t revision, uint64_t n_records)
{
    (void)revision;
    *(uint64_t *)context = n_records;
    return STATUS_PENDING; /* that was all */
}

static status_code count_records(struct node *node, uint64_t *n)
{
    static const struct snapshot_visitor visitor = {take_number, NULL};
    status_code status = node->store->operations->snapshot(node->store, &visitor, n);

    return status == STATUS_PENDING ? STATUS_OK : status;
}

/* STATUS_PENDING: another node is at it. */
static status_code claim(struct rotation *rotation, struct rotation_progress *progress)
{
    struct node *node = rotation->node;
    bool ours = memcmp(progress->worker_id, identity_node_id(node->identity), ID_LEN) == 0;

    if (!ours && !is_abandoned(rotation, progress))
        return STATUS_PENDING;
    memcpy(progress->worker_id, identity_node_id(node->identity), ID_LEN);
    return ours ? STATUS_OK : write_progress(node, progress);
}

/* So that another node goes on at once. */
static void give_up(struct node *node, struct rotation_progress *progress)
{
    memset(progress->worker_id, 0, ID_LEN);
    (void)write_progress(node, progress);
}

/* --- the passes --- */

static status_code begin_pass(struct node *node, struct rotation_progress *progress)
{
    uint64_t n;

    TRY(count_records(node, &n));
    progress->pass++;
    progress->n_total = progress->n_done + (progress->pass == 1 ? 2 * n : n);
    reseal_begin(progress);
    return write_progress(node, progress);
}

static status_code go_through(struct rotation *rotation, struct rotation_progress *progress)
{
    while (progress->kind) {
        CHECK(may_work(rotation), STATUS_CANCELLED, "this node stops");
        TRY(reseal_some(rotation->node, progress));
        rotation_pause(rotation, rotation->node->config.rotation_pause_ms);
    }
    return STATUS_OK;
}

/* The floor is raised at the beginning of every later pass, also of one that goes on elsewhere: a store that was moved
 * or restored meanwhile may not have it. Reads that come after see all that was written before. */
static status_code pass(struct rotation *rotation, struct rotation_progress *progress)
{
    struct node *node = rotation->node;
    uint64_t newest;

    if (progress->kind == 0)
        TRY(begin_pass(node, progress));
    if (progress->pass >= 2) {
        TRY(node->store->operations->raise_floor(node->store, progress->generation));
        TRY(node->store->operations->newest(node->store, &newest));
        TRY(node->store->operations->wait(node->store, newest));
    }
    return go_through(rotation, progress);
}

/* Perhaps it is this node's replica of the store that is damaged: then others, who try in turn, find nothing of it. */
static status_code check_damaged(struct rotation *rotation, const struct rotation_progress *progress)
{
    if (!is_held_up(progress))
        return STATUS_OK;
    rotation->rests_until_ms = monotonic_ms() + 2 * HELD_UP_MS;
    FAIL(STATUS_STORE_DAMAGED,
         "%llu records open under no masking key, as this node's log says: restore them, or have an administrator give "
         "them up (hsm cluster give-up-damaged)",
         (unsigned long long)progress->n_damaged);
}

/* Rewrites the cluster record, which others may be rewriting. */
static status_code change_cluster(struct node *node, uint32_t generation,
                                  void (*change)(struct node *node, struct cluster_record *cluster))
{
    status_code status = STATUS_CONFLICT;

    for (unsigned i = 0; i < RETRIES && status == STATUS_CONFLICT; i++) {
        CLEANUP(cluster_record_wipe) struct cluster_record cluster;
        CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;
        struct store_write write;
        uint64_t revision;

        TRY(cluster_record_read(node, &cluster));
        CHECK(cluster.key_generation == generation, STATUS_CONFLICT, "there is a newer rotation");
        change(node, &cluster);
        TRY(cluster_record_write(node, &cluster, &sealed, &write));
        status = node->store->operations->write(node->store, &write, 1, &revision);
        if (status == STATUS_OK)
            node_wrote(node, revision);
    }
    TRY(status);
    return node_cluster_changed(node);
}

static void settle(struct node *node, struct cluster_record *cluster)
{
    if (cluster->key_settled == cluster->key_generation)
        return;
    cluster->key_settled = cluster->key_generation;
    cluster->key_retire_ms = node_now_ms(node) + 1000 * cluster->key_grace_s;
}

static void forget_older(struct node *node, struct cluster_record *cluster)
{
    (void)node;
    cluster->key_oldest = cluster->key_settled;
}

static status_code work(struct rotation *rotation, struct rotation_progress *progress)
{
    struct node *node = rotation->node;

    while (!is_complete(progress)) {
        TRY(pass(rotation, progress));
        TRY(check_damaged(rotation, progress));
    }
    TRY(change_cluster(node, progress->generation, settle));
    log_event(LOG_LEVEL_INFO, "masking key was replaced", "generation", log_number(progress->generation), "passes",
              log_number((long long)progress->pass), "damaged", log_number((long long)progress->n_damaged), NULL);
    return STATUS_OK;
}

static status_code work_if_ours(struct rotation *rotation)
{
    struct rotation_progress progress;

    TRY(rotation_progress_read(rotation->node, &progress));
    if (is_held_up(&progress) && monotonic_ms() < rotation->rests_until_ms)
        return STATUS_OK;
    status_code status = claim(rotation, &progress);

    if (status == STATUS_PENDING || status == STATUS_CONFLICT)
        return STATUS_OK;
    TRY(status);
    status = work(rotation, &progress);
    if (status == STATUS_CONFLICT) /* another node took over, or an administrator decided something */
        return STATUS_OK;
    if (status != STATUS_STORE_DAMAGED) /* else after a while */
        give_up(rotation->node, &progress);
    return status == STATUS_CANCELLED ? STATUS_OK : status;
}

/* --- one round --- */

/* Tells in the store that this node has the newest key. The first time it was told when the node was announced. */
static status_code confirm(struct rotation *rotation)
{
    uint32_t newest = keyring_newest(rotation->node->keyring);

    if (rotation->confirmed == newest || !atomic_load(&rotation->node->announced))
        return STATUS_OK;
    TRY(members_put_own(rotation->node));
    presence_tell(rotation->node); /* which is sealed, too */
    rotation->confirmed = newest;
    return STATUS_OK;
}

static status_code round_once(struct rotation *rotation)
{
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    struct node *node = rotation->node;
    status_code untidy;

    TRY(cluster_record_read(node, &cluster));
    TRY(rotation_take_in(rotation, &cluster, &untidy));
    TRY(confirm(rotation));
    if (!may_work(rotation))
        return untidy;
    if (cluster.key_settled < cluster.key_generation)
        return work_if_ours(rotation);
    if (cluster.key_oldest < cluster.key_settled && node_now_ms(node) >= cluster.key_retire_ms)
        return change_cluster(node, cluster.key_generation, forget_older);
    return untidy;
}

void rotation_work(struct rotation *rotation)
{
    enum node_state state = atomic_load(&rotation->node->state);

    if (state != NODE_SERVING && state != NODE_DRAINING)
        return;
    status_code status = round_once(rotation);

    if (status != STATUS_OK && status != rotation->failing)
        log_event(LOG_LEVEL_WARNING, "rotation of the masking key waits", "status", status_name(status), "detail",
                  failure_detail(), NULL);
    rotation->failing = status;
}
