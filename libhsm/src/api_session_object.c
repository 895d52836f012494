/* Session objects of a session: sealed blobs by object id. Looked up by every use of a key, so a session without any
 * answers without taking the lock. */
#include "api_session_internal.h"

#include <stdlib.h>
#include "protocol/secret.h"

struct session_object {
    _Atomic uint32_t n_references;
    uint8_t id[ID_LEN];
    size_t blob_len, attributes_len;
    uint8_t data[]; /* blob, attributes */
};

/* Open addressing over a power of two; ids are random, so their first bytes are a hash. */
struct object_table {
    size_t capacity;
    size_t n_used; /* slots that are or were taken */
    struct session_object *slots[];
};

#define FIRST_CAPACITY 16u

/* Stands where an object was removed. */
static struct session_object removed;

struct slice session_object_id(const struct session_object *object)
{
    return slice_of(object->id, ID_LEN);
}

struct slice session_object_blob(const struct session_object *object)
{
    return slice_of(object->data, object->blob_len);
}

struct slice session_object_attributes(const struct session_object *object)
{
    return slice_of(object->data + object->blob_len, object->attributes_len);
}

void session_object_release(struct session_object *object)
{
    if (object && atomic_fetch_sub_explicit(&object->n_references, 1, memory_order_acq_rel) == 1)
        free(object);
}

static struct session_object *object_new(const uint8_t id[ID_LEN], struct slice blob, struct slice attributes)
{
    struct session_object *object = (struct session_object *)malloc(sizeof(*object) + blob.len + attributes.len);

    if (!object)
        return NULL;
    atomic_init(&object->n_references, 1);
    memcpy(object->id, id, ID_LEN);
    object->blob_len = blob.len;
    object->attributes_len = attributes.len;
    if (blob.len)
        memcpy(object->data, blob.data, blob.len);
    if (attributes.len)
        memcpy(object->data + blob.len, attributes.data, attributes.len);
    return object;
}

/* The slot that holds `id`, or the free one where it would go. */
static size_t slot_of(const struct object_table *table, const uint8_t id[ID_LEN])
{
    uint64_t hash;

    memcpy(&hash, id, sizeof(hash));
    for (size_t at = (size_t)hash & (table->capacity - 1);; at = (at + 1) & (table->capacity - 1)) {
        const struct session_object *object = table->slots[at];

        if (!object || (object != &removed && memcmp(object->id, id, ID_LEN) == 0))
            return at;
    }
}

static struct object_table *table_new(size_t capacity)
{
    struct object_table *table =
        (struct object_table *)calloc(1, sizeof(*table) + capacity * sizeof(struct session_object *));

    if (table)
        table->capacity = capacity;
    return table;
}

/* A larger table with the same objects. */
static struct object_table *table_grown(const struct object_table *from, size_t n_objects)
{
    size_t capacity = FIRST_CAPACITY;

    while (capacity < 4 * (n_objects + 1))
        capacity *= 2;
    struct object_table *table = table_new(capacity);
    for (size_t i = 0; table && from && i < from->capacity; i++) {
        struct session_object *object = from->slots[i];

        if (!object || object == &removed)
            continue;
        table->slots[slot_of(table, object->id)] = object;
        table->n_used++;
    }
    return table;
}

/* With the lock held: a table that has room for one more. */
static struct object_table *table_with_room(hsm_session *session, struct object_table **old)
{
    struct object_table *table = session->objects;

    if (table && 2 * (table->n_used + 1) <= table->capacity)
        return table;
    struct object_table *grown = table_grown(table, session->n_objects);
    if (!grown)
        return NULL;
    *old = table;
    session->objects = grown;
    return grown;
}

struct session_object *session_object_find(hsm_session *session, const uint8_t id[ID_LEN])
{
    struct session_object *found = NULL;

    if (atomic_load_explicit(&session->n_objects, memory_order_acquire) == 0)
        return NULL;
    api_lock_take(&session->lock);
    if (session->objects)
        found = session->objects->slots[slot_of(session->objects, id)];
    if (found)
        atomic_fetch_add_explicit(&found->n_references, 1, memory_order_relaxed);
    api_lock_give(&session->lock);
    return found;
}

status_code session_object_keep(hsm_session *session, const uint8_t id[ID_LEN], struct slice blob,
                                struct slice attributes)
{
    struct session_object *object = object_new(id, blob, attributes), *replaced = NULL;
    struct object_table *old = NULL;

    CHECK(object, STATUS_OUT_OF_MEMORY, "no memory for a session object");
    api_lock_take(&session->lock);
    struct object_table *table = table_with_room(session, &old);
    if (table) {
        size_t slot = slot_of(table, id);

        replaced = table->slots[slot];
        table->n_used += replaced == NULL;
        table->slots[slot] = object;
        if (!replaced)
            atomic_fetch_add_explicit(&session->n_objects, 1, memory_order_release);
    }
    api_lock_give(&session->lock);
    free(old);
    session_object_release(table ? replaced : object);
    CHECK(table, STATUS_OUT_OF_MEMORY, "no memory for a session object");
    return STATUS_OK;
}

status_code session_object_exchange(hsm_session *session, struct session_object *own, struct slice blob,
                                    struct slice attributes)
{
    struct session_object *object = object_new(own->id, blob, attributes), *released = object;

    CHECK(object, STATUS_OUT_OF_MEMORY, "no memory for a session object");
    api_lock_take(&session->lock);
    struct session_object **slot =
        session->objects ? &session->objects->slots[slot_of(session->objects, own->id)] : NULL;

    if (slot && *slot == own) {
        *slot = object;
        released = own;
    }
    api_lock_give(&session->lock);
    session_object_release(released);
    return STATUS_OK;
}

bool session_object_forget(hsm_session *session, const uint8_t id[ID_LEN])
{
    struct session_object *found = NULL;

    api_lock_take(&session->lock);
    if (session->objects) {
        size_t slot = slot_of(session->objects, id);

        found = session->objects->slots[slot];
        if (found) {
            session->objects->slots[slot] = &removed;
            atomic_fetch_sub_explicit(&session->n_objects, 1, memory_order_release);
        }
    }
    api_lock_give(&session->lock);
    session_object_release(found);
    return found != NULL;
}

/* With the lock held. */
static size_t reference_all(const struct object_table *table, struct session_object **to, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; table && i < table->capacity && n < room; i++) {
        struct session_object *object = table->slots[i];

        if (!object || object == &removed)
            continue;
        atomic_fetch_add_explicit(&object->n_references, 1, memory_order_relaxed);
        to[n++] = object;
    }
    return n;
}

status_code session_objects_all(hsm_session *session, struct session_object ***objects, size_t *n)
{
    size_t room = atomic_load(&session->n_objects);
    struct session_object **all = (struct session_object **)calloc(room + 1, sizeof(*all));

    CHECK(all, STATUS_OUT_OF_MEMORY, "no memory for %zu session objects", room);
    api_lock_take(&session->lock);
    *n = reference_all(session->objects, all, room);
    api_lock_give(&session->lock);
    *objects = all;
    return STATUS_OK;
}

void session_objects_drop(hsm_session *session)
{
    api_lock_take(&session->lock);
    struct object_table *table = session->objects;
    session->objects = NULL;
    atomic_store_explicit(&session->n_objects, 0, memory_order_release);
    api_lock_give(&session->lock);
    for (size_t i = 0; table && i < table->capacity; i++) {
        if (table->slots[i] != &removed)
            session_object_release(table->slots[i]);
    }
    free(table);
}
