/* Messages: [version, header, [request or answer, ...]], where a request is [operation, fields] and an answer is
 * [status, fields]. Answers stand in the order of the requests. Header and fields are value sets of fields.def. */
#pragma once

#include "protocol/limits.h"
#include "protocol/values.h"

enum field {
#define FIELD(name, number, type, max, doc) FIELD_##name = number,
#include "protocol/fields.def"
#undef FIELD
};

enum operation {
#define OPERATION(name, number, access, cost, required, optional, answer, doc) OP_##name = number,
#include "protocol/operations.def"
#undef OPERATION
    OPERATION_NUMBER_MAX = 127
};

enum operation_access { ACCESS_ANYONE, ACCESS_LOGGED_IN, ACCESS_ADMIN, ACCESS_USER, ACCESS_AUDITOR, ACCESS_LOCAL };
enum operation_cost { COST_FAST, COST_SLOW, COST_WRITES, COST_LONG };

struct operation_info {
    const char *name; /* as in operations.def: "KEY_PAIR_GENERATE" */
    enum operation_access access;
    enum operation_cost cost;
    uint64_t required; /* bit per field */
    uint64_t optional;
    uint64_t answer;
    const char *doc;
};

/** NULL for a number that is no operation. */
const struct operation_info *operation_info(uint64_t number);

/** What this request costs: COST_WRITES only if it changes the store. Session objects live with the client, and what is
 * done with them waits for nothing. */
enum operation_cost operation_cost(const struct operation_info *info, const struct values *fields);

extern const struct schema FIELD_SCHEMA;

/* Writing. A message is begun with the count of its requests (or answers), then exactly so many are appended. */
void message_begin(struct bytes *out, uint64_t version, const struct values *header, uint32_t n);
void message_append_request(struct bytes *out, enum operation operation, const struct values *fields);
void message_append_answer(struct bytes *out, status_code status, const struct values *fields);

/* Reading. */
struct message {
    uint64_t version;
    struct values header;
    uint32_t n;           /* requests or answers that follow */
    struct reader reader; /* stands at the first of them */
};

/** STATUS_VERSION_MISMATCH when the version is out of range (version is filled in then); STATUS_PROTOCOL_ERROR;
 * STATUS_TOO_LARGE beyond BATCH_MAX. */
status_code message_open(struct slice encoded, struct message *message);

/** Reads the next request and checks it against its operation's fields. After a failure with *operation filled in and
 * a reader that stands behind the request (recoverable true), the following requests can still be read. */
status_code message_next_request(struct message *message, uint64_t *operation, struct values *fields,
                                 bool *recoverable);

/** Reads the next answer. */
status_code message_next_answer(struct message *message, status_code *status, struct values *fields);

/** After the last: nothing may follow. */
status_code message_close(const struct message *message);
