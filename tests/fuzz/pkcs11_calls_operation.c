/* Operations: begun, done at once, in parts, two at a time (PKCS#11 2.40, 5.8 to 5.15). */
#include "pkcs11_calls.h"

struct model_operation *operation_of(struct model_session *at, enum family family)
{
    return at ? &at->operations[family] : NULL;
}

static const struct model_operation NO_OPERATION = {.phase = NONE};

static enum phase phase_of(const struct model_operation *operation)
{
    return operation ? operation->phase : NONE;
}

void refuse_unless_active(struct verdict *verdict, const struct model_operation *operation)
{
    const struct model_operation *its = operation ? operation : &NO_OPERATION;
    const struct model_object *key = its->key;

    refuse_if(verdict, its->phase == NONE, CKR_OPERATION_NOT_INITIALIZED);
    if (its->phase == UNSURE)
        MAY_GIVE(verdict, CKR_OPERATION_NOT_INITIALIZED, CKR_USER_NOT_LOGGED_IN, CKR_KEY_HANDLE_INVALID,
                 CKR_OPERATION_ACTIVE);
    if (its->phase == NONE || !key)
        return;
    refuse_if(verdict, key->wants_user && !its->user_came && its->phase != UNSURE, CKR_USER_NOT_LOGGED_IN);
    if (key->life != THERE)
        may_give(verdict, CKR_KEY_HANDLE_INVALID);
}

/* --- beginning --- */

static bool is_right_kind(const struct given_mechanism *mechanism, const struct model_object *key)
{
    return mechanism->kinds & KIND(key->kind);
}

static void refuse_key(struct verdict *verdict, const struct given_mechanism *mechanism, const struct model_object *key)
{
    refuse_if(verdict, !key || key->life == GONE || key->kind == DATA, CKR_KEY_HANDLE_INVALID);
    if (key && key->life == UNCLEAR)
        may_give(verdict, CKR_KEY_HANDLE_INVALID);
    refuse_if(verdict, key && !is_right_kind(mechanism, key), CKR_KEY_TYPE_INCONSISTENT);
    if (key && !key->lasting)
        may_give(verdict, CKR_KEY_FUNCTION_NOT_PERMITTED);
}

static void begun(struct model_session *at, enum family family, const struct given_mechanism *mechanism,
                  const struct model_object *key)
{
    at->operations[family] = (struct model_operation){
        .phase = BEGUN, .key = key, .one_part = mechanism->one_part, .ccm = mechanism->ccm, .begun = ++model.n_begun};
}

/* Without a mechanism an active operation is cancelled (PKCS#11 3.0, 5.8.1). */
static void judge_cancelled(struct verdict *verdict, struct model_operation *operation, CK_RV rv, const char *name,
                            int at)
{
    refuse_if(verdict, phase_of(operation) == NONE, CKR_ARGUMENTS_BAD);
    if (phase_of(operation) == UNSURE)
        may_give(verdict, CKR_ARGUMENTS_BAD);
    judge(verdict, rv, "%s(%d, NULL)", name, at);
    if (operation)
        *operation = NO_OPERATION;
}

void call_init(enum family family, init_function init, const char *name)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, family);
    struct given_mechanism mechanism;
    struct model_object *key = NULL;
    struct verdict verdict = of_session(at);

    given_mechanism(&mechanism, family);
    CK_OBJECT_HANDLE key_handle = family == DIGEST ? 0 : given_object(mechanism.kinds, &key);
    CK_RV rv = init(handle, mechanism.pointer, key_handle);

    if (!mechanism.pointer) {
        judge_cancelled(&verdict, operation, rv, name, session_number(at));
        return;
    }
    refuse_if(&verdict, phase_of(operation) == BEGUN || phase_of(operation) == IN_PARTS, CKR_OPERATION_ACTIVE);
    if (phase_of(operation) == UNSURE)
        may_give(&verdict, CKR_OPERATION_ACTIVE);
    refuse_mechanism(&verdict, &mechanism);
    if (family != DIGEST) {
        refuse_if(&verdict, model.login != CKU_USER, CKR_USER_NOT_LOGGED_IN);
        refuse_key(&verdict, &mechanism, key);
    }
    if (judge(&verdict, rv, "%s(%d, %s%s, %lx)", name, session_number(at), mechanism.name,
              mechanism.bad ? " with a bad parameter" : "", key_handle))
        begun(at, family, &mechanism, key);
}

static CK_RV digest_init(CK_SESSION_HANDLE at, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    (void)key;
    return p11->C_DigestInit(at, mechanism);
}

static void begin(void)
{
    switch (given_below(9)) {
    case 0:
    case 1:
        call_init(ENCRYPT, p11->C_EncryptInit, "C_EncryptInit");
        return;
    case 2:
        call_init(DECRYPT, p11->C_DecryptInit, "C_DecryptInit");
        return;
    case 3:
        call_init(DIGEST, digest_init, "C_DigestInit");
        return;
    case 4:
    case 5:
        call_init(SIGN, p11->C_SignInit, "C_SignInit");
        return;
    case 6:
        call_init(VERIFY, p11->C_VerifyInit, "C_VerifyInit");
        return;
    case 7:
        call_init(SIGN_RECOVER, p11->C_SignRecoverInit, "C_SignRecoverInit");
        return;
    default:
        call_init(VERIFY_RECOVER, p11->C_VerifyRecoverInit, "C_VerifyRecoverInit");
    }
}

/* --- what depends on the data --- */

static void may_dislike_data(struct verdict *verdict, enum family family)
{
    switch (family) {
    case DECRYPT:
        MAY_GIVE(verdict, CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_LEN_RANGE);
        return;
    case VERIFY:
    case VERIFY_RECOVER:
        MAY_GIVE(verdict, CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE, CKR_DATA_LEN_RANGE);
        return;
    case DIGEST:
        return;
    default:
        may_give(verdict, CKR_DATA_LEN_RANGE);
    }
}

/* --- at once --- */

typedef CK_RV (*once_function)(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR);

/* A call that was told the length must find it enough, as long as the data is as long. */
static bool is_told_enough(const struct model_operation *operation, const struct given_data *data,
                           const struct given_room *room)
{
    return operation && operation->answered && operation->asked_len == data->len && room->had >= operation->needed;
}

static void told(struct model_operation *operation, const struct given_data *data, const struct given_room *room)
{
    operation->answered = true;
    operation->asked_len = data->len;
    operation->needed = room->len;
}

static void once(enum family family, once_function call, const char *name)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, family);
    bool way_back = family == DECRYPT || family == VERIFY_RECOVER;
    struct given_data data = way_back ? given_made() : given_data();
    struct verdict verdict = of_session(at);
    struct given_room room;

    given_room(&room, &data);
    refuse_unless_active(&verdict, operation);
    if (phase_of(operation) != NONE) {
        refuse_if(&verdict, phase_of(operation) == IN_PARTS, CKR_OPERATION_ACTIVE);
        refuse_if(&verdict, !room.len_pointer || data.bad, CKR_ARGUMENTS_BAD);
        may_dislike_data(&verdict, family);
        if (room.bytes && (way_back || !is_told_enough(operation, &data, &room)))
            may_give(&verdict, CKR_BUFFER_TOO_SMALL);
    }
    CK_RV rv = call(handle, data.bytes, data.len, room.bytes, room.len_pointer);
    bool fine = judge(&verdict, rv, "%s(%d, %lu bytes%s, %s of %lu)", name, session_number(at), data.len,
                      data.bytes ? "" : " at NULL", room.bytes ? "room" : "NULL", room.had);

    given_check_room(&room, rv, name);
    if (fine && room.bytes)
        given_keep_made(room.bytes, room.len);
    if (phase_of(operation) == NONE || rv == CKR_OPERATION_ACTIVE)
        return;
    if (rv == CKR_BUFFER_TOO_SMALL || (fine && !room.bytes))
        told(operation, &data, &room);
    else
        *operation = NO_OPERATION;
}

static void verify(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, VERIFY);
    struct given_data data = given_data(), signature = given_made();
    struct verdict verdict = of_session(at);

    refuse_unless_active(&verdict, operation);
    if (phase_of(operation) != NONE) {
        refuse_if(&verdict, phase_of(operation) == IN_PARTS, CKR_OPERATION_ACTIVE);
        refuse_if(&verdict, data.bad || signature.bad || !signature.bytes, CKR_ARGUMENTS_BAD);
        may_dislike_data(&verdict, VERIFY);
    }
    CK_RV rv = p11->C_Verify(handle, data.bytes, data.len, signature.bytes, signature.len);

    judge(&verdict, rv, "C_Verify(%d, %lu bytes, signature of %lu)", session_number(at), data.len, signature.len);
    if (operation && rv != CKR_OPERATION_ACTIVE)
        *operation = NO_OPERATION;
}

static void do_at_once(void)
{
    switch (given_family(USE(ENCRYPT) | USE(DECRYPT) | USE(DIGEST) | USE(SIGN) | USE(VERIFY) | USE(SIGN_RECOVER) |
                         USE(VERIFY_RECOVER))) {
    case ENCRYPT:
        once(ENCRYPT, p11->C_Encrypt, "C_Encrypt");
        return;
    case DECRYPT:
        once(DECRYPT, p11->C_Decrypt, "C_Decrypt");
        return;
    case DIGEST:
        once(DIGEST, p11->C_Digest, "C_Digest");
        return;
    case SIGN:
        once(SIGN, p11->C_Sign, "C_Sign");
        return;
    case VERIFY:
        verify();
        return;
    case SIGN_RECOVER:
        once(SIGN_RECOVER, p11->C_SignRecover, "C_SignRecover");
        return;
    default:
        once(VERIFY_RECOVER, p11->C_VerifyRecover, "C_VerifyRecover");
    }
}

/* --- in parts --- */

static void refuse_part(struct verdict *verdict, const struct model_operation *operation, enum family family)
{
    refuse_unless_active(verdict, operation);
    refuse_if(verdict, operation && operation->one_part && operation->phase != NONE, CKR_MECHANISM_INVALID);
    if (phase_of(operation) != NONE)
        may_dislike_data(verdict, family);
}

/* What an update, or the question how much it gives, leaves. */
static void part_taken(struct model_operation *operation, CK_RV rv, bool asked)
{
    if (phase_of(operation) == NONE)
        return;
    if (rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL)
        *operation = NO_OPERATION;
    else if (rv == CKR_OK && !asked && operation->phase == BEGUN)
        operation->phase = IN_PARTS;
}

static void update_giving(enum family family, once_function call, const char *name)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, family);
    struct given_data data = family == DECRYPT ? given_made() : given_data();
    struct verdict verdict = of_session(at);
    struct given_room room;

    given_room(&room, &data);
    refuse_part(&verdict, operation, family);
    if (phase_of(operation) != NONE) {
        refuse_if(&verdict, !room.len_pointer || data.bad, CKR_ARGUMENTS_BAD);
        if (room.bytes)
            may_give(&verdict, CKR_BUFFER_TOO_SMALL);
    }
    CK_RV rv = call(handle, data.bytes, data.len, room.bytes, room.len_pointer);

    judge(&verdict, rv, "%s(%d, %lu bytes%s, %s of %lu)", name, session_number(at), data.len,
          data.bytes ? "" : " at NULL", room.bytes ? "room" : "NULL", room.had);
    given_check_room(&room, rv, name);
    part_taken(operation, rv, !room.bytes);
}

typedef CK_RV (*taking_function)(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG);

static void update_taking(enum family family, taking_function call, const char *name)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, family);
    struct given_data data = given_data();
    struct verdict verdict = of_session(at);

    refuse_part(&verdict, operation, family);
    if (phase_of(operation) != NONE)
        refuse_if(&verdict, data.bad, CKR_ARGUMENTS_BAD);
    CK_RV rv = call(handle, data.bytes, data.len);

    judge(&verdict, rv, "%s(%d, %lu bytes)", name, session_number(at), data.len);
    part_taken(operation, rv, false);
}

static void update(void)
{
    switch (given_family(USE(ENCRYPT) | USE(DECRYPT) | USE(DIGEST) | USE(SIGN) | USE(VERIFY))) {
    case ENCRYPT:
        update_giving(ENCRYPT, p11->C_EncryptUpdate, "C_EncryptUpdate");
        return;
    case DECRYPT:
        update_giving(DECRYPT, p11->C_DecryptUpdate, "C_DecryptUpdate");
        return;
    case DIGEST:
        update_taking(DIGEST, p11->C_DigestUpdate, "C_DigestUpdate");
        return;
    case SIGN:
        update_taking(SIGN, p11->C_SignUpdate, "C_SignUpdate");
        return;
    default:
        update_taking(VERIFY, p11->C_VerifyUpdate, "C_VerifyUpdate");
    }
}

typedef CK_RV (*final_function)(CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG_PTR);

static void final(enum family family, final_function call, const char *name)
{
    static const struct given_data NOTHING = {NULL, 0, false, false};
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, family);
    struct verdict verdict = of_session(at);
    struct given_room room;

    given_room(&room, NULL);
    refuse_part(&verdict, operation, family);
    if (phase_of(operation) != NONE) {
        refuse_if(&verdict, !room.len_pointer, CKR_ARGUMENTS_BAD);
        if (room.bytes)
            may_give(&verdict, CKR_BUFFER_TOO_SMALL);
    }
    CK_RV rv = call(handle, room.bytes, room.len_pointer);
    bool fine =
        judge(&verdict, rv, "%s(%d, %s of %lu)", name, session_number(at), room.bytes ? "room" : "NULL", room.had);

    given_check_room(&room, rv, name);
    if (fine && room.bytes)
        given_keep_made(room.bytes, room.len);
    if (phase_of(operation) == NONE)
        return;
    if (rv != CKR_BUFFER_TOO_SMALL && (!fine || room.bytes)) {
        *operation = NO_OPERATION;
        return;
    }
    told(operation, &NOTHING, &room);
    if (operation->phase == BEGUN)
        operation->phase = IN_PARTS;
}

static void verify_final(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, VERIFY);
    struct given_data signature = given_made();
    struct verdict verdict = of_session(at);

    refuse_part(&verdict, operation, VERIFY);
    if (phase_of(operation) != NONE)
        refuse_if(&verdict, signature.bad || !signature.bytes, CKR_ARGUMENTS_BAD);
    CK_RV rv = p11->C_VerifyFinal(handle, signature.bytes, signature.len);

    judge(&verdict, rv, "C_VerifyFinal(%d, signature of %lu)", session_number(at), signature.len);
    if (operation)
        *operation = NO_OPERATION;
}

static void end(void)
{
    switch (given_family(USE(ENCRYPT) | USE(DECRYPT) | USE(DIGEST) | USE(SIGN) | USE(VERIFY))) {
    case ENCRYPT:
        final(ENCRYPT, p11->C_EncryptFinal, "C_EncryptFinal");
        return;
    case DECRYPT:
        final(DECRYPT, p11->C_DecryptFinal, "C_DecryptFinal");
        return;
    case DIGEST:
        final(DIGEST, p11->C_DigestFinal, "C_DigestFinal");
        return;
    case SIGN:
        final(SIGN, p11->C_SignFinal, "C_SignFinal");
        return;
    default:
        verify_final();
    }
}

static void digest_key(void)
{
    (void)given_family(USE(DIGEST));
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *operation = operation_of(at, DIGEST);
    struct model_object *key;
    CK_OBJECT_HANDLE key_handle = given_object(KIND(GENERIC), &key);
    struct verdict verdict = of_session(at);

    refuse_unless_active(&verdict, operation);
    if (phase_of(operation) != NONE) {
        refuse_if(&verdict, !key || key->life == GONE, CKR_KEY_HANDLE_INVALID);
        refuse_if(&verdict, model.login != CKU_USER, CKR_USER_NOT_LOGGED_IN);
        if (key && key->life == UNCLEAR)
            may_give(&verdict, CKR_KEY_HANDLE_INVALID);
        refuse_if(&verdict, key && key->lasting && !key->readable, CKR_KEY_INDIGESTIBLE);
        if (key && !key->lasting)
            may_give(&verdict, CKR_KEY_INDIGESTIBLE);
    }
    CK_RV rv = p11->C_DigestKey(handle, key_handle);

    judge(&verdict, rv, "C_DigestKey(%d, %lx)", session_number(at), key_handle);
    part_taken(operation, rv, false);
}

/* --- two at a time --- */

static const struct dual {
    enum family first, second;
    const char *name;
} DUALS[] = {
    {ENCRYPT, DIGEST, "C_DigestEncryptUpdate"},
    {ENCRYPT, SIGN, "C_SignEncryptUpdate"},
    {DECRYPT, DIGEST, "C_DecryptDigestUpdate"},
    {DECRYPT, VERIFY, "C_DecryptVerifyUpdate"},
};

static once_function dual_function(unsigned which)
{
    const once_function functions[] = {p11->C_DigestEncryptUpdate, p11->C_SignEncryptUpdate, p11->C_DecryptDigestUpdate,
                                       p11->C_DecryptVerifyUpdate};

    return functions[which];
}

/* When the length alone is asked for, the second has nothing to do. */
static void refuse_dual(struct verdict *verdict, const struct model_operation *first,
                        const struct model_operation *second, enum family family, bool asked)
{
    refuse_if(verdict, phase_of(first) == NONE || phase_of(second) == NONE, CKR_OPERATION_NOT_INITIALIZED);
    if (phase_of(first) == NONE || phase_of(second) == NONE)
        return;
    refuse_part(verdict, first, family);
    if (!asked || second->phase == UNSURE)
        refuse_part(verdict, second, DIGEST);
}

/* One of them may have failed, and nothing tells which. */
static void dual_taken(struct model_operation *first, struct model_operation *second, CK_RV rv, bool asked)
{
    if (phase_of(first) == NONE || phase_of(second) == NONE)
        return;
    if (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL) {
        part_taken(first, rv, asked);
        part_taken(second, rv, asked);
        return;
    }
    first->phase = UNSURE;
    second->phase = UNSURE;
}

static void both(void)
{
    unsigned which = given_below(4);
    const struct dual *dual = &DUALS[which];
    struct model_session *at;

    (void)given_family(USE(dual->first));
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_operation *first = operation_of(at, dual->first), *second = operation_of(at, dual->second);
    struct given_data data = dual->first == DECRYPT ? given_made() : given_data();
    struct verdict verdict = of_session(at);
    struct given_room room;

    given_room(&room, &data);
    refuse_dual(&verdict, first, second, dual->first, !room.bytes);
    if (phase_of(first) != NONE && phase_of(second) != NONE) {
        refuse_if(&verdict, !room.len_pointer || data.bad, CKR_ARGUMENTS_BAD);
        if (room.bytes)
            may_give(&verdict, CKR_BUFFER_TOO_SMALL);
    }
    CK_RV rv = dual_function(which)(handle, data.bytes, data.len, room.bytes, room.len_pointer);

    judge(&verdict, rv, "%s(%d, %lu bytes, %s of %lu)", dual->name, session_number(at), data.len,
          room.bytes ? "room" : "NULL", room.had);
    given_check_room(&room, rv, dual->name);
    dual_taken(first, second, rv, !room.bytes);
}

const struct call OPERATION_CALLS[] = {
    {begin, 16}, {do_at_once, 12}, {update, 9}, {end, 6}, {digest_key, 2}, {both, 4},
};
const unsigned N_OPERATION_CALLS = sizeof(OPERATION_CALLS) / sizeof(OPERATION_CALLS[0]);
