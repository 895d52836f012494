/* Operations inside an ASYNC_JOB (ASYNC_start_job(3)): submitted, paused, resumed when the answer is there. */
#pragma once

#include "request.h"

/* Whether the caller runs in a job: it can be paused. */
bool async_is_wanted(void);

struct connection;

/* Pauses the job until the answer is there. */
int async_run(struct connection *connection, const struct request *request);

void async_close(struct provider *provider);
