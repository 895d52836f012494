/* When no node answers.
 *
 * A server's worker does one thing at a time: if each handshake waited for the whole time limit while the cluster is
 * away, it would serve nothing else, not even connections that need no private key. Therefore, once a call has found
 * nobody, and no other has found anybody as long, the next ones fail at once; now and then one tries, with little time
 * at first, and more as attempts fail. The first answer ends the outage. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <hsm/hsm.h>

struct outage {
    hsm_session *session; /* whose time limit is shortened meanwhile */
    uint32_t timeout_ms;
    _Atomic uint64_t answered_ms;     /* when a node answered last, on the steady clock */
    _Atomic uint64_t next_attempt_ms; /* on that clock; 0: no outage */
    _Atomic uint32_t attempt_ms;      /* that the next attempt may take */
};

void outage_begin(struct outage *outage, hsm_session *session, uint32_t timeout_ms);

enum outage_permit {
    OUTAGE_NO_CALL,
    OUTAGE_CALL,    /* there is no outage */
    OUTAGE_ATTEMPT, /* the one that looks whether it is over */
};

/* Whether a call may go out now. */
enum outage_permit outage_may_call(struct outage *outage);

/* What came of it. */
void outage_note(struct outage *outage, enum outage_permit permit, hsm_status status);
