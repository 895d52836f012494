/* etcd through its gRPC gateway: JSON over HTTP(S), by libcurl. Requests borrow a connection each; an endpoint that
 * does not answer is passed over, and the one that did is kept by all. */
#pragma once

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include "protocol/bytes.h"

#define ETCD_ENDPOINTS_MAX 16u

struct etcd_settings {
    char endpoints[ETCD_ENDPOINTS_MAX][256]; /* http[s]://HOST:PORT */
    unsigned n_endpoints;
    char prefix[128];            /* of all keys, without the slash at its end */
    char ca_file[1024];          /* "": the system's authorities */
    char certificate_file[1024]; /* "": none */
    char key_file[1024];
};

struct etcd_client;

status_code etcd_client_open(const struct etcd_settings *settings, struct etcd_client **client);

/** After the last call; harmless on NULL. */
void etcd_client_close(struct etcd_client *client);

/** Sends `request` to PATH ("/v3/kv/range", ...) of one endpoint after another for up to timeout_ms. *answer is the
 * caller's (json_decref). *uncertain (or NULL) tells whether an earlier attempt may have been carried out.
 * STATUS_STORE_UNAVAILABLE, _FULL, _TOO_LARGE; STATUS_CONFLICT for what etcd has compacted. Any thread. */
status_code etcd_call(struct etcd_client *client, const char *path, const json_t *request, unsigned timeout_ms,
                      json_t **answer, bool *uncertain);

/** A handle for a stream, set up for PATH at the endpoint in use; the caller adds where its data goes. */
CURL *etcd_stream_handle(struct etcd_client *client, const char *path);

/** From now on another endpoint is tried first. */
void etcd_next_endpoint(struct etcd_client *client);

/** The endpoint in use, for logs. */
const char *etcd_endpoint(struct etcd_client *client);

/** Base64 text of bytes as a JSON value; NULL without memory. */
json_t *etcd_base64(struct slice data);

/** Bytes of a base64 member; absent is empty, as in protobuf's JSON. */
status_code etcd_bytes(const json_t *object, const char *name, struct bytes *data);

/** A 64-bit number, which the gateway writes as text; absent is 0. */
uint64_t etcd_number(const json_t *object, const char *name);

/** A 64-bit number as JSON text. */
json_t *etcd_decimal(uint64_t number);

/** Milliseconds of a clock that is never set: for timeouts. */
uint64_t etcd_clock_ms(void);

/** What an error object of the gateway means. */
status_code etcd_error(const json_t *error);
