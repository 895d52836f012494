/* Backups, and the cluster that is made of one. */
#include "backup/backup.h"
#include "operation/handlers.h"

/* The name is appended to a buffer, so that it lives until the answer is encoded. */
static status_code answer(struct call *call, const struct backup_done *done)
{
    struct bytes *name = call_buffer(call);

    bytes_append(name, done->name, strlen(done->name));
    TRY(bytes_ok(name));
    call_answer(call, FIELD_NAME, name);
    values_put_uint(call->answer, FIELD_COUNT, done->n_records);
    values_put_uint(call->answer, FIELD_REVISION, done->revision);
    values_put_uint(call->answer, FIELD_TIME_MS, done->created_ms);
    return STATUS_OK;
}

status_code op_backup_create(struct call *call)
{
    struct backup_done done;

    TRY(backup_create(call->node, &done));
    return answer(call, &done);
}

status_code op_backup_verify(struct call *call)
{
    struct backup_done done;

    TRY(backup_verify(call->node, call_bytes(call, FIELD_NAME), &done));
    return answer(call, &done);
}

status_code op_backup_list(struct call *call)
{
    struct bytes *records = call_buffer(call);

    TRY(backup_list(call->node, records));
    call_answer(call, FIELD_RECORDS, records);
    return STATUS_OK;
}

status_code op_backup_delete(struct call *call)
{
    return backup_delete(call->node, call_bytes(call, FIELD_NAME));
}

status_code op_cluster_restore(struct call *call)
{
    struct identity *identity = call->node->identity;
    struct bytes *csr = call_buffer(call);
    struct backup_done done;

    TRY(backup_restore(call->node, call_bytes(call, FIELD_NAME), call_bytes(call, FIELD_ADDRESS),
                       call_bytes(call, FIELD_DATA), &done));
    TRY(identity_csr(identity, csr));
    values_put_bytes(call->answer, FIELD_CLUSTER_ID, slice_of(identity_cluster_id(identity), ID_LEN));
    call_answer(call, FIELD_CSR, csr);
    return answer(call, &done);
}
