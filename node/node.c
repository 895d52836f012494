/* The node as a whole: how its parts come up and go down, its clock, and how its caches keep up with the store.
 *
 * Parts that only a member has (keyring, store, users, objects, audit, tail) are in place before node->state says
 * SERVING, and are looked at by nobody before. Called by main(), the handlers of the life cycle and the dispatcher. */
#include "node.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "backup/backup.h"
#include "identity/anchor.h"
#include "identity/member.h"
#include "identity/presence.h"
#include "rotation/rotation.h"
#include "server/server.h"
#include "store/etcd_client.h"
#include "tail.h"
#include "user/cluster_record.h"

/** A step of the clock backwards that is worth a word; less is an NTP daemon at work. */
#define CLOCK_STEP_MS 1000

const char *node_state_name(enum node_state state)
{
    switch (state) {
    case NODE_UNINITIALIZED:
        return "uninitialized";
    case NODE_SERVING:
        return "serving";
    case NODE_DRAINING:
        return "draining";
    case NODE_FAILED:
        return "failed";
    }
    return "unknown";
}

/* The clock. */

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void clock_went_back(struct node *node, int64_t by_ms)
{
    if (atomic_exchange(&node->clock_held, true))
        return;
    log_event(LOG_LEVEL_ERROR, "clock set back", "by_ms", log_number(by_ms), "hint",
              "this node goes on from the time that it had: expiry times hold; set the clock right, then restart it",
              NULL);
}

uint64_t node_now_ms(struct node *node)
{
    int64_t monotonic = clock_ms(CLOCK_MONOTONIC);
    int64_t offset = clock_ms(CLOCK_REALTIME) - monotonic;
    int64_t highest = atomic_load(&node->clock_offset_ms);

    while (offset > highest)
        if (atomic_compare_exchange_weak(&node->clock_offset_ms, &highest, offset))
            highest = offset;
    if (highest - offset > CLOCK_STEP_MS)
        clock_went_back(node, highest - offset);
    else if (atomic_load(&node->clock_held) && atomic_exchange(&node->clock_held, false))
        log_event(LOG_LEVEL_INFO, "clock right again", NULL);
    return (uint64_t)(monotonic + highest);
}

/* Keeping up with the store. */

status_code node_catch_up(struct node *node, uint64_t revision)
{
    if (atomic_load(&node->revision) >= revision || !node->tail)
        return STATUS_OK;
    TRY(node->store->operations->wait(node->store, revision));
    TRY(tail_catch_up(node->tail));
    uint64_t own = atomic_load(&node->revision);
    CHECK(own >= revision, STATUS_BUSY,
          "this node's store is at revision %llu, but the client has seen %llu: the store is behind, or was restored "
          "from a "
          "backup after this client connected",
          (unsigned long long)own, (unsigned long long)revision);
    return STATUS_OK;
}

status_code node_catch_up_with_all(struct node *node)
{
    uint64_t newest = 0;

    TRY(node->store->operations->newest(node->store, &newest));
    return node_catch_up(node, newest);
}

uint64_t node_store_age_ms(struct node *node)
{
    uint64_t age_ms = 0;

    /* The store is there for good once the node is a member. */
    if (atomic_load(&node->state) != NODE_UNINITIALIZED && node->store)
        node->store->operations->age(node->store, &age_ms);
    return age_ms;
}

void revision_raise(_Atomic uint64_t *revision, uint64_t to)
{
    uint64_t now = atomic_load(revision);
    while (now < to && !atomic_compare_exchange_weak(revision, &now, to))
        ;
}

uint64_t node_answered_revision(const struct node *node)
{
    uint64_t revision = atomic_load_explicit(&node->revision, memory_order_acquire);
    uint64_t written = atomic_load_explicit(&node->written, memory_order_acquire);
    return revision > written ? revision : written;
}

static bool reads_reflect(struct node *node, uint64_t revision)
{
    uint64_t held;
    return node->store->operations->revision(node->store, &held) == STATUS_OK && held >= revision;
}

void node_wrote(struct node *node, uint64_t revision)
{
    uint64_t before = revision - 1;
    metric_add(WORKERS_MAX, METRIC_STORE_WRITES, 1);
    if (revision == 0)
        return;
    revision_raise(&node->written, revision);
    if (!reads_reflect(node, revision))
        return; /* the tail comes to it, and the client's next request waits for that */
    if (atomic_compare_exchange_strong(&node->revision, &before, revision))
        return;
    /* Others wrote in between: the answer must still reflect our own write. If this fails, the tail tries again, and
     * the client's next request waits for it. */
    if (before < revision && node->tail && tail_catch_up(node->tail) != STATUS_OK)
        log_event(LOG_LEVEL_WARNING, "store cannot be followed", "detail", failure_detail(), NULL);
}

status_code node_cluster_changed(struct node *node)
{
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    status_code code = cluster_record_read(node, &cluster);
    if (code == STATUS_OBJECT_NOT_FOUND)
        return STATUS_OK;
    TRY(code);
    TRY(rotation_follow(node, &cluster));
    atomic_store(&node->cluster_active, cluster.active);
    return STATUS_OK;
}

status_code node_members_changed(struct node *node)
{
    uint64_t version;
    TRY(members_version(node, &version));
    if (atomic_exchange(&node->cluster_version, version) != version)
        log_event(LOG_LEVEL_INFO, "protocol version of the cluster", "version", log_number((long long)version), NULL);
    return STATUS_OK;
}

void node_was_removed(struct node *node)
{
    if (atomic_exchange(&node->state, NODE_DRAINING) == NODE_DRAINING)
        return;
    log_event(LOG_LEVEL_ERROR, "removed from the cluster", "hint",
              "an administrator removed this node: it stops; delete its state folder", NULL);
    presence_tell(node);
    kill(getpid(), SIGTERM); /* the orderly way out: main() drains and stops */
}

/* Becoming a member. */

void node_etcd_settings(const struct node_config *config, struct etcd_settings *settings)
{
    memset(settings, 0, sizeof *settings);
    settings->n_endpoints = config->n_etcd_endpoints;
    memcpy(settings->endpoints, config->etcd_endpoints, sizeof config->etcd_endpoints);
    snprintf(settings->prefix, sizeof settings->prefix, "%s", config->etcd_prefix);
    snprintf(settings->ca_file, sizeof settings->ca_file, "%s", config->etcd_ca_file);
    snprintf(settings->certificate_file, sizeof settings->certificate_file, "%s", config->etcd_certificate_file);
    snprintf(settings->key_file, sizeof settings->key_file, "%s", config->etcd_key_file);
}

static status_code open_etcd(struct node *node)
{
    struct etcd_settings settings;
    char replica[sizeof node->config.state_folder + 16];

    node_etcd_settings(&node->config, &settings);
    snprintf(replica, sizeof replica, "%s/replica.db", node->config.state_folder);
    return store_open_etcd(&settings, replica, identity_cluster_id(node->identity), &node->store);
}

static status_code open_store(struct node *node)
{
    if (strcmp(node->config.store, "etcd") == 0)
        TRY(open_etcd(node));
    else
        TRY(store_open_sqlite(node->config.store + strlen("sqlite:"), identity_cluster_id(node->identity),
                              &node->store));
    /* Before any cache exists, so that nothing is cached of an older revision than the caches claim. */
    uint64_t revision = 0;
    TRY(node->store->operations->revision(node->store, &revision));
    atomic_store(&node->revision, revision);
    return STATUS_OK;
}

static status_code open_keyring(struct node *node)
{
    CLEANUP(secret_release) struct secret masking_keys = SECRET_INIT;
    TRY(identity_masking_keys(node->identity, &masking_keys));
    TRY(keyring_create(secret_slice(&masking_keys), identity_seal_id(node->identity), &node->keyring));
    keyring_settle(node->keyring, identity_settled(node->identity));
    return STATUS_OK;
}

static status_code check_not_removed(struct node *node)
{
    bool removed = false;
    TRY(members_own_removed(node, &removed));
    CHECK(!removed, STATUS_CLUSTER_STATE,
          "an administrator removed this node from the cluster: it can come back only with a fresh state folder");
    return STATUS_OK;
}

/** An empty store is right for the founder of the cluster, once. For everybody else it is a disk that is not mounted,
 * or a path that the nodes do not share: serving it would mean that all keys are gone and that anybody may activate. */
static status_code found_or_check_cluster(struct node *node)
{
    CLEANUP(cluster_record_wipe) struct cluster_record record;
    if (identity_is_founding(node->identity)) {
        TRY(cluster_record_create(node, identity_cluster_name(node->identity)));
        TRY(members_retire_all(node)); /* of a cluster that was restored: none of them is in this one */
        return identity_founded(node->identity);
    }
    status_code code = cluster_record_read(node, &record);
    CHECK(
        code != STATUS_OBJECT_NOT_FOUND, STATUS_STORE_DAMAGED,
        "the store %.80s holds no cluster, but this node belongs to %.40s: is its disk there, and is it the store that "
        "all nodes share? Set `store` right and restart",
        node->config.store, identity_cluster_name(node->identity));
    return code;
}

static status_code open_parts(struct node *node)
{
    TRY(open_keyring(node));
    TRY(rotation_open(node, &node->rotation));
    TRY(open_store(node));
    TRY(found_or_check_cluster(node));
    TRY(check_not_removed(node));
    TRY(users_open(node, &node->users));
    TRY(objects_open(node, &node->objects));
    TRY(audit_open(node, &node->audit));
    TRY(node_cluster_changed(node));
    TRY(node_members_changed(node));
    TRY(anchors_follow(node));
    TRY(tail_start(node, &node->tail));
    TRY(rotation_start(node->rotation));
    return backups_open(node, &node->backups);
}

static void close_parts(struct node *node)
{
    backups_close(node->backups);
    node->backups = NULL;
    rotation_stop(node->rotation);
    tail_stop(node->tail);
    node->tail = NULL;
    if (node->audit)
        audit_close(node->audit);
    node->audit = NULL;
    if (node->objects)
        objects_close(node->objects);
    node->objects = NULL;
    if (node->users)
        users_close(node->users);
    node->users = NULL;
    if (node->store)
        node->store->operations->close(node->store);
    node->store = NULL;
    rotation_close(node->rotation);
    node->rotation = NULL;
    if (node->keyring)
        keyring_free(node->keyring);
    node->keyring = NULL;
}

/** With a server running (the node becomes a member while it is up), clients can come in from here on. */
static status_code open_doors(struct node *node)
{
    if (!node->server)
        return STATUS_OK;
    TRY(server_open_member_listeners(node->server));
    return node_announce(node);
}

status_code node_become_member(struct node *node)
{
    if (atomic_load(&node->state) != NODE_UNINITIALIZED)
        return open_doors(node); /* an earlier attempt may have ended there */
    status_code code = open_parts(node);
    if (code != STATUS_OK) {
        close_parts(node);
        return code;
    }
    enum node_state before = NODE_UNINITIALIZED;
    atomic_compare_exchange_strong(&node->state, &before, NODE_SERVING);
    log_event(LOG_LEVEL_INFO, "member of the cluster", "cluster", identity_cluster_name(node->identity), "cluster_id",
              log_hex(slice_of(identity_cluster_id(node->identity), ID_LEN)), "store", node->config.store, "revision",
              log_number((long long)atomic_load(&node->revision)), NULL);
    return open_doors(node);
}

/* Start and stop. */

static status_code start_parts(struct node *node)
{
    TRY(identity_open(node, node->config.state_folder, &node->identity));
    log_event(LOG_LEVEL_INFO, "node", "name", node->config.name, "id",
              log_hex(slice_of(identity_node_id(node->identity), ID_LEN)), "state_folder", node->config.state_folder,
              NULL);
    return identity_state(node->identity) == IDENTITY_MEMBER ? node_become_member(node) : STATUS_OK;
}

status_code node_start(const struct node_config *config, struct node **node)
{
    struct node *made = calloc(1, sizeof *made);
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the node");
    made->config = *config;
    made->config.log.file = made->config.log_file[0] ? made->config.log_file : NULL;
    pthread_mutex_init(&made->lock, NULL);
    atomic_store(&made->clock_offset_ms, INT64_MIN / 2);
    atomic_store(&made->cluster_version, PROTOCOL_VERSION);
    made->started_ms = node_now_ms(made);
    status_code code = start_parts(made);
    if (code != STATUS_OK) {
        node_stop(made);
        return code;
    }
    *node = made;
    return STATUS_OK;
}

void node_stop(struct node *node)
{
    if (!node)
        return;
    close_parts(node);
    identity_close(node->identity);
    pthread_mutex_destroy(&node->lock);
    free(node);
}
