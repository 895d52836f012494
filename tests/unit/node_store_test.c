/* The store on SQLite: compare-and-swap, tokens, changes, several processes, and files that are not what they should
 * be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "store/store.h"

static const uint8_t cluster_id[ID_LEN] = "cluster one....", other_id[ID_LEN] = "cluster two....";

struct fixture {
    char folder[64], path[80];
    struct store *store;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/hsm-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/store.db", fixture->folder);
    assert_int_equal(store_open_sqlite(fixture->path, cluster_id, &fixture->store), STATUS_OK);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm"};

    if (fixture->store)
        fixture->store->operations->close(fixture->store);
    for (unsigned i = 0; i < 3; i++) {
        char path[96];

        snprintf(path, sizeof(path), "%s%s", fixture->path, suffixes[i]);
        unlink(path);
    }
    rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static struct store_write write_of(uint32_t number, uint64_t version, const char *value)
{
    struct store_write write = {.kind = STORE_OBJECT, .expected_version = version, .value = slice_text(value)};

    memcpy(write.id, &number, sizeof(number));
    return write;
}

static status_code put(struct store *store, uint32_t number, uint64_t version, const char *value)
{
    struct store_write write = write_of(number, version, value);
    uint64_t revision;

    return store->operations->write(store, &write, 1, &revision);
}

static void a_write_needs_the_version_that_it_expects(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    struct store_write write = write_of(1, 0, "");
    uint64_t version;

    assert_int_equal(put(store, 1, 0, "one"), STATUS_OK);
    assert_int_equal(put(store, 1, 0, "again"), STATUS_ALREADY_EXISTS);
    assert_int_equal(put(store, 1, 2, "ahead"), STATUS_CONFLICT);
    assert_int_equal(put(store, 1, 1, "two"), STATUS_OK);
    assert_int_equal(store->operations->read(store, STORE_OBJECT, write.id, &value, &version), STATUS_OK);
    assert_true(version == 2 && slice_equal(bytes_slice(&value), slice_text("two")));
    write = write_of(9, 0, "");
    assert_int_equal(store->operations->read(store, STORE_OBJECT, write.id, &value, &version), STATUS_OBJECT_NOT_FOUND);
}

static void several_writes_happen_together_or_not_at_all(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_write writes[] = {write_of(1, 0, "new"), write_of(2, 7, "conflict")};
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    uint64_t before, after, version;

    assert_int_equal(store->operations->revision(store, &before), STATUS_OK);
    assert_int_equal(store->operations->write(store, writes, 2, &after), STATUS_CONFLICT);
    assert_int_equal(store->operations->read(store, STORE_OBJECT, writes[0].id, &value, &version),
                     STATUS_OBJECT_NOT_FOUND);
    assert_int_equal(store->operations->revision(store, &after), STATUS_OK);
    assert_true(before == after);
}

static status_code count_record(void *context, const struct store_record *record)
{
    (void)record;
    ++*(unsigned *)context;
    return STATUS_OK;
}

static void records_are_found_by_all_their_tokens(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct index_token tokens[3] = {{"label-a"}, {"label-b"}, {"everybody"}};
    unsigned n = 0;
    uint64_t revision, total;

    for (uint32_t i = 0; i < 20; i++) {
        struct index_token own[2] = {tokens[i % 2], tokens[2]};
        struct store_write write = write_of(i + 1, 0, "x");

        write.tokens = own;
        write.n_tokens = 2;
        assert_int_equal(store->operations->write(store, &write, 1, &revision), STATUS_OK);
    }
    struct index_token wanted[2] = {tokens[0], tokens[2]};
    assert_int_equal(store->operations->find(store, STORE_OBJECT, wanted, 2, NULL, 100, count_record, &n), STATUS_OK);
    assert_int_equal(n, 10);
    n = 0;
    assert_int_equal(store->operations->find(store, STORE_OBJECT, wanted, 2, NULL, 3, count_record, &n), STATUS_OK);
    assert_int_equal(n, 3);
    struct store_write removal = write_of(1, 1, "");
    removal.remove = true;
    assert_int_equal(store->operations->write(store, &removal, 1, &revision), STATUS_OK);
    assert_int_equal(store->operations->count(store, STORE_OBJECT, &tokens[2], &total), STATUS_OK);
    assert_true(total == 19);
}

static status_code note_change(void *context, const struct store_change *change)
{
    uint64_t *last = context;

    assert_true(change->revision > *last);
    *last = change->revision;
    return STATUS_OK;
}

static void changes_are_listed_since_a_revision(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    uint64_t last = 0, revision;

    for (uint32_t i = 1; i <= 5; i++)
        assert_int_equal(put(store, i, 0, "x"), STATUS_OK);
    assert_int_equal(store->operations->changes(store, 2, note_change, &last, &revision), STATUS_OK);
    assert_true(last == 5 && revision == 5);
    assert_int_equal(store->operations->changes(store, 99, note_change, &last, &revision), STATUS_CONFLICT);
}

/* Counts one record up by compare-and-swap. */
static void count_up(struct store *store, unsigned times)
{
    struct store_write write = write_of(1, 0, "");
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;

    for (unsigned done = 0; done < times;) {
        uint64_t version = 0;
        status_code status = store->operations->read(store, STORE_OBJECT, write.id, &value, &version);

        if (status != STATUS_OK && status != STATUS_OBJECT_NOT_FOUND)
            _exit(2);
        status = put(store, 1, version, "counted");
        if (status == STATUS_OK)
            done++;
        else if (status != STATUS_CONFLICT && status != STATUS_ALREADY_EXISTS)
            _exit(3);
    }
}

static void processes_that_share_the_file_lose_no_update(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    struct store_write write = write_of(1, 0, "");
    uint64_t version, revision;
    pid_t child = fork();

    if (child == 0) {
        struct store *own;

        if (store_open_sqlite(fixture->path, cluster_id, &own) != STATUS_OK)
            _exit(1);
        count_up(own, 50);
        _exit(0);
    }
    struct store *own;
    int status;

    assert_int_equal(store_open_sqlite(fixture->path, cluster_id, &own), STATUS_OK);
    count_up(own, 50);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(own->operations->read(own, STORE_OBJECT, write.id, &value, &version), STATUS_OK);
    assert_true(version == 100);
    assert_int_equal(own->operations->revision(own, &revision), STATUS_OK);
    assert_true(revision == 100); /* gapless: refused writes take none */
    own->operations->close(own);
}

struct writer {
    struct store *store;
    uint32_t first;
};

static void *write_many(void *argument)
{
    struct writer *writer = argument;

    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(put(writer->store, writer->first + i, 0, "x"), STATUS_OK);
    return NULL;
}

static void threads_write_together(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct writer writers[8];
    pthread_t threads[8];
    unsigned n = 0;

    for (uint32_t i = 0; i < 8; i++) {
        writers[i] = (struct writer){store, 1 + 1000 * i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (unsigned i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(store->operations->range(store, STORE_OBJECT, NULL, NULL, 1000, count_record, &n), STATUS_OK);
    assert_int_equal(n, 400);
}

static void take_cluster(struct store *store)
{
    struct store_write write = {.kind = STORE_CLUSTER, .value = slice_text("x")};
    uint64_t revision;

    assert_int_equal(store->operations->write(store, &write, 1, &revision), STATUS_OK);
}

static void the_store_of_another_cluster_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct store *other;

    take_cluster(fixture->store);
    assert_int_equal(store_open_sqlite(fixture->path, other_id, &other), STATUS_STORE_FOREIGN);
    assert_non_null(strstr(failure_detail(), fixture->path));
}

static void overwrite(const char *path, long at, const char *with)
{
    FILE *file = fopen(path, "r+");

    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    fputs(with, file);
    fclose(file);
}

static void a_damaged_file_is_refused(void **state)
{
    struct fixture *fixture = *state;

    fixture->store->operations->close(fixture->store);
    fixture->store = NULL;
    overwrite(fixture->path, 0, "this was a database once, but it is not any more");
    assert_int_equal(store_open_sqlite(fixture->path, cluster_id, &fixture->store), STATUS_STORE_DAMAGED);
    assert_non_null(strstr(failure_detail(), "backup"));
}

static void the_database_of_another_program_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[96];
    sqlite3 *db;
    struct store *store;

    snprintf(path, sizeof(path), "%s/other.db", fixture->folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_open_sqlite(path, cluster_id, &store), STATUS_STORE_FOREIGN);
    static const char *const leftovers[] = {"other.db", "other.db-wal", "other.db-shm"};
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", fixture->folder, leftovers[i]);
        unlink(path);
    }
}

static void the_file_is_for_its_owner_alone(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;

    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_write_needs_the_version_that_it_expects),    TEST(several_writes_happen_together_or_not_at_all),
        TEST(records_are_found_by_all_their_tokens),        TEST(changes_are_listed_since_a_revision),
        TEST(processes_that_share_the_file_lose_no_update), TEST(threads_write_together),
        TEST(the_store_of_another_cluster_is_refused),      TEST(a_damaged_file_is_refused),
        TEST(the_database_of_another_program_is_refused),   TEST(the_file_is_for_its_owner_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
