/* Operations in parts over a core without a network, whose node encrypts with OpenSSL under a fixed key: what reaches
 * it, what comes out, and what happens when it fails in between. */
#include "libhsm_api_fake_core.h"

#include <openssl/evp.h>
#include "protocol/catalog.h"

static const uint8_t KEY[16] = "sixteen byte key";
static hsm_cluster *cluster;
static hsm_session *session;
static const hsm_key key = {{1, 2, 3}};
static int fail_at; /* the how-many-th request from now on fails; 0: none */

static int begin(void **state)
{
    (void)state;
    fail_at = 0;
    fake_open(&cluster, &session);
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_close(cluster, session);
    return 0;
}

static size_t openssl_crypt(const EVP_CIPHER *cipher, bool encrypt, bool padding, const uint8_t *nonce,
                            const uint8_t *data, size_t len, uint8_t *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n = 0, last = 0;

    EVP_CipherInit_ex(context, cipher, NULL, KEY, nonce, encrypt);
    EVP_CIPHER_CTX_set_padding(context, padding);
    EVP_CipherUpdate(context, out, &n, data, (int)len);
    int good = EVP_CipherFinal_ex(context, out + n, &last);
    EVP_CIPHER_CTX_free(context);
    return good ? (size_t)(n + last) : SIZE_MAX;
}

static status_code cipher_node(const struct core_request *request, struct values *answer)
{
    static _Thread_local uint8_t out[DATA_MAX + 64];
    const struct values *fields = request->fields;
    uint64_t mechanism = values_uint(fields, FIELD_MECHANISM, 0);
    struct slice data = values_bytes(fields, FIELD_DATA), nonce = values_bytes(fields, FIELD_NONCE);

    if (fail_at && --fail_at == 0)
        FAIL(STATUS_UNAVAILABLE, "the node is gone");
    assert_true(data.len <= DATA_MAX);
    const EVP_CIPHER *cipher = mechanism == MECHANISM_AES_CTR ? EVP_aes_128_ctr() : EVP_aes_128_cbc();
    size_t len = openssl_crypt(cipher, request->operation == OP_ENCRYPT, mechanism == MECHANISM_AES_CBC_PAD, nonce.data,
                               data.data, data.len, out);
    CHECK(len != SIZE_MAX, STATUS_CIPHERTEXT_INVALID, "bad padding");
    values_put_bytes(answer, FIELD_OUTPUT, slice_of(out, len));
    return STATUS_OK;
}

static hsm_mechanism mechanism_of(uint32_t type, const uint8_t *nonce)
{
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(type);

    mechanism.nonce = nonce;
    mechanism.nonce_len = 16;
    return mechanism;
}

static void a_part_that_no_node_took_is_repeated_without_harm(void **state)
{
    static const uint8_t nonce[16] = "an init vector..";
    static uint8_t data[3000001], ours[3000064], theirs[3000064];
    hsm_mechanism mechanism = mechanism_of(HSM_MECHANISM_AES_CBC_PAD, nonce);
    hsm_operation *operation = NULL;
    size_t total = 0, room;

    (void)state;
    memset(data, 7, sizeof(data));
    fake_answer = cipher_node;
    assert_int_equal(hsm_operation_begin(session, HSM_OPERATION_ENCRYPT, &key, &mechanism, 0, &operation), HSM_OK);
    for (size_t at = 0; at < sizeof(data); at += 1500000) {
        size_t len = sizeof(data) - at < 1500000 ? sizeof(data) - at : 1500000;

        /* The second of the two messages that this needs fails. */
        room = sizeof(ours) - total;
        fail_at = len > DATA_MAX ? 2 : 0;
        if (fail_at)
            assert_int_equal(hsm_operation_update(operation, data + at, len, ours + total, &room), HSM_UNAVAILABLE);
        room = sizeof(ours) - total;
        assert_int_equal(hsm_operation_update(operation, data + at, len, ours + total, &room), HSM_OK);
        total += room;
    }
    room = sizeof(ours) - total;
    fail_at = 1;
    assert_int_equal(hsm_operation_final(operation, ours + total, &room), HSM_UNAVAILABLE);
    room = sizeof(ours) - total;
    assert_int_equal(hsm_operation_final(operation, ours + total, &room), HSM_OK);
    total += room;
    hsm_operation_free(operation);
    assert_int_equal(total, openssl_crypt(EVP_aes_128_cbc(), true, true, nonce, data, sizeof(data), theirs));
    assert_memory_equal(ours, theirs, total);
}

static void the_counter_carries_through_the_whole_block(void **state)
{
    static const size_t parts[] = {1, 15, 16, 17, 0, 31, 1000003, 5};
    static uint8_t nonce[16], data[1100000], ours[1100000], theirs[1100016];
    hsm_mechanism mechanism = mechanism_of(HSM_MECHANISM_AES_CTR, nonce);
    hsm_operation *operation = NULL;
    size_t at = 0;

    (void)state;
    memset(nonce, 0xff, sizeof(nonce));
    fake_answer = cipher_node;
    assert_int_equal(hsm_operation_begin(session, HSM_OPERATION_ENCRYPT, &key, &mechanism, 0, &operation), HSM_OK);
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        size_t room = sizeof(ours) - at;

        assert_int_equal(hsm_operation_update(operation, data + at, parts[i], ours + at, &room), HSM_OK);
        assert_int_equal(room, parts[i]);
        at += parts[i];
    }
    assert_int_equal(hsm_operation_final(operation, NULL, NULL), HSM_OK);
    hsm_operation_free(operation);
    openssl_crypt(EVP_aes_128_ctr(), true, false, nonce, data, at, theirs);
    assert_memory_equal(ours, theirs, at);
}

static void asking_for_a_length_sends_and_changes_nothing(void **state)
{
    static const uint8_t nonce[16];
    hsm_mechanism mechanism = mechanism_of(HSM_MECHANISM_AES_CBC_PAD, nonce);
    hsm_operation *operation = NULL;
    uint8_t data[40] = {0}, out[64];
    size_t len = 0;

    (void)state;
    fake_answer = cipher_node;
    assert_int_equal(hsm_encrypt(session, key, &mechanism, data, 40, NULL, &len), HSM_OK);
    assert_int_equal(len, 48);
    assert_int_equal(hsm_operation_begin(session, HSM_OPERATION_ENCRYPT, &key, &mechanism, 0, &operation), HSM_OK);
    assert_int_equal(hsm_operation_update(operation, data, 40, NULL, &len), HSM_OK);
    assert_int_equal(len, 32);
    len = 31;
    assert_int_equal(hsm_operation_update(operation, data, 40, out, &len), HSM_BUFFER_TOO_SMALL);
    assert_int_equal(len, 32);
    assert_int_equal(atomic_load(&fake_calls), 0);
    assert_int_equal(hsm_operation_update(operation, data, 40, out, &len), HSM_OK);
    assert_int_equal(hsm_operation_final(operation, NULL, &len), HSM_OK);
    assert_int_equal(len, 16);
    len = 15;
    assert_int_equal(hsm_operation_final(operation, out + 32, &len), HSM_BUFFER_TOO_SMALL);
    assert_int_equal(hsm_operation_final(operation, out + 32, &len), HSM_OK);
    assert_int_equal(len, 16);
    hsm_operation_free(operation);
}

static void a_bad_end_ends_the_operation(void **state)
{
    static const uint8_t nonce[16];
    hsm_mechanism padded = mechanism_of(HSM_MECHANISM_AES_CBC_PAD, nonce),
                  plain = mechanism_of(HSM_MECHANISM_AES_CBC, nonce);
    hsm_operation *operation = NULL;
    uint8_t data[48] = {0}, out[64];
    size_t len = sizeof(out);

    (void)state;
    fake_answer = cipher_node;
    assert_int_equal(hsm_operation_begin(session, HSM_OPERATION_DECRYPT, &key, &padded, 0, &operation), HSM_OK);
    assert_int_equal(hsm_operation_update(operation, data, 48, out, &len), HSM_OK);
    assert_int_equal(len, 32); /* the last block may be padding */
    assert_int_equal(hsm_operation_final(operation, out, &len), HSM_CIPHERTEXT_INVALID);
    assert_int_equal(hsm_operation_final(operation, out, &len), HSM_OPERATION_NOT_ACTIVE);
    hsm_operation_free(operation);

    assert_int_equal(hsm_operation_begin(session, HSM_OPERATION_ENCRYPT, &key, &plain, 0, &operation), HSM_OK);
    len = sizeof(out);
    assert_int_equal(hsm_operation_update(operation, data, 47, out, &len), HSM_OK);
    assert_int_equal(hsm_operation_final(operation, out, &len), HSM_DATA_LENGTH);
    assert_int_equal(hsm_operation_update(operation, data, 1, out, &len), HSM_OPERATION_NOT_ACTIVE);
    hsm_operation_free(operation);
}

static status_code short_node(const struct core_request *request, struct values *answer)
{
    struct slice data = values_bytes(request->fields, FIELD_DATA);

    values_put_bytes(answer, FIELD_OUTPUT, slice_of(data.data, data.len - 1));
    return STATUS_OK;
}

static void an_answer_of_the_wrong_length_is_refused(void **state)
{
    static const uint8_t nonce[16];
    hsm_mechanism mechanism = mechanism_of(HSM_MECHANISM_AES_CTR, nonce);
    static uint8_t data[DATA_MAX + 10], out[DATA_MAX + 10];
    size_t len = sizeof(out);

    (void)state;
    fake_answer = short_node;
    assert_int_equal(hsm_encrypt(session, key, &mechanism, data, sizeof(data), out, &len), HSM_PROTOCOL_ERROR);
    assert_string_equal(hsm_last_error()->operation, "ENCRYPT");
}

static void mechanisms_that_make_no_sense_go_nowhere(void **state)
{
    static const uint8_t nonce[16];
    hsm_mechanism mechanism = mechanism_of(HSM_MECHANISM_AES_CBC, nonce);
    struct {
        hsm_mechanism known;
        uint64_t added;
    } newer = {mechanism, 1};
    uint8_t data[16] = {0}, out[64];
    size_t len = sizeof(out);
    hsm_operation *operation = NULL;

    (void)state;
    mechanism.nonce_len = 15;
    assert_int_equal(hsm_encrypt(session, key, &mechanism, data, 16, out, &len), HSM_MECHANISM_PARAM_INVALID);
    mechanism.nonce = NULL;
    assert_int_equal(hsm_encrypt(session, key, &mechanism, data, 16, out, &len), HSM_MECHANISM_PARAM_INVALID);
    mechanism = mechanism_of(HSM_MECHANISM_AES_CBC, nonce);
    assert_int_equal(hsm_sign(session, key, &mechanism, data, 16, out, &len), HSM_MECHANISM_INVALID);
    mechanism.type = 9999;
    assert_int_equal(hsm_encrypt(session, key, &mechanism, data, 16, out, &len), HSM_MECHANISM_INVALID);
    mechanism.size = 0;
    assert_int_equal(hsm_encrypt(session, key, &mechanism, data, 16, out, &len), HSM_INVALID_ARGUMENT);
    newer.known.size = sizeof(newer);
    assert_int_equal(hsm_encrypt(session, key, &newer.known, data, 16, out, &len), HSM_NOT_SUPPORTED);
    assert_int_equal(hsm_operation_begin(session, 9, &key, &mechanism, 0, &operation), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_encrypt(session, key, NULL, data, 16, out, &len), HSM_INVALID_ARGUMENT);
    assert_int_equal(atomic_load(&fake_calls), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_part_that_no_node_took_is_repeated_without_harm, begin, end),
        cmocka_unit_test_setup_teardown(the_counter_carries_through_the_whole_block, begin, end),
        cmocka_unit_test_setup_teardown(asking_for_a_length_sends_and_changes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_bad_end_ends_the_operation, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_of_the_wrong_length_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(mechanisms_that_make_no_sense_go_nowhere, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
