/* The audit log: what is recorded, in a chain that shows every change, durable before the answer. */
#include "node_objects_fixture.h"

#include "audit/audit_entry.h"
#include <time.h>

static struct node *node_of(struct fixture *fixture)
{
    return fixture->node;
}

/** Records an act as the dispatcher does. */
static status_code act(struct fixture *fixture, enum operation operation, struct id id, status_code outcome)
{
    struct values request, answer;
    struct call call = {.node = fixture->node,
                        .operation = operation,
                        .caller = fixture->alice,
                        .request = &request,
                        .answer = &answer};
    values_init(&request);
    values_init(&answer);
    values_put_bytes(&request, FIELD_OBJECT_ID, slice_of(id.bytes, ID_LEN));
    if (outcome != STATUS_OK)
        (void)failure_set(outcome, "this went wrong");
    return audit_wants(fixture->node->audit, operation) ? audit_record(fixture->node->audit, &call, outcome)
                                                        : STATUS_OK;
}

struct log {
    struct bytes storage;
    uint64_t head;
    uint32_t n;
    struct values entries[300];
};

static void log_release(struct log *log)
{
    bytes_release(&log->storage);
}

static void read_log(struct fixture *fixture, uint64_t sequence, struct log *log)
{
    struct reader reader;
    bytes_clear(&log->storage);
    assert_int_equal(audit_read(fixture->node->audit, identity_node_id(fixture->node->identity), sequence, 300,
                                &log->storage, &log->head),
                     STATUS_OK);
    assert_int_equal(sets_begin(bytes_slice(&log->storage), &reader, &log->n), STATUS_OK);
    for (uint32_t i = 0; i < log->n; i++)
        assert_int_equal(values_decode(&FIELD_SCHEMA, &reader, &log->entries[i]), STATUS_OK);
}

static status_code verify(struct fixture *fixture)
{
    return audit_verify(fixture->node->audit, identity_node_id(fixture->node->identity));
}

static int fresh(void **state)
{
    *state = fixture_make(NULL);
    return 0;
}

static void acts_are_recorded_before_they_are_answered(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(log_release) struct log log = {.storage = BYTES_INIT};
    struct id id = new_id();

    assert_int_equal(act(fixture, OP_OBJECT_DELETE, id, STATUS_OK), STATUS_OK);
    read_log(fixture, 1, &log);
    assert_int_equal(log.n, 1);
    assert_int_equal(log.head, 1);
    assert_true(slice_equal(values_bytes(&log.entries[0], FIELD_OPERATION), slice_text("OBJECT_DELETE")));
    assert_true(slice_equal(values_bytes(&log.entries[0], FIELD_USER_NAME), slice_text("alice")));
    assert_true(slice_equal(values_bytes(&log.entries[0], FIELD_OBJECT_ID), slice_of(id.bytes, ID_LEN)));
    assert_int_equal(values_uint(&log.entries[0], FIELD_STATUS, 99), STATUS_OK);
}

/** Whoever reads the log can check the chain without any key. */
static void the_chain_can_be_checked_from_outside(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(log_release) struct log log = {.storage = BYTES_INIT};
    uint8_t previous[32] = {0}, hash[32];

    for (int i = 0; i < 20; i++)
        assert_int_equal(act(fixture, OP_OBJECT_SET, new_id(), STATUS_OK), STATUS_OK);
    read_log(fixture, 1, &log);
    assert_int_equal(log.n, 20);
    for (uint32_t i = 0; i < log.n; i++) {
        CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT;
        struct slice told = values_bytes(&log.entries[i], FIELD_HASH_VALUE);
        assert_int_equal(values_uint(&log.entries[i], FIELD_SEQUENCE, 0), i + 1);
        assert_true(slice_equal(values_bytes(&log.entries[i], FIELD_PREVIOUS_HASH), slice_of(previous, 32)));
        values_remove(&log.entries[i], FIELD_HASH_VALUE);
        values_encode(&FIELD_SCHEMA, &log.entries[i], &encoded);
        assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, encoded.data, encoded.len, hash, NULL), 1);
        assert_true(slice_equal(told, slice_of(hash, 32)));
        memcpy(previous, hash, 32);
    }
    assert_int_equal(verify(fixture), STATUS_OK);
}

static void looking_and_session_keys_are_not_recorded(void **state)
{
    struct fixture *fixture = *state;
    struct audit *audit = fixture->node->audit;
    assert_false(audit_wants(audit, OP_PING));
    assert_false(audit_wants(audit, OP_OBJECT_FIND));
    assert_false(audit_wants(audit, OP_SIGN));
    assert_true(audit_wants(audit, OP_USER_CREATE));
    assert_true(audit_wants(audit, OP_LOGIN));
    assert_true(audit_wants(audit, OP_WRAP));
}

static void wait_for(struct fixture *fixture, uint32_t n, struct log *log)
{
    for (int i = 0; i < 100; i++) {
        read_log(fixture, 1, log);
        if (log->n >= n)
            return;
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
}

static void failures_are_recorded_within_a_second_with_their_cause(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(log_release) struct log log = {.storage = BYTES_INIT};

    assert_int_equal(act(fixture, OP_OBJECT_DELETE, new_id(), STATUS_NOT_PERMITTED), STATUS_OK);
    wait_for(fixture, 1, &log);
    assert_int_equal(log.n, 1);
    assert_int_equal(values_uint(&log.entries[0], FIELD_STATUS, 0), STATUS_NOT_PERMITTED);
    assert_true(slice_equal(values_bytes(&log.entries[0], FIELD_DETAIL), slice_text("this went wrong")));
}

static void audit_uses(struct node_config *config)
{
    config->audit_key_use = true;
}

static int fresh_with_uses(void **state)
{
    *state = fixture_make(audit_uses);
    return 0;
}

static void uses_of_keys_are_gathered_by_setting(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(log_release) struct log log = {.storage = BYTES_INIT};

    for (int i = 0; i < 280; i++)
        assert_int_equal(act(fixture, OP_SIGN, new_id(), STATUS_OK), STATUS_OK);
    wait_for(fixture, 280, &log);
    assert_int_equal(log.n, 280);
    assert_int_equal(verify(fixture), STATUS_OK);
}

/* Tampering, as somebody with access to the store could. */

static void change_entry(struct fixture *fixture, uint64_t sequence, struct slice value, bool remove_it)
{
    struct store *store = node_of(fixture)->store;
    CLEANUP(bytes_release) struct bytes now = BYTES_INIT;
    struct store_write write = {.kind = STORE_AUDIT, .value = value, .remove = remove_it};
    uint64_t revision;
    audit_record_id(identity_node_id(fixture->node->identity), sequence, write.id);
    assert_int_equal(store->operations->read(store, STORE_AUDIT, write.id, &now, &write.expected_version), STATUS_OK);
    assert_int_equal(store->operations->write(store, &write, 1, &revision), STATUS_OK);
}

static void record_some(struct fixture *fixture, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(act(fixture, OP_OBJECT_SET, new_id(), STATUS_OK), STATUS_OK);
}

static void a_removed_entry_shows(void **state)
{
    struct fixture *fixture = *state;
    record_some(fixture, 5);
    change_entry(fixture, 3, slice_of(NULL, 0), true);
    assert_int_equal(verify(fixture), STATUS_STORE_DAMAGED);
    assert_non_null(strstr(failure_detail(), "entry 3"));
}

static void an_entry_cut_off_at_the_end_shows(void **state)
{
    struct fixture *fixture = *state;
    record_some(fixture, 5);
    change_entry(fixture, 5, slice_of(NULL, 0), true);
    assert_int_equal(verify(fixture), STATUS_STORE_DAMAGED);
    assert_non_null(strstr(failure_detail(), "entry 5"));
}

static void a_replaced_entry_shows(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes another = BYTES_INIT;
    uint8_t id[ID_LEN];
    uint64_t version;
    struct store *store = node_of(fixture)->store;

    record_some(fixture, 5);
    audit_record_id(identity_node_id(fixture->node->identity), 2, id);
    assert_int_equal(store->operations->read(store, STORE_AUDIT, id, &another, &version), STATUS_OK);
    change_entry(fixture, 4, bytes_slice(&another), false);
    assert_int_equal(verify(fixture), STATUS_STORE_DAMAGED);
    assert_non_null(strstr(failure_detail(), "entry 4"));
}

/* A restart goes on where the chain ended, and threads share writes without breaking it. */

static void the_chain_goes_on_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(log_release) struct log log = {.storage = BYTES_INIT};

    record_some(fixture, 3);
    audit_close(fixture->node->audit);
    assert_int_equal(audit_open(fixture->node, &fixture->node->audit), STATUS_OK);
    record_some(fixture, 3);
    read_log(fixture, 4, &log);
    assert_int_equal(log.n, 3);
    assert_int_equal(values_uint(&log.entries[0], FIELD_SEQUENCE, 0), 4);
    assert_int_equal(verify(fixture), STATUS_OK);
}

static void *record_ten(void *context)
{
    struct fixture *fixture = context;
    for (int i = 0; i < 10; i++)
        if (act(fixture, OP_OBJECT_SET, (struct id){{1}}, STATUS_OK) != STATUS_OK)
            return fixture;
    return NULL;
}

static void threads_share_one_chain(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(log_release) struct log log = {.storage = BYTES_INIT};
    pthread_t threads[8];
    void *failed;

    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_ten, fixture), 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    read_log(fixture, 1, &log);
    assert_int_equal(log.n, 80);
    assert_int_equal(verify(fixture), STATUS_OK);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, fresh, fixture_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(acts_are_recorded_before_they_are_answered),
        FRESH(the_chain_can_be_checked_from_outside),
        FRESH(looking_and_session_keys_are_not_recorded),
        FRESH(failures_are_recorded_within_a_second_with_their_cause),
        cmocka_unit_test_setup_teardown(uses_of_keys_are_gathered_by_setting, fresh_with_uses, fixture_stop),
        FRESH(a_removed_entry_shows),
        FRESH(an_entry_cut_off_at_the_end_shows),
        FRESH(a_replaced_entry_shows),
        FRESH(the_chain_goes_on_after_a_restart),
        FRESH(threads_share_one_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
