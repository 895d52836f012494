/* Exports of the audit log: written, and verified without a cluster. */
#pragma once

#include "command.h"

/** An entry as an object of an export: all that its hash is made of. */
json_t *audit_entry_json(const hsm_audit_entry *entry, const char *node);

/** Checks an export: hashes, order, gaps, checkpoints (against the CA in `ca_file`). Prints the first thing that is
 * wrong and returns EXIT_INVALID. */
int audit_file_verify(struct context *context, const char *path, const char *ca_file);
