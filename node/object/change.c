/* Changing objects: attributes and sharing. A change reads the record, applies itself, and writes it back at the next
 * version if nobody else wrote meanwhile; else it tries again on what is there then. The record keeps the ids of the
 * last changes' requests: a resend finds its own and is success. Not of the last one alone: a request that was sent to
 * a node that stood still, and sent again to another, may arrive when the object has changed again since. */
#include "object/object_internal.h"

#include <stdlib.h>

#define ATTEMPTS_MAX 16

/** A change in the making: starts as what is stored, ends as what is to be stored. */
struct change {
    const struct caller *caller;
    struct object *object;
    struct values attributes;
    struct content content;
    struct bytes names, sharees; /* of apply_share */
    struct bytes requests;       /* that the record will keep */
};

typedef status_code (*change_apply)(struct change *change, const void *wish);

static void change_release(struct change *change)
{
    object_release(&change->object);
    bytes_release(&change->names);
    bytes_release(&change->sharees);
    bytes_release(&change->requests);
}

static void change_begin(struct change *change)
{
    attributes_copy(&change->object->attributes, &change->attributes);
    change->content = change->object->own->content;
}

/* Attributes. */

static status_code check_settable(const struct change *change, const struct values *template, uint32_t i)
{
    const struct values *before = &change->object->attributes;
    uint64_t class = values_uint(before, ATTRIBUTE_CLASS, 0), type = values_uint(before, ATTRIBUTE_KEY_TYPE, 0);
    bool is_admin = change->caller->role == ROLE_ADMIN;

    CHECK(attribute_flags(i) & ATTRIBUTE_FLAG_SET, STATUS_ATTRIBUTE_READ_ONLY, "%s cannot be changed",
          attribute_name(i));
    CHECK(attribute_applies(i, class, type), STATUS_ATTRIBUTE_TYPE_INVALID, "%s does not apply to this object",
          attribute_name(i));
    CHECK(is_admin == (i == ATTRIBUTE_TRUSTED), STATUS_NOT_PERMITTED,
          is_admin ? "administrators set TRUSTED only, not %s" : "only an administrator sets %s", attribute_name(i));
    return attribute_check_value(template, i);
}

static status_code check_dates(const struct values *attributes)
{
    uint32_t first = day_of(values_bytes(attributes, ATTRIBUTE_START_DATE));
    uint32_t last = day_of(values_bytes(attributes, ATTRIBUTE_END_DATE));
    CHECK(!first || !last || first <= last, STATUS_TEMPLATE_INCONSISTENT, "END_DATE lies before START_DATE");
    return STATUS_OK;
}

static void set_at(struct values *attributes, const struct values *template, uint32_t i)
{
    attributes->value[i] = template->value[i];
    values_mark(attributes, i);
    bool no_date = (i == ATTRIBUTE_START_DATE || i == ATTRIBUTE_END_DATE) && template->value[i].bytes.len == 0;
    if (no_date)
        values_remove(attributes, i);
}

static status_code apply_set(struct change *change, const void *wish)
{
    const struct values *template = wish, *before = &change->object->attributes;

    if (change->caller->role != ROLE_ADMIN) {
        TRY(object_manage(change->object, change->caller, "change attributes"));
        CHECK(values_bool(before, ATTRIBUTE_MODIFIABLE, true), STATUS_NOT_PERMITTED,
              "the object's MODIFIABLE is false");
    }
    for (uint32_t i = 0; i < VALUES_MAX; i++) {
        if (!values_has(template, i))
            continue;
        TRY(check_settable(change, template, i));
        if (i != ATTRIBUTE_TRUSTED)
            TRY(attribute_check_change(before, template, i));
        set_at(&change->attributes, template, i);
    }
    return check_dates(&change->attributes);
}

/* Sharing: the names stand in SHARED_WITH and the ids in the content, in the same order. */

struct sharing {
    bool share;
    struct slice name;
    uint8_t user_id[ID_LEN];
};

/** The next name of a list separated by commas; the rest stays in *list. */
static struct slice next_name(struct slice *list)
{
    const uint8_t *comma = list->len ? memchr(list->data, ',', list->len) : NULL;
    size_t len = comma ? (size_t)(comma - list->data) : list->len, skip = comma ? len + 1 : len;
    struct slice name = slice_of(list->data, len);
    *list = slice_of(list->data + skip, list->len - skip);
    return name;
}

static void put_sharee(struct change *change, struct slice name, const uint8_t *user_id)
{
    bytes_append(&change->names, ",", change->names.len ? 1 : 0);
    bytes_append(&change->names, name.data, name.len);
    bytes_append(&change->sharees, user_id, ID_LEN);
}

static size_t n_users(const struct change *change)
{
    return 1 + change->content.sharees.len / ID_LEN;
}

/** Until a key has as many users as its quorums, they could not be reached: so long its owner shares it freely. */
static size_t quorum_of(const struct object *object)
{
    return object->quorum_use > object->quorum_management ? object->quorum_use : object->quorum_management;
}

static status_code apply_share(struct change *change, const void *wish)
{
    const struct sharing *sharing = wish;
    struct slice names = values_bytes(&change->attributes, ATTRIBUTE_SHARED_WITH);
    const uint8_t *ids = change->content.sharees.data;

    TRY(object_check_owner(change->object, change->caller, "share a key"));
    if (!sharing->share || n_users(change) >= quorum_of(change->object))
        TRY(object_manage(change->object, change->caller, "share a key"));
    for (size_t at = 0; at < change->content.sharees.len; at += ID_LEN) {
        struct slice name = next_name(&names);
        if (!slice_equal(name, sharing->name))
            put_sharee(change, name, ids + at);
    }
    if (sharing->share)
        put_sharee(change, sharing->name, sharing->user_id);
    TRY(bytes_ok(&change->names));
    TRY(bytes_ok(&change->sharees));
    CHECK(change->sharees.len <= (size_t)ID_LEN * SHAREES_MAX, STATUS_QUOTA_EXCEEDED,
          "an object can be shared with %u users", SHAREES_MAX);
    values_put_bytes(&change->attributes, ATTRIBUTE_SHARED_WITH, bytes_slice(&change->names));
    if (change->names.len == 0)
        values_remove(&change->attributes, ATTRIBUTE_SHARED_WITH);
    change->content.sharees = bytes_slice(&change->sharees);
    return STATUS_OK;
}

/* Writing back. */

/** What is stored with `content`, which may be changed, in place of the record that was read. */
static status_code prepare(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version,
                           const struct object_record *record, const struct values *attributes,
                           const struct content *content, struct resealed *memory, struct store_write *write)
{
    CLEANUP(bytes_release) struct bytes material = BYTES_SECRET;

    if (record->sealed_material.len)
        TRY(object_record_open_material(objects, id, version, record->encoded, record->sealed_material, &material));
    TRY(object_record_seal(objects, id, version + 1, content, bytes_slice(&material), &memory->value));
    *write =
        (struct store_write){.kind = STORE_OBJECT, .expected_version = version, .value = bytes_slice(&memory->value)};
    memcpy(write->id, id, ID_LEN);
    return object_put_tokens(objects, attributes, content, &memory->tokens, write);
}

static status_code write_back(struct objects *objects, struct change *change, const struct object_record *record,
                              uint64_t version)
{
    CLEANUP(resealed_release) struct resealed memory = RESEALED_INIT;
    const uint8_t *id = change->object->id;
    struct store_write write;
    uint64_t revision = 0;

    TRY(prepare(objects, id, version, record, &change->attributes, &change->content, &memory, &write));
    TRY(objects->node->store->operations->write(objects->node->store, &write, 1, &revision));
    objects_forget(objects, id);
    node_wrote(objects->node, revision);
    return STATUS_OK;
}

static status_code reseal_marker(struct objects *objects, const struct store_record *stored, struct slice encoded,
                                 struct resealed *memory, struct store_write *write)
{
    TRY(object_record_seal_marker(objects, stored->id, stored->version + 1, encoded, &memory->value));
    *write = (struct store_write){
        .kind = STORE_OBJECT, .expected_version = stored->version, .value = bytes_slice(&memory->value)};
    memcpy(write->id, stored->id, ID_LEN);
    return index_put_tokens(objects->node, &REMOVED_TERM, 1, &memory->tokens, write);
}

status_code object_reseal(struct node *node, const struct store_record *stored, struct resealed *memory,
                          struct store_write *write)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    struct objects *objects = node->objects;
    struct object_record record;
    struct values attributes;

    TRY(object_record_open(objects, stored->id, stored->version, stored->value, &plaintext, &record));
    if (record.removed)
        return reseal_marker(objects, stored, record.encoded, memory, write);
    TRY(values_decode_all(&ATTRIBUTE_SCHEMA, record.content.attributes, &attributes));
    return prepare(objects, stored->id, stored->version, &record, &attributes, &record.content, memory, write);
}

static status_code encode_attributes(struct change *change, struct bytes *encoded)
{
    encoded->limit = ATTRIBUTES_MAX;
    bytes_clear(encoded);
    values_encode(&ATTRIBUTE_SCHEMA, &change->attributes, encoded);
    TRY(bytes_ok(encoded));
    change->content.attributes = bytes_slice(encoded);
    return STATUS_OK;
}

static status_code tell(struct change *change, struct object_made *made)
{
    if (!made)
        return STATUS_OK;
    struct values told = change->attributes;
    values_remove(&told, ATTRIBUTE_VALUE);
    bytes_clear(&made->attributes);
    values_encode(&ATTRIBUTE_SCHEMA, &told, &made->attributes);
    return bytes_ok(&made->attributes);
}

static bool is_done(const struct change *change, struct slice request_id)
{
    struct slice done = change->content.change_requests;

    for (size_t at = 0; at < done.len; at += ID_LEN) {
        if (slice_equal(slice_of(done.data + at, ID_LEN), request_id))
            return true;
    }
    return false;
}

static status_code keep_request(struct change *change, struct slice request_id)
{
    struct slice earlier = change->content.change_requests;
    const size_t most = (size_t)ID_LEN * (CHANGES_KEPT - 1);

    bytes_append(&change->requests, request_id.data, request_id.len);
    bytes_append(&change->requests, earlier.data, earlier.len < most ? earlier.len : most);
    TRY(bytes_ok(&change->requests));
    change->content.change_requests = bytes_slice(&change->requests);
    return STATUS_OK;
}

static status_code change_token(struct objects *objects, const struct caller *caller, const uint8_t id[ID_LEN],
                                struct slice request_id, change_apply apply, const void *wish, struct object_made *made)
{
    CLEANUP(change_release) struct change change = {.caller = caller};
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT, plaintext = BYTES_INIT, encoded = BYTES_INIT;
    struct object_record record;
    uint64_t version;

    TRY(object_record_read_newest(objects, id, &value, &plaintext, &record, &version));
    TRY(object_from_record(objects, id, version, &record, &change.object));
    CHECK(object_sight(change.object, caller) != SIGHT_NONE, STATUS_OBJECT_NOT_FOUND,
          "there is no object with this id");
    change_begin(&change);
    if (is_done(&change, request_id))
        return tell(&change, made);
    TRY(apply(&change, wish));
    TRY(keep_request(&change, request_id));
    TRY(encode_attributes(&change, &encoded));
    TRY(write_back(objects, &change, &record, version));
    return tell(&change, made);
}

static status_code change_with_retry(struct objects *objects, const struct caller *caller, struct slice id,
                                     struct slice request_id, change_apply apply, const void *wish,
                                     struct object_made *made)
{
    status_code code = STATUS_CONFLICT;
    CHECK(id.len == ID_LEN, STATUS_INVALID_ARGUMENT, "an object id has %u bytes, not %zu", ID_LEN, id.len);
    CHECK(request_id.len == ID_LEN, STATUS_INVALID_ARGUMENT, "a request id has %u bytes, not %zu", ID_LEN,
          request_id.len);
    for (int attempt = 0; attempt < ATTEMPTS_MAX && code == STATUS_CONFLICT; attempt++)
        code = change_token(objects, caller, id.data, request_id, apply, wish, made);
    return code;
}

/** A session object's new state is a new blob; the old one is the client's to forget. */
static status_code change_session(struct objects *objects, const struct caller *caller, struct slice id,
                                  struct slice blob, const struct values *template, struct object_made *made)
{
    CLEANUP(change_release) struct change change = {.caller = caller};
    CLEANUP(bytes_release) struct bytes material = BYTES_SECRET, encoded = BYTES_INIT;
    struct key *key;

    TRY(object_get(objects, caller, id, blob, &change.object));
    change_begin(&change);
    if (template->present[0] | template->present[1]) /* else it is sealed anew, as it is */
        TRY(apply_set(&change, template));
    TRY(encode_attributes(&change, &encoded));
    if (holds_secret(values_uint(&change.attributes, ATTRIBUTE_CLASS, 0))) {
        TRY(object_key(change.object, &key));
        TRY(key_material(key, &material));
    }
    TRY(blob_seal(objects, caller->session_id, id.data, &change.content, bytes_slice(&material), &made->blob));
    return tell(&change, made);
}

status_code objects_set(struct objects *objects, const struct caller *caller, struct slice id, struct slice blob,
                        struct slice request_id, struct slice attributes, struct object_made *made)
{
    struct values template;
    CHECK(caller->role == ROLE_USER || caller->role == ROLE_ADMIN, STATUS_NOT_PERMITTED,
          "only crypto-users and administrators change attributes");
    TRY(values_decode_all(&ATTRIBUTE_SCHEMA, attributes, &template));
    if (blob.len)
        return change_session(objects, caller, id, blob, &template, made);
    return change_with_retry(objects, caller, id, request_id, apply_set, &template, made);
}

status_code objects_share(struct objects *objects, const struct caller *caller, struct slice id, struct slice user_name,
                          bool share, struct slice request_id)
{
    struct sharing sharing = {.share = share, .name = user_name};
    enum role role = ROLE_NONE;

    CHECK(user_name.len && !memchr(user_name.data, ',', user_name.len), STATUS_INVALID_ARGUMENT,
          "USER_NAME is no user's name");
    /* Sharing can be ended with a user who is gone. */
    if (share) {
        TRY(users_find(objects->node->users, user_name, sharing.user_id, &role));
        CHECK(role == ROLE_USER, STATUS_NOT_PERMITTED, "keys are shared with crypto-users only");
        CHECK(memcmp(sharing.user_id, caller->user_id, ID_LEN) != 0, STATUS_INVALID_ARGUMENT,
              "the owner needs no share");
    }
    return change_with_retry(objects, caller, id, request_id, apply_share, &sharing, NULL);
}
