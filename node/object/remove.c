/* Deleting objects. The record becomes a marker that names the request, so that a resent deletion is success and a late
 * resend of the creation does not bring the object back. Markers are kept for a week: each deletion looks at a few old
 * ones, from a random place on, and takes those that are past it away in the same write. */
#include "object/object_internal.h"

#define ATTEMPTS_MAX   16
#define MARKER_LIFE_MS (7u * 24 * 3600 * 1000)
#define LOOKED_AT      4u /* more than one a deletion, so that markers do not pile up */

struct deletion {
    struct objects *objects;
    struct store_write writes[1 + LOOKED_AT];
    size_t n_writes;
};

static status_code take_if_old(void *context, const struct store_record *stored)
{
    struct deletion *deletion = context;
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    struct object_record record;

    if (object_record_open(deletion->objects, stored->id, stored->version, stored->value, &plaintext, &record) !=
            STATUS_OK ||
        !record.removed || record.removed_ms + MARKER_LIFE_MS > node_now_ms(deletion->objects->node))
        return STATUS_OK;
    struct store_write *write = &deletion->writes[deletion->n_writes++];
    *write = (struct store_write){.kind = STORE_OBJECT, .expected_version = stored->version, .remove = true};
    memcpy(write->id, stored->id, ID_LEN);
    return STATUS_OK;
}

const struct index_term REMOVED_TERM = {TERM_REMOVED, {(const uint8_t *)"removed", 7}};

static status_code add_old_markers(struct deletion *deletion)
{
    CLEANUP(bytes_release) struct bytes from = BYTES_INIT;
    TRY(crypto_random(WORKERS_MAX, ID_LEN, &from));
    return index_find(deletion->objects->node, STORE_OBJECT, &REMOVED_TERM, 1, from.data, LOOKED_AT, take_if_old,
                      deletion);
}

static status_code check_deletable(struct objects *objects, const struct caller *caller, const uint8_t id[ID_LEN],
                                   const struct object_record *record, uint64_t version)
{
    CLEANUP(object_release) struct object *object = NULL;
    TRY(object_from_record(objects, id, version, record, &object));
    CHECK(object_sight(object, caller) != SIGHT_NONE, STATUS_OBJECT_NOT_FOUND, "there is no object with this id");
    TRY(object_check_owner(object, caller, "delete an object"));
    CHECK(values_bool(&object->attributes, ATTRIBUTE_DESTROYABLE, true), STATUS_NOT_PERMITTED,
          "the object's DESTROYABLE is false");
    return object_manage(object, caller, "delete an object");
}

static status_code bury(struct objects *objects, const struct caller *caller, const uint8_t id[ID_LEN],
                        uint64_t version, struct slice request_id, bool tidy)
{
    CLEANUP(resealed_release) struct resealed marker = RESEALED_INIT;
    struct deletion deletion = {.objects = objects, .n_writes = 1};
    struct store_write *write = &deletion.writes[0];
    uint64_t revision = 0;

    TRY(object_record_seal_removed(objects, id, version + 1, request_id, slice_of(caller->user_id, ID_LEN),
                                   &marker.value));
    *write =
        (struct store_write){.kind = STORE_OBJECT, .expected_version = version, .value = bytes_slice(&marker.value)};
    memcpy(write->id, id, ID_LEN);
    TRY(index_put_tokens(objects->node, &REMOVED_TERM, 1, &marker.tokens, write));
    if (tidy)
        TRY(add_old_markers(&deletion));
    TRY(objects->node->store->operations->write(objects->node->store, deletion.writes, deletion.n_writes, &revision));
    objects_forget(objects, id);
    node_wrote(objects->node, revision);
    return STATUS_OK;
}

static status_code delete_once(struct objects *objects, const struct caller *caller, const uint8_t id[ID_LEN],
                               struct slice request_id, bool tidy)
{
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT, plaintext = BYTES_INIT;
    struct object_record record;
    uint64_t version;

    TRY(object_record_read_newest(objects, id, &value, &plaintext, &record, &version));
    bool is_resend = record.removed && slice_equal(record.content.creation_request, request_id) &&
                     slice_equal(record.content.owner_id, slice_of(caller->user_id, ID_LEN));
    if (is_resend)
        return STATUS_OK;
    TRY(check_deletable(objects, caller, id, &record, version));
    return bury(objects, caller, id, version, request_id, tidy);
}

status_code objects_delete(struct objects *objects, const struct caller *caller, struct slice id, struct slice blob,
                           struct slice request_id)
{
    status_code code = STATUS_CONFLICT;

    CHECK(id.len == ID_LEN, STATUS_INVALID_ARGUMENT, "an object id has %u bytes, not %zu", ID_LEN, id.len);
    CHECK(request_id.len == ID_LEN, STATUS_INVALID_ARGUMENT, "a request id has %u bytes, not %zu", ID_LEN,
          request_id.len);
    if (blob.len) {
        /* A session object is gone when its client forgets the blob; here it leaves the cache. */
        CLEANUP(object_release) struct object *object = NULL;
        TRY(object_get(objects, caller, id, blob, &object));
        CHECK(values_bool(&object->attributes, ATTRIBUTE_DESTROYABLE, true), STATUS_NOT_PERMITTED,
              "the object's DESTROYABLE is false");
        cache_forget(objects->sessions, blob_cache_key(blob));
        return STATUS_OK;
    }
    /* Markers may be taken away by several nodes at once: the first attempt alone tidies up. */
    for (int attempt = 0; attempt < ATTEMPTS_MAX && code == STATUS_CONFLICT; attempt++)
        code = delete_once(objects, caller, id.data, request_id, attempt == 0);
    return code;
}
