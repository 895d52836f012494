/* Linux: futexes, eventfd, timerfd, epoll. */
#include "platform.h"

#include <linux/futex.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

uint64_t platform_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#define PAGE_MAX 65536u /* the largest of any architecture */

/* Pages of its own, which fork wipes for the child. */
static struct {
    _Alignas(PAGE_MAX) _Atomic long id;
    char rest[PAGE_MAX - sizeof(_Atomic long)];
} process;

enum { WIPED_UNKNOWN, WIPED, NOT_WIPED };

static bool wiped_by_fork(void)
{
    static atomic_int answer = WIPED_UNKNOWN;
    int known = atomic_load_explicit(&answer, memory_order_relaxed);

    if (known == WIPED_UNKNOWN) {
        known = madvise(&process, sizeof(process), MADV_WIPEONFORK) == 0 ? WIPED : NOT_WIPED;
        atomic_store_explicit(&answer, known, memory_order_relaxed);
    }
    return known == WIPED;
}

long platform_process(void)
{
    long id = atomic_load_explicit(&process.id, memory_order_relaxed);

    if (id)
        return id;
    id = (long)getpid();
    if (wiped_by_fork())
        atomic_store_explicit(&process.id, id, memory_order_relaxed);
    return id;
}

const char *platform_environment(const char *variable)
{
    return secure_getenv(variable);
}

#define SLEEPING 1u

unsigned platform_event_wait(platform_event *event, uint64_t until_ns)
{
    const struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};

    for (;;) {
        unsigned value = 0;

        if (!atomic_compare_exchange_strong_explicit(event, &value, SLEEPING, memory_order_acquire,
                                                     memory_order_acquire) &&
            value != SLEEPING)
            return value;
        /* An absolute time on the monotonic clock, which FUTEX_WAIT_BITSET takes. */
        syscall(SYS_futex, event, FUTEX_WAIT_BITSET_PRIVATE, SLEEPING, &until, NULL, FUTEX_BITSET_MATCH_ANY);
        value = atomic_load_explicit(event, memory_order_acquire);
        if (value != SLEEPING && value != 0)
            return value;
        if (platform_now_ns() >= until_ns)
            return 0;
    }
}

void platform_event_unmark(platform_event *event, unsigned value)
{
    atomic_compare_exchange_strong(event, &value, 0);
}

bool platform_event_mark(platform_event *event, unsigned value)
{
    return atomic_exchange_explicit(event, value, memory_order_acq_rel) == SLEEPING;
}

void platform_event_wake(platform_event *event)
{
    syscall(SYS_futex, event, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

int platform_signal_open(void)
{
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void platform_signal(int fd)
{
    const uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one));

    (void)n; /* a full counter is signalled already */
}

void platform_signal_drain(int fd)
{
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof(count));

    (void)n;
}

int platform_timer_open(void)
{
    return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
}

void platform_timer_set(int fd, unsigned every_ms)
{
    const struct timespec every = {every_ms / 1000, (long)(every_ms % 1000) * 1000000};
    const struct itimerspec times = {every, every};

    timerfd_settime(fd, 0, &times, NULL);
}

int platform_set_open(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

void platform_set_add(int set, int fd, uint32_t token)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = token};

    epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

void platform_set_change(int set, int fd, uint32_t token, bool writing)
{
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.u32 = token};

    epoll_ctl(set, EPOLL_CTL_MOD, fd, &event);
}

unsigned platform_set_wait(int set, uint32_t *ready, unsigned max, int timeout_ms)
{
    struct epoll_event events[16];
    int n = epoll_wait(set, events, max < 16 ? (int)max : 16, timeout_ms);

    for (int i = 0; i < n; i++)
        ready[i] = events[i].data.u32;
    return n > 0 ? (unsigned)n : 0;
}

void platform_close(int fd)
{
    close(fd);
}
