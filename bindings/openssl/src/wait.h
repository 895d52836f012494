/* Who waits for answers, and how it is woken.
 *
 * Each connection of the program waits on a descriptor of its own, because event loops (HAProxy's) know a connection by
 * it: an epoll, into which a bell, an eventfd that always rings, is put when the answer was taken by somebody. One of
 * those that wait, the leader, has the queue's descriptor in its epoll, too: when answers come, its program resumes it,
 * it takes all that are there and rings for the others. A leader that is done, or is abandoned by its program, hands
 * this on. So no thread is needed, and a thousand paused jobs cost one wake-up for each that is done.
 *
 * A program is told of a descriptor when its job is about to be paused for the first time, and never before: it must
 * not find one that it did not hear of (HAProxy ends itself then). The descriptor stays until the program frees the
 * wait context: programs look at it after the job has ended. */
#pragma once

#include <openssl/async.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#include <hsm/hsm.h>

struct bell;
struct waiter;

struct waiting {
    int answers;          /* readable when there is something to take */
    pid_t process;        /* whose it is: a child of fork leaves the lock and the epolls alone */
    pthread_mutex_t lock; /* guards what follows, and what is in each waiter */
    struct waiter *first, *leader;
    struct bell *bells;
};

/* One operation after the other of a connection of the program. */
struct waiter {
    struct waiting *among;
    struct waiter *next, **link; /* in the list of those that wait; link NULL: in none */
    int descriptor;              /* -1: its program knows nothing of it */
    struct bell *bell;
    bool pending;   /* the queue has its request */
    bool rung;      /* the bell is in its epoll */
    bool abandoned; /* its program has freed the wait context: nobody will resume it */
    hsm_completion completion;
};

/* Both for the process that uses it. */
void waiting_init(struct waiting *waiting, int answers);
void waiting_release(struct waiting *waiting);

/* The waiter that the program was told of in this context; else a new one. NULL: no memory, or its operation is not
 * over. */
struct waiter *waiter_get(struct waiting *waiting, ASYNC_WAIT_CTX *context, const void *key);

/* Tells the program of its descriptor, unless it knows; it is readable when there is something to do. false: there are
 * none left. */
bool waiter_show(struct waiter *waiter, ASYNC_WAIT_CTX *context, const void *key);

/* An operation begins: its answer may be taken by another thread at once. */
void waiter_begin(struct waiter *waiter);
/* It was not submitted after all. */
void waiter_cancel(struct waiter *waiter);
/* Its answer was taken, by `taker`; the completion is the waiter's from here on. */
void waiter_answer(struct waiter *waiter, const hsm_completion *completion, const struct waiter *taker);
bool waiter_is_pending(struct waiter *waiter);
/* The operation is over, and its completion was read. */
void waiter_end(struct waiter *waiter);
