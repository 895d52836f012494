/* The rules of PKCS#11 3.0, section 4, on single attributes, as tables: which attributes an object can have, what they
 * are when a template does not say, what values they take, and how they may change. docs/attributes.md tells the same
 * to users; a unit test checks that every attribute of attributes.def has its row. */
#include "object/object_internal.h"

#include <ctype.h>

enum {
    DATA = 1 << CLASS_DATA,
    CERTIFICATE = 1 << CLASS_CERTIFICATE,
    PUBLIC = 1 << CLASS_PUBLIC_KEY,
    PRIVATE = 1 << CLASS_PRIVATE_KEY,
    SECRET = 1 << CLASS_SECRET_KEY,
    PAIR = PUBLIC | PRIVATE,
    HIDDEN = PRIVATE | SECRET,
    KEYS = PAIR | SECRET,
    ALL = DATA | CERTIFICATE | KEYS,

    RSA_TYPE = 1 << KEY_RSA,
    CURVE_TYPES = 1 << KEY_EC | 1 << KEY_EC_EDWARDS | 1 << KEY_EC_MONTGOMERY,
    LATTICE_TYPES = 1 << KEY_ML_DSA | 1 << KEY_ML_KEM,
    ANY_TYPE = 0,
};

static const struct attribute_rule {
    uint8_t classes;
    uint16_t key_types; /* ANY_TYPE, or a bit for each that it is for */
} RULES[VALUES_MAX] = {
    [ATTRIBUTE_CLASS] = {ALL, ANY_TYPE},
    [ATTRIBUTE_KEY_TYPE] = {KEYS, ANY_TYPE},
    [ATTRIBUTE_LABEL] = {ALL, ANY_TYPE},
    [ATTRIBUTE_ID] = {KEYS | CERTIFICATE, ANY_TYPE},
    [ATTRIBUTE_TOKEN] = {ALL, ANY_TYPE},
    [ATTRIBUTE_PRIVATE] = {ALL, ANY_TYPE},
    [ATTRIBUTE_MODIFIABLE] = {ALL, ANY_TYPE},
    [ATTRIBUTE_COPYABLE] = {ALL, ANY_TYPE},
    [ATTRIBUTE_DESTROYABLE] = {ALL, ANY_TYPE},
    [ATTRIBUTE_SENSITIVE] = {HIDDEN, ANY_TYPE},
    [ATTRIBUTE_EXTRACTABLE] = {HIDDEN, ANY_TYPE},
    [ATTRIBUTE_ALWAYS_SENSITIVE] = {HIDDEN, ANY_TYPE},
    [ATTRIBUTE_NEVER_EXTRACTABLE] = {HIDDEN, ANY_TYPE},
    [ATTRIBUTE_LOCAL] = {KEYS, ANY_TYPE},
    [ATTRIBUTE_WRAP_WITH_TRUSTED] = {HIDDEN, ANY_TYPE},
    [ATTRIBUTE_TRUSTED] = {CERTIFICATE | PUBLIC | SECRET, ANY_TYPE},
    [ATTRIBUTE_ALWAYS_AUTHENTICATE] = {PRIVATE, ANY_TYPE},
    [ATTRIBUTE_ENCRYPT] = {PUBLIC | SECRET, ANY_TYPE},
    [ATTRIBUTE_DECRYPT] = {HIDDEN, ANY_TYPE},
    [ATTRIBUTE_SIGN] = {HIDDEN, ANY_TYPE},
    [ATTRIBUTE_VERIFY] = {PUBLIC | SECRET, ANY_TYPE},
    [ATTRIBUTE_SIGN_RECOVER] = {PRIVATE, ANY_TYPE},
    [ATTRIBUTE_VERIFY_RECOVER] = {PUBLIC, ANY_TYPE},
    [ATTRIBUTE_WRAP] = {PUBLIC | SECRET, ANY_TYPE},
    [ATTRIBUTE_UNWRAP] = {HIDDEN, ANY_TYPE},
    [ATTRIBUTE_DERIVE] = {KEYS, ANY_TYPE},
    [ATTRIBUTE_ENCAPSULATE] = {PUBLIC, ANY_TYPE},
    [ATTRIBUTE_DECAPSULATE] = {PRIVATE, ANY_TYPE},
    [ATTRIBUTE_KEY_GEN_MECHANISM] = {KEYS, ANY_TYPE},
    [ATTRIBUTE_ALLOWED_MECHANISMS] = {KEYS, ANY_TYPE},
    [ATTRIBUTE_CHECK_VALUE] = {SECRET, ANY_TYPE},
    [ATTRIBUTE_UNIQUE_ID] = {ALL, ANY_TYPE},
    [ATTRIBUTE_START_DATE] = {KEYS | CERTIFICATE, ANY_TYPE},
    [ATTRIBUTE_END_DATE] = {KEYS | CERTIFICATE, ANY_TYPE},
    [ATTRIBUTE_SUBJECT] = {PAIR | CERTIFICATE, ANY_TYPE},
    [ATTRIBUTE_ISSUER] = {CERTIFICATE, ANY_TYPE},
    [ATTRIBUTE_SERIAL_NUMBER] = {CERTIFICATE, ANY_TYPE},
    [ATTRIBUTE_CERTIFICATE_TYPE] = {CERTIFICATE, ANY_TYPE},
    [ATTRIBUTE_CERTIFICATE_CATEGORY] = {CERTIFICATE, ANY_TYPE},
    [ATTRIBUTE_VALUE] = {ALL, ANY_TYPE},
    [ATTRIBUTE_VALUE_LEN] = {SECRET, ANY_TYPE},
    [ATTRIBUTE_MODULUS] = {PAIR, RSA_TYPE},
    [ATTRIBUTE_MODULUS_BITS] = {PAIR, RSA_TYPE},
    [ATTRIBUTE_PUBLIC_EXPONENT] = {PAIR, RSA_TYPE},
    [ATTRIBUTE_EC_PARAMS] = {PAIR, CURVE_TYPES},
    [ATTRIBUTE_EC_POINT] = {PAIR, CURVE_TYPES},
    [ATTRIBUTE_PUBLIC_KEY_INFO] = {PAIR, ANY_TYPE},
    [ATTRIBUTE_PARAMETER_SET] = {PAIR, LATTICE_TYPES},
    [ATTRIBUTE_APPLICATION] = {DATA, ANY_TYPE},
    [ATTRIBUTE_OBJECT_IDENTIFIER] = {DATA, ANY_TYPE},
    [ATTRIBUTE_OWNER] = {ALL, ANY_TYPE},
    [ATTRIBUTE_SHARED_WITH] = {ALL, ANY_TYPE},
    [ATTRIBUTE_CREATED_MS] = {ALL, ANY_TYPE},
    [ATTRIBUTE_WRAP_TEMPLATE] = {PUBLIC | SECRET, ANY_TYPE},
    [ATTRIBUTE_UNWRAP_TEMPLATE] = {HIDDEN, ANY_TYPE},
    [ATTRIBUTE_DERIVE_TEMPLATE] = {HIDDEN, ANY_TYPE},
    [ATTRIBUTE_URL] = {CERTIFICATE, ANY_TYPE},
    [ATTRIBUTE_QUORUM_USE] = {HIDDEN, ANY_TYPE},
    [ATTRIBUTE_QUORUM_MANAGEMENT] = {HIDDEN, ANY_TYPE},
};

bool attribute_applies(uint32_t attribute, uint64_t class, uint64_t key_type)
{
    if (attribute >= VALUES_MAX || class > CLASS_SECRET_KEY || !(RULES[attribute].classes >> class & 1))
        return false;
    return RULES[attribute].key_types == ANY_TYPE ||
           (key_type < KEY_TYPE_COUNT && RULES[attribute].key_types >> key_type & 1);
}

const char *attribute_name(uint32_t attribute)
{
    bool known = attribute < VALUES_MAX && ATTRIBUTE_SCHEMA.entries[attribute].name;
    return known ? ATTRIBUTE_SCHEMA.entries[attribute].name : "unknown";
}

/* Defaults. Each key type gets the one use that it is made for. Wrapping and deriving from secrets hand out what a key
 * protects, so they are asked for. */

static const struct usage_default {
    enum object_class class;
    enum key_type type;
    enum attribute uses[4]; /* ended by 0 */
} USAGE_DEFAULTS[] = {
    {CLASS_PUBLIC_KEY, KEY_RSA, {ATTRIBUTE_VERIFY, ATTRIBUTE_ENCRYPT}},
    {CLASS_PRIVATE_KEY, KEY_RSA, {ATTRIBUTE_SIGN, ATTRIBUTE_DECRYPT}},
    {CLASS_PUBLIC_KEY, KEY_EC, {ATTRIBUTE_VERIFY}},
    {CLASS_PRIVATE_KEY, KEY_EC, {ATTRIBUTE_SIGN}},
    {CLASS_PUBLIC_KEY, KEY_EC_EDWARDS, {ATTRIBUTE_VERIFY}},
    {CLASS_PRIVATE_KEY, KEY_EC_EDWARDS, {ATTRIBUTE_SIGN}},
    {CLASS_PRIVATE_KEY, KEY_EC_MONTGOMERY, {ATTRIBUTE_DERIVE}},
    {CLASS_SECRET_KEY, KEY_AES, {ATTRIBUTE_ENCRYPT, ATTRIBUTE_DECRYPT, ATTRIBUTE_SIGN, ATTRIBUTE_VERIFY}},
    {CLASS_SECRET_KEY, KEY_DES3, {ATTRIBUTE_ENCRYPT, ATTRIBUTE_DECRYPT}},
    {CLASS_SECRET_KEY, KEY_GENERIC_SECRET, {ATTRIBUTE_SIGN, ATTRIBUTE_VERIFY}},
    {CLASS_PUBLIC_KEY, KEY_ML_DSA, {ATTRIBUTE_VERIFY}},
    {CLASS_PRIVATE_KEY, KEY_ML_DSA, {ATTRIBUTE_SIGN}},
    {CLASS_PUBLIC_KEY, KEY_ML_KEM, {ATTRIBUTE_ENCAPSULATE}},
    {CLASS_PRIVATE_KEY, KEY_ML_KEM, {ATTRIBUTE_DECAPSULATE}},
};

static bool default_use(uint64_t class, uint64_t type, uint32_t attribute)
{
    for (size_t i = 0; i < sizeof USAGE_DEFAULTS / sizeof *USAGE_DEFAULTS; i++) {
        const struct usage_default *row = &USAGE_DEFAULTS[i];
        for (size_t use = 0; row->class == class && row->type == type && use < 4; use++)
            if (row->uses[use] == attribute)
                return true;
    }
    return false;
}

static bool default_flag(uint64_t class, uint64_t type, uint32_t attribute)
{
    switch (attribute) {
    case ATTRIBUTE_MODIFIABLE:
    case ATTRIBUTE_COPYABLE:
    case ATTRIBUTE_DESTROYABLE:
        return true;
    case ATTRIBUTE_PRIVATE:
    case ATTRIBUTE_SENSITIVE:
        return holds_secret(class);
    default:
        return default_use(class, type, attribute);
    }
}

void attributes_default(struct values *attributes)
{
    uint64_t class = values_uint(attributes, ATTRIBUTE_CLASS, 0), type = values_uint(attributes, ATTRIBUTE_KEY_TYPE, 0);
    for (uint32_t i = 0; i < VALUES_MAX; i++) {
        bool wanted = attribute_flags(i) & (ATTRIBUTE_FLAG_CREATE | ATTRIBUTE_FLAG_SET);
        if (wanted && ATTRIBUTE_SCHEMA.entries[i].type == VALUE_BOOL && attribute_applies(i, class, type) &&
            !values_has(attributes, i))
            values_put_bool(attributes, i, default_flag(class, type, i));
    }
}

/* Values. */

static bool digits(struct slice text, size_t at, size_t n, uint32_t *number)
{
    for (*number = 0; n > 0; n--, at++) {
        if (!isdigit(text.data[at]))
            return false;
        *number = 10 * *number + text.data[at] - '0';
    }
    return true;
}

uint32_t day_of(struct slice date)
{
    uint32_t number = 0;
    return date.len == 8 && digits(date, 0, 8, &number) ? number : 0;
}

static status_code check_date(struct slice date, uint32_t attribute)
{
    static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint32_t year, month, day;
    bool valid = date.len == 8 && digits(date, 0, 4, &year) && digits(date, 4, 2, &month) && digits(date, 6, 2, &day) &&
                 month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
    CHECK(valid || date.len == 0, STATUS_ATTRIBUTE_VALUE_INVALID, "%s must be a date written YYYYMMDD",
          attribute_name(attribute));
    return STATUS_OK;
}

static status_code check_nested(struct slice encoded, uint32_t attribute)
{
    struct values nested;
    CHECK(values_decode_all(&ATTRIBUTE_SCHEMA, encoded, &nested) == STATUS_OK, STATUS_ATTRIBUTE_VALUE_INVALID,
          "%s is not a set of attributes", attribute_name(attribute));
    CHECK(!values_has(&nested, ATTRIBUTE_VALUE) && !values_has(&nested, ATTRIBUTE_WRAP_TEMPLATE) &&
              !values_has(&nested, ATTRIBUTE_UNWRAP_TEMPLATE) && !values_has(&nested, ATTRIBUTE_DERIVE_TEMPLATE),
          STATUS_ATTRIBUTE_VALUE_INVALID, "%s must hold neither VALUE nor templates", attribute_name(attribute));
    return STATUS_OK;
}

static status_code check_mechanisms(struct slice encoded)
{
    struct reader reader;
    uint32_t n;
    uint64_t number;
    CHECK(uints_begin(encoded, &reader, &n) == STATUS_OK, STATUS_ATTRIBUTE_VALUE_INVALID,
          "ALLOWED_MECHANISMS is not a list of numbers");
    while (n-- > 0) {
        CHECK(read_uint(&reader, &number) == STATUS_OK && mechanism_info(number & 0xffff) && hash_info(number >> 16),
              STATUS_ATTRIBUTE_VALUE_INVALID, "ALLOWED_MECHANISMS names an unknown mechanism or hash");
    }
    return STATUS_OK;
}

static status_code check_at_most(const struct values *attributes, uint32_t attribute, uint64_t most)
{
    CHECK(values_uint(attributes, attribute, 0) <= most, STATUS_ATTRIBUTE_VALUE_INVALID, "%s must be at most %llu",
          attribute_name(attribute), (unsigned long long)most);
    return STATUS_OK;
}

status_code attribute_check_value(const struct values *attributes, uint32_t attribute)
{
    switch (attribute) {
    case ATTRIBUTE_START_DATE:
    case ATTRIBUTE_END_DATE:
        return check_date(values_bytes(attributes, attribute), attribute);
    case ATTRIBUTE_WRAP_TEMPLATE:
    case ATTRIBUTE_UNWRAP_TEMPLATE:
    case ATTRIBUTE_DERIVE_TEMPLATE:
        return check_nested(values_bytes(attributes, attribute), attribute);
    case ATTRIBUTE_ALLOWED_MECHANISMS:
        return check_mechanisms(values_bytes(attributes, attribute));
    case ATTRIBUTE_CERTIFICATE_TYPE:
        return check_at_most(attributes, attribute, 0);
    case ATTRIBUTE_CERTIFICATE_CATEGORY:
        return check_at_most(attributes, attribute, 3);
    default:
        return STATUS_OK;
    }
}

/* Changes. */

/** Flags that may change in one direction only. */
static const struct one_way {
    enum attribute attribute;
    bool only_to;
} ONE_WAY[] = {
    {ATTRIBUTE_SENSITIVE, true},
    {ATTRIBUTE_EXTRACTABLE, false},
    {ATTRIBUTE_WRAP_WITH_TRUSTED, true},
    {ATTRIBUTE_COPYABLE, false},
};

static bool is_name_or_date(uint32_t attribute)
{
    return attribute == ATTRIBUTE_LABEL || attribute == ATTRIBUTE_ID || attribute == ATTRIBUTE_SUBJECT ||
           attribute == ATTRIBUTE_START_DATE || attribute == ATTRIBUTE_END_DATE;
}

status_code attribute_check_change(const struct values *before, const struct values *after, uint32_t attribute)
{
    if (values_equal_at(&ATTRIBUTE_SCHEMA, before, after, attribute))
        return STATUS_OK;
    /* What an administrator trusted must stay what he looked at. */
    CHECK(!values_bool(before, ATTRIBUTE_TRUSTED, false) || is_name_or_date(attribute), STATUS_ATTRIBUTE_READ_ONLY,
          "%s of a TRUSTED key cannot be changed", attribute_name(attribute));
    for (size_t i = 0; i < sizeof ONE_WAY / sizeof *ONE_WAY; i++)
        CHECK(ONE_WAY[i].attribute != attribute || values_bool(after, attribute, false) == ONE_WAY[i].only_to,
              STATUS_ATTRIBUTE_READ_ONLY, "%s can only be changed to %s", attribute_name(attribute),
              ONE_WAY[i].only_to ? "true" : "false");
    return STATUS_OK;
}

/* Comparing and choosing. */

static bool match_at(const struct values *attributes, const struct values *template, uint32_t i)
{
    if (i == ATTRIBUTE_VALUE && values_uint(attributes, ATTRIBUTE_CLASS, 0) == CLASS_PUBLIC_KEY)
        return slice_equal(values_bytes(attributes, ATTRIBUTE_PUBLIC_KEY_INFO), values_bytes(template, i));
    return values_equal_at(&ATTRIBUTE_SCHEMA, attributes, template, i);
}

bool attributes_match(const struct values *attributes, const struct values *template, uint32_t *first)
{
    for (uint32_t i = 0; i < VALUES_MAX; i++) {
        if (!values_has(template, i) || match_at(attributes, template, i))
            continue;
        *first = i;
        return false;
    }
    return true;
}

status_code attributes_select(const struct values *attributes, struct slice wanted, struct values *selected)
{
    struct reader reader;
    uint32_t n;
    uint64_t number;

    if (wanted.len == 0) {
        attributes_copy(attributes, selected);
        values_remove(selected, ATTRIBUTE_VALUE);
        return STATUS_OK;
    }
    values_init(selected);
    TRY(uints_begin(wanted, &reader, &n));
    while (n-- > 0) {
        TRY(read_uint(&reader, &number));
        if (number == ATTRIBUTE_VALUE && values_uint(attributes, ATTRIBUTE_CLASS, 0) == CLASS_PUBLIC_KEY)
            values_put_bytes(selected, ATTRIBUTE_VALUE, values_bytes(attributes, ATTRIBUTE_PUBLIC_KEY_INFO));
        else if (number < VALUES_MAX && values_has(attributes, (uint32_t)number)) {
            selected->value[number] = attributes->value[number];
            values_mark(selected, (uint32_t)number);
        }
    }
    return STATUS_OK;
}
