/* Changing, sharing and deleting objects: the safe direction, who may, resends, and what other nodes see of it. */
#include "node_objects_fixture.h"

static status_code set_flag(struct fixture *fixture, const struct caller *caller, struct id id,
                            enum attribute attribute, bool value)
{
    struct values change = template_empty();
    values_put_bool(&change, attribute, value);
    return set_attributes(fixture->node, caller, id, &change);
}

static status_code delete_as(struct node *node, const struct caller *caller, struct id id, struct id request)
{
    CLEANUP(exchange_end) struct exchange exchange;
    exchange_begin(&exchange, node, caller);
    put_id(&exchange, FIELD_OBJECT_ID, id.bytes);
    put_id(&exchange, FIELD_REQUEST_ID, request.bytes);
    return exchange_run(&exchange, OP_OBJECT_DELETE);
}

static void flags_change_in_the_safe_direction_only(void **state)
{
    struct fixture *fixture = *state;
    struct values more = template_empty();
    values_put_bool(&more, ATTRIBUTE_SENSITIVE, false);
    values_put_bool(&more, ATTRIBUTE_EXTRACTABLE, true);
    struct id id = make_aes(fixture->node, &fixture->alice, "open", &more);

    assert_int_equal(set_flag(fixture, &fixture->alice, id, ATTRIBUTE_SENSITIVE, true), STATUS_OK);
    assert_int_equal(set_flag(fixture, &fixture->alice, id, ATTRIBUTE_SENSITIVE, false), STATUS_ATTRIBUTE_READ_ONLY);
    assert_int_equal(set_flag(fixture, &fixture->alice, id, ATTRIBUTE_EXTRACTABLE, false), STATUS_OK);
    assert_int_equal(set_flag(fixture, &fixture->alice, id, ATTRIBUTE_EXTRACTABLE, true), STATUS_ATTRIBUTE_READ_ONLY);
    assert_int_equal(set_flag(fixture, &fixture->alice, id, ATTRIBUTE_WRAP_WITH_TRUSTED, true), STATUS_OK);
    assert_int_equal(set_flag(fixture, &fixture->alice, id, ATTRIBUTE_WRAP_WITH_TRUSTED, false),
                     STATUS_ATTRIBUTE_READ_ONLY);
    /* History is not rewritten by it. */
    assert_false(flag_of(fixture->node, &fixture->alice, id, ATTRIBUTE_ALWAYS_SENSITIVE));
    assert_false(flag_of(fixture->node, &fixture->alice, id, ATTRIBUTE_NEVER_EXTRACTABLE));
}

static void what_is_fixed_cannot_be_set(void **state)
{
    struct fixture *fixture = *state;
    struct id id = make_aes(fixture->node, &fixture->alice, "fixed", NULL);
    struct values change = template_empty();

    assert_int_equal(set_flag(fixture, &fixture->alice, id, ATTRIBUTE_TOKEN, false), STATUS_ATTRIBUTE_READ_ONLY);
    assert_int_equal(set_flag(fixture, &fixture->alice, id, ATTRIBUTE_LOCAL, false), STATUS_ATTRIBUTE_READ_ONLY);
    assert_int_equal(set_flag(fixture, &fixture->alice, id, ATTRIBUTE_ENCAPSULATE, true),
                     STATUS_ATTRIBUTE_TYPE_INVALID);
    values_put_uint(&change, ATTRIBUTE_KEY_TYPE, KEY_DES3);
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, id, &change), STATUS_ATTRIBUTE_READ_ONLY);
    change = template_empty();
    values_put_bytes(&change, ATTRIBUTE_VALUE, slice_text("value"));
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, id, &change), STATUS_ATTRIBUTE_READ_ONLY);

    struct values more = template_empty();
    values_put_bool(&more, ATTRIBUTE_MODIFIABLE, false);
    struct id constant = make_aes(fixture->node, &fixture->alice, "constant", &more);
    assert_int_equal(set_flag(fixture, &fixture->alice, constant, ATTRIBUTE_ENCRYPT, false), STATUS_NOT_PERMITTED);
}

static void only_the_owner_changes_and_administrators_trust(void **state)
{
    struct fixture *fixture = *state;
    struct id id = make_aes(fixture->node, &fixture->alice, "owned", NULL);

    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "bob", true), STATUS_OK);
    assert_int_equal(set_flag(fixture, &fixture->bob, id, ATTRIBUTE_ENCRYPT, false), STATUS_NOT_PERMITTED);
    assert_int_equal(share_object(fixture->node, &fixture->bob, id, "carol", true), STATUS_NOT_PERMITTED);
    assert_int_equal(delete_as(fixture->node, &fixture->bob, id, new_id()), STATUS_NOT_PERMITTED);
    assert_int_equal(set_flag(fixture, &fixture->carol, id, ATTRIBUTE_ENCRYPT, false), STATUS_OBJECT_NOT_FOUND);
    assert_int_equal(set_flag(fixture, &fixture->auditor, id, ATTRIBUTE_ENCRYPT, false), STATUS_NOT_PERMITTED);
    assert_int_equal(set_flag(fixture, &fixture->admin, id, ATTRIBUTE_ENCRYPT, false), STATUS_NOT_PERMITTED);
    assert_int_equal(set_flag(fixture, &fixture->admin, id, ATTRIBUTE_TRUSTED, true), STATUS_OK);
    assert_true(flag_of(fixture->node, &fixture->admin, id, ATTRIBUTE_TRUSTED));
    assert_int_equal(set_flag(fixture, &fixture->admin, id, ATTRIBUTE_TRUSTED, false), STATUS_OK);
}

static void sharing_tells_with_whom(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
    struct values attributes;
    struct id id = make_aes(fixture->node, &fixture->alice, "shared", NULL);

    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "bob", true), STATUS_OK);
    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "carol", true), STATUS_OK);
    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "bob", true), STATUS_OK);
    assert_true(look_at(fixture->node, &fixture->carol, id, &attributes, &storage));
    assert_true(slice_equal(values_bytes(&attributes, ATTRIBUTE_SHARED_WITH), slice_text("carol,bob")));
    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "carol", false), STATUS_OK);
    assert_false(look_at(fixture->node, &fixture->carol, id, &attributes, &storage));
    assert_true(look_at(fixture->node, &fixture->bob, id, &attributes, &storage));

    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "nobody", true), STATUS_USER_NOT_FOUND);
    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "admin", true), STATUS_NOT_PERMITTED);
    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "alice", true), STATUS_INVALID_ARGUMENT);
}

/* It stood in the queue of a node that was halted, was sent again to another, and the object has changed since. */
static void a_change_that_arrives_late_again_is_not_done_again(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange unshare;
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
    struct values attributes;
    struct id id = make_aes(fixture->node, &fixture->alice, "late", NULL);

    assert_int_equal(share_object(fixture->node, &fixture->alice, id, "bob", true), STATUS_OK);
    exchange_begin(&unshare, fixture->node, &fixture->alice);
    put_id(&unshare, FIELD_OBJECT_ID, id.bytes);
    put_id(&unshare, FIELD_REQUEST_ID, new_id().bytes);
    put_text(&unshare, FIELD_USER_NAME, "bob");
    put_uint(&unshare, FIELD_FLAGS, 1);
    assert_int_equal(exchange_run(&unshare, OP_OBJECT_SHARE), STATUS_OK);
    for (unsigned i = 0; i < 15; i++)
        assert_int_equal(share_object(fixture->node, &fixture->alice, id, i % 2 ? "carol" : "bob", true), STATUS_OK);
    unshare.node = fixture->other;
    assert_int_equal(exchange_run(&unshare, OP_OBJECT_SHARE), STATUS_OK);
    assert_true(look_at(fixture->other, &fixture->bob, id, &attributes, &storage));
}

static void a_resent_change_is_done_once(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    struct id id = make_aes(fixture->node, &fixture->alice, "before", NULL);
    struct values change = template_empty();
    uint64_t version = 0;

    values_put_bytes(&change, ATTRIBUTE_LABEL, slice_text("after"));
    exchange_begin(&exchange, fixture->node, &fixture->alice);
    put_id(&exchange, FIELD_OBJECT_ID, id.bytes);
    put_id(&exchange, FIELD_REQUEST_ID, new_id().bytes);
    put_template(&exchange, FIELD_ATTRIBUTES, &change);
    assert_int_equal(exchange_run(&exchange, OP_OBJECT_SET), STATUS_OK);
    exchange.node = fixture->other;
    assert_int_equal(exchange_run(&exchange, OP_OBJECT_SET), STATUS_OK);
    answer_attributes(&exchange, FIELD_ATTRIBUTES, &change);
    assert_true(slice_equal(values_bytes(&change, ATTRIBUTE_LABEL), slice_text("after")));
    assert_int_equal(
        fixture->node->store->operations->read(fixture->node->store, STORE_OBJECT, id.bytes, &value, &version),
        STATUS_OK);
    assert_int_equal(version, 2);
}

static void a_deleted_key_is_gone_everywhere_and_its_deletion_may_be_resent(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
    struct values attributes;
    struct id id = make_aes(fixture->node, &fixture->alice, "doomed", NULL), request = new_id();

    assert_true(look_at(fixture->other, &fixture->alice, id, &attributes, &storage)); /* cached there */
    assert_int_equal(delete_as(fixture->node, &fixture->alice, id, request), STATUS_OK);
    assert_false(look_at(fixture->node, &fixture->alice, id, &attributes, &storage));
    assert_int_equal(node_catch_up(fixture->other, atomic_load(&fixture->node->revision)), STATUS_OK);
    assert_false(look_at(fixture->other, &fixture->alice, id, &attributes, &storage));

    assert_int_equal(delete_as(fixture->other, &fixture->alice, id, request), STATUS_OK);
    assert_int_equal(delete_as(fixture->other, &fixture->alice, id, new_id()), STATUS_OBJECT_NOT_FOUND);
    assert_int_equal(delete_as(fixture->other, &fixture->bob, id, request), STATUS_OBJECT_NOT_FOUND);
    assert_int_equal(delete_as(fixture->node, &fixture->alice, new_id(), new_id()), STATUS_OBJECT_NOT_FOUND);
}

static void a_late_resend_of_its_creation_does_not_bring_a_key_back(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange exchange;
    struct id id = new_id(), request = new_id();
    struct values template = template_token("revenant");

    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 32);
    exchange_begin(&exchange, fixture->node, &fixture->alice);
    put_id(&exchange, FIELD_OBJECT_ID, id.bytes);
    put_id(&exchange, FIELD_REQUEST_ID, request.bytes);
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_AES_KEY_GEN);
    put_template(&exchange, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&exchange, OP_KEY_GENERATE), STATUS_OK);
    assert_int_equal(delete_as(fixture->node, &fixture->alice, id, new_id()), STATUS_OK);
    assert_int_equal(exchange_run(&exchange, OP_KEY_GENERATE), STATUS_ALREADY_EXISTS);
}

static void what_is_not_destroyable_stays(void **state)
{
    struct fixture *fixture = *state;
    struct values more = template_empty();
    values_put_bool(&more, ATTRIBUTE_DESTROYABLE, false);
    struct id id = make_aes(fixture->node, &fixture->alice, "eternal", &more);
    assert_int_equal(delete_as(fixture->node, &fixture->alice, id, new_id()), STATUS_NOT_PERMITTED);
    assert_false(flag_of(fixture->node, &fixture->alice, id, ATTRIBUTE_DESTROYABLE));
}

static void owners_of_keys_are_counted(void **state)
{
    struct fixture *fixture = *state;
    struct node *node = fixture->node;
    uint64_t before = 0, n = 0;

    assert_int_equal(objects_count_owned(node->objects, fixture->carol.user_id, &before), STATUS_OK);
    struct id id = make_aes(node, &fixture->carol, "one", NULL);
    make_p256(node, &fixture->carol, "two", NULL);
    assert_int_equal(objects_count_owned(node->objects, fixture->carol.user_id, &n), STATUS_OK);
    assert_int_equal(n, before + 3);
    assert_int_equal(delete_as(node, &fixture->carol, id, new_id()), STATUS_OK);
    assert_int_equal(objects_count_owned(node->objects, fixture->carol.user_id, &n), STATUS_OK);
    assert_int_equal(n, before + 2);
}

static void a_session_objects_change_is_a_new_blob(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(exchange_end) struct exchange made, changed, looked;
    struct values template = template_empty(), change = template_empty(), attributes;
    struct id id = new_id();

    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 32);
    exchange_begin(&made, fixture->node, &fixture->alice);
    put_id(&made, FIELD_OBJECT_ID, id.bytes);
    put_id(&made, FIELD_REQUEST_ID, new_id().bytes);
    put_uint(&made, FIELD_MECHANISM, MECHANISM_AES_KEY_GEN);
    put_template(&made, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&made, OP_KEY_GENERATE), STATUS_OK);

    values_put_bytes(&change, ATTRIBUTE_LABEL, slice_text("renamed"));
    exchange_begin(&changed, fixture->other, &fixture->alice);
    put_id(&changed, FIELD_OBJECT_ID, id.bytes);
    put_id(&changed, FIELD_REQUEST_ID, new_id().bytes);
    put_copy(&changed, FIELD_BLOB, values_bytes(&made.answer, FIELD_BLOB));
    put_template(&changed, FIELD_ATTRIBUTES, &change);
    assert_int_equal(exchange_run(&changed, OP_OBJECT_SET), STATUS_OK);

    exchange_begin(&looked, fixture->node, &fixture->alice);
    put_id(&looked, FIELD_OBJECT_ID, id.bytes);
    put_copy(&looked, FIELD_BLOB, values_bytes(&changed.answer, FIELD_BLOB));
    assert_int_equal(exchange_run(&looked, OP_OBJECT_GET), STATUS_OK);
    answer_attributes(&looked, FIELD_ATTRIBUTES, &attributes);
    assert_true(slice_equal(values_bytes(&attributes, ATTRIBUTE_LABEL), slice_text("renamed")));
    put_id(&looked, FIELD_REQUEST_ID, new_id().bytes);
    assert_int_equal(exchange_run(&looked, OP_OBJECT_DELETE), STATUS_OK);
}

/* Concurrent changes: none is lost. */

struct labelling {
    struct fixture *fixture;
    struct id id;
    enum attribute attribute;
    status_code code;
};

static void *change_own_attribute(void *context)
{
    struct labelling *labelling = context;
    struct node *node = labelling->attribute == ATTRIBUTE_LABEL ? labelling->fixture->node : labelling->fixture->other;
    for (int i = 0; i < 10 && labelling->code == STATUS_OK; i++) {
        struct values change = template_empty();
        values_put_bytes(&change, labelling->attribute, slice_of(&"0123456789"[i], 1));
        labelling->code = set_attributes(node, &labelling->fixture->alice, labelling->id, &change);
    }
    return NULL;
}

static void concurrent_changes_of_one_object_are_all_done(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
    struct values attributes;
    struct id id = make_aes(fixture->node, &fixture->alice, "busy", NULL);
    struct labelling both[] = {{fixture, id, ATTRIBUTE_LABEL, STATUS_OK}, {fixture, id, ATTRIBUTE_ID, STATUS_OK}};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, change_own_attribute, &both[1]), 0);
    change_own_attribute(&both[0]);
    pthread_join(thread, NULL);
    assert_int_equal(both[0].code, STATUS_OK);
    assert_int_equal(both[1].code, STATUS_OK);
    assert_int_equal(node_catch_up(fixture->node, atomic_load(&fixture->other->revision)), STATUS_OK);
    assert_true(look_at(fixture->node, &fixture->alice, id, &attributes, &storage));
    assert_true(slice_equal(values_bytes(&attributes, ATTRIBUTE_LABEL), slice_text("9")));
    assert_true(slice_equal(values_bytes(&attributes, ATTRIBUTE_ID), slice_text("9")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_change_in_the_safe_direction_only),
        cmocka_unit_test(what_is_fixed_cannot_be_set),
        cmocka_unit_test(only_the_owner_changes_and_administrators_trust),
        cmocka_unit_test(sharing_tells_with_whom),
        cmocka_unit_test(a_change_that_arrives_late_again_is_not_done_again),
        cmocka_unit_test(a_resent_change_is_done_once),
        cmocka_unit_test(a_deleted_key_is_gone_everywhere_and_its_deletion_may_be_resent),
        cmocka_unit_test(a_late_resend_of_its_creation_does_not_bring_a_key_back),
        cmocka_unit_test(what_is_not_destroyable_stays),
        cmocka_unit_test(owners_of_keys_are_counted),
        cmocka_unit_test(a_session_objects_change_is_a_new_blob),
        cmocka_unit_test(concurrent_changes_of_one_object_are_all_done),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
