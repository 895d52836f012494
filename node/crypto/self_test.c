/* Known-answer tests at power-on: one for every algorithm family that keys are used with, and of the random generator.
 * The node serves no cryptography unless all pass. Sources of the answers stand with them. */
#include "crypto/self_test.h"

#include <stdlib.h>

struct slice known_bytes(struct known *known, const char *digits)
{
    known->len = strlen(digits) / 2;
    if (known->len > KNOWN_MAX || !hex_decode(digits, known->bytes, known->len))
        abort();
    return slice_of(known->bytes, known->len);
}

status_code known_expect(const struct bytes *got, const char *digits)
{
    struct known answer;

    CHECK(slice_equal(bytes_slice(got), known_bytes(&answer, digits)), STATUS_SELF_TEST_FAILED, "wrong answer");
    return STATUS_OK;
}

status_code known_key(enum object_class class, enum key_type type, const char *digits, struct key **key)
{
    struct known material;

    return key_open(class, type, known_bytes(&material, digits), true, key);
}

#define COUNTING_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ZERO_KEY     "0000000000000000000000000000000000000000000000000000000000000000"

/* What is done with a secret key: an input, an answer, and whether the way back is tried. */
struct secret_test {
    const char *name;
    struct mechanism mechanism;
    enum key_type key_type;
    const char *key, *nonce, *data, *answer;
    enum { TEST_SIGN, TEST_ENCRYPT, TEST_DECRYPT, TEST_UNWRAP, TEST_DERIVE } use;
};

static const struct secret_test secret_tests[] = {
    /* FIPS 197, C.3 */
    {"AES-256",
     {.type = MECHANISM_AES_ECB},
     KEY_AES,
     COUNTING_KEY,
     "",
     "00112233445566778899aabbccddeeff",
     "8ea2b7ca516745bfeafc49904b496089",
     TEST_ENCRYPT},
    /* SP 800-38A, F.2.5 */
    {"AES-256-CBC",
     {.type = MECHANISM_AES_CBC},
     KEY_AES,
     "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
     "000102030405060708090a0b0c0d0e0f",
     "6bc1bee22e409f96e93d7e117393172a",
     "f58c4c04d6e5f1ba779eabfb5f7bfbd6",
     TEST_ENCRYPT},
    /* SP 800-38A, F.5.5 */
    {"AES-256-CTR",
     {.type = MECHANISM_AES_CTR},
     KEY_AES,
     "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
     "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     "6bc1bee22e409f96e93d7e117393172a",
     "601ec313775789a5b7a7f504bbf3d228",
     TEST_ENCRYPT},
    /* The Galois/Counter Mode of Operation (McGrew, Viega), test case 14 */
    {"AES-256-GCM",
     {.type = MECHANISM_AES_GCM, .has_nonce = true},
     KEY_AES,
     ZERO_KEY,
     "000000000000000000000000",
     "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
     TEST_ENCRYPT},
    /* SP 800-38C, C.1 */
    {"AES-128-CCM",
     {.type = MECHANISM_AES_CCM,
      .has_nonce = true,
      .has_tag_len = true,
      .tag_len = 4,
      .aad = {(const uint8_t *)"\0\1\2\3\4\5\6\7", 8}},
     KEY_AES,
     "404142434445464748494a4b4c4d4e4f",
     "10111213141516",
     "20212223",
     "7162015b4dac255d",
     TEST_ENCRYPT},
    /* RFC 4493, 4, example 2 */
    {"AES-CMAC",
     {.type = MECHANISM_AES_CMAC},
     KEY_AES,
     "2b7e151628aed2a6abf7158809cf4f3c",
     "",
     "6bc1bee22e409f96e93d7e117393172a",
     "070a16b46b4d4144f79bdd9dd04a287c",
     TEST_SIGN},
    /* RFC 2202, 3, test case 2 */
    {"HMAC-SHA-1",
     {.type = MECHANISM_HMAC, .hash = HASH_SHA1},
     KEY_GENERIC_SECRET,
     "4a656665",
     "",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
     TEST_SIGN},
    /* RFC 4231, 4.3 */
    {"HMAC-SHA-224",
     {.type = MECHANISM_HMAC, .hash = HASH_SHA224},
     KEY_GENERIC_SECRET,
     "4a656665",
     "",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
     TEST_SIGN},
    /* RFC 4231, 4.3 */
    {"HMAC-SHA-384",
     {.type = MECHANISM_HMAC, .hash = HASH_SHA384},
     KEY_GENERIC_SECRET,
     "4a656665",
     "",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
     TEST_SIGN},
    /* NIST example values, HMAC-SHA3-256, sample 1 */
    {"HMAC-SHA3-256",
     {.type = MECHANISM_HMAC, .hash = HASH_SHA3_256},
     KEY_GENERIC_SECRET,
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "",
     "53616d706c65206d65737361676520666f72206b65796c656e3c626c6f636b6c656e",
     "4fe8e202c4f058e8dddc23d8c34e467343e23555e24fc2f025d598f558f67205",
     TEST_SIGN},
    /* CAVP gcmEncryptExtIV128, no plaintext */
    {"AES-GMAC",
     {.type = MECHANISM_AES_GMAC, .has_nonce = true},
     KEY_AES,
     "77be63708971c4e240d1cb79e8d77feb",
     "e0e00f19fed7ba0136a797f3",
     "7a43ec1d9c0a5a78a0b16533a6213cab",
     "209fcc8d3675ed938e9c7166709dd946",
     TEST_SIGN},
    /* RFC 4231, 4.3 */
    {"HMAC-SHA-256",
     {.type = MECHANISM_HMAC, .hash = HASH_SHA256},
     KEY_GENERIC_SECRET,
     "4a656665",
     "",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
     TEST_SIGN},
    {"HMAC-SHA-512",
     {.type = MECHANISM_HMAC, .hash = HASH_SHA512},
     KEY_GENERIC_SECRET,
     "4a656665",
     "",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
     "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
     TEST_SIGN},
    /* RFC 3394, 4.6 */
    {"AES key wrap",
     {.type = MECHANISM_AES_KEY_WRAP},
     KEY_AES,
     COUNTING_KEY,
     "",
     "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
     "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
     TEST_ENCRYPT},
    /* RFC 5649, 6 */
    {"AES key wrap with padding",
     {.type = MECHANISM_AES_KEY_WRAP_PAD},
     KEY_AES,
     "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
     "",
     "c37b7e6492584340bed12207808941155068f738",
     "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
     TEST_ENCRYPT},
    /* SP 800-67: computed with two implementations, as is the SP 800-108 answer below */
    {"3DES",
     {.type = MECHANISM_DES3_ECB},
     KEY_DES3,
     "0123456789abcdef23456789abcdef01456789abcdef0123",
     "",
     "5468652071756663",
     "a826fd8ce53b855f",
     TEST_DECRYPT},
    /* SP 800-38F, 7.2: computed with another implementation, as is the double pipeline below */
    {"3DES key wrap",
     {.type = MECHANISM_DES3_KEY_WRAP},
     KEY_DES3,
     "0123456789abcdef23456789abcdef01456789abcdef0123",
     "",
     "000102030405060708090a0b0c0d0e0f",
     "378a54709838c6002e51ab22cf59f7793c07f8f9",
     TEST_UNWRAP},
    /* RFC 5869, A.1 */
    {"HKDF",
     {.type = MECHANISM_HKDF,
      .hash = HASH_SHA256,
      .salt = {(const uint8_t *)"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c", 13},
      .shared_info = {(const uint8_t *)"\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9", 10},
      .has_output_len = true,
      .output_len = 42},
     KEY_GENERIC_SECRET,
     "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "",
     "",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
     TEST_DERIVE},
    {"SP 800-108 counter",
     {.type = MECHANISM_SP800_108_COUNTER,
      .hash = HASH_SHA256,
      .shared_info = {(const uint8_t *)"label", 5},
      .aad = {(const uint8_t *)"context", 7},
      .has_output_len = true,
      .output_len = 32},
     KEY_GENERIC_SECRET,
     COUNTING_KEY,
     "",
     "",
     "303790cfe363abe9682dbfff5941f23b32addc96da72f4c7e5b20e9f59a4e570",
     TEST_DERIVE},
    {"SP 800-108 double pipeline", /* an 8-bit counter between "before" and "after" */
     {.type = MECHANISM_SP800_108_DOUBLE_PIPELINE,
      .hash = HASH_SHA256,
      .salt = {(const uint8_t *)"before", 6},
      .shared_info = {(const uint8_t *)"after", 5},
      .flags = FLAG_KDF_FIXED_INPUT | 8 << 8,
      .has_output_len = true,
      .output_len = 80},
     KEY_GENERIC_SECRET,
     COUNTING_KEY,
     "",
     "",
     "7955256c7b7098f255cc997e2e8d6372e8d130b5d2c4759e485d074c511ca4d1a6a5c1e67c306f97922da446f0d15d16"
     "b7a3e9ecf3b13cc3072153786490d099f99fe3f6866f30cff0bf2606cec5e57b",
     TEST_DERIVE},
};

static status_code run_secret(const struct secret_test *test, struct key *key, struct mechanism *mechanism,
                              struct slice data)
{
    CLEANUP(bytes_release) struct bytes out = BYTES_SECRET, back = BYTES_SECRET, nonce_made = BYTES_INIT;
    const unsigned worker = WORKERS_MAX;
    struct known answer;

    switch (test->use) {
    case TEST_SIGN:
        TRY(crypto_sign(key, worker, mechanism, data, &out));
        return known_expect(&out, test->answer);
    case TEST_DERIVE:
        TRY(crypto_derive(key, worker, mechanism, NULL, data, &out));
        return known_expect(&out, test->answer);
    case TEST_DECRYPT:
        TRY(crypto_decrypt(key, worker, mechanism, known_bytes(&answer, test->answer), &back));
        break;
    case TEST_UNWRAP:
        TRY(crypto_unwrap(key, worker, mechanism, known_bytes(&answer, test->answer), &back));
        break;
    case TEST_ENCRYPT:
        TRY(crypto_encrypt(key, worker, mechanism, data, &out, &nonce_made));
        TRY(known_expect(&out, test->answer));
        TRY(crypto_decrypt(key, worker, mechanism, bytes_slice(&out), &back));
        break;
    }
    CHECK(slice_equal(bytes_slice(&back), data), STATUS_SELF_TEST_FAILED, "wrong way back");
    return STATUS_OK;
}

static status_code test_secret(const struct secret_test *test)
{
    struct mechanism mechanism = test->mechanism;
    struct known nonce, data;
    uint32_t min, max;
    struct key *key;

    if (!mechanism_available(mechanism.type, &min, &max))
        return STATUS_OK;
    mechanism.nonce = known_bytes(&nonce, test->nonce);
    TRY(known_key(CLASS_SECRET_KEY, test->key_type, test->key, &key));
    status_code status = run_secret(test, key, &mechanism, known_bytes(&data, test->data));
    key_release(key);
    return status;
}

/* Repetition test (SP 800-90B, 4.4.1, in its coarsest form): the generator does not repeat itself or fall silent. */
static status_code test_random(void)
{
    uint8_t first[32], second[32];
    static const uint8_t zero[32] = {0};

    TRY(random_fill(WORKERS_MAX, first, sizeof(first)));
    TRY(random_fill(WORKERS_MAX, second, sizeof(second)));
    CHECK(memcmp(first, second, 32) != 0 && memcmp(first, zero, 32) != 0, STATUS_SELF_TEST_FAILED, "it repeats");
    return STATUS_OK;
}

status_code crypto_self_test(void)
{
    static const struct {
        const char *name;
        status_code (*run)(void);
    } tests[] = {{"random generator", test_random}, {"asymmetric cryptography", self_test_asymmetric}};

    for (size_t i = 0; i < sizeof(secret_tests) / sizeof(*secret_tests); i++) {
        if (test_secret(&secret_tests[i]) != STATUS_OK)
            FAIL(STATUS_SELF_TEST_FAILED, "self-test of %s: %s", secret_tests[i].name, failure_detail());
    }
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
        if (tests[i].run() != STATUS_OK)
            FAIL(STATUS_SELF_TEST_FAILED, "self-test of %s: %s", tests[i].name, failure_detail());
    }
    return STATUS_OK;
}
