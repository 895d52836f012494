/* A local copy of a store that is kept elsewhere, in SQLite. One thread feeds it; any thread reads. What a crash of the
 * machine takes from its end is simply followed again. */
#pragma once

#include "store/sqlite_connection.h"

struct replica {
    struct store *reads;       /* an SQLite store: its reading half is what the node sees */
    struct connection *writer; /* the feeding thread's */
};

/** Opens or makes it. A damaged one is thrown away and made anew: all that it holds is elsewhere. */
status_code replica_open(const char *path, const uint8_t *cluster_id, struct replica *replica);
void replica_close(struct replica *replica);

/* Feeding: begin, then any number of changes, then end or abandon. */

status_code replica_begin(struct replica *replica);

/** Empties the copy, within what was begun. */
status_code replica_empty(struct replica *replica);

/** Version: write->expected_version + 1, or gone when write->remove. */
status_code replica_follow(struct replica *replica, const struct store_write *write, uint64_t revision);

/** Commits; the copy is at `revision` then. */
status_code replica_end(struct replica *replica, const uint8_t *cluster_id, uint64_t revision);

/** The same for a copy that was emptied: the list of changes starts anew there. */
status_code replica_end_anew(struct replica *replica, const uint8_t *cluster_id, uint64_t revision);
void replica_abandon(struct replica *replica);
