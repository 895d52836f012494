/* Messages of a connection: SP's framing around them, and their way to the dispatcher or the slow pool and back. What
 * is no SP ends the connection; what is no message of ours is answered. */
#include <stdlib.h>
#include "protocol/sp.h"
#include "server/connection.h"

#define FRAME_MAX           (MESSAGE_MAX + SP_ID_LEN * BACKTRACE_MAX)
#define OUT_HIGH            ((size_t)1 << 20) /* unsent answers: then no more requests are taken */
#define OUTSTANDING_MAX     64u               /* requests of one connection in the slow pool */
#define OUTSTANDING_LEN_MAX ((size_t)8 << 20)

bool message_saturated(const struct connection *connection)
{
    return connection->outstanding >= OUTSTANDING_MAX || connection->outstanding_len >= OUTSTANDING_LEN_MAX ||
           connection->out.len - connection->out_start >= OUT_HIGH;
}

/* --- SP --- */

void message_send_handshake(struct connection *connection)
{
    uint8_t handshake[SP_HANDSHAKE_LEN];

    sp_handshake_encode(SP_PROTOCOL_REP, handshake);
    bytes_append(&connection->out, handshake, sizeof(handshake));
}

status_code message_take_handshake(struct connection *connection)
{
    if (connection_available(connection) < SP_HANDSHAKE_LEN)
        return STATUS_OK;
    TRY(sp_handshake_check(connection->in.data + connection->in_start, SP_PROTOCOL_REQ));
    connection->in_start += SP_HANDSHAKE_LEN;
    connection->state = STATE_OPEN;
    return STATUS_OK;
}

static size_t header_len(const struct connection *connection)
{
    return connection->ipc ? SP_IPC_HEADER_LEN : SP_TCP_HEADER_LEN;
}

/* The next whole frame's payload. *whole is false when bytes are missing. */
static status_code next_frame(const struct connection *connection, struct slice *payload, bool *whole)
{
    uint64_t len;

    *whole = false;
    if (connection_available(connection) < header_len(connection))
        return STATUS_OK;
    const uint8_t *at = connection->in.data + connection->in_start;

    TRY(sp_header_decode(connection->ipc, at, FRAME_MAX, &len));
    if (connection_available(connection) - header_len(connection) < len)
        return STATUS_OK;
    *payload = slice_of(at + header_len(connection), (size_t)len);
    *whole = true;
    return STATUS_OK;
}

bool message_at_hand(const struct connection *connection)
{
    struct slice payload;
    bool whole;

    return next_frame(connection, &payload, &whole) != STATUS_OK || whole;
}

/* The stack of ids before the message ends with the one whose top bit is set (sp-request-reply-01). */
static status_code split_backtrace(struct slice payload, struct slice *backtrace, struct slice *message)
{
    for (size_t len = SP_ID_LEN; len <= payload.len && len <= SP_ID_LEN * BACKTRACE_MAX; len += SP_ID_LEN) {
        if (!(payload.data[len - SP_ID_LEN] & 0x80))
            continue;
        *backtrace = slice_of(payload.data, len);
        *message = slice_of(payload.data + len, payload.len - len);
        return STATUS_OK;
    }
    FAIL(STATUS_PROTOCOL_ERROR, "a message without a request id");
}

/* --- answering --- */

static status_code send_reply(struct connection *connection, struct slice backtrace, struct slice reply)
{
    uint8_t header[SP_IPC_HEADER_LEN];
    size_t len = sp_header_encode(connection->ipc, backtrace.len + reply.len, header);

    if (connection->out_start == connection->out.len)
        connection->out_since_ms = reactor_now_ms();
    bytes_append(&connection->out, header, len);
    bytes_append(&connection->out, backtrace.data, backtrace.len);
    bytes_append(&connection->out, reply.data, reply.len);
    return bytes_ok(&connection->out);
}

status_code message_send_slow_reply(struct connection *connection, const struct slow_reply *slow)
{
    return send_reply(connection, slice_of(slow->backtrace, slow->backtrace_len), bytes_slice(&slow->reply));
}

/* On a thread of the pool, which gets an empty buffer for its next reply. */
static void slow_finished(void *context, struct bytes *reply)
{
    struct slow_reply *slow = context;

    slow->reply = *reply;
    *reply = (struct bytes)BYTES_SECRET;
    reactor_post(slow->connection->reactor, slow);
}

static status_code send_to_pool(struct connection *connection, enum operation_cost cost, struct slice backtrace,
                                struct slice message)
{
    struct slow_reply *slow = calloc(1, sizeof(*slow));

    CHECK(slow, STATUS_OUT_OF_MEMORY, "no memory for a request");
    slow->connection = connection;
    slow->reply = (struct bytes)BYTES_SECRET;
    memcpy(slow->backtrace, backtrace.data, backtrace.len);
    slow->backtrace_len = backtrace.len;
    slow->message_len = message.len;
    status_code status = slow_pool_run(server_pool(connection->reactor->server, cost), connection->peer.local, message,
                                       slow_finished, slow);
    if (status != STATUS_OK) {
        free(slow);
        return status;
    }
    connection->outstanding++;
    connection->outstanding_len += message.len;
    return STATUS_OK;
}

static status_code answer_frame(struct connection *connection, struct slice payload)
{
    struct reactor *reactor = connection->reactor;
    struct slice backtrace, message;

    TRY(split_backtrace(payload, &backtrace, &message));
    enum operation_cost cost = dispatch_cost(message);
    if (cost == COST_FAST) {
        dispatch_message(reactor->node, reactor->worker, &connection->peer, message, &reactor->reply);
        return send_reply(connection, backtrace, bytes_slice(&reactor->reply));
    }
    status_code status = send_to_pool(connection, cost, backtrace, message);
    if (status == STATUS_OK)
        return STATUS_OK;
    dispatch_refuse(reactor->node, status, &reactor->reply);
    return send_reply(connection, backtrace, bytes_slice(&reactor->reply));
}

status_code message_answer_all(struct connection *connection, uint64_t end_ns)
{
    while (!message_saturated(connection)) {
        struct slice payload;
        bool whole;

        TRY(next_frame(connection, &payload, &whole));
        if (!whole)
            break;
        TRY(answer_frame(connection, payload));
        connection->in_start += header_len(connection) + payload.len;
        connection->in_since_ms = reactor_now_ms();
        if (dispatch_now_ns() >= end_ns)
            break;
    }
    if (connection_available(connection) == 0)
        connection_empty(&connection->in, &connection->in_start);
    return STATUS_OK;
}
