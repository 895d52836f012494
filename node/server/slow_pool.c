/* See slow_pool.h. */
#include "server/slow_pool.h"

#include <pthread.h>
#include <stdlib.h>
#include "node.h"
#include "server/dispatch.h"
#include "server/server.h"

#define QUEUE_MAX       1024u
#define QUEUE_BYTES_MAX ((size_t)32 << 20)
#define REPLY_KEEP      ((size_t)1 << 20)

struct slow_job {
    bool local;
    uint64_t arrived_ns;
    struct bytes message;
    slow_done done;
    void *context;
    struct slow_job *next;
};

struct pool_thread {
    struct slow_pool *pool;
    pthread_t thread;
    unsigned worker;
};

struct slow_pool {
    struct node *node;
    struct pool_thread threads[WORKERS_MAX];
    unsigned n_threads;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    struct slow_job *first, **last;
    unsigned n_waiting, n_running;
    size_t waiting_len;
    bool stopping;
};

static void job_free(struct slow_job *job)
{
    bytes_release(&job->message);
    free(job);
}

static status_code enqueue(struct slow_pool *pool, struct slow_job *job)
{
    status_code status = STATUS_OK;

    pthread_mutex_lock(&pool->lock);
    if (pool->stopping)
        status = failure_set(STATUS_BUSY, "this node is stopping: use another node of the cluster");
    else if (pool->n_waiting >= QUEUE_MAX || pool->waiting_len + job->message.len > QUEUE_BYTES_MAX)
        status = failure_set(STATUS_BUSY, "too many requests wait on this node: use another one, or try later");
    if (status == STATUS_OK) {
        *pool->last = job;
        pool->last = &job->next;
        pool->n_waiting++;
        pool->waiting_len += job->message.len;
        pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

status_code slow_pool_run(struct slow_pool *pool, bool local, struct slice message, slow_done done, void *context)
{
    struct slow_job *job = calloc(1, sizeof(*job));

    CHECK(job, STATUS_OUT_OF_MEMORY, "no memory for a request");
    *job = (struct slow_job){
        .local = local, .arrived_ns = dispatch_now_ns(), .message = BYTES_SECRET, .done = done, .context = context};
    status_code status = bytes_assign(&job->message, message);
    if (status == STATUS_OK)
        status = enqueue(pool, job);
    if (status != STATUS_OK)
        job_free(job);
    return status;
}

/* The next job; NULL at the end. */
static struct slow_job *take_job(struct slow_pool *pool, bool *stopping)
{
    struct slow_job *job;

    pthread_mutex_lock(&pool->lock);
    while (!pool->first && !pool->stopping)
        pthread_cond_wait(&pool->wake, &pool->lock);
    job = pool->first;
    if (job) {
        pool->first = job->next;
        pool->n_waiting--;
        pool->n_running++;
        pool->waiting_len -= job->message.len;
        if (!pool->first)
            pool->last = &pool->first;
    }
    *stopping = pool->stopping;
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void end_job(struct slow_pool *pool, struct slow_job *job)
{
    job_free(job);
    pthread_mutex_lock(&pool->lock);
    pool->n_running--;
    pthread_mutex_unlock(&pool->lock);
}

static void *pool_thread(void *argument)
{
    struct pool_thread *thread = argument;
    struct node *node = thread->pool->node;
    struct bytes reply = BYTES_SECRET;
    struct slow_job *job;
    bool stopping;

    while ((job = take_job(thread->pool, &stopping))) {
        struct peer peer = {.local = job->local, .arrived_ns = job->arrived_ns};

        reply.limit = 2 * MESSAGE_MAX;
        if (stopping)
            dispatch_refuse(node, failure_set(STATUS_BUSY, "this node is stopping: use another node of the cluster"),
                            &reply);
        else
            dispatch_message(node, thread->worker, &peer, bytes_slice(&job->message), &reply);
        peer_release(&peer);
        job->done(job->context, &reply);
        if (reply.capacity > REPLY_KEEP)
            bytes_release(&reply);
        end_job(thread->pool, job);
    }
    bytes_release(&reply);
    return NULL;
}

static status_code start_threads(struct slow_pool *pool, struct server *server, unsigned n_threads)
{
    for (unsigned i = 0; i < n_threads; i++) {
        struct pool_thread *thread = &pool->threads[i];

        thread->pool = pool;
        thread->worker = server_take_worker(server);
        CHECK(thread->worker < WORKERS_MAX, STATUS_CONFIG_INVALID,
              "workers, slow-workers and store-workers together may be at most %u", WORKERS_MAX);
        CHECK(pthread_create(&thread->thread, NULL, pool_thread, thread) == 0, STATUS_OUT_OF_MEMORY,
              "a thread cannot be started");
        pool->n_threads++;
    }
    return STATUS_OK;
}

status_code slow_pool_start(struct node *node, struct server *server, unsigned n_threads, struct slow_pool **pool)
{
    struct slow_pool *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the slow pool");
    made->node = node;
    made->last = &made->first;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->wake, NULL);
    *pool = made; /* whoever called stops and frees it, also after a failure */
    return start_threads(made, server, n_threads);
}

bool slow_pool_idle(struct slow_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool idle = !pool->n_waiting && !pool->n_running;
    pthread_mutex_unlock(&pool->lock);
    return idle;
}

void slow_pool_stop(struct slow_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i].thread, NULL);
    pool->n_threads = 0;
}

void slow_pool_free(struct slow_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->wake);
    free(pool);
}
