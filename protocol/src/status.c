/* Names and texts of the result codes, looked up by number: called where failures are reported, never on a hot path. */
#include "protocol/status.h"

#include <stddef.h>

enum { FINAL = STATUS_SCOPE_FINAL, NODE = STATUS_SCOPE_NODE, LOCAL = STATUS_SCOPE_LOCAL };

static const struct {
    const char *name;
    const char *text;
    enum status_scope scope;
} statuses[] = {
#define STATUS(name, number, scope, text) [number] = {#name, text, (enum status_scope)(scope)},
#include "protocol/status.def"
#undef STATUS
};

static int known(status_code code)
{
    return code >= 0 && (size_t)code < sizeof(statuses) / sizeof(*statuses) && statuses[code].name != NULL;
}

const char *status_name(status_code code)
{
    return known(code) ? statuses[code].name : "UNKNOWN";
}

const char *status_text(status_code code)
{
    return known(code) ? statuses[code].text : "unknown status";
}

enum status_scope status_scope(status_code code)
{
    return known(code) ? statuses[code].scope : STATUS_SCOPE_FINAL;
}
