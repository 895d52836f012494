/* The reactor threads: see reactor.h. */
#include "server/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS     64
#define SWEEP_MS   1000
#define REPLY_KEEP ((size_t)1 << 20)

struct reactors {
    struct node *node;
    unsigned n;
    struct reactor reactor[WORKERS_MAX];
};

uint64_t reactor_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void reactor_post(struct reactor *reactor, struct slow_reply *slow)
{
    const uint64_t one = 1;

    atomic_fetch_add(&reactor->n_posted, 1);
    pthread_mutex_lock(&reactor->lock);
    slow->next = reactor->slow_replies;
    reactor->slow_replies = slow;
    pthread_mutex_unlock(&reactor->lock);
    while (write(reactor->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void take_slow_replies(struct reactor *reactor)
{
    uint64_t count;
    ssize_t got = read(reactor->wake, &count, sizeof(count));

    (void)got; /* nothing there: another event woke us */
    pthread_mutex_lock(&reactor->lock);
    struct slow_reply *slow = reactor->slow_replies, *next;

    reactor->slow_replies = NULL;
    pthread_mutex_unlock(&reactor->lock);
    for (; slow; slow = next) {
        next = slow->next;
        connection_slow_reply(slow);
        atomic_fetch_sub(&reactor->n_posted, 1);
    }
}

static void take_turns(struct reactor *reactor)
{
    struct connection *connection = reactor->turns, *next;

    reactor->turns = NULL;
    reactor->last_turn = &reactor->turns;
    for (; connection; connection = next) {
        next = connection->next_turn; /* the turn may ask for another one */
        connection_turn(connection);
    }
}

static void *reactor_thread(void *argument)
{
    struct reactor *reactor = argument;
    struct epoll_event events[EVENTS];
    uint64_t swept = reactor_now_ms();

    while (!atomic_load(&reactor->stopping)) {
        atomic_store(&reactor->busy, 0);
        int n = epoll_wait(reactor->epoll, events, EVENTS, reactor->turns ? 0 : SWEEP_MS);

        atomic_store(&reactor->busy, 1);
        for (int i = 0; i < n; i++) {
            struct watched *watched = events[i].data.ptr;

            if (watched)
                watched->ready(watched, events[i].events);
            else
                take_slow_replies(reactor);
        }
        take_turns(reactor);
        if (reactor_now_ms() - swept >= SWEEP_MS) {
            connections_sweep(reactor);
            swept = reactor_now_ms();
        }
        connections_bury(reactor);
        if (reactor->reply.capacity > REPLY_KEEP)
            bytes_release(&reactor->reply);
    }
    return NULL;
}

static status_code start_one(struct reactors *reactors, struct reactor *reactor, struct server *server)
{
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = NULL};

    reactor->node = reactors->node;
    reactor->server = server;
    reactor->worker = server_take_worker(server);
    reactor->reply = (struct bytes)BYTES_SECRET;
    reactor->reply.limit = 2 * MESSAGE_MAX;
    reactor->last_turn = &reactor->turns;
    pthread_mutex_init(&reactor->lock, NULL);
    reactor->epoll = epoll_create1(EPOLL_CLOEXEC);
    reactor->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(reactor->epoll >= 0 && reactor->wake >= 0 &&
              epoll_ctl(reactor->epoll, EPOLL_CTL_ADD, reactor->wake, &wake) == 0,
          STATUS_IO_ERROR, "epoll: %s", strerror(errno));
    CHECK(pthread_create(&reactor->thread, NULL, reactor_thread, reactor) == 0, STATUS_OUT_OF_MEMORY,
          "a thread cannot be started");
    reactor->started = true;
    return STATUS_OK;
}

status_code reactors_start(struct node *node, struct server *server, struct reactors **reactors)
{
    struct reactors *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the workers");
    made->node = node;
    *reactors = made;
    for (unsigned i = 0; i < node->config.workers && i < WORKERS_MAX / 2; i++) {
        made->n++;
        TRY(start_one(made, &made->reactor[i], server));
    }
    return STATUS_OK;
}

bool reactors_idle(struct reactors *reactors)
{
    for (unsigned i = 0; i < reactors->n; i++) {
        struct reactor *reactor = &reactors->reactor[i];

        if (atomic_load(&reactor->busy) || atomic_load(&reactor->n_posted) || atomic_load(&reactor->n_unsent))
            return false;
    }
    return true;
}

static void stop_one(struct reactor *reactor)
{
    const uint64_t one = 1;
    ssize_t written;

    atomic_store(&reactor->stopping, true);
    if (reactor->started) {
        written = write(reactor->wake, &one, sizeof(one));
        (void)written; /* it wakes up within SWEEP_MS in any case */
        pthread_join(reactor->thread, NULL);
    }
    take_slow_replies(reactor);
    connections_close_all(reactor);
    if (reactor->epoll > 0)
        close(reactor->epoll);
    if (reactor->wake > 0)
        close(reactor->wake);
    bytes_release(&reactor->reply);
    pthread_mutex_destroy(&reactor->lock);
}

void reactors_stop(struct reactors *reactors)
{
    if (!reactors)
        return;
    for (unsigned i = 0; i < reactors->n; i++)
        stop_one(&reactors->reactor[i]);
    free(reactors);
}

status_code reactors_watch(struct reactors *reactors, int fd, struct watched *watched)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watched};

    CHECK(epoll_ctl(reactors->reactor[0].epoll, EPOLL_CTL_ADD, fd, &event) == 0, STATUS_IO_ERROR, "epoll: %s",
          strerror(errno));
    return STATUS_OK;
}

void reactors_unwatch(struct reactors *reactors, int fd)
{
    epoll_ctl(reactors->reactor[0].epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* At most one line a second. */
static void log_unadopted(void)
{
    static _Atomic uint64_t last_ms;
    uint64_t now = reactor_now_ms(), last = atomic_load(&last_ms);

    if (now - last >= 1000 && atomic_compare_exchange_strong(&last_ms, &last, now))
        log_event(LOG_LEVEL_WARNING, "connection refused", "detail", failure_detail(), NULL);
}

void reactors_adopt(struct reactors *reactors, int fd, SSL_CTX *tls, bool ipc, bool local)
{
    struct reactor *least = &reactors->reactor[0];
    unsigned total = 0;

    for (unsigned i = 0; i < reactors->n; i++) {
        total += atomic_load(&reactors->reactor[i].n_connections);
        if (atomic_load(&reactors->reactor[i].n_connections) < atomic_load(&least->n_connections))
            least = &reactors->reactor[i];
    }
    status_code status = STATUS_OK;
    if (total >= reactors->node->config.connections_max && !local)
        status = failure_set(STATUS_BUSY, "%u connections are open, as many as connections-max allows", total);
    if (status == STATUS_OK)
        status = connection_open(least, fd, tls, ipc, local);
    if (status == STATUS_OK)
        return;
    log_unadopted();
    close(fd);
}
