/* Mechanisms: the caller's hsm_mechanism, read with whatever size it was compiled with, checked, and put into a
 * request; and how each mechanism takes data, which decides where hashing, chaining and splitting happen. */
#pragma once

#include "api.h"
#include "hsm/crypto.h"
#include "protocol/bytes.h"
#include "protocol/catalog.h"
#include "protocol/message.h"

/** How a mechanism takes its data. */
enum data_form {
    FORM_WHOLE,   /* in one piece, as it is */
    FORM_DIGEST,  /* signatures: a digest, computed here */
    FORM_SEALED,  /* in parts, through MULTIPART, with a state that the node seals */
    FORM_BLOCKS,  /* in parts of whole blocks, each independent */
    FORM_CHAINED, /* in parts of whole blocks, the last ciphertext block being the next part's nonce */
    FORM_COUNTER, /* in parts, the nonce being a counter of blocks */
};

struct data_rule {
    enum data_form form;
    uint8_t block_len;
    bool padded;       /* FORM_CHAINED: PKCS#7 */
    uint32_t unpadded; /* the mechanism of all parts but the last */
};

/** How a mechanism signs (or makes a MAC), or encrypts. STATUS_MECHANISM_INVALID when it does neither. */
status_code mechanism_rule(uint32_t type, enum mechanism_use use, struct data_rule *rule);

/** Copies what the caller gave, as far as both know it. STATUS_INVALID_ARGUMENT, STATUS_MECHANISM_INVALID (unknown),
 * STATUS_MECHANISM_PARAM_INVALID, STATUS_NOT_SUPPORTED (fields that only a newer library knows are used). */
status_code mechanism_read(const hsm_mechanism *from, hsm_mechanism *to);

/** Puts MECHANISM and its parameters; borrows from `mechanism`. */
void mechanism_put(const hsm_mechanism *mechanism, struct values *fields);

/** Tag or MAC length that results, defaults applied. */
size_t mechanism_tag_len(const hsm_mechanism *mechanism);

/** A copy that owns what it points to (but not nonce_out, second_key and data), in `storage`. */
status_code mechanism_own(const hsm_mechanism *from, struct bytes *storage, hsm_mechanism *to);
