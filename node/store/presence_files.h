/* Presence on one machine: a file for each node in a folder beside the store, locked as long as the node's process has
 * it open. Locks end with the process, however it ends, so nothing has to be refreshed. */
#pragma once

#include "store/store.h"

struct presence_files;

/** Nothing is made before the first presence_files_put. */
status_code presence_files_open(const char *store_path, struct presence_files **files);

/** This node is not there any more. Harmless on NULL. */
void presence_files_close(struct presence_files *files);

status_code presence_files_put(struct presence_files *files, const uint8_t node_id[ID_LEN], struct slice value);
status_code presence_files_each(struct presence_files *files, presence_visitor visit, void *context);
