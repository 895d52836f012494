/* One thread that accepts one connection at a time and relays it: tests open one. */
#include "libhsm_core_tls_front.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

/* --- certificates --- */

static X509 *make_certificate(EVP_PKEY *key, const char *name, const struct authority *issuer, const char *usage)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509V3_CTX context;

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), usage ? 2 : 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer->certificate) : subject);
    X509_set_pubkey(certificate, key);
    X509V3_set_ctx(&context, issuer ? issuer->certificate : certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = usage ? X509V3_EXT_conf_nid(NULL, &context, NID_ext_key_usage, usage)
                                      : X509V3_EXT_conf_nid(NULL, &context, NID_basic_constraints, "critical,CA:TRUE");
    MUST(extension && X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
    MUST(X509_sign(certificate, issuer ? issuer->key : key, EVP_sha256()));
    return certificate;
}

void authority_make(struct authority *authority)
{
    authority->key = EVP_EC_gen("P-256");
    authority->certificate = make_certificate(authority->key, "test CA", NULL, NULL);
}

void authority_free(struct authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
}

static void write_certificate(const char *path, X509 *certificate)
{
    FILE *file = fopen(path, "we");

    MUST(file && PEM_write_X509(file, certificate) && fclose(file) == 0);
}

void authority_issue(const struct authority *authority, const char *usage, struct pem_files *files)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(key, usage, authority, usage);

    snprintf(files->folder, sizeof(files->folder), "/tmp/libhsm-core-tls-XXXXXX");
    MUST(mkdtemp(files->folder));
    snprintf(files->ca, sizeof(files->ca), "%s/ca.pem", files->folder);
    snprintf(files->certificate, sizeof(files->certificate), "%s/certificate.pem", files->folder);
    snprintf(files->key, sizeof(files->key), "%s/key.pem", files->folder);
    write_certificate(files->ca, authority->certificate);
    write_certificate(files->certificate, certificate);
    FILE *file = fopen(files->key, "we");

    MUST(file && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) && fclose(file) == 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void pem_files_remove(const struct pem_files *files)
{
    unlink(files->ca);
    unlink(files->certificate);
    unlink(files->key);
    rmdir(files->folder);
}

/* --- relaying --- */

static int connect_behind(const struct tls_front *front)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port = htons((uint16_t)atoi(strrchr(front->behind, ':') + 1));
    MUST(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static bool to_behind(SSL *tls, int behind)
{
    char buffer[16384];
    int n = SSL_read(tls, buffer, sizeof(buffer));

    return n > 0 && send(behind, buffer, (size_t)n, MSG_NOSIGNAL) == n;
}

static bool from_behind(SSL *tls, int behind)
{
    char buffer[16384];
    ssize_t n = recv(behind, buffer, sizeof(buffer), 0);

    return n > 0 && SSL_write(tls, buffer, (int)n) == n;
}

static void relay(struct tls_front *front, SSL *tls, int fd)
{
    int behind = connect_behind(front);
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = behind, .events = POLLIN}};
    bool open = true;

    while (open && !atomic_load(&front->stopping)) {
        if (poll(fds, 2, 20) <= 0)
            continue;
        open = (!fds[0].revents || to_behind(tls, behind)) && (!fds[1].revents || from_behind(tls, behind));
    }
    close(behind);
}

static void *run(void *argument)
{
    struct tls_front *front = argument;
    struct pollfd poll_fd = {.fd = front->listener, .events = POLLIN};

    while (!atomic_load(&front->stopping)) {
        int fd = poll(&poll_fd, 1, 20) > 0 ? accept(front->listener, NULL, NULL) : -1;

        if (fd < 0)
            continue;
        SSL *tls = SSL_new(front->context);

        SSL_set_fd(tls, fd);
        if (SSL_accept(tls) == 1)
            relay(front, tls, fd);
        SSL_free(tls);
        close(fd);
    }
    close(front->listener);
    return NULL;
}

void tls_front_start(struct tls_front *front, const struct pem_files *files, int max_version, const char *behind)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    pthread_t thread;

    memset(front, 0, sizeof(*front));
    snprintf(front->behind, sizeof(front->behind), "%s", behind);
    front->context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(front->context, max_version);
    SSL_CTX_set_verify(front->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    MUST(SSL_CTX_load_verify_locations(front->context, files->ca, NULL) == 1 &&
         SSL_CTX_use_certificate_file(front->context, files->certificate, SSL_FILETYPE_PEM) == 1 &&
         SSL_CTX_use_PrivateKey_file(front->context, files->key, SSL_FILETYPE_PEM) == 1);
    front->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(bind(front->listener, (struct sockaddr *)&address, len) == 0 && listen(front->listener, 16) == 0);
    getsockname(front->listener, (struct sockaddr *)&address, &len);
    snprintf(front->url, sizeof(front->url), "tls+tcp://127.0.0.1:%u", ntohs(address.sin_port));
    MUST(pthread_create(&thread, NULL, run, front) == 0);
    front->thread = thread;
}

void tls_front_stop(struct tls_front *front)
{
    atomic_store(&front->stopping, true);
    pthread_join(front->thread, NULL);
    SSL_CTX_free(front->context);
}
