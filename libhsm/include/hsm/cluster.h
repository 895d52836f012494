/* The cluster as a client sees it. An hsm_cluster keeps connections to the nodes, spreads requests over them, watches
 * their health and retries on another node when one fails; the node list is learned and kept current by itself.
 *
 * Open one per process and share it: every call on it is safe from any number of threads. It has no threads of its own.
 * A child of fork may go on using it: it opens connections of its own. Every call that reaches the network has a
 * deadline (setting timeout-ms) and can fail with
 *   HSM_UNAVAILABLE   no node answered in time; nothing that the caller could have seen was done
 *   HSM_TLS_ERROR     the node's certificate or ours was refused
 *   HSM_OUT_OF_MEMORY
 * These are not repeated below. */
#pragma once

#include "hsm/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hsm_cluster hsm_cluster;

/**
 * Opens a cluster. Does not reach the network: the first request connects.
 *
 * @param config   copied; NULL: as hsm_config_load(NULL) gives it
 * @param cluster  out: to be closed with hsm_cluster_close
 * @return HSM_OK; HSM_CONFIG_INVALID (no endpoint, certificate or key unreadable or not fitting); HSM_IO_ERROR
 */
HSM_API hsm_status hsm_cluster_open(const hsm_config *config, hsm_cluster **cluster);

/**
 * Opens a handle that talks to one node alone and learns of no others: for the life-cycle calls of admin.h, over the
 * node's own socket ("ipc:///var/lib/hsmd/node.sock").
 *
 * @param endpoint  URL
 * @param config    for the TLS settings and deadlines; NULL: defaults (an ipc:// endpoint needs none)
 */
HSM_API hsm_status hsm_cluster_open_endpoint(const char *endpoint, const hsm_config *config, hsm_cluster **cluster);

/** Closes it; harmless on NULL. Sessions and queues on it must be closed before. */
HSM_API void hsm_cluster_close(hsm_cluster *cluster);

/** Asks a node to do nothing: tells that one is there. `HSM_OK` or the errors above. */
HSM_API hsm_status hsm_ping(hsm_cluster *cluster);

/**
 * Highest store revision that this process has seen. A process that passes a key reference to another can pass this
 * too; with hsm_cluster_observe the other never meets a node that does not know the key yet.
 */
HSM_API uint64_t hsm_cluster_revision(const hsm_cluster *cluster);
HSM_API void hsm_cluster_observe(hsm_cluster *cluster, uint64_t revision);

/** One node in hsm_cluster_info. */
typedef struct hsm_node_info {
    size_t size;
    uint8_t id[HSM_ID_LEN];
    const char *name;
    const char *address; /* URL that clients connect to */
    const char *zone;
    /* "approved": admitted, never started since; "serving"; "draining"; "failed": its self-test; "away": it serves when
     * it is there, but it is not; "unknown": nobody can say at the moment whether it is there. */
    const char *state;
    const uint8_t *certificate_hash; /* SHA-256 of its certificate; NULL when not told */
    size_t certificate_hash_len;
    const char *version;       /* of the node's program; "" when it is not there */
    uint64_t started_ms;       /* when it was started, in ms since 1970-01-01 UTC; 0 when it is not there */
    uint32_t protocol_version; /* newest that the node speaks */
    uint32_t key_generation;   /* newest masking key that the node has */
} hsm_node_info;

typedef struct hsm_cluster_info {
    size_t size;
    uint8_t id[HSM_ID_LEN];
    const char *name;
    const char *state;  /* "initialized", or "active" once it has its first administrator */
    uint64_t revision;  /* of the store */
    uint64_t n_objects; /* token objects in the cluster */
    size_t n_nodes;
    const hsm_node_info *const *nodes;
} hsm_cluster_info;

/** Asks any node for the cluster and its nodes. @param info  out: freed with hsm_cluster_info_free, all at once */
HSM_API hsm_status hsm_cluster_describe(hsm_cluster *cluster, hsm_cluster_info **info);
HSM_API void hsm_cluster_info_free(hsm_cluster_info *info);

/** A version or a metric of a node. */
typedef struct hsm_node_fact {
    const char *name;
    const char *value;
} hsm_node_fact;

/** A mechanism that a node offers. */
typedef struct hsm_mechanism_info {
    size_t size;
    uint32_t mechanism;
    uint32_t uses; /* HSM_USE_... bits */
    uint32_t key_bits_min;
    uint32_t key_bits_max;
    const char *name;
} hsm_mechanism_info;

typedef struct hsm_node_description {
    size_t size;
    uint8_t id[HSM_ID_LEN];
    const char *name;
    const char *address;
    const char *zone;
    const char *state;
    uint64_t time_ms;   /* the node's clock: milliseconds since 1970-01-01 UTC */
    uint64_t revision;  /* of the store, as the node knows it */
    uint64_t n_objects; /* token objects in the cluster */
    size_t n_facts;
    const hsm_node_fact *const *facts;
    size_t n_mechanisms;
    const hsm_mechanism_info *const *mechanisms;
} hsm_node_description;

/**
 * Asks one node for its state, versions, metrics and mechanisms.
 *
 * @param node         name or address, as in hsm_cluster_info; NULL: any node
 * @param description  out: freed with hsm_node_description_free, all at once
 * @return HSM_OK; HSM_INVALID_ARGUMENT when the cluster has no such node
 */
HSM_API hsm_status hsm_node_describe(hsm_cluster *cluster, const char *node, hsm_node_description **description);
HSM_API void hsm_node_description_free(hsm_node_description *description);

/** What this process has seen of one node. */
typedef struct hsm_node_statistics {
    size_t size;
    const char *name; /* or address, while the name is not known */
    const char *address;
    const char *zone;
    uint8_t healthy;        /* 0: its circuit is open, it gets only probes */
    uint64_t n_requests;    /* answered */
    uint64_t n_failures;    /* not answered: connection lost, refused or too slow */
    uint64_t n_messages;    /* each carried one or more requests */
    uint64_t n_outstanding; /* at this moment */
    uint64_t latency_us;    /* smoothed time from sending to answer */
    uint64_t node_time_us;  /* processor time that the node says it spent, in all */
} hsm_node_statistics;

typedef struct hsm_statistics {
    size_t size;
    uint64_t n_requests;
    uint64_t n_retries;  /* sent again, to another node */
    uint64_t n_failures; /* that callers saw */
    size_t n_nodes;
    const hsm_node_statistics *const *nodes;
} hsm_statistics;

/** Counts since the cluster was opened. Does not reach the network. @param statistics  out: freed all at once */
HSM_API hsm_status hsm_cluster_statistics(hsm_cluster *cluster, hsm_statistics **statistics);
HSM_API void hsm_statistics_free(hsm_statistics *statistics);

#ifdef __cplusplus
}
#endif
