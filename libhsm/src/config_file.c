/* Settings from a YAML file and from the environment. The file is a flat map; nodes may be a list. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef HSM_WITH_YAML
#include <yaml.h>
#endif
#include "config.h"
#include "platform.h"

#define FILE_MAX ((size_t)1 << 20)

#ifdef HSM_WITH_YAML
static status_code join_list(yaml_document_t *document, const yaml_node_t *list, const char *origin,
                             struct bytes *joined)
{
    for (const yaml_node_item_t *item = list->data.sequence.items.start; item < list->data.sequence.items.top; item++) {
        const yaml_node_t *node = yaml_document_get_node(document, *item);

        CHECK(node && node->type == YAML_SCALAR_NODE, STATUS_CONFIG_INVALID, "%s: a list of texts is expected", origin);
        bytes_append(joined, ",", joined->len ? 1 : 0);
        bytes_append(joined, node->data.scalar.value, node->data.scalar.length);
    }
    bytes_append(joined, "", 1);
    return bytes_ok(joined);
}

static status_code take_pair(struct hsm_config *config, yaml_document_t *document, const yaml_node_pair_t *pair,
                             const char *path)
{
    CLEANUP(bytes_release) struct bytes joined = BYTES_SECRET;
    const yaml_node_t *key = yaml_document_get_node(document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(document, pair->value);
    char origin[256];

    snprintf(origin, sizeof(origin), "%s:%zu", path, key ? key->start_mark.line + 1 : 0);
    CHECK(key && key->type == YAML_SCALAR_NODE && value, STATUS_CONFIG_INVALID, "%s: NAME: VALUE is expected", origin);
    const char *name = (const char *)key->data.scalar.value;
    CHECK(value->type != YAML_MAPPING_NODE, STATUS_CONFIG_INVALID, "%s: %.64s takes a value, not a map", origin, name);
    if (value->type == YAML_SCALAR_NODE)
        return config_set(config, name, (const char *)value->data.scalar.value, origin);
    CHECK(strcmp(name, "nodes") == 0, STATUS_CONFIG_INVALID, "%s: %.64s takes one value, not a list", origin, name);
    TRY(join_list(document, value, origin, &joined));
    return config_set(config, name, (const char *)joined.data, origin);
}

static status_code take_document(struct hsm_config *config, yaml_document_t *document, const char *path)
{
    const yaml_node_t *root = yaml_document_get_root_node(document);

    if (!root) /* empty */
        return STATUS_OK;
    CHECK(root->type == YAML_MAPPING_NODE, STATUS_CONFIG_INVALID, "%s: lines of NAME: VALUE are expected", path);
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top; pair++)
        TRY(take_pair(config, document, pair, path));
    return STATUS_OK;
}

status_code config_parse(struct hsm_config *config, struct slice text, const char *path)
{
    yaml_parser_t parser;
    yaml_document_t document;

    CHECK(yaml_parser_initialize(&parser), STATUS_OUT_OF_MEMORY, "no memory for a YAML parser");
    yaml_parser_set_input_string(&parser, text.data, text.len);
    status_code status;
    if (!yaml_parser_load(&parser, &document)) {
        status = failure_set(STATUS_CONFIG_INVALID, "%s:%zu: %s", path, parser.problem_mark.line + 1,
                             parser.problem ? parser.problem : "not YAML");
    } else {
        status = take_document(config, &document, path);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return status;
}

#else
status_code config_parse(struct hsm_config *config, struct slice text, const char *path)
{
    (void)config;
    (void)text;
    FAIL(STATUS_CONFIG_INVALID, "%s: this library was built without configuration files: use the environment", path);
}
#endif

static status_code read_file(struct hsm_config *config, const char *path)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_SECRET;
    FILE *file = fopen(path, "re");

    CHECK(file, STATUS_IO_ERROR, "%s: %s", path, strerror(errno));
    text.limit = FILE_MAX + 1;
    uint8_t *to = bytes_reserve(&text, FILE_MAX + 1);
    text.len = to ? fread(to, 1, FILE_MAX + 1, file) : 0;
    fclose(file);
    TRY(bytes_ok(&text));
    CHECK(text.len <= FILE_MAX, STATUS_CONFIG_INVALID, "%s is larger than %zu bytes", path, FILE_MAX);
    return config_parse(config, bytes_slice(&text), path);
}

static bool usual_place(char path[512])
{
    const char *home = platform_environment("HOME");

    if (home && (size_t)snprintf(path, 512, "%s/.config/hsm/hsm.yaml", home) < 512 && access(path, R_OK) == 0)
        return true;
    snprintf(path, 512, "/etc/hsm/hsm.yaml");
    return access(path, R_OK) == 0;
}

/* Each setting is looked for by its variable; others are left alone, since an environment is shared. */
static status_code read_environment(struct hsm_config *config)
{
    const char *name, *doc;

    for (size_t i = 0; config_describe(i, &name, &doc); i++) {
        char variable[64] = "HSM_";

        for (size_t j = 0; name[j] && j + 5 < sizeof(variable); j++)
            variable[4 + j] = name[j] == '-' ? '_' : (char)(name[j] >= 'a' && name[j] <= 'z' ? name[j] - 32 : name[j]);
        const char *value = platform_environment(variable);
        if (value)
            TRY(config_set(config, name, value, variable));
    }
    return STATUS_OK;
}

status_code config_load(struct hsm_config *config, const char *path)
{
    char usual[512];

    if (!path)
        path = platform_environment("HSM_CONFIG");
    if (path && *path)
        TRY(read_file(config, path));
    else if (usual_place(usual))
        TRY(read_file(config, usual));
    return read_environment(config);
}
