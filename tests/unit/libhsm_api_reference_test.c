/* Key references: their form, and how they are made over a core without a network. */
#include "libhsm_api_fake_core.h"

#include <stdio.h>
#include "protocol/catalog.h"
#include "protocol/writer.h"

#define ID(x) x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x

/* RFC 8410, 10.1: an Ed25519 key. */
#define PUBLIC_KEY                                                                                                     \
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 0x19, 0xbf, 0x44, 0x09, 0x69, 0x84, 0xcd,  \
        0xfe, 0x85, 0x41, 0xba, 0xc1, 0x67, 0xdc, 0x3b, 0x96, 0xc8, 0x50, 0x86, 0xaa, 0x30, 0xb6, 0xb6, 0xcb, 0x0c,    \
        0x5c, 0x38, 0xad, 0x70, 0x31, 0x66, 0xe1

static const uint8_t public_key[] = {PUBLIC_KEY};

/* Written out by hand from hsm/reference.h: what it pins must stay readable for ever. */
static const uint8_t known[] = {0x30, 0x58,     0x02,       0x01, 0x01, 0x04, 0x10, ID(0xc1), 0x04,
                                0x10, ID(0x0b), PUBLIC_KEY, 0x0c, 0x03, 't',  'l',  's'};

#define VERSION_AT    4
#define CLUSTER_AT    5 /* its header */
#define PUBLIC_KEY_AT 41
#define LABEL_AT      (PUBLIC_KEY_AT + sizeof(public_key))

static hsm_status parse(const void *data, size_t len)
{
    hsm_reference *reference = NULL;
    hsm_status status = hsm_reference_parse(data, len, &reference);

    assert_true((status == HSM_OK) == (reference != NULL));
    hsm_reference_free(reference);
    return status;
}

static hsm_reference *parsed(const void *data, size_t len)
{
    hsm_reference *reference = NULL;

    assert_int_equal(hsm_reference_parse(data, len, &reference), HSM_OK);
    return reference;
}

static void expect_known(const hsm_reference *reference)
{
    const uint8_t cluster_id[] = {ID(0xc1)}, key[] = {ID(0x0b)};
    size_t len;

    assert_memory_equal(hsm_reference_cluster_id(reference), cluster_id, HSM_ID_LEN);
    assert_memory_equal(hsm_reference_key(reference).id, key, HSM_ID_LEN);
    assert_memory_equal(hsm_reference_public_key_info(reference, &len), public_key, sizeof(public_key));
    assert_int_equal(len, sizeof(public_key));
    assert_string_equal(hsm_reference_label(reference), "tls");
}

static char *pem_of(const void *der, size_t len)
{
    hsm_reference *reference = parsed(der, len);
    hsm_buffer pem = {NULL, 0};

    assert_int_equal(hsm_reference_pem(reference, &pem), HSM_OK);
    char *text = strdup((const char *)pem.data);

    assert_int_equal(strlen(text), pem.len);
    hsm_buffer_free(&pem);
    hsm_reference_free(reference);
    return text;
}

static void a_reference_says_what_it_was_made_of(void **state)
{
    hsm_reference *reference = parsed(known, sizeof(known)), *copy = NULL;
    hsm_buffer der = {NULL, 0};

    (void)state;
    expect_known(reference);
    assert_int_equal(hsm_reference_copy(reference, &copy), HSM_OK);
    hsm_reference_free(reference);
    expect_known(copy);
    assert_int_equal(hsm_reference_der(copy, &der), HSM_OK);
    assert_int_equal(der.len, sizeof(known));
    assert_memory_equal(der.data, known, sizeof(known));
    hsm_buffer_free(&der);
    hsm_reference_free(copy);
}

static void pem_is_read_whatever_stands_around_it(void **state)
{
    char *pem = pem_of(known, sizeof(known)), text[4096];
    static const char *const around[][2] = {
        {"", ""},
        {"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "\n\nand more"},
        {"0 is what DER begins with, too\n", "-----BEGIN HSM KEY REFERENCE-----\n"},
        {"\xef\xbb\xbf\r\n\r\n", "\r\n"},
    };

    (void)state;
    assert_int_equal(strncmp(pem, "-----BEGIN HSM KEY REFERENCE-----\n", 34), 0);
    for (size_t i = 0; i < sizeof(around) / sizeof(*around); i++) {
        int len = snprintf(text, sizeof(text), "%s%s%s", around[i][0], pem, around[i][1]);
        hsm_reference *reference = parsed(text, (size_t)len);

        expect_known(reference);
        hsm_reference_free(reference);
    }
    /* An editor has made the ends of lines Windows' own, and added spaces. */
    size_t n = 0;
    for (const char *c = pem; *c; c++) {
        if (*c == '\n')
            memcpy(text + n, " \r", 2), n += 2;
        text[n++] = *c;
    }
    assert_int_equal(parse(text, n), HSM_OK);
    free(pem);
}

static void damaged_pem_is_refused(void **state)
{
    char *pem = pem_of(known, sizeof(known)), text[4096];
    size_t len = strlen(pem), body = strlen("-----BEGIN HSM KEY REFERENCE-----\n");

    (void)state;
    assert_int_equal(parse("", 0), HSM_INVALID_ARGUMENT);
    assert_int_equal(parse("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 57), HSM_INVALID_ARGUMENT);
    assert_non_null(strstr(hsm_last_error()->detail, "BEGIN HSM KEY REFERENCE"));
    for (size_t cut = 0; cut < len - 1; cut++)
        assert_int_equal(parse(pem, cut), HSM_INVALID_ARGUMENT);
    for (size_t i = body; i < body + 60; i++) {
        memcpy(text, pem, len);
        text[i] = '-';
        assert_int_equal(parse(text, len), HSM_INVALID_ARGUMENT);
    }
    free(pem);
}

static void every_damage_to_the_form_is_refused(void **state)
{
    uint8_t damaged[sizeof(known) + 1];

    (void)state;
    for (size_t len = 0; len < sizeof(known); len++)
        assert_int_equal(parse(known, len), HSM_INVALID_ARGUMENT);
    memcpy(damaged, known, sizeof(known));
    damaged[sizeof(known)] = 0;
    assert_int_equal(parse(damaged, sizeof(damaged)), HSM_INVALID_ARGUMENT);
    /* Types and lengths: whichever changes, nothing fits any more. */
    const size_t headers[] = {
        0,  1,  2,  3,  CLUSTER_AT, CLUSTER_AT + 1, 23,          24, PUBLIC_KEY_AT, PUBLIC_KEY_AT + 1, 43, 44,
        45, 46, 50, 51, 52,         LABEL_AT,       LABEL_AT + 1};
    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
        for (unsigned other = 1; other < 256; other++) {
            memcpy(damaged, known, sizeof(known));
            damaged[headers[i]] ^= (uint8_t)other;
            assert_int_not_equal(parse(damaged, sizeof(known)), HSM_OK);
        }
    }
}

static void lengths_have_one_spelling(void **state)
{
    static const uint8_t indefinite[] = {0x30, 0x80, 0x02, 0x01, 0x01, 0x00, 0x00};
    static const uint8_t huge[] = {0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x02, 0x01, 0x01};
    uint8_t longer[sizeof(known) + 1] = {0x30, 0x81};

    (void)state;
    memcpy(longer + 2, known + 1, sizeof(known) - 1);
    assert_int_equal(parse(longer, sizeof(longer)), HSM_INVALID_ARGUMENT);
    assert_int_equal(parse(indefinite, sizeof(indefinite)), HSM_INVALID_ARGUMENT);
    assert_int_equal(parse(huge, sizeof(huge)), HSM_INVALID_ARGUMENT);
}

static void a_newer_kind_is_told_apart_from_damage(void **state)
{
    uint8_t newer[sizeof(known)];
    static const uint8_t much_newer[] = {0x30, 0x04, 0x02, 0x02, 0x01, 0x00}, padded[] = {0x30, 0x04, 0x02, 0x02, 0, 1};

    (void)state;
    memcpy(newer, known, sizeof(known));
    newer[VERSION_AT] = 2;
    assert_int_equal(parse(newer, sizeof(newer)), HSM_VERSION_MISMATCH);
    assert_non_null(strstr(hsm_last_error()->detail, "newer"));
    assert_int_equal(parse(much_newer, sizeof(much_newer)), HSM_VERSION_MISMATCH);
    assert_int_equal(parse(padded, sizeof(padded)), HSM_INVALID_ARGUMENT);
    newer[VERSION_AT] = 0;
    assert_int_equal(parse(newer, sizeof(newer)), HSM_INVALID_ARGUMENT);
    newer[VERSION_AT] = 0xff;
    assert_int_equal(parse(newer, sizeof(newer)), HSM_INVALID_ARGUMENT);
}

static void what_later_versions_add_is_ignored_and_kept(void **state)
{
    static const uint8_t more[] = {0x04, 0x02, 1, 2};
    uint8_t longer[sizeof(known) + sizeof(more)];
    hsm_buffer der = {NULL, 0};

    (void)state;
    memcpy(longer, known, sizeof(known));
    memcpy(longer + sizeof(known), more, sizeof(more));
    longer[1] += sizeof(more);
    hsm_reference *reference = parsed(longer, sizeof(longer));

    expect_known(reference);
    assert_int_equal(hsm_reference_der(reference, &der), HSM_OK);
    assert_memory_equal(der.data, longer, sizeof(longer));
    hsm_buffer_free(&der);
    hsm_reference_free(reference);
    longer[sizeof(known) + 1] = 3;
    assert_int_equal(parse(longer, sizeof(longer)), HSM_INVALID_ARGUMENT);
}

static void a_label_that_a_terminal_would_obey_is_refused(void **state)
{
    static const char *const labels[] = {"\033[m", "a\nb",
                                         "a\x7f"
                                         "b",
                                         "\xc2\x9b"
                                         "m",
                                         "\xff\xfe\xfd"};
    uint8_t damaged[sizeof(known)];

    (void)state;
    for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
        memcpy(damaged, known, sizeof(known));
        memcpy(damaged + LABEL_AT + 2, labels[i], 3);
        assert_int_equal(parse(damaged, sizeof(damaged)), HSM_INVALID_ARGUMENT);
    }
}

static void long_input_is_refused_at_once(void **state)
{
    size_t len = HSM_REFERENCE_MAX + 1;
    char *text = malloc(len);

    (void)state;
    assert_non_null(text);
    memset(text, '\n', len);
    assert_int_equal(parse(text, len), HSM_TOO_LARGE);
    assert_int_equal(parse(text, len - 1), HSM_INVALID_ARGUMENT);
    free(text);
}

static void nothing_given_is_an_error_or_nothing(void **state)
{
    hsm_reference *reference = NULL;
    hsm_key none = {{0}};
    size_t len = 1;

    (void)state;
    assert_int_equal(hsm_reference_parse(NULL, 5, &reference), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_reference_parse(known, sizeof(known), NULL), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_reference_make(NULL, none, NULL, &reference), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_reference_copy(NULL, &reference), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_reference_der(NULL, NULL), HSM_INVALID_ARGUMENT);
    assert_int_equal(hsm_reference_pem(NULL, NULL), HSM_INVALID_ARGUMENT);
    assert_null(hsm_reference_cluster_id(NULL));
    assert_null(hsm_reference_public_key_info(NULL, &len));
    assert_int_equal(len, 0);
    assert_string_equal(hsm_reference_label(NULL), "");
    assert_true(hsm_key_equal(hsm_reference_key(NULL), none));
    hsm_reference_free(NULL);
}

/* --- making --- */

static uint64_t key_class;
static bool is_token, has_public_key;
static const char *key_label;

static void put_attributes(struct bytes *encoded)
{
    write_map(encoded, has_public_key ? 4 : 3);
    write_uint(encoded, ATTRIBUTE_CLASS);
    write_uint(encoded, key_class);
    write_uint(encoded, ATTRIBUTE_LABEL);
    write_bin(encoded, slice_text(key_label));
    write_uint(encoded, ATTRIBUTE_TOKEN);
    write_bool(encoded, is_token);
    if (!has_public_key)
        return;
    write_uint(encoded, ATTRIBUTE_PUBLIC_KEY_INFO);
    write_bin(encoded, slice_of(public_key, sizeof(public_key)));
}

static status_code node_with_a_key(const struct core_request *request, struct values *answer)
{
    static const uint8_t cluster_id[] = {ID(0xc1)};
    static uint8_t kept[512];
    CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT;

    if (request->operation == OP_CLUSTER_DESCRIBE) {
        values_put_bytes(answer, FIELD_CLUSTER_ID, slice_of(cluster_id, sizeof(cluster_id)));
        return STATUS_OK;
    }
    assert_int_equal(request->operation, OP_OBJECT_GET);
    put_attributes(&encoded);
    memcpy(kept, encoded.data, encoded.len);
    values_put_bytes(answer, FIELD_ATTRIBUTES, slice_of(kept, encoded.len));
    return STATUS_OK;
}

static hsm_cluster *cluster;
static hsm_session *session;
static const hsm_key key = {{ID(0x0b)}};

static int begin(void **state)
{
    (void)state;
    fake_open(&cluster, &session);
    fake_answer = node_with_a_key;
    key_class = HSM_CLASS_PRIVATE_KEY;
    is_token = has_public_key = true;
    key_label = "tls";
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_close(cluster, session);
    return 0;
}

static void a_reference_is_made_of_what_a_node_tells(void **state)
{
    hsm_reference *reference = NULL;
    hsm_buffer der = {NULL, 0};

    (void)state;
    assert_int_equal(hsm_reference_make(session, key, NULL, &reference), HSM_OK);
    expect_known(reference);
    assert_int_equal(hsm_reference_der(reference, &der), HSM_OK);
    assert_int_equal(der.len, sizeof(known));
    assert_memory_equal(der.data, known, sizeof(known));
    hsm_buffer_free(&der);
    hsm_reference_free(reference);
}

static void attributes_at_hand_and_the_clusters_id_are_not_asked_for_again(void **state)
{
    hsm_reference *reference = NULL;
    hsm_attributes *attributes = NULL;

    (void)state;
    assert_int_equal(hsm_object_get(session, key, NULL, 0, &attributes), HSM_OK);
    assert_int_equal(hsm_reference_make(session, key, attributes, &reference), HSM_OK);
    expect_known(reference);
    hsm_reference_free(reference);
    int calls = atomic_load(&fake_calls);

    assert_int_equal(hsm_reference_make(session, key, attributes, &reference), HSM_OK);
    assert_int_equal(atomic_load(&fake_calls), calls);
    hsm_reference_free(reference);
    hsm_attributes_free(attributes);
}

static void attributes_that_tell_too_little_are_asked_for(void **state)
{
    hsm_reference *reference = NULL;
    hsm_attributes *attributes = NULL;

    (void)state;
    has_public_key = false;
    assert_int_equal(hsm_object_get(session, key, NULL, 0, &attributes), HSM_OK);
    assert_int_equal(hsm_reference_make(session, key, attributes, &reference), HSM_KEY_TYPE_INCONSISTENT);
    has_public_key = true;
    assert_int_equal(hsm_reference_make(session, key, attributes, &reference), HSM_OK);
    expect_known(reference);
    hsm_reference_free(reference);
    hsm_attributes_free(attributes);
}

static void only_private_keys_that_last_are_referred_to(void **state)
{
    static const uint64_t others[] = {HSM_CLASS_DATA, HSM_CLASS_CERTIFICATE, HSM_CLASS_PUBLIC_KEY,
                                      HSM_CLASS_SECRET_KEY};
    hsm_reference *reference = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        key_class = others[i];
        assert_int_equal(hsm_reference_make(session, key, NULL, &reference), HSM_INVALID_ARGUMENT);
        assert_non_null(strstr(hsm_last_error()->detail, "private key"));
    }
    key_class = HSM_CLASS_PRIVATE_KEY;
    is_token = false;
    assert_int_equal(hsm_reference_make(session, key, NULL, &reference), HSM_INVALID_ARGUMENT);
    assert_non_null(strstr(hsm_last_error()->detail, "TOKEN"));
    assert_null(reference);
}

static void a_label_that_is_no_text_is_left_out(void **state)
{
    static const char *const labels[] = {"", "\xff\xfe", "a\tb", "\033]0;title\a"};
    hsm_reference *reference = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
        key_label = labels[i];
        assert_int_equal(hsm_reference_make(session, key, NULL, &reference), HSM_OK);
        assert_string_equal(hsm_reference_label(reference), "");
        hsm_reference_free(reference);
    }
    key_label = "Schl\xc3\xbcssel";
    assert_int_equal(hsm_reference_make(session, key, NULL, &reference), HSM_OK);
    assert_string_equal(hsm_reference_label(reference), key_label);
    hsm_reference_free(reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reference_says_what_it_was_made_of),
        cmocka_unit_test(pem_is_read_whatever_stands_around_it),
        cmocka_unit_test(damaged_pem_is_refused),
        cmocka_unit_test(every_damage_to_the_form_is_refused),
        cmocka_unit_test(lengths_have_one_spelling),
        cmocka_unit_test(a_newer_kind_is_told_apart_from_damage),
        cmocka_unit_test(what_later_versions_add_is_ignored_and_kept),
        cmocka_unit_test(a_label_that_a_terminal_would_obey_is_refused),
        cmocka_unit_test(long_input_is_refused_at_once),
        cmocka_unit_test(nothing_given_is_an_error_or_nothing),
        cmocka_unit_test_setup_teardown(a_reference_is_made_of_what_a_node_tells, begin, end),
        cmocka_unit_test_setup_teardown(attributes_at_hand_and_the_clusters_id_are_not_asked_for_again, begin, end),
        cmocka_unit_test_setup_teardown(attributes_that_tell_too_little_are_asked_for, begin, end),
        cmocka_unit_test_setup_teardown(only_private_keys_that_last_are_referred_to, begin, end),
        cmocka_unit_test_setup_teardown(a_label_that_is_no_text_is_left_out, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
