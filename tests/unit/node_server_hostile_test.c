/* What hostile clients try on the direct listener: the node ends their connections and serves the others. */
#include "node_server_support.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "protocol/sp.h"

static const char *const SETTINGS[] = {"listen=tls+tcp://127.0.0.1:0,tcp://127.0.0.1:0", "connections-max=300", NULL};

static int start(void **state)
{
    struct served *served = served_start(SETTINGS);

    *state = served;
    return 0;
}

static int stop(void **state)
{
    served_stop(*state);
    return 0;
}

static void what_is_no_sp_ends_the_connection(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } openings[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\0SP\1\0\x30\0\0", 8},             /* another version */
        {"\0SP\0\0\x31\0\0", 8},             /* a REP at the other end */
        {"\0SP\0\0\x10\0\0", 8},             /* another protocol */
        {"\x16\x03\x01\x02\0\1\0\1\xfc", 9}, /* TLS where there is none */
    };
    struct served *served = *state;
    int64_t before = metric_value(METRIC_PROTOCOL_ERRORS);

    for (unsigned i = 0; i < sizeof(openings) / sizeof(*openings); i++) {
        struct wire wire = wire_connect(served_url(served, LISTEN_TCP), NULL);

        wire_send(&wire, openings[i].bytes, openings[i].len);
        assert_true(wire_ends(&wire, 5));
        wire_close(&wire);
    }
    assert_int_equal(metric_value(METRIC_PROTOCOL_ERRORS) - before, sizeof(openings) / sizeof(*openings));
    assert_well(served);
}

static void malformed_frames_end_the_connection(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } frames[] = {
        {"\0\0\0\0\0\0\0\0", 8},                 /* without an id */
        {"\0\0\0\0\0\0\0\3\x80\0\0", 11},        /* half an id */
        {"\0\0\0\0\0\0\0\4\0\0\0\1", 12},        /* an id that does not end the stack */
        {"\xff\xff\xff\xff\xff\xff\xff\xff", 8}, /* all the memory there is */
        {"\0\0\0\0\0\x50\0\0", 8},               /* 5 MiB */
        {"\0\0\0\0\0\0\0\x28"                    /* more ids than devices */
         "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\x80\0\0\1",
         48},
    };
    struct served *served = *state;

    for (unsigned i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
        struct wire wire = wire_open(served, served_url(served, LISTEN_TCP));

        wire_send(&wire, frames[i].bytes, frames[i].len);
        if (!wire_ends(&wire, 5))
            fail_msg("frame %u did not end the connection", i);
        wire_close(&wire);
    }
    struct wire wire = wire_open(served, served_socket(served));
    wire_send(&wire, "\2\0\0\0\0\0\0\0\4\x80\0\0\1", 13); /* no message type of ipc */
    assert_true(wire_ends(&wire, 5));
    wire_close(&wire);
    assert_well(served);
}

static void noise_in_a_frame_is_answered(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, LISTEN_TCP));
    struct bytes reply = BYTES_INIT;
    struct message opened;
    uint32_t id;

    wire_send_message(&wire, 5, slice_text("noise"));
    wire_send_message(&wire, 6, (struct slice){NULL, 0});
    for (uint32_t expected = 5; expected <= 6; expected++) {
        assert_true(wire_receive_message(&wire, &id, &reply));
        assert_int_equal(id, expected);
        assert_int_equal(message_open(bytes_slice(&reply), &opened), STATUS_OK);
        assert_int_equal(values_uint(&opened.header, FIELD_STATUS, 0), STATUS_PROTOCOL_ERROR);
    }
    assert_ping(&wire);
    wire_close(&wire);
    bytes_release(&reply);
}

static void random_bytes_break_nothing(void **state)
{
    struct served *served = *state;
    uint8_t noise[600];

    srandom(11);
    for (unsigned round = 0; round < 400; round++) {
        struct wire wire = round % 3 == 0   ? wire_connect(served_url(served, LISTEN_TLS), NULL)
                           : round % 3 == 1 ? wire_open(served, served_url(served, LISTEN_TCP))
                                            : wire_open(served, served_socket(served));

        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = random() % 4 ? (uint8_t)random() : 0;
        wire_send(&wire, noise, (size_t)random() % sizeof(noise));
        wire_close(&wire);
    }
    wait_for_connections(0);
    assert_well(served);
}

/* A record whose end does not come costs no time, and bytes that drip in are put together. */
static void dripping_bytes_cost_nothing_and_arrive(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, LISTEN_TCP)),
                half = wire_connect(served_url(served, LISTEN_TLS), NULL);
    struct bytes message = BYTES_INIT, reply = BYTES_INIT;
    uint8_t header[SP_TCP_HEADER_LEN];
    static const uint8_t id_bytes[] = {0x80, 0, 0, 9}, record[] = {0x16, 3, 1, 2, 0, 1};
    uint32_t id;

    wire_send(&half, record, sizeof(record));
    build_ping(&message, 1);
    sp_header_encode(false, sizeof(id_bytes) + message.len, header);
    uint64_t before = cpu_ms();
    for (size_t i = 0; i < sizeof(header); i++, sleep_ms(20))
        wire_send(&wire, header + i, 1);
    for (size_t i = 0; i < sizeof(id_bytes); i++, sleep_ms(20))
        wire_send(&wire, id_bytes + i, 1);
    for (size_t i = 0; i < message.len; i++, sleep_ms(10))
        wire_send(&wire, message.data + i, 1);
    assert_in_range(cpu_ms() - before, 0, 300);
    assert_true(wire_receive_message(&wire, &id, &reply));
    assert_int_equal(id, 9);
    wire_close(&wire);
    wire_close(&half);
    bytes_release(&message);
    bytes_release(&reply);
}

/* Half a TLS record after the handshake: OpenSSL holds it, no event comes, and nothing may spin. */
static void half_a_record_does_not_spin(void **state)
{
    struct served *served = *state;
    struct wire wire = wire_open(served, served_url(served, LISTEN_TLS));
    static const uint8_t record[] = {0x17, 3, 3, 0x10, 0, 1, 2, 3};

    assert_ping(&wire);
    assert_int_equal(send(wire.fd, record, sizeof(record), 0), sizeof(record));
    sleep_ms(50);
    uint64_t before = cpu_ms();
    sleep_ms(500);
    assert_in_range(cpu_ms() - before, 0, 100);
    wire_close(&wire);
    assert_well(served);
}

static void who_never_finishes_the_handshake_is_sent_away(void **state)
{
    struct served *served = *state;
    struct wire silent = wire_connect(served_url(served, LISTEN_TLS), NULL),
                slow = wire_connect(served_url(served, LISTEN_TCP), NULL);
    struct wire half = wire_connect(served_url(served, LISTEN_TLS), NULL);

    wire_send(&slow, "\0SP", 3);
    wire_send(&half, "\x16\3\1\2", 4);
    assert_true(wire_ends(&silent, 14));
    assert_true(wire_ends(&slow, 3));
    assert_true(wire_ends(&half, 3));
    wire_close(&silent);
    wire_close(&slow);
    wire_close(&half);
    assert_well(served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_sp_ends_the_connection),
        cmocka_unit_test(malformed_frames_end_the_connection),
        cmocka_unit_test(noise_in_a_frame_is_answered),
        cmocka_unit_test(random_bytes_break_nothing),
        cmocka_unit_test(dripping_bytes_cost_nothing_and_arrive),
        cmocka_unit_test(half_a_record_does_not_spin),
        cmocka_unit_test(who_never_finishes_the_handshake_is_sent_away),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
