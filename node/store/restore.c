/* See restore.h. In SQLite all is one transaction; in etcd the text under /cluster, which names the attempt until the
 * end, keeps every node away. */
#include "store/restore.h"

#include <stdio.h>
#include <stdlib.h>
#include "store/etcd_fill.h"
#include "store/etcd_scan.h"
#include "store/sqlite_write.h"

#define TIMEOUT_MS 5000u
#define RESTORING  "restoring "

struct restore {
    uint8_t cluster_id[ID_LEN];
    struct connection *file;
    struct etcd_settings settings;
    char marker[ETCD_CLUSTER_MAX];
    struct etcd_fill etcd; /* of an etcd store */
    bool finished;
};

static status_code make(const uint8_t cluster_id[ID_LEN], struct restore **restore)
{
    *restore = calloc(1, sizeof(**restore));
    CHECK(*restore, STATUS_OUT_OF_MEMORY, "no memory for a store");
    memcpy((*restore)->cluster_id, cluster_id, ID_LEN);
    return STATUS_OK;
}

void restore_close(struct restore *restore)
{
    if (!restore)
        return;
    if (restore->file)
        sqlite_connection_close(restore->file); /* rolls back what was not committed */
    if (restore->etcd.client && !restore->finished)
        etcd_fill_empty(restore->etcd.client, &restore->settings); /* best effort: the next attempt does it as well */
    etcd_fill_release(&restore->etcd);
    etcd_client_close(restore->etcd.client);
    free(restore);
}

/* --- SQLite --- */

/* Whose the file is: a fresh one is nobody's. */
static status_code held_cluster(struct connection *file, bool *fresh, uint8_t cluster_id[ID_LEN])
{
    sqlite3_stmt *statement;
    bool row = false;

    TRY(connection_statement(file, STATEMENT_GET_CLUSTER, &statement));
    status_code status = connection_step(file, statement, &row);
    struct slice held = row ? statement_bytes(statement, 0) : slice_of(NULL, 0);

    *fresh = status == STATUS_OK && !row;
    if (held.len == ID_LEN)
        memcpy(cluster_id, held.data, ID_LEN);
    sqlite3_reset(statement);
    return status;
}

static status_code open_file(struct restore *restore, const char *path)
{
    uint8_t held[ID_LEN] = {0};
    bool fresh;

    TRY(sqlite_connection_open(path, &restore->file));
    TRY(held_cluster(restore->file, &fresh, held));
    if (!fresh && memcmp(held, restore->cluster_id, ID_LEN) == 0) {
        sqlite_connection_close(restore->file);
        restore->file = NULL;
        sqlite_remove_files(path);
        TRY(sqlite_connection_open(path, &restore->file));
        fresh = true;
    }
    CHECK(fresh, STATUS_ALREADY_EXISTS,
          "%.160s holds a cluster already: a backup is restored into a new cluster, with a fresh store", path);
    return connection_execute(restore->file, "BEGIN IMMEDIATE");
}

status_code restore_open_sqlite(const char *path, const uint8_t cluster_id[ID_LEN], struct restore **restore)
{
    TRY(make(cluster_id, restore));
    return open_file(*restore, path);
}

static status_code finish_file(struct restore *restore, uint64_t revision)
{
    TRY(sqlite_take_cluster_id(restore->file, restore->cluster_id));
    TRY(sqlite_changes_begin(restore->file, revision));
    TRY(sqlite_advance(restore->file, 0, revision));
    return connection_execute(restore->file, "COMMIT");
}

/* --- etcd --- */

static bool is_ours(const struct restore *restore, const char *text)
{
    struct etcd_cluster cluster;

    /* The same attempt, before its end or after. */
    return strcmp(text, restore->marker) == 0 ||
           etcd_cluster_parse(slice_text(text), restore->cluster_id, &cluster) == STATUS_OK;
}

static status_code refuse_record(void *context, const struct store_write *record, uint64_t revision)
{
    const struct restore *restore = context;

    (void)record, (void)revision;
    FAIL(STATUS_ALREADY_EXISTS, "etcd holds records under %s: choose another etcd-prefix, or delete them",
         restore->settings.prefix);
}

static status_code claim(struct restore *restore)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;
    struct etcd_fill *etcd = &restore->etcd;
    uint64_t revision, at = 0;

    TRY(etcd_get(etcd->client, etcd->settings, "/cluster", 0, TIMEOUT_MS, &text, &revision));
    CHECK(bytes_append(&text, "", 1), STATUS_OUT_OF_MEMORY, "no memory"); /* a string from here on */
    const char *held = (const char *)text.data;

    CHECK(text.len == 1 || is_ours(restore, held), STATUS_ALREADY_EXISTS,
          "etcd holds a cluster under %s (\"%.60s\"): a backup is restored into a new cluster, with a fresh store",
          etcd->settings->prefix, held);
    if (text.len == 1)
        TRY(etcd_scan(etcd->client, etcd->settings, &at, refuse_record, restore));
    etcd->expected = text.len == 1 ? NULL : held;
    status_code status =
        etcd_fill_transact(etcd, json_pack("[o]", etcd_fill_key(etcd->settings, "/cluster", restore->marker)));
    etcd->expected = restore->marker;
    TRY(status);
    return etcd_fill_empty(etcd->client, etcd->settings);
}

status_code restore_open_etcd(const struct etcd_settings *settings, const uint8_t cluster_id[ID_LEN],
                              struct restore **restore)
{
    char id[2 * ID_LEN + 1];

    TRY(make(cluster_id, restore));
    struct restore *made = *restore;

    made->settings = *settings;
    made->etcd.settings = &made->settings;
    hex_encode(slice_of(cluster_id, ID_LEN), id);
    snprintf(made->marker, sizeof(made->marker), RESTORING "%s", id);
    TRY(etcd_client_open(&made->settings, &made->etcd.client));
    status_code status = claim(made);

    if (status != STATUS_OK) { /* what is there is not ours to empty */
        etcd_client_close(made->etcd.client);
        made->etcd.client = NULL;
    }
    return status;
}

static status_code finish_etcd(struct restore *restore, uint64_t revision)
{
    struct etcd_cluster cluster;

    TRY(etcd_fill_flush(&restore->etcd));
    etcd_cluster_make(restore->cluster_id, revision, 0, &cluster);
    return etcd_fill_transact(&restore->etcd,
                              json_pack("[o, o]", etcd_fill_key(&restore->settings, "/cluster", cluster.text),
                                        etcd_fill_key(&restore->settings, "/head", "")));
}

/* --- both --- */

status_code restore_put(struct restore *restore, const struct store_write *record)
{
    if (!restore->file)
        return etcd_fill_add(&restore->etcd, record, 0);
    /* The revision at which it last changed is nobody's business in a store that all begin to follow anew. */
    return sqlite_follow(restore->file, record, 1);
}

status_code restore_finish(struct restore *restore, uint64_t revision)
{
    TRY(restore->file ? finish_file(restore, revision) : finish_etcd(restore, revision));
    restore->finished = true;
    return STATUS_OK;
}
