/* The cache of opened objects: bounded, right under concurrency, and quick. */
#include "node_objects_fixture.h"

#include <time.h>
#include "object/object_internal.h"

static status_code get(struct fixture *fixture, struct id id, struct object **object)
{
    return object_get(fixture->node->objects, &fixture->alice, slice_of(id.bytes, ID_LEN), slice_of(NULL, 0), object);
}

static void what_was_read_before_a_forget_is_not_cached_after_it(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(object_release) struct object *object = NULL, *cached = NULL;
    struct cache *cache;
    struct id id = make_aes(fixture->node, &fixture->alice, "raced", NULL);
    uint64_t generation;

    assert_int_equal(cache_create(64, &cache), STATUS_OK);
    assert_int_equal(get(fixture, id, &object), STATUS_OK);
    assert_null(cache_find(cache, id.bytes, &generation));
    cache_forget(cache, id.bytes); /* while the store was read */
    cache_insert(cache, id.bytes, generation, object);
    cached = cache_find(cache, id.bytes, &generation);
    assert_null(cached);
    cache_insert(cache, id.bytes, generation, object);
    cached = cache_find(cache, id.bytes, &generation);
    assert_ptr_equal(cached, object);
    cache_clear(cache);
    assert_null(cache_find(cache, id.bytes, &generation));
    cache_free(cache);
}

static void the_cache_is_bounded_and_keeps_what_is_in_use(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(object_release) struct object *object = NULL;
    struct cache *cache;
    struct id id = make_aes(fixture->node, &fixture->alice, "many", NULL);
    int64_t before = metric_value(METRIC_OBJECTS_CACHED);
    uint64_t generation;

    assert_int_equal(cache_create(640, &cache), STATUS_OK);
    assert_int_equal(get(fixture, id, &object), STATUS_OK);
    before = metric_value(METRIC_OBJECTS_CACHED);
    for (int i = 0; i < 10000; i++) {
        struct id key = new_id();
        struct object *hot = cache_find(cache, id.bytes, &generation);
        if (!hot)
            cache_insert(cache, id.bytes, generation, object);
        assert_true(i == 0 || hot);
        object_release(&hot);
        assert_null(cache_find(cache, key.bytes, &generation));
        cache_insert(cache, key.bytes, generation, object);
    }
    int64_t n_cached = metric_value(METRIC_OBJECTS_CACHED) - before;
    assert_true(n_cached > 320 && n_cached <= 640 + 64);
    cache_free(cache);
    assert_int_equal(metric_value(METRIC_OBJECTS_CACHED), before);
}

/* Readers and a changer at once: nobody ever sees a state older than one that he saw before. */

struct race {
    struct fixture *fixture;
    struct id id;
    _Atomic bool stop;
    _Atomic unsigned changes; /* acknowledged */
    _Atomic unsigned backwards;
};

static unsigned number_of(const struct object *object)
{
    struct slice label = values_bytes(&object->attributes, ATTRIBUTE_LABEL);
    unsigned number = 0;
    for (size_t i = 0; i < label.len; i++)
        number = 10 * number + label.data[i] - '0';
    return number;
}

static void *read_on(void *context)
{
    struct race *race = context;
    struct mechanism mechanism = {.type = MECHANISM_AES_GCM};
    while (!atomic_load(&race->stop)) {
        CLEANUP(object_release) struct object *object = NULL;
        struct key *key;
        unsigned acknowledged = atomic_load(&race->changes);
        if (get(race->fixture, race->id, &object) != STATUS_OK || number_of(object) < acknowledged ||
            object_use(object, &race->fixture->alice, ATTRIBUTE_ENCRYPT, &mechanism, &key) != STATUS_OK)
            atomic_fetch_add(&race->backwards, 1);
    }
    return NULL;
}

static void acknowledged_changes_are_seen_by_all_threads(void **state)
{
    struct fixture *fixture = *state;
    struct race race = {.fixture = fixture, .id = make_aes(fixture->node, &fixture->alice, "0", NULL)};
    pthread_t readers[3];
    char label[8];

    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &race), 0);
    for (unsigned i = 1; i <= 100; i++) {
        struct values change = template_empty();
        snprintf(label, sizeof label, "%u", i);
        values_put_bytes(&change, ATTRIBUTE_LABEL, slice_text(label));
        assert_int_equal(set_attributes(fixture->node, &fixture->alice, race.id, &change), STATUS_OK);
        atomic_store(&race.changes, i);
    }
    atomic_store(&race.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(atomic_load(&race.backwards), 0);
}

static void another_nodes_change_is_seen_after_catching_up(void **state)
{
    struct fixture *fixture = *state;
    struct values change = template_empty();
    struct id id = make_aes(fixture->node, &fixture->alice, "1", NULL);

    for (unsigned i = 2; i < 20; i++) {
        CLEANUP(object_release) struct object *object = NULL;
        char label[8];
        snprintf(label, sizeof label, "%u", i);
        values_put_bytes(&change, ATTRIBUTE_LABEL, slice_text(label));
        assert_int_equal(set_attributes(fixture->other, &fixture->alice, id, &change), STATUS_OK);
        assert_int_equal(node_catch_up(fixture->node, atomic_load(&fixture->other->revision)), STATUS_OK);
        assert_int_equal(get(fixture, id, &object), STATUS_OK);
        assert_int_equal(number_of(object), i);
    }
}

/** Told, not asserted: machines differ. */
static void the_hot_path_is_short(void **state)
{
    struct fixture *fixture = *state;
    struct mechanism mechanism = {.type = MECHANISM_ECDSA, .hash = HASH_SHA256};
    struct id id = make_p256(fixture->node, &fixture->alice, "hot", NULL);
    struct timespec before, after;
    enum { ROUNDS = 200000 };
    int64_t misses = metric_value(METRIC_OBJECT_CACHE_MISSES);

    clock_gettime(CLOCK_MONOTONIC, &before);
    for (int i = 0; i < ROUNDS; i++) {
        CLEANUP(object_release) struct object *object = NULL;
        struct key *key;
        assert_true(get(fixture, id, &object) == STATUS_OK);
        assert_true(object_use(object, &fixture->alice, ATTRIBUTE_SIGN, &mechanism, &key) == STATUS_OK);
    }
    clock_gettime(CLOCK_MONOTONIC, &after);
    print_message("getting and checking a cached key takes %.0f ns\n",
                  ((double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec)) / ROUNDS);
    assert_int_equal(metric_value(METRIC_OBJECT_CACHE_MISSES), misses + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_before_a_forget_is_not_cached_after_it),
        cmocka_unit_test(the_cache_is_bounded_and_keeps_what_is_in_use),
        cmocka_unit_test(acknowledged_changes_are_seen_by_all_threads),
        cmocka_unit_test(another_nodes_change_is_seen_after_catching_up),
        cmocka_unit_test(the_hot_path_is_short),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
