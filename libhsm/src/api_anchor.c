/* Trust anchors (hsm/anchor.h). */
#include "hsm/anchor.h"

#include "api_call.h"
#include "api_records.h"

static status_code anchor_add(hsm_session *session, const char *certificate_pem, uint8_t *hash)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_TRUST_ANCHOR_ADD));
    TRY(call_put_text(&call, FIELD_CERTIFICATE, certificate_pem, "certificate"));
    TRY(call_run(&call));
    struct slice told = values_bytes(&call.request.answer, FIELD_HASH_VALUE);

    if (hash && told.len == HSM_CERTIFICATE_HASH_LEN)
        memcpy(hash, told.data, told.len);
    return STATUS_OK;
}

hsm_status hsm_trust_anchor_add(hsm_session *session, const char *certificate_pem, uint8_t *hash)
{
    return API(anchor_add(session, certificate_pem, hash));
}

static status_code anchor_remove(hsm_session *session, const uint8_t *hash)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_TRUST_ANCHOR_REMOVE));
    TRY(call_put_bytes(&call, FIELD_HASH_VALUE, hash, HSM_CERTIFICATE_HASH_LEN, "hash of the certificate"));
    return call_run(&call);
}

hsm_status hsm_trust_anchor_remove(hsm_session *session, const uint8_t *hash)
{
    return API(anchor_remove(session, hash));
}

static status_code take_anchor(struct records *records, const struct values *record, void *item)
{
    hsm_trust_anchor_info *anchor = (hsm_trust_anchor_info *)item;
    struct slice hash = values_bytes(record, FIELD_HASH_VALUE);

    anchor->size = sizeof(*anchor);
    if (hash.len == HSM_CERTIFICATE_HASH_LEN)
        memcpy(anchor->hash, hash.data, hash.len);
    anchor->name = records_text(records, values_bytes(record, FIELD_NAME));
    anchor->until_ms = values_uint(record, FIELD_TIME_MS, 0);
    return STATUS_OK;
}

static status_code anchor_list(hsm_cluster *cluster, hsm_trust_anchor_list **list)
{
    CLEANUP(call_release) struct call call;
    struct records records;

    TRY(call_begin(&call, NULL, cluster, OP_TRUST_ANCHOR_LIST));
    ARGUMENT(list, "no place for the list");
    TRY(call_run(&call));
    TRY(records_begin(&records, sizeof(hsm_trust_anchor_list)));
    hsm_trust_anchor_list *made = (hsm_trust_anchor_list *)records.head;
    made->size = sizeof(*made);
    made->anchors = (const hsm_trust_anchor_info *const *)records_take(
        &records, values_bytes(&call.request.answer, FIELD_RECORDS), sizeof(hsm_trust_anchor_info), take_anchor,
        &made->n_anchors);
    return records_finish(&records, (void **)list);
}

hsm_status hsm_trust_anchor_list_all(hsm_cluster *cluster, hsm_trust_anchor_list **list)
{
    return API(anchor_list(cluster, list));
}

void hsm_trust_anchor_list_free(hsm_trust_anchor_list *list)
{
    records_free(list);
}
