/* The module's state: slots, sessions and the handles of objects, from C_Initialize to C_Finalize.
 *
 * One lock guards the tables; it is held for the few instructions of a look-up, never across the network. What a call
 * works with is counted while it does, so that another thread may close a session or finalize meanwhile: the last to
 * leave frees. A lock of its own in each session guards its operations, because a session serves one call at a time.
 *
 * A child of fork goes on with what its parent had: the cluster's handles know how to, and the locks are made anew. As
 * the standard wants (2.40, 6.6.1), C_Initialize in the child begins anew instead. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <hsm/hsm.h>
#include "guard.h"

/* Results of the library in the standard's words; what failed is noted for HSM_PKCS11_LOG. */
CK_RV result_of(hsm_status status);

/* The same, where other words fit better: notes the failure and returns `result`. */
CK_RV result_as(CK_RV result);

/* Writes one line to HSM_PKCS11_LOG, never with a secret. */
void module_note(const char *text);

#define HSM(call) TRY(result_of(call))

/* The module's lock: for tables of slots, sessions and objects. */
void module_lock(void);
void module_unlock(void);

/* C_GetInfo of the later lists: a program is told the version of the interface that it took. */
CK_RV get_info_3_0(CK_INFO_PTR pInfo);
CK_RV get_info_3_2(CK_INFO_PTR pInfo);

/* CKR_CRYPTOKI_NOT_INITIALIZED when there is nothing to work with. */
CK_RV module_check(void);
