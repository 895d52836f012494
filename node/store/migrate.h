/* Moving a whole cluster from one store to another, so that never both can be written.
 *
 * The source takes no writes while it is copied; the copy is read back and compared; then the source is marked as
 * moved, for good, and last the target is opened for use. Whatever interrupts this leaves either the source in use, or
 * both closed, and then the same move goes on where it was. */
#pragma once

#include "store/store.h"

struct migrated {
    uint64_t n_records;
    uint64_t revision; /* that the target goes on from */
};

/** From the SQLite store at `path` to etcd. STATUS_STORE_FOREIGN, _ALREADY_EXISTS when the target holds records,
 * _STORE_UNAVAILABLE, _STORE_LOCKED. */
status_code migrate_to_etcd(const char *path, const struct etcd_settings *settings, const uint8_t cluster_id[ID_LEN],
                            struct migrated *migrated);

/** From etcd to a fresh SQLite store at `path`. */
status_code migrate_to_sqlite(const struct etcd_settings *settings, const char *path, const uint8_t cluster_id[ID_LEN],
                              struct migrated *migrated);
