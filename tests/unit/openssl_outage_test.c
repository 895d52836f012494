/* When no node answers: who may call, and for how long. Time passes by setting back what is kept of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "outage.h"

#define TIMEOUT_MS 3000u

static struct outage outage;

static int begin(void **state)
{
    (void)state;
    outage_begin(&outage, NULL, TIMEOUT_MS);
    return 0;
}

/* So that the next attempt is due. */
static void rest(void)
{
    atomic_store(&outage.next_attempt_ms, 1);
}

static void calls_go_out_while_nodes_answer(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(outage_may_call(&outage), OUTAGE_CALL);
        outage_note(&outage, OUTAGE_CALL, HSM_OK);
    }
    outage_note(&outage, OUTAGE_CALL, HSM_OBJECT_NOT_FOUND);
    assert_int_equal(outage_may_call(&outage), OUTAGE_CALL);
}

static void calls_fail_at_once_when_one_has_found_nobody(void **state)
{
    (void)state;
    outage_note(&outage, OUTAGE_CALL, HSM_UNAVAILABLE);
    assert_int_equal(outage_may_call(&outage), OUTAGE_NO_CALL);
    rest();
    assert_int_equal(outage_may_call(&outage), OUTAGE_ATTEMPT);
    assert_int_equal(outage_may_call(&outage), OUTAGE_NO_CALL); /* one tries */
}

static void one_late_call_among_others_is_no_outage(void **state)
{
    (void)state;
    outage_note(&outage, OUTAGE_CALL, HSM_OK);
    outage_note(&outage, OUTAGE_CALL, HSM_UNAVAILABLE);
    assert_int_equal(outage_may_call(&outage), OUTAGE_CALL);
    atomic_fetch_sub(&outage.answered_ms, TIMEOUT_MS + 1);
    outage_note(&outage, OUTAGE_CALL, HSM_UNAVAILABLE);
    assert_int_equal(outage_may_call(&outage), OUTAGE_NO_CALL);
}

static void attempts_take_longer_each_time_up_to_the_limit(void **state)
{
    static const uint32_t NEXT_MS[] = {500, 1000, 2000, 3000, 3000};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        outage_note(&outage, i == 0 ? OUTAGE_CALL : OUTAGE_ATTEMPT, HSM_UNAVAILABLE);
        assert_int_equal(outage.attempt_ms, NEXT_MS[i]);
        rest();
        assert_int_equal(outage_may_call(&outage), OUTAGE_ATTEMPT);
    }
}

static void all_that_were_under_way_count_once(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        outage_note(&outage, OUTAGE_CALL, HSM_UNAVAILABLE);
    assert_int_equal(outage.attempt_ms, 500);
}

static void the_first_answer_ends_it(void **state)
{
    (void)state;
    outage_note(&outage, OUTAGE_CALL, HSM_UNAVAILABLE);
    rest();
    outage_note(&outage, outage_may_call(&outage), HSM_SIGNATURE_INVALID);
    assert_int_equal(outage_may_call(&outage), OUTAGE_CALL);
    assert_int_equal(outage.attempt_ms, 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(calls_go_out_while_nodes_answer, begin),
        cmocka_unit_test_setup(calls_fail_at_once_when_one_has_found_nobody, begin),
        cmocka_unit_test_setup(one_late_call_among_others_is_no_outage, begin),
        cmocka_unit_test_setup(attempts_take_longer_each_time_up_to_the_limit, begin),
        cmocka_unit_test_setup(all_that_were_under_way_count_once, begin),
        cmocka_unit_test_setup(the_first_answer_ends_it, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
