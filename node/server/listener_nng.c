/* The NNG listener: rep0 with many contexts on any URL that NNG listens on (see listener_nng_is_sound for which of them
 * the server has carried by it). A context receives a message, has it
 * answered on NNG's thread or in the slow pool, sends the reply and receives again.
 *
 * There are more contexts than desks: a context waits in the slow pool without holding up others, while a desk, which
 * is a worker number and a reply buffer, is needed only for as long as a thread answers. */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/tls/tls.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "identity/member.h"
#include "node.h"
#include "protocol/nng_tls.h"
#include "protocol/sp.h"
#include "server/dispatch.h"
#include "server/server.h"

#define CONTEXTS   128u
#define DESKS      8u
#define REST_MS    1000u /* for answers under way when the listener closes */
#define CLOSE_MS   3000u
#define REPLY_KEEP ((size_t)1 << 20)

struct listener_nng;

struct desk {
    unsigned worker;
    atomic_flag taken;
    struct bytes reply;
};

struct exchange {
    struct listener_nng *listener;
    nng_ctx context;
    nng_aio *aio;
    _Atomic(enum {RECEIVING, ANSWERING, SENDING}) state;
    nng_msg *message; /* while it is answered */
    struct peer peer;
};

struct listener_nng {
    struct listener base;
    struct node *node;
    nng_socket socket;
    nng_listener endpoint;
    atomic_uint n_busy;   /* contexts that answer or send */
    _Atomic bool closing; /* no context receives any more */
    _Atomic bool closed;  /* nng_close has come back */
    unsigned n_desks;
    struct desk desks[DESKS];
    unsigned n_exchanges;
    struct exchange exchanges[CONTEXTS];
};

/* --- answering --- */

static void receive(struct exchange *exchange)
{
    if (atomic_load(&exchange->listener->closing))
        return;
    exchange->state = RECEIVING;
    nng_ctx_recv(exchange->context, exchange->aio);
}

/* The message's body becomes the reply; its header, where rep0 keeps the way back, stays with the context. */
static void send_reply(struct exchange *exchange, const struct bytes *reply)
{
    nng_msg *message = exchange->message;

    exchange->message = NULL;
    secret_wipe(nng_msg_body(message), nng_msg_len(message));
    nng_msg_clear(message);
    if (nng_msg_append(message, reply->data, reply->len) != 0) {
        nng_msg_free(message);
        atomic_fetch_sub(&exchange->listener->n_busy, 1);
        receive(exchange);
        return;
    }
    exchange->state = SENDING;
    nng_aio_set_msg(exchange->aio, message);
    nng_ctx_send(exchange->context, exchange->aio);
}

static void slow_finished(void *context, struct bytes *reply)
{
    send_reply(context, reply);
}

static void send_to_pool(struct exchange *exchange, enum operation_cost cost, struct slice message)
{
    CLEANUP(bytes_release) struct bytes refusal = BYTES_SECRET;
    struct node *node = exchange->listener->node;
    status_code status = slow_pool_run(server_pool(node->server, cost), false, message, slow_finished, exchange);

    if (status == STATUS_OK)
        return;
    dispatch_refuse(node, status, &refusal);
    send_reply(exchange, &refusal);
}

static struct desk *take_desk(struct listener_nng *listener)
{
    for (unsigned i = 0; i < listener->n_desks; i++) {
        if (!atomic_flag_test_and_set_explicit(&listener->desks[i].taken, memory_order_acquire))
            return &listener->desks[i];
    }
    return NULL;
}

static void answer(struct exchange *exchange)
{
    struct slice message = slice_of(nng_msg_body(exchange->message), nng_msg_len(exchange->message));
    enum operation_cost cost = dispatch_cost(message);
    struct desk *desk = cost != COST_FAST ? NULL : take_desk(exchange->listener);

    if (!desk) {
        send_to_pool(exchange, cost, message);
        return;
    }
    dispatch_message(exchange->listener->node, desk->worker, &exchange->peer, message, &desk->reply);
    send_reply(exchange, &desk->reply);
    if (desk->reply.capacity > REPLY_KEEP)
        bytes_release(&desk->reply);
    atomic_flag_clear_explicit(&desk->taken, memory_order_release);
}

static void progress(void *argument)
{
    struct exchange *exchange = argument;
    int code = nng_aio_result(exchange->aio);

    if (exchange->state == SENDING) {
        if (code != 0) {
            nng_msg_free(nng_aio_get_msg(exchange->aio));
            nng_aio_set_msg(exchange->aio, NULL);
        }
        atomic_fetch_sub(&exchange->listener->n_busy, 1);
        if (code != NNG_ECLOSED)
            receive(exchange);
        return;
    }
    if (code == NNG_ECLOSED || code == NNG_ECANCELED || atomic_load(&exchange->listener->closing)) {
        if (code == 0)
            nng_msg_free(nng_aio_get_msg(exchange->aio));
        return;
    }
    if (code != 0) {
        receive(exchange);
        return;
    }
    exchange->message = nng_aio_get_msg(exchange->aio);
    nng_aio_set_msg(exchange->aio, NULL);
    exchange->state = ANSWERING;
    atomic_fetch_add(&exchange->listener->n_busy, 1);
    answer(exchange);
}

/* --- going --- */

static struct listener_nng *nng_of(struct listener *listener)
{
    return (struct listener_nng *)listener;
}

static void stop_accepting(struct listener *base)
{
    nng_listener_close(nng_of(base)->endpoint);
}

static int idle(struct listener *base)
{
    return atomic_load(&nng_of(base)->n_busy) == 0;
}

/* No context takes anything new; what is under way gets its time to leave, since NNG does not like to be closed in the
 * middle of a message. */
static void come_to_rest(struct listener_nng *listener)
{
    atomic_store(&listener->closing, true);
    for (unsigned i = 0; i < listener->n_exchanges; i++) {
        if (listener->exchanges[i].state == RECEIVING)
            nng_aio_cancel(listener->exchanges[i].aio);
    }
    for (unsigned ms = 0; ms < REST_MS && atomic_load(&listener->n_busy); ms += 10)
        nng_msleep(10);
    nng_msleep(50); /* NNG says "sent" before the bytes have left */
}

static void *close_socket(void *argument)
{
    struct listener_nng *listener = argument;

    nng_close(listener->socket);
    atomic_store(&listener->closed, true);
    return NULL;
}

/* nng_close may wait for a lost connection for ever (nanomsg/nng, issues 1543 and 1813): the node must stop all the
 * same. False when that came to pass; NNG may then still use what the listener holds. */
static bool close_in_time(struct listener_nng *listener)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, close_socket, listener) != 0)
        return false;
    for (unsigned ms = 0; ms < CLOSE_MS && !atomic_load(&listener->closed); ms += 5)
        nng_msleep(5);
    if (atomic_load(&listener->closed)) {
        pthread_join(thread, NULL);
        return true;
    }
    pthread_detach(thread);
    log_event(LOG_LEVEL_WARNING, "an NNG socket did not close", "hint", "it ends with the process", NULL);
    return false;
}

static void close_listener(struct listener *base)
{
    struct listener_nng *listener = nng_of(base);

    come_to_rest(listener);
    if (!close_in_time(listener))
        return;
    for (unsigned i = 0; i < listener->n_exchanges; i++) {
        nng_aio_stop(listener->exchanges[i].aio);
        nng_aio_free(listener->exchanges[i].aio);
        peer_release(&listener->exchanges[i].peer);
    }
    for (unsigned i = 0; i < listener->n_desks; i++)
        bytes_release(&listener->desks[i].reply);
    free(listener);
}

static const struct listener_operations operations = {stop_accepting, idle, close_listener};

/* --- coming --- */

enum reach { REACH_TLS, REACH_PLAIN, REACH_FILE, REACH_PROCESS };

static const struct scheme {
    const char *prefix;
    enum reach reach;
} SCHEMES[] = {
    {"tls+tcp://", REACH_TLS}, {"wss://", REACH_TLS},  {"tcp://", REACH_PLAIN},
    {"ws://", REACH_PLAIN},    {"ipc://", REACH_FILE}, {"inproc://", REACH_PROCESS},
};

static const struct scheme *scheme_of(const char *url)
{
    for (unsigned i = 0; i < sizeof(SCHEMES) / sizeof(*SCHEMES); i++) {
        if (strncmp(url, SCHEMES[i].prefix, strlen(SCHEMES[i].prefix)) == 0)
            return &SCHEMES[i];
    }
    return NULL;
}

bool listener_nng_is_sound(const char *url)
{
    return strncmp(url, "tls+tcp://", 10) != 0 && strncmp(url, "tcp://", 6) != 0 && strncmp(url, "ipc://", 6) != 0;
}

static status_code must(int code, const char *url)
{
    CHECK(code == 0, STATUS_IO_ERROR, "listen-nng: %s: %s", url, nng_strerror(code));
    return STATUS_OK;
}

static status_code check_peer(void *context, const uint8_t certificate_hash[32])
{
    bool removed = false;

    TRY(members_is_removed(context, certificate_hash, &removed));
    CHECK(!removed, STATUS_TLS_ERROR, "the certificate of a node that was removed from the cluster");
    return STATUS_OK;
}

static status_code use_tls(struct listener_nng *listener, const char *url)
{
    SSL_CTX *context;
    nng_tls_config *config;

    TRY(identity_tls_context(listener->node->identity, &context));
    status_code status = nng_tls_use_for_server(context, check_peer, listener->node);
    SSL_CTX_free(context);
    TRY(status);
    TRY(must(nng_tls_config_alloc(&config, NNG_TLS_MODE_SERVER), url));
    int code = nng_listener_set_ptr(listener->endpoint, NNG_OPT_TLS_CONFIG, config);
    nng_tls_config_free(config); /* the listener holds its own reference */
    return must(code, url);
}

static status_code check_plain(const char *url, const char *rest)
{
    char authority[LISTENER_URL_MAX];

    snprintf(authority, sizeof(authority), "%.*s", (int)strcspn(rest, "/"), rest);
    return listener_check_loopback(url, authority);
}

/* What the URL's reach asks for before it may be listened on. */
static status_code secure(struct listener_nng *listener, const char *url)
{
    const struct scheme *scheme = scheme_of(url);

    CHECK(scheme, STATUS_CONFIG_INVALID,
          "listen-nng: %s: the schemes are tls+tcp, wss, ipc, inproc, and on loopback addresses tcp and ws", url);
    if (scheme->reach == REACH_PLAIN)
        TRY(check_plain(url, url + strlen(scheme->prefix)));
    TRY(must(nng_listener_create(&listener->endpoint, listener->socket, url), url));
    if (scheme->reach == REACH_FILE)
        return must(nng_listener_set_int(listener->endpoint, NNG_OPT_IPC_PERMISSIONS, 0600), url);
    return scheme->reach == REACH_TLS ? use_tls(listener, url) : STATUS_OK;
}

static status_code start_exchanges(struct listener_nng *listener, const char *url)
{
    for (unsigned i = 0; i < DESKS; i++) {
        unsigned worker = server_take_worker(listener->node->server);

        if (worker >= WORKERS_MAX)
            break; /* fewer will do; without any, all goes through the slow pool */
        listener->desks[i] = (struct desk){.worker = worker, .taken = ATOMIC_FLAG_INIT, .reply = BYTES_SECRET};
        listener->desks[i].reply.limit = 2 * MESSAGE_MAX;
        listener->n_desks++;
    }
    for (unsigned i = 0; i < CONTEXTS; i++) {
        struct exchange *exchange = &listener->exchanges[i];

        exchange->listener = listener;
        TRY(must(nng_aio_alloc(&exchange->aio, progress, exchange), url));
        listener->n_exchanges++;
        TRY(must(nng_ctx_open(&exchange->context, listener->socket), url));
    }
    return STATUS_OK;
}

/* With the port that was picked where the URL says :0. */
static void describe_bound(const struct listener_nng *listener, const char *url, char *bound_url)
{
    const char *authority = strstr(url, "://") + 3;
    size_t end = (size_t)(authority - url) + strcspn(authority, "/");
    int port;

    if (end > 2 && strncmp(url + end - 2, ":0", 2) == 0 &&
        nng_listener_get_int(listener->endpoint, NNG_OPT_TCP_BOUND_PORT, &port) == 0)
        snprintf(bound_url, LISTENER_URL_MAX, "%.*s:%d%s", (int)(end - 2), url, port, url + end);
    else
        snprintf(bound_url, LISTENER_URL_MAX, "%.255s", url);
}

static status_code open_parts(struct listener_nng *listener, const char *url, char *bound_url)
{
    /* The first NNG call initializes the library, which registers its own TLS engine; the last registration wins. */
    TRY(must(nng_rep0_open(&listener->socket), url));
    TRY(must(nng_socket_set_size(listener->socket, NNG_OPT_RECVMAXSZ, MESSAGE_MAX + SP_ID_LEN), url));
    TRY(secure(listener, url));
    TRY(start_exchanges(listener, url));
    TRY(must(nng_listener_start(listener->endpoint, 0), url));
    describe_bound(listener, url, bound_url);
    for (unsigned i = 0; i < listener->n_exchanges; i++)
        receive(&listener->exchanges[i]);
    return STATUS_OK;
}

status_code listener_open_nng(struct node *node, const char *url, char *bound_url, struct listener **listener)
{
    struct listener_nng *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a listener");
    made->base.operations = &operations;
    made->node = node;
    status_code status = open_parts(made, url, bound_url);
    if (status != STATUS_OK) {
        close_listener(&made->base);
        return status;
    }
    *listener = &made->base;
    return STATUS_OK;
}
