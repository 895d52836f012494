/* See rotation_progress.h. */
#include "rotation/rotation_progress.h"

#define DAMAGED_LEN (2u + ID_LEN) /* kind, flags, id */
#define GIVEN_UP    1u
#define SEEN        2u

enum {
    REQUEST_ID = 1,
    GENERATION,
    WORKER_ID,
    PASS,
    KIND,
    AFTER,
    N_IN_KIND,
    N_OLD,
    N_DAMAGED,
    N_DONE,
    N_TOTAL,
    DAMAGED,
    N_ENTRIES
};

static const struct schema_entry entries[N_ENTRIES] = {
    [REQUEST_ID] = {"REQUEST_ID", VALUE_BIN, ID_LEN, NULL},
    [GENERATION] = {"GENERATION", VALUE_UINT, UINT32_MAX, NULL},
    [WORKER_ID] = {"WORKER_ID", VALUE_BIN, ID_LEN, NULL},
    [PASS] = {"PASS", VALUE_UINT, UINT64_MAX, NULL},
    [KIND] = {"KIND", VALUE_UINT, STORE_KIND_MAX, NULL},
    [AFTER] = {"AFTER", VALUE_BIN, ID_LEN, NULL},
    [N_IN_KIND] = {"N_IN_KIND", VALUE_UINT, UINT64_MAX, NULL},
    [N_OLD] = {"N_OLD", VALUE_UINT, UINT64_MAX, NULL},
    [N_DAMAGED] = {"N_DAMAGED", VALUE_UINT, UINT64_MAX, NULL},
    [N_DONE] = {"N_DONE", VALUE_UINT, UINT64_MAX, NULL},
    [N_TOTAL] = {"N_TOTAL", VALUE_UINT, UINT64_MAX, NULL},
    [DAMAGED] = {"DAMAGED", VALUE_BIN, DAMAGED_MAX *DAMAGED_LEN, NULL},
};
static const struct schema schema = {"rotation field", entries, N_ENTRIES};

static const uint8_t record_id[ID_LEN];

static struct slice put_damaged(const struct rotation_progress *progress, uint8_t to[DAMAGED_MAX * DAMAGED_LEN])
{
    for (unsigned i = 0; i < progress->n_listed; i++) {
        const struct damaged_record *record = &progress->damaged[i];
        uint8_t *at = to + i * DAMAGED_LEN;

        at[0] = (uint8_t)record->kind;
        at[1] = (uint8_t)((record->given_up ? GIVEN_UP : 0) | (record->seen ? SEEN : 0));
        memcpy(at + 2, record->id, ID_LEN);
    }
    return slice_of(to, progress->n_listed * DAMAGED_LEN);
}

static void take_damaged(struct slice encoded, struct rotation_progress *progress)
{
    progress->n_listed = (unsigned)(encoded.len / DAMAGED_LEN);
    for (unsigned i = 0; i < progress->n_listed; i++) {
        const uint8_t *at = encoded.data + i * DAMAGED_LEN;
        struct damaged_record *record = &progress->damaged[i];

        record->kind = (enum store_kind)at[0];
        record->given_up = at[1] & GIVEN_UP;
        record->seen = at[1] & SEEN;
        memcpy(record->id, at + 2, ID_LEN);
    }
}

static void copy_id(const struct values *values, uint32_t entry, uint8_t id[ID_LEN])
{
    struct slice value = values_bytes(values, entry);

    if (value.len == ID_LEN)
        memcpy(id, value.data, ID_LEN);
}

status_code rotation_progress_read(struct node *node, struct rotation_progress *progress)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    struct values values;

    *progress = (struct rotation_progress){.version = 0};
    status_code status = record_read(node, STORE_ROTATION, record_id, &plaintext, &progress->version);
    if (status == STATUS_OBJECT_NOT_FOUND)
        return STATUS_OK;
    TRY(status);
    TRY(record_decode(&schema, &plaintext, &values));
    copy_id(&values, REQUEST_ID, progress->request_id);
    copy_id(&values, WORKER_ID, progress->worker_id);
    copy_id(&values, AFTER, progress->after);
    progress->generation = (uint32_t)values_uint(&values, GENERATION, 0);
    progress->pass = values_uint(&values, PASS, 1);
    progress->kind = (enum store_kind)values_uint(&values, KIND, 0);
    progress->n_in_kind = values_uint(&values, N_IN_KIND, 0);
    progress->n_old = values_uint(&values, N_OLD, 0);
    progress->n_damaged = values_uint(&values, N_DAMAGED, 0);
    progress->n_done = values_uint(&values, N_DONE, 0);
    progress->n_total = values_uint(&values, N_TOTAL, 0);
    take_damaged(values_bytes(&values, DAMAGED), progress);
    return STATUS_OK;
}

status_code rotation_progress_write(struct node *node, const struct rotation_progress *progress, struct bytes *sealed,
                                    struct store_write *write)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    uint8_t damaged[DAMAGED_MAX * DAMAGED_LEN];
    struct values values;

    values_init(&values);
    values_put_bytes(&values, REQUEST_ID, slice_of(progress->request_id, ID_LEN));
    values_put_bytes(&values, WORKER_ID, slice_of(progress->worker_id, ID_LEN));
    values_put_bytes(&values, AFTER, slice_of(progress->after, ID_LEN));
    values_put_uint(&values, GENERATION, progress->generation);
    values_put_uint(&values, PASS, progress->pass);
    values_put_uint(&values, KIND, progress->kind);
    values_put_uint(&values, N_IN_KIND, progress->n_in_kind);
    values_put_uint(&values, N_OLD, progress->n_old);
    values_put_uint(&values, N_DAMAGED, progress->n_damaged);
    values_put_uint(&values, N_DONE, progress->n_done);
    values_put_uint(&values, N_TOTAL, progress->n_total);
    values_put_bytes(&values, DAMAGED, put_damaged(progress, damaged));
    values_encode(&schema, &values, &plaintext);
    TRY(bytes_ok(&plaintext));
    return record_prepare(node, STORE_ROTATION, record_id, progress->version, bytes_slice(&plaintext), sealed, write);
}

void rotation_progress_damaged(struct rotation_progress *progress, enum store_kind kind, const uint8_t id[ID_LEN])
{
    struct damaged_record *record = progress->damaged, *end = record + progress->n_listed;

    progress->n_damaged++;
    while (record < end && (record->kind != kind || memcmp(record->id, id, ID_LEN) != 0))
        record++;
    if (record == end && progress->n_listed == DAMAGED_MAX)
        return;
    if (record == end) {
        progress->n_listed++;
        *record = (struct damaged_record){.kind = kind};
        memcpy(record->id, id, ID_LEN);
    }
    record->seen = true;
}

void rotation_progress_end_pass(struct rotation_progress *progress)
{
    unsigned n = 0;

    for (unsigned i = 0; i < progress->n_listed; i++) {
        if (!progress->damaged[i].seen)
            continue;
        progress->damaged[n] = progress->damaged[i];
        progress->damaged[n++].seen = false;
    }
    progress->n_listed = n;
}

unsigned rotation_progress_listed(const struct rotation_progress *progress, bool given_up)
{
    unsigned n = 0;

    for (unsigned i = 0; i < progress->n_listed; i++)
        n += progress->damaged[i].given_up == given_up;
    return n;
}
