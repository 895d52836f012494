/* Sessions: opened, closed, passed to other processes (hsm/session.h). Logging in is in api_login.c. */
#include "hsm/session.h"

#include <stdlib.h>
#include "api_call.h"
#include "api_session_internal.h"
#include "config.h"
#include "protocol/secret.h"
#include "protocol/writer.h"

static status_code session_open(hsm_cluster *cluster, hsm_session **session)
{
    ARGUMENT(cluster && session, "no cluster, or no place for the session");
    hsm_session *made = (hsm_session *)calloc(1, sizeof(*made));
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a session");
    made->cluster = cluster;
    made->login = login_new();
    if (!made->login) {
        free(made);
        FAIL(STATUS_OUT_OF_MEMORY, "no memory for a session");
    }
    *session = made;
    return STATUS_OK;
}

hsm_status hsm_session_open(hsm_cluster *cluster, hsm_session **session)
{
    return API(session_open(cluster, session));
}

void hsm_session_close(hsm_session *session)
{
    if (!session)
        return;
    login_release(session->login);
    session_objects_drop(session);
    session_use_proofs_drop(session);
    session_forget_kept(session);
    session_forget_refusal(session);
    free(session);
}

hsm_cluster *hsm_session_cluster(const hsm_session *session)
{
    return session ? session->cluster : NULL;
}

static status_code set_timeout(hsm_session *session, uint32_t timeout_ms)
{
    ARGUMENT(session, "no session");
    ARGUMENT(timeout_ms == 0 || (timeout_ms >= TIMEOUT_MIN_MS && timeout_ms <= TIMEOUT_MAX_MS),
             "a call takes between 10 and 3600000 ms");
    session->timeout_ms = timeout_ms;
    return STATUS_OK;
}

hsm_status hsm_session_set_timeout(hsm_session *session, uint32_t timeout_ms)
{
    return API(set_timeout(session, timeout_ms));
}

uint32_t session_timeout_ms(const hsm_session *session)
{
    return session->timeout_ms;
}

hsm_cluster *session_cluster(const hsm_session *session)
{
    return session->cluster;
}

struct login *session_login(const hsm_session *session)
{
    return session->login;
}

bool session_quorum_token(hsm_session *session, uint8_t token_id[ID_LEN])
{
    if (!atomic_load_explicit(&session->has_quorum_token, memory_order_acquire))
        return false;
    api_lock_take(&session->lock);
    bool has = atomic_load(&session->has_quorum_token);

    memcpy(token_id, session->quorum_token, ID_LEN);
    api_lock_give(&session->lock);
    return has;
}

void session_set_quorum_token(hsm_session *session, const uint8_t *token_id)
{
    api_lock_take(&session->lock);
    if (token_id)
        memcpy(session->quorum_token, token_id, ID_LEN);
    atomic_store(&session->has_quorum_token, token_id != NULL);
    api_lock_give(&session->lock);
}

uint32_t session_generation(const hsm_session *session)
{
    return atomic_load_explicit(&session->generation, memory_order_acquire);
}

static status_code session_ticket(const hsm_session *session, uint8_t *ticket, size_t *ticket_len)
{
    CLEANUP(bytes_release) struct bytes copy = BYTES_SECRET;

    ARGUMENT(session && ticket_len, "no session, or no place for the ticket's length");
    TRY(login_copy(session->login, &copy));
    CHECK(copy.len, STATUS_NOT_LOGGED_IN, "nobody is logged in on this session");
    return output_give(copy.data, copy.len, ticket, ticket_len);
}

hsm_status hsm_session_ticket(const hsm_session *session, uint8_t *ticket, size_t *ticket_len)
{
    return API(session_ticket(session, ticket, ticket_len));
}

/* Session objects between processes: [id, blob]. */

static status_code export_object(hsm_session *session, const hsm_key *key, uint8_t *out, size_t *out_len)
{
    CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT;

    ARGUMENT(session && out_len, "no session, or no place for the length");
    struct session_object *object = session_object_find(session, key->id);
    CHECK(object, STATUS_OBJECT_NOT_FOUND, "the object is none of this session's session objects");
    write_array(&encoded, 2);
    write_bin(&encoded, session_object_id(object));
    write_bin(&encoded, session_object_blob(object));
    session_object_release(object);
    TRY(bytes_ok(&encoded));
    return output_give(encoded.data, encoded.len, out, out_len);
}

hsm_status hsm_session_export_object(const hsm_session *session, hsm_key key, uint8_t *out, size_t *out_len)
{
    /* Looking an object up counts a reference, which is no change that a caller could see. */
    return API(export_object((hsm_session *)session, &key, out, out_len));
}

static status_code forget_object(hsm_session *session, const hsm_key *key)
{
    ARGUMENT(session, "no session");
    CHECK(session_object_forget(session, key->id), STATUS_OBJECT_NOT_FOUND,
          "the object is none of this session's session objects");
    return STATUS_OK;
}

hsm_status hsm_session_forget_object(hsm_session *session, hsm_key key)
{
    return API(forget_object(session, &key));
}

static status_code read_sealed(struct slice sealed, struct slice *id, struct slice *blob)
{
    struct reader reader = reader_of(sealed);
    uint32_t n;

    TRY(read_array(&reader, &n));
    CHECK(n == 2, STATUS_PROTOCOL_ERROR, "%u parts", n);
    TRY(read_bin(&reader, ID_LEN, id));
    TRY(read_bin(&reader, BLOB_MAX, blob));
    CHECK(id->len == ID_LEN && reader_at_end(&reader), STATUS_PROTOCOL_ERROR, "wrong length");
    return STATUS_OK;
}

static status_code import_object(hsm_session *session, struct slice sealed, hsm_key *key)
{
    CLEANUP(call_release) struct call call;
    struct slice id, blob;

    TRY(call_begin(&call, session, NULL, OP_OBJECT_GET));
    ARGUMENT(sealed.data && key, "no sealed object, or no place for the key");
    CHECK(read_sealed(sealed, &id, &blob) == STATUS_OK, STATUS_INVALID_ARGUMENT,
          "these %zu bytes are no session object as hsm_session_export_object gives them", sealed.len);
    values_put_bytes(&call.fields, FIELD_OBJECT_ID, id);
    values_put_bytes(&call.fields, FIELD_BLOB, blob);
    TRY(call_run(&call));
    TRY(session_object_keep(session, id.data, blob, values_bytes(&call.request.answer, FIELD_ATTRIBUTES)));
    memcpy(key->id, id.data, ID_LEN);
    return STATUS_OK;
}

hsm_status hsm_session_import_object(hsm_session *session, const uint8_t *sealed, size_t sealed_len, hsm_key *key)
{
    return API(import_object(session, slice_of(sealed, sealed_len), key));
}
