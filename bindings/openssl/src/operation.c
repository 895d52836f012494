/* What the cluster does with a private key. */
#include "async.h"
#include "connection.h"
#include "key.h"

static hsm_status call(hsm_session *session, const struct request *request)
{
    const hsm_key object = request->key->object;

    switch (request->kind) {
    case REQUEST_SIGN:
        return hsm_sign(session, object, request->mechanism, request->data, request->data_len, request->out,
                        request->out_len);
    case REQUEST_SIGN_DIGEST:
        return hsm_sign_digest(session, object, request->mechanism, request->data, request->data_len, request->out,
                               request->out_len);
    case REQUEST_DECRYPT:
        return hsm_decrypt(session, object, request->mechanism, request->data, request->data_len, request->out,
                           request->out_len);
    }
    return HSM_INTERNAL;
}

static int sleep_for(struct connection *connection, const struct request *request)
{
    hsm_status status = call(connection->serving, request);

    outage_note(&connection->outage, request->permit, status);
    if (status == HSM_OK)
        return 1;
    return request_is_invalid(request, status) || RAISE_LAST(request->key->provider);
}

static int run(struct request *request)
{
    struct provider *provider = request->key->provider;
    struct connection *connection;

    TRY(connection_get(provider, &connection));
    request->permit = outage_may_call(&connection->outage);
    CHECK(provider, request->permit != OUTAGE_NO_CALL, REASON_OUTAGE, "%s",
          "a call has failed for this a moment ago; it is tried again soon");
    return async_is_wanted() ? async_run(connection, request) : sleep_for(connection, request);
}

int key_sign(const struct key *key, const hsm_mechanism *mechanism, bool is_digest, const void *data, size_t data_len,
             unsigned char *out, size_t *out_len)
{
    struct request request = {
        .kind = is_digest ? REQUEST_SIGN_DIGEST : REQUEST_SIGN,
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
    struct request request = {
        .kind = REQUEST_DECRYPT,
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
