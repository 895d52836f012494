/* Tables are complete: every operation has a handler, every attribute its rule. */
#include "node_objects_fixture.h"
#include "object/object_internal.h"

static void every_operation_has_a_handler(void **state)
{
    (void)state;
#define OPERATION(name, number, access, cost, required, optional, answer, doc)                                         \
    assert_non_null(operation_handler_of((enum operation)number));
#include "protocol/operations.def"
#undef OPERATION
}

static void numbers_that_are_no_operation_have_none(void **state)
{
    (void)state;
    for (int number = -1; number < 2 * OPERATION_NUMBER_MAX; number++)
        if (number < 0 || !operation_info((uint64_t)number))
            assert_null(operation_handler_of((enum operation)number));
}

static void every_attribute_applies_to_something(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < VALUES_MAX; i++) {
        bool applies = false;
        for (uint64_t class = CLASS_DATA; class <= CLASS_SECRET_KEY; class ++)
            for (uint64_t type = 0; type < KEY_TYPE_COUNT; type++)
                applies |= attribute_applies(i, class, type);
        assert_true(applies == (ATTRIBUTE_SCHEMA.entries[i].name != NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_has_a_handler),
        cmocka_unit_test(numbers_that_are_no_operation_have_none),
        cmocka_unit_test(every_attribute_applies_to_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
