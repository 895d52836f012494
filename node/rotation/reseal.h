/* Sealing the store's records anew, some at a time. */
#pragma once

#include "rotation/rotation_progress.h"

/** How many kinds of records there are to go through: a pass is over when progress->step reaches it. */
unsigned reseal_steps(void);

/** Goes on from where `progress` says, by some records, and writes them together with the progress, which moves on.
 * STATUS_CONFLICT when somebody else wrote the progress: then it is theirs. */
status_code reseal_some(struct node *node, struct rotation_progress *progress);
