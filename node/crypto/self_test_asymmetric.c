/* Known answers of the asymmetric algorithms at power-on. Sources stand with the answers; where an algorithm is random,
 * the answer is verified or decrypted instead of made. */
#include "crypto/self_test.h"

/* SHA-256 of "abc": FIPS 180-4 examples. */
#define SHA256_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/* Made for these tests, as are the answers that RSA gives with it. */
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
static const char pss_signature[] =
    "aa33ad50ab2f55f264d11b6a34775a88e37bc505cc8298836cde72382798337321f98ba489be32cb8a229b6c20458086"
    "39a721691ac8dc439c47eb02bc756b02dd07682e92580fe9a4a8cae7bf48c2e01687aed3c7c07c8fc7ef5cd034b168e7"
    "1ce72a89b37b182e9e767de6832c58f08365b05c1d1507c4b82d0e45151e4aaad3844130b5c54ac62a3706551535d5c7"
    "62a6562e3091f0f976caac2eea258f7de249305ecd0c412bf3050b9d84b8cde3df1fd7568f5a9df8738b2983826b13eb"
    "b221108cbff36da9ff3dab194766845c175cb808f70848db826e2826b9e6b2c05f8bd3302c39077b2c1b87f2cac78d3a"
    "666f8c75ac3f73ed94990b7c252cd5ca";
static const char oaep_abc[] =
    "611b319e8854e2b05fb5d7fe085298eae954d1dabe58bbac8a83e5e2a8fc89f9ba15f57e3ed8f9d7f4a79bc70c2c8700"
    "b40582e02828624b3f15978e03e90f6b0582d47c6b39eb0fbb80d68558b9974aac98f7b5551d14fe667f47e3c181560a"
    "61f43dfe84d9b0097deb3bbe8eee02f2acd9933b27752c7ece849bc17fbf030d3f66b61f2e545beabf40cefda89fe9bd"
    "a8724b8c3f814e194e121cb6421a9c0fda6df902acb55ecaffa113ecfd6e827bde8965fc45862fe5a6ac44d3b6435c87"
    "0da1b728fcbbfb0c571fabd4f6e0a3d20674ba2a3da6bbcafd5914a725a17df711d0ae63b8c7ef6986d7e7fe631651d7"
    "7e45c200404c691f45c0c0b41e539e06";

struct signature_test {
    const char *name;
    struct mechanism mechanism;
    enum object_class class;
    enum key_type key_type;
    const char *key, *data, *signature;
    bool deterministic;
};

static const struct signature_test signature_tests[] = {
    {"RSA PKCS#1 v1.5",
     {.type = MECHANISM_RSA_PKCS, .hash = HASH_SHA256},
     CLASS_PRIVATE_KEY,
     KEY_RSA,
     rsa_key,
     SHA256_ABC,
     rsa_signature,
     true},
    {"RSA PSS",
     {.type = MECHANISM_RSA_PKCS_PSS, .hash = HASH_SHA256},
     CLASS_PRIVATE_KEY,
     KEY_RSA,
     rsa_key,
     SHA256_ABC,
     pss_signature,
     false},
    /* RFC 6979, A.2.5: P-256, SHA-256, "sample" */
    {"ECDSA",
     {.type = MECHANISM_ECDSA, .hash = HASH_SHA256},
     CLASS_PUBLIC_KEY,
     KEY_EC,
     "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
     "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
     "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
     "af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf",
     "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
     "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
     false},
    /* RFC 8032, 7.1, test 1 */
    {"Ed25519",
     {.type = MECHANISM_EDDSA},
     CLASS_PRIVATE_KEY,
     KEY_EC_EDWARDS,
     "302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
     "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
     true},
    /* RFC 8032, 7.4, blank */
    {"Ed448",
     {.type = MECHANISM_EDDSA},
     CLASS_PRIVATE_KEY,
     KEY_EC_EDWARDS,
     "3047020100300506032b6571043b0439"
     "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94492f8f032e7549"
     "a20098f95b",
     "",
     "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d7828c59bd0"
     "a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4dbb61149f05a736326"
     "8c71d95808ff2e652600",
     true},
};

/* The fixed signature must verify, and not when it is altered. */
static status_code verify_both_ways(struct key *key, const struct signature_test *test, struct slice data)
{
    struct known signature;
    struct slice fixed = known_bytes(&signature, test->signature);

    TRY(crypto_verify(key, WORKERS_MAX, &test->mechanism, data, fixed));
    signature.bytes[signature.len / 2] ^= 1;
    CHECK(crypto_verify(key, WORKERS_MAX, &test->mechanism, data, fixed) == STATUS_SIGNATURE_INVALID,
          STATUS_SELF_TEST_FAILED, "an altered signature verifies");
    return STATUS_OK;
}

static status_code run_signature(const struct signature_test *test, struct key *key, struct slice data)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_INIT;
    CLEANUP(release_key) struct key *public_key = NULL;

    if (test->class == CLASS_PUBLIC_KEY)
        return verify_both_ways(key, test, data);
    if (test->deterministic) {
        TRY(crypto_sign(key, WORKERS_MAX, &test->mechanism, data, &made));
        TRY(known_expect(&made, test->signature));
    }
    TRY(key_public(key, &public_key));
    return verify_both_ways(public_key, test, data);
}

static status_code test_signatures(void)
{
    for (size_t i = 0; i < sizeof(signature_tests) / sizeof(*signature_tests); i++) {
        const struct signature_test *test = &signature_tests[i];
        CLEANUP(release_key) struct key *key = NULL;
        struct known data;

        TRY(known_key(test->class, test->key_type, test->key, &key));
        CHECK(run_signature(test, key, known_bytes(&data, test->data)) == STATUS_OK, STATUS_SELF_TEST_FAILED, "%s: %s",
              test->name, failure_detail());
    }
    return STATUS_OK;
}

static status_code test_oaep(void)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_SECRET;
    CLEANUP(release_key) struct key *key = NULL;
    const struct mechanism mechanism = {.type = MECHANISM_RSA_PKCS_OAEP, .hash = HASH_SHA256};
    struct known ciphertext;

    TRY(known_key(CLASS_PRIVATE_KEY, KEY_RSA, rsa_key, &key));
    TRY(crypto_decrypt(key, WORKERS_MAX, &mechanism, known_bytes(&ciphertext, oaep_abc), &made));
    return known_expect(&made, "616263");
}

static const struct agreement_test {
    const char *name;
    enum key_type key_type;
    const char *key, *peer, *secret;
} agreement_tests[] = {
    /* CAVP KASValidityTest, ECC static unified, ZZ only */
    {"ECDH P-256", KEY_EC,
     "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420"
     "8087ab163864bfa81001c72f736b6d94e7612559ac4c847d06ba2171840684d6a14403420004"
     "e8b020e8c3cc25d3e5e83e76077f3d5ccdabd7ad76121b724a171414e73f793c"
     "98dfb6863fbdbc1d2083f6c41e502645ae9b7a0fdb38904f7483ef883bc2a57b",
     "045a3955c54a49645ed818f3774ea10971a1db88c370d8966c5a6e88234ed5d820"
     "03b13f0dad73f64532f42b8b2fa6d1450d9ab24896e95c24674298f2da07ccda",
     "0cb890a0dcc277c3dde0f91b4322a32e6365d7ec85316185d3286b4977849410"},
    /* RFC 7748, 5.2 */
    {"X25519", KEY_EC_MONTGOMERY,
     "302e020100300506032b656e04220420a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
     "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
     "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
    {"X448", KEY_EC_MONTGOMERY,
     "3046020100300506032b656f043a0438"
     "3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121700a779c984c24f8cdd78fbff44943eba368f54b29259a4f"
     "1c600ad3",
     "06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb"
     "4ef8a086",
     "ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239fe14fbaadeb445fc66a01b0779d98223961111e21766282f7"
     "3dd96b6f"},
};

static status_code test_agreement(void)
{
    for (size_t i = 0; i < sizeof(agreement_tests) / sizeof(*agreement_tests); i++) {
        const struct agreement_test *test = &agreement_tests[i];
        CLEANUP(bytes_release) struct bytes made = BYTES_SECRET;
        CLEANUP(release_key) struct key *key = NULL;
        struct mechanism mechanism = {.type = MECHANISM_ECDH};
        struct known peer;

        mechanism.peer_public = known_bytes(&peer, test->peer);
        TRY(known_key(CLASS_PRIVATE_KEY, test->key_type, test->key, &key));
        TRY(crypto_derive(key, WORKERS_MAX, &mechanism, NULL, (struct slice){NULL, 0}, &made));
        CHECK(known_expect(&made, test->secret) == STATUS_OK, STATUS_SELF_TEST_FAILED, "%s: wrong secret", test->name);
    }
    return STATUS_OK;
}

/* CAVP ANS X9.63-2001, SHA-256 */
static status_code test_x963(void)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_SECRET;
    struct known shared;

    TRY(agreement_kdf(KDF_X963, HASH_SHA256, known_bytes(&shared, "96c05619d56c328ab95fe84b18264b08725b85e33fd34f08"),
                      (struct slice){NULL, 0}, 16, &made));
    return known_expect(&made, "443024c3dae66b95e6f5670601558f71");
}

/* ECDSA signs with a random number, so what is tested of signing is that a new pair agrees, in key_generate. */
static status_code test_generation(void)
{
    const struct key_parameters parameters = {.type = KEY_EC, .curve = curve_by_name("P256")};
    CLEANUP(release_key) struct key *key = NULL;

    return key_generate(&parameters, &key);
}

/* Key and message of count 0 of the deterministic ML-DSA-44 known answers; SHA-256 of the signature */
static status_code test_ml_dsa(void)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_INIT, digest = BYTES_INIT;
    CLEANUP(release_key) struct key *key = NULL, *public_key = NULL;
    struct mechanism mechanism = {.type = MECHANISM_ML_DSA, .flags = FLAG_ML_DSA_DETERMINISTIC};
    struct known message, context;
    uint32_t min, max;

    if (!mechanism_available(MECHANISM_ML_DSA, &min, &max))
        return STATUS_OK;
    mechanism.aad = known_bytes(&context, "480c658c0cb3e040bde084345cef0df7");
    struct slice data = known_bytes(&message, "6dbbc4375136df3b07f7c70e639e223e");

    TRY(known_key(CLASS_PRIVATE_KEY, KEY_ML_DSA,
                  "3034020100300b060960864801650304031104228020"
                  "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68",
                  &key));
    TRY(crypto_sign(key, WORKERS_MAX, &mechanism, data, &made));
    TRY(key_public(key, &public_key));
    TRY(crypto_verify(public_key, WORKERS_MAX, &mechanism, data, bytes_slice(&made)));
    uint8_t *to = bytes_reserve(&digest, EVP_MAX_MD_SIZE);
    if (!to || !EVP_Digest(made.data, made.len, to, NULL, crypto_digest(HASH_SHA256), NULL))
        return crypto_failed("hashing a signature");
    digest.len = 32;
    return known_expect(&digest, "e8a1941380e7cadb3c8dfb31dd3f3986568d26e4bf2d975610e81df300267c37");
}

/* Count 0 of the ML-KEM-512 known answers */
static const char kem_ciphertext[] =
    "917e59d1e182a29648a61955a154b304a842f458eba593f3065fb7d744fba24fa3a0d538854e32844db248d48100c389"
    "c4c4b3ca6c234f2f61a67932aeee808dbfe98d896d1e9668820965c6343bbb4a4de64b7a99fb53b5264e3199d587ffa5"
    "e0479f6b7386b23cb9c243fa6f5457fc97dbc96dcc039bd6c4e7e85a90b5c5232416434ea942cc71134bb9a2f4991e05"
    "95e3487feabac479cab9510d57b86250ee7c96a67a9f2c6121f7daa02c5cfa3b23b0c732c2b15694e1ccbac82b787cf2"
    "118d08425cbba121882217940c894cbe47aae2541f5c6e0bd1baab31fd2b2ecb34b9e693f6fc0fdeea906716d08818f5"
    "1df0c4694029e8c3234be0b62471b2769d9ac4ceb947602380f3a497b2a01ff7b8746c1c7ae81983e016bd65c7cd1762"
    "c191857e41c2321981f6c7aa8d7afaaa9fa0b557ec1ec1285f8b4d6c788aff159ea5862e814d0825c8834b7ca45db7c8"
    "eda3fa6a6a7b8a40519529bf74b6a0f80c484917f40c107d182bce3e344fd36d1b377a982f6bf2361b8d662875c166dc"
    "ca73240b86df5ee0fa4231b356f0cdd6b3170ff89113db0b1b9dd264335783222cbe7be844642b0b1988d18b268da6f7"
    "8cc944f43b827143c4dc5ee1f0d658b87b9c00862f263d6f5798fc82e8be079a1108defdd4c7863c3147e9bdf0fbc84d"
    "eba215fdfb9ca4237a8419b26fdeff63a7f95c442bce67966ebe6b5f9af1fd2a7cbed648ea7276db742dac3e470f6cc7"
    "41d82e77e9c0dd019b5458177551975b59633be67b35c0d430b725524deafdeba6d3643c5c82ebb52479669c411bb56b"
    "397f8d37b8f7fa4ced0316546caaee419c0e7f1d96a0ec614c6c9c8e03e010031765121f1eb8fd549fde046a50443eba"
    "b9fea2e78a29f4964455928db1f9e7820e533c5712989b3a3637ea00a1de3e469a800c431d4df243c1dc7d6a89ba7900"
    "d52b78bcc103474f9d2c2128025c3193c4d1a09f50905ad2de7fe8e09f047e0e72e6dab0edf7e3b08ed1316acf857254"
    "b6c1fbf64ce582f2990ccecf9505fd7e8517998aaf583be1aa641e9b54dbb91ca9d0700913967fb0349201b5d679b32d";

static status_code test_ml_kem(void)
{
    CLEANUP(bytes_release) struct bytes made = BYTES_SECRET;
    CLEANUP(release_key) struct key *key = NULL;
    const struct mechanism mechanism = {.type = MECHANISM_ML_KEM};
    struct known ciphertext;
    uint32_t min, max;

    if (!mechanism_available(MECHANISM_ML_KEM, &min, &max))
        return STATUS_OK;
    TRY(known_key(CLASS_PRIVATE_KEY, KEY_ML_KEM,
                  "3054020100300b060960864801650304040104428040"
                  "6dbbc4375136df3b07f7c70e639e223e177e7fd53b161b3f4d57791794f12624"
                  "f696484048ec21f96cf50a56d0759c448f3779752f0383d37449690694cf7a68",
                  &key));
    TRY(crypto_decapsulate(key, &mechanism, known_bytes(&ciphertext, kem_ciphertext), &made));
    return known_expect(&made, "2b5c52ee72946331983ba050be0f435055c0547901e03559b356517889ea27c5");
}

status_code self_test_asymmetric(void)
{
    static const struct {
        const char *name;
        status_code (*run)(void);
    } tests[] = {{"signatures", test_signatures},
                 {"RSA OAEP", test_oaep},
                 {"key agreement", test_agreement},
                 {"X9.63", test_x963},
                 {"pairs", test_generation},
                 {"ML-DSA", test_ml_dsa},
                 {"ML-KEM", test_ml_kem}};

    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
        if (tests[i].run() != STATUS_OK)
            FAIL(STATUS_SELF_TEST_FAILED, "%s: %s", tests[i].name, failure_detail());
    }
    return STATUS_OK;
}
