/* Secret keys: AES keys and generic secrets. A cipher or a MAC is not given a key's bytes, but the parameter hsm-key,
 * which names an object of the cluster by an hsm: URI: "hsm:label=backup". */
#pragma once

#include "provider.h"

#define SECRET_PARAM "hsm-key"

/* A plain value: it may be copied. */
struct secret {
    bool is_set;
    hsm_key object;
    uint64_t key_type; /* HSM_KEY_TYPE_... */
    uint64_t len;      /* in bytes */
};

/* The key that the parameters name, when they name one: asks the cluster. One that is no key of the cluster, or that
 * several keys answer to, is an error. */
int secret_from_params(struct provider *provider, const OSSL_PARAM params[], struct secret *secret);

/* A program has given a key's bytes: an error that says how it is done here. */
int secret_refuse_bytes(const struct provider *provider);

/* The session for work with secret keys: with the configuration's time limit, because texts and messages are streamed
 * by programs that would rather wait for another node than begin anew. */
int secret_session(struct provider *provider, hsm_session **session);

/* Whether a key was named, of this type and length (0: any). */
int secret_check(const struct provider *provider, const struct secret *secret, uint64_t key_type, size_t len);
