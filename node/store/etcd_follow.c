/* See etcd_follow.h.
 *
 * A watch begins one revision after the replica's, so nothing is missed and nothing is seen twice. When etcd has
 * compacted that revision away, the whole is read anew, at one revision and in one transaction of the replica, which
 * readers see at once or not at all. An etcd that is older than the replica, because it was restored, is not followed:
 * the replica may hold keys that are nowhere else. */
#include "store/etcd_follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "observe/log.h"
#include "store/etcd_scan.h"

#define CALL_TIMEOUT_MS 2000u
#define AWAY_TIMEOUT_MS 300u /* when etcd did not answer lately */
#define PROBE_MS        500u
#define SILENCE_MS      300u  /* a watch that has not shown by then what is known to exist is replaced; */
#define SILENCE_MAX_MS  5000u /* each in vain is given twice the time of the one before */
#define RETRY_MS        200u
#define FOUNDING_MS     10u /* between looks at an etcd that holds no cluster yet */
#define POLL_MS         1000

struct follower {
    struct followed of;
    pthread_t watcher, prober;
    CURLM *multi;         /* the watcher's; woken by others */
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t moved; /* the replica went on, or the follower stops */
    uint64_t applied;     /* revision of the replica */
    uint64_t confirmed_ms;
    uint64_t watched_ms;         /* when the watch began, or told something last */
    unsigned patience_ms;        /* from SILENCE_MS on */
    struct etcd_cluster cluster; /* once it is founded; until then its offset is 0 */
    bool founded;
    bool older;   /* etcd went back behind the replica; until the node is restarted */
    bool away;    /* the last probe failed */
    bool restart; /* the watch is to begin anew elsewhere */
    bool reload;  /* the replica is to be read anew */
    bool stopping;
};

static struct timespec from_now(unsigned ms)
{
    uint64_t until = etcd_clock_ms() + ms;

    return (struct timespec){(time_t)(until / 1000), (long)(until % 1000) * 1000000};
}

/* The flags and revisions that threads tell each other. */

static bool flag_set(struct follower *follower, const bool *flag)
{
    pthread_mutex_lock(&follower->lock);
    bool set = *flag;

    pthread_mutex_unlock(&follower->lock);
    return set;
}

static bool stopping(struct follower *follower)
{
    return flag_set(follower, &follower->stopping);
}

static bool interrupted(struct follower *follower)
{
    pthread_mutex_lock(&follower->lock);
    bool stop = follower->stopping || follower->restart || follower->reload;

    pthread_mutex_unlock(&follower->lock);
    return stop;
}

static uint64_t applied(struct follower *follower)
{
    pthread_mutex_lock(&follower->lock);
    uint64_t revision = follower->applied;

    pthread_mutex_unlock(&follower->lock);
    return revision;
}

static void set_applied(struct follower *follower, uint64_t revision)
{
    pthread_mutex_lock(&follower->lock);
    follower->applied = revision;
    follower->watched_ms = etcd_clock_ms();
    follower->patience_ms = SILENCE_MS;
    pthread_cond_broadcast(&follower->moved);
    pthread_mutex_unlock(&follower->lock);
}

static void watch_begins(struct follower *follower)
{
    pthread_mutex_lock(&follower->lock);
    follower->watched_ms = etcd_clock_ms();
    pthread_mutex_unlock(&follower->lock);
}

/* With the lock held. Whoever misses something that is known to exist calls this, as often as it likes. */
static void replace_watch(struct follower *follower)
{
    if (follower->restart || etcd_clock_ms() - follower->watched_ms < follower->patience_ms)
        return;
    follower->restart = true;
    follower->patience_ms = follower->patience_ms < SILENCE_MAX_MS / 2 ? 2 * follower->patience_ms : SILENCE_MAX_MS;
    etcd_next_endpoint(follower->of.client);
    curl_multi_wakeup(follower->multi);
}

/* Sleeps, unless the follower stops. */
static void rest(struct follower *follower, unsigned ms)
{
    struct timespec until = from_now(ms);

    pthread_mutex_lock(&follower->lock);
    while (!follower->stopping && pthread_cond_timedwait(&follower->moved, &follower->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&follower->lock);
}

/* --- asking --- */

static status_code read_cluster(struct follower *follower, struct bytes *text)
{
    uint64_t revision;

    return etcd_get(follower->of.client, follower->of.settings, "/cluster", 0, CALL_TIMEOUT_MS, text, &revision);
}

status_code follower_cluster(struct follower *follower, struct etcd_cluster *cluster, bool *founded)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;

    pthread_mutex_lock(&follower->lock);
    *founded = follower->founded;
    *cluster = follower->cluster;
    bool older = follower->older;

    pthread_mutex_unlock(&follower->lock);
    CHECK(!older, STATUS_STORE_DAMAGED, FOLLOWER_OLDER);
    if (*founded)
        return STATUS_OK;
    TRY(read_cluster(follower, &text));
    if (text.len == 0) {
        etcd_cluster_make(follower->of.cluster_id, 0, 0, cluster);
        return STATUS_OK;
    }
    TRY(etcd_cluster_parse(bytes_slice(&text), follower->of.cluster_id, cluster));
    pthread_mutex_lock(&follower->lock);
    follower->cluster = *cluster;
    follower->founded = *founded = true;
    pthread_mutex_unlock(&follower->lock);
    return STATUS_OK;
}

void follower_forget_cluster(struct follower *follower)
{
    pthread_mutex_lock(&follower->lock);
    follower->founded = false;
    pthread_mutex_unlock(&follower->lock);
}

/* Revisions of the store are etcd's plus this. */
static uint64_t offset(struct follower *follower)
{
    pthread_mutex_lock(&follower->lock);
    uint64_t added = follower->cluster.offset;

    pthread_mutex_unlock(&follower->lock);
    return added;
}

/* The revision of the newest write, as of etcd's `at` (0: now). */
static status_code head_revision(struct follower *follower, uint64_t at, uint64_t *revision)
{
    unsigned timeout_ms = follower_is_away(follower) ? AWAY_TIMEOUT_MS : CALL_TIMEOUT_MS;

    TRY(etcd_get(follower->of.client, follower->of.settings, "/head", at, timeout_ms, NULL, revision));
    *revision += *revision ? offset(follower) : 0;
    return STATUS_OK;
}

status_code follower_newest(struct follower *follower, uint64_t *revision)
{
    CHECK(!follower_is_away(follower), STATUS_STORE_UNAVAILABLE, "etcd cannot be reached at the moment");
    return head_revision(follower, 0, revision);
}

/* --- reading all anew --- */

struct load {
    struct follower *follower;
    uint64_t n;
};

static status_code load_record(void *context, const struct store_write *record, uint64_t revision)
{
    struct load *load = context;

    CHECK(!stopping(load->follower), STATUS_CANCELLED, "the node stops");
    load->n++;
    return replica_follow(load->follower->of.replica, record, revision + offset(load->follower));
}

static status_code load_all(struct follower *follower)
{
    const struct followed *of = &follower->of;
    struct load load = {.follower = follower};
    uint64_t at = 0, newest = 0;

    TRY(replica_empty(of->replica));
    TRY(etcd_scan(of->client, of->settings, &at, load_record, &load));
    TRY(head_revision(follower, at, &newest));
    TRY(replica_end_anew(of->replica, of->cluster_id, newest));
    if (load.n)
        log_event(LOG_LEVEL_INFO, "replica read anew", "records", log_number((long long)load.n), "revision",
                  log_number((long long)newest), NULL);
    set_applied(follower, newest);
    return STATUS_OK;
}

/* An etcd that holds nothing, or somebody else's, must not empty the replica, which may be all that is left. */
static status_code check_cluster(struct follower *follower)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;
    struct etcd_cluster found;

    TRY(read_cluster(follower, &text));
    if (text.len == 0 && applied(follower) == 0)
        return STATUS_OK; /* the cluster is being founded */
    return etcd_cluster_parse(bytes_slice(&text), follower->of.cluster_id, &found);
}

static status_code reload(struct follower *follower)
{
    TRY(check_cluster(follower));
    TRY(replica_begin(follower->of.replica));
    status_code status = load_all(follower);

    if (status != STATUS_OK)
        replica_abandon(follower->of.replica);
    return status;
}

/* --- watching --- */

struct watch {
    struct follower *follower;
    struct bytes line; /* of JSON, as far as it has come */
    struct bytes key, value;
    status_code status;
};

static status_code follow_events(struct watch *watch, const json_t *events, uint64_t *reached)
{
    const struct followed *of = &watch->follower->of;
    const json_t *event;
    size_t i;

    json_array_foreach(events, i, event)
    {
        struct store_write write;
        uint64_t revision;

        TRY(etcd_record_parse(of->settings, json_object_get(event, "kv"), &watch->key, &watch->value, &write,
                              &revision));
        revision += offset(watch->follower);
        TRY(replica_follow(of->replica, &write, revision));
        if (revision > *reached)
            *reached = revision;
    }
    return STATUS_OK;
}

/* All events of one revision come in one message, so the replica is never in the middle of a write. */
static status_code apply_events(struct watch *watch, const json_t *events)
{
    struct follower *follower = watch->follower;
    uint64_t reached = 0;

    TRY(replica_begin(follower->of.replica));
    status_code status = follow_events(watch, events, &reached);

    if (status == STATUS_OK)
        status = replica_end(follower->of.replica, follower->of.cluster_id, reached);
    if (status != STATUS_OK)
        replica_abandon(follower->of.replica);
    else
        set_applied(follower, reached);
    return status;
}

static status_code take_message(struct watch *watch, const json_t *root)
{
    const json_t *result = json_object_get(root, "result"), *events = json_object_get(result, "events");

    if (!result)
        return etcd_error(json_object_get(root, "error"));
    CHECK(!etcd_number(result, "compact_revision"), STATUS_CONFLICT, "etcd has compacted what this node has not seen");
    CHECK(!json_is_true(json_object_get(result, "canceled")), STATUS_STORE_UNAVAILABLE, "etcd ended the watch");
    return json_array_size(events) ? apply_events(watch, events) : STATUS_OK;
}

static status_code take_line(struct watch *watch)
{
    json_error_t error;
    json_t *root = json_loadb((const char *)watch->line.data, watch->line.len, 0, &error);
    status_code status =
        root ? take_message(watch, root) : failure_set(STATUS_STORE_UNAVAILABLE, "etcd's watch sends no JSON");

    json_decref(root);
    bytes_clear(&watch->line);
    return status;
}

static size_t take_data(char *data, size_t size, size_t n, void *context)
{
    struct watch *watch = context;
    size_t len = size * n;

    for (const char *at = data, *end = data + len; at < end && watch->status == STATUS_OK;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t part = (size_t)((newline ? newline : end) - at);

        if (!bytes_append(&watch->line, at, part))
            watch->status = failure_set(STATUS_CONFLICT, "too much at once for a watch: it is read in pages");
        else if (newline)
            watch->status = take_line(watch);
        at += part + (newline != NULL);
    }
    return watch->status == STATUS_OK ? len : 0;
}

/* Until the stream ends, or somebody wants it to. */
static status_code run_stream(struct watch *watch, CURL *curl)
{
    struct follower *follower = watch->follower;
    int running = 1;

    curl_multi_add_handle(follower->multi, curl);
    while (running && !interrupted(follower)) {
        if (curl_multi_perform(follower->multi, &running) != CURLM_OK)
            break;
        if (running)
            curl_multi_poll(follower->multi, NULL, 0, POLL_MS, NULL);
    }
    curl_multi_remove_handle(follower->multi, curl);
    if (watch->status != STATUS_OK)
        return watch->status;
    FAIL(STATUS_STORE_UNAVAILABLE, "etcd at %.80s ended the watch", etcd_endpoint(follower->of.client));
}

static char *watch_body(struct follower *follower)
{
    const struct followed *of = &follower->of;
    json_t *request = json_pack("{s:{s:o, s:o, s:o}}", "create_request", "key", etcd_key(of->settings, "/records/"),
                                "range_end", etcd_key(of->settings, "/records0"), "start_revision",
                                etcd_decimal(applied(follower) - offset(follower) + 1));
    char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;

    json_decref(request);
    return body;
}

static void watch_release(struct watch *watch)
{
    bytes_release(&watch->line);
    bytes_release(&watch->key);
    bytes_release(&watch->value);
}

static status_code watch_once(struct follower *follower)
{
    CLEANUP(watch_release) struct watch watch = {.follower = follower, .line = {.limit = (size_t)256 << 20}};
    char *body = watch_body(follower);
    CURL *curl = etcd_stream_handle(follower->of.client, "/v3/watch");
    status_code status;

    if (body && curl) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_data);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &watch);
        watch_begins(follower);
        status = run_stream(&watch, curl);
    } else {
        status = failure_set(STATUS_OUT_OF_MEMORY, "no memory to watch etcd");
    }
    curl_easy_cleanup(curl);
    free(body);
    return status;
}

static bool take_flag(struct follower *follower, bool *flag)
{
    pthread_mutex_lock(&follower->lock);
    bool was = *flag;

    *flag = false;
    pthread_mutex_unlock(&follower->lock);
    return was;
}

static void put_flag(struct follower *follower, bool *flag)
{
    pthread_mutex_lock(&follower->lock);
    *flag = true;
    pthread_mutex_unlock(&follower->lock);
}

/* A cluster that is being founded has no history to go by: its replica begins with what is there. */
static void *watch_on(void *context)
{
    struct follower *follower = context;
    status_code failing = STATUS_OK;

    while (!stopping(follower)) {
        bool anew = take_flag(follower, &follower->reload) || applied(follower) == 0;
        bool wanted = take_flag(follower, &follower->restart), founded;
        struct etcd_cluster cluster;
        status_code status = follower_cluster(follower, &cluster, &founded);

        if (status == STATUS_OK && anew)
            status = reload(follower);

        if (status == STATUS_OK && applied(follower) > 0)
            status = watch_once(follower);
        else if (anew && status != STATUS_OK)
            put_flag(follower, &follower->reload);
        if (stopping(follower))
            break;
        if (status == STATUS_CONFLICT) {
            put_flag(follower, &follower->reload);
        } else if (status != STATUS_OK && status != STATUS_STORE_UNAVAILABLE && status != failing) {
            log_event(LOG_LEVEL_ERROR, "etcd cannot be followed", "status", status_name(status), "detail",
                      failure_detail(), NULL);
        } else if (status == STATUS_STORE_UNAVAILABLE && !wanted) {
            etcd_next_endpoint(follower->of.client);
        }
        failing = status;
        if (!flag_set(follower, &follower->restart)) /* then another endpoint is tried at once */
            rest(follower, applied(follower) == 0 ? FOUNDING_MS : RETRY_MS);
    }
    return NULL;
}

/* --- probing --- */

static void note_away(struct follower *follower, bool away)
{
    pthread_mutex_lock(&follower->lock);
    bool was = follower->away;

    follower->away = away;
    pthread_cond_broadcast(&follower->moved);
    pthread_mutex_unlock(&follower->lock);
    if (away && !was)
        log_event(LOG_LEVEL_ERROR, "etcd cannot be reached", "detail", failure_detail(), "hint",
                  "existing keys go on working from the replica; changes are refused until it is back", NULL);
    else if (was && !away)
        log_event(LOG_LEVEL_INFO, "etcd is back", NULL);
}

static void probe(struct follower *follower)
{
    uint64_t before = applied(follower), begun_ms = etcd_clock_ms(), newest = 0;
    struct etcd_cluster cluster;
    bool founded;
    status_code status = follower_cluster(follower, &cluster, &founded);

    if (status == STATUS_OK)
        status = head_revision(follower, 0, &newest);

    note_away(follower, status != STATUS_OK);
    if (status != STATUS_OK)
        return;
    bool reached = follower_wait(follower, newest, SILENCE_MS) == STATUS_OK;

    pthread_mutex_lock(&follower->lock);
    if (newest < before) {
        follower->older = follower->restart = true;
        curl_multi_wakeup(follower->multi);
    } else if (reached) {
        follower->confirmed_ms = begun_ms;
    } else {
        replace_watch(follower);
    }
    pthread_mutex_unlock(&follower->lock);
}

static void *probe_on(void *context)
{
    struct follower *follower = context;

    while (!stopping(follower)) {
        probe(follower);
        if (!follower_is_away(follower))
            etcd_presence_upkeep(follower->of.presence);
        rest(follower, PROBE_MS);
    }
    return NULL;
}

status_code follower_wait(struct follower *follower, uint64_t revision, unsigned timeout_ms)
{
    uint64_t end = etcd_clock_ms() + timeout_ms, silent = etcd_clock_ms() + SILENCE_MS;

    pthread_mutex_lock(&follower->lock);
    while (follower->applied < revision && !follower->away && !follower->stopping && etcd_clock_ms() < end) {
        struct timespec until = from_now(SILENCE_MS);

        pthread_cond_timedwait(&follower->moved, &follower->lock, &until);
        if (follower->applied < revision && etcd_clock_ms() >= silent)
            replace_watch(follower);
    }
    bool reached = follower->applied >= revision;

    pthread_mutex_unlock(&follower->lock);
    CHECK(reached, STATUS_STORE_UNAVAILABLE, "this node's replica has not reached revision %llu: it cannot follow etcd",
          (unsigned long long)revision);
    return STATUS_OK;
}

bool follower_is_away(struct follower *follower)
{
    return flag_set(follower, &follower->away);
}

void follower_etcd_answered(struct follower *follower)
{
    note_away(follower, false);
}

uint64_t follower_age_ms(struct follower *follower)
{
    pthread_mutex_lock(&follower->lock);
    uint64_t age = etcd_clock_ms() - follower->confirmed_ms;

    pthread_mutex_unlock(&follower->lock);
    return age;
}

/* --- start and stop --- */

static void follower_free(struct follower *follower)
{
    curl_multi_cleanup(follower->multi);
    pthread_cond_destroy(&follower->moved);
    pthread_mutex_destroy(&follower->lock);
    free(follower);
}

static status_code start_threads(struct follower *follower)
{
    CHECK(follower->multi && pthread_create(&follower->watcher, NULL, watch_on, follower) == 0, STATUS_OUT_OF_MEMORY,
          "no thread to follow etcd");
    if (pthread_create(&follower->prober, NULL, probe_on, follower) == 0)
        return STATUS_OK;
    pthread_mutex_lock(&follower->lock);
    follower->stopping = true;
    pthread_mutex_unlock(&follower->lock);
    pthread_join(follower->watcher, NULL);
    FAIL(STATUS_OUT_OF_MEMORY, "no thread to follow etcd");
}

status_code follower_start(const struct followed *followed, struct follower **follower)
{
    struct follower *made = calloc(1, sizeof(*made));
    pthread_condattr_t monotonic;

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory to follow etcd");
    made->of = *followed;
    made->patience_ms = SILENCE_MS;
    made->multi = curl_multi_init();
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&made->moved, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&made->lock, NULL);
    status_code status = followed->replica->reads->operations->revision(followed->replica->reads, &made->applied);

    if (status == STATUS_OK)
        status = start_threads(made);
    if (status != STATUS_OK) {
        follower_free(made);
        return status;
    }
    *follower = made;
    return STATUS_OK;
}

void follower_stop(struct follower *follower)
{
    if (!follower)
        return;
    pthread_mutex_lock(&follower->lock);
    follower->stopping = true;
    pthread_cond_broadcast(&follower->moved);
    pthread_mutex_unlock(&follower->lock);
    curl_multi_wakeup(follower->multi);
    pthread_join(follower->watcher, NULL);
    pthread_join(follower->prober, NULL);
    follower_free(follower);
}
