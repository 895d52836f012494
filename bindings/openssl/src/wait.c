/* See wait.h. */
#include "wait.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Linux allows 500 paths of two epolls to one file (fs/eventpoll.c, path_limits): the waiter's and the program's. */
#define BELL_MAX 256u

struct bell {
    struct bell *next;
    int descriptor; /* always readable */
    unsigned n_waiters;
};

void waiting_init(struct waiting *waiting, int answers)
{
    *waiting = (struct waiting){.answers = answers, .process = getpid()};
    pthread_mutex_init(&waiting->lock, NULL);
}

void waiting_release(struct waiting *waiting)
{
    for (struct bell *bell = waiting->bells, *next; bell; bell = next) {
        next = bell->next;
        close(bell->descriptor);
        free(bell);
    }
    pthread_mutex_destroy(&waiting->lock);
}

/* --- all under the lock --- */

static int watch(const struct waiter *waiter, int operation, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(waiter->descriptor, operation, descriptor, &event);
}

static void lead(struct waiting *waiting, struct waiter *waiter)
{
    waiting->leader = waiter;
    if (waiter)
        watch(waiter, EPOLL_CTL_ADD, waiting->answers);
}

static void list_add(struct waiter *waiter)
{
    struct waiting *waiting = waiter->among;

    waiter->next = waiting->first;
    waiter->link = &waiting->first;
    if (waiter->next)
        waiter->next->link = &waiter->next;
    waiting->first = waiter;
    if (!waiting->leader)
        lead(waiting, waiter);
}

static void list_remove(struct waiter *waiter)
{
    struct waiting *waiting = waiter->among;

    if (!waiter->link)
        return;
    *waiter->link = waiter->next;
    if (waiter->next)
        waiter->next->link = waiter->link;
    waiter->link = NULL;
    if (waiting->leader == waiter) {
        watch(waiter, EPOLL_CTL_DEL, waiting->answers);
        lead(waiting, waiting->first);
    }
}

static void ring(struct waiter *waiter)
{
    waiter->rung = watch(waiter, EPOLL_CTL_ADD, waiter->bell->descriptor) == 0;
}

static void silence(struct waiter *waiter)
{
    if (waiter->rung)
        watch(waiter, EPOLL_CTL_DEL, waiter->bell->descriptor);
    waiter->rung = false;
}

/* One with room; NULL: there are no descriptors left. */
static struct bell *bell_take(struct waiting *waiting)
{
    struct bell *bell = waiting->bells;

    while (bell && bell->n_waiters == BELL_MAX)
        bell = bell->next;
    if (!bell) {
        if (!(bell = calloc(1, sizeof(*bell))))
            return NULL;
        if ((bell->descriptor = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
            free(bell);
            return NULL;
        }
        bell->next = waiting->bells;
        waiting->bells = bell;
    }
    bell->n_waiters++;
    return bell;
}

/* --- a waiter's life: once it is shown, that of its program's wait context --- */

static struct waiter *waiter_new(struct waiting *waiting)
{
    struct waiter *waiter = calloc(1, sizeof(*waiter));

    if (!waiter)
        return NULL;
    waiter->among = waiting;
    waiter->descriptor = -1;
    waiter->completion = (hsm_completion)HSM_COMPLETION_INIT;
    return waiter;
}

static void waiter_free(struct waiter *waiter)
{
    hsm_completion_release(&waiter->completion);
    if (waiter->descriptor >= 0)
        close(waiter->descriptor);
    if (waiter->bell) {
        pthread_mutex_lock(&waiter->among->lock);
        waiter->bell->n_waiters--;
        pthread_mutex_unlock(&waiter->among->lock);
    }
    free(waiter);
}

struct waiter *waiter_get(struct waiting *waiting, ASYNC_WAIT_CTX *context, const void *key)
{
    OSSL_ASYNC_FD descriptor;
    void *known;

    if (!ASYNC_WAIT_CTX_get_fd(context, key, &descriptor, &known))
        return waiter_new(waiting);
    struct waiter *waiter = known;

    return waiter->among == waiting && !waiter_is_pending(waiter) ? waiter : NULL;
}

/* The program has freed the wait context, perhaps while the job was paused: then the answer frees the waiter. */
static void abandon(ASYNC_WAIT_CTX *context, const void *key, OSSL_ASYNC_FD descriptor, void *data)
{
    struct waiter *waiter = data;
    struct waiting *waiting = waiter->among;

    (void)context;
    (void)key;
    (void)descriptor;
    if (waiting->process != getpid()) {
        close(waiter->descriptor);
        free(waiter);
        return;
    }
    pthread_mutex_lock(&waiting->lock);
    list_remove(waiter);
    waiter->abandoned = true;
    bool pending = waiter->pending;

    pthread_mutex_unlock(&waiting->lock);
    if (!pending)
        waiter_free(waiter);
}

static bool show(struct waiter *waiter, int descriptor, ASYNC_WAIT_CTX *context, const void *key)
{
    struct waiting *waiting = waiter->among;

    pthread_mutex_lock(&waiting->lock);
    if (!waiter->bell)
        waiter->bell = bell_take(waiting);
    bool shown = waiter->bell && ASYNC_WAIT_CTX_set_wait_fd(context, key, descriptor, waiter, abandon);

    if (shown) {
        waiter->descriptor = descriptor;
        if (waiter->pending)
            list_add(waiter);
        else
            ring(waiter); /* the answer was taken meanwhile */
    }
    pthread_mutex_unlock(&waiting->lock);
    return shown;
}

bool waiter_show(struct waiter *waiter, ASYNC_WAIT_CTX *context, const void *key)
{
    if (waiter->descriptor >= 0)
        return true;
    int descriptor = epoll_create1(EPOLL_CLOEXEC);

    if (descriptor >= 0 && show(waiter, descriptor, context, key))
        return true;
    if (descriptor >= 0)
        close(descriptor);
    return false;
}

/* --- an operation --- */

void waiter_begin(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->among->lock);
    silence(waiter);
    waiter->pending = true;
    if (waiter->descriptor >= 0)
        list_add(waiter);
    pthread_mutex_unlock(&waiter->among->lock);
}

void waiter_cancel(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->among->lock);
    list_remove(waiter);
    waiter->pending = false;
    pthread_mutex_unlock(&waiter->among->lock);
}

void waiter_answer(struct waiter *waiter, const hsm_completion *completion, const struct waiter *taker)
{
    struct waiting *waiting = waiter->among;

    pthread_mutex_lock(&waiting->lock);
    waiter->completion = *completion;
    waiter->pending = false;
    list_remove(waiter);
    bool abandoned = waiter->abandoned;

    if (!abandoned && waiter != taker && waiter->descriptor >= 0)
        ring(waiter);
    pthread_mutex_unlock(&waiting->lock);
    if (abandoned)
        waiter_free(waiter);
}

bool waiter_is_pending(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->among->lock);
    bool pending = waiter->pending;

    pthread_mutex_unlock(&waiter->among->lock);
    return pending;
}

void waiter_end(struct waiter *waiter)
{
    if (waiter->descriptor < 0) {
        waiter_free(waiter);
        return;
    }
    hsm_completion_release(&waiter->completion);
    waiter->completion = (hsm_completion)HSM_COMPLETION_INIT;
}
