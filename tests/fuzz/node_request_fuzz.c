/* Requests of users who are logged in: each operation with any fields. The input is who calls, which operation, and the
 * map of fields; an id of one byte stands for an object that exists. Nothing that a user may say ends a node, and a
 * refusal says why. */
#include <sanitizer/lsan_interface.h>
#include "../unit/node_objects_fixture.h"
#include "operation/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct fixture *fixture;
static struct id used[3]; /* a secret key, a private key and its public key */
static struct id changed; /* what changes and deletions are about, so that the others stay as they are */

static void stop(void)
{
    fixture_free(fixture);
}

static void limit(struct node_config *config)
{
    config->keys_per_user = 500;
    config->password_iterations = 1;
}

/* What lives as long as the process is not searched for leaks: OpenSSL's random generators hang in the heap of secrets,
 * which the leak detector does not see. */
static void start(void)
{
    __lsan_disable();
    fixture = fixture_make(limit);
    used[0] = make_aes(fixture->node, &fixture->alice, "secret", NULL);
    used[1] = make_p256(fixture->node, &fixture->alice, "pair", &used[2]);
    changed = make_aes(fixture->node, &fixture->alice, "changed", NULL);
    __lsan_enable();
    atexit(stop);
}

static bool changes(enum operation operation)
{
    return operation == OP_OBJECT_SET || operation == OP_OBJECT_SHARE || operation == OP_OBJECT_DELETE;
}

static void place_ids(enum operation operation, struct values *fields)
{
    static const enum field ids[] = {FIELD_OBJECT_ID, FIELD_PUBLIC_ID, FIELD_SECOND_ID};

    for (unsigned i = 0; i < 3; i++) {
        struct slice given = values_bytes(fields, ids[i]);

        if (given.len == 1)
            values_put_bytes(fields, ids[i],
                             slice_of(changes(operation) ? changed.bytes : used[given.data[0] % 3].bytes, ID_LEN));
    }
}

/* What dispatch.c lets through to a handler, but for what takes long: RSA keys. */
static bool is_let_through(const struct operation_info *info, const struct caller *caller, const struct values *fields)
{
    if (!info || info->access == ACCESS_LOCAL || info->access == ACCESS_ANYONE)
        return false;
    for (uint32_t field = 0; field < 64; field++) {
        uint64_t bit = (uint64_t)1 << field;

        if (values_has(fields, field) ? !((info->required | info->optional) & bit) : (info->required & bit) != 0)
            return false;
    }
    return (info->access != ACCESS_USER || caller->role == ROLE_USER) &&
           (info->access != ACCESS_ADMIN || caller->role == ROLE_ADMIN) &&
           (info->access != ACCESS_AUDITOR || caller->role == ROLE_AUDITOR) &&
           values_uint(fields, FIELD_MECHANISM, 0) != MECHANISM_RSA_KEY_PAIR_GEN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP(exchange_end) struct exchange exchange;

    if (!fixture)
        start();
    const struct caller *callers[] = {&fixture->alice, &fixture->bob, &fixture->admin, &fixture->auditor};

    exchange_begin(&exchange, fixture->node, len ? callers[data[0] % 4] : &fixture->alice);
    if (len < 2 || values_decode_all(&FIELD_SCHEMA, slice_of(data + 2, len - 2), &exchange.request) != STATUS_OK)
        return 0;
    enum operation operation = data[1];

    place_ids(operation, &exchange.request);
    if (!is_let_through(operation_info(operation), exchange.caller, &exchange.request))
        return 0;
    status_code status = exchange_run(&exchange, operation);
    if (status != STATUS_OK && !failure_detail()[0])
        __builtin_trap();
    if (status == STATUS_OK && operation == OP_OBJECT_DELETE)
        changed = make_aes(fixture->node, &fixture->alice, "changed", NULL);
    return 0;
}
