/* Keys: generated, wrapped and unwrapped, derived. */
#include "pkcs11_calls.h"

static bool is_gone(const struct model_object *object)
{
    return !object || object->life == GONE;
}

static void refuse_making(struct verdict *verdict, const struct model_session *at,
                          const struct given_template *template, const struct given_mechanism *mechanism)
{
    refuse_if(verdict, !mechanism->pointer, CKR_ARGUMENTS_BAD);
    refuse_if(verdict, model.login != CKU_USER, CKR_USER_NOT_LOGGED_IN);
    refuse_mechanism(verdict, mechanism);
    refuse_template(verdict, template);
    refuse_if(verdict, template->token && at && !at->read_write, CKR_SESSION_READ_ONLY);
}

/* A handle of a key that a call with a wrong one refuses in words of its own. */
static void refuse_key(struct verdict *verdict, const struct model_object *key, CK_RV handle_invalid)
{
    refuse_if(verdict, is_gone(key) || key->kind == DATA, handle_invalid);
    refuse_if(verdict, key && key->kind == DATA, CKR_KEY_HANDLE_INVALID);
    if (key && key->life == UNCLEAR)
        may_give(verdict, handle_invalid);
    if (key && !key->lasting)
        may_give(verdict, CKR_KEY_FUNCTION_NOT_PERMITTED);
}

static void took(const struct model_session *at, bool fine, CK_OBJECT_HANDLE made, enum kind kind, bool token,
                 const char *name)
{
    if (fine)
        model_made(at, made, kind, token);
    else
        EXPECT(made == NOT_MADE, "%s gives a handle although it fails", name);
}

/* --- generating --- */

static void generate(void)
{
    static CK_ULONG len = 16;
    const CK_ATTRIBUTE FORM[] = {{CKA_VALUE_LEN, &len, sizeof(len)}, {CKA_LABEL, "generated", 9}};
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct given_mechanism mechanism;

    given_mechanism(&mechanism, GENERATE);
    bool incomplete = given_rarely();
    struct given_template template = given_template(incomplete ? FORM + 1 : FORM, incomplete ? 1 : 2);
    CK_OBJECT_HANDLE made = NOT_MADE, *to = given_rarely() ? NULL : &made;
    struct verdict verdict = of_session(at);

    if (!model_has_room(1))
        return;
    refuse_if(&verdict, !to, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, incomplete, CKR_TEMPLATE_INCOMPLETE);
    refuse_making(&verdict, at, &template, &mechanism);
    bool fine = judge(&verdict, p11->C_GenerateKey(handle, mechanism.pointer, template.attributes, template.n, to),
                      "C_GenerateKey(%d, %s, %s%s)", session_number(at), mechanism.name, template_fault(&template),
                      incomplete ? ", incomplete" : "");

    took(at, fine, made, mechanism.kinds & KIND(AES) ? AES : GENERIC, template.token, "C_GenerateKey");
}

static void generate_pair(void)
{
    const CK_ATTRIBUTE PUBLIC_FORM[] = {{CKA_EC_PARAMS, P256, sizeof(P256) - 1}, {CKA_LABEL, "made", 4}};
    const CK_ATTRIBUTE PRIVATE_FORM[] = {{CKA_LABEL, "made", 4}};
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct given_mechanism mechanism;

    given_mechanism(&mechanism, GENERATE_PAIR);
    struct given_template publics = given_template(PUBLIC_FORM, 2), privates = given_template(PRIVATE_FORM, 1);
    CK_OBJECT_HANDLE made[2] = {NOT_MADE, NOT_MADE}, *to = given_rarely() ? NULL : &made[0];
    struct verdict verdict = of_session(at);

    if (!model_has_room(2))
        return;
    refuse_if(&verdict, !to, CKR_ARGUMENTS_BAD);
    refuse_making(&verdict, at, &publics, &mechanism);
    refuse_making(&verdict, at, &privates, &mechanism);
    bool fine = judge(&verdict,
                      p11->C_GenerateKeyPair(handle, mechanism.pointer, publics.attributes, publics.n,
                                             privates.attributes, privates.n, to, &made[1]),
                      "C_GenerateKeyPair(%d, %s, %s, %s)", session_number(at), mechanism.name, template_fault(&publics),
                      template_fault(&privates));

    took(at, fine, made[0], EC_PUBLIC, publics.token, "C_GenerateKeyPair");
    took(at, fine, made[1], EC_PRIVATE, privates.token, "C_GenerateKeyPair");
}

/* --- wrapping --- */

static void wrap(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct given_mechanism mechanism;
    struct model_object *wrapping, *key;
    struct verdict verdict = of_session(at);
    struct given_room room;

    given_mechanism(&mechanism, WRAP);
    CK_OBJECT_HANDLE under = given_object(mechanism.kinds, &wrapping),
                     which = given_object(KIND(AES) | KIND(GENERIC) | KIND(EC_PRIVATE), &key);

    given_room(&room, NULL);
    refuse_if(&verdict, !mechanism.pointer || !room.len_pointer, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, model.login != CKU_USER, CKR_USER_NOT_LOGGED_IN);
    refuse_mechanism(&verdict, &mechanism);
    refuse_key(&verdict, wrapping, CKR_WRAPPING_KEY_HANDLE_INVALID);
    refuse_if(&verdict, is_gone(key), CKR_KEY_HANDLE_INVALID);
    refuse_if(&verdict, wrapping && !(mechanism.kinds & KIND(wrapping->kind)), CKR_WRAPPING_KEY_TYPE_INCONSISTENT);
    MAY_GIVE(&verdict, CKR_KEY_UNEXTRACTABLE, CKR_KEY_NOT_WRAPPABLE, CKR_KEY_SIZE_RANGE, CKR_KEY_HANDLE_INVALID);
    if (room.bytes)
        may_give(&verdict, CKR_BUFFER_TOO_SMALL);
    CK_RV rv = p11->C_WrapKey(handle, mechanism.pointer, under, which, room.bytes, room.len_pointer);
    bool fine = judge(&verdict, rv, "C_WrapKey(%d, %s, %lx, %lx, %s of %lu)", session_number(at), mechanism.name, under,
                      which, room.bytes ? "room" : "NULL", room.had);

    given_check_room(&room, rv, "C_WrapKey");
    if (fine && room.bytes)
        given_keep_made(room.bytes, room.len);
}

static void unwrap(void)
{
    static CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    static CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    const CK_ATTRIBUTE FORM[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_KEY_TYPE, &type, sizeof(type)}};
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct given_mechanism mechanism;
    struct model_object *unwrapping;

    given_mechanism(&mechanism, UNWRAP);
    CK_OBJECT_HANDLE under = given_object(mechanism.kinds, &unwrapping), made = NOT_MADE;
    struct given_data wrapped = given_made();
    struct given_template template = given_template(FORM, 2);
    struct verdict verdict = of_session(at);

    if (!model_has_room(1))
        return;
    refuse_making(&verdict, at, &template, &mechanism);
    refuse_if(&verdict, wrapped.bad || !wrapped.bytes, CKR_ARGUMENTS_BAD);
    refuse_key(&verdict, unwrapping, CKR_UNWRAPPING_KEY_HANDLE_INVALID);
    refuse_if(&verdict, unwrapping && !(mechanism.kinds & KIND(unwrapping->kind)),
              CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT);
    MAY_GIVE(&verdict, CKR_WRAPPED_KEY_INVALID, CKR_WRAPPED_KEY_LEN_RANGE, CKR_ATTRIBUTE_VALUE_INVALID);
    bool fine = judge(&verdict,
                      p11->C_UnwrapKey(handle, mechanism.pointer, under, wrapped.bytes, wrapped.len,
                                       template.attributes, template.n, &made),
                      "C_UnwrapKey(%d, %s, %lx, %lu bytes, %s)", session_number(at), mechanism.name, under, wrapped.len,
                      template_fault(&template));

    took(at, fine, made, GENERIC, template.token, "C_UnwrapKey");
}

/* --- deriving --- */

static void derive(void)
{
    static CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    static CK_ULONG len = 16;
    const CK_ATTRIBUTE FORM[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_VALUE_LEN, &len, sizeof(len)}};
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct given_mechanism mechanism;
    struct model_object *base;

    given_mechanism(&mechanism, DERIVE);
    CK_OBJECT_HANDLE from = given_object(mechanism.kinds, &base), made = NOT_MADE;
    struct given_template template = given_template(FORM, 2);
    struct verdict verdict = of_session(at);

    if (!model_has_room(1))
        return;
    refuse_making(&verdict, at, &template, &mechanism);
    refuse_key(&verdict, base, CKR_KEY_HANDLE_INVALID);
    refuse_if(&verdict, base && base->wants_user, CKR_USER_NOT_LOGGED_IN);
    refuse_if(&verdict, base && !(mechanism.kinds & KIND(base->kind)), CKR_KEY_TYPE_INCONSISTENT);
    MAY_GIVE(&verdict, CKR_KEY_HANDLE_INVALID, CKR_KEY_SIZE_RANGE, CKR_KEY_FUNCTION_NOT_PERMITTED,
             CKR_TEMPLATE_INCONSISTENT, CKR_KEY_TYPE_INCONSISTENT);
    bool fine =
        judge(&verdict, p11->C_DeriveKey(handle, mechanism.pointer, from, template.attributes, template.n, &made),
              "C_DeriveKey(%d, %s%s, %lx, %s)", session_number(at), mechanism.name,
              mechanism.bad ? " with a bad parameter" : "", from, template_fault(&template));

    took(at, fine, made, GENERIC, template.token, "C_DeriveKey");
}

const struct call KEY_CALLS[] = {{generate, 3}, {generate_pair, 2}, {wrap, 4}, {unwrap, 3}, {derive, 3}};
const unsigned N_KEY_CALLS = sizeof(KEY_CALLS) / sizeof(KEY_CALLS[0]);
