/* Values of an object for C_GetAttributeValue, and comparing them with what was claimed. Most are among the facts that
 * are known of an object; what only its VALUE holds is asked for once in a call, and only when it may be had. */
#include <stdlib.h>
#include "attribute_table.h"
#include "guest.h"
#include "key_value.h"
#include "mechanism.h"
#include "login.h"

/* What one call works with. */
struct giving {
    struct session *session;
    const struct object_ref *object;
    const hsm_attributes *facts;
    uint64_t hsm_class, key_type;
    bool value_asked;
    CK_RV value_result;
    hsm_attributes *value; /* VALUE alone */
};

CK_RV attribute_put(CK_ATTRIBUTE *wanted, const void *value, size_t value_len)
{
    if (!wanted->pValue) {
        wanted->ulValueLen = value_len;
        return CKR_OK;
    }
    if (wanted->ulValueLen < value_len) {
        wanted->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_BUFFER_TOO_SMALL;
    }
    if (value && value_len > 0)
        memcpy(wanted->pValue, value, value_len);
    wanted->ulValueLen = value_len;
    return CKR_OK;
}

static CK_RV put_ulong(CK_ATTRIBUTE *wanted, CK_ULONG number)
{
    return attribute_put(wanted, &number, sizeof(number));
}

static CK_RV refuse(CK_ATTRIBUTE *wanted, CK_RV result)
{
    wanted->ulValueLen = CK_UNAVAILABLE_INFORMATION;
    return result;
}

/* --- facts, by kind --- */

typedef CK_RV (*fact_giver)(const hsm_attribute *fact, CK_ATTRIBUTE *wanted);

static uint64_t number_of(const hsm_attribute *fact)
{
    uint64_t number = 0;

    if (fact->value_len == sizeof(number))
        memcpy(&number, fact->value, sizeof(number));
    return number;
}

static CK_RV give_bytes(const hsm_attribute *fact, CK_ATTRIBUTE *wanted)
{
    return attribute_put(wanted, fact->value, fact->value_len);
}

static CK_RV give_bool(const hsm_attribute *fact, CK_ATTRIBUTE *wanted)
{
    CK_BBOOL flag = *(const uint8_t *)fact->value ? CK_TRUE : CK_FALSE;

    return attribute_put(wanted, &flag, sizeof(flag));
}

static CK_RV give_ulong(const hsm_attribute *fact, CK_ATTRIBUTE *wanted)
{
    return put_ulong(wanted, (CK_ULONG)number_of(fact));
}

static CK_RV give_class(const hsm_attribute *fact, CK_ATTRIBUTE *wanted)
{
    return put_ulong(wanted, class_of(number_of(fact)));
}

static CK_RV give_key_type(const hsm_attribute *fact, CK_ATTRIBUTE *wanted)
{
    return put_ulong(wanted, key_type_of(number_of(fact)));
}

static CK_MECHANISM_TYPE mechanism_type_of(uint64_t number)
{
    const struct mechanism_row *row = mechanism_of_number(number);

    return row ? row->type : CK_UNAVAILABLE_INFORMATION;
}

static CK_RV give_mechanism(const hsm_attribute *fact, CK_ATTRIBUTE *wanted)
{
    return put_ulong(wanted, mechanism_type_of(number_of(fact)));
}

static CK_RV give_parameter_set(const hsm_attribute *fact, CK_ATTRIBUTE *wanted)
{
    return put_ulong(wanted, parameter_set_of(number_of(fact)));
}

static CK_RV give_mechanisms(const hsm_attribute *fact, CK_ATTRIBUTE *wanted)
{
    size_t n = fact->value_len / sizeof(uint64_t);
    const uint64_t *numbers = fact->value;

    if (!wanted->pValue || wanted->ulValueLen < n * sizeof(CK_MECHANISM_TYPE))
        return attribute_put(wanted, NULL, n * sizeof(CK_MECHANISM_TYPE));
    for (size_t i = 0; i < n; i++) {
        CK_MECHANISM_TYPE type = mechanism_type_of(numbers[i]);

        memcpy((uint8_t *)wanted->pValue + i * sizeof(type), &type, sizeof(type));
    }
    wanted->ulValueLen = n * sizeof(CK_MECHANISM_TYPE);
    return CKR_OK;
}

static CK_RV give_template(const hsm_attribute *fact, CK_ATTRIBUTE *wanted);

/* NULL: not among the facts. */
static const fact_giver GIVERS[KINDS] = {
    [KIND_BOOL] = give_bool,
    [KIND_ULONG] = give_ulong,
    [KIND_BYTES] = give_bytes,
    [KIND_INTEGER] = give_bytes,
    [KIND_DATE] = give_bytes,
    [KIND_CLASS] = give_class,
    [KIND_KEY_TYPE] = give_key_type,
    [KIND_MECHANISM] = give_mechanism,
    [KIND_MECHANISMS] = give_mechanisms,
    [KIND_TEMPLATE] = give_template,
    [KIND_CURVE] = give_bytes,
    [KIND_POINT] = give_bytes,
    [KIND_PARAMETER_SET] = give_parameter_set,
    [KIND_PUBLIC_INFO] = give_bytes,
};

static CK_RV give_nested(const hsm_attribute *fact, CK_ATTRIBUTE *wanted)
{
    const struct attribute_row *row = attribute_row_of(fact->type);

    /* What the cluster knows besides the standard's, set by another program: told of, but without a value. */
    if (!row || row->kind == KIND_TEMPLATE || !GIVERS[row->kind]) {
        wanted->type = CKA_VENDOR_DEFINED;
        return refuse(wanted, CKR_OK);
    }
    wanted->type = row->type;
    return GIVERS[row->kind](fact, wanted);
}

/* PKCS#11 2.40, 5.7.5: the array itself, and in each element where it has a buffer the value, else the length. */
static CK_RV give_template(const hsm_attribute *fact, CK_ATTRIBUTE *wanted)
{
    size_t n = fact->value_len / sizeof(hsm_attribute);
    const hsm_attribute *nested = fact->value;
    CK_RV result = CKR_OK;

    if (!wanted->pValue || wanted->ulValueLen < n * sizeof(CK_ATTRIBUTE))
        return attribute_put(wanted, NULL, n * sizeof(CK_ATTRIBUTE));
    CK_ATTRIBUTE *elements = wanted->pValue;

    for (size_t i = 0; i < n; i++) {
        CK_RV given = give_nested(&nested[i], &elements[i]);

        result = result == CKR_OK ? given : result;
    }
    wanted->ulValueLen = n * sizeof(CK_ATTRIBUTE);
    return result;
}

/* --- what VALUE holds --- */

/* What a guest is shown has CKA_PRIVATE false, but keys are for those who logged in. */
static bool is_for_users(const struct giving *giving)
{
    return giving->hsm_class == HSM_CLASS_SECRET_KEY || giving->hsm_class == HSM_CLASS_PRIVATE_KEY ||
           hsm_attributes_bool(giving->facts, HSM_ATTR_PRIVATE, 1);
}

static CK_RV ask_value(struct giving *giving)
{
    static const uint32_t VALUE[] = {HSM_ATTR_VALUE};

    hsm_session *reader;

    if (giving->value_asked)
        return giving->value_result;
    giving->value_asked = true;
    giving->value_result = session_reader(giving->session, &reader);
    if (giving->value_result == CKR_OK && session_is_guest(giving->session) && is_for_users(giving))
        giving->value_result = CKR_USER_NOT_LOGGED_IN;
    if (giving->value_result == CKR_OK)
        giving->value_result =
            login_result(giving->session, hsm_object_get(reader, giving->object->key, VALUE, 1, &giving->value));
    return giving->value_result;
}

/* Empty when the object has none (data objects). */
static struct der value_of(const struct giving *giving)
{
    struct der value = {0};

    value.data = hsm_attributes_bytes(giving->value, HSM_ATTR_VALUE, &value.len);
    return value;
}

static bool is_hidden(const struct giving *giving)
{
    if (giving->hsm_class != HSM_CLASS_SECRET_KEY && giving->hsm_class != HSM_CLASS_PRIVATE_KEY)
        return false;
    return hsm_attributes_bool(giving->facts, HSM_ATTR_SENSITIVE, 1) ||
           !hsm_attributes_bool(giving->facts, HSM_ATTR_EXTRACTABLE, 0);
}

static CK_RV part_of_public(struct giving *giving, CK_ATTRIBUTE_TYPE type, struct der *part)
{
    struct der info;

    info.data = hsm_attributes_bytes(giving->facts, HSM_ATTR_PUBLIC_KEY_INFO, &info.len);
    CHECK(info.data && key_value_part(giving->hsm_class, giving->key_type, type, info, part),
          CKR_ATTRIBUTE_TYPE_INVALID);
    return CKR_OK;
}

static CK_RV part_of_value(struct giving *giving, CK_ATTRIBUTE_TYPE type, struct der *part)
{
    CHECK(key_value_has(giving->hsm_class, giving->key_type, type), CKR_ATTRIBUTE_TYPE_INVALID);
    CHECK(!is_hidden(giving), CKR_ATTRIBUTE_SENSITIVE);
    if (giving->hsm_class == HSM_CLASS_PUBLIC_KEY)
        return part_of_public(giving, type, part);
    TRY(ask_value(giving));
    CHECK(key_value_part(giving->hsm_class, giving->key_type, type, value_of(giving), part), CKR_DEVICE_ERROR);
    return CKR_OK;
}

static CK_RV info_of_certificate(struct giving *giving, struct der *info)
{
    CHECK(giving->hsm_class == HSM_CLASS_CERTIFICATE, CKR_ATTRIBUTE_TYPE_INVALID);
    TRY(ask_value(giving));
    if (!certificate_public_info(value_of(giving), info))
        *info = (struct der){0}; /* the standard's default */
    return CKR_OK;
}

/* --- one attribute after the other --- */

static CK_RV give_default(const struct giving *giving, const struct attribute_row *row, CK_ATTRIBUTE *wanted)
{
    CHECK(row->has >> giving->hsm_class & 1, refuse(wanted, CKR_ATTRIBUTE_TYPE_INVALID));
    return row->otherwise == DEFAULT_EMPTY ? attribute_put(wanted, NULL, 0) : put_ulong(wanted, row->number);
}

static CK_RV give_part(struct giving *giving, const struct attribute_row *row, CK_ATTRIBUTE *wanted)
{
    struct der part = {0};
    CK_RV result =
        row->kind == KIND_VALUE ? part_of_value(giving, row->type, &part) : info_of_certificate(giving, &part);

    return result == CKR_OK ? attribute_put(wanted, part.data, part.len) : refuse(wanted, result);
}

static CK_RV give(struct giving *giving, CK_ATTRIBUTE *wanted)
{
    const struct attribute_row *row = attribute_row(wanted->type);

    if (!row)
        return refuse(wanted, CKR_ATTRIBUTE_TYPE_INVALID);
    if (row->kind == KIND_VALUE)
        return give_part(giving, row, wanted);
    const hsm_attribute *fact = row->hsm ? hsm_attributes_find(giving->facts, row->hsm) : NULL;

    if (fact)
        return GIVERS[row->kind](fact, wanted);
    return row->kind == KIND_PUBLIC_INFO ? give_part(giving, row, wanted) : give_default(giving, row, wanted);
}

/* Whether others can be given although this one cannot. */
static bool is_of_one_attribute(CK_RV result)
{
    return result == CKR_OK || result == CKR_ATTRIBUTE_SENSITIVE || result == CKR_ATTRIBUTE_TYPE_INVALID ||
           result == CKR_BUFFER_TOO_SMALL;
}

static CK_RV give_all(struct giving *giving, CK_ATTRIBUTE *wanted, CK_ULONG n)
{
    CK_RV first = CKR_OK;

    for (CK_ULONG i = 0; i < n; i++) {
        CK_RV result = give(giving, &wanted[i]);

        CHECK(is_of_one_attribute(result), result);
        first = first == CKR_OK ? result : first;
    }
    return first;
}

CK_RV attributes_give(struct session *session, const struct object_ref *object, const hsm_attributes *facts,
                      CK_ATTRIBUTE *wanted, CK_ULONG n)
{
    struct giving giving = {.session = session,
                            .object = object,
                            .facts = facts,
                            .hsm_class = hsm_attributes_uint(facts, HSM_ATTR_CLASS, 0),
                            .key_type = hsm_attributes_uint(facts, HSM_ATTR_KEY_TYPE, 0)};

    CHECK(wanted || n == 0, CKR_ARGUMENTS_BAD);
    CHECK(giving.hsm_class <= HSM_CLASS_SECRET_KEY, CKR_DEVICE_ERROR);
    CK_RV result = give_all(&giving, wanted, n);

    hsm_attributes_free(giving.value);
    return result;
}

/* --- claims --- */

static CK_RV match_one(struct session *session, const struct object_ref *object, const hsm_attributes *facts,
                       const CK_ATTRIBUTE *claim, uint8_t *room, bool *match)
{
    CK_ATTRIBUTE actual = {claim->type, room, claim->ulValueLen};
    CK_RV result = attributes_give(session, object, facts, &actual, 1);

    CHECK(is_of_one_attribute(result), result);
    *match = result == CKR_OK && actual.ulValueLen == claim->ulValueLen &&
             memcmp(room, claim->pValue, claim->ulValueLen) == 0;
    return CKR_OK;
}

CK_RV attributes_match(struct session *session, const struct object_ref *object, const hsm_attributes *facts,
                       const CK_ATTRIBUTE *claims, size_t n, bool *match)
{
    CK_RV result = CKR_OK;

    *match = true;
    for (size_t i = 0; i < n && *match && result == CKR_OK; i++) {
        size_t len = claims[i].ulValueLen + 1; /* a buffer also for what is empty */
        uint8_t *room = malloc(len);

        CHECK(room, CKR_HOST_MEMORY);
        result = match_one(session, object, facts, &claims[i], room, match);
        explicit_bzero(room, len);
        free(room);
    }
    return result;
}
