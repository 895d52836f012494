/* See reseal.h. Records that are of the newest generation already are passed over. One that somebody changes at the
 * same moment is left alone: if it was sealed under the old key then, the next pass finds it. */
#include "rotation/reseal.h"

#include <stdlib.h>
#include "identity/member.h"
#include "node.h"
#include "user/account.h"

#define LOOKED_AT_MAX 512u                /* records in one step */
#define SEALED_MAX    48u                 /* of which so many are sealed anew */
#define BYTES_MAX     ((size_t)256 << 10) /* and so many bytes: etcd takes 1.5 MiB as base64 */

struct kind {
    enum store_kind kind;
    resealer reseal;
};

/* In this order. */
static const struct kind KINDS[] = {
    {STORE_OBJECT, object_reseal}, {STORE_USER, account_reseal},      {STORE_NODE, member_reseal},
    {STORE_LOGIN, record_reseal},  {STORE_REVOCATION, record_reseal}, {STORE_QUORUM, record_reseal},
    {STORE_AUDIT, record_reseal},  {STORE_ANCHOR, record_reseal},     {STORE_CLUSTER, record_reseal},
};

#define N_KINDS (sizeof(KINDS) / sizeof(*KINDS))

void reseal_begin(struct rotation_progress *progress)
{
    progress->kind = KINDS[0].kind;
    progress->n_in_kind = progress->n_old = progress->n_damaged = 0;
}

static const struct kind *find_kind(enum store_kind number)
{
    for (const struct kind *kind = KINDS; kind < KINDS + N_KINDS; kind++)
        if (kind->kind == number)
            return kind;
    return NULL;
}

/* --- some records --- */

struct batch {
    struct node *node;
    const struct kind *kind;
    uint32_t newest;
    struct resealed memory[SEALED_MAX];
    struct store_write writes[SEALED_MAX + 1]; /* and the progress */
    struct bytes progress_sealed;
    size_t n, n_bytes, n_seen, n_old;
    uint8_t last[ID_LEN];
    struct rotation_progress next;
};

static void batch_free(struct batch **batch)
{
    if (!*batch)
        return;
    for (size_t i = 0; i < SEALED_MAX; i++)
        resealed_release(&(*batch)->memory[i]);
    bytes_release(&(*batch)->progress_sealed);
    free(*batch);
}

static status_code seal_anew(struct batch *batch, const struct store_record *record)
{
    CHECK(generation_of(record->value) >= keyring_settled(batch->node->keyring), STATUS_STORE_DAMAGED,
          "it says that it is of masking key %u, which was replaced before", generation_of(record->value));
    return batch->kind->reseal(batch->node, record, &batch->memory[batch->n], &batch->writes[batch->n]);
}

static status_code take_record(void *context, const struct store_record *record)
{
    struct batch *batch = context;

    if (batch->n == SEALED_MAX || batch->n_bytes >= BYTES_MAX)
        return STATUS_PENDING; /* enough */
    memcpy(batch->last, record->id, ID_LEN);
    batch->n_seen++;
    if (generation_of(record->value) >= batch->newest)
        return STATUS_OK;
    batch->n_old++;
    status_code status = seal_anew(batch, record);

    if (status == STATUS_STORE_DAMAGED) { /* it opens under no key, perhaps in this node's replica alone */
        rotation_progress_damaged(&batch->next, record->kind, record->id);
        log_event(LOG_LEVEL_ERROR, "damaged record is not sealed anew", "kind", log_number(record->kind), "id",
                  log_hex(slice_of(record->id, ID_LEN)), "detail", failure_detail(), NULL);
        bytes_clear(&batch->memory[batch->n].value);
        bytes_clear(&batch->memory[batch->n].tokens);
        return STATUS_OK;
    }
    TRY(status);
    batch->n_bytes += batch->writes[batch->n].value.len;
    batch->n++;
    return STATUS_OK;
}

static status_code gather(struct batch *batch, const struct rotation_progress *progress, bool *ended)
{
    struct store *store = batch->node->store;
    status_code status =
        store->operations->range(store, batch->kind->kind, progress->n_in_kind ? progress->after : NULL, NULL,
                                 LOOKED_AT_MAX, take_record, batch);

    *ended = status == STATUS_OK && batch->n_seen < LOOKED_AT_MAX;
    return status == STATUS_PENDING ? STATUS_OK : status;
}

/* --- writing --- */

/* What this node holds in memory of a record was sealed under the key before. */
static void forget(struct node *node, const struct store_write *write)
{
    if (write->kind == STORE_OBJECT)
        objects_forget(node->objects, write->id);
}

static status_code write_all(struct batch *batch, struct rotation_progress *progress)
{
    struct node *node = batch->node;
    uint64_t revision;

    TRY(rotation_progress_write(node, progress, &batch->progress_sealed, &batch->writes[batch->n]));
    TRY(node->store->operations->write(node->store, batch->writes, batch->n + 1, &revision));
    for (size_t i = 0; i < batch->n; i++)
        forget(node, &batch->writes[i]);
    node_wrote(node, revision);
    progress->version++;
    return STATUS_OK;
}

/* One of the records, or the progress, was changed by somebody else: each by itself, the progress last. */
static status_code write_each(struct batch *batch, struct rotation_progress *progress)
{
    struct store *store = batch->node->store;
    uint64_t revision;

    for (size_t i = 0; i < batch->n; i++) {
        status_code status = store->operations->write(store, &batch->writes[i], 1, &revision);

        if (status == STATUS_CONFLICT || status == STATUS_ALREADY_EXISTS)
            continue;
        TRY(status);
        forget(batch->node, &batch->writes[i]);
        node_wrote(batch->node, revision);
    }
    batch->n = 0;
    bytes_clear(&batch->progress_sealed);
    return write_all(batch, progress);
}

static void move_on(struct batch *batch, bool ended)
{
    struct rotation_progress *progress = &batch->next;

    progress->n_done += batch->n_seen;
    progress->n_in_kind += batch->n_seen;
    progress->n_old += batch->n_old;
    if (batch->n_seen)
        memcpy(progress->after, batch->last, ID_LEN);
    if (!ended)
        return;
    progress->kind = batch->kind + 1 < KINDS + N_KINDS ? batch->kind[1].kind : (enum store_kind)0;
    progress->n_in_kind = 0;
    memset(progress->after, 0, ID_LEN);
    if (!progress->kind)
        rotation_progress_end_pass(progress);
}

status_code reseal_some(struct node *node, struct rotation_progress *progress)
{
    CLEANUP(batch_free) struct batch *batch = calloc(1, sizeof(*batch));
    bool ended;

    CHECK(batch, STATUS_OUT_OF_MEMORY, "no memory to seal records anew");
    batch->node = node;
    batch->kind = find_kind(progress->kind);
    CHECK(batch->kind, STATUS_VERSION_MISMATCH, "records of kind %u are of a newer version: a newer node goes on",
          progress->kind);
    batch->newest = progress->generation;
    batch->next = *progress;
    TRY(gather(batch, progress, &ended));
    move_on(batch, ended);
    status_code status = write_all(batch, &batch->next);

    if ((status == STATUS_CONFLICT || status == STATUS_ALREADY_EXISTS) && batch->n)
        status = write_each(batch, &batch->next);
    TRY(status);
    *progress = batch->next;
    return STATUS_OK;
}
