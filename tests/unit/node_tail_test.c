/* Following the store: a node never claims a revision that its caches do not reflect, and catches up on demand. The
 * store here is a list of changes under the test's control. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include "node.h"
#include "tail.h"

#define CHANGES_MAX 100000u

/* A store that only knows its changes: change number i (from 0) made revision i + 1. */
struct list_store {
    struct store store;
    pthread_mutex_t lock;
    enum store_kind kinds[CHANGES_MAX];
    uint64_t revision;
    uint64_t oldest; /* the list reaches back to this revision */
    uint64_t lag;    /* so much less is what reads reflect */
    status_code failing;
};

static status_code list_changes(struct store *store, uint64_t since, store_change_visitor visit, void *context,
                                uint64_t *revision)
{
    struct list_store *list = (struct list_store *)store;
    pthread_mutex_lock(&list->lock);
    status_code code = list->failing;
    if (code == STATUS_OK && since < list->oldest)
        code = failure_set(STATUS_CONFLICT, "too far back");
    for (uint64_t i = since; code == STATUS_OK && i < list->revision; i++) {
        struct store_change change = {.revision = i + 1, .kind = list->kinds[i]};
        memcpy(change.id, &(uint64_t){i + 1}, sizeof(uint64_t));
        code = visit(context, &change);
    }
    if (code == STATUS_OK)
        *revision = list->revision;
    pthread_mutex_unlock(&list->lock);
    return code;
}

static status_code list_revision(struct store *store, uint64_t *revision)
{
    struct list_store *list = (struct list_store *)store;
    pthread_mutex_lock(&list->lock);
    *revision = list->revision - list->lag;
    pthread_mutex_unlock(&list->lock);
    return STATUS_OK;
}

static status_code list_read(struct store *store, enum store_kind kind, const uint8_t id[ID_LEN], struct bytes *value,
                             uint64_t *version)
{
    (void)store;
    (void)kind;
    (void)id;
    (void)value;
    (void)version;
    return STATUS_OBJECT_NOT_FOUND;
}

static status_code list_range(struct store *store, enum store_kind kind, const uint8_t *after, const uint8_t *before,
                              size_t limit, store_visitor visit, void *context)
{
    (void)store, (void)kind, (void)after, (void)before, (void)limit, (void)visit, (void)context;
    return STATUS_OK;
}

static status_code list_wait(struct store *store, uint64_t revision)
{
    (void)store, (void)revision;
    return STATUS_OK;
}

static const struct store_operations LIST_OPERATIONS = {
    .changes = list_changes, .revision = list_revision, .read = list_read, .range = list_range, .wait = list_wait};

static uint64_t change(struct list_store *list, enum store_kind kind)
{
    pthread_mutex_lock(&list->lock);
    list->kinds[list->revision++] = kind;
    uint64_t revision = list->revision;
    pthread_mutex_unlock(&list->lock);
    return revision;
}

/* Caches that only count: the linker takes these instead of the node's own (--wrap). */
static _Atomic uint64_t n_objects_forgotten, n_users_forgotten, n_all_forgotten, last_forgotten;

void __wrap_objects_forget(struct objects *objects, const uint8_t id[ID_LEN]);
void __wrap_users_forget(struct users *users, enum store_kind kind, const uint8_t id[ID_LEN]);
void __wrap_objects_forget_all(struct objects *objects);
void __wrap_users_forget_all(struct users *users);

void __wrap_objects_forget(struct objects *objects, const uint8_t id[ID_LEN])
{
    uint64_t revision;
    (void)objects;
    memcpy(&revision, id, sizeof revision);
    atomic_store(&last_forgotten, revision);
    atomic_fetch_add(&n_objects_forgotten, 1);
}

void __wrap_users_forget(struct users *users, enum store_kind kind, const uint8_t id[ID_LEN])
{
    (void)users;
    (void)kind;
    (void)id;
    atomic_fetch_add(&n_users_forgotten, 1);
}

void __wrap_objects_forget_all(struct objects *objects)
{
    (void)objects;
    atomic_fetch_add(&n_all_forgotten, 1);
}

void __wrap_users_forget_all(struct users *users)
{
    (void)users;
}

status_code __wrap_anchors_follow(struct node *node);

status_code __wrap_anchors_follow(struct node *node)
{
    (void)node; /* it is no member, and so has no TLS */
    return STATUS_OK;
}

struct subject {
    struct node *node;
    struct list_store *list;
    char folder[64];
};

static int start(void **state)
{
    struct crypto_policy policy = {false, false, false};
    struct log_settings quiet = {LOG_LEVEL_ERROR, false, "/dev/null"};
    struct subject *subject = calloc(1, sizeof *subject);
    subject->list = calloc(1, sizeof *subject->list);
    subject->list->store.operations = &LIST_OPERATIONS;
    pthread_mutex_init(&subject->list->lock, NULL);
    subject->node = calloc(1, sizeof *subject->node);
    subject->node->store = &subject->list->store;
    subject->node->config.tail_interval_ms = 60000; /* the thread stays out of the way unless a test wants it */
    snprintf(subject->folder, sizeof subject->folder, "/tmp/hsmd-tail-XXXXXX");
    atomic_store(&n_objects_forgotten, 0);
    atomic_store(&n_users_forgotten, 0);
    atomic_store(&n_all_forgotten, 0);
    *state = subject;
    return log_open(&quiet) != STATUS_OK || crypto_start(false, &policy) != STATUS_OK || !mkdtemp(subject->folder) ||
           identity_open(subject->node, subject->folder, &subject->node->identity) != STATUS_OK;
}

static int stop(void **state)
{
    struct subject *subject = *state;
    char path[128];
    tail_stop(subject->node->tail);
    identity_close(subject->node->identity);
    static const char *const FILES[] = {"identity", "node.secret"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", subject->folder, FILES[i]);
        unlink(path);
    }
    rmdir(subject->folder);
    free(subject->list);
    free(subject->node);
    free(subject);
    crypto_stop();
    log_close();
    return 0;
}

static void catching_up_passes_every_change_on_before_it_claims_it(void **state)
{
    struct subject *subject = *state;
    struct node *node = subject->node;
    assert_int_equal(tail_start(node, &node->tail), STATUS_OK);
    change(subject->list, STORE_OBJECT);
    change(subject->list, STORE_USER);
    change(subject->list, STORE_REVOCATION);
    uint64_t revision = change(subject->list, STORE_OBJECT);
    assert_int_equal(atomic_load(&node->revision), 0);
    assert_int_equal(node_catch_up(node, revision), STATUS_OK);
    assert_int_equal(atomic_load(&node->revision), revision);
    assert_int_equal(n_objects_forgotten, 2);
    assert_int_equal(n_users_forgotten, 2);
    assert_int_equal(node_catch_up(node, 1), STATUS_OK); /* nothing to do */
    assert_int_equal(n_objects_forgotten, 2);
}

static void a_revision_that_the_store_does_not_have_is_busy(void **state)
{
    struct subject *subject = *state;
    struct node *node = subject->node;
    assert_int_equal(tail_start(node, &node->tail), STATUS_OK);
    uint64_t revision = change(subject->list, STORE_OBJECT);
    assert_int_equal(node_catch_up(node, revision + 1), STATUS_BUSY);
    assert_int_equal(atomic_load(&node->revision), revision);
}

static void own_writes_are_claimed_only_with_all_before_them(void **state)
{
    struct subject *subject = *state;
    struct node *node = subject->node;
    assert_int_equal(tail_start(node, &node->tail), STATUS_OK);
    node_wrote(node, change(subject->list, STORE_OBJECT));
    assert_int_equal(atomic_load(&node->revision), 1);
    assert_int_equal(n_objects_forgotten, 0); /* the writer forgot it itself */
    change(subject->list, STORE_OBJECT);      /* another node's */
    node_wrote(node, change(subject->list, STORE_OBJECT));
    assert_int_equal(atomic_load(&node->revision), 3);
    assert_int_equal(n_objects_forgotten, 2);
}

/* A replica that lags: the client is told of the write all the same, and whoever it asks next waits for it. */
static void a_write_that_reads_do_not_reflect_yet_is_not_claimed(void **state)
{
    struct subject *subject = *state;
    struct node *node = subject->node;
    assert_int_equal(tail_start(node, &node->tail), STATUS_OK);
    subject->list->lag = 1;
    uint64_t revision = change(subject->list, STORE_OBJECT);
    node_wrote(node, revision);
    assert_int_equal(atomic_load(&node->revision), 0);
    assert_int_equal(node_answered_revision(node), revision);
    subject->list->lag = 0;
    assert_int_equal(node_catch_up(node, revision), STATUS_OK);
    assert_int_equal(atomic_load(&node->revision), revision);
}

static void a_failing_store_leaves_the_claim_where_it_was(void **state)
{
    struct subject *subject = *state;
    struct node *node = subject->node;
    assert_int_equal(tail_start(node, &node->tail), STATUS_OK);
    uint64_t revision = change(subject->list, STORE_OBJECT);
    subject->list->failing = STATUS_STORE_LOCKED;
    assert_int_equal(node_catch_up(node, revision), STATUS_STORE_LOCKED);
    assert_int_equal(atomic_load(&node->revision), 0);
    subject->list->failing = STATUS_OK;
    assert_int_equal(node_catch_up(node, revision), STATUS_OK);
}

static void too_far_behind_means_that_all_is_forgotten(void **state)
{
    struct subject *subject = *state;
    struct node *node = subject->node;
    assert_int_equal(tail_start(node, &node->tail), STATUS_OK);
    for (int i = 0; i < 10; i++)
        change(subject->list, STORE_OBJECT);
    subject->list->oldest = 5;
    /* The list store has no records: what a real one would answer about the cluster and the node itself is "none". */
    assert_int_equal(node_catch_up(node, 10), STATUS_OK);
    assert_int_equal(n_all_forgotten, 1);
    assert_int_equal(atomic_load(&node->revision), 10);
}

static void the_thread_follows_on_its_own(void **state)
{
    struct subject *subject = *state;
    struct node *node = subject->node;
    node->config.tail_interval_ms = 1;
    assert_int_equal(tail_start(node, &node->tail), STATUS_OK);
    uint64_t revision = change(subject->list, STORE_OBJECT);
    for (int i = 0; i < 5000 && atomic_load(&node->revision) < revision; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&node->revision), revision);
    assert_int_equal(n_objects_forgotten, 1);
}

static void *write_many(void *context)
{
    struct subject *subject = context;
    for (int i = 0; i < 2000; i++) {
        uint64_t revision = change(subject->list, STORE_OBJECT);
        node_wrote(subject->node, revision);
        assert_true(atomic_load(&subject->node->revision) >= revision);
    }
    return NULL;
}

static void writers_and_the_tail_together_end_at_the_newest(void **state)
{
    struct subject *subject = *state;
    struct node *node = subject->node;
    pthread_t threads[3];
    node->config.tail_interval_ms = 1;
    assert_int_equal(tail_start(node, &node->tail), STATUS_OK);
    for (size_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, write_many, subject);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&node->revision), 6000);
}

static void the_clock_never_goes_back(void **state)
{
    struct subject *subject = *state;
    struct node *node = subject->node;
    uint64_t now = node_now_ms(node);
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    assert_true(llabs((long long)now - ((long long)real.tv_sec * 1000 + real.tv_nsec / 1000000)) < 1000);

    /* As if the clock had been an hour ahead until now, and was then set back. */
    atomic_fetch_add(&node->clock_offset_ms, 3600000);
    uint64_t held = node_now_ms(node);
    assert_true(held >= now + 3600000);
    assert_true(atomic_load(&node->clock_held));
    usleep(20000);
    assert_true(node_now_ms(node) >= held + 15); /* time goes on from there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(catching_up_passes_every_change_on_before_it_claims_it, start, stop),
        cmocka_unit_test_setup_teardown(a_revision_that_the_store_does_not_have_is_busy, start, stop),
        cmocka_unit_test_setup_teardown(own_writes_are_claimed_only_with_all_before_them, start, stop),
        cmocka_unit_test_setup_teardown(a_write_that_reads_do_not_reflect_yet_is_not_claimed, start, stop),
        cmocka_unit_test_setup_teardown(a_failing_store_leaves_the_claim_where_it_was, start, stop),
        cmocka_unit_test_setup_teardown(too_far_behind_means_that_all_is_forgotten, start, stop),
        cmocka_unit_test_setup_teardown(the_thread_follows_on_its_own, start, stop),
        cmocka_unit_test_setup_teardown(writers_and_the_tail_together_end_at_the_newest, start, stop),
        cmocka_unit_test_setup_teardown(the_clock_never_goes_back, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
