/* A direct-mapped table under a readers-writer lock: see session_cache.h. Ids are random, so their first bytes are hash
 * enough. */
#include "user/session_cache.h"

#include <pthread.h>
#include <stdlib.h>

#define SLOTS 4096u

struct slot {
    enum store_kind kind; /* 0: empty */
    uint8_t id[ID_LEN];
    struct standing standing;
};

struct session_cache {
    pthread_rwlock_t lock; /* guards all below */
    uint64_t generation;
    struct slot slots[SLOTS];
};

static struct slot *slot_of(struct session_cache *cache, enum store_kind kind, const uint8_t id[ID_LEN])
{
    return &cache->slots[(((unsigned)id[0] << 8 | id[1]) ^ (unsigned)kind << 5) % SLOTS];
}

struct session_cache *session_cache_new(void)
{
    struct session_cache *cache = calloc(1, sizeof(*cache));

    if (cache)
        pthread_rwlock_init(&cache->lock, NULL);
    return cache;
}

void session_cache_free(struct session_cache *cache)
{
    if (!cache)
        return;
    pthread_rwlock_destroy(&cache->lock);
    free(cache);
}

bool session_cache_find(struct session_cache *cache, enum store_kind kind, const uint8_t id[ID_LEN],
                        struct standing *standing)
{
    pthread_rwlock_rdlock(&cache->lock);
    const struct slot *slot = slot_of(cache, kind, id);
    bool found = slot->kind == kind && memcmp(slot->id, id, ID_LEN) == 0;

    if (found)
        *standing = slot->standing;
    pthread_rwlock_unlock(&cache->lock);
    return found;
}

uint64_t session_cache_generation(struct session_cache *cache)
{
    pthread_rwlock_rdlock(&cache->lock);
    uint64_t generation = cache->generation;

    pthread_rwlock_unlock(&cache->lock);
    return generation;
}

void session_cache_keep(struct session_cache *cache, uint64_t generation, enum store_kind kind,
                        const uint8_t id[ID_LEN], const struct standing *standing)
{
    pthread_rwlock_wrlock(&cache->lock);
    if (cache->generation == generation) {
        struct slot *slot = slot_of(cache, kind, id);

        slot->kind = kind;
        memcpy(slot->id, id, ID_LEN);
        slot->standing = *standing;
    }
    pthread_rwlock_unlock(&cache->lock);
}

void session_cache_forget(struct session_cache *cache, enum store_kind kind, const uint8_t id[ID_LEN])
{
    pthread_rwlock_wrlock(&cache->lock);
    struct slot *slot = slot_of(cache, kind, id);

    cache->generation++;
    if (slot->kind == kind && memcmp(slot->id, id, ID_LEN) == 0)
        slot->kind = 0;
    pthread_rwlock_unlock(&cache->lock);
}

void session_cache_forget_all(struct session_cache *cache)
{
    pthread_rwlock_wrlock(&cache->lock);
    cache->generation++;
    for (unsigned i = 0; i < SLOTS; i++)
        cache->slots[i].kind = 0;
    pthread_rwlock_unlock(&cache->lock);
}
