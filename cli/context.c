/* The cluster and the login that a command works with, and how its failures are told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"

#define IMPATIENT_MS   2000
#define IMPATIENT_TEXT "2000"

static int exit_status_of(hsm_status status)
{
    switch (status) {
    case HSM_OBJECT_NOT_FOUND:
    case HSM_USER_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case HSM_NOT_LOGGED_IN:
    case HSM_TICKET_EXPIRED:
    case HSM_LOGIN_FAILED:
    case HSM_USER_LOCKED:
    case HSM_NOT_PERMITTED:
    case HSM_QUORUM_NEEDED:
    case HSM_SECOND_FACTOR_NEEDED:
    case HSM_KEY_FUNCTION_NOT_PERMITTED:
        return EXIT_NOT_ALLOWED;
    case HSM_UNAVAILABLE:
    case HSM_TLS_ERROR:
        return EXIT_UNAVAILABLE;
    case HSM_SIGNATURE_INVALID:
    case HSM_CIPHERTEXT_INVALID:
    case HSM_WRAPPED_KEY_INVALID:
        return EXIT_INVALID;
    default:
        return EXIT_FAILED;
    }
}

int report(const char *what, hsm_status status)
{
    const hsm_error *error = hsm_last_error();

    fprintf(stderr, "hsm: %s: %s", what, hsm_status_text(status));
    if (error->status == status && error->detail[0])
        fprintf(stderr, ": %s", error->detail);
    if (error->status == status && error->node[0])
        fprintf(stderr, " (node %s)", error->node);
    fputc('\n', stderr);
    return exit_status_of(status);
}

static int load_config(struct context *context)
{
    if (context->config)
        return EXIT_OK;
    CALL("configuration", hsm_config_load(context->options.config, &context->config));
    if (context->options.user)
        CALL("configuration", hsm_config_set(context->config, "user", context->options.user));
    if (context->options.password_file)
        CALL("configuration", hsm_config_set(context->config, "password-file", context->options.password_file));
    return EXIT_OK;
}

int context_cluster_impatient(struct context *context)
{
    char text[24] = "";
    size_t len = sizeof(text);

    STEP(load_config(context));
    if (hsm_config_get(context->config, "timeout-ms", text, &len) != HSM_OK || strtol(text, NULL, 10) > IMPATIENT_MS)
        CALL("configuration", hsm_config_set(context->config, "timeout-ms", IMPATIENT_TEXT));
    return context_cluster(context);
}

int context_cluster(struct context *context)
{
    if (context->cluster)
        return EXIT_OK;
    STEP(load_config(context));
    if (context->options.endpoint)
        CALL("opening the endpoint",
             hsm_cluster_open_endpoint(context->options.endpoint, context->config, &context->cluster));
    else
        CALL("opening the cluster", hsm_cluster_open(context->config, &context->cluster));
    return EXIT_OK;
}

/* With the password, and the challenge signed by the key in --second-factor. */
static int log_in_signed(struct context *context, const char *user, const struct password *password)
{
    hsm_buffer text = {0}, state = {0};
    uint8_t signature[SIGNATURE_MAX];
    size_t signature_len = sizeof(signature);

    CALL("login", hsm_login_challenge(context->cluster, user, &text, &state));
    int result = sign_with_file(context->options.second_factor, text.data, text.len, signature, &signature_len);
    hsm_status status = result == EXIT_OK ? hsm_login_signed(context->session, user, password->text, password->len,
                                                             state.data, state.len, signature, signature_len)
                                          : HSM_OK;

    hsm_buffer_free(&text);
    hsm_buffer_free(&state);
    return status == HSM_OK ? result : report("login", status);
}

static int log_in(struct context *context)
{
    CLEANUP(password_wipe) struct password password = {.len = 0};
    const char *file = context->options.second_factor ? context->options.password_file : NULL;
    char user[HSM_USER_NAME_MAX + 1] = "", prompt[64];
    size_t len = sizeof(user);

    hsm_status status = context->options.second_factor ? HSM_CONFIG_INVALID : hsm_login_default(context->session);
    if (status != HSM_CONFIG_INVALID || context->options.password_fd >= 0) {
        if (context->options.password_fd < 0)
            return status == HSM_OK ? EXIT_OK : report("login", status);
    }
    if (hsm_config_get(context->config, "user", user, &len) != HSM_OK || !user[0])
        return usage("who logs in? give --user, or the setting user");
    snprintf(prompt, sizeof(prompt), "Password of %s: ", user);
    STEP(password_get(prompt, file, context->options.password_fd, false, &password));
    if (context->options.second_factor)
        return log_in_signed(context, user, &password);
    CALL("login", hsm_login(context->session, user, password.text, password.len));
    return EXIT_OK;
}

int context_session(struct context *context)
{
    /* Other commands log in over the configuration's nodes even when --endpoint names the node that they act on. */
    char *endpoint = context->options.endpoint;
    uint8_t token[HSM_ID_LEN];

    if (context->session)
        return EXIT_OK;
    context->options.endpoint = NULL;
    int status = context_cluster(context);
    context->options.endpoint = endpoint;
    STEP(status);
    CALL("session", hsm_session_open(context->cluster, &context->session));
    if (context->options.approval) {
        STEP(token_parse(context->options.approval, token));
        CALL("session", hsm_session_set_quorum_token(context->session, token));
    }
    return log_in(context);
}

void context_close(struct context *context)
{
    hsm_session_close(context->session);
    hsm_cluster_close(context->cluster);
    hsm_config_free(context->config);
    context->session = NULL;
    context->cluster = NULL;
    context->config = NULL;
}
