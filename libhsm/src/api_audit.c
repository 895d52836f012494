/* Reading the audit log (hsm/admin.h). */
#include "hsm/admin.h"

#include "api_call.h"
#include "api_records.h"

static status_code take_entry(struct records *records, const struct values *record, void *item)
{
    hsm_audit_entry *entry = (hsm_audit_entry *)item;
    struct slice object = values_bytes(record, FIELD_OBJECT_ID);
    struct slice hash = values_bytes(record, FIELD_HASH_VALUE);
    struct slice previous = values_bytes(record, FIELD_PREVIOUS_HASH);

    entry->size = sizeof(*entry);
    entry->sequence = values_uint(record, FIELD_SEQUENCE, 0);
    entry->time_ms = values_uint(record, FIELD_TIME_MS, 0);
    entry->status = (hsm_status)values_uint(record, FIELD_STATUS, 0);
    entry->has_object = object.len == ID_LEN;
    records_id(entry->object, object);
    entry->operation = records_text(records, values_bytes(record, FIELD_OPERATION));
    entry->user = records_text(records, values_bytes(record, FIELD_USER_NAME));
    entry->detail = records_text(records, values_bytes(record, FIELD_DETAIL));
    entry->hash = records_bytes(records, hash);
    entry->hash_len = hash.len;
    entry->previous_hash = records_bytes(records, previous);
    entry->previous_hash_len = previous.len;
    return STATUS_OK;
}

static status_code audit_read(hsm_session *session, const uint8_t *node_id, uint64_t sequence, uint32_t limit,
                              hsm_audit_page **page)
{
    CLEANUP(call_release) struct call call;
    struct records records;

    TRY(call_begin(&call, session, NULL, OP_AUDIT_READ));
    ARGUMENT(page, "no place for the entries");
    CHECK(limit <= FIND_PAGE_MAX, STATUS_TOO_LARGE, "%u entries at once; the limit is %u", limit, FIND_PAGE_MAX);
    if (sequence)
        values_put_uint(&call.fields, FIELD_SEQUENCE, sequence);
    if (limit)
        values_put_uint(&call.fields, FIELD_LIMIT, limit);
    if (node_id)
        values_put_bytes(&call.fields, FIELD_NODE_ID, slice_of(node_id, ID_LEN));
    TRY(call_run(&call));

    TRY(records_begin(&records, sizeof(hsm_audit_page)));
    hsm_audit_page *made = (hsm_audit_page *)records.head;
    made->size = sizeof(*made);
    made->n_total = values_uint(&call.request.answer, FIELD_COUNT, 0);
    made->entries =
        (const hsm_audit_entry *const *)records_take(&records, values_bytes(&call.request.answer, FIELD_RECORDS),
                                                     sizeof(hsm_audit_entry), take_entry, &made->n_entries);
    return records_finish(&records, (void **)page);
}

hsm_status hsm_audit_read(hsm_session *session, const uint8_t *node_id, uint64_t sequence, uint32_t limit,
                          hsm_audit_page **page)
{
    return API(audit_read(session, node_id, sequence, limit, page));
}

void hsm_audit_page_free(hsm_audit_page *page)
{
    records_free(page);
}

static status_code give_checkpoint(const struct call *call, hsm_buffer given[3])
{
    TRY(call_give_buffer(call, FIELD_DATA, &given[0]));
    TRY(call_give_buffer(call, FIELD_SIGNATURE, &given[1]));
    return call_give_buffer(call, FIELD_CERTIFICATE, &given[2]);
}

static status_code audit_checkpoint(hsm_session *session, const uint8_t *node_id, hsm_buffer *text,
                                    hsm_buffer *signature, hsm_buffer *certificate)
{
    CLEANUP(call_release) struct call call;
    hsm_buffer given[3] = {{0}};

    TRY(call_begin(&call, session, NULL, OP_AUDIT_CHECKPOINT));
    ARGUMENT(text && signature && certificate, "no place for the checkpoint");
    if (node_id)
        values_put_bytes(&call.fields, FIELD_NODE_ID, slice_of(node_id, ID_LEN));
    TRY(call_run(&call));
    status_code status = give_checkpoint(&call, given);

    if (status != STATUS_OK) {
        for (int i = 0; i < 3; i++)
            hsm_buffer_free(&given[i]);
        return status;
    }
    *text = given[0];
    *signature = given[1];
    *certificate = given[2];
    return STATUS_OK;
}

hsm_status hsm_audit_checkpoint(hsm_session *session, const uint8_t *node_id, hsm_buffer *text, hsm_buffer *signature,
                                hsm_buffer *certificate)
{
    return API(audit_checkpoint(session, node_id, text, signature, certificate));
}
