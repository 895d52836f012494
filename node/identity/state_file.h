/* Files of the state folder: strict modes and owners, bounded reads, atomic writes.
 *
 * A file is written beside its name, synced, and renamed over it, and the folder is synced: after a crash there is the
 * old content or the new, never a mixture. */
#pragma once

#include "protocol/bytes.h"

/** Makes the folder (mode 0700) if there is none, checks mode and owner, and takes the lock that keeps a second hsmd
 * out. *folder is a descriptor that holds the lock until it is closed. */
status_code state_folder_open(const char *path, int *folder);

/** Reads a whole file. STATUS_OBJECT_NOT_FOUND when there is none; `secret`: its mode must be 0600 and its owner ours.
 */
status_code state_file_read(int folder, const char *name, size_t max_len, bool secret, struct bytes *content);

/** Writes a file with mode 0600. */
status_code state_file_write(int folder, const char *name, struct slice content);

bool state_file_exists(int folder, const char *name);
