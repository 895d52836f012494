/* From message to answer: see dispatch.h. Buffers belong to the worker and are used again and again, so that a request
 * costs no allocation here. */
#include "server/dispatch.h"

#include <stdlib.h>
#include <time.h>
#include "node.h"
#include "protocol/writer.h"

#define RECHECK_NS     100000000ull  /* a ticket seen again is checked anew after this */
#define DRAIN_GRACE_NS 2000000000ull /* how long a draining node goes on answering */
#define ANSWERS_MAX    (MESSAGE_MAX - 2048u)

struct caller_cache {
    struct caller caller;
    uint64_t revision;
    uint64_t checked_ns;
};

/* What one worker works with. */
struct workspace {
    struct bytes buffers[CALL_BUFFERS_MAX];
    struct bytes answers;
    struct bytes renewed;
    struct values request, answer, header;
};

static struct workspace
    *workspaces[WORKERS_MAX]; /* each made and used by its worker alone, never freed while serving */

static _Atomic uint64_t draining_since_ns;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct workspace *workspace_of(unsigned worker)
{
    if (!workspaces[worker]) {
        struct workspace *made = calloc(1, sizeof(*made));

        if (!made)
            return NULL;
        for (unsigned i = 0; i < CALL_BUFFERS_MAX; i++)
            made->buffers[i].secret = true;
        made->answers.secret = true;
        made->answers.limit = 2 * MESSAGE_MAX;
        workspaces[worker] = made;
    }
    return workspaces[worker];
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

void peer_release(struct peer *peer)
{
    bytes_release(&peer->ticket);
    free(peer->cache);
    peer->cache = NULL;
}

bool dispatch_is_slow(struct slice message)
{
    struct reader reader = reader_of(message);
    uint64_t number;
    struct slice skipped;
    uint32_t n, parts;

    if (read_array(&reader, &n) != STATUS_OK || n < 3 || read_any(&reader, &skipped) != STATUS_OK ||
        read_any(&reader, &skipped) != STATUS_OK || read_array(&reader, &n) != STATUS_OK)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (read_array(&reader, &parts) != STATUS_OK || parts != 2 || read_uint(&reader, &number) != STATUS_OK ||
            read_any(&reader, &skipped) != STATUS_OK)
            return false;
        const struct operation_info *info = operation_info(number);

        if (info && info->cost == COST_SLOW)
            return true;
    }
    return false;
}

/* --- who calls --- */

static status_code check_ticket(struct node *node, struct peer *peer, struct slice ticket, struct bytes *renewed)
{
    if (!peer->cache)
        peer->cache = calloc(1, sizeof(*peer->cache));
    CHECK(peer->cache, STATUS_OUT_OF_MEMORY, "no memory for a caller");
    uint64_t revision = atomic_load_explicit(&node->revision, memory_order_acquire), now = now_ns();

    if (peer->ticket.len && peer->cache->revision == revision && now - peer->cache->checked_ns < RECHECK_NS &&
        slice_equal(bytes_slice(&peer->ticket), ticket))
        return STATUS_OK;
    bytes_clear(&peer->ticket);
    TRY(users_check_ticket(node->users, ticket, &peer->cache->caller, renewed));
    peer->cache->revision = revision;
    peer->cache->checked_ns = now;
    return bytes_assign(&peer->ticket, ticket);
}

static status_code identify(struct node *node, struct peer *peer, const struct values *header, struct caller *caller,
                            struct bytes *renewed)
{
    struct slice ticket = values_bytes(header, FIELD_TICKET);

    memset(caller, 0, sizeof(*caller));
    caller->local = peer->local;
    if (!ticket.len)
        FAIL(STATUS_NOT_LOGGED_IN, "log in first");
    CHECK(node->users, STATUS_CLUSTER_STATE, "this node belongs to no cluster yet");
    TRY(check_ticket(node, peer, ticket, renewed));
    *caller = peer->cache->caller;
    caller->local = peer->local;
    return STATUS_OK;
}

/* --- what is allowed --- */

static status_code check_role(const struct caller *caller, const struct operation_info *info)
{
    static const char *const needed[] = {[ACCESS_ADMIN] = "an administrator",
                                         [ACCESS_USER] = "a crypto-user",
                                         [ACCESS_AUDITOR] = "an auditor or administrator"};
    bool allowed = info->access == ACCESS_LOGGED_IN || (info->access == ACCESS_ADMIN && caller->role == ROLE_ADMIN) ||
                   (info->access == ACCESS_USER && caller->role == ROLE_USER) ||
                   (info->access == ACCESS_AUDITOR && (caller->role == ROLE_AUDITOR || caller->role == ROLE_ADMIN));

    CHECK(allowed, STATUS_NOT_PERMITTED, "%s needs %s; %s is %s", info->name, needed[info->access], caller->user_name,
          role_name(caller->role));
    return STATUS_OK;
}

static bool works_without_cluster(enum operation operation, const struct operation_info *info)
{
    return info->access == ACCESS_LOCAL || operation == OP_HELLO || operation == OP_PING ||
           operation == OP_NODE_DESCRIBE;
}

static bool is_cryptography(const struct operation_info *info)
{
    return info->access == ACCESS_USER;
}

static status_code check_state(struct node *node, enum operation operation, const struct operation_info *info,
                               bool local)
{
    enum node_state state = atomic_load_explicit(&node->state, memory_order_acquire);
    uint64_t since = 0;

    CHECK(state != NODE_UNINITIALIZED || works_without_cluster(operation, info), STATUS_CLUSTER_STATE,
          "%s: this node belongs to no cluster yet", info->name);
    CHECK(state != NODE_FAILED || !is_cryptography(info), STATUS_SELF_TEST_FAILED,
          "a self-test failed on this node: it does no cryptography; see its log");
    if (state != NODE_DRAINING || local)
        return STATUS_OK;
    if (atomic_compare_exchange_strong(&draining_since_ns, &since, now_ns()))
        return STATUS_OK;
    CHECK(now_ns() - since < DRAIN_GRACE_NS, STATUS_BUSY, "this node is draining");
    return STATUS_OK;
}

static status_code check_access(struct node *node, const struct call *call, const struct operation_info *info,
                                status_code login, const char *login_detail)
{
    TRY(check_state(node, call->operation, info, call->caller.local));
    if (info->access == ACCESS_ANYONE)
        return STATUS_OK;
    if (info->access == ACCESS_LOCAL) {
        CHECK(call->caller.local, STATUS_NOT_PERMITTED, "%s is for the node's own socket on its machine", info->name);
        return STATUS_OK;
    }
    CHECK(atomic_load_explicit(&node->cluster_active, memory_order_acquire), STATUS_CLUSTER_STATE,
          "the cluster is not activated: its first administrator sets a password");
    CHECK(login == STATUS_OK, login, "%s", login_detail);
    return check_role(&call->caller, info);
}

/* --- running --- */

static status_code run(struct call *call, const struct operation_info *info, status_code login,
                       const char *login_detail)
{
    struct node *node = call->node;
    operation_handler handler = operation_handler_of(call->operation);

    CHECK(handler, STATUS_NOT_SUPPORTED, "operation %s is not offered by this node", info->name);
    TRY(check_access(node, call, info, login, login_detail));
    status_code status = handler(call);

    if (node->audit && audit_wants(node->audit, call->operation)) {
        char detail[FAILURE_DETAIL_MAX];

        memcpy(detail, failure_detail(), sizeof(detail));
        status_code recorded = audit_record(node->audit, call, status);
        if (recorded != STATUS_OK && status == STATUS_OK)
            return recorded;
        if (status != STATUS_OK)
            failure_set(status, "%s", detail);
    }
    return status;
}

/* Details may hold bytes that a caller sent; what is not plain ASCII would not pass as text. */
static void answer_failure(struct bytes *answers, struct values *answer, status_code status)
{
    char text[FAILURE_DETAIL_MAX];

    snprintf(text, sizeof(text), "%s", failure_detail());
    for (char *c = text; *c; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
    values_init(answer);
    values_put_bytes(answer, FIELD_DETAIL, slice_text(text));
    message_append_answer(answers, status, answer);
}

static void answer(struct bytes *answers, struct values *answer_values, status_code status)
{
    size_t before = answers->len;

    if (status == STATUS_OK)
        message_append_answer(answers, STATUS_OK, answer_values);
    if (status == STATUS_OK && (answers->overflow || answers->len > ANSWERS_MAX)) {
        answers->len = before;
        answers->overflow = false;
        status = failure_set(STATUS_TOO_LARGE, "the answer is too large: ask for less at a time");
    }
    if (status != STATUS_OK)
        answer_failure(answers, answer_values, status);
}

/* One request of the batch: decoded, carried out, answered. */
static bool serve_next(struct workspace *workspace, struct message *message, struct call *call, status_code ready,
                       const char *ready_detail, status_code login, const char *login_detail)
{
    uint64_t number, start = now_ns();
    bool readable;
    status_code status = message_next_request(message, &number, &workspace->request, &readable);
    const struct operation_info *info = operation_info(number);

    call->operation = (enum operation)number;
    call->n_buffers = 0;
    values_init(&workspace->answer);
    if (status == STATUS_OK && ready != STATUS_OK)
        status = failure_set(ready, "%s", ready_detail);
    if (status == STATUS_OK)
        status = run(call, info, login, login_detail);
    answer(&workspace->answers, &workspace->answer, status);
    for (unsigned i = 0; i < call->n_buffers; i++)
        bytes_clear(&workspace->buffers[i]);
    if (info)
        metric_operation(call->worker, call->operation, status, now_ns() - start);
    return readable;
}

static void finish(struct node *node, struct workspace *workspace, uint32_t n, uint64_t start, struct bytes *reply)
{
    struct values *header = &workspace->header;

    values_init(header);
    values_put_uint(header, FIELD_REVISION, atomic_load_explicit(&node->revision, memory_order_acquire));
    values_put_uint(header, FIELD_DURATION_US, (now_ns() - start + 999) / 1000);
    if (workspace->renewed.len)
        values_put_bytes(header, FIELD_TICKET, bytes_slice(&workspace->renewed));
    if (atomic_load_explicit(&node->state, memory_order_relaxed) == NODE_DRAINING)
        values_put_bool(header, FIELD_DRAINING, true);
    message_begin(reply, header, n);
    write_encoded(reply, bytes_slice(&workspace->answers));
}

static void refuse(struct node *node, struct workspace *workspace, status_code status, struct bytes *reply)
{
    struct values *header = &workspace->header;

    values_init(header);
    values_put_uint(header, FIELD_REVISION, atomic_load(&node->revision));
    values_put_uint(header, FIELD_STATUS, (uint64_t)status);
    values_put_bytes(header, FIELD_DETAIL, slice_text(failure_detail()));
    values_put_uint(header, FIELD_VERSION_MIN, PROTOCOL_VERSION_MIN);
    values_put_uint(header, FIELD_VERSION_MAX, PROTOCOL_VERSION);
    bytes_clear(reply);
    message_begin(reply, header, 0);
}

static void serve(struct node *node, unsigned worker, struct peer *peer, struct workspace *workspace,
                  struct message *message, struct bytes *reply)
{
    char login_detail[FAILURE_DETAIL_MAX], ready_detail[FAILURE_DETAIL_MAX];
    struct call call = {.node = node,
                        .worker = worker,
                        .request = &workspace->request,
                        .answer = &workspace->answer,
                        .buffers = workspace->buffers};
    uint64_t start = now_ns(), revision = values_uint(&message->header, FIELD_REVISION, 0);
    uint32_t done = 0;
    status_code ready = node->users ? node_catch_up(node, revision) : STATUS_OK;

    if (ready != STATUS_OK)
        memcpy(ready_detail, failure_detail(), sizeof(ready_detail));
    status_code login = identify(node, peer, &message->header, &call.caller, &workspace->renewed);
    if (login != STATUS_OK)
        memcpy(login_detail, failure_detail(), sizeof(login_detail));

    while (done < message->n) {
        done++;
        if (!serve_next(workspace, message, &call, ready, ready_detail, login, login_detail))
            break;
    }
    for (uint32_t i = done; i < message->n; i++) {
        (void)failure_set(STATUS_PROTOCOL_ERROR, "an earlier request of this message is malformed");
        answer_failure(&workspace->answers, &workspace->answer, STATUS_PROTOCOL_ERROR);
    }
    finish(node, workspace, message->n, start, reply);
}

void dispatch_message(struct node *node, unsigned worker, struct peer *peer, struct slice encoded, struct bytes *reply)
{
    struct workspace *workspace = workspace_of(worker);
    struct message message;

    bytes_clear(reply);
    if (!workspace)
        return;
    bytes_clear(&workspace->answers);
    bytes_clear(&workspace->renewed);
    metric_add(worker, METRIC_MESSAGES, 1);
    metric_add(worker, METRIC_BYTES_IN, (int64_t)encoded.len);
    status_code status = message_open(encoded, &message);
    if (status == STATUS_OK)
        serve(node, worker, peer, workspace, &message, reply);
    else
        refuse(node, workspace, status, reply);
    metric_add(worker, METRIC_BYTES_OUT, (int64_t)reply->len);
}
