/* HELLO, PING, LOGIN, LOGOUT, and logging in for one use of a key. */
#include "operation/handlers.h"
#include "user/challenge.h"
#include "user/use_proof.h"

static void put_cluster_id(struct call *call)
{
    if (identity_state(call->node->identity) != IDENTITY_EMPTY)
        values_put_bytes(call->answer, FIELD_CLUSTER_ID, slice_of(identity_cluster_id(call->node->identity), ID_LEN));
}

status_code op_hello(struct call *call)
{
    struct node *node = call->node;
    uint64_t oldest = values_uint(call->request, FIELD_VERSION_MIN, 0);
    uint64_t newest = values_uint(call->request, FIELD_VERSION_MAX, 0);

    CHECK(oldest <= PROTOCOL_VERSION && newest >= PROTOCOL_VERSION_MIN && oldest <= newest, STATUS_VERSION_MISMATCH,
          "the client speaks versions %llu to %llu, this node %u to %u", (unsigned long long)oldest,
          (unsigned long long)newest, PROTOCOL_VERSION_MIN, PROTOCOL_VERSION);
    /* What all members speak: whatever a client gets from this node, the others must be able to take. */
    uint64_t all = atomic_load_explicit(&node->cluster_version, memory_order_relaxed);

    values_put_uint(call->answer, FIELD_VERSION, newest < all ? newest : all);
    values_put_bytes(call->answer, FIELD_NODE_ID, slice_of(identity_node_id(node->identity), ID_LEN));
    put_cluster_id(call);
    values_put_bytes(call->answer, FIELD_NAME, slice_text(node->config.name));
    values_put_bytes(call->answer, FIELD_ZONE, slice_text(node->config.zone));
    values_put_uint(call->answer, FIELD_MESSAGE_LIMIT, MESSAGE_MAX);
    values_put_uint(call->answer, FIELD_BATCH_LIMIT, BATCH_MAX);
    values_put_bytes(call->answer, FIELD_STATE_NAME, slice_text(node_state_name(atomic_load(&node->state))));
    return STATUS_OK;
}

status_code op_ping(struct call *call)
{
    if (values_has(call->request, FIELD_DATA))
        values_put_bytes(call->answer, FIELD_DATA, call_bytes(call, FIELD_DATA));
    return STATUS_OK;
}

status_code op_login(struct call *call)
{
    struct caller caller = {.role = ROLE_NONE};
    struct bytes *ticket = call_buffer(call), *session = call_buffer(call);
    uint64_t expires_ms = 0;

    const struct login_proof proof = {call_bytes(call, FIELD_STATE), call_bytes(call, FIELD_SIGNATURE)};
    TRY(users_login(call->node->users, call_bytes(call, FIELD_USER_NAME), call_bytes(call, FIELD_PASSWORD), &proof,
                    call_bytes(call, FIELD_TICKET), &caller, ticket, &expires_ms));
    uint8_t *hex = bytes_reserve(session, 2 * ID_LEN + 1);
    TRY(bytes_ok(session));
    hex_encode(slice_of(caller.session_id, ID_LEN), (char *)hex);
    session->len = (size_t)2 * ID_LEN;
    call_answer(call, FIELD_TICKET, ticket);
    call_answer(call, FIELD_NAME, session);
    values_put_uint(call->answer, FIELD_USER_ROLE, caller.role);
    values_put_uint(call->answer, FIELD_TIME_MS, expires_ms);
    return STATUS_OK;
}

status_code op_login_challenge(struct call *call)
{
    struct bytes *text = call_buffer(call), *state = call_buffer(call);

    TRY(challenge_make(call->node, call_bytes(call, FIELD_USER_NAME), text, state));
    call_answer(call, FIELD_DATA, text);
    call_answer(call, FIELD_STATE, state);
    return STATUS_OK;
}

/* Only for keys that ask for it: nothing else looks at the proof. */
status_code op_key_authenticate(struct call *call)
{
    CLEANUP(object_release) struct object *object = NULL;
    const struct login_proof second = {call_bytes(call, FIELD_STATE), call_bytes(call, FIELD_SIGNATURE)};
    struct bytes *proof = call_buffer(call);
    uint64_t expires_ms = 0;

    TRY(call_object(call, FIELD_OBJECT_ID, FIELD_BLOB, &object));
    CHECK(object->always_authenticate, STATUS_INVALID_ARGUMENT, "the object's ALWAYS_AUTHENTICATE is not true");
    TRY(use_proof_make(call->node, &call->caller, object->id, call_bytes(call, FIELD_PASSWORD), &second, proof,
                       &expires_ms));
    call_answer(call, FIELD_TICKET, proof);
    values_put_uint(call->answer, FIELD_TIME_MS, expires_ms);
    return STATUS_OK;
}

status_code op_logout(struct call *call)
{
    return users_logout(call->node->users, &call->caller);
}
