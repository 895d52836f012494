/* Several whole nodes on one SQLite store, without network: what they do to each other through the store, and what
 * somebody does who can write the store, or has the state folder of a node. */
#pragma once

#include "node_objects_fixture.h"

#include "node_ca_fixture.h"

#define PEM_MAX  8192u
#define LATE     "60000" /* tail-interval-ms of a node that looks at nothing by itself */
#define PASSWORD "correct horse"

struct cluster {
    char folder[64], store[128];
    struct ca ca;
    struct node *nodes[3], *founder;
    unsigned n_nodes;
    struct caller admin, alice;
};

/** A cluster of one node, with the users admin and alice. Not announced: the node is in no list of members. */
void found_cluster(struct cluster *cluster, bool announced);
void end_cluster(struct cluster *cluster); /* fits CLEANUP */

struct node *start_node(struct cluster *cluster, const char *name, const char *tail_ms);
struct node *join_node(struct cluster *cluster, const char *name, const char *tail_ms, char pem[PEM_MAX]);
void stop_node(struct cluster *cluster, struct node *node);

/** Starts a member again, which then is the caller's to stop. */
status_code open_node(const struct cluster *cluster, const char *name, const char *tail_ms, struct node **node);

/** As the server does once the node listens. */
void announce_node(struct node *node);

/** Stops it, too; its id. */
struct id remove_node(struct cluster *cluster, struct node *node);

/* Rotations. */

void rotate(struct node *node, uint64_t grace_s);
bool is_settled(struct node *node, uint32_t generation);
bool is_forgotten(struct node *node, uint32_t generation);
bool knows(struct node *node, uint32_t generation);
bool knows_settled(struct node *node, uint32_t generation);
bool has_told(struct node *node, uint32_t generation); /* in its member record */
void wait_until(bool (*is_so)(struct node *node, uint32_t generation), struct node *node, uint32_t generation);

/** As the rotation's thread of the node would, which was stopped: seals the first kinds anew, up to this one. */
void seal_up_to(struct node *node, enum store_kind last);

/* Somebody who can write the store's file. */

/** Runs a statement with the value as ?1 and the id as ?2. */
void write_raw(const struct cluster *cluster, const char *sql, struct slice value, const uint8_t id[ID_LEN]);
void replace_value(const struct cluster *cluster, enum store_kind kind, struct slice value, const uint8_t id[ID_LEN]);

/** What a node's state folder gives away: its identity, and a keyring of its masking keys, and perhaps one more of the
 * thief's own. */
struct thief {
    struct node node;
    struct secret keys;
};

void open_thief(const struct cluster *cluster, const char *name, uint32_t further, struct thief *thief);
void close_thief(struct thief *thief); /* fits CLEANUP */
