/* SP 800-108 in every layout that the standard lets a program ask for, several keys of one derivation, HKDF with a key
 * as its salt, the one-step function of SP 800-56C, and triple-DES key wrapping (PKCS#11 3.0, 2.42 and 2.43). What
 * comes out is compared with the definitions, computed here with OpenSSL's HMAC and hashes, or with known answers. */
#include "pkcs11_kdf_text.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <stdio.h>

/* --- the definitions --- */

/* "be" || [i] || "af" || [bits of `total`], the counter of `width` bytes. */
static void put_fixed_input(struct text *text, unsigned i, unsigned width, bool little_endian, CK_ULONG total)
{
    put(text, "be", 2);
    put_number(text, i, width, little_endian);
    put(text, "af", 2);
    put_number(text, 8 * total, 2, little_endian);
}

/* --- the same through the module --- */

struct layout {
    CK_SP800_108_COUNTER_FORMAT counter;
    CK_SP800_108_DKM_LENGTH_FORMAT length;
    CK_PRF_DATA_PARAM parts[5];
    CK_ULONG n;
};

static void lay_out(struct layout *layout, bool counter_mode, unsigned width, bool little_endian)
{
    CK_BBOOL little = little_endian ? CK_TRUE : CK_FALSE;
    CK_PRF_DATA_TYPE counter = counter_mode ? CK_SP800_108_ITERATION_VARIABLE : CK_SP800_108_OPTIONAL_COUNTER;

    layout->counter = (CK_SP800_108_COUNTER_FORMAT){little, 8 * width};
    layout->length = (CK_SP800_108_DKM_LENGTH_FORMAT){CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, little, 16};
    layout->n = 0;
    if (!counter_mode)
        layout->parts[layout->n++] = (CK_PRF_DATA_PARAM){CK_SP800_108_ITERATION_VARIABLE, NULL, 0};
    layout->parts[layout->n++] = (CK_PRF_DATA_PARAM){CK_SP800_108_BYTE_ARRAY, "be", 2};
    if (width > 0)
        layout->parts[layout->n++] = (CK_PRF_DATA_PARAM){counter, &layout->counter, sizeof(layout->counter)};
    layout->parts[layout->n++] = (CK_PRF_DATA_PARAM){CK_SP800_108_BYTE_ARRAY, "af", 2};
    layout->parts[layout->n++] = (CK_PRF_DATA_PARAM){CK_SP800_108_DKM_LENGTH, &layout->length, sizeof(layout->length)};
}

static void a_counter_stands_anywhere_in_any_width_and_order(void **state)
{
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), derived;
    struct layout layout;

    (void)state;
    for (unsigned width = 1; width <= 4; width++) {
        for (unsigned little_endian = 0; little_endian <= 1; little_endian++) {
            CK_BYTE expected[3 * SEGMENT];

            for (unsigned i = 1; i <= 3; i++) {
                struct text text = {.len = 0};

                put_fixed_input(&text, i, width, little_endian, 70);
                prf(&text, expected + SEGMENT * (i - 1));
            }
            lay_out(&layout, true, width, little_endian);
            CK_SP800_108_KDF_PARAMS params = {CKM_SHA256_HMAC, layout.n, layout.parts, 0, NULL};
            FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, params), key,
                                  TEMPLATE(OPEN_SECRET(70)), &derived));
            assert_value(derived, expected, 70);
        }
    }
}

static void feedback_goes_with_and_without_a_counter(void **state)
{
    static CK_BYTE iv[5] = "start";
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), derived;
    struct layout layout;

    (void)state;
    for (unsigned width = 0; width <= 4; width += 2) {
        CK_BYTE expected[2 * SEGMENT];

        for (unsigned i = 1; i <= 2; i++) {
            struct text text = {.len = 0};

            put(&text, i == 1 ? iv : expected, i == 1 ? 5 : SEGMENT);
            put_fixed_input(&text, i, width, false, 64);
            prf(&text, expected + SEGMENT * (i - 1));
        }
        lay_out(&layout, false, width, false);
        CK_SP800_108_FEEDBACK_KDF_PARAMS params = {CKM_SHA256_HMAC, layout.n, layout.parts, 5, iv, 0, NULL};
        FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_FEEDBACK_KDF, params), key,
                              TEMPLATE(OPEN_SECRET(64)), &derived));
        assert_value(derived, expected, 64);
    }
}

static void the_double_pipeline_has_two_functions_running(void **state)
{
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), derived;
    struct layout layout;

    (void)state;
    for (unsigned width = 0; width <= 4; width += 4) {
        CK_BYTE expected[2 * SEGMENT];
        struct text running = {.len = 0};

        put_fixed_input(&running, 0, 0, false, 64);
        for (unsigned i = 1; i <= 2; i++) {
            struct text text;

            prf(&running, text.bytes);
            text.len = SEGMENT;
            running = text;
            put_fixed_input(&text, i, width, false, 64);
            prf(&text, expected + SEGMENT * (i - 1));
        }
        lay_out(&layout, false, width, false);
        CK_SP800_108_KDF_PARAMS params = {CKM_SHA256_HMAC, layout.n, layout.parts, 0, NULL};
        FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_DOUBLE_PIPELINE_KDF, params), key,
                              TEMPLATE(OPEN_SECRET(64)), &derived));
        assert_value(derived, expected, 64);
    }
}

static void cmac_is_a_function_of_aes_keys(void **state)
{
    CK_OBJECT_HANDLE aes = secret_of(CKK_AES, KEY, 32), generic = secret_of(CKK_GENERIC_SECRET, KEY, 32), derived;
    CK_BYTE expected[16];
    struct layout layout;
    struct text text = {.len = 0};

    (void)state;
    put_fixed_input(&text, 1, 1, false, 16);
    assert_non_null(
        EVP_Q_mac(NULL, "CMAC", NULL, "AES-256-CBC", NULL, KEY, 32, text.bytes, text.len, expected, 16, NULL));
    lay_out(&layout, true, 1, false);
    CK_SP800_108_KDF_PARAMS params = {CKM_AES_CMAC, layout.n, layout.parts, 0, NULL};
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, params), aes, TEMPLATE(OPEN_SECRET(16)),
                          &derived));
    assert_value(derived, expected, 16);
    REFUSED(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, params), generic,
                             TEMPLATE(OPEN_SECRET(16)), &derived));
}

static void layouts_that_are_none_are_refused(void **state)
{
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), derived;
    static const struct {
        unsigned width;
        CK_ULONG len;
        CK_RV expected;
    } CASES[] = {
        {0, 16, CKR_MECHANISM_PARAM_INVALID},  /* counter mode without its counter */
        {5, 16, CKR_MECHANISM_PARAM_INVALID},  /* 40 bits */
        {1, 4097, CKR_KEY_SIZE_RANGE},         /* longer than a secret may be */
        {4, (CK_ULONG)-1, CKR_KEY_SIZE_RANGE}, /* absurd */
    };
    struct layout layout;

    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        lay_out(&layout, true, CASES[i].width, false);
        CK_SP800_108_KDF_PARAMS params = {CKM_SHA256_HMAC, layout.n, layout.parts, 0, NULL};
        CK_RV rv = p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, params), key,
                                    TEMPLATE(OPEN_SECRET(CASES[i].len)), &derived);

        if (CASES[i].expected == CKR_KEY_SIZE_RANGE)
            REFUSED(rv);
        else
            RV(CASES[i].expected, rv);
    }
    lay_out(&layout, true, 4, false);
    layout.parts[0] = layout.parts[1]; /* two counters */
    CK_SP800_108_KDF_PARAMS twice = {CKM_SHA256_HMAC, layout.n, layout.parts, 0, NULL};
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, twice), key,
                                                     TEMPLATE(OPEN_SECRET(16)), &derived));
    RV(CKR_MECHANISM_PARAM_INVALID, p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_DOUBLE_PIPELINE_KDF, twice),
                                                     key, TEMPLATE(OPEN_SECRET(16)), &derived));
}

/* --- several keys --- */

static CK_ULONG count_of(const char *label)
{
    return search(session, TEMPLATE(A_BYTES(CKA_LABEL, label, strlen(label))), NULL, 0);
}

static void further_keys_begin_with_segments_of_their_own(void **state)
{
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), first, second, third;
    CK_ATTRIBUTE of_40[] = {OPEN_SECRET(40)};
    CK_ATTRIBUTE of_16[] = {A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES),
                            A_NUMBER(CKA_VALUE_LEN, 16), A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE)};
    CK_DERIVED_KEY further[] = {{of_40, 5, &second}, {of_16, 5, &third}};
    CK_BYTE expected[4 * SEGMENT];
    struct layout layout;

    (void)state;
    for (unsigned by_segments = 0; by_segments <= 1; by_segments++) {
        for (unsigned i = 1; i <= 4; i++) {
            struct text text = {.len = 0};

            put_fixed_input(&text, i, 4, false, by_segments ? 4 * SEGMENT : 20 + 40 + 16);
            prf(&text, expected + SEGMENT * (i - 1));
        }
        lay_out(&layout, true, 4, false);
        layout.length.dkmLengthMethod =
            by_segments ? CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS : CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS;
        CK_SP800_108_KDF_PARAMS params = {CKM_SHA256_HMAC, layout.n, layout.parts, 2, further};
        FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, params), key,
                              TEMPLATE(OPEN_SECRET(20)), &first));
        assert_value(first, expected, 20);
        assert_value(second, expected + SEGMENT, 40);
        assert_value(third, expected + 3 * SEGMENT, 16);
    }
}

static void of_several_keys_there_are_all_or_none(void **state)
{
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), first = 7, second = 7, third = 7;
    CK_ATTRIBUTE good[] = {A_NUMBER(CKA_VALUE_LEN, 16), A_TEXT(CKA_LABEL, "all or none"), A_TRUE(CKA_TOKEN)};
    CK_ATTRIBUTE bad[] = {A_NUMBER(CKA_KEY_TYPE, CKK_AES), A_NUMBER(CKA_VALUE_LEN, 17)};
    CK_DERIVED_KEY further[] = {{good, 3, &second}, {bad, 2, &third}}, nowhere = {good, 3, NULL},
                   without_template = {NULL, 1, &second};
    struct layout layout;

    (void)state;
    lay_out(&layout, true, 4, false);
    CK_SP800_108_KDF_PARAMS params = {CKM_SHA256_HMAC, layout.n, layout.parts, 2, further};
    REFUSED(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, params), key, good, 3, &first));
    assert_int_equal(third, CK_INVALID_HANDLE);
    assert_int_equal(second, 7);
    assert_int_equal(first, 7);
    assert_int_equal(count_of("all or none"), 0);

    CK_SP800_108_KDF_PARAMS wrong[] = {{CKM_SHA256_HMAC, layout.n, layout.parts, 1, &nowhere},
                                       {CKM_SHA256_HMAC, layout.n, layout.parts, 1, &without_template},
                                       {CKM_SHA256_HMAC, layout.n, layout.parts, 1, NULL},
                                       {CKM_SHA256_HMAC, layout.n, layout.parts, (CK_ULONG)-1, further}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        RV(CKR_MECHANISM_PARAM_INVALID,
           p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, wrong[i]), key, good, 3, &first));
    assert_int_equal(count_of("all or none"), 0);
}

/* --- HKDF, agreement, wrapping --- */

static void a_key_is_the_salt_of_hkdf(void **state)
{
    static CK_BYTE salt[16] = "salt of 16 bytes";
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), salt_key = secret_of(CKK_GENERIC_SECRET, salt, 16),
                     by_bytes, by_key;
    CK_HKDF_PARAMS bytes = {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_DATA, salt, 16, 0, (CK_BYTE *)"info", 4},
                   handle = {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_KEY, NULL, 0, salt_key, (CK_BYTE *)"info", 4};
    CK_BYTE expected[32];

    (void)state;
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, bytes), key, TEMPLATE(OPEN_SECRET(32)), &by_bytes));
    assert_int_equal(value_of(by_bytes, CKA_VALUE, expected, 32), 32);
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, handle), key, TEMPLATE(OPEN_SECRET(32)), &by_key));
    assert_value(by_key, expected, 32);

    handle.hSaltKey = CK_INVALID_HANDLE;
    RV(CKR_MECHANISM_PARAM_INVALID,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, handle), key, TEMPLATE(OPEN_SECRET(32)), &by_key));
    handle.hSaltKey = 0x7fffffff;
    RV(CKR_KEY_HANDLE_INVALID,
       p11->C_DeriveKey(session, MECHANISM_WITH(CKM_HKDF_DERIVE, handle), key, TEMPLATE(OPEN_SECRET(32)), &by_key));
}

/* SP 800-56C, 4: hash(counter || Z || info); X9.63 has the counter behind Z. */
static void the_one_step_function_of_sp800_56c_follows_an_agreement(void **state)
{
    CK_OBJECT_HANDLE public_key, private_key, shared, derived;
    CK_BYTE point[32], secret[32], expected[64];
    size_t point_len = sizeof(point);
    struct text text = {.len = 0};

    (void)state;
    ec_pair(X25519, sizeof(X25519) - 1, &public_key, &private_key);
    EVP_PKEY *peer = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    assert_true(EVP_PKEY_get_raw_public_key(peer, point, &point_len));
    CK_ECDH1_DERIVE_PARAMS params = {CKD_NULL, 0, NULL, point_len, point};
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, params), private_key, TEMPLATE(OPEN_SECRET(32)),
                          &shared));
    assert_int_equal(value_of(shared, CKA_VALUE, secret, 32), 32);
    put_number(&text, 1, 4, false);
    put(&text, secret, 32);
    put(&text, "info", 4);
    assert_true(EVP_Q_digest(NULL, "SHA512", NULL, text.bytes, text.len, expected, NULL));
    CK_ECDH1_DERIVE_PARAMS one_step = {CKD_SHA512_KDF_SP800, 4, (CK_BYTE *)"info", point_len, point};
    FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_ECDH1_DERIVE, one_step), private_key, TEMPLATE(OPEN_SECRET(48)),
                          &derived));
    assert_value(derived, expected, 48);
    EVP_PKEY_free(peer);
}

static CK_ULONG from_hex(const char *digits, CK_BYTE *bytes)
{
    CK_ULONG n = 0;

    for (; digits[2 * n] != '\0'; n++)
        assert_int_equal(sscanf(digits + 2 * n, "%2hhx", &bytes[n]), 1);
    return n;
}

/* NIST's ACVP server, its tests of TDES-KW, cases 22 and 23 (forward cipher). */
static void triple_des_wrapping_gives_the_known_answers(void **state)
{
    static const struct {
        const char *key, *answer;
    } ANSWERS[] = {
        {"0011223344556677", "16277d1db80d82a76de53a76"},
        {"00112233445566778899aabbccddeeff", "75f5f26521d739ba33f9619b52d2ab0d29822081"},
    };
    CK_BYTE under[24], value[16], expected[24], wrapped[24];

    (void)state;
    CK_OBJECT_HANDLE wrapping =
        secret_of(CKK_DES3, under, from_hex("000102030405060708090a0b0c0d0e0f1011121314151617", under));
    for (size_t i = 0; i < 2; i++) {
        CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, value, from_hex(ANSWERS[i].key, value));
        CK_ULONG len = sizeof(wrapped);

        FINE(p11->C_WrapKey(session, MECHANISM(CKM_CLOUDHSM_DES3_NIST_WRAP), wrapping, key, wrapped, &len));
        assert_int_equal(len, from_hex(ANSWERS[i].answer, expected));
        assert_memory_equal(wrapped, expected, len);
    }
}

/* The answer is that of another implementation of SP 800-38F, 7, in its shifting form. */
static void triple_des_wraps_and_unwraps(void **state)
{
    static const CK_BYTE UNDER[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x23, 0x45, 0x67, 0x89,
                                    0xab, 0xcd, 0xef, 0x01, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23};
    static const CK_BYTE ANSWER[] = {0x37, 0x8a, 0x54, 0x70, 0x98, 0x38, 0xc6, 0x00, 0x2e, 0x51,
                                     0xab, 0x22, 0xcf, 0x59, 0xf7, 0x79, 0x3c, 0x07, 0xf8, 0xf9};
    CK_OBJECT_HANDLE under = secret_of(CKK_DES3, UNDER, 24), key, odd, back;
    CK_BYTE value[16], wrapped[64];
    CK_ULONG len = sizeof(wrapped);

    (void)state;
    for (CK_BYTE i = 0; i < 16; i++)
        value[i] = i;
    key = secret_of(CKK_AES, value, 16);
    odd = secret_of(CKK_GENERIC_SECRET, value, 15);
    FINE(p11->C_WrapKey(session, MECHANISM(CKM_CLOUDHSM_DES3_NIST_WRAP), under, key, wrapped, &len));
    assert_int_equal(len, sizeof(ANSWER));
    assert_memory_equal(wrapped, ANSWER, sizeof(ANSWER));
    CK_ATTRIBUTE as_aes[] = {A_NUMBER(CKA_CLASS, CKO_SECRET_KEY), A_NUMBER(CKA_KEY_TYPE, CKK_AES),
                             A_FALSE(CKA_SENSITIVE), A_TRUE(CKA_EXTRACTABLE)};
    FINE(p11->C_UnwrapKey(session, MECHANISM(CKM_DES3_NIST_WRAP), under, wrapped, len, as_aes, 4, &back));
    assert_value(back, value, 16);

    for (CK_ULONG i = 0; i < len; i++) {
        wrapped[i] ^= 0x01;
        RV(CKR_WRAPPED_KEY_INVALID,
           p11->C_UnwrapKey(session, MECHANISM(CKM_DES3_NIST_WRAP), under, wrapped, len, as_aes, 4, &back));
        wrapped[i] ^= 0x01;
    }
    REFUSED(p11->C_UnwrapKey(session, MECHANISM(CKM_DES3_NIST_WRAP), under, wrapped, 8, as_aes, 4, &back));
    REFUSED(p11->C_UnwrapKey(session, MECHANISM(CKM_DES3_NIST_WRAP), under, wrapped, 19, as_aes, 4, &back));
    RV(CKR_KEY_SIZE_RANGE,
       p11->C_WrapKey(session, MECHANISM(CKM_DES3_NIST_WRAP), under, odd, wrapped, &(CK_ULONG){sizeof(wrapped)}));
    RV(CKR_WRAPPING_KEY_TYPE_INCONSISTENT, p11->C_WrapKey(session, MECHANISM(CKM_DES3_NIST_WRAP), aes_key_of(32), key,
                                                          wrapped, &(CK_ULONG){sizeof(wrapped)}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(a_counter_stands_anywhere_in_any_width_and_order),
        user_test(feedback_goes_with_and_without_a_counter),
        user_test(the_double_pipeline_has_two_functions_running),
        user_test(cmac_is_a_function_of_aes_keys),
        user_test(layouts_that_are_none_are_refused),
        user_test(further_keys_begin_with_segments_of_their_own),
        user_test(of_several_keys_there_are_all_or_none),
        user_test(a_key_is_the_salt_of_hkdf),
        user_test(the_one_step_function_of_sp800_56c_follows_an_agreement),
        user_test(triple_des_wrapping_gives_the_known_answers),
        user_test(triple_des_wraps_and_unwraps),
    };
    world_settings = "\"allow-des3-encrypt\": true,";
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
