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
    atomic_init(&outage->answered_ms, 0);
    atomic_init(&outage->next_attempt_ms, 0);
    atomic_init(&outage->attempt_ms, least(ATTEMPT_FIRST_MS, timeout_ms));
}

/* The caller whose exchange succeeds is the one that tries. */
enum outage_permit outage_may_call(struct outage *outage)
{
    uint64_t next = atomic_load(&outage->next_attempt_ms), now;

    if (next == 0)
        return OUTAGE_CALL;
    now = now_ms();
    return now >= next &&
                   atomic_compare_exchange_strong(&outage->next_attempt_ms, &next, now + outage->attempt_ms + REST_MS)
               ? OUTAGE_ATTEMPT
               : OUTAGE_NO_CALL;
}

static void end(struct outage *outage)
{
    if (atomic_load(&outage->next_attempt_ms) == 0)
        return;
    atomic_store(&outage->attempt_ms, least(ATTEMPT_FIRST_MS, outage->timeout_ms));
    hsm_session_set_timeout(outage->session, outage->timeout_ms);
    atomic_store(&outage->next_attempt_ms, 0);
}

/* A call was late, but others of the same time were answered: no outage. */
static bool was_answered(const struct outage *outage, uint64_t now)
{
    uint64_t answered = atomic_load(&outage->answered_ms);

    return answered != 0 && now - answered < outage->timeout_ms;
}

/* The calls that were under way when the nodes went fail one after the other: the first begins the outage, and the
 * others do not make it longer. As much rest again as an attempt takes, so that a worker is never kept for more than
 * half of its time. */
static void go_on(struct outage *outage, enum outage_permit permit)
{
    uint64_t now = now_ms(), none = 0;
    uint32_t attempt = atomic_load(&outage->attempt_ms);
    uint64_t next = now + REST_MS + attempt;

    if (permit == OUTAGE_ATTEMPT)
        atomic_store(&outage->next_attempt_ms, next);
    else if (was_answered(outage, now) || !atomic_compare_exchange_strong(&outage->next_attempt_ms, &none, next))
        return;
    hsm_session_set_timeout(outage->session, attempt);
    atomic_store(&outage->attempt_ms, least(2 * attempt, outage->timeout_ms));
}

void outage_note(struct outage *outage, enum outage_permit permit, hsm_status status)
{
    if (status == HSM_UNAVAILABLE) {
        go_on(outage, permit);
        return;
    }
    atomic_store(&outage->answered_ms, now_ms());
    end(outage);
}
