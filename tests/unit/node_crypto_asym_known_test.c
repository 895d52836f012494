/* Every published answer: what it says must verify verifies, what it says must not does not, and deterministic
 * algorithms produce its bytes. */
#include "node_crypto_asym_support.h"

#include "crypto/key_internal.h"
#include "node_crypto_asym_vectors.h"

static struct mechanism mechanism_of(const struct signature_vector *vector, struct slice context)
{
    struct mechanism mechanism = {.type = vector->mechanism, .hash = vector->hash, .aad = context};

    if (vector->salt_len >= 0) {
        mechanism.has_salt_len = true;
        mechanism.salt_len = (size_t)vector->salt_len;
    }
    return mechanism;
}

/* What is signed: the message's digest, or the message where the hash is not the caller's. */
static struct slice signed_data(const struct signature_vector *vector, struct slice message, uint8_t *digest)
{
    unsigned len = 0;

    if (!vector->hash)
        return message;
    assert_true(EVP_Digest(message.data, message.len, digest, &len, crypto_digest(vector->hash), NULL));
    return slice_of(digest, len);
}

static bool is_deterministic(const struct signature_vector *vector)
{
    return vector->mechanism == MECHANISM_EDDSA ||
           (vector->mechanism == MECHANISM_RSA_PKCS && vector->hash != HASH_SHA1);
}

static void check_signature(const struct signature_vector *vector)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    HEX message = from_hex(vector->message), signature = from_hex(vector->signature);
    HEX context = from_hex(vector->context);
    KEY key = open_hex(vector->class, vector->key_type, vector->key);
    KEY public_key = vector->class == CLASS_PRIVATE_KEY ? public_of(key) : key_reference(key);
    const struct mechanism mechanism = mechanism_of(vector, context);
    struct slice data = signed_data(vector, message, digest);
    BYTES made = BYTES_INIT;

    status_code status = crypto_verify(public_key, 0, &mechanism, data, signature);
    if (context.len && status == STATUS_MECHANISM_PARAM_INVALID)
        return; /* contexts came to OpenSSL with 3.2; before, they are refused and not passed over */
    assert_status(status, vector->valid ? STATUS_OK : STATUS_SIGNATURE_INVALID);
    if (vector->class != CLASS_PRIVATE_KEY || !is_deterministic(vector))
        return;
    assert_ok(crypto_sign(key, 0, &mechanism, data, &made));
    assert_bytes(bytes_slice(&made), signature);
}

static void signatures(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(SIGNATURES); i++) {
        print_message("%s\n", SIGNATURES[i].source);
        check_signature(&SIGNATURES[i]);
    }
}

static void decryptions(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(DECRYPTIONS); i++) {
        const struct decryption_vector *vector = &DECRYPTIONS[i];
        HEX label = from_hex(vector->label), ciphertext = from_hex(vector->ciphertext);
        HEX plaintext = from_hex(vector->plaintext);
        KEY key = open_hex(CLASS_PRIVATE_KEY, KEY_RSA, vector->key);
        const struct mechanism mechanism = {
            .type = vector->mechanism, .hash = vector->hash, .mgf_hash = vector->mgf_hash, .aad = label};
        BYTES made = BYTES_SECRET;

        print_message("%s\n", vector->source);
        assert_ok(crypto_decrypt(key, 0, &mechanism, ciphertext, &made));
        assert_bytes(bytes_slice(&made), plaintext);
        bytes_clear(&made);
        assert_ok(crypto_unwrap(key, 0, &mechanism, ciphertext, &made));
        assert_bytes(bytes_slice(&made), plaintext);
    }
}

static void agreements(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(AGREEMENTS); i++) {
        const struct agreement_vector *vector = &AGREEMENTS[i];
        HEX peer = from_hex(vector->peer), secret = from_hex(vector->secret);
        KEY key = open_hex(CLASS_PRIVATE_KEY, vector->key_type, vector->key);
        const struct mechanism mechanism = {.type = MECHANISM_ECDH, .peer_public = peer};
        BYTES made = BYTES_SECRET;

        print_message("%s\n", vector->source);
        assert_ok(crypto_derive(key, 0, &mechanism, NULL, slice_of(NULL, 0), &made));
        assert_bytes(bytes_slice(&made), secret);
    }
}

static void x963_derivations(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(X963_DERIVATIONS); i++) {
        const struct x963_vector *vector = &X963_DERIVATIONS[i];
        HEX shared = from_hex(vector->shared), info = from_hex(vector->info), derived = from_hex(vector->derived);
        BYTES made = BYTES_SECRET;

        print_message("%s\n", vector->source);
        assert_ok(agreement_kdf(KDF_X963, vector->hash, shared, info, derived.len, &made));
        assert_bytes(bytes_slice(&made), derived);
    }
}

static void sha256_of(struct slice data, uint8_t digest[32])
{
    assert_true(EVP_Digest(data.data, data.len, digest, NULL, crypto_digest(HASH_SHA256), NULL));
}

/* The vectors give the bare public key: the last bytes of the SubjectPublicKeyInfo. */
static void check_public(struct key *key, size_t raw_len, const char *sha256)
{
    HEX expected = from_hex(sha256);
    BYTES info = BYTES_INIT;
    uint8_t digest[32];

    assert_ok(key_public_info(key, &info));
    assert_true(info.len > raw_len);
    sha256_of(slice_of(info.data + info.len - raw_len, raw_len), digest);
    assert_bytes(slice_of(digest, 32), expected);
}

static void ml_dsa(void **state)
{
    static const size_t public_len[] = {1312, 1952, 2592}; /* FIPS 204, table 2 */

    (void)state;
    if (is_refused(MECHANISM_ML_DSA, KEY_ML_DSA, 65))
        return;
    for (size_t i = 0; i < N_OF(ML_DSA_SIGNATURES); i++) {
        const struct ml_dsa_vector *vector = &ML_DSA_SIGNATURES[i];
        HEX message = from_hex(vector->message), context = from_hex(vector->context);
        HEX expected = from_hex(vector->signature_sha256);
        KEY key = open_hex(CLASS_PRIVATE_KEY, KEY_ML_DSA, vector->key);
        KEY public_key = public_of(key);
        const struct mechanism mechanism = {
            .type = MECHANISM_ML_DSA, .aad = context, .flags = FLAG_ML_DSA_DETERMINISTIC};
        BYTES made = BYTES_INIT;
        uint8_t digest[32];

        print_message("%s\n", vector->source);
        assert_int_equal(key_parameter_set(key), vector->parameter_set);
        check_public(key, public_len[i], vector->public_sha256);
        assert_ok(crypto_sign(key, 0, &mechanism, message, &made));
        assert_int_equal(made.len, vector->signature_len);
        sha256_of(bytes_slice(&made), digest);
        assert_bytes(slice_of(digest, 32), expected);
        assert_ok(crypto_verify(public_key, 0, &mechanism, message, bytes_slice(&made)));
        made.data[made.len / 2] ^= 1;
        assert_status(crypto_verify(public_key, 0, &mechanism, message, bytes_slice(&made)), STATUS_SIGNATURE_INVALID);
    }
}

static void ml_kem(void **state)
{
    static const size_t public_len[] = {800, 1184, 1568}; /* FIPS 203, table 3 */

    (void)state;
    if (is_refused(MECHANISM_ML_KEM, KEY_ML_KEM, 768))
        return;
    for (size_t i = 0; i < N_OF(ML_KEM_SECRETS); i++) {
        const struct ml_kem_vector *vector = &ML_KEM_SECRETS[i];
        HEX ciphertext = from_hex(vector->ciphertext), secret = from_hex(vector->secret);
        KEY key = open_hex(CLASS_PRIVATE_KEY, KEY_ML_KEM, vector->key);
        const struct mechanism mechanism = {.type = MECHANISM_ML_KEM};
        BYTES made = BYTES_SECRET;

        print_message("%s\n", vector->source);
        assert_int_equal(key_parameter_set(key), vector->parameter_set);
        check_public(key, public_len[i], vector->public_sha256);
        assert_ok(crypto_decapsulate(key, &mechanism, ciphertext, &made));
        assert_bytes(bytes_slice(&made), secret);
        bytes_clear(&made);
        assert_status(crypto_decapsulate(key, &mechanism, slice_of(ciphertext.data, ciphertext.len - 1), &made),
                      STATUS_DATA_LENGTH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures),       cmocka_unit_test(decryptions), cmocka_unit_test(agreements),
        cmocka_unit_test(x963_derivations), cmocka_unit_test(ml_dsa),      cmocka_unit_test(ml_kem),
    };

    return cmocka_run_group_tests(tests, start_crypto, stop_crypto);
}
