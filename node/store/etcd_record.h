/* How records stand in etcd. All keys begin with the prefix:
 *
 *   PREFIX/cluster              "CLUSTER-ID OFFSET FLOOR": whose the keys are; every write demands it unchanged
 *   PREFIX/head                 written with every write: its revision is the newest
 *   PREFIX/nodes/ID             who is there, under a lease: etcd_presence.h
 *   PREFIX/records/KIND/ID      a record; KIND a digit or a letter, ID 32 hexadecimal digits
 *
 * A record's value: format 1 (1 byte), version (8, big-endian), number of tokens (1), the tokens, the sealed value.
 * Revisions of the store are etcd's plus OFFSET, which keeps them growing when a cluster moves here from elsewhere.
 * FLOOR is that of store.h. */
#pragma once

#include "store/etcd_client.h"
#include "store/store.h"

#define ETCD_KEY_MAX     256u
#define ETCD_CLUSTER_MAX 80u
#define ETCD_MOVING      "moving " /* before the cluster's text: nothing is written while it moves elsewhere */

/** Whose the keys are, as its text stands in etcd. */
struct etcd_cluster {
    char text[ETCD_CLUSTER_MAX];
    uint64_t offset;
    uint64_t floor;
};

void etcd_cluster_make(const uint8_t cluster_id[ID_LEN], uint64_t offset, uint64_t floor, struct etcd_cluster *cluster);

/** STATUS_STORE_FOREIGN when the text names another cluster or none. */
status_code etcd_cluster_parse(struct slice text, const uint8_t cluster_id[ID_LEN], struct etcd_cluster *cluster);

/** PREFIX/NAME as a JSON value. */
json_t *etcd_key(const struct etcd_settings *settings, const char *name);

json_t *etcd_record_key(const struct etcd_settings *settings, enum store_kind kind, const uint8_t id[ID_LEN]);

/** The value that a write puts. */
status_code etcd_record_value(const struct store_write *write, struct bytes *value);

/** One key-value pair of etcd as a write into a replica. `key` and `value` are working space that the write points
 * into, and lives as long as it. STATUS_STORE_DAMAGED when it is no record. */
status_code etcd_record_parse(const struct etcd_settings *settings, const json_t *pair, struct bytes *key,
                              struct bytes *value, struct store_write *write, uint64_t *revision);
