/* See node_objects_fixture.h. */
#include "node_objects_fixture.h"

#include <ftw.h>
#include <unistd.h>
#include "tail.h"
#include "user/cluster_record.h"

#define PASSWORD "correct horse battery"

static void open_node(struct fixture *fixture, const char *name, void (*configure)(struct node_config *),
                      struct node **node)
{
    static const uint8_t cluster_id[ID_LEN] = {1, 2, 3};
    char path[128];
    struct secret masking_keys = SECRET_INIT;
    struct node *made = calloc(1, sizeof *made);

    assert_non_null(made);
    snprintf(made->config.name, sizeof made->config.name, "%s", name);
    made->config.object_cache = 256;
    made->config.keys_per_user = 1000000;
    made->config.ticket_lifetime_s = 3600;
    made->config.password_iterations = 1000;
    made->config.login_attempts = 5;
    made->config.login_lock_s = 30;
    made->config.tail_interval_ms = 20;
    snprintf(made->config.advertise, sizeof made->config.advertise, "tcp://127.0.0.1:1");
    if (configure)
        configure(&made->config);
    pthread_mutex_init(&made->lock, NULL);
    atomic_store(&made->clock_offset_ms, INT64_MIN / 2);
    atomic_store(&made->state, NODE_SERVING);
    atomic_store(&made->cluster_version, PROTOCOL_VERSION);

    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    assert_int_equal(identity_open(made, path, &made->identity), STATUS_OK);
    assert_int_equal(masking_keys_make(FIRST_GENERATION, &masking_keys), STATUS_OK);
    memset(masking_keys.data + 4, 7, MASKING_KEY_LEN); /* the same on all nodes */
    assert_int_equal(keyring_create(secret_slice(&masking_keys), cluster_id, &made->keyring), STATUS_OK);
    secret_release(&masking_keys);
    snprintf(path, sizeof path, "%s/store.db", fixture->folder);
    assert_int_equal(store_open_sqlite(path, cluster_id, &made->store), STATUS_OK);
    assert_int_equal(cluster_record_create(made, "test"), STATUS_OK);
    uint64_t revision = 0;
    assert_int_equal(made->store->operations->revision(made->store, &revision), STATUS_OK);
    atomic_store(&made->revision, revision);
    assert_int_equal(users_open(made, &made->users), STATUS_OK);
    assert_int_equal(objects_open(made, &made->objects), STATUS_OK);
    assert_int_equal(audit_open(made, &made->audit), STATUS_OK);
    assert_int_equal(tail_start(made, &made->tail), STATUS_OK);
    *node = made;
}

static void close_node(struct node *node)
{
    tail_stop(node->tail);
    node->tail = NULL;
    audit_close(node->audit);
    objects_close(node->objects);
    users_close(node->users);
    node->store->operations->close(node->store);
    keyring_free(node->keyring);
    identity_close(node->identity);
    pthread_mutex_destroy(&node->lock);
    free(node);
}

static void make_user(struct fixture *fixture, const char *name, enum role role, struct caller *caller)
{
    struct slice user = slice_text(name), password = slice_text(PASSWORD);
    struct id request = new_id();

    memset(caller, 0, sizeof *caller);
    caller->role = role;
    snprintf(caller->user_name, sizeof caller->user_name, "%s", name);
    if (role == ROLE_ADMIN)
        assert_int_equal(users_activate(fixture->node->users, user, password, slice_of(NULL, 0)), STATUS_OK);
    else
        assert_int_equal(users_create(fixture->node->users, &fixture->admin, user, password, role, request.bytes),
                         STATUS_OK);
    assert_int_equal(users_find(fixture->node->users, user, caller->user_id, &caller->role), STATUS_OK);
    assert_int_equal(caller->role, role);
    memcpy(caller->session_id, new_id().bytes, ID_LEN);
}

struct fixture *fixture_make(void (*configure)(struct node_config *config))
{
    static bool crypto_started;
    static const struct crypto_policy policy = {.allow_raw_rsa = true};
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    if (!crypto_started) {
        assert_int_equal(crypto_start(false, &policy), STATUS_OK);
        atexit(crypto_stop);
    }
    crypto_started = true;
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/hsm-objects-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    open_node(fixture, "one", configure, &fixture->node);
    open_node(fixture, "two", configure, &fixture->other);
    make_user(fixture, "admin", ROLE_ADMIN, &fixture->admin);
    make_user(fixture, "alice", ROLE_USER, &fixture->alice);
    make_user(fixture, "bob", ROLE_USER, &fixture->bob);
    make_user(fixture, "carol", ROLE_USER, &fixture->carol);
    make_user(fixture, "audrey", ROLE_AUDITOR, &fixture->auditor);
    return fixture;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

void fixture_free(struct fixture *fixture)
{
    close_node(fixture->other);
    close_node(fixture->node);
    nftw(fixture->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
}

int fixture_start(void **state)
{
    *state = fixture_make(NULL);
    return 0;
}

int fixture_stop(void **state)
{
    fixture_free(*state);
    return 0;
}

/* Requests. */

void exchange_begin(struct exchange *exchange, struct node *node, const struct caller *caller)
{
    memset(exchange, 0, sizeof *exchange);
    exchange->node = node;
    exchange->caller = caller;
    for (unsigned i = 0; i < CALL_BUFFERS_MAX; i++)
        exchange->buffers[i].secret = true;
}

void exchange_end(struct exchange *exchange)
{
    for (unsigned i = 0; i < 8; i++)
        bytes_release(&exchange->kept[i]);
    for (unsigned i = 0; i < CALL_BUFFERS_MAX; i++)
        bytes_release(&exchange->buffers[i]);
}

status_code exchange_run(struct exchange *exchange, enum operation operation)
{
    struct call call = {.node = exchange->node,
                        .operation = operation,
                        .caller = *exchange->caller,
                        .request = &exchange->request,
                        .answer = &exchange->answer,
                        .buffers = exchange->buffers};
    call.caller.operation = operation;
    call.caller.request = &exchange->request;
    values_init(&exchange->answer);
    failure_clear();
    status_code code = operation_handler_of(operation)(&call);
    if (code == STATUS_OK) {
        const struct operation_info *info = operation_info(operation);
        for (uint32_t field = 0; field < 64; field++)
            assert_true(!values_has(&exchange->answer, field) || info->answer >> field & 1);
    }
    return code;
}

static struct bytes *keep(struct exchange *exchange)
{
    assert_true(exchange->n_kept < 8);
    return &exchange->kept[exchange->n_kept++];
}

void put_id(struct exchange *exchange, enum field field, const uint8_t id[ID_LEN])
{
    put_copy(exchange, field, slice_of(id, ID_LEN));
}

void put_uint(struct exchange *exchange, enum field field, uint64_t number)
{
    values_put_uint(&exchange->request, field, number);
}

void put_text(struct exchange *exchange, enum field field, const char *text)
{
    values_put_bytes(&exchange->request, field, slice_text(text));
}

void put_bytes(struct exchange *exchange, enum field field, const void *data, size_t len)
{
    values_put_bytes(&exchange->request, field, slice_of(data, len));
}

void put_copy(struct exchange *exchange, enum field field, struct slice value)
{
    struct bytes *kept = keep(exchange);
    assert_int_equal(bytes_assign(kept, value), STATUS_OK);
    values_put_bytes(&exchange->request, field, bytes_slice(kept));
}

void put_template(struct exchange *exchange, enum field field, const struct values *template)
{
    struct bytes *kept = keep(exchange);
    values_encode(&ATTRIBUTE_SCHEMA, template, kept);
    assert_int_equal(bytes_ok(kept), STATUS_OK);
    values_put_bytes(&exchange->request, field, bytes_slice(kept));
}

void put_wanted(struct exchange *exchange, const uint64_t *numbers, uint32_t n)
{
    struct bytes *kept = keep(exchange);
    uints_encode(kept, numbers, n);
    values_put_bytes(&exchange->request, FIELD_WANTED, bytes_slice(kept));
}

void answer_attributes(const struct exchange *exchange, enum field field, struct values *attributes)
{
    assert_int_equal(values_decode_all(&ATTRIBUTE_SCHEMA, values_bytes(&exchange->answer, field), attributes),
                     STATUS_OK);
}

struct id new_id(void)
{
    static _Atomic uint64_t last;
    struct id id;
    uint64_t number = (atomic_fetch_add(&last, 1) + 1) * 0x9e3779b97f4a7c15u;
    memset(&id, 0x5a, sizeof id);
    memcpy(id.bytes, &number, sizeof number);
    return id;
}

struct values template_empty(void)
{
    struct values template;
    values_init(&template);
    return template;
}

struct values template_token(const char *label)
{
    struct values template = template_empty();
    values_put_bool(&template, ATTRIBUTE_TOKEN, true);
    if (label)
        values_put_bytes(&template, ATTRIBUTE_LABEL, slice_text(label));
    return template;
}

static void add(struct values *template, const struct values *more)
{
    for (uint32_t i = 0; more && i < VALUES_MAX; i++) {
        if (!values_has(more, i))
            continue;
        template->value[i] = more->value[i];
        values_mark(template, i);
    }
}

struct id make_aes(struct node *node, const struct caller *caller, const char *label, const struct values *more)
{
    CLEANUP(exchange_end) struct exchange exchange;
    struct id id = new_id(), request = new_id();
    struct values template = template_token(label);

    exchange_begin(&exchange, node, caller);
    values_put_uint(&template, ATTRIBUTE_VALUE_LEN, 32);
    add(&template, more);
    put_id(&exchange, FIELD_OBJECT_ID, id.bytes);
    put_id(&exchange, FIELD_REQUEST_ID, request.bytes);
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_AES_KEY_GEN);
    put_template(&exchange, FIELD_ATTRIBUTES, &template);
    status_code code = exchange_run(&exchange, OP_KEY_GENERATE);
    if (code != STATUS_OK)
        fail_msg("%s: %s", status_name(code), failure_detail());
    return id;
}

struct id make_p256(struct node *node, const struct caller *caller, const char *label, struct id *public_id)
{
    CLEANUP(exchange_end) struct exchange exchange;
    struct id id = new_id(), other = new_id(), request = new_id();
    struct values template = template_token(label);

    exchange_begin(&exchange, node, caller);
    put_id(&exchange, FIELD_OBJECT_ID, id.bytes);
    put_id(&exchange, FIELD_PUBLIC_ID, other.bytes);
    put_id(&exchange, FIELD_REQUEST_ID, request.bytes);
    put_uint(&exchange, FIELD_MECHANISM, MECHANISM_EC_KEY_PAIR_GEN);
    put_template(&exchange, FIELD_ATTRIBUTES, &template);
    values_put_bytes(&template, ATTRIBUTE_EC_PARAMS, curve_by_name("P256")->oid);
    put_template(&exchange, FIELD_PUBLIC_ATTRIBUTES, &template);
    status_code code = exchange_run(&exchange, OP_KEY_PAIR_GENERATE);
    if (code != STATUS_OK)
        fail_msg("%s: %s", status_name(code), failure_detail());
    if (public_id)
        *public_id = other;
    return id;
}

status_code set_attributes(struct node *node, const struct caller *caller, struct id id, const struct values *template)
{
    CLEANUP(exchange_end) struct exchange exchange;
    exchange_begin(&exchange, node, caller);
    put_id(&exchange, FIELD_OBJECT_ID, id.bytes);
    put_id(&exchange, FIELD_REQUEST_ID, new_id().bytes);
    put_template(&exchange, FIELD_ATTRIBUTES, template);
    return exchange_run(&exchange, OP_OBJECT_SET);
}

status_code share_object(struct node *node, const struct caller *caller, struct id id, const char *user, bool share)
{
    CLEANUP(exchange_end) struct exchange exchange;
    exchange_begin(&exchange, node, caller);
    put_id(&exchange, FIELD_OBJECT_ID, id.bytes);
    put_id(&exchange, FIELD_REQUEST_ID, new_id().bytes);
    put_text(&exchange, FIELD_USER_NAME, user);
    if (!share)
        put_uint(&exchange, FIELD_FLAGS, 1);
    return exchange_run(&exchange, OP_OBJECT_SHARE);
}

bool look_at(struct node *node, const struct caller *caller, struct id id, struct values *attributes,
             struct bytes *storage)
{
    CLEANUP(exchange_end) struct exchange exchange;
    exchange_begin(&exchange, node, caller);
    put_id(&exchange, FIELD_OBJECT_ID, id.bytes);
    if (exchange_run(&exchange, OP_OBJECT_GET) != STATUS_OK)
        return false;
    assert_int_equal(bytes_assign(storage, values_bytes(&exchange.answer, FIELD_ATTRIBUTES)), STATUS_OK);
    assert_int_equal(values_decode_all(&ATTRIBUTE_SCHEMA, bytes_slice(storage), attributes), STATUS_OK);
    return true;
}

bool flag_of(struct node *node, const struct caller *caller, struct id id, enum attribute attribute)
{
    CLEANUP(bytes_release) struct bytes storage = BYTES_INIT;
    struct values attributes;
    assert_true(look_at(node, caller, id, &attributes, &storage));
    assert_true(values_has(&attributes, attribute));
    return values_bool(&attributes, attribute, false);
}
