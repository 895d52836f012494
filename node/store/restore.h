/* Filling a fresh store with all the records of another, so that it is opened for use whole or not at all. What an
 * attempt that was interrupted left behind is replaced by the next one for the same cluster id. */
#pragma once

#include "store/store.h"

struct restore;

/** STATUS_ALREADY_EXISTS when the file holds anything but what an earlier attempt for this cluster id left. */
status_code restore_open_sqlite(const char *path, const uint8_t cluster_id[ID_LEN], struct restore **restore);
status_code restore_open_etcd(const struct etcd_settings *settings, const uint8_t cluster_id[ID_LEN],
                              struct restore **restore);

/** Each record once, in any order. */
status_code restore_put(struct restore *restore, const struct store_write *record);

/** Opens the store for use: it goes on from `revision`. */
status_code restore_finish(struct restore *restore, uint64_t revision);

/** Without restore_finish nothing is left of it. Harmless on NULL. */
void restore_close(struct restore *restore);
