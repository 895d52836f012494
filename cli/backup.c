/* Backups, and the cluster that is made of one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "command.h"
#include "progress.h"
#include "recovery.h"

static json_t *info_json(const hsm_backup_info *info)
{
    return json_pack("{s:s, s:o, s:I, s:I}", "name", info->name, "created", json_time(info->created_ms), "revision",
                     (json_int_t)info->revision, "records", (json_int_t)info->n_records);
}

int run_backup_create(struct context *context)
{
    hsm_backup_info info = {.size = sizeof(info)};

    STEP(context_session(context));
    struct progress *progress = progress_begin(context, "Backing up", NULL);
    hsm_status status = hsm_backup_create(context->session, &info);

    progress_end(progress);
    if (status != HSM_OK)
        return report("backup create", status);
    json_auto_t *object = info_json(&info);

    return output_object(context, object);
}

int run_backup_verify(struct context *context)
{
    hsm_backup_info info = {.size = sizeof(info)};

    STEP(context_session(context));
    struct progress *progress = progress_begin(context, "Verifying", NULL);
    hsm_status status = hsm_backup_verify(context->session, context->arguments[0], &info);

    progress_end(progress);
    if (status != HSM_OK)
        return report("backup verify", status);
    json_auto_t *object = info_json(&info);

    say(context, "The backup is whole.");
    return output_object(context, object);
}

int run_backup_list(struct context *context)
{
    static const char *const columns[] = {"name", "created", "revision", "bytes"};
    hsm_backup_list *list = NULL;
    json_auto_t *rows = json_array();

    STEP(context_session(context));
    CALL("backup list", hsm_backup_list_all(context->session, &list));
    for (size_t i = 0; i < list->n_backups; i++) {
        const hsm_backup_info *info = list->backups[i];

        json_array_append_new(rows, json_pack("{s:s, s:o, s:I, s:I}", "name", info->name, "created",
                                              json_time(info->created_ms), "revision", (json_int_t)info->revision,
                                              "bytes", (json_int_t)info->n_bytes));
    }
    hsm_backup_list_free(list);
    return output_rows(context, rows, columns, 4);
}

int run_backup_delete(struct context *context)
{
    STEP(confirm(context, "Delete the backup for good?"));
    STEP(context_session(context));
    CALL("backup delete", hsm_backup_delete(context->session, context->arguments[0]));
    return EXIT_OK;
}

int run_cluster_restore(struct context *context)
{
    CLEANUP(recovery_wipe) struct recovery recovery = {.given = false};
    const struct options *options = &context->options;
    hsm_backup_info info = {.size = sizeof(info)};
    hsm_buffer csr = {0};

    if (!options->endpoint)
        return usage("which node? give --endpoint, such as ipc:///var/lib/hsmd/node.sock");
    STEP(context_cluster(context));
    STEP(recovery_read(context, &recovery));
    struct progress *progress = progress_begin(context, "Restoring", options->endpoint);
    hsm_status status =
        hsm_cluster_restore(context->cluster, options->backup, options->from, recovery.key, &info, &csr);

    progress_end(progress);
    if (status != HSM_OK)
        return report("cluster restore", status);
    int written = options->csr ? content_write(options->csr, csr.data, csr.len, false) : EXIT_OK;

    hsm_buffer_free(&csr);
    STEP(written);
    json_auto_t *object = info_json(&info);

    STEP(output_object(context, object));
    say(context, "Restored into a new cluster. Next: hsm cluster initialize; then users log in as before.");
    return EXIT_OK;
}
