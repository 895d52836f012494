/* Backups in a bucket that speaks S3. Small ones are put at once; larger ones go in parts (multipart upload), which
 * appear as one object when the last is there. */
#include <stdio.h>
#include <stdlib.h>
#include "backup/destination.h"
#include "backup/s3_client.h"
#include "node.h"

#define PART_LEN      ((size_t)8 << 20) /* S3 wants at least 5 MiB, and takes 10,000 parts */
#define PARTS_MAX     10000u
#define UPLOAD_ID_MAX 512u
#define ETAG_MAX      130u

struct bucket {
    struct destination base;
    struct s3_client *client;
    bool writing;
    char name[BACKUP_NAME_MAX];
    char upload_id[UPLOAD_ID_MAX]; /* "" before the first part */
    struct bytes part;             /* what is gathered of the next part */
    struct bytes parts;            /* XML of those that are there */
    unsigned n_parts;
};

static struct bucket *bucket_of(struct destination *destination)
{
    return (struct bucket *)destination;
}

static void bucket_close(struct destination *destination)
{
    struct bucket *bucket = bucket_of(destination);

    s3_client_close(bucket->client);
    bytes_release(&bucket->part);
    bytes_release(&bucket->parts);
    free(bucket);
}

/* --- writing --- */

static status_code bucket_create(struct destination *destination, const char *name)
{
    struct bucket *bucket = bucket_of(destination);

    snprintf(bucket->name, sizeof(bucket->name), "%s", name);
    bucket->writing = true;
    bucket->n_parts = 0;
    bucket->upload_id[0] = 0;
    bytes_clear(&bucket->part);
    bytes_clear(&bucket->parts);
    return STATUS_OK;
}

static void take_upload_id(void *context, const char *name, const char *text)
{
    if (strcmp(name, "UploadId") == 0)
        snprintf(context, UPLOAD_ID_MAX, "%s", text);
}

static status_code begin_parts(struct bucket *bucket)
{
    CLEANUP(bytes_release) struct bytes answer = BYTES_INIT;
    const struct s3_request request = {.method = "POST", .key = bucket->name, .query = "uploads=", .answer = &answer};

    TRY(s3_request(bucket->client, &request));
    TRY(s3_parse(bytes_slice(&answer), take_upload_id, bucket->upload_id));
    CHECK(bucket->upload_id[0], STATUS_BACKUP_UNAVAILABLE, "the bucket takes no parts: it gave no upload id");
    return STATUS_OK;
}

/* partNumber=N&uploadId=ID, or without a number. */
static status_code upload_query(struct bucket *bucket, unsigned number, struct bytes *query)
{
    char text[48];

    if (number)
        snprintf(text, sizeof(text), "partNumber=%u&uploadId=", number);
    else
        snprintf(text, sizeof(text), "uploadId=");
    bytes_append(query, text, strlen(text));
    TRY(s3_escape(bucket->client, bucket->upload_id, query));
    CHECK(bytes_append(query, "", 1), STATUS_OUT_OF_MEMORY, "no memory for a request");
    return STATUS_OK;
}

static status_code send_part(struct bucket *bucket)
{
    CLEANUP(bytes_release) struct bytes query = BYTES_INIT;
    char etag[ETAG_MAX] = "", text[ETAG_MAX + 96];

    CHECK(bucket->n_parts < PARTS_MAX, STATUS_TOO_LARGE, "a backup of more than %u parts does not fit into a bucket",
          PARTS_MAX);
    if (!bucket->upload_id[0])
        TRY(begin_parts(bucket));
    TRY(upload_query(bucket, ++bucket->n_parts, &query));
    const struct s3_request request = {.method = "PUT",
                                       .key = bucket->name,
                                       .query = (const char *)query.data,
                                       .body = bytes_slice(&bucket->part),
                                       .etag = etag};

    TRY(s3_request(bucket->client, &request));
    snprintf(text, sizeof(text), "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", bucket->n_parts, etag);
    bytes_append(&bucket->parts, text, strlen(text));
    bytes_clear(&bucket->part);
    return bytes_ok(&bucket->parts);
}

static status_code bucket_append(struct destination *destination, struct slice bytes)
{
    struct bucket *bucket = bucket_of(destination);

    CHECK(bytes_append(&bucket->part, bytes.data, bytes.len), STATUS_OUT_OF_MEMORY, "no memory for a part of a backup");
    return bucket->part.len >= PART_LEN ? send_part(bucket) : STATUS_OK;
}

struct completed {
    bool done;
    char code[64];
};

static void take_completed(void *context, const char *name, const char *text)
{
    struct completed *completed = context;

    completed->done = completed->done || strcmp(name, "CompleteMultipartUploadResult") == 0;
    if (strcmp(name, "Code") == 0)
        snprintf(completed->code, sizeof(completed->code), "%s", text);
}

static status_code complete_parts(struct bucket *bucket)
{
    CLEANUP(bytes_release) struct bytes query = BYTES_INIT, body = BYTES_INIT, answer = BYTES_INIT;
    static const char before[] = "<CompleteMultipartUpload>", after[] = "</CompleteMultipartUpload>";
    struct completed completed = {false, ""};

    TRY(upload_query(bucket, 0, &query));
    bytes_append(&body, before, sizeof(before) - 1);
    bytes_append(&body, bucket->parts.data, bucket->parts.len);
    bytes_append(&body, after, sizeof(after) - 1);
    TRY(bytes_ok(&body));
    const struct s3_request request = {.method = "POST",
                                       .key = bucket->name,
                                       .query = (const char *)query.data,
                                       .body = bytes_slice(&body),
                                       .answer = &answer};

    TRY(s3_request(bucket->client, &request));
    /* S3 may say 200 first, and find an error then. */
    TRY(s3_parse(bytes_slice(&answer), take_completed, &completed));
    CHECK(completed.done, STATUS_BACKUP_UNAVAILABLE, "the bucket did not join the parts of the backup: %s",
          completed.code);
    return STATUS_OK;
}

static status_code put_whole(struct bucket *bucket)
{
    const struct s3_request request = {.method = "PUT", .key = bucket->name, .body = bytes_slice(&bucket->part)};

    return s3_request(bucket->client, &request);
}

static status_code finish(struct bucket *bucket)
{
    if (!bucket->upload_id[0])
        return put_whole(bucket);
    if (bucket->part.len)
        TRY(send_part(bucket));
    return complete_parts(bucket);
}

static status_code bucket_commit(struct destination *destination)
{
    struct bucket *bucket = bucket_of(destination);

    TRY(finish(bucket));
    bucket->writing = false;
    return STATUS_OK;
}

static void bucket_abandon(struct destination *destination)
{
    CLEANUP(bytes_release) struct bytes query = BYTES_INIT;
    struct bucket *bucket = bucket_of(destination);

    if (bucket->writing && bucket->upload_id[0] && upload_query(bucket, 0, &query) == STATUS_OK) {
        const struct s3_request request = {.method = "DELETE", .key = bucket->name, .query = (const char *)query.data};

        if (s3_request(bucket->client, &request) != STATUS_OK)
            log_event(LOG_LEVEL_WARNING, "parts of an abandoned backup stay in the bucket", "name", bucket->name,
                      "hint", "let the bucket expire incomplete uploads", NULL);
    }
    bucket->writing = false;
}

/* --- reading --- */

static status_code bucket_read(struct destination *destination, const char *name, const struct backup_sink *sink)
{
    const struct s3_request request = {.method = "GET", .key = name, .take = sink->take, .context = sink->context};

    return s3_request(bucket_of(destination)->client, &request);
}

struct listing {
    const char *prefix;
    backup_listed listed;
    void *context;
    status_code status;
    struct backup_name name;
    bool named;
    char next[1024];
};

static void take_listed(void *context, const char *element, const char *text)
{
    struct listing *listing = context;
    size_t prefix_len = strlen(listing->prefix);

    if (strcmp(element, "NextContinuationToken") == 0)
        snprintf(listing->next, sizeof(listing->next), "%s", text);
    if (strcmp(element, "Key") == 0)
        listing->named =
            strncmp(text, listing->prefix, prefix_len) == 0 && backup_name_parse(text + prefix_len, &listing->name);
    if (strcmp(element, "Size") != 0 || !listing->named || listing->status != STATUS_OK)
        return;
    listing->named = false;
    listing->status = listing->listed(listing->context, &listing->name, strtoull(text, NULL, 10));
}

static status_code list_page(struct bucket *bucket, struct listing *listing)
{
    CLEANUP(bytes_release) struct bytes query = BYTES_INIT, answer = BYTES_INIT;
    static const char token[] = "continuation-token=", type[] = "list-type=2&prefix=";

    if (listing->next[0]) {
        bytes_append(&query, token, sizeof(token) - 1);
        TRY(s3_escape(bucket->client, listing->next, &query));
        bytes_append(&query, "&", 1);
    }
    bytes_append(&query, type, sizeof(type) - 1);
    TRY(s3_escape(bucket->client, listing->prefix, &query));
    CHECK(bytes_append(&query, "", 1), STATUS_OUT_OF_MEMORY, "no memory for a request");
    const struct s3_request request = {.method = "GET", .query = (const char *)query.data, .answer = &answer};

    TRY(s3_request(bucket->client, &request));
    listing->next[0] = 0;
    TRY(s3_parse(bytes_slice(&answer), take_listed, listing));
    return listing->status;
}

static status_code bucket_list(struct destination *destination, backup_listed listed, void *context)
{
    struct bucket *bucket = bucket_of(destination);
    struct listing listing = {
        .prefix = s3_prefix(bucket->client), .listed = listed, .context = context, .status = STATUS_OK};

    do {
        TRY(list_page(bucket, &listing));
    } while (listing.next[0]);
    return STATUS_OK;
}

static status_code note_listed(void *context, const struct backup_name *name, uint64_t size)
{
    struct listing *sought = context;

    (void)size;
    sought->named = sought->named || strcmp(name->text, sought->prefix) == 0;
    return STATUS_OK;
}

/* S3 answers alike whether there was such an object or not: the listing knows. */
static status_code bucket_remove(struct destination *destination, const char *name)
{
    struct listing sought = {.prefix = name};
    const struct s3_request request = {.method = "DELETE", .key = name};

    TRY(bucket_list(destination, note_listed, &sought));
    CHECK(sought.named, STATUS_OBJECT_NOT_FOUND, "the bucket has no backup %s", name);
    return s3_request(bucket_of(destination)->client, &request);
}

static const struct destination_operations operations = {
    .close = bucket_close,
    .create = bucket_create,
    .append = bucket_append,
    .commit = bucket_commit,
    .abandon = bucket_abandon,
    .read = bucket_read,
    .list = bucket_list,
    .remove = bucket_remove,
};

status_code destination_open_s3(const struct node_config *config, const char *url, struct destination **destination)
{
    struct bucket *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a bucket");
    made->base.operations = &operations;
    *destination = &made->base; /* the caller closes it, also when this fails */
    return s3_client_open(config, url, &made->client);
}
