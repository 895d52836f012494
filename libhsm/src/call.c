/* Calls that wait for their answer, and the list of nodes that is refreshed along with them. */
#include <stdio.h>
#include <string.h>
#include "core_internal.h"

static void sleep_until(uint64_t until_ns)
{
    platform_event never = 0;

    platform_event_wait(&never, until_ns);
}

static void run(struct core *core, struct op *op)
{
    struct channel *channel;
    uint64_t not_before;

    while ((channel = op_begin_attempt(core, op))) {
        channel_call(channel, op);
        if (!op_try_again(core, op, &not_before))
            return;
        if (not_before > platform_now_ns())
            sleep_until(not_before);
    }
}

static status_code call_once(struct core *core, struct core_request *request)
{
    struct op op;

    request->node_name[0] = 0;
    request->detail[0] = 0;
    request->status = op_init(core, request, &op);
    if (request->status != STATUS_OK) {
        snprintf(request->detail, sizeof(request->detail), "%s", failure_detail());
        return request->status;
    }
    run(core, &op);
    op_conclude(core, &op);
    request->status = op.status;
    memcpy(request->detail, op.detail, sizeof(request->detail));
    if (op.status == STATUS_OK)
        request->status = op_take_answer(&op, &request->reply, &request->answer);
    if (request->status != STATUS_OK || request->node)
        node_describe(core, op.node, request->node_name);
    op_release(&op);
    return request->status == STATUS_OK ? STATUS_OK : failure_set(request->status, "%s", request->detail);
}

void core_refresh_if_due(struct core *core)
{
    uint64_t now = platform_now_ns();
    struct values nothing;
    bool idle = false;

    if (core->single || core->config->refresh_interval_ms == 0 ||
        now < atomic_load_explicit(&core->refresh_at_ns, memory_order_relaxed) ||
        !atomic_compare_exchange_strong(&core->refreshing, &idle, true))
        return;
    atomic_store(&core->refresh_at_ns, now + core->config->refresh_interval_ms * 1000000ull);
    values_init(&nothing);
    struct core_request request = {.operation = OP_CLUSTER_DESCRIBE,
                                   .fields = &nothing,
                                   .timeout_ms = core->config->attempt_timeout_ms,
                                   .reply = BYTES_SECRET};

    if (call_once(core, &request) == STATUS_OK)
        node_learn_all(core, &request.answer);
    bytes_release(&request.reply);
    atomic_store(&core->refreshing, false);
}

status_code core_call(struct core *core, struct core_request *request)
{
    status_code status = core_check_fork(core);

    if (status != STATUS_OK) {
        snprintf(request->detail, sizeof(request->detail), "%s", failure_detail());
        return request->status = status;
    }
    core_refresh_if_due(core);
    status = call_once(core, request);
    if (status == STATUS_OK && request->operation == OP_CLUSTER_DESCRIBE && !core->single)
        node_learn_all(core, &request->answer); /* whoever asks for the list teaches it */
    return status;
}
