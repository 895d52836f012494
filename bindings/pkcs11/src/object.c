/* The table of handles, and what is known of the objects for a moment. */
#include "object.h"

#include <stdlib.h>
#include <time.h>
#include "slot.h"

/* How long attributes are taken for what they were: others may change them, and a program sees it this much later. */
#define FACTS_MS 2000

struct object_facts {
    unsigned n_users; /* guarded by the module's lock */
    uint64_t read_ms;
    hsm_attributes *attributes;
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- facts --- */

static struct object_facts *facts_new(hsm_attributes *attributes)
{
    struct object_facts *facts = attributes ? malloc(sizeof(*facts)) : NULL;

    if (facts)
        *facts = (struct object_facts){1, now_ms(), attributes};
    return facts;
}

/* Under the module's lock. */
static void facts_drop(struct object_facts *facts)
{
    if (!facts || --facts->n_users > 0)
        return;
    hsm_attributes_free(facts->attributes);
    free(facts);
}

const hsm_attributes *object_facts_attributes(const struct object_facts *facts)
{
    return facts->attributes;
}

void object_facts_release(struct object_facts **facts)
{
    module_lock();
    facts_drop(*facts);
    module_unlock();
    *facts = NULL;
}

/* --- the table --- */

static size_t hash_of(const hsm_key *key)
{
    size_t hash;

    memcpy(&hash, key->id, sizeof(hash)); /* ids are random */
    return hash;
}

/* Where a key's index is, or would be. */
static size_t *place_of(const struct object_table *table, const hsm_key *key)
{
    size_t i = hash_of(key) & (table->n_slots - 1);

    while (table->slots[i] && !hsm_key_equal(table->objects[table->slots[i] - 1].key, *key))
        i = (i + 1) & (table->n_slots - 1);
    return &table->slots[i];
}

static CK_RV grow_slots(struct object_table *table)
{
    size_t n = table->n_slots ? 2 * table->n_slots : 256;
    size_t *slots = calloc(n, sizeof(*slots)), *old = table->slots;

    CHECK(slots, CKR_HOST_MEMORY);
    table->slots = slots;
    table->n_slots = n;
    /* The newest handle of a key is the one that counts: the others are of logins that ended. */
    for (size_t i = 0; i < table->n; i++)
        *place_of(table, &table->objects[i].key) = i + 1;
    free(old);
    return CKR_OK;
}

static CK_RV grow_objects(struct object_table *table)
{
    size_t room = table->room ? 2 * table->room : 128;
    struct object *objects = reallocarray(table->objects, room, sizeof(*objects));

    CHECK(objects, CKR_HOST_MEMORY);
    table->objects = objects;
    table->room = room;
    return CKR_OK;
}

static CK_RV make_room(struct object_table *table)
{
    if (table->n == table->room)
        TRY(grow_objects(table));
    if (2 * table->n >= table->n_slots)
        TRY(grow_slots(table));
    return CKR_OK;
}

static void set_facts(struct object *object, struct object_facts *facts)
{
    if (!facts)
        return;
    facts_drop(object->facts);
    object->facts = facts;
    object->secret = hsm_attributes_bool(facts->attributes, HSM_ATTR_PRIVATE, 1);
}

static CK_RV handle_of(struct object_table *table, hsm_key key, CK_SESSION_HANDLE session, struct object_facts *facts,
                       CK_OBJECT_HANDLE *handle)
{
    TRY(make_room(table));
    size_t *place = place_of(table, &key);

    if (*place == 0 || table->objects[*place - 1].gone) {
        table->objects[table->n] = (struct object){.key = key, .session = session, .secret = true};
        *place = ++table->n;
        table->n_of_sessions += session != CK_INVALID_HANDLE;
    }
    set_facts(&table->objects[*place - 1], facts);
    *handle = *place;
    return CKR_OK;
}

CK_RV object_handle(struct slot *slot, hsm_key key, CK_SESSION_HANDLE session, hsm_attributes *attributes,
                    CK_OBJECT_HANDLE *handle)
{
    struct object_facts *facts = facts_new(attributes);

    if (attributes && !facts)
        hsm_attributes_free(attributes);
    module_lock();
    CK_RV result = handle_of(&slot->objects, key, session, facts, handle);

    if (result != CKR_OK)
        facts_drop(facts);
    module_unlock();
    return result;
}

/* Under the module's lock. */
static struct object *object_at(struct slot *slot, CK_OBJECT_HANDLE handle)
{
    struct object_table *table = &slot->objects;
    struct object *object = handle > 0 && handle <= table->n ? &table->objects[handle - 1] : NULL;

    return object && !object->gone ? object : NULL;
}

CK_RV object_find(struct slot *slot, CK_OBJECT_HANDLE handle, struct object_ref *object)
{
    module_lock();
    const struct object *found = object_at(slot, handle);

    if (found)
        *object = (struct object_ref){handle, found->key, found->session};
    module_unlock();
    return found ? CKR_OK : CKR_OBJECT_HANDLE_INVALID;
}

CK_RV object_find_key(struct slot *slot, CK_OBJECT_HANDLE handle, struct object_ref *object)
{
    return object_find(slot, handle, object) == CKR_OK ? CKR_OK : CKR_KEY_HANDLE_INVALID;
}

struct object_facts *object_facts_known(struct slot *slot, const struct object_ref *object)
{
    module_lock();
    struct object *found = object_at(slot, object->handle);
    struct object_facts *facts = found ? found->facts : NULL;

    if (facts)
        facts->n_users++;
    module_unlock();
    return facts;
}

static CK_RV read_facts(struct slot *slot, const struct object_ref *object, struct object_facts **facts)
{
    hsm_attributes *attributes = NULL;

    HSM(hsm_object_get(slot->login, object->key, NULL, 0, &attributes));
    *facts = facts_new(attributes);
    if (!*facts) {
        hsm_attributes_free(attributes);
        return CKR_HOST_MEMORY;
    }
    module_lock();
    struct object *found = object_at(slot, object->handle);

    if (found) {
        (*facts)->n_users++;
        set_facts(found, *facts);
    }
    module_unlock();
    return CKR_OK;
}

CK_RV object_facts(struct slot *slot, const struct object_ref *object, struct object_facts **facts)
{
    *facts = object_facts_known(slot, object);
    if (*facts && now_ms() - (*facts)->read_ms < FACTS_MS)
        return CKR_OK;
    object_facts_release(facts);
    return read_facts(slot, object, facts);
}

void object_facts_forget(struct slot *slot, const struct object_ref *object)
{
    module_lock();
    struct object *found = object_at(slot, object->handle);

    if (found) {
        facts_drop(found->facts);
        found->facts = NULL;
    }
    module_unlock();
}

/* --- what ends --- */

/* Under the module's lock. The index stays in the hash table, so that searches for others pass over it. */
static void end(struct object_table *table, struct object *object)
{
    facts_drop(object->facts);
    object->facts = NULL;
    object->gone = true;
    table->n_of_sessions -= object->session != CK_INVALID_HANDLE;
}

void object_forget(struct slot *slot, const struct object_ref *object)
{
    module_lock();
    struct object *found = object_at(slot, object->handle);

    if (found)
        end(&slot->objects, found);
    module_unlock();
}

/* The newest object of a session that is left; under the module's lock. */
static struct object *object_of_session(struct object_table *table, CK_SESSION_HANDLE session)
{
    for (size_t i = table->n_of_sessions > 0 ? table->n : 0; i > 0; i--)
        if (table->objects[i - 1].session == session && !table->objects[i - 1].gone)
            return &table->objects[i - 1];
    return NULL;
}

static bool take_object_of_session(struct slot *slot, CK_SESSION_HANDLE session, hsm_key *key)
{
    module_lock();
    struct object *found = object_of_session(&slot->objects, session);

    if (found) {
        *key = found->key;
        end(&slot->objects, found);
    }
    module_unlock();
    return found != NULL;
}

void objects_of_session_end(struct slot *slot, CK_SESSION_HANDLE session)
{
    hsm_key key;

    while (session != CK_INVALID_HANDLE && take_object_of_session(slot, session, &key))
        (void)hsm_object_delete(slot->login, key); /* a login that ended took it along */
}

void objects_of_login_end(struct slot *slot)
{
    struct object_table *table = &slot->objects;

    for (size_t i = 0; i < table->n; i++)
        if (!table->objects[i].gone && table->objects[i].secret)
            end(table, &table->objects[i]);
}

void object_table_release(struct object_table *table)
{
    for (size_t i = 0; i < table->n; i++)
        facts_drop(table->objects[i].facts);
    free(table->objects);
    free(table->slots);
    *table = (struct object_table){0};
}
