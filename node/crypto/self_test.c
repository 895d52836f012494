/* Known-answer tests at power-on: one for every algorithm family that keys are used with, and of the random generator.
 * The node serves no cryptography unless all pass. Sources of the answers stand with them. */
#include "crypto/key_internal.h"

#include <stdlib.h>

#define MAX 2048u

/* A value from its hexadecimal digits, in memory that lives as long as the test. */
struct known {
    uint8_t bytes[MAX];
    size_t len;
};

static struct slice known(struct known *known, const char *digits)
{
    known->len = strlen(digits) / 2;
    if (known->len > MAX || !hex_decode(digits, known->bytes, known->len))
        abort();
    return slice_of(known->bytes, known->len);
}

static status_code expect(const struct bytes *got, const char *digits)
{
    struct known answer;

    CHECK(slice_equal(bytes_slice(got), known(&answer, digits)), STATUS_SELF_TEST_FAILED, "wrong answer");
    return STATUS_OK;
}

static status_code open_hex(enum object_class class, enum key_type type, const char *digits, struct key **key)
{
    struct known material;

    return key_open(class, type, known(&material, digits), true, key);
}

#define COUNTING_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ZERO_KEY     "0000000000000000000000000000000000000000000000000000000000000000"

/* What is done with a secret key: an input, an answer, and whether the way back is tried. */
struct secret_test {
    const char *name;
    struct mechanism mechanism;
    enum key_type key_type;
    const char *key, *nonce, *data, *answer;
    enum { TEST_SIGN, TEST_ENCRYPT, TEST_DECRYPT, TEST_DERIVE } use;
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
        return expect(&out, test->answer);
    case TEST_DERIVE:
        TRY(crypto_derive(key, worker, mechanism, NULL, data, &out));
        return expect(&out, test->answer);
    case TEST_DECRYPT:
        TRY(crypto_decrypt(key, worker, mechanism, known(&answer, test->answer), &back));
        break;
    case TEST_ENCRYPT:
        TRY(crypto_encrypt(key, worker, mechanism, data, &out, &nonce_made));
        TRY(expect(&out, test->answer));
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
    mechanism.nonce = known(&nonce, test->nonce);
    TRY(open_hex(CLASS_SECRET_KEY, test->key_type, test->key, &key));
    status_code status = run_secret(test, key, &mechanism, known(&data, test->data));
    key_release(key);
    return status;
}

/* A signature with a fixed key and answer must verify, and not verify when it is altered. */
static status_code verify_both_ways(struct key *key, const struct mechanism *mechanism, struct slice data,
                                    struct known *signature)
{
    TRY(crypto_verify(key, WORKERS_MAX, mechanism, data, slice_of(signature->bytes, signature->len)));
    signature->bytes[signature->len / 2] ^= 1;
    CHECK(crypto_verify(key, WORKERS_MAX, mechanism, data, slice_of(signature->bytes, signature->len)) ==
              STATUS_SIGNATURE_INVALID,
          STATUS_SELF_TEST_FAILED, "an altered signature verifies");
    return STATUS_OK;
}

/* SHA-256 of "abc": FIPS 180-4 examples. */
#define SHA256_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static const char rsa_key[] =
    "308204bd020100300d06092a864886f70d0101010500048204a7308204a30201000282010100e62b501fff9b510973bd"
    "eb757232350200a76563d2e9b4fd6fc85561ca116c174ab248074783b1f0e7990f4d1ef3e34b4d9297bc97f28e07020e"
    "582bc30ee91f8ee5194907d2c92b2ca99d105b930bf482a3b65d42c65cb8471a2a98a0344dbb9d063d61309e27ad72c0"
    "739cbb8c81580a09ca2810654fef3d3a5303cb3cd248b421a35faa70c14b0539b7dfc5b64f0b12d1c20422ad569fefc0"
    "79c88abdea4c64ad97d5db4c307df1a0c649fbe1f99e31e4daba2282ed8de22f17195b5ea7817681e236935efe5e9178"
    "77cf6be478b3d7d1f25a33f6b3e5bd0f3f2abd0e8e15018e8000b85af7e470dfe88a89e7782df515f80db41578734056"
    "954f094ba2010203010001028201003363a1c2d72eae07ea79d18f9a14c81d7f98604c8a9b67efbaccb3757f28672607"
    "25296c48a5086e554328f5aacec0a5803715de435da224c1ea827898d7242909de30484c311d7da07de925ad1076779b"
    "d06207ce001c54ff7901e02c4aa93d55787e6d4bedcfc58bcc98b37a734b30a5231ce9d7894b30cace9218d3806ba167"
    "f56ddbf435b23ac90c628c15e1785610feb1ca77d2df46f7fa6f4d9df4e1330b5128367583b0de6e347d8ba4dc1e883c"
    "dce6c3c1f198679cb46adcd6eae28f09d99bb7d2c94a37c5f9918efd1bfa196b7c9af4df63f901d8ba945bf53173a4ca"
    "ac833dbad7eecc416fbda8e472a67c0d3ca5d06310febc806f115d4547e94d02818100fa9db695e2a211fea9812ed1bf"
    "ad870d46c4f5da4d827ecbd648abd0c1b9e43e065c0a447e5f92efb133682c27ad0959d3afde41084ffabdb78e6f7e6f"
    "1bae8f1874867bf0be9deeaa12c65294e856bdd66419a51076a6defe25db4b791ec419972d53756bc585fd78a0f426b5"
    "864bb3ed22bd77f8278107f49118eafac3774d02818100eb1d2675caaa4edf20ddf60ea8b756fb77ff1ea4c13885db0c"
    "ad0f84c5f9d5888d94542d0472478dcde28921a8626b953ae95ad9aca6050b57ed723321354736f3a54f8fe27aa37ce7"
    "74f527bf3b187e46fdbc56be6c0d031387cb3353921162d92da3485432256bd95ca37cebb8eb7364586334675efa77c1"
    "1643228bdbc38502818027a9b62fda8253debdecd8001219e079d56d6e8b7220e8f8519d86b3af35404e20ab886476ab"
    "a19195b5d112cbe4b2ca289a78ce4a067e64701c76c0c7ccd5bf87db493d6c487eae3af465b6c4225138122a1d74e63a"
    "2106c1aa341ea9b898c884088460dd0191c71fc4395fb6f2de2047b36bd104d11bb6aa9a1c1b743c633102818100ada3"
    "74b10fc121c8d64c3719f26e9cf5d154803c2b5b643837af6443a9b6ee861011d8ecfa58b011c15929efca9d0d59440d"
    "ed83cf6739587c52a7c1ad27dcf56f91ca25b89cdc3b35f181d11e013600a4cb661a263e4489de15aef3b427af617285"
    "ab0e92e80a0d1195c244530eda0cf9b1f16a5561a6d764a9dd61192b6fc5028180658c0686c9b32390456e8bd2f0c032"
    "b34b4fb1bd7867cb63a4d45246e0a3cbb65f5bef6e54458dedd1de5230f9149cd46386f3443844d30adb6bcc4dcd5dc5"
    "338b078c1e32873918f22231371eb77d5f3265c66fadd46817ee6963dd8a9b15cdc8cc4e0839f15328f4e8396f26d336"
    "37515e62af5e3ba1e8e6d62cca041b261a";
static const char rsa_signature[] =
    "4367f67bce7462974ab82f189fba29112f4ef9d4b8408ee0aaf722b3a1c69935efd211663af05bec351a563ede889f25"
    "18d6d989f592c247b889691321613b9ffb15a5355d4db7aecdcbd4f9af898cc51c3dd30d157036f871b691cc9a556cc7"
    "860aeff3db53caf3293446288afb27f5f560684aece447bd5f185b124b69cb8c43e7dccff86078f63448ef614b965c42"
    "e8642f23b2d0eab429c13f5304f8d0f2c95ab038a5a8cdd66506ee0d85cf01c27a3520eef9e88ee292437f5115a9af9f"
    "6da1334d87afd0c848d2f5e7a934d7dba24bad598dcfc86b582add77a9556b5b73652a3516ebed12b5b3eec7a7ba714a"
    "b06aaf32659a0531d8954a9c08dfc67b";

/* A key made for this test; PKCS#1 v1.5 is deterministic. */
static status_code test_rsa(void)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_INIT;
    const struct mechanism mechanism = {.type = MECHANISM_RSA_PKCS, .hash = HASH_SHA256};
    struct known digest, signature;
    struct slice abc = known(&digest, SHA256_ABC);
    struct key *private_key, *public_key = NULL;

    known(&signature, rsa_signature);
    TRY(open_hex(CLASS_PRIVATE_KEY, KEY_RSA, rsa_key, &private_key));
    status_code status = crypto_sign(private_key, WORKERS_MAX, &mechanism, abc, &made);
    if (status == STATUS_OK)
        status = expect(&made, rsa_signature);
    if (status == STATUS_OK)
        status = key_public(private_key, &public_key);
    if (status == STATUS_OK)
        status = verify_both_ways(public_key, &mechanism, abc, &signature);
    key_release(public_key);
    key_release(private_key);
    return status;
}

/* RFC 6979, A.2.5: P-256, SHA-256, "sample" */
static status_code test_ecdsa(void)
{
    const struct mechanism mechanism = {.type = MECHANISM_ECDSA, .hash = HASH_SHA256};
    struct known digest, signature;
    struct key *key;

    known(&digest, "af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf");
    known(&signature, "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                      "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
    TRY(open_hex(CLASS_PUBLIC_KEY, KEY_EC,
                 "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
                 "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
                 "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
                 &key));
    status_code status = verify_both_ways(key, &mechanism, slice_of(digest.bytes, digest.len), &signature);
    key_release(key);
    return status;
}

/* RFC 8032, 7.1, test 1 */
static status_code test_eddsa(void)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_INIT;
    const struct mechanism mechanism = {.type = MECHANISM_EDDSA};
    struct key *key;

    TRY(open_hex(CLASS_PRIVATE_KEY, KEY_EC_EDWARDS,
                 "302e020100300506032b657004220420"
                 "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                 &key));
    status_code status = crypto_sign(key, WORKERS_MAX, &mechanism, slice_text(""), &made);
    key_release(key);
    TRY(status);
    return expect(&made, "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
                         "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
}

/* RFC 7748, 5.2 */
static status_code test_agreement(void)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_SECRET;
    struct mechanism mechanism = {.type = MECHANISM_ECDH};
    struct known peer;
    struct key *key;

    mechanism.peer_public = known(&peer, "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    TRY(open_hex(CLASS_PRIVATE_KEY, KEY_EC_MONTGOMERY,
                 "302e020100300506032b656e04220420"
                 "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                 &key));
    status_code status = crypto_derive(key, WORKERS_MAX, &mechanism, NULL, (struct slice){NULL, 0}, &made);
    key_release(key);
    TRY(status);
    return expect(&made, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}

/* No answer is known for fresh keys: what is tested is that both halves of a new pair agree, in key_generate. */
static status_code test_post_quantum(void)
{
    const struct key_parameters pairs[] = {{.type = KEY_ML_DSA, .parameter_set = 44},
                                           {.type = KEY_ML_KEM, .parameter_set = 768}};
    uint32_t min, max;

    for (unsigned i = 0; i < 2; i++) {
        struct key *key;

        if (!mechanism_available(i ? MECHANISM_ML_KEM : MECHANISM_ML_DSA, &min, &max))
            continue;
        TRY(key_generate(&pairs[i], &key));
        key_release(key);
    }
    return STATUS_OK;
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
    } tests[] = {{"random generator", test_random},
                 {"RSA", test_rsa},
                 {"ECDSA", test_ecdsa},
                 {"EdDSA", test_eddsa},
                 {"X25519", test_agreement},
                 {"ML-DSA, ML-KEM", test_post_quantum}};

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
