/* A lock for the few instructions in which a session's pointers are read or exchanged. It knows which process holds it:
 * when a child of fork finds it held by its parent, whose threads the child does not have, it takes it over. For that
 * reason what it guards is changed by single stores of pointers to finished things: a lock taken over never guards half
 * a change. Never held across an allocation that may block, the network or a callback. */
#pragma once

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include "platform.h"

struct api_lock {
    _Atomic long holder; /* process id; 0: free */
};

static inline void api_lock_take(struct api_lock *lock)
{
    long self = platform_process();

    for (;;) {
        long seen = 0;

        if (atomic_compare_exchange_weak_explicit(&lock->holder, &seen, self, memory_order_acquire,
                                                  memory_order_relaxed))
            return;
        if (seen != 0 && seen != self &&
            atomic_compare_exchange_strong_explicit(&lock->holder, &seen, self, memory_order_acquire,
                                                    memory_order_relaxed))
            return;
        if (seen != 0)
            sched_yield();
    }
}

static inline void api_lock_give(struct api_lock *lock)
{
    atomic_store_explicit(&lock->holder, 0, memory_order_release);
}
