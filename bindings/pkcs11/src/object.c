/* The table of handles, and what is known of the objects for a moment. */
#include "object.h"
#include "guest.h"

#include <search.h>
#include <stdlib.h>
#include <time.h>
#include "login.h"
#include "session.h"

/* How long attributes are taken for what they were: others may change them, and a program sees it this much later. */
#define FACTS_MS 2000

/* So many objects have their attributes kept: a program that looks at all that there are does not fill its memory. */
#define FACTS_MAX 4096

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

/* Takes over `attributes`; NULL when there is no memory. */
static struct object_facts *facts_new(hsm_attributes *attributes)
{
    struct object_facts *facts = malloc(sizeof(*facts));

    if (facts)
        *facts = (struct object_facts){1, now_ms(), attributes};
    else
        hsm_attributes_free(attributes);
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

/* --- the table; all under the module's lock --- */

static int compare_handles(const void *left, const void *right)
{
    CK_OBJECT_HANDLE a = ((const struct object *)left)->handle, b = ((const struct object *)right)->handle;

    return (a > b) - (a < b);
}

static int compare_keys(const void *left, const void *right)
{
    return memcmp(((const struct object *)left)->key.id, ((const struct object *)right)->key.id, HSM_ID_LEN);
}

static struct object *object_at(struct object_table *table, CK_OBJECT_HANDLE handle)
{
    const struct object wanted = {.handle = handle};
    struct object **found = tfind(&wanted, &table->by_handle, compare_handles);

    return found ? *found : NULL;
}

static struct object *object_of(struct object_table *table, const hsm_key *key)
{
    const struct object wanted = {.key = *key};
    struct object **found = tfind(&wanted, &table->by_key, compare_keys);

    return found ? *found : NULL;
}

static struct object_list *list_of(struct object_table *table, CK_SESSION_HANDLE session)
{
    return session == CK_INVALID_HANDLE ? &table->of_token : &table->of_sessions;
}

static CK_RV add(struct object_table *table, const hsm_key *key, CK_SESSION_HANDLE session, struct object **added)
{
    struct object *object = calloc(1, sizeof(*object));

    CHECK(object, CKR_HOST_MEMORY);
    *object = (struct object){.handle = table->last + 1, .key = *key, .session = session, .secret = true};
    if (!tsearch(object, &table->by_handle, compare_handles)) {
        free(object);
        return CKR_HOST_MEMORY;
    }
    if (!tsearch(object, &table->by_key, compare_keys)) {
        tdelete(object, &table->by_handle, compare_handles);
        free(object);
        return CKR_HOST_MEMORY;
    }
    table->last++;
    TAILQ_INSERT_TAIL(list_of(table, session), object, place);
    *added = object;
    return CKR_OK;
}

static void drop_facts(struct object_table *table, struct object *object)
{
    if (!object->facts)
        return;
    TAILQ_REMOVE(&table->with_facts, object, facts_place);
    table->n_with_facts--;
    facts_drop(object->facts);
    object->facts = NULL;
}

static void set_facts(struct object_table *table, struct object *object, struct object_facts *facts)
{
    drop_facts(table, object);
    object->facts = facts;
    object->secret = hsm_attributes_bool(facts->attributes, HSM_ATTR_PRIVATE, 1);
    TAILQ_INSERT_TAIL(&table->with_facts, object, facts_place);
    if (++table->n_with_facts > FACTS_MAX)
        drop_facts(table, TAILQ_FIRST(&table->with_facts));
}

static void end(struct object_table *table, struct object *object)
{
    drop_facts(table, object);
    tdelete(object, &table->by_handle, compare_handles);
    tdelete(object, &table->by_key, compare_keys);
    TAILQ_REMOVE(list_of(table, object->session), object, place);
    free(object);
}

static void set_owner(struct object_table *table, struct object *object, CK_SESSION_HANDLE session)
{
    TAILQ_REMOVE(list_of(table, object->session), object, place);
    object->session = session;
    TAILQ_INSERT_TAIL(list_of(table, session), object, place);
}

void object_table_begin(struct object_table *table)
{
    TAILQ_INIT(&table->of_token);
    TAILQ_INIT(&table->of_sessions);
    TAILQ_INIT(&table->with_facts);
}

static void end_all(struct object_table *table, struct object_list *list)
{
    while (!TAILQ_EMPTY(list))
        end(table, TAILQ_FIRST(list));
}

void object_table_release(struct object_table *table)
{
    end_all(table, &table->of_token);
    end_all(table, &table->of_sessions);
}

/* --- handles --- */

/* The object of a key, known already or not, for a call whose login has not ended meanwhile. */
static CK_RV enter(struct session *session, const hsm_key *key, CK_SESSION_HANDLE owner, struct object **object)
{
    struct object_table *table = &session->slot->objects;

    CHECK(session->n_logins_ended == session->slot->n_logins_ended, CKR_USER_NOT_LOGGED_IN);
    *object = object_of(table, key);
    return *object ? CKR_OK : add(table, key, owner, object);
}

CK_RV object_take_new(struct session *session, hsm_key key, bool token, CK_OBJECT_HANDLE *handle)
{
    CK_SESSION_HANDLE owner = token ? CK_INVALID_HANDLE : session->handle;
    struct object *object;

    module_lock();
    CK_RV result = enter(session, &key, owner, &object);

    if (result == CKR_OK) {
        *handle = object->handle;
        set_owner(&session->slot->objects, object, owner); /* another session may have found it already */
    }
    module_unlock();
    if (result == CKR_HOST_MEMORY)
        (void)hsm_object_delete(session->slot->login, key);
    return result;
}

CK_RV object_take_found(struct session *session, hsm_key key, hsm_attributes *attributes, CK_OBJECT_HANDLE *handle)
{
    bool token = hsm_attributes_bool(attributes, HSM_ATTR_TOKEN, 1);
    struct object_facts *facts = facts_new(attributes);
    struct object *object;

    CHECK(facts, CKR_HOST_MEMORY);
    module_lock();
    CK_RV result = enter(session, &key, token ? CK_INVALID_HANDLE : session->handle, &object);

    if (result == CKR_OK) {
        *handle = object->handle;
        set_facts(&session->slot->objects, object, facts);
    } else {
        facts_drop(facts);
    }
    module_unlock();
    return result;
}

CK_RV object_find(struct slot *slot, CK_OBJECT_HANDLE handle, struct object_ref *object)
{
    module_lock();
    const struct object *found = object_at(&slot->objects, handle);

    if (found)
        *object = (struct object_ref){handle, found->key, found->session};
    module_unlock();
    return found ? CKR_OK : CKR_OBJECT_HANDLE_INVALID;
}

CK_RV object_find_key(struct slot *slot, CK_OBJECT_HANDLE handle, struct object_ref *object)
{
    return object_find(slot, handle, object) == CKR_OK ? CKR_OK : CKR_KEY_HANDLE_INVALID;
}

/* --- looking at objects --- */

static struct object_facts *look(struct slot *slot, const struct object_ref *object, unsigned *n_changes)
{
    module_lock();
    struct object *found = object_at(&slot->objects, object->handle);
    struct object_facts *facts = found ? found->facts : NULL;

    *n_changes = found ? found->n_changes : 0;
    if (facts)
        facts->n_users++;
    module_unlock();
    return facts;
}

struct object_facts *object_facts_known(struct slot *slot, const struct object_ref *object)
{
    unsigned n_changes;

    return look(slot, object, &n_changes);
}

static CK_RV read_facts(struct session *session, const struct object_ref *object, unsigned n_changes,
                        struct object_facts **facts)
{
    struct object_table *table = &session->slot->objects;
    hsm_attributes *attributes = NULL;
    hsm_session *reader;

    TRY(session_reader(session, &reader));
    LOGGED_IN(session, hsm_object_get(reader, object->key, NULL, 0, &attributes));
    *facts = facts_new(attributes);
    CHECK(*facts, CKR_HOST_MEMORY);
    if (session_is_guest(session) && hsm_attributes_bool((*facts)->attributes, HSM_ATTR_PRIVATE, 1)) {
        object_facts_release(facts);
        return CKR_OBJECT_HANDLE_INVALID;
    }
    module_lock();
    struct object *found = object_at(table, object->handle);

    if (found && found->n_changes == n_changes) {
        (*facts)->n_users++;
        set_facts(table, found, *facts);
    }
    module_unlock();
    return CKR_OK;
}

CK_RV object_facts(struct session *session, const struct object_ref *object, struct object_facts **facts)
{
    unsigned n_changes;

    *facts = look(session->slot, object, &n_changes);
    if (*facts && now_ms() - (*facts)->read_ms < FACTS_MS)
        return CKR_OK;
    object_facts_release(facts);
    return read_facts(session, object, n_changes, facts);
}

/* --- what changes and ends --- */

void object_facts_forget(struct slot *slot, const struct object_ref *object)
{
    module_lock();
    struct object *found = object_at(&slot->objects, object->handle);

    if (found) {
        found->n_changes++;
        drop_facts(&slot->objects, found);
    }
    module_unlock();
}

void object_forget(struct slot *slot, const struct object_ref *object)
{
    module_lock();
    struct object *found = object_at(&slot->objects, object->handle);

    if (found)
        end(&slot->objects, found);
    module_unlock();
}

/* Both forget it under the lock, so that no search takes it up again in between. */
void objects_of_session_end(struct slot *slot, CK_SESSION_HANDLE session)
{
    struct object *next;

    module_lock();
    for (struct object *object = TAILQ_FIRST(&slot->objects.of_sessions); object; object = next) {
        next = TAILQ_NEXT(object, place);
        if (object->session != session)
            continue;
        (void)hsm_session_forget_object(slot->login, object->key); /* a login that ended took it along */
        end(&slot->objects, object);
    }
    module_unlock();
}

/* Session objects are sealed for the login, private or not. */
void objects_of_login_end(struct slot *slot)
{
    struct object_table *table = &slot->objects;
    struct object *next;

    end_all(table, &table->of_sessions);
    for (struct object *object = TAILQ_FIRST(&table->of_token); object; object = next) {
        next = TAILQ_NEXT(object, place);
        if (object->secret)
            end(table, object);
    }
}
