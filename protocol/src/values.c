/* Encoding and strict decoding of value sets, driven by their schema alone. */
#include "protocol/values.h"

#include <ctype.h>
#include <stdio.h>
#include "protocol/limits.h"
#include "protocol/writer.h"

static const struct schema_entry *entry_of(const struct schema *schema, uint64_t number)
{
    if (number >= schema->n_entries || !schema->entries[number].name)
        return NULL;
    return &schema->entries[number];
}

static status_code read_array_raw(struct reader *reader, struct slice *value)
{
    struct reader copy = *reader;
    uint32_t n;

    TRY(read_array(&copy, &n));
    return read_any(reader, value);
}

static status_code read_map_raw(struct reader *reader, struct slice *value)
{
    struct reader copy = *reader;
    uint32_t n;

    TRY(read_map(&copy, &n));
    return read_any(reader, value);
}

static status_code read_value(const struct schema_entry *entry, struct reader *reader, union value *value)
{
    switch (entry->type) {
    case VALUE_BOOL:
        value->number = 0;
        return read_bool(reader, &value->flag);
    case VALUE_UINT:
        TRY(read_uint(reader, &value->number));
        CHECK(value->number <= entry->max, STATUS_TOO_LARGE, "the number %llu is above %llu",
              (unsigned long long)value->number, (unsigned long long)entry->max);
        return STATUS_OK;
    case VALUE_BIN:
        return read_bin(reader, entry->max, &value->bytes);
    case VALUE_TEXT:
        return read_text(reader, entry->max, &value->bytes);
    case VALUE_SET:
        TRY(read_map_raw(reader, &value->bytes));
        break;
    case VALUE_UINTS:
    case VALUE_SETS:
        TRY(read_array_raw(reader, &value->bytes));
        break;
    }
    CHECK(value->bytes.len <= entry->max, STATUS_TOO_LARGE, "%zu bytes; the limit is %llu", value->bytes.len,
          (unsigned long long)entry->max);
    return STATUS_OK;
}

/* Keeps the cause and says which value it was. */
static status_code name_failure(status_code status, const struct schema *schema, const struct schema_entry *entry)
{
    char cause[FAILURE_DETAIL_MAX];

    snprintf(cause, sizeof(cause), "%s", failure_detail());
    return failure_set(status, "%s %s: %s", schema->kind, entry->name, cause);
}

status_code values_decode(const struct schema *schema, struct reader *reader, struct values *values)
{
    uint32_t n;

    values_init(values);
    TRY(read_map(reader, &n));
    for (uint32_t i = 0; i < n; i++) {
        uint64_t number;
        struct slice skipped;

        TRY(read_uint(reader, &number));
        const struct schema_entry *entry = entry_of(schema, number);
        if (!entry) {
            TRY(read_any(reader, &skipped));
            continue;
        }
        CHECK(!values_has(values, (uint32_t)number), STATUS_PROTOCOL_ERROR, "%s %s occurs twice", schema->kind,
              entry->name);
        status_code status = read_value(entry, reader, &values->value[number]);
        if (status != STATUS_OK)
            return name_failure(status, schema, entry);
        values_mark(values, (uint32_t)number);
    }
    return STATUS_OK;
}

status_code values_decode_all(const struct schema *schema, struct slice encoded, struct values *values)
{
    struct reader reader = reader_of(encoded);

    TRY(values_decode(schema, &reader, values));
    CHECK(reader_at_end(&reader), STATUS_PROTOCOL_ERROR, "%zu bytes follow the %s set",
          (size_t)(reader.end - reader.at), schema->kind);
    return STATUS_OK;
}

static void write_value(struct bytes *out, const struct schema_entry *entry, const union value *value)
{
    switch (entry->type) {
    case VALUE_BOOL:
        write_bool(out, value->flag);
        return;
    case VALUE_UINT:
        write_uint(out, value->number);
        return;
    case VALUE_BIN:
        write_bin(out, value->bytes);
        return;
    case VALUE_TEXT:
        write_text(out, value->bytes);
        return;
    case VALUE_UINTS:
    case VALUE_SET:
    case VALUE_SETS:
        write_encoded(out, value->bytes);
        return;
    }
}

void values_encode(const struct schema *schema, const struct values *values, struct bytes *out)
{
    write_map(out, (uint32_t)(__builtin_popcountll(values->present[0]) + __builtin_popcountll(values->present[1])));
    for (unsigned word = 0; word < 2; word++) {
        for (uint64_t rest = values->present[word]; rest; rest &= rest - 1) {
            uint32_t number = 64 * word + (uint32_t)__builtin_ctzll(rest);

            write_uint(out, number);
            write_value(out, &schema->entries[number], &values->value[number]);
        }
    }
}

bool values_equal_at(const struct schema *schema, const struct values *a, const struct values *b, uint32_t number)
{
    if (!values_has(a, number) || !values_has(b, number))
        return false;
    switch (schema->entries[number].type) {
    case VALUE_BOOL:
        return a->value[number].flag == b->value[number].flag;
    case VALUE_UINT:
        return a->value[number].number == b->value[number].number;
    default:
        return slice_equal(a->value[number].bytes, b->value[number].bytes);
    }
}

static bool same_name(const char *entry, const char *name)
{
    for (; *entry && *name; entry++, name++) {
        if (*entry != (*name == '-' ? '_' : toupper((unsigned char)*name)))
            return false;
    }
    return *entry == *name;
}

uint32_t schema_find(const struct schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->n_entries; i++) {
        if (schema->entries[i].name && same_name(schema->entries[i].name, name))
            return i;
    }
    return UINT32_MAX;
}

status_code uints_begin(struct slice encoded, struct reader *reader, uint32_t *n)
{
    *reader = reader_of(encoded);
    return read_array(reader, n);
}

bool uints_contain(struct slice encoded, uint64_t wanted)
{
    struct reader reader;
    uint32_t n;
    uint64_t number;

    if (uints_begin(encoded, &reader, &n) != STATUS_OK)
        return false;
    while (n-- > 0) {
        if (read_uint(&reader, &number) != STATUS_OK)
            return false;
        if (number == wanted)
            return true;
    }
    return false;
}

void uints_encode(struct bytes *out, const uint64_t *numbers, uint32_t n)
{
    write_array(out, n);
    for (uint32_t i = 0; i < n; i++)
        write_uint(out, numbers[i]);
}

status_code sets_begin(struct slice encoded, struct reader *reader, uint32_t *n)
{
    *reader = reader_of(encoded);
    return read_array(reader, n);
}
