/* The store on one SQLite file, which several nodes of one machine may share.
 *
 * Reads borrow a connection each. Writes of concurrent threads are gathered: one of them, the leader, carries out all
 * that wait in one transaction, each in a savepoint of its own, so that one fsync serves them all. Every write has a
 * revision of its own; the revision counter is part of the transaction. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "store/presence_files.h"
#include "store/sqlite_scan.h"
#include "store/sqlite_write.h"

#define BATCH_WRITES 256u

struct store_sqlite {
    struct store base;
    char *path;
    struct presence_files *presence;
    uint8_t cluster_id[ID_LEN];
    bool has_cluster_id;

    pthread_mutex_t idle_lock; /* guards idle */
    struct connection *idle;

    pthread_mutex_t write_lock; /* guards the queue and leading */
    pthread_cond_t written;
    struct write_job *first, **last;
    bool leading;              /* a thread is carrying out writes */
    struct connection *writer; /* the leader's */
};

static struct store_sqlite *sqlite_of(struct store *store)
{
    return (struct store_sqlite *)store;
}

static status_code borrow(struct store_sqlite *store, struct connection **connection)
{
    pthread_mutex_lock(&store->idle_lock);
    *connection = store->idle;
    if (*connection)
        store->idle = (*connection)->next;
    pthread_mutex_unlock(&store->idle_lock);
    return *connection ? STATUS_OK : sqlite_connection_open(store->path, connection);
}

static void give_back(struct store_sqlite *store, struct connection *connection)
{
    pthread_mutex_lock(&store->idle_lock);
    connection->next = store->idle;
    store->idle = connection;
    pthread_mutex_unlock(&store->idle_lock);
}

static status_code read_on(struct connection *connection, enum store_kind kind, const uint8_t id[ID_LEN],
                           struct bytes *value, uint64_t *version)
{
    sqlite3_stmt *statement;
    bool row;

    TRY(connection_statement(connection, STATEMENT_READ, &statement));
    sqlite3_bind_int(statement, 1, kind);
    statement_bind_id(statement, 2, id);
    status_code status = connection_step(connection, statement, &row);
    if (status == STATUS_OK && row) {
        *version = (uint64_t)sqlite3_column_int64(statement, 0);
        status = bytes_assign(value, statement_bytes(statement, 1));
    }
    sqlite3_reset(statement);
    TRY(status);
    CHECK(row, STATUS_OBJECT_NOT_FOUND, "no such record");
    return STATUS_OK;
}

static status_code sqlite_read(struct store *store, enum store_kind kind, const uint8_t id[ID_LEN], struct bytes *value,
                               uint64_t *version)
{
    struct connection *connection;

    TRY(borrow(sqlite_of(store), &connection));
    status_code status = read_on(connection, kind, id, value, version);
    give_back(sqlite_of(store), connection);
    return status;
}

status_code sqlite_position(struct store *store, enum store_kind kind, const uint8_t id[ID_LEN], uint64_t *version,
                            uint64_t *revision)
{
    struct connection *connection;
    sqlite3_stmt *statement;
    bool row = false;

    *version = *revision = 0;
    TRY(borrow(sqlite_of(store), &connection));
    status_code status = connection_statement(connection, STATEMENT_POSITION, &statement);
    if (status == STATUS_OK) {
        sqlite3_bind_int(statement, 1, kind);
        statement_bind_id(statement, 2, id);
        status = connection_step(connection, statement, &row);
        if (status == STATUS_OK && row) {
            *version = (uint64_t)sqlite3_column_int64(statement, 0);
            *revision = (uint64_t)sqlite3_column_int64(statement, 1);
        }
        sqlite3_reset(statement);
    }
    give_back(sqlite_of(store), connection);
    return status;
}

/* Rows of id, version, revision, value. */
static status_code visit_rows(struct connection *connection, sqlite3_stmt *statement, enum store_kind kind,
                              store_visitor visit, void *context)
{
    status_code status;
    bool row;

    while ((status = connection_step(connection, statement, &row)) == STATUS_OK && row) {
        struct store_record record = {.kind = kind,
                                      .version = (uint64_t)sqlite3_column_int64(statement, 1),
                                      .revision = (uint64_t)sqlite3_column_int64(statement, 2),
                                      .value = statement_bytes(statement, 3)};
        struct slice id = statement_bytes(statement, 0);

        if (id.len != ID_LEN) {
            status =
                failure_set(STATUS_STORE_DAMAGED, "a record has an id of %zu bytes: restore from a backup", id.len);
            break;
        }
        memcpy(record.id, id.data, ID_LEN);
        status = visit(context, &record);
        if (status != STATUS_OK)
            break;
    }
    sqlite3_reset(statement);
    return status;
}

static const uint8_t lowest_id[1] = {0}; /* an empty blob sorts before all */

static status_code sqlite_range(struct store *store, enum store_kind kind, const uint8_t *after, const uint8_t *before,
                                size_t limit, store_visitor visit, void *context)
{
    static const uint8_t highest[ID_LEN + 1] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct connection *connection;
    sqlite3_stmt *statement;

    TRY(borrow(sqlite_of(store), &connection));
    status_code status = connection_statement(connection, STATEMENT_RANGE, &statement);
    if (status == STATUS_OK) {
        sqlite3_bind_int(statement, 1, kind);
        sqlite3_bind_blob(statement, 2, after ? after : lowest_id, after ? ID_LEN : 0, SQLITE_STATIC);
        sqlite3_bind_blob(statement, 3, before ? before : highest, before ? ID_LEN : sizeof(highest), SQLITE_STATIC);
        sqlite3_bind_int64(statement, 4, (sqlite3_int64)limit);
        status = visit_rows(connection, statement, kind, visit, context);
    }
    give_back(sqlite_of(store), connection);
    return status;
}

static status_code sqlite_find(struct store *store, enum store_kind kind, const struct index_token *tokens,
                               size_t n_tokens, const uint8_t *after, size_t limit, store_visitor visit, void *context)
{
    struct connection *connection;
    sqlite3_stmt *statement;

    TRY(borrow(sqlite_of(store), &connection));
    status_code status = connection_find_statement(connection, n_tokens, &statement);
    if (status == STATUS_OK) {
        sqlite3_bind_int(statement, 1, kind);
        sqlite3_bind_blob(statement, 2, after ? after : lowest_id, after ? ID_LEN : 0, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, (sqlite3_int64)limit);
        for (size_t i = 0; i < n_tokens; i++)
            sqlite3_bind_blob(statement, (int)i + 4, tokens[i].bytes, TOKEN_LEN, SQLITE_STATIC);
        status = visit_rows(connection, statement, kind, visit, context);
    }
    give_back(sqlite_of(store), connection);
    return status;
}

static status_code sqlite_count(struct store *store, enum store_kind kind, const struct index_token *token, uint64_t *n)
{
    struct connection *connection;
    sqlite3_stmt *statement;

    TRY(borrow(sqlite_of(store), &connection));
    status_code status = connection_statement(connection, STATEMENT_COUNT, &statement);
    if (status == STATUS_OK) {
        sqlite3_bind_int(statement, 1, kind);
        sqlite3_bind_blob(statement, 2, token->bytes, TOKEN_LEN, SQLITE_STATIC);
        status = statement_number(connection, statement, n);
    }
    give_back(sqlite_of(store), connection);
    return status;
}

static status_code sqlite_revision(struct store *store, uint64_t *revision)
{
    struct connection *connection;

    TRY(borrow(sqlite_of(store), &connection));
    status_code status = connection_revision(connection, revision);
    give_back(sqlite_of(store), connection);
    return status;
}

static status_code visit_changes(struct connection *connection, uint64_t since, store_change_visitor visit,
                                 void *context)
{
    sqlite3_stmt *statement;
    status_code status;
    bool row;

    TRY(connection_statement(connection, STATEMENT_CHANGES, &statement));
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)since);
    while ((status = connection_step(connection, statement, &row)) == STATUS_OK && row) {
        struct store_change change = {.revision = (uint64_t)sqlite3_column_int64(statement, 0),
                                      .kind = (enum store_kind)sqlite3_column_int(statement, 1),
                                      .removed = sqlite3_column_int(statement, 3) != 0};
        struct slice id = statement_bytes(statement, 2);

        if (id.len == ID_LEN) {
            memcpy(change.id, id.data, ID_LEN);
            status = visit(context, &change);
        } else {
            status = failure_set(STATUS_STORE_DAMAGED, "a change has an id of %zu bytes: restore the store", id.len);
        }
        if (status != STATUS_OK)
            break;
    }
    sqlite3_reset(statement);
    return status;
}

static status_code changes_on(struct connection *connection, uint64_t since, store_change_visitor visit, void *context,
                              uint64_t *revision)
{
    sqlite3_stmt *statement;
    uint64_t newest, floor;

    TRY(connection_revision(connection, &newest));
    TRY(connection_statement(connection, STATEMENT_FLOOR, &statement));
    TRY(statement_number(connection, statement, &floor));
    CHECK(since <= newest, STATUS_CONFLICT, "the store is older than what was seen of it: was it restored?");
    CHECK(since >= floor && since + 1 >= changes_trimmed_before(newest), STATUS_CONFLICT,
          "the list of changes no longer reaches back to revision %llu", (unsigned long long)since);
    TRY(visit_changes(connection, since, visit, context));
    *revision = newest;
    return STATUS_OK;
}

static status_code sqlite_changes(struct store *store, uint64_t since, store_change_visitor visit, void *context,
                                  uint64_t *revision)
{
    struct connection *connection;
    uint64_t newest;

    TRY(borrow(sqlite_of(store), &connection));
    status_code status = connection_revision(connection, &newest);
    if (status == STATUS_OK && newest == since) { /* the usual case needs no transaction */
        *revision = newest;
        give_back(sqlite_of(store), connection);
        return STATUS_OK;
    }
    if (status == STATUS_OK)
        status = connection_execute(connection, "BEGIN");
    if (status == STATUS_OK) {
        status = changes_on(connection, since, visit, context, revision);
        sqlite3_exec(connection->db, "COMMIT", NULL, NULL, NULL);
    }
    give_back(sqlite_of(store), connection);
    return status;
}

/* --- writing --- */

static status_code write_jobs(struct store_sqlite *store, struct write_job *jobs)
{
    if (!store->writer)
        TRY(sqlite_connection_open(store->path, &store->writer));
    TRY(connection_execute(store->writer, "BEGIN IMMEDIATE"));
    status_code status = sqlite_transact(store->writer, store->has_cluster_id ? store->cluster_id : NULL, jobs);

    if (status == STATUS_OK)
        status = connection_execute(store->writer, "COMMIT");
    if (status != STATUS_OK)
        sqlite3_exec(store->writer->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static struct write_job *take_jobs(struct store_sqlite *store)
{
    struct write_job *jobs = store->first, *end = jobs;

    for (unsigned n = 1; end->next && n < BATCH_WRITES; n++)
        end = end->next;
    store->first = end->next;
    if (!store->first)
        store->last = &store->first;
    end->next = NULL;
    return jobs;
}

/* Called with write_lock held; gives it up while writing. */
static void lead(struct store_sqlite *store)
{
    store->leading = true;
    struct write_job *jobs = take_jobs(store);

    pthread_mutex_unlock(&store->write_lock);
    status_code status = write_jobs(store, jobs);
    pthread_mutex_lock(&store->write_lock);

    for (struct write_job *job = jobs, *next; job; job = next) {
        next = job->next;
        if (status != STATUS_OK) {
            job->status = status;
            snprintf(job->detail, sizeof(job->detail), "%s", failure_detail());
        }
        job->done = true;
    }
    store->leading = false;
    pthread_cond_broadcast(&store->written);
}

static status_code sqlite_write(struct store *base, const struct store_write *writes, size_t n, uint64_t *revision)
{
    struct store_sqlite *store = sqlite_of(base);
    struct write_job job = {.writes = writes, .n = n};

    pthread_mutex_lock(&store->write_lock);
    *store->last = &job;
    store->last = &job.next;
    while (!job.done) {
        if (store->leading)
            pthread_cond_wait(&store->written, &store->write_lock);
        else
            lead(store);
    }
    pthread_mutex_unlock(&store->write_lock);
    if (job.status != STATUS_OK)
        return failure_set(job.status, "%s", job.detail);
    *revision = job.revision;
    return STATUS_OK;
}

/* --- opening --- */

static void sqlite_close(struct store *base)
{
    struct store_sqlite *store = sqlite_of(base);

    while (store->idle) {
        struct connection *connection = store->idle;

        store->idle = connection->next;
        sqlite_connection_close(connection);
    }
    if (store->writer)
        sqlite_connection_close(store->writer);
    pthread_mutex_destroy(&store->idle_lock);
    pthread_mutex_destroy(&store->write_lock);
    pthread_cond_destroy(&store->written);
    presence_files_close(store->presence);
    free(store->path);
    free(store);
}

/* There is no other engine that could be ahead: what can be read is the newest. */
static status_code sqlite_wait(struct store *store, uint64_t revision)
{
    (void)store, (void)revision;
    return STATUS_OK;
}

static status_code sqlite_age(struct store *store, uint64_t *ms)
{
    (void)store;
    *ms = 0;
    return STATUS_OK;
}

static status_code snapshot(struct store *store, const struct snapshot_visitor *visitor, void *context)
{
    struct connection *connection;

    TRY(borrow(sqlite_of(store), &connection));
    status_code status = sqlite_snapshot(connection, visitor, context);
    give_back(sqlite_of(store), connection);
    return status;
}

static status_code raise_on(struct connection *connection, uint32_t generation)
{
    uint64_t floor;

    TRY(connection_execute(connection, "BEGIN IMMEDIATE"));
    status_code status = sqlite_floor(connection, &floor);

    if (status == STATUS_OK && floor < generation)
        status = sqlite_set_floor(connection, generation);
    if (status == STATUS_OK)
        status = connection_execute(connection, "COMMIT");
    if (status != STATUS_OK)
        sqlite3_exec(connection->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static status_code sqlite_raise_floor(struct store *store, uint32_t generation)
{
    struct connection *connection;

    TRY(borrow(sqlite_of(store), &connection));
    status_code status = raise_on(connection, generation);
    give_back(sqlite_of(store), connection);
    return status;
}

static status_code sqlite_be_present(struct store *store, const uint8_t node_id[ID_LEN], struct slice value)
{
    return presence_files_put(sqlite_of(store)->presence, node_id, value);
}

static status_code sqlite_each_present(struct store *store, presence_visitor visit, void *context)
{
    return presence_files_each(sqlite_of(store)->presence, visit, context);
}

static const struct store_operations operations = {
    .close = sqlite_close,
    .read = sqlite_read,
    .write = sqlite_write,
    .range = sqlite_range,
    .find = sqlite_find,
    .count = sqlite_count,
    .changes = sqlite_changes,
    .revision = sqlite_revision,
    .newest = sqlite_revision,
    .wait = sqlite_wait,
    .age = sqlite_age,
    .raise_floor = sqlite_raise_floor,
    .be_present = sqlite_be_present,
    .each_present = sqlite_each_present,
    .snapshot = snapshot,
};

status_code store_cluster_id(struct store *base, uint8_t cluster_id[ID_LEN])
{
    struct connection *connection;
    sqlite3_stmt *statement;
    bool row = false;

    TRY(borrow(sqlite_of(base), &connection));
    status_code status = connection_statement(connection, STATEMENT_GET_CLUSTER, &statement);
    if (status == STATUS_OK)
        status = connection_step(connection, statement, &row);
    if (status == STATUS_OK && row) {
        struct slice id = statement_bytes(statement, 0);

        if (id.len == ID_LEN)
            memcpy(cluster_id, id.data, ID_LEN);
        else
            status = failure_set(STATUS_STORE_DAMAGED, "the store's cluster id is damaged: restore from a backup");
        sqlite3_reset(statement);
    }
    give_back(sqlite_of(base), connection);
    TRY(status);
    CHECK(row, STATUS_OBJECT_NOT_FOUND, "the store belongs to no cluster yet");
    return STATUS_OK;
}

static status_code check_cluster(struct store_sqlite *store, const uint8_t *cluster_id)
{
    uint8_t found[ID_LEN];
    char ours[2 * ID_LEN + 1], theirs[2 * ID_LEN + 1];
    status_code status = store_cluster_id(&store->base, found);

    if (status == STATUS_OBJECT_NOT_FOUND)
        return STATUS_OK;
    TRY(status);
    if (!cluster_id || memcmp(found, cluster_id, ID_LEN) == 0)
        return STATUS_OK;
    hex_encode(slice_of(cluster_id, ID_LEN), ours);
    hex_encode(slice_of(found, ID_LEN), theirs);
    FAIL(STATUS_STORE_FOREIGN, "%s belongs to cluster %s, this node to %s: correct the setting store", store->path,
         theirs, ours);
}

status_code store_open_sqlite(const char *path, const uint8_t *cluster_id, struct store **store)
{
    struct store_sqlite *made = calloc(1, sizeof(*made));
    struct connection *connection;

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for the store");
    made->path = strdup(path);
    made->base.operations = &operations;
    made->last = &made->first;
    pthread_mutex_init(&made->idle_lock, NULL);
    pthread_mutex_init(&made->write_lock, NULL);
    pthread_cond_init(&made->written, NULL);
    if (cluster_id) {
        memcpy(made->cluster_id, cluster_id, ID_LEN);
        made->has_cluster_id = true;
    }
    status_code status =
        made->path ? presence_files_open(path, &made->presence) : failure_set(STATUS_OUT_OF_MEMORY, "no memory");
    if (status == STATUS_OK)
        status = borrow(made, &connection);
    if (status == STATUS_OK) {
        status = connection_check(connection);
        give_back(made, connection);
    }
    if (status == STATUS_OK) {
        status = check_cluster(made, cluster_id);
    }
    if (status != STATUS_OK) {
        sqlite_close(&made->base);
        return status;
    }
    *store = &made->base;
    return STATUS_OK;
}
