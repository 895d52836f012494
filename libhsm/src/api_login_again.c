/* Logging in when a call needs it and the credentials are known, from the configuration or because they are kept: again
 * when a ticket has expired, and for the first time where that was prepared. One thread does it, while the others wait
 * for it. */
#include <time.h>
#include "api_cluster.h"
#include "api_credentials.h"
#include "api_session_internal.h"
#include "protocol/secret.h"

/* A login that another thread is carrying out is looked for this often. */
#define LOOK_NS 2000000L

/* --- what is kept --- */

/* Takes `kept`; NULL: nothing is kept any more. */
static void replace_kept(hsm_session *session, struct kept_login *kept)
{
    api_lock_take(&session->lock);
    struct kept_login *before = session->kept;

    session->kept = kept;
    api_lock_give(&session->lock);
    kept_login_free(before);
}

status_code session_keep_login(hsm_session *session, const char *user, struct slice password)
{
    struct kept_login *kept;

    TRY(kept_login_new(user, password, &kept));
    replace_kept(session, kept);
    return STATUS_OK;
}

void session_forget_kept(hsm_session *session)
{
    replace_kept(session, NULL);
}

/* A copy, to be wiped; false when nothing is kept. */
static bool copy_kept(hsm_session *session, struct kept_login *copy)
{
    api_lock_take(&session->lock);
    bool is_kept = session->kept != NULL;

    if (is_kept)
        *copy = *session->kept;
    api_lock_give(&session->lock);
    return is_kept;
}

static status_code credentials_from_kept(hsm_session *session, struct credentials *credentials)
{
    struct kept_login kept;

    if (!copy_kept(session, &kept))
        return STATUS_LOGIN_FAILED;
    memcpy(credentials->user, kept.user, sizeof(credentials->user));
    status_code status = bytes_assign(&credentials->password, slice_of(kept.password, kept.password_len));

    secret_wipe(&kept, sizeof(kept));
    return status;
}

status_code session_credentials(hsm_session *session, struct credentials *credentials, bool *from_kept)
{
    const struct hsm_config *config = session->cluster->config;

    *from_kept = false;
    if (!atomic_load(&session->prepared))
        return credentials_read(config, credentials);
    status_code status = credentials_read_again(config, credentials);

    if (status == STATUS_OK || credentials_from_kept(session, credentials) != STATUS_OK)
        return status;
    *from_kept = true;
    return STATUS_OK;
}

/* --- logging in with it --- */

/* Of a prepared session: what served is kept from now on. What was refused is tried once: trying on would lock the
 * user. */
static void learn(hsm_session *session, const struct credentials *credentials, bool from_kept, status_code status)
{
    if (!atomic_load(&session->prepared))
        return;
    if (status == STATUS_OK && !from_kept) /* without memory the earlier one stays */
        (void)session_keep_login(session, credentials->user, bytes_slice(&credentials->password));
    if (status == STATUS_LOGIN_FAILED && from_kept)
        session_forget_kept(session);
}

static status_code log_in_from_config(hsm_session *session, bool by_itself)
{
    CLEANUP(credentials_release) struct credentials credentials = CREDENTIALS_INIT;
    bool from_kept;

    TRY(session_credentials(session, &credentials, &from_kept));
    if (by_itself)
        TRY(session_check_refusal(session, &credentials));
    status_code status = session_log_in(session, credentials.user, bytes_slice(&credentials.password), NULL);

    learn(session, &credentials, from_kept, status);
    session_note_refusal(session, &credentials, status);
    return status;
}

status_code session_log_in_from_config(hsm_session *session)
{
    return log_in_from_config(session, false);
}

/* A password that is not good any more is tried once: trying on would lock the user. */
static status_code login_from_kept(hsm_session *session)
{
    struct kept_login kept;

    if (!copy_kept(session, &kept))
        return STATUS_TICKET_EXPIRED;
    status_code status = session_log_in(session, kept.user, slice_of(kept.password, kept.password_len), NULL);

    secret_wipe(&kept, sizeof(kept));
    if (status != STATUS_LOGIN_FAILED && status != STATUS_USER_LOCKED)
        return status;
    session_forget_kept(session);
    FAIL(STATUS_TICKET_EXPIRED, "the login has expired, and its password is not good any more: log in again");
}

/* --- one thread for all --- */

/* Whether this thread is to log in; otherwise somebody else of this process is doing it. */
static bool take_turn(hsm_session *session)
{
    long self = platform_process(), seen = 0;

    if (atomic_compare_exchange_strong(&session->logging_in, &seen, self))
        return true;
    /* Left over from the process that forked us. */
    return seen != self && atomic_compare_exchange_strong(&session->logging_in, &seen, self);
}

static void wait_for_turn(hsm_session *session, uint32_t generation)
{
    const struct timespec look = {0, LOOK_NS};

    while (atomic_load(&session->logging_in) != 0 && session_generation(session) == generation)
        nanosleep(&look, NULL);
}

static status_code login_as_before(hsm_session *session)
{
    return atomic_load(&session->from_config) ? log_in_from_config(session, true) : login_from_kept(session);
}

/* What the thread whose turn it was came to. */
static status_code result_of_turn(hsm_session *session, uint32_t generation)
{
    status_code status = (status_code)atomic_load(&session->login_again_status);

    if (session_generation(session) != generation)
        return STATUS_OK;
    return failure_set(status == STATUS_OK ? STATUS_TICKET_EXPIRED : status, "another thread could not log in");
}

status_code session_login_again(hsm_session *session, uint32_t generation)
{
    if (session_generation(session) != generation)
        return STATUS_OK;
    if (!take_turn(session)) {
        wait_for_turn(session, generation);
        return result_of_turn(session, generation);
    }
    status_code status = session_generation(session) == generation ? login_as_before(session) : STATUS_OK;
    atomic_store(&session->login_again_status, (int)status);
    atomic_store(&session->logging_in, 0);
    return status;
}

status_code session_require_login(hsm_session *session)
{
    uint32_t generation = session_generation(session);

    if (login_has_ticket(session->login))
        return STATUS_OK;
    CHECK(atomic_load(&session->prepared), STATUS_NOT_LOGGED_IN, "nobody is logged in on this session");
    return session_login_again(session, generation);
}
