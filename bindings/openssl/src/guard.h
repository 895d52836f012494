/* The guard and the cleanup of this provider: the same as everywhere in this project, with OpenSSL's results: 1 is
 * success, 0 is failure, and the cause goes to OpenSSL's error queue at the place that knows it. */
#pragma once

/* Leaves the function with 0 when the call fails, which has said why. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((call) <= 0)                                                                                               \
            return 0;                                                                                                  \
    } while (0)

/* Leaves the function with 0 when the condition does not hold, and says why: a reason and a text as for printf. */
#define CHECK(provider, condition, ...)                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return RAISE(provider, __VA_ARGS__);                                                                       \
    } while (0)

/* Leaves the function with 0 when the library's call fails, and says what it said. */
#define HSM(provider, call)                                                                                            \
    do {                                                                                                               \
        if ((call) != HSM_OK)                                                                                          \
            return RAISE_LAST(provider);                                                                               \
    } while (0)

/* Both are 0, for `return RAISE(...)`. */
#define RAISE(provider, ...)                                                                                           \
    ({                                                                                                                 \
        error_raise(provider, __FILE_NAME__, __LINE__, __func__, __VA_ARGS__);                                         \
        0;                                                                                                             \
    })
#define RAISE_LAST(provider)                                                                                           \
    ({                                                                                                                 \
        error_raise_last(provider, __FILE_NAME__, __LINE__, __func__);                                                 \
        0;                                                                                                             \
    })

#define CLEANUP(release) __attribute__((cleanup(release)))
