/* The password for one use of a key (hsm_key_authenticate). What a node answered with is kept in the session until a
 * request that uses the key takes it along: each proof once, whichever thread comes first. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "api_call.h"
#include "api_cluster.h"
#include "api_credentials.h"
#include "api_session_internal.h"

/* As long as nodes take one. */
#define LIFETIME_S 120

struct use_proof {
    struct use_proof *next; /* older, or NULL */
    time_t made_s;
    uint8_t key_id[ID_LEN];
    size_t len;
    uint8_t bytes[TICKET_MAX];
};

static void free_all(struct use_proof *proofs)
{
    while (proofs) {
        struct use_proof *next = proofs->next;

        explicit_bzero(proofs, sizeof(*proofs));
        free(proofs);
        proofs = next;
    }
}

static time_t now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Whatever was never used goes when it is too old: the newest stand in front. */
static void keep(hsm_session *session, struct use_proof *proof)
{
    struct use_proof **link = &proof->next;

    proof->made_s = now_s();
    api_lock_take(&session->lock);
    proof->next = session->proofs;
    session->proofs = proof;
    atomic_store(&session->has_proofs, true);
    while (*link && proof->made_s - (*link)->made_s < LIFETIME_S)
        link = &(*link)->next;
    struct use_proof *old = *link;

    *link = NULL;
    api_lock_give(&session->lock);
    free_all(old);
}

static struct use_proof *take(hsm_session *session, const uint8_t key_id[ID_LEN])
{
    struct use_proof **link = &session->proofs;

    api_lock_take(&session->lock);
    while (*link && memcmp((*link)->key_id, key_id, ID_LEN) != 0)
        link = &(*link)->next;
    struct use_proof *found = *link;

    if (found)
        *link = found->next;
    atomic_store(&session->has_proofs, session->proofs != NULL);
    api_lock_give(&session->lock);
    return found;
}

bool session_use_proof(hsm_session *session, const uint8_t key_id[ID_LEN], struct bytes *proof)
{
    if (!atomic_load_explicit(&session->has_proofs, memory_order_acquire))
        return false;
    struct use_proof *taken = take(session, key_id);

    if (!taken)
        return false;
    bytes_append(proof, taken->bytes, taken->len);
    explicit_bzero(taken, sizeof(*taken));
    free(taken);
    return true;
}

void session_use_proofs_drop(hsm_session *session)
{
    api_lock_take(&session->lock);
    struct use_proof *proofs = session->proofs;

    session->proofs = NULL;
    atomic_store(&session->has_proofs, false);
    api_lock_give(&session->lock);
    free_all(proofs);
}

static status_code take_answer(hsm_session *session, const hsm_key *key, struct slice answer)
{
    CHECK(answer.len && answer.len <= TICKET_MAX, STATUS_PROTOCOL_ERROR, "a node checked a password without a proof");
    struct use_proof *made = malloc(sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a proof");
    memcpy(made->key_id, key->id, ID_LEN);
    memcpy(made->bytes, answer.data, answer.len);
    made->len = answer.len;
    keep(session, made);
    return STATUS_OK;
}

static status_code authenticate(hsm_session *session, const hsm_key *key, struct slice password, struct slice state,
                                struct slice signature)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_KEY_AUTHENTICATE));
    ARGUMENT(session, "no session");
    CALL_KEY(&call, key);
    TRY(call_put_bytes(&call, FIELD_PASSWORD, password.data, password.len, "password"));
    if (state.len || signature.len) {
        TRY(call_put_bytes(&call, FIELD_STATE, state.data, state.len, "challenge"));
        TRY(call_put_bytes(&call, FIELD_SIGNATURE, signature.data, signature.len, "signature"));
    }
    TRY(call_run(&call));
    return take_answer(session, key, values_bytes(&call.request.answer, FIELD_TICKET));
}

hsm_status hsm_key_authenticate(hsm_session *session, hsm_key key, const void *password, size_t password_len)
{
    return API(authenticate(session, &key, slice_of(password, password_len), slice_of(NULL, 0), slice_of(NULL, 0)));
}

hsm_status hsm_key_authenticate_signed(hsm_session *session, hsm_key key, const void *password, size_t password_len,
                                       const void *state, size_t state_len, const void *signature, size_t signature_len)
{
    return API(authenticate(session, &key, slice_of(password, password_len), slice_of(state, state_len),
                            slice_of(signature, signature_len)));
}

static status_code authenticate_default(hsm_session *session, const hsm_key *key)
{
    CLEANUP(credentials_release) struct credentials credentials = CREDENTIALS_INIT;
    hsm_login_info info = {.size = sizeof(info)};
    bool from_kept;

    ARGUMENT(session, "no session");
    TRY(session_require_login(session));
    TRY(session_credentials(session, &credentials, &from_kept));
    hsm_status known = hsm_session_login_info(session, &info);

    /* A guess at somebody else's password would count as one. */
    ARGUMENT(known == HSM_OK && strcmp(info.user, credentials.user) == 0,
             "the configuration's user is not the one who is logged in");
    return authenticate(session, key, bytes_slice(&credentials.password), slice_of(NULL, 0), slice_of(NULL, 0));
}

hsm_status hsm_key_authenticate_default(hsm_session *session, hsm_key key)
{
    return API(authenticate_default(session, &key));
}
