/* What is asked of the cluster with a private key, whether the caller sleeps for the answer or is paused. */
#pragma once

#include "key.h"
#include "outage.h"

enum request_kind { REQUEST_SIGN, REQUEST_SIGN_DIGEST, REQUEST_DECRYPT };

struct request {
    enum request_kind kind;
    const struct key *key;
    const hsm_mechanism *mechanism;
    const void *data;
    size_t data_len;
    unsigned char *out;
    size_t *out_len; /* in: room; out: length */
    bool *invalid;   /* as for key_decrypt */
    enum outage_permit permit;
};

/* Whether the request asked to be told, and was told, that what it decrypts is not good. */
bool request_is_invalid(const struct request *request, hsm_status status);
