/* A store in a folder of its own, and short ways to write and read in it. Included by the store's tests. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <ftw.h>
#include <sqlite3.h>
#include <unistd.h>
#include "store/store.h"

static const uint8_t CLUSTER[ID_LEN] = "the cluster's id";

struct subject {
    char folder[64];
    char path[96];
    struct store *store; /* NULL: not open */
};

static inline void open_again(struct subject *subject)
{
    status_code code = store_open_sqlite(subject->path, CLUSTER, &subject->store);
    if (code != STATUS_OK)
        fail_msg("%s: %s", status_name(code), failure_detail());
}

static inline void close_now(struct subject *subject)
{
    if (subject->store)
        subject->store->operations->close(subject->store);
    subject->store = NULL;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

static int start_closed(void **state)
{
    struct subject *subject = calloc(1, sizeof *subject);
    snprintf(subject->folder, sizeof subject->folder, "/tmp/hsmd-store-XXXXXX");
    if (!mkdtemp(subject->folder))
        return -1;
    snprintf(subject->path, sizeof subject->path, "%s/store.db", subject->folder);
    *state = subject;
    return 0;
}

static int stop(void **state)
{
    struct subject *subject = *state;
    close_now(subject);
    nftw(subject->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(subject);
    return 0;
}

/** An id that sorts by its number. */
static inline void number_id(uint64_t number, uint8_t id[ID_LEN])
{
    memset(id, 0, ID_LEN);
    for (unsigned i = 0; i < 8; i++)
        id[i] = (uint8_t)(number >> (56 - 8 * i));
}

static inline struct index_token token_of(uint32_t number)
{
    struct index_token token = {{0}};
    memcpy(token.bytes, &number, sizeof number);
    return token;
}

static inline struct store_write write_of(enum store_kind kind, uint64_t number, uint64_t expected, const char *value)
{
    struct store_write write = {.kind = kind, .expected_version = expected, .value = slice_text(value)};
    number_id(number, write.id);
    return write;
}

static inline status_code put(struct store *store, enum store_kind kind, uint64_t number, uint64_t expected,
                              const char *value)
{
    struct store_write write = write_of(kind, number, expected, value);
    uint64_t revision;
    return store->operations->write(store, &write, 1, &revision);
}

static inline status_code take(struct store *store, enum store_kind kind, uint64_t number, uint64_t expected)
{
    struct store_write write = write_of(kind, number, expected, NULL);
    uint64_t revision;
    write.remove = true;
    return store->operations->write(store, &write, 1, &revision);
}

static inline uint64_t revision_of(struct store *store)
{
    uint64_t revision = UINT64_MAX;
    assert_int_equal(store->operations->revision(store, &revision), STATUS_OK);
    return revision;
}

/** The record's value as text; "" when there is none. *version may be NULL. */
static inline const char *value_of(struct store *store, enum store_kind kind, uint64_t number, uint64_t *version)
{
    static char text[128];
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    uint8_t id[ID_LEN];
    uint64_t found = 0;

    number_id(number, id);
    status_code code = store->operations->read(store, kind, id, &value, &found);
    assert_true(code == STATUS_OK || code == STATUS_OBJECT_NOT_FOUND);
    snprintf(text, sizeof text, "%.*s", (int)value.len, value.len ? (const char *)value.data : "");
    if (version)
        *version = found;
    return text;
}

/** Runs SQL on the file by a way of its own, as another program would. */
static inline void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *error = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    sqlite3_close(db);
}
