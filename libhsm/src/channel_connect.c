/* Opening a connection: transport, then the version handshake, once. Called with the channel's lock held. */
#include <poll.h>
#include "core_internal.h"

static status_code hello_message(struct bytes *message)
{
    struct values header, fields;

    values_init(&header);
    values_init(&fields);
    values_put_uint(&fields, FIELD_VERSION_MIN, PROTOCOL_VERSION_MIN);
    values_put_uint(&fields, FIELD_VERSION_MAX, PROTOCOL_VERSION);
    values_put_bytes(&fields, FIELD_NAME, slice_text("libhsm"));
    message_begin(message, &header, 1);
    message_append_request(message, OP_HELLO, &fields);
    return bytes_ok(message);
}

/* The version handshake, once a connection: tells who is there. */
static status_code hello(struct channel *channel, struct link *link, uint64_t until_ns)
{
    CLEANUP(bytes_release) struct bytes request = BYTES_INIT;
    struct message message;
    struct values answer;
    struct slice reply;
    status_code status;
    uint32_t id = 0;

    TRY(hello_message(&request));
    TRY(link->operations->send(link, HELLO_ID, bytes_slice(&request)));
    for (;;) {
        uint64_t now = platform_now_ns();

        TRY(link->operations->receive(link, &id, &reply));
        if (id == HELLO_ID)
            break;
        CHECK(now < until_ns, STATUS_UNAVAILABLE, "no answer in time");
        struct pollfd poll_fd = {.fd = link->operations->fd(link), .events = POLLIN};

        if (!id)
            poll(&poll_fd, 1, (int)((until_ns - now) / 1000000) + 1);
    }
    TRY(message_open(reply, &message));
    CHECK(message.n == 1, STATUS_PROTOCOL_ERROR, "the node did not answer the version handshake");
    TRY(message_next_answer(&message, &status, &answer));
    CHECK(status == STATUS_OK, status, "the node refused the version handshake");
    return node_introduce(channel->node, &answer);
}

static status_code open_transport(struct channel *channel, uint64_t until_ns, struct link **link)
{
    struct core *core = channel->node->core;
    const char *url = channel->node->url;
    struct link_settings settings = {.tls = core->tls,
                                     .ca_pem = core->ca_pem,
                                     .certificate_pem = core->certificate_pem,
                                     .key_pem = core->key_pem,
                                     .until_ns = until_ns};

    if (core->config->transport == TRANSPORT_DIRECT && direct_speaks(url))
        return direct_open(url, &settings, link);
#ifdef HSM_WITH_NNG
    return nng_link_open(url, &settings, link);
#else
    FAIL(STATUS_CONFIG_INVALID, "%s: this library was built without the nng transport", url);
#endif
}

/* Connects, with the lock held: others see `connecting` and choose another node. */
status_code channel_connect(struct channel *channel, uint64_t end_ns)
{
    struct node_entry *node = channel->node;
    uint64_t until = platform_now_ns() + node->core->config->connect_timeout_ms * 1000000ull;
    struct link *link;

    if (until > end_ns)
        until = end_ns;
    atomic_store(&node->connecting, true);
    status_code status = open_transport(channel, until, &link);
    if (status == STATUS_OK) {
        status = hello(channel, link, until);
        if (status != STATUS_OK)
            link->operations->close(link, false);
    }
    atomic_store(&node->connecting, false);
    TRY(status);
    channel->link = link;
    channel->generation++;
    atomic_store(&node->connected, true);
    return STATUS_OK;
}
