/* What reactor.c and connection.c share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include "node.h"
#include "server/dispatch.h"
#include "server/reactor.h"
#include "server/server.h"

struct connection;

/* A reply that the slow pool made; carried back to the connection's reactor. */
struct slow_reply {
    struct connection *connection;
    uint8_t backtrace[32]; /* SP ids of the request */
    size_t backtrace_len;
    struct bytes reply;
    struct slow_reply *next;
};

struct reactor {
    struct node *node;
    struct server *server;
    struct reactors *all;
    unsigned worker;
    int epoll;
    int wake; /* eventfd */
    pthread_t thread;
    bool started;
    _Atomic bool stopping;
    atomic_uint n_connections;
    atomic_uint busy; /* turning: between waking up and waiting again */

    struct bytes reply;       /* the message being answered */
    struct connection *turns; /* connections with whole messages at hand: of this thread alone */
    struct connection **last_turn;

    pthread_mutex_t lock; /* guards connections and slow_replies */
    struct connection *connections;
    struct slow_reply *slow_replies;
};

/* connection.c */
status_code connection_open(struct reactor *reactor, int fd, SSL_CTX *tls, bool ipc, bool local);
/** One turn: answers messages for a slice of time; asks for another turn when more are at hand. */
void connection_turn(struct connection *connection);
void connection_slow_reply(struct slow_reply *slow);
/** Closes what has waited too long in a handshake or in the middle of a message. */
void connections_sweep(struct reactor *reactor);
void connections_close_all(struct reactor *reactor);
struct connection *connection_next_turn(struct connection *connection);

/* reactor.c */
void reactor_add_turn(struct reactor *reactor, struct connection *connection, struct connection **next);
void reactor_post(struct reactor *reactor, struct slow_reply *slow);
uint64_t reactor_now_ms(void);
