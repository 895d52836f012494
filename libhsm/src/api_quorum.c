/* Quorum (hsm/quorum.h). */
#include "hsm/quorum.h"

#include <openssl/evp.h>
#include <stdio.h>
#include "api_call.h"
#include "api_records.h"
#include "hsm/cluster.h"
#include "library_context.h"

#define TEXT_MAX 256

/* --- keys for approvals --- */

static status_code signer_text(hsm_cluster *cluster, const char *user, const void *public_key, size_t public_key_len,
                               hsm_buffer *text)
{
    CLEANUP(call_release) struct call call;
    uint8_t hash[EVP_MAX_MD_SIZE];
    char cluster_id[2 * ID_LEN + 1], key[65], lines[TEXT_MAX];

    TRY(call_begin(&call, NULL, cluster, OP_CLUSTER_DESCRIBE));
    ARGUMENT(user && public_key && text, "no user, no public key, or no place for the text");
    CHECK(EVP_Q_digest(library_context(), "SHA256", NULL, public_key, public_key_len, hash, NULL) == 1, STATUS_INTERNAL,
          "hashing a public key");
    TRY(call_run(&call));
    hex_encode(values_bytes(&call.request.answer, FIELD_CLUSTER_ID), cluster_id);
    hex_encode(slice_of(hash, 32), key);
    int len = snprintf(lines, sizeof(lines), "libhsm signer registration 1\ncluster: %s\nuser: %.*s\nkey: %s\n",
                       cluster_id, (int)USER_NAME_MAX, user, key);
    return output_buffer(slice_of(lines, (size_t)len), text);
}

hsm_status hsm_user_signer_text(hsm_cluster *cluster, const char *user, const void *public_key, size_t public_key_len,
                                hsm_buffer *text)
{
    return API(signer_text(cluster, user, public_key, public_key_len, text));
}

static status_code set_signer(hsm_session *session, const char *user, const void *public_key, size_t public_key_len,
                              const void *signature, size_t signature_len, uint32_t flags)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_USER_SET_SIGNER));
    if (flags)
        values_put_uint(&call.fields, FIELD_FLAGS, flags);
    TRY(call_put_text(&call, FIELD_USER_NAME, user, "user name"));
    if (public_key) {
        TRY(call_put_bytes(&call, FIELD_PEER_PUBLIC, public_key, public_key_len, "public key"));
        TRY(call_put_bytes(&call, FIELD_SIGNATURE, signature, signature_len, "signature"));
    }
    return call_run(&call);
}

hsm_status hsm_user_set_signer(hsm_session *session, const char *user, const void *public_key, size_t public_key_len,
                               const void *signature, size_t signature_len, uint32_t flags)
{
    return API(set_signer(session, user, public_key, public_key_len, signature, signature_len, flags));
}

/* --- tokens --- */

static status_code quorum_request(hsm_session *session, const char *service, const hsm_key *key, uint32_t n_uses,
                                  uint8_t *token_id, hsm_buffer *text)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_QUORUM_REQUEST));
    ARGUMENT(token_id && text, "no place for the token");
    TRY(call_put_text(&call, FIELD_NAME, service, "service"));
    values_put_uint(&call.fields, FIELD_COUNT, n_uses);
    if (key)
        values_put_bytes(&call.fields, FIELD_OBJECT_ID, slice_of(key->id, ID_LEN));
    TRY(call_run(&call));
    struct slice id = values_bytes(&call.request.answer, FIELD_REQUEST_ID);

    CHECK(id.len == ID_LEN, STATUS_PROTOCOL_ERROR, "the node gave a token id of %zu bytes", id.len);
    TRY(call_give_buffer(&call, FIELD_DATA, text));
    memcpy(token_id, id.data, ID_LEN);
    return STATUS_OK;
}

hsm_status hsm_quorum_request(hsm_session *session, const char *service, const hsm_key *key, uint32_t n_uses,
                              uint8_t *token_id, hsm_buffer *text)
{
    return API(quorum_request(session, service, key, n_uses, token_id, text));
}

static status_code quorum_approve(hsm_session *session, const uint8_t *token_id, const char *signer,
                                  const void *signature, size_t signature_len, uint32_t *n_approvals,
                                  uint32_t *n_needed)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_QUORUM_APPROVE));
    ARGUMENT(token_id, "no token");
    values_put_bytes(&call.fields, FIELD_REQUEST_ID, slice_of(token_id, ID_LEN));
    TRY(call_put_text(&call, FIELD_USER_NAME, signer, "signer"));
    TRY(call_put_bytes(&call, FIELD_SIGNATURE, signature, signature_len, "signature"));
    TRY(call_run(&call));
    if (n_approvals)
        *n_approvals = (uint32_t)values_uint(&call.request.answer, FIELD_COUNT, 0);
    if (n_needed)
        *n_needed = (uint32_t)values_uint(&call.request.answer, FIELD_LIMIT, 0);
    return STATUS_OK;
}

hsm_status hsm_quorum_approve(hsm_session *session, const uint8_t *token_id, const char *signer, const void *signature,
                              size_t signature_len, uint32_t *n_approvals, uint32_t *n_needed)
{
    return API(quorum_approve(session, token_id, signer, signature, signature_len, n_approvals, n_needed));
}

static status_code set_token(hsm_session *session, const uint8_t *token_id)
{
    ARGUMENT(session, "no session");
    session_set_quorum_token(session, token_id);
    return STATUS_OK;
}

hsm_status hsm_session_set_quorum_token(hsm_session *session, const uint8_t *token_id)
{
    return API(set_token(session, token_id));
}

static status_code quorum_cancel(hsm_session *session, const uint8_t *token_id)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_QUORUM_CANCEL));
    ARGUMENT(token_id, "no token");
    values_put_bytes(&call.fields, FIELD_REQUEST_ID, slice_of(token_id, ID_LEN));
    return call_run(&call);
}

hsm_status hsm_quorum_cancel(hsm_session *session, const uint8_t *token_id)
{
    return API(quorum_cancel(session, token_id));
}

static status_code quorum_set(hsm_session *session, const char *service, uint32_t m)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_QUORUM_SET));
    TRY(call_put_text(&call, FIELD_NAME, service, "service"));
    values_put_uint(&call.fields, FIELD_COUNT, m);
    return call_run(&call);
}

hsm_status hsm_quorum_set(hsm_session *session, const char *service, uint32_t m)
{
    return API(quorum_set(session, service, m));
}

/* --- listing --- */

static status_code take_token(struct records *records, const struct values *record, void *item)
{
    hsm_quorum_token *token = (hsm_quorum_token *)item;

    token->size = sizeof(*token);
    records_id(token->id, values_bytes(record, FIELD_REQUEST_ID));
    records_id(token->key, values_bytes(record, FIELD_OBJECT_ID));
    token->service = records_text(records, values_bytes(record, FIELD_NAME));
    token->requester = records_text(records, values_bytes(record, FIELD_USER_NAME));
    token->approvers = records_text(records, values_bytes(record, FIELD_VALUE_TEXT));
    token->n_uses_left = values_uint(record, FIELD_COUNT, 0);
    token->expires_ms = values_uint(record, FIELD_TIME_MS, 0);
    return STATUS_OK;
}

static status_code take_policy(struct records *records, const struct values *record, void *item)
{
    hsm_quorum_policy *policy = (hsm_quorum_policy *)item;

    policy->size = sizeof(*policy);
    policy->service = records_text(records, values_bytes(record, FIELD_NAME));
    policy->m = (uint32_t)values_uint(record, FIELD_COUNT, 0);
    policy->n_signers = (uint32_t)values_uint(record, FIELD_LIMIT, 0);
    return STATUS_OK;
}

static status_code quorum_list(hsm_session *session, hsm_quorum_list **list)
{
    CLEANUP(call_release) struct call call;
    struct records records;

    TRY(call_begin(&call, session, NULL, OP_QUORUM_LIST));
    ARGUMENT(list, "no place for the list");
    TRY(call_run(&call));
    TRY(records_begin(&records, sizeof(hsm_quorum_list)));
    hsm_quorum_list *made = (hsm_quorum_list *)records.head;
    made->size = sizeof(*made);
    made->tokens =
        (const hsm_quorum_token *const *)records_take(&records, values_bytes(&call.request.answer, FIELD_RECORDS),
                                                      sizeof(hsm_quorum_token), take_token, &made->n_tokens);
    made->policies =
        (const hsm_quorum_policy *const *)records_take(&records, values_bytes(&call.request.answer, FIELD_SETS),
                                                       sizeof(hsm_quorum_policy), take_policy, &made->n_policies);
    return records_finish(&records, (void **)list);
}

hsm_status hsm_quorum_list_all(hsm_session *session, hsm_quorum_list **list)
{
    return API(quorum_list(session, list));
}

void hsm_quorum_list_free(hsm_quorum_list *list)
{
    records_free(list);
}
