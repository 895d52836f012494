/* Messages: round trips, versions, bad requests among good ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "protocol/message.h"
#include "protocol/writer.h"

static const uint8_t id[ID_LEN] = {1, 2, 3};

static void put_sign(struct values *fields)
{
    values_init(fields);
    values_put_bytes(fields, FIELD_OBJECT_ID, slice_of(id, ID_LEN));
    values_put_uint(fields, FIELD_MECHANISM, 11);
    values_put_bytes(fields, FIELD_DATA, slice_text("digest"));
}

static void put_message(struct bytes *out, uint32_t n)
{
    struct values header, fields;

    values_init(&header);
    values_put_uint(&header, FIELD_REVISION, 42);
    message_begin(out, PROTOCOL_VERSION, &header, n);
    put_sign(&fields);
    for (uint32_t i = 0; i < n; i++)
        message_append_request(out, OP_SIGN, &fields);
}

static void batches_come_back_in_order(void **state)
{
    struct bytes out = BYTES_INIT;
    struct message message;
    struct values fields;
    uint64_t operation;
    bool recoverable;

    (void)state;
    put_message(&out, 100);
    assert_int_equal(message_open(bytes_slice(&out), &message), STATUS_OK);
    assert_int_equal(message.n, 100);
    assert_true(values_uint(&message.header, FIELD_REVISION, 0) == 42);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(message_next_request(&message, &operation, &fields, &recoverable), STATUS_OK);
        assert_int_equal(operation, OP_SIGN);
    }
    assert_int_equal(message_close(&message), STATUS_OK);
    bytes_release(&out);
}

static status_code read_one(enum operation operation, const struct values *fields)
{
    struct bytes out = BYTES_INIT;
    struct message message;
    struct values header, back;
    uint64_t number;
    bool recoverable;

    values_init(&header);
    message_begin(&out, PROTOCOL_VERSION, &header, 1);
    message_append_request(&out, operation, fields);
    assert_int_equal(message_open(bytes_slice(&out), &message), STATUS_OK);
    status_code status = message_next_request(&message, &number, &back, &recoverable);
    assert_true(recoverable);
    assert_int_equal(message_close(&message), STATUS_OK);
    bytes_release(&out);
    return status;
}

static void fields_are_checked_against_the_operation(void **state)
{
    struct values fields;

    (void)state;
    put_sign(&fields);
    assert_int_equal(read_one(OP_SIGN, &fields), STATUS_OK);
    values_put_bytes(&fields, FIELD_PASSWORD, slice_text("alien"));
    assert_int_equal(read_one(OP_SIGN, &fields), STATUS_PROTOCOL_ERROR);
    assert_non_null(strstr(failure_detail(), "PASSWORD"));
    put_sign(&fields);
    values_remove(&fields, FIELD_DATA);
    assert_int_equal(read_one(OP_SIGN, &fields), STATUS_PROTOCOL_ERROR);
    assert_non_null(strstr(failure_detail(), "DATA"));
    put_sign(&fields);
    values_put_bytes(&fields, FIELD_OBJECT_ID, slice_of(id, 5));
    assert_int_equal(read_one(OP_SIGN, &fields), STATUS_PROTOCOL_ERROR);
    put_sign(&fields);
    assert_int_equal(read_one((enum operation)99, &fields), STATUS_NOT_SUPPORTED);
}

static void a_bad_request_leaves_the_next_one_readable(void **state)
{
    struct bytes out = BYTES_INIT;
    struct values header, fields;
    struct message message;
    uint64_t operation;
    bool recoverable;

    (void)state;
    values_init(&header);
    message_begin(&out, PROTOCOL_VERSION, &header, 2);
    bytes_append(&out, "\x92\x32\x81\x11\xa1x", 6); /* SIGN with MECHANISM as a text */
    put_sign(&fields);
    message_append_request(&out, OP_SIGN, &fields);
    assert_int_equal(message_open(bytes_slice(&out), &message), STATUS_OK);
    assert_int_equal(message_next_request(&message, &operation, &fields, &recoverable), STATUS_PROTOCOL_ERROR);
    assert_true(recoverable);
    assert_int_equal(message_next_request(&message, &operation, &fields, &recoverable), STATUS_OK);
    assert_int_equal(message_close(&message), STATUS_OK);
    bytes_release(&out);
}

static void other_versions_are_told_from_nonsense(void **state)
{
    struct message message;

    (void)state;
    assert_int_equal(message_open(slice_of("\x93\x63\x80\x90", 4), &message), STATUS_VERSION_MISMATCH);
    assert_int_equal(message.version, 0x63);
    assert_int_equal(message_open(slice_of("\x92\x01\x80", 3), &message), STATUS_PROTOCOL_ERROR);
    assert_int_equal(message_open(slice_of("", 0), &message), STATUS_PROTOCOL_ERROR);
    assert_int_equal(message_open(slice_of("hello", 5), &message), STATUS_PROTOCOL_ERROR);
}

static void every_truncation_is_refused(void **state)
{
    struct bytes out = BYTES_INIT;

    (void)state;
    put_message(&out, 3);
    for (size_t len = 0; len < out.len; len++) {
        struct message message;
        struct values fields;
        uint64_t operation;
        bool recoverable;
        status_code status = message_open(slice_of(out.data, len), &message);

        for (unsigned i = 0; status == STATUS_OK && i < 3; i++)
            status = message_next_request(&message, &operation, &fields, &recoverable);
        assert_int_not_equal(status, STATUS_OK);
    }
    bytes_release(&out);
}

static void answers_carry_status_and_fields(void **state)
{
    struct bytes out = BYTES_INIT;
    struct values values, back;
    struct message message;
    status_code status;

    (void)state;
    values_init(&values);
    message_begin(&out, PROTOCOL_VERSION, &values, 2);
    values_put_bytes(&values, FIELD_OUTPUT, slice_text("signature"));
    message_append_answer(&out, STATUS_OK, &values);
    values_init(&values);
    values_put_bytes(&values, FIELD_DETAIL, slice_text("why"));
    message_append_answer(&out, STATUS_BUSY, &values);
    assert_int_equal(message_open(bytes_slice(&out), &message), STATUS_OK);
    assert_int_equal(message_next_answer(&message, &status, &back), STATUS_OK);
    assert_int_equal(status, STATUS_OK);
    assert_true(slice_equal(values_bytes(&back, FIELD_OUTPUT), slice_text("signature")));
    assert_int_equal(message_next_answer(&message, &status, &back), STATUS_OK);
    assert_int_equal(status, STATUS_BUSY);
    bytes_release(&out);
}

static void too_many_requests_are_refused(void **state)
{
    struct message message;

    (void)state;
    uint8_t many[2000] = {0x93, 0x01, 0x80, 0xdc, (BATCH_MAX + 1) >> 8, (BATCH_MAX + 1) & 0xff};
    assert_int_equal(message_open(slice_of(many, sizeof(many)), &message), STATUS_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_come_back_in_order),
        cmocka_unit_test(fields_are_checked_against_the_operation),
        cmocka_unit_test(a_bad_request_leaves_the_next_one_readable),
        cmocka_unit_test(other_versions_are_told_from_nonsense),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(answers_carry_status_and_fields),
        cmocka_unit_test(too_many_requests_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
