/* A set of typed values by small number: what a msgpack map {number: value} holds. Message headers, the fields of
 * requests and answers, object attributes and stored records are all value sets, each with its schema, so there is
 * one encoder and one strict decoder for everything on the wire and in the store.
 *
 * A value set borrows all variable-length values; it owns nothing. */
#pragma once

#include "protocol/bytes.h"
#include "protocol/reader.h"

#define VALUES_MAX 96

enum value_type {
    VALUE_BOOL,
    VALUE_UINT,
    VALUE_BIN,
    VALUE_TEXT,
    VALUE_UINTS, /* an array of unsigned integers, kept encoded: read with uints_next */
    VALUE_SET,   /* a nested value set, kept encoded: decode with the schema that fits */
    VALUE_SETS,  /* an array of value sets, kept encoded: iterate with sets_next */
};

struct schema_entry {
    const char *name; /* NULL where the number is unused */
    enum value_type type;
    uint64_t max; /* bytes for BIN, TEXT, UINTS, SET, SETS; largest value for UINT */
    const char *doc;
};

struct schema {
    const char *kind; /* "field", "attribute": for error texts */
    const struct schema_entry *entries;
    uint32_t n_entries;
};

union value {
    uint64_t number;
    bool flag;
    struct slice bytes;
};

struct values {
    uint64_t present[2];
    union value value[VALUES_MAX];
};

static inline void values_init(struct values *values)
{
    values->present[0] = values->present[1] = 0;
}

static inline bool values_has(const struct values *values, uint32_t number)
{
    return values->present[number >> 6] >> (number & 63) & 1;
}

static inline void values_remove(struct values *values, uint32_t number)
{
    values->present[number >> 6] &= ~(1ULL << (number & 63));
}

static inline void values_mark(struct values *values, uint32_t number)
{
    values->present[number >> 6] |= 1ULL << (number & 63);
}

static inline void values_put_uint(struct values *values, uint32_t number, uint64_t value)
{
    values->value[number].number = value;
    values_mark(values, number);
}

static inline void values_put_bool(struct values *values, uint32_t number, bool value)
{
    values->value[number].number = 0;
    values->value[number].flag = value;
    values_mark(values, number);
}

static inline void values_put_bytes(struct values *values, uint32_t number, struct slice value)
{
    values->value[number].bytes = value;
    values_mark(values, number);
}

static inline uint64_t values_uint(const struct values *values, uint32_t number, uint64_t otherwise)
{
    return values_has(values, number) ? values->value[number].number : otherwise;
}

static inline bool values_bool(const struct values *values, uint32_t number, bool otherwise)
{
    return values_has(values, number) ? values->value[number].flag : otherwise;
}

/** An empty slice when absent. */
static inline struct slice values_bytes(const struct values *values, uint32_t number)
{
    return values_has(values, number) ? values->value[number].bytes : (struct slice){NULL, 0};
}

/** Decodes one map. Unknown numbers are skipped, known ones must have the schema's type and bounds, and none may
 * occur twice: STATUS_PROTOCOL_ERROR or STATUS_TOO_LARGE with a detail that names it. */
status_code values_decode(const struct schema *schema, struct reader *reader, struct values *values);

/** As values_decode over a whole slice: nothing may follow the map. */
status_code values_decode_all(const struct schema *schema, struct slice encoded, struct values *values);

/** Appends the map, numbers ascending (so that equal sets encode equally). */
void values_encode(const struct schema *schema, const struct values *values, struct bytes *out);

/** Whether value `number` is present and equal in both. */
bool values_equal_at(const struct schema *schema, const struct values *a, const struct values *b, uint32_t number);

/** Number of the entry with this name, any case, dashes as underscores; or UINT32_MAX. */
uint32_t schema_find(const struct schema *schema, const char *name);

/** Iterates a VALUE_UINTS value: start with a reader over the value, n from uints_begin. */
status_code uints_begin(struct slice encoded, struct reader *reader, uint32_t *n);

/** Whether a VALUE_UINTS value contains `wanted`; false for a malformed one. */
bool uints_contain(struct slice encoded, uint64_t wanted);

/** Encodes a VALUE_UINTS value. */
void uints_encode(struct bytes *out, const uint64_t *numbers, uint32_t n);

/** Begins iterating a VALUE_SETS value; then call values_decode n times. */
status_code sets_begin(struct slice encoded, struct reader *reader, uint32_t *n);
