/* See quorum_entitled.h. */
#include "quorum/quorum_entitled.h"

#include "node.h"
#include "object/object.h"
#include "user/cluster_record.h"
#include "user/signer.h"

/* The key of a token, as its requester sees it; *object stays NULL when the key is gone. */
static status_code read_object(struct node *node, const struct quorum_token *token, struct object **object)
{
    struct caller requester = {.role = ROLE_USER};

    memcpy(requester.user_id, token->requester_id, ID_LEN);
    return object_get(node->objects, &requester, slice_of(token->object_id, ID_LEN), slice_of(NULL, 0), object);
}

status_code quorum_check_entitled(struct node *node, const struct quorum_token *token, const struct account *account)
{
    CLEANUP(object_release) struct object *object = NULL;

    if (!token->has_object) {
        CHECK(account->role == ROLE_ADMIN, STATUS_NOT_PERMITTED, "%s is no administrator: service %s is theirs",
              account->name, quorum_service_name(token->service));
        return STATUS_OK;
    }
    TRY(read_object(node, token, &object));
    CHECK(object_has_user(object, account->id), STATUS_NOT_PERMITTED,
          "%s neither owns this key nor is it shared with that user", account->name);
    return STATUS_OK;
}

bool quorum_is_valid(struct node *node, const struct quorum_token *token, const struct approval *approval,
                     const struct account *account)
{
    uint8_t hash[SIGNER_HASH];

    return account->signer_len && signer_hash(account, hash) == STATUS_OK &&
           memcmp(hash, approval->signer_hash, sizeof(hash)) == 0 &&
           quorum_check_entitled(node, token, account) == STATUS_OK;
}

status_code quorum_count_entitled(struct node *node, const struct quorum_token *token, uint64_t *n)
{
    CLEANUP(account_wipe) struct account account;

    *n = 0;
    for (size_t i = 0; i < token->n_approvals; i++) {
        status_code status = account_read(node, token->approvals[i].user_id, &account);

        TRY(status == STATUS_OBJECT_NOT_FOUND ? STATUS_OK : status);
        *n += status == STATUS_OK && quorum_is_valid(node, token, &token->approvals[i], &account);
    }
    return STATUS_OK;
}

status_code quorum_needed(struct node *node, const struct quorum_token *token, uint64_t *n)
{
    CLEANUP(cluster_record_wipe) struct cluster_record cluster;
    CLEANUP(object_release) struct object *object = NULL;

    if (!token->has_object) {
        TRY(cluster_record_read(node, &cluster));
        *n = quorum_policy_of(&cluster, token->service);
        return STATUS_OK;
    }
    TRY(read_object(node, token, &object));
    *n = token->service == QUORUM_KEY_USE ? object->quorum_use : object->quorum_management;
    return STATUS_OK;
}
