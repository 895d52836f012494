/* A stock NNG client against both listeners, on every scheme: what it speaks is what they speak. */
#include "node_server_support.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "identity/member.h"

/* NNG's threads outlive the node's OpenSSL context, and with them their random generators of it; and NNG's client loses
 * a message that is on its way when its socket closes. Both end with the process. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:EVP_RAND_instantiate\nleak:EVP_RAND_CTX_new\nleak:libnng.so\n";
}

static char ipc_path[64];

enum { DIRECT_TCP, DIRECT_TLS, NNG_TLS, NNG_TCP, NNG_IPC, NNG_INPROC, NNG_WS, NNG_WSS, URLS };

static int start(void **state)
{
    char nng_urls[256];
    const char *settings[] = {"listen=tcp://127.0.0.1:0,tls+tcp://127.0.0.1:0", nng_urls, NULL};

    snprintf(ipc_path, sizeof(ipc_path), "/tmp/hsmd-nng-%u.sock", (unsigned)getpid());
    snprintf(nng_urls, sizeof(nng_urls),
             "listen-nng=tls+tcp://127.0.0.1:0,tcp://127.0.0.1:0,ipc://%s,inproc://node,ws://127.0.0.1:0/hsm,"
             "wss://127.0.0.1:0/hsm",
             ipc_path);
    *state = served_start(settings);
    served_add_users(*state);
    served_write_client_files(*state);
    return 0;
}

static int stop(void **state)
{
    served_stop(*state);
    unlink(ipc_path);
    return 0;
}

static void must(int code, const char *what)
{
    if (code != 0)
        fail_msg("%s: %s", what, nng_strerror(code));
}

static void pem_file(const struct served *served, const char *name, char *text, size_t size)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", served->folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t n = fread(text, 1, size - 1, file);
    text[n] = 0;
    fclose(file);
}

/* TLS options of a client, as any NNG program sets them. */
static nng_tls_config *tls_config(const struct served *served, bool with_certificate)
{
    char ca[4096], certificate[4096], key[4096];
    nng_tls_config *config;

    pem_file(served, "ca.test", ca, sizeof(ca));
    pem_file(served, "client.test", certificate, sizeof(certificate));
    pem_file(served, "client.key", key, sizeof(key));
    must(nng_tls_config_alloc(&config, NNG_TLS_MODE_CLIENT), "configuration");
    must(nng_tls_config_ca_chain(config, ca, NULL), "CA");
    must(nng_tls_config_server_name(config, "127.0.0.1"), "name");
    must(nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED), "mode");
    if (with_certificate)
        must(nng_tls_config_own_cert(config, certificate, key, NULL), "certificate");
    return config;
}

static nng_socket dial(const struct served *served, const char *url, bool with_certificate)
{
    nng_socket socket;
    nng_dialer dialer;

    must(nng_req0_open(&socket), "open");
    must(nng_dialer_create(&dialer, socket, url), url);
    if (strncmp(url, "tls+", 4) == 0 || strncmp(url, "wss", 3) == 0) {
        nng_tls_config *config = tls_config(served, with_certificate);

        must(nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config), "TLS");
        nng_tls_config_free(config);
    }
    must(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, 10000), "patience");
    must(nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, 10000), "patience");
    must(nng_dialer_start(dialer, NNG_FLAG_NONBLOCK), url);
    return socket;
}

static void ask(nng_socket socket, struct slice message, struct message *opened, struct bytes *reply)
{
    void *data;
    size_t len;

    must(nng_send(socket, (void *)(uintptr_t)message.data, message.len, 0), "send");
    must(nng_recv(socket, &data, &len, NNG_FLAG_ALLOC), "receive");
    assert_int_equal(bytes_assign(reply, slice_of(data, len)), STATUS_OK);
    nng_free(data, len);
    assert_int_equal(message_open(bytes_slice(reply), opened), STATUS_OK);
}

static void assert_pings(nng_socket socket, uint32_t n)
{
    struct bytes message = BYTES_INIT, reply = BYTES_INIT;
    struct message opened;
    struct values answer;
    status_code status;

    build_ping(&message, n);
    ask(socket, bytes_slice(&message), &opened, &reply);
    assert_int_equal(opened.n, n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(message_next_answer(&opened, &status, &answer), STATUS_OK);
        assert_int_equal(status, STATUS_OK);
        assert_true(values_has(&answer, FIELD_DATA));
    }
    assert_int_equal(message_close(&opened), STATUS_OK);
    bytes_release(&message);
    bytes_release(&reply);
}

static void every_scheme_answers_a_stock_client(void **state)
{
    struct served *served = *state;

    assert_int_equal(served->node->n_bound_urls, URLS);
    for (unsigned i = 0; i < URLS; i++) {
        nng_socket socket = dial(served, served_url(served, i), true);

        assert_null(strstr(served_url(served, i), ":0"));
        assert_pings(socket, 1);
        assert_pings(socket, 1000);
        nng_close(socket);
    }
    nng_socket own = dial(served, served_socket(served), true);
    assert_pings(own, 3);
    nng_close(own);
}

static void the_plain_client_speaks_with_nng_over_tls_1_3(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, NNG_TLS));
    struct bytes message = BYTES_INIT, reply = BYTES_INIT;
    uint32_t id;

    assert_int_equal(SSL_version(wire.tls), TLS1_3_VERSION);
    build_ping(&message, 500);
    wire_send_message(&wire, 42, bytes_slice(&message));
    assert_true(wire_receive_message(&wire, &id, &reply));
    assert_int_equal(id, 42);
    wire_close(&wire);
    bytes_release(&message);
    bytes_release(&reply);
}

static void large_messages_pass_through_nng(void **state)
{
    struct served *served = *state;
    static const unsigned through[] = {NNG_TLS, NNG_TCP, NNG_WSS};
    uint8_t *data = calloc(1, DATA_MAX);

    for (unsigned i = 0; i < 3; i++) {
        nng_socket socket = dial(served, served_url(served, through[i]), true);
        struct bytes message = BYTES_INIT, reply = BYTES_INIT;
        struct values header, fields;
        struct message opened;

        values_init(&header);
        values_init(&fields);
        values_put_bytes(&fields, FIELD_DATA, slice_of(data, DATA_MAX - 1000));
        build_message(&message, &header, OP_PING, &fields, i == 2 ? 1 : 3); /* ws: NNG takes up to 1 MiB a frame */
        ask(socket, bytes_slice(&message), &opened, &reply);
        assert_true(reply.len > message.len - 200);
        nng_close(socket);
        bytes_release(&message);
        bytes_release(&reply);
    }
    free(data);
}

static void without_a_certificate_nobody_gets_in(void **state)
{
    struct served *served = *state;
    struct bytes message = BYTES_INIT;
    void *data;
    size_t len;

    build_ping(&message, 1);
    for (unsigned i = 0; i < 2; i++) {
        nng_socket socket = dial(served, served_url(served, i ? NNG_WSS : NNG_TLS), false);

        must(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, 700), "patience");
        must(nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, 700), "patience");
        int code = nng_send(socket, message.data, message.len, 0);
        if (code == 0)
            code = nng_recv(socket, &data, &len, NNG_FLAG_ALLOC);
        assert_int_not_equal(code, 0);
        nng_close(socket);
    }
    bytes_release(&message);
}

static void tls_1_2_is_refused_by_nng_too(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_connect(served_url(served, NNG_TLS), served->client_context);

    SSL_set_max_proto_version(wire.tls, TLS1_2_VERSION);
    assert_true(SSL_connect(wire.tls) <= 0);
    wire_close(&wire);
}

/* The certificate of a removed node is refused by both listeners. */
static void a_removed_node_gets_in_nowhere(void **state)
{
    struct served *served = *state;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *certificate = served_issue(served, key, "node2", "clientAuth");
    struct values member;
    uint8_t hash[32], id[ID_LEN] = "the other node.";

    assert_int_equal(X509_digest(certificate, EVP_sha256(), hash, NULL), 1);
    values_init(&member);
    values_put_bytes(&member, FIELD_NODE_ID, slice_of(id, ID_LEN));
    values_put_bytes(&member, FIELD_NAME, slice_text("node2"));
    values_put_bytes(&member, FIELD_ADDRESS, slice_text("tls+tcp://127.0.0.1:1"));
    values_put_bytes(&member, FIELD_ZONE, slice_text("a"));
    values_put_bytes(&member, FIELD_STATE_NAME, slice_text("serving"));
    values_put_bytes(&member, FIELD_HASH_VALUE, slice_of(hash, sizeof(hash)));
    assert_int_equal(members_put(served->node, &member), STATUS_OK);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = DIRECT_TLS; i <= NNG_TLS; i++) {
            struct wire wire = wire_connect(served_url(served, i), served->client_context);
            uint8_t handshake[8];

            SSL_use_certificate(wire.tls, certificate);
            SSL_use_PrivateKey(wire.tls, key);
            assert_int_equal(SSL_connect(wire.tls), 1);
            wire_send(&wire, "\0SP\0\0\x30\0\0", 8);
            assert_int_equal(wire_receive(&wire, handshake, sizeof(handshake)), round == 0);
            wire_close(&wire);
        }
        assert_int_equal(members_remove(served->node, id), STATUS_OK);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void slow_requests_hold_up_nobody(void **state)
{
    struct served *served = *state;
    struct bytes logins = BYTES_INIT;
    struct values header, fields;
    nng_socket sockets[20], fast = dial(served, served_url(served, NNG_TCP), true);

    values_init(&header);
    values_init(&fields);
    values_put_bytes(&fields, FIELD_USER_NAME, slice_text("user"));
    values_put_bytes(&fields, FIELD_PASSWORD, slice_text("password"));
    build_message(&logins, &header, OP_LOGIN, &fields, 100);
    assert_pings(fast, 1);
    for (unsigned i = 0; i < 20; i++) {
        sockets[i] = dial(served, served_url(served, NNG_TCP), true);
        must(nng_send(sockets[i], logins.data, logins.len, 0), "send");
    }
    uint64_t before = metric_operations_total(OP_LOGIN);
    sleep_ms(20);
    assert_pings(fast, 1);
    assert_true(metric_operations_total(OP_LOGIN) < before + 20 * 100); /* they are still at it */
    assert_false(server_idle(served->server));
    for (unsigned i = 0; i < 20; i++) {
        void *data;
        size_t len;

        must(nng_recv(sockets[i], &data, &len, NNG_FLAG_ALLOC), "receive");
        nng_free(data, len);
        nng_close(sockets[i]);
    }
    nng_close(fast);
    bytes_release(&logins);
}

struct client {
    struct served *served;
    pthread_t thread;
    unsigned url;
    atomic_uint n;
};

static void *run_client(void *argument)
{
    struct client *client = argument;
    nng_socket socket = dial(client->served, served_url(client->served, client->url), true);

    for (unsigned i = 0; i < 100; i++) {
        assert_pings(socket, 1 + i % 7);
        atomic_fetch_add(&client->n, 1);
    }
    nng_close(socket);
    return NULL;
}

static void many_clients_at_once_all_get_their_answers(void **state)
{
    struct client clients[16] = {{0}};

    for (unsigned i = 0; i < 16; i++) {
        clients[i].served = *state;
        clients[i].url = i % URLS;
        pthread_create(&clients[i].thread, NULL, run_client, &clients[i]);
    }
    for (unsigned i = 0; i < 16; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(atomic_load(&clients[i].n), 100);
    }
}

static void sockets_of_the_file_system_are_for_their_owner(void **state)
{
    struct stat info;

    (void)state;
    assert_int_equal(stat(ipc_path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void plain_urls_of_other_machines_are_refused(void **state)
{
    static const char *const urls[] = {"tcp://0.0.0.0:0", "ws://0.0.0.0:0/hsm", "ws://*:0/hsm", "tcp://[::]:0"};
    struct served *served = *state;
    struct listener *listener;
    char bound[LISTENER_URL_MAX];

    for (unsigned i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
        assert_int_equal(listener_open_nng(served->node, urls[i], bound, &listener), STATUS_CONFIG_INVALID);
        assert_non_null(strstr(failure_detail(), "loopback"));
    }
    assert_int_equal(listener_open_nng(served->node, "zt://1:1", bound, &listener), STATUS_CONFIG_INVALID);
    assert_int_equal(listener_open_nng(served->node, served_url(served, NNG_TCP), bound, &listener), STATUS_IO_ERROR);
}

static void stopping_with_nng_requests_under_way_is_orderly(void **state)
{
    struct bytes logins = BYTES_INIT;
    struct values header, fields;
    const char *settings[] = {"listen-nng=tcp://127.0.0.1:0,tls+tcp://127.0.0.1:0", NULL};

    (void)state;
    values_init(&header);
    values_init(&fields);
    values_put_bytes(&fields, FIELD_USER_NAME, slice_text("user"));
    values_put_bytes(&fields, FIELD_PASSWORD, slice_text("password"));
    build_message(&logins, &header, OP_LOGIN, &fields, 20);
    for (unsigned round = 0; round < 3; round++) {
        struct served *served = served_start(settings);
        nng_socket sockets[10];

        served_write_client_files(served);
        for (unsigned i = 0; i < 10; i++) {
            sockets[i] = dial(served, served_url(served, 1 + i % 2), true);
            must(nng_send(sockets[i], logins.data, logins.len, 0), "send");
        }
        sleep_ms(10 + 20 * round);
        served_stop(served);
        for (unsigned i = 0; i < 10; i++)
            nng_close(sockets[i]);
    }
    bytes_release(&logins);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scheme_answers_a_stock_client),
        cmocka_unit_test(the_plain_client_speaks_with_nng_over_tls_1_3),
        cmocka_unit_test(large_messages_pass_through_nng),
        cmocka_unit_test(without_a_certificate_nobody_gets_in),
        cmocka_unit_test(tls_1_2_is_refused_by_nng_too),
        cmocka_unit_test(a_removed_node_gets_in_nowhere),
        cmocka_unit_test(slow_requests_hold_up_nobody),
        cmocka_unit_test(many_clients_at_once_all_get_their_answers),
        cmocka_unit_test(sockets_of_the_file_system_are_for_their_owner),
        cmocka_unit_test(plain_urls_of_other_machines_are_refused),
    };
    /* With nodes of their own: a process has one at a time. */
    const struct CMUnitTest endings[] = {
        cmocka_unit_test(stopping_with_nng_requests_under_way_is_orderly),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    int failed = cmocka_run_group_tests(tests, start, stop);
    return failed ? failed : cmocka_run_group_tests(endings, NULL, NULL);
}
