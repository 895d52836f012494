/* Users, sessions and the state of cluster and node, through their handlers. */
#include "node_objects_fixture.h"

#define PASSWORD "correct horse battery"

static const struct caller nobody = {.role = ROLE_NONE};

static status_code login(struct exchange *exchange, struct node *node, const char *name, const char *password)
{
    exchange_begin(exchange, node, &nobody);
    put_text(exchange, FIELD_USER_NAME, name);
    put_text(exchange, FIELD_PASSWORD, password);
    return exchange_run(exchange, OP_LOGIN);
}

static status_code on_user(struct fixture *fixture, enum operation operation, const char *name)
{
    CLEANUP(exchange_end) struct exchange exchange;
    exchange_begin(&exchange, fixture->node, &fixture->admin);
    put_text(&exchange, FIELD_USER_NAME, name);
    if (operation == OP_USER_CREATE) {
        put_text(&exchange, FIELD_PASSWORD, PASSWORD);
        put_uint(&exchange, FIELD_USER_ROLE, ROLE_USER);
        put_id(&exchange, FIELD_REQUEST_ID, new_id().bytes);
    }
    return exchange_run(&exchange, operation);
}

static void a_login_answers_with_a_ticket_that_another_node_accepts(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    CLEANUP(bytes_release) struct bytes renewed = BYTES_INIT;
    struct caller caller;

    assert_int_equal(login(&exchange, fixture->node, "alice", PASSWORD), STATUS_OK);
    assert_int_equal(values_uint(&exchange.answer, FIELD_USER_ROLE, 0), ROLE_USER);
    assert_true(values_uint(&exchange.answer, FIELD_TIME_MS, 0) > node_now_ms(fixture->node));
    assert_int_equal(values_bytes(&exchange.answer, FIELD_NAME).len, 2 * ID_LEN);
    assert_int_equal(
        users_check_ticket(fixture->other->users, values_bytes(&exchange.answer, FIELD_TICKET), &caller, &renewed),
        STATUS_OK);
    assert_memory_equal(caller.user_id, fixture->alice.user_id, ID_LEN);
}

static void a_wrong_password_is_refused(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    assert_int_equal(login(&exchange, fixture->node, "bob", "wrong password"), STATUS_LOGIN_FAILED);
    assert_false(values_has(&exchange.answer, FIELD_TICKET));
}

static void users_come_and_go_but_not_while_they_own_keys(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    struct reader reader;
    uint32_t n;

    assert_int_equal(on_user(fixture, OP_USER_CREATE, "dave"), STATUS_OK);
    assert_int_equal(on_user(fixture, OP_USER_CREATE, "dave"), STATUS_ALREADY_EXISTS);
    exchange_begin(&exchange, fixture->node, &fixture->admin);
    assert_int_equal(exchange_run(&exchange, OP_USER_LIST), STATUS_OK);
    assert_int_equal(sets_begin(values_bytes(&exchange.answer, FIELD_RECORDS), &reader, &n), STATUS_OK);
    assert_int_equal(n, 6);
    assert_int_equal(on_user(fixture, OP_USER_DELETE, "dave"), STATUS_OK);

    make_aes(fixture->node, &fixture->carol, "kept", NULL);
    assert_int_not_equal(on_user(fixture, OP_USER_DELETE, "carol"), STATUS_OK);
}

static void the_cluster_describes_itself(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    exchange_begin(&exchange, fixture->node, &nobody);
    assert_int_equal(exchange_run(&exchange, OP_CLUSTER_DESCRIBE), STATUS_OK);
    assert_true(slice_equal(values_bytes(&exchange.answer, FIELD_STATE_NAME), slice_text("active")));
    assert_true(values_uint(&exchange.answer, FIELD_REVISION, 0) > 0);
    assert_true(values_has(&exchange.answer, FIELD_RECORDS));
}

static void a_node_drains_and_serves_again(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    exchange_begin(&exchange, fixture->node, &nobody);
    assert_int_equal(exchange_run(&exchange, OP_NODE_DRAIN), STATUS_OK);
    assert_true(slice_equal(values_bytes(&exchange.answer, FIELD_STATE_NAME), slice_text("draining")));
    assert_int_equal(atomic_load(&fixture->node->state), NODE_DRAINING);
    assert_int_equal(exchange_run(&exchange, OP_NODE_DRAIN), STATUS_OK); /* again: no harm */
    put_uint(&exchange, FIELD_FLAGS, 1);
    assert_int_equal(exchange_run(&exchange, OP_NODE_DRAIN), STATUS_OK);
    assert_int_equal(atomic_load(&fixture->node->state), NODE_SERVING);
    atomic_store(&fixture->node->state, NODE_FAILED);
    assert_int_equal(exchange_run(&exchange, OP_NODE_DRAIN), STATUS_CLUSTER_STATE);
    atomic_store(&fixture->node->state, NODE_SERVING);
}

static void unknown_nodes_are_not_removed(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    exchange_begin(&exchange, fixture->node, &fixture->admin);
    put_id(&exchange, FIELD_NODE_ID, new_id().bytes);
    assert_int_equal(exchange_run(&exchange, OP_NODE_REMOVE), STATUS_OBJECT_NOT_FOUND);
    put_text(&exchange, FIELD_NODE_ID, "short");
    assert_int_equal(exchange_run(&exchange, OP_NODE_REMOVE), STATUS_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_answers_with_a_ticket_that_another_node_accepts),
        cmocka_unit_test(a_wrong_password_is_refused),
        cmocka_unit_test(users_come_and_go_but_not_while_they_own_keys),
        cmocka_unit_test(the_cluster_describes_itself),
        cmocka_unit_test(a_node_drains_and_serves_again),
        cmocka_unit_test(unknown_nodes_are_not_removed),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
