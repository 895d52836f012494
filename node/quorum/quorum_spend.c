/* Spending a token: quorum.h. One use is taken off, durably, before the operation is done; a request that is sent again
 * because its answer was lost finds its own use and takes no other. */
#include "node.h"
#include "object/object.h"
#include "quorum/quorum_entitled.h"
#include "user/cluster_record.h"
#include "user/request_hash.h"

#define RETRIES   16u
#define RESEND_MS 60000u /* how long a request that was paid for may be sent again */

/* --- which operation belongs to which service --- */

static enum quorum_service service_of(const struct caller *caller, enum operation operation,
                                      const struct values *request)
{
    switch (operation) {
    case OP_USER_CREATE:
    case OP_USER_DELETE:
        return QUORUM_USER;
    case OP_USER_SET_SIGNER: /* who may approve what administrators do */
        return caller->role == ROLE_ADMIN ? QUORUM_USER : QUORUM_NONE;
    case OP_USER_CHANGE_PASSWORD: /* one's own is nobody else's affair */
        return slice_equal(values_bytes(request, FIELD_USER_NAME), slice_text(caller->user_name)) ? QUORUM_NONE
                                                                                                  : QUORUM_USER;
    case OP_QUORUM_SET:
        return QUORUM_POLICY;
    case OP_NODE_APPROVE:
    case OP_NODE_REMOVE:
    case OP_BACKUP_DELETE:
    case OP_CLUSTER_ROTATE_KEY:
    case OP_CLUSTER_GIVE_UP_DAMAGED:
    case OP_TRUST_ANCHOR_ADD:
    case OP_TRUST_ANCHOR_REMOVE:
        return QUORUM_CLUSTER;
    default:
        return QUORUM_NONE;
    }
}

/* --- spending --- */

static uint64_t time_of(const struct spent *spent)
{
    uint64_t ms = 0;

    for (int i = 0; i < 8; i++)
        ms = ms << 8 | spent->time_ms[i];
    return ms;
}

static bool was_paid(const struct quorum_token *token, const uint8_t hash[32], uint64_t now_ms)
{
    for (size_t i = 0; i < token->n_spent; i++)
        if (memcmp(token->spent[i].request_hash, hash, 32) == 0 && now_ms < time_of(&token->spent[i]) + RESEND_MS)
            return true;
    return false;
}

static void take_one(struct quorum_token *token, const uint8_t hash[32], uint64_t now_ms)
{
    size_t kept = token->n_spent < SPENT_MAX ? token->n_spent : SPENT_MAX - 1;

    memmove(&token->spent[1], &token->spent[0], kept * sizeof(*token->spent));
    token->n_spent = kept + 1;
    memcpy(token->spent[0].request_hash, hash, 32);
    for (int i = 0; i < 8; i++)
        token->spent[0].time_ms[i] = (uint8_t)(now_ms >> (56 - 8 * i));
    token->uses_left--;
}

static status_code check_token(struct node *node, const struct caller *caller, const struct quorum_token *token,
                               enum quorum_service service, const uint8_t *object_id, uint64_t needed)
{
    uint64_t n;

    CHECK(node_now_ms(node) < token->expires_ms, STATUS_QUORUM_NEEDED, "the quorum token has expired: request another");
    CHECK(memcmp(token->requester_id, caller->user_id, ID_LEN) == 0, STATUS_QUORUM_NEEDED, "the quorum token is %s's",
          token->requester);
    CHECK(token->service == service, STATUS_QUORUM_NEEDED, "the quorum token is for service %s; this needs one for %s",
          quorum_service_name(token->service), quorum_service_name(service));
    CHECK(token->has_object == (object_id != NULL) && (!object_id || memcmp(token->object_id, object_id, ID_LEN) == 0),
          STATUS_QUORUM_NEEDED, "the quorum token is for another key");
    TRY(quorum_count_entitled(node, token, &n));
    CHECK(n >= needed, STATUS_QUORUM_NEEDED, "%llu of %llu approvals: have others sign the token's text",
          (unsigned long long)n, (unsigned long long)needed);
    return STATUS_OK;
}

static status_code spend_once(struct node *node, const struct caller *caller, enum quorum_service service,
                              const uint8_t *object_id, uint64_t needed)
{
    struct slice token_id = values_bytes(caller->request, FIELD_QUORUM_TOKEN);
    uint64_t now_ms = node_now_ms(node);
    struct quorum_token token;
    uint8_t hash[32];

    CHECK(token_id.len == ID_LEN, STATUS_QUORUM_NEEDED,
          "this needs a quorum token for service %s with %llu approvals: request one, and name it",
          quorum_service_name(service), (unsigned long long)needed);
    status_code status = quorum_token_read(node, token_id.data, &token);
    CHECK(status != STATUS_OBJECT_NOT_FOUND, STATUS_QUORUM_NEEDED, "there is no such quorum token");
    TRY(status);
    TRY(check_token(node, caller, &token, service, object_id, needed));
    TRY(request_hash(caller, hash));
    if (was_paid(&token, hash, now_ms))
        return STATUS_OK;
    CHECK(token.uses_left > 0, STATUS_QUORUM_NEEDED, "the quorum token was for %llu operations, which are used up",
          (unsigned long long)token.uses);
    take_one(&token, hash, now_ms);
    return quorum_token_write(node, &token);
}

static status_code spend(struct node *node, const struct caller *caller, enum quorum_service service,
                         const uint8_t *object_id, uint64_t needed)
{
    status_code status = STATUS_CONFLICT;

    CHECK(caller->request, STATUS_QUORUM_NEEDED, "a quorum must approve this");
    /* Approvals, uses and registered keys as any node has written them by now. */
    TRY(node_catch_up_with_all(node));
    for (unsigned i = 0; i < RETRIES && status == STATUS_CONFLICT; i++)
        status = spend_once(node, caller, service, object_id, needed);
    return status;
}

/* Changing a policy needs what the changed one needs as well: else it could be lowered without those it guards. */
static uint64_t needed_for(const struct cluster_record *cluster, enum quorum_service service,
                           const struct values *request)
{
    uint64_t needed = quorum_policy_of(cluster, service), changed;

    if (service != QUORUM_POLICY)
        return needed;
    changed = quorum_policy_of(cluster, quorum_service_find(values_bytes(request, FIELD_NAME)));
    return changed > needed ? changed : needed;
}

status_code quorum_check_operation(struct node *node, const struct caller *caller, enum operation operation,
                                   const struct values *request)
{
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    enum quorum_service service = service_of(caller, operation, request);

    if (service == QUORUM_NONE)
        return STATUS_OK;
    TRY(node_catch_up_with_all(node));
    TRY(cluster_record_read(node, &cluster));
    uint64_t needed = needed_for(&cluster, service, request);

    return needed ? spend(node, caller, service, NULL, needed) : STATUS_OK;
}

status_code quorum_check_key(struct node *node, const struct caller *caller, enum quorum_service service,
                             const struct object *object, uint64_t m)
{
    return m ? spend(node, caller, service, object->id, m) : STATUS_OK;
}
