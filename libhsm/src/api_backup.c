/* Backups, and the cluster that is made of one (hsm/backup.h). */
#include "hsm/backup.h"

#include <stdio.h>
#include <stdlib.h>
#include "api_call.h"
#include "api_records.h"

#define BACKUP_TIMEOUT_MS 3600000u /* a million keys take some minutes, a slow bucket longer */

static void take_name(struct slice name, hsm_backup_info *info)
{
    snprintf(info->name, sizeof(info->name), "%.*s", (int)name.len, (const char *)name.data);
}

static status_code give_info(const struct values *answer, hsm_backup_info *info)
{
    hsm_backup_info made = {.size = sizeof(made)};

    if (!info)
        return STATUS_OK;
    CHECK(info->size >= sizeof(made), STATUS_INVALID_ARGUMENT, "the size of the backup's description is not set");
    take_name(values_bytes(answer, FIELD_NAME), &made);
    made.created_ms = values_uint(answer, FIELD_TIME_MS, 0);
    made.revision = values_uint(answer, FIELD_REVISION, 0);
    made.n_records = values_uint(answer, FIELD_COUNT, 0);
    *info = made;
    return STATUS_OK;
}

static status_code backup_create(hsm_session *session, hsm_backup_info *info)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_BACKUP_CREATE));
    call.request.timeout_ms = BACKUP_TIMEOUT_MS;
    TRY(call_run(&call));
    return give_info(&call.request.answer, info);
}

hsm_status hsm_backup_create(hsm_session *session, hsm_backup_info *info)
{
    return API(backup_create(session, info));
}

static status_code backup_verify(hsm_session *session, const char *name, hsm_backup_info *info)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_BACKUP_VERIFY));
    TRY(call_put_text(&call, FIELD_NAME, name, "backup name"));
    call.request.timeout_ms = BACKUP_TIMEOUT_MS;
    TRY(call_run(&call));
    return give_info(&call.request.answer, info);
}

hsm_status hsm_backup_verify(hsm_session *session, const char *name, hsm_backup_info *info)
{
    return API(backup_verify(session, name, info));
}

static status_code backup_delete(hsm_session *session, const char *name)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_BACKUP_DELETE));
    TRY(call_put_text(&call, FIELD_NAME, name, "backup name"));
    return call_run(&call);
}

hsm_status hsm_backup_delete(hsm_session *session, const char *name)
{
    return API(backup_delete(session, name));
}

static status_code take_backup(struct records *records, const struct values *record, void *item)
{
    hsm_backup_info *info = (hsm_backup_info *)item;

    (void)records;
    info->size = sizeof(*info);
    take_name(values_bytes(record, FIELD_NAME), info);
    info->created_ms = values_uint(record, FIELD_TIME_MS, 0);
    info->revision = values_uint(record, FIELD_REVISION, 0);
    info->n_bytes = values_uint(record, FIELD_COUNT, 0);
    return STATUS_OK;
}

static int by_time(const void *a, const void *b)
{
    const hsm_backup_info *first = *(const hsm_backup_info *const *)a, *second = *(const hsm_backup_info *const *)b;
    int names = strcmp(first->name, second->name);

    return first->created_ms != second->created_ms ? (first->created_ms > second->created_ms) * 2 - 1 : names;
}

static status_code backup_list(hsm_session *session, hsm_backup_list **list)
{
    CLEANUP(call_release) struct call call;
    struct records records;

    TRY(call_begin(&call, session, NULL, OP_BACKUP_LIST));
    ARGUMENT(list, "no place for the list");
    TRY(call_run(&call));
    TRY(records_begin(&records, sizeof(hsm_backup_list)));
    hsm_backup_list *made = (hsm_backup_list *)records.head;
    made->size = sizeof(*made);
    void **backups = records_take(&records, values_bytes(&call.request.answer, FIELD_RECORDS), sizeof(hsm_backup_info),
                                  take_backup, &made->n_backups);
    made->backups = (const hsm_backup_info *const *)backups;
    if (records.status == STATUS_OK)
        qsort(backups, made->n_backups, sizeof(*backups), by_time);
    return records_finish(&records, (void **)list);
}

hsm_status hsm_backup_list_all(hsm_session *session, hsm_backup_list **list)
{
    return API(backup_list(session, list));
}

void hsm_backup_list_free(hsm_backup_list *list)
{
    records_free(list);
}

static status_code cluster_restore(hsm_cluster *node, const char *name, const char *where, const uint8_t *recovery_key,
                                   hsm_backup_info *info, hsm_buffer *csr)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, node, OP_CLUSTER_RESTORE));
    TRY(call_put_bytes(&call, FIELD_DATA, recovery_key, HSM_RECOVERY_KEY_LEN, "recovery key"));
    if (name)
        TRY(call_put_text(&call, FIELD_NAME, name, "backup name"));
    if (where)
        TRY(call_put_text(&call, FIELD_ADDRESS, where, "destination"));
    call.request.timeout_ms = BACKUP_TIMEOUT_MS;
    TRY(call_run(&call));
    TRY(give_info(&call.request.answer, info));
    return csr ? call_give_buffer(&call, FIELD_CSR, csr) : STATUS_OK;
}

hsm_status hsm_cluster_restore(hsm_cluster *node, const char *name, const char *where, const uint8_t *recovery_key,
                               hsm_backup_info *info, hsm_buffer *csr)
{
    return API(cluster_restore(node, name, where, recovery_key, info, csr));
}
