/* See guest.h. A password that a node refuses is tried once until C_Finalize: guesses lock the user. */
#include "guest.h"

#include <stdlib.h>

static bool is_set(const struct slot *slot, const char *setting)
{
    char text[512];
    size_t len = sizeof(text);
    hsm_status status = hsm_config_get(slot->config, setting, text, &len);

    explicit_bzero(text, sizeof(text));
    return status == HSM_BUFFER_TOO_SMALL || (status == HSM_OK && len > 0);
}

bool guest_is_configured(const struct slot *slot)
{
    if (secure_getenv("HSM_PASSWORD_FD") || !is_set(slot, "user"))
        return false;
    return secure_getenv("HSM_PASSWORD") || secure_getenv("HSM_PASSWORD_FILE") || is_set(slot, "password-file");
}

/* An administrator or auditor has other rights than the objects of this user. */
static CK_RV check_role(struct slot *slot)
{
    hsm_login_info info = {.size = sizeof(info)};

    HSM(hsm_session_login_info(slot->guest, &info));
    return info.role == HSM_ROLE_USER ? CKR_OK : CKR_USER_TYPE_INVALID;
}

/* What trying again does not make better. */
static bool is_refusal(hsm_status status)
{
    return status == HSM_LOGIN_FAILED || status == HSM_USER_LOCKED || status == HSM_SECOND_FACTOR_NEEDED ||
           status == HSM_CONFIG_INVALID || status == HSM_IO_ERROR || status == HSM_INVALID_ARGUMENT;
}

static void refused(struct slot *slot)
{
    module_note("nothing is shown before a login: user and password of the configuration were refused");
    (void)hsm_login_forget(slot->guest);
    atomic_store(&slot->guest_state, GUEST_REFUSED);
}

/* Under the guest's lock. */
static CK_RV log_in(struct slot *slot)
{
    hsm_status status = hsm_login_default(slot->guest);
    CK_RV result = result_of(status);

    if (result != CKR_OK && !is_refusal(status))
        return result;
    if (result == CKR_OK && check_role(slot) == CKR_OK) {
        atomic_store(&slot->guest_state, GUEST_IN);
        return CKR_OK;
    }
    refused(slot);
    return CKR_OK;
}

CK_RV guest_result(struct slot *slot, hsm_status status)
{
    CK_RV result = result_of(status);

    if (status == HSM_LOGIN_FAILED || status == HSM_USER_LOCKED)
        refused(slot);
    return status == HSM_TICKET_EXPIRED || status == HSM_LOGIN_FAILED || status == HSM_USER_LOCKED
               ? CKR_USER_NOT_LOGGED_IN
               : result;
}

static CK_RV enter(struct slot *slot, bool *in)
{
    CK_RV result = CKR_OK;

    if (atomic_load(&slot->guest_state) == GUEST_OUTSIDE && guest_is_configured(slot)) {
        pthread_mutex_lock(&slot->guest_lock);
        if (atomic_load(&slot->guest_state) == GUEST_OUTSIDE)
            result = log_in(slot);
        pthread_mutex_unlock(&slot->guest_lock);
    }
    *in = atomic_load(&slot->guest_state) == GUEST_IN;
    return result;
}

CK_RV session_reader(struct session *session, hsm_session **reader)
{
    struct slot *slot = session->slot;
    bool in = false;

    if (!session->reader) {
        if (session_login(session) == LOGIN_NONE)
            TRY(enter(slot, &in));
        session->reader = in ? slot->guest : slot->login;
    }
    *reader = session->reader;
    return CKR_OK;
}

bool session_is_guest(const struct session *session)
{
    return session->reader && session->reader == session->slot->guest;
}

void guest_after_fork(struct slot *slot)
{
    pthread_mutex_init(&slot->guest_lock, NULL);
}
