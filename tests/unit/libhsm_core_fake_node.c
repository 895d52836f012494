/* The fake node: one thread, which polls its listener and connections. */
#include "libhsm_core_fake_node.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "protocol/message.h"
#include "protocol/sp.h"
#include "protocol/writer.h"

#define PEERS_MAX 64

static bool read_exactly(int fd, void *to, size_t len)
{
    uint8_t *at = to;

    while (len) {
        ssize_t n = recv(fd, at, len, 0);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool send_all(int fd, struct slice bytes, bool trickle)
{
    for (size_t at = 0; at < bytes.len;) {
        size_t n = trickle ? 1 : bytes.len - at;

        if (send(fd, bytes.data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
            return false;
        at += n;
    }
    return true;
}

/* The list of members: one other node. */
static void put_members(struct fake_node *node, struct values *answer, struct bytes *records)
{
    uint8_t id[ID_LEN] = {2};
    struct values record;

    values_init(&record);
    values_put_bytes(&record, FIELD_NODE_ID, slice_of(id, ID_LEN));
    values_put_bytes(&record, FIELD_ADDRESS, slice_text(node->member->url));
    write_array(records, 1);
    values_encode(&FIELD_SCHEMA, &record, records);
    values_put_bytes(answer, FIELD_RECORDS, bytes_slice(records));
}

static status_code status_for(enum behaviour behaviour, struct slice ticket)
{
    if (behaviour == EXPIRE_OLD && slice_equal(ticket, slice_text("old")))
        return STATUS_TICKET_EXPIRED;
    return behaviour == ANSWER_BUSY ? STATUS_BUSY : STATUS_OK;
}

static void put_answer(struct fake_node *node, struct slice ticket, uint64_t operation, const struct values *request,
                       struct bytes *reply)
{
    CLEANUP(bytes_release) struct bytes records = BYTES_INIT;
    struct values answer;
    uint8_t cluster[ID_LEN] = {1};
    enum behaviour behaviour = atomic_load(&node->behaviour);

    values_init(&answer);
    cluster[1] = behaviour == FOREIGN;
    if (operation == OP_HELLO || operation == OP_CLUSTER_DESCRIBE) {
        values_put_bytes(&answer, FIELD_CLUSTER_ID, slice_of(cluster, ID_LEN));
        values_put_bytes(&answer, FIELD_NAME, slice_text(node->url));
        if (operation == OP_CLUSTER_DESCRIBE && node->member)
            put_members(node, &answer, &records);
        message_append_answer(reply, STATUS_OK, &answer);
        return;
    }
    atomic_fetch_add(&node->n_requests, 1);
    struct slice data = values_bytes(request, FIELD_DATA);

    if (ticket.len == 1 && (data.len == 0 || data.data[0] != ticket.data[0]))
        atomic_fetch_add(&node->n_strays, 1);
    if (values_has(request, FIELD_DATA))
        values_put_bytes(&answer, FIELD_DATA, data);
    message_append_answer(reply, status_for(behaviour, ticket), &answer);
}

static void put_reply(struct fake_node *node, struct slice encoded, struct bytes *reply, bool *first_is_hello)
{
    struct message message;
    struct values header, request;
    uint64_t operation;
    bool recoverable;
    enum behaviour behaviour = atomic_load(&node->behaviour);

    *first_is_hello = false;
    if (message_open(encoded, &message) != STATUS_OK)
        return;
    values_init(&header);
    values_put_uint(&header, FIELD_REVISION, 77);
    if (behaviour == DRAIN)
        values_put_bool(&header, FIELD_DRAINING, true);
    if (behaviour == RENEW)
        values_put_bytes(&header, FIELD_TICKET, slice_text("renewed"));
    struct message peek = message;

    if (message_next_request(&peek, &operation, &request, &recoverable) != STATUS_OK)
        return;
    *first_is_hello = operation == OP_HELLO || operation == OP_CLUSTER_DESCRIBE;
    uint32_t n = message.n - (behaviour == ANSWER_SHORT && !*first_is_hello ? 1 : 0);

    message_begin(reply, PROTOCOL_VERSION, &header, n);
    for (uint32_t i = 0; i < n; i++) {
        if (message_next_request(&message, &operation, &request, &recoverable) == STATUS_OK)
            put_answer(node, values_bytes(&message.header, FIELD_TICKET), operation, &request, reply);
    }
}

static bool serve_message(struct fake_node *node, int fd)
{
    CLEANUP(bytes_release) struct bytes message = BYTES_INIT, reply = BYTES_INIT, frame = BYTES_INIT;
    uint8_t header[SP_TCP_HEADER_LEN], out[SP_TCP_HEADER_LEN];
    enum behaviour behaviour = atomic_load(&node->behaviour);
    uint64_t len;
    bool hello;

    if (!read_exactly(fd, header, sizeof(header)) || sp_header_decode(false, header, MESSAGE_MAX, &len) != STATUS_OK ||
        len < SP_ID_LEN || !bytes_reserve(&message, len) || !read_exactly(fd, message.data, len))
        return false;
    message.len = len;
    put_reply(node, slice_of(message.data + SP_ID_LEN, len - SP_ID_LEN), &reply, &hello);
    if (!hello)
        atomic_fetch_add(&node->n_messages, 1);
    if (!hello && behaviour == DROP)
        return false;
    if (!hello && behaviour == HANG)
        return true;
    if (!hello && behaviour == ANSWER_JUNK)
        bytes_assign(&reply, slice_text("junk"));
    sp_header_encode(false, !hello && behaviour == ANSWER_HUGE ? UINT64_MAX / 2 : SP_ID_LEN + reply.len, out);
    bytes_append(&frame, out, sizeof(out));
    bytes_append(&frame, message.data, SP_ID_LEN);
    bytes_append(&frame, reply.data, reply.len);
    return send_all(fd, bytes_slice(&frame), behaviour == TRICKLE);
}

static int accept_peer(struct fake_node *node)
{
    uint8_t handshake[SP_HANDSHAKE_LEN];
    int fd = accept(node->listener, NULL, NULL);

    if (fd < 0)
        return -1;
    sp_handshake_encode(SP_PROTOCOL_REP, handshake);
    if (!send_all(fd, slice_of(handshake, sizeof(handshake)), false) ||
        !read_exactly(fd, handshake, sizeof(handshake))) {
        close(fd);
        return -1;
    }
    atomic_fetch_add(&node->n_connections, 1);
    return fd;
}

static void *run(void *argument)
{
    struct fake_node *node = argument;
    struct pollfd fds[PEERS_MAX] = {{.fd = node->listener, .events = POLLIN}};
    nfds_t n = 1;

    while (!atomic_load(&node->stopping)) {
        if (poll(fds, n, 20) <= 0)
            continue;
        for (nfds_t i = 1; i < n; i++) {
            if (!fds[i].revents || serve_message(node, fds[i].fd))
                continue;
            close(fds[i].fd);
            fds[i--] = fds[--n];
        }
        int fd = fds[0].revents && n < PEERS_MAX ? accept_peer(node) : -1;

        if (fd >= 0)
            fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    while (n > 0)
        close(fds[--n].fd);
    return NULL;
}

void fake_node_start(struct fake_node *node, enum behaviour behaviour)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    pthread_t thread;

    memset(node, 0, sizeof(*node));
    atomic_store(&node->behaviour, behaviour);
    node->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(node->listener, (struct sockaddr *)&address, len) != 0 || listen(node->listener, 16) != 0)
        abort();
    getsockname(node->listener, (struct sockaddr *)&address, &len);
    snprintf(node->url, sizeof(node->url), "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    if (pthread_create(&thread, NULL, run, node) != 0)
        abort();
    node->thread = thread;
}

void fake_node_stop(struct fake_node *node)
{
    atomic_store(&node->stopping, true);
    pthread_join(node->thread, NULL);
}
