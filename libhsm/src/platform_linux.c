/* Linux: futexes, eventfd, epoll. */
#include "platform.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint64_t platform_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool platform_event_wait(platform_event *event, uint64_t until_ns)
{
    const struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};

    while (atomic_load_explicit(event, memory_order_acquire) == 0) {
        /* An absolute time on the monotonic clock, which FUTEX_WAIT_BITSET takes. */
        syscall(SYS_futex, event, FUTEX_WAIT_BITSET_PRIVATE, 0, &until, NULL, FUTEX_BITSET_MATCH_ANY);
        if (atomic_load_explicit(event, memory_order_acquire) == 0 && platform_now_ns() >= until_ns)
            return false;
    }
    return true;
}

void platform_event_set(platform_event *event)
{
    atomic_store_explicit(event, 1, memory_order_release);
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

int platform_set_open(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

void platform_set_add(int set, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

void platform_set_wait(int set, int timeout_ms)
{
    struct epoll_event event;

    epoll_wait(set, &event, 1, timeout_ms);
}

void platform_close(int fd)
{
    close(fd);
}
