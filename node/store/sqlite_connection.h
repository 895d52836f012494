/* One SQLite connection with its prepared statements, and how SQLite's errors become ours. A connection is used by one
 * thread at a time; store_sqlite.c lends them out. */
#pragma once

#include <sqlite3.h>
#include "store/store.h"

#define FIND_TOKENS_MAX 24u

enum statement {
    STATEMENT_READ,
    STATEMENT_RANGE,
    STATEMENT_COUNT,
    STATEMENT_CHANGES,
    STATEMENT_REVISION,
    STATEMENT_SET_REVISION,
    STATEMENT_VERSION,
    STATEMENT_PUT,
    STATEMENT_REMOVE,
    STATEMENT_ADD_TOKEN,
    STATEMENT_REMOVE_TOKEN,
    STATEMENT_ADD_CHANGE,
    STATEMENT_TRIM_CHANGES,
    STATEMENT_FLOOR,
    STATEMENT_SET_FLOOR,
    STATEMENT_MOVED,
    STATEMENT_SET_MOVED,
    STATEMENT_POSITION,
    STATEMENT_ALL,
    STATEMENT_COUNT_ALL,
    STATEMENT_GET_CLUSTER,
    STATEMENT_SET_CLUSTER,
    STATEMENT_GENERATION,
    STATEMENT_SET_GENERATION,
    STATEMENTS
};

struct connection {
    sqlite3 *db;
    sqlite3_stmt *statement[STATEMENTS];
    sqlite3_stmt *find[FIND_TOKENS_MAX + 1]; /* by number of tokens */
    struct connection *next;
};

/** Opens the file (mode 0600, WAL, full synchronous), making the tables in a fresh one. STATUS_STORE_FOREIGN when it is
 * some other program's database or a newer format; STATUS_STORE_DAMAGED, _READ_ONLY, _FULL, _LOCKED. */
status_code sqlite_connection_open(const char *path, struct connection **connection);

/** Whether the file's structure is whole, as far as that can be told in a second or two: STATUS_STORE_DAMAGED. */
status_code connection_check(struct connection *connection);

/** Removes a database that nobody has open, with its WAL. */
void sqlite_remove_files(const char *path);

void sqlite_connection_close(struct connection *connection);

/** The prepared statement, ready for binding. */
status_code connection_statement(struct connection *connection, enum statement which, sqlite3_stmt **statement);
status_code connection_find_statement(struct connection *connection, size_t n_tokens, sqlite3_stmt **statement);

/** Runs a statement to its end or its first row; *row tells which. The caller resets it. */
status_code connection_step(struct connection *connection, sqlite3_stmt *statement, bool *row);

/** Steps once and resets: for statements without rows. */
status_code connection_run(struct connection *connection, sqlite3_stmt *statement);

/** Runs SQL text without parameters. */
status_code connection_execute(struct connection *connection, const char *sql);

/** The store's revision. */
status_code connection_revision(struct connection *connection, uint64_t *revision);

/** Steps once, takes the only number of the row (0 when there is none), and resets. */
status_code statement_number(struct connection *connection, sqlite3_stmt *statement, uint64_t *number);

void statement_bind_id(sqlite3_stmt *statement, int position, const uint8_t id[ID_LEN]);

/** The blob of a column, valid until the next step. */
struct slice statement_bytes(sqlite3_stmt *statement, int column);
