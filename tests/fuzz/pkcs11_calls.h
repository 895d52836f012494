/* Calls of PKCS#11, each with arguments from the input, judged by the model. */
#pragma once

#include "pkcs11_mechanism.h"

/** One sequence of calls, from an uninitialized module to an uninitialized module. */
void calls_run(const uint8_t *bytes, size_t len);

struct call {
    void (*make)(void);
    unsigned weight; /* how often it is made among the others */
};

extern const struct call SESSION_CALLS[], OPERATION_CALLS[], MESSAGE_CALLS[], OBJECT_CALLS[], KEY_CALLS[];
extern const unsigned N_SESSION_CALLS, N_OPERATION_CALLS, N_MESSAGE_CALLS, N_OBJECT_CALLS, N_KEY_CALLS;

/** Of calls that a first byte may ask for: initialized, a session, the user logged in. */
void calls_prologue(void);

/** How many logins have failed since the module was loaded. */
extern unsigned n_failed_logins;

/* --- operations --- */

/** The operation of this family, as far as there is one. */
struct model_operation *operation_of(struct model_session *at, enum family family);

/** Refuses what nobody may go on with. */
void refuse_unless_active(struct verdict *verdict, const struct model_operation *operation);

/** C_*Init, however it is called. */
typedef CK_RV (*init_function)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE);
void call_init(enum family family, init_function init, const char *name);

#define NUMBER(pointer) ((pointer) ? (long)*(pointer) : -1L)
