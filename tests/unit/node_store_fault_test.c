/* The store when things go wrong: other programs' files, damage, no room, no permission, locks, several processes at
 * once, a process that is killed. */
#include "node_store_support.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void check_refused(const char *path, const uint8_t *cluster_id, status_code wanted, const char *hint)
{
    struct store *store = NULL;
    status_code code = store_open_sqlite(path, cluster_id, &store);
    if (code != wanted)
        fail_msg("%s, not %s: %s", status_name(code), status_name(wanted), failure_detail());
    assert_null(store);
    assert_non_null(strstr(failure_detail(), path));
    assert_non_null(strstr(failure_detail(), hint));
}

/* A closed store with enough in it to have many pages. */
static void fill(struct subject *subject, unsigned n)
{
    static const char value[] = "a value that takes some room in the file so that there are more than a few pages";
    open_again(subject);
    assert_int_equal(put(subject->store, STORE_CLUSTER, 0, 0, "cluster"), STATUS_OK);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(put(subject->store, STORE_OBJECT, i, 0, value), STATUS_OK);
    close_now(subject);
}

/* Files that are no store of this cluster. */

static size_t read_file(const char *path, uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(data, 1, size, file);
    fclose(file);
    return len;
}

static void the_file_is_for_its_owner_only(void **state)
{
    struct subject *subject = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    mode_t before = umask(0);

    open_again(subject);
    umask(before);
    assert_int_equal(put(subject->store, STORE_USER, 1, 0, "x"), STATUS_OK);
    for (unsigned i = 0; i < 3; i++) {
        char path[128];
        struct stat status;
        snprintf(path, sizeof path, "%s%s", subject->path, suffixes[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

static void another_programs_database_is_refused_and_left_alone(void **state)
{
    struct subject *subject = *state;
    uint8_t before[8192], after[8192];
    run_sql(subject->path, "CREATE TABLE guests(name TEXT)");
    size_t len = read_file(subject->path, before, sizeof before);
    check_refused(subject->path, CLUSTER, STATUS_STORE_FOREIGN, "another program");
    assert_int_equal(read_file(subject->path, after, sizeof after), len);
    assert_memory_equal(after, before, len);
}

static void another_clusters_store_is_refused(void **state)
{
    struct subject *subject = *state;
    fill(subject, 1);
    check_refused(subject->path, (const uint8_t *)"another cluster.", STATUS_STORE_FOREIGN, "correct the setting");
}

static void a_newer_format_is_refused(void **state)
{
    struct subject *subject = *state;
    fill(subject, 1);
    run_sql(subject->path, "PRAGMA user_version = 99");
    check_refused(subject->path, CLUSTER, STATUS_STORE_FOREIGN, "upgrade");
}

static void what_is_no_database_is_called_damaged(void **state)
{
    struct subject *subject = *state;
    FILE *file = fopen(subject->path, "w");
    for (unsigned i = 0; i < 1000; i++)
        fprintf(file, "line %u of a text\n", i);
    fclose(file);
    check_refused(subject->path, CLUSTER, STATUS_STORE_DAMAGED, "backup");
}

static void a_missing_table_is_called_damage(void **state)
{
    struct subject *subject = *state;
    uint64_t n;
    const struct index_token token = token_of(1);
    fill(subject, 1);
    run_sql(subject->path, "DROP TABLE tokens");
    open_again(subject);
    assert_int_equal(subject->store->operations->count(subject->store, STORE_OBJECT, &token, &n), STATUS_STORE_DAMAGED);
}

static void smashed_pages_are_noticed_at_start(void **state)
{
    struct subject *subject = *state;
    static const uint8_t junk[8192] = {1, 2, 3};
    fill(subject, 400);
    int file = open(subject->path, O_WRONLY | O_CLOEXEC);
    struct stat status;
    assert_int_equal(fstat(file, &status), 0);
    assert_true(status.st_size > 8 * 4096);
    for (off_t page = 2; page < status.st_size / 4096; page += 2)
        assert_int_equal(pwrite(file, junk, 4096, page * 4096), 4096);
    close(file);
    check_refused(subject->path, CLUSTER, STATUS_STORE_DAMAGED, "backup");
}

static void a_file_cut_short_is_noticed_at_start(void **state)
{
    struct subject *subject = *state;
    struct stat status;
    fill(subject, 400);
    assert_int_equal(stat(subject->path, &status), 0);
    assert_int_equal(truncate(subject->path, status.st_size / 2), 0);
    check_refused(subject->path, CLUSTER, STATUS_STORE_DAMAGED, "backup");
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    struct subject *subject = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/missing/store.db", subject->folder);
    check_refused(path, CLUSTER, STATUS_STORE_READ_ONLY, "No such file");
}

/* In a child, because root may write everywhere. */
static void a_read_only_file_is_refused(void **state)
{
    struct subject *subject = *state;
    fill(subject, 1);
    assert_int_equal(chmod(subject->path, 0444), 0);
    assert_int_equal(chmod(subject->folder, 0555), 0);
    pid_t child = fork();
    if (child == 0) {
        struct store *store;
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
            _exit(100);
        _exit(store_open_sqlite(subject->path, CLUSTER, &store));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(subject->folder, 0755), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), STATUS_STORE_READ_ONLY);
}

/* No room. */

static unsigned write_until_refused(struct store *store, status_code *refusal)
{
    static char value[2000];
    unsigned n = 0;
    memset(value, 'x', sizeof value - 1);
    while (n < 100000 && (*refusal = put(store, STORE_OBJECT, n, 0, value)) == STATUS_OK)
        n++;
    return n;
}

static void check_complete(struct store *store, unsigned n)
{
    uint64_t version;
    assert_int_equal(revision_of(store), n);
    for (unsigned i = 0; i <= n; i++) {
        value_of(store, STORE_OBJECT, i, &version);
        assert_int_equal(version, i < n);
    }
}

static sqlite3 *limited[8];
static unsigned n_limited;

static int limit_pages(sqlite3 *db, const char **error, const void *routines)
{
    (void)error, (void)routines;
    limited[n_limited++ % 8] = db;
    return sqlite3_exec(db, "PRAGMA max_page_count = 100", NULL, NULL, NULL);
}

static void a_full_store_keeps_what_it_has_and_goes_on_when_there_is_room(void **state)
{
    struct subject *subject = *state;
    void (*hook)(void) = (void (*)(void))limit_pages;
    status_code refusal;

    n_limited = 0;
    sqlite3_auto_extension(hook);
    open_again(subject);
    unsigned n = write_until_refused(subject->store, &refusal);
    sqlite3_cancel_auto_extension(hook);
    assert_int_equal(refusal, STATUS_STORE_FULL);
    assert_non_null(strstr(failure_detail(), "make room"));
    assert_in_range(n, 10, 1000);
    check_complete(subject->store, n);
    for (unsigned i = 0; i < n_limited; i++)
        sqlite3_exec(limited[i], "PRAGMA max_page_count = 1000000", NULL, NULL, NULL);
    assert_int_equal(put(subject->store, STORE_OBJECT, n, 0, "room again"), STATUS_OK);
    close_now(subject);
    open_again(subject);
    check_complete(subject->store, n + 1);
}

/* On a file system of 2 MiB, where this process may mount one. */
static int fill_a_disk(const char *folder)
{
    char path[128];
    struct store *store;
    status_code refusal;

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=2m") != 0)
        return 77;
    snprintf(path, sizeof path, "%s/store.db", folder);
    if (store_open_sqlite(path, CLUSTER, &store) != STATUS_OK)
        return 1;
    unsigned n = write_until_refused(store, &refusal);
    if (refusal != STATUS_STORE_FULL || n < 10) {
        fprintf(stderr, "after %u: %s: %s\n", n, status_name(refusal), failure_detail());
        return 2;
    }
    store->operations->close(store);
    if (store_open_sqlite(path, CLUSTER, &store) != STATUS_OK || mount("tmpfs", folder, NULL, MS_REMOUNT, "size=8m"))
        return 3;
    check_complete(store, n);
    return put(store, STORE_OBJECT, n, 0, "room again") == STATUS_OK ? 0 : 4;
}

static void a_full_disk_keeps_what_it_has(void **state)
{
    struct subject *subject = *state;
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(fill_a_disk(subject->folder));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Others at work. */

static void a_locked_store_is_read_and_says_that_it_is_locked(void **state)
{
    struct subject *subject = *state;
    sqlite3 *other;

    open_again(subject);
    assert_int_equal(put(subject->store, STORE_USER, 1, 0, "x"), STATUS_OK);
    assert_int_equal(sqlite3_open(subject->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(put(subject->store, STORE_USER, 1, 1, "y"), STATUS_STORE_LOCKED);
    assert_string_equal(value_of(subject->store, STORE_USER, 1, NULL), "x");
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(put(subject->store, STORE_USER, 1, 1, "y"), STATUS_OK);
}

static status_code raise_counter(struct store *store)
{
    status_code code = STATUS_CONFLICT;
    while (code == STATUS_CONFLICT || code == STATUS_ALREADY_EXISTS) {
        uint64_t version;
        char text[32];
        snprintf(text, sizeof text, "%d", atoi(value_of(store, STORE_USER, 1, &version)) + 1);
        code = put(store, STORE_USER, 1, version, text);
    }
    return code;
}

static void processes_that_start_and_count_together_lose_nothing(void **state)
{
    enum { PROCESSES = 3, ROUNDS = 100 };
    struct subject *subject = *state;
    int gate[2];
    pid_t children[PROCESSES];

    assert_int_equal(pipe(gate), 0);
    for (unsigned i = 0; i < PROCESSES; i++) {
        if ((children[i] = fork()) != 0)
            continue;
        struct store *store;
        char byte;
        close(gate[1]);
        if (read(gate[0], &byte, 1) != 0 || store_open_sqlite(subject->path, CLUSTER, &store) != STATUS_OK)
            _exit(1);
        for (unsigned round = 0; round < ROUNDS; round++)
            if (raise_counter(store) != STATUS_OK)
                _exit(2);
        store->operations->close(store);
        _exit(0);
    }
    close(gate[0]);
    close(gate[1]); /* all start at once */
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    open_again(subject);
    assert_int_equal(atoi(value_of(subject->store, STORE_USER, 1, NULL)), PROCESSES * ROUNDS);
    assert_int_equal(revision_of(subject->store), PROCESSES * ROUNDS);
}

static void what_a_killed_process_acknowledged_is_there(void **state)
{
    struct subject *subject = *state;
    int acks[2];
    uint32_t last = 0, number;

    assert_int_equal(pipe(acks), 0);
    pid_t child = fork();
    if (child == 0) {
        struct store *store;
        if (store_open_sqlite(subject->path, CLUSTER, &store) != STATUS_OK)
            _exit(1);
        for (number = 1;; number++)
            if (put(store, STORE_OBJECT, number, 0, "acknowledged") != STATUS_OK ||
                write(acks[1], &number, sizeof number) != sizeof number)
                _exit(2);
    }
    close(acks[1]);
    while (last < 200 && read(acks[0], &number, sizeof number) == sizeof number)
        last = number;
    kill(child, SIGKILL);
    while (read(acks[0], &number, sizeof number) == sizeof number)
        last = number;
    close(acks[0]);
    waitpid(child, NULL, 0);
    assert_true(last >= 200);
    open_again(subject);
    for (number = 1; number <= last; number++)
        assert_string_equal(value_of(subject->store, STORE_OBJECT, number, NULL), "acknowledged");
    assert_in_range(revision_of(subject->store), last, last + 1);
}

struct writer {
    struct store *store;
    unsigned number;
    uint64_t revisions[50];
    unsigned n_refused;
};

/* Each writes its own records, and all fight for record 0. */
static void *write_some(void *context)
{
    struct writer *writer = context;
    for (unsigned i = 0; i < 50; i++) {
        struct store_write own = write_of(STORE_OBJECT, 1000 * (writer->number + 1) + i, 0, "own");
        if (writer->store->operations->write(writer->store, &own, 1, &writer->revisions[i]) != STATUS_OK)
            writer->revisions[i] = 0;
        writer->n_refused += put(writer->store, STORE_USER, i, 0, "first") == STATUS_ALREADY_EXISTS;
    }
    return NULL;
}

static void threads_share_transactions_but_not_results(void **state)
{
    enum { THREADS = 8 };
    struct subject *subject = *state;
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    bool seen[THREADS * 50 + 51] = {false};
    unsigned n_refused = 0;

    open_again(subject);
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.store = subject->store, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_some, &writers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        n_refused += writers[i].n_refused;
        for (unsigned j = 0; j < 50; j++) {
            assert_in_range(writers[i].revisions[j], 1, THREADS * 50 + 50);
            assert_false(seen[writers[i].revisions[j]]);
            seen[writers[i].revisions[j]] = true;
        }
    }
    assert_int_equal(n_refused, (THREADS - 1) * 50);
    assert_int_equal(revision_of(subject->store), THREADS * 50 + 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_file_is_for_its_owner_only, start_closed, stop),
        cmocka_unit_test_setup_teardown(another_programs_database_is_refused_and_left_alone, start_closed, stop),
        cmocka_unit_test_setup_teardown(another_clusters_store_is_refused, start_closed, stop),
        cmocka_unit_test_setup_teardown(a_newer_format_is_refused, start_closed, stop),
        cmocka_unit_test_setup_teardown(what_is_no_database_is_called_damaged, start_closed, stop),
        cmocka_unit_test_setup_teardown(a_missing_table_is_called_damage, start_closed, stop),
        cmocka_unit_test_setup_teardown(smashed_pages_are_noticed_at_start, start_closed, stop),
        cmocka_unit_test_setup_teardown(a_file_cut_short_is_noticed_at_start, start_closed, stop),
        cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_named, start_closed, stop),
        cmocka_unit_test_setup_teardown(a_read_only_file_is_refused, start_closed, stop),
        cmocka_unit_test_setup_teardown(a_full_store_keeps_what_it_has_and_goes_on_when_there_is_room, start_closed,
                                        stop),
        cmocka_unit_test_setup_teardown(a_full_disk_keeps_what_it_has, start_closed, stop),
        cmocka_unit_test_setup_teardown(a_locked_store_is_read_and_says_that_it_is_locked, start_closed, stop),
        cmocka_unit_test_setup_teardown(processes_that_start_and_count_together_lose_nothing, start_closed, stop),
        cmocka_unit_test_setup_teardown(what_a_killed_process_acknowledged_is_there, start_closed, stop),
        cmocka_unit_test_setup_teardown(threads_share_transactions_but_not_results, start_closed, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
