/* What the files of node/rotation share. */
#pragma once

#include <pthread.h>
#include "node.h"
#include "rotation/rotation.h"
#include "rotation/rotation_progress.h"

struct rotation {
    struct node *node;
    pthread_mutex_t keys; /* guards the change of the node's masking keys: the vault's and the keyring's go together */
    uint32_t oldest;      /* what was retired last; guarded by `keys` */
    _Atomic uint64_t followed_version; /* of the cluster record */
    pthread_t thread;
    bool started;

    /* Of the thread alone. */
    uint32_t confirmed;                         /* newest generation that this node's member record tells */
    uint64_t watched_version, watched_since_ms; /* of another node's progress */
    uint64_t rests_until_ms;                    /* after a pass that damaged records held up; monotonic */
    status_code failing;                        /* of the last round, so that a failure is logged once */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    bool stopping, called;
};

/** The thread's work (rotation_worker.c): one round, after which it rests. */
void rotation_work(struct rotation *rotation);

/** What rotation_follow does, without a call of the thread. *untidy: why the vault lags behind, which is to be tried
 * again. */
status_code rotation_take_in(struct rotation *rotation, const struct cluster_record *cluster, status_code *untidy);

bool rotation_stopping(struct rotation *rotation);

/** For so long, or until it is time to stop. */
void rotation_pause(struct rotation *rotation, unsigned ms);
