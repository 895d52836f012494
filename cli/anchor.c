/* CAs that clients may have certificates of, besides the cluster's own. */
#include <stdlib.h>
#include <string.h>
#include "command.h"

int run_trust_anchor_add(struct context *context)
{
    CLEANUP(content_release) struct content content = {NULL, 0};
    uint8_t hash[HSM_CERTIFICATE_HASH_LEN];

    STEP(content_read(context->arguments[0], &content));
    char *pem = content.data ? strndup((const char *)content.data, content.len) : NULL;

    if (!pem)
        return usage("%s is empty", context->arguments[0]);
    int status = context_session(context);
    hsm_status added = status == EXIT_OK ? hsm_trust_anchor_add(context->session, pem, hash) : HSM_OK;

    free(pem);
    STEP(status);
    CALL("trust-anchor add", added);
    json_auto_t *object = json_pack("{s:o}", "id", json_hex(hash, sizeof(hash)));

    return output_object(context, object);
}

int run_trust_anchor_list(struct context *context)
{
    static const char *const columns[] = {"name", "until", "id"};
    hsm_trust_anchor_list *list = NULL;
    json_auto_t *rows = json_array();

    STEP(context_cluster(context));
    CALL("trust-anchor list", hsm_trust_anchor_list_all(context->cluster, &list));
    for (size_t i = 0; i < list->n_anchors; i++)
        json_array_append_new(rows, json_pack("{s:s, s:o, s:o}", "name", list->anchors[i]->name, "until",
                                              json_time(list->anchors[i]->until_ms), "id",
                                              json_hex(list->anchors[i]->hash, HSM_CERTIFICATE_HASH_LEN)));
    hsm_trust_anchor_list_free(list);
    return output_rows(context, rows, columns, 3);
}

/* By the first digits of its id, or all. */
static int find(struct context *context, const char *wanted, uint8_t hash[HSM_CERTIFICATE_HASH_LEN])
{
    hsm_trust_anchor_list *list = NULL;
    unsigned n_found = 0;

    CALL("trust-anchor list", hsm_trust_anchor_list_all(context->cluster, &list));
    for (size_t i = 0; i < list->n_anchors; i++) {
        char hex[2 * HSM_CERTIFICATE_HASH_LEN + 1];

        hex_text(list->anchors[i]->hash, HSM_CERTIFICATE_HASH_LEN, hex);
        if (strncmp(hex, wanted, strlen(wanted)) != 0)
            continue;
        memcpy(hash, list->anchors[i]->hash, HSM_CERTIFICATE_HASH_LEN);
        n_found++;
    }
    hsm_trust_anchor_list_free(list);
    if (n_found == 1)
        return EXIT_OK;
    return usage("%s trust anchor has an id that begins with %s", n_found ? "more than one" : "no", wanted),
           EXIT_NOT_FOUND;
}

int run_trust_anchor_remove(struct context *context)
{
    uint8_t hash[HSM_CERTIFICATE_HASH_LEN];

    STEP(confirm(context, "Let no client of this CA in any more?"));
    STEP(context_session(context));
    STEP(find(context, context->arguments[0], hash));
    CALL("trust-anchor remove", hsm_trust_anchor_remove(context->session, hash));
    return EXIT_OK;
}
