/* Signing, verifying, encrypting, decrypting, wrapping, random bytes. */
#include <openssl/ecdsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "key_types.h"
#include "mechanisms.h"

static const uint32_t private_side[] = {HSM_CLASS_PRIVATE_KEY, HSM_CLASS_SECRET_KEY};
static const uint32_t public_side[] = {HSM_CLASS_PUBLIC_KEY, HSM_CLASS_SECRET_KEY};

static int begin(struct context *context, const uint32_t classes[2], enum mechanism_purpose purpose, hsm_key *key,
                 hsm_mechanism *mechanism)
{
    uint32_t type;

    STEP(context_session(context));
    STEP(key_resolve(context, context->options.key, classes, 2, key));
    STEP(key_type_of(context, *key, &type));
    return mechanism_parse(context, type, purpose, mechanism);
}

/* --- signatures --- */

static bool wants_der(const struct context *context, const hsm_mechanism *mechanism)
{
    return mechanism->type == HSM_MECHANISM_ECDSA && context->options.format &&
           strcmp(context->options.format, "der") == 0;
}

static int check_format(const struct context *context)
{
    const char *format = context->options.format;

    return format && strcmp(format, "raw") && strcmp(format, "der") ? usage("--format is raw or der") : EXIT_OK;
}

static int to_der(uint8_t *signature, size_t *len)
{
    ECDSA_SIG *made = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, (int)(*len / 2), NULL);
    BIGNUM *s = BN_bin2bn(signature + *len / 2, (int)(*len / 2), NULL);
    uint8_t *at = signature;
    int n = -1;

    if (made && r && s && ECDSA_SIG_set0(made, r, s))
        n = i2d_ECDSA_SIG(made, &at);
    ECDSA_SIG_free(made);
    *len = n > 0 ? (size_t)n : 0;
    return n > 0 ? EXIT_OK : usage("the signature cannot be written as DER");
}

/* Back to r || s of the curve's length, which a signature of any key of it has. */
static int from_der(struct context *context, hsm_key key, uint8_t *signature, size_t *len)
{
    const uint32_t wanted[] = {HSM_ATTR_EC_PARAMS};
    const uint8_t *at = signature;
    ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &at, (long)*len);
    hsm_attributes *attributes = NULL;
    size_t oid_len;
    bool ok = false;

    if (parsed && hsm_object_get(context->session, key, wanted, 1, &attributes) == HSM_OK) {
        const uint8_t *oid = hsm_attributes_bytes(attributes, HSM_ATTR_EC_PARAMS, &oid_len);
        int n = (int)(hsm_curve_bits(hsm_curve_by_oid(oid, oid_len)) + 7) / 8;

        ok = n > 0 && BN_bn2binpad(ECDSA_SIG_get0_r(parsed), signature, n) == n &&
             BN_bn2binpad(ECDSA_SIG_get0_s(parsed), signature + n, n) == n;
        *len = 2 * (size_t)n;
        hsm_attributes_free(attributes);
    }
    ECDSA_SIG_free(parsed);
    return ok ? EXIT_OK : usage("the signature is no DER of an ECDSA signature of this key");
}

int run_sign(struct context *context)
{
    CLEANUP(content_release) struct content content = {NULL, 0};
    uint8_t signature[SIGNATURE_MAX];
    size_t len = sizeof(signature);
    hsm_mechanism mechanism;
    hsm_key key;

    STEP(check_format(context));
    STEP(content_read(context->options.in, &content));
    STEP(begin(context, private_side, PURPOSE_SIGN, &key, &mechanism));
    CALL("sign", hsm_sign(context->session, key, &mechanism, content.data, content.len, signature, &len));
    if (wants_der(context, &mechanism))
        STEP(to_der(signature, &len));
    return content_write(context->options.out, signature, len, false);
}

int run_verify(struct context *context)
{
    CLEANUP(content_release) struct content content = {NULL, 0}, signature = {NULL, 0};
    hsm_mechanism mechanism;
    hsm_key key;

    if (!context->options.signature)
        return usage("verify needs --signature FILE");
    STEP(check_format(context));
    STEP(content_read(context->options.in, &content));
    STEP(content_read(context->options.signature, &signature));
    STEP(begin(context, public_side, PURPOSE_SIGN, &key, &mechanism));
    if (wants_der(context, &mechanism))
        STEP(from_der(context, key, signature.data, &signature.len));
    CALL("verify",
         hsm_verify(context->session, key, &mechanism, content.data, content.len, signature.data, signature.len));
    say(context, "The signature is good.");
    return EXIT_OK;
}

/* --- ciphertexts --- */

/* GCM and CCM have their nonce made by the node; the other modes take random bytes of the cluster. */
static int choose_nonce(struct context *context, hsm_mechanism *mechanism, uint8_t *nonce, size_t len)
{
    if (mechanism->type == HSM_MECHANISM_AES_GCM || mechanism->type == HSM_MECHANISM_AES_CCM) {
        mechanism->nonce_out = nonce;
        return EXIT_OK;
    }
    if (len)
        CALL("random", hsm_random(context->session, nonce, len));
    mechanism->nonce = len ? nonce : NULL;
    mechanism->nonce_len = len;
    return EXIT_OK;
}

int run_encrypt(struct context *context)
{
    CLEANUP(content_release) struct content content = {NULL, 0}, out = {NULL, 0};
    hsm_mechanism mechanism;
    hsm_key key;

    STEP(content_read(context->options.in, &content));
    STEP(begin(context, public_side, PURPOSE_ENCRYPT, &key, &mechanism));
    size_t nonce_len = mechanism_nonce_len(mechanism.type), len = content.len + SIGNATURE_MAX;

    out.data = malloc(nonce_len + len);
    if (!out.data)
        return usage("out of memory");
    out.len = nonce_len + len;
    STEP(choose_nonce(context, &mechanism, out.data, nonce_len));
    CALL("encrypt",
         hsm_encrypt(context->session, key, &mechanism, content.data, content.len, out.data + nonce_len, &len));
    return content_write(context->options.out, out.data, nonce_len + len, false);
}

int run_decrypt(struct context *context)
{
    CLEANUP(content_release) struct content content = {NULL, 0}, out = {NULL, 0};
    hsm_mechanism mechanism;
    hsm_key key;

    STEP(content_read(context->options.in, &content));
    STEP(begin(context, private_side, PURPOSE_ENCRYPT, &key, &mechanism));
    size_t nonce_len = mechanism_nonce_len(mechanism.type), len = content.len + 64;

    if (content.len < nonce_len)
        return usage("the input is shorter than the nonce that stands before a ciphertext");
    mechanism.nonce = nonce_len ? content.data : NULL;
    mechanism.nonce_len = nonce_len;
    out.data = malloc(len);
    if (!out.data)
        return usage("out of memory");
    out.len = len;
    CALL("decrypt", hsm_decrypt(context->session, key, &mechanism, content.data + nonce_len, content.len - nonce_len,
                                out.data, &len));
    return content_write(context->options.out, out.data, len, true);
}

/* --- wrapped keys --- */

static int begin_wrap(struct context *context, const uint32_t classes[2], hsm_key *key, hsm_mechanism *mechanism)
{
    uint32_t type;

    STEP(context_session(context));
    if (!context->options.wrapping_key)
        return usage("which key wraps? give --wrapping-key");
    STEP(key_resolve(context, context->options.wrapping_key, classes, 2, key));
    STEP(key_type_of(context, *key, &type));
    return mechanism_parse(context, type, PURPOSE_WRAP, mechanism);
}

int run_key_wrap(struct context *context)
{
    uint8_t wrapped[32768];
    hsm_mechanism mechanism;
    hsm_key wrapping_key, key;

    STEP(begin_wrap(context, public_side, &wrapping_key, &mechanism));
    STEP(key_resolve(context, context->arguments[0], private_side, 2, &key));
    size_t nonce_len = mechanism_nonce_len(mechanism.type), len = sizeof(wrapped) - nonce_len;

    STEP(choose_nonce(context, &mechanism, wrapped, nonce_len));
    CALL("key wrap", hsm_wrap(context->session, wrapping_key, &mechanism, key, wrapped + nonce_len, &len));
    return content_write(context->options.out, wrapped, nonce_len + len, false);
}

int run_key_unwrap(struct context *context)
{
    CLEANUP(content_release) struct content wrapped = {NULL, 0};
    CLEANUP(template_release) struct template template = {.n = 0};
    hsm_mechanism mechanism;
    hsm_key wrapping_key, key;
    uint32_t type;
    char text[2 * HSM_ID_LEN + 1];

    CALL("key type", hsm_key_type_by_name(
                         strcmp(context->arguments[0], "generic") ? context->arguments[0] : "generic-secret", &type));
    STEP(content_read(context->options.in, &wrapped));
    STEP(template_options(&template, context));
    STEP(template_bool(&template, HSM_ATTR_TOKEN, true));
    STEP(template_uint(&template, HSM_ATTR_KEY_TYPE, type));
    STEP(template_uint(&template, HSM_ATTR_CLASS,
                       type == HSM_KEY_TYPE_AES || type == HSM_KEY_TYPE_DES3 || type == HSM_KEY_TYPE_GENERIC_SECRET
                           ? HSM_CLASS_SECRET_KEY
                           : HSM_CLASS_PRIVATE_KEY));
    STEP(begin_wrap(context, private_side, &wrapping_key, &mechanism));
    size_t nonce_len = mechanism_nonce_len(mechanism.type);

    if (wrapped.len <= nonce_len)
        return usage("the input is no wrapped key");
    mechanism.nonce = nonce_len ? wrapped.data : NULL;
    mechanism.nonce_len = nonce_len;
    CALL("key unwrap", hsm_unwrap(context->session, wrapping_key, &mechanism, wrapped.data + nonce_len,
                                  wrapped.len - nonce_len, template.list, template.n, &key));
    hex_text(key.id, HSM_ID_LEN, text);
    if (context->json) {
        json_auto_t *made = json_pack("{s:s}", "unique_id", text);

        return output_object(context, made);
    }
    say(context, "Made the key %s.", text);
    return EXIT_OK;
}

/* --- random --- */

int run_random(struct context *context)
{
    CLEANUP(content_release) struct content out = {NULL, 0};
    char *end;
    unsigned long long n = strtoull(context->arguments[0], &end, 10);
    bool raw = context->options.format ? strcmp(context->options.format, "raw") == 0 : context->options.out != NULL;

    if (*end || n == 0 || n > (1ull << 30))
        return usage("random takes a number of bytes up to 1073741824, not %s", context->arguments[0]);
    out.data = malloc(n);
    if (!out.data)
        return usage("out of memory");
    out.len = n;
    STEP(context_session(context));
    CALL("random", hsm_random(context->session, out.data, n));
    if (raw)
        return content_write(context->options.out, out.data, n, true);
    for (size_t i = 0; i < n; i++)
        printf("%02x", out.data[i]);
    putchar('\n');
    return EXIT_OK;
}
