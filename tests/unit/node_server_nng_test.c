/* A stock NNG client against both listeners, on every scheme: what it speaks is what they speak. Where NNG loses a
 * connection that breaks off (listener_nng_is_sound), the breaking off is done by the plain client. */
#include "node_server_support.h"

#include <dirent.h>
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
#define EXPORTED __attribute__((visibility("default")))
EXPORTED const char *__lsan_default_suppressions(void);
EXPORTED const char *__asan_default_options(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:EVP_RAND_instantiate\nleak:EVP_RAND_CTX_new\nleak:libnng.so\n";
}

/* libcrypto keeps no frame pointers: these names are found in slow traces only. */
const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0";
}

static char ipc_path[64];

enum { TCP, TLS, LISTED_TLS, LISTED_TCP, LISTED_IPC, NNG_INPROC, NNG_WS, NNG_WSS, URLS };

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
static nng_tls_config *tls_config(const struct served *served)
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
    must(nng_tls_config_own_cert(config, certificate, key, NULL), "certificate");
    return config;
}

/* Closes a client's socket when the server has come to rest: NNG 1.10.1 does not bear that one end closes while another
 * sends, when both are of one process, as here and never in a cluster (nanomsg/nng, issue 2110). */
static void leave(nng_socket socket)
{
    sleep_ms(20);
    nng_close(socket);
}

static nng_socket dial(const struct served *served, const char *url)
{
    nng_socket socket;
    nng_dialer dialer;

    must(nng_req0_open(&socket), "open");
    must(nng_dialer_create(&dialer, socket, url), url);
    if (strncmp(url, "tls+", 4) == 0 || strncmp(url, "wss", 3) == 0) {
        nng_tls_config *config = tls_config(served);

        must(nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config), "TLS");
        nng_tls_config_free(config);
    }
    must(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, 30000), "patience");
    must(nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, 30000), "patience");
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
        nng_socket socket = dial(served, served_url(served, i));

        assert_null(strstr(served_url(served, i), ":0"));
        assert_pings(socket, 1);
        assert_pings(socket, 1000);
        leave(socket);
    }
    nng_socket own = dial(served, served_socket(served));
    assert_pings(own, 3);
    leave(own);
}

/* A listener of NNG's own transport, which the server would have the direct one carry. */
static struct listener *listen_nng(struct served *served, const char *url, char *bound)
{
    struct listener *listener;

    if (listener_open_nng(served->node, url, bound, &listener) != STATUS_OK)
        fail_msg("%s", failure_detail());
    return listener;
}

static void the_plain_client_speaks_with_nng_over_tls_1_3(void **state)
{
    struct served *served = *state;
    struct bytes message = BYTES_INIT, reply = BYTES_INIT;
    char bound[LISTENER_URL_MAX];
    struct listener *listener = listen_nng(served, "tls+tcp://127.0.0.1:0", bound);
    struct wire wire = wire_open(served, bound);
    uint32_t id;

    assert_int_equal(SSL_version(wire.tls), TLS1_3_VERSION);
    build_ping(&message, 500);
    for (uint32_t i = 0; i < 20; i++) {
        wire_send_message(&wire, i, bytes_slice(&message));
        assert_true(wire_receive_message(&wire, &id, &reply));
        assert_int_equal(id, i);
    }
    wire_close(&wire);
    bytes_release(&message);
    bytes_release(&reply);
    sleep_ms(50);
    listener->operations->close(listener);
}

static void large_messages_pass_through_nng(void **state)
{
    struct served *served = *state;
    static const unsigned through[] = {NNG_WS, NNG_INPROC, NNG_WSS};
    uint8_t *data = calloc(1, DATA_MAX);

    for (unsigned i = 0; i < 3; i++) {
        nng_socket socket = dial(served, served_url(served, through[i]));
        struct bytes message = BYTES_INIT, reply = BYTES_INIT;
        struct values header, fields;
        struct message opened;

        values_init(&header);
        values_init(&fields);
        values_put_bytes(&fields, FIELD_DATA, slice_of(data, DATA_MAX - 1000));
        build_message(&message, &header, OP_PING, &fields, i == 1 ? 3 : 1); /* ws: NNG takes up to 1 MiB a frame */
        ask(socket, bytes_slice(&message), &opened, &reply);
        assert_true(reply.len > message.len - 200);
        leave(socket);
        bytes_release(&message);
        bytes_release(&reply);
    }
    free(data);
}

/* Whether a client that connects through `context`, as the test changed it, hears of the node. */
static bool gets_in(const char *url, SSL_CTX *context)
{
    struct wire wire = wire_connect(url, context);
    uint8_t byte;

    bool in = SSL_connect(wire.tls) == 1;
    wire_send(&wire, "\0SP\0\0\x30\0\0", 8);
    in = in && wire_receive(&wire, &byte, 1);
    wire_close(&wire);
    return in;
}

static void without_certificate_or_tls_1_3_nobody_gets_in(void **state)
{
    struct served *served = *state;
    char bound[LISTENER_URL_MAX], wss[LISTENER_URL_MAX];
    struct listener *listener = listen_nng(served, "tls+tcp://127.0.0.1:0", bound);
    SSL_CTX *stranger = SSL_CTX_new(TLS_client_method());

    snprintf(wss, sizeof(wss), "%.*s", (int)(strlen(served_url(served, NNG_WSS)) - strlen("/hsm")),
             served_url(served, NNG_WSS));
    assert_true(gets_in(bound, served->client_context));
    assert_false(gets_in(bound, stranger));
    assert_false(gets_in(wss, stranger));
    SSL_CTX_set_max_proto_version(served->client_context, TLS1_2_VERSION);
    assert_false(gets_in(bound, served->client_context));
    assert_false(gets_in(wss, served->client_context));
    SSL_CTX_set_max_proto_version(served->client_context, 0);
    SSL_CTX_free(stranger);
    sleep_ms(50);
    listener->operations->close(listener);
}

/* The certificate of a removed node is refused by both listeners. */
static void a_removed_node_gets_in_nowhere(void **state)
{
    struct served *served = *state;
    char bound[LISTENER_URL_MAX];
    struct listener *listener = listen_nng(served, "tls+tcp://127.0.0.1:0", bound);
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *certificate = served_issue(served, key, "node2", "clientAuth");
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct values member;
    uint8_t hash[32], id[ID_LEN] = "the other node.";

    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    assert_int_equal(X509_digest(certificate, EVP_sha256(), hash, NULL), 1);
    values_init(&member);
    values_put_bytes(&member, FIELD_NODE_ID, slice_of(id, ID_LEN));
    values_put_bytes(&member, FIELD_NAME, slice_text("node2"));
    values_put_bytes(&member, FIELD_ADDRESS, slice_text("tls+tcp://127.0.0.1:1"));
    values_put_bytes(&member, FIELD_ZONE, slice_text("a"));
    values_put_bytes(&member, FIELD_STATE_NAME, slice_text("serving"));
    values_put_bytes(&member, FIELD_HASH_VALUE, slice_of(hash, sizeof(hash)));
    assert_int_equal(members_put(served->node, &member), STATUS_OK);
    assert_true(gets_in(served_url(served, TLS), context));
    assert_true(gets_in(bound, context));
    assert_int_equal(members_remove(served->node, id), STATUS_OK);
    assert_false(gets_in(served_url(served, TLS), context));
    assert_false(gets_in(bound, context));
    SSL_CTX_free(context);
    X509_free(certificate);
    EVP_PKEY_free(key);
    sleep_ms(50);
    listener->operations->close(listener);
}

static unsigned n_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

/* What NNG's own transports cannot: see listener_nng_is_sound. */
static void clients_that_break_off_leave_nothing_behind(void **state)
{
    struct served *served = *state;
    struct bytes message = BYTES_INIT;
    unsigned before = n_descriptors();

    build_ping(&message, 1);
    for (unsigned i = 0; i < 600; i++) {
        struct wire wire = wire_open(served, served_url(served, LISTED_TLS + i % 3));

        for (uint32_t id = 0; id < 3; id++)
            wire_send_message(&wire, id, bytes_slice(&message));
        wire_close(&wire);
    }
    for (unsigned i = 0; i < 100 && n_descriptors() > before + 10; i++)
        sleep_ms(20);
    assert_in_range(n_descriptors(), 0, before + 10); /* some may have become the store's */
    bytes_release(&message);
}

static void slow_requests_hold_up_nobody(void **state)
{
    struct served *served = *state;
    struct bytes logins = BYTES_INIT;
    struct values header, fields;
    nng_socket sockets[20], fast = dial(served, served_url(served, NNG_WS));

    values_init(&header);
    values_init(&fields);
    values_put_bytes(&fields, FIELD_USER_NAME, slice_text("user"));
    values_put_bytes(&fields, FIELD_PASSWORD, slice_text("password"));
    build_message(&logins, &header, OP_LOGIN, &fields, 30);
    assert_pings(fast, 1);
    for (unsigned i = 0; i < 20; i++) {
        sockets[i] = dial(served, served_url(served, NNG_WS));
        must(nng_send(sockets[i], logins.data, logins.len, 0), "send");
    }
    uint64_t before = metric_operations_total(OP_LOGIN);
    sleep_ms(10);
    assert_pings(fast, 1);
    assert_true(metric_operations_total(OP_LOGIN) < before + 20 * 30); /* they are still at it */
    assert_false(server_idle(served->server));
    for (unsigned i = 0; i < 20; i++) {
        void *data;
        size_t len;

        must(nng_recv(sockets[i], &data, &len, NNG_FLAG_ALLOC), "receive");
        nng_free(data, len);
    }
    for (unsigned i = 0; i < 20; i++) /* when all have their answers: see leave() */
        leave(sockets[i]);
    leave(fast);
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
    nng_socket socket = dial(client->served, served_url(client->served, client->url));

    for (unsigned i = 0; i < 100; i++) {
        assert_pings(socket, 1 + i % 7);
        atomic_fetch_add(&client->n, 1);
    }
    leave(socket);
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
    assert_int_equal(listener_open_nng(served->node, served_url(served, TCP), bound, &listener), STATUS_IO_ERROR);
}

static void stopping_with_nng_requests_under_way_is_orderly(void **state)
{
    struct bytes logins = BYTES_INIT;
    struct values header, fields;
    const char *settings[] = {"listen-nng=ws://127.0.0.1:0/hsm,wss://127.0.0.1:0/hsm", NULL};

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
            sockets[i] = dial(served, served_url(served, 1 + i % 2));
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
        cmocka_unit_test(without_certificate_or_tls_1_3_nobody_gets_in),
        cmocka_unit_test(a_removed_node_gets_in_nowhere),
        cmocka_unit_test(clients_that_break_off_leave_nothing_behind),
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
