/* Beginning a rotation, and telling how far it is: rotation.h. */
#include "identity/member.h"
#include "rotation/rotation_internal.h"
#include "seal/masking_keys.h"

#define RETRIES 16u

/* --- handovers --- */

struct handing {
    struct node *node;
    struct slice masking_keys;
    struct bytes sealed[CLUSTER_NODES_MAX];
    struct store_write writes[STORE_WRITES_MAX];
    size_t n, n_writes;
    bool to_itself;
};

static void handing_release(struct handing *handing)
{
    for (size_t i = 0; i < CLUSTER_NODES_MAX; i++)
        bytes_release(&handing->sealed[i]);
}

/* The version of the handover that is there; 0: none. */
static status_code handover_version(struct node *node, const uint8_t *id, uint64_t *version)
{
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    status_code status = node->store->operations->read(node->store, STORE_HANDOVER, id, &value, version);

    if (status != STATUS_OBJECT_NOT_FOUND)
        return status;
    *version = 0;
    return STATUS_OK;
}

static status_code make_handover(struct handing *handing, const struct values *member, struct bytes *handover)
{
    char why[FAILURE_DETAIL_MAX];
    struct slice name = values_bytes(member, FIELD_NAME);
    status_code status = identity_hand_over(handing->node->identity, values_bytes(member, FIELD_NODE_ID).data,
                                            values_bytes(member, FIELD_CERTIFICATE), handing->masking_keys, handover);

    if (status != STATUS_TLS_ERROR)
        return status;
    snprintf(why, sizeof(why), "%s", failure_detail());
    FAIL(STATUS_CLUSTER_STATE,
         "node %.*s cannot be given a new masking key: %.120s: renew its certificate, or remove it from the cluster",
         (int)name.len, (const char *)name.data, why);
}

/* Sealed under the newest key that all members have: only who has that can make a genuine handover. */
static status_code hand_over(void *context, const struct values *member)
{
    CLEANUP(bytes_release) struct bytes handover = BYTES_INIT;
    struct handing *handing = context;
    struct node *node = handing->node;
    const uint8_t *id = values_bytes(member, FIELD_NODE_ID).data;
    uint8_t place[RECORD_CONTEXT_LEN];
    uint64_t version;

    CHECK(handing->n < CLUSTER_NODES_MAX, STATUS_INTERNAL, "too many members");
    handing->to_itself |= memcmp(id, identity_node_id(node->identity), ID_LEN) == 0;
    struct bytes *sealed = &handing->sealed[handing->n++];
    struct store_write *write = &handing->writes[handing->n_writes++];

    TRY(make_handover(handing, member, &handover));
    TRY(handover_version(node, id, &version));
    TRY(seal(node->keyring, SEAL_NEWEST, SEAL_HANDOVER, record_context(STORE_HANDOVER, id, version + 1, place),
             bytes_slice(&handover), sealed));
    *write = (struct store_write){.kind = STORE_HANDOVER, .expected_version = version, .value = bytes_slice(sealed)};
    memcpy(write->id, id, ID_LEN);
    return STATUS_OK;
}

/* --- beginning --- */

static status_code check_has_key(void *context, const struct values *member)
{
    const uint32_t *generation = context;
    struct slice name = values_bytes(member, FIELD_NAME);

    CHECK(values_uint(member, FIELD_KEY_GENERATION, FIRST_GENERATION) >= *generation, STATUS_CLUSTER_STATE,
          "node %.*s has not taken up masking key %u yet: start it, or remove it from the cluster", (int)name.len,
          (const char *)name.data, *generation);
    return STATUS_OK;
}

static status_code make_keys(struct node *node, uint32_t generation, struct secret *all)
{
    CLEANUP(secret_release) struct secret held = SECRET_INIT, made = SECRET_INIT;

    TRY(identity_masking_keys(node->identity, &held));
    CHECK(masking_keys_count(secret_slice(&held)) < MASKING_KEYS_MAX, STATUS_CLUSTER_STATE,
          "there are %u masking keys still in use: wait until the grace of older ones is over", MASKING_KEYS_MAX);
    TRY(masking_keys_make(generation, &made));
    return masking_keys_join(secret_slice(&held), secret_slice(&made), all);
}

static status_code begin(struct node *node, struct cluster_record *cluster, struct rotation_progress *progress)
{
    CLEANUP(handing_release) struct handing handing = {.node = node};
    CLEANUP(bytes_release) struct bytes cluster_sealed = BYTES_INIT, fence = BYTES_INIT, progress_sealed = BYTES_INIT;
    CLEANUP(secret_release) struct secret masking_keys = SECRET_INIT;
    uint64_t revision;

    TRY(make_keys(node, cluster->key_generation, &masking_keys));
    handing.masking_keys = secret_slice(&masking_keys);
    TRY(members_fence(node, &fence, &handing.writes[handing.n_writes++]));
    TRY(members_each(node, check_has_key, &cluster->key_settled));
    TRY(members_each(node, hand_over, &handing));
    CHECK(handing.to_itself, STATUS_CLUSTER_STATE,
          "this node is not in the list of members yet: try again, or elsewhere");
    TRY(cluster_record_write(node, cluster, &cluster_sealed, &handing.writes[handing.n_writes++]));
    TRY(rotation_progress_write(node, progress, &progress_sealed, &handing.writes[handing.n_writes++]));
    TRY(node->store->operations->write(node->store, handing.writes, handing.n_writes, &revision));
    node_wrote(node, revision);
    return node_cluster_changed(node);
}

/* A node may know a key that no cluster record tells of: a backup that was made while a rotation began has it. */
static uint32_t next_generation(struct node *node, const struct cluster_record *cluster)
{
    uint32_t own = keyring_newest(node->keyring);

    return 1 + (own > cluster->key_generation ? own : cluster->key_generation);
}

/* What is left of the one before: which records were given up. */
static void begin_progress(struct rotation_progress *progress, uint32_t generation, const uint8_t request_id[ID_LEN])
{
    struct rotation_progress next = {.version = progress->version, .generation = generation};

    memcpy(next.request_id, request_id, ID_LEN);
    for (unsigned i = 0; i < progress->n_listed; i++)
        if (progress->damaged[i].given_up)
            next.damaged[next.n_listed++] = progress->damaged[i];
    *progress = next;
}

static status_code begin_once(struct node *node, const uint8_t request_id[ID_LEN], uint64_t grace_s,
                              uint32_t *generation)
{
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    struct rotation_progress progress;

    TRY(node_catch_up_with_all(node));
    TRY(cluster_record_read(node, &cluster));
    TRY(rotation_progress_read(node, &progress));
    *generation = progress.generation;
    if (progress.version && memcmp(progress.request_id, request_id, ID_LEN) == 0)
        return STATUS_OK; /* sent again, since the answer was lost */
    CHECK(cluster.key_settled == cluster.key_generation, STATUS_CLUSTER_STATE,
          "masking key %u is being replaced already", cluster.key_settled);
    cluster.key_grace_s = grace_s;
    *generation = next_generation(node, &cluster);
    begin_progress(&progress, *generation, request_id);
    cluster.key_generation = *generation;
    return begin(node, &cluster, &progress);
}

static bool again(status_code status)
{
    return status == STATUS_CONFLICT || status == STATUS_ALREADY_EXISTS;
}

status_code rotation_begin(struct node *node, const uint8_t request_id[ID_LEN], uint64_t grace_s, uint32_t *generation)
{
    status_code status = STATUS_CONFLICT;

    for (unsigned i = 0; i < RETRIES && again(status); i++)
        status = begin_once(node, request_id, grace_s, generation);
    TRY(status);
    log_event(LOG_LEVEL_INFO, "masking key is being replaced", "generation", log_number(*generation), NULL);
    return STATUS_OK;
}

static status_code give_up_once(struct node *node, uint64_t n)
{
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;
    struct rotation_progress progress;
    struct store_write write;
    uint64_t revision;

    TRY(node_catch_up_with_all(node));
    TRY(cluster_record_read(node, &cluster));
    TRY(rotation_progress_read(node, &progress));
    CHECK(cluster.key_settled != cluster.key_generation, STATUS_CLUSTER_STATE, "the masking key is not being replaced");
    unsigned n_damaged = rotation_progress_listed(&progress, false);

    CHECK(n_damaged == n, STATUS_INVALID_ARGUMENT, "%u damaged records are known, not %llu: look again", n_damaged,
          (unsigned long long)n);
    for (unsigned i = 0; i < progress.n_listed; i++)
        progress.damaged[i].given_up = true;
    TRY(rotation_progress_write(node, &progress, &sealed, &write));
    TRY(node->store->operations->write(node->store, &write, 1, &revision));
    node_wrote(node, revision);
    return STATUS_OK;
}

status_code rotation_give_up_damaged(struct node *node, uint64_t n)
{
    status_code status = STATUS_CONFLICT;

    for (unsigned i = 0; i < RETRIES && again(status); i++)
        status = give_up_once(node, n);
    TRY(status);
    log_event(LOG_LEVEL_WARNING, "damaged records are given up", "most", log_number((long long)n), NULL);
    return STATUS_OK;
}

/* --- telling --- */

status_code rotation_describe(struct node *node, struct rotation_status *status)
{
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    struct rotation_progress progress;

    TRY(cluster_record_read(node, &cluster));
    TRY(rotation_progress_read(node, &progress));
    *status = (struct rotation_status){
        .generation = cluster.key_generation,
        .phase = "none",
        .n_done = progress.n_done,
        .n_total = progress.kind ? progress.n_total : progress.n_done, /* which was an estimate */
        .n_damaged = rotation_progress_listed(&progress, false),
        .n_given_up = rotation_progress_listed(&progress, true),
    };
    memcpy(status->worker_id, progress.worker_id, ID_LEN);
    if (cluster.key_settled != cluster.key_generation)
        status->phase = progress.pass >= 2 ? "checking" : "sealing";
    else if (cluster.key_oldest != cluster.key_generation)
        status->phase = "grace";
    if (cluster.key_oldest != cluster.key_generation)
        status->retire_ms = cluster.key_retire_ms;
    return STATUS_OK;
}
