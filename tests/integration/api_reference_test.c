/* hsm/reference.h against a real node. */
#include "api_fixture.h"

/* The key reference of a private key says what the cluster says, before and after it was a file. */
static void expect_reference(struct world *world, hsm_key private_key, hsm_key public_key, const char *label)
{
    hsm_reference *made = NULL, *read = NULL;
    hsm_cluster_info *info = NULL;
    hsm_buffer pem = {NULL, 0};
    uint8_t der[4096];
    size_t der_len = sizeof(der), len;

    OK(hsm_reference_make(world->user, private_key, NULL, &made));
    OK(hsm_reference_pem(made, &pem));
    hsm_reference_free(made);
    OK(hsm_reference_parse(pem.data, pem.len, &read));
    hsm_buffer_free(&pem);
    assert_true(hsm_key_equal(hsm_reference_key(read), private_key));
    assert_string_equal(hsm_reference_label(read), label);
    OK(hsm_cluster_describe(world->cluster, &info));
    assert_memory_equal(hsm_reference_cluster_id(read), info->id, HSM_ID_LEN);
    hsm_cluster_info_free(info);
    OK(hsm_key_export_public(world->user, public_key, der, &der_len));
    const uint8_t *public_info = hsm_reference_public_key_info(read, &len);
    assert_int_equal(len, der_len);
    assert_memory_equal(public_info, der, len);
    hsm_reference_free(read);
}

static void references_name_private_keys_of_every_type(void **state)
{
    static const uint32_t curves[] = {HSM_CURVE_P256, HSM_CURVE_P521, HSM_CURVE_ED25519, HSM_CURVE_X448};
    struct world *world = (struct world *)*state;
    hsm_key public_key, private_key;

    OK(hsm_key_pair_generate_rsa(world->user, "referred RSA", 2048, &public_key, &private_key));
    expect_reference(world, private_key, public_key, "referred RSA");
    for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++) {
        OK(hsm_key_pair_generate_ec(world->user, "referred EC", curves[i], &public_key, &private_key));
        expect_reference(world, private_key, public_key, "referred EC");
    }
}

static void references_of_imported_keys_have_their_public_key(void **state)
{
    /* RFC 8410, 10.3. */
    static const uint8_t pkcs8[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,
                                    0x04, 0x22, 0x04, 0x20, 0xd4, 0xee, 0x72, 0xdb, 0xf9, 0x13, 0x58, 0x4a,
                                    0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe, 0x7c, 0x28,
                                    0xcb, 0xf1, 0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42};
    const uint64_t class = HSM_CLASS_PRIVATE_KEY, type = HSM_KEY_TYPE_EC_EDWARDS;
    struct world *world = (struct world *)*state;
    hsm_key key;
    hsm_attribute attributes[] = {
        hsm_attribute_uint(HSM_ATTR_CLASS, &class),    hsm_attribute_uint(HSM_ATTR_KEY_TYPE, &type),
        hsm_attribute_bool(HSM_ATTR_TOKEN, 1),         hsm_attribute_bool(HSM_ATTR_SIGN, 1),
        hsm_attribute_text(HSM_ATTR_LABEL, "brought"), hsm_attribute_of(HSM_ATTR_VALUE, pkcs8, sizeof(pkcs8)),
    };

    OK(hsm_object_create(world->user, attributes, sizeof(attributes) / sizeof(*attributes), &key));
    expect_reference(world, key, key, "brought");
}

static void what_does_not_last_is_not_referred_to(void **state)
{
    struct world *world = (struct world *)*state;
    hsm_key public_key, private_key, unknown = {{1}};
    hsm_reference *reference = NULL;
    size_t oid_len;
    const uint8_t *oid = hsm_curve_oid(HSM_CURVE_P256, &oid_len);
    hsm_attribute attributes[] = {hsm_attribute_of(HSM_ATTR_EC_PARAMS, oid, oid_len),
                                  hsm_attribute_bool(HSM_ATTR_SIGN, 1)};

    OK(hsm_key_pair_generate(world->user, HSM_MECHANISM_EC_KEY_PAIR_GEN, attributes, 1, attributes, 2, &public_key,
                             &private_key));
    FAILS(HSM_INVALID_ARGUMENT, hsm_reference_make(world->user, private_key, NULL, &reference));
    FAILS(HSM_INVALID_ARGUMENT, hsm_reference_make(world->user, aes_key(world->user), NULL, &reference));
    FAILS(HSM_OBJECT_NOT_FOUND, hsm_reference_make(world->user, unknown, NULL, &reference));
    assert_null(reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_name_private_keys_of_every_type),
        cmocka_unit_test(references_of_imported_keys_have_their_public_key),
        cmocka_unit_test(what_does_not_last_is_not_referred_to),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
