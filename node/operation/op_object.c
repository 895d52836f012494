/* Objects without cryptography: made from what is given, copied, looked at, changed, found, deleted, shared. */
#include "operation/handlers.h"

status_code op_object_create(struct call *call)
{
    struct object_new new = call_new(call, ORIGIN_IMPORTED);
    bool done = false;

    TRY(call_answer_created(call, &new, &done));
    return done ? STATUS_OK : call_create(call, &new);
}

status_code op_object_copy(struct call *call)
{
    CLEANUP(object_release) struct object *original = NULL;
    struct object_new new = call_new(call, ORIGIN_COPIED);
    bool done = false;

    TRY(call_answer_created(call, &new, &done));
    if (done)
        return STATUS_OK;
    TRY(call_object(call, FIELD_SECOND_ID, FIELD_SECOND_BLOB, &original));
    TRY(object_manage(original, &call->caller, "copy an object"));
    CHECK(values_bool(&original->attributes, ATTRIBUTE_COPYABLE, true), STATUS_NOT_PERMITTED,
          "the object's COPYABLE is false");
    new.parent = original;
    if (values_has(&original->attributes, ATTRIBUTE_KEY_TYPE))
        TRY(object_key(original, &new.key));
    return call_create(call, &new);
}

status_code op_object_get(struct call *call)
{
    CLEANUP(object_release) struct object *object = NULL;
    struct bytes *attributes = call_buffer(call);

    TRY(call_object(call, FIELD_OBJECT_ID, FIELD_BLOB, &object));
    TRY(object_describe(object, &call->caller, call_bytes(call, FIELD_WANTED), attributes));
    values_put_bytes(call->answer, FIELD_OBJECT_ID, call_bytes(call, FIELD_OBJECT_ID));
    call_answer(call, FIELD_ATTRIBUTES, attributes);
    return STATUS_OK;
}

status_code op_object_set(struct call *call)
{
    CLEANUP(object_made_release) struct object_made made = {.attributes = BYTES_INIT};

    TRY(objects_set(call->node->objects, &call->caller, call_bytes(call, FIELD_OBJECT_ID), call_bytes(call, FIELD_BLOB),
                    call_bytes(call, FIELD_REQUEST_ID), call_bytes(call, FIELD_ATTRIBUTES), &made));
    return call_answer_made(call, &made, FIELD_OBJECT_ID, FIELD_ATTRIBUTES, FIELD_BLOB);
}

status_code op_object_find(struct call *call)
{
    struct bytes *records = call_buffer(call), *cursor = call_buffer(call);

    TRY(objects_find(call->node->objects, &call->caller, call_bytes(call, FIELD_ATTRIBUTES),
                     call_bytes(call, FIELD_WANTED), call_bytes(call, FIELD_CURSOR),
                     values_uint(call->request, FIELD_LIMIT, FIND_PAGE_MAX), records, cursor));
    call_answer(call, FIELD_RECORDS, records);
    call_answer(call, FIELD_CURSOR, cursor);
    return STATUS_OK;
}

status_code op_object_delete(struct call *call)
{
    return objects_delete(call->node->objects, &call->caller, call_bytes(call, FIELD_OBJECT_ID),
                          call_bytes(call, FIELD_BLOB), call_bytes(call, FIELD_REQUEST_ID));
}

#define FLAG_UNSHARE 1u

status_code op_object_share(struct call *call)
{
    bool share = !(values_uint(call->request, FIELD_FLAGS, 0) & FLAG_UNSHARE);
    return objects_share(call->node->objects, &call->caller, call_bytes(call, FIELD_OBJECT_ID),
                         call_bytes(call, FIELD_USER_NAME), share, call_bytes(call, FIELD_REQUEST_ID));
}
