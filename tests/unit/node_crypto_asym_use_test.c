/* Keys in use: ways there and back for every mechanism, wrong keys, lengths and parameters, policy, and several workers
 * on one key. */
#include "node_crypto_asym_support.h"

#include <pthread.h>
#include "crypto/key_internal.h"

static const uint8_t zeros[512];

static struct slice of_len(size_t len)
{
    return slice_of(zeros, len);
}

static void check_signing(struct key *key, const struct mechanism *mechanism, struct slice data)
{
    KEY public_key = public_of(key);
    BYTES signature = BYTES_INIT;

    for (unsigned time = 0; time < 3; time++) { /* later ones use the kept context */
        bytes_clear(&signature);
        assert_ok(crypto_sign(key, 1, mechanism, data, &signature));
        assert_ok(crypto_verify(public_key, 1, mechanism, data, bytes_slice(&signature)));
        signature.data[signature.len - 1 - time] ^= 1;
        assert_status(crypto_verify(public_key, 1, mechanism, data, bytes_slice(&signature)), STATUS_SIGNATURE_INVALID);
        assert_status(crypto_verify(public_key, 1, mechanism, data, slice_of(signature.data, signature.len - 1)),
                      STATUS_SIGNATURE_INVALID);
        assert_status(crypto_verify(public_key, 1, mechanism, data, of_len(0)), STATUS_SIGNATURE_INVALID);
    }
    assert_status(crypto_sign(public_key, 1, mechanism, data, &signature), STATUS_KEY_FUNCTION_NOT_PERMITTED);
    assert_status(crypto_verify(key, 1, mechanism, data, of_len(10)), STATUS_KEY_FUNCTION_NOT_PERMITTED);
}

static void rsa_signatures(void **state)
{
    (void)state;
    KEY key = make_rsa(2048);

    for (enum hash hash = HASH_SHA224; hash < HASH_COUNT; hash++) {
        struct mechanism mechanism = {.type = MECHANISM_RSA_PKCS, .hash = hash};

        check_signing(key, &mechanism, of_len(hash_info(hash)->len));
        mechanism.type = MECHANISM_RSA_PKCS_PSS;
        check_signing(key, &mechanism, of_len(hash_info(hash)->len));
        mechanism.has_salt_len = true;
        check_signing(key, &mechanism, of_len(hash_info(hash)->len));
        mechanism.mgf_hash = HASH_SHA384;
        mechanism.salt_len = 254 - hash_info(hash)->len; /* the most that fits */
        check_signing(key, &mechanism, of_len(hash_info(hash)->len));
    }
    check_signing(key, &(struct mechanism){.type = MECHANISM_RSA_PKCS}, of_len(245));
    check_signing(key, &(struct mechanism){.type = MECHANISM_RSA_PKCS}, of_len(1));
}

static void hash_none_signs_the_digest_info_given(void **state)
{
    (void)state;
    HEX info = from_hex("3031300d060960864801650304020105000420"
                        "0000000000000000000000000000000000000000000000000000000000000000");
    const struct mechanism raw = {.type = MECHANISM_RSA_PKCS};
    const struct mechanism hashed = {.type = MECHANISM_RSA_PKCS, .hash = HASH_SHA256};
    BYTES one = BYTES_INIT, other = BYTES_INIT;
    KEY key = make_rsa(2048);

    assert_ok(crypto_sign(key, 0, &raw, info, &one));
    assert_ok(crypto_sign(key, 0, &hashed, of_len(32), &other));
    assert_bytes(bytes_slice(&one), bytes_slice(&other));
}

static void sha1_is_for_verifying_only(void **state)
{
    (void)state;
    HEX info = from_hex("3021300906052b0e03021a0500041400112233445566778899aabbccddeeff00112233");
    const struct mechanism pkcs = {.type = MECHANISM_RSA_PKCS, .hash = HASH_SHA1};
    const struct mechanism raw = {.type = MECHANISM_RSA_PKCS};
    const struct mechanism ecdsa = {.type = MECHANISM_ECDSA, .hash = HASH_SHA1};
    BYTES signature = BYTES_INIT;
    KEY rsa = make_rsa(2048);
    KEY ec = make_on_curve("P256");

    assert_status(crypto_sign(rsa, 0, &pkcs, of_len(20), &signature), STATUS_MECHANISM_INVALID);
    assert_status(crypto_sign(rsa, 0, &raw, info, &signature), STATUS_MECHANISM_INVALID);
    assert_status(crypto_sign(ec, 0, &ecdsa, of_len(20), &signature), STATUS_MECHANISM_INVALID);
    assert_int_equal(signature.len, 0);
}

static void rsa_signing_refuses(void **state)
{
    (void)state;
    const struct mechanism pss = {.type = MECHANISM_RSA_PKCS_PSS, .hash = HASH_SHA256};
    struct mechanism mechanism = {.type = MECHANISM_RSA_PKCS, .hash = HASH_SHA256};
    BYTES out = BYTES_INIT;
    KEY key = make_rsa(2048);
    KEY ec = make_on_curve("P256");

    assert_status(crypto_sign(key, 0, &mechanism, of_len(31), &out), STATUS_DATA_LENGTH);
    assert_status(crypto_sign(key, 0, &mechanism, of_len(0), &out), STATUS_DATA_LENGTH);
    assert_status(crypto_sign(key, 0, &pss, of_len(33), &out), STATUS_DATA_LENGTH);
    mechanism.hash = HASH_NONE;
    assert_status(crypto_sign(key, 0, &mechanism, of_len(246), &out), STATUS_DATA_LENGTH);
    mechanism = pss;
    mechanism.hash = HASH_NONE;
    assert_status(crypto_sign(key, 0, &mechanism, of_len(32), &out), STATUS_MECHANISM_PARAM_INVALID);
    mechanism = pss;
    mechanism.has_salt_len = true;
    mechanism.salt_len = 223;
    assert_status(crypto_sign(key, 0, &mechanism, of_len(32), &out), STATUS_MECHANISM_PARAM_INVALID);
    mechanism.salt_len = SIZE_MAX;
    assert_status(crypto_sign(key, 0, &mechanism, of_len(32), &out), STATUS_MECHANISM_PARAM_INVALID);
    assert_status(crypto_sign(ec, 0, &pss, of_len(32), &out), STATUS_KEY_TYPE_INCONSISTENT);
    mechanism = (struct mechanism){.type = MECHANISM_RSA_PKCS_OAEP, .hash = HASH_SHA256};
    assert_status(crypto_sign(key, 0, &mechanism, of_len(32), &out), STATUS_MECHANISM_INVALID);
    mechanism = (struct mechanism){.type = MECHANISM_RSA_X_509};
    assert_status(crypto_sign(key, 0, &mechanism, of_len(256), &out), STATUS_NOT_SUPPORTED);
    mechanism = (struct mechanism){.type = (enum mechanism_type)9};
    assert_status(crypto_sign(key, 0, &mechanism, of_len(32), &out), STATUS_NOT_SUPPORTED);
    mechanism = (struct mechanism){.type = MECHANISM_RSA_KEY_PAIR_GEN};
    assert_status(crypto_sign(key, 0, &mechanism, of_len(32), &out), STATUS_MECHANISM_INVALID);
    assert_int_equal(out.len, 0);
}

static void check_encryption(struct key *key, const struct mechanism *mechanism, size_t max_len)
{
    KEY public_key = public_of(key);
    BYTES ciphertext = BYTES_INIT, plaintext = BYTES_SECRET, nonce = BYTES_INIT;
    const size_t lens[] = {0, 1, max_len};

    for (size_t i = 0; i < N_OF(lens); i++) {
        bytes_clear(&ciphertext);
        bytes_clear(&plaintext);
        assert_ok(crypto_encrypt(public_key, 0, mechanism, of_len(lens[i]), &ciphertext, &nonce));
        assert_int_equal(ciphertext.len, 256);
        assert_ok(crypto_decrypt(key, 0, mechanism, bytes_slice(&ciphertext), &plaintext));
        assert_bytes(bytes_slice(&plaintext), of_len(lens[i]));
    }
    bytes_clear(&plaintext);
    assert_status(crypto_encrypt(public_key, 0, mechanism, of_len(max_len + 1), &ciphertext, &nonce),
                  STATUS_DATA_LENGTH);
    assert_status(crypto_encrypt(key, 0, mechanism, of_len(1), &ciphertext, &nonce), STATUS_KEY_FUNCTION_NOT_PERMITTED);
    assert_status(crypto_decrypt(public_key, 0, mechanism, bytes_slice(&ciphertext), &plaintext),
                  STATUS_KEY_FUNCTION_NOT_PERMITTED);
    assert_status(crypto_decrypt(key, 0, mechanism, slice_of(ciphertext.data, 255), &plaintext), STATUS_DATA_LENGTH);
    assert_status(crypto_decrypt(key, 0, mechanism, of_len(257), &plaintext), STATUS_DATA_LENGTH);
    assert_int_equal(plaintext.len, 0);
}

static void rsa_encryption(void **state)
{
    (void)state;
    struct mechanism oaep = {.type = MECHANISM_RSA_PKCS_OAEP, .hash = HASH_SHA256};
    KEY key = make_rsa(2048);

    check_encryption(key, &(struct mechanism){.type = MECHANISM_RSA_PKCS}, 245);
    check_encryption(key, &oaep, 190);
    oaep.mgf_hash = HASH_SHA1;
    check_encryption(key, &oaep, 190);
    oaep.hash = HASH_SHA512;
    oaep.aad = slice_text("label");
    check_encryption(key, &oaep, 126);
    oaep.hash = HASH_SHA1; /* OAEP rests on no collision resistance */
    check_encryption(key, &oaep, 214);
}

static void oaep_parameters_must_match(void **state)
{
    (void)state;
    struct mechanism oaep = {.type = MECHANISM_RSA_PKCS_OAEP, .hash = HASH_SHA256, .aad = slice_text("one")};
    BYTES ciphertext = BYTES_INIT, out = BYTES_SECRET, nonce = BYTES_INIT;
    KEY key = make_rsa(2048);
    KEY public_key = public_of(key);

    assert_ok(crypto_encrypt(public_key, 0, &oaep, of_len(16), &ciphertext, &nonce));
    oaep.aad = slice_text("two");
    assert_status(crypto_decrypt(key, 0, &oaep, bytes_slice(&ciphertext), &out), STATUS_CIPHERTEXT_INVALID);
    oaep.aad = slice_text("one");
    oaep.hash = HASH_SHA384;
    assert_status(crypto_decrypt(key, 0, &oaep, bytes_slice(&ciphertext), &out), STATUS_CIPHERTEXT_INVALID);
    oaep.hash = HASH_NONE;
    assert_status(crypto_decrypt(key, 0, &oaep, bytes_slice(&ciphertext), &out), STATUS_MECHANISM_PARAM_INVALID);
    oaep.hash = HASH_SHA256;
    ciphertext.data[100] ^= 1;
    assert_status(crypto_decrypt(key, 0, &oaep, bytes_slice(&ciphertext), &out), STATUS_CIPHERTEXT_INVALID);
    assert_status(crypto_unwrap(key, 0, &oaep, bytes_slice(&ciphertext), &out), STATUS_WRAPPED_KEY_INVALID);
    assert_int_equal(out.len, 0);
}

/* Bleichenbacher's question, is this PKCS#1 v1.5?, gets one answer only: a uniform failure, or (where OpenSSL rejects
 * implicitly) bytes that have nothing to do with the ciphertext. */
static void pkcs1_padding_is_no_oracle(void **state)
{
    (void)state;
    const struct mechanism pkcs = {.type = MECHANISM_RSA_PKCS};
    const struct mechanism oaep = {.type = MECHANISM_RSA_PKCS_OAEP, .hash = HASH_SHA256};
    BYTES ciphertext = BYTES_INIT, out = BYTES_SECRET, nonce = BYTES_INIT;
    KEY key = make_rsa(2048);
    KEY public_key = public_of(key);
    char first[FAILURE_DETAIL_MAX] = "";

    for (unsigned i = 0; i < 8; i++) { /* OAEP's padding is never that of PKCS#1 v1.5, but for a chance of 2^-16 */
        bytes_clear(&ciphertext);
        bytes_clear(&out);
        assert_ok(crypto_encrypt(public_key, 0, &oaep, of_len(i), &ciphertext, &nonce));
        status_code status = crypto_decrypt(key, 0, &pkcs, bytes_slice(&ciphertext), &out);
        if (status == STATUS_OK)
            continue;
        assert_status(status, STATUS_CIPHERTEXT_INVALID);
        if (first[0])
            assert_string_equal(first, failure_detail());
        memcpy(first, failure_detail(), sizeof(first));
    }
}

static void wrapping(void **state)
{
    static const size_t lens[] = {1, 16, 24, 33, 500};
    struct mechanism mechanism = {.type = MECHANISM_RSA_AES_KEY_WRAP, .hash = HASH_SHA256};
    const struct mechanism oaep = {.type = MECHANISM_RSA_PKCS_OAEP, .hash = HASH_SHA256};
    const struct mechanism pad = {.type = MECHANISM_AES_KEY_WRAP_PAD};
    BYTES wrapped = BYTES_INIT, material = BYTES_SECRET, temporary = BYTES_SECRET, nonce = BYTES_INIT;
    KEY key = make_rsa(2048);
    KEY public_key = public_of(key);
    struct key *aes = NULL;

    (void)state;
    for (size_t i = 0; i < N_OF(lens); i++) {
        bytes_clear(&wrapped);
        bytes_clear(&material);
        assert_ok(crypto_wrap(public_key, 0, &mechanism, of_len(lens[i]), &wrapped, &nonce));
        assert_int_equal(wrapped.len, 256 + (lens[i] + 7) / 8 * 8 + 8);
        assert_ok(crypto_unwrap(key, 0, &mechanism, bytes_slice(&wrapped), &material));
        assert_bytes(bytes_slice(&material), of_len(lens[i]));
    }
    /* The parts are what PKCS#11 says: an AES-256 key under OAEP, and RFC 5649 under that key. */
    bytes_clear(&material);
    assert_ok(crypto_decrypt(key, 0, &oaep, slice_of(wrapped.data, 256), &temporary));
    assert_int_equal(temporary.len, 32);
    assert_ok(key_open(CLASS_SECRET_KEY, KEY_AES, bytes_slice(&temporary), false, &aes));
    KEY held = aes;
    assert_ok(crypto_unwrap(held, 0, &pad, slice_of(wrapped.data + 256, wrapped.len - 256), &material));
    assert_bytes(bytes_slice(&material), of_len(500));

    for (size_t i = 0; i < wrapped.len; i += 51) {
        bytes_clear(&material);
        wrapped.data[i] ^= 1;
        assert_status(crypto_unwrap(key, 0, &mechanism, bytes_slice(&wrapped), &material), STATUS_WRAPPED_KEY_INVALID);
        wrapped.data[i] ^= 1;
    }
    assert_status(crypto_unwrap(key, 0, &mechanism, slice_of(wrapped.data, 256), &material), STATUS_DATA_LENGTH);
    assert_status(crypto_unwrap(key, 0, &mechanism, of_len(0), &material), STATUS_DATA_LENGTH);
    mechanism.hash = HASH_NONE;
    assert_status(crypto_wrap(public_key, 0, &mechanism, of_len(16), &wrapped, &nonce), STATUS_MECHANISM_PARAM_INVALID);
}

static void ecdsa(void **state)
{
    static const char *const curves[] = {"P224", "P256", "P384", "P521", "SECP256K1"};
    struct mechanism mechanism = {.type = MECHANISM_ECDSA};
    BYTES out = BYTES_INIT;

    (void)state;
    for (size_t c = 0; c < N_OF(curves); c++) {
        KEY key = make_on_curve(curves[c]);

        for (size_t len = 1; len <= 64; len += 9) /* longer than the curve: truncated (FIPS 186-5, 6.4.1) */
            check_signing(key, &mechanism, of_len(len));
        for (unsigned i = 0; i < 300; i++) { /* r and s with leading zeros among them */
            KEY public_key = i ? NULL : public_of(key);

            bytes_clear(&out);
            assert_ok(crypto_sign(key, 0, &mechanism, slice_of(&i, sizeof(i)), &out));
            assert_int_equal(out.len, 2 * ((key_bits(key) + 7) / 8));
            if (public_key)
                assert_ok(crypto_verify(public_key, 0, &mechanism, slice_of(&i, sizeof(i)), bytes_slice(&out)));
        }
        assert_status(crypto_sign(key, 0, &mechanism, of_len(0), &out), STATUS_DATA_LENGTH);
        assert_status(crypto_sign(key, 0, &mechanism, of_len(65), &out), STATUS_DATA_LENGTH);
    }
}

/* FIPS 186-5, 6.4.2: r and s lie between 1 and n - 1. */
static void ecdsa_ranges(void **state)
{
    const struct mechanism mechanism = {.type = MECHANISM_ECDSA};
    KEY key = make_on_curve("P256");
    KEY public_key = public_of(key);
    uint8_t signature[64];

    (void)state;
    for (unsigned pattern = 0; pattern < 4; pattern++) {
        memset(signature, pattern & 1 ? 0xff : 0, 32);
        memset(signature + 32, pattern & 2 ? 0xff : 0, 32);
        assert_status(crypto_verify(public_key, 0, &mechanism, of_len(32), slice_of(signature, 64)),
                      STATUS_SIGNATURE_INVALID);
    }
    assert_status(crypto_verify(public_key, 0, &mechanism, of_len(32), of_len(63)), STATUS_SIGNATURE_INVALID);
    assert_status(crypto_verify(public_key, 0, &mechanism, of_len(32), of_len(72)), STATUS_SIGNATURE_INVALID);
}

static void message_signatures(void **state)
{
    static const char *const curves[] = {"ED25519", "ED448"};
    const struct mechanism ml_dsa = {.type = MECHANISM_ML_DSA};
    const struct key_parameters set = {.type = KEY_ML_DSA, .parameter_set = 44};
    uint32_t min, max;
    struct key *made;

    (void)state;
    for (size_t c = 0; c < N_OF(curves); c++) {
        struct mechanism mechanism = {.type = MECHANISM_EDDSA};
        BYTES out = BYTES_INIT;
        KEY key = make_on_curve(curves[c]);

        check_signing(key, &mechanism, of_len(0));
        check_signing(key, &mechanism, of_len(500));
        mechanism.aad = of_len(256);
        assert_status(crypto_sign(key, 0, &mechanism, of_len(1), &out), STATUS_MECHANISM_PARAM_INVALID);
        mechanism.aad = slice_text("context");
        status_code status = crypto_sign(key, 0, &mechanism, of_len(1), &out);
        if (status != STATUS_OK)
            assert_status(status, STATUS_MECHANISM_PARAM_INVALID); /* before OpenSSL 3.2 */
        else
            check_signing(key, &mechanism, of_len(77));
        mechanism.aad = of_len(0);
        check_signing(key, &mechanism, of_len(1)); /* the context of before has left nothing behind */
    }
    if (!mechanism_available(MECHANISM_ML_DSA, &min, &max))
        return;
    assert_ok(key_generate(&set, &made));
    KEY key = made;
    check_signing(key, &ml_dsa, of_len(300));
    check_signing(key, &(struct mechanism){.type = MECHANISM_ML_DSA, .aad = slice_text("c")}, of_len(3));
}

static status_code agree(struct key *key, struct slice peer, struct bytes *secret)
{
    const struct mechanism mechanism = {.type = MECHANISM_ECDH, .peer_public = peer};

    bytes_clear(secret);
    return crypto_derive(key, 0, &mechanism, NULL, of_len(0), secret);
}

/* The peer's key as a point, as the DER octet string of EC_POINT, and as SubjectPublicKeyInfo. */
static void agreement_on_every_curve(void **state)
{
    static const char *const curves[] = {"P224", "P256", "P384", "P521", "SECP256K1", "X25519", "X448"};

    (void)state;
    for (size_t c = 0; c < N_OF(curves); c++) {
        KEY one = make_on_curve(curves[c]);
        KEY other = make_on_curve(curves[c]);
        BYTES secret = BYTES_SECRET, same = BYTES_SECRET, peer = BYTES_INIT;

        assert_ok(key_ec_point(one, &peer));
        assert_ok(agree(other, bytes_slice(&peer), &secret));
        bytes_clear(&peer);
        assert_ok(key_ec_point(other, &peer));
        size_t header = peer.data[1] & 0x80 ? 3 : 2;
        assert_ok(agree(one, slice_of(peer.data + header, peer.len - header), &same));
        assert_bytes(bytes_slice(&same), bytes_slice(&secret));
        assert_int_equal(same.len, (key_bits(one) + 7) / 8);
        bytes_clear(&peer);
        assert_ok(key_public_info(other, &peer));
        assert_ok(agree(one, bytes_slice(&peer), &same));
        assert_bytes(bytes_slice(&same), bytes_slice(&secret));
        bytes_append(&peer, "", 1);
        assert_status(agree(one, bytes_slice(&peer), &same), STATUS_MECHANISM_PARAM_INVALID);
    }
}

static void agreement_refuses(void **state)
{
    static const char *const curves[] = {"P256", "P521", "X25519", "X448"};
    /* RFC 7748, 6: points of small order, whose result is all zeros */
    static const char *const small_order[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    BYTES secret = BYTES_SECRET, peer = BYTES_INIT;
    KEY x25519 = make_on_curve("X25519");
    KEY p256 = make_on_curve("P256");
    KEY p384 = make_on_curve("P384");

    (void)state;
    for (size_t i = 0; i < N_OF(small_order); i++) {
        HEX point = from_hex(small_order[i]);
        assert_status(agree(x25519, point, &secret), STATUS_MECHANISM_PARAM_INVALID);
    }
    for (size_t c = 0; c < N_OF(curves); c++) {
        KEY key = make_on_curve(curves[c]);

        bytes_clear(&peer);
        assert_ok(key_ec_point(key, &peer));
        for (size_t len = 0; len < peer.len; len++) {
            /* a Montgomery point is any string of its length, also when that is cut from a longer one */
            if (key_type(key) == KEY_EC_MONTGOMERY && len == peer.len - 2)
                continue;
            assert_status(agree(key, slice_of(peer.data, len), &secret), STATUS_MECHANISM_PARAM_INVALID);
        }
        if (key_type(key) != KEY_EC)
            continue;
        peer.data[peer.len - 1] ^= 1;
        assert_status(agree(key, bytes_slice(&peer), &secret), STATUS_MECHANISM_PARAM_INVALID);
    }
    bytes_clear(&peer);
    assert_ok(key_public_info(p384, &peer));
    assert_status(agree(p256, bytes_slice(&peer), &secret), STATUS_MECHANISM_PARAM_INVALID);
    assert_status(agree(p256, slice_of("\0", 1), &secret), STATUS_MECHANISM_PARAM_INVALID); /* infinity */
    assert_int_equal(secret.len, 0);
}

static void derived_lengths(void **state)
{
    BYTES point = BYTES_INIT, whole = BYTES_SECRET, part = BYTES_SECRET, derived = BYTES_SECRET,
          expected = BYTES_SECRET;
    KEY key = make_on_curve("P256");
    KEY other = make_on_curve("P256");

    (void)state;
    assert_ok(key_ec_point(other, &point));
    struct mechanism mechanism = {.type = MECHANISM_ECDH, .peer_public = bytes_slice(&point)};
    assert_ok(crypto_derive(key, 0, &mechanism, NULL, of_len(0), &whole));
    mechanism.has_output_len = true;
    mechanism.output_len = 20;
    assert_ok(crypto_derive(key, 0, &mechanism, NULL, of_len(0), &part));
    assert_bytes(bytes_slice(&part), slice_of(whole.data + 12, 20));
    mechanism.output_len = 33;
    assert_status(crypto_derive(key, 0, &mechanism, NULL, of_len(0), &part), STATUS_KEY_SIZE_RANGE);
    mechanism.output_len = 0;
    assert_status(crypto_derive(key, 0, &mechanism, NULL, of_len(0), &part), STATUS_KEY_SIZE_RANGE);

    mechanism.kdf = KDF_X963;
    mechanism.output_len = 100;
    mechanism.shared_info = slice_text("info");
    assert_status(crypto_derive(key, 0, &mechanism, NULL, of_len(0), &derived), STATUS_MECHANISM_PARAM_INVALID);
    mechanism.hash = HASH_SHA384;
    assert_ok(crypto_derive(key, 0, &mechanism, NULL, of_len(0), &derived));
    assert_ok(agreement_kdf(KDF_X963, HASH_SHA384, bytes_slice(&whole), slice_text("info"), 100, &expected));
    assert_bytes(bytes_slice(&derived), bytes_slice(&expected));
    mechanism.kdf = (enum kdf)7;
    assert_status(crypto_derive(key, 0, &mechanism, NULL, of_len(0), &derived), STATUS_MECHANISM_PARAM_INVALID);
}

static void encapsulation(void **state)
{
    const struct mechanism mechanism = {.type = MECHANISM_ML_KEM};
    BYTES ciphertext = BYTES_INIT, secret = BYTES_SECRET, same = BYTES_SECRET;

    (void)state;
    if (is_refused(MECHANISM_ML_KEM, KEY_ML_KEM, 768))
        return;
    struct key_parameters set = {.type = KEY_ML_KEM, .parameter_set = 768};
    struct key *made;
    assert_ok(key_generate(&set, &made));
    KEY key = made;
    KEY public_key = public_of(key);

    assert_ok(crypto_encapsulate(public_key, &mechanism, &ciphertext, &secret));
    assert_int_equal(ciphertext.len, 1088);
    assert_int_equal(secret.len, 32);
    assert_ok(crypto_decapsulate(key, &mechanism, bytes_slice(&ciphertext), &same));
    assert_bytes(bytes_slice(&same), bytes_slice(&secret));
    ciphertext.data[0] ^= 1; /* FIPS 203, 6.3: another secret, no error */
    bytes_clear(&same);
    assert_ok(crypto_decapsulate(key, &mechanism, bytes_slice(&ciphertext), &same));
    assert_memory_not_equal(same.data, secret.data, 32);
    assert_status(crypto_encapsulate(key, &mechanism, &ciphertext, &secret), STATUS_KEY_FUNCTION_NOT_PERMITTED);
    assert_status(crypto_decapsulate(public_key, &mechanism, of_len(1), &secret), STATUS_KEY_FUNCTION_NOT_PERMITTED);
}

struct task {
    struct key *key, *public_key;
    unsigned worker;
    unsigned failures;
};

static void *use_from_worker(void *argument)
{
    struct task *task = argument;
    const struct mechanism mechanism = {.type = MECHANISM_ECDSA, .hash = HASH_SHA256};

    for (unsigned i = 0; i < 200; i++) {
        BYTES signature = BYTES_INIT, random = BYTES_SECRET;

        task->failures += crypto_sign(task->key, task->worker, &mechanism, of_len(32), &signature) != STATUS_OK ||
                          crypto_verify(task->public_key, task->worker, &mechanism, of_len(32),
                                        bytes_slice(&signature)) != STATUS_OK ||
                          crypto_random(task->worker, 100, &random) != STATUS_OK;
    }
    return NULL;
}

static void workers_share_a_key(void **state)
{
    enum { N = 8 };
    pthread_t threads[N];
    struct task tasks[N];
    KEY key = make_on_curve("P256");
    KEY public_key = public_of(key);

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        tasks[i] = (struct task){key, public_key, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, use_from_worker, &tasks[i]), 0);
    }
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(tasks[i].failures, 0);
    }
}

static void random_bytes(void **state)
{
    static const size_t lens[] = {1, 32, 1000, 1024, 1025, 70000};
    BYTES first = BYTES_SECRET, second = BYTES_SECRET;

    (void)state;
    for (size_t i = 0; i < N_OF(lens); i++) {
        bytes_clear(&first);
        bytes_clear(&second);
        assert_ok(crypto_random(0, lens[i], &first));
        assert_ok(crypto_random(0, lens[i], &second));
        assert_int_equal(first.len, lens[i]);
        if (lens[i] > 8)
            assert_memory_not_equal(first.data, second.data, lens[i]);
    }
    assert_status(crypto_random(0, 0, &first), STATUS_DATA_LENGTH);
    assert_status(crypto_random(0, DATA_MAX + 1, &first), STATUS_DATA_LENGTH);
}

static void self_test(void **state)
{
    (void)state;
    assert_ok(crypto_self_test());
}

/* What policy lets through besides; the group's own cryptography is stopped for it. */
static void policy(void **state)
{
    static const struct crypto_policy strict, lenient = {.allow_raw_rsa = true, .allow_sha1_sign = true};
    const struct mechanism sha1 = {.type = MECHANISM_RSA_PKCS, .hash = HASH_SHA1};
    const struct mechanism raw = {.type = MECHANISM_RSA_X_509};
    BYTES ciphertext = BYTES_INIT, plaintext = BYTES_SECRET, nonce = BYTES_INIT;
    uint8_t number[256] = {0, 1, 2, 3};

    (void)state;
    crypto_stop();
    assert_ok(crypto_start(false, &lenient));
    {
        KEY key = make_rsa(2048);
        KEY public_key = public_of(key);

        check_signing(key, &sha1, of_len(20));
        check_signing(key, &raw, slice_of(number, 256));
        check_signing(key, &raw, slice_of(number, 20)); /* zeros in front */
        assert_status(crypto_sign(key, 0, &raw, of_len(257), &ciphertext), STATUS_DATA_LENGTH);
        assert_ok(crypto_encrypt(public_key, 0, &raw, slice_of(number, 256), &ciphertext, &nonce));
        assert_ok(crypto_verify_recover(public_key, &raw, bytes_slice(&ciphertext), &plaintext));
        bytes_clear(&plaintext);
        assert_ok(crypto_decrypt(key, 0, &raw, bytes_slice(&ciphertext), &plaintext));
        assert_bytes(bytes_slice(&plaintext), slice_of(number, 256));
    }
    crypto_stop();
    assert_ok(crypto_start(false, &strict));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_signatures),
        cmocka_unit_test(hash_none_signs_the_digest_info_given),
        cmocka_unit_test(sha1_is_for_verifying_only),
        cmocka_unit_test(rsa_signing_refuses),
        cmocka_unit_test(rsa_encryption),
        cmocka_unit_test(oaep_parameters_must_match),
        cmocka_unit_test(pkcs1_padding_is_no_oracle),
        cmocka_unit_test(wrapping),
        cmocka_unit_test(ecdsa),
        cmocka_unit_test(ecdsa_ranges),
        cmocka_unit_test(message_signatures),
        cmocka_unit_test(agreement_on_every_curve),
        cmocka_unit_test(agreement_refuses),
        cmocka_unit_test(derived_lengths),
        cmocka_unit_test(encapsulation),
        cmocka_unit_test(workers_share_a_key),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(self_test),
        cmocka_unit_test(policy),
    };

    return cmocka_run_group_tests(tests, start_crypto, stop_crypto);
}
