/* The audit log: shown, and checked for gaps and changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "audit_file.h"
#include "command.h"
#include "protocol/bytes.h"

#define PAGE 500

/* The log of one node: the one whose name or id is given with --name, or the first of the cluster. */
static int choose_node(struct context *context, uint8_t id[HSM_ID_LEN], const uint8_t **chosen)
{
    hsm_cluster_info *info = NULL;
    const char *wanted = context->options.name;

    *chosen = NULL;
    if (wanted && hex_decode(wanted, id, HSM_ID_LEN)) { /* any node's, also one that is gone */
        *chosen = id;
        return EXIT_OK;
    }
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

/* --- exporting --- */

/* RFC 5424: facility 13 (log audit), severity 6 or, for what failed, 4. */
static void print_syslog(FILE *out, const json_t *entry)
{
    const char *result = json_string_value(json_object_get(entry, "result"));
    int priority = 13 * 8 + (result && strcmp(result, "OK") == 0 ? 6 : 4);
    char *text = json_dumps(entry, JSON_COMPACT | JSON_ENSURE_ASCII);

    fprintf(out, "<%d>1 %s - hsmd - audit - %s\n", priority, json_string_value(json_object_get(entry, "time")),
            text ? text : "");
    free(text);
}

static void print_entry(const struct context *context, FILE *out, json_t *entry)
{
    json_auto_t *owned = entry;
    const char *format = context->options.format;

    if (format && strcmp(format, "syslog") == 0) {
        print_syslog(out, owned);
        return;
    }
    json_dumpf(owned, out, JSON_COMPACT | JSON_ENSURE_ASCII);
    fputc('\n', out);
}

static uint64_t sequence_of(const hsm_buffer *text)
{
    const char *at = strstr((const char *)text->data, "sequence: ");

    return at ? strtoull(at + strlen("sequence: "), NULL, 10) : 0;
}

/* Up to where the log is now: entries that come meanwhile are for the next export. */
static int export_to(struct context *context, FILE *out, const uint8_t *node, const char *node_hex)
{
    uint64_t sequence = context->options.since > 0 ? (uint64_t)context->options.since : 1, until = UINT64_MAX;
    hsm_buffer text = {0}, signature = {0}, certificate = {0};
    hsm_audit_page *page = NULL;

    CALL("audit export", hsm_audit_checkpoint(context->session, node, &text, &signature, &certificate));
    until = sequence_of(&text);
    while (sequence <= until) {
        hsm_status status = hsm_audit_read(context->session, node, sequence, PAGE, &page);
        size_t n = status == HSM_OK ? page->n_entries : 0;

        if (n == 0)
            break;
        for (size_t i = 0; i < n && page->entries[i]->sequence <= until; i++)
            print_entry(context, out, audit_entry_json(page->entries[i], node_hex));
        sequence = page->entries[n - 1]->sequence + 1;
        hsm_audit_page_free(page);
    }
    print_entry(context, out,
                json_pack("{s:{s:s%, s:o, s:s%}}", "checkpoint", "text", text.data, text.len, "signature",
                          json_hex(signature.data, signature.len), "certificate", certificate.data, certificate.len));
    hsm_buffer_free(&text);
    hsm_buffer_free(&signature);
    hsm_buffer_free(&certificate);
    if (sequence > until)
        return EXIT_OK;
    return usage("the export ends before entry %llu: %s", (unsigned long long)sequence, hsm_last_error()->detail),
           EXIT_FAILED;
}

int run_audit_export(struct context *context)
{
    const struct options *options = &context->options;
    uint8_t id[HSM_ID_LEN];
    const uint8_t *node;
    char hex[2 * HSM_ID_LEN + 1];

    if (options->format && strcmp(options->format, "jsonl") != 0 && strcmp(options->format, "syslog") != 0)
        return usage("--format is jsonl or syslog, not %s", options->format);
    STEP(context_session(context));
    STEP(choose_node(context, id, &node));
    hex_text(node, HSM_ID_LEN, hex);
    FILE *out = options->out ? fopen(options->out, "w") : stdout;

    if (!out)
        return usage("%s cannot be written", options->out);
    int status = export_to(context, out, node, hex);
    bool written = fflush(out) == 0;

    if (options->out)
        written = fclose(out) == 0 && written;
    return status == EXIT_OK && !written ? usage("%s cannot be written", options->out ? options->out : "the export")
                                         : status;
}

/* --- verifying --- */

/* A node refuses to read out an entry whose MAC is wrong; that the entries follow each other without a gap is checked
 * here. */
int run_audit_verify(struct context *context)
{
    uint8_t id[HSM_ID_LEN];
    const uint8_t *node;
    hsm_audit_page *page = NULL;
    struct chain chain = {.next = 1};
    uint64_t total = 0;

    if (context->options.in)
        return context->options.ca ? audit_file_verify(context, context->options.in, context->options.ca)
                                   : usage("audit verify --in needs --ca, the certificate of the cluster's CA");
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
