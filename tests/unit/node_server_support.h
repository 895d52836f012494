/* A served node for tests: a real member of a cluster of one, with its own CA, in a folder of its own; and a plain
 * client that sends bytes, frames and messages as a test wants them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/ssl.h>
#include "node.h"
#include "protocol/message.h"
#include "server/server.h"

struct served {
    char folder[64];
    struct node *node;
    struct server *server;
    EVP_PKEY *ca_key, *client_key;
    X509 *ca, *client;
    SSL_CTX *client_context; /* TLS 1.3 with the client's certificate */
};

/** `settings`: NAME=VALUE, NULL-ended, over the test's own. */
struct served *served_start(const char *const *settings);
void served_stop(struct served *served);

/** The i-th bound URL. */
const char *served_url(const struct served *served, unsigned i);

/** ipc:// of the node's own socket. */
const char *served_socket(const struct served *served);

/** PEM files of the CA and of the client's certificate and key in the folder: ca.test, client.test, client.key. */
void served_write_client_files(const struct served *served);

/** A certificate for clientAuth or serverAuth, from the test's CA or, without `served`, signed by itself. */
X509 *served_issue(const struct served *served, EVP_PKEY *key, const char *name, const char *usage);

/* The client. Calls fail the test when they cannot be done. */
struct wire {
    int fd;
    SSL *tls;
    bool ipc;
};

struct wire wire_connect(const char *url, SSL_CTX *context); /* no handshake of any kind */
struct wire wire_open(const struct served *served, const char *url);
void wire_close(struct wire *wire);
void wire_send(struct wire *wire, const void *data, size_t len);
/** False at the end of the connection. */
bool wire_receive(struct wire *wire, void *data, size_t len);
/** A frame with this request id. */
void wire_send_message(struct wire *wire, uint32_t id, struct slice message);
bool wire_receive_message(struct wire *wire, uint32_t *id, struct bytes *message);
/** Whether the node ends the connection within `seconds`, whatever it sends before. */
bool wire_ends(struct wire *wire, unsigned seconds);

/** A message of `n` equal requests. */
void build_message(struct bytes *message, const struct values *header, enum operation operation,
                   const struct values *fields, uint32_t n);
void build_ping(struct bytes *message, uint32_t n);

/** One request, one answer. `reply` holds what `answer` refers to. */
status_code wire_call(struct wire *wire, struct slice ticket, enum operation operation, const struct values *fields,
                      struct bytes *reply, struct values *answer);

/** Activates the cluster with administrator `admin` and adds crypto-user `user`; both have the password `password`. */
void served_add_users(const struct served *served);
void served_login(const struct served *served, const char *name, struct bytes *ticket);

void sleep_ms(unsigned ms);
uint64_t now_ms(void); /* monotonic */
uint64_t cpu_ms(void); /* of this process, node included */

/* Tests of the direct listener listen on these two first. */
enum { LISTEN_TLS, LISTEN_TCP };

void assert_ping(struct wire *wire);

/** The node still serves everybody, on every listener. */
void assert_well(struct served *served);

/** Until there are so many connections for good: what was connected last may still wait to be accepted. */
void wait_for_connections(int64_t n);
