/* What leaves the cluster of a key: its public key, or the value of an object that may be read. */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/pem.h>
#include <string.h>
#include "command.h"

static int write_public(const struct context *context, const uint8_t *der, size_t len)
{
    const uint8_t *at = der;
    EVP_PKEY *key;
    BIO *bio;
    char *text;

    if (context->options.format && strcmp(context->options.format, "der") == 0)
        return content_write(context->options.out, der, len, false);
    key = d2i_PUBKEY(NULL, &at, (long)len);
    bio = BIO_new(BIO_s_mem());
    long n = key && bio && PEM_write_bio_PUBKEY(bio, key) ? BIO_get_mem_data(bio, &text) : 0;
    int status = n > 0 ? content_write(context->options.out, text, (size_t)n, false)
                       : usage("this machine's OpenSSL cannot write such a key as PEM: use --format der");

    EVP_PKEY_free(key);
    BIO_free(bio);
    return status;
}

static int export_value(struct context *context, hsm_key key)
{
    const uint32_t wanted[] = {HSM_ATTR_VALUE};
    hsm_attributes *attributes = NULL;
    size_t len;

    CALL("key export", hsm_object_get(context->session, key, wanted, 1, &attributes));
    const uint8_t *value = hsm_attributes_bytes(attributes, HSM_ATTR_VALUE, &len);
    int status = content_write(context->options.out, value, len, true);
    hsm_attributes_free(attributes);
    return status;
}

int run_key_export(struct context *context)
{
    uint8_t der[8192];
    size_t len = sizeof(der);
    hsm_key key;

    STEP(context_session(context));
    STEP(key_resolve_any(context, context->arguments[0], &key));
    hsm_status status = hsm_key_export_public(context->session, key, der, &len);
    if (status == HSM_OK)
        return write_public(context, der, len);
    if (status == HSM_KEY_TYPE_INCONSISTENT)
        return export_value(context, key);
    return report("key export", status);
}
