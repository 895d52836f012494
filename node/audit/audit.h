/* The audit log: every administrative act and, by setting, every use of a key. Entries of a node form a chain: each
 * holds the hash of the one before, and is sealed under a key of the cluster, so that removing, changing or reordering
 * one shows. */
#pragma once

#include "operation/call.h"

struct audit;

status_code audit_open(struct node *node, struct audit **audit);
void audit_close(struct audit *audit);

/** Whether this operation is recorded under the current setting. */
bool audit_wants(const struct audit *audit, enum operation operation);

/** Appends an entry, durable before it returns for acts that change something (those must not be answered unrecorded:
 * a failure here fails the call); uses of keys are gathered and written within a second. */
status_code audit_record(struct audit *audit, const struct call *call, status_code outcome);

/** Entries of a node's chain from `sequence` on as a SETS value; *head gets the newest sequence. */
status_code audit_read(struct audit *audit, const uint8_t node_id[ID_LEN], uint64_t sequence, uint64_t limit,
                       struct bytes *records, uint64_t *head);

/** How far a node's log reaches, as text, signed by the answering node, whose certificate comes along. */
status_code audit_checkpoint(struct audit *audit, const uint8_t node_id[ID_LEN], struct bytes *text,
                             struct bytes *signature, struct bytes *certificate_pem);

/** Writes a checkpoint of the node's own log to where the node logs. */
void audit_log_checkpoint(struct audit *audit);

/** Walks a node's whole chain; names the first broken entry in the detail. */
status_code audit_verify(struct audit *audit, const uint8_t node_id[ID_LEN]);
