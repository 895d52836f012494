/* Snapshots: an object as it is in memory, immutable and shared by reference.
 *
 * A snapshot is one block of memory with everything but the key. A token object's key is opened at its first use, from
 * the sealed material that the snapshot keeps until then: what is only looked at never has its key in memory. */
#include "object/object_internal.h"

#include <stdlib.h>

struct object *object_reference(struct object *object)
{
    atomic_fetch_add_explicit(&object->own->references, 1, memory_order_relaxed);
    return object;
}

void object_release(struct object **object)
{
    struct object *released = *object;
    *object = NULL;
    if (!released || atomic_fetch_sub_explicit(&released->own->references, 1, memory_order_acq_rel) != 1)
        return;
    key_release(released->key);
    bytes_release(&released->own->sealed);
    bytes_release(&released->own->blob);
    free(released);
}

/** One block: the object as far as its attributes go, the private part, the encoded content. */
static status_code object_new(struct objects *objects, const uint8_t id[ID_LEN], struct slice encoded,
                              struct object **object)
{
    size_t own_at = offsetof(struct object, attributes) + ATTRIBUTES_SIZE;
    size_t content_at = own_at + sizeof(struct object_private);
    uint8_t *block = malloc(content_at + encoded.len);
    CHECK(block, STATUS_OUT_OF_MEMORY, "no memory for an object");
    memset(block, 0, content_at);
    memcpy(block + content_at, encoded.data, encoded.len);
    struct object *made = (struct object *)block;
    made->own = (struct object_private *)(block + own_at);
    memcpy(made->id, id, ID_LEN);
    made->own->encoded = slice_of(block + content_at, encoded.len);
    made->own->objects = objects;
    atomic_init(&made->own->references, 1);
    *object = made;
    return STATUS_OK;
}

static status_code fill(struct object *object)
{
    struct object_private *own = object->own;
    TRY(content_decode(own->encoded, &own->content));
    TRY(values_decode_all(&ATTRIBUTE_SCHEMA, own->content.attributes, &object->attributes));
    object->always_authenticate = values_bool(&object->attributes, ATTRIBUTE_ALWAYS_AUTHENTICATE, false);
    object->quorum_use = (uint8_t)values_uint(&object->attributes, ATTRIBUTE_QUORUM_USE, 0);
    object->quorum_management = (uint8_t)values_uint(&object->attributes, ATTRIBUTE_QUORUM_MANAGEMENT, 0);
    memcpy(object->owner_id, own->content.owner_id.data, ID_LEN);
    own->everybody = !values_bool(&object->attributes, ATTRIBUTE_PRIVATE, true) &&
                     !holds_secret(values_uint(&object->attributes, ATTRIBUTE_CLASS, 0));
    own->first_day = day_of(values_bytes(&object->attributes, ATTRIBUTE_START_DATE));
    own->last_day = day_of(values_bytes(&object->attributes, ATTRIBUTE_END_DATE));
    return STATUS_OK;
}

status_code object_from_record(struct objects *objects, const uint8_t id[ID_LEN], uint64_t version,
                               const struct object_record *record, struct object **object)
{
    CLEANUP(object_release) struct object *made = NULL;
    CHECK(!record->removed, STATUS_OBJECT_NOT_FOUND, "the object was deleted");
    TRY(object_new(objects, id, record->encoded, &made));
    made->version = version;
    made->token = true;
    TRY(fill(made));
    made->own->sealed.limit = record->sealed_material.len;
    TRY(bytes_assign(&made->own->sealed, record->sealed_material));
    *object = made;
    made = NULL;
    return STATUS_OK;
}

static status_code open_material(struct object *object, struct slice material, struct key **key)
{
    enum object_class class = (enum object_class)values_uint(&object->attributes, ATTRIBUTE_CLASS, 0);
    enum key_type type = (enum key_type)values_uint(&object->attributes, ATTRIBUTE_KEY_TYPE, 0);
    if (class == CLASS_PUBLIC_KEY)
        material = values_bytes(&object->attributes, ATTRIBUTE_PUBLIC_KEY_INFO);
    return key_open(class, type, material, true, key);
}

status_code object_from_blob(struct objects *objects, const uint8_t session_id[ID_LEN], const uint8_t id[ID_LEN],
                             struct slice blob, struct object **object)
{
    CLEANUP(object_release) struct object *made = NULL;
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    struct slice encoded, material;

    TRY(blob_open(objects, session_id, id, blob, &plaintext, &encoded, &material));
    TRY(object_new(objects, id, encoded, &made));
    made->version = 1;
    TRY(fill(made));
    memcpy(made->own->session_id, session_id, ID_LEN);
    made->own->blob.limit = blob.len;
    TRY(bytes_assign(&made->own->blob, blob));
    if (is_key_class(values_uint(&made->attributes, ATTRIBUTE_CLASS, 0)))
        TRY(open_material(made, material, &made->key));
    *object = made;
    made = NULL;
    return STATUS_OK;
}

/** Under the opening lock of the object. */
static status_code open_key(struct object *object)
{
    CLEANUP(bytes_release) struct bytes material = BYTES_SECRET;
    struct object_private *own = object->own;
    struct key *key = NULL;

    if (own->sealed.len)
        TRY(object_record_open_material(own->objects, object->id, object->version, own->encoded,
                                        bytes_slice(&own->sealed), &material));
    TRY(open_material(object, bytes_slice(&material), &key));
    __atomic_store_n(&object->key, key, __ATOMIC_RELEASE);
    bytes_release(&own->sealed);
    return STATUS_OK;
}

status_code object_key(struct object *object, struct key **key)
{
    struct key *opened = __atomic_load_n(&object->key, __ATOMIC_ACQUIRE);
    if (opened) {
        *key = opened;
        return STATUS_OK;
    }
    CHECK(is_key_class(values_uint(&object->attributes, ATTRIBUTE_CLASS, 0)), STATUS_KEY_TYPE_INCONSISTENT,
          "the object is not a key");
    pthread_mutex_t *lock = &object->own->objects->opening[object->id[0] % OPENING_LOCKS];
    pthread_mutex_lock(lock);
    status_code code = object->key ? STATUS_OK : open_key(object);
    *key = object->key;
    pthread_mutex_unlock(lock);
    return code;
}
