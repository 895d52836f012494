/* One request being carried out. A handler reads call->request, does the work through objects, users and crypto, and
 * puts what it answers into call->answer, whose bytes live in buffers that call_buffer hands out. One handler per
 * operation; the table in operations.c names them all. */
#pragma once

#include "protocol/message.h"
#include "user/user.h"

struct node;

#define CALL_BUFFERS_MAX 8u

struct call {
    struct node *node;
    enum operation operation;
    unsigned worker; /* number of the running thread, below WORKERS_MAX */
    struct caller caller;
    const struct values *request;
    struct values *answer;
    struct bytes *buffers; /* CALL_BUFFERS_MAX secret buffers, reused from call to call */
    unsigned n_buffers;
    bool recorded; /* the handler made the entry in the audit log itself */
};

/** An empty secret buffer that lives until the answer is encoded. Put values that refer to it only after the last
 * append. */
struct bytes *call_buffer(struct call *call);

/** Answers with a buffer's bytes in a field; nothing when it is empty. */
void call_answer(struct call *call, enum field field, const struct bytes *buffer);

typedef status_code (*operation_handler)(struct call *call);

/** NULL for none. */
operation_handler operation_handler_of(enum operation operation);
