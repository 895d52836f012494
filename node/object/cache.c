/* The cache of opened objects: a hash table in shards, each with a lock of its own and evicted by the clock algorithm.
 *
 * Invariant: what was read from the store before a forget of its id is not put in after it. Each shard counts its
 * forgets; an insert brings the count of its look-up along and is dropped when it differs. Nothing is allocated or
 * freed under a lock except references that go to zero by eviction, which are released after it. */
#include "object/object_internal.h"

#include <stdlib.h>

#define SHARDS      64u
#define NO_SLOT     UINT32_MAX
#define HITS_GATHER 64u /* hits are counted in the shard and passed on so many at a time */

struct slot {
    struct object *object; /* NULL: free */
    uint8_t key[CACHE_KEY_LEN];
    uint32_t next; /* in its bucket */
    bool recent;   /* used since the hand passed */
};

struct shard {
    _Alignas(64) pthread_mutex_t lock; /* guards everything here */
    uint64_t generation;               /* number of forgets */
    struct slot *slots;
    uint32_t *buckets; /* n_slots rounded up to a power of two */
    uint32_t n_slots, mask, hand, hits;
};

struct cache {
    struct shard shards[SHARDS];
};

static uint32_t part_of(const uint8_t key[CACHE_KEY_LEN], unsigned at)
{
    uint32_t number;
    memcpy(&number, key + at, sizeof number);
    return number;
}

/* Ids are chosen by clients, perhaps not at random: all bytes take part. */
static uint32_t hash_of(const uint8_t key[CACHE_KEY_LEN])
{
    uint64_t hash = ((uint64_t)part_of(key, 0) << 32 | part_of(key, 4)) * 0x9e3779b97f4a7c15u;
    hash ^= ((uint64_t)part_of(key, 8) << 32 | part_of(key, 12)) * 0xc2b2ae3d27d4eb4fu;
    return (uint32_t)(hash >> 32) ^ (uint32_t)hash;
}

static struct shard *shard_of(struct cache *cache, uint32_t hash)
{
    return &cache->shards[hash >> 26];
}

static status_code shard_create(struct shard *shard, uint32_t n_slots)
{
    uint32_t n_buckets = 1;
    while (n_buckets < n_slots)
        n_buckets *= 2;
    pthread_mutex_init(&shard->lock, NULL);
    shard->slots = calloc(n_slots, sizeof *shard->slots);
    shard->buckets = malloc(n_buckets * sizeof *shard->buckets);
    CHECK(shard->slots && shard->buckets, STATUS_OUT_OF_MEMORY, "no memory for a cache of objects");
    memset(shard->buckets, 0xff, n_buckets * sizeof *shard->buckets);
    shard->n_slots = n_slots;
    shard->mask = n_buckets - 1;
    return STATUS_OK;
}

status_code cache_create(size_t capacity, struct cache **cache)
{
    struct cache *made = aligned_alloc(_Alignof(struct cache), sizeof *made);
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a cache of objects");
    memset(made, 0, sizeof *made);
    for (unsigned i = 0; i < SHARDS; i++) {
        status_code code = shard_create(&made->shards[i], (uint32_t)(capacity / SHARDS + 1));
        if (code != STATUS_OK) {
            cache_free(made);
            return code;
        }
    }
    *cache = made;
    return STATUS_OK;
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    cache_clear(cache);
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&cache->shards[i].lock);
        free(cache->shards[i].slots);
        free(cache->shards[i].buckets);
    }
    free(cache);
}

static uint32_t *find_link(struct shard *shard, uint32_t hash, const uint8_t key[CACHE_KEY_LEN])
{
    uint32_t *link = &shard->buckets[hash & shard->mask];
    while (*link != NO_SLOT && memcmp(shard->slots[*link].key, key, CACHE_KEY_LEN) != 0)
        link = &shard->slots[*link].next;
    return link;
}

struct object *cache_find(struct cache *cache, const uint8_t key[CACHE_KEY_LEN], uint64_t *generation)
{
    uint32_t hash = hash_of(key), hits = 0;
    struct shard *shard = shard_of(cache, hash);
    struct object *object = NULL;

    pthread_mutex_lock(&shard->lock);
    uint32_t at = *find_link(shard, hash, key);
    if (at != NO_SLOT) {
        object = object_reference(shard->slots[at].object);
        shard->slots[at].recent = true;
        hits = ++shard->hits % HITS_GATHER == 0 ? HITS_GATHER : 0;
    }
    *generation = shard->generation;
    pthread_mutex_unlock(&shard->lock);
    if (hits)
        metric_add(WORKERS_MAX, METRIC_OBJECT_CACHE_HITS, hits);
    if (!object)
        metric_add(WORKERS_MAX, METRIC_OBJECT_CACHE_MISSES, 1);
    return object;
}

/** Takes the slot out of its bucket; its object is the caller's to release. */
static struct object *empty_slot(struct shard *shard, uint32_t *link)
{
    struct slot *slot = &shard->slots[*link];
    struct object *object = slot->object;
    *link = slot->next;
    slot->object = NULL;
    return object;
}

/** The next slot that is free or was not used for a round of the hand; *evicted gets what was in it. */
static uint32_t free_slot(struct shard *shard, struct object **evicted)
{
    for (;;) {
        uint32_t at = shard->hand;
        struct slot *slot = &shard->slots[at];
        shard->hand = (at + 1) % shard->n_slots;
        if (!slot->object)
            return at;
        if (!slot->recent) {
            *evicted = empty_slot(shard, find_link(shard, hash_of(slot->key), slot->key));
            return at;
        }
        slot->recent = false;
    }
}

static void fill_slot(struct shard *shard, uint32_t hash, const uint8_t key[CACHE_KEY_LEN], struct object *object,
                      struct object **evicted)
{
    uint32_t at = free_slot(shard, evicted);
    struct slot *slot = &shard->slots[at];
    uint32_t *bucket = &shard->buckets[hash & shard->mask];
    memcpy(slot->key, key, CACHE_KEY_LEN);
    slot->object = object_reference(object);
    slot->recent = false; /* until it is used again: a pass over many keys does not push out those in use */
    slot->next = *bucket;
    *bucket = at;
}

static void drop(struct object **object)
{
    if (!*object)
        return;
    metric_add(WORKERS_MAX, METRIC_OBJECTS_CACHED, -1);
    object_release(object);
}

void cache_insert(struct cache *cache, const uint8_t key[CACHE_KEY_LEN], uint64_t generation, struct object *object)
{
    uint32_t hash = hash_of(key);
    struct shard *shard = shard_of(cache, hash);
    struct object *replaced = NULL, *evicted = NULL;
    bool inserted = false;

    pthread_mutex_lock(&shard->lock);
    if (shard->generation == generation) {
        uint32_t *link = find_link(shard, hash, key);
        if (*link != NO_SLOT)
            replaced = empty_slot(shard, link);
        fill_slot(shard, hash, key, object, &evicted);
        inserted = true;
    }
    pthread_mutex_unlock(&shard->lock);
    if (inserted)
        metric_add(WORKERS_MAX, METRIC_OBJECTS_CACHED, 1);
    drop(&replaced);
    drop(&evicted);
}

void cache_forget(struct cache *cache, const uint8_t key[CACHE_KEY_LEN])
{
    uint32_t hash = hash_of(key);
    struct shard *shard = shard_of(cache, hash);
    struct object *object = NULL;

    pthread_mutex_lock(&shard->lock);
    shard->generation++;
    uint32_t *link = find_link(shard, hash, key);
    if (*link != NO_SLOT)
        object = empty_slot(shard, link);
    pthread_mutex_unlock(&shard->lock);
    drop(&object);
}

/** Empties one slot after the other, each release outside the lock. */
void cache_clear(struct cache *cache)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];
        for (uint32_t at = 0; shard->buckets && at < shard->n_slots; at++) {
            struct object *object = NULL;
            pthread_mutex_lock(&shard->lock);
            shard->generation++;
            if (shard->slots[at].object)
                object = empty_slot(shard, find_link(shard, hash_of(shard->slots[at].key), shard->slots[at].key));
            pthread_mutex_unlock(&shard->lock);
            drop(&object);
        }
    }
}
