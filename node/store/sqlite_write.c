/* Writing into SQLite: what one transaction does with the jobs that store_sqlite.c gathered.
 *
 * Each job has a savepoint and a revision of its own: a refused one (its version differs) leaves no trace and the
 * others alone. Any other failure fails them all. Beside its record a write replaces the tokens by which it is found,
 * listed in the record so that the old ones can be removed, and enters the list of changes. */
#include "store/sqlite_write.h"

#include <stdio.h>

/* Which changes are gone follows from these two and the revision: part of the file's format. */
#define CHANGES_KEPT  200000u /* revisions */
#define TRIM_INTERVAL 4096u

uint64_t changes_trimmed_before(uint64_t revision)
{
    uint64_t trimmed_at = revision - revision % TRIM_INTERVAL;

    return trimmed_at > CHANGES_KEPT ? trimmed_at - CHANGES_KEPT : 0;
}

static status_code change_tokens(struct connection *connection, enum statement which, const struct store_write *write,
                                 const uint8_t *tokens, size_t n)
{
    sqlite3_stmt *statement;

    for (size_t i = 0; i < n; i++) {
        TRY(connection_statement(connection, which, &statement));
        sqlite3_bind_int(statement, 1, write->kind);
        sqlite3_bind_blob(statement, 2, tokens + i * TOKEN_LEN, TOKEN_LEN, SQLITE_STATIC);
        statement_bind_id(statement, 3, write->id);
        TRY(connection_run(connection, statement));
    }
    return STATUS_OK;
}

/* The version that the record has now (0: none), and its tokens. */
static status_code current(struct connection *connection, const struct store_write *write, uint64_t *version,
                           struct bytes *tokens)
{
    sqlite3_stmt *statement;
    bool row;

    *version = 0;
    TRY(connection_statement(connection, STATEMENT_VERSION, &statement));
    sqlite3_bind_int(statement, 1, write->kind);
    statement_bind_id(statement, 2, write->id);
    status_code status = connection_step(connection, statement, &row);
    if (status == STATUS_OK && row) {
        *version = (uint64_t)sqlite3_column_int64(statement, 0);
        status = bytes_assign(tokens, statement_bytes(statement, 1));
    }
    sqlite3_reset(statement);
    return status;
}

static status_code put(struct connection *connection, const struct store_write *write, uint64_t revision)
{
    sqlite3_stmt *statement;

    TRY(connection_statement(connection, STATEMENT_PUT, &statement));
    sqlite3_bind_int(statement, 1, write->kind);
    statement_bind_id(statement, 2, write->id);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)write->expected_version + 1);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)revision);
    sqlite3_bind_blob64(statement, 5, write->value.data, write->value.len, SQLITE_STATIC);
    sqlite3_bind_blob64(statement, 6, write->tokens, write->n_tokens * TOKEN_LEN, SQLITE_STATIC);
    TRY(connection_run(connection, statement));
    return change_tokens(connection, STATEMENT_ADD_TOKEN, write, (const uint8_t *)write->tokens, write->n_tokens);
}

static status_code add_change(struct connection *connection, const struct store_write *write, uint64_t revision)
{
    sqlite3_stmt *statement;

    if (write->kind == STORE_AUDIT)
        return STATUS_OK;
    TRY(connection_statement(connection, STATEMENT_ADD_CHANGE, &statement));
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)revision);
    sqlite3_bind_int(statement, 2, write->kind);
    statement_bind_id(statement, 3, write->id);
    sqlite3_bind_int(statement, 4, write->remove);
    return connection_run(connection, statement);
}

status_code sqlite_take_cluster_id(struct connection *connection, const uint8_t *cluster_id)
{
    sqlite3_stmt *statement;

    CHECK(cluster_id, STATUS_CLUSTER_STATE, "the store was opened without a cluster id");
    TRY(connection_statement(connection, STATEMENT_SET_CLUSTER, &statement));
    statement_bind_id(statement, 1, cluster_id);
    return connection_run(connection, statement);
}

/* The record as the write has it, in place of one that was found by `tokens`. */
static status_code replace(struct connection *connection, const struct store_write *write, const struct bytes *tokens,
                           uint64_t revision)
{
    sqlite3_stmt *statement;

    TRY(change_tokens(connection, STATEMENT_REMOVE_TOKEN, write, tokens->data, tokens->len / TOKEN_LEN));
    if (write->remove) {
        TRY(connection_statement(connection, STATEMENT_REMOVE, &statement));
        sqlite3_bind_int(statement, 1, write->kind);
        statement_bind_id(statement, 2, write->id);
        TRY(connection_run(connection, statement));
    } else {
        TRY(put(connection, write, revision));
    }
    return add_change(connection, write, revision);
}

static status_code apply_one(struct connection *connection, const uint8_t *cluster_id, const struct store_write *write,
                             uint64_t revision)
{
    CLEANUP(bytes_release) struct bytes tokens = BYTES_INIT;
    uint64_t version;

    TRY(current(connection, write, &version, &tokens));
    CHECK(write->expected_version != 0 || version == 0, STATUS_ALREADY_EXISTS, "the record exists");
    CHECK(version == write->expected_version, STATUS_CONFLICT, "the record has version %llu, not %llu",
          (unsigned long long)version, (unsigned long long)write->expected_version);
    if (write->kind == STORE_CLUSTER && version == 0)
        TRY(sqlite_take_cluster_id(connection, cluster_id));
    return replace(connection, write, &tokens, revision);
}

status_code sqlite_follow(struct connection *connection, const struct store_write *write, uint64_t revision)
{
    CLEANUP(bytes_release) struct bytes tokens = BYTES_INIT;
    uint64_t version;

    TRY(current(connection, write, &version, &tokens));
    return replace(connection, write, &tokens, revision);
}

static bool refused(status_code status)
{
    return status == STATUS_CONFLICT || status == STATUS_ALREADY_EXISTS || status == STATUS_CLUSTER_STATE ||
           status == STATUS_BUSY;
}

/* In a savepoint, so that a refused write leaves the others of the transaction alone. */
static status_code apply_job(struct connection *connection, const uint8_t *cluster_id, uint64_t floor,
                             struct write_job *job, uint64_t revision)
{
    TRY(connection_execute(connection, "SAVEPOINT one"));
    status_code status = store_check_floor(job->writes, job->n, floor);

    for (size_t i = 0; i < job->n && status == STATUS_OK; i++)
        status = apply_one(connection, cluster_id, &job->writes[i], revision);
    if (status == STATUS_OK)
        return connection_execute(connection, "RELEASE one");
    snprintf(job->detail, sizeof(job->detail), "%s", failure_detail());
    if (!refused(status)) /* SQLite may have ended the whole transaction */
        return status;
    TRY(connection_execute(connection, "ROLLBACK TO one; RELEASE one"));
    return status;
}

status_code sqlite_advance(struct connection *connection, uint64_t before, uint64_t revision)
{
    sqlite3_stmt *statement;

    if (before / TRIM_INTERVAL != revision / TRIM_INTERVAL) {
        TRY(connection_statement(connection, STATEMENT_TRIM_CHANGES, &statement));
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)changes_trimmed_before(revision));
        TRY(connection_run(connection, statement));
    }
    TRY(connection_statement(connection, STATEMENT_SET_REVISION, &statement));
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)revision);
    return connection_run(connection, statement);
}

status_code sqlite_changes_begin(struct connection *connection, uint64_t revision)
{
    sqlite3_stmt *statement;

    TRY(connection_execute(connection, "DELETE FROM changes"));
    TRY(connection_statement(connection, STATEMENT_SET_FLOOR, &statement));
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)revision);
    return connection_run(connection, statement);
}

status_code sqlite_check_not_moved(struct connection *connection, char target[160])
{
    sqlite3_stmt *statement;
    char found[160] = "";
    bool row;

    TRY(connection_statement(connection, STATEMENT_MOVED, &statement));
    status_code status = connection_step(connection, statement, &row);
    if (status == STATUS_OK && row)
        snprintf(found, sizeof(found), "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_reset(statement);
    if (target)
        memcpy(target, found, sizeof(found));
    TRY(status);
    CHECK(!row, STATUS_STORE_READ_ONLY, "this cluster moved to %s: correct the setting store of this node", found);
    return STATUS_OK;
}

status_code sqlite_set_moved(struct connection *connection, const char *target)
{
    sqlite3_stmt *statement;

    TRY(connection_statement(connection, STATEMENT_SET_MOVED, &statement));
    sqlite3_bind_text(statement, 1, target, -1, SQLITE_TRANSIENT);
    return connection_run(connection, statement);
}

status_code sqlite_floor(struct connection *connection, uint64_t *generation)
{
    sqlite3_stmt *statement;

    TRY(connection_statement(connection, STATEMENT_GENERATION, &statement));
    return statement_number(connection, statement, generation);
}

status_code sqlite_set_floor(struct connection *connection, uint64_t generation)
{
    sqlite3_stmt *statement;

    TRY(connection_statement(connection, STATEMENT_SET_GENERATION, &statement));
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)generation);
    return connection_run(connection, statement);
}

/* All jobs in one transaction. A refused job is its own affair; any other failure fails the transaction. */
status_code sqlite_transact(struct connection *connection, const uint8_t *cluster_id, struct write_job *jobs)
{
    uint64_t revision, before, floor;

    TRY(sqlite_check_not_moved(connection, NULL));
    TRY(sqlite_floor(connection, &floor));
    TRY(connection_revision(connection, &before));
    revision = before;
    for (struct write_job *job = jobs; job; job = job->next) {
        job->status = apply_job(connection, cluster_id, floor, job, revision + 1);
        if (job->status != STATUS_OK && !refused(job->status))
            return job->status;
        if (job->status == STATUS_OK)
            job->revision = ++revision;
    }
    return revision == before ? STATUS_OK : sqlite_advance(connection, before, revision);
}
