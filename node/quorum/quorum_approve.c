/* The life of a token until it is used: requested, approved, listed, cancelled. */
#include <openssl/rand.h>
#include <stdio.h>
#include "node.h"
#include "object/object.h"
#include "protocol/writer.h"
#include "quorum/quorum_entitled.h"
#include "quorum/quorum_token.h"
#include "user/signer.h"

#define RETRIES    16u
#define TOKENS_MAX 1024u

static bool of_a_key(enum quorum_service service)
{
    return service == QUORUM_KEY_USE || service == QUORUM_KEY_MANAGEMENT;
}

/* --- requesting --- */

struct purge {
    struct node *node;
    uint64_t now_ms;
    struct quorum_token expired[8];
    size_t n_expired, n;
};

static status_code note_token(void *context, const struct store_record *record)
{
    struct purge *purge = context;
    struct quorum_token *token = &purge->expired[purge->n_expired];

    purge->n++;
    if (purge->n_expired + 1 == sizeof(purge->expired) / sizeof(*purge->expired))
        return STATUS_OK;
    TRY(quorum_token_open(purge->node, record, token));
    purge->n_expired += token->expires_ms <= purge->now_ms;
    return STATUS_OK;
}

/* Each request clears away some of what expired, so that tokens never pile up. */
static status_code make_room(struct node *node)
{
    struct purge purge = {.node = node, .now_ms = node_now_ms(node)};

    TRY(node->store->operations->range(node->store, STORE_QUORUM, NULL, NULL, TOKENS_MAX + 1, note_token, &purge));
    for (size_t i = 0; i < purge.n_expired; i++)
        if (quorum_token_remove(node, &purge.expired[i]) == STATUS_OK)
            purge.n--;
    CHECK(purge.n < TOKENS_MAX, STATUS_QUOTA_EXCEEDED, "there are %u quorum tokens: cancel some, or wait", TOKENS_MAX);
    return STATUS_OK;
}

static status_code check_wish(struct node *node, const struct caller *caller, enum quorum_service service,
                              struct slice object_id, uint64_t uses)
{
    CLEANUP(object_release) struct object *object = NULL;

    CHECK(service != QUORUM_NONE, STATUS_INVALID_ARGUMENT,
          "the services are user, quorum, cluster, key-use and key-management");
    CHECK(uses >= 1 && uses <= QUORUM_USES, STATUS_INVALID_ARGUMENT, "a token is for 1 to %u operations", QUORUM_USES);
    CHECK(of_a_key(service) == (object_id.len == ID_LEN), STATUS_INVALID_ARGUMENT,
          "key-use and key-management are about a key, the other services are not");
    if (of_a_key(service))
        return object_get(node->objects, caller, object_id, slice_of(NULL, 0), &object);
    CHECK(caller->role == ROLE_ADMIN, STATUS_NOT_PERMITTED, "service %s is for administrators",
          quorum_service_name(service));
    return STATUS_OK;
}

status_code quorum_request(struct node *node, const struct caller *caller, enum quorum_service service,
                           struct slice object_id, uint64_t uses, uint8_t token_id[ID_LEN], struct bytes *text,
                           uint64_t *expires_ms)
{
    struct quorum_token token = {.service = service, .uses = uses, .uses_left = uses};

    TRY(check_wish(node, caller, service, object_id, uses));
    TRY(make_room(node));
    CHECK(RAND_bytes_ex(crypto_context(), token.id, ID_LEN, 0) == 1, STATUS_RANDOM_FAILED, "no random bytes");
    memcpy(token.requester_id, caller->user_id, ID_LEN);
    memcpy(token.requester, caller->user_name, sizeof(token.requester));
    token.has_object = object_id.len == ID_LEN;
    if (token.has_object)
        memcpy(token.object_id, object_id.data, ID_LEN);
    token.expires_ms = node_now_ms(node) + 1000ull * node->config.quorum_token_lifetime_s;
    TRY(quorum_token_text(node, &token, text));
    TRY(quorum_token_write(node, &token));
    memcpy(token_id, token.id, ID_LEN);
    *expires_ms = token.expires_ms;
    return STATUS_OK;
}

/* --- approving --- */

static status_code add_approval(struct quorum_token *token, const struct account *signer)
{
    struct approval approval;

    memcpy(approval.user_id, signer->id, ID_LEN);
    TRY(signer_hash(signer, approval.signer_hash));
    for (size_t i = 0; i < token->n_approvals; i++) {
        if (memcmp(token->approvals[i].user_id, signer->id, ID_LEN) == 0) {
            token->approvals[i] = approval; /* again, perhaps with a new key */
            return STATUS_OK;
        }
    }
    CHECK(token->n_approvals < APPROVALS_MAX, STATUS_QUOTA_EXCEEDED, "the token has %u approvals: nobody needs more",
          APPROVALS_MAX);
    token->approvals[token->n_approvals++] = approval;
    return STATUS_OK;
}

static status_code approve_once(struct node *node, const struct caller *caller, const uint8_t token_id[ID_LEN],
                                struct slice signer, struct slice signature, struct quorum_token *token)
{
    CLEANUP(account_wipe) struct account account;
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;

    (void)caller; /* whoever hands it in: the signature says who approves */
    TRY(quorum_token_read(node, token_id, token));
    CHECK(node_now_ms(node) < token->expires_ms, STATUS_OBJECT_NOT_FOUND,
          "the quorum token has expired: request another");
    TRY(account_find(node, signer, &account));
    TRY(quorum_check_entitled(node, token, &account));
    TRY(quorum_token_text(node, token, &text));
    TRY(signer_verify(&account, bytes_slice(&text), signature));
    TRY(add_approval(token, &account));
    return quorum_token_write(node, token);
}

status_code quorum_approve(struct node *node, const struct caller *caller, const uint8_t token_id[ID_LEN],
                           struct slice signer, struct slice signature, uint64_t *n_approvals, uint64_t *n_needed)
{
    struct quorum_token token;
    status_code status = STATUS_CONFLICT;

    for (unsigned i = 0; i < RETRIES && status == STATUS_CONFLICT; i++)
        status = approve_once(node, caller, token_id, signer, signature, &token);
    TRY(status);
    TRY(quorum_count_entitled(node, &token, n_approvals));
    return quorum_needed(node, &token, n_needed);
}

status_code quorum_cancel(struct node *node, const struct caller *caller, const uint8_t token_id[ID_LEN])
{
    struct quorum_token token;
    status_code status = STATUS_CONFLICT;

    for (unsigned i = 0; i < RETRIES && status == STATUS_CONFLICT; i++) {
        TRY(quorum_token_read(node, token_id, &token));
        CHECK(caller->role == ROLE_ADMIN || memcmp(caller->user_id, token.requester_id, ID_LEN) == 0,
              STATUS_NOT_PERMITTED, "a token is cancelled by whoever requested it, or by an administrator");
        status = quorum_token_remove(node, &token);
    }
    return status;
}

/* --- listing --- */

struct listing {
    struct node *node;
    struct bytes encoded;
    uint32_t n;
};

static void name_approvers(struct node *node, const struct quorum_token *token, char names[1024])
{
    CLEANUP(account_wipe) struct account account;
    size_t at = 0;

    names[0] = 0;
    for (size_t i = 0; i < token->n_approvals && at + USER_NAME_MAX + 2 < 1024; i++)
        if (account_read(node, token->approvals[i].user_id, &account) == STATUS_OK &&
            quorum_is_valid(node, token, &token->approvals[i], &account))
            at += (size_t)snprintf(names + at, 1024 - at, "%s%s", at ? "," : "", account.name);
}

static status_code list_one(void *context, const struct store_record *record)
{
    struct listing *listing = context;
    struct quorum_token token;
    struct values values;
    char names[1024];

    TRY(quorum_token_open(listing->node, record, &token));
    if (token.expires_ms <= node_now_ms(listing->node))
        return STATUS_OK;
    name_approvers(listing->node, &token, names);
    values_init(&values);
    values_put_bytes(&values, FIELD_REQUEST_ID, slice_of(token.id, ID_LEN));
    values_put_bytes(&values, FIELD_NAME, slice_text(quorum_service_name(token.service)));
    values_put_bytes(&values, FIELD_USER_NAME, slice_text(token.requester));
    if (token.has_object)
        values_put_bytes(&values, FIELD_OBJECT_ID, slice_of(token.object_id, ID_LEN));
    values_put_uint(&values, FIELD_COUNT, token.uses_left);
    values_put_uint(&values, FIELD_TIME_MS, token.expires_ms);
    values_put_bytes(&values, FIELD_VALUE_TEXT, slice_text(names));
    values_encode(&FIELD_SCHEMA, &values, &listing->encoded);
    listing->n++;
    return bytes_ok(&listing->encoded);
}

static void listing_release(struct listing *listing)
{
    bytes_release(&listing->encoded);
}

status_code quorum_list(struct node *node, struct bytes *records)
{
    CLEANUP(listing_release) struct listing listing = {.node = node, .encoded = BYTES_INIT};

    TRY(node->store->operations->range(node->store, STORE_QUORUM, NULL, NULL, TOKENS_MAX, list_one, &listing));
    write_array(records, listing.n);
    write_encoded(records, bytes_slice(&listing.encoded));
    return bytes_ok(records);
}
