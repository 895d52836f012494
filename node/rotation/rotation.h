/* Rotation: a new masking key takes the place of the one before while the cluster works.
 *
 * It begins with one write of the store: the cluster record names the next generation, and every member finds the new
 * key in a handover of its own, sealed to its certificate and, so that it is known to be genuine, under the key before.
 * From then on whatever is sealed is sealed under the new key. In the background the records that are there are sealed
 * anew, by one node at a time: once through all of them, then, after the store's floor was raised so that no slow node
 * can write under the old key any more, once more for what came in meanwhile. Then the rotation is settled: the old key
 * opens nothing in the store, and after a time of grace, in which clients exchange what they hold, it is forgotten.
 *
 * All state of it is in the store (the cluster record, the STORE_ROTATION record, the handovers), so it can be
 * interrupted at any moment and any node goes on. A node that was away finds its handover when it comes back; so that
 * there is always one, a rotation begins only when all members have the key of the one before. */
#pragma once

#include "protocol/secret.h"
#include "store/store.h"
#include "user/cluster_record.h"

struct node;
struct rotation;

/** Before the store is read: unknown generations are then learned. */
status_code rotation_open(struct node *node, struct rotation **rotation);

/** Once the node is a member with all its parts: starts the thread that works on rotations. */
status_code rotation_start(struct rotation *rotation);

/** Ends the thread; harmless on NULL. */
void rotation_stop(struct rotation *rotation);
void rotation_close(struct rotation *rotation);

/** The cluster record is this now: takes up a new key, settles, forgets an old one, as it says. Called from the tail,
 * so it writes nothing to the store. */
status_code rotation_follow(struct node *node, const struct cluster_record *cluster);

/** Looks whether the cluster record is another one than rotation_follow saw last, and follows it then: for whoever must
 * not overlook a key that others seal under already. */
status_code rotation_refresh(struct node *node);

/** An administrator begins one. `grace_s`: how long the old key goes on opening what clients hold. A request with the
 * same id is the same one. STATUS_CLUSTER_STATE while one is under way, or when a member has not taken up the key of
 * the one before: the detail names it. */
status_code rotation_begin(struct node *node, const uint8_t request_id[ID_LEN], uint64_t grace_s, uint32_t *generation);

/** An administrator decided to leave behind the records, of which `n` are known, that open under no key and hold the
 * rotation up. STATUS_CLUSTER_STATE while none is under way; STATUS_INVALID_ARGUMENT when they are more, or less. */
status_code rotation_give_up_damaged(struct node *node, uint64_t n);

struct rotation_status {
    uint32_t generation;
    const char *phase;        /* "none", "sealing", "checking", "grace" */
    uint64_t n_done, n_total; /* records looked at, in all passes; of the last rotation */
    uint64_t n_damaged;       /* records that open under no key, and are not given up */
    uint64_t n_given_up;
    uint64_t retire_ms;        /* in "grace": when the old key is forgotten */
    uint8_t worker_id[ID_LEN]; /* the node that works on it; zero: none at the moment */
};

status_code rotation_describe(struct node *node, struct rotation_status *status);
