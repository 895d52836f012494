/* The cluster and the login of this process. Opened without reaching the network: a server that reads its keys and then
 * forks gives each worker the same handles, and each worker connects and logs in by itself, on first use. */
#include <stdlib.h>
#include "provider.h"

struct connection {
    hsm_config *config;
    hsm_cluster *cluster;
    hsm_session *session;
};

static void connection_free(struct connection *connection)
{
    if (!connection)
        return;
    hsm_session_close(connection->session);
    hsm_cluster_close(connection->cluster);
    hsm_config_free(connection->config);
    free(connection);
}

static int connection_open(struct provider *provider, struct connection *connection)
{
    HSM(provider, hsm_config_load(provider->config_path, &connection->config));
    HSM(provider, hsm_cluster_open(connection->config, &connection->cluster));
    HSM(provider, hsm_session_open(connection->cluster, &connection->session));
    HSM(provider, hsm_login_prepare(connection->session));
    return 1;
}

/* Two threads may open at once: the first to be ready wins. No lock that a fork could find taken. */
static int connection_get(struct provider *provider, struct connection **connection)
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

int provider_session(struct provider *provider, hsm_session **session)
{
    struct connection *connection = NULL;

    TRY(connection_get(provider, &connection));
    *session = connection->session;
    return 1;
}

int provider_cluster(struct provider *provider, hsm_cluster **cluster)
{
    struct connection *connection = NULL;

    TRY(connection_get(provider, &connection));
    *cluster = connection->cluster;
    return 1;
}

void connection_close(struct provider *provider)
{
    connection_free(atomic_exchange(&provider->connection, NULL));
}
