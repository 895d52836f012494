/* Configuration files: any bytes are accepted or refused with a text, never more. */
#include "config/setting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct node_config config;
    memset(&config, 0, sizeof config);
    if (settings_read_yaml("fuzz.yaml", slice_of(data, len), &config) != STATUS_OK && !failure_detail()[0])
        __builtin_trap();
    return 0;
}
