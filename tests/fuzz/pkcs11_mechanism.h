/* Mechanisms with their parameters, right and wrong. The parameter is gone when the next call comes: the module copies
 * it (PKCS#11 2.40, 5.8.1). */
#pragma once

#include "pkcs11_given.h"

/* What a mechanism may be for: a family of operations, or one of these. */
enum use { WRAP = FAMILIES, UNWRAP, DERIVE, GENERATE, GENERATE_PAIR };

struct given_mechanism {
    CK_MECHANISM *pointer; /* NULL in rare cases */
    CK_MECHANISM mechanism;
    const char *name;
    bool for_use; /* whether the mechanism is for the use at all */
    bool bad;     /* its parameter is to be refused */
    bool one_part, ccm;
    unsigned kinds; /* of keys, that it takes for this use */
};

/** `mechanism` stays where it is. */
void given_mechanism(struct given_mechanism *mechanism, unsigned use);

/** Not for a NULL, which is the caller's matter. */
void refuse_mechanism(struct verdict *verdict, const struct given_mechanism *mechanism);
