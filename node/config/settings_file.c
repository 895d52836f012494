/* The configuration file: one YAML mapping from setting names to scalars, or lists of scalars. Anything else (nested
 * mappings, several documents, settings given twice, unknown names) is refused with file and line. The file is bounded
 * before it is parsed. Called by node_config_load, and by its fuzz target. */
#include "config/setting.h"

#include <errno.h>
#include <stdio.h>
#include <yaml.h>

#define FILE_MAX ((size_t)64 << 10)

struct file {
    const char *path;
    yaml_document_t document;
    bool seen[64]; /* by index of the setting */
    struct node_config *config;
};

/** "FILE:LINE" of a node, for error texts. */
static const char *place(const struct file *file, const yaml_node_t *node, char text[192])
{
    snprintf(text, 192, "%.160s:%zu", file->path, node->start_mark.line + 1);
    return text;
}

/** The text of a scalar; NULL when it is none, or holds a NUL. */
static const char *scalar(const yaml_node_t *node)
{
    if (!node || node->type != YAML_SCALAR_NODE)
        return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

static bool is_empty(const yaml_node_t *node, const char *text)
{
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return plain && (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static status_code read_list(struct file *file, const struct setting *setting, const yaml_node_t *value)
{
    char source[192];
    CHECK(setting->kind == SETTING_URLS, STATUS_CONFIG_INVALID, "%s: %s takes one value, not a list",
          place(file, value, source), setting->name);
    setting_list_clear(setting, file->config);
    for (yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top; item++) {
        const yaml_node_t *element = yaml_document_get_node(&file->document, *item);
        const char *text = scalar(element);
        CHECK(text, STATUS_CONFIG_INVALID, "%s: %s takes a list of URLs",
              place(file, element ? element : value, source), setting->name);
        TRY(setting_list_add(setting, file->config, text, place(file, element, source)));
    }
    return STATUS_OK;
}

static status_code read_value(struct file *file, const struct setting *setting, const yaml_node_t *value)
{
    char source[192];
    place(file, value, source);
    if (value->type == YAML_SEQUENCE_NODE)
        return read_list(file, setting, value);

    const char *text = scalar(value);
    CHECK(text, STATUS_CONFIG_INVALID, "%s: %s takes a plain value, not a mapping", source, setting->name);
    CHECK(!is_empty(value, text), STATUS_CONFIG_INVALID,
          "%s: %s has no value; leave it out for the default, or write \"\"", source, setting->name);
    return setting_set(setting, file->config, text, source);
}

static status_code read_pair(struct file *file, const yaml_node_t *key, const yaml_node_t *value)
{
    char source[192];
    const char *name = scalar(key);
    CHECK(name && value, STATUS_CONFIG_INVALID, "%s: a setting's name must be plain text", place(file, key, source));

    const struct setting *setting = setting_find(name);
    if (!setting)
        return setting_unknown(name, place(file, key, source));
    bool *seen = &file->seen[setting - SETTINGS];
    CHECK(!*seen, STATUS_CONFIG_INVALID, "%s: %s was set before in this file", place(file, key, source), name);
    *seen = true;
    return read_value(file, setting, value);
}

static status_code read_document(struct file *file)
{
    char source[192];
    const yaml_node_t *root = yaml_document_get_root_node(&file->document);
    if (!root || (root->type == YAML_SCALAR_NODE && is_empty(root, (const char *)root->data.scalar.value)))
        return STATUS_OK; /* an empty file: all defaults */
    CHECK(root->type == YAML_MAPPING_NODE, STATUS_CONFIG_INVALID, "%s: expected lines of the form `setting: value`",
          place(file, root, source));
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top; pair++)
        TRY(read_pair(file, yaml_document_get_node(&file->document, pair->key),
                      yaml_document_get_node(&file->document, pair->value)));
    return STATUS_OK;
}

static status_code yaml_failure(const char *path, const yaml_parser_t *parser)
{
    FAIL(STATUS_CONFIG_INVALID, "%.120s:%zu: not valid YAML: %s", path, parser->problem_mark.line + 1,
         parser->problem ? parser->problem : "out of memory");
}

static status_code load_one(struct file *file, yaml_parser_t *parser)
{
    if (!yaml_parser_load(parser, &file->document))
        return yaml_failure(file->path, parser);
    status_code code = read_document(file);
    yaml_document_delete(&file->document);
    TRY(code);

    yaml_document_t next;
    if (!yaml_parser_load(parser, &next))
        return yaml_failure(file->path, parser);
    bool more = yaml_document_get_root_node(&next) != NULL;
    yaml_document_delete(&next);
    CHECK(!more, STATUS_CONFIG_INVALID, "%s: holds more than one YAML document", file->path);
    return STATUS_OK;
}

status_code settings_read_yaml(const char *path, struct slice text, struct node_config *config)
{
    struct file file = {.path = path, .config = config};
    yaml_parser_t parser;
    CHECK(yaml_parser_initialize(&parser), STATUS_OUT_OF_MEMORY, "no memory to read %s", path);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.data, text.len);
    status_code code = load_one(&file, &parser);
    yaml_parser_delete(&parser);
    return code;
}

static void close_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

status_code settings_read_file(const char *path, struct node_config *config)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;
    CLEANUP(close_file) FILE *file = fopen(path, "re");
    CHECK(file, STATUS_CONFIG_INVALID, "%s cannot be read: %s", path, strerror(errno));

    uint8_t *at = bytes_reserve(&text, FILE_MAX + 1);
    CHECK(at, STATUS_OUT_OF_MEMORY, "no memory to read %s", path);
    text.len = fread(at, 1, FILE_MAX + 1, file);
    CHECK(!ferror(file), STATUS_CONFIG_INVALID, "%s cannot be read: %s", path, strerror(errno));
    CHECK(text.len <= FILE_MAX, STATUS_CONFIG_INVALID, "%s is larger than %zu bytes: not a configuration file", path,
          FILE_MAX);
    return settings_read_yaml(path, bytes_slice(&text), config);
}
