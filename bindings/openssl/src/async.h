/* Operations inside an ASYNC_JOB (ASYNC_start_job(3)): submitted, paused, resumed when the answer is there. */
#pragma once

#include "key.h"

/* Whether the caller runs in a job: it can be paused. */
bool async_is_wanted(void);

enum async_kind { ASYNC_SIGN, ASYNC_SIGN_DIGEST, ASYNC_DECRYPT };

struct async_request {
    enum async_kind kind;
    const struct key *key;
    const hsm_mechanism *mechanism;
    const void *data;
    size_t data_len;
    unsigned char *out;
    size_t *out_len; /* in: room; out: length */
    bool *invalid;   /* as for key_decrypt */
};

struct connection;

/* Pauses the job until the answer is there. */
int async_run(struct connection *connection, const struct async_request *request);

/* Whether the request asked to be told, and was told, that what it decrypts is not good. */
bool request_is_invalid(const struct async_request *request, hsm_status status);

void async_close(struct provider *provider);
