/* Opening and closing. See connection.h. */
#include "connection.h"

#include <stdlib.h>

static void connection_free(struct connection *connection)
{
    if (!connection)
        return;
    hsm_session_close(connection->managing);
    hsm_session_close(connection->serving);
    hsm_cluster_close(connection->cluster);
    hsm_config_free(connection->config);
    free(connection);
}

static int session_open(struct provider *provider, struct connection *connection, hsm_session **session)
{
    HSM(provider, hsm_session_open(connection->cluster, session));
    HSM(provider, hsm_login_prepare(*session));
    return 1;
}

static int connection_open(struct provider *provider, struct connection *connection)
{
    CHECK(provider, !provider->bad_setting, REASON_PARAMETER, "the provider's section of openssl.cnf: %s",
          provider->bad_setting);
    HSM(provider, hsm_config_load(provider->config_path, &connection->config));
    HSM(provider, hsm_cluster_open(connection->config, &connection->cluster));
    TRY(session_open(provider, connection, &connection->managing));
    TRY(session_open(provider, connection, &connection->serving));
    HSM(provider, hsm_session_set_timeout(connection->serving, provider->timeout_ms));
    outage_begin(&connection->outage, connection->serving, provider->timeout_ms);
    return 1;
}

/* Two threads may open at once: the first to be ready wins. No lock that a fork could find taken. */
int connection_get(struct provider *provider, struct connection **connection)
{
    struct connection *there = atomic_load(&provider->connection);

    if (!there) {
        struct connection *made = calloc(1, sizeof(*made));

        CHECK(provider, made, HSM_OUT_OF_MEMORY, "%s", "");
        if (!connection_open(provider, made)) {
            connection_free(made);
            return 0;
        }
        if (atomic_compare_exchange_strong(&provider->connection, &there, made))
            there = made;
        else
            connection_free(made);
    }
    *connection = there;
    return 1;
}

void connection_close(struct provider *provider)
{
    connection_free(atomic_exchange(&provider->connection, NULL));
}
