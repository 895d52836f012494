/* The settings of a node as one table: name, kind, range, default and explanation. The configuration file, the
 * environment, the command line, `hsmd --print-config` and docs/node.md all follow it. */
#pragma once

#include "config/node_config.h"

enum setting_kind {
    SETTING_TEXT,   /* printable text */
    SETTING_PATH,   /* an absolute path */
    SETTING_URLS,   /* a list of URLs */
    SETTING_NUMBER, /* a decimal number within a range */
    SETTING_BOOL,   /* true or false */
    SETTING_CHOICE, /* one word of a list */
};

struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset;        /* of the field in struct node_config */
    size_t size;          /* text: bytes of the field, NUL included; lists: bytes of one element */
    size_t count_offset;  /* lists: of the number of elements */
    unsigned min, max;    /* numbers */
    const char *choices;  /* URLs: schemes; choices: words; separated by spaces */
    const char *standard; /* default, as it would stand in the file; "" when it is computed */
    const char *doc;
};

extern const struct setting SETTINGS[];
extern const size_t N_SETTINGS;

/** NULL when there is none. */
const struct setting *setting_find(const char *name);

/** The setting whose name is nearest to a misspelt one; NULL when none is near. */
const struct setting *setting_nearest(const char *name);

/** Sets a scalar from its text, or a list from texts separated by commas. `source` (file and line, or the variable)
 * goes into the detail: STATUS_CONFIG_INVALID. */
status_code setting_set(const struct setting *setting, struct node_config *config, const char *value,
                        const char *source);

/** Empties a list, or appends an element to it. */
void setting_list_clear(const struct setting *setting, struct node_config *config);
status_code setting_list_add(const struct setting *setting, struct node_config *config, const char *value,
                             const char *source);

/** STATUS_CONFIG_INVALID that says which name was meant. */
status_code setting_unknown(const char *name, const char *source);

/** Reads a YAML file into `config`: settings_file.c. */
status_code settings_read_file(const char *path, struct node_config *config);

/** The same from memory; `path` is for error texts. */
status_code settings_read_yaml(const char *path, struct slice text, struct node_config *config);
