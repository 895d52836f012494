/* hsm/catalog.h, hsm/config.h and the digest: what needs no cluster, through the shared library as applications see it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "hsm/hsm.h"

static void names_and_numbers_fit(void **state)
{
    uint32_t number = 0;
    size_t len = 0;

    (void)state;
    assert_string_equal(hsm_mechanism_name(HSM_MECHANISM_AES_GCM), "AES_GCM");
    assert_int_equal(hsm_mechanism_by_name("aes-gcm", &number), HSM_OK);
    assert_int_equal(number, HSM_MECHANISM_AES_GCM);
    assert_int_equal(hsm_attribute_by_name("Always_Sensitive", &number), HSM_OK);
    assert_int_equal(number, HSM_ATTR_ALWAYS_SENSITIVE);
    assert_int_equal(hsm_curve_by_name("p521", &number), HSM_OK);
    assert_int_equal(number, HSM_CURVE_P521);
    assert_int_equal(hsm_role_by_name("crypto-user", &number), HSM_OK);
    assert_int_equal(number, HSM_ROLE_USER);
    assert_int_equal(hsm_key_type_by_name("ml-kem", &number), HSM_OK);
    assert_int_equal(number, HSM_KEY_TYPE_ML_KEM);
    assert_int_equal(hsm_hash_by_name("sha3-256", &number), HSM_OK);
    assert_int_equal(number, HSM_HASH_SHA3_256);
    assert_int_equal(hsm_class_by_name("certificate", &number), HSM_OK);
    assert_int_equal(number, HSM_CLASS_CERTIFICATE);
    assert_int_equal(hsm_mechanism_by_name("AES_GCN", &number), HSM_INVALID_ARGUMENT);
    assert_non_null(strstr(hsm_last_error()->detail, "\"AES_GCM\""));
    assert_null(hsm_mechanism_name(9999));
    assert_int_equal(hsm_hash_len(HSM_HASH_SHA384), 48);
    assert_int_equal(hsm_attribute_value_type(HSM_ATTR_ALLOWED_MECHANISMS), HSM_VALUE_UINTS);
    assert_int_equal(hsm_curve_key_type(HSM_CURVE_X25519), HSM_KEY_TYPE_EC_MONTGOMERY);
    assert_int_equal(hsm_mechanism_uses(HSM_MECHANISM_AES_GCM), HSM_USE_ENCRYPT | HSM_USE_WRAP);
    for (uint32_t curve = HSM_CURVE_P224; curve <= HSM_CURVE_X448; curve++) {
        const uint8_t *oid = hsm_curve_oid(curve, &len);

        assert_int_equal(hsm_curve_by_oid(oid, len), curve);
        assert_true(hsm_curve_bits(curve) >= 224);
    }
    assert_null(hsm_curve_oid(99, &len));
}

static void every_status_has_a_name_and_a_text(void **state)
{
    (void)state;
    for (hsm_status status = HSM_OK; status <= HSM_STORE_UNAVAILABLE; status++) {
        assert_string_not_equal(hsm_status_name(status), "UNKNOWN");
        assert_true(hsm_status_text(status)[0] != 0);
    }
    assert_string_equal(hsm_status_name(-5), "UNKNOWN");
    assert_string_equal(hsm_version(), "0.1.0");
}

static void settings_are_read_and_set_by_name(void **state)
{
    hsm_config *config = NULL;
    const char *name, *doc;
    char text[16];
    size_t n = 0, len = sizeof(text);

    (void)state;
    assert_int_equal(hsm_config_new(&config), HSM_OK);
    while (hsm_config_describe(n, &name, &doc)) {
        assert_true(name[0] && doc[0]);
        n++;
    }
    assert_true(n > 10);
    assert_int_equal(hsm_config_set(config, "timeout-ms", "1234"), HSM_OK);
    assert_int_equal(hsm_config_get(config, "timeout-ms", text, &len), HSM_OK);
    assert_string_equal(text, "1234");
    assert_int_equal(len, 4);
    assert_int_equal(hsm_config_get(config, "timeout-ms", text, &len), HSM_BUFFER_TOO_SMALL);
    assert_int_equal(hsm_config_set(config, "timeuot-ms", "1234"), HSM_CONFIG_INVALID);
    assert_non_null(strstr(hsm_last_error()->detail, "timeout-ms"));
    assert_int_equal(hsm_config_set(config, "password", "secret"), HSM_OK);
    len = sizeof(text);
    assert_int_equal(hsm_config_get(config, "password", text, &len), HSM_NOT_PERMITTED);
    hsm_config_free(config);
}

/* FIPS 180-4 and 202: digests of "abc", first four bytes. */
static void digests_are_the_standards(void **state)
{
    static const struct {
        uint32_t hash;
        uint8_t start[4];
    } rows[] = {
        {HSM_HASH_SHA1, {0xa9, 0x99, 0x3e, 0x36}},       {HSM_HASH_SHA224, {0x23, 0x09, 0x7d, 0x22}},
        {HSM_HASH_SHA256, {0xba, 0x78, 0x16, 0xbf}},     {HSM_HASH_SHA384, {0xcb, 0x00, 0x75, 0x3f}},
        {HSM_HASH_SHA512, {0xdd, 0xaf, 0x35, 0xa1}},     {HSM_HASH_SHA3_224, {0xe6, 0x42, 0x82, 0x4c}},
        {HSM_HASH_SHA3_256, {0x3a, 0x98, 0x5d, 0xa7}},   {HSM_HASH_SHA3_384, {0xec, 0x01, 0x49, 0x82}},
        {HSM_HASH_SHA3_512, {0xb7, 0x51, 0x85, 0x0b}},   {HSM_HASH_SHA512_224, {0x46, 0x34, 0x27, 0x0f}},
        {HSM_HASH_SHA512_256, {0x53, 0x04, 0x8e, 0x26}},
    };
    uint8_t digest[HSM_DIGEST_MAX];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        len = sizeof(digest);
        assert_int_equal(hsm_digest(rows[i].hash, "abc", 3, digest, &len), HSM_OK);
        assert_int_equal(len, hsm_hash_len(rows[i].hash));
        assert_memory_equal(digest, rows[i].start, 4);
    }
    len = 31;
    assert_int_equal(hsm_digest(HSM_HASH_SHA256, "abc", 3, digest, &len), HSM_BUFFER_TOO_SMALL);
    assert_int_equal(len, 32);
    assert_int_equal(hsm_digest(HSM_HASH_NONE, "abc", 3, digest, &len), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_digest(99, "abc", 3, NULL, &len), HSM_INVALID_ARGUMENT);
}

static void nothing_breaks_on_nothing(void **state)
{
    hsm_buffer buffer = {NULL, 0};
    hsm_completion completion = HSM_COMPLETION_INIT;

    (void)state;
    hsm_buffer_free(&buffer);
    hsm_buffer_free(NULL);
    hsm_attributes_free(NULL);
    hsm_find_close(NULL);
    hsm_operation_free(NULL);
    hsm_session_close(NULL);
    hsm_cluster_close(NULL);
    hsm_config_free(NULL);
    hsm_queue_close(NULL);
    hsm_completion_release(&completion);
    hsm_completion_release(NULL);
    hsm_user_list_free(NULL);
    hsm_cluster_info_free(NULL);
    hsm_node_description_free(NULL);
    hsm_statistics_free(NULL);
    hsm_audit_page_free(NULL);
    assert_int_equal(hsm_attributes_count(NULL), 0);
    assert_int_equal(hsm_ping(NULL), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_session_open(NULL, NULL), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_operation_update(NULL, NULL, 0, NULL, NULL), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_queue_next(NULL, 0, NULL), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_submit_ping(NULL, NULL), HSM_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers_fit),
        cmocka_unit_test(every_status_has_a_name_and_a_text),
        cmocka_unit_test(settings_are_read_and_set_by_name),
        cmocka_unit_test(digests_are_the_standards),
        cmocka_unit_test(nothing_breaks_on_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
