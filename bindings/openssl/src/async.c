/* Operations inside an ASYNC_JOB.
 *
 * All jobs of a process share one queue of the library, so that their requests travel together. A job that has sent its
 * request takes the answers that are there, for itself and for others, and is paused until its own may be there
 * (wait.h). When there are no descriptors left to wait on, the thread sleeps instead, as it would without jobs. */
#include "async.h"

#include <stdlib.h>
#include <unistd.h>
#include "connection.h"
#include "wait.h"

/* Another thread may take the answer that a thread sleeps for. */
#define SLEEP_MS 20

struct async_queue {
    hsm_queue *queue;
    pid_t process; /* a child of fork opens its own */
    struct waiting waiting;
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
    waiting_release(&async->waiting);
    free(async);
}

static int queue_open(struct provider *provider, hsm_cluster *cluster, struct async_queue **async)
{
    struct async_queue *made = calloc(1, sizeof(*made));

    CHECK(provider, made, HSM_OUT_OF_MEMORY, "%s", "");
    if (hsm_queue_open(cluster, &made->queue) != HSM_OK) {
        free(made);
        return RAISE_LAST(provider);
    }
    made->process = getpid();
    waiting_init(&made->waiting, hsm_queue_fd(made->queue));
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

/* --- the request --- */

static int submit(hsm_queue *queue, hsm_session *session, const struct request *request, struct waiter *waiter)
{
    const struct key *key = request->key;
    hsm_status status = HSM_OK;

    switch (request->kind) {
    case REQUEST_SIGN:
        status =
            hsm_submit_sign(queue, session, key->object, request->mechanism, request->data, request->data_len, waiter);
        break;
    case REQUEST_SIGN_DIGEST:
        status = hsm_submit_sign_digest(queue, session, key->object, request->mechanism, request->data,
                                        request->data_len, waiter);
        break;
    case REQUEST_DECRYPT:
        status = hsm_submit_decrypt(queue, session, key->object, request->mechanism, request->data, request->data_len,
                                    waiter);
        break;
    }
    return status == HSM_OK ? 1 : RAISE_LAST(key->provider);
}

static int take_result(const struct request *request, const hsm_completion *completion)
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

static int send(struct async_queue *async, hsm_session *session, const struct request *request, struct waiter *waiter)
{
    waiter_begin(waiter);
    if (!submit(async->queue, session, request, waiter)) {
        waiter_cancel(waiter);
        return 0;
    }
    hsm_queue_flush(async->queue);
    return 1;
}

/* Takes all answers that are there; when there are none, waits so long for one. Returns whether `taker` has its own. */
static bool take_answers(struct async_queue *async, struct waiter *taker, int32_t timeout_ms)
{
    hsm_completion completion = HSM_COMPLETION_INIT;

    while (hsm_queue_next(async->queue, timeout_ms, &completion) == HSM_OK) {
        waiter_answer(completion.user_data, &completion, taker);
        completion = (hsm_completion)HSM_COMPLETION_INIT;
        timeout_ms = 0;
    }
    return !waiter_is_pending(taker);
}

static int wait_for_answer(struct provider *provider, struct async_queue *async, struct waiter *waiter)
{
    ASYNC_WAIT_CTX *context = ASYNC_get_wait_ctx(ASYNC_get_current_job());
    bool can_sleep = false;

    while (!take_answers(async, waiter, can_sleep ? SLEEP_MS : 0)) {
        can_sleep = !waiter_show(waiter, context, provider);
        CHECK(provider, can_sleep || ASYNC_pause_job(), REASON_ASYNC, "%s", "the job cannot be paused");
    }
    return 1;
}

int async_run(struct connection *connection, const struct request *request)
{
    struct provider *provider = request->key->provider;
    struct async_queue *async;
    int result = 0;

    TRY(queue_get(provider, connection->cluster, &async));
    struct waiter *waiter = waiter_get(&async->waiting, ASYNC_get_wait_ctx(ASYNC_get_current_job()), provider);

    CHECK(provider, waiter, REASON_ASYNC, "%s", "no memory, or another operation waits in this context");
    if (send(async, connection->serving, request, waiter)) {
        TRY(wait_for_answer(provider, async, waiter));
        outage_note(&connection->outage, request->permit, waiter->completion.status);
        result = take_result(request, &waiter->completion);
    } else {
        outage_note(&connection->outage, request->permit, hsm_last_error()->status); /* of the login that comes first */
    }
    waiter_end(waiter);
    return result;
}
