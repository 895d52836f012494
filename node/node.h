/* The node: what its parts share. Built once at start by node_start, torn down once by node_stop. */
#pragma once

#include <pthread.h>
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
    struct keyring *keyring;   /* NULL until the node belongs to a cluster */
    struct rotation *rotation; /* of the masking key; NULL until then too */
    struct users *users;
    struct objects *objects;
    struct audit *audit;
    struct backups *backups; /* the automatic ones; NULL: none */
    struct metrics_server *metrics;
    _Atomic(enum node_state) state;
    _Atomic bool cluster_active;      /* the first administrator exists */
    _Atomic uint64_t revision;        /* of the store, up to which reads and the caches are right */
    _Atomic uint64_t written;         /* newest revision that this node wrote: reads may not be there yet */
    _Atomic uint64_t cluster_version; /* of the protocol: what all members speak */
    _Atomic bool announced;           /* this node's member record says where it is */
    _Atomic bool stale;               /* beyond staleness-limit-s: keys are not served */
    struct tail *tail;                /* follows the store's changes */
    struct server *server;            /* listeners, workers, slow pool */
    uint64_t started_ms;
    _Atomic int64_t clock_offset_ms; /* wall clock minus monotonic clock, at its highest so far */
    _Atomic bool clock_held;         /* the wall clock went back: the monotonic one goes on from where it was */
    pthread_mutex_t lock;            /* guards all below, and ready.json */
    char bound_urls[2 * NODE_LISTENERS_MAX][256]; /* of member listeners, in the order of the configuration */
    unsigned n_bound_urls;
    uint16_t metrics_port; /* 0: off */
};

/** Milliseconds since 1970, never going back within this process: a clock that was set back is noticed, logged, and
 * held. */
uint64_t node_now_ms(struct node *node);

/** Makes the node from its configuration: identity, and what a member has. No listener yet: see server/server.h. */
status_code node_start(const struct node_config *config, struct node **node);

/** Closes everything; the server must have been stopped. Harmless on NULL. */
void node_stop(struct node *node);

/** Opens what a member needs (keyring, store, users, objects, audit, tail); at start and when the node becomes a
 * member. */
status_code node_become_member(struct node *node);

/** Makes the caches reflect at least `revision` of the store. Fast when they do already. */
status_code node_catch_up(struct node *node, uint64_t revision);

/** Makes the caches reflect whatever any node has written by now. STATUS_STORE_UNAVAILABLE when nobody can say. */
status_code node_catch_up_with_all(struct node *node);

/** How long ago this node was last known to reflect the newest revision, in milliseconds; 0 without a store. */
uint64_t node_store_age_ms(struct node *node);

/** A write of our own reached `revision`: what it changed was forgotten by the writer, so the caches may follow to it
 * as soon as the changes before it were seen, and reads reflect it. */
void node_wrote(struct node *node, uint64_t revision);

/** What an answer tells the client: whoever it asks next must reflect that. */
uint64_t node_answered_revision(const struct node *node);

/** Raises a revision, never lowers it. */
void revision_raise(_Atomic uint64_t *revision, uint64_t to);

/** How the configuration says that etcd is reached. */
void node_etcd_settings(const struct node_config *config, struct etcd_settings *settings);

/** A descriptive name for a state: "uninitialized", "serving", "draining", "failed". */
const char *node_state_name(enum node_state state);

/** The cluster's record changed in the store: looks whether the cluster is active, and which masking keys it has. */
status_code node_cluster_changed(struct node *node);

/** The set of members changed, or one of them: looks which protocol version all speak. */
status_code node_members_changed(struct node *node);

/** An administrator removed this node from the cluster: it drains and stops. */
void node_was_removed(struct node *node);

/** The server bound a member listener: for ready.json, and for the address that clients are told. */
void node_listening(struct node *node, const char *bound_url);

/** URL that clients are to use: `advertise`, or what the first listener bound. */
void node_address(struct node *node, char address[256]);

/** A member's listeners are bound: records this node as serving at its address, and writes ready.json. */
status_code node_announce(struct node *node);

/** Writes ready.json into the state folder: process id, bound URLs, port of the metrics, state. Tells tests and scripts
 * where the node is. */
status_code node_write_ready(struct node *node);
