/* User and password out of the configuration and the environment. */
#pragma once

#include "api.h"
#include "config.h"
#include "protocol/bytes.h"
#include "protocol/limits.h"

struct credentials {
    char user[USER_NAME_MAX + 1];
    struct bytes password; /* secret */
};

#define CREDENTIALS_INIT                                                                                               \
    {                                                                                                                  \
        "", BYTES_SECRET                                                                                               \
    }

/** Reads them anew: a password file that was replaced is seen. STATUS_CONFIG_INVALID, STATUS_IO_ERROR. */
status_code credentials_read(const struct hsm_config *config, struct credentials *credentials);

/** As credentials_read, for the second time and later: takes nothing from what can be read only once, such as a pipe or
 * an inherited descriptor, whose number may be another's by now. STATUS_IO_ERROR then. */
status_code credentials_read_again(const struct hsm_config *config, struct credentials *credentials);
void credentials_release(struct credentials *credentials);
