/* Where the cluster is and how to reach it. A configuration is a set of named settings, each with a default; they come,
 * the later winning, from a YAML file, from the environment (HSM_ and the name in capitals, dashes as underscores) and
 * from hsm_config_set. hsm_config_describe lists every setting. Nothing here reaches the network. */
#pragma once

#include "hsm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hsm_config hsm_config;

/**
 * Reads the configuration: the file, then the environment. A program that has more rights than the user who started it
 * (setuid, file capabilities) does not read the environment, nor a file in the user's home.
 *
 * @param path    the file; NULL: the one that HSM_CONFIG names, else the usual places (~/.config/hsm/hsm.yaml,
 *                /etc/hsm/hsm.yaml), else none: defaults and environment alone
 * @param config  out: owned by the caller, who frees it with hsm_config_free
 * @return HSM_OK; HSM_CONFIG_INVALID for unknown or misspelt settings and bad values (the detail names the line, the
 *         setting and the nearest right one); HSM_IO_ERROR when a named file cannot be read; HSM_OUT_OF_MEMORY
 */
HSM_API hsm_status hsm_config_load(const char *path, hsm_config **config);

/** As hsm_config_load, but takes neither file nor environment: defaults alone. */
HSM_API hsm_status hsm_config_new(hsm_config **config);

/** Frees it, secrets wiped; harmless on NULL. Clusters that were opened with it go on. */
HSM_API void hsm_config_free(hsm_config *config);

/**
 * Changes one setting. Not safe while another thread uses the same config.
 *
 * @param name   as in the file: "timeout-ms"
 * @param value  as text, as it would stand in the file; lists separated by commas
 * @return HSM_OK; HSM_CONFIG_INVALID when there is no such setting or the value does not fit
 */
HSM_API hsm_status hsm_config_set(hsm_config *config, const char *name, const char *value);

/**
 * Reads one setting as text; secrets are not given out (HSM_NOT_PERMITTED).
 *
 * @param out_len  in: room in `out`; out: bytes written without the NUL that follows, or (HSM_BUFFER_TOO_SMALL, or
 * `out` NULL) needed without it
 */
HSM_API hsm_status hsm_config_get(const hsm_config *config, const char *name, char *out, size_t *out_len);

/** The settings one after another: name and one line about it. @return 0 when `index` is behind the last */
HSM_API int hsm_config_describe(size_t index, const char **name, const char **doc);

#ifdef __cplusplus
}
#endif
