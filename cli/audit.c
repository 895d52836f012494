/* The audit log: shown, and checked for gaps and changes. */
#include <stdio.h>
#include <string.h>
#include "command.h"

#define PAGE 500

/* The log of one node: the one named with --name, or the one that answers. */
static int choose_node(struct context *context, uint8_t id[HSM_ID_LEN], const uint8_t **chosen)
{
    hsm_cluster_info *info = NULL;
    const char *wanted = context->options.name;

    *chosen = NULL;
    CALL("audit", hsm_cluster_describe(context->cluster, &info));
    for (size_t i = 0; i < info->n_nodes; i++) {
        if (wanted && strcmp(wanted, info->nodes[i]->name ? info->nodes[i]->name : ""))
            continue;
        memcpy(id, info->nodes[i]->id, HSM_ID_LEN);
        *chosen = id;
        break;
    }
    hsm_cluster_info_free(info);
    return *chosen ? EXIT_OK : usage("the cluster has no node %s", wanted ? wanted : "yet");
}

static json_t *row_of(const hsm_audit_entry *entry)
{
    json_t *row = json_pack("{s:I, s:o, s:s, s:s*, s:s, s:s*, s:o}", "sequence", (json_int_t)entry->sequence, "time",
                            json_time(entry->time_ms), "operation", entry->operation ? entry->operation : "", "user",
                            entry->user, "result", hsm_status_name(entry->status), "detail", entry->detail, "hash",
                            json_hex(entry->hash, entry->hash_len));

    if (entry->has_object)
        json_object_set_new(row, "object", json_hex(entry->object, HSM_ID_LEN));
    return row;
}

int run_audit_show(struct context *context)
{
    static const char *const columns[] = {"sequence", "time", "operation", "user", "result", "object"};
    uint8_t id[HSM_ID_LEN];
    const uint8_t *node;
    hsm_audit_page *page = NULL;
    json_auto_t *rows = json_array();
    uint64_t sequence = 1, limit = context->options.limit > 0 ? (uint64_t)context->options.limit : UINT64_MAX;

    STEP(context_session(context));
    STEP(choose_node(context, id, &node));
    for (;;) {
        CALL("audit show", hsm_audit_read(context->session, node, sequence, PAGE, &page));
        size_t n = page->n_entries;

        for (size_t i = 0; i < n && json_array_size(rows) < limit; i++) {
            json_array_append_new(rows, row_of(page->entries[i]));
            sequence = page->entries[i]->sequence + 1;
        }
        hsm_audit_page_free(page);
        if (n == 0 || json_array_size(rows) >= limit)
            break;
    }
    return output_rows(context, rows, columns, 6);
}

struct chain {
    uint64_t next;
    uint8_t hash[64];
    size_t hash_len;
};

static int check_entry(struct chain *chain, const hsm_audit_entry *entry)
{
    if (entry->sequence != chain->next)
        return usage("entry %llu is missing", (unsigned long long)chain->next), EXIT_INVALID;
    if (entry->hash_len > sizeof(chain->hash) ||
        (chain->next > 1 && (entry->previous_hash_len != chain->hash_len ||
                             memcmp(entry->previous_hash, chain->hash, chain->hash_len) != 0)))
        return usage("entry %llu does not follow the one before it", (unsigned long long)entry->sequence), EXIT_INVALID;
    memcpy(chain->hash, entry->hash, entry->hash_len);
    chain->hash_len = entry->hash_len;
    chain->next++;
    return EXIT_OK;
}

/* A node refuses to read out an entry whose MAC is wrong; that the entries follow each other without a gap is checked
 * here. */
int run_audit_verify(struct context *context)
{
    uint8_t id[HSM_ID_LEN];
    const uint8_t *node;
    hsm_audit_page *page = NULL;
    struct chain chain = {.next = 1};
    uint64_t total = 0;

    STEP(context_session(context));
    STEP(choose_node(context, id, &node));
    for (;;) {
        CALL("audit verify", hsm_audit_read(context->session, node, chain.next, PAGE, &page));
        int status = EXIT_OK;
        size_t n = page->n_entries;

        total = page->n_total;
        for (size_t i = 0; i < n && status == EXIT_OK; i++)
            status = check_entry(&chain, page->entries[i]);
        hsm_audit_page_free(page);
        STEP(status);
        if (n == 0)
            break;
    }
    if (chain.next - 1 < total)
        return usage("entries %llu to %llu are missing", (unsigned long long)chain.next, (unsigned long long)total),
               EXIT_INVALID;
    if (context->json) {
        json_auto_t *verdict = json_pack("{s:I, s:b}", "entries", (json_int_t)(chain.next - 1), "complete", 1);

        return output_object(context, verdict);
    }
    say(context, "%llu entries, none missing or changed.", (unsigned long long)(chain.next - 1));
    return EXIT_OK;
}
