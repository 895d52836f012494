/* Messages, requests and answers: checks against the operation's fields are two bit operations. */
#include "protocol/message.h"

#include "protocol/catalog.h"
#include "protocol/writer.h"

#define ID_FIELDS                                                                                                      \
    (1ULL << FIELD_NODE_ID | 1ULL << FIELD_CLUSTER_ID | 1ULL << FIELD_OBJECT_ID | 1ULL << FIELD_REQUEST_ID |           \
     1ULL << FIELD_PUBLIC_ID | 1ULL << FIELD_SECOND_ID)

enum { BOOL = VALUE_BOOL, UINT = VALUE_UINT, BIN = VALUE_BIN, TEXT = VALUE_TEXT };
enum { UINTS = VALUE_UINTS, SET = VALUE_SET, SETS = VALUE_SETS };

static const struct schema_entry field_entries[VALUES_MAX] = {
#define FIELD(name, number, type, max, doc) [number] = {#name, (enum value_type)(type), max, doc},
#include "protocol/fields.def"
#undef FIELD
};

const struct schema FIELD_SCHEMA = {"field", field_entries, VALUES_MAX};

enum { ANYONE = ACCESS_ANYONE, LOGGED_IN = ACCESS_LOGGED_IN, ADMIN = ACCESS_ADMIN, USER = ACCESS_USER };
enum {
    AUDITOR = ACCESS_AUDITOR,
    LOCAL = ACCESS_LOCAL,
    FAST = COST_FAST,
    SLOW = COST_SLOW,
    WRITES = COST_WRITES,
    LONG = COST_LONG
};

#define F(name) (1ULL << FIELD_##name)

static const struct operation_info operations[OPERATION_NUMBER_MAX + 1] = {
#define OPERATION(name, number, access, cost, required, optional, answer, doc)                                         \
    [number] = {#name, (enum operation_access)(access), (enum operation_cost)(cost), required, optional, answer, doc},
#include "protocol/operations.def"
#undef OPERATION
};

const struct operation_info *operation_info(uint64_t number)
{
    if (number > OPERATION_NUMBER_MAX || !operations[number].name)
        return NULL;
    return &operations[number];
}

static bool writes_store(const struct operation_info *info, const struct values *fields)
{
    struct values attributes;

    if (info->optional & F(BLOB))
        return !values_has(fields, FIELD_BLOB);
    if (!(info->required & F(ATTRIBUTES)))
        return true;
    return values_decode_all(&ATTRIBUTE_SCHEMA, values_bytes(fields, FIELD_ATTRIBUTES), &attributes) == STATUS_OK &&
           values_bool(&attributes, ATTRIBUTE_TOKEN, false);
}

enum operation_cost operation_cost(const struct operation_info *info, const struct values *fields)
{
    return info->cost == COST_WRITES && !writes_store(info, fields) ? COST_FAST : info->cost;
}

void message_begin(struct bytes *out, uint64_t version, const struct values *header, uint32_t n)
{
    write_array(out, 3);
    write_uint(out, version);
    values_encode(&FIELD_SCHEMA, header, out);
    write_array(out, n);
}

static void append_pair(struct bytes *out, uint64_t number, const struct values *fields)
{
    write_array(out, 2);
    write_uint(out, number);
    values_encode(&FIELD_SCHEMA, fields, out);
}

void message_append_request(struct bytes *out, enum operation operation, const struct values *fields)
{
    append_pair(out, operation, fields);
}

void message_append_answer(struct bytes *out, status_code status, const struct values *fields)
{
    append_pair(out, (uint64_t)status, fields);
}

status_code message_open(struct slice encoded, struct message *message)
{
    uint32_t n;

    message->reader = reader_of(encoded);
    message->version = 0;
    message->n = 0;
    values_init(&message->header);
    TRY(read_array(&message->reader, &n));
    CHECK(n >= 3, STATUS_PROTOCOL_ERROR, "a message is [version, header, requests]; this has %u parts", n);
    TRY(read_uint(&message->reader, &message->version));
    CHECK(message->version >= PROTOCOL_VERSION_MIN && message->version <= PROTOCOL_VERSION, STATUS_VERSION_MISMATCH,
          "protocol version %llu; understood are %u to %u", (unsigned long long)message->version, PROTOCOL_VERSION_MIN,
          PROTOCOL_VERSION);
    CHECK(n == 3, STATUS_PROTOCOL_ERROR, "a message is [version, header, requests]; this has %u parts", n);
    TRY(values_decode(&FIELD_SCHEMA, &message->reader, &message->header));
    TRY(read_array(&message->reader, &message->n));
    CHECK(message->n <= BATCH_MAX, STATUS_TOO_LARGE, "%u requests in one message; the limit is %u", message->n,
          BATCH_MAX);
    return STATUS_OK;
}

static status_code open_pair(struct reader *reader, uint64_t *number)
{
    uint32_t n;

    TRY(read_array(reader, &n));
    CHECK(n == 2, STATUS_PROTOCOL_ERROR, "a request or answer is a pair; this has %u parts", n);
    return read_uint(reader, number);
}

static uint32_t first_field(uint64_t mask)
{
    return (uint32_t)__builtin_ctzll(mask);
}

static status_code check_request(const struct operation_info *info, const struct values *fields)
{
    uint64_t missing = info->required & ~fields->present[0];
    uint64_t alien = fields->present[0] & ~(info->required | info->optional);

    CHECK(!missing, STATUS_PROTOCOL_ERROR, "%s needs field %s", info->name, field_entries[first_field(missing)].name);
    CHECK(!alien, STATUS_PROTOCOL_ERROR, "%s does not take field %s", info->name,
          field_entries[first_field(alien)].name);
    CHECK(!values_has(fields, FIELD_QUORUM_TOKEN) || fields->value[FIELD_QUORUM_TOKEN].bytes.len == ID_LEN,
          STATUS_PROTOCOL_ERROR, "field QUORUM_TOKEN has not %u bytes", ID_LEN);
    for (uint64_t ids = fields->present[0] & ID_FIELDS; ids; ids &= ids - 1) {
        uint32_t field = first_field(ids);

        CHECK(fields->value[field].bytes.len == ID_LEN, STATUS_PROTOCOL_ERROR, "field %s has %zu bytes, not %u",
              field_entries[field].name, fields->value[field].bytes.len, ID_LEN);
    }
    return STATUS_OK;
}

status_code message_next_request(struct message *message, uint64_t *operation, struct values *fields, bool *recoverable)
{
    struct reader start = message->reader;
    status_code status;

    *recoverable = false;
    *operation = 0;
    values_init(fields);
    status = open_pair(&message->reader, operation);
    if (status == STATUS_OK)
        status = values_decode(&FIELD_SCHEMA, &message->reader, fields);
    if (status != STATUS_OK) {
        /* Was it well-formed msgpack, with values that this operation does not take? Then the next request is readable.
         */
        char cause[FAILURE_DETAIL_MAX];
        struct slice skipped;

        memcpy(cause, failure_detail(), sizeof(cause));
        message->reader = start;
        *recoverable = read_any(&message->reader, &skipped) == STATUS_OK;
        return failure_set(status, "%s", cause);
    }
    *recoverable = true;
    const struct operation_info *info = operation_info(*operation);
    CHECK(info, STATUS_NOT_SUPPORTED, "operation %llu is unknown to this node", (unsigned long long)*operation);
    return check_request(info, fields);
}

status_code message_next_answer(struct message *message, status_code *status, struct values *fields)
{
    uint64_t number;

    TRY(open_pair(&message->reader, &number));
    CHECK(number <= INT16_MAX, STATUS_PROTOCOL_ERROR, "status %llu is out of range", (unsigned long long)number);
    *status = (status_code)number;
    return values_decode(&FIELD_SCHEMA, &message->reader, fields);
}

status_code message_close(const struct message *message)
{
    CHECK(reader_at_end(&message->reader), STATUS_PROTOCOL_ERROR, "%zu bytes follow the message",
          (size_t)(message->reader.end - message->reader.at));
    return STATUS_OK;
}
