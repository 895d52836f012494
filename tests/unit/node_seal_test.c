/* Sealing: what was sealed opens in its place and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "crypto/key.h"
#include "seal/keyring.h"

static const uint8_t one[ID_LEN] = {1}, two[ID_LEN] = {2};

static struct keyring *keyring_for(uint8_t fill, const uint8_t cluster_id[ID_LEN])
{
    CLEANUP(secret_release) struct secret masking_key = SECRET_INIT;
    struct keyring *keyring;

    assert_int_equal(secret_allocate(&masking_key, MASKING_KEY_LEN), STATUS_OK);
    memset(masking_key.data, fill, masking_key.len);
    assert_int_equal(keyring_create(&masking_key, cluster_id, &keyring), STATUS_OK);
    return keyring;
}

static int start(void **state)
{
    const struct crypto_policy policy = {false, false, false};

    assert_int_equal(crypto_start(false, &policy), STATUS_OK);
    *state = keyring_for(7, one);
    return 0;
}

static int stop(void **state)
{
    keyring_free(*state);
    crypto_stop();
    return 0;
}

static status_code open_with(struct keyring *keyring, enum seal_purpose purpose, const char *context,
                             struct slice sealed)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    status_code status = unseal(keyring, purpose, slice_text(context), sealed, &plaintext);

    if (status == STATUS_OK)
        assert_true(slice_equal(bytes_slice(&plaintext), slice_text("the secret")));
    return status;
}

static void sealed_values_open_in_their_place_only(void **state)
{
    struct keyring *keyring = *state, *other_key = keyring_for(8, one), *other_cluster = keyring_for(7, two);
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;

    assert_int_equal(seal(keyring, SEAL_RECORD, slice_text("here"), slice_text("the secret"), &sealed), STATUS_OK);
    assert_int_equal(sealed.len, SEAL_OVERHEAD + 10);
    assert_int_equal(open_with(keyring, SEAL_RECORD, "here", bytes_slice(&sealed)), STATUS_OK);
    assert_int_equal(open_with(keyring, SEAL_RECORD, "there", bytes_slice(&sealed)), STATUS_STORE_DAMAGED);
    assert_int_equal(open_with(keyring, SEAL_TICKET, "here", bytes_slice(&sealed)), STATUS_STORE_DAMAGED);
    assert_int_equal(open_with(other_key, SEAL_RECORD, "here", bytes_slice(&sealed)), STATUS_STORE_DAMAGED);
    assert_int_equal(open_with(other_cluster, SEAL_RECORD, "here", bytes_slice(&sealed)), STATUS_STORE_DAMAGED);
    keyring_free(other_key);
    keyring_free(other_cluster);
}

static void altered_or_cut_values_do_not_open(void **state)
{
    struct keyring *keyring = *state;
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT;

    assert_int_equal(seal(keyring, SEAL_RECORD, slice_text("here"), slice_text("the secret"), &sealed), STATUS_OK);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 1;
        assert_int_equal(open_with(keyring, SEAL_RECORD, "here", bytes_slice(&sealed)), STATUS_STORE_DAMAGED);
        sealed.data[i] ^= 1;
        assert_int_equal(open_with(keyring, SEAL_RECORD, "here", slice_of(sealed.data, i)), STATUS_STORE_DAMAGED);
    }
}

static void the_same_value_is_never_sealed_alike(void **state)
{
    CLEANUP(bytes_release) struct bytes first = BYTES_INIT, second = BYTES_INIT;

    assert_int_equal(seal(*state, SEAL_RECORD, slice_text("c"), slice_text("same"), &first), STATUS_OK);
    assert_int_equal(seal(*state, SEAL_RECORD, slice_text("c"), slice_text("same"), &second), STATUS_OK);
    assert_false(slice_equal(bytes_slice(&first), bytes_slice(&second)));
}

static void an_empty_value_can_be_sealed(void **state)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, plaintext = BYTES_INIT;

    assert_int_equal(seal(*state, SEAL_RECORD, slice_text(""), slice_text(""), &sealed), STATUS_OK);
    assert_int_equal(unseal(*state, SEAL_RECORD, slice_text(""), bytes_slice(&sealed), &plaintext), STATUS_OK);
    assert_int_equal(plaintext.len, 0);
}

static void tokens_depend_on_attribute_and_value(void **state)
{
    struct index_token a, b, c;

    assert_int_equal(keyring_token(*state, 3, slice_text("x"), &a), STATUS_OK);
    assert_int_equal(keyring_token(*state, 3, slice_text("x"), &b), STATUS_OK);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(keyring_token(*state, 4, slice_text("x"), &c), STATUS_OK);
    assert_memory_not_equal(&a, &c, sizeof(a));
    assert_int_equal(keyring_token(*state, 3, slice_text("y"), &c), STATUS_OK);
    assert_memory_not_equal(&a, &c, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_values_open_in_their_place_only), cmocka_unit_test(altered_or_cut_values_do_not_open),
        cmocka_unit_test(the_same_value_is_never_sealed_alike),   cmocka_unit_test(an_empty_value_can_be_sealed),
        cmocka_unit_test(tokens_depend_on_attribute_and_value),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
