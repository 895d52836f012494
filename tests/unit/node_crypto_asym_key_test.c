/* Pairs are made, written as material and opened again, tell their attributes, and what is no valid key is refused. */
#include "node_crypto_asym_support.h"

#include <openssl/crypto.h>
#include "crypto/key_internal.h"

static void check_reopened(struct key *key)
{
    BYTES material = BYTES_SECRET, again = BYTES_SECRET, info = BYTES_INIT, other_info = BYTES_INIT;

    assert_ok(key_material(key, &material));
    assert_ok(key_public_info(key, &info));
    for (int trusted = 0; trusted < 2; trusted++) {
        struct key *made = NULL;

        assert_ok(key_open(CLASS_PRIVATE_KEY, key_type(key), bytes_slice(&material), trusted, &made));
        KEY opened = made;

        bytes_clear(&again);
        bytes_clear(&other_info);
        assert_ok(key_material(opened, &again));
        assert_bytes(bytes_slice(&again), bytes_slice(&material));
        assert_ok(key_public_info(opened, &other_info));
        assert_bytes(bytes_slice(&other_info), bytes_slice(&info));
        assert_int_equal(key_bits(opened), key_bits(key));
        assert_int_equal(key_class(opened), CLASS_PRIVATE_KEY);
        assert_ptr_equal(key_curve(opened), key_curve(key));
        assert_int_equal(key_parameter_set(opened), key_parameter_set(key));
    }
    KEY public_key = public_of(key);
    KEY same = NULL;

    bytes_clear(&again);
    assert_ok(key_material(public_key, &again));
    assert_bytes(bytes_slice(&again), bytes_slice(&info));
    assert_int_equal(key_class(public_key), CLASS_PUBLIC_KEY);
    assert_ok(key_open(CLASS_PUBLIC_KEY, key_type(key), bytes_slice(&info), true, &same));
    bytes_clear(&again);
    assert_ok(key_public_info(same, &again));
    assert_bytes(bytes_slice(&again), bytes_slice(&info));
}

static void pairs_on_every_curve(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CURVES; i++) {
        KEY key = make_on_curve(CURVES[i].name);
        BYTES point = BYTES_INIT, modulus = BYTES_INIT;

        assert_int_equal(key_type(key), CURVES[i].key_type);
        assert_ptr_equal(key_curve(key), &CURVES[i]);
        assert_int_equal(key_bits(key), CURVES[i].bits);
        assert_ok(key_modulus(key, &modulus));
        assert_int_equal(modulus.len, 0);
        assert_ok(key_ec_point(key, &point));
        size_t coordinate = (CURVES[i].bits + 7) / 8;
        size_t len = CURVES[i].key_type == KEY_EC ? 2 * coordinate + 1 : coordinate;
        assert_int_equal(point.len, len + (len < 128 ? 2 : 3));
        assert_int_equal(point.data[0], 0x04);
        check_reopened(key);
    }
}

static void rsa_pairs(void **state)
{
    (void)state;
    KEY key = make_rsa(2048);
    BYTES modulus = BYTES_INIT, exponent = BYTES_INIT, check_value = BYTES_INIT;

    assert_int_equal(key_bits(key), 2048);
    assert_ok(key_modulus(key, &modulus));
    assert_int_equal(modulus.len, 256);
    assert_true(modulus.data[0] & 0x80);
    assert_ok(key_public_exponent(key, &exponent));
    assert_bytes(bytes_slice(&exponent), slice_of("\1\0\1", 3));
    assert_ok(key_check_value(key, &check_value));
    assert_int_equal(check_value.len, 0);
    check_reopened(key);
}

static void post_quantum_pairs(void **state)
{
    static const struct key_parameters sets[] = {
        {.type = KEY_ML_DSA, .parameter_set = 44},  {.type = KEY_ML_DSA, .parameter_set = 65},
        {.type = KEY_ML_DSA, .parameter_set = 87},  {.type = KEY_ML_KEM, .parameter_set = 512},
        {.type = KEY_ML_KEM, .parameter_set = 768}, {.type = KEY_ML_KEM, .parameter_set = 1024}};
    uint32_t min, max;
    struct key *made = NULL;

    (void)state;
    bool available = mechanism_available(MECHANISM_ML_KEM, &min, &max);
    for (size_t i = 0; i < N_OF(sets); i++) {
        assert_status(key_generate(&sets[i], &made), available ? STATUS_OK : STATUS_NOT_SUPPORTED);
        if (!available)
            continue;
        KEY key = made;

        assert_int_equal(key_parameter_set(key), sets[i].parameter_set);
        check_reopened(key);
    }
    const struct key_parameters unknown = {.type = KEY_ML_DSA, .parameter_set = 45};
    assert_status(key_generate(&unknown, &made), STATUS_NOT_SUPPORTED);
    if (!available)
        assert_status(key_open(CLASS_PRIVATE_KEY, KEY_ML_DSA, slice_of("", 1), true, &made), STATUS_NOT_SUPPORTED);
}

static status_code generate_rsa(uint32_t bits, const char *exponent_digits)
{
    HEX exponent = from_hex(exponent_digits);
    struct key_parameters parameters = {.type = KEY_RSA, .bits = bits, .public_exponent = exponent};
    struct key *key = NULL;
    status_code status = key_generate(&parameters, &key);

    key_release(key);
    return status;
}

static void rsa_parameters_are_checked(void **state)
{
    (void)state;
    assert_status(generate_rsa(1024, ""), STATUS_KEY_SIZE_RANGE);
    assert_status(generate_rsa(2047, ""), STATUS_KEY_SIZE_RANGE);
    assert_status(generate_rsa(8192, ""), STATUS_KEY_SIZE_RANGE);
    assert_status(generate_rsa(2048, "03"), STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_status(generate_rsa(2048, "ffff"), STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_status(generate_rsa(2048, "010000"), STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_status(generate_rsa(2048, "010002"), STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_status(generate_rsa(2048, "00"), STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_status(generate_rsa(2048, "010000000000000000000000000000000000000000000000000000000000000001"),
                  STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_ok(generate_rsa(2048, "0000010003"));
}

static void curves_belong_to_key_types(void **state)
{
    struct key_parameters parameters = {.type = KEY_EC, .curve = curve_by_name("ED25519")};
    struct key *key = NULL;

    (void)state;
    assert_status(key_generate(&parameters, &key), STATUS_ATTRIBUTE_VALUE_INVALID);
    parameters.curve = NULL;
    assert_status(key_generate(&parameters, &key), STATUS_ATTRIBUTE_VALUE_INVALID);
    parameters = (struct key_parameters){.type = KEY_EC_MONTGOMERY, .curve = curve_by_name("P256")};
    assert_status(key_generate(&parameters, &key), STATUS_ATTRIBUTE_VALUE_INVALID);
}

static status_code open_material(enum object_class class, enum key_type type, struct slice material)
{
    struct key *key = NULL;
    status_code status = key_open(class, type, material, false, &key);

    key_release(key);
    return status;
}

static void material_must_be_what_it_claims(void **state)
{
    BYTES private = BYTES_SECRET, public = BYTES_INIT;
    KEY key = make_on_curve("P256");

    (void)state;
    assert_ok(key_material(key, &private));
    assert_ok(key_public_info(key, &public));
    assert_ok(open_material(CLASS_PRIVATE_KEY, KEY_EC, bytes_slice(&private)));
    assert_status(open_material(CLASS_PRIVATE_KEY, KEY_RSA, bytes_slice(&private)), STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_status(open_material(CLASS_PRIVATE_KEY, KEY_EC_EDWARDS, bytes_slice(&private)),
                  STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_status(open_material(CLASS_PUBLIC_KEY, KEY_EC, bytes_slice(&private)), STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_status(open_material(CLASS_PRIVATE_KEY, KEY_EC, bytes_slice(&public)), STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_status(open_material(CLASS_DATA, KEY_EC, bytes_slice(&public)), STATUS_TEMPLATE_INCONSISTENT);
    assert_status(open_material(CLASS_SECRET_KEY, KEY_EC, bytes_slice(&public)), STATUS_TEMPLATE_INCONSISTENT);
    assert_status(open_material(CLASS_PRIVATE_KEY, KEY_AES, bytes_slice(&private)), STATUS_ATTRIBUTE_VALUE_INVALID);
    bytes_append(&public, "", 1);
    bytes_append(&private, "", 1);
    assert_status(open_material(CLASS_PUBLIC_KEY, KEY_EC, bytes_slice(&public)), STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_status(open_material(CLASS_PRIVATE_KEY, KEY_EC, bytes_slice(&private)), STATUS_ATTRIBUTE_VALUE_INVALID);
}

/* No prefix and no single altered byte of a private key may crash; what still opens must be a valid key. */
static void damaged_material(void **state)
{
    static const char *const curves[] = {"P256", "ED25519", "X25519"};

    (void)state;
    for (size_t c = 0; c < N_OF(curves); c++) {
        BYTES private = BYTES_SECRET;
        KEY key = make_on_curve(curves[c]);

        assert_ok(key_material(key, &private));
        for (size_t i = 0; i < private.len; i++) {
            struct key *opened = NULL;

            assert_status(open_material(CLASS_PRIVATE_KEY, key_type(key), slice_of(private.data, i)),
                          STATUS_ATTRIBUTE_VALUE_INVALID);
            private.data[i] ^= 0x41;
            (void)open_material(CLASS_PRIVATE_KEY, key_type(key), bytes_slice(&private));
            (void)key_open(CLASS_PRIVATE_KEY, key_type(key), bytes_slice(&private), true, &opened);
            key_release(opened);
            private.data[i] ^= 0x41;
        }
    }
}

/* The public point, last in the DER, moved off the curve; and a private number that is not the point's. */
static void points_off_the_curve(void **state)
{
    static const char *const curves[] = {"P224", "P256", "P384", "P521", "SECP256K1"};

    (void)state;
    for (size_t c = 0; c < N_OF(curves); c++) {
        BYTES private = BYTES_SECRET, public = BYTES_INIT;
        KEY key = make_on_curve(curves[c]);

        assert_ok(key_material(key, &private));
        assert_ok(key_public_info(key, &public));
        public.data[public.len - 1] ^= 1;
        assert_status(open_material(CLASS_PUBLIC_KEY, KEY_EC, bytes_slice(&public)), STATUS_ATTRIBUTE_VALUE_INVALID);
        private.data[private.len - 1] ^= 1;
        assert_status(open_material(CLASS_PRIVATE_KEY, KEY_EC, bytes_slice(&private)), STATUS_ATTRIBUTE_VALUE_INVALID);
    }
}

static void mismatched_halves(void **state)
{
    BYTES one = BYTES_SECRET, other = BYTES_SECRET;
    KEY first = make_on_curve("P256");
    KEY second = make_on_curve("P256");

    (void)state;
    assert_ok(key_material(first, &one));
    assert_ok(key_material(second, &other));
    assert_int_equal(one.len, other.len);
    memcpy(one.data + one.len - 64, other.data + other.len - 64, 64);
    assert_status(open_material(CLASS_PRIVATE_KEY, KEY_EC, bytes_slice(&one)), STATUS_ATTRIBUTE_VALUE_INVALID);
}

/* The modulus is followed by the exponent; a changed modulus no longer is the product of the primes. */
static void invalid_rsa_keys(void **state)
{
    /* SubjectPublicKeyInfo of a number with 512 bits */
    static const char small[] =
        "305c300d06092a864886f70d0101010500034b003048024100c1a3f1d7b0a6e9f0a1c9d2d3e5b7f9a1c3d5e7f90b1d2f"
        "31435567798b9dafc1d3e5f70a1c2e40526476889aacbed0e2f40618293a4b5c6d7e8f90a1b3c5d7e90203010001";
    BYTES private = BYTES_SECRET;
    HEX small_der = from_hex(small);
    KEY key = make_rsa(2048);

    (void)state;
    assert_ok(key_material(key, &private));
    assert_ok(open_material(CLASS_PRIVATE_KEY, KEY_RSA, bytes_slice(&private)));
    private.data[100] ^= 2;
    assert_status(open_material(CLASS_PRIVATE_KEY, KEY_RSA, bytes_slice(&private)), STATUS_ATTRIBUTE_VALUE_INVALID);
    assert_status(open_material(CLASS_PUBLIC_KEY, KEY_RSA, small_der), STATUS_KEY_SIZE_RANGE);
}

/* A key on a curve that is not offered (brainpoolP256r1, its generator as the point). */
static void unknown_curve(void **state)
{
    (void)state;
    HEX der = from_hex("305a301406072a8648ce3d020106092b24030302080101070342000"
                       "48bd2aeb9cb7e57cb2c4b482ffc81b7afb9de27e1e3bd23c23a4453bd9ace3262"
                       "547ef835c3dac4fd97f8461a14611dc9c27745132ded8e545c1d54c72f046997");
    assert_status(open_material(CLASS_PUBLIC_KEY, KEY_EC, der), STATUS_ATTRIBUTE_VALUE_INVALID);
}

static void secret_keys_have_no_public_half(void **state)
{
    struct key_parameters parameters = {.type = KEY_AES, .bits = 256};
    struct key *made = NULL, *public_key = NULL;

    (void)state;
    assert_ok(key_generate(&parameters, &made));
    KEY key = made;
    assert_status(key_public(key, &public_key), STATUS_KEY_TYPE_INCONSISTENT);
}

/* DESIGN, section 5: private halves lie in the heap of secrets, however a key came to be. */
static void private_halves_lie_in_the_heap_of_secrets(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        BYTES material = BYTES_SECRET;
        KEY key = i == 0 ? make_rsa(2048) : make_on_curve(i == 1 ? "P256" : "ED25519");
        size_t private_len = i == 0 ? 256 : 32;
        assert_ok(key_material(key, &material));

        for (int trusted = 0; trusted < 2; trusted++) {
            size_t before = CRYPTO_secure_used();
            struct key *opened = NULL;

            assert_ok(key_open(CLASS_PRIVATE_KEY, key_type(key), bytes_slice(&material), trusted, &opened));
            assert_true(CRYPTO_secure_used() >= before + private_len);
            key_release(opened);
            assert_int_equal(CRYPTO_secure_used(), before);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_on_every_curve),
        cmocka_unit_test(rsa_pairs),
        cmocka_unit_test(post_quantum_pairs),
        cmocka_unit_test(rsa_parameters_are_checked),
        cmocka_unit_test(curves_belong_to_key_types),
        cmocka_unit_test(material_must_be_what_it_claims),
        cmocka_unit_test(damaged_material),
        cmocka_unit_test(points_off_the_curve),
        cmocka_unit_test(mismatched_halves),
        cmocka_unit_test(invalid_rsa_keys),
        cmocka_unit_test(unknown_curve),
        cmocka_unit_test(secret_keys_have_no_public_half),
        cmocka_unit_test(private_halves_lie_in_the_heap_of_secrets),
    };

    return cmocka_run_group_tests(tests, start_crypto, stop_crypto);
}
