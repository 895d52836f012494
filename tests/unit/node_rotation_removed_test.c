/* The replacement of the masking key, and a member that was removed: it has the key before, can write the store, and
 * gets nothing for it. */
#include "node_cluster_fixture.h"

#include "identity/member.h"
#include "rotation/rotation.h"
#include "rotation/rotation_progress.h"
#include "tail.h"
#include "user/account.h"
#include "user/cluster_record.h"

/* A handover to the member, by the thief, sealed as the record N_VERSIONS_ON after the GENUINE one, which is read. */
static void forge_handover(struct thief *thief, const uint8_t *id, const char *member_pem, unsigned n_versions_on,
                           struct bytes *forged, struct bytes *genuine)
{
    CLEANUP(bytes_release) struct bytes handover = BYTES_INIT;
    uint8_t place[RECORD_CONTEXT_LEN];
    uint64_t version;

    assert_int_equal(
        identity_hand_over(thief->node.identity, id, slice_text(member_pem), secret_slice(&thief->keys), &handover),
        STATUS_OK);
    assert_int_equal(thief->node.store->operations->read(thief->node.store, STORE_HANDOVER, id, genuine, &version),
                     STATUS_OK);
    assert_int_equal(seal(thief->node.keyring, 1, SEAL_HANDOVER,
                          record_context(STORE_HANDOVER, id, version + n_versions_on, place), bytes_slice(&handover),
                          forged),
                     STATUS_OK);
}

/* An administrator of the thief's own, in the cluster's store. */
static void forge_admin(struct cluster *cluster, struct thief *thief, struct account *mallory)
{
    CLEANUP(resealed_release) struct resealed memory = RESEALED_INIT;
    struct store_write write;

    thief->node.config.password_iterations = 210000;
    assert_int_equal(account_new(&thief->node, slice_text("mallory"), slice_text(PASSWORD), ROLE_ADMIN, mallory),
                     STATUS_OK);
    assert_int_equal(account_write(&thief->node, mallory, &memory, &write), STATUS_OK);
    write_raw(cluster, "INSERT INTO records VALUES(3, ?2, 1, 1, ?1, x'')", write.value, mallory->id);
}

static void a_removed_node_cannot_hand_over_a_key_of_its_own(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    CLEANUP(close_thief) struct thief thief;
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, before = BYTES_INIT;
    CLEANUP(bytes_release) struct bytes records = BYTES_INIT, cursor = BYTES_INIT;
    char member_pem[PEM_MAX], removed_pem[PEM_MAX];
    uint8_t id[ID_LEN];
    struct account mallory;

    (void)state;
    found_cluster(&cluster, true);
    struct node *member = join_node(&cluster, "member", "20", member_pem);
    remove_node(&cluster, join_node(&cluster, "removed", "20", removed_pem));
    memcpy(id, identity_node_id(member->identity), ID_LEN);
    rotate(cluster.founder, 86400);
    wait_until(is_settled, cluster.founder, 2);
    wait_until(knows, member, 2);

    open_thief(&cluster, "removed", 3, &thief);
    forge_handover(&thief, id, member_pem, 1, &sealed, &before);
    write_raw(&cluster, "UPDATE records SET version = version + 1, value = ?1 WHERE kind = 9 AND id = ?2",
              bytes_slice(&sealed), id);
    forge_admin(&cluster, &thief, &mallory);

    (void)users_list(member->users, slice_of(NULL, 0), 0, &records, &cursor);
    assert_int_equal(keyring_newest(member->keyring), 2);
    assert_int_not_equal(account_read(member, mallory.id, &mallory), STATUS_OK);
}

/* Its record says that it is a member again, with the certificate of another CA. */
static void a_certificate_of_another_ca_is_handed_nothing(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    char pem[PEM_MAX];
    struct ca other;
    uint32_t generation;

    (void)state;
    found_cluster(&cluster, true);
    make_ca(&other, "owner", true);
    struct node *stranger = start_node(&cluster, "stranger", "20");
    sign_request(&other, stranger->identity, -60, 86400, pem, sizeof(pem));
    free_ca(&other);
    assert_int_equal(members_approve(cluster.founder, identity_node_id(stranger->identity), slice_text(pem)),
                     STATUS_OK);
    assert_int_equal(rotation_begin(cluster.founder, new_id().bytes, 0, &generation), STATUS_CLUSTER_STATE);
    assert_non_null(strstr(failure_detail(), "cannot be given a new masking key"));
    assert_true(is_settled(cluster.founder, 1));
}

static const struct store_operations *real_operations;
static struct node *remover;
static struct id to_remove;
static bool removed_meanwhile;

static status_code write_after_removal(struct store *store, const struct store_write *writes, size_t n,
                                       uint64_t *revision)
{
    bool hands_over = false;

    for (size_t i = 0; i < n; i++)
        hands_over |= writes[i].kind == STORE_HANDOVER;
    if (hands_over && !removed_meanwhile) {
        removed_meanwhile = true;
        assert_int_equal(members_remove(remover, to_remove.bytes), STATUS_OK);
    }
    return real_operations->write(store, writes, n, revision);
}

static void a_node_that_is_removed_meanwhile_is_handed_nothing(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    char pem[PEM_MAX];
    uint64_t version;

    (void)state;
    found_cluster(&cluster, true);
    remover = join_node(&cluster, "remover", "20", pem);
    struct node *removed = join_node(&cluster, "removed", "20", pem);
    memcpy(to_remove.bytes, identity_node_id(removed->identity), ID_LEN);
    stop_node(&cluster, removed);
    rotation_stop(cluster.founder->rotation); /* nobody else looks at the store while it is another */
    tail_stop(cluster.founder->tail);
    cluster.founder->tail = NULL;
    struct store *store = cluster.founder->store;
    real_operations = store->operations;
    struct store_operations wrapped = *real_operations;
    wrapped.write = write_after_removal;
    store->operations = &wrapped;
    rotate(cluster.founder, 86400);
    store->operations = real_operations;
    assert_true(removed_meanwhile);
    assert_int_equal(real_operations->read(store, STORE_HANDOVER, to_remove.bytes, &value, &version),
                     STATUS_OBJECT_NOT_FOUND);
}

/* With a new start everything that was settled stays so, whatever the store says. */
static void a_removed_node_cannot_bring_the_old_key_back(void **state)
{
    static const uint8_t zero[ID_LEN];
    CLEANUP(end_cluster) struct cluster cluster;
    CLEANUP(close_thief) struct thief thief;
    CLEANUP(cluster_record_wipe) struct cluster_record record;
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, progress_sealed = BYTES_INIT;
    char pem[PEM_MAX];
    struct rotation_progress progress;
    struct account mallory;
    struct store_write write;
    struct node *again = NULL;

    (void)state;
    found_cluster(&cluster, true);
    struct node *member = join_node(&cluster, "member", "20", pem);
    remove_node(&cluster, join_node(&cluster, "removed", "20", pem));
    rotate(cluster.founder, 86400);
    wait_until(is_settled, cluster.founder, 2);
    wait_until(knows_settled, member, 2);
    wait_until(has_told, member, 2);
    stop_node(&cluster, member);

    open_thief(&cluster, "removed", 0, &thief);
    assert_int_equal(cluster_record_read(cluster.founder, &record), STATUS_OK); /* which a thief remembers about */
    record.key_settled = 1;
    record.version--;
    assert_int_equal(cluster_record_write(&thief.node, &record, &sealed, &write), STATUS_OK);
    replace_value(&cluster, STORE_CLUSTER, bytes_slice(&sealed), zero);
    assert_int_equal(rotation_progress_read(cluster.founder, &progress), STATUS_OK);
    progress = (struct rotation_progress){.version = progress.version - 1, .generation = 2};
    assert_int_equal(rotation_progress_write(&thief.node, &progress, &progress_sealed, &write), STATUS_OK);
    replace_value(&cluster, STORE_ROTATION, bytes_slice(&progress_sealed), zero);
    forge_admin(&cluster, &thief, &mallory);

    assert_int_not_equal(open_node(&cluster, "member", "20", &again), STATUS_OK);
    assert_int_not_equal(account_read(cluster.founder, mallory.id, &mallory), STATUS_OK);
}

/* Nothing of a handover that does not fit is kept: with the genuine one in its place again all is well. */
static void a_false_handover_does_no_lasting_harm(void **state)
{
    CLEANUP(end_cluster) struct cluster cluster;
    CLEANUP(close_thief) struct thief thief;
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, genuine = BYTES_INIT;
    char member_pem[PEM_MAX], removed_pem[PEM_MAX];
    uint8_t id[ID_LEN];
    struct node *again = NULL;

    (void)state;
    found_cluster(&cluster, true);
    struct node *member = join_node(&cluster, "member", "20", member_pem);
    remove_node(&cluster, join_node(&cluster, "removed", "20", removed_pem));
    memcpy(id, identity_node_id(member->identity), ID_LEN);
    stop_node(&cluster, member);
    rotate(cluster.founder, 0);
    wait_until(is_forgotten, cluster.founder, 1);

    open_thief(&cluster, "removed", 2, &thief);
    forge_handover(&thief, id, member_pem, 0, &sealed, &genuine);
    replace_value(&cluster, STORE_HANDOVER, bytes_slice(&sealed), id);
    assert_int_not_equal(open_node(&cluster, "member", "20", &again), STATUS_OK);
    replace_value(&cluster, STORE_HANDOVER, bytes_slice(&genuine), id);
    assert_int_equal(open_node(&cluster, "member", "20", &again), STATUS_OK);
    node_stop(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_removed_node_cannot_hand_over_a_key_of_its_own),
        cmocka_unit_test(a_certificate_of_another_ca_is_handed_nothing),
        cmocka_unit_test(a_node_that_is_removed_meanwhile_is_handed_nothing),
        cmocka_unit_test(a_removed_node_cannot_bring_the_old_key_back),
        cmocka_unit_test(a_false_handover_does_no_lasting_harm),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
