/* Sealing: what was sealed opens in its place and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>
#include "crypto/key.h"
#include "seal/keyring.h"

static const uint8_t CLUSTER[ID_LEN] = "the cluster's id";
static const uint8_t OTHER_CLUSTER[ID_LEN] = "another cluster.";

static struct keyring *keyring_from(uint8_t first, const uint8_t cluster_id[ID_LEN])
{
    struct secret masking_key = SECRET_INIT;
    struct keyring *keyring = NULL;

    assert_int_equal(secret_allocate(&masking_key, MASKING_KEY_LEN), STATUS_OK);
    for (unsigned i = 0; i < MASKING_KEY_LEN; i++)
        masking_key.data[i] = (uint8_t)(first + i);
    assert_int_equal(keyring_create(&masking_key, cluster_id, &keyring), STATUS_OK);
    secret_release(&masking_key);
    return keyring;
}

static int start(void **state)
{
    static const struct crypto_policy policy;
    if (crypto_start(false, &policy) != STATUS_OK)
        return -1;
    *state = keyring_from(0, CLUSTER);
    return 0;
}

static int stop(void **state)
{
    keyring_free(*state);
    crypto_stop();
    return 0;
}

static status_code opened(struct keyring *keyring, enum seal_purpose purpose, const char *context, struct slice sealed,
                          struct bytes *plaintext)
{
    bytes_clear(plaintext);
    return unseal(keyring, purpose, slice_text(context), sealed, plaintext);
}

static void what_is_sealed_opens_again_and_takes_40_bytes_more(void **state)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 1000, 1 << 20};
    static uint8_t text[1 << 20];

    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, plaintext = BYTES_SECRET;
        struct slice from = slice_of(text, lengths[i]);

        bytes_append(&sealed, "before", 6); /* it is appended */
        assert_int_equal(seal(*state, SEAL_SESSION_OBJECT, slice_text("here"), from, &sealed), STATUS_OK);
        assert_int_equal(sealed.len, 6 + SEAL_OVERHEAD + lengths[i]);
        struct slice value = slice_of(sealed.data + 6, sealed.len - 6);
        assert_int_equal(opened(*state, SEAL_SESSION_OBJECT, "here", value, &plaintext), STATUS_OK);
        assert_true(slice_equal(bytes_slice(&plaintext), from));
    }
}

static void the_same_text_is_never_sealed_alike(void **state)
{
    CLEANUP(bytes_release) struct bytes one = BYTES_INIT, two = BYTES_INIT;
    struct slice text = slice_text("the same text"), context = slice_text("here");

    assert_int_equal(seal(*state, SEAL_RECORD, context, text, &one), STATUS_OK);
    assert_int_equal(seal(*state, SEAL_RECORD, context, text, &two), STATUS_OK);
    assert_memory_not_equal(one.data, two.data, 24);
    assert_memory_not_equal(one.data + 24, two.data + 24, text.len);
}

/* Made by another implementation (HMAC of Python's standard library, AESGCM of pyca/cryptography) from the description
 * at the top of keyring.c: a change of the format cannot go unnoticed. */
static void the_format_is_the_documented_one(void **state)
{
    static const char known[] = "6465666768696a6b6c6d6e6f707172737475767778797a7b"
                                "eb4b9d7935b8e569b5ba1fada5e14b90cd6f5ae8e5251e487dcb144254";
    static const char known_token[] = "4fe8e6384080501c9efc3035";
    static const char known_mac[] = "24cde6f7bbbf6e24845b7653350997c6628e2c0e2fe200745f784d887a8a2d6d";
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    uint8_t sealed[(sizeof known - 1) / 2], mac[32];
    char text[65];
    struct index_token token;

    assert_true(hex_decode(known, sealed, sizeof sealed));
    assert_int_equal(opened(*state, SEAL_RECORD, "context", slice_of(sealed, sizeof sealed), &plaintext), STATUS_OK);
    assert_true(slice_equal(bytes_slice(&plaintext), slice_text("the plaintext")));
    assert_int_equal(keyring_token(*state, 3, slice_text("label"), &token), STATUS_OK);
    hex_encode(slice_of(token.bytes, TOKEN_LEN), text);
    assert_string_equal(text, known_token);
    assert_int_equal(keyring_mac(*state, SEAL_AUDIT, slice_text("entry"), mac), STATUS_OK);
    hex_encode(slice_of(mac, sizeof mac), text);
    assert_string_equal(text, known_mac);
}

static void no_altered_byte_and_no_missing_one_goes_unnoticed(void **state)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, plaintext = BYTES_SECRET;

    assert_int_equal(seal(*state, SEAL_RECORD, slice_text("here"), slice_text("a text"), &sealed), STATUS_OK);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 0x10;
        assert_int_equal(opened(*state, SEAL_RECORD, "here", bytes_slice(&sealed), &plaintext), STATUS_STORE_DAMAGED);
        assert_int_equal(plaintext.len, 0);
        sealed.data[i] ^= 0x10;
        assert_int_equal(opened(*state, SEAL_RECORD, "here", slice_of(sealed.data, i), &plaintext),
                         STATUS_STORE_DAMAGED);
    }
    assert_int_equal(opened(*state, SEAL_RECORD, "here", bytes_slice(&sealed), &plaintext), STATUS_OK);
}

static void another_place_purpose_cluster_or_key_does_not_open_it(void **state)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, plaintext = BYTES_SECRET;
    struct keyring *other_key = keyring_from(1, CLUSTER), *other_cluster = keyring_from(0, OTHER_CLUSTER);

    assert_int_equal(seal(*state, SEAL_TICKET, slice_text("here"), slice_text("a text"), &sealed), STATUS_OK);
    struct slice value = bytes_slice(&sealed);
    assert_int_equal(opened(*state, SEAL_TICKET, "there", value, &plaintext), STATUS_STORE_DAMAGED);
    assert_int_equal(opened(*state, SEAL_TICKET, "", value, &plaintext), STATUS_STORE_DAMAGED);
    for (enum seal_purpose purpose = SEAL_RECORD; purpose <= SEAL_AUDIT; purpose++)
        assert_int_equal(opened(*state, purpose, "here", value, &plaintext),
                         purpose == SEAL_TICKET ? STATUS_OK : STATUS_STORE_DAMAGED);
    assert_int_equal(opened(other_key, SEAL_TICKET, "here", value, &plaintext), STATUS_STORE_DAMAGED);
    assert_int_equal(opened(other_cluster, SEAL_TICKET, "here", value, &plaintext), STATUS_STORE_DAMAGED);
    keyring_free(other_key);
    keyring_free(other_cluster);
}

static struct index_token token_of(struct keyring *keyring, uint32_t what, const char *value)
{
    struct index_token token;
    assert_int_equal(keyring_token(keyring, what, slice_text(value), &token), STATUS_OK);
    return token;
}

static void tokens_tell_equality_within_one_cluster_only(void **state)
{
    struct keyring *other = keyring_from(0, OTHER_CLUSTER);
    struct index_token label = token_of(*state, 3, "web"), same = token_of(*state, 3, "web");
    struct index_token another[] = {token_of(*state, 4, "web"), token_of(*state, 3, "web2"), token_of(*state, 3, ""),
                                    token_of(other, 3, "web")};

    assert_memory_equal(label.bytes, same.bytes, TOKEN_LEN);
    for (unsigned i = 0; i < 4; i++)
        assert_memory_not_equal(label.bytes, another[i].bytes, TOKEN_LEN);
    keyring_free(other);
}

static void keys_for_sealing_make_no_macs(void **state)
{
    uint8_t mac[32];
    assert_int_equal(keyring_mac(*state, SEAL_RECORD, slice_text("twelve bytes"), mac), STATUS_INTERNAL);
    assert_int_equal(keyring_mac(*state, SEAL_TICKET, slice_text("twelve bytes"), mac), STATUS_INTERNAL);
}

static void a_masking_key_of_another_length_is_refused(void **state)
{
    struct secret masking_key = SECRET_INIT;
    struct keyring *keyring = NULL;

    (void)state;
    assert_int_equal(secret_allocate(&masking_key, 16), STATUS_OK);
    assert_int_equal(keyring_create(&masking_key, CLUSTER, &keyring), STATUS_INTERNAL);
    assert_null(keyring);
    secret_release(&masking_key);
}

static void *seal_and_open(void *keyring)
{
    for (uintptr_t i = 0; i < 500; i++) {
        CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, plaintext = BYTES_SECRET;
        struct slice text = slice_of(&i, sizeof i), context = slice_of(&keyring, sizeof keyring);

        if (seal(keyring, SEAL_TICKET, context, text, &sealed) != STATUS_OK ||
            unseal(keyring, SEAL_TICKET, context, bytes_slice(&sealed), &plaintext) != STATUS_OK ||
            !slice_equal(bytes_slice(&plaintext), text))
            return keyring;
    }
    return NULL;
}

static void threads_seal_and_open_side_by_side(void **state)
{
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, seal_and_open, *state), 0);
    for (unsigned i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens_again_and_takes_40_bytes_more),
        cmocka_unit_test(the_same_text_is_never_sealed_alike),
        cmocka_unit_test(the_format_is_the_documented_one),
        cmocka_unit_test(no_altered_byte_and_no_missing_one_goes_unnoticed),
        cmocka_unit_test(another_place_purpose_cluster_or_key_does_not_open_it),
        cmocka_unit_test(tokens_tell_equality_within_one_cluster_only),
        cmocka_unit_test(keys_for_sealing_make_no_macs),
        cmocka_unit_test(a_masking_key_of_another_length_is_refused),
        cmocka_unit_test(threads_seal_and_open_side_by_side),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
