/* See outage.h. */
#include "outage.h"

#include <time.h>

#define ATTEMPT_FIRST_MS 250u
#define REST_MS          1000u

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void outage_begin(struct outage *outage, hsm_session *session, uint32_t timeout_ms)
{
    outage->session = session;
    outage->timeout_ms = timeout_ms;
    atomic_init(&outage->next_attempt_ms, 0);
    atomic_init(&outage->attempt_ms, least(ATTEMPT_FIRST_MS, timeout_ms));
}

/* The caller whose exchange succeeds is the one that tries. */
bool outage_may_call(struct outage *outage)
{
    uint64_t next = atomic_load(&outage->next_attempt_ms), now;

    if (next == 0)
        return true;
    now = now_ms();
    return now >= next &&
           atomic_compare_exchange_strong(&outage->next_attempt_ms, &next, now + outage->attempt_ms + REST_MS);
}

static void end(struct outage *outage)
{
    if (atomic_load(&outage->next_attempt_ms) == 0)
        return;
    atomic_store(&outage->attempt_ms, least(ATTEMPT_FIRST_MS, outage->timeout_ms));
    hsm_session_set_timeout(outage->session, outage->timeout_ms);
    atomic_store(&outage->next_attempt_ms, 0);
}

void outage_note(struct outage *outage, hsm_status status)
{
    if (status != HSM_UNAVAILABLE) {
        end(outage);
        return;
    }
    uint32_t attempt = atomic_load(&outage->attempt_ms);

    hsm_session_set_timeout(outage->session, attempt);
    /* As much rest again as an attempt takes, so that a worker is never kept for more than half of its time. */
    atomic_store(&outage->next_attempt_ms, now_ms() + REST_MS + attempt);
    atomic_store(&outage->attempt_ms, least(2 * attempt, outage->timeout_ms));
}
