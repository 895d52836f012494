/* Templates of PKCS#11 into those of the library: each attribute is looked up in the table, its length checked, whether
 * it may be given at all, and then its value is taken by kind (PKCS#11 2.40, 4.1.1). */
#include <stdlib.h>
#include "key_value.h"
#include "template_value.h"

struct template_block {
    struct template_block *next;
    size_t len;
    _Alignas(max_align_t) uint8_t data[];
};

/* --- memory --- */

void *template_memory(struct template_made *made, size_t len)
{
    struct template_block *block = len <= HSM_MESSAGE_MAX ? calloc(1, sizeof(*block) + len) : NULL;

    if (!block)
        return NULL;
    block->next = made->blocks;
    block->len = len;
    made->blocks = block;
    return block->data;
}

void template_release(struct template_made *made)
{
    while (made->blocks) {
        struct template_block *block = made->blocks;

        made->blocks = block->next;
        explicit_bzero(block->data, block->len);
        free(block);
    }
    free(made->attributes);
    free(made->claims);
    *made = (struct template_made)TEMPLATE_INIT;
}

static CK_RV make_room(struct template_made *made)
{
    if (made->n < made->room)
        return CKR_OK;
    size_t room = made->room ? 2 * made->room : 16;
    hsm_attribute *attributes = reallocarray(made->attributes, room, sizeof(*attributes));

    CHECK(attributes, CKR_HOST_MEMORY);
    made->attributes = attributes;
    made->room = room;
    return CKR_OK;
}

CK_RV template_add(struct template_made *made, uint32_t type, const void *value, size_t value_len)
{
    TRY(make_room(made));
    made->attributes[made->n++] = hsm_attribute_of(type, value, value_len);
    return CKR_OK;
}

const hsm_attribute *template_get(const struct template_made *made, uint32_t type)
{
    for (size_t i = 0; i < made->n; i++)
        if (made->attributes[i].type == type)
            return &made->attributes[i];
    return NULL;
}

void template_remove(struct template_made *made, uint32_t type)
{
    for (size_t i = 0; i < made->n; i++) {
        if (made->attributes[i].type != type)
            continue;
        made->attributes[i] = made->attributes[--made->n];
        return;
    }
}

bool template_bool(const struct template_made *made, uint32_t type, bool otherwise)
{
    const hsm_attribute *found = template_get(made, type);

    return found && found->value_len == 1 ? *(const uint8_t *)found->value != 0 : otherwise;
}

bool template_for_token(const struct template_made *made)
{
    return template_bool(made, HSM_ATTR_TOKEN, false);
}

uint64_t template_uint(const struct template_made *made, uint32_t type, uint64_t otherwise)
{
    const hsm_attribute *found = template_get(made, type);
    uint64_t number = otherwise;

    if (found && found->value_len == sizeof(number))
        memcpy(&number, found->value, sizeof(number));
    return number;
}

/* --- claims --- */

static CK_RV keep_claim(struct template_made *made, CK_ATTRIBUTE_TYPE type, const void *value, size_t value_len)
{
    CK_ATTRIBUTE *claims = reallocarray(made->claims, made->n_claims + 1, sizeof(*claims));

    CHECK(claims, CKR_HOST_MEMORY);
    made->claims = claims;
    void *copy = template_memory(made, value_len);

    CHECK(copy, CKR_HOST_MEMORY);
    if (value_len > 0)
        memcpy(copy, value, value_len);
    claims[made->n_claims++] = (CK_ATTRIBUTE){type, copy, value_len};
    return CKR_OK;
}

CK_RV template_claim(struct template_made *made, CK_ATTRIBUTE_TYPE type, const void *value, size_t value_len)
{
    const struct attribute_row *row = attribute_row(type);
    CK_ATTRIBUTE given = {type, (void *)value, value_len}; /* which is only read */
    hsm_attribute point;

    CHECK(row, CKR_ATTRIBUTE_TYPE_INVALID);
    if (row->kind != KIND_POINT)
        return keep_claim(made, type, value, value_len);
    TRY(template_take(row, &given, TEMPLATE_FIND, made, &point));
    return keep_claim(made, type, point.value, point.value_len);
}

/* Components of RSA keys are numbers. */
static struct der comparable(const CK_ATTRIBUTE *given)
{
    if (given->type == CKA_VALUE || attribute_row(given->type)->kind != KIND_VALUE)
        return (struct der){given->pValue, given->ulValueLen};
    return der_without_zeros(given->pValue, given->ulValueLen);
}

/* --- one attribute after the other --- */

static CK_RV add_taken(const struct attribute_row *row, const CK_ATTRIBUTE *given, enum template_use use,
                       struct template_made *made)
{
    hsm_attribute taken;

    TRY(template_take(row, given, use, made, &taken));
    return taken.type ? template_add(made, taken.type, taken.value, taken.value_len) : CKR_OK;
}

/* An object that was made without the attribute has its default, which the cluster does not know of. */
static CK_RV add_to_find(const struct attribute_row *row, const CK_ATTRIBUTE *given, struct template_made *made)
{
    if (row->kind == KIND_VALUE || row->kind == KIND_CONSTANT || attribute_is_default(row, given)) {
        struct der value = comparable(given);

        made->claims_secret = made->claims_secret || row->kind == KIND_VALUE;
        return template_claim(made, given->type, value.data, value.len);
    }
    CK_RV result = add_taken(row, given, TEMPLATE_FIND, made);

    made->nothing = result == CKR_ATTRIBUTE_VALUE_INVALID || result == CKR_CURVE_NOT_SUPPORTED;
    return made->nothing ? CKR_OK : result;
}

static CK_RV add(const struct attribute_row *row, const CK_ATTRIBUTE *given, enum template_use use,
                 struct template_made *made)
{
    TRY(template_check_given(row, given));
    if (use == TEMPLATE_FIND)
        return add_to_find(row, given, made);
    if (row->is_claim && use != TEMPLATE_SET && given->ulValueLen == 0)
        return CKR_OK; /* PKCS#11 2.40, 4.10.2: no check value is wanted */
    if (row->is_claim && use == TEMPLATE_CREATE)
        return template_claim(made, given->type, given->pValue, given->ulValueLen);
    /* PKCS#11 3.0, 4.4.1: nothing is made with it. */
    CHECK(row->type != CKA_UNIQUE_ID || use == TEMPLATE_SET, CKR_ATTRIBUTE_TYPE_INVALID);
    CHECK(row->given_in & 1 << use, CKR_ATTRIBUTE_READ_ONLY);
    if (row->is_part && use == TEMPLATE_CREATE)
        return CKR_OK;
    if (row->kind != KIND_CONSTANT)
        return add_taken(row, given, use, made);
    return attribute_is_default(row, given) ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
}

static CK_RV add_all(const CK_ATTRIBUTE *given, CK_ULONG n, enum template_use use, struct template_made *made)
{
    bool seen[ATTRIBUTE_ROWS_MAX] = {false};

    for (CK_ULONG i = 0; i < n && !made->nothing; i++) {
        const struct attribute_row *row = attribute_row(given[i].type);

        made->nothing = !row && use == TEMPLATE_FIND;
        if (made->nothing)
            break;
        CHECK(row, CKR_ATTRIBUTE_TYPE_INVALID);
        CHECK(!seen[attribute_row_index(row)], CKR_TEMPLATE_INCONSISTENT);
        seen[attribute_row_index(row)] = true;
        TRY(add(row, &given[i], use, made));
    }
    return CKR_OK;
}

CK_RV template_settle(struct template_made *made, uint32_t hsm_key_type)
{
    uint64_t given = template_uint(made, HSM_ATTR_PARAMETER_SET, 0);

    for (size_t i = 0; i < made->n && !made->settled; i++) {
        if (made->attributes[i].type != HSM_ATTR_PARAMETER_SET)
            continue;
        uint64_t set = hsm_parameter_set_of(hsm_key_type, given);

        CHECK(set != 0, CKR_ATTRIBUTE_VALUE_INVALID);
        TRY(template_put_uint(made, set, &made->attributes[i]));
    }
    made->settled = true;
    return CKR_OK;
}

/* A search does not know it either when the key type is left out: then nothing can be told. */
static CK_RV settle(enum template_use use, struct template_made *made)
{
    uint32_t key_type = (uint32_t)template_uint(made, HSM_ATTR_KEY_TYPE, 0);

    if (use == TEMPLATE_GENERATE && key_type == 0)
        return CKR_OK;
    CK_RV result = template_settle(made, key_type);

    if (use != TEMPLATE_FIND || result == CKR_HOST_MEMORY)
        return result;
    made->nothing = made->nothing || result != CKR_OK;
    return CKR_OK;
}

CK_RV template_settle_secret(struct template_made *made)
{
    static const uint64_t GENERIC = HSM_KEY_TYPE_GENERIC_SECRET;

    CHECK(template_uint(made, HSM_ATTR_CLASS, HSM_CLASS_SECRET_KEY) == HSM_CLASS_SECRET_KEY, CKR_TEMPLATE_INCONSISTENT);
    return template_get(made, HSM_ATTR_KEY_TYPE) ? CKR_OK
                                                 : template_add(made, HSM_ATTR_KEY_TYPE, &GENERIC, sizeof(GENERIC));
}

CK_RV template_check(const CK_ATTRIBUTE *given, CK_ULONG n)
{
    CHECK(given || n == 0, CKR_ARGUMENTS_BAD);
    return n <= ATTRIBUTE_ROWS_MAX ? CKR_OK : CKR_ARGUMENTS_BAD;
}

CK_RV template_make(const CK_ATTRIBUTE *given, CK_ULONG n, enum template_use use, struct template_made *made)
{
    TRY(template_check(given, n));
    TRY(add_all(given, n, use, made));
    TRY(settle(use, made));
    return use == TEMPLATE_CREATE ? key_value_make(given, n, made) : CKR_OK;
}
