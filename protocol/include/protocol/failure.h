/* How failures travel: a status_code up the stack, and one sentence of detail, per thread, recorded where the cause
 * is known. FAIL records and returns; TRY passes a failure on untouched. A detail never contains a secret. */
#pragma once

#include "protocol/status.h"

#define FAILURE_DETAIL_MAX 256

/** Records the detail (printf format, cut at FAILURE_DETAIL_MAX) for this thread and returns `code`. */
__attribute__((format(printf, 2, 3))) status_code failure_set(status_code code, const char *format, ...);

/** The last detail of this thread, "" when there is none. Valid until the thread's next failure. */
const char *failure_detail(void);

/** Forgets this thread's detail. */
void failure_clear(void);

/** Writes OpenSSL's newest queued reason into `text` and empties the queue, so that it never leaks into a caller. */
const char *failure_openssl_reason(char *text, unsigned long size);

/* The code stands outside the call so that the compiler sees a failure where it is a constant. */
#define FAIL(code, ...) return (failure_set((code), __VA_ARGS__), (code))

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        status_code try_code_ = (call);                                                                                \
        if (try_code_ != STATUS_OK)                                                                                    \
            return try_code_;                                                                                          \
    } while (0)

#define CHECK(condition, code, ...)                                                                                    \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            FAIL(code, __VA_ARGS__);                                                                                   \
    } while (0)

/** Attaches a cleanup to a variable: it runs on every way out of the scope. The function takes a pointer to it. */
#define CLEANUP(function) __attribute__((cleanup(function)))
