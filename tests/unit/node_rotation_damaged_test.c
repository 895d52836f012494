/* The replacement of the masking key, and records that do not open: nothing is given up that could be read. */
#include "node_cluster_fixture.h"

#include "rotation/rotation.h"
#include "user/cluster_record.h"

static void damage(const struct cluster *cluster, const uint8_t id[ID_LEN], struct bytes *intact)
{
    CLEANUP(bytes_release) struct bytes damaged = BYTES_INIT;
    struct store *store = cluster->founder->store;
    uint64_t version;

    assert_int_equal(store->operations->read(store, STORE_OBJECT, id, intact, &version), STATUS_OK);
    assert_int_equal(bytes_assign(&damaged, bytes_slice(intact)), STATUS_OK);
    damaged.data[damaged.len - 1] ^= 1;
    replace_value(cluster, STORE_OBJECT, bytes_slice(&damaged), id);
}

static bool is_held_up(struct node *node, uint32_t generation)
{
    struct rotation_status status;

    (void)generation;
    return rotation_describe(node, &status) == STATUS_OK && status.n_damaged == 1 && status.n_done == status.n_total &&
           strcmp(status.phase, "checking") == 0;
}

/* It may be the worker's view alone that is damaged: the key before stays until somebody decides. */
static void a_damaged_record_keeps_the_key_before(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    CLEANUP(bytes_release) struct bytes intact = BYTES_INIT;
    CLEANUP(object_release) struct object *object = NULL;

    (void)state;
    found_cluster(&cluster, true);
    struct id id = make_aes(cluster.founder, &cluster.alice, "key", NULL);
    damage(&cluster, id.bytes, &intact);
    rotate(cluster.founder, 0);
    wait_until(is_held_up, cluster.founder, 2);
    assert_true(is_settled(cluster.founder, 1));
    replace_value(&cluster, STORE_OBJECT, bytes_slice(&intact), id.bytes);
    objects_forget_all(cluster.founder->objects);
    assert_int_equal(
        object_get(cluster.founder->objects, &cluster.alice, slice_of(id.bytes, ID_LEN), slice_of(NULL, 0), &object),
        STATUS_OK);
}

static status_code open_object(struct cluster *cluster, const struct id *id)
{
    CLEANUP(object_release) struct object *object = NULL;

    objects_forget_all(cluster->founder->objects);
    return object_get(cluster->founder->objects, &cluster->alice, slice_of(id->bytes, ID_LEN), slice_of(NULL, 0),
                      &object);
}

static void an_administrator_gives_a_damaged_record_up(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    CLEANUP(bytes_release) struct bytes intact = BYTES_INIT;

    (void)state;
    found_cluster(&cluster, true);
    assert_int_equal(rotation_give_up_damaged(cluster.founder, 1), STATUS_CLUSTER_STATE);
    struct id id = make_aes(cluster.founder, &cluster.alice, "key", NULL);
    damage(&cluster, id.bytes, &intact);
    rotate(cluster.founder, 86400);
    wait_until(is_held_up, cluster.founder, 2);
    assert_int_equal(rotation_give_up_damaged(cluster.founder, 2), STATUS_INVALID_ARGUMENT);
    assert_int_equal(rotation_give_up_damaged(cluster.founder, 1), STATUS_OK);
    wait_until(is_settled, cluster.founder, 2);
}

/* Once and for all, but that record alone. */
static void what_was_given_up_holds_no_later_rotation_up(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    CLEANUP(bytes_release) struct bytes intact = BYTES_INIT, another = BYTES_INIT;

    (void)state;
    found_cluster(&cluster, true);
    struct id id = make_aes(cluster.founder, &cluster.alice, "key", NULL);
    damage(&cluster, id.bytes, &intact);
    rotate(cluster.founder, 0);
    wait_until(is_held_up, cluster.founder, 2);
    assert_int_equal(rotation_give_up_damaged(cluster.founder, 1), STATUS_OK);
    wait_until(is_forgotten, cluster.founder, 1);
    rotate(cluster.founder, 0);
    wait_until(is_forgotten, cluster.founder, 2);

    struct id other = make_aes(cluster.founder, &cluster.alice, "key", NULL);
    damage(&cluster, other.bytes, &another);
    rotate(cluster.founder, 0);
    wait_until(is_held_up, cluster.founder, 4);
    assert_int_not_equal(open_object(&cluster, &id), STATUS_OK);
}

/* Which is told from a reader that was overtaken by the time. */
static void a_record_whose_generation_is_damaged_is_damaged(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    uint64_t version;

    (void)state;
    found_cluster(&cluster, true);
    assert_int_equal(cluster.founder->store->operations->read(cluster.founder->store, STORE_USER, cluster.alice.user_id,
                                                              &value, &version),
                     STATUS_OK);
    generation_put(0, value.data);
    replace_value(&cluster, STORE_USER, bytes_slice(&value), cluster.alice.user_id);
    rotate(cluster.founder, 0);
    wait_until(is_held_up, cluster.founder, 2);
    assert_int_equal(rotation_give_up_damaged(cluster.founder, 1), STATUS_OK);
    wait_until(is_settled, cluster.founder, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_record_keeps_the_key_before),
        cmocka_unit_test(an_administrator_gives_a_damaged_record_up),
        cmocka_unit_test(what_was_given_up_holds_no_later_rotation_up),
        cmocka_unit_test(a_record_whose_generation_is_damaged_is_damaged),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
