/* Prints the tables of docs/protocol.md from the definitions that the code is built from. With --update FILE it puts
 * them between the markers of that page; with --check FILE it fails when the page says something else. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "protocol/catalog.h"
#include "protocol/message.h"
#include "protocol/sp.h"

#define BEGIN    "<!-- tables: made by hsm_protocol_describe -->\n"
#define END      "<!-- end of tables -->\n"
#define PAGE_MAX ((size_t)1 << 20)

static struct bytes page = BYTES_INIT;

__attribute__((format(printf, 1, 2))) static void put(const char *format, ...)
{
    char text[4096];
    va_list arguments;

    va_start(arguments, format);
    int len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    bytes_append(&page, text, (size_t)len);
}

static const char *type_name(enum value_type type)
{
    static const char *const names[] = {
        [VALUE_BOOL] = "bool",   [VALUE_UINT] = "uint", [VALUE_BIN] = "bin",  [VALUE_TEXT] = "text",
        [VALUE_UINTS] = "uints", [VALUE_SET] = "map",   [VALUE_SETS] = "maps"};

    return names[type];
}

static void put_fields(uint64_t mask)
{
    for (const char *comma = ""; mask; mask &= mask - 1, comma = ", ")
        put("%s%s", comma, FIELD_SCHEMA.entries[__builtin_ctzll(mask)].name);
}

static void put_operations(void)
{
    static const char *const access[] = {[ACCESS_ANYONE] = "anyone",
                                         [ACCESS_LOGGED_IN] = "logged in",
                                         [ACCESS_ADMIN] = "administrator",
                                         [ACCESS_USER] = "crypto-user",
                                         [ACCESS_AUDITOR] = "auditor, administrator",
                                         [ACCESS_LOCAL] = "own socket"};

    static const char *const cost[] = {
        [COST_FAST] = "fast", [COST_SLOW] = "slow", [COST_WRITES] = "writes", [COST_LONG] = "long"};

    put("\n### Operations\n\n| number | operation | who | cost | required | optional | answer |\n"
        "| ---: | --- | --- | --- | --- | --- | --- |\n");
    for (uint64_t i = 0; i <= OPERATION_NUMBER_MAX; i++) {
        const struct operation_info *info = operation_info(i);

        if (!info)
            continue;
        put("| %u | %s: %s | %s | %s | ", (unsigned)i, info->name, info->doc, access[info->access], cost[info->cost]);
        put_fields(info->required);
        put(" | ");
        put_fields(info->optional);
        put(" | ");
        put_fields(info->answer);
        put(" |\n");
    }
}

static void put_schema(const char *title, const struct schema *schema, bool flags)
{
    static const char *const names[] = {"create", "set", "node", "indexed", "secret"};

    put("\n### %s\n\n| number | name | type | at most |%s meaning |\n| ---: | --- | --- | ---: |%s --- |\n", title,
        flags ? " flags |" : "", flags ? " --- |" : "");
    for (uint32_t i = 0; i < schema->n_entries; i++) {
        const struct schema_entry *entry = &schema->entries[i];

        if (!entry->name)
            continue;
        put("| %u | %s | %s | %llu |", i, entry->name, type_name(entry->type), (unsigned long long)entry->max);
        for (unsigned bit = 0; flags && bit < 5; bit++)
            put("%s%s", attribute_flags(i) >> bit & 1 ? " " : "", attribute_flags(i) >> bit & 1 ? names[bit] : "");
        put("%s", flags ? " |" : "");
        put(" %s |\n", entry->doc);
    }
}

static void put_mechanisms(void)
{
    static const char *const uses[] = {"generate", "sign", "encrypt", "wrap", "derive", "encapsulate"};

    put("\n### Mechanisms\n\n| number | name | key type | uses | notes |\n| ---: | --- | --- | --- | --- |\n");
    for (uint64_t i = 0; i < MECHANISM_COUNT; i++) {
        const struct mechanism_info *info = mechanism_info(i);

        if (!info)
            continue;
        put("| %u | %s | %s | ", (unsigned)i, info->name, key_type_name(info->key_type));
        for (unsigned bit = 0; bit < 6; bit++)
            put("%s%s", info->uses >> bit & 1 ? uses[bit] : "", info->uses >> bit & 1 ? " " : "");
        put("| %s |\n", info->doc);
    }
}

static void put_numbers(const char *title, const char *(*name)(uint64_t), unsigned n)
{
    put("\n### %s\n\n| number | name |\n| ---: | --- |\n", title);
    for (unsigned i = 0; i < n; i++) {
        if (name(i))
            put("| %u | %s |\n", i, name(i));
    }
}

static const char *hash_name(uint64_t number)
{
    return hash_info(number) ? hash_info(number)->name : NULL;
}

static void put_curves(void)
{
    put("\n### Curves\n\n| name | key type | bits | EC_PARAMS |\n| --- | --- | ---: | --- |\n");
    for (size_t i = 0; i < N_CURVES; i++) {
        char oid[128];

        hex_encode(CURVES[i].oid, oid);
        put("| %s | %s | %u | %s |\n", CURVES[i].name, key_type_name(CURVES[i].key_type), CURVES[i].bits, oid);
    }
}

static void put_statuses(void)
{
    static const char *const scopes[] = {[STATUS_SCOPE_FINAL] = "every node answers the same",
                                         [STATUS_SCOPE_NODE] = "another node may do better",
                                         [STATUS_SCOPE_LOCAL] = "never sent"};

    put("\n### Statuses\n\n| number | name | meaning | retry |\n| ---: | --- | --- | --- |\n");
    for (status_code code = 0; code < 256; code++) {
        if (strcmp(status_name(code), "UNKNOWN"))
            put("| %d | %s | %s | %s |\n", code, status_name(code), status_text(code), scopes[status_scope(code)]);
    }
}

static void put_limits(void)
{
    static const struct {
        const char *name;
        unsigned value;
    } limits[] = {{"bytes of a message", MESSAGE_MAX},
                  {"requests in a message", BATCH_MAX},
                  {"bytes in a data field", DATA_MAX},
                  {"nested maps and arrays", DEPTH_MAX},
                  {"entries of a map or array", CONTAINER_MAX},
                  {"bytes of an id", ID_LEN},
                  {"bytes of a ticket", TICKET_MAX},
                  {"bytes of a sealed session object", BLOB_MAX},
                  {"bytes of a multi-part state", STATE_MAX},
                  {"records in a page", FIND_PAGE_MAX}};

    put("\n### Limits\n\n| what | at most |\n| --- | ---: |\n");
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
        put("| %s | %u |\n", limits[i].name, limits[i].value);
}

static void put_all(void)
{
    put_operations();
    put_schema("Fields", &FIELD_SCHEMA, false);
    put_schema("Attributes", &ATTRIBUTE_SCHEMA, true);
    put_mechanisms();
    put_numbers("Hashes", hash_name, HASH_COUNT);
    put_numbers("Key types", key_type_name, KEY_TYPE_COUNT);
    put_numbers("Object classes", object_class_name, 16);
    put_curves();
    put_statuses();
    put_limits();
    put("\n");
}

static char *read_page(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = calloc(1, PAGE_MAX);

    if (file && text)
        text[fread(text, 1, PAGE_MAX - 1, file)] = 0;
    if (file)
        fclose(file);
    return file ? text : NULL;
}

int main(int argc, char **argv)
{
    put_all();
    if (argc == 1)
        return fwrite(page.data, 1, page.len, stdout) == page.len ? 0 : 1;
    char *text = argc == 3 ? read_page(argv[2]) : NULL;
    char *begin = text ? strstr(text, BEGIN) : NULL, *end = begin ? strstr(begin, END) : NULL;

    if (!end) {
        fprintf(stderr, "usage: hsm_protocol_describe [--check|--update PAGE], a page with the two markers\n");
        return 2;
    }
    begin += strlen(BEGIN);
    bool same = (size_t)(end - begin) == page.len && memcmp(begin, page.data, page.len) == 0;

    if (strcmp(argv[1], "--update") == 0 && !same) {
        FILE *file = fopen(argv[2], "we");

        if (!file || fprintf(file, "%.*s", (int)(begin - text), text) < 0 ||
            fwrite(page.data, 1, page.len, file) != page.len || fputs(end, file) < 0 || fclose(file) != 0)
            return 1;
    } else if (!same) {
        fprintf(stderr, "%s differs from the definitions: run hsm_protocol_describe --update on it\n", argv[2]);
        return 1;
    }
    free(text);
    bytes_release(&page);
    return 0;
}
