/* Data in parts: how a mechanism's data is cut, chained and sent, with nothing remembered by any node. Used by
 * hsm_operation and by single calls whose data exceeds one message. */
#pragma once

#include "api_call.h"
#include "api_mechanism.h"

/** Largest part: whole blocks, and room for what GCM and CTR add. */
#define PART_MAX ((size_t)DATA_MAX - 16)

#define BLOCK_MAX 16u

/** What the parts sent so far leave behind. A plain value: a failed part leaves the old one in force, so that it can be
 * sent again. */
struct progress {
    uint8_t chain[BLOCK_MAX]; /* nonce of the next part; counter block */
    size_t offset;            /* FORM_COUNTER: bytes used of the counter's block */
    uint8_t state[STATE_MAX]; /* FORM_SEALED */
    size_t state_len;
    uint8_t nonce_made[HSM_NONCE_MADE_LEN];
    size_t nonce_made_len;
};

/** What stays the same from part to part. */
struct parts {
    hsm_session *session;
    const hsm_key *key;
    const hsm_mechanism *mechanism;
    struct data_rule rule;
    uint32_t kind;  /* HSM_OPERATION_... */
    bool tag_apart; /* the data that is decrypted does not end with its tag */
};

/** How `mechanism` takes data in an operation of this kind. STATUS_MECHANISM_INVALID, STATUS_MECHANISM_PARAM_INVALID.
 */
status_code parts_begin(hsm_session *session, const hsm_key *key, const hsm_mechanism *mechanism, uint32_t kind,
                        struct parts *parts, struct progress *progress);

/** Sends one part (at most PART_MAX bytes; FORM_BLOCKS, FORM_CHAINED: whole blocks) and appends what comes out. */
status_code parts_send(const struct parts *parts, struct progress *progress, struct slice data, struct bytes *out);

/** Ends FORM_SEALED: the last data, and for decrypt and verify the tag or MAC. Appends tag, MAC or last output. */
status_code parts_end_sealed(const struct parts *parts, struct progress *progress, struct slice data, struct slice tag,
                             struct bytes *out);

/** Ends FORM_CHAINED with padding: fewer than a block to encrypt, or the last block to decrypt. */
status_code parts_end_padded(const struct parts *parts, const struct progress *progress, struct slice data,
                             struct bytes *out);

/** One request with all the data as it is: SIGN, VERIFY (with `tag`), ENCRYPT or DECRYPT. Appends the output. */
status_code parts_whole(const struct parts *parts, struct progress *progress, struct slice data, struct slice tag,
                        struct bytes *out);

/** Bytes of `total` that can be sent now; the rest is held back (a part of a block, a last block that may be padding, a
 * tag). */
size_t parts_ready(const struct parts *parts, size_t total);

/** Gives the nonce that a node made to the caller. */
void parts_give_nonce(const struct parts *parts, const struct progress *progress);

/** A length that no signature has is no signature: STATUS_SIGNATURE_INVALID. */
status_code check_signature(struct slice signature);
