/* Operations inside an ASYNC_JOB.
 *
 * All jobs of a process share one queue of the library, so that their requests travel together. Each connection of the
 * program waits on a descriptor of its own, because event loops (HAProxy's) know a connection by it: an epoll, into
 * which the bell, an eventfd that always rings, is put when the answer was taken by somebody. One of the waiting jobs,
 * the leader, has the queue's descriptor in its epoll, too: when answers come, its program resumes it, it takes all
 * that are there and rings for the others. A leader that is done, or is abandoned by its program, hands this on. So no
 * thread is needed, and a thousand paused jobs cost one wake-up for each that is done.
 *
 * A job gets its descriptor when it is paused for the first time, and never before: a program must not find a
 * descriptor that it was not told of (HAProxy ends itself then). The descriptor stays until the program frees the wait
 * context: programs look at it after the job has ended. When there are no descriptors left, the thread sleeps until the
 * answer is there, as it would without jobs. */
#include "async.h"

#include <openssl/async.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "connection.h"

#define SLEEP_MS 20

struct async_queue {
    hsm_queue *queue;
    int bell;             /* always readable */
    pid_t process;        /* a child of fork opens its own */
    pthread_mutex_t lock; /* guards what follows, and the states of what waits */
    struct waiter *waiting, *leader;
};

struct waiter {
    struct async_queue *async;
    struct waiter *next, **link; /* in the list of those that wait; link NULL: in none */
    int descriptor;              /* -1: its program knows nothing of it */
    bool pending;                /* the queue has its request */
    bool rung;                   /* the bell is in its epoll */
    bool abandoned;              /* its program has freed the wait context: nobody will resume it */
    hsm_completion completion;
};

bool async_is_wanted(void)
{
    return ASYNC_get_current_job() != NULL;
}

/* --- the queue --- */

static void queue_free(struct async_queue *async)
{
    if (!async)
        return;
    if (async->process == getpid())
        hsm_queue_close(async->queue);
    if (async->bell >= 0)
        close(async->bell);
    pthread_mutex_destroy(&async->lock);
    free(async);
}

static int queue_open(struct provider *provider, hsm_cluster *cluster, struct async_queue **async)
{
    struct async_queue *made = calloc(1, sizeof(*made));

    CHECK(provider, made, HSM_OUT_OF_MEMORY, "%s", "");
    pthread_mutex_init(&made->lock, NULL);
    made->process = getpid();
    made->bell = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->bell < 0 || hsm_queue_open(cluster, &made->queue) != HSM_OK) {
        queue_free(made);
        return RAISE(provider, REASON_ASYNC, "%s", "no queue");
    }
    *async = made;
    return 1;
}

/* As with the connection: the first to be ready wins. What a parent had is left to it. */
static int queue_get(struct provider *provider, hsm_cluster *cluster, struct async_queue **async)
{
    struct async_queue *there = atomic_load(&provider->async), *made = NULL;

    if (!there || there->process != getpid()) {
        TRY(queue_open(provider, cluster, &made));
        if (atomic_compare_exchange_strong(&provider->async, &there, made))
            there = made;
        else
            queue_free(made);
    }
    *async = there;
    return 1;
}

void async_close(struct provider *provider)
{
    queue_free(atomic_exchange(&provider->async, NULL));
}

/* --- waiting; all under the lock --- */

static int watch(const struct waiter *waiter, int operation, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(waiter->descriptor, operation, descriptor, &event);
}

static void lead(struct async_queue *async, struct waiter *waiter)
{
    async->leader = waiter;
    if (waiter)
        watch(waiter, EPOLL_CTL_ADD, hsm_queue_fd(async->queue));
}

static void waiting_add(struct waiter *waiter)
{
    struct async_queue *async = waiter->async;

    waiter->next = async->waiting;
    waiter->link = &async->waiting;
    if (waiter->next)
        waiter->next->link = &waiter->next;
    async->waiting = waiter;
    if (!async->leader)
        lead(async, waiter);
}

static void waiting_remove(struct waiter *waiter)
{
    struct async_queue *async = waiter->async;

    if (!waiter->link)
        return;
    *waiter->link = waiter->next;
    if (waiter->next)
        waiter->next->link = waiter->link;
    waiter->link = NULL;
    if (async->leader == waiter) {
        watch(waiter, EPOLL_CTL_DEL, hsm_queue_fd(async->queue));
        lead(async, async->waiting);
    }
}

static void ring(struct waiter *waiter)
{
    waiter->rung = watch(waiter, EPOLL_CTL_ADD, waiter->async->bell) == 0;
}

static void silence(struct waiter *waiter)
{
    if (waiter->rung)
        watch(waiter, EPOLL_CTL_DEL, waiter->async->bell);
    waiter->rung = false;
}

/* --- a waiter's life: that of its program's wait context --- */

static void waiter_free(struct waiter *waiter)
{
    hsm_completion_release(&waiter->completion);
    if (waiter->descriptor >= 0)
        close(waiter->descriptor);
    free(waiter);
}

/* The program has freed the wait context, perhaps while the job was paused: then the answer frees the waiter. */
static void waiter_abandon(ASYNC_WAIT_CTX *context, const void *key, OSSL_ASYNC_FD descriptor, void *data)
{
    struct waiter *waiter = data;
    struct async_queue *async = waiter->async;

    (void)context;
    (void)key;
    (void)descriptor;
    pthread_mutex_lock(&async->lock);
    waiting_remove(waiter);
    waiter->abandoned = true;
    bool pending = waiter->pending;

    pthread_mutex_unlock(&async->lock);
    if (!pending)
        waiter_free(waiter);
}

/* Tells the program of a descriptor, as long as there are any. The answer may have been taken by now. */
static bool waiter_show(const struct provider *provider, struct waiter *waiter)
{
    ASYNC_WAIT_CTX *context = ASYNC_get_wait_ctx(ASYNC_get_current_job());
    int descriptor = epoll_create1(EPOLL_CLOEXEC);

    if (descriptor < 0)
        return false;
    if (!ASYNC_WAIT_CTX_set_wait_fd(context, provider, descriptor, waiter, waiter_abandon)) {
        close(descriptor);
        return false;
    }
    pthread_mutex_lock(&waiter->async->lock);
    waiter->descriptor = descriptor;
    if (waiter->pending)
        waiting_add(waiter);
    else
        ring(waiter);
    pthread_mutex_unlock(&waiter->async->lock);
    return true;
}

static int waiter_new(const struct provider *provider, struct async_queue *async, struct waiter **waiter)
{
    struct waiter *made = calloc(1, sizeof(*made));

    CHECK(provider, made, HSM_OUT_OF_MEMORY, "%s", "");
    made->async = async;
    made->completion = (hsm_completion)HSM_COMPLETION_INIT;
    made->descriptor = -1;
    *waiter = made;
    return 1;
}

/* The waiter of this connection of the program, when it was told of one; else a new one. */
static int waiter_get(const struct provider *provider, struct async_queue *async, struct waiter **waiter)
{
    ASYNC_WAIT_CTX *context = ASYNC_get_wait_ctx(ASYNC_get_current_job());
    OSSL_ASYNC_FD descriptor;
    void *known;

    if (!ASYNC_WAIT_CTX_get_fd(context, provider, &descriptor, &known))
        return waiter_new(provider, async, waiter);
    *waiter = known;
    CHECK(provider, (*waiter)->async == async && !(*waiter)->pending, REASON_ASYNC, "%s",
          "another operation waits in this context");
    return 1;
}

/* The operation is over. */
static void waiter_leave(struct waiter *waiter)
{
    if (waiter->descriptor < 0) {
        waiter_free(waiter);
        return;
    }
    hsm_completion_release(&waiter->completion);
    waiter->completion = (hsm_completion)HSM_COMPLETION_INIT;
}

/* --- taking answers --- */

static void deliver(struct async_queue *async, hsm_completion *completion, const struct waiter *taker)
{
    struct waiter *waiter = completion->user_data;

    pthread_mutex_lock(&async->lock);
    waiter->completion = *completion;
    waiter->pending = false;
    waiting_remove(waiter);
    bool abandoned = waiter->abandoned;

    if (!abandoned && waiter != taker && waiter->descriptor >= 0)
        ring(waiter);
    pthread_mutex_unlock(&async->lock);
    if (abandoned)
        waiter_free(waiter);
}

/* Whoever is resumed takes all answers that are there; `timeout_ms`: when there are none, waits so long for one. */
static bool take_answers(struct waiter *waiter, int32_t timeout_ms)
{
    hsm_completion completion = HSM_COMPLETION_INIT;
    struct async_queue *async = waiter->async;

    while (hsm_queue_next(async->queue, timeout_ms, &completion) == HSM_OK) {
        deliver(async, &completion, waiter);
        completion = (hsm_completion)HSM_COMPLETION_INIT;
        timeout_ms = 0;
    }
    pthread_mutex_lock(&async->lock);
    bool done = !waiter->pending;

    pthread_mutex_unlock(&async->lock);
    return done;
}

/* --- the request --- */

static int submit(hsm_session *session, const struct async_request *request, struct waiter *waiter)
{
    const struct key *key = request->key;
    hsm_queue *queue = waiter->async->queue;
    hsm_status status = HSM_OK;

    switch (request->kind) {
    case ASYNC_SIGN:
        status =
            hsm_submit_sign(queue, session, key->object, request->mechanism, request->data, request->data_len, waiter);
        break;
    case ASYNC_SIGN_DIGEST:
        status = hsm_submit_sign_digest(queue, session, key->object, request->mechanism, request->data,
                                        request->data_len, waiter);
        break;
    case ASYNC_DECRYPT:
        status = hsm_submit_decrypt(queue, session, key->object, request->mechanism, request->data, request->data_len,
                                    waiter);
        break;
    }
    return status == HSM_OK ? 1 : RAISE_LAST(key->provider);
}

static int take_result(const struct async_request *request, const hsm_completion *completion)
{
    struct provider *provider = request->key->provider;

    if (completion->status == HSM_OK) {
        CHECK(provider, completion->output_len <= *request->out_len, HSM_BUFFER_TOO_SMALL, "%zu bytes",
              completion->output_len);
        memcpy(request->out, completion->output, completion->output_len);
        *request->out_len = completion->output_len;
        return 1;
    }
    if (request_is_invalid(request, completion->status))
        return 1;
    error_raise_status(provider, completion->status, completion->detail, completion->node);
    return 0;
}

/* The request is the queue's from here on: its answer may be taken by another thread at once. */
static int send(hsm_session *session, const struct async_request *request, struct waiter *waiter)
{
    struct async_queue *async = waiter->async;

    pthread_mutex_lock(&async->lock);
    silence(waiter);
    waiter->pending = true;
    if (waiter->descriptor >= 0)
        waiting_add(waiter);
    pthread_mutex_unlock(&async->lock);
    if (submit(session, request, waiter)) {
        hsm_queue_flush(async->queue);
        return 1;
    }
    pthread_mutex_lock(&async->lock);
    waiting_remove(waiter);
    waiter->pending = false;
    pthread_mutex_unlock(&async->lock);
    return 0;
}

/* Without a descriptor it does not sleep for long at a time: another thread may take its answer. */
static int wait_for_answer(const struct provider *provider, struct waiter *waiter)
{
    while (!take_answers(waiter, 0)) {
        if (waiter->descriptor >= 0 || waiter_show(provider, waiter))
            CHECK(provider, ASYNC_pause_job(), REASON_ASYNC, "%s", "the job cannot be paused");
        else if (take_answers(waiter, SLEEP_MS))
            return 1;
    }
    return 1;
}

int async_run(struct connection *connection, const struct async_request *request)
{
    const struct provider *provider = request->key->provider;
    struct async_queue *async;
    struct waiter *waiter = NULL;
    int result = 0;

    TRY(queue_get(request->key->provider, connection->cluster, &async));
    TRY(waiter_get(provider, async, &waiter));
    if (send(connection->serving, request, waiter)) {
        TRY(wait_for_answer(provider, waiter));
        outage_note(&connection->outage, waiter->completion.status);
        result = take_result(request, &waiter->completion);
    }
    waiter_leave(waiter);
    return result;
}
