/* Users. Every call reaches the network and is safe from any number of threads. Names are 1 to HSM_USER_NAME_MAX bytes
 * of letters, digits, '.', '_' and '-'; passwords HSM_PASSWORD_MIN to HSM_PASSWORD_MAX bytes of UTF-8. */
#pragma once

#include "hsm/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a user. Administrators only.
 *
 * @param role  HSM_ROLE_ADMIN, HSM_ROLE_USER or HSM_ROLE_AUDITOR
 * @return HSM_OK; HSM_ALREADY_EXISTS; HSM_PASSWORD_UNACCEPTABLE; HSM_INVALID_ARGUMENT (name or role)
 */
HSM_API hsm_status hsm_user_create(hsm_session *session, const char *name, const void *password, size_t password_len,
                                   uint32_t role);

/**
 * Deletes a user; its logins end everywhere at once. Administrators only.
 *
 * @return HSM_OK; HSM_USER_NOT_FOUND; HSM_NOT_PERMITTED for the last administrator and for owners of keys
 */
HSM_API hsm_status hsm_user_delete(hsm_session *session, const char *name);

/**
 * Changes a password; all other logins of that user end. One's own needs the old one; an administrator resets
 * anybody's, which also unlocks.
 *
 * @param old_password  NULL when an administrator resets another user's
 * @return HSM_OK; HSM_LOGIN_FAILED when the old one is wrong; HSM_USER_NOT_FOUND; HSM_PASSWORD_UNACCEPTABLE
 */
HSM_API hsm_status hsm_user_change_password(hsm_session *session, const char *name, const void *old_password,
                                            size_t old_password_len, const void *new_password, size_t new_password_len);

typedef struct hsm_user_info {
    size_t size;
    const char *name;
    const char *state; /* "active", "locked" */
    uint32_t role;
    uint64_t created_ms; /* milliseconds since 1970-01-01 UTC */
} hsm_user_info;

typedef struct hsm_user_list {
    size_t size;
    size_t n_users;
    const hsm_user_info *const *users; /* by name */
} hsm_user_list;

/** All users. Needs no login. @param list  out: freed with hsm_user_list_free, all at once */
HSM_API hsm_status hsm_user_list_all(hsm_cluster *cluster, hsm_user_list **list);
HSM_API void hsm_user_list_free(hsm_user_list *list);

#ifdef __cplusplus
}
#endif
