/* Making keys: generation in the cluster, and taking in a private key that a program brings. */
#pragma once

#include "key.h"

struct generation;

struct generation *generation_new(struct provider *provider, const struct key_kind *kind, int selection,
                                  const OSSL_PARAM params[]);
const OSSL_PARAM *generation_settable(const struct key_kind *kind);
int generation_set_params(void *generation, const OSSL_PARAM params[]);
int generation_set_template(void *generation, void *template_key);
void *generation_run(void *generation, OSSL_CALLBACK *progress, void *argument);
void generation_free(void *generation);

/* The private key (PKCS#8 DER) becomes a session object, gone with the last user of `key`, and `key` complete. */
int import_pkcs8(struct key *key, const unsigned char *der, size_t der_len);
