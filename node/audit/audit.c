/* Writing the audit log. Events wait in one queue; a call that needs its own durable writes all that wait as one write
 * of the store, entries and head together, while others wait for that (as group commit does). A thread writes what
 * nobody waits for within a second.
 *
 * Invariant: the chain in the store has no gap. Sequence and hash are given to an event when it is written, so a failed
 * write leaves the chain where it was: those who wait are told, and the rest stays in the queue for the next write. */
#include "audit/audit_entry.h"

#include <stdlib.h>
#include <time.h>
#include "audit/audit_rules.h"
#include "rotation/rotation.h"

#define BATCH_EVENTS   (STORE_WRITES_MAX - 1) /* and the head */
#define QUEUE_MAX      16384u                 /* then those who need not wait do */
#define WRITE_EVERY_MS 500u

struct waiting {
    struct audit_event event;
    struct waiting *next;
    bool owned; /* by the queue; else it stands on the stack of the thread that waits for it */
    bool done;
    status_code code;
    char failure[FAILURE_DETAIL_MAX];
};

struct audit {
    struct node *node;
    uint8_t node_id[ID_LEN];
    pthread_t thread;

    pthread_mutex_t lock; /* guards all up to the empty line */
    pthread_cond_t written, wake;
    struct waiting *first, **last;
    size_t n_queued;
    bool writing, stopping;

    /* Of the thread that is writing. */
    struct audit_position head;
    uint64_t head_version;
    bool head_known; /* false after a failed write: it is read again */
};

bool audit_wants(const struct audit *audit, enum operation operation)
{
    return audit_rule(operation, audit->node->config.audit_key_use) != AUDIT_NOTHING;
}

struct node *audit_node(const struct audit *audit)
{
    return audit->node;
}

/* Writing. One thread at a time, with `writing` set; the lock is not held. */

struct batch {
    struct bytes values[BATCH_EVENTS + 1];
    struct store_write writes[BATCH_EVENTS + 1];
};

static void batch_release(struct batch **batch)
{
    for (size_t i = 0; *batch && i <= BATCH_EVENTS; i++)
        bytes_release(&(*batch)->values[i]);
    free(*batch);
}

static status_code write_events(struct audit *audit, const struct waiting *events)
{
    CLEANUP(batch_release) struct batch *batch = calloc(1, sizeof *batch);
    struct node *node = audit->node;
    uint64_t revision = 0;
    size_t n = 0;

    CHECK(batch, STATUS_OUT_OF_MEMORY, "no memory for the audit log");
    if (!audit->head_known)
        TRY(audit_head_read(node, audit->node_id, &audit->head, &audit->head_version));
    struct audit_position at = audit->head;
    for (const struct waiting *waiting = events; waiting; waiting = waiting->next, n++)
        TRY(audit_entry_seal(node, audit->node_id, &waiting->event, &at, &batch->values[n], &batch->writes[n]));
    TRY(audit_head_seal(node, audit->node_id, audit->head_version, &at, &batch->values[n], &batch->writes[n]));
    audit->head_known = false;
    TRY(node->store->operations->write(node->store, batch->writes, n + 1, &revision));
    audit->head = at;
    audit->head_version++;
    audit->head_known = true;
    metric_add(WORKERS_MAX, METRIC_AUDIT_ENTRIES, (int64_t)n);
    node_wrote(node, revision);
    return STATUS_OK;
}

/* The queue. All with the lock held. */

static void append(struct audit *audit, struct waiting *waiting)
{
    waiting->next = NULL;
    *audit->last = waiting;
    audit->last = &waiting->next;
    audit->n_queued++;
}

static struct waiting *take_batch(struct audit *audit)
{
    struct waiting *taken = audit->first, **end = &audit->first;
    for (size_t n = 0; *end && n < BATCH_EVENTS; n++, audit->n_queued--)
        end = &(*end)->next;
    struct waiting *left = *end;
    *end = NULL;
    audit->first = left;
    if (!left)
        audit->last = &audit->first;
    return taken;
}

static void put_back(struct audit *audit, struct waiting *waiting)
{
    waiting->next = audit->first;
    if (!audit->first)
        audit->last = &waiting->next;
    audit->first = waiting;
    audit->n_queued++;
}

/** Tells who waits; what belongs to the queue is done with, or goes back to the front in its order. */
static void settle(struct audit *audit, struct waiting *events, status_code code)
{
    struct waiting *kept[BATCH_EVENTS];
    size_t n_kept = 0;

    for (struct waiting *waiting = events, *next; waiting; waiting = next) {
        next = waiting->next; /* a thread that is told may be gone at once */
        if (!waiting->owned) {
            waiting->code = code;
            if (code != STATUS_OK)
                memcpy(waiting->failure, failure_detail(), sizeof waiting->failure);
            waiting->done = true;
        } else if (code == STATUS_OK) {
            free(waiting);
        } else {
            kept[n_kept++] = waiting;
        }
    }
    while (n_kept > 0)
        put_back(audit, kept[--n_kept]);
}

static status_code write_batch(struct audit *audit)
{
    struct waiting *events = take_batch(audit);
    if (!events)
        return STATUS_OK;
    audit->writing = true;
    pthread_mutex_unlock(&audit->lock);
    status_code code = write_events(audit, events);
    /* An earlier write that seemed to fail had been done, or it was sealed under a masking key that was replaced: now
     * the head is read. */
    if (code == STATUS_CONFLICT || code == STATUS_ALREADY_EXISTS || code == STATUS_BUSY) {
        code = rotation_refresh(audit->node);
        if (code == STATUS_OK)
            code = write_events(audit, events);
    }
    if (code == STATUS_CONFLICT || code == STATUS_ALREADY_EXISTS) /* neither is the caller's affair */
        code = failure_set(STATUS_BUSY, "this node does not see the end of its audit log yet: send it again");
    pthread_mutex_lock(&audit->lock);
    settle(audit, events, code);
    audit->writing = false;
    pthread_cond_broadcast(&audit->written);
    return code;
}

/** Until the thread's own event is written, by itself or by another. */
static status_code write_through(struct audit *audit, struct waiting *waiting)
{
    pthread_mutex_lock(&audit->lock);
    append(audit, waiting);
    while (!waiting->done) {
        if (audit->writing)
            pthread_cond_wait(&audit->written, &audit->lock);
        else
            write_batch(audit);
    }
    pthread_mutex_unlock(&audit->lock);
    CHECK(waiting->code == STATUS_OK, waiting->code, "the act was done but could not be recorded: %.180s",
          waiting->failure);
    return STATUS_OK;
}

/** True when there was room to gather it. */
static bool gather(struct audit *audit, const struct waiting *waiting)
{
    struct waiting *owned = malloc(sizeof *owned);
    if (!owned)
        return false;
    *owned = *waiting;
    owned->owned = true;
    pthread_mutex_lock(&audit->lock);
    bool has_room = audit->n_queued < QUEUE_MAX;
    if (has_room)
        append(audit, owned);
    pthread_mutex_unlock(&audit->lock);
    if (!has_room)
        free(owned);
    return has_room;
}

status_code audit_record(struct audit *audit, const struct call *call, status_code outcome)
{
    struct waiting waiting;
    enum audit_rule rule = audit_rule_of_call(call, outcome, audit->node->config.audit_key_use);

    if (rule == AUDIT_NOTHING)
        return STATUS_OK;
    waiting.owned = waiting.done = false;
    audit_describe(audit->node, call, outcome, &waiting.event);
    if (rule == AUDIT_GATHERED && gather(audit, &waiting))
        return STATUS_OK;
    return write_through(audit, &waiting);
}

/* The thread. */

/** Until the next time to write; false when the log is being closed. */
static bool rest(struct audit *audit)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t nanoseconds = (uint64_t)until.tv_nsec + WRITE_EVERY_MS * 1000000u;
    until.tv_sec += (time_t)(nanoseconds / 1000000000u);
    until.tv_nsec = (long)(nanoseconds % 1000000000u);

    int waited = 0;
    while (!audit->stopping && waited == 0)
        waited = pthread_cond_timedwait(&audit->wake, &audit->lock, &until);
    return !audit->stopping;
}

/** Writes all that waits; stops at a failure, which the next round tries again. */
static status_code write_all(struct audit *audit)
{
    status_code code = STATUS_OK;
    while (audit->first && code == STATUS_OK) {
        while (audit->writing)
            pthread_cond_wait(&audit->written, &audit->lock);
        code = write_batch(audit);
    }
    return code;
}

static void *run(void *context)
{
    struct audit *audit = context;
    status_code failing = STATUS_OK;

    uint64_t checkpoint_every = 1000ull * audit->node->config.audit_checkpoint_interval_s / WRITE_EVERY_MS, rounds = 0;

    pthread_mutex_lock(&audit->lock);
    for (bool go_on = true; go_on;) {
        go_on = rest(audit);
        status_code code = write_all(audit);
        if (code == STATUS_OK && checkpoint_every && (!go_on || ++rounds % checkpoint_every == 0)) {
            pthread_mutex_unlock(&audit->lock);
            audit_log_checkpoint(audit);
            pthread_mutex_lock(&audit->lock);
        }
        if (code != STATUS_OK && code != failing)
            log_event(LOG_LEVEL_ERROR, "audit log cannot be written", "status", status_name(code), "detail",
                      failure_detail(), NULL);
        failing = code;
    }
    pthread_mutex_unlock(&audit->lock);
    return NULL;
}

static void audit_free(struct audit *audit)
{
    size_t n_lost = audit->n_queued;
    if (n_lost)
        log_event(LOG_LEVEL_ERROR, "audit entries lost", "number", log_number((long long)n_lost), NULL);
    for (struct waiting *waiting = audit->first, *next; waiting; waiting = next) {
        next = waiting->next;
        free(waiting);
    }
    pthread_cond_destroy(&audit->written);
    pthread_cond_destroy(&audit->wake);
    pthread_mutex_destroy(&audit->lock);
    free(audit);
}

status_code audit_open(struct node *node, struct audit **audit)
{
    struct audit *made = calloc(1, sizeof *made);
    pthread_condattr_t monotonic;

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the audit log");
    made->node = node;
    memcpy(made->node_id, identity_node_id(node->identity), ID_LEN);
    made->last = &made->first;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&made->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&made->written, NULL);
    pthread_mutex_init(&made->lock, NULL);
    if (pthread_create(&made->thread, NULL, run, made) != 0) {
        audit_free(made);
        FAIL(STATUS_OUT_OF_MEMORY, "no thread for the audit log");
    }
    *audit = made;
    return STATUS_OK;
}

void audit_close(struct audit *audit)
{
    if (!audit)
        return;
    pthread_mutex_lock(&audit->lock);
    audit->stopping = true;
    pthread_cond_signal(&audit->wake);
    pthread_mutex_unlock(&audit->lock);
    pthread_join(audit->thread, NULL);
    audit_free(audit);
}
