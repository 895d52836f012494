/* Results: an attribute set as it came from a node into one allocation that the caller owns: the table of attributes,
 * and behind it the values in the machine's own form. The same code runs twice, first to measure, then to place. */
#include "api_template.h"

#include <stdlib.h>
#include "protocol/catalog.h"
#include "protocol/secret.h"

struct hsm_attributes {
    size_t size; /* of the whole allocation */
    size_t n;
    hsm_attribute table[];
};

/* Places values one behind the other, each aligned for a uint64_t; with `base` NULL it only counts. */
struct arena {
    uint8_t *base;
    size_t used;
};

static void *arena_take(struct arena *arena, size_t len)
{
    size_t at = arena->used;

    arena->used += (len + 7) & ~(size_t)7;
    return arena->base ? arena->base + at : NULL;
}

static const void *place(struct arena *arena, const void *data, size_t len)
{
    uint8_t *to = (uint8_t *)arena_take(arena, len + 1);

    if (!to)
        return NULL;
    if (len)
        memcpy(to, data, len);
    to[len] = 0;
    return to;
}

static status_code place_uints(struct arena *arena, struct slice encoded, hsm_attribute *attribute)
{
    struct reader reader;
    uint32_t n;
    uint64_t number;

    TRY(uints_begin(encoded, &reader, &n));
    uint64_t *to = (uint64_t *)arena_take(arena, n * sizeof(number));
    for (uint32_t i = 0; i < n; i++) {
        TRY(read_uint(&reader, &number));
        if (to)
            to[i] = number;
    }
    attribute->value = to;
    attribute->value_len = n * sizeof(number);
    return STATUS_OK;
}

static status_code place_set(struct arena *arena, struct slice encoded, unsigned depth, hsm_attribute *attribute);

static status_code place_value(struct arena *arena, enum value_type type, const union value *value, unsigned depth,
                               hsm_attribute *attribute)
{
    uint8_t flag;

    switch (type) {
    case VALUE_BOOL:
        flag = value->flag;
        attribute->value = place(arena, &flag, sizeof(flag));
        attribute->value_len = sizeof(flag);
        return STATUS_OK;
    case VALUE_UINT:
        attribute->value = place(arena, &value->number, sizeof(value->number));
        attribute->value_len = sizeof(value->number);
        return STATUS_OK;
    case VALUE_UINTS:
        return place_uints(arena, value->bytes, attribute);
    case VALUE_SET:
        return place_set(arena, value->bytes, depth, attribute);
    default:
        attribute->value = place(arena, value->bytes.data, value->bytes.len);
        attribute->value_len = value->bytes.len;
        return STATUS_OK;
    }
}

static size_t count_present(const struct values *values)
{
    return (size_t)(__builtin_popcountll(values->present[0]) + __builtin_popcountll(values->present[1]));
}

/* `table` is NULL while measuring. */
static status_code place_all(struct arena *arena, const struct values *values, unsigned depth, hsm_attribute *table)
{
    size_t at = 0;

    for (uint32_t number = 0; number < VALUES_MAX; number++) {
        hsm_attribute attribute = {number, NULL, 0};

        if (!values_has(values, number))
            continue;
        TRY(place_value(arena, ATTRIBUTE_SCHEMA.entries[number].type, &values->value[number], depth, &attribute));
        if (table)
            table[at++] = attribute;
    }
    return STATUS_OK;
}

static status_code place_set(struct arena *arena, struct slice encoded, unsigned depth, hsm_attribute *attribute)
{
    struct values values;

    CHECK(depth < DEPTH_MAX, STATUS_PROTOCOL_ERROR, "the answer's templates are nested deeper than %u", DEPTH_MAX);
    TRY(values_decode_all(&ATTRIBUTE_SCHEMA, encoded, &values));
    attribute->value_len = count_present(&values) * sizeof(hsm_attribute);
    hsm_attribute *table = (hsm_attribute *)arena_take(arena, attribute->value_len);
    attribute->value = table;
    return place_all(arena, &values, depth + 1, table);
}

static status_code filter(struct values *values, struct slice wanted)
{
    struct reader reader;
    uint64_t number;
    uint64_t keep[2] = {0, 0};
    uint32_t n;

    if (wanted.len == 0)
        return STATUS_OK;
    TRY(uints_begin(wanted, &reader, &n));
    for (uint32_t i = 0; i < n; i++) {
        TRY(read_uint(&reader, &number));
        if (number < VALUES_MAX)
            keep[number >> 6] |= 1ULL << (number & 63);
    }
    values->present[0] &= keep[0];
    values->present[1] &= keep[1];
    return STATUS_OK;
}

status_code attributes_decode(struct slice encoded, struct slice wanted, hsm_attributes **attributes)
{
    struct values values;
    struct arena arena = {NULL, 0};

    values_init(&values);
    if (encoded.len)
        TRY(values_decode_all(&ATTRIBUTE_SCHEMA, encoded, &values));
    TRY(filter(&values, wanted));
    TRY(place_all(&arena, &values, 0, NULL));

    size_t n = count_present(&values);
    size_t table_end = sizeof(hsm_attributes) + n * sizeof(hsm_attribute);
    hsm_attributes *made = (hsm_attributes *)calloc(1, table_end + arena.used);
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for %zu attributes", n);
    made->size = table_end + arena.used;
    made->n = n;
    arena = (struct arena){(uint8_t *)made + table_end, 0};
    status_code status = place_all(&arena, &values, 0, made->table);
    if (status != STATUS_OK) {
        hsm_attributes_free(made);
        return status;
    }
    *attributes = made;
    return STATUS_OK;
}

void hsm_attributes_free(hsm_attributes *attributes)
{
    if (!attributes)
        return;
    secret_wipe(attributes, attributes->size);
    free(attributes);
}

size_t hsm_attributes_count(const hsm_attributes *attributes)
{
    return attributes ? attributes->n : 0;
}

const hsm_attribute *hsm_attributes_at(const hsm_attributes *attributes, size_t index)
{
    return attributes && index < attributes->n ? &attributes->table[index] : NULL;
}

const hsm_attribute *hsm_attributes_find(const hsm_attributes *attributes, uint32_t type)
{
    for (size_t i = 0; attributes && i < attributes->n; i++) {
        if (attributes->table[i].type == type)
            return &attributes->table[i];
    }
    return NULL;
}

static const hsm_attribute *find_of_type(const hsm_attributes *attributes, uint32_t type, enum value_type value_type)
{
    const hsm_attribute *found = hsm_attributes_find(attributes, type);

    return found && ATTRIBUTE_SCHEMA.entries[type].type == value_type ? found : NULL;
}

int hsm_attributes_bool(const hsm_attributes *attributes, uint32_t type, int otherwise)
{
    const hsm_attribute *found = find_of_type(attributes, type, VALUE_BOOL);

    return found ? *(const uint8_t *)found->value : otherwise;
}

uint64_t hsm_attributes_uint(const hsm_attributes *attributes, uint32_t type, uint64_t otherwise)
{
    const hsm_attribute *found = find_of_type(attributes, type, VALUE_UINT);

    return found ? *(const uint64_t *)found->value : otherwise;
}

const uint8_t *hsm_attributes_bytes(const hsm_attributes *attributes, uint32_t type, size_t *len)
{
    const hsm_attribute *found = find_of_type(attributes, type, VALUE_BIN);

    if (!found)
        found = find_of_type(attributes, type, VALUE_TEXT);
    if (len)
        *len = found ? found->value_len : 0;
    return found ? (const uint8_t *)found->value : NULL;
}
