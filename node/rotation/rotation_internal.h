/* What the files of node/rotation share. */
#pragma once

#include <pthread.h>
#include "node.h"
#include "rotation/rotation.h"
#include "rotation/rotation_progress.h"

struct rotation {
    struct node *node;
    pthread_mutex_t keys; /* guards the change of the node's masking keys: the vault's and the keyring's go together */
    pthread_t thread;
    bool started;

    /* Of the thread alone. */
    uint32_t confirmed;                         /* newest generation that this node's member record tells */
    uint64_t watched_version, watched_since_ms; /* of another node's progress */
    status_code failing;                        /* of the last round, so that a failure is logged once */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    bool stopping, called;
    struct cluster_record seen; /* the cluster record's key fields, as of the last rotation_follow */
};

/** The thread's work (rotation_worker.c): one round, after which it rests. */
void rotation_work(struct rotation *rotation);

bool rotation_stopping(struct rotation *rotation);

/** For so long, or until it is time to stop. */
void rotation_pause(struct rotation *rotation, unsigned ms);

/** The cluster record's key fields, as last seen. */
void rotation_seen(struct rotation *rotation, struct cluster_record *cluster);
