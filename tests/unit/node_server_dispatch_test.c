/* The dispatcher: versions, batches, limits, roles, states of the node, and what waited too long. */
#include "node_server_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "protocol/writer.h"
#include "server/dispatch.h"

#define WORKER 60u

/* One message through the dispatcher, and its answer opened. */
struct talk {
    struct served *served;
    struct peer peer;
    struct bytes admin, user; /* tickets */
    struct bytes message, reply;
    struct values header, fields;
    struct message opened;
};

static void reset(struct talk *talk)
{
    values_init(&talk->header);
    values_init(&talk->fields);
    bytes_clear(&talk->message);
    talk->peer.arrived_ns = 0;
    talk->peer.local = false;
}

static void dispatch(struct talk *talk)
{
    dispatch_message(talk->served->node, WORKER, &talk->peer, bytes_slice(&talk->message), &talk->reply);
    assert_true(talk->reply.len > 0 && talk->reply.len <= MESSAGE_MAX);
    assert_int_equal(message_open(bytes_slice(&talk->reply), &talk->opened), STATUS_OK);
}

static status_code next_answer(struct talk *talk, struct values *answer)
{
    status_code status;

    assert_int_equal(message_next_answer(&talk->opened, &status, answer), STATUS_OK);
    return status;
}

/* `ticket` NULL: without. */
static status_code ask(struct talk *talk, const struct bytes *ticket, enum operation operation)
{
    struct values answer;

    if (ticket)
        values_put_bytes(&talk->header, FIELD_TICKET, bytes_slice(ticket));
    build_message(&talk->message, &talk->header, operation, &talk->fields, 1);
    dispatch(talk);
    status_code status = next_answer(talk, &answer);
    assert_int_equal(message_close(&talk->opened), STATUS_OK);
    bool local = talk->peer.local;
    reset(talk);
    talk->peer.local = local;
    return status;
}

static int start(void **state)
{
    struct talk *talk = calloc(1, sizeof(*talk));

    talk->served = served_start(NULL);
    served_add_users(talk->served);
    served_login(talk->served, "admin", &talk->admin);
    served_login(talk->served, "user", &talk->user);
    reset(talk);
    *state = talk;
    return 0;
}

static int stop(void **state)
{
    struct talk *talk = *state;

    peer_release(&talk->peer);
    bytes_release(&talk->admin);
    bytes_release(&talk->user);
    bytes_release(&talk->message);
    bytes_release(&talk->reply);
    served_stop(talk->served);
    free(talk);
    return 0;
}

static int renew(void **state)
{
    reset(*state);
    return 0;
}

static void another_version_is_told_which_ones_are_understood(void **state)
{
    struct talk *talk = *state;

    write_array(&talk->message, 3);
    write_uint(&talk->message, PROTOCOL_VERSION + 1);
    write_map(&talk->message, 0);
    write_array(&talk->message, 0);
    dispatch(talk);
    assert_int_equal(talk->opened.n, 0);
    assert_int_equal(values_uint(&talk->opened.header, FIELD_STATUS, 0), STATUS_VERSION_MISMATCH);
    assert_int_equal(values_uint(&talk->opened.header, FIELD_VERSION_MIN, 0), PROTOCOL_VERSION_MIN);
    assert_int_equal(values_uint(&talk->opened.header, FIELD_VERSION_MAX, 0), PROTOCOL_VERSION);
}

static void noise_is_refused_as_a_whole(void **state)
{
    struct talk *talk = *state;
    uint8_t noise[512];

    srandom(7);
    for (unsigned round = 0; round < 20000; round++) {
        size_t len = (size_t)random() % sizeof(noise);
        struct bytes *message = &talk->message;

        bytes_clear(message);
        if (round & 1)
            build_ping(message, 1 + (uint32_t)random() % 3); /* and then some of its bytes changed */
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (uint8_t)random();
        if (round & 1)
            for (unsigned i = 0; i < 3; i++)
                message->data[(size_t)random() % message->len] = noise[i];
        else
            bytes_append(message, noise, len);
        (void)dispatch_cost(bytes_slice(message));
        dispatch(talk);
        assert_true(talk->opened.n || values_uint(&talk->opened.header, FIELD_STATUS, 0) != STATUS_OK || (round & 1));
    }
}

static void a_failed_request_spoils_no_other(void **state)
{
    struct talk *talk = *state;
    struct values answer;

    message_begin(&talk->message, PROTOCOL_VERSION, &talk->header, 5);
    message_append_request(&talk->message, OP_PING, &talk->fields);
    message_append_request(&talk->message, OP_SIGN, &talk->fields); /* its fields are missing */
    message_append_request(&talk->message, (enum operation)99, &talk->fields);
    message_append_request(&talk->message, OP_USER_DELETE, &talk->fields);
    message_append_request(&talk->message, OP_PING, &talk->fields);
    dispatch(talk);
    assert_int_equal(talk->opened.n, 5);
    assert_int_equal(next_answer(talk, &answer), STATUS_OK);
    assert_int_equal(next_answer(talk, &answer), STATUS_PROTOCOL_ERROR);
    assert_true(values_has(&answer, FIELD_DETAIL));
    assert_int_equal(next_answer(talk, &answer), STATUS_NOT_SUPPORTED);
    assert_int_equal(next_answer(talk, &answer), STATUS_PROTOCOL_ERROR);
    assert_int_equal(next_answer(talk, &answer), STATUS_OK);
    assert_int_equal(message_close(&talk->opened), STATUS_OK);
}

static void what_cannot_be_read_ends_a_batch_with_an_answer_each(void **state)
{
    struct talk *talk = *state;
    struct values answer;

    message_begin(&talk->message, PROTOCOL_VERSION, &talk->header, 4);
    message_append_request(&talk->message, OP_PING, &talk->fields);
    bytes_append(&talk->message, "\xc1\xc1", 2); /* 0xc1 is never used in msgpack */
    dispatch(talk);
    assert_int_equal(talk->opened.n, 4);
    assert_int_equal(next_answer(talk, &answer), STATUS_OK);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(next_answer(talk, &answer), STATUS_PROTOCOL_ERROR);
    assert_int_equal(message_close(&talk->opened), STATUS_OK);
}

static void answers_that_do_not_fit_are_refused_one_by_one(void **state)
{
    struct talk *talk = *state;
    struct values answer;
    uint32_t n = BATCH_MAX, n_good = 0, n_refused = 0;

    values_put_uint(&talk->fields, FIELD_OUTPUT_LEN, 16384);
    values_put_bytes(&talk->header, FIELD_TICKET, bytes_slice(&talk->user));
    build_message(&talk->message, &talk->header, OP_RANDOM, &talk->fields, n);
    dispatch(talk);
    assert_int_equal(talk->opened.n, n);
    for (uint32_t i = 0; i < n; i++) {
        status_code status = next_answer(talk, &answer);

        assert_true(status == STATUS_OK || status == STATUS_TOO_LARGE);
        n_good += status == STATUS_OK;
        n_refused += status == STATUS_TOO_LARGE;
    }
    assert_int_equal(message_close(&talk->opened), STATUS_OK);
    assert_in_range(n_good, 200, 256);
    assert_true(n_refused > 0);
}

static void too_many_requests_are_refused(void **state)
{
    struct talk *talk = *state;

    build_ping(&talk->message, BATCH_MAX + 1);
    dispatch(talk);
    assert_int_equal(values_uint(&talk->opened.header, FIELD_STATUS, 0), STATUS_TOO_LARGE);
}

static void roles_keep_to_theirs(void **state)
{
    struct talk *talk = *state;

    assert_int_equal(ask(talk, NULL, OP_PING), STATUS_OK);
    assert_int_equal(ask(talk, NULL, OP_USER_LIST), STATUS_OK);
    values_put_uint(&talk->fields, FIELD_OUTPUT_LEN, 16);
    assert_int_equal(ask(talk, NULL, OP_RANDOM), STATUS_NOT_LOGGED_IN);
    values_put_uint(&talk->fields, FIELD_OUTPUT_LEN, 16);
    assert_int_equal(ask(talk, &talk->admin, OP_RANDOM), STATUS_OK);
    values_put_bytes(&talk->fields, FIELD_USER_NAME, slice_text("nobody"));
    assert_int_equal(ask(talk, &talk->user, OP_USER_DELETE), STATUS_NOT_PERMITTED);
    values_put_bytes(&talk->fields, FIELD_USER_NAME, slice_text("nobody"));
    assert_int_equal(ask(talk, &talk->admin, OP_USER_DELETE), STATUS_USER_NOT_FOUND);
    values_put_bytes(&talk->fields, FIELD_OBJECT_ID, slice_of("0123456789abcdef", ID_LEN));
    values_put_bytes(&talk->fields, FIELD_REQUEST_ID, slice_of("0123456789abcdef", ID_LEN));
    assert_int_equal(ask(talk, &talk->admin, OP_OBJECT_DELETE), STATUS_NOT_PERMITTED);
    values_put_bytes(&talk->fields, FIELD_OBJECT_ID, slice_of("0123456789abcdef", ID_LEN));
    values_put_bytes(&talk->fields, FIELD_REQUEST_ID, slice_of("0123456789abcdef", ID_LEN));
    assert_int_equal(ask(talk, &talk->user, OP_OBJECT_DELETE), STATUS_OBJECT_NOT_FOUND);
    assert_int_equal(ask(talk, &talk->user, OP_AUDIT_READ), STATUS_NOT_PERMITTED);
    assert_int_equal(ask(talk, &talk->admin, OP_AUDIT_READ), STATUS_OK);
}

static void local_operations_need_the_own_socket(void **state)
{
    struct talk *talk = *state;

    assert_int_equal(ask(talk, &talk->admin, OP_NODE_CSR), STATUS_NOT_PERMITTED);
    talk->peer.local = true;
    assert_int_equal(ask(talk, NULL, OP_NODE_CSR), STATUS_OK);
    values_put_bytes(&talk->fields, FIELD_USER_NAME, slice_text("nobody"));
    assert_int_equal(ask(talk, NULL, OP_USER_DELETE), STATUS_NOT_LOGGED_IN); /* local is no login */
}

static bool audit_log_has(struct talk *talk, const char *operation, status_code status)
{
    struct values answer, entry;
    struct reader reader;
    bool found = false;
    uint32_t n;

    values_put_bytes(&talk->header, FIELD_TICKET, bytes_slice(&talk->admin));
    build_message(&talk->message, &talk->header, OP_AUDIT_READ, &talk->fields, 1);
    dispatch(talk);
    assert_int_equal(next_answer(talk, &answer), STATUS_OK);
    assert_int_equal(sets_begin(values_bytes(&answer, FIELD_RECORDS), &reader, &n), STATUS_OK);
    while (n--) {
        assert_int_equal(values_decode(&FIELD_SCHEMA, &reader, &entry), STATUS_OK);
        found = found || (slice_equal(values_bytes(&entry, FIELD_OPERATION), slice_text(operation)) &&
                          values_uint(&entry, FIELD_STATUS, 0) == (uint64_t)status);
    }
    reset(talk);
    return found;
}

static void a_refused_act_is_in_the_audit_log(void **state)
{
    struct talk *talk = *state;
    bool found = false;

    values_put_bytes(&talk->fields, FIELD_USER_NAME, slice_text("victim"));
    assert_int_equal(ask(talk, &talk->user, OP_USER_DELETE), STATUS_NOT_PERMITTED);
    for (unsigned i = 0; i < 50 && !found; i++) { /* what failed is gathered for up to a second */
        sleep_ms(100);
        found = audit_log_has(talk, "USER_DELETE", STATUS_NOT_PERMITTED);
    }
    assert_true(found);
}

static void a_ticket_dies_with_its_session_within_the_cache(void **state)
{
    struct talk *talk = *state;
    struct bytes ticket = BYTES_INIT;

    served_login(talk->served, "user", &ticket);
    values_put_uint(&talk->fields, FIELD_OUTPUT_LEN, 16);
    assert_int_equal(ask(talk, &ticket, OP_RANDOM), STATUS_OK);
    assert_int_equal(ask(talk, &ticket, OP_LOGOUT), STATUS_OK);
    values_put_uint(&talk->fields, FIELD_OUTPUT_LEN, 16);
    assert_int_equal(ask(talk, &ticket, OP_RANDOM), STATUS_TICKET_EXPIRED);
    ticket.data[ticket.len - 1] ^= 1;
    values_put_uint(&talk->fields, FIELD_OUTPUT_LEN, 16);
    assert_int_equal(ask(talk, &ticket, OP_RANDOM), STATUS_TICKET_EXPIRED);
    bytes_release(&ticket);
}

static void what_waited_longer_than_its_client_is_dropped(void **state)
{
    struct talk *talk = *state;

    values_put_uint(&talk->header, FIELD_TIMEOUT_MS, 50);
    talk->peer.arrived_ns = dispatch_now_ns() - 60000000;
    assert_int_equal(ask(talk, NULL, OP_PING), STATUS_BUSY);
    values_put_uint(&talk->header, FIELD_TIMEOUT_MS, 5000);
    talk->peer.arrived_ns = dispatch_now_ns() - 60000000;
    assert_int_equal(ask(talk, NULL, OP_PING), STATUS_OK);
}

static void an_answer_tells_revision_and_duration(void **state)
{
    struct talk *talk = *state;

    assert_int_equal(ask(talk, NULL, OP_PING), STATUS_OK);
    assert_int_equal(values_uint(&talk->opened.header, FIELD_REVISION, 0), atomic_load(&talk->served->node->revision));
    assert_true(values_uint(&talk->opened.header, FIELD_DURATION_US, 0) > 0);
    assert_false(values_has(&talk->opened.header, FIELD_DRAINING));
    values_put_uint(&talk->header, FIELD_REVISION, atomic_load(&talk->served->node->revision) + 1000);
    assert_int_equal(ask(talk, NULL, OP_PING), STATUS_BUSY); /* not yet there, and never will be */
}

static void a_draining_node_says_so_and_then_sends_clients_away(void **state)
{
    struct talk *talk = *state;
    struct node *node = talk->served->node;

    for (unsigned round = 0; round < 2; round++) {
        atomic_store(&node->state, NODE_DRAINING);
        assert_int_equal(ask(talk, NULL, OP_PING), STATUS_OK);
        assert_true(values_bool(&talk->opened.header, FIELD_DRAINING, false));
        sleep_ms(2100);
        assert_int_equal(ask(talk, NULL, OP_PING), STATUS_BUSY);
        talk->peer.local = true;
        assert_int_equal(ask(talk, NULL, OP_PING), STATUS_OK); /* the operator still gets through */
        talk->peer.local = false;
        atomic_store(&node->state, NODE_SERVING);
        assert_int_equal(ask(talk, NULL, OP_PING), STATUS_OK);
    }
}

static void a_failed_node_does_no_cryptography(void **state)
{
    struct talk *talk = *state;

    atomic_store(&talk->served->node->state, NODE_FAILED);
    values_put_uint(&talk->fields, FIELD_OUTPUT_LEN, 16);
    assert_int_equal(ask(talk, &talk->user, OP_RANDOM), STATUS_SELF_TEST_FAILED);
    assert_int_equal(ask(talk, NULL, OP_NODE_DESCRIBE), STATUS_OK);
    atomic_store(&talk->served->node->state, NODE_SERVING);
}

static void a_node_without_cluster_tells_only_of_itself(void **state)
{
    struct talk *talk = *state;

    atomic_store(&talk->served->node->state, NODE_UNINITIALIZED);
    assert_int_equal(ask(talk, NULL, OP_NODE_DESCRIBE), STATUS_OK);
    assert_int_equal(ask(talk, NULL, OP_CLUSTER_DESCRIBE), STATUS_CLUSTER_STATE);
    values_put_uint(&talk->fields, FIELD_OUTPUT_LEN, 16);
    assert_int_equal(ask(talk, &talk->user, OP_RANDOM), STATUS_CLUSTER_STATE);
    atomic_store(&talk->served->node->state, NODE_SERVING);
}

static void an_inactive_cluster_serves_no_logins(void **state)
{
    struct talk *talk = *state;

    atomic_store(&talk->served->node->cluster_active, false);
    values_put_uint(&talk->fields, FIELD_OUTPUT_LEN, 16);
    assert_int_equal(ask(talk, &talk->user, OP_RANDOM), STATUS_CLUSTER_STATE);
    assert_int_equal(ask(talk, NULL, OP_CLUSTER_DESCRIBE), STATUS_OK);
    atomic_store(&talk->served->node->cluster_active, true);
}

static void slow_operations_are_known_anywhere_in_a_batch(void **state)
{
    struct talk *talk = *state;

    message_begin(&talk->message, PROTOCOL_VERSION, &talk->header, 3);
    message_append_request(&talk->message, OP_PING, &talk->fields);
    message_append_request(&talk->message, OP_PING, &talk->fields);
    size_t fast_until = talk->message.len;
    message_append_request(&talk->message, OP_LOGIN, &talk->fields);
    assert_int_equal(dispatch_cost(bytes_slice(&talk->message)), COST_SLOW);
    assert_int_equal(dispatch_cost(slice_of(talk->message.data, fast_until)), COST_FAST);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup(name, renew)
    const struct CMUnitTest tests[] = {
        TEST(another_version_is_told_which_ones_are_understood),
        TEST(noise_is_refused_as_a_whole),
        TEST(a_failed_request_spoils_no_other),
        TEST(what_cannot_be_read_ends_a_batch_with_an_answer_each),
        TEST(answers_that_do_not_fit_are_refused_one_by_one),
        TEST(too_many_requests_are_refused),
        TEST(roles_keep_to_theirs),
        TEST(local_operations_need_the_own_socket),
        TEST(a_refused_act_is_in_the_audit_log),
        TEST(a_ticket_dies_with_its_session_within_the_cache),
        TEST(what_waited_longer_than_its_client_is_dropped),
        TEST(an_answer_tells_revision_and_duration),
        TEST(a_draining_node_says_so_and_then_sends_clients_away),
        TEST(a_failed_node_does_no_cryptography),
        TEST(a_node_without_cluster_tells_only_of_itself),
        TEST(an_inactive_cluster_serves_no_logins),
        TEST(slow_operations_are_known_anywhere_in_a_batch),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, start, stop);
}
