/* Users (hsm/user.h). */
#include "hsm/user.h"

#include <stdlib.h>
#include <string.h>
#include "api_call.h"
#include "api_records.h"
#include "protocol/secret.h"

#define USER_PAGE 256u

static status_code user_create(hsm_session *session, const char *name, const void *password, size_t password_len,
                               uint32_t role)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_USER_CREATE));
    CHECK(hsm_role_name(role), STATUS_INVALID_ARGUMENT, "there is no role %u", role);
    TRY(call_put_text(&call, FIELD_USER_NAME, name, "user name"));
    TRY(call_put_bytes(&call, FIELD_PASSWORD, password, password_len, "password"));
    values_put_uint(&call.fields, FIELD_USER_ROLE, role);
    TRY(call_put_request_id(&call));
    return call_run(&call);
}

hsm_status hsm_user_create(hsm_session *session, const char *name, const void *password, size_t password_len,
                           uint32_t role)
{
    return API(user_create(session, name, password, password_len, role));
}

static status_code user_delete(hsm_session *session, const char *name)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_USER_DELETE));
    TRY(call_put_text(&call, FIELD_USER_NAME, name, "user name"));
    return call_run(&call);
}

hsm_status hsm_user_delete(hsm_session *session, const char *name)
{
    return API(user_delete(session, name));
}

static status_code change_password(hsm_session *session, const char *name, const void *old_password,
                                   size_t old_password_len, const void *new_password, size_t new_password_len)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_USER_CHANGE_PASSWORD));
    TRY(call_put_text(&call, FIELD_USER_NAME, name, "user name"));
    TRY(call_put_bytes(&call, FIELD_NEW_PASSWORD, new_password, new_password_len, "new password"));
    if (old_password)
        TRY(call_put_bytes(&call, FIELD_PASSWORD, old_password, old_password_len, "old password"));
    return call_run(&call);
}

hsm_status hsm_user_change_password(hsm_session *session, const char *name, const void *old_password,
                                    size_t old_password_len, const void *new_password, size_t new_password_len)
{
    return API(change_password(session, name, old_password, old_password_len, new_password, new_password_len));
}

static status_code take_user(struct records *records, const struct values *record, void *item)
{
    hsm_user_info *user = (hsm_user_info *)item;

    user->size = sizeof(*user);
    user->role = (uint32_t)values_uint(record, FIELD_USER_ROLE, 0);
    user->created_ms = values_uint(record, FIELD_TIME_MS, 0);
    user->name = records_text(records, values_bytes(record, FIELD_USER_NAME));
    user->state = records_text(records, values_bytes(record, FIELD_STATE_NAME));
    return STATUS_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const hsm_user_info *const *)a)->name, (*(const hsm_user_info *const *)b)->name);
}

/* All pages, one behind the other, as encoded records. */
static status_code fetch_users(hsm_cluster *cluster, struct bytes *pages, struct bytes *cursor)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, cluster, OP_USER_LIST));
    values_put_uint(&call.fields, FIELD_LIMIT, USER_PAGE);
    if (cursor->len)
        values_put_bytes(&call.fields, FIELD_CURSOR, bytes_slice(cursor));
    TRY(call_run(&call));
    struct slice records = values_bytes(&call.request.answer, FIELD_RECORDS);
    bytes_append(pages, records.data, records.len);
    TRY(bytes_ok(pages));
    return bytes_assign(cursor, values_bytes(&call.request.answer, FIELD_CURSOR));
}

static status_code list_users(hsm_cluster *cluster, hsm_user_list **list)
{
    CLEANUP(bytes_release) struct bytes pages = BYTES_INIT;
    CLEANUP(bytes_release) struct bytes cursor = BYTES_INIT;
    struct records records;

    ARGUMENT(list, "no place for the list");
    do {
        TRY(fetch_users(cluster, &pages, &cursor));
    } while (cursor.len);
    TRY(records_begin(&records, sizeof(hsm_user_list)));
    hsm_user_list *made = (hsm_user_list *)records.head;
    made->size = sizeof(*made);
    void **users = records_take(&records, bytes_slice(&pages), sizeof(hsm_user_info), take_user, &made->n_users);
    made->users = (const hsm_user_info *const *)users;
    if (records.status == STATUS_OK)
        qsort(users, made->n_users, sizeof(*users), by_name);
    return records_finish(&records, (void **)list);
}

hsm_status hsm_user_list_all(hsm_cluster *cluster, hsm_user_list **list)
{
    return API(list_users(cluster, list));
}

void hsm_user_list_free(hsm_user_list *list)
{
    records_free(list);
}
