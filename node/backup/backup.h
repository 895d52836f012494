/* Backups of the cluster: all records at one revision and the masking key, sealed under the recovery key that the
 * cluster was activated with, at the destination that the configuration names. Writes go on meanwhile. One thing at a
 * time on each node: STATUS_BUSY. What is interrupted leaves nothing behind. */
#pragma once

#include "backup/backup_format.h"

struct node;
struct backups;

struct backup_done {
    char name[BACKUP_NAME_MAX];
    char cluster_name[129];
    uint64_t created_ms;
    uint64_t revision;
    uint64_t n_records;
};

/** Starts the thread that makes the automatic backups, if the configuration wants them. */
status_code backups_open(struct node *node, struct backups **backups);
void backups_close(struct backups *backups);

/** STATUS_BACKUP_UNAVAILABLE; STATUS_CLUSTER_STATE without a recovery key. */
status_code backup_create(struct node *node, struct backup_done *done);

/** Opens every part of a backup: STATUS_BACKUP_INVALID says what is wrong with it. */
status_code backup_verify(struct node *node, struct slice name, struct backup_done *done);

/** STATUS_OBJECT_NOT_FOUND. */
status_code backup_delete(struct node *node, struct slice name);

/** Appends the backups of every cluster at the destination as a SETS value: NAME, TIME_MS, REVISION, COUNT (bytes). */
status_code backup_list(struct node *node, struct bytes *records);

/** Makes a new cluster of a backup, on a node that belongs to none and whose store is fresh: afterwards it is CREATED.
 * `name`: empty for the newest at the destination, if that holds one cluster's only. `where`: a destination, or empty
 * for the configuration's. */
status_code backup_restore(struct node *node, struct slice name, struct slice where, struct slice recovery_key,
                           struct backup_done *done);

/** How far what is being done has come, in records; 0 of 0 when nothing is. */
void backup_progress(uint64_t *done, uint64_t *total);

/** When the last backup was made by this node, in milliseconds since 1970; 0: none since its start. */
uint64_t backup_last_ms(void);
