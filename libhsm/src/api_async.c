/* Queues of operations in flight (hsm/async.h). Each submit builds the request that the call of the same name in
 * crypto.h would send, and hands a copy to the core; each completion is the core's result, lent to the caller. */
#include "hsm/async.h"

#include <stdlib.h>
#include "api_call.h"
#include "api_cluster.h"
#include "api_sign.h"

struct hsm_queue {
    struct core_queue *core;
    hsm_cluster *cluster;
};

static status_code queue_open(hsm_cluster *cluster, hsm_queue **queue)
{
    ARGUMENT(cluster && queue, "no cluster, or no place for the queue");
    hsm_queue *made = (hsm_queue *)calloc(1, sizeof(*made));
    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a queue");
    made->cluster = cluster;
    status_code status = core_queue_open(cluster->core, &made->core);
    if (status != STATUS_OK) {
        free(made);
        return status;
    }
    *queue = made;
    return STATUS_OK;
}

hsm_status hsm_queue_open(hsm_cluster *cluster, hsm_queue **queue)
{
    return API(queue_open(cluster, queue));
}

void hsm_queue_close(hsm_queue *queue)
{
    if (!queue)
        return;
    core_queue_close(queue->core);
    free(queue);
}

int hsm_queue_fd(hsm_queue *queue)
{
    return queue ? core_queue_fd(queue->core) : -1;
}

size_t hsm_queue_outstanding(const hsm_queue *queue)
{
    return queue ? core_queue_outstanding(queue->core) : 0;
}

/* Submitting. */

static status_code log_in_again(void *session, uint32_t generation)
{
    return session_login_again((hsm_session *)session, generation);
}

static status_code submit(hsm_queue *queue, struct call *call, void *user_data)
{
    if (call->session) {
        ARGUMENT(call->cluster == queue->cluster, "the session belongs to another cluster than the queue");
        TRY(session_require_login(call->session));
        call->request.again = (struct core_relogin){log_in_again, call->session, session_generation(call->session)};
    }
    api_error_origin(call->request.operation, NULL);
    return core_submit(queue->core, &call->request, user_data);
}

static status_code submit_ping(hsm_queue *queue, void *user_data)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, NULL, queue ? queue->cluster : NULL, OP_PING));
    return submit(queue, &call, user_data);
}

hsm_status hsm_submit_ping(hsm_queue *queue, void *user_data)
{
    return API(submit_ping(queue, user_data));
}

static status_code submit_random(hsm_queue *queue, hsm_session *session, size_t len, void *user_data)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, session, NULL, OP_RANDOM));
    ARGUMENT(queue && session, "no queue or no session");
    CHECK(len <= DATA_MAX, STATUS_TOO_LARGE, "%zu random bytes at once; the limit is %u", len, DATA_MAX);
    values_put_uint(&call.fields, FIELD_OUTPUT_LEN, len);
    return submit(queue, &call, user_data);
}

hsm_status hsm_submit_random(hsm_queue *queue, hsm_session *session, size_t len, void *user_data)
{
    return API(submit_random(queue, session, len, user_data));
}

/* What all operations with a key have in common. */
static status_code submit_keyed(hsm_queue *queue, enum operation operation, const struct parts *parts,
                                struct slice data, struct slice signature, void *user_data)
{
    CLEANUP(call_release) struct call call;

    TRY(call_begin(&call, parts->session, NULL, operation));
    ARGUMENT(queue, "no queue");
    CHECK(data.len <= DATA_MAX, STATUS_TOO_LARGE, "%zu bytes at once; the limit of a queue is %u", data.len, DATA_MAX);
    CALL_KEY(&call, parts->key);
    mechanism_put(parts->mechanism, &call.fields);
    values_put_bytes(&call.fields, FIELD_DATA, data);
    if (operation == OP_VERIFY)
        values_put_bytes(&call.fields, FIELD_SIGNATURE, signature);
    return submit(queue, &call, user_data);
}

static status_code submit_sign(hsm_queue *queue, hsm_session *session, const hsm_key *key,
                               const hsm_mechanism *mechanism, struct slice data, bool is_digest, void *user_data)
{
    struct signing signing;

    TRY(sign_prepare(session, key, mechanism, HSM_OPERATION_SIGN, data, is_digest, &signing));
    return submit_keyed(queue, OP_SIGN, &signing.parts, signing.data, slice_of(NULL, 0), user_data);
}

hsm_status hsm_submit_sign(hsm_queue *queue, hsm_session *session, hsm_key key, const hsm_mechanism *mechanism,
                           const void *data, size_t data_len, void *user_data)
{
    return API(submit_sign(queue, session, &key, mechanism, slice_of(data, data_len), false, user_data));
}

hsm_status hsm_submit_sign_digest(hsm_queue *queue, hsm_session *session, hsm_key key, const hsm_mechanism *mechanism,
                                  const uint8_t *digest, size_t digest_len, void *user_data)
{
    return API(submit_sign(queue, session, &key, mechanism, slice_of(digest, digest_len), true, user_data));
}

static status_code submit_verify(hsm_queue *queue, hsm_session *session, const hsm_key *key,
                                 const hsm_mechanism *mechanism, struct slice data, bool is_digest,
                                 struct slice signature, void *user_data)
{
    struct signing signing;

    ARGUMENT(signature.data || signature.len == 0, "no signature");
    TRY(sign_prepare(session, key, mechanism, HSM_OPERATION_VERIFY, data, is_digest, &signing));
    TRY(check_signature(signature));
    return submit_keyed(queue, OP_VERIFY, &signing.parts, signing.data, signature, user_data);
}

hsm_status hsm_submit_verify(hsm_queue *queue, hsm_session *session, hsm_key key, const hsm_mechanism *mechanism,
                             const void *data, size_t data_len, const uint8_t *signature, size_t signature_len,
                             void *user_data)
{
    return API(submit_verify(queue, session, &key, mechanism, slice_of(data, data_len), false,
                             slice_of(signature, signature_len), user_data));
}

hsm_status hsm_submit_verify_digest(hsm_queue *queue, hsm_session *session, hsm_key key, const hsm_mechanism *mechanism,
                                    const uint8_t *digest, size_t digest_len, const uint8_t *signature,
                                    size_t signature_len, void *user_data)
{
    return API(submit_verify(queue, session, &key, mechanism, slice_of(digest, digest_len), true,
                             slice_of(signature, signature_len), user_data));
}

static status_code submit_crypt(hsm_queue *queue, hsm_session *session, const hsm_key *key,
                                const hsm_mechanism *mechanism, uint32_t kind, struct slice data, void *user_data)
{
    hsm_mechanism given;
    struct parts parts;
    struct progress progress;
    uint8_t with_completion[HSM_NONCE_MADE_LEN];

    ARGUMENT(session && (data.data || data.len == 0), "no session or no data");
    TRY(mechanism_read(mechanism, &given));
    given.nonce_out = with_completion;
    TRY(parts_begin(session, key, &given, kind, &parts, &progress));
    return submit_keyed(queue, kind == HSM_OPERATION_ENCRYPT ? OP_ENCRYPT : OP_DECRYPT, &parts, data, slice_of(NULL, 0),
                        user_data);
}

hsm_status hsm_submit_encrypt(hsm_queue *queue, hsm_session *session, hsm_key key, const hsm_mechanism *mechanism,
                              const void *data, size_t data_len, void *user_data)
{
    return API(
        submit_crypt(queue, session, &key, mechanism, HSM_OPERATION_ENCRYPT, slice_of(data, data_len), user_data));
}

hsm_status hsm_submit_decrypt(hsm_queue *queue, hsm_session *session, hsm_key key, const hsm_mechanism *mechanism,
                              const void *data, size_t data_len, void *user_data)
{
    return API(
        submit_crypt(queue, session, &key, mechanism, HSM_OPERATION_DECRYPT, slice_of(data, data_len), user_data));
}

static status_code queue_flush(hsm_queue *queue)
{
    ARGUMENT(queue, "no queue");
    return core_queue_flush(queue->core);
}

hsm_status hsm_queue_flush(hsm_queue *queue)
{
    return API(queue_flush(queue));
}

/* Completions. */

static void fill_completion(struct core_result *result, hsm_completion *completion)
{
    bool done = result->status == STATUS_OK;
    struct slice output = done ? values_bytes(&result->answer, FIELD_OUTPUT) : slice_of(NULL, 0);
    struct slice nonce = done ? values_bytes(&result->answer, FIELD_NONCE) : slice_of(NULL, 0);
    hsm_completion filled = {
        .user_data = result->user_data,
        .status = result->status,
        .detail = result->detail,
        .node = result->node_name,
        .output = output.data,
        .output_len = output.len,
        .nonce = nonce.data,
        .nonce_len = nonce.len,
        .internal = result,
    };
    filled.size = completion->size < sizeof(filled) ? completion->size : sizeof(filled);
    memcpy(completion, &filled, filled.size);
}

static status_code queue_next(hsm_queue *queue, int32_t timeout_ms, hsm_completion *completion)
{
    struct core_result *result = NULL;

    ARGUMENT(queue && completion, "no queue, or no place for the completion");
    ARGUMENT(completion->size >= sizeof(*completion), "begin with HSM_COMPLETION_INIT");
    TRY(core_queue_next(queue->core, timeout_ms, &result));
    fill_completion(result, completion);
    return STATUS_OK;
}

hsm_status hsm_queue_next(hsm_queue *queue, int32_t timeout_ms, hsm_completion *completion)
{
    return API(queue_next(queue, timeout_ms, completion));
}

void hsm_completion_release(hsm_completion *completion)
{
    if (!completion || !completion->internal)
        return;
    core_result_free((struct core_result *)completion->internal);
    completion->internal = NULL;
    completion->output = completion->nonce = NULL;
    completion->output_len = completion->nonce_len = 0;
    completion->detail = completion->node = "";
}
