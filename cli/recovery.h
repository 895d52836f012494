/* The recovery key on the command line: made and shown at activation, read back for a restore. */
#pragma once

#include "command.h"

struct recovery {
    uint8_t key[HSM_RECOVERY_KEY_LEN];
    bool given; /* false: the cluster is to have no backups */
    unsigned threshold, n;
};

/** Wipes it. Fits CLEANUP(). */
void recovery_wipe(struct recovery *recovery);

/** A fresh key as --recovery-shares and --recovery-file say. */
int recovery_make(const struct context *context, struct recovery *recovery);

/** Writes the shares to --recovery-file, or to standard output. Before the cluster learns the key: what cannot be shown
 * must not be used. */
int recovery_show(const struct context *context, const struct recovery *recovery);

/** Reads shares from --recovery-file, or asks for them until there are enough. */
int recovery_read(const struct context *context, struct recovery *recovery);
