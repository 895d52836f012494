/* Records in the store: what was altered, swapped or set back does not open. */
#include "node_objects_fixture.h"

#include "object/object_internal.h"

struct stored {
    struct bytes value;
    uint64_t version;
};

static struct stored stored_of(struct node *node, struct id id)
{
    struct stored stored = {.value = BYTES_INIT};
    assert_int_equal(node->store->operations->read(node->store, STORE_OBJECT, id.bytes, &stored.value, &stored.version),
                     STATUS_OK);
    return stored;
}

/** Puts bytes in place of a record, as somebody with access to the file could. */
static void overwrite(struct node *node, struct id id, struct slice value)
{
    struct stored now = stored_of(node, id);
    struct store_write write = {.kind = STORE_OBJECT, .expected_version = now.version, .value = value};
    uint64_t revision;
    memcpy(write.id, id.bytes, ID_LEN);
    assert_int_equal(node->store->operations->write(node->store, &write, 1, &revision), STATUS_OK);
    objects_forget(node->objects, id.bytes);
    bytes_release(&now.value);
}

static status_code get(struct fixture *fixture, struct id id, struct object **object)
{
    return object_get(fixture->node->objects, &fixture->alice, slice_of(id.bytes, ID_LEN), slice_of(NULL, 0), object);
}

static void every_byte_of_a_record_matters(void **state)
{
    struct fixture *fixture = *state;
    struct node *node = fixture->node;
    struct id id = make_aes(node, &fixture->alice, "record", NULL);
    struct stored stored = stored_of(node, id);
    struct object_record record;
    size_t n_opened = 0;

    for (size_t at = 0; at < stored.value.len; at++) {
        CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT, material = BYTES_SECRET;
        stored.value.data[at] ^= 0x40;
        status_code code = object_record_open(node->objects, id.bytes, stored.version, bytes_slice(&stored.value),
                                              &plaintext, &record);
        if (code == STATUS_OK)
            code = object_record_open_material(node->objects, id.bytes, stored.version, record.encoded,
                                               record.sealed_material, &material);
        n_opened += code == STATUS_OK;
        stored.value.data[at] ^= 0x40;
    }
    assert_int_equal(n_opened, 0);
    bytes_release(&stored.value);
}

static void a_record_does_not_stand_in_for_another(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(object_release) struct object *object = NULL;
    struct id one = make_aes(fixture->node, &fixture->alice, "one", NULL);
    struct id two = make_aes(fixture->node, &fixture->alice, "two", NULL);
    struct stored stored = stored_of(fixture->node, one);

    overwrite(fixture->node, two, bytes_slice(&stored.value));
    assert_int_equal(get(fixture, two, &object), STATUS_STORE_DAMAGED);
    bytes_release(&stored.value);
}

static void an_older_version_does_not_come_back(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(object_release) struct object *object = NULL;
    struct id id = make_aes(fixture->node, &fixture->alice, "old", NULL);
    struct stored stored = stored_of(fixture->node, id);
    struct values change = template_empty();

    values_put_bytes(&change, ATTRIBUTE_LABEL, slice_text("new"));
    assert_int_equal(set_attributes(fixture->node, &fixture->alice, id, &change), STATUS_OK);
    overwrite(fixture->node, id, bytes_slice(&stored.value));
    assert_int_equal(get(fixture, id, &object), STATUS_STORE_DAMAGED);
    bytes_release(&stored.value);
}

/** Parts of two records of one object, each sealed right, do not make a record. */
static void material_fits_its_own_attributes_only(void **state)
{
    struct fixture *fixture = *state;
    struct node *node = fixture->node;
    CLEANUP(bytes_release)
    struct bytes plaintext = BYTES_INIT, forged = BYTES_INIT, opened = BYTES_INIT, material = BYTES_SECRET,
                 attributes = BYTES_INIT;
    struct id id = make_aes(node, &fixture->alice, "genuine", NULL);
    struct stored stored = stored_of(node, id);
    struct object_record record, other;
    struct values changed;

    assert_int_equal(object_record_open(node->objects, id.bytes, 1, bytes_slice(&stored.value), &plaintext, &record),
                     STATUS_OK);
    assert_int_equal(values_decode_all(&ATTRIBUTE_SCHEMA, record.content.attributes, &changed), STATUS_OK);
    values_put_bool(&changed, ATTRIBUTE_EXTRACTABLE, true);
    values_encode(&ATTRIBUTE_SCHEMA, &changed, &attributes);
    struct content content = record.content;
    content.attributes = bytes_slice(&attributes);
    assert_int_equal(object_record_seal(node->objects, id.bytes, 1, &content, slice_text("m"), &forged), STATUS_OK);
    assert_int_equal(object_record_open(node->objects, id.bytes, 1, bytes_slice(&forged), &opened, &other), STATUS_OK);
    assert_int_equal(
        object_record_open_material(node->objects, id.bytes, 1, other.encoded, record.sealed_material, &material),
        STATUS_STORE_DAMAGED);
    assert_int_equal(
        object_record_open_material(node->objects, id.bytes, 1, record.encoded, record.sealed_material, &material),
        STATUS_OK);
    bytes_release(&stored.value);
}

static void junk_in_the_store_is_an_error_and_no_crash(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(object_release) struct object *object = NULL;
    static const char *const junk[] = {"", "x", "\x93\x01", "\x93\x01\xc4\x00\xc4\x00", "\xdf\xff\xff\xff\xff"};
    struct id id = make_aes(fixture->node, &fixture->alice, "junk", NULL);

    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
        overwrite(fixture->node, id, slice_text(junk[i]));
        assert_int_equal(get(fixture, id, &object), STATUS_STORE_DAMAGED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_a_record_matters),
        cmocka_unit_test(a_record_does_not_stand_in_for_another),
        cmocka_unit_test(an_older_version_does_not_come_back),
        cmocka_unit_test(material_fits_its_own_attributes_only),
        cmocka_unit_test(junk_in_the_store_is_an_error_and_no_crash),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
