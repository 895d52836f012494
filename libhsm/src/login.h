/* A login's inside, for the core. */
#pragma once

#include <stdatomic.h>
#include "api_lock.h"
#include "cluster_core.h"

struct login {
    atomic_uint references;
    struct api_lock lock; /* guards ticket */
    struct bytes *ticket; /* replaced as a whole, see api_lock.h; NULL: not logged in */
};

/** Replaces the ticket by its renewal. */
void login_renew(struct login *login, struct slice ticket);
