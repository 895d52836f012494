/* Keys that want the user's password for each use: who proves it, for what, how often and how long. */
#include "node_objects_fixture.h"

#define PASSWORD "correct horse battery" /* of the fixture's users */

static const uint8_t digest[32] = "0123456789abcdef0123456789abcde", another[32] = "another message";

/* A proof as a client holds it. */
struct held {
    uint8_t bytes[TICKET_MAX];
    size_t len;
};

static status_code make_pair(struct fixture *fixture, bool private, struct id *id)
{
    CLEANUP(exchange_end) struct exchange exchange;
    struct values template = template_token("authenticated");

    *id = new_id();
    exchange_begin(&exchange, fixture->node, &fixture->alice);
    put_id(&exchange, FIELD_OBJECT_ID, id->bytes);
    put_id(&exchange, FIELD_PUBLIC_ID, new_id().bytes);
    put_id(&exchange, FIELD_REQUEST_ID, new_id().bytes);
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_EC_KEY_PAIR_GEN);
    values_put_bytes(&template, ATTRIBUTE_EC_PARAMS, curve_by_name("P256")->oid);
    put_template(&exchange, FIELD_PUBLIC_ATTRIBUTES, &template);
    values_put_bool(&template, ATTRIBUTE_ALWAYS_AUTHENTICATE, true);
    values_put_bool(&template, ATTRIBUTE_PRIVATE, private);
    put_template(&exchange, FIELD_ATTRIBUTES, &template);
    return exchange_run(&exchange, OP_KEY_PAIR_GENERATE);
}

static struct id make_key(struct fixture *fixture)
{
    struct id id;

    assert_int_equal(make_pair(fixture, true, &id), STATUS_OK);
    return id;
}

static status_code authenticate(struct node *node, const struct caller *caller, struct id id, const char *password,
                                struct held *held)
{
    CLEANUP(exchange_end) struct exchange exchange;

    exchange_begin(&exchange, node, caller);
    put_id(&exchange, FIELD_OBJECT_ID, id.bytes);
    put_text(&exchange, FIELD_PASSWORD, password);
    status_code status = exchange_run(&exchange, OP_KEY_AUTHENTICATE);
    struct slice proof = values_bytes(&exchange.answer, FIELD_TICKET);

    held->len = proof.len;
    if (proof.len)
        memcpy(held->bytes, proof.data, proof.len);
    return status;
}

static status_code sign(struct node *node, const struct caller *caller, struct id id, const uint8_t data[32],
                        const struct held *held)
{
    CLEANUP(exchange_end) struct exchange exchange;

    exchange_begin(&exchange, node, caller);
    put_id(&exchange, FIELD_OBJECT_ID, id.bytes);
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_ECDSA);
    put_uint(&exchange, FIELD_HASH, HASH_SHA256);
    put_bytes(&exchange, FIELD_DATA, data, 32);
    if (held)
        put_bytes(&exchange, FIELD_USE_PROOF, held->bytes, held->len);
    return exchange_run(&exchange, OP_SIGN);
}

static void without_a_proof_the_key_is_not_used(void **state)
{
    struct fixture *fixture = *state;
    struct id id = make_key(fixture);
    struct held nonsense = {"nonsense", 8};

    assert_int_equal(sign(fixture->node, &fixture->alice, id, digest, NULL), STATUS_AUTHENTICATION_NEEDED);
    assert_int_equal(sign(fixture->node, &fixture->alice, id, digest, &nonsense), STATUS_AUTHENTICATION_NEEDED);
}

static void a_proof_is_for_one_request_and_its_resends(void **state)
{
    struct fixture *fixture = *state;
    struct id id = make_key(fixture);
    struct held held;

    assert_int_equal(authenticate(fixture->node, &fixture->alice, id, PASSWORD, &held), STATUS_OK);
    assert_int_equal(sign(fixture->node, &fixture->alice, id, digest, &held), STATUS_OK);
    assert_int_equal(sign(fixture->node, &fixture->alice, id, digest, &held), STATUS_OK);
    assert_int_equal(sign(fixture->node, &fixture->alice, id, another, &held), STATUS_AUTHENTICATION_NEEDED);
    /* Where the client goes when the node is gone. */
    assert_int_equal(sign(fixture->other, &fixture->alice, id, digest, &held), STATUS_OK);
    assert_int_equal(sign(fixture->other, &fixture->alice, id, another, &held), STATUS_AUTHENTICATION_NEEDED);
}

static void a_proof_is_for_one_key_one_user_and_one_session(void **state)
{
    struct fixture *fixture = *state;
    struct id id = make_key(fixture), second = make_key(fixture);
    struct caller elsewhere = fixture->alice;
    struct held held;

    assert_int_equal(authenticate(fixture->node, &fixture->alice, id, PASSWORD, &held), STATUS_OK);
    assert_int_equal(sign(fixture->node, &fixture->alice, second, digest, &held), STATUS_AUTHENTICATION_NEEDED);
    memset(elsewhere.session_id, 7, ID_LEN);
    assert_int_equal(sign(fixture->node, &elsewhere, id, digest, &held), STATUS_AUTHENTICATION_NEEDED);
    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "bob", true), STATUS_OK);
    assert_int_equal(sign(fixture->node, &fixture->bob, id, digest, &held), STATUS_AUTHENTICATION_NEEDED);
    assert_int_equal(authenticate(fixture->node, &fixture->bob, id, PASSWORD, &held), STATUS_OK);
    assert_int_equal(sign(fixture->node, &fixture->bob, id, digest, &held), STATUS_OK);
}

static void a_wrong_password_proves_nothing_and_counts(void **state)
{
    struct fixture *fixture = *state;
    struct id id = make_key(fixture);
    struct held held;
    status_code status = STATUS_LOGIN_FAILED;

    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "carol", true), STATUS_OK);
    for (int i = 0; i < 100 && status == STATUS_LOGIN_FAILED; i++)
        status = authenticate(fixture->node, &fixture->carol, id, "a wrong password", &held);
    assert_int_equal(status, STATUS_USER_LOCKED);
    assert_int_equal(held.len, 0);
}

static void a_new_password_ends_proofs_of_the_old_one(void **state)
{
    struct fixture *fixture = *state;
    struct id id = make_key(fixture);
    struct held held;
    struct slice bob = slice_text("bob");

    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "bob", true), STATUS_OK);
    assert_int_equal(authenticate(fixture->node, &fixture->bob, id, PASSWORD, &held), STATUS_OK);
    assert_int_equal(users_change_password(fixture->node->users, &fixture->bob, bob, slice_text(PASSWORD),
                                           slice_text("another password")),
                     STATUS_OK);
    assert_int_equal(sign(fixture->node, &fixture->bob, id, digest, &held), STATUS_AUTHENTICATION_NEEDED);
    assert_int_equal(users_change_password(fixture->node->users, &fixture->bob, bob, slice_text("another password"),
                                           slice_text(PASSWORD)),
                     STATUS_OK);
}

static void it_is_for_private_keys_that_are_private(void **state)
{
    struct fixture *fixture = *state;
    struct values more = template_empty();
    CLEANUP(exchange_end) struct exchange exchange;
    struct id id;

    assert_int_equal(make_pair(fixture, false, &id), STATUS_TEMPLATE_INCONSISTENT);
    more = template_token("secret");
    values_put_uint(&more, ATTRIBUTE_VALUE_LEN, 32);
    values_put_bool(&more, ATTRIBUTE_ALWAYS_AUTHENTICATE, true);
    exchange_begin(&exchange, fixture->node, &fixture->alice);
    put_id(&exchange, FIELD_OBJECT_ID, new_id().bytes);
    put_id(&exchange, FIELD_REQUEST_ID, new_id().bytes);
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_AES_KEY_GEN);
    put_template(&exchange, FIELD_ATTRIBUTES, &more);
    assert_int_equal(exchange_run(&exchange, OP_KEY_GENERATE), STATUS_ATTRIBUTE_TYPE_INVALID);
}

static void it_is_never_taken_off(void **state)
{
    struct fixture *fixture = *state;
    struct id id = make_key(fixture);
    struct values change = template_empty();
    CLEANUP(exchange_end) struct exchange exchange;
    struct id copy = new_id();

    values_put_bool(&change, ATTRIBUTE_ALWAYS_AUTHENTICATE, false);
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, id, &change), STATUS_ATTRIBUTE_READ_ONLY);
    exchange_begin(&exchange, fixture->node, &fixture->alice);
    put_id(&exchange, FIELD_OBJECT_ID, copy.bytes);
    put_id(&exchange, FIELD_REQUEST_ID, new_id().bytes);
    put_id(&exchange, FIELD_SECOND_ID, id.bytes);
    put_template(&exchange, FIELD_ATTRIBUTES, &change);
    assert_int_equal(exchange_run(&exchange, OP_OBJECT_COPY), STATUS_ATTRIBUTE_READ_ONLY);
    change = template_token("copy");
    put_template(&exchange, FIELD_ATTRIBUTES, &change);
    assert_int_equal(exchange_run(&exchange, OP_OBJECT_COPY), STATUS_OK);
    assert_int_equal(sign(fixture->node, &fixture->alice, copy, digest, NULL), STATUS_AUTHENTICATION_NEEDED);
}

static void other_keys_need_no_proof_and_get_none(void **state)
{
    struct fixture *fixture = *state;
    struct id id = make_p256(fixture->node, &fixture->alice, "plain", NULL);
    struct held held;

    assert_int_equal(authenticate(fixture->node, &fixture->alice, id, PASSWORD, &held), STATUS_INVALID_ARGUMENT);
    assert_int_equal(sign(fixture->node, &fixture->alice, id, digest, NULL), STATUS_OK);
}

static void a_proof_is_good_for_two_minutes(void **state)
{
    struct fixture *fixture = *state;
    struct id id = make_key(fixture);
    struct held held;

    assert_int_equal(authenticate(fixture->node, &fixture->alice, id, PASSWORD, &held), STATUS_OK);
    atomic_fetch_add(&fixture->node->clock_offset_ms, 121000);
    assert_int_equal(sign(fixture->node, &fixture->alice, id, digest, &held), STATUS_AUTHENTICATION_NEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_proof_the_key_is_not_used),
        cmocka_unit_test(a_proof_is_for_one_request_and_its_resends),
        cmocka_unit_test(a_proof_is_for_one_key_one_user_and_one_session),
        cmocka_unit_test(a_wrong_password_proves_nothing_and_counts),
        cmocka_unit_test(a_new_password_ends_proofs_of_the_old_one),
        cmocka_unit_test(it_is_for_private_keys_that_are_private),
        cmocka_unit_test(it_is_never_taken_off),
        cmocka_unit_test(other_keys_need_no_proof_and_get_none),
        cmocka_unit_test(a_proof_is_good_for_two_minutes),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
