/* See sqlite_scan.h. */
#include "store/sqlite_scan.h"

static status_code visit_row(sqlite3_stmt *statement, record_visitor visit, void *context)
{
    struct slice id = statement_bytes(statement, 1), tokens = statement_bytes(statement, 3);
    struct store_write record = {.kind = (enum store_kind)sqlite3_column_int(statement, 0),
                                 .expected_version = (uint64_t)sqlite3_column_int64(statement, 2) - 1,
                                 .tokens = (const struct index_token *)tokens.data,
                                 .n_tokens = tokens.len / TOKEN_LEN,
                                 .value = statement_bytes(statement, 4)};

    CHECK(id.len == ID_LEN, STATUS_STORE_DAMAGED, "a record has an id of %zu bytes: restore from a backup", id.len);
    memcpy(record.id, id.data, ID_LEN);
    return visit(context, &record, 0);
}

status_code sqlite_scan(struct connection *file, record_visitor visit, void *context)
{
    sqlite3_stmt *statement;
    status_code status;
    bool row;

    TRY(connection_statement(file, STATEMENT_ALL, &statement));
    while ((status = connection_step(file, statement, &row)) == STATUS_OK && row) {
        status = visit_row(statement, visit, context);
        if (status != STATUS_OK)
            break;
    }
    sqlite3_reset(statement);
    return status;
}

static status_code count_records(struct connection *connection, uint64_t *n)
{
    sqlite3_stmt *statement;

    TRY(connection_statement(connection, STATEMENT_COUNT_ALL, &statement));
    return statement_number(connection, statement, n);
}

static status_code scan_all(struct connection *connection, const struct snapshot_visitor *visitor, void *context)
{
    uint64_t revision, n;

    TRY(connection_revision(connection, &revision));
    TRY(count_records(connection, &n));
    TRY(visitor->begin(context, revision, n));
    return sqlite_scan(connection, visitor->record, context);
}

status_code sqlite_snapshot(struct connection *connection, const struct snapshot_visitor *visitor, void *context)
{
    char detail[FAILURE_DETAIL_MAX];

    TRY(connection_execute(connection, "BEGIN"));
    status_code status = scan_all(connection, visitor, context);

    memcpy(detail, failure_detail(), sizeof(detail));
    (void)connection_execute(connection, "ROLLBACK");
    return status == STATUS_OK ? STATUS_OK : failure_set(status, "%s", detail);
}
