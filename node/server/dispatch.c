/* From message to answer: see dispatch.h. Buffers belong to the worker and are used again and again, so that a request
 * costs no allocation here; what one message made large is given back, wiped, after it. */
#include "server/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "node.h"
#include "protocol/writer.h"
#include "quorum/quorum.h"
#include "server/access.h"

#define REPLY_HEADER_MAX (TICKET_MAX + 512u)        /* array, header and count of a reply */
#define FAILURE_MAX      (FAILURE_DETAIL_MAX + 16u) /* an answer that says no */
#define BUFFER_KEEP      ((size_t)256 << 10)

/* What one worker works with. */
struct workspace {
    struct bytes buffers[CALL_BUFFERS_MAX];
    struct bytes answers;
    struct bytes renewed;
    struct values request, answer, header;
    struct login login;
};

/* One message being answered. */
struct exchange {
    struct workspace *workspace;
    struct call call;
    struct message message;
    uint64_t expires_ns;      /* the client has given up after that; UINT64_MAX: never */
    uint64_t start_ns;        /* when the message's turn came */
    uint64_t now_ns;          /* when the request at hand began */
    status_code ready;        /* whether the caches reflect what the client has seen */
    const char *ready_detail; /* why not */
};

static struct workspace *workspaces[WORKERS_MAX]; /* each made and used by its worker alone */

uint64_t dispatch_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct workspace *workspace_of(unsigned worker)
{
    struct workspace *made;

    if (worker >= WORKERS_MAX || workspaces[worker] || !(made = calloc(1, sizeof(*made))))
        return worker < WORKERS_MAX ? workspaces[worker] : NULL;
    for (unsigned i = 0; i < CALL_BUFFERS_MAX; i++)
        made->buffers[i].secret = true;
    made->answers.secret = made->renewed.secret = true;
    made->answers.limit = 2 * MESSAGE_MAX;
    return workspaces[worker] = made;
}

static void keep_small(struct bytes *buffer)
{
    if (buffer->capacity > BUFFER_KEEP)
        bytes_release(buffer);
}

void dispatch_release(void)
{
    for (unsigned worker = 0; worker < WORKERS_MAX; worker++) {
        struct workspace *workspace = workspaces[worker];

        if (!workspace)
            continue;
        for (unsigned i = 0; i < CALL_BUFFERS_MAX; i++)
            bytes_release(&workspace->buffers[i]);
        bytes_release(&workspace->answers);
        bytes_release(&workspace->renewed);
        free(workspace);
        workspaces[worker] = NULL;
    }
}

/* The reader stands at a request. */
static status_code request_cost(struct reader *reader, enum operation_cost *cost)
{
    uint32_t parts;
    uint64_t number;
    struct values fields;
    struct slice encoded;

    TRY(read_array(reader, &parts));
    CHECK(parts == 2, STATUS_PROTOCOL_ERROR, "no request");
    TRY(read_uint(reader, &number));
    TRY(read_any(reader, &encoded));
    const struct operation_info *info = operation_info(number);

    *cost = info ? info->cost : COST_FAST;
    if (*cost == COST_WRITES && values_decode_all(&FIELD_SCHEMA, encoded, &fields) == STATUS_OK)
        *cost = operation_cost(info, &fields);
    return STATUS_OK;
}

enum operation_cost dispatch_cost(struct slice message)
{
    struct reader reader = reader_of(message);
    enum operation_cost highest = COST_FAST, cost;
    struct slice skipped;
    uint32_t n;

    if (read_array(&reader, &n) != STATUS_OK || n < 3 || read_any(&reader, &skipped) != STATUS_OK ||
        read_any(&reader, &skipped) != STATUS_OK || read_array(&reader, &n) != STATUS_OK || n > BATCH_MAX)
        return COST_FAST;
    for (uint32_t i = 0; i < n && highest != COST_SLOW && request_cost(&reader, &cost) == STATUS_OK; i++) {
        if (cost != COST_FAST)
            highest = cost;
    }
    return highest;
}

/* --- answers --- */

/* Details may hold bytes that a caller sent; what is not plain ASCII would not pass as text. */
static struct slice printable_detail(char text[FAILURE_DETAIL_MAX])
{
    snprintf(text, FAILURE_DETAIL_MAX, "%s", failure_detail());
    for (char *c = text; *c; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
    return slice_text(text);
}

static void append_failure(struct workspace *workspace, status_code status)
{
    char text[FAILURE_DETAIL_MAX];

    values_init(&workspace->answer);
    values_put_bytes(&workspace->answer, FIELD_DETAIL, printable_detail(text));
    message_append_answer(&workspace->answers, status, &workspace->answer);
}

/* `n_left` requests follow: each of them must still find room to be refused. */
static status_code append_answer(struct workspace *workspace, status_code status, uint32_t n_left)
{
    struct bytes *answers = &workspace->answers;
    size_t before = answers->len, room = MESSAGE_MAX - REPLY_HEADER_MAX - (n_left + 1) * (size_t)FAILURE_MAX;

    if (status == STATUS_OK) {
        message_append_answer(answers, STATUS_OK, &workspace->answer);
        if (!answers->overflow && answers->len <= room)
            return STATUS_OK;
        secret_wipe(answers->data + before, answers->len - before);
        answers->len = before;
        answers->overflow = false;
        status = failure_set(STATUS_TOO_LARGE, "the answers to this message exceed %u bytes: ask for less at a time",
                             MESSAGE_MAX);
    }
    append_failure(workspace, status);
    return status;
}

/* --- running --- */

/* What changes something is recorded before it is answered: an act that cannot be recorded counts as failed. */
static status_code record(struct call *call, status_code outcome)
{
    enum node_state state = atomic_load_explicit(&call->node->state, memory_order_acquire);
    struct audit *audit = state == NODE_UNINITIALIZED ? NULL : call->node->audit;
    char detail[FAILURE_DETAIL_MAX];

    if (!audit || call->recorded || !audit_wants(audit, call->operation))
        return outcome;
    memcpy(detail, failure_detail(), sizeof(detail));
    status_code recorded = audit_record(audit, call, outcome);
    if (outcome == STATUS_OK)
        return recorded;
    return failure_set(outcome, "%s", detail);
}

static status_code carry_out(struct call *call, const struct operation_info *info, operation_handler handler)
{
    if (info->access == ACCESS_ADMIN || info->access == ACCESS_LOGGED_IN)
        TRY(quorum_check_operation(call->node, &call->caller, call->operation, call->request));
    return handler(call);
}

static status_code run(struct exchange *exchange, const struct operation_info *info)
{
    struct call *call = &exchange->call;
    operation_handler handler = operation_handler_of(call->operation);

    CHECK(exchange->ready == STATUS_OK, exchange->ready, "%s", exchange->ready_detail);
    CHECK(exchange->now_ns <= exchange->expires_ns, STATUS_BUSY, "the request waited longer than its client does");
    CHECK(handler, STATUS_NOT_SUPPORTED, "operation %s is not offered by this node", info->name);
    call->caller.operation = call->operation;
    call->caller.request = call->request;
    status_code status = access_check(call, info, &exchange->workspace->login, exchange->start_ns);
    if (status == STATUS_OK)
        return record(call, carry_out(call, info, handler));
    /* Somebody known who tried what is not theirs is worth an entry; strangers cannot fill the log. */
    return status == STATUS_NOT_PERMITTED && call->caller.role != ROLE_NONE ? record(call, status) : status;
}

/* One request of the batch: decoded, carried out, answered. False when those behind it cannot be read. */
static bool serve_next(struct exchange *exchange, uint32_t n_left)
{
    struct workspace *workspace = exchange->workspace;
    struct call *call = &exchange->call;
    uint64_t number;
    bool readable;
    status_code status = message_next_request(&exchange->message, &number, &workspace->request, &readable);
    const struct operation_info *info = operation_info(number);

    call->operation = (enum operation)number;
    call->n_buffers = 0;
    call->recorded = false;
    values_init(&workspace->answer);
    if (status == STATUS_OK)
        status = run(exchange, info);
    status = append_answer(workspace, status, n_left);
    for (unsigned i = 0; i < call->n_buffers; i++) {
        bytes_clear(&workspace->buffers[i]);
        keep_small(&workspace->buffers[i]);
    }
    uint64_t end = dispatch_now_ns();
    if (info)
        metric_operation(call->worker, call->operation, status, end - exchange->now_ns);
    exchange->now_ns = end;
    return readable;
}

static void serve_all(struct exchange *exchange)
{
    uint32_t n = exchange->message.n, done = 0;

    while (done < n) {
        done++;
        if (!serve_next(exchange, n - done))
            break;
    }
    for (; done < n; done++) {
        (void)failure_set(STATUS_PROTOCOL_ERROR, "an earlier request of this message is malformed");
        append_failure(exchange->workspace, STATUS_PROTOCOL_ERROR);
    }
}

static void finish(const struct exchange *exchange, struct bytes *reply)
{
    struct workspace *workspace = exchange->workspace;
    struct node *node = exchange->call.node;
    struct values *header = &workspace->header;

    values_init(header);
    values_put_uint(header, FIELD_REVISION, node_answered_revision(node));
    values_put_uint(header, FIELD_DURATION_US, (exchange->now_ns - exchange->start_ns + 999) / 1000);
    if (workspace->renewed.len)
        values_put_bytes(header, FIELD_TICKET, bytes_slice(&workspace->renewed));
    if (atomic_load_explicit(&node->state, memory_order_relaxed) == NODE_DRAINING)
        values_put_bool(header, FIELD_DRAINING, true);
    message_begin(reply, exchange->message.version, header, exchange->message.n);
    write_encoded(reply, bytes_slice(&workspace->answers));
}

/* A version that both understand, if there is one; 0: nothing is known of the client's. */
static uint64_t version_for(uint64_t of_client)
{
    if (of_client > PROTOCOL_VERSION)
        return PROTOCOL_VERSION;
    return of_client < PROTOCOL_VERSION_MIN ? PROTOCOL_VERSION_MIN : of_client;
}

static void refuse(struct node *node, uint64_t version, status_code status, struct bytes *reply)
{
    struct values header;
    char text[FAILURE_DETAIL_MAX];

    values_init(&header);
    values_put_uint(&header, FIELD_REVISION, node_answered_revision(node));
    values_put_uint(&header, FIELD_STATUS, (uint64_t)status);
    values_put_bytes(&header, FIELD_DETAIL, printable_detail(text));
    values_put_uint(&header, FIELD_VERSION_MIN, PROTOCOL_VERSION_MIN);
    values_put_uint(&header, FIELD_VERSION_MAX, PROTOCOL_VERSION);
    if (atomic_load_explicit(&node->state, memory_order_relaxed) == NODE_DRAINING)
        values_put_bool(&header, FIELD_DRAINING, true);
    bytes_clear(reply);
    message_begin(reply, version_for(version), &header, 0);
}

void dispatch_refuse(struct node *node, status_code status, struct bytes *reply)
{
    refuse(node, 0, status, reply);
}

static uint64_t expiry(const struct values *header, uint64_t arrived_ns)
{
    uint64_t timeout_ms = values_uint(header, FIELD_TIMEOUT_MS, 0);

    return timeout_ms ? arrived_ns + timeout_ms * 1000000u : UINT64_MAX;
}

static void serve(struct exchange *exchange, struct peer *peer, struct bytes *reply)
{
    struct workspace *workspace = exchange->workspace;
    struct call *call = &exchange->call;
    const struct values *header = &exchange->message.header;
    char ready_detail[FAILURE_DETAIL_MAX];
    uint64_t start = dispatch_now_ns();

    exchange->start_ns = exchange->now_ns = start;
    exchange->expires_ns = expiry(header, peer->arrived_ns ? peer->arrived_ns : start);
    exchange->ready = node_catch_up(call->node, values_uint(header, FIELD_REVISION, 0));
    if (exchange->ready != STATUS_OK)
        memcpy(ready_detail, failure_detail(), sizeof(ready_detail));
    exchange->ready_detail = ready_detail;
    access_identify(call->node, peer, header, start, &call->caller, &workspace->renewed, &workspace->login);
    serve_all(exchange);
    finish(exchange, reply);
}

void dispatch_message(struct node *node, unsigned worker, struct peer *peer, struct slice encoded, struct bytes *reply)
{
    struct exchange exchange = {.workspace = workspace_of(worker)};
    struct workspace *workspace = exchange.workspace;

    bytes_clear(reply);
    if (!workspace) {
        dispatch_refuse(node, failure_set(STATUS_OUT_OF_MEMORY, "no memory for a worker"), reply);
        return;
    }
    exchange.call = (struct call){.node = node,
                                  .worker = worker,
                                  .request = &workspace->request,
                                  .answer = &workspace->answer,
                                  .buffers = workspace->buffers};
    metric_add(worker, METRIC_MESSAGES, 1);
    metric_add(worker, METRIC_BYTES_IN, (int64_t)encoded.len);
    status_code status = message_open(encoded, &exchange.message);
    if (status == STATUS_OK)
        serve(&exchange, peer, reply);
    else
        refuse(node, exchange.message.version, status, reply);
    metric_add(worker, METRIC_BYTES_OUT, (int64_t)reply->len);
    bytes_clear(&workspace->answers);
    bytes_clear(&workspace->renewed);
    keep_small(&workspace->answers);
}
