/* What the process gives up before it touches a secret: privileges, core files, debuggers, swapped memory and the
 * system calls that no node needs. Called once by main(), before any thread exists. */
#pragma once

#include "config/node_config.h"

/** Becomes the user run-as (its state folder is made first). Always done, also with hardening off.
 * STATUS_CONFIG_INVALID. */
status_code hardening_drop_privileges(const struct node_config *config);

/** Not dumpable, no core files, no new privileges, locked memory if allowed, system-call filter. What this machine does
 * not allow (memory limits in a container) is logged; a filter that cannot be installed is an error. */
status_code hardening_apply(const struct node_config *config);
