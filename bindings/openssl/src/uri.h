/* hsm: URIs name objects of the cluster: "hsm:label=web;type=private". */
#pragma once

#include "provider.h"

#define URI_VALUE_MAX 256

struct uri {
    char label[URI_VALUE_MAX + 1]; /* "": any */
    uint8_t id[URI_VALUE_MAX];     /* CKA_ID */
    size_t id_len;                 /* 0: any */
    bool by_object;                /* the object's own id, in `object` */
    hsm_key object;
    uint64_t object_class; /* HSM_CLASS_...; 0: private keys, and certificates; for hsm-key: secret keys */
};

/* Whether it is one of ours. */
bool uri_is_ours(const char *text);

int uri_parse(const struct provider *provider, const char *text, struct uri *uri);

#define URI_ATTRIBUTES_MAX 4u

/* What to look for: token objects of the class (borrowed, as `uri` is) with the names that it gives; how many. */
size_t uri_template(const struct uri *uri, const uint64_t *object_class, hsm_attribute attributes[URI_ATTRIBUTES_MAX]);
