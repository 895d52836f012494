/* A core without a network, for tests of the public functions: every request comes to one function of the test. Linked
 * before hsm_static, it takes the place of core.c and queue.c. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cluster_core.h"
#include "hsm/hsm.h"

/** Answers a request by filling `answer` with values that live until the next call in this thread. */
typedef status_code (*fake_node)(const struct core_request *request, struct values *answer);

extern fake_node fake_answer;
extern atomic_int fake_calls; /* requests that came */

/** A cluster and a session that is logged in. */
void fake_open(hsm_cluster **cluster, hsm_session **session);
void fake_close(hsm_cluster *cluster, hsm_session *session);

/** Answers PASSWORD logins with a ticket; for handlers to call first. */
bool fake_login(const struct core_request *request, struct values *answer);
