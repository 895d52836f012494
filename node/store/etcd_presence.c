/* See etcd_presence.h. */
#include "store/etcd_presence.h"

#include <stdio.h>
#include <stdlib.h>

#define LEASE_S    10u
#define RENEW_MS   3000u
#define LIST_MS    1000u
#define KNOWN_MS   4000u /* so long a list is believed */
#define LIST_MAX   64u   /* more than a cluster has nodes */
#define TIMEOUT_MS 1000u
#define LEAVING_MS 300u
#define FOLDER     "/nodes/"

struct present {
    uint8_t node_id[ID_LEN];
    uint8_t value[PRESENCE_MAX];
    size_t len;
};

struct etcd_presence {
    struct etcd_client *client;
    const struct etcd_settings *settings;

    /* Of the thread that does the upkeep. */
    uint64_t lease, renewed_ms; /* 0: none */

    pthread_mutex_t lock; /* guards all below */
    struct present own;
    bool has_own, changed;
    struct present list[LIST_MAX];
    unsigned n;
    uint64_t listed_ms; /* 0: never */
};

status_code etcd_presence_open(struct etcd_client *client, const struct etcd_settings *settings,
                               struct etcd_presence **presence)
{
    struct etcd_presence *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the presence of nodes");
    made->client = client;
    made->settings = settings;
    pthread_mutex_init(&made->lock, NULL);
    *presence = made;
    return STATUS_OK;
}

/* Sends and takes over `request`; the answer is the caller's. */
static status_code call(struct etcd_presence *presence, const char *path, json_t *request, unsigned timeout_ms,
                        json_t **answer)
{
    *answer = NULL;
    status_code status = request ? etcd_call(presence->client, path, request, timeout_ms, answer, NULL)
                                 : failure_set(STATUS_OUT_OF_MEMORY, "no memory");

    json_decref(request);
    return status;
}

void etcd_presence_close(struct etcd_presence *presence, bool away)
{
    json_t *answer;

    if (!presence)
        return;
    if (presence->lease && !away) {
        (void)call(presence, "/v3/lease/revoke", json_pack("{s:o}", "ID", etcd_decimal(presence->lease)), LEAVING_MS,
                   &answer);
        json_decref(answer);
    }
    pthread_mutex_destroy(&presence->lock);
    free(presence);
}

status_code etcd_presence_put(struct etcd_presence *presence, const uint8_t node_id[ID_LEN], struct slice value)
{
    CHECK(value.len <= PRESENCE_MAX, STATUS_TOO_LARGE, "a presence of %zu bytes", value.len);
    pthread_mutex_lock(&presence->lock);
    memcpy(presence->own.node_id, node_id, ID_LEN);
    memcpy(presence->own.value, value.data, value.len);
    presence->own.len = value.len;
    presence->has_own = presence->changed = true;
    pthread_mutex_unlock(&presence->lock);
    return STATUS_OK;
}

/* --- upkeep --- */

static status_code grant(struct etcd_presence *presence)
{
    json_t *answer;
    status_code status =
        call(presence, "/v3/lease/grant", json_pack("{s:o}", "TTL", etcd_decimal(LEASE_S)), TIMEOUT_MS, &answer);

    presence->lease = etcd_number(answer, "ID");
    presence->renewed_ms = etcd_clock_ms();
    json_decref(answer);
    return status;
}

/* A lease that is over answers without a time to live. */
static status_code renew(struct etcd_presence *presence)
{
    json_t *answer;
    status_code status = call(presence, "/v3/lease/keepalive", json_pack("{s:o}", "ID", etcd_decimal(presence->lease)),
                              TIMEOUT_MS, &answer);

    if (status == STATUS_OK && etcd_number(json_object_get(answer, "result"), "TTL") == 0)
        presence->lease = 0;
    presence->renewed_ms = etcd_clock_ms();
    json_decref(answer);
    return status;
}

static status_code write_own(struct etcd_presence *presence, const struct present *own)
{
    char name[sizeof(FOLDER) + 2 * ID_LEN], hex[2 * ID_LEN + 1];
    json_t *answer;

    hex_encode(slice_of(own->node_id, ID_LEN), hex);
    snprintf(name, sizeof(name), FOLDER "%s", hex);
    status_code status =
        call(presence, "/v3/kv/put",
             json_pack("{s:o, s:o, s:o}", "key", etcd_key(presence->settings, name), "value",
                       etcd_base64(slice_of(own->value, own->len)), "lease", etcd_decimal(presence->lease)),
             TIMEOUT_MS, &answer);

    json_decref(answer);
    return status;
}

static void set_changed(struct etcd_presence *presence)
{
    pthread_mutex_lock(&presence->lock);
    presence->changed = true;
    pthread_mutex_unlock(&presence->lock);
}

static bool take_own(struct etcd_presence *presence, struct present *own, bool *changed)
{
    pthread_mutex_lock(&presence->lock);
    bool has = presence->has_own;

    *own = presence->own;
    *changed = presence->changed;
    presence->changed = false;
    pthread_mutex_unlock(&presence->lock);
    return has;
}

static void keep_own(struct etcd_presence *presence)
{
    struct present own;
    bool changed;

    if (!take_own(presence, &own, &changed))
        return;
    status_code status = STATUS_OK;

    if (presence->lease && etcd_clock_ms() - presence->renewed_ms >= RENEW_MS)
        status = renew(presence);
    if (status == STATUS_OK && !presence->lease) {
        status = grant(presence);
        changed = true;
    }
    if (status == STATUS_OK && changed)
        status = write_own(presence, &own);
    if (status != STATUS_OK && changed)
        set_changed(presence);
    if (status != STATUS_OK && status != STATUS_STORE_UNAVAILABLE)
        presence->lease = 0; /* etcd does not know it */
}

static bool take_pair(const struct etcd_presence *presence, const json_t *pair, struct present *present)
{
    CLEANUP(bytes_release) struct bytes key = BYTES_INIT, value = BYTES_INIT;
    size_t folder = strlen(presence->settings->prefix) + strlen(FOLDER);

    if (etcd_bytes(pair, "key", &key) != STATUS_OK || etcd_bytes(pair, "value", &value) != STATUS_OK ||
        !bytes_append(&key, "", 1) || key.len <= folder || value.len > PRESENCE_MAX ||
        !hex_decode((const char *)key.data + folder, present->node_id, ID_LEN))
        return false;
    if (value.len)
        memcpy(present->value, value.data, value.len);
    present->len = value.len;
    return true;
}

static void take_list(struct etcd_presence *presence, const json_t *pairs)
{
    const json_t *pair;
    size_t i;

    pthread_mutex_lock(&presence->lock);
    presence->n = 0;
    json_array_foreach(pairs, i, pair)
    {
        if (presence->n < LIST_MAX && take_pair(presence, pair, &presence->list[presence->n]))
            presence->n++;
    }
    presence->listed_ms = etcd_clock_ms();
    pthread_mutex_unlock(&presence->lock);
}

/* Of any member of etcd, whether it has a leader or not: it is not for decisions. */
static void ask_who(struct etcd_presence *presence)
{
    json_t *answer;

    if (etcd_clock_ms() - presence->listed_ms < LIST_MS)
        return;
    if (call(presence, "/v3/kv/range",
             json_pack("{s:o, s:o, s:b, s:i}", "key", etcd_key(presence->settings, FOLDER), "range_end",
                       etcd_key(presence->settings, "/nodes0"), "serializable", 1, "limit", (int)LIST_MAX),
             TIMEOUT_MS, &answer) == STATUS_OK)
        take_list(presence, json_object_get(answer, "kvs"));
    json_decref(answer);
}

void etcd_presence_upkeep(struct etcd_presence *presence)
{
    keep_own(presence);
    ask_who(presence);
}

/* --- telling --- */

status_code etcd_presence_each(struct etcd_presence *presence, presence_visitor visit, void *context)
{
    struct present *list = malloc(sizeof(presence->list));
    status_code status = STATUS_OK;

    CHECK(list, STATUS_OUT_OF_MEMORY, "no memory for the list of nodes");
    pthread_mutex_lock(&presence->lock);
    bool known = presence->listed_ms && etcd_clock_ms() - presence->listed_ms < KNOWN_MS;
    unsigned n = presence->n;

    memcpy(list, presence->list, n * sizeof(*list));
    pthread_mutex_unlock(&presence->lock);
    if (!known)
        status = failure_set(STATUS_STORE_UNAVAILABLE, "etcd does not say who is there");
    for (unsigned i = 0; i < n && status == STATUS_OK; i++)
        status = visit(context, list[i].node_id, slice_of(list[i].value, list[i].len));
    free(list);
    return status;
}
