/* What the files of the core share: operations on their way, channels that carry them, nodes that have channels.
 *
 * Locks: channel.lock guards a channel and every operation on it; queue.lock a queue's lists; core.lock the node table
 * and the names in it. The latter two are taken inside the first, never inside each other, and no lock but a channel's
 * own is held across the network. */
#pragma once

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include "cluster_core.h"
#include "crypto_context.h"
#include "config.h"
#include "login.h"
#include "platform.h"
#include "transport.h"

#define HELLO_ID            0x80000000u /* ids of requests have the upper bit (SP) */
#define NODES_MAX           64u
#define CONNECTIONS_MAX     8u
#define FLIGHTS_MAX         16u
#define FAST_FLIGHTS        2u    /* messages of fast operations under way on a connection */
#define MESSAGE_COST_US     1000u /* estimated work in one message; more when much waits */
#define MESSAGE_COST_MAX_US 4000u
#define LIGHT_US            100u                /* operations below this travel together whatever they cost */
#define MESSAGE_BYTES       ((size_t)256 << 10) /* of small requests in one message */
#define ALONE_BYTES         ((size_t)64 << 10)  /* a request as large as this goes alone */
#define COSTS               1024u

struct channel;
struct node_entry;

enum op_state {
    OP_IDLE,
    OP_PENDING, /* waits on a channel for a message to travel in */
    OP_IN_FLIGHT,
    OP_ANSWERED,
    OP_UNSENT, /* could not be sent once more: the login failed */
    OP_LOST,   /* the connection ended, or the attempt took too long: to be tried elsewhere */
};

/* What the waiting thread is told. After OVER nobody else touches the operation. */
enum op_event { EVENT_READ = PLATFORM_EVENT_FIRST, EVENT_OVER };

/* One request on its way. Belongs to the thread that calls or to a queue; while PENDING or IN_FLIGHT its channel's lock
 * guards it. */
struct op {
    struct op *next;
    enum op_state state;
    struct channel *channel;
    unsigned flight, position;
    enum operation operation;
    struct login *login;
    struct bytes encoded; /* [operation, fields] */
    uint32_t cost_us;
    uint64_t cost_key; /* 0: nothing is learned */
    bool slow, alone;
    unsigned attempt_factor; /* how many times longer than usual a node is given */
    uint64_t timeout_ns, deadline_ns, attempt_end_ns;
    struct core_relogin again; /* spent once it was used */
    uint64_t tried;            /* nodes of this round, a bit each */
    unsigned rounds;
    int only_node; /* index, or -1 */

    status_code status;
    struct bytes reply; /* the answer's fields, encoded */
    char detail[FAILURE_DETAIL_MAX];
    struct node_entry *node; /* of the last attempt */

    platform_event event; /* enum op_event, for the thread that waits */

    struct core_queue *queue; /* NULL: a thread waits */
    struct op *queue_previous, *queue_next;
    void *user_data;
};

struct flight {
    uint32_t id; /* 0: free */
    struct op **ops;
    unsigned n, room, n_live;
    bool slow;
    uint64_t cost_us; /* estimated work */
    struct login *login;
    uint64_t sent_ns;
};

struct channel {
    pthread_mutex_t lock; /* guards all below */
    struct node_entry *node;
    struct link *link;
    uint64_t version;    /* of the protocol, as agreed on this connection */
    uint64_t generation; /* of link: for sets that watch its descriptor */
    bool broken;         /* to be closed by the last thread that polls its descriptor */
    unsigned n_polling;
    bool has_reader;
    struct op *heir;          /* told to become the reader, and not there yet */
    unsigned n_waiting;       /* operations here that a thread waits for */
    struct op *over;          /* whose threads are to be woken once the lock is free */
    struct op *first, **last; /* pending */
    uint64_t pending_us;      /* estimated work of these */
    struct flight flights[FLIGHTS_MAX];
    unsigned n_fast, n_flights;
    uint64_t fast_us; /* estimated work of the fast messages under way */
    uint32_t next_id;
    struct bytes message; /* being built; secret: it holds tickets */
    atomic_uint load;     /* operations pending or in flight */
    atomic_bool sending;  /* the socket did not take all yet */
};

struct node_entry {
    struct core *core;
    unsigned index;
    char url[256], name[129], zone[65];
    uint8_t id[ID_LEN];
    bool seed;        /* configured: never forgotten */
    atomic_bool near; /* in the client's zone */
    atomic_bool gone;
    atomic_bool connected; /* a connection has been made and not been lost since */
    atomic_bool connecting;
    atomic_bool draining;
    atomic_uint failures;           /* consecutive */
    _Atomic uint64_t open_until_ns; /* circuit: no requests but a probe before this */
    atomic_bool probing;
    _Atomic uint64_t n_requests, n_failures, n_messages, latency_us, node_time_us;
    unsigned n_channels;
    struct channel channels[CONNECTIONS_MAX];
};

struct core {
    struct hsm_config *config;
    bool single;      /* one endpoint, learn of no other */
    _Atomic long pid; /* the process that this was made for; negative while it is being made anew after a fork */
    struct crypto_context *context;
    SSL_CTX *tls;
    char *ca_pem, *certificate_pem, *key_pem;

    pthread_mutex_t lock; /* guards the table of nodes and names in it, cluster_id */
    struct node_entry *nodes[NODES_MAX];
    atomic_uint n_nodes;
    uint8_t cluster_id[ID_LEN];
    bool has_cluster_id;

    atomic_uint turn; /* round-robin */
    _Atomic uint64_t revision;
    _Atomic uint64_t refresh_at_ns;
    atomic_bool refreshing;
    _Atomic uint64_t n_requests, n_retries, n_failures;
    _Atomic uint64_t costs[COSTS]; /* key hash in the upper 40 bits, microseconds * 16 in the lower 24 */
};

/* core.c */
/** Makes the connections of a child of fork its own, and notes that this thread uses the core's context; called on
 * every way in. */
status_code core_check_fork(struct core *core);

/* core_tls.c */
/** Reads the files that the configuration names. */
status_code tls_read_files(struct core *core);
/** OpenSSL context and TLS settings of the core. */
status_code tls_set_up(struct core *core);
/** `forget`: they are those of the process that forked this one. */
void tls_tear_down(struct core *core, bool forget);

/* operation.c */
status_code op_init(struct core *core, const struct core_request *request, struct op *op);
void op_release(struct op *op);
/** Chooses node and channel of the next attempt and how long it may last; NULL when there is no node at all. */
struct channel *op_begin_attempt(struct core *core, struct op *op);
/** After an attempt that did not settle it: whether to try again, and then not before *not_before_ns. */
bool op_try_again(struct core *core, struct op *op, uint64_t *not_before_ns);
/** Whether another login was made because the ticket of an operation that is over had expired: it is then as it was
 * before its first attempt. Reaches the network. */
bool op_log_in_again(struct op *op);
/** Status and detail of an operation that is over. */
void op_conclude(struct core *core, struct op *op);
/** Moves an op's result into a reply and values. */
status_code op_take_answer(struct op *op, struct bytes *reply, struct values *answer);

/* call.c */
void core_refresh_if_due(struct core *core);

/* nodes.c */
status_code node_add(struct core *core, const char *url, bool seed, struct node_entry **node);
/** The node for the next attempt; NULL when there is none at all. */
struct node_entry *node_choose(struct core *core, struct op *op);
struct channel *node_channel(struct node_entry *node);
void node_succeeded(struct node_entry *node, uint64_t latency_us);
void node_failed(struct node_entry *node, bool at_once);
bool node_is_healthy(const struct node_entry *node);
/** Whether a node other than this one could take over. */
bool node_has_alternative(struct core *core, const struct node_entry *node);

/* membership.c */
/** Index of the node with this name or address, or -1. */
int node_find(struct core *core, const char *name);
void node_describe(struct core *core, const struct node_entry *node, char name[CORE_NODE_NAME_MAX]);
/** What a node says of itself when a connection is opened; STATUS_TLS_ERROR when it is of another cluster. */
status_code node_introduce(struct node_entry *node, const struct values *hello);
void node_learn_all(struct core *core, const struct values *description);

/* channel.c */
void channel_init(struct channel *channel, struct node_entry *node);
void channel_close(struct channel *channel, bool forget);
/** Puts one operation and waits for it, reading for all if nobody does. */
void channel_call(struct channel *channel, struct op *op);
/** Appends operations (a list) to the channel, connecting if need be, and sends what may go. On failure they are LOST.
 */
void channel_put(struct channel *channel, struct op *ops);
/** Reads what is there, without waiting. */
void channel_drive(struct channel *channel);
/** Takes an operation of a queue off its channel, if it is still there. */
void channel_give_up(struct op *op);
/** Takes off all operations of queues whose attempts have lasted too long. */
void channel_expire(struct channel *channel, uint64_t now_ns);

/* channel_state.c: with the channel's lock held, as all below */
/** The operation is over or lost: its owner will be told. */
void channel_leave(struct op *op, enum op_state state);
void channel_lose(struct op *op, status_code status, const char *detail);
/** The connection is over: everything on it is to be tried elsewhere. The cause is the thread's failure detail. */
void channel_fail(struct channel *channel);
/** At once, or as soon as no thread polls it. */
void channel_close_link(struct channel *channel);
void flight_free(struct channel *channel, struct flight *flight);

/* channel_connect.c */
status_code channel_connect(struct channel *channel, uint64_t end_ns);

/* channel_send.c */
void channel_append(struct channel *channel, struct op *ops);
void channel_remove(struct channel *channel, struct op *op);
/** Sends as much as may be under way. */
void channel_pump(struct channel *channel);

/* channel_receive.c */
/** Takes everything that has arrived; then sends what had to wait for it. */
void channel_receive(struct channel *channel);

/* cost.c */
uint32_t cost_estimate(struct core *core, const struct op *op, const struct values *fields);
void cost_learn(struct core *core, uint64_t key, uint64_t microseconds);
uint64_t cost_key_of(enum operation operation, const uint8_t *key_id);

/* queue.c */
void queue_completed(struct op *op);
