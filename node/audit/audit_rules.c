/* Which operations the audit log records, and what of them: audit_rules.h. */
#include "audit/audit_rules.h"

enum kind {
    LOOKS = 0, /* changes nothing, shows no secret */
    CHANGES,
    MAKES,   /* makes an object; of session objects, which leave nothing here, as USES */
    EXPORTS, /* a key may leave in plaintext: recorded when its value was asked for */
    USES,    /* uses a key: by setting */
};

static const uint8_t KINDS[OPERATION_NUMBER_MAX + 1] = {
    [OP_LOGIN] = CHANGES,
    [OP_LOGOUT] = CHANGES,
    [OP_KEY_AUTHENTICATE] = CHANGES,
    [OP_CLUSTER_CREATE] = CHANGES,
    [OP_CLUSTER_INITIALIZE] = CHANGES,
    [OP_CLUSTER_ACTIVATE] = CHANGES,
    [OP_CLUSTER_MIGRATE_STORE] = CHANGES,
    [OP_CLUSTER_RESTORE] = CHANGES,
    [OP_CLUSTER_ROTATE_KEY] = CHANGES,
    [OP_CLUSTER_GIVE_UP_DAMAGED] = CHANGES,
    [OP_TRUST_ANCHOR_ADD] = CHANGES,
    [OP_TRUST_ANCHOR_REMOVE] = CHANGES,
    [OP_BACKUP_CREATE] = CHANGES,
    [OP_BACKUP_VERIFY] = CHANGES,
    [OP_BACKUP_DELETE] = CHANGES,
    [OP_NODE_APPROVE] = CHANGES,
    [OP_NODE_ADMIT] = CHANGES,
    [OP_NODE_DRAIN] = CHANGES,
    [OP_NODE_RENEW] = CHANGES,
    [OP_NODE_REMOVE] = CHANGES,
    [OP_USER_CREATE] = CHANGES,
    [OP_USER_DELETE] = CHANGES,
    [OP_USER_CHANGE_PASSWORD] = CHANGES,
    [OP_USER_SET_SIGNER] = CHANGES,
    [OP_QUORUM_REQUEST] = CHANGES,
    [OP_QUORUM_APPROVE] = CHANGES,
    [OP_QUORUM_CANCEL] = CHANGES,
    [OP_QUORUM_SET] = CHANGES,
    [OP_KEY_GENERATE] = MAKES,
    [OP_KEY_PAIR_GENERATE] = MAKES,
    [OP_OBJECT_CREATE] = MAKES,
    [OP_OBJECT_COPY] = MAKES,
    [OP_OBJECT_SET] = MAKES,
    [OP_OBJECT_DELETE] = MAKES,
    [OP_OBJECT_SHARE] = CHANGES,
    [OP_OBJECT_GET] = EXPORTS,
    [OP_WRAP] = CHANGES, /* a key leaves */
    [OP_UNWRAP] = MAKES,
    [OP_DERIVE] = MAKES,
    [OP_ENCAPSULATE] = MAKES,
    [OP_DECAPSULATE] = MAKES,
    [OP_SIGN] = USES,
    [OP_VERIFY] = USES,
    [OP_VERIFY_RECOVER] = USES,
    [OP_ENCRYPT] = USES,
    [OP_DECRYPT] = USES,
    [OP_MULTIPART] = USES,
};

static enum kind kind_of(enum operation operation)
{
    return (unsigned)operation <= OPERATION_NUMBER_MAX ? KINDS[operation] : LOOKS;
}

enum audit_rule audit_rule(enum operation operation, bool key_use)
{
    switch (kind_of(operation)) {
    case LOOKS:
        return AUDIT_NOTHING;
    case CHANGES:
    case MAKES:
        return AUDIT_DURABLE;
    case EXPORTS:
        return AUDIT_GATHERED;
    case USES:
        return key_use ? AUDIT_GATHERED : AUDIT_NOTHING;
    }
    return AUDIT_NOTHING;
}

static bool is_of_session(const struct call *call)
{
    return values_has(call->answer, FIELD_BLOB) ||
           (call->operation == OP_OBJECT_DELETE && values_has(call->request, FIELD_BLOB));
}

enum audit_rule audit_rule_of_call(const struct call *call, status_code outcome, bool key_use)
{
    enum audit_rule rule = audit_rule(call->operation, key_use);
    enum kind kind = kind_of(call->operation);

    if (kind == EXPORTS && !uints_contain(values_bytes(call->request, FIELD_WANTED), ATTRIBUTE_VALUE))
        return AUDIT_NOTHING;
    if (kind == MAKES && outcome == STATUS_OK && is_of_session(call))
        return key_use ? AUDIT_GATHERED : AUDIT_NOTHING;
    return rule == AUDIT_DURABLE && outcome != STATUS_OK ? AUDIT_GATHERED : rule;
}

/** Plain ASCII only: texts that a caller sent end up here. */
static void copy_text(char *to, size_t size, struct slice from)
{
    size_t len = from.len < size - 1 ? from.len : size - 1;
    for (size_t i = 0; i < len; i++)
        to[i] = (char)(from.data[i] >= ' ' && from.data[i] <= '~' ? from.data[i] : '?');
    to[len] = 0;
}

void audit_describe(struct node *node, const struct call *call, status_code outcome, struct audit_event *event)
{
    struct slice object = values_bytes(call->request, FIELD_OBJECT_ID);
    struct slice user = values_bytes(call->request, FIELD_USER_NAME);
    /* Who did it; of a login, who it was said to be. To whom it was done stands in the detail. */
    bool names_actor = call->caller.role == ROLE_NONE || call->operation == OP_LOGIN;
    struct slice about = names_actor ? slice_of(NULL, 0) : user;

    *event = (struct audit_event){.operation = call->operation,
                                  .status = outcome,
                                  .time_ms = node_now_ms(node),
                                  .has_object = object.len == ID_LEN};
    if (event->has_object)
        memcpy(event->object_id, object.data, ID_LEN);
    copy_text(event->user_name, sizeof event->user_name, names_actor ? user : slice_text(call->caller.user_name));
    copy_text(event->detail, sizeof event->detail, outcome == STATUS_OK ? about : slice_text(failure_detail()));
}
