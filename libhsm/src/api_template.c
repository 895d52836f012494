/* Templates: the caller's hsm_attribute arrays into the protocol's attribute sets. What is encoded is then read back by
 * the protocol's strict decoder, so that a node never sees a template that it would call malformed. */
#include "api_template.h"

#include "protocol/catalog.h"
#include "protocol/values.h"
#include "protocol/writer.h"

static status_code check_len(const struct schema_entry *entry, size_t value_len, bool fits)
{
    CHECK(fits, STATUS_ATTRIBUTE_VALUE_INVALID, "attribute %s: %zu bytes are not a value of its type", entry->name,
          value_len);
    return STATUS_OK;
}

static status_code write_nested(const hsm_attribute *attribute, bool nested, struct bytes *out);

static void write_uints(const hsm_attribute *attribute, struct bytes *out)
{
    size_t n = attribute->value_len / sizeof(uint64_t);
    uint64_t number;

    write_array(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        memcpy(&number, (const uint8_t *)attribute->value + i * sizeof(number), sizeof(number));
        write_uint(out, number);
    }
}

static status_code write_attribute(const hsm_attribute *attribute, bool nested, struct bytes *out)
{
    const struct schema_entry *entry = &ATTRIBUTE_SCHEMA.entries[attribute->type];
    size_t len = attribute->value_len;
    uint64_t number;

    switch (entry->type) {
    case VALUE_BOOL:
        TRY(check_len(entry, len, len == 1 && *(const uint8_t *)attribute->value <= 1));
        write_bool(out, *(const uint8_t *)attribute->value);
        return STATUS_OK;
    case VALUE_UINT:
        TRY(check_len(entry, len, len == sizeof(number)));
        memcpy(&number, attribute->value, sizeof(number));
        write_uint(out, number);
        return STATUS_OK;
    case VALUE_BIN:
        write_bin(out, slice_of(attribute->value, len));
        return STATUS_OK;
    case VALUE_TEXT:
        write_text(out, slice_of(attribute->value, len));
        return STATUS_OK;
    case VALUE_UINTS:
        TRY(check_len(entry, len, len % sizeof(number) == 0 && len / sizeof(number) <= CONTAINER_MAX));
        write_uints(attribute, out);
        return STATUS_OK;
    default:
        TRY(check_len(entry, len, len % sizeof(hsm_attribute) == 0));
        return write_nested(attribute, nested, out);
    }
}

/* Sorts by type and refuses what is unknown, doubled or without a value. */
static status_code sort_template(const hsm_attribute *attributes, size_t n, const hsm_attribute *by_type[VALUES_MAX])
{
    CHECK(attributes || n == 0, STATUS_INVALID_ARGUMENT, "%zu attributes at NULL", n);
    for (size_t i = 0; i < n; i++) {
        const hsm_attribute *attribute = &attributes[i];
        const char *name = hsm_attribute_name(attribute->type);

        CHECK(name, STATUS_ATTRIBUTE_TYPE_INVALID, "there is no attribute %u", attribute->type);
        CHECK(!by_type[attribute->type], STATUS_TEMPLATE_INCONSISTENT, "attribute %s occurs twice", name);
        CHECK(attribute->value || attribute->value_len == 0, STATUS_ATTRIBUTE_VALUE_INVALID,
              "attribute %s: %zu bytes at NULL", name, attribute->value_len);
        by_type[attribute->type] = attribute;
    }
    return STATUS_OK;
}

static status_code write_template(const hsm_attribute *attributes, size_t n, bool nested, struct bytes *out)
{
    const hsm_attribute *by_type[VALUES_MAX] = {NULL};

    TRY(sort_template(attributes, n, by_type));
    write_map(out, (uint32_t)n);
    for (uint32_t type = 0; type < VALUES_MAX; type++) {
        if (!by_type[type])
            continue;
        write_uint(out, type);
        TRY(write_attribute(by_type[type], nested, out));
    }
    return STATUS_OK;
}

static status_code write_nested(const hsm_attribute *attribute, bool nested, struct bytes *out)
{
    CHECK(!nested, STATUS_ATTRIBUTE_VALUE_INVALID, "attribute %s: a template within a template within a template",
          hsm_attribute_name(attribute->type));
    return write_template((const hsm_attribute *)attribute->value, attribute->value_len / sizeof(hsm_attribute), true,
                          out);
}

status_code template_encode(const hsm_attribute *attributes, size_t n, struct bytes *out)
{
    struct values decoded;
    size_t start = out->len;

    TRY(write_template(attributes, n, false, out));
    TRY(bytes_ok(out));
    status_code status = values_decode_all(&ATTRIBUTE_SCHEMA, slice_of(out->data + start, out->len - start), &decoded);
    return status == STATUS_OK ? STATUS_OK : STATUS_ATTRIBUTE_VALUE_INVALID;
}

status_code wanted_encode(const uint32_t *wanted, size_t n_wanted, struct bytes *out)
{
    CHECK(wanted || n_wanted == 0, STATUS_INVALID_ARGUMENT, "%zu attribute types at NULL", n_wanted);
    CHECK(n_wanted <= VALUES_MAX, STATUS_INVALID_ARGUMENT, "%zu attributes wanted; there are fewer", n_wanted);
    write_array(out, (uint32_t)n_wanted);
    for (size_t i = 0; i < n_wanted; i++) {
        CHECK(hsm_attribute_name(wanted[i]), STATUS_ATTRIBUTE_TYPE_INVALID, "there is no attribute %u", wanted[i]);
        write_uint(out, wanted[i]);
    }
    return bytes_ok(out);
}
