/* What the audit log records of which operation. Nobody but node/audit includes this. */
#pragma once

#include "audit/audit_entry.h"

enum audit_rule {
    AUDIT_NOTHING,
    AUDIT_GATHERED, /* written within a second */
    AUDIT_DURABLE,  /* written before the answer */
};

/** The most that can be recorded of an operation. */
enum audit_rule audit_rule(enum operation operation, bool key_use);

/** Of this very call: what failed or left nothing in the store need not be durable. */
enum audit_rule audit_rule_of_call(const struct call *call, status_code outcome, bool key_use);

/** Who did what to which object, and how it went. Reads failure_detail. */
void audit_describe(struct node *node, const struct call *call, status_code outcome, struct audit_event *event);
