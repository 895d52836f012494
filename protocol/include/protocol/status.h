/* Result codes, shared by the wire, the node and the public API (which checks at compile time that its own
 * constants are the same numbers). */
#pragma once

typedef int status_code;

enum {
#define STATUS(name, number, scope, text) STATUS_##name = number,
#include "protocol/status.def"
#undef STATUS
};

enum status_scope { STATUS_SCOPE_FINAL, STATUS_SCOPE_NODE, STATUS_SCOPE_LOCAL };

/** Name as in status.def ("KEY_TYPE_INCONSISTENT"); "UNKNOWN" for a number that is none. Never NULL. */
const char *status_name(status_code code);

/** One sentence for people. Never NULL. */
const char *status_text(status_code code);

/** Whether another node could answer differently. An unknown code, from a newer peer, is FINAL. */
enum status_scope status_scope(status_code code);
