/* How objects come into being: every kind of key, defaults, what templates may say, history flags, resends, import and
 * export, copies, session objects. */
#include "node_objects_fixture.h"

#include <openssl/x509.h>

static void begin_new(struct exchange *exchange, struct fixture *fixture, struct id id, struct id request)
{
    exchange_begin(exchange, fixture->node, &fixture->alice);
    put_id(exchange, FIELD_OBJECT_ID, id.bytes);
    put_id(exchange, FIELD_REQUEST_ID, request.bytes);
}

static status_code generate_aes_with(struct fixture *fixture, const struct values *template)
{
    CLEANUP(exchange_end) struct exchange exchange;
    begin_new(&exchange, fixture, new_id(), new_id());
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_AES_KEY_GEN);
    put_template(&exchange, FIELD_ATTRIBUTES, template);
    return exchange_run(&exchange, OP_KEY_GENERATE);
}

static struct values aes_template(void)
{
    struct values template = template_token("aes");
    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 32);
    return template;
}

/* Defaults and history. */

static void a_generated_secret_key_is_guarded_by_default(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
    struct values attributes;
    struct id id = make_aes(fixture->node, &fixture->alice, "guarded", NULL);

    assert_true(look_at(fixture->node, &fixture->alice, id, &attributes, &storage));
    static const struct {
        enum attribute attribute;
        bool value;
    } expected[] = {
        {ATTRIBUTE_TOKEN, true},
        {ATTRIBUTE_PRIVATE, true},
        {ATTRIBUTE_SENSITIVE, true},
        {ATTRIBUTE_EXTRACTABLE, false},
        {ATTRIBUTE_ALWAYS_SENSITIVE, true},
        {ATTRIBUTE_NEVER_EXTRACTABLE, true},
        {ATTRIBUTE_LOCAL, true},
        {ATTRIBUTE_MODIFIABLE, true},
        {ATTRIBUTE_COPYABLE, true},
        {ATTRIBUTE_DESTROYABLE, true},
        {ATTRIBUTE_WRAP, false},
        {ATTRIBUTE_UNWRAP, false},
        {ATTRIBUTE_DERIVE, false},
        {ATTRIBUTE_ENCRYPT, true},
        {ATTRIBUTE_DECRYPT, true},
        {ATTRIBUTE_TRUSTED, false},
        {ATTRIBUTE_WRAP_WITH_TRUSTED, false},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_true(values_has(&attributes, expected[i].attribute));
        assert_int_equal(values_bool(&attributes, expected[i].attribute, !expected[i].value), expected[i].value);
    }
    assert_int_equal(values_uint(&attributes, ATTRIBUTE_KEY_GEN_MECHANISM, 0), MECHANISM_AES_KEY_GEN);
    assert_int_equal(values_bytes(&attributes, ATTRIBUTE_CHECK_VALUE).len, 3);
    assert_int_equal(values_bytes(&attributes, ATTRIBUTE_UNIQUE_ID).len, 32);
    assert_true(slice_equal(values_bytes(&attributes, ATTRIBUTE_OWNER), slice_text("alice")));
    assert_false(values_has(&attributes, ATTRIBUTE_VALUE));
}

static void pairs_of_every_type_are_made(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        enum mechanism_type mechanism;
        const char *curve;
        uint32_t bits, set;
    } kinds[] = {
        {MECHANISM_RSA_KEY_PAIR_GEN, NULL, 2048, 0},         {MECHANISM_EC_KEY_PAIR_GEN, "P384", 0, 0},
        {MECHANISM_EC_KEY_PAIR_GEN, "SECP256K1", 0, 0},      {MECHANISM_EDWARDS_KEY_PAIR_GEN, "ED25519", 0, 0},
        {MECHANISM_MONTGOMERY_KEY_PAIR_GEN, "X25519", 0, 0}, {MECHANISM_ML_DSA_KEY_PAIR_GEN, NULL, 0, 65},
        {MECHANISM_ML_KEM_KEY_PAIR_GEN, NULL, 0, 768},
    };
    uint32_t bits_min, bits_max;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        CLEANUP(exchange_end) struct exchange exchange;
        struct values template = template_token("pair"), public_template = template, made, made_public;
        if (!mechanism_available(kinds[i].mechanism, &bits_min, &bits_max))
            continue;
        if (kinds[i].curve)
            values_put_bytes(&public_template, ATTRIBUTE_EC_PARAMS, curve_by_name(kinds[i].curve)->oid);
        if (kinds[i].bits)
            values_put_uint(&template, ATTRIBUTE_MODULUS_BITS, kinds[i].bits);
        if (kinds[i].set)
            values_put_uint(&public_template, ATTRIBUTE_PARAMETER_SET, kinds[i].set);
        begin_new(&exchange, fixture, new_id(), new_id());
        put_id(&exchange, FIELD_PUBLIC_ID, new_id().bytes);
        put_uint(&exchange, FIELD_MECHANISM, kinds[i].mechanism);
        put_template(&exchange, FIELD_ATTRIBUTES, &template);
        put_template(&exchange, FIELD_PUBLIC_ATTRIBUTES, &public_template);
        assert_int_equal(exchange_run(&exchange, OP_KEY_PAIR_GENERATE), STATUS_OK);

        answer_attributes(&exchange, FIELD_ATTRIBUTES, &made);
        answer_attributes(&exchange, FIELD_PUBLIC_ATTRIBUTES, &made_public);
        assert_int_equal(values_uint(&made, ATTRIBUTE_CLASS, 0), CLASS_PRIVATE_KEY);
        assert_int_equal(values_uint(&made_public, ATTRIBUTE_CLASS, 0), CLASS_PUBLIC_KEY);
        assert_true(values_bytes(&made, ATTRIBUTE_PUBLIC_KEY_INFO).len > 0);
        assert_true(values_equal_at(&ATTRIBUTE_SCHEMA, &made, &made_public, ATTRIBUTE_PUBLIC_KEY_INFO));
        assert_true(values_equal_at(&ATTRIBUTE_SCHEMA, &made, &made_public, ATTRIBUTE_ID));
        assert_int_equal(values_bytes(&made, ATTRIBUTE_ID).len, 20);
        assert_false(values_bool(&made_public, ATTRIBUTE_PRIVATE, true));
    }
}

static void a_pair_shares_the_id_that_one_template_gives(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    struct values template = template_token("pair"), made_public;

    begin_new(&exchange, fixture, new_id(), new_id());
    put_id(&exchange, FIELD_PUBLIC_ID, new_id().bytes);
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_EC_KEY_PAIR_GEN);
    values_put_bytes(&template, ATTRIBUTE_EC_PARAMS, curve_by_name("P256")->oid);
    put_template(&exchange, FIELD_PUBLIC_ATTRIBUTES, &template);
    values_put_bytes(&template, ATTRIBUTE_ID, slice_text("the-id"));
    put_template(&exchange, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&exchange, OP_KEY_PAIR_GENERATE), STATUS_OK);
    answer_attributes(&exchange, FIELD_PUBLIC_ATTRIBUTES, &made_public);
    assert_true(slice_equal(values_bytes(&made_public, ATTRIBUTE_ID), slice_text("the-id")));
}

/* What templates may not say. */

static void templates_are_refused_by_their_fault(void **state)
{
    struct fixture *fixture = *state;
    struct values template;

    template = template_token("no length");
    assert_int_equal(generate_aes_with(fixture, &template), STATUS_TEMPLATE_INCOMPLETE);
    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 20);
    assert_int_equal(generate_aes_with(fixture, &template), STATUS_KEY_SIZE_RANGE);
    template = aes_template();
    values_put_uint(&template, ATTRIBUTE_MODULUS_BITS, 2048);
    assert_int_equal(generate_aes_with(fixture, &template), STATUS_ATTRIBUTE_TYPE_INVALID);
    template = aes_template();
    values_put_uint(&template, ATTRIBUTE_KEY_TYPE, KEY_RSA);
    assert_int_equal(generate_aes_with(fixture, &template), STATUS_TEMPLATE_INCONSISTENT);
    template = aes_template();
    values_put_bool(&template, ATTRIBUTE_LOCAL, true);
    assert_int_equal(generate_aes_with(fixture, &template), STATUS_ATTRIBUTE_READ_ONLY);
    template = aes_template();
    values_put_bool(&template, ATTRIBUTE_TRUSTED, true);
    assert_int_equal(generate_aes_with(fixture, &template), STATUS_ATTRIBUTE_READ_ONLY);
    template = aes_template();
    values_put_bytes(&template, ATTRIBUTE_VALUE, slice_text("0123456789abcdef0123456789abcdef"));
    assert_int_equal(generate_aes_with(fixture, &template), STATUS_TEMPLATE_INCONSISTENT);
    template = aes_template();
    values_put_bytes(&template, ATTRIBUTE_START_DATE, slice_text("20269999"));
    assert_int_equal(generate_aes_with(fixture, &template), STATUS_ATTRIBUTE_VALUE_INVALID);
    template = aes_template();
    values_put_bytes(&template, ATTRIBUTE_START_DATE, slice_text("20300101"));
    values_put_bytes(&template, ATTRIBUTE_END_DATE, slice_text("20290101"));
    assert_int_equal(generate_aes_with(fixture, &template), STATUS_TEMPLATE_INCONSISTENT);
}

static void only_crypto_users_make_objects(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    struct values template = aes_template();

    begin_new(&exchange, fixture, new_id(), new_id());
    exchange.caller = &fixture->admin;
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_AES_KEY_GEN);
    put_template(&exchange, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&exchange, OP_KEY_GENERATE), STATUS_NOT_PERMITTED);
}

/* Resends. */

static void a_resent_creation_makes_one_key(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes first = BYTES_INIT;
    struct id id = new_id(), request = new_id();
    struct values template = aes_template();

    for (int sending = 0; sending < 2; sending++) {
        CLEANUP(exchange_end) struct exchange exchange;
        begin_new(&exchange, fixture, id, request);
        exchange.node = sending == 0 ? fixture->node : fixture->other;
        put_uint(&exchange, FIELD_MECHANISM, MECHANISM_AES_KEY_GEN);
        put_template(&exchange, FIELD_ATTRIBUTES, &template);
        assert_int_equal(exchange_run(&exchange, OP_KEY_GENERATE), STATUS_OK);
        struct slice made = values_bytes(&exchange.answer, FIELD_ATTRIBUTES);
        if (sending == 0)
            assert_int_equal(bytes_assign(&first, made), STATUS_OK);
        assert_true(slice_equal(made, bytes_slice(&first))); /* with the check value: the same key */
    }
    CLEANUP(exchange_end) struct exchange exchange;
    begin_new(&exchange, fixture, id, new_id());
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_AES_KEY_GEN);
    put_template(&exchange, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&exchange, OP_KEY_GENERATE), STATUS_ALREADY_EXISTS);
}

static void a_pair_does_not_take_an_id_that_is_taken(void **state)
{
    struct fixture *fixture = *state;
    struct id taken = make_aes(fixture->node, &fixture->alice, "taken", NULL), other = new_id();

    for (int half = 0; half < 2; half++) {
        CLEANUP(exchange_end) struct exchange exchange;
        CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
        struct values template = template_token("pair"), attributes;
        begin_new(&exchange, fixture, half ? other : taken, new_id());
        put_id(&exchange, FIELD_PUBLIC_ID, half ? taken.bytes : other.bytes);
        put_uint(&exchange, FIELD_MECHANISM, MECHANISM_EC_KEY_PAIR_GEN);
        put_template(&exchange, FIELD_ATTRIBUTES, &template);
        values_put_bytes(&template, ATTRIBUTE_EC_PARAMS, curve_by_name("P256")->oid);
        put_template(&exchange, FIELD_PUBLIC_ATTRIBUTES, &template);
        assert_int_equal(exchange_run(&exchange, OP_KEY_PAIR_GENERATE), STATUS_ALREADY_EXISTS);
        assert_false(look_at(fixture->node, &fixture->alice, other, &attributes, &storage)); /* all or none */
    }
}

static void a_resent_pair_of_token_and_session_key_gets_its_public_half_again(void **state)
{
    struct fixture *fixture = *state;
    struct id id = new_id(), public_id = new_id(), request = new_id();
    CLEANUP(bytes_release) struct bytes point = BYTES_INIT;

    for (int sending = 0; sending < 2; sending++) {
        CLEANUP(exchange_end) struct exchange exchange;
        struct values template = template_token("pair"), made_public;
        begin_new(&exchange, fixture, id, request);
        put_id(&exchange, FIELD_PUBLIC_ID, public_id.bytes);
        put_uint(&exchange, FIELD_MECHANISM, MECHANISM_EC_KEY_PAIR_GEN);
        values_put_bytes(&template, ATTRIBUTE_EC_PARAMS, curve_by_name("P256")->oid);
        put_template(&exchange, FIELD_ATTRIBUTES, &template);
        values_remove(&template, ATTRIBUTE_TOKEN);
        put_template(&exchange, FIELD_PUBLIC_ATTRIBUTES, &template);
        assert_int_equal(exchange_run(&exchange, OP_KEY_PAIR_GENERATE), STATUS_OK);
        assert_true(values_bytes(&exchange.answer, FIELD_PUBLIC_BLOB).len > 0);
        answer_attributes(&exchange, FIELD_PUBLIC_ATTRIBUTES, &made_public);
        if (sending == 0)
            assert_int_equal(bytes_assign(&point, values_bytes(&made_public, ATTRIBUTE_EC_POINT)), STATUS_OK);
        assert_true(slice_equal(values_bytes(&made_public, ATTRIBUTE_EC_POINT), bytes_slice(&point)));
    }
}

/* Import and export. */

static const uint8_t known_value[16] = "sixteen bytes ..";

static status_code import_aes(struct fixture *fixture, struct id id, bool exportable, struct exchange *exchange)
{
    struct values template = template_token("imported");
    values_put_uint(&template, ATTRIBUTE_CLASS, CLASS_SECRET_KEY);
    values_put_uint(&template, ATTRIBUTE_KEY_TYPE, KEY_AES);
    values_put_bytes(&template, ATTRIBUTE_VALUE, slice_of(known_value, sizeof known_value));
    if (exportable) {
        values_put_bool(&template, ATTRIBUTE_SENSITIVE, false);
        values_put_bool(&template, ATTRIBUTE_EXTRACTABLE, true);
    }
    begin_new(exchange, fixture, id, new_id());
    put_template(exchange, FIELD_ATTRIBUTES, &template);
    return exchange_run(exchange, OP_OBJECT_CREATE);
}

static status_code export_value(struct fixture *fixture, const struct caller *caller, struct id id, struct slice equals)
{
    static const uint64_t wanted[] = {ATTRIBUTE_VALUE};
    CLEANUP(exchange_end) struct exchange exchange;
    struct values attributes;
    exchange_begin(&exchange, fixture->node, caller);
    put_id(&exchange, FIELD_OBJECT_ID, id.bytes);
    put_wanted(&exchange, wanted, 1);
    TRY(exchange_run(&exchange, OP_OBJECT_GET));
    answer_attributes(&exchange, FIELD_ATTRIBUTES, &attributes);
    assert_true(slice_equal(values_bytes(&attributes, ATTRIBUTE_VALUE), equals));
    return STATUS_OK;
}

static void imported_keys_say_so_and_leave_only_if_extractable_and_not_sensitive(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange first, second;
    struct id guarded = new_id(), open = new_id();
    struct slice value = slice_of(known_value, sizeof known_value);
    struct values made;

    assert_int_equal(import_aes(fixture, guarded, false, &first), STATUS_OK);
    answer_attributes(&first, FIELD_ATTRIBUTES, &made);
    assert_false(values_bool(&made, ATTRIBUTE_LOCAL, true));
    assert_false(values_bool(&made, ATTRIBUTE_ALWAYS_SENSITIVE, true));
    assert_false(values_bool(&made, ATTRIBUTE_NEVER_EXTRACTABLE, true));
    assert_false(values_has(&made, ATTRIBUTE_VALUE));
    assert_int_equal(export_value(fixture, &fixture->alice, guarded, value), STATUS_ATTRIBUTE_SENSITIVE);

    assert_int_equal(import_aes(fixture, open, true, &second), STATUS_OK);
    assert_int_equal(export_value(fixture, &fixture->alice, open, value), STATUS_OK);
    assert_int_equal(share_object(fixture->node, &fixture->alice, open, "bob", true), STATUS_OK);
    assert_int_equal(export_value(fixture, &fixture->bob, open, value), STATUS_ATTRIBUTE_SENSITIVE);
    assert_int_equal(export_value(fixture, &fixture->admin, open, value), STATUS_ATTRIBUTE_SENSITIVE);
}

static void public_keys_are_everybodys_and_exportable(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
    struct values attributes;
    struct id public_id;

    make_p256(fixture->node, &fixture->alice, "open", &public_id);
    assert_true(look_at(fixture->node, &fixture->bob, public_id, &attributes, &storage));
    assert_int_equal(
        export_value(fixture, &fixture->bob, public_id, values_bytes(&attributes, ATTRIBUTE_PUBLIC_KEY_INFO)),
        STATUS_OK);
}

static void imported_material_must_be_what_it_claims(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        enum object_class class;
        enum key_type type;
    } kinds[] = {{CLASS_PRIVATE_KEY, KEY_EC}, {CLASS_PUBLIC_KEY, KEY_RSA}, {CLASS_SECRET_KEY, KEY_AES}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        CLEANUP(exchange_end) struct exchange exchange;
        struct values template = template_token("junk");
        values_put_uint(&template, ATTRIBUTE_CLASS, kinds[i].class);
        values_put_uint(&template, ATTRIBUTE_KEY_TYPE, kinds[i].type);
        begin_new(&exchange, fixture, new_id(), new_id());
        put_template(&exchange, FIELD_ATTRIBUTES, &template);
        assert_int_equal(exchange_run(&exchange, OP_OBJECT_CREATE), STATUS_TEMPLATE_INCOMPLETE);
        values_put_bytes(&template, ATTRIBUTE_VALUE, slice_text("no key"));
        put_template(&exchange, FIELD_ATTRIBUTES, &template);
        assert_int_equal(exchange_run(&exchange, OP_OBJECT_CREATE), STATUS_ATTRIBUTE_VALUE_INVALID);
    }
}

/* Certificates and data. */

static void make_certificate(struct bytes *der)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    unsigned char *encoded = NULL;
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 77);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    int len = i2d_X509(certificate, &encoded);
    assert_true(len > 0);
    assert_int_equal(bytes_assign(der, slice_of(encoded, (size_t)len)), STATUS_OK);
    OPENSSL_free(encoded);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void a_certificate_tells_its_names(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    CLEANUP(bytes_release) struct bytes der = BYTES_INIT;
    struct values template = template_token("certificate"), made;
    struct id id = new_id();

    make_certificate(&der);
    values_put_uint(&template, ATTRIBUTE_CLASS, CLASS_CERTIFICATE);
    values_put_bytes(&template, ATTRIBUTE_VALUE, bytes_slice(&der));
    begin_new(&exchange, fixture, id, new_id());
    put_template(&exchange, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&exchange, OP_OBJECT_CREATE), STATUS_OK);
    answer_attributes(&exchange, FIELD_ATTRIBUTES, &made);
    assert_true(values_bytes(&made, ATTRIBUTE_SUBJECT).len > 0);
    assert_true(slice_equal(values_bytes(&made, ATTRIBUTE_SUBJECT), values_bytes(&made, ATTRIBUTE_ISSUER)));
    assert_true(slice_equal(values_bytes(&made, ATTRIBUTE_SERIAL_NUMBER), slice_of("\x02\x01\x4d", 3)));
    assert_int_equal(export_value(fixture, &fixture->bob, id, bytes_slice(&der)), STATUS_OK);
}

static void private_data_is_its_owners(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    struct values template = template_token("data");
    struct id id = new_id();

    values_put_uint(&template, ATTRIBUTE_CLASS, CLASS_DATA);
    values_put_bool(&template, ATTRIBUTE_PRIVATE, true);
    values_put_bytes(&template, ATTRIBUTE_VALUE, slice_text("content"));
    begin_new(&exchange, fixture, id, new_id());
    put_template(&exchange, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&exchange, OP_OBJECT_CREATE), STATUS_OK);
    assert_int_equal(export_value(fixture, &fixture->alice, id, slice_text("content")), STATUS_OK);
    assert_int_equal(export_value(fixture, &fixture->bob, id, slice_text("content")), STATUS_OBJECT_NOT_FOUND);
    assert_int_equal(export_value(fixture, &fixture->admin, id, slice_text("content")), STATUS_ATTRIBUTE_SENSITIVE);
}

/* Copies. */

static status_code copy_of(struct fixture *fixture, struct id original, const struct values *template, struct id *id)
{
    CLEANUP(exchange_end) struct exchange exchange;
    *id = new_id();
    begin_new(&exchange, fixture, *id, new_id());
    put_id(&exchange, FIELD_SECOND_ID, original.bytes);
    put_template(&exchange, FIELD_ATTRIBUTES, template);
    return exchange_run(&exchange, OP_OBJECT_COPY);
}

static void a_copy_may_only_be_safer(void **state)
{
    struct fixture *fixture = *state;
    struct values template = template_token("copy");
    struct id original = make_aes(fixture->node, &fixture->alice, "original", NULL), copy;

    assert_int_equal(copy_of(fixture, original, &template, &copy), STATUS_OK);
    assert_true(flag_of(fixture->node, &fixture->alice, copy, ATTRIBUTE_ALWAYS_SENSITIVE));
    assert_true(flag_of(fixture->node, &fixture->alice, copy, ATTRIBUTE_LOCAL));
    values_put_bool(&template, ATTRIBUTE_EXTRACTABLE, true);
    assert_int_equal(copy_of(fixture, original, &template, &copy), STATUS_ATTRIBUTE_READ_ONLY);
    template = template_token("copy");
    values_put_bool(&template, ATTRIBUTE_SENSITIVE, false);
    assert_int_equal(copy_of(fixture, original, &template, &copy), STATUS_ATTRIBUTE_READ_ONLY);
    template = template_token("copy");
    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 16);
    assert_int_equal(copy_of(fixture, original, &template, &copy), STATUS_ATTRIBUTE_READ_ONLY);

    struct values change = template_empty();
    values_put_bool(&change, ATTRIBUTE_COPYABLE, false);
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, original, &change), STATUS_OK);
    template = template_token("copy");
    assert_int_equal(copy_of(fixture, original, &template, &copy), STATUS_NOT_PERMITTED);
}

/* Session objects. */

static void a_session_key_lives_in_its_blob_alone(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange made, used;
    struct id id = new_id();
    struct values template = template_empty();
    uint64_t before = 0, after = 0;
    struct caller stranger = fixture->alice;

    assert_int_equal(fixture->node->store->operations->revision(fixture->node->store, &before), STATUS_OK);
    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 16);
    begin_new(&made, fixture, id, new_id());
    put_uint(&made, FIELD_MECHANISM, MECHANISM_AES_KEY_GEN);
    put_template(&made, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&made, OP_KEY_GENERATE), STATUS_OK);
    assert_int_equal(fixture->node->store->operations->revision(fixture->node->store, &after), STATUS_OK);
    assert_int_equal(before, after);

    struct slice blob = values_bytes(&made.answer, FIELD_BLOB);
    assert_true(blob.len > 0 && blob.len < 1024);
    exchange_begin(&used, fixture->other, &fixture->alice);
    put_id(&used, FIELD_OBJECT_ID, id.bytes);
    put_copy(&used, FIELD_BLOB, blob);
    put_uint(&used, FIELD_MECHANISM, MECHANISM_AES_GCM);
    put_text(&used, FIELD_DATA, "plaintext");
    for (int time = 0; time < 2; time++) /* opened, then cached */
        assert_int_equal(exchange_run(&used, OP_ENCRYPT), STATUS_OK);

    memset(stranger.session_id, 9, ID_LEN);
    used.caller = &stranger;
    assert_int_equal(exchange_run(&used, OP_ENCRYPT), STATUS_OBJECT_NOT_FOUND);
    used.caller = &fixture->alice;
    put_id(&used, FIELD_OBJECT_ID, new_id().bytes);
    assert_int_equal(exchange_run(&used, OP_ENCRYPT), STATUS_OBJECT_NOT_FOUND);
    put_id(&used, FIELD_OBJECT_ID, id.bytes);
    assert_int_equal(exchange_run(&used, OP_ENCRYPT), STATUS_OK);
    used.kept[1].data[blob.len - 1] ^= 1;
    assert_int_equal(exchange_run(&used, OP_ENCRYPT), STATUS_OBJECT_NOT_FOUND);
}

/* Quota. */

static void set_small_quota(struct node_config *config)
{
    config->keys_per_user = 3;
}

static void a_user_can_own_only_so_many_keys(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_make(set_small_quota);
    struct values template = aes_template();

    for (int i = 0; i < 3; i++)
        assert_int_equal(generate_aes_with(fixture, &template), STATUS_OK);
    assert_int_equal(generate_aes_with(fixture, &template), STATUS_QUOTA_EXCEEDED);
    values_remove(&template, ATTRIBUTE_TOKEN);
    assert_int_equal(generate_aes_with(fixture, &template), STATUS_OK); /* session keys do not count */
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generated_secret_key_is_guarded_by_default),
        cmocka_unit_test(pairs_of_every_type_are_made),
        cmocka_unit_test(a_pair_shares_the_id_that_one_template_gives),
        cmocka_unit_test(templates_are_refused_by_their_fault),
        cmocka_unit_test(only_crypto_users_make_objects),
        cmocka_unit_test(a_resent_creation_makes_one_key),
        cmocka_unit_test(a_pair_does_not_take_an_id_that_is_taken),
        cmocka_unit_test(a_resent_pair_of_token_and_session_key_gets_its_public_half_again),
        cmocka_unit_test(imported_keys_say_so_and_leave_only_if_extractable_and_not_sensitive),
        cmocka_unit_test(public_keys_are_everybodys_and_exportable),
        cmocka_unit_test(imported_material_must_be_what_it_claims),
        cmocka_unit_test(a_certificate_tells_its_names),
        cmocka_unit_test(private_data_is_its_owners),
        cmocka_unit_test(a_copy_may_only_be_safer),
        cmocka_unit_test(a_session_key_lives_in_its_blob_alone),
        cmocka_unit_test(a_user_can_own_only_so_many_keys),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
