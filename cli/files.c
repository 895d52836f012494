/* Whole files in and out; secret ones with mode 0600. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "command.h"

#define CHUNK ((size_t)1 << 16)

void content_release(struct content *content)
{
    if (content->data)
        OPENSSL_clear_free(content->data, content->len);
    *content = (struct content){NULL, 0};
}

static int read_all(int fd, const char *path, struct content *content)
{
    size_t room = 0;

    for (;;) {
        if (content->len + CHUNK > room) {
            size_t more = room ? 2 * room : CHUNK * 2;
            uint8_t *data = OPENSSL_clear_realloc(content->data, room, more);

            if (!data)
                return usage("%s: out of memory", path);
            content->data = data;
            room = more;
        }
        ssize_t n = read(fd, content->data + content->len, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return usage("%s: %s", path, strerror(errno));
        if (n == 0)
            return EXIT_OK;
        content->len += (size_t)n;
    }
}

int content_read(const char *path, struct content *content)
{
    bool standard = !path || strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return usage("%s: %s", path, strerror(errno));
    int status = read_all(fd, standard ? "standard input" : path, content);

    if (!standard)
        close(fd);
    return status;
}

int content_write(const char *path, const void *data, size_t len, bool secret)
{
    bool standard = !path || strcmp(path, "-") == 0;
    int fd = standard ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, secret ? 0600 : 0666);
    const uint8_t *at = data;

    if (fd < 0)
        return usage("%s: %s", path, strerror(errno));
    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return usage("%s: %s", standard ? "standard output" : path, strerror(errno));
        at += n;
        len -= (size_t)n;
    }
    if (!standard && close(fd) != 0)
        return usage("%s: %s", path, strerror(errno));
    return EXIT_OK;
}
