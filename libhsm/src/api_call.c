/* Requests of public functions: see api_call.h. */
#include "api_call.h"

#include <openssl/rand.h>
#include "api_cluster.h"
#include "library_context.h"
#include "protocol/catalog.h"
#include "protocol/generation.h"

static status_code fill_random(void *out, size_t len)
{
    char reason[128];

    CHECK(RAND_bytes_ex(library_context(), (unsigned char *)out, len, 0) == 1, STATUS_RANDOM_FAILED,
          "no random bytes: %s", failure_openssl_reason(reason, sizeof(reason)));
    return STATUS_OK;
}

status_code call_begin(struct call *call, hsm_session *session, hsm_cluster *cluster, enum operation operation)
{
    call->session = session;
    call->cluster = session ? session_cluster(session) : cluster;
    values_init(&call->fields);
    call->request.operation = operation;
    call->request.fields = &call->fields;
    call->request.login = session ? session_login(session) : NULL;
    call->request.key_id = NULL;
    call->request.node = NULL;
    call->request.timeout_ms = session ? session_timeout_ms(session) : 0;
    call->request.again = (struct core_relogin){NULL, NULL, 0};
    call->request.status = STATUS_OK;
    call->request.detail[0] = 0;
    call->request.node_name[0] = 0;
    call->request.reply = (struct bytes)BYTES_SECRET;
    values_init(&call->request.answer);
    call->attributes = (struct bytes)BYTES_SECRET;
    call->public_attributes = (struct bytes)BYTES_INIT;
    call->wanted = (struct bytes)BYTES_INIT;
    call->use_proof = (struct bytes)BYTES_SECRET;
    call->n_keys = 0;
    ARGUMENT(call->cluster, "no session or no cluster");
    if (session && session_quorum_token(session, call->quorum_token))
        values_put_bytes(&call->fields, FIELD_QUORUM_TOKEN, slice_of(call->quorum_token, ID_LEN));
    return STATUS_OK;
}

void call_release(struct call *call)
{
    while (call->n_keys > 0)
        session_object_release(call->keys[--call->n_keys]);
    bytes_release(&call->request.reply);
    bytes_release(&call->attributes);
    bytes_release(&call->public_attributes);
    bytes_release(&call->wanted);
    bytes_release(&call->use_proof);
}

/* The masking key was replaced since the object was sealed: it is exchanged for one under the new key. Where that
 * fails, the old one still serves for a while. */
static struct session_object *renewed(hsm_session *session, struct session_object *own)
{
    uint32_t generation = login_key_generation(session_login(session));

    if (generation == 0 || generation_of(session_object_blob(own)) == generation ||
        session_object_seal_anew(session, own) != STATUS_OK)
        return own;
    struct session_object *now = session_object_find(session, session_object_id(own).data);

    if (!now)
        return own;
    session_object_release(own);
    return now;
}

/* Whether the operation does with a private key what its ALWAYS_AUTHENTICATE is about. */
static bool uses_private_key(enum operation operation)
{
    return operation == OP_SIGN || operation == OP_DECRYPT || operation == OP_UNWRAP || operation == OP_DERIVE ||
           operation == OP_DECAPSULATE;
}

void call_put_key(struct call *call, const hsm_key *key, enum field id_field, enum field blob_field)
{
    struct session_object *own = session_object_find(call->session, key->id);

    values_put_bytes(&call->fields, id_field, slice_of(key->id, ID_LEN));
    if (!call->request.key_id)
        call->request.key_id = key->id;
    if (uses_private_key(call->request.operation) && call->use_proof.len == 0 &&
        session_use_proof(call->session, key->id, &call->use_proof))
        values_put_bytes(&call->fields, FIELD_USE_PROOF, bytes_slice(&call->use_proof));
    if (!own)
        return;
    own = renewed(call->session, own);
    call->keys[call->n_keys++] = own;
    values_put_bytes(&call->fields, blob_field, session_object_blob(own));
}

status_code call_put_bytes(struct call *call, enum field field, const void *data, size_t len, const char *what)
{
    uint64_t max = FIELD_SCHEMA.entries[field].max;

    CHECK(data || len == 0, STATUS_INVALID_ARGUMENT, "no %s", what);
    CHECK(len <= max, STATUS_TOO_LARGE, "the %s has %zu bytes; the limit is %llu", what, len, (unsigned long long)max);
    values_put_bytes(&call->fields, field, slice_of(data, len));
    return STATUS_OK;
}

status_code call_put_text(struct call *call, enum field field, const char *text, const char *what)
{
    CHECK(text && *text, STATUS_INVALID_ARGUMENT, "no %s", what);
    size_t len = strlen(text);
    uint64_t max = FIELD_SCHEMA.entries[field].max;
    CHECK(len <= max, STATUS_INVALID_ARGUMENT, "the %s has %zu bytes; the limit is %llu", what, len,
          (unsigned long long)max);
    values_put_bytes(&call->fields, field, slice_of(text, len));
    return STATUS_OK;
}

status_code call_put_generator(struct call *call, uint32_t mechanism)
{
    CHECK(hsm_mechanism_uses(mechanism) & USE_GENERATE, STATUS_MECHANISM_INVALID, "mechanism %u (%s) makes no keys",
          mechanism, hsm_mechanism_name(mechanism) ? hsm_mechanism_name(mechanism) : "unknown");
    values_put_uint(&call->fields, FIELD_MECHANISM, mechanism);
    return STATUS_OK;
}

status_code call_put_request_id(struct call *call)
{
    TRY(fill_random(call->request_id, sizeof(call->request_id)));
    values_put_bytes(&call->fields, FIELD_REQUEST_ID, slice_of(call->request_id, ID_LEN));
    return STATUS_OK;
}

status_code call_put_new_object(struct call *call, const hsm_attribute *attributes, size_t n)
{
    TRY(fill_random(call->new_ids, sizeof(call->new_ids)));
    TRY(call_put_request_id(call));
    TRY(template_encode(attributes, n, &call->attributes));
    values_put_bytes(&call->fields, FIELD_OBJECT_ID, slice_of(call->new_ids[0].id, ID_LEN));
    values_put_bytes(&call->fields, FIELD_ATTRIBUTES, bytes_slice(&call->attributes));
    return STATUS_OK;
}

static status_code attempt(struct call *call)
{
    bytes_clear(&call->request.reply);
    status_code status = core_call(call->cluster->core, &call->request);
    api_error_origin(call->request.operation, call->request.node_name);
    if (status == STATUS_OK)
        return STATUS_OK;
    return failure_set(status, "%s", call->request.detail);
}

status_code call_run(struct call *call)
{
    uint32_t generation;

    if (!call->session)
        return attempt(call);
    TRY(session_require_login(call->session));
    generation = session_generation(call->session);
    status_code status = attempt(call);
    if (status != STATUS_TICKET_EXPIRED)
        return status;
    TRY(session_login_again(call->session, generation));
    return attempt(call);
}

status_code call_take_object(struct call *call, hsm_key *key)
{
    const struct values *answer = &call->request.answer;

    if (values_has(answer, FIELD_BLOB))
        TRY(session_object_keep(call->session, call->new_ids[0].id, values_bytes(answer, FIELD_BLOB),
                                values_bytes(answer, FIELD_ATTRIBUTES)));
    *key = call->new_ids[0];
    return STATUS_OK;
}

status_code call_give(const struct call *call, enum field field, void *out, size_t *out_len)
{
    struct slice from = values_bytes(&call->request.answer, field);

    return output_give(from.data, from.len, out, out_len);
}

status_code call_give_buffer(const struct call *call, enum field field, hsm_buffer *buffer)
{
    return output_buffer(values_bytes(&call->request.answer, field), buffer);
}
