/* A progress bar on standard error, while one call takes its time: a thread asks the nodes how far they are. Nothing is
 * drawn where nobody looks. */
#pragma once

#include "command.h"

struct progress;

/** `node`: the URL of the one to ask, NULL: all. NULL when there is nothing to draw on. */
struct progress *progress_begin(const struct context *context, const char *what, const char *node);

/** Takes the bar away. Harmless on NULL. */
void progress_end(struct progress *progress);

/* For who asks by itself. */

bool progress_wanted(const struct context *context);
void progress_draw(const char *what, unsigned long long done, unsigned long long total);
void progress_clear(void);
