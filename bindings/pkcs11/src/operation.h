/* Operations in a session: what is common to signing, verifying, encrypting, decrypting and digesting.
 *
 * The rules are the standard's (PKCS#11 2.40, 5.2 and 5.8 to 5.12): a call that gives a length, or that returns
 * CKR_BUFFER_TOO_SMALL, leaves the operation as it is; every other end of a final or single-part call ends it. Nothing
 * travels at the beginning, and a single-part operation is one request. */
#pragma once

#include "attribute.h"
#include "login.h"
#include "session.h"

/* Begins one. `use` is the CKF_ bit. With `given` NULL an operation that is active is cancelled (PKCS#11 3.0).
 * CKR_OPERATION_ACTIVE, CKR_USER_NOT_LOGGED_IN, CKR_KEY_HANDLE_INVALID, those of mechanism_read,
 * CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED. */
CK_RV operation_begin(struct session *session, enum operation_kind kind, const CK_MECHANISM *given,
                      CK_OBJECT_HANDLE key, CK_FLAGS use);

/* The same for operations that begin in another way: `begin` reads what they need and makes them active. */
typedef CK_RV (*operation_beginner)(struct session *session, struct operation *operation, const CK_MECHANISM *given,
                                    CK_OBJECT_HANDLE key, CK_FLAGS use);
CK_RV operation_begin_with(operation_beginner begin, struct session *session, enum operation_kind kind,
                           const CK_MECHANISM *given, CK_OBJECT_HANDLE key, CK_FLAGS use);

/* Whether a key may be used with a mechanism: as operation_begin checks it. */
CK_RV key_check_use(struct session *session, const struct object_ref *key, const struct mechanism_row *row,
                    CK_FLAGS use);

/* The one of this kind: CKR_OPERATION_NOT_INITIALIZED. */
CK_RV operation_active(struct session *session, enum operation_kind kind, struct operation **operation);

/* Whether it may go on: nodes would refuse it, too, when the key's user has gone, or has not come again where the key
 * wants that. CKR_USER_NOT_LOGGED_IN. */
CK_RV operation_goes_on(struct session *session, const struct operation *operation);

/* Through which login it is carried on. */
CK_RV operation_login(struct session *session, const struct operation *operation, hsm_session **login);

/* At most how long the output for `len` bytes of input is, and whether it is always exactly that. */
CK_RV operation_output(struct session *session, struct operation *operation, bool decrypting, size_t len,
                       size_t *output_len, bool *exact);

/* A single-part call of the library. */
typedef hsm_status (*single_part)(hsm_session *session, hsm_key key, const hsm_mechanism *mechanism, const void *data,
                                  size_t data_len, uint8_t *out, size_t *out_len);

/* C_Sign, C_Encrypt, C_Decrypt: the rules of output buffers around one call. */
CK_RV operation_once(struct session *session, enum operation_kind kind, single_part call, const CK_BYTE *data,
                     CK_ULONG data_len, CK_BYTE *out, CK_ULONG *out_len);

/* C_SignUpdate, ...: begins the parts with the first one. `out` and `out_len` as in hsm_operation_update. */
CK_RV operation_update(struct session *session, enum operation_kind kind, const CK_BYTE *data, CK_ULONG data_len,
                       CK_BYTE *out, CK_ULONG *out_len);

/* C_SignFinal, ... */
CK_RV operation_final(struct session *session, enum operation_kind kind, CK_BYTE *out, CK_ULONG *out_len);

/* Ends it unless the result says that it goes on. Returns the result. */
CK_RV operation_done(struct operation *operation, CK_RV result);

/* An input that was copied because the output goes to the same place. */
struct input_copy {
    uint8_t *bytes;
    size_t len;
};

/* Makes `*data` a copy when it overlaps with the output: to be released, wiped. CKR_HOST_MEMORY. */
CK_RV input_apart(const CK_BYTE **data, size_t data_len, const CK_BYTE *out, size_t out_len, struct input_copy *copy);
void input_copy_release(struct input_copy *copy);

/* Results of calls with a key: as login_result, in the words for keys. */
CK_RV key_result(struct session *session, hsm_status status);

/* And of operations of this kind. */
CK_RV operation_result(struct session *session, enum operation_kind kind, hsm_status status);
