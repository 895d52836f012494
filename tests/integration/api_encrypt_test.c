/* Encryption through hsm/crypto.h against a real node: checked with OpenSSL, by decryption, and by doing the same in
 * parts of odd sizes. */
#include "api_fixture.h"

#include <openssl/evp.h>

static hsm_session *session_of(void **state)
{
    return ((struct world *)*state)->user;
}

/* --- encryption: one call and parts agree, whatever the size --- */

static void check_cipher(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, size_t len, size_t part)
{
    uint8_t *data = pattern(len), *back = (uint8_t *)malloc(len + 64);
    size_t room = len + 64, cipher_len = 0, back_len = room;

    OK(hsm_encrypt(session, key, mechanism, data, len, NULL, &cipher_len));
    uint8_t *cipher = (uint8_t *)malloc(cipher_len + 64), *parts = (uint8_t *)malloc(cipher_len + 64);
    size_t needed = cipher_len;
    OK(hsm_encrypt(session, key, mechanism, data, len, cipher, &cipher_len));
    assert_int_equal(cipher_len, needed);
    size_t short_len = cipher_len - 1;
    FAILS(HSM_BUFFER_TOO_SMALL, hsm_encrypt(session, key, mechanism, data, len, parts, &short_len));
    assert_int_equal(short_len, cipher_len);

    assert_int_equal(
        in_parts(session, HSM_OPERATION_ENCRYPT, key, mechanism, data, len, part, 0, parts, cipher_len + 64),
        cipher_len);
    assert_memory_equal(parts, cipher, cipher_len);
    OK(hsm_decrypt(session, key, mechanism, cipher, cipher_len, back, &back_len));
    assert_int_equal(back_len, len);
    assert_memory_equal(back, data, len);
    memset(back, 0, len);
    assert_int_equal(in_parts(session, HSM_OPERATION_DECRYPT, key, mechanism, cipher, cipher_len, part, 0, back, room),
                     len);
    assert_memory_equal(back, data, len);
    free(data), free(back), free(cipher), free(parts);
}

static void ciphers_agree_in_one_call_and_in_parts(void **state)
{
    static const uint8_t nonce[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 255, 255, 255, 255, 255, 250};
    static const struct {
        uint32_t type;
        size_t nonce_len;
        bool any_length;
    } rows[] = {
        {HSM_MECHANISM_AES_ECB, 0, false}, {HSM_MECHANISM_AES_CBC, 16, false}, {HSM_MECHANISM_AES_CBC_PAD, 16, true},
        {HSM_MECHANISM_AES_CTR, 16, true}, {HSM_MECHANISM_AES_GCM, 12, true},
    };
    hsm_session *session = session_of(state);
    hsm_key key = aes_key(session);

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        hsm_mechanism mechanism = HSM_MECHANISM_INIT(rows[i].type);

        mechanism.nonce = rows[i].nonce_len ? nonce : NULL;
        mechanism.nonce_len = rows[i].nonce_len;
        check_cipher(session, key, &mechanism, 64, 7);
        check_cipher(session, key, &mechanism, LONG_LEN + (rows[i].any_length ? 5 : 0), 700001);
        check_cipher(session, key, &mechanism, LONG_LEN + (rows[i].any_length ? 16 : 32), LONG_LEN * 2);
    }
    OK(hsm_object_delete(session, key));
}

static void ciphertexts_are_those_of_openssl(void **state)
{
    static const uint8_t value[16] = "0123456789abcdef", nonce[16] = "fedcba987654321";
    static const uint32_t mechanisms[] = {HSM_MECHANISM_AES_CTR, HSM_MECHANISM_AES_CBC_PAD};
    const EVP_CIPHER *const ciphers[] = {EVP_aes_128_ctr(), EVP_aes_128_cbc()};
    uint64_t class = HSM_CLASS_SECRET_KEY, type = HSM_KEY_TYPE_AES;
    hsm_session *session = session_of(state);
    hsm_key key;
    uint8_t *data = pattern(LONG_LEN), *ours = pattern(LONG_LEN + 16), *theirs = pattern(LONG_LEN + 32);

    hsm_attribute template[] = {
        hsm_attribute_uint(HSM_ATTR_CLASS, &class),  hsm_attribute_uint(HSM_ATTR_KEY_TYPE, &type),
        hsm_attribute_of(HSM_ATTR_VALUE, value, 16), hsm_attribute_bool(HSM_ATTR_ENCRYPT, 1),
        hsm_attribute_bool(HSM_ATTR_TOKEN, 0),
    };
    OK(hsm_object_create(session, template, 5, &key));
    for (size_t i = 0; i < 2; i++) {
        hsm_mechanism mechanism = HSM_MECHANISM_INIT(mechanisms[i]);
        size_t ours_len = LONG_LEN + 16;
        int len = 0, last = 0;

        mechanism.nonce = nonce;
        mechanism.nonce_len = 16;
        OK(hsm_encrypt(session, key, &mechanism, data, LONG_LEN, ours, &ours_len));
        EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        EVP_EncryptInit_ex(context, ciphers[i], NULL, value, nonce);
        EVP_EncryptUpdate(context, theirs, &len, data, (int)LONG_LEN);
        EVP_EncryptFinal_ex(context, theirs + len, &last);
        EVP_CIPHER_CTX_free(context);
        assert_int_equal(ours_len, len + last);
        assert_memory_equal(ours, theirs, ours_len);
    }
    OK(hsm_object_delete(session, key));
    free(data), free(ours), free(theirs);
}

static void gcm_with_a_nonce_of_the_node(void **state)
{
    hsm_session *session = session_of(state);
    hsm_key key = aes_key(session);
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_GCM);
    static const size_t lengths[] = {100, LONG_LEN};

    for (size_t i = 0; i < 2; i++) {
        size_t len = lengths[i], cipher_len = len + 16, back_len = len;
        uint8_t *data = pattern(len), *cipher = pattern(cipher_len), *back = pattern(len);
        uint8_t nonce[HSM_NONCE_MADE_LEN] = {0}, zero[HSM_NONCE_MADE_LEN] = {0};

        mechanism.nonce = mechanism.nonce_out = NULL;
        mechanism.nonce_len = 0;
        mechanism.aad = (const uint8_t *)"header";
        mechanism.aad_len = 6;
        FAILS(HSM_MECHANISM_PARAM_INVALID, hsm_encrypt(session, key, &mechanism, data, len, cipher, &cipher_len));
        mechanism.nonce_out = nonce;
        OK(hsm_encrypt(session, key, &mechanism, data, len, cipher, &cipher_len));
        assert_memory_not_equal(nonce, zero, sizeof(nonce));
        mechanism.nonce = nonce;
        mechanism.nonce_len = sizeof(nonce);
        OK(hsm_decrypt(session, key, &mechanism, cipher, cipher_len, back, &back_len));
        assert_memory_equal(back, data, len);

        /* Nothing of a forged text comes out. */
        cipher[len / 2] ^= 1;
        memset(back, 0xaa, len);
        FAILS(HSM_CIPHERTEXT_INVALID, hsm_decrypt(session, key, &mechanism, cipher, cipher_len, back, &back_len));
        assert_memory_not_equal(back, data, 16);
        free(data), free(cipher), free(back);
    }
    OK(hsm_object_delete(session, key));
}

static void gcm_holds_plaintext_and_takes_the_tag_apart(void **state)
{
    static const uint8_t nonce[12] = "nonce";
    hsm_session *session = session_of(state);
    hsm_key key = aes_key(session);
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_GCM);
    hsm_operation *operation = NULL;
    uint8_t *data = pattern(LONG_LEN), *cipher = pattern(LONG_LEN + 16), *back = pattern(LONG_LEN);
    size_t cipher_len = LONG_LEN + 16, back_len = 0;

    mechanism.nonce = nonce;
    mechanism.nonce_len = sizeof(nonce);
    OK(hsm_encrypt(session, key, &mechanism, data, LONG_LEN, cipher, &cipher_len));
    OK(hsm_operation_begin(session, HSM_OPERATION_DECRYPT, &key, &mechanism, HSM_OPERATION_HOLD_PLAINTEXT, &operation));
    OK(hsm_operation_update(operation, cipher, LONG_LEN, NULL, &back_len)); /* asks for the room, and takes nothing */
    assert_int_equal(back_len, 0);
    OK(hsm_operation_update(operation, cipher, LONG_LEN, NULL, NULL));
    OK(hsm_operation_final_tag(operation, cipher + LONG_LEN, 16, NULL, &back_len));
    assert_int_equal(back_len, LONG_LEN);
    memset(back, 0, back_len);
    OK(hsm_operation_final_tag(operation, cipher + LONG_LEN, 16, back, &back_len));
    assert_int_equal(back_len, LONG_LEN);
    assert_memory_equal(back, data, LONG_LEN);
    hsm_operation_free(operation);
    OK(hsm_object_delete(session, key));
    free(data), free(cipher), free(back);
}

static void gcm_in_parts_holds_nothing_back_for_a_tag_apart(void **state)
{
    static const uint8_t nonce[12] = "nonce";
    hsm_session *session = session_of(state);
    hsm_key key = aes_key(session);
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_GCM);
    hsm_operation *operation = NULL;
    uint8_t *data = pattern(40), *cipher = pattern(56), *back = pattern(40);
    size_t cipher_len = 56, back_len = 40, last_len = 0;

    mechanism.nonce = nonce;
    mechanism.nonce_len = sizeof(nonce);
    OK(hsm_encrypt(session, key, &mechanism, data, 40, cipher, &cipher_len));
    OK(hsm_operation_begin(session, HSM_OPERATION_DECRYPT, &key, &mechanism, HSM_OPERATION_TAG_APART, &operation));
    OK(hsm_operation_update(operation, cipher, 3, back, &back_len));
    assert_int_equal(back_len, 3);
    back_len = 37;
    OK(hsm_operation_update(operation, cipher + 3, 37, back + 3, &back_len));
    assert_int_equal(back_len, 37);
    assert_memory_equal(back, data, 40);
    OK(hsm_operation_final_tag(operation, cipher + 40, 16, NULL, &last_len));
    assert_int_equal(last_len, 0);
    OK(hsm_operation_final_tag(operation, cipher + 40, 16, back, &last_len));
    assert_int_equal(last_len, 0);
    hsm_operation_free(operation);

    /* Without a tag it cannot end. */
    OK(hsm_operation_begin(session, HSM_OPERATION_DECRYPT, &key, &mechanism, HSM_OPERATION_TAG_APART, &operation));
    back_len = 40;
    OK(hsm_operation_update(operation, cipher, 40, back, &back_len));
    FAILS(HSM_DATA_LENGTH, hsm_operation_final(operation, back, &last_len));
    hsm_operation_free(operation);
    OK(hsm_object_delete(session, key));
    free(data), free(cipher), free(back);
}

/* The place is the caller's again as soon as the nonce stands there. */
static void the_place_for_a_nonce_is_written_once(void **state)
{
    static const uint8_t zero[HSM_NONCE_MADE_LEN];
    hsm_session *session = session_of(state);
    hsm_key key = aes_key(session);
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_GCM);
    hsm_operation *operation = NULL, *copy = NULL;
    uint8_t nonce[HSM_NONCE_MADE_LEN] = {0}, out[64];
    size_t len = sizeof(out);

    mechanism.nonce_out = nonce;
    OK(hsm_operation_begin(session, HSM_OPERATION_ENCRYPT, &key, &mechanism, 0, &operation));
    OK(hsm_operation_update(operation, "text", 4, out, &len));
    assert_memory_not_equal(nonce, zero, sizeof(nonce));
    memset(nonce, 0, sizeof(nonce));
    OK(hsm_operation_copy(operation, &copy));
    for (int i = 0; i < 2; i++) {
        len = sizeof(out);
        OK(hsm_operation_update(i ? copy : operation, "text", 4, out, &len));
        len = sizeof(out);
        OK(hsm_operation_final(i ? copy : operation, out, &len));
    }
    assert_memory_equal(nonce, zero, sizeof(nonce));
    hsm_operation_free(operation);
    hsm_operation_free(copy);
    OK(hsm_object_delete(session, key));
}

static void ccm_and_rsa_go_in_one_piece(void **state)
{
    hsm_session *session = session_of(state);
    hsm_key key = aes_key(session), public_key, private_key;
    hsm_mechanism ccm = HSM_MECHANISM_INIT(HSM_MECHANISM_AES_CCM),
                  oaep = HSM_MECHANISM_INIT(HSM_MECHANISM_RSA_PKCS_OAEP);
    uint8_t nonce[HSM_NONCE_MADE_LEN], cipher[512], back[512], *large = pattern(HSM_MESSAGE_MAX + 1);
    size_t cipher_len = sizeof(cipher), back_len = sizeof(back);

    ccm.nonce_out = nonce;
    OK(hsm_encrypt(session, key, &ccm, "ccm", 3, cipher, &cipher_len));
    assert_int_equal(cipher_len, 3 + 16);
    ccm.nonce = nonce;
    ccm.nonce_len = sizeof(nonce);
    OK(hsm_decrypt(session, key, &ccm, cipher, cipher_len, back, &back_len));
    assert_memory_equal(back, "ccm", 3);
    size_t room = HSM_MESSAGE_MAX + 17;
    uint8_t *out = pattern(room);
    FAILS(HSM_TOO_LARGE, hsm_encrypt(session, key, &ccm, large, HSM_MESSAGE_MAX + 1, out, &room));

    OK(hsm_key_pair_generate_rsa(session, "oaep", 2048, &public_key, &private_key));
    oaep.hash = HSM_HASH_SHA256;
    OK(hsm_encrypt(session, public_key, &oaep, "secret", 6, NULL, &cipher_len));
    assert_int_equal(cipher_len, 256);
    OK(hsm_encrypt(session, public_key, &oaep, "secret", 6, cipher, &cipher_len));
    back_len = sizeof(back);
    OK(hsm_decrypt(session, private_key, &oaep, cipher, cipher_len, back, &back_len));
    assert_int_equal(back_len, 6);
    OK(hsm_object_delete(session, private_key));
    OK(hsm_object_delete(session, public_key));
    OK(hsm_object_delete(session, key));
    free(large), free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ciphers_agree_in_one_call_and_in_parts),
        cmocka_unit_test(ciphertexts_are_those_of_openssl),
        cmocka_unit_test(gcm_with_a_nonce_of_the_node),
        cmocka_unit_test(gcm_holds_plaintext_and_takes_the_tag_apart),
        cmocka_unit_test(gcm_in_parts_holds_nothing_back_for_a_tag_apart),
        cmocka_unit_test(the_place_for_a_nonce_is_written_once),
        cmocka_unit_test(ccm_and_rsa_go_in_one_piece),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
