/* Files of the state folder (state_file.h). Called by identity.c and, for ready.json, by node.c. */
#include "identity/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_descriptor(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static status_code check_folder(const char *path, int fd)
{
    struct stat info;
    CHECK(fstat(fd, &info) == 0, STATUS_IO_ERROR, "state-folder %s: %s", path, strerror(errno));
    CHECK(info.st_uid == geteuid(), STATUS_CONFIG_INVALID,
          "state-folder %s belongs to user %u, but hsmd runs as user %u: chown it, or set run-as", path,
          (unsigned)info.st_uid, (unsigned)geteuid());
    CHECK((info.st_mode & 077) == 0, STATUS_CONFIG_INVALID,
          "state-folder %s has mode %03o: others could reach the keys; chmod 700 it", path,
          (unsigned)info.st_mode & 0777);
    return STATUS_OK;
}

status_code state_folder_open(const char *path, int *folder)
{
    if (mkdir(path, 0700) != 0)
        CHECK(errno == EEXIST, STATUS_CONFIG_INVALID, "state-folder %s cannot be made: %s", path, strerror(errno));
    CLEANUP(close_descriptor) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0, STATUS_CONFIG_INVALID, "state-folder %s: %s", path, strerror(errno));
    TRY(check_folder(path, fd));
    CHECK(flock(fd, LOCK_EX | LOCK_NB) == 0, STATUS_CONFIG_INVALID,
          "state-folder %s is in use by another hsmd: each node needs a folder of its own", path);
    *folder = fd;
    fd = -1;
    return STATUS_OK;
}

static status_code check_file(const char *name, int fd, size_t max_len, bool secret)
{
    struct stat info;
    CHECK(fstat(fd, &info) == 0, STATUS_IO_ERROR, "%s: %s", name, strerror(errno));
    CHECK(S_ISREG(info.st_mode), STATUS_CONFIG_INVALID, "%s in the state folder is not a regular file", name);
    CHECK(info.st_size >= 0 && (size_t)info.st_size <= max_len, STATUS_CONFIG_INVALID,
          "%s in the state folder is too large to be ours (%lld bytes)", name, (long long)info.st_size);
    if (!secret)
        return STATUS_OK;
    CHECK(info.st_uid == geteuid(), STATUS_CONFIG_INVALID, "%s in the state folder belongs to user %u, not to us (%u)",
          name, (unsigned)info.st_uid, (unsigned)geteuid());
    CHECK((info.st_mode & 077) == 0, STATUS_CONFIG_INVALID,
          "%s in the state folder has mode %03o: others can read it; chmod 600 it, and consider it known to them", name,
          (unsigned)info.st_mode & 0777);
    return STATUS_OK;
}

status_code state_file_read(int folder, const char *name, size_t max_len, bool secret, struct bytes *content)
{
    CLEANUP(close_descriptor) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    CHECK(fd >= 0 || errno != ENOENT, STATUS_OBJECT_NOT_FOUND, "%s is missing in the state folder", name);
    CHECK(fd >= 0, STATUS_IO_ERROR, "%s in the state folder: %s", name, strerror(errno));
    TRY(check_file(name, fd, max_len, secret));

    bytes_clear(content);
    uint8_t *at = bytes_reserve(content, max_len);
    CHECK(at, STATUS_OUT_OF_MEMORY, "no memory to read %s", name);
    while (content->len < max_len) {
        ssize_t n = read(fd, at + content->len, max_len - content->len);
        CHECK(n >= 0 || errno == EINTR, STATUS_IO_ERROR, "%s in the state folder: %s", name, strerror(errno));
        if (n == 0)
            break;
        content->len += n > 0 ? (size_t)n : 0;
    }
    return STATUS_OK;
}

static status_code write_all(const char *name, int fd, struct slice content)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.data, content.len);
        CHECK(n >= 0 || errno == EINTR, errno == ENOSPC || errno == EDQUOT ? STATUS_STORE_FULL : STATUS_IO_ERROR,
              "%s in the state folder cannot be written: %s", name, strerror(errno));
        if (n > 0)
            content = slice_of(content.data + n, content.len - (size_t)n);
    }
    CHECK(fsync(fd) == 0, STATUS_IO_ERROR, "%s in the state folder cannot be synced: %s", name, strerror(errno));
    return STATUS_OK;
}

status_code state_file_write(int folder, const char *name, struct slice content)
{
    char temporary[80];
    snprintf(temporary, sizeof temporary, ".%s.new", name);
    unlinkat(folder, temporary, 0); /* left behind by a crash */
    CLEANUP(close_descriptor)
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    CHECK(fd >= 0, errno == EROFS ? STATUS_STORE_READ_ONLY : STATUS_IO_ERROR,
          "%s in the state folder cannot be written: %s", name, strerror(errno));
    status_code code = write_all(name, fd, content);
    if (code != STATUS_OK) {
        unlinkat(folder, temporary, 0);
        return code;
    }
    CHECK(renameat(folder, temporary, folder, name) == 0, STATUS_IO_ERROR, "%s in the state folder: %s", name,
          strerror(errno));
    CHECK(fsync(folder) == 0, STATUS_IO_ERROR, "the state folder cannot be synced: %s", strerror(errno));
    return STATUS_OK;
}

bool state_file_exists(int folder, const char *name)
{
    return faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}
