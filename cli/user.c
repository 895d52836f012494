/* Users. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "command.h"

static int new_password(const struct context *context, const char *name, struct password *password)
{
    char prompt[80];

    snprintf(prompt, sizeof(prompt), "New password of %s: ", name);
    return password_get(prompt, context->options.new_password_file, context->options.new_password_fd, true, password);
}

int run_user_create(struct context *context)
{
    CLEANUP(password_wipe) struct password password = {.len = 0};
    uint32_t role;

    if (!context->options.role)
        return usage("--role is admin, crypto-user or auditor");
    CALL("role", hsm_role_by_name(context->options.role, &role));
    STEP(context_session(context));
    STEP(new_password(context, context->arguments[0], &password));
    CALL("user create", hsm_user_create(context->session, context->arguments[0], password.text, password.len, role));
    say(context, "Made the user %s.", context->arguments[0]);
    return EXIT_OK;
}

int run_user_delete(struct context *context)
{
    STEP(confirm(context, "Delete the user %s?", context->arguments[0]));
    STEP(context_session(context));
    CALL("user delete", hsm_user_delete(context->session, context->arguments[0]));
    say(context, "Deleted the user %s.", context->arguments[0]);
    return EXIT_OK;
}

int run_user_list(struct context *context)
{
    static const char *const columns[] = {"name", "role", "state", "created"};
    hsm_user_list *list = NULL;
    json_auto_t *rows = json_array();

    STEP(context_cluster(context));
    CALL("user list", hsm_user_list_all(context->cluster, &list));
    for (size_t i = 0; i < list->n_users; i++) {
        const hsm_user_info *user = list->users[i];

        json_array_append_new(rows,
                              json_pack("{s:s, s:s*, s:s*, s:o}", "name", user->name, "role", hsm_role_name(user->role),
                                        "state", user->state, "created", json_time(user->created_ms)));
    }
    hsm_user_list_free(list);
    return output_rows(context, rows, columns, 4);
}

int run_user_password(struct context *context)
{
    CLEANUP(password_wipe) struct password old = {.len = 0}, fresh = {.len = 0};
    char own[HSM_USER_NAME_MAX + 1] = "";
    size_t len = sizeof(own);

    STEP(context_session(context));
    hsm_config_get(context->config, "user", own, &len);
    const char *name = context->n_arguments ? context->arguments[0] : own;
    bool is_own = strcmp(name, own) == 0;

    if (is_own)
        STEP(password_get("Old password: ", context->options.password_file, context->options.password_fd, false, &old));
    STEP(new_password(context, name, &fresh));
    CALL("user password",
         hsm_user_change_password(context->session, name, is_own ? old.text : NULL, old.len, fresh.text, fresh.len));
    say(context, "Changed the password of %s.", name);
    return EXIT_OK;
}
