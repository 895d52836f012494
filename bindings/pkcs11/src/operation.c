/* The life of an operation: operation.h tells the rules. */
#include "operation.h"

#include <stdlib.h>

/* --- results --- */

CK_RV key_result(struct session *session, hsm_status status)
{
    return status == HSM_OBJECT_NOT_FOUND ? result_as(CKR_KEY_HANDLE_INVALID) : login_result(session, status);
}

CK_RV operation_result(struct session *session, enum operation_kind kind, hsm_status status)
{
    bool message = kind == OPERATION_MESSAGE_DECRYPT;

    if (status == HSM_CIPHERTEXT_INVALID && message)
        return result_as(CKR_AEAD_DECRYPT_FAILED);
    if ((status == HSM_DATA_LENGTH || status == HSM_TOO_LARGE) && (message || kind == OPERATION_DECRYPT))
        return result_as(CKR_ENCRYPTED_DATA_LEN_RANGE);
    return key_result(session, status);
}

CK_RV operation_done(struct operation *operation, CK_RV result)
{
    if (result != CKR_BUFFER_TOO_SMALL)
        operation_end(operation);
    return result;
}

CK_RV operation_active(struct session *session, enum operation_kind kind, struct operation **operation)
{
    *operation = &session->operations[kind];
    return (*operation)->active ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED;
}

/* --- lengths --- */

/* More than what key wrapping adds to its input. */
#define ASKED_MAX 8192

/* FIPS 204, table 2. */
static size_t signature_len_of_set(uint64_t parameter_set)
{
    return parameter_set == 44 ? 2420 : parameter_set == 65 ? 3309 : 4627;
}

static size_t signature_len(const hsm_attributes *facts, enum output_rule rule)
{
    size_t oid_len;
    const uint8_t *oid = hsm_attributes_bytes(facts, HSM_ATTR_EC_PARAMS, &oid_len);
    uint32_t curve = oid ? hsm_curve_by_oid(oid, oid_len) : 0;

    if (rule == OUTPUT_MODULUS)
        return (hsm_attributes_uint(facts, HSM_ATTR_MODULUS_BITS, 0) + 7) / 8;
    if (rule == OUTPUT_ML_DSA)
        return signature_len_of_set(hsm_attributes_uint(facts, HSM_ATTR_PARAMETER_SET, 0));
    if (rule == OUTPUT_EDDSA)
        return curve == HSM_CURVE_ED448 ? 114 : 64;
    return 2 * ((hsm_curve_bits(curve) + 7) / 8);
}

static CK_RV output_of_key(struct session *session, const struct operation *operation, enum output_rule rule,
                           size_t *len)
{
    struct object_facts *facts;

    TRY(object_facts(session, &operation->key, &facts));
    *len = signature_len(object_facts_attributes(facts), rule);
    object_facts_release(&facts);
    return CKR_OK;
}

static size_t tag_len(const struct mechanism *mechanism)
{
    if (mechanism->hsm.tag_len)
        return mechanism->hsm.tag_len;
    return mechanism->hsm.hash ? hsm_hash_len(mechanism->hsm.hash) : 16;
}

/* PKCS#7: always at least one byte more. */
static size_t padded(size_t len, size_t block_len)
{
    return block_len ? (len / block_len + 1) * block_len : len;
}

static size_t without(size_t len, size_t n)
{
    return len > n ? len - n : 0;
}

CK_RV operation_output(struct session *session, struct operation *operation, bool decrypting, size_t len,
                       size_t *output_len, bool *exact)
{
    const struct mechanism *mechanism = &operation->mechanism;
    enum output_rule rule = mechanism->row->output;
    size_t extra = tag_len(mechanism) + (rule == OUTPUT_NONCE_TAGGED ? HSM_NONCE_MADE_LEN : 0);

    *exact = true;
    switch (rule) {
    case OUTPUT_MODULUS:
        *exact = !decrypting;
        return output_of_key(session, operation, rule, output_len);
    case OUTPUT_ECDSA:
    case OUTPUT_EDDSA:
    case OUTPUT_ML_DSA:
        return output_of_key(session, operation, rule, output_len);
    case OUTPUT_MAC:
        *output_len = tag_len(mechanism);
        return CKR_OK;
    case OUTPUT_DIGEST:
        *output_len = hsm_hash_len(mechanism->hsm.hash);
        return CKR_OK;
    case OUTPUT_SAME:
        *output_len = len;
        return CKR_OK;
    case OUTPUT_PADDED:
        *exact = !decrypting;
        *output_len = decrypting ? len : padded(len, mechanism->row->block_len);
        return CKR_OK;
    case OUTPUT_TAGGED:
    case OUTPUT_NONCE_TAGGED:
        *output_len = decrypting ? without(len, extra) : len + extra;
        return CKR_OK;
    case OUTPUT_ASK:
    case OUTPUT_NONE:
        break;
    }
    *exact = false;
    *output_len = len + ASKED_MAX;
    return CKR_OK;
}

static CK_RV wrong_len(enum operation_kind kind)
{
    return kind == OPERATION_DECRYPT ? CKR_ENCRYPTED_DATA_LEN_RANGE : CKR_DATA_LEN_RANGE;
}

/* Some counters come round before the cipher's own does. */
static CK_RV check_data_len(const struct operation *operation, enum operation_kind kind, size_t len)
{
    uint64_t max = operation->mechanism.data_max;

    CHECK(max == 0 || (len <= max && operation->n_taken <= max - len), wrong_len(kind));
    return CKR_OK;
}

/* All of the data is as long as the parameter said (CCM). */
static CK_RV check_whole_len(const struct operation *operation, enum operation_kind kind, uint64_t len)
{
    const struct mechanism *mechanism = &operation->mechanism;
    uint64_t tag = kind == OPERATION_DECRYPT ? tag_len(mechanism) : 0;

    CHECK(!mechanism->has_text_len || (len >= tag && len - tag == mechanism->text_len), wrong_len(kind));
    return CKR_OK;
}

/* --- single-part --- */

static CK_RV digest_of(const CK_BYTE *data, size_t data_len, uint8_t digest[HSM_DIGEST_MAX])
{
    size_t len = HSM_DIGEST_MAX;

    return result_of(hsm_digest(HSM_HASH_SHA256, data, data_len, digest, &len));
}

static void forget_result(struct operation *operation)
{
    if (operation->result)
        explicit_bzero(operation->result, operation->result_len);
    free(operation->result);
    operation->result = NULL;
    operation->result_len = 0;
    operation->result_known = false;
}

/* A result waits for a larger buffer only as long as the data is the same. */
static CK_RV keep_result_of(struct operation *operation, const CK_BYTE *data, size_t data_len)
{
    uint8_t digest[HSM_DIGEST_MAX];

    if (!operation->result_known)
        return CKR_OK;
    TRY(digest_of(data, data_len, digest));
    if (memcmp(digest, operation->result_of, hsm_hash_len(HSM_HASH_SHA256)) != 0)
        forget_result(operation);
    return CKR_OK;
}

static CK_RV give_result(struct operation *operation, CK_BYTE *out, CK_ULONG *out_len)
{
    CK_ULONG room = *out_len;

    *out_len = operation->result_len;
    CHECK(room >= operation->result_len, CKR_BUFFER_TOO_SMALL);
    if (operation->result_len)
        memcpy(out, operation->result, operation->result_len);
    return CKR_OK;
}

static void give_nonce(struct mechanism *mechanism)
{
    if (mechanism->nonce_back && mechanism->hsm.nonce_out)
        memcpy(mechanism->nonce_back, mechanism->nonce_made, HSM_NONCE_MADE_LEN);
}

static CK_RV call_aside(struct session *session, enum operation_kind kind, struct operation *operation,
                        single_part call, const CK_BYTE *data, size_t data_len, size_t room)
{
    size_t len = room;
    hsm_session *login;

    TRY(operation_login(session, operation, &login));
    TRY(digest_of(data, data_len, operation->result_of));
    operation->result = malloc(room ? room : 1);
    CHECK(operation->result, CKR_HOST_MEMORY);
    operation->result_len = room; /* what is to be wiped */
    TRY(operation_result(
        session, kind,
        call(login, operation->key.key, &operation->mechanism.hsm, data, data_len, operation->result, &len)));
    operation->result_len = len;
    operation->result_known = true;
    give_nonce(&operation->mechanism);
    return CKR_OK;
}

static CK_RV call_direct(struct session *session, enum operation_kind kind, struct operation *operation,
                         single_part call, const CK_BYTE *data, size_t data_len, CK_BYTE *out, CK_ULONG *out_len)
{
    size_t len = *out_len;
    hsm_session *login;

    TRY(operation_login(session, operation, &login));
    TRY(operation_result(session, kind,
                         call(login, operation->key.key, &operation->mechanism.hsm, data, data_len, out, &len)));
    *out_len = len;
    give_nonce(&operation->mechanism);
    return CKR_OK;
}

/* --- buffers that overlap, as the standard allows and the library does not --- */

/* `out_len` is what the caller claims, which may be more than there can be. */
static bool overlap(const CK_BYTE *data, size_t data_len, const CK_BYTE *out, size_t out_len)
{
    uintptr_t from = (uintptr_t)data, to = (uintptr_t)out;

    return from < to ? to - from < data_len : from - to < out_len;
}

CK_RV input_apart(const CK_BYTE **data, size_t data_len, const CK_BYTE *out, size_t out_len, struct input_copy *copy)
{
    if (!out || data_len == 0 || !overlap(*data, data_len, out, out_len))
        return CKR_OK;
    copy->bytes = malloc(data_len);
    CHECK(copy->bytes, CKR_HOST_MEMORY);
    copy->len = data_len;
    memcpy(copy->bytes, *data, data_len);
    *data = copy->bytes;
    return CKR_OK;
}

void input_copy_release(struct input_copy *copy)
{
    if (copy->bytes)
        explicit_bzero(copy->bytes, copy->len);
    free(copy->bytes);
}

/* Whether what comes out is what once went in. */
static bool is_way_back(enum operation_kind kind)
{
    return kind == OPERATION_DECRYPT || kind == OPERATION_VERIFY_RECOVER;
}

static CK_RV once(struct session *session, enum operation_kind kind, struct operation *operation, single_part call,
                  const CK_BYTE *data, CK_ULONG data_len, CK_BYTE *out, CK_ULONG *out_len)
{
    bool exact;
    size_t room;

    TRY(check_data_len(operation, kind, data_len));
    TRY(check_whole_len(operation, kind, data_len));
    TRY(keep_result_of(operation, data, data_len));
    if (operation->result_known && out)
        return give_result(operation, out, out_len);
    TRY(operation_output(session, operation, is_way_back(kind), data_len, &room, &exact));
    if (!out || (exact && *out_len < room)) {
        *out_len = operation->result_known ? operation->result_len : room;
        return out ? CKR_BUFFER_TOO_SMALL : CKR_OK;
    }
    if (*out_len >= room && !overlap(data, data_len, out, room))
        return call_direct(session, kind, operation, call, data, data_len, out, out_len);
    TRY(call_aside(session, kind, operation, call, data, data_len, room));
    return give_result(operation, out, out_len);
}

CK_RV operation_once(struct session *session, enum operation_kind kind, single_part call, const CK_BYTE *data,
                     CK_ULONG data_len, CK_BYTE *out, CK_ULONG *out_len)
{
    struct operation *operation;

    TRY(operation_active(session, kind, &operation));
    CHECK(!operation->in_parts, CKR_OPERATION_ACTIVE);
    CK_RV result = operation_goes_on(session, operation);

    if (result != CKR_OK)
        return operation_done(operation, result);
    if (!out_len || (!data && data_len) || data_len > SIZE_MAX / 2)
        return operation_done(operation, CKR_ARGUMENTS_BAD);
    result = once(session, kind, operation, call, data, data_len, out, out_len);

    return result == CKR_OK && !out ? CKR_OK : operation_done(operation, result);
}

/* --- in parts --- */

static const uint32_t PARTS[OPERATION_KINDS] = {
    [OPERATION_ENCRYPT] = HSM_OPERATION_ENCRYPT, [OPERATION_DECRYPT] = HSM_OPERATION_DECRYPT,
    [OPERATION_DIGEST] = HSM_OPERATION_DIGEST,   [OPERATION_SIGN] = HSM_OPERATION_SIGN,
    [OPERATION_VERIFY] = HSM_OPERATION_VERIFY,
};

/* Mechanisms that take a digest have one part (PKCS#11 2.40, table of mechanisms of section 2), and so has the one
 * whose nonce stands in front and is known only when all has been seen, as the original's. */
static bool takes_parts(const struct mechanism *mechanism)
{
    switch (mechanism->row->type) {
    case CKM_RSA_PKCS_PSS:
    case CKM_RSA_PKCS:
    case CKM_RSA_PKCS_OAEP:
    case CKM_RSA_X_509:
    case CKM_ECDSA:
    case CKM_CLOUDHSM_AES_GCM:
        return false;
    default:
        return true;
    }
}

static CK_RV begin_parts(struct session *session, enum operation_kind kind, struct operation *operation)
{
    TRY(operation_goes_on(session, operation)); /* who began it may have logged out meanwhile */
    if (operation->parts)
        return CKR_OK;
    CHECK(takes_parts(&operation->mechanism), CKR_MECHANISM_INVALID);
    bool digest = kind == OPERATION_DIGEST;
    hsm_session *login = NULL;

    if (!digest)
        TRY(operation_login(session, operation, &login));
    uint32_t flags = kind == OPERATION_DECRYPT && operation->mechanism.hsm.type == HSM_MECHANISM_AES_GCM
                         ? HSM_OPERATION_HOLD_PLAINTEXT
                         : 0;

    return operation_result(session, kind,
                            hsm_operation_begin(login, PARTS[kind], digest ? NULL : &operation->key.key,
                                                &operation->mechanism.hsm, flags, &operation->parts));
}

static CK_RV update(struct session *session, enum operation_kind kind, struct operation *operation, const CK_BYTE *data,
                    size_t data_len, CK_BYTE *out, CK_ULONG *out_len)
{
    CLEANUP(input_copy_release) struct input_copy copy = {NULL, 0};
    size_t len = out_len ? *out_len : 0;

    TRY(begin_parts(session, kind, operation));
    TRY(check_data_len(operation, kind, data_len));
    TRY(input_apart(&data, data_len, out, len, &copy));
    CK_RV result = operation_result(session, kind,
                                    hsm_operation_update(operation->parts, data, data_len, out, out_len ? &len : NULL));

    if (out_len && (result == CKR_OK || result == CKR_BUFFER_TOO_SMALL))
        *out_len = len;
    if (result == CKR_OK && (out || !out_len)) {
        operation->in_parts = true;
        operation->n_taken += data_len;
    }
    return result;
}

CK_RV operation_update(struct session *session, enum operation_kind kind, const CK_BYTE *data, CK_ULONG data_len,
                       CK_BYTE *out, CK_ULONG *out_len)
{
    bool gives = kind == OPERATION_ENCRYPT || kind == OPERATION_DECRYPT;
    struct operation *operation;

    TRY(operation_active(session, kind, &operation));
    if ((!data && data_len) || (gives && !out_len) || data_len > SIZE_MAX / 2)
        return operation_done(operation, CKR_ARGUMENTS_BAD);
    CK_RV result = update(session, kind, operation, data, data_len, out, out_len);

    return result == CKR_OK ? CKR_OK : operation_done(operation, result);
}

static CK_RV final_len(struct session *session, enum operation_kind kind, struct operation *operation,
                       CK_ULONG *out_len)
{
    size_t len = 0;
    CK_RV result = operation_result(session, kind, hsm_operation_final(operation->parts, NULL, &len));

    if (result == CKR_BUFFER_TOO_SMALL)
        result = CKR_OK;
    *out_len = len;
    return result;
}

CK_RV operation_final(struct session *session, enum operation_kind kind, CK_BYTE *out, CK_ULONG *out_len)
{
    struct operation *operation;

    TRY(operation_active(session, kind, &operation));
    if (!out_len)
        return operation_done(operation, CKR_ARGUMENTS_BAD);
    CK_RV result = begin_parts(session, kind, operation);

    if (result == CKR_OK)
        result = check_whole_len(operation, kind, operation->n_taken);
    if (result != CKR_OK)
        return operation_done(operation, result);
    operation->in_parts = true;
    if (!out) {
        result = final_len(session, kind, operation, out_len);
        return result == CKR_OK ? CKR_OK : operation_done(operation, result);
    }
    size_t len = *out_len;

    result = operation_result(session, kind, hsm_operation_final(operation->parts, out, &len));
    if (result == CKR_OK || result == CKR_BUFFER_TOO_SMALL)
        *out_len = len;
    if (result == CKR_OK)
        give_nonce(&operation->mechanism);
    return operation_done(operation, result);
}
