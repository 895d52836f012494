/* Replacing the masking key, and how far that is. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include "command.h"
#include "progress.h"

#define DEFAULT_GRACE_S 86400
#define ASK_EVERY_US    200000

static bool is_under_way(const hsm_masking_key_info *info)
{
    return strcmp(info->phase, "sealing") == 0 || strcmp(info->phase, "checking") == 0;
}

static json_t *info_json(const hsm_masking_key_info *info)
{
    json_t *object =
        json_pack("{s:I, s:s, s:I, s:I}", "generation", (json_int_t)info->generation, "replacement", info->phase,
                  "records_done", (json_int_t)info->n_done, "records_total", (json_int_t)info->n_total);

    if (info->n_damaged)
        json_object_set_new(object, "damaged_records", json_integer((json_int_t)info->n_damaged));
    if (is_under_way(info))
        json_object_set_new(object, "worker", json_hex(info->worker_id, HSM_ID_LEN));
    if (info->retire_ms)
        json_object_set_new(object, "older_keys_until", json_time(info->retire_ms));
    return object;
}

int run_cluster_masking_key(struct context *context)
{
    hsm_masking_key_info info = {.size = sizeof(info)};

    STEP(context_cluster(context));
    CALL("cluster masking-key", hsm_cluster_masking_key(context->cluster, &info));
    json_auto_t *object = info_json(&info);

    return output_object(context, object);
}

static bool is_held_up(const hsm_masking_key_info *info)
{
    return strcmp(info->phase, "checking") == 0 && info->n_done == info->n_total && info->n_damaged;
}

/* The cluster goes on by itself when nobody waits for it any more. */
static hsm_status wait_for_it(struct context *context, hsm_masking_key_info *info)
{
    bool draws = progress_wanted(context);
    hsm_status status;

    while ((status = hsm_cluster_masking_key(context->cluster, info)) == HSM_OK && is_under_way(info) &&
           !is_held_up(info)) {
        if (draws)
            progress_draw("Sealing anew", info->n_done, info->n_total);
        usleep(ASK_EVERY_US);
    }
    if (draws)
        progress_clear();
    return status;
}

int run_cluster_rotate_key(struct context *context)
{
    hsm_masking_key_info info = {.size = sizeof(info)};
    const struct options *options = &context->options;
    uint32_t grace_s = options->grace >= 0 ? (uint32_t)options->grace : DEFAULT_GRACE_S;

    STEP(context_session(context));
    CALL("cluster rotate-key", hsm_cluster_rotate_key(context->session, grace_s, NULL));
    if (options->background) {
        CALL("cluster rotate-key", hsm_cluster_masking_key(context->cluster, &info));
    } else {
        CALL("cluster rotate-key", wait_for_it(context, &info));
        if (is_held_up(&info))
            return usage("%" PRIu64
                         " damaged records hold the replacement up; the nodes' logs name them. Until they are "
                         "restored, or given up (hsm cluster give-up-damaged), the key before stays in use as well",
                         info.n_damaged),
                   EXIT_FAILED;
        say(context,
            "The masking key was replaced. Make a backup now: older ones open with the recovery key as before, "
            "older snapshots of etcd are of no use once the key before is forgotten.");
    }
    json_auto_t *object = info_json(&info);

    return output_object(context, object);
}

int run_cluster_give_up_damaged(struct context *context)
{
    hsm_masking_key_info info = {.size = sizeof(info)};

    STEP(context_session(context));
    CALL("cluster give-up-damaged", hsm_cluster_masking_key(context->cluster, &info));
    if (info.n_damaged == 0)
        return usage("no damaged records hold a replacement of the masking key up"), EXIT_FAILED;
    STEP(confirm(context, "Give %" PRIu64 " damaged records up for good?", info.n_damaged));
    CALL("cluster give-up-damaged", hsm_cluster_give_up_damaged(context->session, info.n_damaged));
    return EXIT_OK;
}
