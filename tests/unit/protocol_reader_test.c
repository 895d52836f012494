/* The strict reader: bounds, truncation, depth, types, and values sets over it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "protocol/catalog.h"
#include "protocol/limits.h"
#include "protocol/message.h"
#include "protocol/secret.h"
#include "protocol/sp.h"
#include "protocol/writer.h"

#define READER(...) reader_of(slice_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})))

static void integers_of_every_width_are_read(void **state)
{
    static const uint64_t numbers[] = {0, 1, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, 1ull << 32, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        struct bytes out = BYTES_INIT;
        uint64_t back;

        write_uint(&out, numbers[i]);
        struct reader reader = reader_of(bytes_slice(&out));
        assert_int_equal(read_uint(&reader, &back), STATUS_OK);
        assert_true(back == numbers[i] && reader_at_end(&reader));
        bytes_release(&out);
    }
}

static void wrong_types_are_refused(void **state)
{
    uint64_t number;
    bool flag;
    struct slice bytes;
    uint32_t n;

    (void)state;
    struct reader negative = READER(0xff), floating = READER(0xca, 0, 0, 0, 0), text = READER(0xa1, 'a');
    struct reader never = READER(0xc1), nil = READER(0xc0);
    assert_int_equal(read_uint(&negative, &number), STATUS_PROTOCOL_ERROR);
    assert_int_equal(read_uint(&floating, &number), STATUS_PROTOCOL_ERROR);
    assert_int_equal(read_bin(&text, 10, &bytes), STATUS_PROTOCOL_ERROR);
    assert_int_equal(read_bool(&nil, &flag), STATUS_PROTOCOL_ERROR);
    assert_int_equal(read_any(&never, &bytes), STATUS_PROTOCOL_ERROR);
    assert_int_equal(read_map(&text, &n), STATUS_PROTOCOL_ERROR);
    assert_int_equal(read_text(&text, 10, &bytes), STATUS_OK);
}

static void text_must_be_utf8_without_nul(void **state)
{
    struct slice text;

    (void)state;
    struct reader good = READER(0xa3, 0xe2, 0x82, 0xac), overlong = READER(0xa2, 0xc0, 0x80);
    struct reader surrogate = READER(0xa3, 0xed, 0xa0, 0x80), nul = READER(0xa2, 'a', 0),
                  cut = READER(0xa2, 0xe2, 0x82);
    assert_int_equal(read_text(&good, 10, &text), STATUS_OK);
    assert_int_equal(read_text(&overlong, 10, &text), STATUS_PROTOCOL_ERROR);
    assert_int_equal(read_text(&surrogate, 10, &text), STATUS_PROTOCOL_ERROR);
    assert_int_equal(read_text(&nul, 10, &text), STATUS_PROTOCOL_ERROR);
    assert_int_equal(read_text(&cut, 10, &text), STATUS_PROTOCOL_ERROR);
}

static void lengths_that_lie_are_refused_before_anything_is_allocated(void **state)
{
    struct slice any;
    uint32_t n;

    (void)state;
    struct reader huge_bin = READER(0xc6, 0xff, 0xff, 0xff, 0xff, 1), huge_array = READER(0xdd, 0xff, 0xff, 0xff, 0xff);
    struct reader short_array = READER(0x95, 1, 2), huge_map = READER(0xdf, 0xff, 0xff, 0xff, 0xff);
    assert_int_equal(read_any(&huge_bin, &any), STATUS_PROTOCOL_ERROR);
    assert_int_equal(read_any(&huge_array, &any), STATUS_TOO_LARGE);
    assert_int_equal(read_array(&short_array, &n), STATUS_PROTOCOL_ERROR);
    assert_int_equal(read_map(&huge_map, &n), STATUS_TOO_LARGE);
}

static void what_is_absent_is_at_its_end(void **state)
{
    struct reader none = reader_of(slice_of(NULL, 0));
    struct slice any;

    (void)state;
    assert_true(reader_at_end(&none));
    assert_int_equal(read_any(&none, &any), STATUS_PROTOCOL_ERROR);
    assert_false(uints_contain(slice_of(NULL, 0), 0));
}

static void nesting_is_bounded(void **state)
{
    uint8_t bomb[64];
    struct slice any;

    (void)state;
    memset(bomb, 0x91, sizeof(bomb));
    bomb[DEPTH_MAX] = 1;
    struct reader within = reader_of(slice_of(bomb, DEPTH_MAX + 1));
    assert_int_equal(read_any(&within, &any), STATUS_OK);
    bomb[DEPTH_MAX] = 0x91;
    struct reader beyond = reader_of(slice_of(bomb, sizeof(bomb)));
    assert_int_equal(read_any(&beyond, &any), STATUS_TOO_LARGE);
}

static void put_sample(struct values *values)
{
    values_init(values);
    values_put_uint(values, FIELD_MECHANISM, 11);
    values_put_bytes(values, FIELD_DATA, slice_text("data"));
    values_put_bytes(values, FIELD_USER_NAME, slice_text("anna"));
    values_put_bool(values, FIELD_FINAL, true);
    values_put_uint(values, FIELD_DURATION_US, 1ull << 40);
}

static void value_sets_come_back_as_they_went(void **state)
{
    struct bytes out = BYTES_INIT, again = BYTES_INIT;
    struct values values, back;

    (void)state;
    put_sample(&values);
    values_encode(&FIELD_SCHEMA, &values, &out);
    assert_int_equal(values_decode_all(&FIELD_SCHEMA, bytes_slice(&out), &back), STATUS_OK);
    values_encode(&FIELD_SCHEMA, &back, &again);
    assert_true(slice_equal(bytes_slice(&out), bytes_slice(&again)));
    assert_true(values_equal_at(&FIELD_SCHEMA, &values, &back, FIELD_DATA));
    bytes_release(&out);
    bytes_release(&again);
}

static void value_sets_cut_anywhere_are_refused(void **state)
{
    struct bytes out = BYTES_INIT;
    struct values values, back;

    (void)state;
    put_sample(&values);
    values_encode(&FIELD_SCHEMA, &values, &out);
    for (size_t len = 0; len < out.len; len++)
        assert_int_not_equal(values_decode_all(&FIELD_SCHEMA, slice_of(out.data, len), &back), STATUS_OK);
    bytes_append(&out, "", 1);
    assert_int_equal(values_decode_all(&FIELD_SCHEMA, bytes_slice(&out), &back), STATUS_PROTOCOL_ERROR);
    bytes_release(&out);
}

static void unknown_values_are_skipped_and_known_ones_checked(void **state)
{
    struct values values;
    uint8_t long_name[2 + 40] = {0x81, FIELD_USER_NAME, 0xd9, 38};

    (void)state;
    struct reader unknown = READER(0x82, 0xcc, 200, 0x92, 1, 0xc0, FIELD_COUNT, 7);
    assert_int_equal(values_decode(&FIELD_SCHEMA, &unknown, &values), STATUS_OK);
    assert_true(values_uint(&values, FIELD_COUNT, 0) == 7);
    struct reader twice = READER(0x82, FIELD_COUNT, 7, FIELD_COUNT, 8);
    assert_int_equal(values_decode(&FIELD_SCHEMA, &twice, &values), STATUS_PROTOCOL_ERROR);
    memset(long_name + 4, 'x', sizeof(long_name) - 4);
    struct reader too_long = reader_of(slice_of(long_name, sizeof(long_name)));
    assert_int_equal(values_decode(&FIELD_SCHEMA, &too_long, &values), STATUS_TOO_LARGE);
    assert_non_null(strstr(failure_detail(), "USER_NAME"));
}

static void names_are_found_whatever_their_case(void **state)
{
    (void)state;
    assert_int_equal(schema_find(&ATTRIBUTE_SCHEMA, "key-type"), ATTRIBUTE_KEY_TYPE);
    assert_int_equal(schema_find(&ATTRIBUTE_SCHEMA, "Key_Type"), ATTRIBUTE_KEY_TYPE);
    assert_true(schema_find(&ATTRIBUTE_SCHEMA, "key") == UINT32_MAX);
}

static void buffers_keep_to_their_limit(void **state)
{
    struct bytes bytes = {.limit = 10};

    (void)state;
    assert_true(bytes_append(&bytes, "0123456789", 10));
    assert_false(bytes_append(&bytes, "x", 1));
    assert_int_equal(bytes_ok(&bytes), STATUS_TOO_LARGE);
    assert_int_equal(bytes.len, 10);
    bytes_clear(&bytes);
    assert_int_equal(bytes_ok(&bytes), STATUS_OK);
    bytes_release(&bytes);
}

static void secrets_compare_by_content(void **state)
{
    CLEANUP(secret_release) struct secret secret = SECRET_INIT;

    (void)state;
    assert_int_equal(secret_copy(&secret, slice_text("abc")), STATUS_OK);
    assert_true(secret_equal(secret_slice(&secret), slice_text("abc")));
    assert_false(secret_equal(secret_slice(&secret), slice_text("abd")));
    assert_false(secret_equal(secret_slice(&secret), slice_text("ab")));
}

static void sp_frames_are_checked(void **state)
{
    uint8_t handshake[SP_HANDSHAKE_LEN], header[SP_IPC_HEADER_LEN], id[SP_ID_LEN];
    uint64_t len;

    (void)state;
    sp_handshake_encode(SP_PROTOCOL_REQ, handshake);
    assert_memory_equal(handshake, "\0SP\0\0\x30\0\0", 8);
    assert_int_equal(sp_handshake_check(handshake, SP_PROTOCOL_REQ), STATUS_OK);
    assert_int_equal(sp_handshake_check(handshake, SP_PROTOCOL_REP), STATUS_PROTOCOL_ERROR);
    assert_int_equal(sp_header_encode(true, 70000, header), SP_IPC_HEADER_LEN);
    assert_int_equal(sp_header_decode(true, header, 100000, &len), STATUS_OK);
    assert_true(len == 70000);
    assert_int_equal(sp_header_decode(true, header, 60000, &len), STATUS_TOO_LARGE);
    header[0] = 2;
    assert_int_equal(sp_header_decode(true, header, 100000, &len), STATUS_PROTOCOL_ERROR);
    sp_id_encode(0x80000102, id);
    assert_true(sp_id_decode(id) == 0x80000102);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_width_are_read),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(text_must_be_utf8_without_nul),
        cmocka_unit_test(lengths_that_lie_are_refused_before_anything_is_allocated),
        cmocka_unit_test(what_is_absent_is_at_its_end),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(value_sets_come_back_as_they_went),
        cmocka_unit_test(value_sets_cut_anywhere_are_refused),
        cmocka_unit_test(unknown_values_are_skipped_and_known_ones_checked),
        cmocka_unit_test(names_are_found_whatever_their_case),
        cmocka_unit_test(buffers_keep_to_their_limit),
        cmocka_unit_test(secrets_compare_by_content),
        cmocka_unit_test(sp_frames_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
