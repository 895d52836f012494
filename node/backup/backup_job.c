/* See backup_job.h. */
#include "backup/backup_job.h"

#include <stdatomic.h>
#include "user/cluster_record.h"

static atomic_flag running = ATOMIC_FLAG_INIT;
static _Atomic uint64_t n_done, n_total, last_ms;

status_code backup_job_begin(void)
{
    CHECK(!atomic_flag_test_and_set(&running), STATUS_BUSY, "this node is at work on a backup already");
    atomic_store(&n_done, 0);
    atomic_store(&n_total, 0);
    return STATUS_OK;
}

void backup_job_end(void)
{
    atomic_store(&n_total, 0);
    atomic_store(&n_done, 0);
    atomic_flag_clear(&running);
}

void backup_job_release(const bool *begun)
{
    if (*begun)
        backup_job_end();
}

void backup_job_expect(uint64_t n_records)
{
    atomic_store(&n_total, n_records);
}

status_code backup_job_step(const struct node *node)
{
    atomic_fetch_add(&n_done, 1);
    CHECK(atomic_load_explicit(&node->state, memory_order_relaxed) != NODE_DRAINING, STATUS_BUSY,
          "the node is about to stop: nothing of this backup was kept");
    return STATUS_OK;
}

void backup_job_made(uint64_t now_ms)
{
    atomic_store(&last_ms, now_ms);
}

void backup_progress(uint64_t *done, uint64_t *total)
{
    *total = atomic_load(&n_total);
    *done = atomic_load(&n_done);
}

uint64_t backup_last_ms(void)
{
    return atomic_load(&last_ms);
}

status_code backup_recovery_key(struct node *node, struct secret *recovery_key)
{
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;

    TRY(cluster_record_read(node, &cluster));
    CHECK(cluster.recovery_key_len, STATUS_CLUSTER_STATE,
          "the cluster was activated without a recovery key, under which backups are sealed");
    return secret_copy(recovery_key, slice_of(cluster.recovery_key, cluster.recovery_key_len));
}

status_code backup_take_name(struct slice name, struct backup_name *taken)
{
    char text[BACKUP_NAME_MAX];

    CHECK(name.len < sizeof(text), STATUS_INVALID_ARGUMENT, "this is no name of a backup");
    memcpy(text, name.data, name.len);
    text[name.len] = 0;
    CHECK(backup_name_parse(text, taken), STATUS_INVALID_ARGUMENT,
          "%.100s is no name of a backup: a backup keeps the name that it was given", text);
    return STATUS_OK;
}

static void reader_release(struct backup_reader **reader)
{
    backup_reader_free(*reader);
}

static status_code take_bytes(void *context, struct slice bytes)
{
    return backup_reader_take(context, bytes);
}

status_code backup_read_all(struct destination *destination, const char *name, struct slice recovery_key,
                            const struct backup_visitor *visitor, uint64_t *n)
{
    CLEANUP(reader_release) struct backup_reader *reader = NULL;

    TRY(backup_reader_begin(name, recovery_key, visitor, &reader));
    const struct backup_sink sink = {take_bytes, reader};

    TRY(destination->operations->read(destination, name, &sink));
    return backup_reader_end(reader, n);
}

void backup_destination_release(struct destination **destination)
{
    destination_close(*destination);
}
