/* The tables behind the numbers of mechanisms.def and attributes.def. */
#include "protocol/catalog.h"

#include <strings.h>

enum {
    GENERATE = USE_GENERATE,
    SIGN = USE_SIGN,
    ENCRYPT = USE_ENCRYPT,
    WRAP = USE_WRAP,
    DERIVE = USE_DERIVE,
    ENCAPSULATE = USE_ENCAPSULATE
};

static const struct mechanism_info mechanisms[MECHANISM_COUNT] = {
#define MECHANISM(name, number, key_type, uses, doc) [number] = {#name, KEY_##key_type, uses, doc},
#include "protocol/mechanisms.def"
#undef MECHANISM
};

static const struct hash_info hashes[HASH_COUNT] = {
#define HASH(name, number, len, openssl_name) [number] = {#name, len, openssl_name},
#include "protocol/mechanisms.def"
#undef HASH
};

const struct curve_info CURVES[] = {
#define CURVE(name, key_type, bits, openssl_name, oid)                                                                 \
    {#name, KEY_##key_type, bits, openssl_name, {(const uint8_t *)(oid), sizeof(oid) - 1}},
#include "protocol/mechanisms.def"
#undef CURVE
};

const size_t N_CURVES = sizeof(CURVES) / sizeof(*CURVES);

static const char *const key_types[KEY_TYPE_COUNT] = {
#define KEY_TYPE(name, number) [number] = #name,
#include "protocol/mechanisms.def"
#undef KEY_TYPE
};

static const char *const classes[] = {
#define OBJECT_CLASS(name, number) [number] = #name,
#include "protocol/mechanisms.def"
#undef OBJECT_CLASS
};

static const char *const roles[] = {[ROLE_ADMIN] = "admin", [ROLE_USER] = "crypto-user", [ROLE_AUDITOR] = "auditor"};

enum { BOOL = VALUE_BOOL, UINT = VALUE_UINT, BIN = VALUE_BIN, TEXT = VALUE_TEXT, UINTS = VALUE_UINTS, SET = VALUE_SET };

static const struct schema_entry attribute_entries[VALUES_MAX] = {
#define ATTRIBUTE(name, number, type, max, flags, doc) [number] = {#name, (enum value_type)(type), max, doc},
#include "protocol/attributes.def"
#undef ATTRIBUTE
};

const struct schema ATTRIBUTE_SCHEMA = {"attribute", attribute_entries, VALUES_MAX};

enum {
    CREATE = ATTRIBUTE_FLAG_CREATE,
    SET_LATER = ATTRIBUTE_FLAG_SET,
    NODE = ATTRIBUTE_FLAG_NODE,
    INDEXED = ATTRIBUTE_FLAG_INDEXED,
    SECRET = ATTRIBUTE_FLAG_SECRET
};

static const uint8_t flags_of_attributes[VALUES_MAX] = {
/* In the flags column SET means "may be set"; the type of that name is of no use here. */
#define SET                                            SET_LATER
#define ATTRIBUTE(name, number, type, max, flags, doc) [number] = flags,
#include "protocol/attributes.def"
#undef ATTRIBUTE
#undef SET
};

const struct mechanism_info *mechanism_info(uint64_t number)
{
    return number < MECHANISM_COUNT && mechanisms[number].name ? &mechanisms[number] : NULL;
}

const struct hash_info *hash_info(uint64_t number)
{
    return number < HASH_COUNT ? &hashes[number] : NULL;
}

const struct curve_info *curve_by_oid(struct slice oid)
{
    for (size_t i = 0; i < N_CURVES; i++) {
        if (slice_equal(CURVES[i].oid, oid))
            return &CURVES[i];
    }
    return NULL;
}

const struct curve_info *curve_by_name(const char *name)
{
    for (size_t i = 0; i < N_CURVES; i++) {
        if (strcasecmp(CURVES[i].name, name) == 0)
            return &CURVES[i];
    }
    return NULL;
}

const char *key_type_name(uint64_t number)
{
    return number < KEY_TYPE_COUNT ? key_types[number] : NULL;
}

const char *object_class_name(uint64_t number)
{
    return number < sizeof(classes) / sizeof(*classes) ? classes[number] : NULL;
}

const char *role_name(uint64_t number)
{
    return number < sizeof(roles) / sizeof(*roles) ? roles[number] : NULL;
}

uint32_t attribute_flags(uint32_t number)
{
    return number < VALUES_MAX ? flags_of_attributes[number] : 0;
}
