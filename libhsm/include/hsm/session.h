/* Logins. An hsm_session is one login of one user (or none yet) and the home of its session objects. It costs a few
 * hundred bytes and no connection; every call on it is safe from any number of threads at once. Nodes keep nothing of
 * it: any node serves it, and it survives the loss of nodes.
 *
 * A login lives as long as the node's policy says and is renewed by use. When it has expired although it was in use,
 * calls return HSM_TICKET_EXPIRED; if the credentials came from the configuration (hsm_login_default,
 * hsm_login_prepare) or are kept (hsm_login_kept), the library logs in again by itself, keeping the session objects,
 * and repeats the call. Every call that needs a login may also return HSM_NOT_LOGGED_IN  nobody is logged in on this
 * session HSM_NOT_PERMITTED  the user's role does not allow it (hsm_last_error says what does) besides the errors
 * listed in cluster.h. These are not repeated in user.h, object.h and crypto.h. */
#pragma once

#include "hsm/cluster.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hsm_session hsm_session;

/** Opens a session without a login. Does not reach the network. To be closed before its cluster. */
HSM_API hsm_status hsm_session_open(hsm_cluster *cluster, hsm_session **session);

/** Closes it and wipes what it held; session objects are gone. Without hsm_logout before, its login ends when it
 * expires. No other thread may be using it. Harmless on NULL. */
HSM_API void hsm_session_close(hsm_session *session);

/**
 * How long calls on this session may take, in place of the setting timeout-ms: for a program that has less time for
 * some calls than for others. Holds for calls that begin afterwards. Does not reach the network.
 *
 * @param timeout_ms  10 to 3600000; 0: the setting
 * @return HSM_OK; HSM_INVALID_ARGUMENT
 */
HSM_API hsm_status hsm_session_set_timeout(hsm_session *session, uint32_t timeout_ms);

/** The cluster that it was opened on. */
HSM_API hsm_cluster *hsm_session_cluster(const hsm_session *session);

/**
 * Logs a user in. The password is not kept. Replaces an earlier login of this session; of the same user, it keeps the
 * session objects.
 *
 * @return HSM_OK; HSM_LOGIN_FAILED; HSM_USER_LOCKED; HSM_INVALID_ARGUMENT (name or password too long);
 *         HSM_CLUSTER_STATE when the cluster is not active yet
 */
HSM_API hsm_status hsm_login(hsm_session *session, const char *user, const void *password, size_t password_len);

/**
 * As hsm_login, for interfaces whose logins last until their logout (PKCS#11, JCE): the password is kept in this
 * process, and when the login expires the library logs in again by itself, keeping the session objects, and repeats the
 * call. hsm_logout, another login and hsm_session_close wipe it.
 */
HSM_API hsm_status hsm_login_kept(hsm_session *session, const char *user, const void *password, size_t password_len);

/**
 * A text for a user with a second factor to sign: with the key that hsm_user_set_signer registered, SHA-256 with RSA
 * (PKCS#1 v1.5) or ECDSA (DER). It holds for two minutes, at any node.
 *
 * @param text, state  out: what is signed, and what goes with the signature into hsm_login_signed; freed with
 * hsm_buffer_free
 */
HSM_API hsm_status hsm_login_challenge(hsm_cluster *cluster, const char *user, hsm_buffer *text, hsm_buffer *state);

/** As hsm_login, with the signed challenge that hsm_login's HSM_SECOND_FACTOR_NEEDED asks for. */
HSM_API hsm_status hsm_login_signed(hsm_session *session, const char *user, const void *password, size_t password_len,
                                    const void *state, size_t state_len, const void *signature, size_t signature_len);

/**
 * Logs in with the user and password of the configuration: settings user and password-file, or the environment:
 * HSM_USER with HSM_PASSWORD, HSM_PASSWORD_FILE or HSM_PASSWORD_FD. When the login expires, the library reads the file
 * (or the environment) anew and logs in again by itself.
 *
 * @return as hsm_login; HSM_CONFIG_INVALID when no user or no password is set; HSM_IO_ERROR when the file cannot be
 * read
 */
HSM_API hsm_status hsm_login_default(hsm_session *session);

/**
 * Reads the user and password of the configuration now, as hsm_login_default does, and keeps them in this process. The
 * library logs in with them at the first call on this session that needs a login, once for all threads. Does not reach
 * the network.
 *
 * For servers that read their configuration, and then fork, change their root directory or give up privileges, before
 * they use a key: each child of fork logs in by itself. At each login, the first and those after an expiry, the
 * password is read anew, so that a changed one is taken up; when it cannot be read any more, the one that served last
 * is used. A descriptor (HSM_PASSWORD_FD) and a pipe are read only here, once for all sessions of the hsm_cluster.
 * hsm_logout, another login and hsm_session_close wipe what is kept, and the session is prepared no longer. A login
 * that the session has goes on when it is of the same user, else it is forgotten as by hsm_login_forget.
 *
 * Until the first call nobody is logged in (hsm_session_login_info, hsm_session_ticket). A call that logs in may return
 * what hsm_login_default returns; the next one tries again. A kept password that was refused is not tried again, but
 * read anew. One that was read and refused rests, 15 seconds at first and up to an hour, until it has changed:
 * HSM_LOGIN_FAILED meanwhile.
 *
 * @return HSM_OK; HSM_CONFIG_INVALID when no user or no password is set; HSM_IO_ERROR when the file cannot be read
 */
HSM_API hsm_status hsm_login_prepare(hsm_session *session);

/**
 * Gives the password of the user who is logged in for one use of a key whose ALWAYS_AUTHENTICATE is true: the next call
 * on this session that signs, decrypts, unwraps, derives or decapsulates with the key takes it along, whichever thread
 * makes it. It has to come within two minutes; once it was sent, another use needs another one, whatever the call came
 * to. The password is not kept.
 *
 * @return HSM_OK; HSM_LOGIN_FAILED and HSM_USER_LOCKED (wrong passwords count as at logins); HSM_SECOND_FACTOR_NEEDED;
 *         HSM_OBJECT_NOT_FOUND; HSM_INVALID_ARGUMENT when the key does not ask for it
 */
HSM_API hsm_status hsm_key_authenticate(hsm_session *session, hsm_key key, const void *password, size_t password_len);

/** The same for users with a second factor, with a signed challenge as for hsm_login_signed. */
HSM_API hsm_status hsm_key_authenticate_signed(hsm_session *session, hsm_key key, const void *password,
                                               size_t password_len, const void *state, size_t state_len,
                                               const void *signature, size_t signature_len);

/** The same with the password of the configuration, when its user is the one who is logged in
 * (else HSM_INVALID_ARGUMENT); errors as of hsm_login_default. */
HSM_API hsm_status hsm_key_authenticate_default(hsm_session *session, hsm_key key);

/** Ends the login on all nodes: its ticket and its session objects are of no use to anybody from now on. */
HSM_API hsm_status hsm_logout(hsm_session *session);

/**
 * Forgets the login in this process, with its session objects and what it was kept with; nodes are not told, so that
 * it goes on elsewhere. For a child of fork, whose parent keeps the login that both have. Does not reach the network.
 */
HSM_API hsm_status hsm_login_forget(hsm_session *session);

typedef struct hsm_login_info {
    size_t size;
    char user[HSM_USER_NAME_MAX + 1]; /* "" when nobody is logged in, or the login was adopted from a ticket */
    uint32_t role;                    /* HSM_ROLE_...; 0 when not known */
    uint64_t expires_ms;              /* milliseconds since 1970-01-01 UTC; use renews it; 0 when not known */
} hsm_login_info;

/** Who is logged in. Does not reach the network. @param info  in: its size; out: as much as fits */
HSM_API hsm_status hsm_session_login_info(const hsm_session *session, hsm_login_info *info);

/**
 * The login as bytes that another process of the same user can adopt with hsm_login_ticket: both then share the
 * session, and session objects can be passed between them. Whoever has these bytes and a client certificate is logged
 * in: keep them as secret as a password.
 *
 * @param ticket_len  in: room; out: bytes written, or needed with HSM_BUFFER_TOO_SMALL or `ticket` NULL
 * @return HSM_OK; HSM_NOT_LOGGED_IN
 */
HSM_API hsm_status hsm_session_ticket(const hsm_session *session, uint8_t *ticket, size_t *ticket_len);

/** Adopts a login. Does not reach the network: a bad ticket shows at the first use as HSM_TICKET_EXPIRED. */
HSM_API hsm_status hsm_login_ticket(hsm_session *session, const uint8_t *ticket, size_t ticket_len);

/**
 * A session object (TOKEN false) in its sealed form, so that another process sharing the login can use it. The bytes
 * are encrypted for the cluster: they reveal nothing. Does not reach the network.
 *
 * @return HSM_OK; HSM_OBJECT_NOT_FOUND when it is no session object of this session
 */
HSM_API hsm_status hsm_session_export_object(const hsm_session *session, hsm_key key, uint8_t *out, size_t *out_len);

/**
 * Forgets a session object: unless it was exported it is gone, whatever its DESTROYABLE says, as at the end of the
 * session. Does not reach the network.
 *
 * @return HSM_OK; HSM_OBJECT_NOT_FOUND when it is no session object of this session
 */
HSM_API hsm_status hsm_session_forget_object(hsm_session *session, hsm_key key);

/**
 * Takes in a session object that hsm_session_export_object gave out. Asks a node for its attributes, which also checks
 * it.
 *
 * @param key  out: the same value as in the exporting process
 * @return HSM_OK; HSM_INVALID_ARGUMENT when the bytes are no such object; HSM_OBJECT_NOT_FOUND when it belongs to
 * another session or cluster
 */
HSM_API hsm_status hsm_session_import_object(hsm_session *session, const uint8_t *sealed, size_t sealed_len,
                                             hsm_key *key);

#ifdef __cplusplus
}
#endif
