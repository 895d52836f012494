/* Connections, and the reactors that carry them: what reactor.c and the connection_*.c files share.
 *
 * A connection is touched by its reactor's thread alone, except while it is made. It is closed at once, but freed only
 * when nothing names it any more: no reply of the slow pool, no turn, no event fetched before it was closed. */
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include "node.h"
#include "server/dispatch.h"
#include "server/reactor.h"
#include "server/server.h"

#define CONNECTION_READ ((size_t)64 << 10)
#define BACKTRACE_MAX   8u /* SP ids in front of a message: one for each device that it came through */

enum connection_state { STATE_TLS, STATE_SP, STATE_OPEN, STATE_CLOSED };

struct connection {
    struct watched watched; /* first: epoll knows no more */
    struct reactor *reactor;
    int fd;
    struct sockaddr_in6 from; /* sockaddr_in where the client came by IPv4; else AF_UNIX */
    SSL *tls;                 /* NULL on plain sockets */
    bool ipc;
    enum connection_state state;
    bool want_read;       /* EPOLLIN is watched */
    bool want_write;      /* EPOLLOUT is watched */
    bool in_turns;        /* in the reactor's list of turns */
    bool unread;          /* reading ended for fairness' sake: there may be more that no event announces */
    bool peer_closed;     /* nothing more will come */
    bool unsent;          /* counted in reactor->n_unsent */
    bool active;          /* something happened since the last sweep */
    unsigned outstanding; /* requests in the slow pool, and their bytes */
    size_t outstanding_len;
    uint64_t in_since_ms;  /* when the handshake, or the message that is incomplete, began */
    uint64_t out_since_ms; /* when the client last took something of what waits for it */
    struct peer peer;
    struct bytes in, out;
    size_t in_start, out_start; /* what is before has been dealt with */
    struct connection *next_turn;
    struct connection *next_dead;
    struct connection *previous, *next; /* in reactor->connections */
};

/* A message in the slow pool, and then its reply on the way back to the connection's reactor. */
struct slow_reply {
    struct connection *connection;
    uint8_t backtrace[4 * BACKTRACE_MAX];
    size_t backtrace_len;
    size_t message_len;
    struct bytes reply;
    struct slow_reply *next;
};

struct reactor {
    struct node *node;
    struct server *server;
    unsigned worker;
    int epoll;
    int wake; /* eventfd */
    pthread_t thread;
    bool started;
    _Atomic bool stopping;
    atomic_uint n_connections;
    atomic_uint busy;     /* between waking up and waiting again */
    atomic_uint n_posted; /* slow replies not yet taken */
    atomic_uint n_unsent; /* connections with answers that their clients do not take */

    /* Of the reactor's thread alone. */
    struct bytes reply;       /* the message being answered */
    struct connection *turns; /* connections with more at hand */
    struct connection **last_turn;
    struct connection *dead; /* closed: freed when this round of events is over */

    pthread_mutex_t lock; /* guards connections and slow_replies */
    struct connection *connections;
    struct slow_reply *slow_replies;
};

/* reactor.c */
void reactor_post(struct reactor *reactor, struct slow_reply *slow);
uint64_t reactor_now_ms(void);

/* connection.c */
status_code connection_open(struct reactor *reactor, int fd, SSL_CTX *tls, bool ipc, bool local);
/** Reads, answers for a slice of time, writes; asks for another turn when more is at hand. */
void connection_turn(struct connection *connection);
void connection_slow_reply(struct slow_reply *slow);
void connection_close(struct connection *connection);
size_t connection_available(const struct connection *connection);
/** Empties and wipes a buffer, and gives back a large one. */
void connection_empty(struct bytes *buffer, size_t *start);
/** Closes who takes too long, and gives back the buffers of who is idle. */
void connections_sweep(struct reactor *reactor);
/** Frees the dead; when no event or turn can name them. */
void connections_bury(struct reactor *reactor);
/** When the thread has ended. */
void connections_close_all(struct reactor *reactor);

/* connection_stream.c: bytes in and out. */
status_code stream_open(struct connection *connection, SSL_CTX *tls);
/** One step of the TLS handshake; *done when it is over. */
status_code stream_handshake(struct connection *connection, bool *done);
/** Reads what is there into `in`, up to a limit. */
void stream_read(struct connection *connection);
/** Writes what is in `out`. False when the connection is over. */
bool stream_flush(struct connection *connection);
void stream_watch(struct connection *connection, bool want_read, bool want_write);
void stream_close(struct connection *connection);

/* connection_message.c: SP, and the messages in it. */
void message_send_handshake(struct connection *connection);
status_code message_take_handshake(struct connection *connection);
/** Whether a whole message, or something that can be none, is in `in`. */
bool message_at_hand(const struct connection *connection);
/** Answers messages until `end_ns`, the first in any case. */
status_code message_answer_all(struct connection *connection, uint64_t end_ns);
status_code message_send_slow_reply(struct connection *connection, const struct slow_reply *slow);
/** Enough is waiting: no more requests are taken until some of it has gone. */
bool message_saturated(const struct connection *connection);
