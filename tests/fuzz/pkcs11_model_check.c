/* What the module must show of itself between calls: states of sessions, operations that are active, objects. */
#include "pkcs11_model.h"
#include "pkcs11_world.h"

static CK_STATE expected_state(const struct model_session *at)
{
    switch (model.login) {
    case CKU_USER:
        return at->read_write ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
    case CKU_SO:
        return CKS_RW_SO_FUNCTIONS;
    default:
        return at->read_write ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
    }
}

static void check_state(const struct model_session *at)
{
    CK_SESSION_INFO info = {.slotID = 99};
    CK_RV rv = p11->C_GetSessionInfo(at->handle, &info);
    CK_FLAGS flags = CKF_SERIAL_SESSION | (at->read_write ? CKF_RW_SESSION : 0);
    CK_RV expected = at->open ? CKR_OK : CKR_SESSION_HANDLE_INVALID;

    expected = model.initialized ? expected : CKR_CRYPTOKI_NOT_INITIALIZED;
    EXPECT(rv == expected, "session %lx gives %s", at->handle, rv_name(rv));
    if (rv != CKR_OK)
        return;
    EXPECT(info.state == expected_state(at), "session %lx is in state %lu, not %lu", at->handle, info.state,
           expected_state(at));
    EXPECT(info.flags == flags && info.slotID == 0, "session %lx has flags %lx", at->handle, info.flags);
}

void model_check_states(void)
{
    for (int i = 0; i < SESSIONS; i++)
        check_state(&model.sessions[i]);
}

/* --- operations --- */

static CK_RV cancel(CK_SESSION_HANDLE at, enum family family)
{
    switch (family) {
    case ENCRYPT:
        return p11->C_EncryptInit(at, NULL, 0);
    case DECRYPT:
        return p11->C_DecryptInit(at, NULL, 0);
    case DIGEST:
        return p11->C_DigestInit(at, NULL);
    case SIGN:
        return p11->C_SignInit(at, NULL, 0);
    case VERIFY:
        return p11->C_VerifyInit(at, NULL, 0);
    case SIGN_RECOVER:
        return p11->C_SignRecoverInit(at, NULL, 0);
    case VERIFY_RECOVER:
        return p11->C_VerifyRecoverInit(at, NULL, 0);
    case MESSAGE_ENCRYPT:
        return p11->C_MessageEncryptInit(at, NULL, 0);
    default:
        return p11->C_MessageDecryptInit(at, NULL, 0);
    }
}

static void check_operations(const struct model_session *at)
{
    for (int i = 0; i < FAMILIES; i++) {
        CK_RV rv = cancel(at->handle, (enum family)i);
        enum phase phase = at->operations[i].phase;

        EXPECT(rv == CKR_OK || rv == CKR_ARGUMENTS_BAD, "cancelling family %d gives %s", i, rv_name(rv));
        EXPECT(phase == UNSURE || (rv == CKR_OK) == (phase != NONE), "family %d of session %lx is%s active", i,
               at->handle, rv == CKR_OK ? "" : " not");
    }
    CK_RV rv = p11->C_FindObjectsFinal(at->handle);

    EXPECT(rv == CKR_OK || rv == CKR_OPERATION_NOT_INITIALIZED, "C_FindObjectsFinal gives %s", rv_name(rv));
    EXPECT(at->find == UNSURE || (rv == CKR_OK) == (at->find != NONE), "the search of session %lx is%s active",
           at->handle, rv == CKR_OK ? "" : " not");
}

void model_check_operations(void)
{
    for (int i = 0; i < SESSIONS; i++)
        if (model.sessions[i].open)
            check_operations(&model.sessions[i]);
}

/* --- objects --- */

static struct model_object *object_of(CK_OBJECT_HANDLE handle)
{
    for (unsigned i = 0; i < model.n_objects; i++)
        if (model.objects[i].handle == handle)
            return &model.objects[i];
    return NULL;
}

static CK_ULONG label_of(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE handle, char *label, CK_ULONG room)
{
    CK_ATTRIBUTE wanted = {CKA_LABEL, label, room - 1};
    CK_RV rv = p11->C_GetAttributeValue(in, handle, &wanted, 1);

    EXPECT(rv == CKR_OK, "the label of %lx, which was found, gives %s", handle, rv_name(rv));
    label[wanted.ulValueLen] = 0;
    return wanted.ulValueLen;
}

static CK_ULONG number_of_attribute(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE_TYPE type)
{
    CK_ULONG number = CK_UNAVAILABLE_INFORMATION;
    CK_ATTRIBUTE wanted = {type, &number, sizeof(number)};

    (void)p11->C_GetAttributeValue(in, handle, &wanted, 1); /* data has no key type */
    return number;
}

static enum kind kind_of(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE handle)
{
    CK_ULONG type = number_of_attribute(in, handle, CKA_KEY_TYPE);

    switch (number_of_attribute(in, handle, CKA_CLASS)) {
    case CKO_PUBLIC_KEY:
        return EC_PUBLIC;
    case CKO_PRIVATE_KEY:
        return EC_PRIVATE;
    case CKO_SECRET_KEY:
        return type == CKK_AES ? AES : GENERIC;
    default:
        return DATA;
    }
}

/* What a login before made: it has a new handle when it is private. */
static void take_token_object(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE handle)
{
    model_made(NULL, handle, kind_of(in, handle), true);
    model.n_token--;
}

static void take_lasting(int place, CK_OBJECT_HANDLE handle)
{
    struct model_object *object = model_made(NULL, handle, LASTING[place].kind, true);

    model.n_token--;
    object->lasting = true;
    object->readable = LASTING[place].kind == GENERIC;
    object->wants_user = LASTING[place].wants_user;
}

/* Lasting objects come in the order of the world's table: nodes give them in one that differs from world to world. */
static void take_all(CK_SESSION_HANDLE in, const CK_OBJECT_HANDLE *found, CK_ULONG n)
{
    CK_OBJECT_HANDLE lasting[N_LASTING] = {0};

    for (CK_ULONG i = 0; i < n; i++) {
        struct model_object *known = object_of(found[i]);
        char label[64];

        EXPECT(!known || known->life != GONE, "handle %lx was found after its object had gone", found[i]);
        if (known) {
            known->life = THERE;
            continue;
        }
        label_of(in, found[i], label, sizeof(label));
        int place = world_lasting(label);

        if (place >= 0)
            lasting[place] = found[i];
        else
            take_token_object(in, found[i]);
    }
    for (int i = 0; i < N_LASTING; i++)
        if (lasting[i])
            take_lasting(i, lasting[i]);
}

static void check_count(const CK_OBJECT_HANDLE *found, CK_ULONG n)
{
    unsigned n_token = 0;

    for (CK_ULONG i = 0; i < n; i++) {
        const struct model_object *object = object_of(found[i]);

        n_token += object->session < 0 && !object->lasting;
    }
    EXPECT(n_token == model.n_token, "there are %u token objects, and %u were made", n_token, model.n_token);
}

void model_look_around(CK_SESSION_HANDLE in)
{
    CK_OBJECT_HANDLE found[2 * OBJECTS];
    CK_ULONG n = 0;
    CK_RV rv = p11->C_FindObjectsInit(in, NULL, 0);

    EXPECT(rv == CKR_OK, "C_FindObjectsInit gives %s", rv_name(rv));
    rv = p11->C_FindObjects(in, found, 2 * OBJECTS, &n);
    EXPECT(rv == CKR_OK && n < 2 * OBJECTS, "C_FindObjects gives %s and %lu", rv_name(rv), n);
    rv = p11->C_FindObjectsFinal(in);
    EXPECT(rv == CKR_OK, "C_FindObjectsFinal gives %s", rv_name(rv));
    take_all(in, found, n);
    check_count(found, n);
    for (unsigned i = 0; i < model.n_objects; i++) {
        bool seen = false;

        for (CK_ULONG k = 0; k < n; k++)
            seen = seen || found[k] == model.objects[i].handle;
        EXPECT(model.objects[i].life != THERE || seen, "object %lx is not found", model.objects[i].handle);
    }
}
