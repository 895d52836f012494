/* hsm_login_prepare: the credentials of the configuration, read before they are needed (hsm/session.h). A descriptor
 * and a pipe can be read only once: what came out is kept for the other sessions of the cluster, which would find
 * nothing in it any more, or somebody else's data. */
#include "api_cluster.h"
#include "api_credentials.h"
#include "api_session_internal.h"

void cluster_forget_prepared(hsm_cluster *cluster)
{
    kept_login_free(atomic_exchange(&cluster->prepared_with, NULL));
}

/* The first stays. */
static status_code remember(hsm_cluster *cluster, const struct credentials *credentials)
{
    struct kept_login *none = NULL, *kept;

    TRY(kept_login_new(credentials->user, bytes_slice(&credentials->password), &kept));
    if (!atomic_compare_exchange_strong(&cluster->prepared_with, &none, kept))
        kept_login_free(kept);
    return STATUS_OK;
}

static status_code read_credentials(hsm_cluster *cluster, struct credentials *credentials)
{
    CLEANUP(credentials_release) struct credentials again = CREDENTIALS_INIT;
    const struct kept_login *before = atomic_load(&cluster->prepared_with);

    if (!before) {
        TRY(credentials_read(cluster->config, credentials));
        return credentials_read_again(cluster->config, &again) == STATUS_OK ? STATUS_OK
                                                                            : remember(cluster, credentials);
    }
    if (credentials_read_again(cluster->config, credentials) == STATUS_OK)
        return STATUS_OK;
    memcpy(credentials->user, before->user, sizeof(credentials->user));
    return bytes_assign(&credentials->password, slice_of(before->password, before->password_len));
}

/* A login that is there stays when it is of the same user. */
static status_code login_prepare(hsm_session *session)
{
    CLEANUP(credentials_release) struct credentials credentials = CREDENTIALS_INIT;

    ARGUMENT(session, "no session");
    TRY(read_credentials(session->cluster, &credentials));
    if (!session_is_of(session, credentials.user))
        TRY(session_forget_login(session));
    TRY(session_keep_login(session, credentials.user, bytes_slice(&credentials.password)));
    atomic_store(&session->from_config, true);
    atomic_store(&session->prepared, true);
    return STATUS_OK;
}

hsm_status hsm_login_prepare(hsm_session *session)
{
    return API(login_prepare(session));
}
