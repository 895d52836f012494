/* What the files of node/backup share: the one job at a time, its progress, and the cluster's recovery key. */
#pragma once

#include "backup/backup.h"
#include "backup/destination.h"
#include "node.h"

/** STATUS_BUSY while another one runs. */
status_code backup_job_begin(void);
void backup_job_end(void);

void backup_job_expect(uint64_t n_records);

/** One record is done. STATUS_BUSY when the node is about to stop. */
status_code backup_job_step(const struct node *node);
void backup_job_made(uint64_t now_ms);

/** STATUS_CLUSTER_STATE when the cluster was activated without one. */
status_code backup_recovery_key(struct node *node, struct secret *recovery_key);

/** `name` as the name of a backup. STATUS_INVALID_ARGUMENT. */
status_code backup_take_name(struct slice name, struct backup_name *taken);

/** Reads a whole backup; *n gets the number of its records. */
status_code backup_read_all(struct destination *destination, const char *name, struct slice recovery_key,
                            const struct backup_visitor *visitor, uint64_t *n);

/* For CLEANUP. */
void backup_destination_release(struct destination **destination);
void backup_job_release(const bool *begun);
