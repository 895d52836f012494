/* What signing and verifying have in common, whether waited for or submitted to a queue. */
#pragma once

#include "api_digest.h"
#include "api_parts.h"

/** Neither copied nor moved after sign_prepare: `parts` and `data` may point into it. */
struct signing {
    hsm_mechanism mechanism;
    struct parts parts;
    struct progress progress;
    struct slice data; /* what travels */
    uint8_t digest[DIGEST_MAX];
};

/** Checks the arguments and hashes the message where the mechanism signs digests. */
status_code sign_prepare(hsm_session *session, const hsm_key *key, const hsm_mechanism *mechanism, uint32_t kind,
                         struct slice data, bool is_digest, struct signing *signing);
