/* Objects: made, read, changed, shared, deleted (hsm/object.h). */
#include "hsm/object.h"

#include "api_object.h"
#include "protocol/catalog.h"

status_code api_key_generate(hsm_session *session, uint32_t mechanism, const hsm_attribute *attributes, size_t n,
                             hsm_key *key)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_KEY_GENERATE));
    ARGUMENT(key, "no place for the key");
    TRY(call_put_generator(&call, mechanism));
    TRY(call_put_new_object(&call, attributes, n));
    TRY(call_run(&call));
    return call_take_object(&call, key);
}

hsm_status hsm_key_generate(hsm_session *session, uint32_t mechanism, const hsm_attribute *attributes, size_t n,
                            hsm_key *key)
{
    return API(api_key_generate(session, mechanism, attributes, n, key));
}

/* The two keys of a pair as one creation answers with them. */
static status_code take_pair(struct call *call, hsm_key *public_key, hsm_key *private_key)
{
    if (values_has(&call->request.answer, FIELD_PUBLIC_BLOB))
        TRY(session_object_keep(call->session, call->new_ids[1].id,
                                values_bytes(&call->request.answer, FIELD_PUBLIC_BLOB),
                                values_bytes(&call->request.answer, FIELD_PUBLIC_ATTRIBUTES)));
    TRY(call_take_object(call, private_key));
    *public_key = call->new_ids[1];
    return STATUS_OK;
}

status_code api_key_pair_generate(hsm_session *session, uint32_t mechanism, const hsm_attribute *public_attributes,
                                  size_t n_public, const hsm_attribute *private_attributes, size_t n_private,
                                  hsm_key *public_key, hsm_key *private_key)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_KEY_PAIR_GENERATE));
    ARGUMENT(public_key && private_key, "no place for the keys");
    TRY(call_put_generator(&call, mechanism));
    TRY(call_put_new_object(&call, private_attributes, n_private));
    TRY(template_encode(public_attributes, n_public, &call.public_attributes));
    values_put_bytes(&call.fields, FIELD_PUBLIC_ID, slice_of(call.new_ids[1].id, ID_LEN));
    values_put_bytes(&call.fields, FIELD_PUBLIC_ATTRIBUTES, bytes_slice(&call.public_attributes));
    TRY(call_run(&call));
    return take_pair(&call, public_key, private_key);
}

hsm_status hsm_key_pair_generate(hsm_session *session, uint32_t mechanism, const hsm_attribute *public_attributes,
                                 size_t n_public, const hsm_attribute *private_attributes, size_t n_private,
                                 hsm_key *public_key, hsm_key *private_key)
{
    return API(api_key_pair_generate(session, mechanism, public_attributes, n_public, private_attributes, n_private,
                                     public_key, private_key));
}

static status_code object_create(hsm_session *session, const hsm_attribute *attributes, size_t n, hsm_key *object)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_OBJECT_CREATE));
    ARGUMENT(object, "no place for the object");
    TRY(call_put_new_object(&call, attributes, n));
    TRY(call_run(&call));
    return call_take_object(&call, object);
}

hsm_status hsm_object_create(hsm_session *session, const hsm_attribute *attributes, size_t n, hsm_key *object)
{
    return API(object_create(session, attributes, n, object));
}

static status_code object_copy(hsm_session *session, const hsm_key *object, const hsm_attribute *attributes, size_t n,
                               hsm_key *copy)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_OBJECT_COPY));
    ARGUMENT(copy, "no place for the copy");
    CALL_SECOND(&call, object);
    TRY(call_put_new_object(&call, attributes, n));
    TRY(call_run(&call));
    return call_take_object(&call, copy);
}

hsm_status hsm_object_copy(hsm_session *session, hsm_key object, const hsm_attribute *attributes, size_t n,
                           hsm_key *copy)
{
    return API(object_copy(session, &object, attributes, n, copy));
}

status_code api_object_get(hsm_session *session, const hsm_key *object, const uint32_t *wanted, size_t n_wanted,
                           hsm_attributes **attributes)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_OBJECT_GET));
    ARGUMENT(attributes, "no place for the attributes");
    CALL_KEY(&call, object);
    if (n_wanted) {
        TRY(wanted_encode(wanted, n_wanted, &call.wanted));
        values_put_bytes(&call.fields, FIELD_WANTED, bytes_slice(&call.wanted));
    }
    TRY(call_run(&call));
    return attributes_decode(values_bytes(&call.request.answer, FIELD_ATTRIBUTES), slice_of(NULL, 0), attributes);
}

hsm_status hsm_object_get(hsm_session *session, hsm_key object, const uint32_t *wanted, size_t n_wanted,
                          hsm_attributes **attributes)
{
    return API(api_object_get(session, &object, wanted, n_wanted, attributes));
}

/* OBJECT_SET without attributes changes nothing. */
status_code session_object_seal_anew(hsm_session *session, struct session_object *object)
{
    static const uint8_t no_attributes[] = {0x80}; /* an empty map */
    const uint8_t *id = session_object_id(object).data;
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_OBJECT_SET));
    values_put_bytes(&call.fields, FIELD_OBJECT_ID, session_object_id(object));
    values_put_bytes(&call.fields, FIELD_BLOB, session_object_blob(object));
    values_put_bytes(&call.fields, FIELD_ATTRIBUTES, slice_of(no_attributes, sizeof(no_attributes)));
    TRY(call_put_request_id(&call));
    call.request.key_id = id;
    TRY(call_run(&call));
    CHECK(values_has(&call.request.answer, FIELD_BLOB), STATUS_PROTOCOL_ERROR, "no session object came back");
    return session_object_exchange(session, object, values_bytes(&call.request.answer, FIELD_BLOB),
                                   values_bytes(&call.request.answer, FIELD_ATTRIBUTES));
}

static status_code object_set(hsm_session *session, const hsm_key *object, const hsm_attribute *attributes, size_t n)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_OBJECT_SET));
    CALL_KEY(&call, object);
    TRY(call_put_request_id(&call));
    TRY(template_encode(attributes, n, &call.attributes));
    values_put_bytes(&call.fields, FIELD_ATTRIBUTES, bytes_slice(&call.attributes));
    TRY(call_run(&call));
    if (!values_has(&call.request.answer, FIELD_BLOB))
        return STATUS_OK;
    return session_object_keep(session, object->id, values_bytes(&call.request.answer, FIELD_BLOB),
                               values_bytes(&call.request.answer, FIELD_ATTRIBUTES));
}

hsm_status hsm_object_set(hsm_session *session, hsm_key object, const hsm_attribute *attributes, size_t n)
{
    return API(object_set(session, &object, attributes, n));
}

static status_code object_delete(hsm_session *session, const hsm_key *object)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_OBJECT_DELETE));
    CALL_KEY(&call, object);
    TRY(call_put_request_id(&call));
    TRY(call_run(&call));
    (void)session_object_forget(session, object->id);
    return STATUS_OK;
}

hsm_status hsm_object_delete(hsm_session *session, hsm_key object)
{
    return API(object_delete(session, &object));
}

static status_code key_share(hsm_session *session, const hsm_key *key, const char *user, bool share)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_OBJECT_SHARE));
    values_put_bytes(&call.fields, FIELD_OBJECT_ID, slice_of(key->id, ID_LEN));
    TRY(call_put_text(&call, FIELD_USER_NAME, user, "user name"));
    TRY(call_put_request_id(&call));
    if (!share)
        values_put_uint(&call.fields, FIELD_FLAGS, 1);
    return call_run(&call);
}

hsm_status hsm_key_share(hsm_session *session, hsm_key key, const char *user)
{
    return API(key_share(session, &key, user, true));
}

hsm_status hsm_key_unshare(hsm_session *session, hsm_key key, const char *user)
{
    return API(key_share(session, &key, user, false));
}

static status_code key_export_public(hsm_session *session, const hsm_key *key, uint8_t *der, size_t *der_len)
{
    static const uint32_t wanted[] = {ATTRIBUTE_PUBLIC_KEY_INFO};
    hsm_attributes *attributes = NULL;

    ARGUMENT(der_len, "no place for the key's length");
    TRY(api_object_get(session, key, wanted, 1, &attributes));
    size_t len;
    const uint8_t *info = hsm_attributes_bytes(attributes, ATTRIBUTE_PUBLIC_KEY_INFO, &len);
    status_code status = info ? output_give(info, len, der, der_len) : STATUS_KEY_TYPE_INCONSISTENT;
    hsm_attributes_free(attributes);
    CHECK(info, STATUS_KEY_TYPE_INCONSISTENT, "the object has no public key");
    return status;
}

hsm_status hsm_key_export_public(hsm_session *session, hsm_key key, uint8_t *der, size_t *der_len)
{
    return API(key_export_public(session, &key, der, der_len));
}
