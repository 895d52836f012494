/* SQLite connections: settings, tables, statements, error mapping. Every failure says what to do about it. */
#include "store/sqlite_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPLICATION_ID  0x68736d31 /* "hsm1" */
#define FORMAT          2
#define BUSY_TIMEOUT_MS 5000
#define BUSY_PAUSE_MS   20

/* The structure of a file up to this size is checked at start: a second or two. 100,000 keys take a fifth of it. */
#define CHECK_MAX ((int64_t)1 << 30)

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS records(kind INTEGER, id BLOB, version INTEGER, revision INTEGER, value BLOB,"
    " tokens BLOB, PRIMARY KEY(kind, id)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS tokens(kind INTEGER, token BLOB, id BLOB, PRIMARY KEY(kind, token, id)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS changes(revision INTEGER, kind INTEGER, id BLOB, removed INTEGER,"
    " PRIMARY KEY(revision, kind, id)) WITHOUT ROWID;"
    "INSERT OR IGNORE INTO meta VALUES('revision', 0);";

static const char *const texts[STATEMENTS] = {
    [STATEMENT_READ] = "SELECT version, value FROM records WHERE kind = ?1 AND id = ?2",
    [STATEMENT_RANGE] = ("SELECT id, version, revision, value FROM records WHERE kind = ?1 AND id > ?2 AND id < ?3"
                         " ORDER BY id LIMIT ?4"),
    [STATEMENT_COUNT] = "SELECT count(*) FROM tokens WHERE kind = ?1 AND token = ?2",
    [STATEMENT_CHANGES] = "SELECT revision, kind, id, removed FROM changes WHERE revision > ?1 ORDER BY revision",
    [STATEMENT_REVISION] = "SELECT value FROM meta WHERE name = 'revision'",
    [STATEMENT_SET_REVISION] = "UPDATE meta SET value = ?1 WHERE name = 'revision'",
    [STATEMENT_VERSION] = "SELECT version, tokens FROM records WHERE kind = ?1 AND id = ?2",
    [STATEMENT_PUT] = "INSERT OR REPLACE INTO records VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [STATEMENT_REMOVE] = "DELETE FROM records WHERE kind = ?1 AND id = ?2",
    [STATEMENT_ADD_TOKEN] = "INSERT OR IGNORE INTO tokens VALUES(?1, ?2, ?3)",
    [STATEMENT_REMOVE_TOKEN] = "DELETE FROM tokens WHERE kind = ?1 AND token = ?2 AND id = ?3",
    [STATEMENT_ADD_CHANGE] = "INSERT OR REPLACE INTO changes VALUES(?1, ?2, ?3, ?4)",
    [STATEMENT_TRIM_CHANGES] = "DELETE FROM changes WHERE revision < ?1",
    [STATEMENT_FLOOR] = "SELECT value FROM meta WHERE name = 'floor'",
    [STATEMENT_SET_FLOOR] = "INSERT OR REPLACE INTO meta VALUES('floor', ?1)",
    [STATEMENT_MOVED] = "SELECT value FROM meta WHERE name = 'moved'",
    [STATEMENT_SET_MOVED] = "INSERT OR REPLACE INTO meta VALUES('moved', ?1)",
    [STATEMENT_POSITION] = "SELECT version, revision FROM records WHERE kind = ?1 AND id = ?2",
    [STATEMENT_ALL] = "SELECT kind, id, version, tokens, value FROM records ORDER BY kind, id",
    [STATEMENT_COUNT_ALL] = "SELECT count(*) FROM records",
    [STATEMENT_GET_CLUSTER] = "SELECT value FROM meta WHERE name = 'cluster'",
    [STATEMENT_SET_CLUSTER] = "INSERT INTO meta VALUES('cluster', ?1)",
    [STATEMENT_GENERATION] = "SELECT value FROM meta WHERE name = 'generation'",
    [STATEMENT_SET_GENERATION] = "INSERT OR REPLACE INTO meta VALUES('generation', ?1)",
};

static status_code failed(sqlite3 *db, int code)
{
    const char *path = db ? sqlite3_db_filename(db, "main") : NULL;
    const char *reason = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    /* The system's error number stays from earlier failures: it belongs to these two codes only. */
    bool system = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
    int reported = db && system ? sqlite3_system_errno(db) : 0;
    bool full = reported == ENOSPC || reported == EDQUOT;

    if (!path || !*path)
        path = "the store";
    switch (full ? SQLITE_FULL : code & 0xff) {
    case SQLITE_FULL:
        FAIL(STATUS_STORE_FULL, "%s: the disk is full: make room; nothing of this write was kept", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        FAIL(STATUS_STORE_LOCKED, "%s: locked by another program for more than %d s", path, BUSY_TIMEOUT_MS / 1000);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
        FAIL(STATUS_STORE_READ_ONLY, "%s: %s: check owner and mode of the file and its folder", path, reason);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* the statements are fixed: tables or columns are missing */
        FAIL(STATUS_STORE_DAMAGED, "%s: %s: restore it from a backup", path, reason);
    case SQLITE_NOMEM:
        FAIL(STATUS_OUT_OF_MEMORY, "%s: out of memory", path);
    default:
        FAIL(STATUS_IO_ERROR, "%s: %s", path, reason);
    }
}

status_code connection_execute(struct connection *connection, const char *sql)
{
    int code = sqlite3_exec(connection->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? STATUS_OK : failed(connection->db, sqlite3_extended_errcode(connection->db));
}

static status_code pragma_number(struct connection *connection, const char *sql, int64_t *value)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    *value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? STATUS_OK : failed(connection->db, code);
}

static status_code make_tables(struct connection *connection)
{
    char sql[160];

    TRY(connection_execute(connection, "BEGIN IMMEDIATE"));
    snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID, FORMAT);
    status_code status = connection_execute(connection, sql);

    if (status == STATUS_OK)
        status = connection_execute(connection, tables);
    if (status == STATUS_OK)
        return connection_execute(connection, "COMMIT");
    sqlite3_exec(connection->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

/* Changes nothing yet: the file may be somebody else's. */
static status_code check_format(struct connection *connection, bool *fresh)
{
    int64_t application, format, n_tables;

    /* Tables first: they come in one transaction with the numbers, from another process perhaps just now. */
    TRY(pragma_number(connection, "SELECT count(*) FROM sqlite_schema", &n_tables));
    *fresh = n_tables == 0;
    if (*fresh)
        return STATUS_OK;
    TRY(pragma_number(connection, "PRAGMA application_id", &application));
    TRY(pragma_number(connection, "PRAGMA user_version", &format));
    CHECK(application == APPLICATION_ID, STATUS_STORE_FOREIGN, "%s is a database of another program",
          sqlite3_db_filename(connection->db, "main"));
    CHECK(format <= FORMAT, STATUS_STORE_FOREIGN, "%s has format %lld; this version understands up to %d: upgrade",
          sqlite3_db_filename(connection->db, "main"), (long long)format, FORMAT);
    CHECK(format == FORMAT, STATUS_STORE_FOREIGN, "%s has format %lld, of a version before the first release",
          sqlite3_db_filename(connection->db, "main"), (long long)format);
    return STATUS_OK;
}

/* Turning a fresh file into a WAL one does not wait for others who do the same at this moment: tried until it is one.
 */
static status_code use_wal(struct connection *connection)
{
    sqlite3_stmt *statement = NULL;
    int code = SQLITE_BUSY;

    for (unsigned i = 0; i < BUSY_TIMEOUT_MS / BUSY_PAUSE_MS && (code & 0xff) == SQLITE_BUSY; i++) {
        if (i > 0)
            sqlite3_sleep(BUSY_PAUSE_MS);
        code = sqlite3_prepare_v2(connection->db, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
        if (code == SQLITE_OK)
            code = sqlite3_step(statement);
        const char *mode = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        bool wal = mode && strcmp(mode, "wal") == 0;

        sqlite3_finalize(statement);
        CHECK(code != SQLITE_ROW || wal, STATUS_IO_ERROR,
              "%s: this file system does not let processes share memory: put the store on a local disk",
              sqlite3_db_filename(connection->db, "main"));
    }
    return code == SQLITE_ROW ? STATUS_OK : failed(connection->db, code);
}

static status_code configure(struct connection *connection)
{
    bool fresh;

    sqlite3_busy_timeout(connection->db, BUSY_TIMEOUT_MS);
    sqlite3_extended_result_codes(connection->db, 1);
    TRY(check_format(connection, &fresh));
    TRY(use_wal(connection));
    /* Full synchronous: a commit returns when it is on the disk (DESIGN: acknowledged means durable). */
    TRY(connection_execute(connection, "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
                                       "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                                       "PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 67108864"));
    return fresh ? make_tables(connection) : STATUS_OK;
}

status_code connection_check(struct connection *connection)
{
    int64_t n_pages, page_len;
    char found[160] = "";
    sqlite3_stmt *statement = NULL;

    TRY(pragma_number(connection, "PRAGMA page_count", &n_pages));
    TRY(pragma_number(connection, "PRAGMA page_size", &page_len));
    if (n_pages * page_len > CHECK_MAX)
        return STATUS_OK;
    int code = sqlite3_prepare_v2(connection->db, "PRAGMA quick_check(1)", -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        snprintf(found, sizeof(found), "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    if (code != SQLITE_ROW)
        return failed(connection->db, code);
    found[strcspn(found, "\n")] = 0;
    CHECK(strcmp(found, "ok") == 0, STATUS_STORE_DAMAGED, "%s: %s: restore it from a backup",
          sqlite3_db_filename(connection->db, "main"), found);
    return STATUS_OK;
}

/* SQLite would make the file with the umask's mode; the WAL and its index take the mode of the file.
 *
 * Only a file that does not exist may be opened here: closing any descriptor of a file gives up all POSIX locks that
 * this process has on it (fcntl, section F_SETLK), also those of SQLite's other connections. Another node that stops
 * would then take itself for the last user of the database and delete the WAL under ours. */
static status_code make_private(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (file < 0 && errno == EEXIST && access(path, R_OK | W_OK) == 0)
        return STATUS_OK;
    CHECK(file >= 0, errno == ENOSPC ? STATUS_STORE_FULL : STATUS_STORE_READ_ONLY,
          "%s cannot be opened for writing: %s: check how the disk is mounted, and owner and mode of the file and its "
          "folder",
          path, strerror(errno));
    close(file);
    return STATUS_OK;
}

status_code sqlite_connection_open(const char *path, struct connection **connection)
{
    TRY(make_private(path));
    struct connection *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a connection to the store");
    int code =
        sqlite3_open_v2(path, &made->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    status_code status = code == SQLITE_OK ? configure(made) : failed(made->db, code);

    if (status != STATUS_OK) {
        sqlite_connection_close(made);
        return status;
    }
    *connection = made;
    return STATUS_OK;
}

void sqlite_remove_files(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char name[1100];

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

void sqlite_connection_close(struct connection *connection)
{
    for (unsigned i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(connection->statement[i]);
    for (unsigned i = 0; i <= FIND_TOKENS_MAX; i++)
        sqlite3_finalize(connection->find[i]);
    sqlite3_close(connection->db);
    free(connection);
}

static status_code prepare(struct connection *connection, const char *sql, sqlite3_stmt **statement)
{
    if (!*statement) {
        int code = sqlite3_prepare_v3(connection->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);

        if (code != SQLITE_OK)
            return failed(connection->db, code);
    }
    sqlite3_reset(*statement);
    sqlite3_clear_bindings(*statement);
    return STATUS_OK;
}

status_code connection_statement(struct connection *connection, enum statement which, sqlite3_stmt **statement)
{
    TRY(prepare(connection, texts[which], &connection->statement[which]));
    *statement = connection->statement[which];
    return STATUS_OK;
}

/* CROSS JOIN keeps SQLite from reordering: the first token, the most selective, drives, the others are looked up. */
status_code connection_find_statement(struct connection *connection, size_t n_tokens, sqlite3_stmt **statement)
{
    char sql[4096] = "SELECT r.id, r.version, r.revision, r.value FROM tokens t0";
    size_t at = strlen(sql);

    CHECK(n_tokens >= 1 && n_tokens <= FIND_TOKENS_MAX, STATUS_TOO_LARGE, "a search by %zu indexed values", n_tokens);
    for (size_t i = 1; i < n_tokens; i++)
        at += (size_t)snprintf(sql + at, sizeof(sql) - at,
                               " CROSS JOIN tokens t%zu ON t%zu.kind = ?1 AND t%zu.token = ?%zu AND t%zu.id = t0.id", i,
                               i, i, i + 4, i);
    snprintf(sql + at, sizeof(sql) - at,
             " CROSS JOIN records r ON r.kind = ?1 AND r.id = t0.id"
             " WHERE t0.kind = ?1 AND t0.token = ?4 AND t0.id > ?2 ORDER BY t0.id LIMIT ?3");
    TRY(prepare(connection, sql, &connection->find[n_tokens]));
    *statement = connection->find[n_tokens];
    return STATUS_OK;
}

status_code connection_step(struct connection *connection, sqlite3_stmt *statement, bool *row)
{
    int code = sqlite3_step(statement);

    *row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? STATUS_OK : failed(connection->db, code);
}

status_code connection_run(struct connection *connection, sqlite3_stmt *statement)
{
    bool row;
    status_code status = connection_step(connection, statement, &row);

    sqlite3_reset(statement);
    return status;
}

status_code statement_number(struct connection *connection, sqlite3_stmt *statement, uint64_t *number)
{
    bool row;
    status_code status = connection_step(connection, statement, &row);

    *number = status == STATUS_OK && row ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return status;
}

status_code connection_revision(struct connection *connection, uint64_t *revision)
{
    sqlite3_stmt *statement;

    TRY(connection_statement(connection, STATEMENT_REVISION, &statement));
    return statement_number(connection, statement, revision);
}

void statement_bind_id(sqlite3_stmt *statement, int position, const uint8_t id[ID_LEN])
{
    sqlite3_bind_blob(statement, position, id, ID_LEN, SQLITE_STATIC);
}

struct slice statement_bytes(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);

    return slice_of(data, (size_t)sqlite3_column_bytes(statement, column));
}
