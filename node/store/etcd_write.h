/* Writing into etcd: one transaction per store_write, which compares the revisions of all its records. */
#pragma once

#include "store/etcd_record.h"

/** What a transaction is made of. */
struct etcd_write {
    struct etcd_client *client;
    const struct etcd_settings *settings;
    const struct etcd_cluster *cluster;
    bool away;    /* etcd did not answer lately */
    bool founded; /* false: this write is the one that founds */
    const struct store_write *writes;
    const uint64_t *revisions; /* etcd's, of each record as it was seen; 0: it must not exist */
    size_t n;
};

/** *revision: etcd's, of the write; or, when it was refused, the newest, which the replica must reach before anybody
 * looks again. STATUS_CONFLICT, _ALREADY_EXISTS, _STORE_UNAVAILABLE (nobody knows whether it was done), _STORE_FULL,
 * _CLUSTER_STATE when the keys are no longer this cluster's. */
status_code etcd_transact(const struct etcd_write *write, uint64_t *revision);
