/* Following etcd: one thread watches the records and feeds the replica; a second one asks twice a second for the newest
 * revision, and so finds out that etcd is away, that a watch has gone silent, or that etcd's history went back. */
#pragma once

#include "store/etcd_presence.h"
#include "store/replica.h"

#define FOLLOWER_OLDER                                                                                                 \
    "etcd is older than this node's replica: if it was restored from a snapshot, docs/etcd.md says what to do"

struct follower;

struct followed {
    struct etcd_client *client;
    const struct etcd_settings *settings;
    const uint8_t *cluster_id;
    struct replica *replica;
    struct etcd_presence *presence; /* kept up by the thread that asks */
};

/** Starts both threads. What `followed` points at must outlive the follower. */
status_code follower_start(const struct followed *followed, struct follower **follower);

/** Ends them; harmless on NULL. */
void follower_stop(struct follower *follower);

/** Until the replica is at `revision`. STATUS_STORE_UNAVAILABLE after timeout_ms, or at once when etcd is away. */
status_code follower_wait(struct follower *follower, uint64_t revision, unsigned timeout_ms);

/** The newest revision, from a majority of etcd. STATUS_STORE_UNAVAILABLE. */
status_code follower_newest(struct follower *follower, uint64_t *revision);

/** Whether etcd did not answer when it was last asked. */
bool follower_is_away(struct follower *follower);

/** etcd answered somebody else: it is worth waiting for. */
void follower_etcd_answered(struct follower *follower);

/** Since when (in milliseconds) nobody can say that the replica was up to date. */
uint64_t follower_age_ms(struct follower *follower);

/** Whose the keys in etcd are, asked of etcd until it was told once. *founded: false when they are nobody's yet, and
 * then `cluster` is what this node would found. STATUS_STORE_UNAVAILABLE, _FOREIGN. */
status_code follower_cluster(struct follower *follower, struct etcd_cluster *cluster, bool *founded);

/** The text under /cluster is another than was told: etcd is asked again at the next use. */
void follower_forget_cluster(struct follower *follower);
