/* Credentials from, in this order: the setting password (HSM_PASSWORD), an inherited descriptor (HSM_PASSWORD_FD), the
 * setting password-file (HSM_PASSWORD_FILE). The first line of a file or descriptor is the password. */
#include "api_credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "platform.h"

#ifndef O_NONBLOCK
#define O_NONBLOCK 0
#endif

#ifndef O_CLOEXEC
#define O_CLOEXEC 0 /* Windows inherits no descriptors unless asked */
#endif

static status_code first_line(struct bytes *password, const char *origin)
{
    const uint8_t *end = password->len ? (const uint8_t *)memchr(password->data, '\n', password->len) : NULL;

    if (end)
        password->len = (size_t)(end - password->data);
    if (password->len && password->data[password->len - 1] == '\r')
        password->len--;
    CHECK(password->len, STATUS_CONFIG_INVALID, "%s holds no password", origin);
    CHECK(password->len <= PASSWORD_MAX, STATUS_CONFIG_INVALID, "%s holds more than a password of %u bytes", origin,
          PASSWORD_MAX);
    return STATUS_OK;
}

static status_code read_descriptor(int fd, const char *origin, struct bytes *password)
{
    bytes_clear(password);
    while (password->len <= PASSWORD_MAX + 2) {
        uint8_t *to = bytes_reserve(password, PASSWORD_MAX + 3);
        CHECK(to, STATUS_OUT_OF_MEMORY, "no memory for a password");
        ssize_t n = read(fd, to, PASSWORD_MAX + 3);

        if (n < 0 && errno == EINTR)
            continue;
        CHECK(n >= 0, STATUS_IO_ERROR, "%s cannot be read: error %d", origin, errno);
        if (n == 0)
            break;
        password->len += (size_t)n;
    }
    return first_line(password, origin);
}

static bool is_regular(int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

static status_code read_file(const char *path, bool again, struct bytes *password)
{
    char origin[FAILURE_DETAIL_MAX / 2];
    /* A pipe without a writer would be waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | (again ? O_NONBLOCK : 0));

    snprintf(origin, sizeof(origin), "the password file %s", path);
    CHECK(fd >= 0, STATUS_IO_ERROR, "%s cannot be opened: error %d", origin, errno);
    status_code status = !again || is_regular(fd)
                             ? read_descriptor(fd, origin, password)
                             : failure_set(STATUS_IO_ERROR, "%s is no file that can be read twice", origin);
    close(fd);
    return status;
}

static status_code read_inherited(const char *text, struct bytes *password)
{
    char *end;
    long fd = strtol(text, &end, 10);

    CHECK(*text && !*end && fd >= 0 && fd <= INT32_MAX, STATUS_CONFIG_INVALID,
          "HSM_PASSWORD_FD is \"%.20s\", not the number of a descriptor", text);
    return read_descriptor((int)fd, "the descriptor of HSM_PASSWORD_FD", password);
}

static status_code read_password(const struct hsm_config *config, bool again, struct bytes *password)
{
    const char *inherited = platform_environment("HSM_PASSWORD_FD");

    if (config->password) {
        TRY(bytes_assign(password, slice_text(config->password)));
        return first_line(password, "the setting password");
    }
    CHECK(!inherited || !again, STATUS_IO_ERROR, "the descriptor of HSM_PASSWORD_FD was read already");
    if (inherited)
        return read_inherited(inherited, password);
    CHECK(config->password_file, STATUS_CONFIG_INVALID,
          "no password: set password-file, or HSM_PASSWORD_FILE, HSM_PASSWORD_FD or HSM_PASSWORD in the environment");
    return read_file(config->password_file, again, password);
}

static status_code read_credentials(const struct hsm_config *config, bool again, struct credentials *credentials)
{
    CHECK(config->user && *config->user, STATUS_CONFIG_INVALID, "no user: set user, or HSM_USER in the environment");
    CHECK(strlen(config->user) <= USER_NAME_MAX, STATUS_CONFIG_INVALID, "the user's name is longer than %u bytes",
          USER_NAME_MAX);
    snprintf(credentials->user, sizeof(credentials->user), "%s", config->user);
    return read_password(config, again, &credentials->password);
}

status_code credentials_read(const struct hsm_config *config, struct credentials *credentials)
{
    return read_credentials(config, false, credentials);
}

status_code credentials_read_again(const struct hsm_config *config, struct credentials *credentials)
{
    return read_credentials(config, true, credentials);
}

void credentials_release(struct credentials *credentials)
{
    bytes_release(&credentials->password);
}
