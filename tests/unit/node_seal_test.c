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
    struct secret masking_keys = SECRET_INIT;
    struct keyring *keyring = NULL;

    assert_int_equal(masking_keys_make(FIRST_GENERATION, &masking_keys), STATUS_OK);
    for (unsigned i = 0; i < MASKING_KEY_LEN; i++)
        masking_keys.data[4 + i] = (uint8_t)(first + i);
    assert_int_equal(keyring_create(secret_slice(&masking_keys), cluster_id, &keyring), STATUS_OK);
    secret_release(&masking_keys);
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

static void what_is_sealed_opens_again_and_takes_44_bytes_more(void **state)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 1000, 1 << 20};
    static uint8_t text[1 << 20];

    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, plaintext = BYTES_SECRET;
        struct slice from = slice_of(text, lengths[i]);

        bytes_append(&sealed, "before", 6); /* it is appended */
        assert_int_equal(seal(*state, SEAL_NEWEST, SEAL_SESSION_OBJECT, slice_text("here"), from, &sealed), STATUS_OK);
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

    assert_int_equal(seal(*state, SEAL_NEWEST, SEAL_RECORD, context, text, &one), STATUS_OK);
    assert_int_equal(seal(*state, SEAL_NEWEST, SEAL_RECORD, context, text, &two), STATUS_OK);
    assert_memory_not_equal(one.data + 4, two.data + 4, 24);
    assert_memory_not_equal(one.data + 28, two.data + 28, text.len);
}

/* Made by another implementation (HMAC of Python's standard library, AESGCM of pyca/cryptography) from the description
 * at the top of keyring.c: a change of the format cannot go unnoticed. */
static void the_format_is_the_documented_one(void **state)
{
    static const char known[] = "00000001"
                                "6465666768696a6b6c6d6e6f707172737475767778797a7b"
                                "eb4b9d7935b8e569b5ba1fada5e14b90cd6f5ae8e5251e487dcb144254";
    static const char known_token[] = "4fe8e6384080501c9efc3035";
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_SECRET;
    uint8_t sealed[(sizeof known - 1) / 2];
    char text[2 * TOKEN_LEN + 1];
    struct index_token token;

    assert_true(hex_decode(known, sealed, sizeof sealed));
    assert_int_equal(opened(*state, SEAL_RECORD, "context", slice_of(sealed, sizeof sealed), &plaintext), STATUS_OK);
    assert_true(slice_equal(bytes_slice(&plaintext), slice_text("the plaintext")));
    assert_int_equal(keyring_token(*state, FIRST_GENERATION, 3, slice_text("label"), &token), STATUS_OK);
    hex_encode(slice_of(token.bytes, TOKEN_LEN), text);
    assert_string_equal(text, known_token);
}

static void no_altered_byte_and_no_missing_one_goes_unnoticed(void **state)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, plaintext = BYTES_SECRET;

    assert_int_equal(seal(*state, SEAL_NEWEST, SEAL_RECORD, slice_text("here"), slice_text("a text"), &sealed),
                     STATUS_OK);
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

    assert_int_equal(seal(*state, SEAL_NEWEST, SEAL_TICKET, slice_text("here"), slice_text("a text"), &sealed),
                     STATUS_OK);
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
    assert_int_equal(keyring_token(keyring, FIRST_GENERATION, what, slice_text(value), &token), STATUS_OK);
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

static void what_is_no_list_of_masking_keys_is_refused(void **state)
{
    struct secret keys = SECRET_INIT;
    struct keyring *keyring = NULL;

    (void)state;
    assert_int_equal(masking_keys_make(FIRST_GENERATION, &keys), STATUS_OK);
    assert_int_equal(keyring_create(slice_of(keys.data, keys.len - 1), CLUSTER, &keyring), STATUS_STORE_DAMAGED);
    assert_int_equal(keyring_create(slice_of(keys.data, 0), CLUSTER, &keyring), STATUS_STORE_DAMAGED);
    keys.data[3] = 0; /* generation 0 */
    assert_int_equal(keyring_create(secret_slice(&keys), CLUSTER, &keyring), STATUS_STORE_DAMAGED);
    assert_null(keyring);
    secret_release(&keys);
}

/* --- generations --- */

/* Keys of generations 1 to n, which are the same in every list. */
static void put_keys(unsigned n, struct secret *keys)
{
    assert_int_equal(secret_allocate(keys, n * MASKING_KEY_ENTRY_LEN), STATUS_OK);
    for (unsigned i = 0; i < n; i++) {
        generation_put(i + 1, keys->data + i * MASKING_KEY_ENTRY_LEN);
        memset(keys->data + i * MASKING_KEY_ENTRY_LEN + 4, (int)i + 1, MASKING_KEY_LEN);
    }
}

static void change_keys(struct keyring *keyring, unsigned oldest, unsigned newest)
{
    CLEANUP(secret_release) struct secret keys = SECRET_INIT;

    put_keys(newest, &keys);
    struct slice list =
        slice_of(keys.data + (oldest - 1) * MASKING_KEY_ENTRY_LEN, (newest - oldest + 1) * MASKING_KEY_ENTRY_LEN);
    assert_int_equal(keyring_change(keyring, list), STATUS_OK);
}

static struct keyring *keyring_of(unsigned oldest, unsigned newest)
{
    struct keyring *keyring = keyring_from(0, CLUSTER);
    change_keys(keyring, oldest, newest);
    return keyring;
}

static void the_newest_seals_and_all_open(void **state)
{
    CLEANUP(bytes_release) struct bytes first = BYTES_INIT, second = BYTES_INIT, plaintext = BYTES_SECRET;
    struct keyring *keyring = keyring_of(1, 1);
    uint32_t searched[MASKING_KEYS_MAX];

    (void)state;
    assert_int_equal(seal(keyring, SEAL_NEWEST, SEAL_RECORD, slice_text("a"), slice_text("one"), &first), STATUS_OK);
    change_keys(keyring, 1, 2);
    assert_int_equal(seal(keyring, SEAL_NEWEST, SEAL_RECORD, slice_text("b"), slice_text("two"), &second), STATUS_OK);
    assert_int_equal(generation_of(bytes_slice(&first)), 1);
    assert_int_equal(generation_of(bytes_slice(&second)), 2);
    assert_int_equal(opened(keyring, SEAL_RECORD, "a", bytes_slice(&first), &plaintext), STATUS_OK);
    assert_int_equal(opened(keyring, SEAL_RECORD, "b", bytes_slice(&second), &plaintext), STATUS_OK);
    assert_int_equal(keyring_searched(keyring, searched), 2);
    assert_int_equal(searched[0], 1);
    /* A value that claims another generation than its own does not open. */
    generation_put(1, second.data);
    assert_int_equal(opened(keyring, SEAL_RECORD, "b", bytes_slice(&second), &plaintext), STATUS_STORE_DAMAGED);
    keyring_free(keyring);
}

static void settled_generations_open_what_clients_hold_and_nothing_of_the_store(void **state)
{
    static const enum seal_purpose stored[] = {SEAL_RECORD, SEAL_KEY_MATERIAL, SEAL_AUDIT};
    static const enum seal_purpose held[] = {SEAL_TICKET, SEAL_SESSION_OBJECT, SEAL_MULTIPART};
    uint32_t searched[MASKING_KEYS_MAX];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        CLEANUP(bytes_release) struct bytes store = BYTES_INIT, client = BYTES_INIT, plaintext = BYTES_SECRET;
        struct keyring *keyring = keyring_of(1, 2);

        assert_int_equal(seal(keyring, 1, stored[i], slice_text("a"), slice_text("text"), &store), STATUS_OK);
        assert_int_equal(seal(keyring, 1, held[i], slice_text("a"), slice_text("text"), &client), STATUS_OK);
        keyring_settle(keyring, 2);
        assert_int_equal(opened(keyring, stored[i], "a", bytes_slice(&store), &plaintext), STATUS_BUSY);
        assert_int_equal(opened(keyring, held[i], "a", bytes_slice(&client), &plaintext), STATUS_OK);
        assert_int_equal(keyring_searched(keyring, searched), 1);
        change_keys(keyring, 2, 2);
        assert_int_equal(opened(keyring, held[i], "a", bytes_slice(&client), &plaintext), STATUS_STORE_DAMAGED);
        keyring_settle(keyring, 1); /* somebody who comes late changes nothing */
        change_keys(keyring, 1, 2);
        assert_int_equal(opened(keyring, stored[i], "a", bytes_slice(&store), &plaintext), STATUS_BUSY);
        keyring_free(keyring);
    }
}

static unsigned n_asked;

static status_code teach(void *context, uint32_t generation)
{
    n_asked++;
    if (generation) /* else it is a client's, and the store knows nothing of it */
        change_keys(context, 1, generation);
    return STATUS_OK;
}

static void an_unknown_generation_is_learned_if_the_store_has_it(void **state)
{
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, ticket = BYTES_INIT, plaintext = BYTES_SECRET;
    struct keyring *ahead = keyring_of(1, 2), *behind = keyring_of(1, 1);

    (void)state;
    keyring_on_unknown(behind, teach, behind);
    assert_int_equal(seal(ahead, SEAL_NEWEST, SEAL_RECORD, slice_text("a"), slice_text("text"), &sealed), STATUS_OK);
    assert_int_equal(seal(ahead, SEAL_NEWEST, SEAL_TICKET, slice_text("a"), slice_text("text"), &ticket), STATUS_OK);
    assert_int_equal(opened(behind, SEAL_TICKET, "a", bytes_slice(&ticket), &plaintext), STATUS_STORE_DAMAGED);
    assert_int_equal(n_asked, 1);
    assert_int_equal(opened(behind, SEAL_RECORD, "a", bytes_slice(&sealed), &plaintext), STATUS_OK);
    assert_int_equal(n_asked, 2);
    assert_int_equal(opened(behind, SEAL_TICKET, "a", bytes_slice(&ticket), &plaintext), STATUS_OK);
    keyring_free(ahead);
    keyring_free(behind);
}

static void tokens_are_of_one_generation(void **state)
{
    struct keyring *keyring = keyring_of(1, 2);
    struct index_token one, two;

    (void)state;
    assert_int_equal(keyring_token(keyring, 1, 3, slice_text("web"), &one), STATUS_OK);
    assert_int_equal(keyring_token(keyring, 2, 3, slice_text("web"), &two), STATUS_OK);
    assert_memory_not_equal(one.bytes, two.bytes, TOKEN_LEN);
    assert_int_equal(keyring_token(keyring, 3, 3, slice_text("web"), &two), STATUS_OBJECT_NOT_FOUND);
    keyring_free(keyring);
}

static void lists_of_masking_keys_are_joined_and_cut(void **state)
{
    CLEANUP(secret_release)
    struct secret three = SECRET_INIT, all = SECRET_INIT, kept = SECRET_INIT, other = SECRET_INIT, none = SECRET_INIT;

    (void)state;
    put_keys(3, &three);
    struct slice first = slice_of(three.data, 2 * MASKING_KEY_ENTRY_LEN);
    struct slice last = slice_of(three.data + MASKING_KEY_ENTRY_LEN, 2 * MASKING_KEY_ENTRY_LEN);
    assert_int_equal(masking_keys_join(first, last, &all), STATUS_OK);
    assert_true(secret_equal(secret_slice(&all), secret_slice(&three)));
    assert_int_equal(masking_keys_newest(secret_slice(&all)), 3);
    assert_int_equal(masking_keys_from(secret_slice(&all), 2, &kept), STATUS_OK);
    assert_true(secret_equal(secret_slice(&kept), last));
    /* Somebody else's key of a generation that is known. */
    assert_int_equal(masking_keys_make(2, &other), STATUS_OK);
    assert_int_equal(masking_keys_join(secret_slice(&three), secret_slice(&other), &none), STATUS_NOT_PERMITTED);
    assert_int_equal(none.len, 0);
}

static void *seal_and_open(void *keyring)
{
    for (uintptr_t i = 0; i < 500; i++) {
        CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, plaintext = BYTES_SECRET;
        struct slice text = slice_of(&i, sizeof i), context = slice_of(&keyring, sizeof keyring);

        if (seal(keyring, SEAL_NEWEST, SEAL_TICKET, context, text, &sealed) != STATUS_OK ||
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
        cmocka_unit_test(what_is_sealed_opens_again_and_takes_44_bytes_more),
        cmocka_unit_test(the_same_text_is_never_sealed_alike),
        cmocka_unit_test(the_format_is_the_documented_one),
        cmocka_unit_test(no_altered_byte_and_no_missing_one_goes_unnoticed),
        cmocka_unit_test(another_place_purpose_cluster_or_key_does_not_open_it),
        cmocka_unit_test(tokens_tell_equality_within_one_cluster_only),
        cmocka_unit_test(what_is_no_list_of_masking_keys_is_refused),
        cmocka_unit_test(the_newest_seals_and_all_open),
        cmocka_unit_test(settled_generations_open_what_clients_hold_and_nothing_of_the_store),
        cmocka_unit_test(an_unknown_generation_is_learned_if_the_store_has_it),
        cmocka_unit_test(tokens_are_of_one_generation),
        cmocka_unit_test(lists_of_masking_keys_are_joined_and_cut),
        cmocka_unit_test(threads_seal_and_open_side_by_side),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
