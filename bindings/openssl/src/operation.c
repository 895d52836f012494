/* What the cluster does with a private key. */
#include "async.h"
#include "key.h"

static int sleep_for(const struct async_request *request)
{
    const struct key *key = request->key;
    hsm_session *session;
    hsm_status status = HSM_OK;

    TRY(provider_session(key->provider, &session));
    switch (request->kind) {
    case ASYNC_SIGN:
        status = hsm_sign(session, key->object, request->mechanism, request->data, request->data_len, request->out,
                          request->out_len);
        break;
    case ASYNC_SIGN_DIGEST:
        status = hsm_sign_digest(session, key->object, request->mechanism, request->data, request->data_len,
                                 request->out, request->out_len);
        break;
    case ASYNC_DECRYPT:
        status = hsm_decrypt(session, key->object, request->mechanism, request->data, request->data_len, request->out,
                             request->out_len);
        break;
    }
    if (request->invalid && (status == HSM_CIPHERTEXT_INVALID || status == HSM_DATA_LENGTH)) {
        *request->invalid = true;
        return 1;
    }
    return status == HSM_OK ? 1 : RAISE_LAST(key->provider);
}

static int run(const struct async_request *request)
{
    return async_is_wanted() ? async_run(request) : sleep_for(request);
}

int key_sign(const struct key *key, const hsm_mechanism *mechanism, bool is_digest, const void *data, size_t data_len,
             unsigned char *out, size_t *out_len)
{
    const struct async_request request = {
        .kind = is_digest ? ASYNC_SIGN_DIGEST : ASYNC_SIGN,
        .key = key,
        .mechanism = mechanism,
        .data = data,
        .data_len = data_len,
        .out = out,
        .out_len = out_len,
    };

    return run(&request);
}

int key_decrypt(const struct key *key, const hsm_mechanism *mechanism, const void *data, size_t data_len,
                unsigned char *out, size_t *out_len, bool *invalid)
{
    const struct async_request request = {
        .kind = ASYNC_DECRYPT,
        .key = key,
        .mechanism = mechanism,
        .data = data,
        .data_len = data_len,
        .out = out,
        .out_len = out_len,
        .invalid = invalid,
    };

    return run(&request);
}
