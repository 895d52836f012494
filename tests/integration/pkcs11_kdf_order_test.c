/* The order of the pieces that SP 800-108 hashes: iteration variable and counter stand anywhere among them
 * (PKCS#11 3.0, 2.42). What comes out is compared with the definitions, computed here with OpenSSL's HMAC, or with
 * known answers. */
#include "pkcs11_kdf_text.h"

#include <stdio.h>

/* --- the definitions --- */

/* Pieces in the order of a text: a byte for itself, i for the counter of 16 bits, v for the iteration variable. */
static CK_ULONG pieces_of(const char *order, CK_SP800_108_COUNTER_FORMAT *counter, CK_PRF_DATA_PARAM *parts)
{
    CK_ULONG n = 0;

    for (; order[n] != '\0'; n++) {
        if (order[n] == 'i')
            parts[n] = (CK_PRF_DATA_PARAM){CK_SP800_108_OPTIONAL_COUNTER, counter, sizeof(*counter)};
        else if (order[n] == 'v')
            parts[n] = (CK_PRF_DATA_PARAM){CK_SP800_108_ITERATION_VARIABLE, NULL, 0};
        else
            parts[n] = (CK_PRF_DATA_PARAM){CK_SP800_108_BYTE_ARRAY, (void *)(order + n), 1};
    }
    return n;
}

/* The same as it is hashed; without counter and variable (i is 0) it is the fixed input. */
static void put_pieces(struct text *text, const char *order, unsigned i, const struct text *variable)
{
    text->len = 0;
    for (; *order != '\0'; order++) {
        if (*order != 'i' && *order != 'v')
            put(text, order, 1);
        else if (i > 0 && *order == 'i')
            put_number(text, i, 2, false);
        else if (i > 0)
            put(text, variable->bytes, variable->len);
    }
}

static const char *const ORDERS[] = {"v",    "iv",    "vi",    "ivab",  "abiv",  "abvi",
                                     "aivb", "aibvc", "avbic", "abvcd", "iabcv", "vabci"};

static void the_variable_of_feedback_stands_anywhere(void **state)
{
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), derived;
    CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, 16};
    CK_PRF_DATA_PARAM parts[8];
    CK_BYTE iv[3] = "iv.";

    (void)state;
    for (size_t o = 0; o < sizeof(ORDERS) / sizeof(ORDERS[0]); o++) {
        CK_SP800_108_FEEDBACK_KDF_PARAMS params = {
            CKM_SHA256_HMAC, pieces_of(ORDERS[o], &counter, parts), parts, 3, iv, 0, NULL};
        struct text variable = {"iv.", 3}, hashed;
        CK_BYTE expected[3 * SEGMENT];

        for (unsigned i = 1; i <= 3; i++) {
            put_pieces(&hashed, ORDERS[o], i, &variable);
            prf(&hashed, expected + SEGMENT * (i - 1));
            variable.len = 0;
            put(&variable, expected + SEGMENT * (i - 1), SEGMENT);
        }
        FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_FEEDBACK_KDF, params), key,
                              TEMPLATE(OPEN_SECRET(90)), &derived));
        assert_value(derived, expected, 90);
    }
}

static void the_variable_of_the_double_pipeline_stands_anywhere(void **state)
{
    CK_OBJECT_HANDLE key = secret_of(CKK_GENERIC_SECRET, KEY, 32), derived;
    CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, 16};
    CK_PRF_DATA_PARAM parts[8];

    (void)state;
    for (size_t o = 0; o < sizeof(ORDERS) / sizeof(ORDERS[0]); o++) {
        CK_SP800_108_KDF_PARAMS params = {CKM_SHA256_HMAC, pieces_of(ORDERS[o], &counter, parts), parts, 0, NULL};
        struct text running, hashed;
        CK_BYTE expected[3 * SEGMENT], next[SEGMENT];

        put_pieces(&running, ORDERS[o], 0, NULL);
        for (unsigned i = 1; i <= 3; i++) {
            prf(&running, next);
            running.len = 0;
            put(&running, next, SEGMENT);
            put_pieces(&hashed, ORDERS[o], i, &running);
            prf(&hashed, expected + SEGMENT * (i - 1));
        }
        FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_DOUBLE_PIPELINE_KDF, params), key,
                              TEMPLATE(OPEN_SECRET(90)), &derived));
        assert_value(derived, expected, 90);
    }
    static const char *const NONE[] = {"ab", "i", "vv", "viv", "ivi"};
    for (size_t o = 0; o < sizeof(NONE) / sizeof(NONE[0]); o++) {
        CK_SP800_108_KDF_PARAMS params = {CKM_SHA256_HMAC, pieces_of(NONE[o], &counter, parts), parts, 0, NULL};

        RV(CKR_MECHANISM_PARAM_INVALID,
           p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_DOUBLE_PIPELINE_KDF, params), key,
                            TEMPLATE(OPEN_SECRET(16)), &derived));
    }
}

static CK_ULONG from_hex(const char *digits, CK_BYTE *bytes)
{
    CK_ULONG n = 0;

    for (; digits[2 * n] != '\0'; n++)
        assert_int_equal(sscanf(digits + 2 * n, "%2hhx", &bytes[n]), 1);
    return n;
}

/* NIST CAVP, SP 800-108 counter mode (KDFCTR_gen), HMAC_SHA256, count 0 of each place and length of the counter. */
static void counter_mode_gives_the_known_answers(void **state)
{
    static const struct {
        CK_ULONG bits;
        const char *key, *before, *after, *answer;
    } ANSWERS[] = {
        {8, "3edc6b5b8f7aadbd713732b482b8f979286e1ea3b8f8f99c30c884cfe3349b83", "",
         "98e9988bb4cc8b34d7922e1c68ad692ba2a1d9ae15149571675f17a77ad49e80c8d2a85e831a26445b1f0ff44d7084a17206b4896c"
         "8112daad18605a",
         "6c037652990674a07844732d0ad985f9"},
        {32, "dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0", "",
         "01322b96b30acd197979444e468e1c5c6859bf1b1cf951b7e725303e237e46b864a145fab25e517b08f8683d0315bb2911d80a0e8a"
         "ba17f3b413faac",
         "10621342bfb0fd40046c0e29f2cfdbf0"},
        {24, "585245d11e0b69d10e2ea39c76c8625003aa775037e476009856ac8e3e9f9b48",
         "1b8234e4a0c9f674fd6f29965bd03df4a8d30b17cf95b058ac46bc2fe9d8ec79a004a2e11165ae3131b9b9440abf9a6fded0d31af4"
         "68aa56fee00158",
         "", "73781a39ab0f3cdae0d8ea9649ecbe9b"},
        {16, "e4f6a0b7bc8941f115f9523a050f527687213a4236bb8047d9ec6671be35278c",
         "883c38f759847b142a05ba28152a391b826468fda0a269d55248d1c3daf2e66fe91c20b85c57f6b5464903bc93500e5bee04",
         "9c52c875593e59580155", "c9f14ec1dbc676ac650ffcd143bf5c5c"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ANSWERS) / sizeof(ANSWERS[0]); i++) {
        CK_BYTE key[32], before[64], after[64], answer[16];
        CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, ANSWERS[i].bits};
        CK_PRF_DATA_PARAM parts[] = {{CK_SP800_108_BYTE_ARRAY, before, from_hex(ANSWERS[i].before, before)},
                                     {CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof(counter)},
                                     {CK_SP800_108_BYTE_ARRAY, after, from_hex(ANSWERS[i].after, after)}};
        CK_SP800_108_KDF_PARAMS params = {CKM_SHA256_HMAC, 3, parts, 0, NULL};
        CK_OBJECT_HANDLE base = secret_of(CKK_GENERIC_SECRET, key, from_hex(ANSWERS[i].key, key)), derived;

        FINE(p11->C_DeriveKey(session, MECHANISM_WITH(CKM_SP800_108_COUNTER_KDF, params), base,
                              TEMPLATE(OPEN_SECRET(16)), &derived));
        assert_value(derived, answer, from_hex(ANSWERS[i].answer, answer));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        user_test(the_variable_of_feedback_stands_anywhere),
        user_test(the_variable_of_the_double_pipeline_stands_anywhere),
        user_test(counter_mode_gives_the_known_answers),
    };
    return cmocka_run_group_tests(tests, pkcs11_begin, pkcs11_end);
}
