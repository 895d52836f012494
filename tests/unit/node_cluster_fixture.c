#include "node_cluster_fixture.h"

#include <ftw.h>
#include <sqlite3.h>
#include <unistd.h>
#include "config/node_config.h"
#include "identity/member.h"
#include "rotation/reseal.h"
#include "rotation/rotation.h"
#include "seal/masking_keys.h"
#include "user/cluster_record.h"

#define TO_WAIT 2000u /* times 10 ms */

/* --- nodes --- */

status_code open_node(const struct cluster *cluster, const char *name, const char *tail_ms, struct node **node)
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

struct node *start_node(struct cluster *cluster, const char *name, const char *tail_ms)
{
    struct node *node = NULL;

    assert_int_equal(open_node(cluster, name, tail_ms, &node), STATUS_OK);
    cluster->nodes[cluster->n_nodes++] = node;
    return node;
}

void stop_node(struct cluster *cluster, struct node *node)
{
    for (unsigned i = 0; i < cluster->n_nodes; i++)
        if (cluster->nodes[i] == node)
            cluster->nodes[i] = NULL;
    node_stop(node);
}

/* As the server does once the node listens. */
void announce_node(struct node *node)
{
    assert_int_equal(members_put_own(node), STATUS_OK);
    atomic_store(&node->announced, true);
}

void found_cluster(struct cluster *cluster, bool announced)
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
        announce_node(founder);
    assert_int_equal(users_activate(founder->users, slice_text("admin"), slice_text(PASSWORD), slice_of(NULL, 0)),
                     STATUS_OK);
    assert_int_equal(users_create(founder->users, &cluster->admin, slice_text("alice"), slice_text(PASSWORD), ROLE_USER,
                                  new_id().bytes),
                     STATUS_OK);
    assert_int_equal(users_find(founder->users, slice_text("alice"), cluster->alice.user_id, &cluster->alice.role),
                     STATUS_OK);
    snprintf(cluster->alice.user_name, sizeof(cluster->alice.user_name), "alice");
}

struct node *join_node(struct cluster *cluster, const char *name, const char *tail_ms, char pem[PEM_MAX])
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
    announce_node(node);
    return node;
}

/* Stops it, too; its id. */
struct id remove_node(struct cluster *cluster, struct node *node)
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

void end_cluster(struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->n_nodes; i++)
        if (cluster->nodes[i])
            node_stop(cluster->nodes[i]);
    free_ca(&cluster->ca);
    nftw(cluster->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- rotations --- */

void rotate(struct node *node, uint64_t grace_s)
{
    uint32_t generation;

    assert_int_equal(rotation_begin(node, new_id().bytes, grace_s, &generation), STATUS_OK);
}

bool is_settled(struct node *node, uint32_t generation)
{
    CLEANUP(cluster_record_wipe) struct cluster_record record;

    return cluster_record_read(node, &record) == STATUS_OK && record.key_settled == generation;
}

bool is_forgotten(struct node *node, uint32_t generation)
{
    CLEANUP(cluster_record_wipe) struct cluster_record record;

    return cluster_record_read(node, &record) == STATUS_OK && record.key_oldest > generation;
}

bool knows(struct node *node, uint32_t generation)
{
    return keyring_newest(node->keyring) == generation;
}

bool knows_settled(struct node *node, uint32_t generation)
{
    return identity_settled(node->identity) == generation;
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
bool has_told(struct node *node, uint32_t generation)
{
    struct told told = {identity_node_id(node->identity), 0};

    return members_each(node, note_told, &told) == STATUS_OK && told.generation == generation;
}

void wait_until(bool (*is_so)(struct node *node, uint32_t generation), struct node *node, uint32_t generation)
{
    for (unsigned i = 0; i < TO_WAIT && !is_so(node, generation); i++)
        usleep(10000);
    assert_true(is_so(node, generation));
}

/* As the rotation's thread of the node would, which was stopped: seals the first kinds anew. */
void seal_up_to(struct node *node, enum store_kind last)
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

void write_raw(const struct cluster *cluster, const char *sql, struct slice value, const uint8_t id[ID_LEN])
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

void replace_value(const struct cluster *cluster, enum store_kind kind, struct slice value, const uint8_t id[ID_LEN])
{
    char sql[128];

    snprintf(sql, sizeof(sql), "UPDATE records SET value = ?1 WHERE kind = %d AND id = ?2", (int)kind);
    write_raw(cluster, sql, value, id);
}

void open_thief(const struct cluster *cluster, const char *name, uint32_t further, struct thief *thief)
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

void close_thief(struct thief *thief)
{
    secret_release(&thief->keys);
    keyring_free(thief->node.keyring);
    identity_close(thief->node.identity);
}
