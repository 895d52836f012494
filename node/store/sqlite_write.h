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
