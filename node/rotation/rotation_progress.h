/* How far a rotation is: the one record of kind STORE_ROTATION. Whoever works on it rewrites the record with every
 * step, and so knows by its version that nobody else does. */
#pragma once

#include "seal/record.h"

#define DAMAGED_MAX 64u

/* A record that opens under no key. */
struct damaged_record {
    enum store_kind kind;
    uint8_t id[ID_LEN];
    bool given_up; /* an administrator decided to leave it behind */
    bool seen;     /* in this pass */
};

struct rotation_progress {
    uint64_t version; /* of the record; 0: there is none */
    uint8_t request_id[ID_LEN];
    uint32_t generation;       /* that it leads to */
    uint8_t worker_id[ID_LEN]; /* zero: whoever likes */
    uint64_t pass;             /* from 1 on */
    enum store_kind kind;      /* that the pass is at; 0: it is over */
    uint8_t after[ID_LEN];     /* how far in that kind */
    uint64_t n_in_kind;        /* records of it looked at */
    uint64_t n_old, n_damaged; /* of this pass: records that were not of this generation yet, and could not be opened */
    uint64_t n_done, n_total;  /* records looked at, of all passes */
    struct damaged_record damaged[DAMAGED_MAX]; /* found in this pass or the one before; given up: also in others */
    unsigned n_listed;
};

/** Notes that this pass found it so; more than DAMAGED_MAX are counted only. */
void rotation_progress_damaged(struct rotation_progress *progress, enum store_kind kind, const uint8_t id[ID_LEN]);

/** Those that this pass did not find any more are forgotten. */
void rotation_progress_end_pass(struct rotation_progress *progress);

/** How many listed ones are, or are not, given up. */
unsigned rotation_progress_listed(const struct rotation_progress *progress, bool given_up);

/** All zero when there is none. */
status_code rotation_progress_read(struct node *node, struct rotation_progress *progress);

/** The write that replaces it; it refers to `sealed`. */
status_code rotation_progress_write(struct node *node, const struct rotation_progress *progress, struct bytes *sealed,
                                    struct store_write *write);
