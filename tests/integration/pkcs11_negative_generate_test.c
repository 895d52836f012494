/* Making keys: sizes beyond what C_GetMechanismInfo says, curves and exponents that nobody should get, and templates of
 * another class or type. */
#include "pkcs11_negative.h"

#define TEST "keys_are_made_in_every_size_between_the_limits"

#define PAIR CKF_GENERATE_KEY_PAIR

struct generate_row {
    struct row row;
    CK_KEY_TYPE key_type;
    CK_ULONG bits_per_unit; /* of the sizes that C_GetMechanismInfo gives */
    CK_ULONG sizes[3];      /* good ones, in bytes for secrets, in bits for RSA */
    const char *curves[3];
};

#define P224    "\x06\x05\x2b\x81\x04\x00\x21"
#define ED448   "\x06\x03\x2b\x65\x71"
#define X448    "\x06\x03\x2b\x65\x6f"
#define UNKNOWN "\x06\x05\x2b\x81\x04\x00\x7f"
#define MD5_OID "\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05"

#define SECRET(type)                                                                                                   \
    {                                                                                                                  \
        ROW_AS(type, #type, CKF_GENERATE, KEY_NONE, TEST), CKK_GENERIC_SECRET, 1, {1, 32, 4096},                       \
        {                                                                                                              \
            NULL                                                                                                       \
        }                                                                                                              \
    }

static const struct generate_row ROWS[] = {
    {ROW(CKM_RSA_PKCS_KEY_PAIR_GEN, PAIR, KEY_NONE, TEST), CKK_RSA, 1, {2048}, {NULL}},
    {ROW(CKM_RSA_X9_31_KEY_PAIR_GEN, PAIR, KEY_NONE, TEST), CKK_RSA, 1, {2048}, {NULL}},
    {ROW(CKM_EC_KEY_PAIR_GEN, PAIR, KEY_NONE, TEST), CKK_EC, 1, {0}, {P224, P256, P521}},
    {ROW(CKM_EC_EDWARDS_KEY_PAIR_GEN, PAIR, KEY_NONE, TEST), CKK_EC_EDWARDS, 1, {0}, {ED25519, ED448, ED25519}},
    {ROW(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, PAIR, KEY_NONE, TEST), CKK_EC_MONTGOMERY, 1, {0}, {X25519, X448, X25519}},
    {ROW(CKM_AES_KEY_GEN, CKF_GENERATE, KEY_NONE, TEST), CKK_AES, 8, {16, 24, 32}, {NULL}},
    {ROW(CKM_DES3_KEY_GEN, CKF_GENERATE, KEY_NONE, TEST), CKK_DES3, 8, {24, 24, 24}, {NULL}},
    SECRET(CKM_GENERIC_SECRET_KEY_GEN),
    SECRET(CKM_SHA_1_KEY_GEN),
    SECRET(CKM_SHA224_KEY_GEN),
    SECRET(CKM_SHA256_KEY_GEN),
    SECRET(CKM_SHA384_KEY_GEN),
    SECRET(CKM_SHA512_KEY_GEN),
    SECRET(CKM_SHA512_224_KEY_GEN),
    SECRET(CKM_SHA512_256_KEY_GEN),
    SECRET(CKM_SHA3_224_KEY_GEN),
    SECRET(CKM_SHA3_256_KEY_GEN),
    SECRET(CKM_SHA3_384_KEY_GEN),
    SECRET(CKM_SHA3_512_KEY_GEN),
    SECRET(CKM_HKDF_KEY_GEN),
    {{CKM_ML_DSA_KEY_PAIR_GEN, "CKM_ML_DSA_KEY_PAIR_GEN", PAIR, KEY_NONE,
      "pairs_of_unknown_parameter_sets_are_not_made", NULL, 0, false, 1312, 2592},
     CKK_ML_DSA,
     1,
     {0},
     {NULL}},
    {{CKM_ML_KEM_KEY_PAIR_GEN, "CKM_ML_KEM_KEY_PAIR_GEN", PAIR, KEY_NONE,
      "pairs_of_unknown_parameter_sets_are_not_made", NULL, 0, false, 800, 1568},
     CKK_ML_KEM,
     1,
     {0},
     {NULL}},
};
#define N_ROWS (sizeof(ROWS) / sizeof(ROWS[0]))

static CK_RV make_secret(const struct generate_row *row, CK_ULONG len, CK_OBJECT_HANDLE *key)
{
    return p11->C_GenerateKey(session, MECHANISM(row->row.type), TEMPLATE(A_NUMBER(CKA_VALUE_LEN, len)), key);
}

static CK_RV make_pair(const struct generate_row *row, CK_ATTRIBUTE *publics, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
    CK_OBJECT_HANDLE private_key;

    return p11->C_GenerateKeyPair(session, MECHANISM(row->row.type), publics, n, NULL, 0, key, &private_key);
}

static CK_RV make_curve(const struct generate_row *row, const char *oid, CK_ULONG len, CK_OBJECT_HANDLE *key)
{
    return make_pair(row, TEMPLATE(A_BYTES(CKA_EC_PARAMS, oid, len)), key);
}

static CK_RV make_rsa(const struct generate_row *row, CK_ULONG bits, const char *exponent, CK_ULONG len,
                      CK_OBJECT_HANDLE *key)
{
    return make_pair(row, TEMPLATE(A_NUMBER(CKA_MODULUS_BITS, bits), A_BYTES(CKA_PUBLIC_EXPONENT, exponent, len)), key);
}

/* The length is that of the DER. */
static CK_ULONG oid_len(const char *oid)
{
    return 2 + (CK_ULONG)oid[1];
}

static void keys_are_made_in_every_size_between_the_limits(void **state)
{
    CK_OBJECT_HANDLE key;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct generate_row *row = &ROWS[i];

        for (size_t k = 0; k < 3; k++) {
            if (row->row.max || (!row->sizes[k] && !row->curves[k]))
                continue;
            CK_RV rv = row->row.uses == CKF_GENERATE ? make_secret(row, row->sizes[k], &key)
                       : row->curves[k]              ? make_curve(row, row->curves[k], oid_len(row->curves[k]), &key)
                                                     : make_rsa(row, row->sizes[k], "\x01\x00\x01", 3, &key);
            ROW_RV(&row->row, CKR_OK, rv);
            assert_int_equal(number_of(key, CKA_KEY_TYPE), row->key_type);
            assert_true(flag_of(key, CKA_LOCAL));
            if (row->row.uses == CKF_GENERATE && row->key_type != CKK_DES3)
                assert_int_equal(number_of(key, CKA_VALUE_LEN), row->sizes[k]);
        }
    }
}

static void sizes_beyond_the_limits_are_refused(void **state)
{
    CK_OBJECT_HANDLE key = NO_HANDLE;
    CK_MECHANISM_INFO its;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct generate_row *row = &ROWS[i];

        if (!row->sizes[0])
            continue;
        FINE(p11->C_GetMechanismInfo(0, row->row.type, &its));
        if (row->key_type == CKK_RSA) {
            CK_ULONG bits[] = {
                0, 512, 1024, its.ulMinKeySize - 1, 2049, its.ulMaxKeySize + 1, 8192, (1UL << 32) + 2048, (CK_ULONG)-1};

            for (size_t k = 0; k < sizeof(bits) / sizeof(bits[0]); k++)
                ROW_RV(&row->row, bits[k] <= NUMBER_MAX ? CKR_KEY_SIZE_RANGE : CKR_ATTRIBUTE_VALUE_INVALID,
                       make_rsa(row, bits[k], "\x01\x00\x01", 3, &key));
            continue;
        }
        CK_ULONG units = 8 / row->bits_per_unit, most = its.ulMaxKeySize / units, least = its.ulMinKeySize / units;
        CK_ULONG lengths[] = {least - 1, most + 1, 1UL << 29, (1UL << 29) + most, 1UL << 61, (CK_ULONG)-1};

        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++)
            ROW_RV(&row->row, lengths[k] <= NUMBER_MAX ? CKR_KEY_SIZE_RANGE : CKR_ATTRIBUTE_VALUE_INVALID,
                   make_secret(row, lengths[k], &key));
        for (CK_ULONG len = least; len <= most && row->key_type == CKK_AES; len++)
            ROW_RV(&row->row, len % 8 ? CKR_KEY_SIZE_RANGE : CKR_OK, make_secret(row, len, &(CK_OBJECT_HANDLE){0}));
    }
    assert_int_equal(key, NO_HANDLE);
}

/* FIPS 186-5, A.1.1: odd, between 2^16 and 2^256. */
static void exponents_out_of_range_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        CK_ULONG len;
    } WRONG[] = {
        {"\x00", 1},
        {"\x01", 1},
        {"\x03", 1},
        {"\x11", 1},
        {"\xff\xff", 2},
        {"\x01\x00\x00", 3},
        {"\x01\x00\x02", 3},
        {"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
         "\x00\x00\x00\x00\x00\x01",
         33}};
    CK_OBJECT_HANDLE key;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < sizeof(WRONG) / sizeof(WRONG[0]); k++)
            ROW_RV(&ROWS[i].row, CKR_ATTRIBUTE_VALUE_INVALID,
                   make_rsa(&ROWS[i], 2048, WRONG[k].bytes, WRONG[k].len, &key));
        ROW_RV(&ROWS[i].row, CKR_TEMPLATE_INCOMPLETE, make_pair(&ROWS[i], NULL, 0, &key));
    }
}

static void curves_of_others_and_of_nobody_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        CK_ULONG len;
    } WRONG[] = {{UNKNOWN, 7},    {MD5_OID, 10},       {"", 1},
                 {"\x05\x00", 2}, {P256, 9},           {P256 "\x00", 11},
                 {"\x30\x00", 2}, {"\x06\x80\x2a", 3}, {"\x13\x04P256", 6}};
    CK_OBJECT_HANDLE key;

    (void)state;
    for (size_t i = 2; i < 5; i++) {
        const struct generate_row *row = &ROWS[i];

        for (size_t k = 0; k < sizeof(WRONG) / sizeof(WRONG[0]); k++)
            ROW_RV(&row->row, CKR_CURVE_NOT_SUPPORTED, make_curve(row, WRONG[k].bytes, WRONG[k].len, &key));
        for (size_t other = 2; other < 5; other++)
            if (other != i)
                ROW_RV(&row->row, CKR_CURVE_NOT_SUPPORTED,
                       make_curve(row, ROWS[other].curves[0], oid_len(ROWS[other].curves[0]), &key));
        ROW_RV(&row->row, CKR_TEMPLATE_INCOMPLETE, make_pair(row, NULL, 0, &key));
    }
}

static void templates_of_another_kind_are_refused(void **state)
{
    CK_OBJECT_HANDLE key;
    static const CK_BYTE value[16];

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct generate_row *row = &ROWS[i];
        CK_MECHANISM *mechanism = MECHANISM(row->row.type);

        if (row->row.uses != CKF_GENERATE)
            continue;
        CK_ULONG len = row->sizes[1];
        CK_KEY_TYPE other = row->key_type == CKK_AES ? CKK_GENERIC_SECRET : CKK_AES;
        ROW_RV(&row->row, CKR_TEMPLATE_INCONSISTENT,
               p11->C_GenerateKey(session, mechanism,
                                  TEMPLATE(A_NUMBER(CKA_CLASS, CKO_PRIVATE_KEY), A_NUMBER(CKA_VALUE_LEN, len)), &key));
        ROW_RV(&row->row, CKR_TEMPLATE_INCONSISTENT,
               p11->C_GenerateKey(session, mechanism,
                                  TEMPLATE(A_NUMBER(CKA_KEY_TYPE, other), A_NUMBER(CKA_VALUE_LEN, len)), &key));
        ROW_RV(&row->row, CKR_ATTRIBUTE_READ_ONLY,
               p11->C_GenerateKey(session, mechanism,
                                  TEMPLATE(A_BYTES(CKA_VALUE, value, 16), A_NUMBER(CKA_VALUE_LEN, len)), &key));
        if (row->key_type != CKK_DES3)
            ROW_RV(&row->row, CKR_TEMPLATE_INCOMPLETE, p11->C_GenerateKey(session, mechanism, NULL, 0, &key));
    }
}

static void pairs_of_unknown_parameter_sets_are_not_made(void **state)
{
    static const CK_ULONG WRONG[] = {0, 4, 44, 768, (CK_ULONG)-1};
    CK_OBJECT_HANDLE key;

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct generate_row *row = &ROWS[i];

        if (!row->row.max)
            continue;
        if (!is_offered(&row->row)) {
            ROW_RV(&row->row, CKR_MECHANISM_INVALID, make_pair(row, TEMPLATE(A_NUMBER(CKA_PARAMETER_SET, 1)), &key));
            continue;
        }
        for (CK_ULONG set = 1; set <= 3; set++)
            ROW_RV(&row->row, CKR_OK, make_pair(row, TEMPLATE(A_NUMBER(CKA_PARAMETER_SET, set)), &key));
        for (size_t k = 0; k < sizeof(WRONG) / sizeof(WRONG[0]); k++)
            REFUSED(make_pair(row, TEMPLATE(A_NUMBER(CKA_PARAMETER_SET, WRONG[k])), &key));
        ROW_RV(&row->row, CKR_TEMPLATE_INCOMPLETE, make_pair(row, NULL, 0, &key));
    }
}

static const struct CMUnitTest TESTS[] = {
    user_test(keys_are_made_in_every_size_between_the_limits),
    user_test(sizes_beyond_the_limits_are_refused),
    user_test(exponents_out_of_range_are_refused),
    user_test(curves_of_others_and_of_nobody_are_refused),
    user_test(templates_of_another_kind_are_refused),
    user_test(pairs_of_unknown_parameter_sets_are_not_made),
};

const struct family GENERATE_FAMILY = FAMILY("generate", ROWS, TESTS, NULL);
