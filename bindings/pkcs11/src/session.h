/* A session: where operations are under way. */
#pragma once

#include "mechanism.h"
#include "slot.h"

/* What one of C_EncryptInit, C_SignInit, ... began. */
struct operation {
    bool active;
    bool in_parts; /* an update came: only updates and the final call may follow */
    bool of_public_key;
    bool wants_user;   /* the key's CKA_ALWAYS_AUTHENTICATE: C_Login comes first (CKU_CONTEXT_SPECIFIC) */
    bool user_came;    /* it did */
    uint64_t begun;    /* number among the session's operations */
    bool result_known; /* the result was computed when the caller's buffer was too small: kept in `result` */
    struct mechanism mechanism;
    struct object_ref key;
    hsm_operation *parts;
    uint64_t n_taken; /* bytes that went in so far */
    size_t n_pending; /* of a message in parts: bytes that went in and did not come out yet */
    uint8_t *result;
    size_t result_len;
    uint8_t result_of[HSM_DIGEST_MAX]; /* SHA-256 of the data that it is the result of */
};

enum operation_kind {
    OPERATION_ENCRYPT,
    OPERATION_DECRYPT,
    OPERATION_DIGEST,
    OPERATION_SIGN,
    OPERATION_VERIFY,
    OPERATION_SIGN_RECOVER,
    OPERATION_VERIFY_RECOVER,
    OPERATION_MESSAGE_ENCRYPT,
    OPERATION_MESSAGE_DECRYPT,
    OPERATION_KINDS
};

struct session {
    CK_SESSION_HANDLE handle;
    unsigned n_users; /* calls, and the table itself; guarded by the module's lock */
    struct slot *slot;
    CK_FLAGS flags;
    CK_NOTIFY notify;
    void *application;
    pthread_mutex_t lock;    /* guards all that follows */
    uint64_t n_logins_ended; /* of the slot, when the call that is under way began */
    hsm_session *reader;     /* through which the call that is under way looks at objects: guest.h; NULL: not chosen */
    struct operation operations[OPERATION_KINDS];
    uint64_t n_begun;  /* operations so far */
    struct find *find; /* of C_FindObjectsInit; NULL: none is under way */
};

/* A session for one call: counted and locked; CKR_SESSION_HANDLE_INVALID. */
CK_RV session_enter(CK_SESSION_HANDLE handle, struct session **session);
void session_leave(struct session **session);

/* What every use of a key needs; CKR_USER_NOT_LOGGED_IN. */
CK_RV session_needs_user(const struct session *session);

/* Who is logged in on its slot. */
enum login_state session_login(const struct session *session);

/* Only a read-write session makes, changes or destroys token objects: CKR_SESSION_READ_ONLY. */
CK_RV session_may_write(const struct session *session, bool token);

/* Opens one on a slot; CKR_CRYPTOKI_NOT_INITIALIZED (meanwhile), CKR_SESSION_READ_WRITE_SO_EXISTS, CKR_SESSION_COUNT,
 * CKR_HOST_MEMORY. */
CK_RV session_open(struct slot *slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *handle);

/* CKR_SESSION_HANDLE_INVALID. With the last session of a slot its login ends. */
CK_RV session_close(CK_SESSION_HANDLE handle);

/* Takes all sessions out of the table, or those of one slot, under the module's lock: returns those that no call is
 * using, to be freed without the lock. The others are freed by the call that uses them. */
struct session *sessions_take(const struct slot *slot);
void sessions_free(struct session *idle);

/* After fork, in the child: whatever a thread of the parent had locked is free. */
void sessions_after_fork(void);

/* Ends an operation, secrets wiped. */
void operation_end(struct operation *operation);
