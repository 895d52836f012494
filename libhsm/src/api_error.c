/* The last error of each thread. Thread-local storage without destructors, so that the library can be unloaded. */
#include "hsm/error.h"

#include <stdio.h>
#include "api.h"
#include "protocol/message.h"

#define NODE_TEXT_MAX 256

static _Thread_local struct {
    hsm_error error;
    char detail[FAILURE_DETAIL_MAX];
    char node[NODE_TEXT_MAX];
    const char *operation;
    char node_now[NODE_TEXT_MAX]; /* of the call that is running */
} last;

void api_begin(void)
{
    failure_clear();
    last.operation = NULL;
    last.node_now[0] = 0;
}

void api_error_origin(uint64_t operation, const char *node)
{
    const struct operation_info *info = operation_info(operation);

    last.operation = info ? info->name : NULL;
    last.node_now[0] = 0;
    if (node && *node)
        snprintf(last.node_now, sizeof(last.node_now), "%s", node);
}

hsm_status api_end(status_code status)
{
    if (status == STATUS_OK)
        return HSM_OK;
    snprintf(last.detail, sizeof(last.detail), "%s", failure_detail());
    snprintf(last.node, sizeof(last.node), "%s", last.node_now);
    last.error.status = status;
    last.error.operation = last.operation ? last.operation : "";
    return status;
}

const hsm_error *hsm_last_error(void)
{
    last.error.size = sizeof(last.error);
    last.error.detail = last.detail;
    last.error.node = last.node;
    if (!last.error.operation)
        last.error.operation = "";
    return &last.error;
}

const char *hsm_status_name(hsm_status status)
{
    return status_name(status);
}

const char *hsm_status_text(hsm_status status)
{
    return status_text(status);
}
