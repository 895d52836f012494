/* What went wrong. Calls return an hsm_status; the last failure of each thread is kept with its cause, so that a
 * program can say which node refused what and why. Nothing here reaches the network; no text ever holds a secret. */
#pragma once

#include "hsm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hsm_error {
    size_t size;           /* of this struct, as the running library knows it */
    hsm_status status;     /* as the call returned it */
    const char *detail;    /* one sentence: what, where, what to do; "" when there is nothing to add */
    const char *node;      /* name or address of the node that answered or failed; "" when none was involved */
    const char *operation; /* as in the protocol: "SIGN", "KEY_GENERATE"; "" when none was involved */
} hsm_error;

/**
 * The last failure of the calling thread. Meaningful right after a call of this thread returned something else than
 * HSM_OK; successful calls do not change it. Owned by the library, valid until the thread's next failing call.
 *
 * @return never NULL; status HSM_OK when nothing has failed in this thread yet
 */
HSM_API const hsm_error *hsm_last_error(void);

/** Name of a status as in the protocol: "KEY_TYPE_INCONSISTENT"; "UNKNOWN" for a number that is none. Never NULL. */
HSM_API const char *hsm_status_name(hsm_status status);

/** One sentence for people: "the mechanism does not fit the key's type". Never NULL. */
HSM_API const char *hsm_status_text(hsm_status status);

#ifdef __cplusplus
}
#endif
