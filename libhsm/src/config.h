/* Settings of a client: one table that file, environment and call all go through. */
#pragma once

#include "protocol/bytes.h"

#define CONFIG_NODES_MAX 64u

/* Of every time limit, in milliseconds. */
#define TIMEOUT_MIN_MS 10u
#define TIMEOUT_MAX_MS 3600000u

enum balance { BALANCE_ROUND_ROBIN, BALANCE_ZONE, BALANCE_LEAST_OUTSTANDING };
enum transport_choice { TRANSPORT_DIRECT, TRANSPORT_NNG };

struct hsm_config {
    char *nodes[CONFIG_NODES_MAX];
    unsigned n_nodes;
    char *ca_file, *certificate_file, *key_file;
    char *user, *password, *password_file, *zone;
    uint32_t transport; /* enum transport_choice */
    uint32_t balance;   /* enum balance */
    uint32_t connections, timeout_ms, attempt_timeout_ms, connect_timeout_ms, refresh_interval_ms;
};

/** A configuration with all defaults. STATUS_OUT_OF_MEMORY. */
status_code config_new(struct hsm_config **config);
void config_free(struct hsm_config *config);

/** `origin` is named in failures: "hsm.yaml:3", "environment". An unknown name is refused with the nearest right one.
 */
status_code config_set(struct hsm_config *config, const char *name, const char *value, const char *origin);

/** As text; STATUS_NOT_PERMITTED for secrets. */
status_code config_get(const struct hsm_config *config, const char *name, struct bytes *text);

/** False behind the last. */
bool config_describe(size_t index, const char **name, const char **doc);

/** Reads the YAML file `path` (NULL: the usual places, of which none need exist) and the environment. */
status_code config_load(struct hsm_config *config, const char *path);

/** Takes the settings of a YAML text; `path` is named in failures. */
status_code config_parse(struct hsm_config *config, struct slice text, const char *path);

/** A copy. */
status_code config_copy(const struct hsm_config *from, struct hsm_config **copy);
