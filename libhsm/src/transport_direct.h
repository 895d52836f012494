/* What the two files of the direct transport share. */
#pragma once

#include "transport.h"

#define DIRECT_READ ((size_t)64 << 10) /* bytes asked for at a time */

struct direct {
    struct link base;
    int fd;
    SSL *tls;
    bool ipc;
    struct bytes in, out;
    size_t in_start, out_start;
};

extern const struct link_operations direct_operations;

size_t direct_available(const struct direct *link);
/** Reads what is there; *done 0: nothing yet. */
status_code direct_fill(struct direct *link, size_t *done);
/** Writes what the socket takes. */
status_code direct_flush(struct direct *link);
/** The failure of a connection that ended. */
status_code direct_lost(const char *why);
