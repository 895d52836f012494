/* What ticket checks need to know of users and sessions, kept in memory: a fixed table in which an entry simply gives
 * way to another. An answer that was read before somebody said "forget" is not kept: the table's generation tells. */
#pragma once

#include <stdbool.h>
#include "user/account.h"

struct session_cache;

/** A user's standing, or (kind STORE_REVOCATION) whether a session was revoked. */
struct standing {
    bool exists; /* the user, or the revocation */
    enum role role;
    uint64_t credential_version;
    char name[USER_NAME_MAX + 1];
};

struct session_cache *session_cache_new(void);
void session_cache_free(struct session_cache *cache);

bool session_cache_find(struct session_cache *cache, enum store_kind kind, const uint8_t id[ID_LEN],
                        struct standing *standing);

/** To be asked before the store is read. */
uint64_t session_cache_generation(struct session_cache *cache);
void session_cache_keep(struct session_cache *cache, uint64_t generation, enum store_kind kind,
                        const uint8_t id[ID_LEN], const struct standing *standing);

void session_cache_forget(struct session_cache *cache, enum store_kind kind, const uint8_t id[ID_LEN]);
void session_cache_forget_all(struct session_cache *cache);
