/* The set of users: names, passwords, roles, and what must hold over all of them, on two nodes that share a store. */
#include "node_objects_fixture.h"

#include "user/cluster_record.h"
#include "user/challenge.h"

static const struct login_proof no_proof = {{NULL, 0}, {NULL, 0}};

#define PASSWORD "correct horse battery"

static status_code create(struct node *node, const struct fixture *fixture, const char *name, const char *password,
                          enum role role, struct id request)
{
    return users_create(node->users, &fixture->admin, slice_text(name), slice_text(password), role, request.bytes);
}

static status_code change(struct fixture *fixture, const struct caller *caller, const char *name, const char *old,
                          const char *new)
{
    return users_change_password(fixture->node->users, caller, slice_text(name), slice_text(old), slice_text(new));
}

static status_code log_in(struct fixture *fixture, const char *name, const char *password)
{
    CLEANUP(bytes_release) struct bytes ticket = BYTES_SECRET;
    struct caller caller;
    uint64_t expires_ms;
    return users_login(fixture->node->users, slice_text(name), slice_text(password), &no_proof, slice_of(NULL, 0),
                       &caller, &ticket, &expires_ms);
}

static bool exists(struct node *node, const char *name)
{
    uint8_t id[ID_LEN];
    enum role role;
    status_code code = users_find(node->users, slice_text(name), id, &role);
    assert_true(code == STATUS_OK || code == STATUS_USER_NOT_FOUND);
    return code == STATUS_OK;
}

static void names_are_31_letters_digits_and_few_signs(void **state)
{
    struct fixture *fixture = *state;
    static const char *const good[] = {"a", "A.b_c@d-9", "1234567890123456789012345678901"};
    static const char *const bad[] = {"", "12345678901234567890123456789012", "a b", "a/b", "a:b", "\xc3\xa4", "a\n"};

    for (unsigned i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(create(fixture->node, fixture, good[i], PASSWORD, ROLE_USER, new_id()), STATUS_OK);
        assert_true(exists(fixture->other, good[i]));
    }
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(create(fixture->node, fixture, bad[i], PASSWORD, ROLE_USER, new_id()),
                         STATUS_INVALID_ARGUMENT);
    assert_int_equal(create(fixture->node, fixture, "none", PASSWORD, ROLE_NONE, new_id()), STATUS_INVALID_ARGUMENT);
}

static void passwords_keep_the_rules(void **state)
{
    struct fixture *fixture = *state;
    static const char *const good[] = {"12345678", "p\xc3\xa4sswort", "\xf0\x9f\x94\x91\xf0\x9f\x94\x91"};
    static const char *const bad[] = {"", "1234567", "longnamed", "LongNamed", "bad \xff\xfe utf", "cut \xc3\xa4\xc3"};
    char long_enough[130];

    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(create(fixture->node, fixture, "longnamed", bad[i], ROLE_USER, new_id()),
                         STATUS_PASSWORD_UNACCEPTABLE);
    memset(long_enough, 'x', sizeof long_enough);
    long_enough[129] = 0;
    assert_int_equal(create(fixture->node, fixture, "longnamed", long_enough, ROLE_USER, new_id()),
                     STATUS_PASSWORD_UNACCEPTABLE);
    long_enough[128] = 0;
    assert_int_equal(create(fixture->node, fixture, "longnamed", long_enough, ROLE_USER, new_id()), STATUS_OK);
    assert_int_equal(log_in(fixture, "longnamed", long_enough), STATUS_OK);
    for (unsigned i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(change(fixture, &fixture->admin, "longnamed", "", good[i]), STATUS_OK);
        assert_int_equal(log_in(fixture, "longnamed", good[i]), STATUS_OK);
    }
}

static void a_resent_creation_is_one_creation(void **state)
{
    struct fixture *fixture = *state;
    struct id request = new_id();

    assert_int_equal(create(fixture->node, fixture, "dave", PASSWORD, ROLE_USER, request), STATUS_OK);
    assert_int_equal(create(fixture->other, fixture, "dave", PASSWORD, ROLE_USER, request), STATUS_OK);
    assert_int_equal(create(fixture->other, fixture, "dave", PASSWORD, ROLE_USER, new_id()), STATUS_ALREADY_EXISTS);
}

struct work {
    struct fixture *fixture;
    struct node *node;
    const char *name;
    status_code code;
};

static void *create_contested(void *context)
{
    struct work *work = context;
    work->code = create(work->node, work->fixture, "contested", PASSWORD, ROLE_USER, new_id());
    return NULL;
}

static void *delete_one(void *context)
{
    struct work *work = context;
    work->code = users_delete(work->node->users, &work->fixture->admin, slice_text(work->name));
    return NULL;
}

/* Both at once, one on each node. */
static void race(struct work work[2], void *(*run)(void *))
{
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, &work[i]), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void of_two_that_create_one_name_at_once_one_succeeds(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < 5; i++) {
        struct work work[2] = {{fixture, fixture->node, NULL, -1}, {fixture, fixture->other, NULL, -1}};
        race(work, create_contested);
        assert_true((work[0].code == STATUS_OK && work[1].code == STATUS_ALREADY_EXISTS) ||
                    (work[1].code == STATUS_OK && work[0].code == STATUS_ALREADY_EXISTS));
        assert_int_equal(users_delete(fixture->node->users, &fixture->admin, slice_text("contested")), STATUS_OK);
        assert_false(exists(fixture->other, "contested"));
    }
}

static void the_last_administrator_stays(void **state)
{
    struct fixture *fixture = *state;
    struct work work[2] = {{fixture, fixture->node, "admin", -1}, {fixture, fixture->other, "second", -1}};

    assert_int_equal(users_delete(fixture->node->users, &fixture->admin, slice_text("admin")), STATUS_NOT_PERMITTED);
    assert_int_equal(create(fixture->node, fixture, "second", PASSWORD, ROLE_ADMIN, new_id()), STATUS_OK);
    race(work, delete_one);
    assert_true((work[0].code == STATUS_OK) != (work[1].code == STATUS_OK));
    assert_true(exists(fixture->node, "admin") != exists(fixture->node, "second"));
}

static void whoever_owns_keys_stays(void **state)
{
    struct fixture *fixture = *state;

    make_aes(fixture->node, &fixture->carol, "hers", NULL);
    assert_int_equal(users_delete(fixture->other->users, &fixture->admin, slice_text("carol")), STATUS_NOT_PERMITTED);
    assert_non_null(strstr(failure_detail(), "1 keys"));
    assert_int_equal(users_delete(fixture->other->users, &fixture->admin, slice_text("bob")), STATUS_OK);
    assert_int_equal(users_delete(fixture->other->users, &fixture->admin, slice_text("bob")), STATUS_USER_NOT_FOUND);
    assert_int_equal(log_in(fixture, "bob", PASSWORD), STATUS_LOGIN_FAILED);
}

static void a_cluster_is_activated_once(void **state)
{
    struct fixture *fixture = *state;
    struct users *users = fixture->other->users;
    struct cluster_record record;

    assert_int_equal(cluster_record_read(fixture->node, &record), STATUS_OK);
    assert_true(record.active);
    assert_string_equal(record.name, "test");
    assert_int_equal(users_activate(users, slice_text("admin"), slice_text(PASSWORD), slice_of(NULL, 0)),
                     STATUS_OK); /* a resend */
    assert_int_equal(users_activate(users, slice_text("admin"), slice_text("another password"), slice_of(NULL, 0)),
                     STATUS_CLUSTER_STATE);
    assert_int_equal(users_activate(users, slice_text("eve"), slice_text(PASSWORD), slice_of(NULL, 0)),
                     STATUS_CLUSTER_STATE);
    assert_int_equal(users_activate(users, slice_text("alice"), slice_text(PASSWORD), slice_of(NULL, 0)),
                     STATUS_CLUSTER_STATE);
    assert_false(exists(fixture->node, "eve"));
    assert_int_equal(log_in(fixture, "admin", PASSWORD), STATUS_OK);
    assert_int_equal(cluster_record_create(fixture->node, "renamed"), STATUS_OK);
    assert_int_equal(cluster_record_read(fixture->node, &record), STATUS_OK);
    assert_string_equal(record.name, "test");
}

static void guesses_by_activating_lock_out_too(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(
            users_activate(fixture->node->users, slice_text("admin"), slice_text("a guess"), slice_of(NULL, 0)),
            STATUS_CLUSTER_STATE);
    assert_int_equal(log_in(fixture, "admin", PASSWORD), STATUS_USER_LOCKED);
}

static void ones_own_password_needs_the_old_one(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(change(fixture, &fixture->alice, "alice", "", "a new password"), STATUS_INVALID_ARGUMENT);
    assert_int_equal(change(fixture, &fixture->alice, "alice", "wrong", "a new password"), STATUS_LOGIN_FAILED);
    assert_int_equal(change(fixture, &fixture->alice, "alice", PASSWORD, "short"), STATUS_PASSWORD_UNACCEPTABLE);
    assert_int_equal(change(fixture, &fixture->alice, "alice", PASSWORD, "a new password"), STATUS_OK);
    assert_int_equal(change(fixture, &fixture->alice, "alice", PASSWORD, "a new password"), STATUS_OK); /* a resend */
    assert_int_equal(log_in(fixture, "alice", PASSWORD), STATUS_LOGIN_FAILED);
    assert_int_equal(log_in(fixture, "alice", "a new password"), STATUS_OK);
    assert_int_equal(change(fixture, &fixture->admin, "admin", "", "a new password"), STATUS_INVALID_ARGUMENT);
}

static void guesses_at_the_old_password_lock_out_too(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(change(fixture, &fixture->alice, "alice", "a guess", "a new password"), STATUS_LOGIN_FAILED);
    assert_int_equal(change(fixture, &fixture->alice, "alice", PASSWORD, "a new password"), STATUS_USER_LOCKED);
}

static void only_administrators_change_others_passwords(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(change(fixture, &fixture->alice, "bob", PASSWORD, "a new password"), STATUS_NOT_PERMITTED);
    assert_int_equal(change(fixture, &fixture->auditor, "bob", PASSWORD, "a new password"), STATUS_NOT_PERMITTED);
    assert_int_equal(change(fixture, &fixture->admin, "bob", "", "a new password"), STATUS_OK);
    assert_int_equal(change(fixture, &fixture->admin, "nobody", "", "a new password"), STATUS_USER_NOT_FOUND);
    assert_int_equal(log_in(fixture, "bob", "a new password"), STATUS_OK);
}

/* Adds the names on a page to `names`, each with a space; returns how many. */
static uint32_t read_page(struct slice records, char *names, size_t size)
{
    struct reader reader;
    struct values values;
    uint32_t n;

    assert_int_equal(sets_begin(records, &reader, &n), STATUS_OK);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(values_decode(&FIELD_SCHEMA, &reader, &values), STATUS_OK);
        struct slice name = values_bytes(&values, FIELD_USER_NAME);
        size_t at = strlen(names);
        snprintf(names + at, size - at, "%.*s ", (int)name.len, (const char *)name.data);
        assert_true(values_uint(&values, FIELD_TIME_MS, 0) > 0);
        assert_true(values_has(&values, FIELD_USER_ROLE));
        assert_true(slice_equal(values_bytes(&values, FIELD_STATE_NAME), slice_text("active")));
    }
    return n;
}

static void users_are_listed_page_by_page(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes cursor = BYTES_INIT;
    char names[256] = "";
    uint32_t n = 0;
    unsigned n_pages = 0;

    do {
        CLEANUP(bytes_release) struct bytes records = BYTES_INIT, next = BYTES_INIT;
        assert_int_equal(users_list(fixture->node->users, bytes_slice(&cursor), 2, &records, &next), STATUS_OK);
        n += read_page(bytes_slice(&records), names, sizeof names);
        assert_int_equal(bytes_assign(&cursor, bytes_slice(&next)), STATUS_OK);
        assert_in_range(++n_pages, 1, 5);
    } while (cursor.len);
    assert_int_equal(n, 5);
    assert_non_null(strstr(names, "admin "));
    assert_non_null(strstr(names, "alice "));
    assert_non_null(strstr(names, "bob "));
    assert_non_null(strstr(names, "carol "));
    assert_non_null(strstr(names, "audrey "));

    CLEANUP(bytes_release) struct bytes records = BYTES_INIT, next = BYTES_INIT;
    assert_int_equal(users_list(fixture->node->users, slice_of(NULL, 0), 0, &records, &next), STATUS_OK);
    assert_int_equal(next.len, 0);
    assert_int_equal(users_list(fixture->node->users, slice_text("wrong"), 2, &records, &next),
                     STATUS_INVALID_ARGUMENT);
}

struct copy {
    struct store_record record;
    struct bytes value;
};

static status_code copy_record(void *context, const struct store_record *record)
{
    struct copy *copy = context;
    copy->record = *record;
    return bytes_assign(&copy->value, record->value);
}

/* Somebody who can write to the store gives alice's record to bob. */
static void a_record_put_in_anothers_place_is_damage(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->node->store;
    struct copy copy = {.value = BYTES_INIT};
    CLEANUP(bytes_release) struct bytes old = BYTES_INIT;
    struct store_write write = {.kind = STORE_USER};
    uint64_t version, revision;
    uint8_t before[ID_LEN];
    enum role role;

    memcpy(before, fixture->alice.user_id, ID_LEN);
    for (int i = ID_LEN - 1; i >= 0 && before[i]-- == 0; i--)
        ;
    assert_int_equal(store->operations->range(store, STORE_USER, before, NULL, 1, copy_record, &copy), STATUS_OK);
    assert_memory_equal(copy.record.id, fixture->alice.user_id, ID_LEN);
    memcpy(write.id, fixture->bob.user_id, ID_LEN);
    assert_int_equal(store->operations->read(store, STORE_USER, write.id, &old, &version), STATUS_OK);
    struct index_token name;
    assert_int_equal(keyring_token(fixture->node->keyring, FIRST_GENERATION, 0x100, slice_text("bob"), &name),
                     STATUS_OK);
    write.tokens = &name;
    write.n_tokens = 1;
    write.expected_version = version;
    write.value = bytes_slice(&copy.value);
    assert_int_equal(store->operations->write(store, &write, 1, &revision), STATUS_OK);
    assert_int_equal(users_find(fixture->node->users, slice_text("bob"), before, &role), STATUS_STORE_DAMAGED);
    assert_int_equal(log_in(fixture, "bob", PASSWORD), STATUS_STORE_DAMAGED);
    bytes_release(&copy.value);
}

int main(void)
{
#define USER_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        USER_TEST(names_are_31_letters_digits_and_few_signs),
        USER_TEST(passwords_keep_the_rules),
        USER_TEST(a_resent_creation_is_one_creation),
        USER_TEST(of_two_that_create_one_name_at_once_one_succeeds),
        USER_TEST(the_last_administrator_stays),
        USER_TEST(whoever_owns_keys_stays),
        USER_TEST(a_cluster_is_activated_once),
        USER_TEST(guesses_by_activating_lock_out_too),
        USER_TEST(ones_own_password_needs_the_old_one),
        USER_TEST(guesses_at_the_old_password_lock_out_too),
        USER_TEST(only_administrators_change_others_passwords),
        USER_TEST(users_are_listed_page_by_page),
        USER_TEST(a_record_put_in_anothers_place_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
