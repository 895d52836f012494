/* The node: what its parts share. Built once at start by node_start, torn down once by node_stop. */
#pragma once

#include <stdatomic.h>
#include "audit/audit.h"
#include "config/node_config.h"
#include "identity/identity.h"
#include "object/object.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "operation/call.h"
#include "seal/keyring.h"
#include "server/listener.h"
#include "store/store.h"
#include "user/user.h"

enum node_state {
    NODE_UNINITIALIZED, /* only LOCAL life-cycle operations */
    NODE_SERVING,
    NODE_DRAINING,
    NODE_FAILED, /* a self-test failed: no cryptography */
};

struct node {
    struct node_config config;
    struct identity *identity;
    struct store *store;
    struct keyring *keyring; /* NULL until the node belongs to a cluster */
    struct users *users;
    struct objects *objects;
    struct audit *audit;
    struct metrics_server *metrics;
    _Atomic(enum node_state) state;
    _Atomic bool cluster_active; /* the first administrator exists */
    _Atomic uint64_t revision;   /* of the store, up to which the caches are right */
    struct tail *tail;           /* follows the store's changes */
    struct server *server;       /* listeners, workers, slow pool */
    uint64_t started_ms;
};

/** Milliseconds since 1970, never going back within this process: a clock that was set back is noticed, logged, and held. */
uint64_t node_now_ms(struct node *node);

/** Opens what a member needs (keyring, store, users, objects, audit, tail); at start and when the node becomes a member. */
status_code node_become_member(struct node *node);

/** Makes the caches reflect at least `revision` of the store. Fast when they do already. */
status_code node_catch_up(struct node *node, uint64_t revision);

/** A write of our own reached `revision`: what it changed was forgotten by the writer, so the caches may follow to it as
 * soon as the changes before it were seen. */
void node_wrote(struct node *node, uint64_t revision);

/** A descriptive name for a state: "uninitialized", "serving", "draining", "failed". */
const char *node_state_name(enum node_state state);
