/* The objects of a node: found by id or opened from a blob, and checked for who may see and use them. The hot path of
 * every cryptographic operation is objects_get and object_use here: no allocation, one short lock, one look at each
 * attribute that matters. */
#include "object/object_internal.h"
#include "quorum/quorum.h"
#include "user/use_proof.h"

#include <stdlib.h>
#include <time.h>

status_code objects_open(struct node *node, struct objects **objects)
{
    struct objects *made = calloc(1, sizeof *made);
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the objects");
    made->node = node;
    for (unsigned i = 0; i < OPENING_LOCKS; i++)
        pthread_mutex_init(&made->opening[i], NULL);
    status_code code = cache_create(node->config.object_cache, &made->tokens);
    if (code == STATUS_OK)
        code = cache_create(node->config.object_cache, &made->sessions);
    if (code == STATUS_OK)
        code = quota_create(&made->quota);
    if (code != STATUS_OK) {
        objects_close(made);
        return code;
    }
    *objects = made;
    return STATUS_OK;
}

void objects_close(struct objects *objects)
{
    if (!objects)
        return;
    cache_free(objects->tokens);
    cache_free(objects->sessions);
    quota_free(objects->quota);
    for (unsigned i = 0; i < OPENING_LOCKS; i++)
        pthread_mutex_destroy(&objects->opening[i]);
    free(objects);
}

void objects_forget(struct objects *objects, const uint8_t id[ID_LEN])
{
    cache_forget(objects->tokens, id);
}

void objects_forget_all(struct objects *objects)
{
    cache_clear(objects->tokens);
}

void objects_forget_session_objects(struct objects *objects)
{
    cache_clear(objects->sessions);
}

void object_made_release(struct object_made *made)
{
    bytes_release(&made->attributes);
    bytes_release(&made->blob);
    bytes_release(&made->answer);
}

/* Who sees what. */

static bool is_sharee(struct slice sharees, const uint8_t user_id[ID_LEN])
{
    for (size_t at = 0; at + ID_LEN <= sharees.len; at += ID_LEN)
        if (memcmp(sharees.data + at, user_id, ID_LEN) == 0)
            return true;
    return false;
}

static enum sight sight_of(const struct content *content, bool everybody, const struct caller *caller)
{
    if (caller->role == ROLE_USER && memcmp(content->owner_id.data, caller->user_id, ID_LEN) == 0)
        return SIGHT_AS_OWNER;
    if (caller->role == ROLE_USER && content->sharees.len && is_sharee(content->sharees, caller->user_id))
        return SIGHT_AS_SHAREE;
    if (everybody && caller->role != ROLE_NONE)
        return SIGHT_AS_EVERYBODY;
    return caller->role == ROLE_ADMIN ? SIGHT_METADATA : SIGHT_NONE;
}

enum sight object_sight(const struct object *object, const struct caller *caller)
{
    return sight_of(&object->own->content, object->own->everybody, caller);
}

enum sight content_sight(const struct content *content, const struct values *attributes, const struct caller *caller)
{
    bool everybody =
        !values_bool(attributes, ATTRIBUTE_PRIVATE, true) && !holds_secret(values_uint(attributes, ATTRIBUTE_CLASS, 0));
    return sight_of(content, everybody, caller);
}

bool object_has_user(const struct object *object, const uint8_t user_id[ID_LEN])
{
    return memcmp(object->owner_id, user_id, ID_LEN) == 0 || is_sharee(object->own->content.sharees, user_id);
}

status_code object_manage(const struct object *object, const struct caller *caller, const char *what)
{
    TRY(object_check_owner(object, caller, what));
    return quorum_check_key(object->own->objects->node, caller, QUORUM_KEY_MANAGEMENT, object,
                            object->quorum_management);
}

status_code object_check_owner(const struct object *object, const struct caller *caller, const char *what)
{
    CHECK(object_sight(object, caller) == SIGHT_AS_OWNER, STATUS_NOT_PERMITTED, "only the owner may %s", what);
    return STATUS_OK;
}

/* Finding by id or blob. */

static status_code load(struct objects *objects, const uint8_t id[ID_LEN], uint64_t generation, struct object **object)
{
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT, plaintext = BYTES_INIT;
    struct object_record record;
    uint64_t version = 0;

    TRY(object_record_read_newest(objects, id, &value, &plaintext, &record, &version));
    TRY(object_from_record(objects, id, version, &record, object));
    cache_insert(objects->tokens, id, generation, *object);
    return STATUS_OK;
}

static status_code get_token(struct objects *objects, const struct caller *caller, const uint8_t id[ID_LEN],
                             struct object **object)
{
    uint64_t generation;
    struct object *found = cache_find(objects->tokens, id, &generation);
    if (!found)
        TRY(load(objects, id, generation, &found));
    if (object_sight(found, caller) == SIGHT_NONE) {
        object_release(&found);
        FAIL(STATUS_OBJECT_NOT_FOUND, "there is no object with this id");
    }
    *object = found;
    return STATUS_OK;
}

static bool is_opened_from(const struct object *object, const struct caller *caller, const uint8_t id[ID_LEN],
                           struct slice blob)
{
    return memcmp(object->id, id, ID_LEN) == 0 && memcmp(object->own->session_id, caller->session_id, ID_LEN) == 0 &&
           slice_equal(bytes_slice(&object->own->blob), blob);
}

static status_code get_session(struct objects *objects, const struct caller *caller, const uint8_t id[ID_LEN],
                               struct slice blob, struct object **object)
{
    uint64_t generation;
    CHECK(blob.len > SEAL_OVERHEAD && blob.len <= BLOB_MAX, STATUS_INVALID_ARGUMENT, "BLOB is not a session object");
    struct object *found = cache_find(objects->sessions, blob_cache_key(blob), &generation);
    if (found && is_opened_from(found, caller, id, blob)) {
        *object = found;
        return STATUS_OK;
    }
    object_release(&found);
    TRY(object_from_blob(objects, caller->session_id, id, blob, object));
    cache_insert(objects->sessions, blob_cache_key(blob), generation, *object);
    return STATUS_OK;
}

status_code object_get(struct objects *objects, const struct caller *caller, struct slice id, struct slice blob,
                       struct object **object)
{
    CHECK(id.len == ID_LEN, STATUS_INVALID_ARGUMENT, "an object id has %u bytes, not %zu", ID_LEN, id.len);
    return blob.len ? get_session(objects, caller, id.data, blob, object) : get_token(objects, caller, id.data, object);
}

/* Use. */

uint32_t today(struct node *node)
{
    time_t seconds = (time_t)(node_now_ms(node) / 1000);
    struct tm date;
    gmtime_r(&seconds, &date);
    return (uint32_t)((date.tm_year + 1900) * 10000 + (date.tm_mon + 1) * 100 + date.tm_mday);
}

static status_code check_dates(const struct object *object)
{
    const struct object_private *own = object->own;
    uint32_t day = today(own->objects->node);
    CHECK(!own->first_day || day >= own->first_day, STATUS_KEY_FUNCTION_NOT_PERMITTED,
          "the key may not be used before its START_DATE, %u", own->first_day);
    CHECK(!own->last_day || day <= own->last_day, STATUS_KEY_FUNCTION_NOT_PERMITTED,
          "the key may not be used after its END_DATE, %u", own->last_day);
    return STATUS_OK;
}

/* The padded mode whose unpadded one carries all but the last part of a long payload; or the mechanism itself. */
static uint64_t padded_mode(uint64_t type)
{
    switch (type) {
    case MECHANISM_AES_CBC:
        return MECHANISM_AES_CBC_PAD;
    case MECHANISM_DES3_CBC:
        return MECHANISM_DES3_CBC_PAD;
    default:
        return type;
    }
}

static status_code check_mechanism(const struct object *object, const struct mechanism *mechanism)
{
    struct slice allowed = values_bytes(&object->attributes, ATTRIBUTE_ALLOWED_MECHANISMS);
    uint64_t type = mechanism->type;
    CHECK(uints_contain(allowed, type) || uints_contain(allowed, type | (uint64_t)mechanism->hash << 16) ||
              uints_contain(allowed, padded_mode(type)),
          STATUS_MECHANISM_INVALID, "the key's ALLOWED_MECHANISMS do not name %s",
          mechanism_info(type) ? mechanism_info(type)->name : "this mechanism");
    return STATUS_OK;
}

status_code object_use(struct object *object, const struct caller *caller, uint32_t usage_attribute,
                       const struct mechanism *mechanism, struct key **key)
{
    const struct object_private *own = object->own;

    CHECK(object_sight(object, caller) >= SIGHT_AS_EVERYBODY && caller->role == ROLE_USER, STATUS_NOT_PERMITTED,
          "only crypto-users use keys: the owner, and those with whom he shares them");
    CHECK(values_bool(&object->attributes, usage_attribute, false), STATUS_KEY_FUNCTION_NOT_PERMITTED,
          "the key's attribute %s is not true", attribute_name(usage_attribute));
    if (mechanism && values_has(&object->attributes, ATTRIBUTE_ALLOWED_MECHANISMS))
        TRY(check_mechanism(object, mechanism));
    if ((own->first_day || own->last_day) && holds_secret(values_uint(&object->attributes, ATTRIBUTE_CLASS, 0)))
        TRY(check_dates(object));
    if (object->always_authenticate)
        TRY(use_proof_check(own->objects->node, caller, object->id));
    if (object->quorum_use && usage_attribute != ATTRIBUTE_VERIFY) /* checking a MAC hands out nothing */
        TRY(quorum_check_key(own->objects->node, caller, QUORUM_KEY_USE, object, object->quorum_use));
    return object_key(object, key);
}

static status_code check_wrappable(const struct object *object, const struct object *wrapping)
{
    const struct values *attributes = &object->attributes;
    struct values template;
    uint32_t first;

    CHECK(attribute_flag(object, ATTRIBUTE_EXTRACTABLE), STATUS_KEY_UNEXTRACTABLE, "the key's EXTRACTABLE is not true");
    CHECK(!attribute_flag(object, ATTRIBUTE_WRAP_WITH_TRUSTED) || attribute_flag(wrapping, ATTRIBUTE_TRUSTED),
          STATUS_KEY_NOT_WRAPPABLE, "the key is to be wrapped by a key only that an administrator marked TRUSTED");
    if (!values_has(&wrapping->attributes, ATTRIBUTE_WRAP_TEMPLATE))
        return STATUS_OK;
    TRY(values_decode_all(&ATTRIBUTE_SCHEMA, values_bytes(&wrapping->attributes, ATTRIBUTE_WRAP_TEMPLATE), &template));
    CHECK(attributes_match(attributes, &template, &first), STATUS_KEY_NOT_WRAPPABLE,
          "the wrapping key's WRAP_TEMPLATE does not allow the %s of this key", attribute_name(first));
    return STATUS_OK;
}

status_code object_may_wrap(struct object *object, const struct caller *caller, const struct object *wrapping)
{
    CHECK(holds_secret(values_uint(&object->attributes, ATTRIBUTE_CLASS, 0)), STATUS_KEY_UNEXTRACTABLE,
          "only secret and private keys are wrapped");
    TRY(object_check_owner(object, caller, "wrap a key"));
    TRY(check_wrappable(object, wrapping));
    return object_manage(object, caller, "wrap a key");
}

/* Telling. */

static status_code material_for(struct object *object, const struct caller *caller, struct bytes *material)
{
    struct key *key;
    CHECK(object_sight(object, caller) == SIGHT_AS_OWNER, STATUS_ATTRIBUTE_SENSITIVE, "only the owner exports a key");
    CHECK(attribute_flag(object, ATTRIBUTE_EXTRACTABLE) && !attribute_flag(object, ATTRIBUTE_SENSITIVE) &&
              !attribute_flag(object, ATTRIBUTE_WRAP_WITH_TRUSTED),
          STATUS_ATTRIBUTE_SENSITIVE,
          "VALUE leaves the cluster only if the key is EXTRACTABLE, and neither SENSITIVE nor WRAP_WITH_TRUSTED");
    TRY(object_manage(object, caller, "export a key"));
    TRY(object_key(object, &key));
    return key_material(key, material);
}

status_code object_describe(struct object *object, const struct caller *caller, struct slice wanted,
                            struct bytes *attributes)
{
    CLEANUP(bytes_release) struct bytes material = BYTES_SECRET;
    struct values told;
    uint64_t class = values_uint(&object->attributes, ATTRIBUTE_CLASS, 0);
    bool secret = holds_secret(class);

    bool wants_value = wanted.len && uints_contain(wanted, ATTRIBUTE_VALUE);

    CHECK(!wants_value || object_sight(object, caller) > SIGHT_METADATA, STATUS_ATTRIBUTE_SENSITIVE,
          "administrators see what describes an object, not its VALUE");
    TRY(attributes_select(&object->attributes, wanted, &told));
    if (secret && wants_value) {
        TRY(material_for(object, caller, &material));
        values_put_bytes(&told, ATTRIBUTE_VALUE, bytes_slice(&material));
    }
    values_encode(&ATTRIBUTE_SCHEMA, &told, attributes);
    return bytes_ok(attributes);
}
