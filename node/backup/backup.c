/* Making, listing, verifying and deleting backups: backup.h. */
#include "backup/backup.h"

#include <openssl/rand.h>
#include <stdio.h>
#include "backup/backup_job.h"
#include "protocol/writer.h"
#include "rotation/rotation.h"
#include "seal/masking_keys.h"

/* --- making --- */

struct making {
    struct node *node;
    struct destination *destination;
    struct secret recovery_key, masking_keys;
    struct backup_header header;
    struct backup_writer *writer;
    uint64_t n_records;
    char name[BACKUP_NAME_MAX];
};

static void making_release(struct making *making)
{
    backup_writer_free(making->writer);
    destination_close(making->destination); /* removes what was not committed */
    secret_release(&making->recovery_key);
    secret_release(&making->masking_keys);
}

static status_code take_bytes(void *context, struct slice bytes)
{
    struct destination *destination = context;

    return destination->operations->append(destination, bytes);
}

/* The keys of before and of now: one of them may have come or gone between the two, and the snapshot needs it. */
static status_code add_masking_keys(struct making *making, uint64_t revision)
{
    CLEANUP(secret_release) struct secret now = SECRET_INIT, all = SECRET_INIT;
    struct secret before = making->masking_keys;

    TRY(node_catch_up(making->node, revision));
    TRY(rotation_refresh(making->node));
    TRY(identity_masking_keys(making->node->identity, &now));
    TRY(masking_keys_join(secret_slice(&before), secret_slice(&now), &all));
    making->masking_keys = all;
    all = before;
    return STATUS_OK;
}

/* The revision is known once the snapshot is there, and stands in the name. */
static status_code begin(void *context, uint64_t revision, uint64_t n_records)
{
    struct making *making = context;
    const struct backup_sink sink = {take_bytes, making->destination};

    making->header.revision = revision;
    TRY(add_masking_keys(making, revision));
    backup_job_expect(n_records);
    backup_name_of(&making->header, making->name);
    TRY(making->destination->operations->create(making->destination, making->name));
    return backup_writer_begin(&making->header, secret_slice(&making->recovery_key),
                               secret_slice(&making->masking_keys), &sink, &making->writer);
}

static status_code add_record(void *context, const struct store_write *record, uint64_t revision)
{
    struct making *making = context;

    (void)revision;
    making->n_records++;
    TRY(backup_job_step(making->node));
    return backup_writer_add(making->writer, record);
}

static status_code fill_header(struct node *node, struct making *making)
{
    struct backup_header *header = &making->header;

    TRY(backup_recovery_key(node, &making->recovery_key));
    TRY(identity_masking_keys(node->identity, &making->masking_keys));
    CHECK(RAND_bytes_ex(crypto_context(), header->backup_id, BACKUP_ID_LEN, 0) == 1, STATUS_RANDOM_FAILED,
          "no random bytes");
    TRY(recovery_id_of(secret_slice(&making->recovery_key), header->recovery_id));
    memcpy(header->cluster_id, identity_cluster_id(node->identity), ID_LEN);
    memcpy(header->seal_id, identity_seal_id(node->identity), ID_LEN);
    snprintf(header->cluster_name, sizeof(header->cluster_name), "%s", identity_cluster_name(node->identity));
    header->created_ms = node_now_ms(node);
    return STATUS_OK;
}

static status_code make(struct node *node, struct making *making)
{
    static const struct snapshot_visitor visitor = {begin, add_record};

    TRY(destination_open(&node->config, node->config.backup_to, &making->destination));
    TRY(fill_header(node, making));
    TRY(node_catch_up_with_all(node)); /* what was acknowledged before this call is in the backup */
    TRY(node->store->operations->snapshot(node->store, &visitor, making));
    TRY(backup_writer_end(making->writer));
    return making->destination->operations->commit(making->destination);
}

static void describe(const struct backup_header *header, const char *name, uint64_t n_records, struct backup_done *done)
{
    snprintf(done->name, sizeof(done->name), "%s", name);
    snprintf(done->cluster_name, sizeof(done->cluster_name), "%s", header->cluster_name);
    done->created_ms = header->created_ms;
    done->revision = header->revision;
    done->n_records = n_records;
}

status_code backup_create(struct node *node, struct backup_done *done)
{
    CLEANUP(backup_job_release) bool begun = false;
    CLEANUP(making_release)
    struct making making = {.node = node, .recovery_key = SECRET_INIT, .masking_keys = SECRET_INIT};

    TRY(backup_job_begin());
    begun = true;
    TRY(make(node, &making));
    backup_job_made(making.header.created_ms);
    describe(&making.header, making.name, making.n_records, done);
    log_event(LOG_LEVEL_INFO, "backup made", "name", making.name, "records", log_number((long long)making.n_records),
              NULL);
    return STATUS_OK;
}

/* --- verifying --- */

struct verifying {
    struct node *node;
    struct backup_header header;
};

static status_code keep_header(void *context, const struct backup_header *header, struct slice masking_keys)
{
    struct verifying *verifying = context;

    (void)masking_keys;
    verifying->header = *header;
    return STATUS_OK;
}

static status_code pass_record(void *context, const struct store_write *record)
{
    const struct verifying *verifying = context;

    (void)record;
    return backup_job_step(verifying->node);
}

status_code backup_verify(struct node *node, struct slice name, struct backup_done *done)
{
    CLEANUP(backup_job_release) bool begun = false;
    CLEANUP(backup_destination_release) struct destination *destination = NULL;
    CLEANUP(secret_release) struct secret recovery_key = SECRET_INIT;
    struct verifying verifying = {.node = node};
    const struct backup_visitor visitor = {keep_header, pass_record, &verifying};
    struct backup_name taken;
    uint64_t n_records;

    TRY(backup_take_name(name, &taken));
    TRY(backup_recovery_key(node, &recovery_key));
    TRY(destination_open(&node->config, node->config.backup_to, &destination));
    TRY(backup_job_begin());
    begun = true;
    TRY(backup_read_all(destination, taken.text, secret_slice(&recovery_key), &visitor, &n_records));
    describe(&verifying.header, taken.text, n_records, done);
    return STATUS_OK;
}

/* --- listing and deleting --- */

struct listing {
    struct bytes encoded;
    uint32_t n;
};

static status_code list_one(void *context, const struct backup_name *name, uint64_t size)
{
    struct listing *listing = context;
    struct values values;

    values_init(&values);
    values_put_bytes(&values, FIELD_NAME, slice_text(name->text));
    values_put_uint(&values, FIELD_TIME_MS, name->created_ms);
    values_put_uint(&values, FIELD_REVISION, name->revision);
    values_put_uint(&values, FIELD_COUNT, size);
    values_encode(&FIELD_SCHEMA, &values, &listing->encoded);
    listing->n++;
    return bytes_ok(&listing->encoded);
}

static void listing_release(struct listing *listing)
{
    bytes_release(&listing->encoded);
}

status_code backup_list(struct node *node, struct bytes *records)
{
    CLEANUP(backup_destination_release) struct destination *destination = NULL;
    CLEANUP(listing_release) struct listing listing = {.encoded = BYTES_INIT};

    TRY(destination_open(&node->config, node->config.backup_to, &destination));
    listing.encoded.limit = MESSAGE_MAX / 2;
    TRY(destination->operations->list(destination, list_one, &listing));
    write_array(records, listing.n);
    write_encoded(records, bytes_slice(&listing.encoded));
    return bytes_ok(records);
}

status_code backup_delete(struct node *node, struct slice name)
{
    CLEANUP(backup_destination_release) struct destination *destination = NULL;
    struct backup_name taken;

    TRY(backup_take_name(name, &taken));
    TRY(destination_open(&node->config, node->config.backup_to, &destination));
    return destination->operations->remove(destination, taken.text);
}
