/* The rows, and the numbers of the standard for those of the library. */
#include "attribute_table.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* --- attributes --- */

enum {
    IN_CREATE = 1 << TEMPLATE_CREATE,
    IN_GENERATE = 1 << TEMPLATE_GENERATE,
    IN_COPY = 1 << TEMPLATE_COPY,
    IN_SET = 1 << TEMPLATE_SET,

    NEVER = 0, /* the token's own */
    MAKE = IN_CREATE | IN_GENERATE,
    MAKE_COPY = MAKE | IN_COPY,
    ANY = MAKE | IN_COPY | IN_SET,

    DATA = 1 << HSM_CLASS_DATA,
    CERTIFICATE = 1 << HSM_CLASS_CERTIFICATE,
    PUBLIC = 1 << HSM_CLASS_PUBLIC_KEY,
    PRIVATE = 1 << HSM_CLASS_PRIVATE_KEY,
    SECRET = 1 << HSM_CLASS_SECRET_KEY,
    PAIR = PUBLIC | PRIVATE,
    KEYS = PAIR | SECRET,
    ALL = DATA | CERTIFICATE | KEYS,
};

#define EMPTY(classes)         .has = (classes), .otherwise = DEFAULT_EMPTY
#define NUMBER(classes, value) .has = (classes), .otherwise = DEFAULT_NUMBER, .number = (value)
#define ROW_OF(cka, attribute, value_kind, where, ...)                                                                 \
    {                                                                                                                  \
        .type = (cka), .hsm = (attribute), .kind = KIND_##value_kind, .given_in = (where), ##__VA_ARGS__               \
    }
#define ROW(name, ...)    ROW_OF(CKA_##name, HSM_ATTR_##name, __VA_ARGS__)
#define ABSENT(name, ...) ROW_OF(CKA_##name, 0, __VA_ARGS__)
#define FLAG(name, where) ROW(name, BOOL, where)
#define PART              .is_part = 1
#define CLAIM             .is_claim = 1

/* Where an attribute may be given is what the cluster takes (docs/attributes.md). That is a little more than the
 * standard's footnotes ask for: the length of a key that is imported, or the bits of its modulus, may be said if they
 * are right, because programs do. */
static const struct attribute_row ROWS[] = {
    ROW(CLASS, CLASS, MAKE),
    FLAG(TOKEN, MAKE_COPY),
    FLAG(PRIVATE, MAKE_COPY),
    ROW(LABEL, BYTES, ANY, EMPTY(ALL)),
    ROW(UNIQUE_ID, BYTES, NEVER),
    ROW(APPLICATION, BYTES, ANY, EMPTY(DATA)),
    ROW(VALUE, VALUE, IN_CREATE, PART),
    ROW_OF(CKA_OBJECT_ID, HSM_ATTR_OBJECT_IDENTIFIER, BYTES, ANY, EMPTY(DATA)),

    ROW(CERTIFICATE_TYPE, ULONG, MAKE),
    ROW(ISSUER, BYTES, MAKE, EMPTY(CERTIFICATE)),
    ROW(SERIAL_NUMBER, BYTES, MAKE, EMPTY(CERTIFICATE)),
    FLAG(TRUSTED, ANY),
    ROW(CERTIFICATE_CATEGORY, ULONG, MAKE, NUMBER(CERTIFICATE, CK_CERTIFICATE_CATEGORY_UNSPECIFIED)),
    ABSENT(JAVA_MIDP_SECURITY_DOMAIN, CONSTANT, MAKE, NUMBER(CERTIFICATE, CK_SECURITY_DOMAIN_UNSPECIFIED)),
    ROW(URL, BYTES, MAKE, EMPTY(CERTIFICATE)),
    ABSENT(HASH_OF_SUBJECT_PUBLIC_KEY, CONSTANT, MAKE, EMPTY(CERTIFICATE)),
    ABSENT(HASH_OF_ISSUER_PUBLIC_KEY, CONSTANT, MAKE, EMPTY(CERTIFICATE)),
    ABSENT(NAME_HASH_ALGORITHM, CONSTANT, MAKE, NUMBER(CERTIFICATE, CKM_SHA_1)),
    ROW(CHECK_VALUE, BYTES, NEVER, CLAIM),

    ROW(KEY_TYPE, KEY_TYPE, MAKE),
    ROW(SUBJECT, BYTES, ANY, EMPTY(PAIR | CERTIFICATE)),
    ROW(ID, BYTES, ANY, EMPTY(KEYS | CERTIFICATE)),
    FLAG(SENSITIVE, ANY),
    FLAG(ENCRYPT, ANY),
    FLAG(DECRYPT, ANY),
    FLAG(WRAP, ANY),
    FLAG(UNWRAP, ANY),
    FLAG(SIGN, ANY),
    FLAG(SIGN_RECOVER, ANY),
    FLAG(VERIFY, ANY),
    FLAG(VERIFY_RECOVER, ANY),
    FLAG(DERIVE, ANY),
    FLAG(ENCAPSULATE, ANY),
    FLAG(DECAPSULATE, ANY),
    ROW(START_DATE, DATE, ANY, EMPTY(KEYS | CERTIFICATE)),
    ROW(END_DATE, DATE, ANY, EMPTY(KEYS | CERTIFICATE)),

    ROW(MODULUS, INTEGER, IN_CREATE, PART),
    ROW(MODULUS_BITS, ULONG, MAKE),
    ROW(PUBLIC_EXPONENT, INTEGER, MAKE, PART),
    ABSENT(PRIVATE_EXPONENT, VALUE, IN_CREATE, PART),
    ABSENT(PRIME_1, VALUE, IN_CREATE, PART),
    ABSENT(PRIME_2, VALUE, IN_CREATE, PART),
    ABSENT(EXPONENT_1, VALUE, IN_CREATE, PART),
    ABSENT(EXPONENT_2, VALUE, IN_CREATE, PART),
    ABSENT(COEFFICIENT, VALUE, IN_CREATE, PART),
    ROW(PUBLIC_KEY_INFO, PUBLIC_INFO, NEVER, CLAIM),
    ROW(VALUE_LEN, ULONG, MAKE),
    ROW(EC_PARAMS, CURVE, MAKE, PART),
    ROW(EC_POINT, POINT, IN_CREATE, PART),
    ROW(PARAMETER_SET, PARAMETER_SET, MAKE),
    ABSENT(SEED, VALUE, IN_CREATE, PART),

    FLAG(EXTRACTABLE, ANY),
    FLAG(LOCAL, NEVER),
    FLAG(NEVER_EXTRACTABLE, NEVER),
    FLAG(ALWAYS_SENSITIVE, NEVER),
    ROW(KEY_GEN_MECHANISM, MECHANISM, NEVER, NUMBER(KEYS, CK_UNAVAILABLE_INFORMATION)),
    FLAG(MODIFIABLE, MAKE_COPY),
    FLAG(COPYABLE, ANY),
    FLAG(DESTROYABLE, MAKE_COPY),
    FLAG(ALWAYS_AUTHENTICATE, MAKE),
    FLAG(WRAP_WITH_TRUSTED, ANY),
    ROW(WRAP_TEMPLATE, TEMPLATE, MAKE, EMPTY(PUBLIC | SECRET)),
    ROW(UNWRAP_TEMPLATE, TEMPLATE, MAKE, EMPTY(PRIVATE | SECRET)),
    ROW(DERIVE_TEMPLATE, TEMPLATE, MAKE, EMPTY(PRIVATE | SECRET)),
    ROW(ALLOWED_MECHANISMS, MECHANISMS, MAKE, EMPTY(KEYS)),
};

_Static_assert(N_OF(ROWS) <= ATTRIBUTE_ROWS_MAX, "templates note which attributes they have by the rows' places");

const struct attribute_row *attribute_row(CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < N_OF(ROWS); i++)
        if (ROWS[i].type == type)
            return &ROWS[i];
    return NULL;
}

const struct attribute_row *attribute_row_of(uint32_t hsm)
{
    for (size_t i = 0; hsm != 0 && i < N_OF(ROWS); i++)
        if (ROWS[i].hsm == hsm)
            return &ROWS[i];
    return NULL;
}

size_t attribute_row_index(const struct attribute_row *row)
{
    return (size_t)(row - ROWS);
}

/* --- values --- */

/* What a value of each kind is made of: one of these, any number of them, or none or one. */
static const struct value_size {
    uint8_t unit;
    bool any_number, may_be_none;
} SIZES[KINDS] = {
    [KIND_BOOL] = {sizeof(CK_BBOOL), false, false},
    [KIND_ULONG] = {sizeof(CK_ULONG), false, false},
    [KIND_BYTES] = {1, true, true},
    [KIND_INTEGER] = {1, true, true},
    [KIND_DATE] = {sizeof(CK_DATE), false, true},
    [KIND_CLASS] = {sizeof(CK_OBJECT_CLASS), false, false},
    [KIND_KEY_TYPE] = {sizeof(CK_KEY_TYPE), false, false},
    [KIND_MECHANISM] = {sizeof(CK_MECHANISM_TYPE), false, false},
    [KIND_MECHANISMS] = {sizeof(CK_MECHANISM_TYPE), true, true},
    [KIND_TEMPLATE] = {sizeof(CK_ATTRIBUTE), true, true},
    [KIND_CURVE] = {1, true, true},
    [KIND_POINT] = {1, true, true},
    [KIND_PARAMETER_SET] = {sizeof(CK_ULONG), false, false},
    [KIND_PUBLIC_INFO] = {1, true, true},
    [KIND_VALUE] = {1, true, true},
    [KIND_CONSTANT] = {1, true, true},
};

bool attribute_len_fits(const struct attribute_row *row, const CK_ATTRIBUTE *given)
{
    const struct value_size *size = &SIZES[row->kind];
    CK_ULONG len = given->ulValueLen;

    if (len == 0)
        return size->may_be_none;
    if (len > HSM_MESSAGE_MAX) /* more than any value has, CK_UNAVAILABLE_INFORMATION among it */
        return false;
    return size->any_number ? len % size->unit == 0 : len == size->unit;
}

bool attribute_is_default(const struct attribute_row *row, const CK_ATTRIBUTE *given)
{
    switch (row->otherwise) {
    case DEFAULT_EMPTY:
        return given->ulValueLen == 0;
    case DEFAULT_NUMBER:
        return given->ulValueLen == sizeof(CK_ULONG) && ulong_at(given->pValue) == row->number;
    default:
        return false;
    }
}

CK_ULONG ulong_at(const void *value)
{
    CK_ULONG number;

    memcpy(&number, value, sizeof(number));
    return number;
}

/* --- classes and key types --- */

static const struct number_pair {
    CK_ULONG standard;
    uint32_t hsm;
} CLASSES[] =
    {
        {CKO_DATA, HSM_CLASS_DATA},
        {CKO_CERTIFICATE, HSM_CLASS_CERTIFICATE},
        {CKO_PUBLIC_KEY, HSM_CLASS_PUBLIC_KEY},
        {CKO_PRIVATE_KEY, HSM_CLASS_PRIVATE_KEY},
        {CKO_SECRET_KEY, HSM_CLASS_SECRET_KEY},
},
  KEY_TYPES[] = {
      {CKK_RSA, HSM_KEY_TYPE_RSA},
      {CKK_EC, HSM_KEY_TYPE_EC},
      {CKK_EC_EDWARDS, HSM_KEY_TYPE_EC_EDWARDS},
      {CKK_EC_MONTGOMERY, HSM_KEY_TYPE_EC_MONTGOMERY},
      {CKK_AES, HSM_KEY_TYPE_AES},
      {CKK_DES3, HSM_KEY_TYPE_DES3},
      {CKK_GENERIC_SECRET, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_ML_DSA, HSM_KEY_TYPE_ML_DSA},
      {CKK_ML_KEM, HSM_KEY_TYPE_ML_KEM},
      /* Generic secrets by what they are for. The cluster does not tell them apart, so they come back as such. */
      {CKK_HKDF, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_SHA_1_HMAC, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_SHA224_HMAC, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_SHA256_HMAC, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_SHA384_HMAC, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_SHA512_HMAC, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_SHA3_224_HMAC, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_SHA3_256_HMAC, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_SHA3_384_HMAC, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_SHA3_512_HMAC, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_SHA512_224_HMAC, HSM_KEY_TYPE_GENERIC_SECRET},
      {CKK_SHA512_256_HMAC, HSM_KEY_TYPE_GENERIC_SECRET},
};

static CK_ULONG standard_of(const struct number_pair *pairs, size_t n, uint64_t hsm)
{
    for (size_t i = 0; i < n; i++)
        if (pairs[i].hsm == hsm)
            return pairs[i].standard;
    return CK_UNAVAILABLE_INFORMATION;
}

static uint32_t hsm_of(const struct number_pair *pairs, size_t n, CK_ULONG standard)
{
    for (size_t i = 0; i < n; i++)
        if (pairs[i].standard == standard)
            return pairs[i].hsm;
    return 0;
}

CK_OBJECT_CLASS class_of(uint64_t hsm_class)
{
    return standard_of(CLASSES, N_OF(CLASSES), hsm_class);
}

CK_KEY_TYPE key_type_of(uint64_t hsm_key_type)
{
    return standard_of(KEY_TYPES, N_OF(KEY_TYPES), hsm_key_type);
}

uint32_t hsm_class_of(CK_OBJECT_CLASS object_class)
{
    return hsm_of(CLASSES, N_OF(CLASSES), object_class);
}

uint32_t hsm_key_type_of(CK_KEY_TYPE key_type)
{
    return hsm_of(KEY_TYPES, N_OF(KEY_TYPES), key_type);
}

/* --- curves and parameter sets --- */

#define PRINTABLE(len) "\x13" len

/* RFC 8410 came after programs had begun to name these curves otherwise: by the names of PKCS#11 3.0, 2.3.10 (a
 * PrintableString), and by numbers that GnuPG and cryptlib gave them. */
static const struct curve_alias {
    const char *der;
    uint8_t len;
    uint32_t curve;
} CURVE_ALIASES[] = {
    {PRINTABLE("\x0c") "edwards25519", 14, HSM_CURVE_ED25519},
    {PRINTABLE("\x0a") "edwards448", 12, HSM_CURVE_ED448},
    {PRINTABLE("\x0a") "curve25519", 12, HSM_CURVE_X25519},
    {PRINTABLE("\x08") "curve448", 10, HSM_CURVE_X448},
    {"\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01", 11, HSM_CURVE_ED25519},
    {"\x06\x0a\x2b\x06\x01\x04\x01\x97\x55\x01\x05\x01", 12, HSM_CURVE_X25519},
};

uint32_t curve_of_params(const void *params, size_t params_len)
{
    if (!params || params_len == 0)
        return 0;
    for (size_t i = 0; i < N_OF(CURVE_ALIASES); i++)
        if (CURVE_ALIASES[i].len == params_len && memcmp(CURVE_ALIASES[i].der, params, params_len) == 0)
            return CURVE_ALIASES[i].curve;
    return hsm_curve_by_oid(params, params_len);
}

/* FIPS 203 and 204 name them by numbers that are all different; the standard counts within a key type. */
static const struct parameter_set {
    uint32_t key_type;
    CK_ULONG standard;
    uint64_t hsm;
} PARAMETER_SETS[] = {
    {HSM_KEY_TYPE_ML_DSA, 1, 44},  {HSM_KEY_TYPE_ML_DSA, 2, 65},  {HSM_KEY_TYPE_ML_DSA, 3, 87},
    {HSM_KEY_TYPE_ML_KEM, 1, 512}, {HSM_KEY_TYPE_ML_KEM, 2, 768}, {HSM_KEY_TYPE_ML_KEM, 3, 1024},
};

uint64_t hsm_parameter_set_of(uint32_t hsm_key_type, CK_ULONG parameter_set)
{
    for (size_t i = 0; i < N_OF(PARAMETER_SETS); i++)
        if (PARAMETER_SETS[i].key_type == hsm_key_type && PARAMETER_SETS[i].standard == parameter_set)
            return PARAMETER_SETS[i].hsm;
    return 0;
}

CK_ULONG parameter_set_of(uint64_t hsm_parameter_set)
{
    for (size_t i = 0; i < N_OF(PARAMETER_SETS); i++)
        if (PARAMETER_SETS[i].hsm == hsm_parameter_set)
            return PARAMETER_SETS[i].standard;
    return CK_UNAVAILABLE_INFORMATION;
}
