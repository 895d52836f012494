/* The writing half of the SQLite store: see sqlite_write.c. */
#pragma once

#include "store/sqlite_connection.h"

struct write_job {
    const struct store_write *writes;
    size_t n;
    status_code status;
    char detail[FAILURE_DETAIL_MAX];
    uint64_t revision;
    bool done;
    struct write_job *next;
};

/** Carries out all jobs in the transaction that the caller began and ends. A refused job has its own status; every
 * other failure is returned, and then nothing must be committed. cluster_id (or NULL) is taken with the first
 * STORE_CLUSTER. */
status_code sqlite_transact(struct connection *connection, const uint8_t *cluster_id, struct write_job *jobs);

/** Changes before this revision are gone from the list by the time that the store is at `revision`. */
uint64_t changes_trimmed_before(uint64_t revision);

/** Makes the record what the write says, whatever it was before: for a replica, which follows what was decided
 * elsewhere. */
status_code sqlite_follow(struct connection *connection, const struct store_write *write, uint64_t revision);

/** The store goes from revision `before` to `revision`; the list of changes is cut where it is due. */
status_code sqlite_advance(struct connection *connection, uint64_t before, uint64_t revision);

/** The list of changes begins anew after `revision`: whoever followed it from earlier on must forget all. */
status_code sqlite_changes_begin(struct connection *connection, uint64_t revision);

/** STATUS_STORE_READ_ONLY when the cluster moved elsewhere; *target (160 bytes, or NULL) then says where. */
status_code sqlite_check_not_moved(struct connection *connection, char target[160]);

/** Nothing is written here any more: the cluster moved to `target`. */
status_code sqlite_set_moved(struct connection *connection, const char *target);

/** A fresh store belongs to this cluster from now on. */
status_code sqlite_take_cluster_id(struct connection *connection, const uint8_t *cluster_id);

/** The lowest generation that values may be of; 0: any. */
status_code sqlite_floor(struct connection *connection, uint64_t *generation);
status_code sqlite_set_floor(struct connection *connection, uint64_t generation);

/** Version and revision of a record of an SQLite store; both 0 when there is none. Any thread. */
status_code sqlite_position(struct store *store, enum store_kind kind, const uint8_t id[ID_LEN], uint64_t *version,
                            uint64_t *revision);
