/* C_Initialize, sessions, logins and searches; what the module says of itself. */
#include "pkcs11_calls.h"

unsigned n_failed_logins;

/* --- the module --- */

static void initialize(void)
{
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    unsigned how = given_below(16);
    struct verdict verdict = {.n_refusals = 0};

    if (how == 1)
        arguments.LibraryParameters = (void *)&arguments; /* the reserved member */
    if (how == 2)
        arguments.CreateMutex = (CK_CREATEMUTEX)1; /* not all four */
    refuse_if(&verdict, how == 1 || how == 2, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, model.initialized, CKR_CRYPTOKI_ALREADY_INITIALIZED);
    CK_RV rv = p11->C_Initialize(how < 4 ? &arguments : NULL);

    if (judge(&verdict, rv, "C_Initialize(%u)", how))
        model.initialized = true;
}

static void finalize(void)
{
    struct verdict verdict = {.n_refusals = 0};
    void *reserved = given_rarely() ? &verdict : NULL;

    refuse_if(&verdict, reserved != NULL, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, !model.initialized, CKR_CRYPTOKI_NOT_INITIALIZED);
    if (judge(&verdict, p11->C_Finalize(reserved), "C_Finalize(%s)", reserved ? "reserved" : "NULL"))
        model_finalized();
}

static void look_at_module(void)
{
    union {
        CK_INFO info;
        CK_SLOT_INFO slot;
        CK_TOKEN_INFO token;
    } told;
    struct verdict verdict = of_module();
    unsigned which = given_below(8);
    void *to = given_rarely() ? NULL : &told;
    CK_SLOT_ID slot = given_rarely() ? 7 : 0;

    refuse_if(&verdict, !to, CKR_ARGUMENTS_BAD);
    if (which > 1) {
        refuse_if(&verdict, slot != 0, CKR_SLOT_ID_INVALID);
    }
    if (which <= 1)
        judge(&verdict, p11->C_GetInfo(to), "C_GetInfo");
    else if (which <= 5)
        judge(&verdict, p11->C_GetSlotInfo(slot, to), "C_GetSlotInfo(%lu)", slot);
    else if (!judge(&verdict, p11->C_GetTokenInfo(slot, to), "C_GetTokenInfo(%lu)", slot))
        return;
    if (which > 5)
        EXPECT(told.token.ulSessionCount == model_n_open(), "C_GetTokenInfo counts %lu sessions",
               told.token.ulSessionCount);
}

static void list(void)
{
    CK_ULONG page[256], n, room = n = given_below(4) ? 200 : given_below(3);
    bool slots = given_byte() & 1, counting = given_byte() >= 0xa0, null_count = given_rarely();
    struct verdict verdict = of_module();
    CK_ULONG *counted = null_count ? NULL : &n, *to = counting ? NULL : page;
    const char *name = slots ? "C_GetSlotList" : "C_GetMechanismList";

    for (size_t i = 0; i < 256; i++)
        page[i] = NO_HANDLE;
    refuse_if(&verdict, null_count, CKR_ARGUMENTS_BAD);
    if (!counting)
        refuse_if(&verdict, !null_count && room < (slots ? 1 : 3), CKR_BUFFER_TOO_SMALL);
    CK_RV rv = slots ? p11->C_GetSlotList(CK_TRUE, to, counted) : p11->C_GetMechanismList(0, to, counted);

    judge(&verdict, rv, "%s(%lu)", name, room);
    EXPECT(page[room] == NO_HANDLE, "%s wrote more than the %lu that there is room for", name, room);
    EXPECT(rv != CKR_BUFFER_TOO_SMALL || n > room, "%s wants %lu", name, n);
}

/* --- sessions --- */

static struct model_session *free_session(void)
{
    for (int i = 0; i < SESSIONS; i++)
        if (!model.sessions[i].open)
            return &model.sessions[i];
    return NULL;
}

static void open_some_session(void)
{
    struct model_session *at = free_session();
    CK_SESSION_HANDLE handle = NOT_MADE, *to = given_rarely() || !at ? NULL : &handle;
    CK_FLAGS flags = given_rarely() ? 0 : CKF_SERIAL_SESSION;
    CK_SLOT_ID slot = given_rarely() ? (CK_SLOT_ID)-1 : 0;
    struct verdict verdict = of_module();

    flags |= given_byte() < 0xc0 ? CKF_RW_SESSION : 0;
    refuse_if(&verdict, !to, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, slot != 0, CKR_SLOT_ID_INVALID);
    refuse_if(&verdict, !(flags & CKF_SERIAL_SESSION), CKR_SESSION_PARALLEL_NOT_SUPPORTED);
    refuse_if(&verdict, !(flags & CKF_RW_SESSION) && model.login == CKU_SO, CKR_SESSION_READ_WRITE_SO_EXISTS);
    if (!judge(&verdict, p11->C_OpenSession(slot, flags, NULL, NULL, to), "C_OpenSession(slot %lx, flags %lx)", slot,
               flags))
        return;
    EXPECT(handle != NOT_MADE && handle != CK_INVALID_HANDLE, "no handle was given for a new session");
    for (int i = 0; i < SESSIONS; i++)
        EXPECT(model.sessions[i].handle != handle, "session handle %lx was given before", handle);
    *at = (struct model_session){handle, true, flags & CKF_RW_SESSION, NONE, {{.phase = NONE}}};
}

static void close_session(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct verdict verdict = of_session(at);

    if (judge(&verdict, p11->C_CloseSession(handle), "C_CloseSession(%d)", session_number(at)))
        model_closed(at);
}

static void close_all_sessions(void)
{
    CK_SLOT_ID slot = given_rarely() ? 1 : 0;
    struct verdict verdict = of_module();

    refuse_if(&verdict, slot != 0, CKR_SLOT_ID_INVALID);
    if (!judge(&verdict, p11->C_CloseAllSessions(slot), "C_CloseAllSessions(%lu)", slot))
        return;
    for (int i = 0; i < SESSIONS; i++)
        if (model.sessions[i].open)
            model_closed(&model.sessions[i]);
}

static void cancel_operations(void)
{
    static const CK_FLAGS FLAGS[FAMILIES] = {CKF_ENCRYPT,        CKF_DECRYPT,         CKF_DIGEST,
                                             CKF_SIGN,           CKF_VERIFY,          CKF_SIGN_RECOVER,
                                             CKF_VERIFY_RECOVER, CKF_MESSAGE_ENCRYPT, CKF_MESSAGE_DECRYPT};
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    unsigned which = given_below(2 * FAMILIES);
    CK_FLAGS flags = which < FAMILIES ? FLAGS[which] : which == FAMILIES ? CKF_FIND_OBJECTS : (CK_FLAGS)-1;
    struct verdict verdict = of_session(at);

    if (!judge(&verdict, p11->C_SessionCancel(handle, flags), "C_SessionCancel(%d, %lx)", session_number(at), flags))
        return;
    for (int i = 0; i < FAMILIES; i++)
        if (flags & FLAGS[i])
            at->operations[i] = (struct model_operation){.phase = NONE};
    if (flags & CKF_FIND_OBJECTS)
        at->find = NONE;
}

static bool is_any_active(const struct model_session *at, enum phase *surest)
{
    *surest = NONE;
    for (int i = 0; at && i < FAMILIES; i++) {
        enum phase phase = at->operations[i].phase;

        if (phase != NONE)
            *surest = phase == UNSURE && *surest == NONE ? UNSURE : phase == UNSURE ? *surest : BEGUN;
    }
    return *surest != NONE;
}

static void save_state(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    CK_ULONG len = 16, *to = given_rarely() ? NULL : &len;
    struct verdict verdict = of_session(at);
    enum phase phase;
    bool active = is_any_active(at, &phase);

    refuse_if(&verdict, !to, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, active, CKR_STATE_UNSAVEABLE);
    refuse_if(&verdict, phase == NONE || phase == UNSURE, CKR_OPERATION_NOT_INITIALIZED);
    judge(&verdict, p11->C_GetOperationState(handle, NULL, to), "C_GetOperationState(%d)", session_number(at));
}

/* --- logging in --- */

struct pin {
    const char *text;
    CK_ULONG len;
    CK_USER_TYPE of; /* NOBODY: it is wrong */
    CK_RV wrong;
};

#define PIN(text, of, wrong)                                                                                           \
    {                                                                                                                  \
        (text), sizeof(text) - 1, (of), (wrong)                                                                        \
    }

static const struct pin *some_pin(void)
{
    static const struct pin PINS[] = {
        PIN(USER_PIN, CKU_USER, CKR_OK),
        PIN(USER_PIN, CKU_USER, CKR_OK),
        PIN(USER_PIN, CKU_USER, CKR_OK),
        PIN(ADMIN_PIN, CKU_SO, CKR_OK),
        PIN(ADMIN_PIN, CKU_SO, CKR_OK),
        PIN(USER ":wrong password", NOBODY, CKR_PIN_INCORRECT),
        PIN("nobody:wrong password", NOBODY, CKR_PIN_INCORRECT),
        PIN("no colon", NOBODY, CKR_PIN_INCORRECT),
        PIN(":", NOBODY, CKR_PIN_INCORRECT),
        PIN("cry\0pto:password", NOBODY, CKR_PIN_INCORRECT),
        {NULL, 0, NOBODY, CKR_ARGUMENTS_BAD},
        {NULL, 8, NOBODY, CKR_ARGUMENTS_BAD},
        {USER_PIN, 0, NOBODY, CKR_PIN_INCORRECT},
        {USER_PIN, (CK_ULONG)-1, NOBODY, CKR_PIN_LEN_RANGE},
    };

    return &PINS[given_below(sizeof(PINS) / sizeof(PINS[0]))];
}

static void refuse_login(struct verdict *verdict, CK_USER_TYPE type, const struct pin *pin)
{
    refuse_if(verdict, pin->wrong != CKR_OK, pin->wrong);
    refuse_if(verdict, type > CKU_USER, CKR_USER_TYPE_INVALID);
    refuse_if(verdict, pin->of != NOBODY && pin->of != type, CKR_USER_TYPE_INVALID);
    refuse_if(verdict, model.login == type, CKR_USER_ALREADY_LOGGED_IN);
    refuse_if(verdict, model.login != NOBODY && model.login != type, CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
    refuse_if(verdict, type == CKU_SO && model_has_read_only(), CKR_SESSION_READ_ONLY_EXISTS);
}

static void refuse_confirmation(struct verdict *verdict, const struct model_operation *waiting, const struct pin *pin)
{
    bool unsure = waiting && waiting->phase == UNSURE;

    refuse_if(verdict, pin->wrong != CKR_OK, pin->wrong);
    refuse_if(verdict, pin->of == CKU_SO, CKR_PIN_INCORRECT);
    refuse_if(verdict, model.login != CKU_USER, CKR_USER_NOT_LOGGED_IN);
    refuse_if(verdict, !waiting, CKR_OPERATION_NOT_INITIALIZED);
    refuse_if(verdict, waiting && waiting->user_came && !unsure, CKR_USER_ALREADY_LOGGED_IN);
    if (unsure)
        MAY_GIVE(verdict, CKR_OPERATION_NOT_INITIALIZED, CKR_USER_ALREADY_LOGGED_IN, CKR_KEY_HANDLE_INVALID);
}

static CK_RV do_login(CK_SESSION_HANDLE handle, CK_USER_TYPE type, const struct pin *pin, bool apart)
{
    static const char *const USERS[] = {USER, ADMIN}, *const PASSWORDS[] = {USER_PASSWORD, ADMIN_PASSWORD};
    bool officer = pin->of == CKU_SO;

    if (!apart)
        return p11->C_Login(handle, type, (CK_UTF8CHAR *)pin->text, pin->len);
    return p11->C_LoginUser(handle, type, (CK_UTF8CHAR *)PASSWORDS[officer], strlen(PASSWORDS[officer]),
                            (CK_UTF8CHAR *)USERS[officer], strlen(USERS[officer]));
}

static void log_in_somehow(void)
{
    static const CK_USER_TYPE TYPES[] = {CKU_USER, CKU_USER, CKU_SO, CKU_CONTEXT_SPECIFIC,
                                         77,       CKU_USER, CKU_SO, CKU_USER};
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    CK_USER_TYPE type = TYPES[given_below(8)];
    const struct pin *pin = some_pin();
    bool apart = pin->of != NOBODY && given_byte() >= 0xc0;
    struct model_operation *waiting = model_waiting(at);
    struct verdict verdict = of_session(at);

    if (type == CKU_CONTEXT_SPECIFIC)
        refuse_confirmation(&verdict, waiting, pin);
    else
        refuse_login(&verdict, type, pin);
    CK_RV rv = do_login(handle, type, pin, apart);
    bool in = judge(&verdict, rv, "%s(%d, type %lu, \"%s\", %lu)", apart ? "C_LoginUser" : "C_Login",
                    session_number(at), type, pin->text ? pin->text : "NULL", pin->len);

    n_failed_logins += rv == CKR_PIN_INCORRECT;
    if (in && type == CKU_CONTEXT_SPECIFIC && waiting)
        waiting->user_came = true;
    if (!in || type == CKU_CONTEXT_SPECIFIC)
        return;
    model_logged_in(type);
    if (type == CKU_USER && at->find == NONE)
        model_look_around(handle);
}

static void log_out(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct verdict verdict = of_session(at);

    refuse_if(&verdict, model.login == NOBODY, CKR_USER_NOT_LOGGED_IN);
    if (judge(&verdict, p11->C_Logout(handle), "C_Logout(%d)", session_number(at)))
        model_logged_out();
}

static void set_pin(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    bool initialize_it = given_byte() & 1, null_pin = given_rarely();
    char *pin = null_pin ? NULL : "spare:the password of a spare user", *wrong = "nobody:wrong password";
    CK_ULONG len = null_pin ? 4 : given_rarely() ? (CK_ULONG)-1 : strlen(pin);
    struct verdict verdict = of_session(at);

    refuse_if(&verdict, null_pin, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, len == (CK_ULONG)-1, CKR_PIN_LEN_RANGE);
    if (initialize_it) {
        refuse_if(&verdict, model.login != CKU_SO, CKR_USER_NOT_LOGGED_IN);
        judge(&verdict, p11->C_InitPIN(handle, (CK_UTF8CHAR *)pin, len), "C_InitPIN(%d, %s, %lu)", session_number(at),
              pin ? pin : "NULL", len);
        return;
    }
    refuse_if(&verdict, at && !at->read_write, CKR_SESSION_READ_ONLY);
    refuse_if(&verdict, true, CKR_PIN_INCORRECT);
    judge(&verdict, p11->C_SetPIN(handle, (CK_UTF8CHAR *)wrong, strlen(wrong), (CK_UTF8CHAR *)pin, len),
          "C_SetPIN(%d, %s, %lu)", session_number(at), pin ? pin : "NULL", len);
}

/* --- searches --- */

static void begin_search(void)
{
    static CK_OBJECT_CLASS class = CKO_SECRET_KEY, mechanisms = CKO_MECHANISM;
    static CK_BBOOL yes = CK_TRUE;
    const CK_ATTRIBUTE FORMS[] = {
        {CKA_CLASS, &class, sizeof(class)},
        {CKA_TOKEN, &yes, 1},
        {CKA_LABEL, "aes", 3},
        {CKA_VENDOR_DEFINED | 9, &yes, 1},
        {CKA_CLASS, &class, 3},
        {CKA_LABEL, NULL, 0},
        {CKA_VALUE, "some data", 9},
        {CKA_CLASS, &mechanisms, sizeof(mechanisms)},
        {CKA_LABEL, NULL, 5},
        {CKA_LABEL, "aes", (CK_ULONG)-1},
    };
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    uint8_t how = given_byte();
    CK_ATTRIBUTE wanted = FORMS[how % 10], *template = given_rarely() ? NULL : &wanted;
    CK_ULONG n = how < 0x60 ? 0 : how >= 0xfc ? (CK_ULONG)-1 : 1;
    struct verdict verdict = of_session(at);

    refuse_if(&verdict, !template && n > 0, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, n == (CK_ULONG)-1, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, n > 0 && how % 10 >= 8, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, n > 0 && how % 10 == 4, CKR_ATTRIBUTE_VALUE_INVALID);
    if (n > 0 && how % 10 == 9)
        may_give(&verdict, CKR_ATTRIBUTE_VALUE_INVALID);
    refuse_if(&verdict, at && (at->find == BEGUN), CKR_OPERATION_ACTIVE);
    if (at && at->find == UNSURE)
        may_give(&verdict, CKR_OPERATION_ACTIVE);
    if (judge(&verdict, p11->C_FindObjectsInit(handle, template, n), "C_FindObjectsInit(%d, form %d, %lu)",
              session_number(at), how % 10, n))
        at->find = BEGUN;
}

static void check_found(const CK_OBJECT_HANDLE *found, CK_ULONG n)
{
    for (CK_ULONG i = 0; i < n; i++) {
        EXPECT(found[i] != NOT_MADE && found[i] != CK_INVALID_HANDLE, "a search gives no handle");
        for (unsigned k = 0; k < model.n_objects; k++)
            EXPECT(model.objects[k].life != GONE || model.objects[k].handle != found[i],
                   "%lx was found, which had gone", found[i]);
        for (CK_ULONG k = 0; k < i; k++)
            EXPECT(found[k] != found[i], "%lx was found twice", found[i]);
    }
}

static void search_on(void)
{
    CK_OBJECT_HANDLE found[64], *to = given_rarely() ? NULL : found;
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    CK_ULONG n = NOT_MADE, *counted = given_rarely() ? NULL : &n, max = given_below(4) ? given_below(4) : 60;
    struct verdict verdict = of_session(at);

    for (size_t i = 0; i < 64; i++)
        found[i] = NOT_MADE;
    refuse_if(&verdict, !counted || (!to && max > 0), CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, at && at->find == NONE, CKR_OPERATION_NOT_INITIALIZED);
    if (at && at->find == UNSURE)
        MAY_GIVE(&verdict, CKR_OPERATION_NOT_INITIALIZED, CKR_USER_NOT_LOGGED_IN);
    bool fine = judge(&verdict, p11->C_FindObjects(handle, to, max, counted), "C_FindObjects(%d, %lu)",
                      session_number(at), max);

    for (size_t i = fine ? max : 0; i < 64; i++)
        EXPECT(found[i] == NOT_MADE, "C_FindObjects writes more than %lu", max);
    EXPECT(!fine || n <= max, "C_FindObjects finds %lu of %lu", n, max);
    if (fine)
        check_found(found, n);
}

static void end_search(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct verdict verdict = of_session(at);

    refuse_if(&verdict, at && at->find == NONE, CKR_OPERATION_NOT_INITIALIZED);
    if (at && at->find == UNSURE)
        may_give(&verdict, CKR_OPERATION_NOT_INITIALIZED);
    CK_RV rv = p11->C_FindObjectsFinal(handle);

    judge(&verdict, rv, "C_FindObjectsFinal(%d)", session_number(at));
    if (at)
        at->find = NONE;
}

/* --- random numbers --- */

static void random_bytes(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    bool seed = given_byte() >= 0xc0, absurd = given_rarely(), null = given_rarely();
    CK_BYTE bytes[48];
    CK_ULONG len = absurd ? (CK_ULONG)-1 : given_below(33);
    struct verdict verdict = of_session(at);

    memset(bytes, 0xa5, sizeof(bytes));
    if (seed) {
        refuse_if(&verdict, true, CKR_RANDOM_SEED_NOT_SUPPORTED);
        refuse_if(&verdict, null, CKR_ARGUMENTS_BAD);
        judge(&verdict, p11->C_SeedRandom(handle, null ? NULL : bytes, len), "C_SeedRandom(%d, %lu)",
              session_number(at), len);
        return;
    }
    refuse_if(&verdict, null && len > 0, CKR_ARGUMENTS_BAD);
    refuse_if(&verdict, model.login != CKU_USER, CKR_USER_NOT_LOGGED_IN);
    refuse_if(&verdict, absurd, CKR_ARGUMENTS_BAD);
    judge(&verdict, p11->C_GenerateRandom(handle, null ? NULL : bytes, len), "C_GenerateRandom(%d, %lu)",
          session_number(at), len);
    for (size_t i = absurd || null ? 0 : len; i < sizeof(bytes); i++)
        EXPECT(bytes[i] == 0xa5, "C_GenerateRandom writes more than %lu", len);
}

/* --- legacy, and what is refused in any case --- */

static void refused(void)
{
    struct model_session *at;
    CK_SESSION_HANDLE handle = given_session(&at);
    struct verdict verdict = of_session(at);
    unsigned which = given_below(6);
    CK_MECHANISM mechanism = {CKM_AES_GCM, NULL, 0};

    refuse_if(&verdict, which < 2, CKR_FUNCTION_NOT_PARALLEL);
    refuse_if(&verdict, which == 2 || which == 3, CKR_MECHANISM_INVALID);
    refuse_if(&verdict, which == 4, CKR_OPERATION_NOT_INITIALIZED);
    refuse_if(&verdict, which == 5, CKR_SAVED_STATE_INVALID);
    const CK_RV rv = which == 0   ? p11->C_GetFunctionStatus(handle)
                     : which == 1 ? p11->C_CancelFunction(handle)
                     : which == 2 ? p11->C_MessageSignInit(handle, &mechanism, 0)
                     : which == 3 ? p11->C_MessageVerifyInit(handle, &mechanism, 0)
                     : which == 4 ? p11->C_SignMessage(handle, NULL, 0, NULL, 0, NULL, NULL)
                                  : p11->C_SetOperationState(handle, (CK_BYTE *)"state", 5, 0, 0);

    judge(&verdict, rv, "a call that is refused in any case (%u)", which);
}

/* Whatever is missing until a user can use keys. */
static void settle(void)
{
    struct verdict fine = {.n_refusals = 0};
    struct model_session *at = free_session();

    if (!model.initialized && judge(&fine, p11->C_Initialize(NULL), "C_Initialize"))
        model.initialized = true;
    if (model_n_open() == 0)
        *at = (struct model_session){open_session(CKF_RW_SESSION), true, true, NONE, {{.phase = NONE}}};
    at = session_of(open_handle(0));
    if (model.login != NOBODY)
        return;
    judge(&fine, log_in(at->handle, CKU_USER, USER_PIN), "C_Login(%d, the user)", session_number(at));
    model_logged_in(CKU_USER);
    if (at->find == NONE)
        model_look_around(at->handle);
}

void calls_prologue(void)
{
    settle();
}

const struct call SESSION_CALLS[] = {
    {settle, 8},     {open_some_session, 4}, {log_in_somehow, 6},     {begin_search, 4}, {search_on, 5},
    {end_search, 2}, {log_out, 1},           {close_session, 1},      {initialize, 1},   {look_at_module, 1},
    {list, 1},       {random_bytes, 2},      {cancel_operations, 1},  {save_state, 1},   {set_pin, 1},
    {refused, 1},    {finalize, 1},          {close_all_sessions, 1},
};
const unsigned N_SESSION_CALLS = sizeof(SESSION_CALLS) / sizeof(SESSION_CALLS[0]);
