/* Members of the cluster in a real store: at most 28, removed for ever, refused by certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include "identity/member.h"
#include "node.h"

static const uint8_t CLUSTER[ID_LEN] = "the cluster's id";

struct subject {
    struct node *node;
    char path[64], state[96];
};

static int start(void **state)
{
    struct crypto_policy policy = {false, false, false};
    struct log_settings quiet = {LOG_LEVEL_ERROR, false, "/dev/null"};
    struct subject *subject = calloc(1, sizeof *subject);
    struct secret masking_keys = SECRET_INIT;
    subject->node = calloc(1, sizeof *subject->node);
    *state = subject;
    if (log_open(&quiet) != STATUS_OK || crypto_start(false, &policy) != STATUS_OK)
        return -1;
    snprintf(subject->path, sizeof subject->path, "/tmp/hsmd-member-XXXXXX");
    if (!mkdtemp(subject->path) || masking_keys_make(FIRST_GENERATION, &masking_keys) != STATUS_OK)
        return -1;
    char store[96];
    snprintf(store, sizeof store, "%s/store.db", subject->path);
    status_code code = keyring_create(secret_slice(&masking_keys), CLUSTER, &subject->node->keyring);
    secret_release(&masking_keys);
    snprintf(subject->state, sizeof subject->state, "%s/state", subject->path);
    return code != STATUS_OK || mkdir(subject->state, 0700) != 0 ||
           identity_open(subject->node, subject->state, &subject->node->identity) != STATUS_OK ||
           store_open_sqlite(store, CLUSTER, &subject->node->store) != STATUS_OK;
}

static int stop(void **state)
{
    static const char *const FILES[] = {"store.db",       "store.db-wal",      "store.db-shm",
                                        "state/identity", "state/node.secret", "state/lock"};
    struct subject *subject = *state;
    char path[96];
    subject->node->store->operations->close(subject->node->store);
    keyring_free(subject->node->keyring);
    identity_close(subject->node->identity);
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", subject->path, FILES[i]);
        unlink(path);
    }
    rmdir(subject->state);
    rmdir(subject->path);
    free(subject->node);
    free(subject);
    crypto_stop();
    log_close();
    return 0;
}

/* A node with all six fields; its number makes id and certificate. */
struct sample {
    uint8_t id[ID_LEN], hash[32];
    char name[16];
    struct values values;
};

static struct values *sample(struct sample *sample, unsigned number)
{
    memset(sample, 0, sizeof *sample);
    sample->id[0] = sample->hash[31] = (uint8_t)(number + 1);
    snprintf(sample->name, sizeof sample->name, "node%u", number);
    values_init(&sample->values);
    values_put_bytes(&sample->values, FIELD_NODE_ID, slice_of(sample->id, ID_LEN));
    values_put_bytes(&sample->values, FIELD_NAME, slice_text(sample->name));
    values_put_bytes(&sample->values, FIELD_ADDRESS, slice_text("tls+tcp://127.0.0.1:1"));
    values_put_bytes(&sample->values, FIELD_ZONE, slice_text("a"));
    values_put_bytes(&sample->values, FIELD_STATE_NAME, slice_text("serving"));
    values_put_bytes(&sample->values, FIELD_HASH_VALUE, slice_of(sample->hash, sizeof sample->hash));
    return &sample->values;
}

static uint64_t n_members(struct node *node)
{
    struct bytes records = BYTES_INIT;
    struct reader reader;
    uint64_t n = 0;
    uint32_t n_listed = 0;
    assert_int_equal(members_list(node, &records, &n), STATUS_OK);
    assert_int_equal(sets_begin(bytes_slice(&records), &reader, &n_listed), STATUS_OK);
    assert_int_equal(n_listed, n);
    for (uint32_t i = 0; i < n_listed; i++) {
        struct values values;
        assert_int_equal(values_decode(&FIELD_SCHEMA, &reader, &values), STATUS_OK);
        assert_int_equal(values_bytes(&values, FIELD_NODE_ID).len, ID_LEN);
        assert_int_equal(values_bytes(&values, FIELD_HASH_VALUE).len, 32);
    }
    assert_true(reader_at_end(&reader));
    bytes_release(&records);
    return n;
}

static void members_are_listed_as_they_were_put(void **state)
{
    struct node *node = ((struct subject *)*state)->node;
    struct sample one;
    struct bytes records = BYTES_INIT;
    assert_int_equal(n_members(node), 0);
    assert_int_equal(members_put(node, sample(&one, 1)), STATUS_OK);
    assert_int_equal(members_put(node, sample(&one, 1)), STATUS_OK); /* nothing new: nothing written */
    values_put_bytes(&one.values, FIELD_ZONE, slice_text("b"));
    assert_int_equal(members_put(node, &one.values), STATUS_OK);
    assert_int_equal(n_members(node), 1);

    struct values values;
    struct reader reader;
    uint32_t n;
    assert_int_equal(members_list(node, &records, NULL), STATUS_OK);
    assert_int_equal(sets_begin(bytes_slice(&records), &reader, &n), STATUS_OK);
    assert_int_equal(values_decode(&FIELD_SCHEMA, &reader, &values), STATUS_OK);
    assert_true(slice_equal(values_bytes(&values, FIELD_ZONE), slice_text("b")));
    assert_true(slice_equal(values_bytes(&values, FIELD_NAME), slice_text("node1")));
    bytes_release(&records);
}

static void the_29th_member_is_refused(void **state)
{
    struct node *node = ((struct subject *)*state)->node;
    struct sample one;
    for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++)
        assert_int_equal(members_put(node, sample(&one, i)), STATUS_OK);
    assert_int_equal(members_put(node, sample(&one, CLUSTER_NODES_MAX)), STATUS_QUOTA_EXCEEDED);
    assert_int_equal(n_members(node), CLUSTER_NODES_MAX);
    assert_int_equal(members_put(node, sample(&one, 3)), STATUS_OK); /* one that is there already */
    assert_int_equal(members_remove(node, one.id), STATUS_OK);
    assert_int_equal(members_put(node, sample(&one, CLUSTER_NODES_MAX)), STATUS_OK);
    assert_int_equal(n_members(node), CLUSTER_NODES_MAX);
}

static void a_removed_node_stays_removed(void **state)
{
    struct node *node = ((struct subject *)*state)->node;
    struct sample one, two;
    bool removed = true;
    assert_int_equal(members_put(node, sample(&one, 1)), STATUS_OK);
    assert_int_equal(members_put(node, sample(&two, 2)), STATUS_OK);
    assert_int_equal(members_is_removed(node, one.hash, &removed), STATUS_OK);
    assert_false(removed);
    assert_int_equal(members_remove(node, one.id), STATUS_OK);
    assert_int_equal(members_remove(node, one.id), STATUS_OK); /* repeated */
    assert_int_equal(members_is_removed(node, one.hash, &removed), STATUS_OK);
    assert_true(removed);
    assert_int_equal(members_is_removed(node, two.hash, &removed), STATUS_OK);
    assert_false(removed);
    assert_int_equal(n_members(node), 1);
    assert_int_equal(members_put(node, sample(&one, 1)), STATUS_CLUSTER_STATE);
    sample(&one, 9);
    assert_int_equal(members_remove(node, one.id), STATUS_OBJECT_NOT_FOUND);
    memset(one.id, 0, ID_LEN);
    assert_int_equal(members_remove(node, one.id), STATUS_OBJECT_NOT_FOUND); /* the roster is no node */
}

static void a_record_that_was_moved_or_altered_does_not_open(void **state)
{
    struct node *node = ((struct subject *)*state)->node;
    struct sample one, two;
    struct bytes value = BYTES_INIT, records = BYTES_INIT;
    uint64_t version = 0, revision = 0;
    assert_int_equal(members_put(node, sample(&one, 1)), STATUS_OK);
    assert_int_equal(node->store->operations->read(node->store, STORE_NODE, one.id, &value, &version), STATUS_OK);
    sample(&two, 2);
    struct store_write write = {.kind = STORE_NODE, .value = bytes_slice(&value)};
    memcpy(write.id, two.id, ID_LEN);
    assert_int_equal(node->store->operations->write(node->store, &write, 1, &revision), STATUS_OK);
    assert_int_equal(members_list(node, &records, NULL), STATUS_STORE_DAMAGED);
    bytes_release(&value);
    bytes_release(&records);
}

struct work {
    struct node *node;
    unsigned first;
};

static void *put_four(void *context)
{
    const struct work *work = context;
    struct sample one;
    for (unsigned i = 0; i < 4; i++)
        (void)members_put(work->node, sample(&one, work->first + i));
    return NULL;
}

static void threads_together_do_not_exceed_the_limit(void **state)
{
    struct subject *subject = *state;
    struct work works[3];
    pthread_t threads[3];
    struct sample one;
    for (unsigned i = 0; i < CLUSTER_NODES_MAX - 4; i++)
        assert_int_equal(members_put(subject->node, sample(&one, i)), STATUS_OK);
    for (unsigned i = 0; i < 3; i++) {
        works[i] = (struct work){subject->node, 40 + 4 * i};
        pthread_create(&threads[i], NULL, put_four, &works[i]);
    }
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(n_members(subject->node), CLUSTER_NODES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_are_listed_as_they_were_put, start, stop),
        cmocka_unit_test_setup_teardown(the_29th_member_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(a_removed_node_stays_removed, start, stop),
        cmocka_unit_test_setup_teardown(a_record_that_was_moved_or_altered_does_not_open, start, stop),
        cmocka_unit_test_setup_teardown(threads_together_do_not_exceed_the_limit, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
