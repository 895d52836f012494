/* What the files of node/user share. */
#pragma once

#include "user/session_cache.h"

struct users {
    struct node *node;
    struct session_cache *cache;
};

/** Removes revocations that no living ticket can refer to; at start. */
void users_purge_revocations(struct users *users);
