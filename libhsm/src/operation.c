/* The life of one operation: encoded once, attempted on one node after another until an answer settles it or the
 * deadline has passed. Callers and queues share it. */
#include <stdio.h>
#include <string.h>
#include "core_internal.h"

#define PAUSE_FIRST_NS 5000000ull /* after all nodes failed: 5 ms, doubling */
#define PAUSE_MAX_NS   200000000ull
#define LONG_ATTEMPTS  10000u /* as long as the call lasts */
#define SLOW_ATTEMPTS  20u /* slow operations may take so many times longer than others before another node is asked */

status_code op_init(struct core *core, const struct core_request *request, struct op *op)
{
    const struct operation_info *info = operation_info(request->operation);
    struct slice data = values_bytes(request->fields, FIELD_DATA);
    uint32_t timeout_ms = request->timeout_ms ? request->timeout_ms : core->config->timeout_ms;

    memset(op, 0, sizeof(*op));
    CHECK(info, STATUS_INVALID_ARGUMENT, "there is no operation %d", request->operation);
    op->operation = request->operation;
    op->encoded = op->reply = (struct bytes)BYTES_SECRET;
    op->encoded.limit = op->reply.limit = MESSAGE_MAX;
    enum operation_cost cost = operation_cost(info, request->fields);

    op->slow = cost != COST_FAST;
    op->attempt_factor = cost == COST_SLOW ? SLOW_ATTEMPTS : cost == COST_LONG ? LONG_ATTEMPTS : 1;
    op->alone = op->slow || data.len >= ALONE_BYTES;
    op->cost_key = request->key_id ? cost_key_of(request->operation, request->key_id) : 0;
    op->cost_us = cost_estimate(core, op, request->fields);
    op->timeout_ns = timeout_ms * 1000000ull;
    op->deadline_ns = platform_now_ns() + op->timeout_ns;
    op->again = request->again;
    op->only_node = -1;
    if (request->node) {
        op->only_node = node_find(core, request->node);
        CHECK(op->only_node >= 0, STATUS_INVALID_ARGUMENT, "the cluster has no node %s", request->node);
    }
    message_append_request(&op->encoded, request->operation, request->fields);
    status_code status = bytes_ok(&op->encoded);
    if (status != STATUS_OK) {
        op_release(op);
        return status;
    }
    op->login = login_reference(request->login);
    return STATUS_OK;
}

void op_release(struct op *op)
{
    login_release(op->login);
    op->login = NULL;
    bytes_release(&op->encoded);
    bytes_release(&op->reply);
}

/* How long one node is given: long enough for what it usually takes, and to the end when there is nobody else to ask.
 */
static uint64_t attempt_end(struct core *core, const struct op *op, const struct node_entry *node)
{
    uint64_t attempt = core->config->attempt_timeout_ms * 1000000ull;
    uint64_t usual = 4000 * atomic_load_explicit(&node->latency_us, memory_order_relaxed);
    uint64_t end;

    if (op->only_node >= 0 || atomic_load_explicit(&core->n_nodes, memory_order_relaxed) == 1 ||
        !node_has_alternative(core, node))
        return op->deadline_ns;
    attempt *= op->attempt_factor;
    end = platform_now_ns() + (usual > attempt ? usual : attempt);
    return end < op->deadline_ns ? end : op->deadline_ns;
}

struct channel *op_begin_attempt(struct core *core, struct op *op)
{
    op->node = node_choose(core, op);
    if (!op->node) {
        op->status = STATUS_UNAVAILABLE;
        snprintf(op->detail, sizeof(op->detail), "the cluster has no node");
        return NULL;
    }
    op->attempt_end_ns = attempt_end(core, op, op->node);
    return node_channel(op->node);
}

static void record_reached(struct op *op)
{
    op->tried |= 1ull << op->node->index;
}

static bool all_tried(struct core *core, const struct op *op)
{
    if (op->only_node >= 0)
        return true;
    for (unsigned i = 0; i < atomic_load(&core->n_nodes); i++) {
        if (!(op->tried >> i & 1) && !atomic_load(&core->nodes[i]->gone))
            return false;
    }
    return true;
}

bool op_try_again(struct core *core, struct op *op, uint64_t *not_before_ns)
{
    uint64_t now = platform_now_ns();
    bool settled = op->state == OP_ANSWERED && status_scope(op->status) != STATUS_SCOPE_NODE;

    *not_before_ns = now;
    if (settled || now >= op->deadline_ns || op->status == STATUS_CONFIG_INVALID)
        return false;
    if (op->node)
        record_reached(op);
    if (all_tried(core, op)) {
        uint64_t pause = op->rounds < 6 ? PAUSE_FIRST_NS << op->rounds : PAUSE_MAX_NS;

        /* Every node said no, or refused a certificate: that will not change by asking again and again. */
        if ((op->status == STATUS_TLS_ERROR || op->state == OP_ANSWERED) && op->rounds >= 3)
            return false;
        op->tried = 0;
        op->rounds++;
        *not_before_ns = now + (pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS);
        if (*not_before_ns >= op->deadline_ns)
            return false;
    }
    atomic_fetch_add_explicit(&core->n_retries, 1, memory_order_relaxed);
    op->state = OP_IDLE;
    return true;
}

bool op_log_in_again(struct op *op)
{
    struct core_relogin again = op->again;

    op->again.log_in = NULL;
    if (!again.log_in || op->state != OP_ANSWERED || op->status != STATUS_TICKET_EXPIRED)
        return false;
    status_code status = again.log_in(again.owner, again.generation);

    if (status == STATUS_TICKET_EXPIRED)
        return false;
    bytes_clear(&op->reply);
    op->status = status;
    op->state = status == STATUS_OK ? OP_IDLE : OP_UNSENT;
    snprintf(op->detail, sizeof(op->detail), "%s", status == STATUS_OK ? "" : failure_detail());
    op->tried = 0;
    op->rounds = 0;
    op->deadline_ns = platform_now_ns() + op->timeout_ns;
    return status == STATUS_OK;
}

void op_conclude(struct core *core, struct op *op)
{
    struct values fields;

    atomic_fetch_add_explicit(&core->n_requests, 1, memory_order_relaxed);
    if (op->state == OP_ANSWERED && op->status == STATUS_OK)
        return;
    if (op->state == OP_ANSWERED) {
        op->detail[0] = 0;
        if (values_decode_all(&FIELD_SCHEMA, bytes_slice(&op->reply), &fields) == STATUS_OK) {
            struct slice detail = values_bytes(&fields, FIELD_DETAIL);

            snprintf(op->detail, sizeof(op->detail), "%.*s", (int)detail.len, (const char *)detail.data);
        }
        return;
    }
    atomic_fetch_add_explicit(&core->n_failures, 1, memory_order_relaxed);
    if (op->state == OP_UNSENT)
        return;
    if (op->status == STATUS_OK || status_scope(op->status) == STATUS_SCOPE_NODE)
        op->status = STATUS_UNAVAILABLE;
}

status_code op_take_answer(struct op *op, struct bytes *reply, struct values *answer)
{
    bytes_release(reply);
    *reply = op->reply;
    op->reply = (struct bytes)BYTES_SECRET;
    return values_decode_all(&FIELD_SCHEMA, bytes_slice(reply), answer);
}
