/* What every node does about a rotation: learns the new key from its handover, settles and retires when the cluster
 * record says so; and the thread's frame. See rotation.h. */
#include <stdlib.h>
#include <time.h>
#include "rotation/rotation_internal.h"

#define LOOK_EVERY_MS 1000u

/* --- learning --- */

static status_code read_handover(struct node *node, struct bytes *handover)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;
    const uint8_t *id = identity_node_id(node->identity);
    uint8_t context[RECORD_CONTEXT_LEN];
    uint64_t version;
    status_code status = node->store->operations->read(node->store, STORE_HANDOVER, id, &sealed, &version);

    CHECK(status != STATUS_OBJECT_NOT_FOUND, STATUS_STORE_DAMAGED,
          "the cluster has a new masking key, but hands none over to this node: remove it from the cluster, and join "
          "with a fresh state folder");
    TRY(status);
    /* Keys before the newest open what clients hold, but those who had them may be members no more. */
    CHECK(
        generation_of(bytes_slice(&sealed)) == keyring_newest(node->keyring), STATUS_STORE_DAMAGED,
        "the handover of a new masking key is not sealed under masking key %u, this node's newest: it is not genuine, "
        "or this node was away for more than one rotation; then remove it from the cluster, and join with a fresh "
        "state folder",
        keyring_newest(node->keyring));
    status = unseal(node->keyring, SEAL_HANDOVER, record_context(STORE_HANDOVER, id, version, context),
                    bytes_slice(&sealed), handover);
    CHECK(status != STATUS_STORE_DAMAGED, STATUS_STORE_DAMAGED,
          "the handover of a new masking key does not open: it is not genuine");
    return status;
}

/* The cluster record is of the new key already, once it was sealed anew: then the key that was handed over opens it. */
static status_code check_genuine(struct node *node, struct slice masking_keys)
{
    struct keyring *keyring;

    TRY(keyring_create(masking_keys, identity_seal_id(node->identity), &keyring));
    status_code status = cluster_record_try(node, keyring);
    keyring_free(keyring);
    CHECK(status != STATUS_STORE_DAMAGED, STATUS_STORE_DAMAGED,
          "the masking key that was handed over does not open the cluster's record: it is not genuine");
    return status;
}

/* With `keys` held. */
static status_code take_up_any(struct node *node, uint32_t generation)
{
    CLEANUP(bytes_release) struct bytes handover = BYTES_INIT;
    CLEANUP(secret_release) struct secret masking_keys = SECRET_INIT;

    TRY(read_handover(node, &handover));
    TRY(identity_look_into(node->identity, bytes_slice(&handover), &masking_keys));
    CHECK(masking_keys_newest(secret_slice(&masking_keys)) >= generation, STATUS_STORE_DAMAGED,
          "masking key %u is in use, but is not handed over to this node", generation);
    TRY(check_genuine(node, secret_slice(&masking_keys)));
    TRY(identity_take_up(node->identity, bytes_slice(&handover)));
    TRY(keyring_change(node->keyring, secret_slice(&masking_keys)));
    log_event(LOG_LEVEL_INFO, "masking key taken up", "generation", log_number(generation), NULL);
    return STATUS_OK;
}

/* Whatever keeps this node from it, another one may have the key: the client is to try that. */
static status_code take_up(struct node *node, uint32_t generation)
{
    char why[FAILURE_DETAIL_MAX];
    status_code status = take_up_any(node, generation);

    if (status == STATUS_OK || status_scope(status) == STATUS_SCOPE_NODE)
        return status;
    snprintf(why, sizeof(why), "%s", failure_detail());
    FAIL(STATUS_IO_ERROR, "this node cannot take up masking key %u: %.190s", generation, why);
}

static status_code learn(void *context, uint32_t generation)
{
    struct rotation *rotation = context;
    status_code status = STATUS_OK;

    if (generation == 0)
        return rotation_refresh(rotation->node);
    pthread_mutex_lock(&rotation->keys);
    if (keyring_newest(rotation->node->keyring) < generation)
        status = take_up(rotation->node, generation);
    pthread_mutex_unlock(&rotation->keys);
    return status;
}

/* --- following --- */

/* With `keys` held. */
static status_code retire(struct node *node, uint32_t oldest)
{
    CLEANUP(secret_release) struct secret masking_keys = SECRET_INIT;

    TRY(identity_retire(node->identity, oldest, &masking_keys));
    TRY(keyring_change(node->keyring, secret_slice(&masking_keys)));
    if (node->objects)
        objects_forget_session_objects(node->objects);
    return STATUS_OK;
}

/* With `keys` held. What the vault does not take, because its disk is full, is tried again by the thread: it must not
 * keep this node from serving. */
static status_code tidy(struct rotation *rotation, const struct cluster_record *cluster)
{
    struct node *node = rotation->node;

    TRY(identity_settle(node->identity, cluster->key_settled));
    if (rotation->oldest >= cluster->key_oldest)
        return STATUS_OK;
    TRY(retire(node, cluster->key_oldest));
    rotation->oldest = cluster->key_oldest;
    return STATUS_OK;
}

/* With `keys` held. */
static status_code follow(struct rotation *rotation, const struct cluster_record *cluster, status_code *untidy)
{
    struct node *node = rotation->node;

    if (keyring_newest(node->keyring) < cluster->key_generation)
        TRY(take_up(node, cluster->key_generation));
    keyring_settle(node->keyring, cluster->key_settled);
    *untidy = tidy(rotation, cluster);
    return STATUS_OK;
}

status_code rotation_take_in(struct rotation *rotation, const struct cluster_record *cluster, status_code *untidy)
{
    pthread_mutex_lock(&rotation->keys);
    status_code status = follow(rotation, cluster, untidy);
    pthread_mutex_unlock(&rotation->keys);
    TRY(status);
    atomic_store(&rotation->followed_version, cluster->version);
    return STATUS_OK;
}

status_code rotation_follow(struct node *node, const struct cluster_record *cluster)
{
    struct rotation *rotation = node->rotation;
    status_code untidy;

    if (!rotation)
        return STATUS_OK;
    TRY(rotation_take_in(rotation, cluster, &untidy));
    pthread_mutex_lock(&rotation->lock);
    rotation->called = true;
    pthread_cond_signal(&rotation->wake);
    pthread_mutex_unlock(&rotation->lock);
    return STATUS_OK;
}

status_code rotation_refresh(struct node *node)
{
    uint64_t version;

    if (!node->rotation)
        return STATUS_OK;
    TRY(cluster_record_version(node, &version));
    return version == atomic_load(&node->rotation->followed_version) ? STATUS_OK : node_cluster_changed(node);
}

/* --- the thread --- */

bool rotation_stopping(struct rotation *rotation)
{
    pthread_mutex_lock(&rotation->lock);
    bool stopping = rotation->stopping;

    pthread_mutex_unlock(&rotation->lock);
    return stopping;
}

static struct timespec from_now(unsigned ms)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t nanoseconds = (uint64_t)now.tv_nsec + (uint64_t)ms * 1000000u;

    return (struct timespec){now.tv_sec + (time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
}

void rotation_pause(struct rotation *rotation, unsigned ms)
{
    struct timespec until = from_now(ms);

    pthread_mutex_lock(&rotation->lock);
    while (!rotation->stopping && pthread_cond_timedwait(&rotation->wake, &rotation->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&rotation->lock);
}

/* Until there may be something to do. False when it is time to stop. */
static bool rest(struct rotation *rotation)
{
    struct timespec until = from_now(LOOK_EVERY_MS);
    int waited = 0;

    pthread_mutex_lock(&rotation->lock);
    while (!rotation->stopping && !rotation->called && waited == 0)
        waited = pthread_cond_timedwait(&rotation->wake, &rotation->lock, &until);
    rotation->called = false;
    bool go_on = !rotation->stopping;

    pthread_mutex_unlock(&rotation->lock);
    return go_on;
}

static void *run(void *context)
{
    while (rest(context))
        rotation_work(context);
    return NULL;
}

status_code rotation_open(struct node *node, struct rotation **rotation)
{
    struct rotation *made = calloc(1, sizeof(*made));
    pthread_condattr_t monotonic;

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the masking keys");
    made->node = node;
    pthread_mutex_init(&made->keys, NULL);
    pthread_mutex_init(&made->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&made->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    keyring_on_unknown(node->keyring, learn, made);
    *rotation = made;
    return STATUS_OK;
}

status_code rotation_start(struct rotation *rotation)
{
    CHECK(pthread_create(&rotation->thread, NULL, run, rotation) == 0, STATUS_OUT_OF_MEMORY,
          "no thread for the masking keys");
    rotation->started = true;
    return STATUS_OK;
}

void rotation_stop(struct rotation *rotation)
{
    if (!rotation || !rotation->started)
        return;
    pthread_mutex_lock(&rotation->lock);
    rotation->stopping = true;
    pthread_cond_signal(&rotation->wake);
    pthread_mutex_unlock(&rotation->lock);
    pthread_join(rotation->thread, NULL);
    rotation->started = false;
}

void rotation_close(struct rotation *rotation)
{
    if (!rotation)
        return;
    rotation_stop(rotation);
    pthread_cond_destroy(&rotation->wake);
    pthread_mutex_destroy(&rotation->lock);
    pthread_mutex_destroy(&rotation->keys);
    free(rotation);
}
