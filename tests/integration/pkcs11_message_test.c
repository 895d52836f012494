/* Messages under one key, each with its own nonce and tag (PKCS#11 3.0, 5.9 to 5.18). */
#include "pkcs11_fixture.h"

#define ROOM 256

#ifndef CKR_AEAD_DECRYPT_FAILED /* 3.0; not in this header */
#define CKR_AEAD_DECRYPT_FAILED 0x00000042UL
#endif

static CK_BYTE plain[40] = "forty bytes of a message, whole or not.";
static CK_BYTE aad[5] = "extra";

struct gcm {
    CK_BYTE nonce[12], tag[16];
    CK_GCM_MESSAGE_PARAMS params;
};

static void gcm_of(struct gcm *gcm, CK_GENERATOR_FUNCTION generator)
{
    memset(gcm, 0, sizeof(*gcm));
    memcpy(gcm->nonce, "twelve bytes", 12);
    gcm->params = (CK_GCM_MESSAGE_PARAMS){gcm->nonce, 12, 0, generator, gcm->tag, 128};
}

#define PARAMS(gcm) &(gcm).params, sizeof((gcm).params)
#define AAD         aad, sizeof(aad)

static CK_ULONG encrypt(struct gcm *gcm, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out)
{
    CK_ULONG out_len = ROOM;

    FINE(p11->C_EncryptMessage(session, PARAMS(*gcm), AAD, (CK_BYTE *)data, len, out, &out_len));
    return out_len;
}

static CK_RV decrypt(struct gcm *gcm, const CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
    *out_len = ROOM;
    return p11->C_DecryptMessage(session, PARAMS(*gcm), AAD, (CK_BYTE *)data, len, out, out_len);
}

static void begin(CK_OBJECT_HANDLE key)
{
    FINE(p11->C_MessageEncryptInit(session, MECHANISM(CKM_AES_GCM), key));
    FINE(p11->C_MessageDecryptInit(session, MECHANISM(CKM_AES_GCM), key));
}

static void many_messages_go_under_one_init(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(32);
    CK_BYTE out[ROOM], back[ROOM], sealed[ROOM];
    CK_ULONG len;

    (void)state;
    begin(key);
    for (CK_ULONG n = 0; n <= 40; n += 8) {
        struct gcm gcm;

        gcm_of(&gcm, CKG_NO_GENERATE);
        gcm.nonce[0] = (CK_BYTE)n;
        assert_int_equal(encrypt(&gcm, plain, n, out), n);
        FINE(decrypt(&gcm, out, n, back, &len));
        assert_int_equal(len, n);
        assert_memory_equal(back, plain, n);
        /* It is what C_Encrypt gives, cut in two. */
        CK_GCM_PARAMS_V3 whole = {gcm.nonce, 12, 96, aad, sizeof(aad), 128};
        FINE(p11->C_EncryptInit(session, MECHANISM_WITH(CKM_AES_GCM, whole), key));
        len = ROOM;
        FINE(p11->C_Encrypt(session, plain, n, sealed, &len));
        assert_int_equal(len, n + 16);
        assert_memory_equal(sealed, out, n);
        assert_memory_equal(sealed + n, gcm.tag, 16);
    }
    FINE(p11->C_MessageEncryptFinal(session));
    FINE(p11->C_MessageDecryptFinal(session));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_MessageEncryptFinal(session));
}

static void a_generated_nonce_comes_back(void **state)
{
    struct gcm first, second;
    CK_BYTE out[ROOM], back[ROOM];
    CK_ULONG len;

    (void)state;
    begin(aes_key_of(32));
    gcm_of(&first, CKG_GENERATE_RANDOM);
    gcm_of(&second, CKG_GENERATE);
    (void)encrypt(&first, plain, 40, out);
    FINE(decrypt(&first, out, 40, back, &len)); /* the generator says nothing when decrypting */
    assert_memory_equal(back, plain, 40);
    assert_memory_not_equal(first.nonce, "twelve bytes", 12);
    (void)encrypt(&second, plain, 40, out);
    assert_memory_not_equal(first.nonce, second.nonce, 12);
    FINE(decrypt(&second, out, 40, back, &len));
    second.params.ulIvFixedBits = 32;
    len = ROOM;
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptMessage(session, PARAMS(second), AAD, plain, 40, out, &len));
}

static void a_changed_message_is_refused_and_the_next_one_goes_on(void **state)
{
    struct gcm gcm;
    CK_BYTE out[ROOM], back[ROOM] = {0};
    CK_ULONG len;

    (void)state;
    begin(aes_key_of(16));
    gcm_of(&gcm, CKG_NO_GENERATE);
    (void)encrypt(&gcm, plain, 40, out);
    out[7] ^= 1;
    RV(CKR_AEAD_DECRYPT_FAILED, decrypt(&gcm, out, 40, back, &len));
    assert_memory_not_equal(back, plain, 8);
    out[7] ^= 1;
    gcm.tag[15] ^= 1;
    RV(CKR_AEAD_DECRYPT_FAILED, decrypt(&gcm, out, 40, back, &len));
    gcm.tag[15] ^= 1;
    FINE(decrypt(&gcm, out, 40, back, &len));
    assert_memory_equal(back, plain, 40);
}

static void lengths_of_messages_are_asked_for(void **state)
{
    struct gcm gcm;
    CK_BYTE out[ROOM];
    CK_ULONG len = 0;

    (void)state;
    begin(aes_key_of(16));
    gcm_of(&gcm, CKG_NO_GENERATE);
    FINE(p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, NULL, &len));
    assert_int_equal(len, 40);
    len = 39;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, out, &len));
    assert_int_equal(len, 40);
    FINE(p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, out, &len));
    len = 39;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_DecryptMessage(session, PARAMS(gcm), AAD, out, 40, plain, &len));
    assert_int_equal(len, 40);
}

static void messages_go_in_parts(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(32);
    struct gcm gcm, whole;
    CK_BYTE out[ROOM], expected[ROOM], back[ROOM];

    (void)state;
    begin(key);
    for (CK_ULONG part = 1; part <= 40; part += 13) {
        CK_ULONG total = 0, n;

        gcm_of(&gcm, CKG_NO_GENERATE);
        gcm_of(&whole, CKG_NO_GENERATE);
        (void)encrypt(&whole, plain, 40, expected);
        FINE(p11->C_EncryptMessageBegin(session, PARAMS(gcm), AAD));
        for (CK_ULONG at = 0; at < 40; at += part) {
            CK_ULONG part_len = 40 - at < part ? 40 - at : part;

            n = ROOM - total;
            FINE(p11->C_EncryptMessageNext(session, PARAMS(gcm), plain + at, part_len, out + total, &n,
                                           at + part >= 40 ? CKF_END_OF_MESSAGE : 0));
            total += n;
        }
        assert_int_equal(total, 40);
        assert_memory_equal(out, expected, 40);
        assert_memory_equal(gcm.tag, whole.tag, 16);
        total = 0;
        FINE(p11->C_DecryptMessageBegin(session, PARAMS(gcm), AAD));
        for (CK_ULONG at = 0; at < 40; at += part) {
            CK_ULONG part_len = 40 - at < part ? 40 - at : part;

            n = ROOM - total;
            FINE(p11->C_DecryptMessageNext(session, PARAMS(gcm), out + at, part_len, back + total, &n,
                                           at + part >= 40 ? CKF_END_OF_MESSAGE : 0));
            total += n;
        }
        assert_int_equal(total, 40);
        assert_memory_equal(back, plain, 40);
    }
}

static void a_message_in_parts_with_a_wrong_tag_gives_no_plaintext(void **state)
{
    struct gcm gcm;
    CK_BYTE out[ROOM], back[ROOM] = {0};
    CK_ULONG len;

    (void)state;
    begin(aes_key_of(32));
    gcm_of(&gcm, CKG_NO_GENERATE);
    (void)encrypt(&gcm, plain, 40, out);
    gcm.tag[0] ^= 1;
    FINE(p11->C_DecryptMessageBegin(session, PARAMS(gcm), AAD));
    len = ROOM;
    FINE(p11->C_DecryptMessageNext(session, PARAMS(gcm), out, 20, back, &len, 0));
    assert_int_equal(len, 0);
    len = ROOM;
    RV(CKR_AEAD_DECRYPT_FAILED,
       p11->C_DecryptMessageNext(session, PARAMS(gcm), out + 20, 20, back, &len, CKF_END_OF_MESSAGE));
    assert_memory_not_equal(back, plain, 8);
    gcm.tag[0] ^= 1;
    FINE(decrypt(&gcm, out, 40, back, &len)); /* the message has ended, the operation has not */
}

static void ccm_messages_are_those_of_ccm(void **state)
{
    CK_BYTE nonce[12] = "twelve bytes", mac[16], out[ROOM], sealed[ROOM], back[ROOM];
    CK_CCM_MESSAGE_PARAMS params = {40, nonce, 12, 0, CKG_NO_GENERATE, mac, 16};
    CK_CCM_PARAMS whole = {40, nonce, 12, aad, sizeof(aad), 16};
    CK_OBJECT_HANDLE key = aes_key_of(16);
    CK_ULONG len = ROOM;

    (void)state;
    FINE(p11->C_MessageEncryptInit(session, MECHANISM(CKM_AES_CCM), key));
    FINE(p11->C_MessageDecryptInit(session, MECHANISM(CKM_AES_CCM), key));
    FINE(p11->C_EncryptMessage(session, &params, sizeof(params), AAD, plain, 40, out, &len));
    assert_int_equal(len, 40);
    FINE(p11->C_EncryptInit(session, MECHANISM_WITH(CKM_AES_CCM, whole), key));
    len = ROOM;
    FINE(p11->C_Encrypt(session, plain, 40, sealed, &len));
    assert_memory_equal(sealed, out, 40);
    assert_memory_equal(sealed + 40, mac, 16);
    len = ROOM;
    FINE(p11->C_DecryptMessage(session, &params, sizeof(params), AAD, out, 40, back, &len));
    assert_memory_equal(back, plain, 40);
    mac[3] ^= 1;
    RV(CKR_AEAD_DECRYPT_FAILED, p11->C_DecryptMessage(session, &params, sizeof(params), AAD, out, 40, back, &len));
}

static void parameters_of_messages_are_checked(void **state)
{
    struct gcm gcm;
    CK_BYTE out[ROOM];
    CK_ULONG len = ROOM;

    (void)state;
    begin(aes_key_of(16));
    gcm_of(&gcm, CKG_NO_GENERATE);
    RV(CKR_ARGUMENTS_BAD, p11->C_EncryptMessage(session, NULL, sizeof(gcm.params), AAD, plain, 40, out, &len));
    REFUSED(p11->C_EncryptMessage(session, &gcm.params, 3, AAD, plain, 40, out, &len));
    RV(CKR_ARGUMENTS_BAD, p11->C_EncryptMessage(session, PARAMS(gcm), NULL, 5, plain, 40, out, &len));
    RV(CKR_ARGUMENTS_BAD, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, NULL, 40, out, &len));
    RV(CKR_ARGUMENTS_BAD, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, out, NULL));
    gcm.params.pIv = NULL;
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, out, &len));
    gcm_of(&gcm, CKG_NO_GENERATE);
    gcm.params.pTag = NULL;
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, out, &len));
    gcm_of(&gcm, CKG_NO_GENERATE);
    gcm.params.ulTagBits = (CK_ULONG)-8;
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, out, &len));
    gcm.params.ulTagBits = 8;
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, out, &len));
    gcm_of(&gcm, CKG_NO_GENERATE);
    gcm.params.ulIvLen = (CK_ULONG)-1;
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, out, &len));
    gcm_of(&gcm, 99);
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, out, &len));
}

static void absurd_lengths_in_messages_are_refused(void **state)
{
    static const CK_ULONG ABSURD[] = {(CK_ULONG)-1, (CK_ULONG)1 << 63};
    CK_BYTE out[ROOM];
    struct gcm gcm;

    (void)state;
    gcm_of(&gcm, CKG_NO_GENERATE);
    begin(aes_key_of(16));
    for (size_t i = 0; i < 2; i++) {
        CK_ULONG len = ROOM, n = ABSURD[i];

        RV(CKR_ARGUMENTS_BAD, p11->C_EncryptMessage(session, PARAMS(gcm), aad, n, plain, 40, out, &len));
        RV(CKR_ARGUMENTS_BAD, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, n, out, &len));
        RV(CKR_ARGUMENTS_BAD, p11->C_DecryptMessage(session, PARAMS(gcm), aad, n, plain, 40, out, &len));
        RV(CKR_ARGUMENTS_BAD, p11->C_DecryptMessage(session, PARAMS(gcm), AAD, plain, n, out, &len));
        RV(CKR_ARGUMENTS_BAD, p11->C_EncryptMessageBegin(session, PARAMS(gcm), aad, n));
        RV(CKR_ARGUMENTS_BAD, p11->C_DecryptMessageBegin(session, PARAMS(gcm), aad, n));
    }
    FINE(p11->C_EncryptMessageBegin(session, PARAMS(gcm), AAD)); /* none of them began a message */
}

static void the_order_of_message_calls_is_kept(void **state)
{
    struct gcm gcm;
    CK_BYTE out[ROOM];
    CK_ULONG len = ROOM;
    CK_OBJECT_HANDLE key = aes_key_of(16), fixed;

    (void)state;
    gcm_of(&gcm, CKG_NO_GENERATE);
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, out, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptMessageBegin(session, PARAMS(gcm), AAD));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_DecryptMessageNext(session, PARAMS(gcm), plain, 4, out, &len, 0));
    begin(key);
    RV(CKR_OPERATION_ACTIVE, p11->C_MessageEncryptInit(session, MECHANISM(CKM_AES_GCM), key));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptMessageNext(session, PARAMS(gcm), plain, 4, out, &len, 0));
    FINE(p11->C_EncryptMessageBegin(session, PARAMS(gcm), AAD));
    RV(CKR_OPERATION_ACTIVE, p11->C_EncryptMessageBegin(session, PARAMS(gcm), AAD));
    RV(CKR_OPERATION_ACTIVE, p11->C_EncryptMessage(session, PARAMS(gcm), AAD, plain, 40, out, &len));
    FINE(p11->C_SessionCancel(session, CKF_MESSAGE_ENCRYPT));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_MessageEncryptFinal(session));
    FINE(p11->C_MessageDecryptInit(session, NULL, 0));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_MessageDecryptFinal(session));
    RV(CKR_MECHANISM_INVALID, p11->C_MessageEncryptInit(session, MECHANISM(CKM_AES_CBC), key));
    RV(CKR_KEY_HANDLE_INVALID, p11->C_MessageEncryptInit(session, MECHANISM(CKM_AES_GCM), NO_HANDLE));
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_FALSE(CKA_ENCRYPT)), &fixed));
    RV(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_MessageEncryptInit(session, MECHANISM(CKM_AES_GCM), fixed));
}

/* What is offered goes; what is not says so at its beginning. */
/* No mechanism of the cluster has parameters that change from message to message. */
static void message_signatures_are_refused_at_once(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key;
    CK_BYTE signature[64] = {0};
    CK_ULONG len = sizeof(signature);

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    RV(CKR_MECHANISM_INVALID, p11->C_MessageSignInit(session, MECHANISM(CKM_ECDSA_SHA256), private_key));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignMessage(session, NULL, 0, plain, 40, signature, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignMessageBegin(session, NULL, 0));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignMessageNext(session, NULL, 0, plain, 40, signature, &len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_MessageSignFinal(session));
    RV(CKR_MECHANISM_INVALID, p11->C_MessageVerifyInit(session, MECHANISM(CKM_ECDSA_SHA256), public_key));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyMessage(session, NULL, 0, plain, 40, signature, len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyMessageBegin(session, NULL, 0));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyMessageNext(session, NULL, 0, plain, 40, signature, len));
    RV(CKR_OPERATION_NOT_INITIALIZED, p11->C_MessageVerifyFinal(session));
}

static void the_last_part_cannot_change_the_length_of_the_tag(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(32);
    CK_BYTE iv[12] = {1}, tag[16] = {0}, out[64];
    CK_GCM_MESSAGE_PARAMS params = {iv, sizeof(iv), 0, CKG_NO_GENERATE, tag, 96};
    CK_ULONG len = sizeof(out);

    (void)state;
    FINE(p11->C_MessageEncryptInit(session, MECHANISM(CKM_AES_GCM), key));
    FINE(p11->C_EncryptMessageBegin(session, &params, sizeof(params), NULL, 0));
    params.ulTagBits = 128;
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_EncryptMessageNext(session, &params, sizeof(params), TEXT("text"), out, &len, CKF_END_OF_MESSAGE));
    FINE(p11->C_MessageEncryptFinal(session));
}

static void a_message_of_associated_data_alone_is_verified(void **state)
{
    CK_OBJECT_HANDLE key = aes_key_of(32);
    CK_BYTE iv[12] = {1}, tag[16] = {0};
    CK_GCM_MESSAGE_PARAMS params = {iv, sizeof(iv), 0, CKG_NO_GENERATE, tag, 128};
    CK_ULONG len = 0;

    (void)state;
    FINE(p11->C_MessageEncryptInit(session, MECHANISM(CKM_AES_GCM), key));
    FINE(p11->C_EncryptMessage(session, &params, sizeof(params), TEXT("seen by all"), NULL, 0, NULL, &len));
    FINE(p11->C_MessageEncryptFinal(session));
    FINE(p11->C_MessageDecryptInit(session, MECHANISM(CKM_AES_GCM), key));
    FINE(p11->C_DecryptMessage(session, &params, sizeof(params), TEXT("seen by all"), NULL, 0, NULL, &len));
    RV(CKR_AEAD_DECRYPT_FAILED,
       p11->C_DecryptMessage(session, &params, sizeof(params), TEXT("seen by few"), NULL, 0, NULL, &len));
    FINE(p11->C_DecryptMessageBegin(session, &params, sizeof(params), TEXT("seen by few")));
    RV(CKR_AEAD_DECRYPT_FAILED,
       p11->C_DecryptMessageNext(session, &params, sizeof(params), NULL, 0, NULL, &len, CKF_END_OF_MESSAGE));
    FINE(p11->C_MessageDecryptFinal(session));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(many_messages_go_under_one_init),
        user_test(a_generated_nonce_comes_back),
        user_test(a_changed_message_is_refused_and_the_next_one_goes_on),
        user_test(lengths_of_messages_are_asked_for),
        user_test(messages_go_in_parts),
        user_test(a_message_in_parts_with_a_wrong_tag_gives_no_plaintext),
        user_test(ccm_messages_are_those_of_ccm),
        user_test(parameters_of_messages_are_checked),
        user_test(absurd_lengths_in_messages_are_refused),
        user_test(the_order_of_message_calls_is_kept),
        user_test(message_signatures_are_refused_at_once),
        user_test(the_last_part_cannot_change_the_length_of_the_tag),
        user_test(a_message_of_associated_data_alone_is_verified),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
