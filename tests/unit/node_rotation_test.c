/* Two masking keys at once: searches and counts see every record once, whatever it is sealed under, and sealing anew
 * leaves nothing behind, also when records change meanwhile. */
#include "node_objects_fixture.h"

#include "rotation/reseal.h"
#include "seal/index.h"
#include "user/account.h"

#define N_OLD 70u
#define N_NEW 30u

/* As if this node had learned the next key. */
static void add_generation(struct node *node, uint32_t newest)
{
    CLEANUP(secret_release) struct secret keys = SECRET_INIT;

    assert_int_equal(secret_allocate(&keys, newest * MASKING_KEY_ENTRY_LEN), STATUS_OK);
    for (uint32_t i = 0; i < newest; i++) {
        generation_put(i + 1, keys.data + i * MASKING_KEY_ENTRY_LEN);
        memset(keys.data + i * MASKING_KEY_ENTRY_LEN + GENERATION_LEN, (int)(7 + i), MASKING_KEY_LEN);
    }
    assert_int_equal(keyring_change(node->keyring, secret_slice(&keys)), STATUS_OK);
}

struct seen {
    struct id ids[256];
    unsigned n;
};

static status_code note(void *context, const struct store_record *record)
{
    struct seen *seen = context;

    assert_true(seen->n < 256);
    memcpy(seen->ids[seen->n++].bytes, record->id, ID_LEN);
    return STATUS_OK;
}

/* Every object once, in the order of ids, in pages of `limit`. */
static unsigned walk(struct node *node, size_t limit)
{
    static const struct index_term everything = {256, {NULL, 0}}; /* TERM_ANY */
    struct seen seen = {.n = 0};
    unsigned before;

    do {
        before = seen.n;
        const uint8_t *after = seen.n ? seen.ids[seen.n - 1].bytes : NULL;
        assert_int_equal(index_find(node, STORE_OBJECT, &everything, 1, after, limit, note, &seen), STATUS_OK);
        assert_true(seen.n - before <= limit);
    } while (seen.n - before == limit);
    for (unsigned i = 1; i < seen.n; i++)
        assert_true(memcmp(seen.ids[i - 1].bytes, seen.ids[i].bytes, ID_LEN) < 0);
    return seen.n;
}

static unsigned walk_all(struct node *node)
{
    static const size_t limits[] = {1, 7, 48, 1000};
    unsigned n = walk(node, 1000);

    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++)
        assert_int_equal(walk(node, limits[i]), n);
    return n;
}

static struct fixture *begin(void)
{
    struct fixture *fixture = fixture_make(NULL);

    for (unsigned i = 0; i < N_OLD; i++)
        make_aes(fixture->node, &fixture->alice, "old", NULL);
    add_generation(fixture->node, 2);
    for (unsigned i = 0; i < N_NEW; i++)
        make_aes(fixture->node, &fixture->alice, "new", NULL);
    return fixture;
}

static void searches_see_every_record_once(void **state)
{
    struct fixture *fixture = begin();
    uint64_t n_owned;

    (void)state;
    assert_int_equal(walk_all(fixture->node), N_OLD + N_NEW);
    assert_int_equal(objects_count_owned(fixture->node->objects, fixture->alice.user_id, &n_owned), STATUS_OK);
    assert_int_equal(n_owned, N_OLD + N_NEW);
    fixture_free(fixture);
}

static struct rotation_progress first_pass(void)
{
    struct rotation_progress progress = {.generation = 2, .pass = 1};

    reseal_begin(&progress);
    return progress;
}

/* The node must not take part by itself: this is a test of the steps. */
static void seal_all(struct node *node, struct rotation_progress *progress)
{
    while (progress->kind)
        assert_int_equal(reseal_some(node, progress), STATUS_OK);
}

struct tally {
    uint32_t generation;
    unsigned n;
};

static status_code tally_one(void *context, const struct store_record *record)
{
    struct tally *tally = context;

    tally->n += generation_of(record->value) == tally->generation;
    return STATUS_OK;
}

static unsigned n_of_generation(struct node *node, enum store_kind kind, uint32_t generation)
{
    struct tally tally = {generation, 0};

    assert_int_equal(node->store->operations->range(node->store, kind, NULL, NULL, 100000, tally_one, &tally),
                     STATUS_OK);
    return tally.n;
}

static const enum store_kind sealed_kinds[] = {STORE_CLUSTER, STORE_USER, STORE_OBJECT, STORE_AUDIT};

static void sealing_anew_leaves_nothing_behind(void **state)
{
    struct fixture *fixture = begin();
    struct node *node = fixture->node;
    struct rotation_progress progress = first_pass();
    struct id id = make_aes(node, &fixture->alice, "kept", NULL), public_id;
    struct id pair = make_p256(node, &fixture->alice, "pair", &public_id);
    uint64_t n_admins;

    (void)state;
    assert_true(n_of_generation(node, STORE_OBJECT, 1) == N_OLD);
    assert_true(n_of_generation(node, STORE_USER, 1) > 0);
    while (progress.kind) {
        assert_int_equal(reseal_some(node, &progress), STATUS_OK);
        assert_int_equal(walk(node, 13), N_OLD + N_NEW + 3);
        assert_int_equal(account_count_role(node, ROLE_ADMIN, &n_admins), STATUS_OK);
        assert_int_equal(n_admins, 1); /* never twice, or the last one could be deleted */
    }
    for (size_t i = 0; i < sizeof sealed_kinds / sizeof *sealed_kinds; i++)
        assert_int_equal(n_of_generation(node, sealed_kinds[i], 1), 0);
    keyring_settle(node->keyring, 2);
    assert_int_equal(walk_all(node), N_OLD + N_NEW + 3);
    assert_true(flag_of(node, &fixture->alice, id, ATTRIBUTE_TOKEN));
    assert_true(flag_of(node, &fixture->alice, pair, ATTRIBUTE_SIGN));
    assert_true(flag_of(node, &fixture->alice, public_id, ATTRIBUTE_VERIFY));
    assert_int_equal(account_count_role(node, ROLE_USER, &n_admins), STATUS_OK);
    assert_int_equal(n_admins, 3);
    fixture_free(fixture);
}

/* Somebody else changes a record, or takes the work over, between the read and the write. */
static void a_change_meanwhile_is_not_lost(void **state)
{
    struct fixture *fixture = begin();
    struct node *node = fixture->node;
    struct rotation_progress progress = first_pass(), other;
    struct id id = make_aes(node, &fixture->alice, "changed", NULL);

    (void)state;
    assert_int_equal(reseal_some(node, &progress), STATUS_OK);
    other = progress;
    assert_int_equal(reseal_some(node, &other), STATUS_OK); /* another worker */
    assert_int_equal(reseal_some(node, &progress), STATUS_CONFLICT);
    progress = other;
    struct values change = template_empty();
    values_put_bytes(&change, ATTRIBUTE_LABEL, slice_text("another label"));
    assert_int_equal(set_attributes(node, &fixture->alice, id, &change), STATUS_OK);
    seal_all(node, &progress);
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
    struct values attributes;
    assert_true(look_at(node, &fixture->alice, id, &attributes, &storage));
    assert_true(slice_equal(values_bytes(&attributes, ATTRIBUTE_LABEL), slice_text("another label")));
    fixture_free(fixture);
}

static void a_slow_node_cannot_write_below_the_floor(void **state)
{
    struct fixture *fixture = begin();
    struct node *node = fixture->node, *slow = fixture->other; /* which has the first key only */
    struct rotation_progress progress = first_pass();
    CLEANUP(exchange_end) struct exchange exchange;
    struct values template = template_token("late");

    (void)state;
    seal_all(node, &progress);
    make_aes(slow, &fixture->alice, "in time", NULL); /* after the first pass was there */
    assert_int_equal(n_of_generation(node, STORE_OBJECT, 1), 1);
    assert_int_equal(node->store->operations->raise_floor(node->store, 2), STATUS_OK);

    exchange_begin(&exchange, slow, &fixture->alice);
    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 32);
    put_id(&exchange, FIELD_OBJECT_ID, new_id().bytes);
    put_id(&exchange, FIELD_REQUEST_ID, new_id().bytes);
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_AES_KEY_GEN);
    put_template(&exchange, FIELD_ATTRIBUTES, &template);
    assert_int_equal(exchange_run(&exchange, OP_KEY_GENERATE), STATUS_BUSY);

    reseal_begin(&progress);
    seal_all(node, &progress);
    assert_true(progress.n_old >= 1);
    reseal_begin(&progress);
    seal_all(node, &progress);
    assert_int_equal(progress.n_old, 0);
    for (size_t i = 0; i < sizeof sealed_kinds / sizeof *sealed_kinds; i++)
        assert_int_equal(n_of_generation(node, sealed_kinds[i], 1), 0);
    assert_int_equal(walk_all(node), N_OLD + N_NEW + 1);
    fixture_free(fixture);
}

/* One that opens under no key stays as it is, and keeps nobody else from being sealed anew. */
static void a_damaged_record_is_passed_over(void **state)
{
    struct fixture *fixture = begin();
    struct node *node = fixture->node;
    struct rotation_progress progress = first_pass();
    CLEANUP(bytes_release) struct bytes value = BYTES_INIT;
    static const struct index_term everything = {256, {NULL, 0}};
    struct seen seen = {.n = 0};
    struct store_write write = {.kind = STORE_OBJECT};
    uint64_t revision;

    (void)state;
    assert_int_equal(index_find(node, STORE_OBJECT, &everything, 1, NULL, 1, note, &seen), STATUS_OK);
    memcpy(write.id, seen.ids[0].bytes, ID_LEN);
    assert_int_equal(
        node->store->operations->read(node->store, STORE_OBJECT, write.id, &value, &write.expected_version), STATUS_OK);
    generation_put(1, value.data);
    value.data[value.len - 1] ^= 1;
    write.value = bytes_slice(&value);
    assert_int_equal(node->store->operations->write(node->store, &write, 1, &revision), STATUS_OK);
    seal_all(node, &progress);
    assert_int_equal(progress.n_damaged, 1);
    assert_int_equal(n_of_generation(node, STORE_OBJECT, 1), 1);
    assert_int_equal(n_of_generation(node, STORE_OBJECT, 2), N_OLD + N_NEW - 1);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_see_every_record_once),  cmocka_unit_test(sealing_anew_leaves_nothing_behind),
        cmocka_unit_test(a_change_meanwhile_is_not_lost),  cmocka_unit_test(a_slow_node_cannot_write_below_the_floor),
        cmocka_unit_test(a_damaged_record_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
