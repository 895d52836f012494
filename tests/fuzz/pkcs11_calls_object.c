/* Objects: made, copied, looked at, changed, destroyed. */
#include "pkcs11_calls.h"

static bool is_gone(const struct model_object *object)
{
    return !object || object->life == GONE;
}

/* --- making --- */

static void create(void)
{
    static CK_OBJECT_CLASS data_class = CKO_DATA, secret_class = CKO_SECRET_KEY;
    static CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    const CK_ATTRIBUTE DATA_FORM[] = {{CKA_CLASS, &data_class, sizeof(data_class)}, {CKA_VALUE, "value", 5}};
    const CK_ATTRIBUTE KEY_FORM[] = {{CKA_CLASS, &secret_class, sizeof(secret_class)},
                                     {CKA_KEY_TYPE, &generic, sizeof(generic)},
                                     {CKA_VALUE, "a secret of 16 b", 16}};
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    bool key = given_byte() & 1;
    struct given_template template = given_template(key ? KEY_FORM : DATA_FORM, key ? 3 : 2);
    CK_OBJECT_HANDLE made = NOT_MADE, *to = given_rarely() ? NULL : &made;
    struct verdict verdict = of_session(at);

    if (!model_has_room(1))
        return;
    refuse_if(&verdict, !to, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, model.login != CKU_USER, CKR_USER_NOT_LOGGED_IN);
    refuse_template(&verdict, &template);
    refuse_if(&verdict, template.token && at && !at->read_write, CKR_SESSION_READ_ONLY);
    if (judge(&verdict, p11->C_CreateObject(handle, template.attributes, template.n, to), "C_CreateObject(%d, %s, %s)",
              session_number(at), key ? "key" : "data", template_fault(&template)))
        model_made(at, made, key ? GENERIC : DATA, template.token);
    else
        EXPECT(made == NOT_MADE, "C_CreateObject gives a handle although it fails");
}

static void copy(void)
{
    const CK_ATTRIBUTE FORM[] = {{CKA_LABEL, "a copy", 6}};
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_object *original;
    CK_OBJECT_HANDLE from = given_object(ANY_KIND, &original);
    struct given_template template = given_template(FORM, 1);
    CK_OBJECT_HANDLE made = NOT_MADE, *to = given_rarely() ? NULL : &made;
    struct verdict verdict = of_session(at);

    if (!model_has_room(1))
        return;
    bool token = template.token || (original && original->session < 0);

    refuse_if(&verdict, !to, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, is_gone(original), CKR_OBJECT_HANDLE_INVALID);
    if (original && original->life == UNCLEAR)
        may_give(&verdict, CKR_OBJECT_HANDLE_INVALID);
    refuse_if(&verdict, original && original->lasting, CKR_ACTION_PROHIBITED);
    refuse_if(&verdict, model.login != CKU_USER, CKR_USER_NOT_LOGGED_IN);
    refuse_template(&verdict, &template);
    refuse_if(&verdict, token && at && !at->read_write, CKR_SESSION_READ_ONLY);
    if (judge(&verdict, p11->C_CopyObject(handle, from, template.attributes, template.n, to),
              "C_CopyObject(%d, %lx, %s)", session_number(at), from, template_fault(&template)))
        model_made(at, made, original->kind, token);
    else
        EXPECT(made == NOT_MADE, "C_CopyObject gives a handle although it fails");
}

static void destroy(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_object *object;
    CK_OBJECT_HANDLE which = given_object(ANY_KIND, &object);
    struct verdict verdict = of_session(at);

    refuse_if(&verdict, is_gone(object), CKR_OBJECT_HANDLE_INVALID);
    if (object && object->life == UNCLEAR)
        may_give(&verdict, CKR_OBJECT_HANDLE_INVALID);
    refuse_if(&verdict, object && object->lasting, CKR_ACTION_PROHIBITED);
    refuse_if(&verdict, model.login != CKU_USER, CKR_USER_NOT_LOGGED_IN);
    refuse_if(&verdict, object && object->session < 0 && at && !at->read_write, CKR_SESSION_READ_ONLY);
    if (judge(&verdict, p11->C_DestroyObject(handle, which), "C_DestroyObject(%d, %lx)", session_number(at), which))
        model_destroyed(object);
}

/* --- looking --- */

#define ROOM  600
#define ASKED 6
#define STAYS 0x5a

static CK_ATTRIBUTE some_attribute(CK_BYTE *room)
{
    static const CK_ATTRIBUTE_TYPE TYPES[] = {CKA_CLASS,
                                              CKA_LABEL,
                                              CKA_TOKEN,
                                              CKA_VALUE,
                                              CKA_KEY_TYPE,
                                              CKA_MODULUS,
                                              CKA_EC_POINT,
                                              CKA_PRIVATE_EXPONENT,
                                              CKA_START_DATE,
                                              CKA_CHECK_VALUE,
                                              CKA_WRAP_TEMPLATE,
                                              CKA_VENDOR_DEFINED | 77,
                                              CKA_PUBLIC_KEY_INFO,
                                              CKA_ALLOWED_MECHANISMS,
                                              CKA_ID,
                                              (CK_ATTRIBUTE_TYPE)-1};
    static const CK_ULONG LENS[] = {ROOM, 0, 1, 7, 8, ROOM, (CK_ULONG)-1, ROOM};
    CK_ATTRIBUTE_TYPE type = TYPES[given_below(16)];
    unsigned how = given_below(16);
    CK_ULONG len = LENS[how % 8];

    /* A nested template has pointers of its own in it, for which this one has none. */
    if (type == CKA_WRAP_TEMPLATE || how >= 12)
        return (CK_ATTRIBUTE){type, NULL, len};
    return (CK_ATTRIBUTE){type, room, len};
}

static void check_attribute(const CK_ATTRIBUTE *asked, const CK_ATTRIBUTE *told, const CK_BYTE *room)
{
    size_t from = asked->ulValueLen < ROOM ? asked->ulValueLen : ROOM;

    EXPECT(told->type == asked->type && told->pValue == asked->pValue, "C_GetAttributeValue changes the template");
    EXPECT(told->ulValueLen == CK_UNAVAILABLE_INFORMATION || !asked->pValue || told->ulValueLen <= asked->ulValueLen,
           "attribute %lx has %lu bytes for a buffer of %lu", asked->type, told->ulValueLen, asked->ulValueLen);
    for (size_t i = from; i < ROOM + 8; i++)
        EXPECT(room[i] == STAYS, "attribute %lx was written beyond %lu bytes", asked->type, asked->ulValueLen);
}

static void look(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_object *object;
    CK_OBJECT_HANDLE which = given_object(ANY_KIND, &object);
    CK_ATTRIBUTE asked[ASKED], told[ASKED], *template = given_rarely() ? NULL : told;
    CK_BYTE *rooms = given_copy(NULL, ASKED * (ROOM + 8));
    CK_ULONG n = given_below(ASKED + 1);
    bool aliased = given_rarely(), absurd = given_rarely();
    struct verdict verdict = of_session(at);

    memset(rooms, STAYS, ASKED * (ROOM + 8));
    for (CK_ULONG i = 0; i < n; i++)
        told[i] = asked[i] = some_attribute(rooms + (aliased ? 0 : i * (ROOM + 8)));
    refuse_if(&verdict, !template || absurd, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, is_gone(object), CKR_OBJECT_HANDLE_INVALID);
    if (object && (object->life == UNCLEAR || model.login == NOBODY))
        MAY_GIVE(&verdict, CKR_OBJECT_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN);
    MAY_GIVE(&verdict, CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID, CKR_BUFFER_TOO_SMALL);
    CK_RV rv = p11->C_GetAttributeValue(handle, which, template, absurd ? (CK_ULONG)-1 : n);

    judge(&verdict, rv, "C_GetAttributeValue(%d, %lx, %lu attributes)", session_number(at), which, n);
    for (CK_ULONG i = 0; i < n && !aliased; i++)
        check_attribute(&asked[i], &told[i], rooms + i * (ROOM + 8));
}

static void size(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_object *object;
    CK_OBJECT_HANDLE which = given_object(ANY_KIND, &object);
    CK_ULONG len = NOT_MADE, *to = given_rarely() ? NULL : &len;
    struct verdict verdict = of_session(at);

    refuse_if(&verdict, !to, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, is_gone(object), CKR_OBJECT_HANDLE_INVALID);
    if (object && (object->life == UNCLEAR || model.login == NOBODY))
        MAY_GIVE(&verdict, CKR_OBJECT_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN);
    if (judge(&verdict, p11->C_GetObjectSize(handle, which, to), "C_GetObjectSize(%d, %lx)", session_number(at), which))
        EXPECT(len < 1 << 20, "C_GetObjectSize gives %lu", len);
}

/* --- changing --- */

static void change(void)
{
    const CK_ATTRIBUTE FORM[] = {{CKA_LABEL, "changed", 7}};
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct model_object *object;
    CK_OBJECT_HANDLE which = given_object(ANY_KIND, &object);
    struct given_template template = given_template(FORM, 1);
    struct verdict verdict = of_session(at);

    refuse_if(&verdict, is_gone(object), CKR_OBJECT_HANDLE_INVALID);
    if (object && object->life == UNCLEAR)
        may_give(&verdict, CKR_OBJECT_HANDLE_INVALID);
    refuse_template(&verdict, &template);
    refuse_if(&verdict, template.token, CKR_ATTRIBUTE_READ_ONLY);
    refuse_if(&verdict, object && object->lasting, CKR_ACTION_PROHIBITED);
    refuse_if(&verdict, object && object->lasting, CKR_ATTRIBUTE_READ_ONLY);
    refuse_if(&verdict, model.login != CKU_USER, CKR_USER_NOT_LOGGED_IN);
    refuse_if(&verdict, object && object->session < 0 && at && !at->read_write, CKR_SESSION_READ_ONLY);
    judge(&verdict, p11->C_SetAttributeValue(handle, which, template.attributes, template.n),
          "C_SetAttributeValue(%d, %lx, %s)", session_number(at), which, template_fault(&template));
}

const struct call OBJECT_CALLS[] = {{create, 4}, {copy, 2}, {destroy, 2}, {look, 4}, {size, 1}, {change, 2}};
const unsigned N_OBJECT_CALLS = sizeof(OBJECT_CALLS) / sizeof(OBJECT_CALLS[0]);
