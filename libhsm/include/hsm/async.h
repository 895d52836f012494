/* Many operations in flight from one thread. Submit operations to a queue; they travel together; take their completions
 * as they come. A file descriptor tells an event loop when there is something to take.
 *
 * Each operation does what the call of the same name in crypto.h does, for data of up to HSM_MESSAGE_MAX bytes, with
 * the same failover and deadline. Inputs are copied: they may go once the submit has returned. A queue belongs to the
 * thread, or threads, of the process that opened it: all calls on it are safe from any number of threads; a child of
 * fork opens one of its own. */
#pragma once

#include "hsm/crypto.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hsm_queue hsm_queue;

/** Opens a queue. Does not reach the network. @param queue  out: closed with hsm_queue_close, before its cluster */
HSM_API hsm_status hsm_queue_open(hsm_cluster *cluster, hsm_queue **queue);

/** Closes it. Operations not completed are cancelled: their results are dropped. Harmless on NULL. */
HSM_API void hsm_queue_close(hsm_queue *queue);

/**
 * A file descriptor that polls readable when hsm_queue_next has something to do: call it with timeout 0 until it
 * returns HSM_PENDING. It belongs to the queue: only to be polled. On Windows: -1.
 */
HSM_API int hsm_queue_fd(hsm_queue *queue);

/** Operations submitted whose completions have not been taken. */
HSM_API size_t hsm_queue_outstanding(const hsm_queue *queue);

/* Submitting. HSM_OK: the operation will complete, once, and `user_data` will come with it. Otherwise nothing was
 * submitted: HSM_INVALID_ARGUMENT, HSM_TOO_LARGE, HSM_MECHANISM_INVALID, HSM_MECHANISM_PARAM_INVALID,
 * HSM_NOT_LOGGED_IN, HSM_OUT_OF_MEMORY. What is submitted may wait for the next hsm_queue_next or hsm_queue_flush, so
 * that it travels together with what follows. The session must stay open until the completion was taken.
 *
 * A session that was prepared (hsm_login_prepare) is logged in by the first submit, which waits for that. When a login
 * has expired and the library can log in again by itself (session.h), hsm_queue_next does, waiting for that whatever
 * its timeout, and submits the operation once more; its deadline begins anew. If the login fails, its error is the
 * completion's. When the library cannot, the completion says HSM_TICKET_EXPIRED: log in again and submit anew. */
HSM_API hsm_status hsm_submit_ping(hsm_queue *queue, void *user_data);
HSM_API hsm_status hsm_submit_random(hsm_queue *queue, hsm_session *session, size_t len, void *user_data);
HSM_API hsm_status hsm_submit_sign(hsm_queue *queue, hsm_session *session, hsm_key key, const hsm_mechanism *mechanism,
                                   const void *data, size_t data_len, void *user_data);
HSM_API hsm_status hsm_submit_sign_digest(hsm_queue *queue, hsm_session *session, hsm_key key,
                                          const hsm_mechanism *mechanism, const uint8_t *digest, size_t digest_len,
                                          void *user_data);
HSM_API hsm_status hsm_submit_verify(hsm_queue *queue, hsm_session *session, hsm_key key,
                                     const hsm_mechanism *mechanism, const void *data, size_t data_len,
                                     const uint8_t *signature, size_t signature_len, void *user_data);
HSM_API hsm_status hsm_submit_verify_digest(hsm_queue *queue, hsm_session *session, hsm_key key,
                                            const hsm_mechanism *mechanism, const uint8_t *digest, size_t digest_len,
                                            const uint8_t *signature, size_t signature_len, void *user_data);
/** A nonce that the node made comes with the completion; mechanism.nonce_out is not used. */
HSM_API hsm_status hsm_submit_encrypt(hsm_queue *queue, hsm_session *session, hsm_key key,
                                      const hsm_mechanism *mechanism, const void *data, size_t data_len,
                                      void *user_data);
HSM_API hsm_status hsm_submit_decrypt(hsm_queue *queue, hsm_session *session, hsm_key key,
                                      const hsm_mechanism *mechanism, const void *data, size_t data_len,
                                      void *user_data);

/** Sends what is waiting without taking completions. Never blocks for an answer. */
HSM_API hsm_status hsm_queue_flush(hsm_queue *queue);

/** One operation done. */
typedef struct hsm_completion {
    size_t size; /* set by the caller */
    void *user_data;
    hsm_status status;
    const char *detail; /* of a failure; "" otherwise */
    const char *node;   /* that answered; "" when not known */
    const uint8_t
        *output; /* signature, ciphertext, plaintext, random bytes; all pointers are valid until the release */
    size_t output_len;
    const uint8_t *nonce; /* that the node made; NULL when it did not */
    size_t nonce_len;
    void *internal; /* the library's */
} hsm_completion;

#define HSM_COMPLETION_INIT                                                                                            \
    {                                                                                                                  \
        sizeof(hsm_completion), NULL, HSM_OK, NULL, NULL, NULL, 0, NULL, 0, NULL                                       \
    }

/**
 * Takes the next completion, sending and receiving meanwhile.
 *
 * @param timeout_ms  how long to wait; 0: not at all; -1: until one comes (an operation ends by its deadline at the
 * latest)
 * @param completion  in: its size; out: to be given back with hsm_completion_release
 * @return HSM_OK (the operation's own result is completion->status); HSM_PENDING: none within the time;
 * HSM_OPERATION_NOT_ACTIVE: nothing is outstanding
 */
HSM_API hsm_status hsm_queue_next(hsm_queue *queue, int32_t timeout_ms, hsm_completion *completion);

/** Gives back what a completion holds, wiped. Harmless on a released one. From any thread, before the queue is closed.
 */
HSM_API void hsm_completion_release(hsm_completion *completion);

#ifdef __cplusplus
}
#endif
