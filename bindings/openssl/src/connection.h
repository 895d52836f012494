/* The cluster and the logins of this process. Opened without reaching the network: a server that reads its keys and
 * then forks gives each worker the same handles, and each worker connects and logs in by itself, on first use. */
#pragma once

#include "outage.h"
#include "provider.h"

struct connection {
    hsm_config *config;
    hsm_cluster *cluster;
    hsm_session *managing; /* makes and finds keys, with the configuration's time limit */
    hsm_session *serving;  /* signs and decrypts for somebody who waits: with a short one */
    struct outage outage;
};

/* The connection, opened on first use, with the configuration's credentials read then, so that servers may change root
 * directory and user before the first operation. */
int connection_get(struct provider *provider, struct connection **connection);

void connection_close(struct provider *provider);
