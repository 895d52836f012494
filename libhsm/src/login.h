/* A login's inside, for the core. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include "cluster_core.h"

struct login {
    atomic_uint references;
    pthread_mutex_t lock; /* guards ticket */
    struct bytes ticket;
};

/** Replaces the ticket by its renewal. */
void login_renew(struct login *login, struct slice ticket);
