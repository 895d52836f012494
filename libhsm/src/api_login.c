/* Logging in and out (hsm/session.h). What is prepared for is in api_login_prepare.c, what the library does by itself
 * in api_login_again.c. */
#include "hsm/session.h"

#include <stdio.h>
#include <stdlib.h>
#include "api_call.h"
#include "api_cluster.h"
#include "api_session_internal.h"
#include "protocol/catalog.h"

bool session_is_of(hsm_session *session, const char *user)
{
    api_lock_take(&session->lock);
    bool same = strcmp(session->info.user, user) == 0;
    api_lock_give(&session->lock);
    return same;
}

static void set_info(hsm_session *session, const char *user, uint32_t role, uint64_t expires_ms)
{
    hsm_login_info info = {sizeof(info), "", role, expires_ms};

    snprintf(info.user, sizeof(info.user), "%s", user);
    api_lock_take(&session->lock);
    session->info = info;
    api_lock_give(&session->lock);
}

/* What is of no use to another login. */
static void session_drop(hsm_session *session)
{
    session_objects_drop(session);
    session_use_proofs_drop(session);
}

status_code session_log_in(hsm_session *session, const char *user, struct slice password,
                           const struct login_proof *proof)
{
    CLEANUP(call_release) struct call call;
    CLEANUP(bytes_release) struct bytes earlier = BYTES_SECRET;

    TRY(call_begin(&call, NULL, session ? session->cluster : NULL, OP_LOGIN));
    call.request.timeout_ms = session_timeout_ms(session);
    TRY(call_put_text(&call, FIELD_USER_NAME, user, "user name"));
    TRY(call_put_bytes(&call, FIELD_PASSWORD, password.data, password.len, "password"));
    if (proof) {
        TRY(call_put_bytes(&call, FIELD_STATE, proof->state.data, proof->state.len, "challenge"));
        TRY(call_put_bytes(&call, FIELD_SIGNATURE, proof->signature.data, proof->signature.len, "signature"));
    }
    bool keeps = session_is_of(session, user);
    if (keeps)
        TRY(login_copy(session->login, &earlier));
    if (earlier.len)
        values_put_bytes(&call.fields, FIELD_TICKET, bytes_slice(&earlier));
    TRY(call_run(&call));

    struct slice ticket = values_bytes(&call.request.answer, FIELD_TICKET);
    CHECK(ticket.len, STATUS_PROTOCOL_ERROR, "a node logged in without giving a ticket");
    if (!keeps)
        session_drop(session);
    TRY(login_set(session->login, ticket));
    set_info(session, user, (uint32_t)values_uint(&call.request.answer, FIELD_USER_ROLE, 0),
             values_uint(&call.request.answer, FIELD_TIME_MS, 0));
    atomic_fetch_add_explicit(&session->generation, 1, memory_order_release);
    return STATUS_OK;
}

/* No call logs in again by itself any more. */
static void forget_credentials(hsm_session *session)
{
    atomic_store(&session->prepared, false);
    atomic_store(&session->from_config, false);
    session_forget_kept(session);
    session_forget_refusal(session);
}

static status_code login_explicit(hsm_session *session, const char *user, struct slice password,
                                  const struct login_proof *proof)
{
    TRY(session_log_in(session, user, password, proof));
    forget_credentials(session);
    return STATUS_OK;
}

static status_code login_kept(hsm_session *session, const char *user, struct slice password)
{
    TRY(login_explicit(session, user, password, NULL));
    return session_keep_login(session, user, password);
}

hsm_status hsm_login_kept(hsm_session *session, const char *user, const void *password, size_t password_len)
{
    return API(login_kept(session, user, slice_of(password, password_len)));
}

hsm_status hsm_login(hsm_session *session, const char *user, const void *password, size_t password_len)
{
    return API(login_explicit(session, user, slice_of(password, password_len), NULL));
}

hsm_status hsm_login_signed(hsm_session *session, const char *user, const void *password, size_t password_len,
                            const void *state, size_t state_len, const void *signature, size_t signature_len)
{
    const struct login_proof proof = {slice_of(state, state_len), slice_of(signature, signature_len)};

    return API(login_explicit(session, user, slice_of(password, password_len), &proof));
}

static status_code login_challenge(hsm_cluster *cluster, const char *user, hsm_buffer *text, hsm_buffer *state)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, cluster, OP_LOGIN_CHALLENGE));
    ARGUMENT(text && state, "no place for the challenge");
    TRY(call_put_text(&call, FIELD_USER_NAME, user, "user name"));
    TRY(call_run(&call));
    TRY(call_give_buffer(&call, FIELD_DATA, text));
    status_code status = call_give_buffer(&call, FIELD_STATE, state);

    if (status != STATUS_OK)
        hsm_buffer_free(text);
    return status;
}

hsm_status hsm_login_challenge(hsm_cluster *cluster, const char *user, hsm_buffer *text, hsm_buffer *state)
{
    return API(login_challenge(cluster, user, text, state));
}

static status_code login_default(hsm_session *session)
{
    ARGUMENT(session, "no session");
    TRY(session_log_in_from_config(session));
    forget_credentials(session);
    atomic_store(&session->from_config, true);
    return STATUS_OK;
}

hsm_status hsm_login_default(hsm_session *session)
{
    return API(login_default(session));
}

status_code session_forget_login(hsm_session *session)
{
    ARGUMENT(session, "no session");
    forget_credentials(session);
    TRY(login_set(session->login, slice_of(NULL, 0)));
    set_info(session, "", 0, 0);
    session_drop(session);
    return STATUS_OK;
}

hsm_status hsm_login_forget(hsm_session *session)
{
    return API(session_forget_login(session));
}

static status_code logout(hsm_session *session)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_LOGOUT));
    forget_credentials(session);
    status_code status = call_run(&call);
    /* A login that has ended already is as good as ended. */
    if (status != STATUS_OK && status != STATUS_TICKET_EXPIRED)
        return status;
    return session_forget_login(session);
}

hsm_status hsm_logout(hsm_session *session)
{
    return API(logout(session));
}

static status_code login_ticket(hsm_session *session, struct slice ticket)
{
    ARGUMENT(session && ticket.data && ticket.len && ticket.len <= TICKET_MAX, "no session, or no ticket");
    session_drop(session);
    TRY(login_set(session->login, ticket));
    forget_credentials(session);
    set_info(session, "", 0, 0);
    atomic_fetch_add_explicit(&session->generation, 1, memory_order_release);
    return STATUS_OK;
}

hsm_status hsm_login_ticket(hsm_session *session, const uint8_t *ticket, size_t ticket_len)
{
    return API(login_ticket(session, slice_of(ticket, ticket_len)));
}

static status_code login_info(hsm_session *session, hsm_login_info *info)
{
    hsm_login_info copy;

    ARGUMENT(session && info && info->size >= sizeof(info->size), "no session, or no info with its size set");
    api_lock_take(&session->lock);
    copy = session->info;
    api_lock_give(&session->lock);
    copy.size = info->size < sizeof(copy) ? info->size : sizeof(copy);
    memcpy(info, &copy, copy.size);
    return STATUS_OK;
}

hsm_status hsm_session_login_info(const hsm_session *session, hsm_login_info *info)
{
    /* The lock is taken, which is no change that a caller could see. */
    return API(login_info((hsm_session *)session, info));
}
