/* What the store promises of records, look-ups and the list of changes. */
#include "node_store_support.h"

#include "store/sqlite_connection.h"

static int start(void **state)
{
    if (start_closed(state) != 0)
        return -1;
    open_again(*state);
    return 0;
}

static struct store *store_of(void **state)
{
    return ((struct subject *)*state)->store;
}

/* Numbers of the records that were visited. */
struct seen {
    unsigned n;
    uint64_t numbers[64];
    unsigned stop_after; /* 0: never */
};

static status_code see(void *context, const struct store_record *record)
{
    struct seen *seen = context;
    uint64_t number = 0;
    for (unsigned i = 0; i < 8; i++)
        number = number << 8 | record->id[i];
    assert_true(seen->n < 64);
    seen->numbers[seen->n++] = number;
    return seen->n == seen->stop_after ? STATUS_CANCELLED : STATUS_OK;
}

static void check_seen(const struct seen *seen, unsigned n, const uint64_t *numbers)
{
    assert_int_equal(seen->n, n);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(seen->numbers[i], numbers[i]);
}

/* Records. */

static void a_record_has_the_version_of_its_last_write(void **state)
{
    struct store *store = store_of(state);
    uint64_t version;

    assert_string_equal(value_of(store, STORE_USER, 1, NULL), "");
    assert_int_equal(put(store, STORE_USER, 1, 0, "one"), STATUS_OK);
    assert_string_equal(value_of(store, STORE_USER, 1, &version), "one");
    assert_int_equal(version, 1);
    assert_int_equal(put(store, STORE_USER, 1, 1, "two"), STATUS_OK);
    assert_string_equal(value_of(store, STORE_USER, 1, &version), "two");
    assert_int_equal(version, 2);
    assert_string_equal(value_of(store, STORE_LOGIN, 1, NULL), ""); /* kinds are apart */
}

static void a_write_that_expects_another_version_is_refused(void **state)
{
    struct store *store = store_of(state);

    assert_int_equal(put(store, STORE_USER, 1, 0, "one"), STATUS_OK);
    uint64_t revision = revision_of(store);
    assert_int_equal(put(store, STORE_USER, 1, 0, "again"), STATUS_ALREADY_EXISTS);
    assert_int_equal(put(store, STORE_USER, 1, 2, "early"), STATUS_CONFLICT);
    assert_int_equal(put(store, STORE_USER, 2, 1, "nothing there"), STATUS_CONFLICT);
    assert_int_equal(take(store, STORE_USER, 1, 7), STATUS_CONFLICT);
    assert_int_equal(take(store, STORE_USER, 2, 1), STATUS_CONFLICT);
    assert_string_equal(value_of(store, STORE_USER, 1, NULL), "one");
    assert_int_equal(revision_of(store), revision);
    assert_int_equal(take(store, STORE_USER, 1, 1), STATUS_OK);
    assert_string_equal(value_of(store, STORE_USER, 1, NULL), "");
}

static void several_records_are_written_all_or_none_at_one_revision(void **state)
{
    struct store *store = store_of(state);
    struct store_write writes[3] = {write_of(STORE_USER, 1, 0, "a"), write_of(STORE_CLUSTER, 0, 0, "b"),
                                    write_of(STORE_USER, 2, 3, "expects too much")};
    uint64_t revision;

    assert_int_equal(store->operations->write(store, writes, 3, &revision), STATUS_CONFLICT);
    assert_string_equal(value_of(store, STORE_USER, 1, NULL), "");
    assert_string_equal(value_of(store, STORE_CLUSTER, 0, NULL), "");
    assert_int_equal(revision_of(store), 0);
    writes[2].expected_version = 0;
    assert_int_equal(store->operations->write(store, writes, 3, &revision), STATUS_OK);
    assert_int_equal(revision, 1);
    assert_int_equal(revision_of(store), 1);
    assert_string_equal(value_of(store, STORE_USER, 2, NULL), "expects too much");
}

static void values_of_any_bytes_and_none_come_back(void **state)
{
    struct store *store = store_of(state);
    CLEANUP(bytes_release) struct bytes back = BYTES_INIT;
    static uint8_t large[200000];
    struct store_write writes[2] = {write_of(STORE_OBJECT, 1, 0, ""), write_of(STORE_OBJECT, 2, 0, NULL)};
    uint64_t revision, version;

    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 7);
    writes[1].value = slice_of(large, sizeof large);
    assert_int_equal(store->operations->write(store, writes, 2, &revision), STATUS_OK);
    assert_int_equal(store->operations->read(store, STORE_OBJECT, writes[1].id, &back, &version), STATUS_OK);
    assert_int_equal(back.len, sizeof large);
    assert_memory_equal(back.data, large, sizeof large);
    assert_int_equal(store->operations->read(store, STORE_OBJECT, writes[0].id, &back, &version), STATUS_OK);
    assert_int_equal(back.len, 0);
}

static void what_was_written_is_there_after_opening_again(void **state)
{
    struct subject *subject = *state;
    uint8_t cluster_id[ID_LEN];

    assert_int_equal(store_cluster_id(subject->store, cluster_id), STATUS_OBJECT_NOT_FOUND);
    assert_int_equal(put(subject->store, STORE_CLUSTER, 0, 0, "cluster"), STATUS_OK);
    assert_int_equal(put(subject->store, STORE_OBJECT, 5, 0, "kept"), STATUS_OK);
    close_now(subject);
    open_again(subject);
    assert_string_equal(value_of(subject->store, STORE_OBJECT, 5, NULL), "kept");
    assert_int_equal(revision_of(subject->store), 2);
    assert_int_equal(store_cluster_id(subject->store, cluster_id), STATUS_OK);
    assert_memory_equal(cluster_id, CLUSTER, ID_LEN);
}

/* Ranges and look-ups. */

static void a_range_is_ascending_and_keeps_its_bounds(void **state)
{
    struct store *store = store_of(state);
    uint8_t two[ID_LEN], five[ID_LEN];
    struct seen all = {0}, inner = {0}, first = {0}, stopped = {.stop_after = 2};

    for (uint64_t i = 6; i > 0; i--)
        assert_int_equal(put(store, STORE_AUDIT, i, 0, "x"), STATUS_OK);
    assert_int_equal(put(store, STORE_OBJECT, 3, 0, "another kind"), STATUS_OK);
    number_id(2, two);
    number_id(5, five);
    assert_int_equal(store->operations->range(store, STORE_AUDIT, NULL, NULL, 100, see, &all), STATUS_OK);
    check_seen(&all, 6, (uint64_t[]){1, 2, 3, 4, 5, 6});
    assert_int_equal(store->operations->range(store, STORE_AUDIT, two, five, 100, see, &inner), STATUS_OK);
    check_seen(&inner, 2, (uint64_t[]){3, 4});
    assert_int_equal(store->operations->range(store, STORE_AUDIT, NULL, NULL, 1, see, &first), STATUS_OK);
    check_seen(&first, 1, (uint64_t[]){1});
    assert_int_equal(store->operations->range(store, STORE_AUDIT, NULL, NULL, 100, see, &stopped), STATUS_CANCELLED);
    assert_int_equal(stopped.n, 2);
}

static void put_tagged(struct store *store, uint64_t number, uint64_t expected, const struct index_token *tokens,
                       size_t n)
{
    struct store_write write = write_of(STORE_OBJECT, number, expected, "v");
    uint64_t revision;
    write.tokens = tokens;
    write.n_tokens = n;
    assert_int_equal(store->operations->write(store, &write, 1, &revision), STATUS_OK);
}

static struct seen found(struct store *store, const struct index_token *tokens, size_t n, const uint8_t *after,
                         size_t limit)
{
    struct seen seen = {0};
    assert_int_equal(store->operations->find(store, STORE_OBJECT, tokens, n, after, limit, see, &seen), STATUS_OK);
    return seen;
}

static void found_is_what_has_all_tokens_page_by_page(void **state)
{
    struct store *store = store_of(state);
    const struct index_token red = token_of(1), round = token_of(2), heavy = token_of(3);
    const struct index_token all[] = {red, round, heavy}, wanted[] = {red, round};
    struct seen seen;
    uint8_t after[ID_LEN];
    uint64_t n;

    put_tagged(store, 4, 0, (struct index_token[]){red, round}, 2);
    put_tagged(store, 1, 0, (struct index_token[]){red}, 1);
    put_tagged(store, 3, 0, all, 3);
    put_tagged(store, 2, 0, (struct index_token[]){round, red}, 2);
    seen = found(store, wanted, 2, NULL, 10);
    check_seen(&seen, 3, (uint64_t[]){2, 3, 4});
    seen = found(store, wanted, 2, NULL, 2);
    check_seen(&seen, 2, (uint64_t[]){2, 3});
    number_id(3, after);
    seen = found(store, wanted, 2, after, 2);
    check_seen(&seen, 1, (uint64_t[]){4});
    seen = found(store, all, 3, NULL, 10);
    check_seen(&seen, 1, (uint64_t[]){3});
    assert_int_equal(store->operations->count(store, STORE_OBJECT, &red, &n), STATUS_OK);
    assert_int_equal(n, 4);
    assert_int_equal(store->operations->find(store, STORE_OBJECT, all, 0, NULL, 1, see, &seen), STATUS_TOO_LARGE);
}

static void replaced_and_removed_records_are_not_found_by_what_they_were(void **state)
{
    struct store *store = store_of(state);
    const struct index_token old = token_of(1), new = token_of(2);
    uint64_t n;

    put_tagged(store, 1, 0, &old, 1);
    put_tagged(store, 2, 0, &old, 1);
    put_tagged(store, 1, 1, &new, 1);
    struct seen seen = found(store, &old, 1, NULL, 10);
    check_seen(&seen, 1, (uint64_t[]){2});
    assert_int_equal(take(store, STORE_OBJECT, 1, 2), STATUS_OK);
    assert_int_equal(store->operations->count(store, STORE_OBJECT, &new, &n), STATUS_OK);
    assert_int_equal(n, 0);
    assert_int_equal(store->operations->count(store, STORE_OBJECT, &old, &n), STATUS_OK);
    assert_int_equal(n, 1);
}

/* Steps of SQLite's machine, which do not depend on the machine that it runs on. */
static int steps_to_find(const char *path, const struct index_token *tokens, size_t n)
{
    struct connection *connection;
    sqlite3_stmt *statement;
    bool row;

    assert_int_equal(sqlite_connection_open(path, &connection), STATUS_OK);
    assert_int_equal(connection_find_statement(connection, n, &statement), STATUS_OK);
    sqlite3_bind_int(statement, 1, STORE_OBJECT);
    sqlite3_bind_blob(statement, 2, "", 0, SQLITE_STATIC);
    sqlite3_bind_int(statement, 3, 100);
    for (size_t i = 0; i < n; i++)
        sqlite3_bind_blob(statement, (int)i + 4, tokens[i].bytes, TOKEN_LEN, SQLITE_STATIC);
    assert_int_equal(connection_step(connection, statement, &row), STATUS_OK);
    assert_true(row);
    assert_int_equal(connection_step(connection, statement, &row), STATUS_OK);
    assert_false(row);
    int steps = sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 0);
    assert_int_equal(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_SORT, 0), 0);
    assert_int_equal(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0), 0);
    sqlite_connection_close(connection);
    return steps;
}

static void finding_one_of_many_takes_no_more_steps_than_one_of_few(void **state)
{
    enum { MANY = 10000, BATCH = 2500, TOKENS = 5 };
    struct subject *subject = *state;
    static struct store_write writes[BATCH];
    static struct index_token tokens[BATCH][TOKENS];
    uint64_t revision;
    int few = 0;

    for (uint32_t i = 0; i < MANY; i++) {
        unsigned at = i % BATCH;
        for (uint32_t t = 1; t < TOKENS; t++)
            tokens[at][t] = token_of(t);    /* owner, class, ...: all have them */
        tokens[at][0] = token_of(1000 + i); /* the label: its own */
        writes[at] = write_of(STORE_OBJECT, i, 0, "v");
        writes[at].tokens = tokens[at];
        writes[at].n_tokens = TOKENS;
        if (i == 9)
            assert_int_equal(subject->store->operations->write(subject->store, writes, 10, &revision), STATUS_OK);
        if (i == 9)
            few = steps_to_find(subject->path, tokens[5], TOKENS);
        if (at == BATCH - 1) {
            struct store_write *from = i < BATCH ? writes + 10 : writes;
            assert_int_equal(
                subject->store->operations->write(subject->store, from, i < BATCH ? BATCH - 10 : BATCH, &revision),
                STATUS_OK);
        }
    }
    assert_in_range(few, 1, 200);
    assert_in_range(steps_to_find(subject->path, tokens[BATCH / 2], TOKENS), 1, few);
}

/* Changes. */

struct changes {
    unsigned n;
    struct store_change change[16];
};

static status_code note(void *context, const struct store_change *change)
{
    struct changes *changes = context;
    assert_true(changes->n < 16);
    changes->change[changes->n++] = *change;
    return STATUS_OK;
}

static void changes_are_listed_in_order_but_not_those_of_the_audit_log(void **state)
{
    struct store *store = store_of(state);
    struct changes changes = {0};
    uint64_t revision = 0;

    assert_int_equal(put(store, STORE_OBJECT, 1, 0, "a"), STATUS_OK);
    assert_int_equal(put(store, STORE_AUDIT, 1, 0, "entry"), STATUS_OK);
    assert_int_equal(put(store, STORE_USER, 2, 0, "b"), STATUS_OK);
    assert_int_equal(take(store, STORE_OBJECT, 1, 1), STATUS_OK);
    assert_int_equal(store->operations->changes(store, 1, note, &changes, &revision), STATUS_OK);
    assert_int_equal(revision, 4);
    assert_int_equal(changes.n, 2);
    assert_int_equal(changes.change[0].kind, STORE_USER);
    assert_int_equal(changes.change[0].revision, 3);
    assert_false(changes.change[0].removed);
    assert_int_equal(changes.change[1].kind, STORE_OBJECT);
    assert_true(changes.change[1].removed);
    assert_int_equal(store->operations->changes(store, 4, note, &changes, &revision), STATUS_OK);
    assert_int_equal(changes.n, 2);
    assert_int_equal(store->operations->changes(store, 5, note, &changes, &revision), STATUS_CONFLICT);
}

static void a_list_that_no_longer_reaches_back_says_so(void **state)
{
    struct subject *subject = *state;
    struct changes changes = {0};
    uint64_t revision;

    assert_int_equal(put(subject->store, STORE_OBJECT, 1, 0, "early"), STATUS_OK);
    assert_int_equal(put(subject->store, STORE_OBJECT, 2, 0, "early too"), STATUS_OK);
    close_now(subject);
    run_sql(subject->path, "UPDATE meta SET value = 303103 WHERE name = 'revision'"); /* 74 * 4096 - 1 */
    open_again(subject);
    struct store *store = subject->store;
    assert_int_equal(put(store, STORE_AUDIT, 1, 0, "not listed"), STATUS_OK); /* trims */
    assert_int_equal(store->operations->changes(store, 1, note, &changes, &revision), STATUS_CONFLICT);
    assert_int_equal(store->operations->changes(store, 103102, note, &changes, &revision), STATUS_CONFLICT);
    assert_int_equal(changes.n, 0);
    assert_int_equal(store->operations->changes(store, 103103, note, &changes, &revision), STATUS_OK);
    assert_int_equal(revision, 303104);
    assert_int_equal(put(store, STORE_OBJECT, 3, 0, "late"), STATUS_OK);
    assert_int_equal(store->operations->changes(store, 103103, note, &changes, &revision), STATUS_OK);
    assert_int_equal(changes.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_record_has_the_version_of_its_last_write, start, stop),
        cmocka_unit_test_setup_teardown(a_write_that_expects_another_version_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(several_records_are_written_all_or_none_at_one_revision, start, stop),
        cmocka_unit_test_setup_teardown(values_of_any_bytes_and_none_come_back, start, stop),
        cmocka_unit_test_setup_teardown(what_was_written_is_there_after_opening_again, start, stop),
        cmocka_unit_test_setup_teardown(a_range_is_ascending_and_keeps_its_bounds, start, stop),
        cmocka_unit_test_setup_teardown(found_is_what_has_all_tokens_page_by_page, start, stop),
        cmocka_unit_test_setup_teardown(replaced_and_removed_records_are_not_found_by_what_they_were, start, stop),
        cmocka_unit_test_setup_teardown(finding_one_of_many_takes_no_more_steps_than_one_of_few, start, stop),
        cmocka_unit_test_setup_teardown(changes_are_listed_in_order_but_not_those_of_the_audit_log, start, stop),
        cmocka_unit_test_setup_teardown(a_list_that_no_longer_reaches_back_says_so, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
