/* The life of nodes. */
#include <stdio.h>
#include <string.h>
#include "command.h"
#include "node_papers.h"

int run_node_csr(struct context *context)
{
    hsm_buffer csr = {0};

    STEP(need_endpoint(context));
    CALL("node csr", hsm_node_csr(context->cluster, &csr, NULL));
    int status = content_write(context->options.csr, csr.data, csr.len, false);

    hsm_buffer_free(&csr);
    return status;
}

/* Two connections: the node's own socket, and the cluster with an administrator's login. */
static hsm_status admit(struct context *context, hsm_cluster *node, const struct node_papers *papers)
{
    hsm_buffer handover = {0};
    hsm_status status = hsm_node_approve(context->session, papers->certificate, &handover);

    if (status == HSM_OK)
        status = hsm_node_admit(node, papers->certificate, papers->ca, (const uint8_t *)handover.data, handover.len);
    hsm_buffer_free(&handover);
    return status;
}

struct joining {
    hsm_cluster *node; /* its own socket */
    struct node_papers papers;
};

static void joining_release(struct joining *joining)
{
    hsm_cluster_close(joining->node);
    node_papers_release(&joining->papers);
}

/* Up to where an administrator is needed. */
static int prepare_joining(struct context *context, struct joining *joining)
{
    STEP(need_endpoint(context));
    STEP(node_papers_get(context, context->options.directory, &joining->papers));
    joining->node = context->cluster;
    context->cluster = NULL; /* the session opens the cluster itself */
    return context_session(context);
}

int run_node_join(struct context *context)
{
    CLEANUP(joining_release) struct joining joining = {NULL, {NULL, NULL}};

    STEP(prepare_joining(context, &joining));
    CALL("node join", admit(context, joining.node, &joining.papers));
    say(context, "The node is a member.");
    return EXIT_OK;
}

static int find_node(struct context *context, const char *wanted, uint8_t id[HSM_ID_LEN])
{
    hsm_cluster_info *info = NULL;
    bool found = false;

    CALL("cluster describe", hsm_cluster_describe(context->cluster, &info));
    for (size_t i = 0; i < info->n_nodes; i++) {
        char hex[2 * HSM_ID_LEN + 1];

        hex_text(info->nodes[i]->id, HSM_ID_LEN, hex);
        if (strcmp(wanted, hex) && strcmp(wanted, info->nodes[i]->name ? info->nodes[i]->name : ""))
            continue;
        memcpy(id, info->nodes[i]->id, HSM_ID_LEN);
        found = true;
    }
    hsm_cluster_info_free(info);
    if (!found)
        return usage("the cluster has no node %s", wanted), EXIT_NOT_FOUND;
    return EXIT_OK;
}

/* The new one comes first, so that the cluster never has fewer nodes; except where it has as many as it can have. */
int run_node_replace(struct context *context)
{
    CLEANUP(joining_release) struct joining joining = {NULL, {NULL, NULL}};
    uint8_t id[HSM_ID_LEN];

    STEP(confirm(context, "Take the old node out of the cluster for good?"));
    STEP(prepare_joining(context, &joining));
    STEP(find_node(context, context->arguments[0], id));
    hsm_status status = admit(context, joining.node, &joining.papers);
    bool full = status == HSM_QUOTA_EXCEEDED;

    if (status != HSM_OK && !full)
        return report("node replace", status);
    CALL("node replace", hsm_node_remove(context->session, id));
    if (full)
        CALL("node replace", admit(context, joining.node, &joining.papers));
    say(context,
        "The node is a member, and %s is one no longer. If somebody may have its state folder: hsm cluster "
        "rotate-key --grace 0",
        context->arguments[0]);
    return EXIT_OK;
}

int run_node_renew(struct context *context)
{
    CLEANUP(node_papers_release) struct node_papers papers = {NULL, NULL};

    STEP(need_endpoint(context));
    STEP(node_papers_get(context, context->options.directory, &papers));
    CALL("node renew", hsm_node_renew(context->cluster, papers.certificate));
    say(context, "The node uses its new certificate from the next connection on.");
    return EXIT_OK;
}

int run_node_drain(struct context *context)
{
    STEP(need_endpoint(context));
    CALL("node drain", hsm_node_drain(context->cluster, !context->options.undo));
    say(context, context->options.undo ? "The node serves again." : "The node takes no new requests.");
    return EXIT_OK;
}

int run_node_remove(struct context *context)
{
    uint8_t id[HSM_ID_LEN];

    STEP(confirm(context, "Take the node out of the cluster for good?"));
    STEP(context_session(context));
    STEP(find_node(context, context->arguments[0], id));
    CALL("node remove", hsm_node_remove(context->session, id));
    say(context, "Removed. Its certificate is refused from now on. If somebody may have its state folder: hsm cluster "
                 "rotate-key --grace 0");
    return EXIT_OK;
}
