/* The life of a cluster. */
#include <inttypes.h>
#include <stdio.h>
#include "ca.h"
#include "command.h"
#include "node_papers.h"
#include "recovery.h"

int run_cluster_create(struct context *context)
{
    hsm_buffer csr = {0};
    const char *name = context->options.name ? context->options.name : "cluster";

    STEP(need_endpoint(context));
    CALL("cluster create", hsm_cluster_create(context->cluster, name, &csr));
    int status = content_write(context->options.csr, csr.data, csr.len, false);

    hsm_buffer_free(&csr);
    if (status == EXIT_OK && context->options.csr)
        say(context, "Made the cluster. Have the owner's CA sign %s, then: hsm cluster initialize",
            context->options.csr);
    return status;
}

int run_cluster_initialize(struct context *context)
{
    const struct options *options = &context->options;
    CLEANUP(node_papers_release) struct node_papers papers = {NULL, NULL};

    STEP(need_endpoint(context));
    if (options->self_signed)
        STEP(ca_make_default(options->self_signed));
    STEP(node_papers_get(context, options->self_signed, &papers));
    CALL("cluster initialize", hsm_cluster_initialize(context->cluster, papers.certificate, papers.ca));
    say(context, "Initialized. Next: hsm cluster activate");
    return EXIT_OK;
}

int run_cluster_activate(struct context *context)
{
    CLEANUP(password_wipe) struct password password = {.len = 0};
    CLEANUP(recovery_wipe) struct recovery recovery = {.given = false};
    const struct options *options = &context->options;
    const char *file = options->new_password_file ? options->new_password_file : options->password_file;
    int fd = options->new_password_fd >= 0 ? options->new_password_fd : options->password_fd;

    if (!options->user)
        return usage("cluster activate needs --user: the first administrator's name");
    STEP(context_cluster(context));
    STEP(recovery_make(context, &recovery));
    STEP(password_get("Password of the first administrator: ", file, fd, true, &password));
    STEP(recovery_show(context, &recovery));
    CALL("cluster activate", hsm_cluster_activate_with_recovery(context->cluster, options->user, password.text,
                                                                password.len, recovery.given ? recovery.key : NULL));
    say(context, "Active. %s is its administrator; nobody can reset that password but another administrator.",
        options->user);
    return EXIT_OK;
}

int run_cluster_migrate_store(struct context *context)
{
    uint64_t n_records = 0;

    if (!context->options.to)
        return usage("cluster migrate-store needs --to: etcd, or sqlite:PATH");
    STEP(need_endpoint(context));
    CALL("cluster migrate-store", hsm_cluster_migrate_store(context->cluster, context->options.to, &n_records));
    say(context,
        "Moved %" PRIu64 " records, and checked the copy. Set `store` to %s in the configuration of every node, and "
        "restart them.",
        n_records, context->options.to);
    return EXIT_OK;
}
