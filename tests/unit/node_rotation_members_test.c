/* The replacement of the masking key over several whole nodes on one store: what a member that was removed, is late, or
 * cannot keep the new key may do to it, and that nothing is given up that could be read. */
#include "node_objects_fixture.h"

#include <ftw.h>
#include <sqlite3.h>
#include <unistd.h>
#include "config/node_config.h"
#include "identity/certificate.h"
#include "identity/member.h"
#include "identity/vault.h"
#include "node_ca_fixture.h"
#include "rotation/reseal.h"
#include "rotation/rotation.h"
#include "seal/index.h"
#include "seal/masking_keys.h"
#include "user/account.h"
#include "user/cluster_record.h"

#define PEM_MAX  8192u
#define LATE     "60000" /* tail-interval-ms of a node that looks at nothing by itself */
#define TO_WAIT  2000u   /* times 10 ms */
#define PASSWORD "correct horse"

static const struct index_term any_object = {256, {NULL, 0}}; /* TERM_ANY */

struct cluster {
    char folder[64], store[128];
    struct ca ca;
    struct node *nodes[3], *founder;
    unsigned n_nodes;
    struct caller admin, alice;
};

/* --- nodes --- */

static status_code open_node(const struct cluster *cluster, const char *name, const char *tail_ms, struct node **node)
{
    char texts[4][256];
    struct node_config *config = calloc(1, sizeof(*config));

    snprintf(texts[0], sizeof(texts[0]), "state-folder=%s/%s", cluster->folder, name);
    snprintf(texts[1], sizeof(texts[1]), "store=sqlite:%s", cluster->store);
    snprintf(texts[2], sizeof(texts[2]), "tail-interval-ms=%s", tail_ms);
    snprintf(texts[3], sizeof(texts[3]), "name=%s", name);
    const char *settings[] = {
        texts[0], texts[1], texts[2], texts[3], "password-iterations=210000", "advertise=tcp://127.0.0.1:1"};

    assert_int_equal(node_config_load_with(NULL, settings, 6, config), STATUS_OK);
    status_code status = node_start(config, node);
    free(config);
    return status;
}

static struct node *start_node(struct cluster *cluster, const char *name, const char *tail_ms)
{
    struct node *node = NULL;

    assert_int_equal(open_node(cluster, name, tail_ms, &node), STATUS_OK);
    cluster->nodes[cluster->n_nodes++] = node;
    return node;
}

static void stop_node(struct cluster *cluster, struct node *node)
{
    for (unsigned i = 0; i < cluster->n_nodes; i++)
        if (cluster->nodes[i] == node)
            cluster->nodes[i] = NULL;
    node_stop(node);
}

/* As the server does once the node listens. */
static void announce(struct node *node)
{
    assert_int_equal(members_put_own(node), STATUS_OK);
    atomic_store(&node->announced, true);
}

static void found(struct cluster *cluster, bool announced)
{
    char pem[PEM_MAX];

    *cluster = (struct cluster){.admin.role = ROLE_ADMIN};
    snprintf(cluster->folder, sizeof(cluster->folder), "/tmp/hsm-rotation-XXXXXX");
    assert_non_null(mkdtemp(cluster->folder));
    snprintf(cluster->store, sizeof(cluster->store), "%s/store.db", cluster->folder);
    make_ca(&cluster->ca, "owner", true);
    struct node *founder = cluster->founder = start_node(cluster, "founder", "20");
    assert_int_equal(identity_create_cluster(founder->identity, slice_text("demo")), STATUS_OK);
    sign_request(&cluster->ca, founder->identity, -60, 86400, pem, sizeof(pem));
    assert_int_equal(identity_initialize(founder->identity, slice_text(pem), slice_text(cluster->ca.pem)), STATUS_OK);
    assert_int_equal(node_become_member(founder), STATUS_OK);
    if (announced)
        announce(founder);
    assert_int_equal(users_activate(founder->users, slice_text("admin"), slice_text(PASSWORD), slice_of(NULL, 0)),
                     STATUS_OK);
    assert_int_equal(users_create(founder->users, &cluster->admin, slice_text("alice"), slice_text(PASSWORD), ROLE_USER,
                                  new_id().bytes),
                     STATUS_OK);
    assert_int_equal(users_find(founder->users, slice_text("alice"), cluster->alice.user_id, &cluster->alice.role),
                     STATUS_OK);
    snprintf(cluster->alice.user_name, sizeof(cluster->alice.user_name), "alice");
}

static struct node *join(struct cluster *cluster, const char *name, const char *tail_ms, char pem[PEM_MAX])
{
    struct node *node = start_node(cluster, name, tail_ms), *founder = cluster->founder;
    CLEANUP(bytes_release) struct bytes handover = BYTES_INIT;
    uint8_t id[ID_LEN];

    sign_request(&cluster->ca, node->identity, -60, 86400, pem, PEM_MAX);
    assert_int_equal(identity_approve(founder->identity, slice_text(pem), &handover, id), STATUS_OK);
    assert_int_equal(members_approve(founder, id, slice_text(pem)), STATUS_OK);
    assert_int_equal(
        identity_admit(node->identity, slice_text(pem), slice_text(cluster->ca.pem), bytes_slice(&handover)),
        STATUS_OK);
    assert_int_equal(node_become_member(node), STATUS_OK);
    announce(node);
    return node;
}

/* Stops it, too; its id. */
static struct id remove_node(struct cluster *cluster, struct node *node)
{
    struct id id;

    memcpy(id.bytes, identity_node_id(node->identity), ID_LEN);
    stop_node(cluster, node);
    assert_int_equal(members_remove(cluster->founder, id.bytes), STATUS_OK);
    return id;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void end(struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->n_nodes; i++)
        if (cluster->nodes[i])
            node_stop(cluster->nodes[i]);
    free_ca(&cluster->ca);
    nftw(cluster->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- rotations --- */

static void rotate(struct node *node, uint64_t grace_s)
{
    uint32_t generation;

    assert_int_equal(rotation_begin(node, new_id().bytes, grace_s, &generation), STATUS_OK);
}

static bool is_settled(struct node *node, uint32_t generation)
{
    CLEANUP(cluster_record_wipe) struct cluster_record record;

    return cluster_record_read(node, &record) == STATUS_OK && record.key_settled == generation;
}

static bool is_forgotten(struct node *node, uint32_t generation)
{
    CLEANUP(cluster_record_wipe) struct cluster_record record;

    return cluster_record_read(node, &record) == STATUS_OK && record.key_oldest > generation;
}

static bool knows(struct node *node, uint32_t generation)
{
    return keyring_newest(node->keyring) == generation;
}

struct told {
    const uint8_t *id;
    uint64_t generation;
};

static status_code note_told(void *context, const struct values *member)
{
    struct told *told = context;

    if (memcmp(values_bytes(member, FIELD_NODE_ID).data, told->id, ID_LEN) == 0)
        told->generation = values_uint(member, FIELD_KEY_GENERATION, 0);
    return STATUS_OK;
}

/* In its member record. */
static bool has_told(struct node *node, uint32_t generation)
{
    struct told told = {identity_node_id(node->identity), 0};

    return members_each(node, note_told, &told) == STATUS_OK && told.generation == generation;
}

static void wait_until(bool (*is_so)(struct node *node, uint32_t generation), struct node *node, uint32_t generation)
{
    for (unsigned i = 0; i < TO_WAIT && !is_so(node, generation); i++)
        usleep(10000);
    assert_true(is_so(node, generation));
}

/* As the rotation's thread of the node would, which was stopped: seals the first kinds anew. */
static void seal_up_to(struct node *node, enum store_kind last)
{
    struct rotation_progress progress = {.version = 0};

    assert_int_equal(rotation_progress_read(node, &progress), STATUS_OK);
    if (progress.pass == 0) {
        progress.pass = 1;
        reseal_begin(&progress);
    }
    for (bool done = false; !done && progress.kind;) {
        enum store_kind kind = progress.kind;

        assert_int_equal(reseal_some(node, &progress), STATUS_OK);
        done = kind == last && progress.kind != last;
    }
}

/* --- the store's file, as somebody sees it who can reach it without a node --- */

static void write_raw(const struct cluster *cluster, const char *sql, struct slice value, const uint8_t id[ID_LEN])
{
    sqlite3_stmt *statement;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(cluster->store, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_blob(statement, 1, value.data, (int)value.len, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, id, ID_LEN, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    assert_true(sqlite3_changes(db) > 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

#define REPLACE_VALUE "UPDATE records SET value = ?1 WHERE kind = 6 AND id = ?2"
#define NEW_HANDOVER  "UPDATE records SET version = version + 1, value = ?1 WHERE kind = 9 AND id = ?2"

/* What a node's state folder gives away: its identity, and a keyring of its masking keys and perhaps one more. */
struct thief {
    struct node node;
    struct secret keys;
};

static void open_thief(const struct cluster *cluster, const char *name, uint32_t further, struct thief *thief)
{
    CLEANUP(secret_release) struct secret own = SECRET_INIT, made = SECRET_INIT;
    char path[200];

    *thief = (struct thief){.keys = SECRET_INIT};
    snprintf(path, sizeof(path), "%s/%s", cluster->folder, name);
    assert_int_equal(identity_open(&thief->node, path, &thief->node.identity), STATUS_OK);
    assert_int_equal(identity_masking_keys(thief->node.identity, &own), STATUS_OK);
    if (further) {
        assert_int_equal(masking_keys_make(further, &made), STATUS_OK);
        assert_int_equal(masking_keys_join(secret_slice(&own), secret_slice(&made), &thief->keys), STATUS_OK);
    } else {
        assert_int_equal(secret_copy(&thief->keys, secret_slice(&own)), STATUS_OK);
    }
    assert_int_equal(
        keyring_create(secret_slice(&thief->keys), identity_seal_id(thief->node.identity), &thief->node.keyring),
        STATUS_OK);
    thief->node.store = cluster->founder->store;
}

static void close_thief(struct thief *thief)
{
    secret_release(&thief->keys);
    keyring_free(thief->node.keyring);
    identity_close(thief->node.identity);
}

/* --- members that were removed --- */

static void a_removed_node_cannot_hand_over_a_key_of_its_own(void **state)
{
    CLEANUP(end) struct cluster cluster;
    CLEANUP(close_thief) struct thief thief;
    CLEANUP(bytes_release) struct bytes handover = BYTES_INIT, sealed = BYTES_INIT, before = BYTES_INIT;
    CLEANUP(bytes_release) struct bytes records = BYTES_INIT, cursor = BYTES_INIT;
    CLEANUP(resealed_release) struct resealed memory = RESEALED_INIT;
    char member_pem[PEM_MAX], removed_pem[PEM_MAX];
    uint8_t id[ID_LEN], place[RECORD_CONTEXT_LEN];
    struct account mallory;
    struct store_write write;
    uint64_t version;

    (void)state;
    found(&cluster, true);
    struct node *member = join(&cluster, "member", "20", member_pem);
    remove_node(&cluster, join(&cluster, "removed", "20", removed_pem));
    memcpy(id, identity_node_id(member->identity), ID_LEN);
    rotate(cluster.founder, 86400);
    wait_until(is_settled, cluster.founder, 2);
    wait_until(knows, member, 2);

    open_thief(&cluster, "removed", 3, &thief);
    assert_int_equal(
        identity_hand_over(thief.node.identity, id, slice_text(member_pem), secret_slice(&thief.keys), &handover),
        STATUS_OK);
    assert_int_equal(thief.node.store->operations->read(thief.node.store, STORE_HANDOVER, id, &before, &version),
                     STATUS_OK);
    assert_int_equal(seal(thief.node.keyring, 1, SEAL_HANDOVER, record_context(STORE_HANDOVER, id, version + 1, place),
                          bytes_slice(&handover), &sealed),
                     STATUS_OK);
    write_raw(&cluster, NEW_HANDOVER, bytes_slice(&sealed), id);
    thief.node.config.password_iterations = 210000;
    assert_int_equal(account_new(&thief.node, slice_text("mallory"), slice_text(PASSWORD), ROLE_ADMIN, &mallory),
                     STATUS_OK);
    assert_int_equal(account_write(&thief.node, &mallory, &memory, &write), STATUS_OK);
    write_raw(&cluster, "INSERT INTO records VALUES(3, ?2, 1, 1, ?1, x'')", write.value, mallory.id);

    (void)users_list(member->users, slice_of(NULL, 0), 0, &records, &cursor);
    assert_int_equal(keyring_newest(member->keyring), 2);
    assert_int_not_equal(account_read(member, mallory.id, &mallory), STATUS_OK);
}

/* Its record says that it is a member again, with the certificate of another CA. */
static void a_certificate_of_another_ca_is_handed_nothing(void **state)
{
    CLEANUP(end) struct cluster cluster;
    char pem[PEM_MAX];
    struct ca other;
    uint32_t generation;

    (void)state;
    found(&cluster, true);
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
    CLEANUP(end) struct cluster cluster;
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    char pem[PEM_MAX];
    uint64_t version;

    (void)state;
    found(&cluster, true);
    remover = join(&cluster, "remover", "20", pem);
    struct node *removed = join(&cluster, "removed", "20", pem);
    memcpy(to_remove.bytes, identity_node_id(removed->identity), ID_LEN);
    stop_node(&cluster, removed);
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

/* --- members that are late --- */

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
    CLEANUP(end) struct cluster cluster;
    char late_pem[PEM_MAX], removed_pem[PEM_MAX];
    uint8_t hash[CERTIFICATE_HASH_LEN];
    uint64_t n_owned;
    unsigned n_found = 0;
    bool removed;

    (void)state;
    found(&cluster, true);
    struct node *late = join(&cluster, "late", LATE, late_pem);
    remove_node(&cluster, join(&cluster, "removed", "20", removed_pem));
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
    CLEANUP(end) struct cluster cluster;
    char pem[PEM_MAX];

    (void)state;
    found(&cluster, true);
    make_aes(cluster.founder, &cluster.alice, "key", NULL);
    struct node *late = join(&cluster, "late", LATE, pem);
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
    CLEANUP(end) struct cluster cluster;
    char pem[PEM_MAX];

    (void)state;
    found(&cluster, true);
    struct node *late = join(&cluster, "late", LATE, pem);
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
    CLEANUP(end) struct cluster cluster;
    struct node *again = NULL;
    char pem[PEM_MAX];

    (void)state;
    found(&cluster, true);
    struct node *away = join(&cluster, "away", "20", pem);
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
    CLEANUP(end) struct cluster cluster;
    uint32_t generation;

    (void)state;
    found(&cluster, false);
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
    CLEANUP(end) struct cluster cluster;
    char pem[PEM_MAX];
    unsigned n_found = 0;

    (void)state;
    found(&cluster, true);
    for (unsigned i = 0; i < 20; i++)
        make_aes(cluster.founder, &cluster.alice, "key", NULL);
    struct node *full = join(&cluster, "full", "20", pem);
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
    CLEANUP(end) struct cluster cluster;
    uint32_t generation;

    (void)state;
    found(&cluster, true);
    fill_disk_of(cluster.founder);
    assert_int_equal(rotation_begin(cluster.founder, new_id().bytes, 0, &generation), STATUS_IO_ERROR);
    disk_is_full = false;
    wait_until(is_settled, cluster.founder, 2);
}

/* --- records that do not open --- */

static void damage(const struct cluster *cluster, const uint8_t id[ID_LEN], struct bytes *intact)
{
    CLEANUP(bytes_release) struct bytes damaged = BYTES_INIT;
    struct store *store = cluster->founder->store;
    uint64_t version;

    assert_int_equal(store->operations->read(store, STORE_OBJECT, id, intact, &version), STATUS_OK);
    assert_int_equal(bytes_assign(&damaged, bytes_slice(intact)), STATUS_OK);
    damaged.data[damaged.len - 1] ^= 1;
    write_raw(cluster, REPLACE_VALUE, bytes_slice(&damaged), id);
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
    CLEANUP(end) struct cluster cluster;
    CLEANUP(bytes_release) struct bytes intact = BYTES_INIT;
    CLEANUP(object_release) struct object *object = NULL;

    (void)state;
    found(&cluster, true);
    struct id id = make_aes(cluster.founder, &cluster.alice, "key", NULL);
    damage(&cluster, id.bytes, &intact);
    rotate(cluster.founder, 0);
    wait_until(is_held_up, cluster.founder, 2);
    assert_true(is_settled(cluster.founder, 1));
    write_raw(&cluster, REPLACE_VALUE, bytes_slice(&intact), id.bytes);
    objects_forget_all(cluster.founder->objects);
    assert_int_equal(
        object_get(cluster.founder->objects, &cluster.alice, slice_of(id.bytes, ID_LEN), slice_of(NULL, 0), &object),
        STATUS_OK);
}

static void an_administrator_gives_a_damaged_record_up(void **state)
{
    CLEANUP(end) struct cluster cluster;
    CLEANUP(bytes_release) struct bytes intact = BYTES_INIT;

    (void)state;
    found(&cluster, true);
    assert_int_equal(rotation_give_up_damaged(cluster.founder, 1), STATUS_CLUSTER_STATE);
    struct id id = make_aes(cluster.founder, &cluster.alice, "key", NULL);
    damage(&cluster, id.bytes, &intact);
    rotate(cluster.founder, 86400);
    wait_until(is_held_up, cluster.founder, 2);
    assert_int_equal(rotation_give_up_damaged(cluster.founder, 1), STATUS_OK);
    wait_until(is_settled, cluster.founder, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_removed_node_cannot_hand_over_a_key_of_its_own),
        cmocka_unit_test(a_certificate_of_another_ca_is_handed_nothing),
        cmocka_unit_test(a_node_that_is_removed_meanwhile_is_handed_nothing),
        cmocka_unit_test(a_late_node_overlooks_nothing),
        cmocka_unit_test(a_late_node_does_not_delete_an_owner),
        cmocka_unit_test(a_late_node_makes_no_second_user_of_a_name),
        cmocka_unit_test(a_node_that_was_away_for_several_rotations_of_one_grace_comes_back),
        cmocka_unit_test(a_node_without_a_record_of_its_own_begins_nothing),
        cmocka_unit_test(a_node_that_cannot_keep_the_key_sends_clients_elsewhere),
        cmocka_unit_test(an_only_node_goes_on_once_it_can_keep_the_key),
        cmocka_unit_test(a_damaged_record_keeps_the_key_before),
        cmocka_unit_test(an_administrator_gives_a_damaged_record_up),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
