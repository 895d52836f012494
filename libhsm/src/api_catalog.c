/* Names and facts of numbers, out of the protocol's own tables (hsm/catalog.h). */
#include "hsm/catalog.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "api.h"
#include "protocol/catalog.h"
#include "protocol/names.h"

/* One look-up for all kinds: a function that names a number, and the highest number that can have a name. */
struct kind {
    const char *what;
    const char *(*name_of)(uint64_t number);
    uint32_t highest;
};

const char *hsm_class_name(uint64_t object_class)
{
    return object_class_name(object_class);
}

const char *hsm_key_type_name(uint64_t number)
{
    return key_type_name(number);
}

const char *hsm_hash_name(uint64_t number)
{
    const struct hash_info *info = hash_info(number);

    return info ? info->name : NULL;
}

static const struct curve_info *curve_of(uint64_t number)
{
    return number >= 1 && number <= N_CURVES ? &CURVES[number - 1] : NULL;
}

const char *hsm_curve_name(uint64_t number)
{
    const struct curve_info *curve = curve_of(number);

    return curve ? curve->name : NULL;
}

const char *hsm_mechanism_name(uint64_t number)
{
    const struct mechanism_info *info = mechanism_info(number);

    return info ? info->name : NULL;
}

static const struct schema_entry *attribute_of(uint64_t number)
{
    return number < ATTRIBUTE_SCHEMA.n_entries && ATTRIBUTE_SCHEMA.entries[number].name
               ? &ATTRIBUTE_SCHEMA.entries[number]
               : NULL;
}

const char *hsm_attribute_name(uint64_t number)
{
    const struct schema_entry *entry = attribute_of(number);

    return entry ? entry->name : NULL;
}

const char *hsm_role_name(uint64_t number)
{
    return role_name(number);
}

static status_code number_by_name(const struct kind *kind, const char *name, uint32_t *number)
{
    const char *nearest = NULL;
    unsigned nearest_distance = UINT_MAX;

    CHECK(name && number, STATUS_INVALID_ARGUMENT, "%s: no name, or no place for the number", kind->what);
    for (uint32_t i = 0; i <= kind->highest; i++) {
        const char *candidate = kind->name_of(i);

        if (!candidate)
            continue;
        if (names_equal(candidate, name)) {
            *number = i;
            return STATUS_OK;
        }
        unsigned d = names_distance(candidate, name);
        if (d < nearest_distance) {
            nearest_distance = d;
            nearest = candidate;
        }
    }
    FAIL(STATUS_INVALID_ARGUMENT, "there is no %s \"%.40s\"; the nearest is \"%s\"", kind->what, name, nearest);
}

hsm_status hsm_class_by_name(const char *name, uint32_t *object_class)
{
    static const struct kind kind = {"object class", object_class_name, CLASS_SECRET_KEY};

    return API(number_by_name(&kind, name, object_class));
}

hsm_status hsm_key_type_by_name(const char *name, uint32_t *key_type)
{
    static const struct kind kind = {"key type", key_type_name, KEY_TYPE_COUNT - 1};

    return API(number_by_name(&kind, name, key_type));
}

hsm_status hsm_hash_by_name(const char *name, uint32_t *hash)
{
    static const struct kind kind = {"hash", hsm_hash_name, HASH_COUNT - 1};

    return API(number_by_name(&kind, name, hash));
}

hsm_status hsm_curve_by_name(const char *name, uint32_t *curve)
{
    static const struct kind kind = {"curve", hsm_curve_name, HSM_CURVE_X448};

    return API(number_by_name(&kind, name, curve));
}

hsm_status hsm_mechanism_by_name(const char *name, uint32_t *mechanism)
{
    static const struct kind kind = {"mechanism", hsm_mechanism_name, MECHANISM_COUNT - 1};

    return API(number_by_name(&kind, name, mechanism));
}

hsm_status hsm_attribute_by_name(const char *name, uint32_t *attribute)
{
    static const struct kind kind = {"attribute", hsm_attribute_name, VALUES_MAX - 1};

    return API(number_by_name(&kind, name, attribute));
}

hsm_status hsm_role_by_name(const char *name, uint32_t *role)
{
    static const struct kind kind = {"role", role_name, ROLE_AUDITOR};

    return API(number_by_name(&kind, name, role));
}

size_t hsm_hash_len(uint64_t number)
{
    const struct hash_info *info = hash_info(number);

    return info ? info->len : 0;
}

uint32_t hsm_attribute_value_type(uint64_t number)
{
    static const uint8_t types[] = {
        [VALUE_BOOL] = HSM_VALUE_BOOL, [VALUE_UINT] = HSM_VALUE_UINT,   [VALUE_BIN] = HSM_VALUE_BYTES,
        [VALUE_TEXT] = HSM_VALUE_TEXT, [VALUE_UINTS] = HSM_VALUE_UINTS, [VALUE_SET] = HSM_VALUE_TEMPLATE,
    };
    const struct schema_entry *entry = attribute_of(number);

    return entry ? types[entry->type] : 0;
}

const char *hsm_attribute_doc(uint64_t number)
{
    const struct schema_entry *entry = attribute_of(number);

    return entry ? entry->doc : NULL;
}

const char *hsm_mechanism_doc(uint64_t number)
{
    const struct mechanism_info *info = mechanism_info(number);

    return info ? info->doc : NULL;
}

uint32_t hsm_mechanism_key_type(uint64_t number)
{
    const struct mechanism_info *info = mechanism_info(number);

    return info ? info->key_type : 0;
}

uint32_t hsm_mechanism_uses(uint64_t number)
{
    const struct mechanism_info *info = mechanism_info(number);

    return info ? info->uses : 0;
}

const uint8_t *hsm_curve_oid(uint64_t number, size_t *oid_len)
{
    const struct curve_info *curve = curve_of(number);

    if (oid_len)
        *oid_len = curve ? curve->oid.len : 0;
    return curve ? curve->oid.data : NULL;
}

uint32_t hsm_curve_by_oid(const uint8_t *oid, size_t oid_len)
{
    const struct curve_info *curve = oid ? curve_by_oid(slice_of(oid, oid_len)) : NULL;

    return curve ? (uint32_t)(curve - CURVES) + 1 : 0;
}

uint32_t hsm_curve_bits(uint64_t number)
{
    const struct curve_info *curve = curve_of(number);

    return curve ? curve->bits : 0;
}

uint32_t hsm_curve_key_type(uint64_t number)
{
    const struct curve_info *curve = curve_of(number);

    return curve ? curve->key_type : 0;
}
