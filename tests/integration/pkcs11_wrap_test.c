/* Wrapping and unwrapping keys (PKCS#11 2.40, 5.13). */
#include "pkcs11_fixture.h"

#include <openssl/rsa.h>

#define ROOM RESULT_ROOM

static CK_BYTE IV[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const CK_BYTE KEY[32] = "thirty-two bytes of key, known..";

#define AS_AES                                                                                                         \
    A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES), A_TRUE(CKA_EXTRACTABLE),                     \
        A_FALSE(CKA_SENSITIVE)

static CK_ULONG wrap(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE under, CK_OBJECT_HANDLE key, CK_BYTE *wrapped)
{
    CK_ULONG needed = 0, len = ROOM;

    FINE(p11->C_WrapKey(session, mechanism, under, key, NULL, &needed));
    FINE(p11->C_WrapKey(session, mechanism, under, key, wrapped, &len));
    assert_true(len <= needed);
    CK_ULONG small = len - 1;
    RV(CKR_BUFFER_TOO_SMALL, p11->C_WrapKey(session, mechanism, under, key, wrapped + ROOM / 2, &small));
    assert_true(small >= len);
    return len;
}

static void keys_wrap_and_unwrap_with_every_mechanism(void **state)
{
    CK_BYTE nonce[12] = {0}, wrapped[ROOM], value[64];
    CK_GCM_PARAMS_V3 gcm = {nonce, 12, 96, NULL, 0, 128}, vendor_gcm = {NULL, 0, 0, NULL, 0, 128};
    CK_MECHANISM mechanisms[] = {{CKM_AES_KEY_WRAP, NULL, 0},
                                 {CKM_AES_KEY_WRAP_PAD, NULL, 0},
                                 {CKM_AES_KEY_WRAP_KWP, NULL, 0},
                                 {CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD, NULL, 0},
                                 {CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, NULL, 0},
                                 {CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, NULL, 0},
                                 {CKM_AES_CBC_PAD, IV, 16},
                                 {CKM_AES_GCM, &gcm, sizeof(gcm)},
                                 {CKM_CLOUDHSM_AES_GCM, &vendor_gcm, sizeof(vendor_gcm)}};
    CK_OBJECT_HANDLE under = aes_key_of(32), key = secret_of(CKK_AES, KEY, 32), back;

    (void)state;
    for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++) {
        memset(nonce, 0, sizeof(nonce));
        CK_ULONG len = 0, room = ROOM;
        FINE(p11->C_WrapKey(session, &mechanisms[i], under, key, NULL, &len));
        assert_true(len >= 40 && len <= ROOM);
        room = 8;
        RV(CKR_BUFFER_TOO_SMALL, p11->C_WrapKey(session, &mechanisms[i], under, key, wrapped, &room));
        assert_true(room >= 40);
        FINE(p11->C_WrapKey(session, &mechanisms[i], under, key, wrapped, &room));
        assert_true(room >= 40 && room <= len);
        FINE(p11->C_UnwrapKey(session, &mechanisms[i], under, wrapped, room, TEMPLATE(AS_AES), &back));
        assert_int_equal(value_of(back, CKA_VALUE, value, sizeof(value)), 32);
        assert_memory_equal(value, KEY, 32);
        assert_false(flag_of(back, CKA_LOCAL));
        assert_false(flag_of(back, CKA_ALWAYS_SENSITIVE));
        assert_false(flag_of(back, CKA_NEVER_EXTRACTABLE));
        wrapped[2] ^= 0x10;
        CK_RV rv = p11->C_UnwrapKey(session, &mechanisms[i], under, wrapped, room, TEMPLATE(AS_AES), &back);
        if (mechanisms[i].mechanism != CKM_AES_CBC_PAD) /* which has nothing that would tell */
            RV(CKR_WRAPPED_KEY_INVALID, rv);
        rv = p11->C_UnwrapKey(session, &mechanisms[i], under, wrapped, 7, TEMPLATE(AS_AES), &back);
        assert_true(rv == CKR_WRAPPED_KEY_LEN_RANGE || rv == CKR_WRAPPED_KEY_INVALID);
    }
}

/* RFC 3394, 4.6, and RFC 5649, section 6. */
static void key_wrapping_gives_the_known_answers(void **state)
{
    static const CK_BYTE K3394[] = {0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    0xa,
                                    0xb,  0xc,  0xd,  0xe,  0xf,  0x10, 0x11, 0x12, 0x13, 0x14, 0x15,
                                    0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f};
    static const CK_BYTE D3394[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
                                    0xbb, 0xcc, 0xdd, 0xee, 0xff, 0,    1,    2,    3,    4,    5,
                                    6,    7,    8,    9,    0xa,  0xb,  0xc,  0xd,  0xe,  0xf};
    static const CK_BYTE W3394[] = {0x28, 0xc9, 0xf4, 0x04, 0xc4, 0xb8, 0x10, 0xf4, 0xcb, 0xcc, 0xb3, 0x5c, 0xfb, 0x87,
                                    0xf8, 0x26, 0x3f, 0x57, 0x86, 0xe2, 0xd8, 0x0e, 0xd3, 0x26, 0xcb, 0xc7, 0xf0, 0xe7,
                                    0x1a, 0x99, 0xf4, 0x3b, 0xfb, 0x98, 0x8b, 0x9b, 0x7a, 0x02, 0xdd, 0x21};
    static const CK_BYTE K5649[] = {0x58, 0x40, 0xdf, 0x6e, 0x29, 0xb0, 0x2a, 0xf1, 0xab, 0x49, 0x3b, 0x70,
                                    0x5b, 0xf1, 0x6e, 0xa1, 0xae, 0x83, 0x38, 0xf4, 0xdc, 0xc1, 0x76, 0xa8};
    static const CK_BYTE D5649[] = {0x46, 0x6f, 0x72, 0x50, 0x61, 0x73, 0x69};
    static const CK_BYTE W5649[] = {0xaf, 0xbe, 0xb0, 0xf0, 0x7d, 0xfb, 0xf5, 0x41,
                                    0x92, 0x00, 0xf2, 0xcc, 0xb5, 0x0b, 0xb2, 0x4f};
    CK_BYTE wrapped[ROOM];

    (void)state;
    CK_OBJECT_HANDLE under = secret_of(CKK_AES, K3394, 32), key = secret_of(CKK_GENERIC_SECRET, D3394, 32);
    assert_int_equal(wrap(MECHANISM(CKM_AES_KEY_WRAP), under, key, wrapped), 40);
    assert_memory_equal(wrapped, W3394, 40);
    assert_int_equal(wrap(MECHANISM(CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD), under, key, wrapped), 40);
    assert_memory_equal(wrapped, W3394, 40);
    under = secret_of(CKK_AES, K5649, 24);
    key = secret_of(CKK_GENERIC_SECRET, D5649, 7);
    assert_int_equal(wrap(MECHANISM(CKM_AES_KEY_WRAP_KWP), under, key, wrapped), 16);
    assert_memory_equal(wrapped, W5649, 16);
    CK_ULONG len = ROOM;
    RV(CKR_KEY_SIZE_RANGE, p11->C_WrapKey(session, MECHANISM(CKM_AES_KEY_WRAP), under, key, wrapped, &len));
}

static void private_keys_go_through_rsa_and_aes_wrapping(void **state)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
    CK_RSA_AES_KEY_WRAP_PARAMS rsa_aes = {256, &oaep};
    CK_MECHANISM mechanisms[] = {{CKM_RSA_AES_KEY_WRAP, &rsa_aes, sizeof(rsa_aes)}, {CKM_AES_KEY_WRAP_KWP, NULL, 0}};
    CK_OBJECT_HANDLE public_key, private_key, rsa_public, rsa_private, aes = aes_key_of(32), back;
    CK_BYTE wrapped[ROOM], signature[64], text[] = "text";

    (void)state;
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    rsa_pair(&rsa_public, &rsa_private);
    for (size_t i = 0; i < 2; i++) {
        CK_ULONG len = wrap(&mechanisms[i], i ? aes : rsa_public, private_key, wrapped), signature_len = 64;

        FINE(p11->C_UnwrapKey(
            session, &mechanisms[i], i ? aes : rsa_private, wrapped, len,
            TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_EC), A_TRUE(CKA_SIGN)), &back));
        FINE(p11->C_SignInit(session, MECHANISM(CKM_ECDSA_SHA256), back));
        FINE(p11->C_Sign(session, text, 4, signature, &signature_len));
        FINE(p11->C_VerifyInit(session, MECHANISM(CKM_ECDSA_SHA256), public_key));
        FINE(p11->C_Verify(session, text, 4, signature, signature_len));
    }
    CK_ULONG len = wrap(MECHANISM_WITH(CKM_RSA_PKCS_OAEP, oaep), rsa_public, aes, wrapped);
    FINE(p11->C_UnwrapKey(session, MECHANISM_WITH(CKM_RSA_PKCS_OAEP, oaep), rsa_private, wrapped, len, TEMPLATE(AS_AES),
                          &back));
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_WrapKey(session, MECHANISM_WITH(CKM_RSA_AES_KEY_WRAP, ((CK_RSA_AES_KEY_WRAP_PARAMS){256, NULL})),
                      rsa_public, aes, wrapped, &len));
}

static void what_may_not_be_wrapped_is_not(void **state)
{
    CK_OBJECT_HANDLE under = aes_key_of(32), fixed, trusting, no_wrap, public_key, private_key, rsa_public, rsa_private;
    CK_MECHANISM *kwp = MECHANISM(CKM_AES_KEY_WRAP_KWP);
    CK_BYTE wrapped[ROOM];
    CK_ULONG len = ROOM;

    (void)state;
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_FALSE(CKA_EXTRACTABLE)), &fixed));
    RV(CKR_KEY_UNEXTRACTABLE, p11->C_WrapKey(session, kwp, under, fixed, wrapped, &len));
    FINE(p11->C_GenerateKey(
        session, MECHANISM(CKM_AES_KEY_GEN),
        TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_TRUE(CKA_EXTRACTABLE), A_TRUE(CKA_WRAP_WITH_TRUSTED)), &trusting));
    RV(CKR_KEY_NOT_WRAPPABLE, p11->C_WrapKey(session, kwp, under, trusting, wrapped, &len));
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_FALSE(CKA_WRAP)), &no_wrap));
    RV(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_WrapKey(session, kwp, no_wrap, under, wrapped, &len));
    ec_pair(P256, sizeof(P256) - 1, &public_key, &private_key);
    rsa_pair(&rsa_public, &rsa_private);
    RV(CKR_WRAPPING_KEY_TYPE_INCONSISTENT, p11->C_WrapKey(session, kwp, rsa_public, under, wrapped, &len));
    RV(CKR_WRAPPING_KEY_HANDLE_INVALID, p11->C_WrapKey(session, kwp, NO_HANDLE, under, wrapped, &len));
    RV(CKR_KEY_HANDLE_INVALID, p11->C_WrapKey(session, kwp, under, NO_HANDLE, wrapped, &len));
    REFUSED(p11->C_WrapKey(session, kwp, under, public_key, wrapped, &len));
    RV(CKR_MECHANISM_INVALID, p11->C_WrapKey(session, MECHANISM(CKM_ECDSA), under, fixed, wrapped, &len));
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_WrapKey(session, MECHANISM_OF(CKM_AES_KEY_WRAP, IV, 8), under, under, wrapped, &len));
}

static void unwrap_templates_rule_what_is_unwrapped(void **state)
{
    CK_ATTRIBUTE inner[] = {A_TRUE(CKA_SENSITIVE), A_FALSE(CKA_EXTRACTABLE)};
    CK_OBJECT_HANDLE key = secret_of(CKK_AES, KEY, 16), under, back;
    CK_MECHANISM *kwp = MECHANISM(CKM_AES_KEY_WRAP_KWP);
    CK_BYTE wrapped[ROOM];

    (void)state;
    FINE(p11->C_GenerateKey(session, MECHANISM(CKM_AES_KEY_GEN),
                            TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_TRUE(CKA_WRAP), A_TRUE(CKA_UNWRAP),
                                     A_BYTES(CKA_UNWRAP_TEMPLATE, inner, sizeof(inner))),
                            &under));
    CK_ULONG len = wrap(kwp, under, key, wrapped);
    FINE(p11->C_UnwrapKey(session, kwp, under, wrapped, len,
                          TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES)), &back));
    assert_true(flag_of(back, CKA_SENSITIVE));
    assert_false(flag_of(back, CKA_EXTRACTABLE));
    RV(CKR_TEMPLATE_INCONSISTENT, p11->C_UnwrapKey(session, kwp, under, wrapped, len, TEMPLATE(AS_AES), &back));
    RV(CKR_TEMPLATE_INCOMPLETE,
       p11->C_UnwrapKey(session, kwp, under, wrapped, len, TEMPLATE(A_NUMBER(CKA_CLASS, CKO_SECRET_KEY)), &back));
    RV(CKR_UNWRAPPING_KEY_HANDLE_INVALID,
       p11->C_UnwrapKey(session, kwp, NO_HANDLE, wrapped, len, TEMPLATE(AS_AES), &back));
}

static void wrap_templates_rule_what_may_be_wrapped(void **state)
{
    CK_ATTRIBUTE inner[] = {A_TEXT(CKA_LABEL, "may go")};
    CK_OBJECT_HANDLE key = secret_of(CKK_AES, KEY, 16), under;
    CK_BYTE wrapped[ROOM];
    CK_ULONG len = ROOM;

    (void)state;
    FINE(p11->C_GenerateKey(
        session, MECHANISM(CKM_AES_KEY_GEN),
        TEMPLATE(A_NUMBER(CKA_VALUE_LEN, 16), A_TRUE(CKA_WRAP), A_BYTES(CKA_WRAP_TEMPLATE, inner, sizeof(inner))),
        &under));
    RV(CKR_KEY_HANDLE_INVALID, p11->C_WrapKey(session, MECHANISM(CKM_AES_KEY_WRAP), under, key, wrapped, &len));
    FINE(p11->C_SetAttributeValue(session, key, TEMPLATE(A_TEXT(CKA_LABEL, "may go"))));
    FINE(p11->C_WrapKey(session, MECHANISM(CKM_AES_KEY_WRAP), under, key, wrapped, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(keys_wrap_and_unwrap_with_every_mechanism),    user_test(key_wrapping_gives_the_known_answers),
        user_test(private_keys_go_through_rsa_and_aes_wrapping), user_test(what_may_not_be_wrapped_is_not),
        user_test(unwrap_templates_rule_what_is_unwrapped),      user_test(wrap_templates_rule_what_may_be_wrapped),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
