/* Sealing the store's records anew, some at a time. */
#pragma once

#include "rotation/rotation_progress.h"

/** Lets a pass over all records begin. */
void reseal_begin(struct rotation_progress *progress);

/** Goes on with the pass from where `progress` says, by some records, and writes them together with the progress, which
 * moves on: to kind 0 at the end. STATUS_CONFLICT when somebody else wrote the progress: then it is theirs. */
status_code reseal_some(struct node *node, struct rotation_progress *progress);
