/* One entry of the audit log: what it says, how it is hashed and how it is stored. Nobody but node/audit includes this.
 *
 * The hash of an entry is SHA-256 over its encoded fields, PREVIOUS_HASH among them, exactly as AUDIT_READ answers them
 * without HASH_VALUE: everybody can check the chain. That it opens shows that a node of the cluster sealed it. */
#pragma once

#include "node.h"
#include "seal/record.h"

#define AUDIT_HASH_LEN 32u

/** What happened; fixed size, so that it can be gathered without allocation. */
struct audit_event {
    enum operation operation;
    status_code status;
    uint64_t time_ms;
    bool has_object;
    uint8_t object_id[ID_LEN];
    char user_name[USER_NAME_MAX + 1];
    char detail[128];
};

struct node *audit_node(const struct audit *audit);

struct audit_position {
    uint64_t sequence;
    uint8_t hash[AUDIT_HASH_LEN]; /* of the entry at `sequence`; zero for 0 */
};

/** Id of an entry's record: first half of the node id, then the sequence, big-endian. */
void audit_record_id(const uint8_t node_id[ID_LEN], uint64_t sequence, uint8_t id[ID_LEN]);

/** The record that holds the newest position of a node's chain: so that entries cut off at the end show. */
#define AUDIT_HEAD_SEQUENCE UINT64_MAX

/** Seals the entry that follows `at`, moves `at` to it, and fills in the write, which refers to `sealed`. */
status_code audit_entry_seal(struct node *node, const uint8_t node_id[ID_LEN], const struct audit_event *event,
                             struct audit_position *at, struct bytes *sealed, struct store_write *write);

/** An entry opened: its fields (borrowed from `plaintext`) and its hash. STATUS_STORE_DAMAGED when it was altered. */
status_code audit_entry_open(struct node *node, const struct store_record *record, struct bytes *plaintext,
                             struct values *fields, uint8_t hash[AUDIT_HASH_LEN]);

/** The head after the one at `version`. */
status_code audit_head_seal(struct node *node, const uint8_t node_id[ID_LEN], uint64_t version,
                            const struct audit_position *at, struct bytes *sealed, struct store_write *write);

/** *version is 0, and *at the beginning, when the node has no entries yet. */
status_code audit_head_read(struct node *node, const uint8_t node_id[ID_LEN], struct audit_position *at,
                            uint64_t *version);
