/* Users. The rules are in user/user.h; here requests become calls. */
#include "operation/handlers.h"

#define FLAG_SECOND_FACTOR 1u

status_code op_user_create(struct call *call)
{
    uint64_t role = values_uint(call->request, FIELD_USER_ROLE, ROLE_NONE);
    struct slice request_id = call_bytes(call, FIELD_REQUEST_ID);

    CHECK(role == ROLE_ADMIN || role == ROLE_USER || role == ROLE_AUDITOR, STATUS_INVALID_ARGUMENT,
          "there is no role %llu", (unsigned long long)role);
    CHECK(request_id.len == ID_LEN, STATUS_INVALID_ARGUMENT, "a request id has %u bytes, not %zu", ID_LEN,
          request_id.len);
    return users_create(call->node->users, &call->caller, call_bytes(call, FIELD_USER_NAME),
                        call_bytes(call, FIELD_PASSWORD), (enum role)role, request_id.data);
}

status_code op_user_delete(struct call *call)
{
    return users_delete(call->node->users, &call->caller, call_bytes(call, FIELD_USER_NAME));
}

status_code op_user_list(struct call *call)
{
    struct bytes *records = call_buffer(call), *cursor = call_buffer(call);

    TRY(users_list(call->node->users, call_bytes(call, FIELD_CURSOR),
                   values_uint(call->request, FIELD_LIMIT, FIND_PAGE_MAX), records, cursor));
    call_answer(call, FIELD_RECORDS, records);
    call_answer(call, FIELD_CURSOR, cursor);
    return STATUS_OK;
}

status_code op_user_change_password(struct call *call)
{
    return users_change_password(call->node->users, &call->caller, call_bytes(call, FIELD_USER_NAME),
                                 call_bytes(call, FIELD_PASSWORD), call_bytes(call, FIELD_NEW_PASSWORD));
}

status_code op_user_set_signer(struct call *call)
{
    return users_set_signer(call->node->users, &call->caller, call_bytes(call, FIELD_USER_NAME),
                            call_bytes(call, FIELD_PEER_PUBLIC), call_bytes(call, FIELD_SIGNATURE),
                            values_uint(call->request, FIELD_FLAGS, 0) & FLAG_SECOND_FACTOR);
}
