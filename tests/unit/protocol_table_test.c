/* The tables themselves: numbers in range and used once, names found again, texts there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "protocol/catalog.h"
#include "protocol/message.h"

static void field_numbers_are_used_once(void **state)
{
    static const unsigned numbers[] = {
#define FIELD(name, number, type, max, doc) number,
#include "protocol/fields.def"
#undef FIELD
    };
    bool used[VALUES_MAX] = {false};

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        assert_in_range(numbers[i], 1, VALUES_MAX - 1);
        assert_false(used[numbers[i]]);
        used[numbers[i]] = true;
    }
}

static void attribute_numbers_are_used_once(void **state)
{
    static const unsigned numbers[] = {
#define ATTRIBUTE(name, number, type, max, flags, doc) number,
#include "protocol/attributes.def"
#undef ATTRIBUTE
    };
    bool used[VALUES_MAX] = {false};

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        assert_in_range(numbers[i], 1, VALUES_MAX - 1);
        assert_false(used[numbers[i]]);
        used[numbers[i]] = true;
        assert_true(attribute_flags(numbers[i]) != 0);
        assert_int_equal(schema_find(&ATTRIBUTE_SCHEMA, ATTRIBUTE_SCHEMA.entries[numbers[i]].name), numbers[i]);
    }
}

static void status_numbers_are_used_once(void **state)
{
    static const unsigned numbers[] = {
#define STATUS(name, number, scope, text) number,
#include "protocol/status.def"
#undef STATUS
    };
    bool used[256] = {false};

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        assert_false(used[numbers[i]]);
        used[numbers[i]] = true;
        assert_true(strlen(status_text((status_code)numbers[i])) > 3);
    }
    assert_string_equal(status_name(9999), "UNKNOWN");
    assert_int_equal(status_scope(-1), STATUS_SCOPE_FINAL);
}

static void operations_ask_for_known_fields_only_once(void **state)
{
    unsigned n = 0;

    (void)state;
    for (uint64_t i = 0; i <= OPERATION_NUMBER_MAX; i++) {
        const struct operation_info *info = operation_info(i);

        if (!info)
            continue;
        n++;
        assert_true((info->required & info->optional) == 0);
        for (uint64_t mask = info->required | info->optional | info->answer; mask; mask &= mask - 1)
            assert_non_null(FIELD_SCHEMA.entries[__builtin_ctzll(mask)].name);
    }
    assert_true(n > 30);
    assert_null(operation_info(OPERATION_NUMBER_MAX + 1ull));
}

static void curves_are_found_by_name_and_identifier(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CURVES; i++) {
        assert_ptr_equal(curve_by_name(CURVES[i].name), &CURVES[i]);
        assert_ptr_equal(curve_by_oid(CURVES[i].oid), &CURVES[i]);
        assert_int_equal(CURVES[i].oid.data[0], 6);
        assert_int_equal(CURVES[i].oid.data[1], CURVES[i].oid.len - 2);
    }
    assert_null(curve_by_name("P999"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(field_numbers_are_used_once),
        cmocka_unit_test(attribute_numbers_are_used_once),
        cmocka_unit_test(status_numbers_are_used_once),
        cmocka_unit_test(operations_ask_for_known_fields_only_once),
        cmocka_unit_test(curves_are_found_by_name_and_identifier),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
