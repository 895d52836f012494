/* Logins, lock-out and tickets, on two nodes that share a store. The first node's clock is moved where time matters. */
#include "node_objects_fixture.h"

#include "store/store.h"
#include "user/challenge.h"

static const struct login_proof no_proof = {{NULL, 0}, {NULL, 0}};

#define PASSWORD "correct horse battery"
#define WRONG    "wrong horse battery"

struct login {
    struct bytes ticket;
    struct caller caller;
    uint64_t expires_ms;
};

static void login_end(struct login *login)
{
    bytes_release(&login->ticket);
}

static status_code log_in_again(struct node *node, const char *name, const char *password, struct slice earlier,
                                struct login *login)
{
    bytes_clear(&login->ticket);
    return users_login(node->users, slice_text(name), slice_text(password), &no_proof, earlier, &login->caller,
                       &login->ticket, &login->expires_ms);
}

static status_code log_in(struct node *node, const char *name, const char *password, struct login *login)
{
    return log_in_again(node, name, password, slice_of(NULL, 0), login);
}

/* A login of which nothing is kept. */
static status_code try_login(struct node *node, const char *name, const char *password)
{
    CLEANUP(login_end) struct login login = {.ticket = BYTES_SECRET};
    return log_in(node, name, password, &login);
}

static status_code check(struct node *node, const struct login *login, struct caller *caller, struct bytes *renewed)
{
    return users_check_ticket(node->users, bytes_slice(&login->ticket), caller, renewed);
}

static status_code valid(struct node *node, const struct login *login)
{
    CLEANUP(bytes_release) struct bytes renewed = BYTES_SECRET;
    struct caller caller;
    return check(node, login, &caller, &renewed);
}

/* Time passes, as this node sees it. */
static void pass(struct node *node, int64_t seconds)
{
    (void)node_now_ms(node);
    atomic_fetch_add(&node->clock_offset_ms, 1000 * seconds);
}

static void settle(struct fixture *fixture)
{
    uint64_t revision;
    assert_int_equal(fixture->node->store->operations->revision(fixture->node->store, &revision), STATUS_OK);
    assert_int_equal(node_catch_up(fixture->node, revision), STATUS_OK);
    assert_int_equal(node_catch_up(fixture->other, revision), STATUS_OK);
}

static uint64_t revision_of(struct node *node)
{
    uint64_t revision = 0;
    assert_int_equal(node->store->operations->revision(node->store, &revision), STATUS_OK);
    return revision;
}

/* Logins. */

static void a_ticket_says_who_one_is_on_every_node(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(login_end) struct login login = {.ticket = BYTES_SECRET};
    CLEANUP(bytes_release) struct bytes renewed = BYTES_SECRET;
    struct caller caller;

    assert_int_equal(log_in(fixture->node, "alice", PASSWORD, &login), STATUS_OK);
    assert_in_range(login.ticket.len, 1, TICKET_MAX);
    assert_int_equal(check(fixture->other, &login, &caller, &renewed), STATUS_OK);
    assert_string_equal(caller.user_name, "alice");
    assert_int_equal(caller.role, ROLE_USER);
    assert_memory_equal(caller.user_id, fixture->alice.user_id, ID_LEN);
    assert_memory_equal(caller.session_id, login.caller.session_id, ID_LEN);
    assert_int_equal(renewed.len, 0);
}

static void unknown_users_and_wrong_passwords_look_alike(void **state)
{
    struct fixture *fixture = *state;
    char known[FAILURE_DETAIL_MAX];

    assert_int_equal(try_login(fixture->node, "alice", WRONG), STATUS_LOGIN_FAILED);
    snprintf(known, sizeof known, "%s", failure_detail());
    assert_int_equal(try_login(fixture->node, "nobody", WRONG), STATUS_LOGIN_FAILED);
    assert_string_equal(failure_detail(), known);
    assert_int_equal(try_login(fixture->node, "alice", ""), STATUS_LOGIN_FAILED);
}

static void a_login_writes_nothing_but_what_clears_earlier_failures(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before = revision_of(fixture->node);

    assert_int_equal(try_login(fixture->node, "alice", PASSWORD), STATUS_OK);
    assert_int_equal(try_login(fixture->node, "nobody", WRONG), STATUS_LOGIN_FAILED);
    assert_int_equal(revision_of(fixture->node), before);
    assert_int_equal(try_login(fixture->node, "alice", WRONG), STATUS_LOGIN_FAILED);
    assert_int_equal(try_login(fixture->node, "alice", PASSWORD), STATUS_OK);
    assert_int_equal(revision_of(fixture->node), before + 2);
    for (unsigned i = 0; i < 4; i++) /* with the one before they would be five */
        assert_int_equal(try_login(fixture->node, "alice", WRONG), STATUS_LOGIN_FAILED);
    assert_int_equal(try_login(fixture->node, "alice", PASSWORD), STATUS_OK);
}

/* Lock-out. */

static void fail_logins(struct fixture *fixture, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(try_login(i % 2 ? fixture->other : fixture->node, "alice", WRONG), STATUS_LOGIN_FAILED);
}

static void a_cluster_allows_no_more_attempts_than_one_node(void **state)
{
    struct fixture *fixture = *state;

    fail_logins(fixture, 5);
    assert_int_equal(try_login(fixture->node, "alice", PASSWORD), STATUS_USER_LOCKED);
    assert_int_equal(try_login(fixture->other, "alice", PASSWORD), STATUS_USER_LOCKED);
    assert_int_equal(try_login(fixture->node, "bob", PASSWORD), STATUS_OK);
}

static void a_node_whose_clock_is_behind_sees_no_lock_before_its_time(void **state)
{
    struct fixture *fixture = *state;

    pass(fixture->node, 2);
    fail_logins(fixture, 4);
    assert_int_equal(try_login(fixture->other, "alice", PASSWORD), STATUS_OK);
}

static void a_lock_ends_and_the_next_is_twice_as_long(void **state)
{
    struct fixture *fixture = *state;

    fail_logins(fixture, 5); /* the clocks still agree */
    pass(fixture->node, 25);
    assert_int_equal(try_login(fixture->node, "alice", PASSWORD), STATUS_USER_LOCKED);
    pass(fixture->node, 6);
    assert_int_equal(try_login(fixture->node, "alice", WRONG), STATUS_LOGIN_FAILED);
    pass(fixture->node, 55);
    assert_int_equal(try_login(fixture->node, "alice", PASSWORD), STATUS_USER_LOCKED);
    pass(fixture->node, 6);
    assert_int_equal(try_login(fixture->node, "alice", PASSWORD), STATUS_OK);
    assert_int_equal(try_login(fixture->node, "alice", WRONG), STATUS_LOGIN_FAILED); /* counted from one again */
    assert_int_equal(try_login(fixture->node, "alice", PASSWORD), STATUS_OK);
}

static void no_lock_is_longer_than_an_hour(void **state)
{
    struct fixture *fixture = *state;

    fail_logins(fixture, 4);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(try_login(fixture->node, "alice", WRONG), STATUS_LOGIN_FAILED);
        pass(fixture->node, 3601);
    }
    assert_int_equal(try_login(fixture->node, "alice", PASSWORD), STATUS_OK);
}

static void an_administrator_unlocks_with_a_new_password(void **state)
{
    struct fixture *fixture = *state;

    fail_logins(fixture, 5);
    assert_int_equal(users_change_password(fixture->other->users, &fixture->admin, slice_text("alice"),
                                           slice_of(NULL, 0), slice_text("a new password")),
                     STATUS_OK);
    assert_int_equal(try_login(fixture->node, "alice", PASSWORD), STATUS_LOGIN_FAILED);
    assert_int_equal(try_login(fixture->node, "alice", "a new password"), STATUS_OK);
}

static void *guess(void *node)
{
    return try_login(node, "alice", WRONG) == STATUS_LOGIN_FAILED ? NULL : node;
}

static void eight_attempts(struct node_config *config)
{
    config->login_attempts = 8;
}

static int start_with_eight_attempts(void **state)
{
    *state = fixture_make(eight_attempts);
    return 0;
}

static void guesses_at_the_same_time_are_all_counted(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[8];

    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, guess, i % 2 ? fixture->node : fixture->other), 0);
    for (unsigned i = 0; i < 8; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(try_login(fixture->node, "alice", PASSWORD), STATUS_USER_LOCKED);
}

/* Tickets. */

static void a_ticket_is_renewed_in_its_second_half_and_then_expires(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(login_end) struct login login = {.ticket = BYTES_SECRET}, later = {.ticket = BYTES_SECRET};
    struct caller caller;

    assert_int_equal(log_in(fixture->node, "alice", PASSWORD, &login), STATUS_OK);
    pass(fixture->node, 1790);
    assert_int_equal(check(fixture->node, &login, &caller, &later.ticket), STATUS_OK);
    assert_int_equal(later.ticket.len, 0);
    pass(fixture->node, 20);
    assert_int_equal(check(fixture->node, &login, &caller, &later.ticket), STATUS_OK);
    assert_true(later.ticket.len > 0);
    pass(fixture->node, 1800);
    assert_int_equal(valid(fixture->node, &login), STATUS_TICKET_EXPIRED);
    CLEANUP(bytes_release) struct bytes renewed = BYTES_SECRET;
    assert_int_equal(check(fixture->node, &later, &caller, &renewed), STATUS_OK);
    assert_memory_equal(caller.session_id, login.caller.session_id, ID_LEN);
}

static void a_ticket_from_the_future_is_not_trusted(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(login_end) struct login near = {.ticket = BYTES_SECRET}, far = {.ticket = BYTES_SECRET};

    pass(fixture->node, 4 * 60);
    assert_int_equal(log_in(fixture->node, "alice", PASSWORD, &near), STATUS_OK);
    assert_int_equal(valid(fixture->other, &near), STATUS_OK);
    pass(fixture->node, 2 * 60);
    assert_int_equal(log_in(fixture->node, "alice", PASSWORD, &far), STATUS_OK);
    assert_int_equal(valid(fixture->other, &far), STATUS_CLOCK_UNTRUSTED);
    assert_int_equal(valid(fixture->node, &far), STATUS_OK);
}

static void an_altered_ticket_is_none(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(login_end) struct login login = {.ticket = BYTES_SECRET};

    assert_int_equal(log_in(fixture->node, "alice", PASSWORD, &login), STATUS_OK);
    for (size_t i = 0; i < login.ticket.len; i++) {
        login.ticket.data[i] ^= 1;
        assert_int_equal(valid(fixture->node, &login), STATUS_TICKET_EXPIRED);
        login.ticket.data[i] ^= 1;
    }
    assert_int_equal(valid(fixture->node, &login), STATUS_OK);
    login.ticket.len = 3;
    assert_int_equal(valid(fixture->node, &login), STATUS_TICKET_EXPIRED);
}

static void logging_out_ends_the_session_everywhere(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(login_end) struct login login = {.ticket = BYTES_SECRET}, again = {.ticket = BYTES_SECRET};

    assert_int_equal(log_in(fixture->node, "alice", PASSWORD, &login), STATUS_OK);
    assert_int_equal(valid(fixture->other, &login), STATUS_OK); /* now the other has it in its cache */
    assert_int_equal(users_logout(fixture->node->users, &login.caller), STATUS_OK);
    assert_int_equal(users_logout(fixture->other->users, &login.caller), STATUS_OK); /* a resend */
    settle(fixture);
    assert_int_equal(valid(fixture->node, &login), STATUS_TICKET_EXPIRED);
    assert_int_equal(valid(fixture->other, &login), STATUS_TICKET_EXPIRED);
    assert_int_equal(log_in_again(fixture->node, "alice", PASSWORD, bytes_slice(&login.ticket), &again), STATUS_OK);
    assert_memory_not_equal(again.caller.session_id, login.caller.session_id, ID_LEN);
    assert_int_equal(valid(fixture->other, &again), STATUS_OK);
}

static void a_new_login_goes_on_with_ones_own_session_only(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(login_end) struct login first = {.ticket = BYTES_SECRET};
    CLEANUP(login_end) struct login next = {.ticket = BYTES_SECRET};
    CLEANUP(login_end) struct login other = {.ticket = BYTES_SECRET};

    assert_int_equal(log_in(fixture->node, "alice", PASSWORD, &first), STATUS_OK);
    pass(fixture->node, 4000); /* also when the ticket has expired */
    assert_int_equal(log_in_again(fixture->node, "alice", PASSWORD, bytes_slice(&first.ticket), &next), STATUS_OK);
    assert_memory_equal(next.caller.session_id, first.caller.session_id, ID_LEN);
    assert_int_equal(log_in_again(fixture->node, "bob", PASSWORD, bytes_slice(&first.ticket), &other), STATUS_OK);
    assert_memory_not_equal(other.caller.session_id, first.caller.session_id, ID_LEN);
}

static void a_changed_password_ends_all_sessions(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(login_end) struct login login = {.ticket = BYTES_SECRET};

    assert_int_equal(log_in(fixture->node, "alice", PASSWORD, &login), STATUS_OK);
    assert_int_equal(valid(fixture->other, &login), STATUS_OK);
    assert_int_equal(users_change_password(fixture->node->users, &fixture->alice, slice_text("alice"),
                                           slice_text(PASSWORD), slice_text("a new password")),
                     STATUS_OK);
    settle(fixture);
    assert_int_equal(valid(fixture->node, &login), STATUS_TICKET_EXPIRED);
    assert_int_equal(valid(fixture->other, &login), STATUS_TICKET_EXPIRED);
}

static void a_deleted_users_ticket_does_not_come_back_with_its_name(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(login_end) struct login login = {.ticket = BYTES_SECRET};

    assert_int_equal(log_in(fixture->node, "alice", PASSWORD, &login), STATUS_OK);
    assert_int_equal(valid(fixture->other, &login), STATUS_OK);
    assert_int_equal(users_delete(fixture->node->users, &fixture->admin, slice_text("alice")), STATUS_OK);
    settle(fixture);
    assert_int_equal(valid(fixture->other, &login), STATUS_TICKET_EXPIRED);
    assert_int_equal(users_create(fixture->node->users, &fixture->admin, slice_text("alice"), slice_text(PASSWORD),
                                  ROLE_USER, new_id().bytes),
                     STATUS_OK);
    settle(fixture);
    assert_int_equal(valid(fixture->node, &login), STATUS_TICKET_EXPIRED);
    assert_int_equal(valid(fixture->other, &login), STATUS_TICKET_EXPIRED);
}

static status_code count_one(void *context, const struct store_record *record)
{
    (void)record;
    ++*(unsigned *)context;
    return STATUS_OK;
}

static unsigned n_revocations(struct fixture *fixture)
{
    struct store *store = fixture->node->store;
    unsigned n = 0;
    assert_int_equal(store->operations->range(store, STORE_REVOCATION, NULL, NULL, 100000, count_one, &n), STATUS_OK);
    return n;
}

static void log_out_often(struct fixture *fixture, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct caller caller = fixture->alice;
        memcpy(caller.session_id, new_id().bytes, ID_LEN);
        assert_int_equal(users_logout(fixture->node->users, &caller), STATUS_OK);
    }
}

static void old_logouts_are_forgotten_when_no_ticket_can_be_left(void **state)
{
    struct fixture *fixture = *state;

    log_out_often(fixture, 200);
    assert_int_equal(n_revocations(fixture), 200);
    pass(fixture->node, 3600 + 60); /* a ticket renewed by a node with a longer lifetime could still be alive */
    log_out_often(fixture, 64);
    assert_int_equal(n_revocations(fixture), 264);
    pass(fixture->node, 3600);
    log_out_often(fixture, 128); /* wherever it began, it went round */
    assert_int_equal(n_revocations(fixture), 64 + 128);
}

int main(void)
{
#define LOGIN_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        LOGIN_TEST(a_ticket_says_who_one_is_on_every_node),
        LOGIN_TEST(unknown_users_and_wrong_passwords_look_alike),
        LOGIN_TEST(a_login_writes_nothing_but_what_clears_earlier_failures),
        LOGIN_TEST(a_cluster_allows_no_more_attempts_than_one_node),
        LOGIN_TEST(a_node_whose_clock_is_behind_sees_no_lock_before_its_time),
        LOGIN_TEST(a_lock_ends_and_the_next_is_twice_as_long),
        LOGIN_TEST(no_lock_is_longer_than_an_hour),
        LOGIN_TEST(an_administrator_unlocks_with_a_new_password),
        cmocka_unit_test_setup_teardown(guesses_at_the_same_time_are_all_counted, start_with_eight_attempts,
                                        fixture_stop),
        LOGIN_TEST(a_ticket_is_renewed_in_its_second_half_and_then_expires),
        LOGIN_TEST(a_ticket_from_the_future_is_not_trusted),
        LOGIN_TEST(an_altered_ticket_is_none),
        LOGIN_TEST(logging_out_ends_the_session_everywhere),
        LOGIN_TEST(a_new_login_goes_on_with_ones_own_session_only),
        LOGIN_TEST(a_changed_password_ends_all_sessions),
        LOGIN_TEST(a_deleted_users_ticket_does_not_come_back_with_its_name),
        LOGIN_TEST(old_logouts_are_forgotten_when_no_ticket_can_be_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
