/* The inside of an operation, for api_operation.c (beginning, taking data) and api_operation_end.c (ending). */
#pragma once

#include "api_digest.h"
#include "api_operation.h"
#include "api_parts.h"

struct hsm_operation {
    hsm_key key;
    hsm_mechanism mechanism;
    struct bytes parameters; /* what mechanism points to */
    uint32_t flags;
    struct parts parts;
    struct progress progress;
    struct digest digest; /* begun: everything goes into it, and final sends the digest */
    struct bytes pending; /* secret: taken and not sent */
    struct bytes held;    /* secret: plaintext not given out yet */
    bool ended;
};

static inline bool is_crypt(const hsm_operation *operation)
{
    return operation->parts.kind == HSM_OPERATION_ENCRYPT || operation->parts.kind == HSM_OPERATION_DECRYPT;
}

static inline bool holds_plaintext(const hsm_operation *operation)
{
    return operation->parts.kind == HSM_OPERATION_DECRYPT && operation->parts.rule.form == FORM_SEALED &&
           (operation->flags & HSM_OPERATION_HOLD_PLAINTEXT);
}

/** After some failures (no node answered, too little room) a call can be repeated; after any other the operation is
 * over. Returns `status`. */
status_code operation_note_failure(hsm_operation *operation, status_code status);
