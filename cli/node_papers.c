/* See node_papers.h. */
#include "node_papers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ca.h"

int need_endpoint(struct context *context)
{
    if (!context->options.endpoint)
        return usage("which node? give --endpoint, such as ipc:///var/lib/hsmd/node.sock");
    return context_cluster(context);
}

void node_papers_release(struct node_papers *papers)
{
    free(papers->certificate);
    free(papers->ca);
}

static int read_text(const char *path, char **text)
{
    CLEANUP(content_release) struct content content = {NULL, 0};

    STEP(content_read(path, &content));
    *text = content.data ? strndup((const char *)content.data, content.len) : NULL;
    return *text ? EXIT_OK : usage("%s is empty", path);
}

static int sign_here(struct context *context, const char *directory, struct node_papers *papers)
{
    CLEANUP(content_release) struct content request = {NULL, 0};
    hsm_buffer csr = {0}, state = {0};
    char path[1100];

    CALL("node request", hsm_node_csr(context->cluster, &csr, &state));
    request.data = malloc(csr.len);
    if (request.data)
        memcpy(request.data, csr.data, csr.len);
    request.len = request.data ? csr.len : 0;
    hsm_buffer_free(&csr);
    hsm_buffer_free(&state);
    STEP(ca_sign_pem(directory, &request, true, context->options.days, &papers->certificate));
    snprintf(path, sizeof(path), "%s/ca.pem", directory);
    return read_text(path, &papers->ca);
}

int node_papers_get(struct context *context, const char *directory, struct node_papers *papers)
{
    const struct options *options = &context->options;

    if (directory)
        return sign_here(context, directory, papers);
    if (!options->certificate || !options->ca)
        return usage("give the CA's folder, or --certificate and --ca");
    STEP(read_text(options->certificate, &papers->certificate));
    return read_text(options->ca, &papers->ca);
}
