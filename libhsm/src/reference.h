/* The form of key references (hsm/reference.h): DER (X.690, section 10) in reference.c, PEM in reference_pem.c. They
 * come from files that anybody may have written: every length is checked against what is there, and nothing is taken
 * that this library would not write, what follows the label excepted. */
#pragma once

#include "hsm/reference.h"
#include "protocol/bytes.h"
#include "protocol/limits.h"

struct hsm_reference {
    hsm_key key;
    uint8_t cluster_id[ID_LEN];
    size_t public_key_at, public_key_len; /* in `bytes` */
    size_t der_len, label_len;
    uint8_t bytes[]; /* DER as it was read; behind it the label and a NUL */
};

/** What a reference is made of. `public_key` and `label` are borrowed. */
struct reference_parts {
    const uint8_t *cluster_id;
    const hsm_key *key;
    struct slice public_key; /* SubjectPublicKeyInfo */
    struct slice label;      /* left out when it is no printable text */
};

/** Whether the bytes are one DER SEQUENCE and nothing else, so that they are no text. */
bool reference_is_der(struct slice data);

/** STATUS_INVALID_ARGUMENT, STATUS_VERSION_MISMATCH, STATUS_TOO_LARGE. The result is freed with free(). */
status_code reference_decode(struct slice der, struct hsm_reference **reference);

status_code reference_encode(const struct reference_parts *parts, struct bytes *der);

/** The content of the first block with our label. STATUS_INVALID_ARGUMENT when there is none. */
status_code reference_from_pem(struct slice text, struct bytes *der);

status_code reference_to_pem(struct slice der, struct bytes *pem);
