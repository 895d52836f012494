/* The configuration as public functions (hsm/config.h); its table of settings is the core's. */
#include "hsm/config.h"

#include "api.h"
#include "config.h"

static status_code config_begin(hsm_config **config, bool load, const char *path)
{
    struct hsm_config *made = NULL;

    ARGUMENT(config, "no place for the configuration");
    TRY(config_new(&made));
    status_code status = load ? config_load(made, path) : STATUS_OK;
    if (status != STATUS_OK) {
        config_free(made);
        return status;
    }
    *config = made;
    return STATUS_OK;
}

hsm_status hsm_config_load(const char *path, hsm_config **config)
{
    return API(config_begin(config, true, path));
}

hsm_status hsm_config_new(hsm_config **config)
{
    return API(config_begin(config, false, NULL));
}

void hsm_config_free(hsm_config *config)
{
    if (config)
        config_free(config);
}

static status_code set(hsm_config *config, const char *name, const char *value)
{
    ARGUMENT(config && name && value, "no configuration, name or value");
    return config_set(config, name, value, "hsm_config_set");
}

hsm_status hsm_config_set(hsm_config *config, const char *name, const char *value)
{
    return API(set(config, name, value));
}

static status_code get(const hsm_config *config, const char *name, char *out, size_t *out_len)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_SECRET;

    ARGUMENT(config && name && out_len, "no configuration, name or place for the length");
    TRY(config_get(config, name, &text));
    TRY(bytes_ok(&text));
    size_t room = *out_len;
    if (out && room < text.len + 1) {
        *out_len = text.len;
        FAIL(STATUS_BUFFER_TOO_SMALL, "the setting %s needs %zu bytes and a NUL", name, text.len);
    }
    *out_len = text.len;
    if (!out)
        return STATUS_OK;
    if (text.len)
        memcpy(out, text.data, text.len);
    out[text.len] = 0;
    return STATUS_OK;
}

hsm_status hsm_config_get(const hsm_config *config, const char *name, char *out, size_t *out_len)
{
    return API(get(config, name, out, out_len));
}

int hsm_config_describe(size_t index, const char **name, const char **doc)
{
    return name && doc && config_describe(index, name, doc);
}
