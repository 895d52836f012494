/* The life of a cluster and of its nodes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ca.h"
#include "command.h"
#include "recovery.h"

static int need_endpoint(struct context *context)
{
    if (!context->options.endpoint)
        return usage("which node? give --endpoint, such as ipc:///var/lib/hsmd/node.sock");
    return context_cluster(context);
}

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

static char *text_of(const struct content *content)
{
    return content->data ? strndup((const char *)content->data, content->len) : NULL;
}

static int read_text(const char *path, char **text)
{
    CLEANUP(content_release) struct content content = {NULL, 0};

    STEP(content_read(path, &content));
    *text = text_of(&content);
    return *text ? EXIT_OK : usage("%s is empty", path);
}

static int sign_here(struct context *context, const char *directory, char **certificate, char **ca)
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
    STEP(ca_sign_pem(directory, &request, true, 0, certificate));
    snprintf(path, sizeof(path), "%s/ca.pem", directory);
    return read_text(path, ca);
}

int run_cluster_initialize(struct context *context)
{
    const struct options *options = &context->options;
    char *certificate = NULL, *ca = NULL;
    int status;

    STEP(need_endpoint(context));
    if (options->self_signed) {
        STEP(ca_make_default(options->self_signed));
        status = sign_here(context, options->self_signed, &certificate, &ca);
    } else {
        if (!options->certificate || !options->ca)
            return usage("cluster initialize needs --certificate and --ca, or --self-signed");
        status = read_text(options->certificate, &certificate);
        if (status == EXIT_OK)
            status = read_text(options->ca, &ca);
    }
    if (status == EXIT_OK) {
        hsm_status result = hsm_cluster_initialize(context->cluster, certificate, ca);

        status = result == HSM_OK ? EXIT_OK : report("cluster initialize", result);
    }
    free(certificate);
    free(ca);
    if (status == EXIT_OK)
        say(context, "Initialized. Next: hsm cluster activate");
    return status;
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

static json_t *nodes_json(const hsm_cluster_info *info)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < info->n_nodes; i++) {
        const hsm_node_info *node = info->nodes[i];

        json_array_append_new(rows, json_pack("{s:s*, s:s*, s:s*, s:s*, s:o}", "name", node->name, "zone", node->zone,
                                              "address", node->address, "state", node->state, "id",
                                              json_hex(node->id, HSM_ID_LEN)));
    }
    return rows;
}

int run_cluster_describe(struct context *context)
{
    static const char *const columns[] = {"name", "zone", "address", "state", "id"};
    hsm_cluster_info *info = NULL;

    STEP(context_cluster(context));
    CALL("cluster describe", hsm_cluster_describe(context->cluster, &info));
    json_auto_t *cluster = json_pack("{s:s*, s:s*, s:o, s:I, s:I}", "name", info->name, "state", info->state, "id",
                                     json_hex(info->id, HSM_ID_LEN), "revision", (json_int_t)info->revision, "objects",
                                     (json_int_t)info->n_objects);
    json_auto_t *nodes = nodes_json(info);

    hsm_cluster_info_free(info);
    if (context->json) {
        json_object_set(cluster, "nodes", nodes);
        return output_object(context, cluster);
    }
    output_object(context, cluster);
    putchar('\n');
    return output_rows(context, nodes, columns, 5);
}

/* Every node is asked itself: only it knows how it is. */
static json_t *node_health(struct context *context, const hsm_node_info *node)
{
    hsm_node_description *description = NULL;
    hsm_status status = hsm_node_describe(context->cluster, node->address, &description);
    json_t *row = json_pack("{s:s*, s:s*, s:s*, s:s, s:I}", "name", node->name, "zone", node->zone, "address",
                            node->address, "health", status == HSM_OK ? description->state : "unreachable", "revision",
                            (json_int_t)(status == HSM_OK ? description->revision : 0));

    if (status == HSM_OK)
        hsm_node_description_free(description);
    return row;
}

int run_node_list(struct context *context)
{
    static const char *const columns[] = {"name", "zone", "address", "health", "revision"};
    hsm_cluster_info *info = NULL;
    json_auto_t *rows = json_array();

    STEP(context_cluster(context));
    CALL("node list", hsm_cluster_describe(context->cluster, &info));
    for (size_t i = 0; i < info->n_nodes; i++)
        json_array_append_new(rows, node_health(context, info->nodes[i]));
    hsm_cluster_info_free(info);
    return output_rows(context, rows, columns, 5);
}

int run_cluster_watch(struct context *context)
{
    double interval = context->options.interval > 0 ? context->options.interval : 2;

    for (;;) {
        if (!context->json && isatty(STDOUT_FILENO))
            printf("\x1b[H\x1b[2J");
        STEP(run_node_list(context));
        fflush(stdout);
        usleep((useconds_t)(interval * 1e6));
    }
}

static json_t *mechanisms_json(const hsm_node_description *description)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < description->n_mechanisms; i++) {
        const hsm_mechanism_info *mechanism = description->mechanisms[i];

        json_array_append_new(rows, json_pack("{s:s*, s:I, s:I}", "name", mechanism->name, "bits_min",
                                              (json_int_t)mechanism->key_bits_min, "bits_max",
                                              (json_int_t)mechanism->key_bits_max));
    }
    return rows;
}

int run_node_describe(struct context *context)
{
    static const char *const columns[] = {"name", "bits_min", "bits_max"};
    hsm_node_description *description = NULL;

    STEP(context_cluster(context));
    CALL("node describe",
         hsm_node_describe(context->cluster, context->n_arguments ? context->arguments[0] : NULL, &description));
    json_auto_t *node =
        json_pack("{s:s*, s:s*, s:s*, s:s*, s:o, s:o, s:I, s:I}", "name", description->name, "address",
                  description->address, "zone", description->zone, "state", description->state, "id",
                  json_hex(description->id, HSM_ID_LEN), "time", json_time(description->time_ms), "revision",
                  (json_int_t)description->revision, "objects", (json_int_t)description->n_objects);
    json_auto_t *mechanisms = mechanisms_json(description);

    for (size_t i = 0; i < description->n_facts; i++)
        json_object_set_new(node, description->facts[i]->name, json_string(description->facts[i]->value));
    hsm_node_description_free(description);
    if (context->json) {
        json_object_set(node, "mechanisms", mechanisms);
        return output_object(context, node);
    }
    output_object(context, node);
    putchar('\n');
    return output_rows(context, mechanisms, columns, 3);
}

/* Two connections: the node's own socket, and the cluster with an administrator's login. */
static int admit(struct context *context, hsm_cluster *node, const char *certificate, const char *ca)
{
    hsm_buffer handover = {0};

    STEP(context_session(context));
    CALL("node approve", hsm_node_approve(context->session, certificate, &handover));
    hsm_status status = hsm_node_admit(node, certificate, ca, (const uint8_t *)handover.data, handover.len);
    hsm_buffer_free(&handover);
    return status == HSM_OK ? EXIT_OK : report("node admit", status);
}

int run_node_join(struct context *context)
{
    const struct options *options = &context->options;
    char *certificate = NULL, *ca = NULL;
    int status;

    STEP(need_endpoint(context));
    hsm_cluster *node = context->cluster;

    if (options->directory) {
        status = sign_here(context, options->directory, &certificate, &ca);
    } else {
        if (!options->certificate || !options->ca)
            return usage("node join needs --directory of the CA, or --certificate and --ca");
        status = read_text(options->certificate, &certificate);
        if (status == EXIT_OK)
            status = read_text(options->ca, &ca);
    }
    context->cluster = NULL; /* the session opens the cluster itself */
    if (status == EXIT_OK)
        status = admit(context, node, certificate, ca);
    hsm_cluster_close(node);
    free(certificate);
    free(ca);
    if (status == EXIT_OK)
        say(context, "The node is a member.");
    return status;
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
    hsm_cluster_info *info = NULL;
    const char *wanted = context->arguments[0];
    uint8_t id[HSM_ID_LEN];
    bool found = false;

    STEP(confirm(context, "Take the node out of the cluster for good?"));
    STEP(context_session(context));
    CALL("node remove", hsm_cluster_describe(context->cluster, &info));
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
    CALL("node remove", hsm_node_remove(context->session, id));
    say(context, "Removed. Its certificate is refused from now on.");
    return EXIT_OK;
}
