/* Where a node's configuration comes from, in this order: defaults, the file, the environment, the command line. Then
 * what depends on other settings is filled in, and the whole is checked once. Called by main() only. */
#include "config/node_config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "config/setting.h"

#define PREFIX "HSMD_"

extern char **environ;

static status_code set_defaults(struct node_config *config)
{
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < N_SETTINGS; i++)
        TRY(setting_set(&SETTINGS[i], config, SETTINGS[i].standard, "default"));
    return STATUS_OK;
}

/** HSMD_STATE_FOLDER=... -> "state-folder"; false for a variable that is not ours. */
static bool name_of_variable(const char *variable, char name[64])
{
    size_t prefix = strlen(PREFIX), len = strcspn(variable, "=");
    if (strncmp(variable, PREFIX, prefix) != 0 || len <= prefix || len - prefix >= 64)
        return false;
    for (size_t i = prefix; i < len; i++)
        name[i - prefix] = variable[i] == '_' ? '-' : (char)tolower((unsigned char)variable[i]);
    name[len - prefix] = 0;
    return strcmp(name, "config") != 0; /* HSMD_CONFIG names the file */
}

static status_code set_from_environment(struct node_config *config)
{
    for (char **variable = environ; *variable; variable++) {
        char name[64], source[96];
        if (!name_of_variable(*variable, name))
            continue;
        snprintf(source, sizeof source, "environment, %.*s", (int)(strcspn(*variable, "=") % 64), *variable);
        const struct setting *setting = setting_find(name);
        if (!setting)
            return setting_unknown(name, source);
        const char *value = strchr(*variable, '=');
        TRY(setting_set(setting, config, value ? value + 1 : "", source));
    }
    return STATUS_OK;
}

static status_code set_from_override(struct node_config *config, const char *override)
{
    char name[64];
    size_t len = strcspn(override, "=");
    CHECK(override[len] == '=' && len > 0 && len < sizeof name, STATUS_CONFIG_INVALID,
          "--set takes NAME=VALUE, not %.64s", override);
    memcpy(name, override, len);
    name[len] = 0;
    const struct setting *setting = setting_find(name);
    if (!setting)
        return setting_unknown(name, "--set");
    return setting_set(setting, config, override + len + 1, "--set");
}

static void fill_in_name(struct node_config *config)
{
    if (config->name[0])
        return;
    if (gethostname(config->name, sizeof config->name - 1) != 0 || !config->name[0])
        snprintf(config->name, sizeof config->name, "node");
    config->name[sizeof config->name - 1] = 0;
}

static status_code fill_in_store(struct node_config *config)
{
    if (!config->store[0]) {
        int len = snprintf(config->store, sizeof config->store, "sqlite:%s/store.db", config->state_folder);
        CHECK(len > 0 && (size_t)len < sizeof config->store, STATUS_CONFIG_INVALID,
              "state-folder: the path is too long");
    }
    bool etcd = strcmp(config->store, "etcd") == 0;
    CHECK(etcd || strncmp(config->store, "sqlite:/", 8) == 0, STATUS_CONFIG_INVALID,
          "store must be etcd, or sqlite: and an absolute path, not %.64s", config->store);
    CHECK(!etcd || config->n_etcd_endpoints > 0, STATUS_CONFIG_INVALID,
          "store is etcd, but etcd-endpoints names none of its members");
    CHECK(config->etcd_prefix[0] == '/' && config->etcd_prefix[strlen(config->etcd_prefix) - 1] != '/',
          STATUS_CONFIG_INVALID, "etcd-prefix must begin with a slash and end without one, not %.64s",
          config->etcd_prefix);
    CHECK(!config->etcd_certificate_file[0] == !config->etcd_key_file[0], STATUS_CONFIG_INVALID,
          "etcd-certificate-file and etcd-key-file go together");
    return STATUS_OK;
}

static status_code finish(struct node_config *config)
{
    CHECK(config->state_folder[0], STATUS_CONFIG_INVALID, "state-folder must not be empty");
    CHECK(config->n_listen + config->n_listen_nng > 0, STATUS_CONFIG_INVALID,
          "listen and listen-nng are both empty: nobody could reach this node");
    TRY(fill_in_store(config));
    fill_in_name(config);
    if (!config->metrics[0])
        snprintf(config->metrics, sizeof config->metrics, "off");
    if (config->workers == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        config->workers = processors < 1 ? 1 : processors > 32 ? 32 : (unsigned)processors;
    }
    config->log.file = config->log_file[0] ? config->log_file : NULL;
    return STATUS_OK;
}

status_code node_config_load_with(const char *path, const char *const *overrides, size_t n_overrides,
                                  struct node_config *config)
{
    TRY(set_defaults(config));
    if (path)
        TRY(settings_read_file(path, config));
    TRY(set_from_environment(config));
    for (size_t i = 0; i < n_overrides; i++)
        TRY(set_from_override(config, overrides[i]));
    return finish(config);
}

status_code node_config_load(const char *path, struct node_config *config)
{
    return node_config_load_with(path, NULL, 0, config);
}

static void append(struct bytes *out, const char *text)
{
    bytes_append(out, text, strlen(text));
}

/** Breaks the explanation into comment lines. */
static void append_doc(struct bytes *out, const char *doc)
{
    enum { WIDTH = 98 };
    while (*doc) {
        size_t len = strlen(doc);
        if (len > WIDTH)
            for (len = WIDTH; len > 1 && doc[len] != ' ';)
                len--;
        append(out, "# ");
        bytes_append(out, doc, len);
        append(out, "\n");
        doc += len + (doc[len] == ' ');
    }
}

static void append_range(struct bytes *out, const struct setting *setting)
{
    char text[160];
    if (setting->kind == SETTING_NUMBER) {
        snprintf(text, sizeof text, "# From %u to %u.\n", setting->min, setting->max);
        append(out, text);
    }
    if (setting->choices) {
        snprintf(text, sizeof text, "# %s: %s.\n", setting->kind == SETTING_URLS ? "Schemes" : "One of",
                 setting->choices);
        append(out, text);
    }
}

/** The name as a comment, so that a file started from this one says only what its owner decided. */
static void append_setting(struct bytes *out, const struct setting *setting)
{
    bool text = setting->kind == SETTING_TEXT || setting->kind == SETTING_PATH || setting->kind == SETTING_URLS;
    append(out, "\n");
    append_doc(out, setting->doc);
    append_range(out, setting);
    append(out, "#");
    append(out, setting->name);
    append(out, setting->kind == SETTING_URLS ? ": [" : ": ");
    if (text && (setting->kind != SETTING_URLS || setting->standard[0]))
        append(out, "\"");
    append(out, setting->standard);
    if (text && (setting->kind != SETTING_URLS || setting->standard[0]))
        append(out, "\"");
    append(out, setting->kind == SETTING_URLS ? "]\n" : "\n");
}

status_code node_config_print(struct bytes *out)
{
    append(out,
           "# Settings of hsmd, each with its default. Environment variables HSMD_NAME (dashes as underscores) and\n"
           "# --set NAME=VALUE take precedence over this file.\n");
    for (size_t i = 0; i < N_SETTINGS; i++)
        append_setting(out, &SETTINGS[i]);
    return bytes_ok(out);
}
