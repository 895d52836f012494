/* The direct listener over real sockets: what it serves, and what clients cannot do to it. */
#include "node_server_support.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "protocol/sp.h"

static const char *const SETTINGS[] = {"listen=tls+tcp://127.0.0.1:0,tcp://127.0.0.1:0", "connections-max=300", NULL};

static int start(void **state)
{
    struct served *served = served_start(SETTINGS);

    served_add_users(served);
    *state = served;
    return 0;
}

static int stop(void **state)
{
    served_stop(*state);
    return 0;
}

/* --- what is served --- */

static void every_scheme_answers(void **state)
{
    assert_well(*state);
}

static void the_own_socket_is_for_its_owner(void **state)
{
    struct stat info;

    assert_int_equal(stat(served_socket(*state) + strlen("ipc://"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

static void only_the_own_socket_is_local(void **state)
{
    struct served *served = *state;
    struct bytes reply = BYTES_INIT;
    struct values fields, answer;
    struct wire own = wire_open(served, served_socket(served)),
                other = wire_open(served, served_url(served, LISTEN_TCP));

    values_init(&fields);
    assert_int_equal(wire_call(&own, (struct slice){NULL, 0}, OP_NODE_CSR, &fields, &reply, &answer), STATUS_OK);
    assert_int_equal(wire_call(&other, (struct slice){NULL, 0}, OP_NODE_CSR, &fields, &reply, &answer),
                     STATUS_NOT_PERMITTED);
    wire_close(&own);
    wire_close(&other);
    bytes_release(&reply);
}

static void requests_sent_ahead_are_answered_in_order(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, LISTEN_TLS));
    struct bytes message = BYTES_INIT, reply = BYTES_INIT;
    uint32_t id;

    build_ping(&message, 3);
    for (uint32_t i = 0; i < 2000; i++)
        wire_send_message(&wire, i, bytes_slice(&message));
    for (uint32_t i = 0; i < 2000; i++) {
        assert_true(wire_receive_message(&wire, &id, &reply));
        assert_int_equal(id, i);
    }
    wire_close(&wire);
    bytes_release(&message);
    bytes_release(&reply);
}

struct flood {
    struct wire *wire;
    uint32_t n;
};

static void *send_flood(void *argument)
{
    struct flood *flood = argument;
    struct bytes message = BYTES_INIT;

    build_ping(&message, 1000);
    for (uint32_t i = 0; i < flood->n; i++)
        wire_send_message(flood->wire, i, bytes_slice(&message));
    bytes_release(&message);
    return NULL;
}

/* 60 MB of requests, none of whose answers is read before the node must have stopped taking more. */
static void who_does_not_read_is_held_back_and_not_cut_off(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, LISTEN_TCP));
    struct flood flood = {&wire, 800};
    struct bytes reply = BYTES_INIT;
    pthread_t thread;
    uint32_t id;

    pthread_create(&thread, NULL, send_flood, &flood);
    sleep_ms(300);
    uint64_t before = cpu_ms();
    sleep_ms(500);
    assert_in_range(cpu_ms() - before, 0, 200); /* waits, and does not spin */
    assert_well(served);
    for (uint32_t i = 0; i < flood.n; i++) {
        assert_true(wire_receive_message(&wire, &id, &reply));
        assert_int_equal(id, i);
    }
    pthread_join(thread, NULL);
    wire_close(&wire);
    bytes_release(&reply);
}

static void the_largest_message_passes_and_a_larger_one_ends_the_connection(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, LISTEN_TLS));
    struct bytes message = BYTES_INIT, reply = BYTES_INIT;
    struct values header, fields;
    uint8_t *data = calloc(1, DATA_MAX), frame[SP_TCP_HEADER_LEN];
    uint32_t id;

    values_init(&header);
    values_init(&fields);
    values_put_bytes(&fields, FIELD_DATA, slice_of(data, DATA_MAX - 1000));
    build_message(&message, &header, OP_PING, &fields, 4);
    assert_in_range(message.len, MESSAGE_MAX - 5000, MESSAGE_MAX);
    wire_send_message(&wire, 1, bytes_slice(&message));
    assert_true(wire_receive_message(&wire, &id, &reply));
    assert_true(reply.len > message.len - 200);
    assert_ping(&wire);
    sp_header_encode(false, MESSAGE_MAX + 64, frame);
    wire_send(&wire, frame, sizeof(frame));
    assert_true(wire_ends(&wire, 5));
    wire_close(&wire);
    bytes_release(&message);
    bytes_release(&reply);
    free(data);
    assert_well(served);
}

static void an_answer_reaches_who_has_said_all(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, LISTEN_TCP));
    struct bytes message = BYTES_INIT, reply = BYTES_INIT;
    uint32_t id;

    build_ping(&message, 2);
    wire_send_message(&wire, 1, bytes_slice(&message));
    wire_send_message(&wire, 2, bytes_slice(&message));
    shutdown(wire.fd, SHUT_WR);
    assert_true(wire_receive_message(&wire, &id, &reply));
    assert_true(wire_receive_message(&wire, &id, &reply));
    assert_int_equal(id, 2);
    assert_true(wire_ends(&wire, 2));
    wire_close(&wire);
    bytes_release(&message);
    bytes_release(&reply);
}

static void the_ids_of_devices_on_the_way_come_back(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, LISTEN_TCP));
    struct bytes message = BYTES_INIT, reply = BYTES_INIT;
    static const uint8_t stack[] = {0, 0, 0, 1, 0, 0, 0, 2, 0x80, 0, 0, 3};
    uint8_t header[SP_TCP_HEADER_LEN], back[sizeof(stack)];

    build_ping(&message, 1);
    sp_header_encode(false, sizeof(stack) + message.len, header);
    wire_send(&wire, header, sizeof(header));
    wire_send(&wire, stack, sizeof(stack));
    wire_send(&wire, message.data, message.len);
    assert_true(wire_receive(&wire, header, sizeof(header)));
    assert_true(wire_receive(&wire, back, sizeof(back)));
    assert_memory_equal(back, stack, sizeof(stack));
    wire_close(&wire);
    bytes_release(&message);
    bytes_release(&reply);
}

/* --- slow operations --- */

static void put_login(struct values *fields)
{
    values_init(fields);
    values_put_bytes(fields, FIELD_USER_NAME, slice_text("user"));
    values_put_bytes(fields, FIELD_PASSWORD, slice_text("password"));
}

static void slow_requests_are_overtaken(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, LISTEN_TLS));
    struct bytes logins = BYTES_INIT, ping = BYTES_INIT, reply = BYTES_INIT;
    struct values header, fields;
    uint32_t id;

    values_init(&header);
    put_login(&fields);
    build_message(&logins, &header, OP_LOGIN, &fields, 300);
    build_ping(&ping, 1);
    wire_send_message(&wire, 1, bytes_slice(&logins));
    wire_send_message(&wire, 2, bytes_slice(&ping));
    assert_true(wire_receive_message(&wire, &id, &reply));
    assert_int_equal(id, 2);
    assert_true(wire_receive_message(&wire, &id, &reply));
    assert_int_equal(id, 1);
    wire_close(&wire);
    bytes_release(&logins);
    bytes_release(&ping);
    bytes_release(&reply);
}

static void who_leaves_during_a_slow_request_harms_nobody(void **state)
{
    struct served *served = *state;
    struct bytes logins = BYTES_INIT, ping = BYTES_INIT;
    struct values header, fields;

    values_init(&header);
    put_login(&fields);
    build_message(&logins, &header, OP_LOGIN, &fields, 3);
    build_ping(&ping, 1);
    for (unsigned round = 0; round < 100; round++) {
        struct wire wire = wire_open(served, served_url(served, round % 2 ? LISTEN_TCP : LISTEN_TLS));

        for (uint32_t i = 0; i < 3; i++) {
            wire_send_message(&wire, i, bytes_slice(&logins));
            wire_send_message(&wire, i + 10, bytes_slice(&ping));
        }
        wire_close(&wire);
    }
    wait_for_connections(0);
    bytes_release(&logins);
    bytes_release(&ping);
    assert_well(served);
}

static void more_slow_requests_than_wait_are_all_answered(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, LISTEN_TCP));
    struct bytes login = BYTES_INIT, reply = BYTES_INIT;
    struct values header, fields;
    uint32_t id;

    values_init(&header);
    put_login(&fields);
    build_message(&login, &header, OP_LOGIN, &fields, 1);
    for (uint32_t i = 0; i < 500; i++)
        wire_send_message(&wire, i, bytes_slice(&login));
    for (uint32_t i = 0; i < 500; i++)
        assert_true(wire_receive_message(&wire, &id, &reply));
    wire_close(&wire);
    bytes_release(&login);
    bytes_release(&reply);
}

/* --- connections --- */

static void connections_come_and_go_by_the_thousand(void **state)
{
    struct served *served = *state;

    for (unsigned i = 0; i < 3000; i++) {
        struct wire wire = wire_connect(served_url(served, i % 2 ? LISTEN_TCP : LISTEN_TLS), NULL);

        wire_close(&wire);
    }
    for (unsigned i = 0; i < 300; i++) {
        struct wire wire = wire_open(served, served_url(served, LISTEN_TLS));

        assert_ping(&wire);
        wire_close(&wire);
    }
    wait_for_connections(0);
    assert_well(served);
}

static void no_more_connections_than_allowed(void **state)
{
    struct served *served = *state;
    struct wire wires[300];

    wait_for_connections(0);
    for (unsigned i = 0; i < 300; i++)
        wires[i] = wire_open(served, served_url(served, LISTEN_TCP));
    struct wire more = wire_connect(served_url(served, LISTEN_TCP), NULL);
    assert_true(wire_ends(&more, 5));
    wire_close(&more);
    struct wire own = wire_open(served, served_socket(served)); /* the operator still gets in */
    assert_ping(&own);
    wire_close(&own);
    for (unsigned i = 0; i < 300; i++) {
        assert_ping(&wires[i]);
        wire_close(&wires[i]);
    }
    wait_for_connections(0);
    assert_well(served);
}

/* --- TLS --- */

static void assert_refused_by_tls(struct served *served, SSL_CTX *context)
{
    struct wire wire = wire_connect(served_url(served, LISTEN_TLS), context);
    int64_t before = metric_value(METRIC_TLS_FAILURES);
    uint8_t byte;

    /* TLS 1.3: the client may think that it is through before it learns that its certificate was refused. */
    bool through = SSL_connect(wire.tls) == 1 && wire_receive(&wire, &byte, 1);
    wire_close(&wire);
    SSL_CTX_free(context);
    assert_false(through);
    uint64_t end = now_ms() + 2000;
    while (metric_value(METRIC_TLS_FAILURES) == before && now_ms() < end)
        sleep_ms(5);
    assert_int_equal(metric_value(METRIC_TLS_FAILURES), before + 1);
}

static SSL_CTX *client_context(EVP_PKEY *key, X509 *certificate)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (certificate) {
        SSL_CTX_use_certificate(context, certificate);
        SSL_CTX_use_PrivateKey(context, key);
        X509_free(certificate);
    }
    return context;
}

static void only_clients_of_the_ca_get_in(void **state)
{
    struct served *served = *state;
    EVP_PKEY *key = served->client_key;

    assert_refused_by_tls(served, client_context(NULL, NULL));
    assert_refused_by_tls(served, client_context(key, served_issue(NULL, key, "stranger", "clientAuth")));
    assert_refused_by_tls(served, client_context(key, served_issue(served, key, "a server", "serverAuth")));
    SSL_CTX *old = client_context(key, served_issue(served, key, "old", "clientAuth"));
    SSL_CTX_set_max_proto_version(old, TLS1_2_VERSION);
    assert_refused_by_tls(served, old);
    assert_well(served);
}

static void a_refused_client_learns_why(void **state)
{
    struct served *served = *state;
    SSL_CTX *context = client_context(NULL, NULL);
    struct wire wire = wire_connect(served_url(served, LISTEN_TLS), context);
    uint8_t byte;

    assert_int_equal(SSL_connect(wire.tls), 1);
    assert_int_equal(SSL_write(wire.tls, "\0SP\0\0\x30\0\0", 8), 8);
    ERR_clear_error();
    assert_true(SSL_read(wire.tls, &byte, 1) <= 0);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED);
    ERR_clear_error();
    wire_close(&wire);
    SSL_CTX_free(context);
}

static void sessions_are_resumed(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, LISTEN_TLS));

    assert_ping(&wire); /* reads the session ticket that came before the answer */
    SSL_SESSION *session = SSL_get1_session(wire.tls);
    SSL_shutdown(wire.tls); /* a session that was cut off is not resumed */
    wire_close(&wire);
    wire = wire_connect(served_url(served, LISTEN_TLS), served->client_context);
    SSL_set_session(wire.tls, session);
    assert_int_equal(SSL_connect(wire.tls), 1);
    assert_int_equal(SSL_session_reused(wire.tls), 1);
    wire_close(&wire);
    SSL_SESSION_free(session);
}

/* --- listening --- */

static void assert_not_listened_on(struct served *served, const char *url, const char *why)
{
    struct listener *listener;
    char bound[LISTENER_URL_MAX];
    status_code status = listener_open_direct(served->node, url, 0, bound, &listener);

    assert_int_not_equal(status, STATUS_OK);
    if (!strstr(failure_detail(), why))
        fail_msg("%s: %s", url, failure_detail());
}

static void urls_that_would_harm_are_refused(void **state)
{
    struct served *served = *state;
    char file[128], used[200];

    assert_not_listened_on(served, "tcp://0.0.0.0:0", "loopback");
    assert_not_listened_on(served, "tcp://*:0", "loopback");
    assert_not_listened_on(served, "tcp://[::]:0", "loopback");
    assert_not_listened_on(served, "tcp://127.0.0.1", "HOST:PORT");
    assert_not_listened_on(served, "ws://127.0.0.1:0", "schemes");
    served_write_client_files(served);
    snprintf(file, sizeof(file), "ipc://%s/client.key", served->folder);
    assert_not_listened_on(served, file, "no socket");
    assert_int_equal(access(file + 6, F_OK), 0);
    snprintf(used, sizeof(used), "%s", served_socket(served));
    assert_not_listened_on(served, used, "another process");
    assert_not_listened_on(served, served_url(served, LISTEN_TCP), "in use");
    assert_well(served);
}

/* --- draining --- */

static void draining_finishes_what_is_under_way(void **state)
{
    struct served *served = served_start(SETTINGS);
    struct bytes logins = BYTES_INIT, reply = BYTES_INIT;
    struct values header, fields;
    struct message opened;
    uint32_t id;

    (void)state;
    served_add_users(served);
    struct wire wire = wire_open(served, served_url(served, LISTEN_TLS));
    values_init(&header);
    put_login(&fields);
    build_message(&logins, &header, OP_LOGIN, &fields, 100);
    wire_send_message(&wire, 1, bytes_slice(&logins));
    sleep_ms(10);
    atomic_store(&served->node->state, NODE_DRAINING);
    server_drain(served->server);
    assert_false(server_idle(served->server));
    assert_true(wire_receive_message(&wire, &id, &reply));
    assert_int_equal(message_open(bytes_slice(&reply), &opened), STATUS_OK);
    assert_int_equal(opened.n, 100);
    assert_true(values_bool(&opened.header, FIELD_DRAINING, false));
    assert_ping(&wire); /* who is connected is still served for a moment */
    sleep_ms(50);
    assert_true(server_idle(served->server));
    wire_close(&wire);
    bytes_release(&logins);
    bytes_release(&reply);
    served_stop(served);
}

static void stopping_with_requests_under_way_is_orderly(void **state)
{
    struct bytes logins = BYTES_INIT;
    struct values header, fields;

    (void)state;
    values_init(&header);
    put_login(&fields);
    build_message(&logins, &header, OP_LOGIN, &fields, 5);
    for (unsigned round = 0; round < 3; round++) {
        struct served *served = served_start(SETTINGS);
        struct wire wires[20];

        for (unsigned i = 0; i < 20; i++) {
            wires[i] = wire_open(served, served_url(served, i % 2 ? LISTEN_TCP : LISTEN_TLS));
            for (uint32_t id = 0; id < 10; id++)
                wire_send_message(&wires[i], id, bytes_slice(&logins));
        }
        sleep_ms(20 * round);
        uint64_t before = now_ms();
        served_stop(served);
        assert_in_range(now_ms() - before, 0, 3000);
        for (unsigned i = 0; i < 20; i++)
            wire_close(&wires[i]);
    }
    bytes_release(&logins);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scheme_answers),
        cmocka_unit_test(the_own_socket_is_for_its_owner),
        cmocka_unit_test(only_the_own_socket_is_local),
        cmocka_unit_test(requests_sent_ahead_are_answered_in_order),
        cmocka_unit_test(who_does_not_read_is_held_back_and_not_cut_off),
        cmocka_unit_test(the_largest_message_passes_and_a_larger_one_ends_the_connection),
        cmocka_unit_test(an_answer_reaches_who_has_said_all),
        cmocka_unit_test(the_ids_of_devices_on_the_way_come_back),
        cmocka_unit_test(slow_requests_are_overtaken),
        cmocka_unit_test(who_leaves_during_a_slow_request_harms_nobody),
        cmocka_unit_test(more_slow_requests_than_wait_are_all_answered),
        cmocka_unit_test(connections_come_and_go_by_the_thousand),
        cmocka_unit_test(no_more_connections_than_allowed),
        cmocka_unit_test(only_clients_of_the_ca_get_in),
        cmocka_unit_test(a_refused_client_learns_why),
        cmocka_unit_test(sessions_are_resumed),
        cmocka_unit_test(urls_that_would_harm_are_refused),
    };
    /* With nodes of their own: a process has one at a time. */
    const struct CMUnitTest endings[] = {
        cmocka_unit_test(draining_finishes_what_is_under_way),
        cmocka_unit_test(stopping_with_requests_under_way_is_orderly),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    int failed = cmocka_run_group_tests(tests, start, stop);
    return failed ? failed : cmocka_run_group_tests(endings, NULL, NULL);
}
