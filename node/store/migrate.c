/* See migrate.h. */
#include "store/migrate.h"

#include <stdio.h>
#include "store/etcd_fill.h"
#include "store/etcd_scan.h"
#include "store/fingerprint.h"
#include "store/sqlite_scan.h"
#include "store/sqlite_write.h"

#define TIMEOUT_MS 5000u

struct move {
    struct etcd_client *client;
    const struct etcd_settings *settings;
    const uint8_t *cluster_id;
    struct connection *file;
    struct etcd_cluster cluster;
};

static void move_release(struct move *move)
{
    if (move->file)
        sqlite_connection_close(move->file);
    etcd_client_close(move->client);
}

/* --- comparing --- */

static status_code add_record(void *context, const struct store_write *record, uint64_t revision)
{
    (void)revision;
    return fingerprint_add(context, record);
}

static status_code compare(struct move *move, uint64_t *n)
{
    CLEANUP(fingerprint_release) struct fingerprint here = {NULL, 0}, there = {NULL, 0};
    uint8_t ours[32], theirs[32];
    uint64_t at = 0;

    TRY(fingerprint_begin(&here));
    TRY(fingerprint_begin(&there));
    TRY(sqlite_scan(move->file, add_record, &here));
    TRY(etcd_scan(move->client, move->settings, &at, add_record, &there));
    TRY(fingerprint_end(&here, ours));
    TRY(fingerprint_end(&there, theirs));
    CHECK(here.n == there.n && memcmp(ours, theirs, sizeof(ours)) == 0, STATUS_STORE_DAMAGED,
          "the copy differs: %llu records in the file, %llu in etcd; nothing was moved", (unsigned long long)here.n,
          (unsigned long long)there.n);
    *n = here.n;
    return STATUS_OK;
}

/* --- to etcd --- */

static status_code read_cluster_text(struct move *move, struct bytes *text)
{
    uint64_t revision;

    TRY(etcd_get(move->client, move->settings, "/cluster", 0, TIMEOUT_MS, text, &revision));
    CHECK(bytes_append(text, "", 1), STATUS_OUT_OF_MEMORY, "no memory"); /* a string from here on */
    return STATUS_OK;
}

/* Only if what stands under /cluster is `expected` (NULL: nothing). Takes over `changes`. */
static status_code transact(struct move *move, const char *expected, json_t *changes)
{
    const struct etcd_fill fill = {.client = move->client, .settings = move->settings, .expected = expected};

    return etcd_fill_transact(&fill, changes);
}

static json_t *put_key(const struct move *move, const char *name, const char *text)
{
    return etcd_fill_key(move->settings, name, text);
}

static status_code copy_to_etcd(struct move *move)
{
    CLEANUP(etcd_fill_release) struct etcd_fill fill = {.client = move->client, .settings = move->settings};

    TRY(sqlite_scan(move->file, etcd_fill_add, &fill));
    return etcd_fill_flush(&fill);
}

static status_code remove_records(struct move *move)
{
    return etcd_fill_empty(move->client, move->settings);
}

static status_code refuse_record(void *context, const struct store_write *record, uint64_t revision)
{
    const struct move *move = context;

    (void)record, (void)revision;
    FAIL(STATUS_ALREADY_EXISTS,
         "etcd holds records under %s, but no cluster: choose another etcd-prefix, or delete them (etcdctl del "
         "--prefix)",
         move->settings->prefix);
}

/* What is left of the same move, interrupted after its source was closed, is ours to replace. */
static status_code prepare_etcd(struct move *move, bool resumed)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;
    uint64_t at = 0;

    TRY(read_cluster_text(move, &text));
    CHECK(text.len == 1, STATUS_ALREADY_EXISTS, "etcd holds a cluster under %s: \"%.80s\"", move->settings->prefix,
          (const char *)text.data);
    return resumed ? remove_records(move) : etcd_scan(move->client, move->settings, &at, refuse_record, move);
}

static status_code check_source(struct move *move, const char *target, bool *resumed)
{
    char moved[160];
    status_code status = sqlite_check_not_moved(move->file, moved);

    *resumed = status != STATUS_OK && strcmp(moved, target) == 0;
    return *resumed ? STATUS_OK : status;
}

static status_code copy_and_close_source(struct move *move, const char *target, struct migrated *migrated)
{
    TRY(copy_to_etcd(move));
    TRY(compare(move, &migrated->n_records));
    TRY(connection_revision(move->file, &migrated->revision));
    TRY(sqlite_set_moved(move->file, target));
    return connection_execute(move->file, "COMMIT");
}

static status_code open_target(struct move *move, uint64_t revision)
{
    struct etcd_cluster cluster;
    uint64_t floor;

    TRY(sqlite_floor(move->file, &floor));
    etcd_cluster_make(move->cluster_id, revision, floor, &cluster);
    return transact(move, NULL,
                    json_pack("[o, o]", put_key(move, "/cluster", cluster.text), put_key(move, "/head", "")));
}

/* With the file's lock held, which keeps every node from writing. */
static status_code move_to_etcd(struct move *move, const char *target, struct migrated *migrated)
{
    char detail[FAILURE_DETAIL_MAX];
    bool resumed;

    TRY(check_source(move, target, &resumed));
    TRY(prepare_etcd(move, resumed));
    status_code status = copy_and_close_source(move, target, migrated);

    if (status == STATUS_OK)
        return open_target(move, migrated->revision);
    memcpy(detail, failure_detail(), sizeof(detail));
    remove_records(move); /* best effort: the next attempt says what is left */
    return failure_set(status, "%s", detail);
}

static status_code check_file(struct move *move)
{
    sqlite3_stmt *statement;
    bool row, same = false;

    TRY(connection_statement(move->file, STATEMENT_GET_CLUSTER, &statement));
    status_code status = connection_step(move->file, statement, &row);
    if (status == STATUS_OK && row)
        same = slice_equal(statement_bytes(statement, 0), slice_of(move->cluster_id, ID_LEN));
    sqlite3_reset(statement);
    TRY(status);
    CHECK(same, STATUS_STORE_FOREIGN, "the file does not hold this node's cluster");
    return STATUS_OK;
}

status_code migrate_to_etcd(const char *path, const struct etcd_settings *settings, const uint8_t cluster_id[ID_LEN],
                            struct migrated *migrated)
{
    CLEANUP(move_release) struct move move = {.settings = settings, .cluster_id = cluster_id};
    char target[160];

    snprintf(target, sizeof(target), "etcd, prefix %s", settings->prefix);
    TRY(etcd_client_open(settings, &move.client));
    TRY(sqlite_connection_open(path, &move.file));
    TRY(check_file(&move));
    TRY(connection_execute(move.file, "BEGIN IMMEDIATE"));
    return move_to_etcd(&move, target, migrated); /* closing the connection rolls back what was not committed */
}

/* --- to SQLite --- */

static status_code take_record(void *context, const struct store_write *record, uint64_t revision)
{
    struct move *move = context;

    return sqlite_follow(move->file, record, revision + move->cluster.offset);
}

static status_code is_fresh(struct connection *file, bool *fresh)
{
    sqlite3_stmt *statement;
    bool row = false;

    TRY(connection_statement(file, STATEMENT_ALL, &statement));
    status_code status = connection_step(file, statement, &row);

    sqlite3_reset(statement);
    *fresh = !row;
    return status;
}

static status_code copy_to_sqlite(struct move *move, struct migrated *migrated)
{
    uint64_t at = 0, head = 0;

    TRY(connection_execute(move->file, "BEGIN IMMEDIATE"));
    TRY(etcd_scan(move->client, move->settings, &at, take_record, move));
    TRY(etcd_get(move->client, move->settings, "/head", at, TIMEOUT_MS, NULL, &head));
    migrated->revision = head + move->cluster.offset;
    TRY(sqlite_take_cluster_id(move->file, move->cluster_id));
    TRY(sqlite_changes_begin(move->file, migrated->revision));
    TRY(sqlite_advance(move->file, 0, migrated->revision));
    TRY(sqlite_set_floor(move->file, move->cluster.floor));
    TRY(connection_execute(move->file, "COMMIT"));
    return compare(move, &migrated->n_records);
}

/* etcd is closed for writing by a prefix of the cluster's text, which every write demands without it. */
static status_code close_etcd(struct move *move, const char *closed, const char *path)
{
    char moved[300];

    snprintf(moved, sizeof(moved), "moved to sqlite:%.200s", path);
    return transact(move, closed, json_pack("[o]", put_key(move, "/cluster", moved)));
}

static status_code move_to_sqlite(struct move *move, const char *path, const char *closed, struct migrated *migrated)
{
    char detail[FAILURE_DETAIL_MAX];
    status_code status = copy_to_sqlite(move, migrated);

    if (status == STATUS_OK)
        return close_etcd(move, closed, path);
    memcpy(detail, failure_detail(), sizeof(detail));
    sqlite_connection_close(move->file);
    move->file = NULL;
    sqlite_remove_files(path);
    transact(move, closed, json_pack("[o]", put_key(move, "/cluster", move->cluster.text)));
    return failure_set(status, "%s", detail);
}

/* The copy was made by an attempt that ended before etcd was closed for good; it holds all, or it is not touched. */
static status_code finish_move(struct move *move, const char *path, const char *closed, struct migrated *migrated)
{
    TRY(check_file(move));
    TRY(compare(move, &migrated->n_records));
    TRY(connection_revision(move->file, &migrated->revision));
    return close_etcd(move, closed, path);
}

status_code migrate_to_sqlite(const struct etcd_settings *settings, const char *path, const uint8_t cluster_id[ID_LEN],
                              struct migrated *migrated)
{
    CLEANUP(move_release) struct move move = {.settings = settings, .cluster_id = cluster_id};
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;
    char closed[ETCD_CLUSTER_MAX + sizeof(ETCD_MOVING)];
    bool fresh = false;

    TRY(etcd_client_open(settings, &move.client));
    TRY(read_cluster_text(&move, &text));
    TRY(etcd_cluster_parse(slice_text((const char *)text.data), cluster_id, &move.cluster));
    TRY(sqlite_connection_open(path, &move.file));
    TRY(is_fresh(move.file, &fresh));
    snprintf(closed, sizeof(closed), ETCD_MOVING "%s", move.cluster.text);
    bool resumed = strcmp((const char *)text.data, closed) == 0;

    CHECK(fresh || resumed, STATUS_ALREADY_EXISTS, "%s holds records: choose a file that does not exist yet", path);
    TRY(transact(&move, (const char *)text.data, json_pack("[o]", put_key(&move, "/cluster", closed))));
    return fresh ? move_to_sqlite(&move, path, closed, migrated) : finish_move(&move, path, closed, migrated);
}
