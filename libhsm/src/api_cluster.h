/* A cluster: the core, and the configuration that it was opened with, for the credentials that may stand in it. */
#pragma once

#include "api_lock.h"
#include "cluster_core.h"
#include "config.h"
#include "hsm/cluster.h"
#include "protocol/limits.h"

struct kept_login;

struct hsm_cluster {
    struct core *core;
    struct hsm_config *config; /* a copy; never changes */
    struct api_lock lock;      /* guards `id` until has_id */
    uint8_t id[ID_LEN];        /* never changes once has_id */
    _Atomic bool has_id;
    _Atomic(struct kept_login *)
        prepared_with; /* what the first hsm_login_prepare read; never changes once it is there */
};

/** The cluster's id, asked for once (api_describe.c). Reaches the network then. */
status_code cluster_id_get(hsm_cluster *cluster, uint8_t id[ID_LEN]);

/** Wipes what hsm_login_prepare read (api_login_prepare.c). */
void cluster_forget_prepared(hsm_cluster *cluster);
