/* See pkcs11_model.h. PKCS11_TRACE in the environment shows each call. */
#include "pkcs11_model.h"
#include "pkcs11_world.h"

#include <stdio.h>

struct model model;

static const char *const FAMILY_NAMES[FAMILIES] = {"encrypt",        "decrypt",         "digest",
                                                   "sign",           "verify",          "sign-recover",
                                                   "verify-recover", "message-encrypt", "message-decrypt"};

/* --- telling --- */

static void print_session(const struct model_session *at, int number)
{
    static const char *const PHASES[] = {"", "begun", "in parts", "unsure"};

    if (!at->open)
        return;
    fprintf(stderr, "  session %d (%lx) %s", number, at->handle, at->read_write ? "RW" : "RO");
    if (at->find)
        fprintf(stderr, ", find %s", PHASES[at->find]);
    for (int i = 0; i < FAMILIES; i++)
        if (at->operations[i].phase)
            fprintf(stderr, ", %s %s%s", FAMILY_NAMES[i], PHASES[at->operations[i].phase],
                    at->operations[i].in_message ? " in a message" : "");
    fprintf(stderr, "\n");
}

static const char *login_name(void)
{
    switch (model.login) {
    case CKU_USER:
        return "the user";
    case CKU_SO:
        return "the officer";
    default:
        return "nobody";
    }
}

static void print_state(void)
{
    fprintf(stderr, "  %s, %s is logged in\n", model.initialized ? "initialized" : "not initialized", login_name());
    for (int i = 0; i < SESSIONS; i++)
        print_session(&model.sessions[i], i);
}

void surprise(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "pkcs11: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    print_state();
    world_stop();
    abort();
}

static bool is_traced(void)
{
    static int traced = -1;

    if (traced < 0)
        traced = getenv("PKCS11_TRACE") != NULL;
    return traced;
}

/* --- verdicts --- */

void refuse_if(struct verdict *verdict, bool wrong, CK_RV rv)
{
    if (wrong && !verdict->settled && verdict->n_refusals < 16)
        verdict->refusals[verdict->n_refusals++] = rv;
}

void may_give(struct verdict *verdict, CK_RV rv)
{
    if (!verdict->settled && verdict->n_others < 16)
        verdict->others[verdict->n_others++] = rv;
}

void may_give_all(struct verdict *verdict, const CK_RV *rvs, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        may_give(verdict, rvs[i]);
}

static void settle(struct verdict *verdict, bool wrong, CK_RV rv)
{
    refuse_if(verdict, wrong, rv);
    verdict->settled = verdict->settled || wrong;
}

struct verdict of_module(void)
{
    struct verdict verdict = {.n_refusals = 0};

    settle(&verdict, !model.initialized, CKR_CRYPTOKI_NOT_INITIALIZED);
    return verdict;
}

struct verdict of_session(const struct model_session *at)
{
    struct verdict verdict = of_module();

    settle(&verdict, !at, CKR_SESSION_HANDLE_INVALID);
    return verdict;
}

static bool is_among(const CK_RV *rvs, unsigned n, CK_RV rv)
{
    for (unsigned i = 0; i < n; i++)
        if (rvs[i] == rv)
            return true;
    return false;
}

static bool fits(const struct verdict *verdict, CK_RV rv)
{
    if (rv == CKR_OK)
        return verdict->n_refusals == 0;
    return is_among(verdict->refusals, verdict->n_refusals, rv) || is_among(verdict->others, verdict->n_others, rv);
}

static void print_expected(const struct verdict *verdict)
{
    fprintf(stderr, "  expected:");
    if (verdict->n_refusals == 0)
        fprintf(stderr, " CKR_OK");
    for (unsigned i = 0; i < verdict->n_refusals; i++)
        fprintf(stderr, " %s", rv_name(verdict->refusals[i]));
    fprintf(stderr, verdict->n_others ? "; perhaps" : "\n");
    for (unsigned i = 0; i < verdict->n_others; i++)
        fprintf(stderr, " %s%s", rv_name(verdict->others[i]), i + 1 < verdict->n_others ? "" : "\n");
}

bool judge(const struct verdict *verdict, CK_RV rv, const char *format, ...)
{
    bool fit = fits(verdict, rv);

    if (!fit || is_traced()) {
        va_list arguments;

        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        fprintf(stderr, ": %s\n", rv_name(rv));
        va_end(arguments);
    }
    if (!fit) {
        print_expected(verdict);
        surprise("that result was not expected");
    }
    return rv == CKR_OK;
}

/* --- the state --- */

void model_reset(void)
{
    memset(&model, 0, sizeof(model));
    model.login = NOBODY;
    for (int i = 0; i < SESSIONS; i++)
        model.sessions[i].handle = NO_HANDLE;
}

static void lose_objects(int of_session)
{
    for (unsigned i = 0; i < model.n_objects; i++)
        if (model.objects[i].life == THERE && model.objects[i].session == of_session)
            model.objects[i].life = GONE;
}

/* Handles are forgotten with the module's state: the same numbers come again. */
void model_finalized(void)
{
    unsigned n_token = model.n_token;

    model_reset();
    model.n_token = n_token;
}

int session_number(const struct model_session *at)
{
    return at ? (int)(at - model.sessions) : -1;
}

unsigned model_n_open(void)
{
    unsigned n = 0;

    for (int i = 0; i < SESSIONS; i++)
        n += model.sessions[i].open;
    return n;
}

bool model_has_read_only(void)
{
    for (int i = 0; i < SESSIONS; i++)
        if (model.sessions[i].open && !model.sessions[i].read_write)
            return true;
    return false;
}

void model_closed(struct model_session *at)
{
    CK_SESSION_HANDLE handle = at->handle;

    lose_objects((int)(at - model.sessions));
    *at = (struct model_session){.handle = handle};
    if (model_n_open() == 0 && model.login != NOBODY)
        model_logged_out();
}

void model_logged_in(CK_USER_TYPE as)
{
    model.login = as;
}

static void leave_unsure(struct model_session *at)
{
    for (int i = 0; i < FAMILIES; i++)
        if (at->operations[i].phase != NONE)
            at->operations[i].phase = UNSURE;
    if (at->find != NONE)
        at->find = UNSURE;
}

void model_logged_out(void)
{
    model.login = NOBODY;
    for (int i = 0; i < SESSIONS; i++)
        if (model.sessions[i].open)
            leave_unsure(&model.sessions[i]);
    for (unsigned i = 0; i < model.n_objects; i++) {
        struct model_object *object = &model.objects[i];
        bool secret = object->kind != EC_PUBLIC && object->kind != RSA_PUBLIC && object->kind != DATA;

        if (object->life == THERE || object->life == UNCLEAR)
            object->life = object->session >= 0 || secret ? GONE : UNCLEAR;
    }
}

void model_destroyed(struct model_object *object)
{
    object->life = GONE;
    model.n_token -= object->session < 0;
}

bool model_has_room(unsigned n)
{
    return model.n_objects + n <= OBJECTS;
}

struct model_object *model_made(const struct model_session *at, CK_OBJECT_HANDLE handle, enum kind kind, bool token)
{
    struct model_object *object = &model.objects[model.n_objects];

    EXPECT(handle != NOT_MADE && handle != CK_INVALID_HANDLE, "no handle was given for a new object");
    EXPECT(model_has_room(1), "there are too many objects");
    for (unsigned i = 0; i < model.n_objects; i++)
        EXPECT(model.objects[i].handle != handle, "object handle %lx was given before", handle);
    model.n_objects++;
    *object = (struct model_object){
        .handle = handle, .life = THERE, .kind = kind, .session = token ? -1 : (int)(at - model.sessions)};
    model.n_token += token;
    return object;
}

struct model_operation *model_waiting(struct model_session *at)
{
    struct model_operation *last = NULL;

    for (int i = 0; at && i < FAMILIES; i++) {
        struct model_operation *operation = &at->operations[i];

        if (operation->phase != NONE && operation->key && operation->key->wants_user &&
            (!last || operation->begun > last->begun))
            last = operation;
    }
    return last;
}
