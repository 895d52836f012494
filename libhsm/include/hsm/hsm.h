/* libhsm: keys held by a cluster of HSM nodes, never by the application. This header brings all of the API:
 *
 *   types.h, catalog.h   constants and their names          session.h  logins
 *   error.h              what went wrong                    user.h     users
 *   config.h             where the cluster is               object.h   keys, certificates, data: make, find, change
 *   cluster.h            nodes, health, statistics          crypto.h   sign, encrypt, wrap, derive, ...
 *   admin.h              life of a cluster, audit log       async.h    many operations at once from one thread
 *   backup.h             backups, recovery key, restore     quorum.h   what several people must approve
 *   anchor.h             CAs of clients                     reference.h  files that stand for keys
 *
 * Conventions. Every call that can fail returns an hsm_status and touches no output unless it is HSM_OK (a length asked
 * for excepted). Outputs of variable length go to `(uint8_t *out, size_t *out_len)`: *out_len is the room and becomes
 * the length; with `out` NULL it becomes the length needed (or an upper bound) and nothing is done;
 * HSM_BUFFER_TOO_SMALL tells the length needed and leaves everything as it was, so the call can be repeated. Structs
 * that may grow begin with their size. Text is UTF-8. Handles are freed by their own function, never by free(). The
 * library writes to no standard stream, installs no signal handler, starts no thread, and works in children of fork. */
#pragma once

#include "hsm/admin.h"
#include "hsm/anchor.h"
#include "hsm/async.h"
#include "hsm/backup.h"
#include "hsm/catalog.h"
#include "hsm/cluster.h"
#include "hsm/config.h"
#include "hsm/crypto.h"
#include "hsm/error.h"
#include "hsm/object.h"
#include "hsm/quorum.h"
#include "hsm/reference.h"
#include "hsm/session.h"
#include "hsm/types.h"
#include "hsm/user.h"
