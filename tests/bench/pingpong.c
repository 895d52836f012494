/* The floor under a call over mutual TLS 1.3: two processes on plain sockets and OpenSSL that pass 64 bytes to and fro.
 *
 * pingpong CA CERTIFICATE KEY SERVER_CERTIFICATE SERVER_KEY SECONDS */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "measure.h"

#define PAYLOAD 64

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "pingpong: %s failed\n", what);
    exit(1);
}

static SSL *session_new(const SSL_METHOD *method, char **files, const char *ca, int socket)
{
    SSL_CTX *context = SSL_CTX_new(method);

    must(context && SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION), "TLS context");
    must(SSL_CTX_load_verify_locations(context, ca, NULL) == 1, "loading the CA");
    must(SSL_CTX_use_certificate_chain_file(context, files[0]) == 1, "loading the certificate");
    must(SSL_CTX_use_PrivateKey_file(context, files[1], SSL_FILETYPE_PEM) == 1, "loading the key");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);

    SSL *tls = SSL_new(context);
    int one = 1;

    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    SSL_set_fd(tls, socket);
    return tls;
}

static void serve(int listener, char **files, const char *ca)
{
    int socket = accept(listener, NULL, NULL);
    SSL *tls = session_new(TLS_server_method(), files, ca, socket);
    char payload[PAYLOAD];

    must(SSL_accept(tls) == 1, "accepting");
    while (SSL_read(tls, payload, PAYLOAD) == PAYLOAD && SSL_write(tls, payload, PAYLOAD) == PAYLOAD)
        continue;
    exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t address_len = sizeof(address);
    char payload[PAYLOAD] = {0};

    must(argc == 7, "usage: pingpong CA CERTIFICATE KEY SERVER_CERTIFICATE SERVER_KEY SECONDS; reading it");
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 1) == 0, "listening");
    getsockname(listener, (struct sockaddr *)&address, &address_len);

    double cpu = measure_cpu_us();
    pid_t server = fork();
    if (server == 0)
        serve(listener, argv + 4, argv[1]);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0, "connecting");
    SSL *tls = session_new(TLS_client_method(), argv + 2, argv[1], client);
    must(SSL_connect(tls) == 1, "the TLS handshake");

    struct measure *measure = calloc(1, sizeof(*measure));
    uint64_t start = measure_now_ns(), end = start + (uint64_t)(strtod(argv[6], NULL) * 1e9);

    for (uint64_t now = start; now < end;) {
        must(SSL_write(tls, payload, PAYLOAD) == PAYLOAD && SSL_read(tls, payload, PAYLOAD) == PAYLOAD, "a round trip");
        uint64_t after = measure_now_ns();
        measure_add(measure, after - now);
        now = after;
    }
    double seconds = (double)(measure_now_ns() - start) / 1e9;
    SSL_shutdown(tls);
    close(client);
    waitpid(server, NULL, 0);
    measure_print(&measure, 1, seconds, measure_cpu_us() - cpu);
    return 0;
}
