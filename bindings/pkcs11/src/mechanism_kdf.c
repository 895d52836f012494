/* Parameters of SP 800-108.
 *
 * A node computes PRF(key, [i] || fixed input) in counter mode, PRF(key, K(i-1) || [i] || fixed input) in feedback
 * mode, and with A(i) instead of K(i-1) in the double pipeline. The standard lets a program put together what is hashed
 * of pieces in any order, the counter of any width and order of bytes: they are given to the node as what stands before
 * the counter, before K(i-1) or A(i), and after both. The length of the keys, if it is among the pieces, is filled in
 * once the templates are known (mechanism_set_key_lens).
 *
 * AWS CloudHSM's form names its pieces, in any order: label, context and length stand in the order of SP 800-108,
 * section 4, label || 0x00 || context || length. */
#include "mechanism_params.h"

#define PARTS_MAX          32u
#define FIXED_INPUT_MAX    4096u /* what a node takes */
#define COUNTER_BITS       32u   /* at most, and what a node has unless told otherwise */
#define COUNTER_BITS_SHIFT 8u    /* in the node's FLAGS: see HSM_MECHANISM_SP800_108_COUNTER */
#define LENGTH_BITS_MAX    64u

enum part_kind {
    PART_ITERATION, /* [i] in counter mode, K(i-1) in feedback mode */
    PART_COUNTER,   /* [i] in feedback mode */
    PART_LENGTH,
    PART_BYTES,
    PART_LABEL,
    PART_CONTEXT,
    PART_KINDS
};

/* The numbers of the standard, and of AWS CloudHSM's header. */
static const enum part_kind STANDARD_KINDS[] = {
    [CK_SP800_108_ITERATION_VARIABLE] = PART_ITERATION,
    [CK_SP800_108_OPTIONAL_COUNTER] = PART_COUNTER,
    [CK_SP800_108_DKM_LENGTH] = PART_LENGTH,
    [CK_SP800_108_BYTE_ARRAY] = PART_BYTES,
};

#define VENDOR_FIRST 4u

static const enum part_kind VENDOR_KINDS[] = {PART_ITERATION, PART_LABEL, PART_CONTEXT, PART_LENGTH, PART_BYTES};

/* Formats as AWS CloudHSM's header has them: without the order of bytes. */
struct vendor_counter_format {
    CK_ULONG width_bits;
};

struct vendor_length_format {
    CK_ULONG method, width_bits;
};

struct vendor_parameter {
    CK_SP800_108_PRF_TYPE prf;
    CK_ULONG n_parts;
    CK_PRF_DATA_PARAM_PTR parts;
};

struct part {
    enum part_kind kind;
    const void *value;
    CK_ULONG len;
};

struct parts {
    struct part list[PARTS_MAX];
    size_t n;
};

/* What is put together before it is kept. */
struct fixed_input {
    uint8_t bytes[FIXED_INPUT_MAX];
    size_t len;
    size_t length_at; /* where the field of key_len begins */
    bool is_counted, is_varied, counter_first;
    size_t counter_at, variable_at; /* what stands before the counter, and before K(i-1) or A(i) */
    CK_SP800_108_COUNTER_FORMAT counter;
    struct length_field key_len;
};

static void fixed_input_wipe(struct fixed_input *input)
{
    explicit_bzero(input, sizeof(*input));
}

/* --- the function --- */

static CK_RV take_prf(struct mechanism *mechanism, CK_SP800_108_PRF_TYPE prf)
{
    const struct mechanism_row *row = mechanism_row(prf);

    CHECK(row && !row->read && (row->mechanism == HSM_MECHANISM_HMAC || row->mechanism == HSM_MECHANISM_AES_CMAC),
          CKR_MECHANISM_PARAM_INVALID);
    mechanism->hsm.hash = row->hash;
    return CKR_OK;
}

/* --- pieces --- */

static CK_RV kind_of(CK_PRF_DATA_TYPE type, bool vendor, enum part_kind *kind)
{
    if (vendor) {
        CHECK(type >= VENDOR_FIRST && type - VENDOR_FIRST < sizeof(VENDOR_KINDS) / sizeof(VENDOR_KINDS[0]),
              CKR_MECHANISM_PARAM_INVALID);
        *kind = VENDOR_KINDS[type - VENDOR_FIRST];
        return CKR_OK;
    }
    CHECK(type >= CK_SP800_108_ITERATION_VARIABLE && type <= CK_SP800_108_BYTE_ARRAY, CKR_MECHANISM_PARAM_INVALID);
    *kind = STANDARD_KINDS[type];
    return CKR_OK;
}

static CK_RV copy_parts(const CK_PRF_DATA_PARAM *given, CK_ULONG n, CK_PRF_DATA_PARAM copy[PARTS_MAX])
{
    CHECK(given && n >= 1 && n <= PARTS_MAX, CKR_MECHANISM_PARAM_INVALID);
    memcpy(copy, given, n * sizeof(*copy));
    for (CK_ULONG i = 0; i < n; i++)
        CHECK(copy[i].pValue || copy[i].ulValueLen == 0, CKR_MECHANISM_PARAM_INVALID);
    return CKR_OK;
}

static CK_RV read_parts(const CK_PRF_DATA_PARAM copy[PARTS_MAX], CK_ULONG n, bool vendor, struct parts *parts)
{
    for (parts->n = 0; parts->n < n; parts->n++) {
        const CK_PRF_DATA_PARAM *from = &copy[parts->n];
        struct part *part = &parts->list[parts->n];

        *part = (struct part){.value = from->pValue, .len = from->ulValueLen};
        TRY(kind_of(from->type, vendor, &part->kind));
    }
    return CKR_OK;
}

static CK_RV read_counter_format(const struct part *part, CK_SP800_108_COUNTER_FORMAT *format)
{
    struct vendor_counter_format vendor;

    *format = (CK_SP800_108_COUNTER_FORMAT){0};
    if (part->len == sizeof(vendor)) {
        memcpy(&vendor, part->value, sizeof(vendor));
        format->ulWidthInBits = vendor.width_bits;
    } else {
        CHECK(part->len == sizeof(*format), CKR_MECHANISM_PARAM_INVALID);
        memcpy(format, part->value, sizeof(*format));
    }
    CHECK(format->ulWidthInBits >= 8 && format->ulWidthInBits <= COUNTER_BITS && format->ulWidthInBits % 8 == 0,
          CKR_MECHANISM_PARAM_INVALID);
    return CKR_OK;
}

/* The counter stands once, here. */
static CK_RV put_counter(struct fixed_input *input, const struct part *part)
{
    CHECK(!input->is_counted, CKR_MECHANISM_PARAM_INVALID);
    input->is_counted = true;
    input->counter_first = !input->is_varied;
    input->counter_at = input->len;
    return read_counter_format(part, &input->counter);
}

/* K(i-1) or A(i) stands once, here. */
static CK_RV put_variable(struct fixed_input *input, const struct part *part)
{
    CHECK(!input->is_varied && part->len == 0, CKR_MECHANISM_PARAM_INVALID);
    input->is_varied = true;
    input->variable_at = input->len;
    return CKR_OK;
}

static CK_RV put_bytes(struct fixed_input *input, const void *bytes, CK_ULONG len)
{
    CHECK(len <= sizeof(input->bytes) - input->len, CKR_MECHANISM_PARAM_INVALID);
    if (len)
        memcpy(input->bytes + input->len, bytes, len);
    input->len += len;
    return CKR_OK;
}

static CK_RV read_length_format(const struct part *part, CK_SP800_108_DKM_LENGTH_FORMAT *format)
{
    struct vendor_length_format vendor;

    *format = (CK_SP800_108_DKM_LENGTH_FORMAT){0};
    if (part->len == sizeof(vendor)) {
        memcpy(&vendor, part->value, sizeof(vendor));
        format->dkmLengthMethod = vendor.method;
        format->ulWidthInBits = vendor.width_bits;
        return CKR_OK;
    }
    CHECK(part->len == sizeof(*format), CKR_MECHANISM_PARAM_INVALID);
    memcpy(format, part->value, sizeof(*format));
    return CKR_OK;
}

/* Leaves room for the length: at most one field. */
static CK_RV put_length(struct fixed_input *input, const struct part *part)
{
    static const uint8_t room[LENGTH_BITS_MAX / 8];
    CK_SP800_108_DKM_LENGTH_FORMAT format;

    CHECK(input->key_len.len == 0, CKR_MECHANISM_PARAM_INVALID);
    TRY(read_length_format(part, &format));
    CHECK(format.dkmLengthMethod == CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS ||
              format.dkmLengthMethod == CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS,
          CKR_MECHANISM_PARAM_INVALID);
    CHECK(format.ulWidthInBits >= 8 && format.ulWidthInBits <= LENGTH_BITS_MAX && format.ulWidthInBits % 8 == 0,
          CKR_MECHANISM_PARAM_INVALID);
    input->length_at = input->len;
    input->key_len = (struct length_field){
        .len = format.ulWidthInBits / 8,
        .little_endian = format.bLittleEndian != CK_FALSE,
        .of_segments = format.dkmLengthMethod == CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS,
    };
    return put_bytes(input, room, input->key_len.len);
}

/* --- putting together --- */

typedef CK_RV (*part_putter)(struct fixed_input *input, const struct part *part);

static CK_RV put_array(struct fixed_input *input, const struct part *part)
{
    return put_bytes(input, part->value, part->len);
}

/* The standard's form: pieces as they come, each kind in its way. */
static CK_RV put_in_order(struct fixed_input *input, const struct parts *parts, const part_putter by_kind[PART_KINDS])
{
    for (size_t i = 0; i < parts->n; i++) {
        part_putter put = by_kind[parts->list[i].kind];

        CHECK(put, CKR_MECHANISM_PARAM_INVALID);
        TRY(put(input, &parts->list[i]));
    }
    return CKR_OK;
}

static CK_RV put_counter_mode(struct fixed_input *input, const struct parts *parts)
{
    static const part_putter BY_KIND[PART_KINDS] = {
        [PART_ITERATION] = put_counter, [PART_LENGTH] = put_length, [PART_BYTES] = put_array};

    TRY(put_in_order(input, parts, BY_KIND));
    CHECK(input->is_counted, CKR_MECHANISM_PARAM_INVALID);
    input->counter_first = false; /* there is no other variable that it could stand before */
    return CKR_OK;
}

/* Feedback and double pipeline: the counter is optional. */
static CK_RV put_chained_mode(struct fixed_input *input, const struct parts *parts)
{
    static const part_putter BY_KIND[PART_KINDS] = {[PART_ITERATION] = put_variable,
                                                    [PART_COUNTER] = put_counter,
                                                    [PART_LENGTH] = put_length,
                                                    [PART_BYTES] = put_array};

    TRY(put_in_order(input, parts, BY_KIND));
    return input->is_varied ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

/* CKR_MECHANISM_PARAM_INVALID when there are several, for all kinds but bytes. */
static CK_RV find_each(const struct parts *parts, const struct part *found[PART_KINDS])
{
    for (size_t i = 0; i < parts->n; i++) {
        const struct part *part = &parts->list[i];

        CHECK(part->kind == PART_BYTES || !found[part->kind], CKR_MECHANISM_PARAM_INVALID);
        found[part->kind] = part;
    }
    return CKR_OK;
}

/* AWS CloudHSM's form, with names; or with bytes, which then are all of the fixed input but the length. */
static CK_RV put_by_name(struct fixed_input *input, const struct parts *parts)
{
    const struct part *found[PART_KINDS] = {NULL};
    static const struct part none;
    static const uint8_t separator;

    TRY(find_each(parts, found));
    CHECK(found[PART_ITERATION], CKR_MECHANISM_PARAM_INVALID);
    TRY(put_counter(input, found[PART_ITERATION]));
    input->counter_first = false;
    const struct part *label = found[PART_LABEL], *context = found[PART_CONTEXT];

    if (found[PART_BYTES]) {
        CHECK(!label && !context, CKR_MECHANISM_PARAM_INVALID);
        for (size_t i = 0; i < parts->n; i++) {
            if (parts->list[i].kind == PART_BYTES)
                TRY(put_bytes(input, parts->list[i].value, parts->list[i].len));
        }
    } else {
        label = label ? label : &none;
        context = context ? context : &none;
        TRY(put_bytes(input, label->value, label->len));
        TRY(put_bytes(input, &separator, sizeof(separator)));
        TRY(put_bytes(input, context->value, context->len));
    }
    return found[PART_LENGTH] ? put_length(input, found[PART_LENGTH]) : CKR_OK;
}

static const uint8_t *piece(const uint8_t *kept, size_t from, size_t to, size_t *len)
{
    *len = to - from;
    return to > from ? kept + from : NULL;
}

/* In up to three: what stands before the counter, before the variable, and after both. */
static void cut_input(struct mechanism *mechanism, const struct fixed_input *input, const uint8_t *kept)
{
    hsm_mechanism *hsm = &mechanism->hsm;
    bool counter_first = input->counter_first;
    size_t counter_at = input->is_counted ? input->counter_at : input->variable_at;
    size_t first = counter_first ? counter_at : input->variable_at;
    size_t second = counter_first && input->is_varied ? input->variable_at : counter_at;

    hsm->salt = piece(kept, counter_first ? 0 : first, counter_first ? first : second, &hsm->salt_value_len);
    hsm->aad = piece(kept, counter_first ? first : 0, counter_first ? second : first, &hsm->aad_len);
    hsm->shared_info = piece(kept, second, input->len, &hsm->shared_info_len);
}

static CK_RV keep_input(struct mechanism *mechanism, const struct fixed_input *input)
{
    const uint8_t *kept;

    TRY(mechanism_keep(mechanism, input->bytes, input->len, &kept));
    mechanism->hsm.flags |= HSM_FLAG_KDF_FIXED_INPUT;
    cut_input(mechanism, input, kept);
    if (!input->is_counted)
        mechanism->hsm.flags |= HSM_FLAG_KDF_NO_COUNTER;
    else if (input->counter.ulWidthInBits != COUNTER_BITS)
        mechanism->hsm.flags |= (uint32_t)input->counter.ulWidthInBits << COUNTER_BITS_SHIFT;
    if (input->counter.bLittleEndian)
        mechanism->hsm.flags |= HSM_FLAG_KDF_LITTLE_ENDIAN;
    if (input->counter_first)
        mechanism->hsm.flags |= HSM_FLAG_KDF_COUNTER_FIRST;
    if (!input->key_len.len)
        return CKR_OK;
    /* A key that was derived with a wrong length would be another key: the library refuses the mechanism until it has
     * been told. */
    mechanism->hsm.size = 0;
    mechanism->key_len = input->key_len;
    mechanism->key_len.at = (uint8_t *)kept + input->length_at; /* the mechanism's own memory */
    return CKR_OK;
}

typedef CK_RV (*assembler)(struct fixed_input *input, const struct parts *parts);

static CK_RV assemble(struct mechanism *mechanism, const CK_PRF_DATA_PARAM *given, CK_ULONG n, bool vendor,
                      assembler put)
{
    CLEANUP(fixed_input_wipe) struct fixed_input input = {.len = 0};
    CK_PRF_DATA_PARAM copy[PARTS_MAX];
    struct parts parts;

    TRY(copy_parts(given, n, copy));
    TRY(read_parts(copy, n, vendor, &parts));
    TRY(put(&input, &parts));
    return keep_input(mechanism, &input);
}

/* --- the readers --- */

/* The caller's, looked at after the parameter has been read. */
static void take_further_keys(struct mechanism *mechanism, const CK_DERIVED_KEY *keys, CK_ULONG n)
{
    mechanism->further_keys = keys;
    mechanism->n_further_keys = n;
}

static CK_RV read_standard_kdf(const CK_MECHANISM *given, struct mechanism *mechanism, assembler put)
{
    CK_SP800_108_KDF_PARAMS parameter;

    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    TRY(take_prf(mechanism, parameter.prfType));
    take_further_keys(mechanism, parameter.pAdditionalDerivedKeys, parameter.ulAdditionalDerivedKeys);
    return assemble(mechanism, parameter.pDataParams, parameter.ulNumberOfDataParams, false, put);
}

CK_RV read_counter_kdf(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    (void)use;
    return read_standard_kdf(given, mechanism, put_counter_mode);
}

CK_RV read_double_pipeline_kdf(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    (void)use;
    return read_standard_kdf(given, mechanism, put_chained_mode);
}

/* Under this number programs pass the structure of AWS CloudHSM's header, or that of the standard's when they were
 * compiled with a newer one. */
CK_RV read_cloudhsm_kdf(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    struct vendor_parameter parameter;

    if (given->ulParameterLen != sizeof(parameter))
        return read_counter_kdf(given, use, mechanism);
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    TRY(take_prf(mechanism, parameter.prf));
    return assemble(mechanism, parameter.parts, parameter.n_parts, true, put_by_name);
}

CK_RV read_feedback_kdf(const CK_MECHANISM *given, CK_FLAGS use, struct mechanism *mechanism)
{
    CK_SP800_108_FEEDBACK_KDF_PARAMS parameter;

    (void)use;
    TRY(parameter_copy(given, &parameter, sizeof(parameter)));
    TRY(take_prf(mechanism, parameter.prfType));
    take_further_keys(mechanism, parameter.pAdditionalDerivedKeys, parameter.ulAdditionalDerivedKeys);
    TRY(mechanism_keep(mechanism, parameter.pIV, parameter.ulIVLen, &mechanism->hsm.nonce));
    mechanism->hsm.nonce_len = parameter.ulIVLen;
    return assemble(mechanism, parameter.pDataParams, parameter.ulNumberOfDataParams, false, put_chained_mode);
}
