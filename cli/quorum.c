/* Quorum: tokens, their approval, and the policy. */
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"

/* --- signing here --- */

static void key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static int read_key(const char *path, EVP_PKEY **key)
{
    FILE *file = fopen(path, "r");

    *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (file)
        fclose(file);
    ERR_clear_error();
    return *key ? EXIT_OK : usage("%s is no private key (PEM) that can be read", path);
}

static int sign(EVP_PKEY *key, const void *text, size_t text_len, uint8_t *signature, size_t *signature_len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
                EVP_DigestSign(context, signature, signature_len, text, text_len) == 1;

    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return done ? EXIT_OK : usage("this key does not sign with SHA-256");
}

int sign_with_file(const char *path, const void *text, size_t text_len, uint8_t *signature, size_t *signature_len)
{
    CLEANUP(key_free) EVP_PKEY *key = NULL;

    STEP(read_key(path, &key));
    return sign(key, text, text_len, signature, signature_len);
}

int run_quorum_sign(struct context *context)
{
    CLEANUP(content_release) struct content text = {NULL, 0};
    const struct options *options = &context->options;
    uint8_t signature[SIGNATURE_MAX];
    size_t signature_len = sizeof(signature);

    if (!options->key || !options->in)
        return usage("quorum sign needs --key, the file of the private key, and --in, the token's text");
    STEP(content_read(options->in, &text));
    say(context, "You approve:\n%.*s", (int)text.len, (const char *)text.data);
    STEP(confirm(context, "Sign it?"));
    STEP(sign_with_file(options->key, text.data, text.len, signature, &signature_len));
    return content_write(options->out, signature, signature_len, false);
}

int run_user_signer(struct context *context)
{
    CLEANUP(key_free) EVP_PKEY *key = NULL;
    const struct options *options = &context->options;
    const char *user = context->arguments[0];
    unsigned char *public_key = NULL;
    uint8_t signature[SIGNATURE_MAX];
    size_t signature_len = sizeof(signature);
    hsm_buffer text = {0};

    STEP(context_session(context));
    if (options->undo) {
        CALL("user signer", hsm_user_set_signer(context->session, user, NULL, 0, NULL, 0, 0));
        return EXIT_OK;
    }
    if (!options->key)
        return usage("user signer needs --key, the file of the private key; or --undo");
    STEP(read_key(options->key, &key));
    int len = i2d_PUBKEY(key, &public_key);
    hsm_status status =
        len > 0 ? hsm_user_signer_text(context->cluster, user, public_key, (size_t)len, &text) : HSM_INVALID_ARGUMENT;
    int result =
        status == HSM_OK ? sign(key, text.data, text.len, signature, &signature_len) : report("user signer", status);

    if (result == EXIT_OK) {
        status = hsm_user_set_signer(context->session, user, public_key, (size_t)len, signature, signature_len,
                                     options->for_logins ? HSM_SIGNER_SECOND_FACTOR : 0);
        result = status == HSM_OK ? EXIT_OK : report("user signer", status);
    }
    hsm_buffer_free(&text);
    OPENSSL_free(public_key);
    return result;
}

/* --- tokens --- */

int token_parse(const char *text, uint8_t id[HSM_ID_LEN])
{
    size_t len = 0;

    if (strlen(text) == 2 * (size_t)HSM_ID_LEN && OPENSSL_hexstr2buf_ex(id, HSM_ID_LEN, &len, text, '\0') == 1)
        return EXIT_OK;
    ERR_clear_error();
    return usage("%s is no quorum token: it has %d hexadecimal digits", text, 2 * HSM_ID_LEN);
}

int run_quorum_request(struct context *context)
{
    static const uint32_t classes[] = {HSM_CLASS_PRIVATE_KEY, HSM_CLASS_SECRET_KEY};
    const struct options *options = &context->options;
    const char *service = context->arguments[0];
    uint8_t id[HSM_ID_LEN];
    hsm_buffer text = {0};
    hsm_key key;

    STEP(context_session(context));
    if (options->key)
        STEP(key_resolve(context, options->key, classes, 2, &key));
    CALL("quorum request", hsm_quorum_request(context->session, service, options->key ? &key : NULL,
                                              options->uses ? (uint32_t)options->uses : 1, id, &text));
    int status = options->out ? content_write(options->out, text.data, text.len, false) : EXIT_OK;

    if (status == EXIT_OK) {
        json_auto_t *object = json_pack("{s:o, s:s%}", "token", json_hex(id, HSM_ID_LEN), "text", text.data, text.len);
        status = output_object(context, object);
    }
    hsm_buffer_free(&text);
    return status;
}

int run_quorum_approve(struct context *context)
{
    CLEANUP(content_release) struct content signature = {NULL, 0};
    const struct options *options = &context->options;
    const char *signer = context->n_arguments > 1 ? context->arguments[1] : options->user;
    uint32_t n_approvals, n_needed;
    uint8_t id[HSM_ID_LEN];

    if (!options->signature || !signer)
        return usage("quorum approve needs --signature, and the signer's name");
    STEP(token_parse(context->arguments[0], id));
    STEP(content_read(options->signature, &signature));
    STEP(context_session(context));
    CALL("quorum approve",
         hsm_quorum_approve(context->session, id, signer, signature.data, signature.len, &n_approvals, &n_needed));
    json_auto_t *object = json_pack("{s:i, s:i}", "approvals", (int)n_approvals, "needed", (int)n_needed);

    return output_object(context, object);
}

int run_quorum_cancel(struct context *context)
{
    uint8_t id[HSM_ID_LEN];

    STEP(token_parse(context->arguments[0], id));
    STEP(context_session(context));
    CALL("quorum cancel", hsm_quorum_cancel(context->session, id));
    return EXIT_OK;
}

static json_t *tokens_json(const hsm_quorum_list *list)
{
    static const uint8_t none[HSM_ID_LEN];
    json_t *rows = json_array();

    for (size_t i = 0; i < list->n_tokens; i++) {
        const hsm_quorum_token *token = list->tokens[i];
        json_t *key = memcmp(token->key, none, HSM_ID_LEN) == 0 ? json_string("") : json_hex(token->key, HSM_ID_LEN);

        json_array_append_new(rows,
                              json_pack("{s:o, s:s, s:o, s:s, s:I, s:s, s:o}", "token", json_hex(token->id, HSM_ID_LEN),
                                        "service", token->service, "key", key, "requester", token->requester,
                                        "uses_left", (json_int_t)token->n_uses_left, "approvers", token->approvers,
                                        "expires", json_time(token->expires_ms)));
    }
    return rows;
}

int run_quorum_list(struct context *context)
{
    static const char *const token_columns[] = {"token",     "service",   "key",    "requester",
                                                "uses_left", "approvers", "expires"};
    static const char *const policy_columns[] = {"service", "needed", "signers"};
    hsm_quorum_list *list = NULL;
    json_auto_t *policies = json_array();

    STEP(context_session(context));
    CALL("quorum list", hsm_quorum_list_all(context->session, &list));
    json_auto_t *tokens = tokens_json(list);

    for (size_t i = 0; i < list->n_policies; i++)
        json_array_append_new(policies,
                              json_pack("{s:s, s:i, s:i}", "service", list->policies[i]->service, "needed",
                                        (int)list->policies[i]->m, "signers", (int)list->policies[i]->n_signers));
    hsm_quorum_list_free(list);
    if (context->json) {
        json_auto_t *object = json_pack("{s:O, s:O}", "policies", policies, "tokens", tokens);
        return output_object(context, object);
    }
    STEP(output_rows(context, policies, policy_columns, 3));
    putchar('\n');
    return output_rows(context, tokens, token_columns, 7);
}

int run_quorum_set(struct context *context)
{
    char *end = NULL;
    unsigned long m = strtoul(context->arguments[1], &end, 10);

    if (*end || m > HSM_QUORUM_MAX)
        return usage("a quorum is a number from 0 to %d, not %s", HSM_QUORUM_MAX, context->arguments[1]);
    STEP(context_session(context));
    CALL("quorum set", hsm_quorum_set(context->session, context->arguments[0], (uint32_t)m));
    return EXIT_OK;
}
