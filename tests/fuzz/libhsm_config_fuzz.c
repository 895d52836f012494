/* Configuration files: a text is taken or refused, and what was taken survives being read and set again. */
#include <stdlib.h>
#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void set_again(struct hsm_config *config)
{
    const char *name, *doc;

    for (size_t i = 0; config_describe(i, &name, &doc); i++) {
        CLEANUP(bytes_release) struct bytes text = BYTES_INIT;

        if (config_get(config, name, &text) != STATUS_OK)
            continue;
        bytes_append(&text, "", 1);
        if (config_set(config, name, (const char *)text.data, "again") != STATUS_OK)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hsm_config *config;

    if (config_new(&config) != STATUS_OK)
        return 0;
    if (config_parse(config, slice_of(data, len), "fuzz") == STATUS_OK)
        set_again(config);
    config_free(config);
    return 0;
}
