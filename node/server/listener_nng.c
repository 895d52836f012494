/* The NNG listener: rep0 with several contexts on any URL that NNG listens on. A context receives a message, has it
 * answered on NNG's thread or in the slow pool, sends the reply and receives again. */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/tls/tls.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "node.h"
#include "server/dispatch.h"
#include "server/nng_tls_engine.h"
#include "server/server.h"

#define CONTEXTS 8u

struct listener_nng;

struct exchange {
    struct listener_nng *listener;
    nng_ctx context;
    nng_aio *aio;
    unsigned worker;
    enum { RECEIVING, ANSWERING, SENDING } state;
    nng_msg *message; /* while it is answered */
    struct bytes reply;
};

struct listener_nng {
    struct listener base;
    struct node *node;
    nng_socket socket;
    nng_listener endpoint;
    atomic_uint n_busy;
    unsigned n_exchanges;
    struct exchange exchanges[CONTEXTS];
};

static status_code failed(const char *url, int code)
{
    FAIL(STATUS_IO_ERROR, "listen-nng: %s: %s", url, nng_strerror(code));
}

static void receive(struct exchange *exchange)
{
    exchange->state = RECEIVING;
    nng_ctx_recv(exchange->context, exchange->aio);
}

/* The message's body becomes the reply; its header, where rep0 keeps the way back, stays with the context. */
static void send_reply(struct exchange *exchange, const struct bytes *reply)
{
    nng_msg *message = exchange->message;

    exchange->message = NULL;
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

static void answer(struct exchange *exchange)
{
    struct slice message = slice_of(nng_msg_body(exchange->message), nng_msg_len(exchange->message));
    struct server *server = exchange->listener->node->server;
    struct peer peer = {.local = false, .ticket = BYTES_INIT};

    if (dispatch_is_slow(message) && server_run_slow(server, false, message, slow_finished, exchange) == STATUS_OK)
        return;
    dispatch_message(exchange->listener->node, exchange->worker, &peer, message, &exchange->reply);
    peer_release(&peer);
    send_reply(exchange, &exchange->reply);
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
    if (code == NNG_ECLOSED || code == NNG_ECANCELED)
        return;
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

static void close_listener(struct listener *base)
{
    struct listener_nng *listener = nng_of(base);

    nng_close(listener->socket);
    for (unsigned i = 0; i < listener->n_exchanges; i++) {
        struct exchange *exchange = &listener->exchanges[i];

        nng_aio_stop(exchange->aio);
        nng_aio_free(exchange->aio);
        bytes_release(&exchange->reply);
    }
    free(listener);
}

static const struct listener_operations operations = {stop_accepting, idle, close_listener};

static int start_exchanges(struct listener_nng *listener)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        struct exchange *exchange = &listener->exchanges[i];
        int code;

        exchange->worker = server_take_worker(listener->node->server);
        if (exchange->worker >= WORKERS_MAX)
            return listener->n_exchanges ? 0 : NNG_ENOMEM;
        exchange->listener = listener;
        exchange->reply = (struct bytes)BYTES_SECRET;
        exchange->reply.limit = 2 * MESSAGE_MAX;
        if ((code = nng_aio_alloc(&exchange->aio, progress, exchange)) != 0)
            return code;
        listener->n_exchanges++;
        if ((code = nng_ctx_open(&exchange->context, listener->socket)) != 0)
            return code;
    }
    return 0;
}

static int use_tls(struct listener_nng *listener)
{
    SSL_CTX *context;
    nng_tls_config *config;

    if (identity_tls_context(listener->node->identity, &context) != STATUS_OK)
        return NNG_ESTATE;
    status_code status = nng_tls_engine_use_openssl(context);
    SSL_CTX_free(context);
    if (status != STATUS_OK)
        return NNG_ENOTSUP;
    int code = nng_tls_config_alloc(&config, NNG_TLS_MODE_SERVER);
    if (code == 0)
        code = nng_listener_set_ptr(listener->endpoint, NNG_OPT_TLS_CONFIG, config);
    if (code == 0)
        nng_tls_config_free(config); /* the listener holds its own reference */
    return code;
}

static bool has_tls(const char *url)
{
    return strncmp(url, "tls+", 4) == 0 || strncmp(url, "wss:", 4) == 0;
}

static int open_parts(struct listener_nng *listener, const char *url, char *bound_url)
{
    int port, code;

    /* The first NNG call initializes the library, which registers its own TLS engine; the last registration wins. */
    if ((code = nng_rep0_open(&listener->socket)) != 0)
        return code;
    if ((code = nng_socket_set_size(listener->socket, NNG_OPT_RECVMAXSZ, MESSAGE_MAX)) != 0 ||
        (code = nng_listener_create(&listener->endpoint, listener->socket, url)) != 0 ||
        (has_tls(url) && (code = use_tls(listener)) != 0) || (code = start_exchanges(listener)) != 0 ||
        (code = nng_listener_start(listener->endpoint, 0)) != 0)
        return code;
    snprintf(bound_url, 256, "%.255s", url);
    const char *colon = strrchr(url, ':');
    if (colon && strcmp(colon, ":0") == 0 &&
        nng_listener_get_int(listener->endpoint, NNG_OPT_TCP_BOUND_PORT, &port) == 0)
        snprintf(bound_url, 256, "%.*s:%d", (int)(colon - url), url, port);
    for (unsigned i = 0; i < listener->n_exchanges; i++)
        receive(&listener->exchanges[i]);
    return 0;
}

status_code listener_open_nng(struct node *node, const char *url, char *bound_url, struct listener **listener)
{
    struct listener_nng *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a listener");
    made->base.operations = &operations;
    made->node = node;
    int code = open_parts(made, url, bound_url);
    if (code != 0) {
        close_listener(&made->base);
        return failed(url, code);
    }
    *listener = &made->base;
    return STATUS_OK;
}
