/* Opening a connection: transport, then the version handshake, once. Called with the channel's lock held. */
#include <poll.h>
#include "core_internal.h"

static status_code hello_message(uint64_t version, struct bytes *message)
{
    struct values header, fields;

    values_init(&header);
    values_init(&fields);
    values_put_uint(&fields, FIELD_VERSION_MIN, PROTOCOL_VERSION_MIN);
    values_put_uint(&fields, FIELD_VERSION_MAX, PROTOCOL_VERSION);
    values_put_bytes(&fields, FIELD_NAME, slice_text("libhsm"));
    message_begin(message, version, &header, 1);
    message_append_request(message, OP_HELLO, &fields);
    return bytes_ok(message);
}

static status_code exchange(struct link *link, struct slice request, uint64_t until_ns, struct slice *reply)
{
    uint32_t id = 0;

    TRY(link->operations->send(link, HELLO_ID, request));
    for (;;) {
        uint64_t now = platform_now_ns();

        TRY(link->operations->receive(link, &id, reply));
        if (id == HELLO_ID)
            return STATUS_OK;
        CHECK(now < until_ns, STATUS_UNAVAILABLE, "no answer in time");
        struct pollfd poll_fd = {.fd = link->operations->fd(link), .events = POLLIN};

        if (!id)
            poll(&poll_fd, 1, (int)((until_ns - now) / 1000000) + 1);
    }
}

static status_code take_hello(struct channel *channel, struct message *message)
{
    struct values answer;
    status_code status;

    CHECK(message->n == 1, STATUS_PROTOCOL_ERROR, "the node did not answer the version handshake");
    TRY(message_next_answer(message, &status, &answer));
    CHECK(status == STATUS_OK, status, "the node refused the version handshake");
    uint64_t version = values_uint(&answer, FIELD_VERSION, PROTOCOL_VERSION);

    CHECK(version >= PROTOCOL_VERSION_MIN && version <= PROTOCOL_VERSION, STATUS_VERSION_MISMATCH,
          "the node chose protocol version %llu, which was not offered", (unsigned long long)version);
    channel->version = version;
    return node_introduce(channel->node, &answer);
}

/* A newer version that both understand, when the node refused the one that was tried; 0: there is none. */
static uint64_t version_wanted(const struct message *message)
{
    uint64_t oldest = values_uint(&message->header, FIELD_VERSION_MIN, 0);

    if (message->n != 0 || values_uint(&message->header, FIELD_STATUS, STATUS_OK) != STATUS_VERSION_MISMATCH)
        return 0;
    return oldest > PROTOCOL_VERSION_MIN && oldest <= PROTOCOL_VERSION ? oldest : 0;
}

/* The version handshake, once a connection: tells who is there. It is said in the oldest version that is spoken here,
 * which a node of any age that can be talked to is likely to understand. */
static status_code hello(struct channel *channel, struct link *link, uint64_t until_ns)
{
    uint64_t version = PROTOCOL_VERSION_MIN;
    struct message message;

    do {
        CLEANUP(bytes_release) struct bytes request = BYTES_INIT;
        struct slice reply;

        TRY(hello_message(version, &request));
        TRY(exchange(link, bytes_slice(&request), until_ns, &reply));
        TRY(message_open(reply, &message));
        version = version == PROTOCOL_VERSION_MIN ? version_wanted(&message) : 0; /* asked twice at most */
    } while (version);
    return take_hello(channel, &message);
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
