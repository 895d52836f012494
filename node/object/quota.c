/* How many keys a user may own. Counting them in the store costs time that grows with their number, so a count is kept
 * for some seconds and raised by what this node makes; several nodes at once may overshoot by what they make in that
 * time, never more. */
#include "object/object_internal.h"

#include <stdlib.h>

#define COUNTED_USERS  64u
#define COUNT_VALID_MS 10000u

struct counted {
    uint8_t user_id[ID_LEN];
    uint64_t n;
    uint64_t counted_ms; /* 0: free */
};

struct quota {
    pthread_mutex_t lock; /* guards the list */
    struct counted users[COUNTED_USERS];
    unsigned next;        /* replaced next */
    struct counted total; /* of all users */
};

status_code quota_create(struct quota **quota)
{
    struct quota *made = calloc(1, sizeof *made);
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the quotas");
    pthread_mutex_init(&made->lock, NULL);
    *quota = made;
    return STATUS_OK;
}

void quota_free(struct quota *quota)
{
    if (!quota)
        return;
    pthread_mutex_destroy(&quota->lock);
    free(quota);
}

static struct counted *find(struct quota *quota, const uint8_t user_id[ID_LEN])
{
    for (unsigned i = 0; i < COUNTED_USERS; i++)
        if (quota->users[i].counted_ms && memcmp(quota->users[i].user_id, user_id, ID_LEN) == 0)
            return &quota->users[i];
    return NULL;
}

/** Takes from a count that is still good and has room; false: count again. */
static bool take_known(struct quota *quota, const uint8_t user_id[ID_LEN], uint64_t n, uint64_t now_ms, uint64_t limit)
{
    pthread_mutex_lock(&quota->lock);
    struct counted *user = find(quota, user_id);
    bool taken = user && now_ms - user->counted_ms < COUNT_VALID_MS && user->n + n <= limit;
    if (taken)
        user->n += n;
    pthread_mutex_unlock(&quota->lock);
    return taken;
}

static void remember(struct quota *quota, const uint8_t user_id[ID_LEN], uint64_t n, uint64_t now_ms)
{
    pthread_mutex_lock(&quota->lock);
    struct counted *user = find(quota, user_id);
    if (!user)
        user = &quota->users[quota->next++ % COUNTED_USERS];
    memcpy(user->user_id, user_id, ID_LEN);
    user->n = n;
    user->counted_ms = now_ms;
    pthread_mutex_unlock(&quota->lock);
}

status_code quota_take(struct objects *objects, const uint8_t user_id[ID_LEN], uint64_t n)
{
    uint64_t limit = objects->node->config.keys_per_user, now_ms = node_now_ms(objects->node), owned = 0;

    if (take_known(objects->quota, user_id, n, now_ms, limit))
        return STATUS_OK;
    TRY(objects_count_owned(objects, user_id, &owned));
    CHECK(owned + n <= limit, STATUS_QUOTA_EXCEEDED,
          "the user owns %llu objects; the node's setting keys-per-user allows %llu", (unsigned long long)owned,
          (unsigned long long)limit);
    remember(objects->quota, user_id, owned + n, now_ms);
    return STATUS_OK;
}

status_code objects_count_owned(struct objects *objects, const uint8_t user_id[ID_LEN], uint64_t *n)
{
    const struct index_term term = {TERM_OWNER, slice_of(user_id, ID_LEN)};
    return index_count(objects->node, STORE_OBJECT, &term, n);
}

status_code objects_count(struct objects *objects, uint64_t *n)
{
    static const struct index_term everything = {TERM_ANY, {NULL, 0}};
    struct quota *quota = objects->quota;
    uint64_t now_ms = node_now_ms(objects->node);

    pthread_mutex_lock(&quota->lock);
    struct counted total = quota->total;
    pthread_mutex_unlock(&quota->lock);
    if (total.counted_ms == 0 || now_ms - total.counted_ms >= COUNT_VALID_MS) {
        TRY(index_count(objects->node, STORE_OBJECT, &everything, &total.n));
        total.counted_ms = now_ms;
        pthread_mutex_lock(&quota->lock);
        quota->total = total;
        pthread_mutex_unlock(&quota->lock);
    }
    *n = total.n;
    return STATUS_OK;
}
