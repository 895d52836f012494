/* A cluster: the core, and the configuration that it was opened with, for the credentials that may stand in it. */
#pragma once

#include "cluster_core.h"
#include "config.h"
#include "hsm/cluster.h"

struct hsm_cluster {
    struct core *core;
    struct hsm_config *config; /* a copy; never changes */
};
