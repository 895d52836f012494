/* Values of attributes as the library takes them, each by its kind: what it points to lies with what was given, or in
 * the template's memory. Content that no attribute of its kind can have is CKR_ATTRIBUTE_VALUE_INVALID, curves that the
 * cluster does not have CKR_CURVE_NOT_SUPPORTED. */
#include "template_value.h"

#include "key_value.h"
#include "mechanism.h"

#define NESTED_MAX 64 /* attributes of CKA_WRAP_TEMPLATE and the like */

static const uint8_t FLAGS[2] = {0, 1};

/* Where a value goes to: `type` 0 leaves the attribute out. */
typedef CK_RV (*value_taker)(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                             hsm_attribute *taken);

static CK_RV take_bool(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                       hsm_attribute *taken)
{
    CK_BBOOL flag = *(const CK_BBOOL *)given->pValue;

    (void)use;
    (void)made;
    CHECK(flag == CK_TRUE || flag == CK_FALSE, CKR_ATTRIBUTE_VALUE_INVALID);
    taken->value = &FLAGS[flag];
    taken->value_len = 1;
    return CKR_OK;
}

static CK_RV take_ulong(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                        hsm_attribute *taken)
{
    (void)use;
    return template_put_uint(made, ulong_at(given->pValue), taken);
}

static CK_RV take_bytes(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                        hsm_attribute *taken)
{
    (void)use;
    (void)made;
    taken->value = given->pValue;
    taken->value_len = given->ulValueLen;
    return CKR_OK;
}

static CK_RV take_integer(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                          hsm_attribute *taken)
{
    struct der number = der_without_zeros(given->pValue, given->ulValueLen);

    (void)use;
    (void)made;
    CHECK(number.len > 0, CKR_ATTRIBUTE_VALUE_INVALID);
    taken->value = number.data;
    taken->value_len = number.len;
    return CKR_OK;
}

static CK_RV take_class(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                        hsm_attribute *taken)
{
    uint32_t number = hsm_class_of(ulong_at(given->pValue));

    (void)use;
    CHECK(number != 0, CKR_ATTRIBUTE_VALUE_INVALID);
    return template_put_uint(made, number, taken);
}

static CK_RV take_key_type(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                           hsm_attribute *taken)
{
    CK_KEY_TYPE wanted = ulong_at(given->pValue);
    uint32_t number = hsm_key_type_of(wanted);

    CHECK(number != 0, CKR_ATTRIBUTE_VALUE_INVALID);
    /* No key comes back as CKK_SHA256_HMAC, so none is found by it. */
    CHECK(use != TEMPLATE_FIND || key_type_of(number) == wanted, CKR_ATTRIBUTE_VALUE_INVALID);
    return template_put_uint(made, number, taken);
}

/* KEY_GEN_MECHANISM does not tell hashes. */
static CK_RV take_mechanism(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                            hsm_attribute *taken)
{
    const struct mechanism_row *row = mechanism_row(ulong_at(given->pValue));

    (void)use;
    CHECK(row && row->mechanism != 0, CKR_ATTRIBUTE_VALUE_INVALID);
    return template_put_uint(made, row->mechanism, taken);
}

static CK_RV take_mechanisms(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                             hsm_attribute *taken)
{
    size_t n = given->ulValueLen / sizeof(CK_MECHANISM_TYPE);
    const uint8_t *types = given->pValue;

    (void)use;
    if (n == 0) { /* as a key that was made without: any mechanism */
        taken->type = 0;
        return CKR_OK;
    }
    uint64_t *numbers = template_memory(made, n * sizeof(*numbers));

    CHECK(numbers, CKR_HOST_MEMORY);
    for (size_t i = 0; i < n; i++) {
        numbers[i] = number_of_mechanism(ulong_at(types + i * sizeof(CK_MECHANISM_TYPE)));
        CHECK(numbers[i] != 0, CKR_ATTRIBUTE_VALUE_INVALID);
    }
    taken->value = numbers;
    taken->value_len = n * sizeof(*numbers);
    return CKR_OK;
}

static CK_RV take_curve(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                        hsm_attribute *taken)
{
    uint32_t curve = curve_of_params(given->pValue, given->ulValueLen);

    (void)use;
    (void)made;
    CHECK(curve != 0, CKR_CURVE_NOT_SUPPORTED);
    taken->value = hsm_curve_oid(curve, &taken->value_len);
    return CKR_OK;
}

/* The cluster has points as the standard writes them, in an OCTET STRING. */
static CK_RV take_point(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                        hsm_attribute *taken)
{
    struct der_writer out = {.room = given->ulValueLen + 8};
    struct der point;

    (void)use;
    CHECK(key_point(given->pValue, given->ulValueLen, &point), CKR_ATTRIBUTE_VALUE_INVALID);
    out.data = template_memory(made, out.room);
    CHECK(out.data, CKR_HOST_MEMORY);
    size_t octets = der_open(&out);

    der_put(&out, point.data, point.len);
    der_close(&out, DER_OCTETS, octets);
    CHECK(!out.overflow, CKR_ATTRIBUTE_VALUE_INVALID);
    taken->value = out.data;
    taken->value_len = out.len;
    return CKR_OK;
}

static CK_RV take_nested(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                         hsm_attribute *taken)
{
    const struct attribute_row *row = attribute_row(given->type);

    CHECK(row && row->hsm != 0, CKR_ATTRIBUTE_VALUE_INVALID);
    CHECK(row->kind != KIND_TEMPLATE && row->kind != KIND_PARAMETER_SET, CKR_ATTRIBUTE_VALUE_INVALID);
    TRY(template_check_given(row, given));
    TRY(template_take(row, given, use, made, taken));
    CHECK(taken->type != 0, CKR_ATTRIBUTE_VALUE_INVALID);
    return CKR_OK;
}

static CK_RV take_template(const CK_ATTRIBUTE *given, enum template_use use, struct template_made *made,
                           hsm_attribute *taken)
{
    size_t n = given->ulValueLen / sizeof(CK_ATTRIBUTE);
    const uint8_t *nested = given->pValue;
    CK_ATTRIBUTE one;

    if (n == 0) { /* asks for nothing */
        taken->type = 0;
        return CKR_OK;
    }
    CHECK(n <= NESTED_MAX, CKR_ATTRIBUTE_VALUE_INVALID);
    hsm_attribute *made_nested = template_memory(made, n * sizeof(*made_nested));

    CHECK(made_nested, CKR_HOST_MEMORY);
    for (size_t i = 0; i < n; i++) {
        memcpy(&one, nested + i * sizeof(one), sizeof(one));
        TRY(take_nested(&one, use, made, &made_nested[i]));
    }
    taken->value = made_nested;
    taken->value_len = n * sizeof(*made_nested);
    return CKR_OK;
}

/* NULL: such attributes are parts of another, are looked at here, or are never given. */
static const value_taker TAKERS[KINDS] = {
    [KIND_BOOL] = take_bool,           [KIND_ULONG] = take_ulong,         [KIND_BYTES] = take_bytes,
    [KIND_INTEGER] = take_integer,     [KIND_DATE] = take_bytes,          [KIND_CLASS] = take_class,
    [KIND_KEY_TYPE] = take_key_type,   [KIND_MECHANISM] = take_mechanism, [KIND_MECHANISMS] = take_mechanisms,
    [KIND_TEMPLATE] = take_template,   [KIND_CURVE] = take_curve,         [KIND_POINT] = take_point,
    [KIND_PARAMETER_SET] = take_ulong, /* and template_settle */
    [KIND_PUBLIC_INFO] = take_bytes,
};

CK_RV template_put_uint(struct template_made *made, uint64_t number, hsm_attribute *taken)
{
    uint64_t *kept = template_memory(made, sizeof(*kept));

    CHECK(kept, CKR_HOST_MEMORY);
    *kept = number;
    taken->value = kept;
    taken->value_len = sizeof(*kept);
    return CKR_OK;
}

CK_RV template_check_given(const struct attribute_row *row, const CK_ATTRIBUTE *given)
{
    CHECK(given->pValue || given->ulValueLen == 0, CKR_ARGUMENTS_BAD);
    CHECK(attribute_len_fits(row, given), CKR_ATTRIBUTE_VALUE_INVALID);
    return CKR_OK;
}

CK_RV template_take(const struct attribute_row *row, const CK_ATTRIBUTE *given, enum template_use use,
                    struct template_made *made, hsm_attribute *taken)
{
    *taken = (hsm_attribute){.type = row->hsm};
    CHECK(TAKERS[row->kind], CKR_ATTRIBUTE_VALUE_INVALID);
    return TAKERS[row->kind](given, use, made, taken);
}
