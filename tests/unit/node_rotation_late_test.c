/* The replacement of the masking key, and members that are late, were away, or cannot keep the new key: nothing is
 * overlooked, and clients are sent to those that can. */
#include "node_cluster_fixture.h"

#include <sys/stat.h>
#include <unistd.h>
#include "identity/certificate.h"
#include "identity/member.h"
#include "identity/presence.h"
#include "identity/vault.h"
#include "rotation/reseal.h"
#include "rotation/rotation.h"
#include "seal/index.h"
#include "seal/masking_keys.h"

static const struct index_term any_object = {256, {NULL, 0}}; /* TERM_ANY */

static status_code count_one(void *context, const struct store_record *record)
{
    (void)record;
    ++*(unsigned *)context;
    return STATUS_OK;
}

/* Nothing is overlooked by a node that has not heard of the new key when others seal under it already: what it is asked
 * is sent again, and then it knows. */
static void a_late_node_overlooks_nothing(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    char late_pem[PEM_MAX], removed_pem[PEM_MAX];
    uint8_t hash[CERTIFICATE_HASH_LEN];
    uint64_t n_owned;
    unsigned n_found = 0;
    bool removed;

    (void)state;
    found_cluster(&cluster, true);
    struct node *late = join_node(&cluster, "late", LATE, late_pem);
    remove_node(&cluster, join_node(&cluster, "removed", "20", removed_pem));
    assert_int_equal(certificate_hash_pem(slice_text(removed_pem), hash), STATUS_OK);
    for (unsigned i = 0; i < 20; i++)
        make_aes(cluster.founder, &cluster.alice, "key", NULL);
    assert_int_equal(node_catch_up_with_all(late), STATUS_OK);
    rotation_stop(cluster.founder->rotation); /* the test decides how far it is */
    rotation_stop(late->rotation);
    rotate(cluster.founder, 86400);
    seal_up_to(cluster.founder, STORE_NODE);

    assert_true(knows(late, 1));
    assert_int_equal(index_find(late, STORE_OBJECT, &any_object, 1, NULL, 100, count_one, &n_found), STATUS_BUSY);
    n_found = 0;
    assert_int_equal(index_find(late, STORE_OBJECT, &any_object, 1, NULL, 100, count_one, &n_found), STATUS_OK);
    assert_int_equal(n_found, 20);
    assert_int_equal(objects_count_owned(late->objects, cluster.alice.user_id, &n_owned), STATUS_OK);
    assert_int_equal(n_owned, 20);
    assert_int_equal(members_is_removed(late, hash, &removed), STATUS_OK);
    assert_true(removed);
}

static void a_late_node_does_not_delete_an_owner(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    char pem[PEM_MAX];

    (void)state;
    found_cluster(&cluster, true);
    make_aes(cluster.founder, &cluster.alice, "key", NULL);
    struct node *late = join_node(&cluster, "late", LATE, pem);
    assert_int_equal(node_catch_up_with_all(late), STATUS_OK);
    rotation_stop(cluster.founder->rotation);
    rotation_stop(late->rotation);
    rotate(cluster.founder, 86400);
    seal_up_to(cluster.founder, STORE_OBJECT);
    assert_int_equal(users_delete(late->users, &cluster.admin, slice_text("alice")), STATUS_BUSY);
    assert_int_equal(users_delete(late->users, &cluster.admin, slice_text("alice")), STATUS_NOT_PERMITTED);
    assert_non_null(strstr(failure_detail(), "owns 1"));
}

static void a_late_node_makes_no_second_user_of_a_name(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    char pem[PEM_MAX];

    (void)state;
    found_cluster(&cluster, true);
    struct node *late = join_node(&cluster, "late", LATE, pem);
    assert_int_equal(node_catch_up_with_all(late), STATUS_OK);
    rotation_stop(cluster.founder->rotation);
    rotation_stop(late->rotation);
    rotate(cluster.founder, 86400);
    seal_up_to(cluster.founder, STORE_USER);
    struct id request = new_id();
    status_code status = STATUS_BUSY;
    for (unsigned i = 0; i < 2 && status == STATUS_BUSY; i++)
        status = users_create(late->users, &cluster.admin, slice_text("admin"), slice_text(PASSWORD), ROLE_ADMIN,
                              request.bytes);
    assert_int_equal(status, STATUS_ALREADY_EXISTS);
}

static void a_node_that_was_away_for_several_rotations_of_one_grace_comes_back(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    struct node *again = NULL;
    char pem[PEM_MAX];

    (void)state;
    found_cluster(&cluster, true);
    struct node *away = join_node(&cluster, "away", "20", pem);
    for (uint32_t generation = 2; generation <= 4; generation++) {
        rotate(cluster.founder, generation < 4 ? 86400 : 1);
        wait_until(is_settled, cluster.founder, generation);
        wait_until(has_told, away, generation);
    }
    stop_node(&cluster, away);
    wait_until(is_forgotten, cluster.founder, 3);
    rotate(cluster.founder, 86400);
    wait_until(is_settled, cluster.founder, 5);
    assert_int_equal(open_node(&cluster, "away", "20", &again), STATUS_OK);
    assert_true(knows(again, 5));
    node_stop(again);
}

/* --- members that cannot keep the new key --- */

static void a_node_without_a_record_of_its_own_begins_nothing(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    uint32_t generation;

    (void)state;
    found_cluster(&cluster, false);
    assert_int_equal(rotation_begin(cluster.founder, new_id().bytes, 0, &generation), STATUS_CLUSTER_STATE);
    assert_true(is_settled(cluster.founder, 1));
}

static _Atomic bool disk_is_full;
static uint8_t full_for[ID_LEN];
status_code __real_vault_save(int folder, const struct vault *vault);
status_code __wrap_vault_save(int folder, const struct vault *vault);

status_code __wrap_vault_save(int folder, const struct vault *vault)
{
    if (disk_is_full && memcmp(vault->node_id, full_for, ID_LEN) == 0)
        return failure_set(STATUS_STORE_FULL, "no space left");
    return __real_vault_save(folder, vault);
}

static void fill_disk_of(struct node *node)
{
    memcpy(full_for, identity_node_id(node->identity), ID_LEN);
    disk_is_full = true;
}

static void a_node_that_cannot_keep_the_key_sends_clients_elsewhere(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    char pem[PEM_MAX];
    unsigned n_found = 0;

    (void)state;
    found_cluster(&cluster, true);
    for (unsigned i = 0; i < 20; i++)
        make_aes(cluster.founder, &cluster.alice, "key", NULL);
    struct node *full = join_node(&cluster, "full", "20", pem);
    fill_disk_of(full);
    rotate(cluster.founder, 86400);
    wait_until(is_settled, cluster.founder, 2);
    assert_int_equal(index_find(full, STORE_OBJECT, &any_object, 1, NULL, 100, count_one, &n_found), STATUS_IO_ERROR);
    assert_int_equal(node_catch_up_with_all(full), STATUS_IO_ERROR); /* of the scope NODE, unlike STORE_FULL */
    disk_is_full = false;
    wait_until(has_told, full, 2);
    n_found = 0;
    assert_int_equal(index_find(full, STORE_OBJECT, &any_object, 1, NULL, 100, count_one, &n_found), STATUS_OK);
    assert_int_equal(n_found, 20);
}

static void an_only_node_goes_on_once_it_can_keep_the_key(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    uint32_t generation;

    (void)state;
    found_cluster(&cluster, true);
    fill_disk_of(cluster.founder);
    assert_int_equal(rotation_begin(cluster.founder, new_id().bytes, 0, &generation), STATUS_IO_ERROR);
    disk_is_full = false;
    wait_until(is_settled, cluster.founder, 2);
}

static void the_pages_of_a_late_nodes_search_are_whole(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    CLEANUP(bytes_release) struct bytes template = BYTES_INIT, cursor = BYTES_INIT;
    struct rotation_progress progress;
    unsigned n_found = 0, n_busy = 0;
    struct values nothing;
    char pem[PEM_MAX];

    (void)state;
    found_cluster(&cluster, true);
    struct node *late = join_node(&cluster, "late", LATE, pem);
    for (unsigned i = 0; i < 100; i++)
        make_aes(cluster.founder, &cluster.alice, "key", NULL);
    assert_int_equal(node_catch_up_with_all(late), STATUS_OK);
    rotation_stop(cluster.founder->rotation);
    rotation_stop(late->rotation);
    rotate(cluster.founder, 86400);
    assert_int_equal(rotation_progress_read(cluster.founder, &progress), STATUS_OK);
    progress.pass = 1;
    reseal_begin(&progress);
    assert_int_equal(reseal_some(cluster.founder, &progress), STATUS_OK); /* some of them */
    values_init(&nothing);
    values_encode(&ATTRIBUTE_SCHEMA, &nothing, &template);
    do {
        CLEANUP(bytes_release) struct bytes records = BYTES_INIT, next = BYTES_INIT;
        status_code status = objects_find(late->objects, &cluster.alice, bytes_slice(&template), slice_of(NULL, 0),
                                          bytes_slice(&cursor), 10, &records, &next);
        struct reader reader = reader_of(bytes_slice(&records));
        uint32_t n = 0;

        n_busy += status == STATUS_BUSY;
        if (status == STATUS_BUSY)
            continue;
        assert_int_equal(status, STATUS_OK);
        assert_int_equal(read_array(&reader, &n), STATUS_OK);
        n_found += n;
        assert_int_equal(bytes_assign(&cursor, bytes_slice(&next)), STATUS_OK);
    } while (cursor.len || n_found == 0);
    assert_int_equal(n_found, 100);
    assert_int_equal(n_busy, 1);
}

static void the_audit_log_of_a_late_node_goes_on(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    struct values request;
    char pem[PEM_MAX];

    (void)state;
    found_cluster(&cluster, true);
    struct node *late = join_node(&cluster, "late", LATE, pem);
    assert_int_equal(node_catch_up_with_all(late), STATUS_OK);
    values_init(&request);
    struct call call = {.node = late, .operation = OP_USER_CREATE, .caller = cluster.admin, .request = &request};
    assert_int_equal(audit_record(late->audit, &call, STATUS_OK), STATUS_OK);
    rotation_stop(cluster.founder->rotation);
    rotation_stop(late->rotation);
    rotate(cluster.founder, 86400);
    assert_int_equal(cluster.founder->store->operations->raise_floor(cluster.founder->store, 2), STATUS_OK);
    assert_int_equal(audit_record(late->audit, &call, STATUS_OK), STATUS_OK);
}

static void a_handover_outlives_its_givers_certificate(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    char pem[PEM_MAX], renewed[PEM_MAX];
    struct node *again = NULL;

    (void)state;
    found_cluster(&cluster, true);
    stop_node(&cluster, join_node(&cluster, "away", "20", pem));
    sign_request(&cluster.ca, cluster.founder->identity, -60, 3, renewed, sizeof(renewed));
    assert_int_equal(identity_renew(cluster.founder->identity, slice_text(renewed)), STATUS_OK);
    assert_int_equal(members_put_own(cluster.founder), STATUS_OK);
    rotate(cluster.founder, 86400);
    wait_until(is_settled, cluster.founder, 2);
    sleep(4);
    sign_request(&cluster.ca, cluster.founder->identity, -60, 86400, renewed, sizeof(renewed));
    assert_int_equal(identity_renew(cluster.founder->identity, slice_text(renewed)), STATUS_OK);
    assert_int_equal(open_node(&cluster, "away", "20", &again), STATUS_OK);
    node_stop(again);
}

static void whatever_keeps_a_node_from_the_key_sends_clients_elsewhere(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    char pem[PEM_MAX], path[200];
    unsigned n_found = 0;

    (void)state;
    found_cluster(&cluster, true);
    struct node *member = join_node(&cluster, "member", "20", pem);
    snprintf(path, sizeof(path), "%s/member/node.secret", cluster.folder);
    assert_int_equal(chmod(path, 0644), 0); /* which the vault refuses */
    rotate(cluster.founder, 86400);
    wait_until(is_settled, cluster.founder, 2);
    status_code status = index_find(member, STORE_OBJECT, &any_object, 1, NULL, 100, count_one, &n_found);
    assert_int_equal(status_scope(status), STATUS_SCOPE_NODE);
}

static bool tells_its_state(struct node *node, const uint8_t id[ID_LEN])
{
    struct presence *presence = calloc(1, sizeof(*presence));
    bool told = false;

    presence_read(node, presence);
    for (unsigned i = 0; i < presence->n; i++)
        if (memcmp(presence->nodes[i].node_id, id, ID_LEN) == 0)
            told = values_has(&presence->nodes[i].values, FIELD_STATE_NAME);
    presence_release(presence);
    free(presence);
    return told;
}

static void presence_is_told_under_the_new_key(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    char pem[PEM_MAX];

    (void)state;
    found_cluster(&cluster, true);
    struct node *member = join_node(&cluster, "member", "20", pem);
    const uint8_t *id = identity_node_id(member->identity);
    presence_tell(member);
    assert_true(tells_its_state(cluster.founder, id));
    rotate(cluster.founder, 0);
    wait_until(is_forgotten, cluster.founder, 1);
    wait_until(has_told, member, 2);
    for (unsigned i = 0; i < 300 && !tells_its_state(cluster.founder, id); i++)
        usleep(10000);
    assert_true(tells_its_state(cluster.founder, id));
}

/* As of a backup that was made while a rotation began. */
static void a_key_that_no_record_tells_of_is_in_nobodys_way(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    CLEANUP(secret_release) struct secret held = SECRET_INIT, made = SECRET_INIT, all = SECRET_INIT;
    CLEANUP(bytes_release) struct bytes handover = BYTES_INIT, pem = BYTES_INIT;
    uint8_t hash[CERTIFICATE_HASH_LEN];

    (void)state;
    found_cluster(&cluster, true);
    struct identity *identity = cluster.founder->identity;
    assert_int_equal(identity_masking_keys(identity, &held), STATUS_OK);
    assert_int_equal(masking_keys_make(2, &made), STATUS_OK);
    assert_int_equal(masking_keys_join(secret_slice(&held), secret_slice(&made), &all), STATUS_OK);
    assert_int_equal(identity_certificate(identity, hash, &pem), STATUS_OK);
    assert_int_equal(
        identity_hand_over(identity, identity_node_id(identity), bytes_slice(&pem), secret_slice(&all), &handover),
        STATUS_OK);
    assert_int_equal(identity_take_up(identity, bytes_slice(&handover)), STATUS_OK);
    assert_int_equal(keyring_change(cluster.founder->keyring, secret_slice(&all)), STATUS_OK);
    rotate(cluster.founder, 0);
    wait_until(is_settled, cluster.founder, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_node_overlooks_nothing),
        cmocka_unit_test(a_late_node_does_not_delete_an_owner),
        cmocka_unit_test(a_late_node_makes_no_second_user_of_a_name),
        cmocka_unit_test(a_node_that_was_away_for_several_rotations_of_one_grace_comes_back),
        cmocka_unit_test(a_node_without_a_record_of_its_own_begins_nothing),
        cmocka_unit_test(a_node_that_cannot_keep_the_key_sends_clients_elsewhere),
        cmocka_unit_test(an_only_node_goes_on_once_it_can_keep_the_key),
        cmocka_unit_test(the_pages_of_a_late_nodes_search_are_whole),
        cmocka_unit_test(the_audit_log_of_a_late_node_goes_on),
        cmocka_unit_test(a_handover_outlives_its_givers_certificate),
        cmocka_unit_test(whatever_keeps_a_node_from_the_key_sends_clients_elsewhere),
        cmocka_unit_test(presence_is_told_under_the_new_key),
        cmocka_unit_test(a_key_that_no_record_tells_of_is_in_nobodys_way),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
