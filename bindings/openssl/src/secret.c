/* Secret keys by reference. See secret.h. */
#include "secret.h"

#include <openssl/params.h>
#include "connection.h"
#include "uri.h"

#define URI_MAX 1024

static const uint32_t WANTED[] = {HSM_ATTR_CLASS, HSM_ATTR_KEY_TYPE, HSM_ATTR_VALUE_LEN};
#define N_WANTED (sizeof(WANTED) / sizeof(WANTED[0]))

int secret_session(struct provider *provider, hsm_session **session)
{
    struct connection *connection;

    TRY(connection_get(provider, &connection));
    *session = connection->managing;
    return 1;
}

/* --- finding --- */

static int by_object(struct provider *provider, hsm_session *session, const struct uri *uri, hsm_key *object,
                     hsm_attributes **attributes)
{
    *object = uri->object;
    HSM(provider, hsm_object_get(session, *object, WANTED, N_WANTED, attributes));
    return 1;
}

static int find(struct provider *provider, hsm_session *session, const struct uri *uri, hsm_key objects[2],
                hsm_attributes *attributes[2], size_t *n)
{
    static const uint64_t SECRET = HSM_CLASS_SECRET_KEY;
    hsm_attribute template[URI_ATTRIBUTES_MAX];
    size_t n_attributes = uri_template(uri, &SECRET, template);
    hsm_find *find = NULL;

    CHECK(provider, uri->label[0] != '\0' || uri->id_len > 0, REASON_URI, "%s",
          "it names no key: label=, id= or object= is wanted");
    HSM(provider, hsm_find_open(session, template, n_attributes, WANTED, N_WANTED, &find));
    hsm_status status = hsm_find_next(find, objects, attributes, 2, n);

    hsm_find_close(find);
    return status == HSM_OK ? 1 : RAISE_LAST(provider);
}

/* Which of several keys was meant is not for us to guess: data would be lost under the wrong one. */
static int by_search(struct provider *provider, hsm_session *session, const struct uri *uri, hsm_key *object,
                     hsm_attributes **attributes)
{
    hsm_key objects[2];
    hsm_attributes *found[2] = {NULL, NULL};
    size_t n = 0;

    TRY(find(provider, session, uri, objects, found, &n));
    if (n == 1) {
        *object = objects[0];
        *attributes = found[0];
        return 1;
    }
    for (size_t i = 0; i < n; i++)
        hsm_attributes_free(found[i]);
    return n == 0 ? RAISE(provider, HSM_OBJECT_NOT_FOUND, "%s", "no secret key of the cluster has this name")
                  : RAISE(provider, REASON_URI, "%s", "several secret keys have this name: use hsm:object=");
}

static int take(struct provider *provider, hsm_key object, const hsm_attributes *attributes, struct secret *secret)
{
    CHECK(provider, hsm_attributes_uint(attributes, HSM_ATTR_CLASS, 0) == HSM_CLASS_SECRET_KEY,
          HSM_KEY_TYPE_INCONSISTENT, "%s", "the object is no secret key");
    *secret = (struct secret){
        .is_set = true,
        .object = object,
        .key_type = hsm_attributes_uint(attributes, HSM_ATTR_KEY_TYPE, 0),
        .len = hsm_attributes_uint(attributes, HSM_ATTR_VALUE_LEN, 0),
    };
    return 1;
}

static int named(struct provider *provider, const char *text, struct secret *secret)
{
    struct uri uri;
    hsm_session *session;
    hsm_attributes *attributes = NULL;
    hsm_key object;

    TRY(uri_parse(provider, text, &uri));
    CHECK(provider, uri.object_class == 0 || uri.object_class == HSM_CLASS_SECRET_KEY, REASON_URI, "%s",
          "ciphers and MACs take secret keys: type=secret, or no type");
    TRY(secret_session(provider, &session));
    TRY(uri.by_object ? by_object(provider, session, &uri, &object, &attributes)
                      : by_search(provider, session, &uri, &object, &attributes));
    int result = take(provider, object, attributes, secret);

    hsm_attributes_free(attributes);
    return result;
}

int secret_from_params(struct provider *provider, const OSSL_PARAM params[], struct secret *secret)
{
    const OSSL_PARAM *param = params ? OSSL_PARAM_locate_const(params, SECRET_PARAM) : NULL;
    char text[URI_MAX] = "", *at = text;

    if (!param)
        return 1;
    CHECK(provider, OSSL_PARAM_get_utf8_string(param, &at, sizeof(text)), REASON_PARAMETER,
          SECRET_PARAM " is a text of less than %zu bytes", sizeof(text));
    return named(provider, text, secret);
}

/* --- checking --- */

int secret_refuse_bytes(const struct provider *provider)
{
    return RAISE(provider, REASON_UNSUPPORTED, "%s",
                 "keys are not given by their bytes, but named by the parameter " SECRET_PARAM ": hsm:label=...");
}

int secret_check(const struct provider *provider, const struct secret *secret, uint64_t key_type, size_t len)
{
    CHECK(provider, secret->is_set, REASON_PARAMETER, "%s",
          "no key: the parameter " SECRET_PARAM " names one, as in hsm:label=...");
    CHECK(provider, secret->key_type == key_type, HSM_KEY_TYPE_INCONSISTENT, "this takes %s",
          key_type == HSM_KEY_TYPE_AES ? "an AES key" : "a generic secret");
    CHECK(provider, len == 0 || secret->len == len, HSM_KEY_SIZE_RANGE, "the key has %zu bits, not %zu",
          (size_t)secret->len * 8, len * 8);
    return 1;
}
