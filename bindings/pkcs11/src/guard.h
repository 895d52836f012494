/* The guard and the cleanup of this module: the same as everywhere in this project, with the standard's results. */
#pragma once

#include "cryptoki.h"

/* Leaves the function with the result when it is not CKR_OK. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        CK_RV try_result_ = (call);                                                                                    \
        if (try_result_ != CKR_OK)                                                                                     \
            return try_result_;                                                                                        \
    } while (0)

/* Leaves the function with the result when the condition does not hold. */
#define CHECK(condition, result)                                                                                       \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return (result);                                                                                           \
    } while (0)

#define CLEANUP(release) __attribute__((cleanup(release)))
