/* Operations in parts, for single calls whose data exceeds one message. As the public calls of the same names. */
#pragma once

#include "hsm/crypto.h"
#include "protocol/bytes.h"

status_code operation_begin(hsm_session *session, uint32_t kind, const hsm_key *key, const hsm_mechanism *mechanism,
                            uint32_t flags, hsm_operation **operation);
status_code operation_update(hsm_operation *operation, struct slice data, uint8_t *out, size_t *out_len);
status_code operation_final(hsm_operation *operation, uint8_t *out, size_t *out_len);
status_code operation_final_verify(hsm_operation *operation, struct slice signature);

static inline void operation_release(hsm_operation **operation)
{
    hsm_operation_free(*operation);
}
