/* Creating objects: every key, certificate and data object that comes into being passes through objects_create.
 *
 * Token objects of one call are one write: all or none. An id that is taken by the same request is success, with what
 * is stored; taken by another, or by what was deleted, it is ALREADY_EXISTS. Session objects become blobs; nothing of
 * them stays on the node. */
#include "object/object_internal.h"

#include <stdlib.h>

/* A pair is the most that one request makes. */
#define NEWS_MAX 2u

static bool is_token(const struct object_new *new)
{
    struct values template;
    return object_template(new, &template) == STATUS_OK && values_bool(&template, ATTRIBUTE_TOKEN, false);
}

/* What was stored by an earlier sending of the same request. */

static status_code tell_stored(struct objects *objects, const struct caller *caller, const struct object_new *new,
                               struct object_made *made)
{
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT, plaintext = BYTES_INIT;
    struct object_record record;
    struct values attributes;
    uint64_t version;

    TRY(object_record_read(objects, new->id.data, &value, &plaintext, &record, &version));
    CHECK(!record.removed, STATUS_ALREADY_EXISTS, "this id was that of an object that was deleted");
    CHECK(slice_equal(record.content.creation_request, new->request_id) &&
              slice_equal(record.content.owner_id, slice_of(caller->user_id, ID_LEN)),
          STATUS_ALREADY_EXISTS, "another request made an object with this id");
    TRY(values_decode_all(&ATTRIBUTE_SCHEMA, record.content.attributes, &attributes));
    values_remove(&attributes, ATTRIBUTE_VALUE);
    bytes_clear(&made->attributes);
    values_encode(&ATTRIBUTE_SCHEMA, &attributes, &made->attributes);
    TRY(bytes_ok(&made->attributes));
    return bytes_assign(&made->answer, record.content.answer);
}

static status_code check_ids(const struct object_new *new)
{
    CHECK(new->id.len == ID_LEN, STATUS_INVALID_ARGUMENT, "an object id has %u bytes, not %zu", ID_LEN, new->id.len);
    CHECK(new->request_id.len == ID_LEN, STATUS_INVALID_ARGUMENT, "a request id has %u bytes, not %zu", ID_LEN,
          new->request_id.len);
    return STATUS_OK;
}

status_code objects_created(struct objects *objects, const struct caller *caller, const struct object_new *news,
                            size_t n, bool *done, struct object_made *mades)
{
    size_t n_tokens = 0, n_found = 0;
    for (size_t i = 0; i < n; i++) {
        TRY(check_ids(&news[i]));
        if (!is_token(&news[i]))
            continue;
        n_tokens++;
        status_code code = tell_stored(objects, caller, &news[i], &mades[i]);
        if (code == STATUS_OBJECT_NOT_FOUND)
            continue;
        TRY(code);
        n_found++;
    }
    CHECK(n_found == 0 || n_found == n_tokens, STATUS_ALREADY_EXISTS,
          "another creation with this request id made one of the objects");
    *done = n_found > 0;
    return STATUS_OK;
}

/* What one new object becomes. */

struct making {
    struct draft draft;
    struct bytes encoded, material;
    struct resealed memory; /* what `write` refers to */
    struct store_write write;
    bool token;
};

static void making_release(struct making *making)
{
    draft_release(&making->draft);
    bytes_release(&making->encoded);
    bytes_release(&making->material);
    resealed_release(&making->memory);
}

static status_code take_material(struct making *making, const struct values *attributes)
{
    making->material.secret = true;
    if (!holds_secret(values_uint(attributes, ATTRIBUTE_CLASS, 0)))
        return STATUS_OK; /* a public key is in its attributes */
    return key_material(making->draft.key, &making->material);
}

static status_code prepare_write(struct objects *objects, const struct object_new *new, const struct content *content,
                                 struct making *making)
{
    TRY(object_record_seal(objects, new->id.data, 1, content, bytes_slice(&making->material), &making->memory.value));
    making->write = (struct store_write){.kind = STORE_OBJECT, .value = bytes_slice(&making->memory.value)};
    memcpy(making->write.id, new->id.data, ID_LEN);
    return object_put_tokens(objects, &making->draft.attributes, content, &making->memory.tokens, &making->write);
}

static status_code prepare(struct objects *objects, const struct caller *caller, const struct object_new *new,
                           struct making *making, struct object_made *made)
{
    const struct values *attributes = &making->draft.attributes;

    TRY(check_ids(new));
    TRY(draft_make(objects, caller, new, &making->draft));
    making->encoded.limit = ATTRIBUTES_MAX;
    values_encode(&ATTRIBUTE_SCHEMA, attributes, &making->encoded);
    TRY(bytes_ok(&making->encoded));
    TRY(take_material(making, attributes));

    const struct content content = {.attributes = bytes_slice(&making->encoded),
                                    .owner_id = slice_of(caller->user_id, ID_LEN),
                                    .creation_request = new->request_id,
                                    .answer = new->answer};
    making->token = values_bool(attributes, ATTRIBUTE_TOKEN, false);
    if (!making->token)
        return blob_seal(objects, caller->session_id, new->id.data, &content, bytes_slice(&making->material),
                         &made->blob);
    return prepare_write(objects, new, &content, making);
}

static status_code tell_made(const struct object_new *new, const struct making *making, struct object_made *made)
{
    struct values told = making->draft.attributes;
    values_remove(&told, ATTRIBUTE_VALUE);
    bytes_clear(&made->attributes);
    values_encode(&ATTRIBUTE_SCHEMA, &told, &made->attributes);
    TRY(bytes_ok(&made->attributes));
    return bytes_assign(&made->answer, new->answer);
}

static status_code store(struct objects *objects, const struct caller *caller, size_t n, const struct making *makings)
{
    struct store_write writes[NEWS_MAX];
    size_t n_writes = 0;
    uint64_t revision = 0;

    for (size_t i = 0; i < n; i++)
        if (makings[i].token)
            writes[n_writes++] = makings[i].write;
    if (n_writes == 0)
        return STATUS_OK;
    TRY(quota_take(objects, caller->user_id, n_writes));
    TRY(objects->node->store->operations->write(objects->node->store, writes, n_writes, &revision));
    node_wrote(objects->node, revision);
    return STATUS_OK;
}

/** Whose are the ids that turned out to be taken? */
static status_code resolve_taken(struct objects *objects, const struct caller *caller, const struct object_new *news,
                                 size_t n, struct object_made *mades)
{
    bool done = false;
    TRY(objects_created(objects, caller, news, n, &done, mades));
    /* Perhaps this very creation, by another node, which this one does not see yet. */
    CHECK(done, STATUS_BUSY, "an object with this id stands in the way of this one, but cannot be seen yet");
    return STATUS_OK;
}

static status_code create(struct objects *objects, const struct caller *caller, const struct object_new *news, size_t n,
                          struct making *makings, struct object_made *mades)
{
    CHECK(caller->role == ROLE_USER, STATUS_NOT_PERMITTED, "only crypto-users make objects");
    for (size_t i = 0; i < n; i++)
        TRY(prepare(objects, caller, &news[i], &makings[i], &mades[i]));
    CHECK(n < 2 || memcmp(news[0].id.data, news[1].id.data, ID_LEN) != 0, STATUS_INVALID_ARGUMENT,
          "the two keys of a pair need different ids");
    status_code code = store(objects, caller, n, makings);
    if (code == STATUS_ALREADY_EXISTS)
        return resolve_taken(objects, caller, news, n, mades);
    TRY(code);
    for (size_t i = 0; i < n; i++)
        TRY(tell_made(&news[i], &makings[i], &mades[i]));
    return STATUS_OK;
}

status_code objects_create(struct objects *objects, const struct caller *caller, const struct object_new *news,
                           size_t n, struct object_made *mades)
{
    struct making makings[NEWS_MAX];
    CHECK(n >= 1 && n <= NEWS_MAX, STATUS_INTERNAL, "%zu objects in one creation", n);
    memset(makings, 0, sizeof makings);
    status_code code = create(objects, caller, news, n, makings, mades);
    for (size_t i = 0; i < n; i++)
        making_release(&makings[i]);
    return code;
}
