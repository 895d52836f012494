/* Keys in use: every cryptographic operation through its handler, what usage, sharing, dates and allowed mechanisms
 * permit, wrapping and unwrapping, derivation, encapsulation, operations in parts. */
#include "node_objects_fixture.h"

static const uint8_t digest[32] = "0123456789abcdef0123456789abcde";

static void begin_use(struct exchange *exchange, struct node *node, const struct caller *caller, struct id id,
                      enum mechanism_type mechanism)
{
    exchange_begin(exchange, node, caller);
    put_id(exchange, FIELD_OBJECT_ID, id.bytes);
    put_uint(exchange, FIELD_MECHANISM, mechanism);
}

static status_code sign_with(struct fixture *fixture, const struct caller *caller, struct id id)
{
    CLEANUP(exchange_end) struct exchange exchange;
    begin_use(&exchange, fixture->node, caller, id, MECHANISM_ECDSA);
    put_uint(&exchange, FIELD_HASH, HASH_SHA256);
    put_bytes(&exchange, FIELD_DATA, digest, sizeof digest);
    return exchange_run(&exchange, OP_SIGN);
}

static void what_one_node_signs_another_verifies(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange signing, verifying;
    struct id public_id, id = make_p256(fixture->node, &fixture->alice, "signer", &public_id);

    begin_use(&signing, fixture->node, &fixture->alice, id, MECHANISM_ECDSA);
    put_uint(&signing, FIELD_HASH, HASH_SHA256);
    put_bytes(&signing, FIELD_DATA, digest, sizeof digest);
    assert_int_equal(exchange_run(&signing, OP_SIGN), STATUS_OK);

    begin_use(&verifying, fixture->other, &fixture->bob, public_id, MECHANISM_ECDSA);
    put_uint(&verifying, FIELD_HASH, HASH_SHA256);
    put_bytes(&verifying, FIELD_DATA, digest, sizeof digest);
    put_copy(&verifying, FIELD_SIGNATURE, values_bytes(&signing.answer, FIELD_OUTPUT));
    assert_int_equal(exchange_run(&verifying, OP_VERIFY), STATUS_OK);
    verifying.kept[1].data[5] ^= 1;
    assert_int_equal(exchange_run(&verifying, OP_VERIFY), STATUS_SIGNATURE_INVALID);
}

static void keys_are_used_by_owner_and_sharees_only(void **state)
{
    struct fixture *fixture = *state;
    struct id id = make_p256(fixture->node, &fixture->alice, "mine", NULL);

    assert_int_equal(sign_with(fixture, &fixture->alice, id), STATUS_OK);
    assert_int_equal(sign_with(fixture, &fixture->bob, id), STATUS_OBJECT_NOT_FOUND);
    assert_int_equal(sign_with(fixture, &fixture->admin, id), STATUS_NOT_PERMITTED);
    assert_int_equal(sign_with(fixture, &fixture->auditor, id), STATUS_OBJECT_NOT_FOUND);
    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "bob", true), STATUS_OK);
    assert_int_equal(sign_with(fixture, &fixture->bob, id), STATUS_OK);
    assert_int_equal(sign_with(fixture, &fixture->carol, id), STATUS_OBJECT_NOT_FOUND);
    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "bob", false), STATUS_OK);
    assert_int_equal(sign_with(fixture, &fixture->bob, id), STATUS_OBJECT_NOT_FOUND);
}

static void usage_that_is_not_permitted_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct values change = template_empty();
    struct id id = make_p256(fixture->node, &fixture->alice, "no signing", NULL);

    values_put_bool(&change, ATTRIBUTE_SIGN, false);
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, id, &change), STATUS_OK);
    assert_int_equal(sign_with(fixture, &fixture->alice, id), STATUS_KEY_FUNCTION_NOT_PERMITTED);
}

static void dates_bound_private_use(void **state)
{
    struct fixture *fixture = *state;
    struct values change = template_empty();
    struct id id = make_p256(fixture->node, &fixture->alice, "dated", NULL);

    values_put_bytes(&change, ATTRIBUTE_START_DATE, slice_text("29991231"));
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, id, &change), STATUS_OK);
    assert_int_equal(sign_with(fixture, &fixture->alice, id), STATUS_KEY_FUNCTION_NOT_PERMITTED);
    values_put_bytes(&change, ATTRIBUTE_START_DATE, slice_text(""));
    values_put_bytes(&change, ATTRIBUTE_END_DATE, slice_text("20010101"));
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, id, &change), STATUS_OK);
    assert_int_equal(sign_with(fixture, &fixture->alice, id), STATUS_KEY_FUNCTION_NOT_PERMITTED);
    values_put_bytes(&change, ATTRIBUTE_END_DATE, slice_text("29991231"));
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, id, &change), STATUS_OK);
    assert_int_equal(sign_with(fixture, &fixture->alice, id), STATUS_OK);
}

static status_code encrypt_with(struct fixture *fixture, struct id id, enum mechanism_type mechanism)
{
    CLEANUP(exchange_end) struct exchange exchange;
    begin_use(&exchange, fixture->node, &fixture->alice, id, mechanism);
    if (mechanism == MECHANISM_AES_CBC_PAD || mechanism == MECHANISM_AES_CBC)
        put_bytes(&exchange, FIELD_NONCE, digest, 16);
    put_text(&exchange, FIELD_DATA, "sixteen octets..");
    return exchange_run(&exchange, OP_ENCRYPT);
}

static void allowed_mechanisms_are_the_only_ones(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes list = BYTES_INIT;
    static const uint64_t allowed[] = {MECHANISM_AES_GCM, MECHANISM_HMAC | HASH_SHA256 << 16};
    struct values more = template_empty();

    uints_encode(&list, allowed, 2);
    values_put_bytes(&more, ATTRIBUTE_ALLOWED_MECHANISMS, bytes_slice(&list));
    struct id id = make_aes(fixture->node, &fixture->alice, "gcm only", &more);
    assert_int_equal(encrypt_with(fixture, id, MECHANISM_AES_GCM), STATUS_OK);
    assert_int_equal(encrypt_with(fixture, id, MECHANISM_AES_CBC_PAD), STATUS_MECHANISM_INVALID);
}

/* The middle of what is padded travels as blocks of the unpadded mode. */
static void the_padded_mode_includes_the_unpadded_one(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes padded = BYTES_INIT, unpadded = BYTES_INIT;
    struct values more = template_empty();

    uints_encode(&padded, &(uint64_t){MECHANISM_AES_CBC_PAD}, 1);
    values_put_bytes(&more, ATTRIBUTE_ALLOWED_MECHANISMS, bytes_slice(&padded));
    struct id id = make_aes(fixture->node, &fixture->alice, "padded only", &more);
    assert_int_equal(encrypt_with(fixture, id, MECHANISM_AES_CBC_PAD), STATUS_OK);
    assert_int_equal(encrypt_with(fixture, id, MECHANISM_AES_CBC), STATUS_OK);
    assert_int_equal(encrypt_with(fixture, id, MECHANISM_AES_GCM), STATUS_MECHANISM_INVALID);
    uints_encode(&unpadded, &(uint64_t){MECHANISM_AES_CBC}, 1);
    values_put_bytes(&more, ATTRIBUTE_ALLOWED_MECHANISMS, bytes_slice(&unpadded));
    id = make_aes(fixture->node, &fixture->alice, "unpadded only", &more);
    assert_int_equal(encrypt_with(fixture, id, MECHANISM_AES_CBC_PAD), STATUS_MECHANISM_INVALID);
}

static void unknown_mechanisms_and_parameters_are_refused(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    struct id id = make_p256(fixture->node, &fixture->alice, "key", NULL);

    begin_use(&exchange, fixture->node, &fixture->alice, id, MECHANISM_ECDSA);
    put_bytes(&exchange, FIELD_DATA, digest, sizeof digest);
    put_uint(&exchange, FIELD_MECHANISM, 19); /* between numbers that are given */
    assert_int_equal(exchange_run(&exchange, OP_SIGN), STATUS_MECHANISM_INVALID);
    put_uint(&exchange, FIELD_MECHANISM, 60000);
    assert_int_equal(exchange_run(&exchange, OP_SIGN), STATUS_MECHANISM_INVALID);
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_ECDSA);
    put_uint(&exchange, FIELD_HASH, 200);
    assert_int_equal(exchange_run(&exchange, OP_SIGN), STATUS_MECHANISM_PARAM_INVALID);
    put_uint(&exchange, FIELD_HASH, HASH_SHA256);
    put_uint(&exchange, FIELD_KDF, 9);
    assert_int_equal(exchange_run(&exchange, OP_SIGN), STATUS_MECHANISM_PARAM_INVALID);
    values_remove(&exchange.request, FIELD_KDF);
    put_bytes(&exchange, FIELD_OBJECT_ID, digest, 5);
    assert_int_equal(exchange_run(&exchange, OP_SIGN), STATUS_INVALID_ARGUMENT);
}

static void encryption_comes_back(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange encrypting, decrypting;
    struct id id = make_aes(fixture->node, &fixture->alice, "cipher", NULL);

    begin_use(&encrypting, fixture->node, &fixture->alice, id, MECHANISM_AES_GCM);
    put_text(&encrypting, FIELD_DATA, "");
    put_text(&encrypting, FIELD_AAD, "context");
    assert_int_equal(exchange_run(&encrypting, OP_ENCRYPT), STATUS_OK);
    assert_int_equal(values_bytes(&encrypting.answer, FIELD_NONCE).len, 12);

    begin_use(&decrypting, fixture->other, &fixture->alice, id, MECHANISM_AES_GCM);
    put_copy(&decrypting, FIELD_DATA, values_bytes(&encrypting.answer, FIELD_OUTPUT));
    put_copy(&decrypting, FIELD_NONCE, values_bytes(&encrypting.answer, FIELD_NONCE));
    put_text(&decrypting, FIELD_AAD, "context");
    assert_int_equal(exchange_run(&decrypting, OP_DECRYPT), STATUS_OK);
    assert_true(values_has(&decrypting.answer, FIELD_OUTPUT)); /* an empty plaintext is an answer too */
    put_text(&decrypting, FIELD_AAD, "another");
    assert_int_equal(exchange_run(&decrypting, OP_DECRYPT), STATUS_CIPHERTEXT_INVALID);
}

/* Wrapping. */

static struct id make_wrapping(struct fixture *fixture, const struct caller *caller, const struct values *also)
{
    struct values more = also ? *also : template_empty();
    values_put_bool(&more, ATTRIBUTE_WRAP, true);
    values_put_bool(&more, ATTRIBUTE_UNWRAP, true);
    return make_aes(fixture->node, caller, "wrapping", &more);
}

static struct id make_extractable(struct fixture *fixture, bool with_trusted)
{
    struct values more = template_empty();
    values_put_bool(&more, ATTRIBUTE_EXTRACTABLE, true);
    values_put_bool(&more, ATTRIBUTE_WRAP_WITH_TRUSTED, with_trusted);
    return make_aes(fixture->node, &fixture->alice, "payload", &more);
}

static status_code wrap(struct fixture *fixture, const struct caller *caller, struct id wrapping, struct id payload,
                        struct bytes *wrapped)
{
    CLEANUP(exchange_end) struct exchange exchange;
    begin_use(&exchange, fixture->node, caller, wrapping, MECHANISM_AES_KEY_WRAP_PAD);
    put_id(&exchange, FIELD_SECOND_ID, payload.bytes);
    TRY(exchange_run(&exchange, OP_WRAP));
    return bytes_assign(wrapped, values_bytes(&exchange.answer, FIELD_OUTPUT));
}

static status_code unwrap(struct fixture *fixture, struct id wrapping, const struct bytes *wrapped,
                          const struct values *template, struct values *made, struct bytes *storage)
{
    CLEANUP(exchange_end) struct exchange exchange;
    begin_use(&exchange, fixture->other, &fixture->alice, new_id(), MECHANISM_AES_KEY_WRAP_PAD);
    put_id(&exchange, FIELD_REQUEST_ID, new_id().bytes);
    put_id(&exchange, FIELD_SECOND_ID, wrapping.bytes);
    put_copy(&exchange, FIELD_WRAPPED, bytes_slice(wrapped));
    put_template(&exchange, FIELD_ATTRIBUTES, template);
    TRY(exchange_run(&exchange, OP_UNWRAP));
    TRY(bytes_assign(storage, values_bytes(&exchange.answer, FIELD_ATTRIBUTES)));
    return values_decode_all(&ATTRIBUTE_SCHEMA, bytes_slice(storage), made);
}

static struct values secret_template(enum key_type type)
{
    struct values template = template_token("unwrapped");
    values_put_uint(&template, ATTRIBUTE_CLASS, CLASS_SECRET_KEY);
    values_put_uint(&template, ATTRIBUTE_KEY_TYPE, type);
    return template;
}

static void a_wrapped_key_comes_back_as_the_same_key(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes wrapped = BYTES_INIT, storage = BYTES_INIT, original = BYTES_INIT;
    struct id wrapping = make_wrapping(fixture, &fixture->alice, NULL), payload = make_extractable(fixture, false);
    struct values template = secret_template(KEY_AES), made, attributes;

    assert_int_equal(wrap(fixture, &fixture->alice, wrapping, payload, &wrapped), STATUS_OK);
    assert_int_equal(unwrap(fixture, wrapping, &wrapped, &template, &made, &storage), STATUS_OK);
    assert_true(look_at(fixture->node, &fixture->alice, payload, &attributes, &original));
    assert_true(values_equal_at(&ATTRIBUTE_SCHEMA, &made, &attributes, ATTRIBUTE_CHECK_VALUE));
    assert_false(values_bool(&made, ATTRIBUTE_LOCAL, true));
    assert_false(values_bool(&made, ATTRIBUTE_NEVER_EXTRACTABLE, true));
    wrapped.data[3] ^= 1;
    assert_int_equal(unwrap(fixture, wrapping, &wrapped, &template, &made, &storage), STATUS_WRAPPED_KEY_INVALID);
}

static void wrapping_respects_what_guards_the_key(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes wrapped = BYTES_INIT;
    struct id wrapping = make_wrapping(fixture, &fixture->alice, NULL);
    struct id fixed = make_aes(fixture->node, &fixture->alice, "fixed", NULL);
    struct id payload = make_extractable(fixture, false), guarded = make_extractable(fixture, true);
    struct id bobs = make_wrapping(fixture, &fixture->bob, NULL);
    struct values trust = template_empty(), change = template_empty();

    assert_int_equal(wrap(fixture, &fixture->alice, wrapping, fixed, &wrapped), STATUS_KEY_UNEXTRACTABLE);
    assert_int_equal(wrap(fixture, &fixture->alice, fixed, payload, &wrapped), STATUS_KEY_FUNCTION_NOT_PERMITTED);
    assert_int_equal(share_object(fixture->node, &fixture->alice, payload, "bob", true), STATUS_OK);
    assert_int_equal(wrap(fixture, &fixture->bob, bobs, payload, &wrapped), STATUS_NOT_PERMITTED);

    assert_int_equal(wrap(fixture, &fixture->alice, wrapping, guarded, &wrapped), STATUS_KEY_NOT_WRAPPABLE);
    values_put_bool(&trust, ATTRIBUTE_TRUSTED, true);
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, wrapping, &trust), STATUS_NOT_PERMITTED);
    assert_int_equal(set_attributes(fixture->node, &fixture->admin, wrapping, &trust), STATUS_OK);
    assert_int_equal(wrap(fixture, &fixture->alice, wrapping, guarded, &wrapped), STATUS_OK);
    /* What an administrator trusted stays as it was. */
    values_put_bool(&change, ATTRIBUTE_DECRYPT, false);
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, wrapping, &change), STATUS_ATTRIBUTE_READ_ONLY);
}

static void templates_of_wrapping_keys_rule(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release)
    struct bytes wrapped = BYTES_INIT, storage = BYTES_INIT, wrap_rule = BYTES_INIT, unwrap_rule = BYTES_INIT;
    struct values rule = template_empty(), more = template_empty(), made;
    struct values template = secret_template(KEY_AES);

    values_put_bytes(&rule, ATTRIBUTE_LABEL, slice_text("payload"));
    values_encode(&ATTRIBUTE_SCHEMA, &rule, &wrap_rule);
    values_put_bytes(&more, ATTRIBUTE_WRAP_TEMPLATE, bytes_slice(&wrap_rule));
    rule = template_empty();
    values_put_bool(&rule, ATTRIBUTE_SENSITIVE, true);
    values_put_bool(&rule, ATTRIBUTE_EXTRACTABLE, false);
    values_encode(&ATTRIBUTE_SCHEMA, &rule, &unwrap_rule);
    values_put_bytes(&more, ATTRIBUTE_UNWRAP_TEMPLATE, bytes_slice(&unwrap_rule));
    struct id wrapping = make_wrapping(fixture, &fixture->alice, &more);

    struct id payload = make_extractable(fixture, false), renamed = make_extractable(fixture, false);
    struct values change = template_empty();
    values_put_bytes(&change, ATTRIBUTE_LABEL, slice_text("another"));
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, renamed, &change), STATUS_OK);
    assert_int_equal(wrap(fixture, &fixture->alice, wrapping, renamed, &wrapped), STATUS_KEY_NOT_WRAPPABLE);
    assert_int_equal(wrap(fixture, &fixture->alice, wrapping, payload, &wrapped), STATUS_OK);

    values_put_bool(&template, ATTRIBUTE_EXTRACTABLE, true);
    assert_int_equal(unwrap(fixture, wrapping, &wrapped, &template, &made, &storage), STATUS_TEMPLATE_INCONSISTENT);
    values_remove(&template, ATTRIBUTE_EXTRACTABLE);
    assert_int_equal(unwrap(fixture, wrapping, &wrapped, &template, &made, &storage), STATUS_OK);
    assert_false(values_bool(&made, ATTRIBUTE_EXTRACTABLE, true));
}

/* Derivation. */

static status_code derive(struct fixture *fixture, const struct caller *caller, struct id base,
                          enum mechanism_type mechanism, const struct values *template, struct values *made,
                          struct bytes *storage)
{
    CLEANUP(exchange_end) struct exchange exchange;
    begin_use(&exchange, fixture->node, caller, new_id(), mechanism);
    put_id(&exchange, FIELD_REQUEST_ID, new_id().bytes);
    put_id(&exchange, FIELD_SECOND_ID, base.bytes);
    put_template(&exchange, FIELD_ATTRIBUTES, template);
    if (mechanism == MECHANISM_HKDF)
        put_uint(&exchange, FIELD_HASH, HASH_SHA256);
    else if (mechanism == MECHANISM_EXTRACT)
        put_uint(&exchange, FIELD_FLAGS, 9);
    else
        put_text(&exchange, FIELD_DATA, "some data");
    TRY(exchange_run(&exchange, OP_DERIVE));
    TRY(bytes_assign(storage, values_bytes(&exchange.answer, FIELD_ATTRIBUTES)));
    return values_decode_all(&ATTRIBUTE_SCHEMA, bytes_slice(storage), made);
}

static struct id make_base(struct fixture *fixture)
{
    CLEANUP(exchange_end) struct exchange exchange;
    struct values template = template_token("base");
    struct id id = new_id();
    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 32);
    values_put_bool(&template, ATTRIBUTE_DERIVE, true);
    begin_use(&exchange, fixture->node, &fixture->alice, id, MECHANISM_GENERIC_SECRET_KEY_GEN);
    put_id(&exchange, FIELD_REQUEST_ID, new_id().bytes);
    put_template(&exchange, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&exchange, OP_KEY_GENERATE), STATUS_OK);
    return id;
}

static void derived_keys_inherit_their_history(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT, again = BYTES_INIT;
    struct id base = make_base(fixture);
    struct values template = template_token("derived"), made, same;

    values_put_uint(&template, ATTRIBUTE_KEY_TYPE, KEY_AES);
    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 16);
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_HKDF, &template, &made, &storage), STATUS_OK);
    assert_true(values_bool(&made, ATTRIBUTE_ALWAYS_SENSITIVE, false));
    assert_true(values_bool(&made, ATTRIBUTE_NEVER_EXTRACTABLE, false));
    assert_false(values_bool(&made, ATTRIBUTE_LOCAL, true));
    assert_int_equal(values_uint(&made, ATTRIBUTE_VALUE_LEN, 0), 16);
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_HKDF, &template, &same, &again), STATUS_OK);
    assert_true(values_equal_at(&ATTRIBUTE_SCHEMA, &made, &same, ATTRIBUTE_CHECK_VALUE));
}

static void reversible_derivations_keep_the_guards_of_their_base(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
    struct id base = make_base(fixture);
    struct values template = template_token("derived"), made;

    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_CONCATENATE, &template, &made, &storage),
                     STATUS_OK);
    values_put_bool(&template, ATTRIBUTE_EXTRACTABLE, true);
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_CONCATENATE, &template, &made, &storage),
                     STATUS_TEMPLATE_INCONSISTENT);
    template = template_token("derived");
    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 2);
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_CONCATENATE, &template, &made, &storage),
                     STATUS_KEY_SIZE_RANGE);
    template = template_token("derived");
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_XOR, &template, &made, &storage),
                     STATUS_KEY_SIZE_RANGE);
    assert_int_equal(share_object(fixture->node, &fixture->alice, base, "bob", true), STATUS_OK);
    assert_int_equal(derive(fixture, &fixture->bob, base, MECHANISM_CONCATENATE, &template, &made, &storage),
                     STATUS_NOT_PERMITTED);
    assert_int_equal(derive(fixture, &fixture->bob, base, MECHANISM_HKDF, &template, &made, &storage), STATUS_OK);
}

static void parts_of_keys_are_guarded_and_not_small(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
    struct id base = make_base(fixture);
    struct values template = template_token("part"), made;

    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 15);
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_EXTRACT, &template, &made, &storage),
                     STATUS_KEY_SIZE_RANGE);
    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 16);
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_EXTRACT, &template, &made, &storage), STATUS_OK);
    values_put_bool(&template, ATTRIBUTE_EXTRACTABLE, true);
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_EXTRACT, &template, &made, &storage),
                     STATUS_TEMPLATE_INCONSISTENT);
    assert_int_equal(share_object(fixture->node, &fixture->alice, base, "bob", true), STATUS_OK);
    assert_int_equal(derive(fixture, &fixture->bob, base, MECHANISM_EXTRACT, &template, &made, &storage),
                     STATUS_NOT_PERMITTED);
}

static void hkdf_alone_derives_data(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
    struct id base = make_base(fixture);
    struct values template = template_token("data"), made;

    values_put_uint(&template, ATTRIBUTE_CLASS, CLASS_DATA);
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_XOR, &template, &made, &storage),
                     STATUS_TEMPLATE_INCONSISTENT);
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_HKDF, &template, &made, &storage), STATUS_OK);
    assert_int_equal(values_uint(&made, ATTRIBUTE_CLASS, 0), CLASS_DATA);
    assert_false(values_has(&made, ATTRIBUTE_VALUE));
    values_put_uint(&template, ATTRIBUTE_CLASS, CLASS_PRIVATE_KEY);
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_HKDF, &template, &made, &storage),
                     STATUS_TEMPLATE_INCONSISTENT);
    template = template_token("data");
    values_put_uint(&template, ATTRIBUTE_CLASS, CLASS_DATA);
    values_put_bool(&template, ATTRIBUTE_SENSITIVE, true);
    assert_int_equal(derive(fixture, &fixture->alice, base, MECHANISM_HKDF, &template, &made, &storage),
                     STATUS_ATTRIBUTE_TYPE_INVALID);
}

/* Encapsulation, where this OpenSSL has it. */

/* STATUS_NOT_SUPPORTED before OpenSSL 3.5. */
static status_code make_kem_pair(struct fixture *fixture, struct id private_id, struct id public_id)
{
    CLEANUP(exchange_end) struct exchange pair;
    struct values template = template_token("kem");

    begin_use(&pair, fixture->node, &fixture->alice, private_id, MECHANISM_ML_KEM_KEY_PAIR_GEN);
    put_id(&pair, FIELD_PUBLIC_ID, public_id.bytes);
    put_id(&pair, FIELD_REQUEST_ID, new_id().bytes);
    put_template(&pair, FIELD_ATTRIBUTES, &template);
    values_put_uint(&template, ATTRIBUTE_PARAMETER_SET, 768);
    put_template(&pair, FIELD_PUBLIC_ATTRIBUTES, &template);
    return exchange_run(&pair, OP_KEY_PAIR_GENERATE);
}

static void check_both_sides(struct fixture *fixture, struct id private_id, struct id public_id)
{
    CLEANUP(exchange_end) struct exchange encapsulating, again, decapsulating;
    struct id made = new_id(), request = new_id();
    struct values template = template_token("secret"), one, other;

    begin_use(&encapsulating, fixture->node, &fixture->alice, made, MECHANISM_ML_KEM);
    put_id(&encapsulating, FIELD_REQUEST_ID, request.bytes);
    put_id(&encapsulating, FIELD_SECOND_ID, public_id.bytes);
    put_template(&encapsulating, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&encapsulating, OP_ENCAPSULATE), STATUS_OK);
    begin_use(&again, fixture->other, &fixture->alice, made, MECHANISM_ML_KEM);
    put_id(&again, FIELD_REQUEST_ID, request.bytes);
    put_id(&again, FIELD_SECOND_ID, public_id.bytes);
    put_template(&again, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&again, OP_ENCAPSULATE), STATUS_OK);
    assert_true(
        slice_equal(values_bytes(&again.answer, FIELD_OUTPUT), values_bytes(&encapsulating.answer, FIELD_OUTPUT)));

    begin_use(&decapsulating, fixture->node, &fixture->alice, new_id(), MECHANISM_ML_KEM);
    put_id(&decapsulating, FIELD_REQUEST_ID, new_id().bytes);
    put_id(&decapsulating, FIELD_SECOND_ID, private_id.bytes);
    put_copy(&decapsulating, FIELD_DATA, values_bytes(&encapsulating.answer, FIELD_OUTPUT));
    put_template(&decapsulating, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&decapsulating, OP_DECAPSULATE), STATUS_OK);
    answer_attributes(&encapsulating, FIELD_ATTRIBUTES, &one);
    answer_attributes(&decapsulating, FIELD_ATTRIBUTES, &other);
    assert_true(values_equal_at(&ATTRIBUTE_SCHEMA, &one, &other, ATTRIBUTE_CHECK_VALUE));
}

static void an_encapsulated_secret_is_the_same_on_both_sides(void **state)
{
    struct fixture *fixture = *state;
    struct id private_id = new_id(), public_id = new_id();
    uint32_t bits_min, bits_max;

    if (!mechanism_available(MECHANISM_ML_KEM, &bits_min, &bits_max)) {
        assert_int_equal(make_kem_pair(fixture, private_id, public_id), STATUS_NOT_SUPPORTED);
        return;
    }
    assert_int_equal(make_kem_pair(fixture, private_id, public_id), STATUS_OK);
    check_both_sides(fixture, private_id, public_id);
}

/* In parts. */

static status_code run_part(struct exchange *exchange, struct node *node, const struct caller *caller, struct id id,
                            const char *operation, const struct bytes *state, const char *data, bool final)
{
    begin_use(exchange, node, caller, id, MECHANISM_AES_GCM);
    put_text(exchange, FIELD_OPERATION, operation);
    put_text(exchange, FIELD_DATA, data);
    values_put_bool(&exchange->request, FIELD_FINAL, final);
    if (state->len)
        put_copy(exchange, FIELD_STATE, bytes_slice(state));
    return exchange_run(exchange, OP_MULTIPART);
}

static void parts_may_go_to_different_nodes_and_their_state_fits_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange first, second, strange;
    CLEANUP(bytes_release) struct bytes sealed = BYTES_INIT, none = BYTES_INIT;
    struct id id = make_aes(fixture->node, &fixture->alice, "parts", NULL);
    struct id another = make_aes(fixture->node, &fixture->alice, "other", NULL);

    assert_int_equal(run_part(&first, fixture->node, &fixture->alice, id, "encrypt", &none, "hello ", false),
                     STATUS_OK);
    assert_int_equal(values_bytes(&first.answer, FIELD_NONCE).len, 12);
    assert_int_equal(bytes_assign(&sealed, values_bytes(&first.answer, FIELD_STATE)), STATUS_OK);
    assert_int_equal(run_part(&second, fixture->other, &fixture->alice, id, "encrypt", &sealed, "world", true),
                     STATUS_OK);
    assert_int_equal(values_bytes(&first.answer, FIELD_OUTPUT).len + values_bytes(&second.answer, FIELD_OUTPUT).len,
                     6 + 5 + 16);
    assert_false(values_has(&second.answer, FIELD_STATE));

    assert_int_equal(run_part(&strange, fixture->node, &fixture->alice, another, "encrypt", &sealed, "x", true),
                     STATUS_INVALID_ARGUMENT);
    exchange_end(&strange);
    assert_int_equal(run_part(&strange, fixture->node, &fixture->alice, id, "decrypt", &sealed, "x", true),
                     STATUS_INVALID_ARGUMENT);
    exchange_end(&strange);
    assert_int_equal(run_part(&strange, fixture->node, &fixture->alice, id, "sing", &sealed, "x", true),
                     STATUS_INVALID_ARGUMENT);
}

/* Random and the node itself. */

static void random_bytes_come_in_the_length_asked_for(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    exchange_begin(&exchange, fixture->node, &fixture->alice);
    put_uint(&exchange, FIELD_OUTPUT_LEN, 33);
    assert_int_equal(exchange_run(&exchange, OP_RANDOM), STATUS_OK);
    assert_int_equal(values_bytes(&exchange.answer, FIELD_OUTPUT).len, 33);
    put_uint(&exchange, FIELD_OUTPUT_LEN, 0);
    assert_int_equal(exchange_run(&exchange, OP_RANDOM), STATUS_DATA_LENGTH);
}

static void a_node_describes_itself(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    struct reader reader;
    struct values mechanism;
    uint32_t n;

    exchange_begin(&exchange, fixture->node, &fixture->admin);
    assert_int_equal(exchange_run(&exchange, OP_NODE_DESCRIBE), STATUS_OK);
    assert_int_equal(sets_begin(values_bytes(&exchange.answer, FIELD_SETS), &reader, &n), STATUS_OK);
    assert_true(n > 20);
    assert_int_equal(values_decode(&FIELD_SCHEMA, &reader, &mechanism), STATUS_OK);
    assert_int_equal(values_uint(&mechanism, FIELD_MECHANISM, 0), MECHANISM_RSA_KEY_PAIR_GEN);
    assert_int_equal(values_uint(&mechanism, FIELD_KEY_BITS_MIN, 0), 2048);
    assert_int_equal(sets_begin(values_bytes(&exchange.answer, FIELD_RECORDS), &reader, &n), STATUS_OK);
    assert_true(n > 10);
    assert_true(slice_equal(values_bytes(&exchange.answer, FIELD_STATE_NAME), slice_text("serving")));
}

static void versions_are_agreed_on(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    exchange_begin(&exchange, fixture->node, &fixture->alice);
    put_uint(&exchange, FIELD_VERSION_MIN, 1);
    put_uint(&exchange, FIELD_VERSION_MAX, 99);
    assert_int_equal(exchange_run(&exchange, OP_HELLO), STATUS_OK);
    assert_int_equal(values_uint(&exchange.answer, FIELD_VERSION, 0), PROTOCOL_VERSION);
    put_uint(&exchange, FIELD_VERSION_MIN, 98);
    assert_int_equal(exchange_run(&exchange, OP_HELLO), STATUS_VERSION_MISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_node_signs_another_verifies),
        cmocka_unit_test(keys_are_used_by_owner_and_sharees_only),
        cmocka_unit_test(usage_that_is_not_permitted_is_refused),
        cmocka_unit_test(dates_bound_private_use),
        cmocka_unit_test(the_padded_mode_includes_the_unpadded_one),
        cmocka_unit_test(allowed_mechanisms_are_the_only_ones),
        cmocka_unit_test(unknown_mechanisms_and_parameters_are_refused),
        cmocka_unit_test(encryption_comes_back),
        cmocka_unit_test(a_wrapped_key_comes_back_as_the_same_key),
        cmocka_unit_test(wrapping_respects_what_guards_the_key),
        cmocka_unit_test(templates_of_wrapping_keys_rule),
        cmocka_unit_test(derived_keys_inherit_their_history),
        cmocka_unit_test(reversible_derivations_keep_the_guards_of_their_base),
        cmocka_unit_test(parts_of_keys_are_guarded_and_not_small),
        cmocka_unit_test(hkdf_alone_derives_data),
        cmocka_unit_test(an_encapsulated_secret_is_the_same_on_both_sides),
        cmocka_unit_test(parts_may_go_to_different_nodes_and_their_state_fits_nothing_else),
        cmocka_unit_test(random_bytes_come_in_the_length_asked_for),
        cmocka_unit_test(a_node_describes_itself),
        cmocka_unit_test(versions_are_agreed_on),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
