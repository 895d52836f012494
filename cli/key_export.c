/* What leaves the cluster of a key: its public key, a reference to it, or the value of an object that may be read. */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/pem.h>
#include <string.h>
#include "command.h"

static bool wants_der(const struct context *context)
{
    return context->options.format && strcmp(context->options.format, "der") == 0;
}

static int write_public(const struct context *context, const uint8_t *der, size_t len)
{
    const uint8_t *at = der;
    EVP_PKEY *key;
    BIO *bio;
    char *text;

    if (wants_der(context))
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

static int write_reference(const struct context *context, const hsm_reference *reference)
{
    hsm_buffer written = {NULL, 0};

    CALL("key export",
         wants_der(context) ? hsm_reference_der(reference, &written) : hsm_reference_pem(reference, &written));
    int status = content_write(context->options.out, written.data, written.len, false);

    hsm_buffer_free(&written);
    return status;
}

static int export_reference(struct context *context)
{
    const uint32_t private_key = HSM_CLASS_PRIVATE_KEY;
    hsm_reference *reference = NULL;
    hsm_key key;

    STEP(key_resolve(context, context->arguments[0], &private_key, 1, &key));
    CALL("key export", hsm_reference_make(context->session, key, NULL, &reference));
    int status = write_reference(context, reference);

    hsm_reference_free(reference);
    return status;
}

int run_key_export(struct context *context)
{
    uint8_t der[8192];
    size_t len = sizeof(der);
    hsm_key key;

    STEP(context_session(context));
    if (context->options.reference)
        return export_reference(context);
    STEP(key_resolve_any(context, context->arguments[0], &key));
    hsm_status status = hsm_key_export_public(context->session, key, der, &len);
    if (status == HSM_OK)
        return write_public(context, der, len);
    if (status == HSM_KEY_TYPE_INCONSISTENT)
        return export_value(context, key);
    return report("key export", status);
}
