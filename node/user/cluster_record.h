/* The one STORE_CLUSTER record: the cluster's name and whether it was activated. Every change to the set of users
 * rewrites it in the same write, so that checks over all users (names are unique, an administrator is left) hold under
 * concurrency: of two that read the same version one is refused and looks again. */
#pragma once

#include "protocol/bytes.h"
#include "store/store.h"

struct node;
struct keyring;

struct cluster_record {
    uint64_t version;
    bool active;
    uint64_t created_ms;
    char name[129];
    uint64_t quorum_user, quorum_policy, quorum_cluster; /* M of each service; 0: nobody needs to approve */
    uint32_t key_generation;                             /* newest masking key: rotation/rotation.h */
    uint32_t key_settled;                                /* nothing in the store is sealed under an older one */
    uint32_t key_oldest;                                 /* older ones are gone */
    uint64_t key_grace_s;    /* how long those before the newest go on opening what clients hold, once it is settled */
    uint64_t key_retire_ms;  /* when that is over */
    size_t recovery_key_len; /* 0: none was given at activation, and there are no backups */
    uint8_t recovery_key[RECOVERY_KEY_LEN];
};

/** Wipes it. Fits CLEANUP(). */
void cluster_record_wipe(struct cluster_record *record);

/** STATUS_OBJECT_NOT_FOUND before it is created. */
status_code cluster_record_read(struct node *node, struct cluster_record *record);

/** Whether the record, if it is sealed under a masking key that this node does not have yet, opens with this keyring.
 * STATUS_STORE_DAMAGED. */
status_code cluster_record_try(struct node *node, struct keyring *keyring);

/** Its version alone; 0 before it is created. */
status_code cluster_record_version(struct node *node, uint64_t *version);

/** Makes the record if there is none yet; then the store belongs to this cluster. */
status_code cluster_record_create(struct node *node, const char *name);

/** Fills in the write that replaces `record` (with its changes); `sealed` holds the value until the write is done. */
status_code cluster_record_write(struct node *node, const struct cluster_record *record, struct bytes *sealed,
                                 struct store_write *write);
