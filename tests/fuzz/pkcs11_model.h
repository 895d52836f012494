/* What the standard lets an application see of the module's state (PKCS#11 2.40 and 3.0, section 5), kept beside the
 * real one: whether the module is initialized, sessions and their operations, the login, and which handles stand for
 * what. Each call is judged by it: the conditions that the call violates give the codes that it may return, and a call
 * that violates none must succeed, but for codes that depend on the data. A surprise ends the process with a line that
 * says what was called in which state.
 *
 * Where several conditions are violated the standard leaves the order open, and so does the model. */
#pragma once

#include "../integration/pkcs11_fixture.h"

#define SESSIONS 4
#define OBJECTS  300
#define NOBODY   ((CK_USER_TYPE)-1)
#define NOT_MADE 0xabadcafeUL /* in the place of a handle before a call that gives one */

enum family {
    ENCRYPT,
    DECRYPT,
    DIGEST,
    SIGN,
    VERIFY,
    SIGN_RECOVER,
    VERIFY_RECOVER,
    MESSAGE_ENCRYPT,
    MESSAGE_DECRYPT,
    FAMILIES
};

/* UNSURE: after a logout the standard lets an operation go on or not (2.40, 5.6.8). */
enum phase { NONE, BEGUN, IN_PARTS, UNSURE };

enum kind { AES, GENERIC, EC_PUBLIC, EC_PRIVATE, RSA_PUBLIC, RSA_PRIVATE, DATA, KINDS };

/* UNCLEAR: an object that is not private may keep its handle over a logout. */
enum life { THERE, GONE, UNCLEAR };

struct model_object {
    CK_OBJECT_HANDLE handle;
    enum life life;
    enum kind kind;
    int session;     /* that it belongs to; -1: a token object */
    bool lasting;    /* one of the world's, which nothing changes: it has all uses */
    bool readable;   /* a secret key whose value may be seen */
    bool wants_user; /* CKA_ALWAYS_AUTHENTICATE */
};

struct model_operation {
    enum phase phase;
    const struct model_object *key; /* NULL: none (digests) */
    bool one_part;                  /* of a mechanism that takes its data at once */
    bool ccm;                       /* of AES-CCM, whose messages come whole, with parameters of their own */
    bool user_came;
    unsigned begun;
    bool in_message;  /* of C_EncryptMessageBegin, ... */
    CK_ULONG pending; /* bytes of the message that went in and did not come out */
    bool answered;    /* a call told the length that it needs for `asked_len` bytes of input */
    CK_ULONG asked_len, needed;
};

struct model_session {
    CK_SESSION_HANDLE handle; /* stays when it is closed */
    bool open, read_write;
    enum phase find;
    struct model_operation operations[FAMILIES];
};

struct model {
    bool initialized;
    CK_USER_TYPE login;
    struct model_session sessions[SESSIONS];
    struct model_object objects[OBJECTS];
    unsigned n_objects; /* places that were used, never again for another */
    unsigned n_begun;
    unsigned n_token; /* token objects that the sequence made: they outlast logins, and C_Finalize */
};

extern struct model model;

/** As the module is before C_Initialize; the world's objects are known by kind alone. */
void model_reset(void);

/* --- judging a call --- */

struct verdict {
    bool settled; /* only the one refusal may come */
    CK_RV refusals[16], others[16];
    unsigned n_refusals, n_others;
};

/** Before anything else: CKR_CRYPTOKI_NOT_INITIALIZED, CKR_SESSION_HANDLE_INVALID. `session` NULL: not open. */
struct verdict of_module(void);
struct verdict of_session(const struct model_session *at);

/** The call is to be refused with `rv` if `wrong`. */
void refuse_if(struct verdict *verdict, bool wrong, CK_RV rv);

/** It may return `rv`, as the data is. */
void may_give(struct verdict *verdict, CK_RV rv);
void may_give_all(struct verdict *verdict, const CK_RV *rvs, unsigned n);
#define MAY_GIVE(verdict, ...)                                                                                         \
    may_give_all((verdict), (const CK_RV[]){__VA_ARGS__}, sizeof((CK_RV[]){__VA_ARGS__}) / sizeof(CK_RV))

/** Compares; traces the call, whose name and arguments `format` gives. True when it succeeded. */
bool judge(const struct verdict *verdict, CK_RV rv, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Ends the process: the module did what it must not. */
void surprise(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
#define EXPECT(condition, ...)                                                                                         \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            surprise(__VA_ARGS__);                                                                                     \
    } while (0)

/* --- what calls do to the state --- */

void model_finalized(void);
void model_destroyed(struct model_object *object);
void model_closed(struct model_session *at);
void model_logged_in(CK_USER_TYPE as);
void model_logged_out(void);

/** A new object, for which there must be room. `handle` must be new. */
struct model_object *model_made(const struct model_session *at, CK_OBJECT_HANDLE handle, enum kind kind, bool token);
bool model_has_room(unsigned n);

/** Its place among the model's; -1 for NULL. */
int session_number(const struct model_session *at);
unsigned model_n_open(void);
bool model_has_read_only(void);

/** The operation that C_Login with CKU_CONTEXT_SPECIFIC is about; NULL. */
struct model_operation *model_waiting(struct model_session *at);

/** Sessions say the state that they should have, or do not answer. */
void model_check_states(void);

/** Which operations are active, by cancelling them (PKCS#11 3.0, C_*Init without a mechanism). */
void model_check_operations(void);

/** Finds the world's objects, and sees that no others are there than should be. */
void model_look_around(CK_SESSION_HANDLE in);
