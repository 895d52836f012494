/* Where the node can be reached: the URLs that its listeners bound, the address that clients are told, and ready.json
 * in the state folder, from which tests and scripts learn ports that were picked at start. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include "identity/member.h"
#include "identity/presence.h"
#include "identity/state_file.h"
#include "node.h"

#define READY_FILE "ready.json"

void node_listening(struct node *node, const char *bound_url)
{
    pthread_mutex_lock(&node->lock);
    if (node->n_bound_urls < sizeof node->bound_urls / sizeof node->bound_urls[0])
        snprintf(node->bound_urls[node->n_bound_urls++], sizeof node->bound_urls[0], "%s", bound_url);
    pthread_mutex_unlock(&node->lock);
}

void node_address(struct node *node, char address[256])
{
    pthread_mutex_lock(&node->lock);
    const char *bound = node->n_bound_urls ? node->bound_urls[0] : "";
    snprintf(address, 256, "%s", node->config.advertise[0] ? node->config.advertise : bound);
    pthread_mutex_unlock(&node->lock);
}

/** JSON string; names and URLs hold no control characters (the configuration refuses them). */
static void put_string(struct bytes *out, const char *text)
{
    bytes_append(out, "\"", 1);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            bytes_append(out, "\\", 1);
        bytes_append(out, text, 1);
    }
    bytes_append(out, "\"", 1);
}

static void put_member(struct bytes *out, const char *name, const char *text)
{
    bytes_append(out, out->len ? ",\n " : "{", out->len ? 3 : 1);
    put_string(out, name);
    bytes_append(out, ": ", 2);
    if (text)
        put_string(out, text);
}

static void put_number(struct bytes *out, const char *name, long long number)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", number);
    put_member(out, name, NULL);
    bytes_append(out, digits, (size_t)len);
}

static void put_urls(struct node *node, struct bytes *out)
{
    put_member(out, "listen", NULL);
    bytes_append(out, "[", 1);
    for (unsigned i = 0; i < node->n_bound_urls; i++) {
        bytes_append(out, ", ", i ? 2 : 0);
        put_string(out, node->bound_urls[i]);
    }
    bytes_append(out, "]", 1);
}

status_code node_write_ready(struct node *node)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;
    char metrics[320], id[2 * ID_LEN + 1];
    const char *colon = strrchr(node->config.metrics, ':');

    hex_encode(slice_of(identity_node_id(node->identity), ID_LEN), id);
    snprintf(metrics, sizeof metrics, "http://%.*s:%u/metrics", colon ? (int)(colon - node->config.metrics) : 0,
             node->config.metrics, node->metrics_port);
    pthread_mutex_lock(&node->lock);
    put_member(&text, "name", node->config.name);
    put_member(&text, "node", id);
    put_member(&text, "state", node_state_name(atomic_load(&node->state)));
    put_number(&text, "pid", (long long)getpid());
    put_urls(node, &text);
    if (node->metrics_port) {
        put_number(&text, "metrics_port", node->metrics_port);
        put_member(&text, "metrics", metrics);
    }
    bytes_append(&text, "}\n", 2);
    status_code code = bytes_ok(&text);
    if (code == STATUS_OK)
        code = state_file_write(identity_folder(node->identity), READY_FILE, bytes_slice(&text));
    pthread_mutex_unlock(&node->lock);
    return code;
}

status_code node_announce(struct node *node)
{
    status_code code = members_put_own(node);

    /* Existing keys are served all the same; the other nodes go on naming the address that they know. It is announced
     * when the store is back (rotation_worker.c confirms what the member record says). */
    if (code == STATUS_STORE_UNAVAILABLE)
        log_event(LOG_LEVEL_WARNING, "address not announced yet", "detail", failure_detail(), NULL);
    else
        TRY(code);
    atomic_store(&node->announced, true);
    presence_tell(node);
    TRY(node_members_changed(node));
    return node_write_ready(node);
}
