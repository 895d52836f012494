/* Backups in a directory. One that is being written is a hidden file with another name: it is synced, and then renamed.
 * What an interrupted node left behind is removed by the next backup, an hour later at the earliest. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "backup/destination.h"

#define READ_SIZE ((size_t)256 << 10)
#define STALE_S   3600

struct directory {
    struct destination base;
    char path[1024];
    int folder;
    int file; /* of the backup that is being written; -1: none */
    char name[BACKUP_NAME_MAX];
    char temporary[BACKUP_NAME_MAX + 8];
};

static struct directory *directory_of(struct destination *destination)
{
    return (struct directory *)destination;
}

static status_code failed(const struct directory *directory, const char *what)
{
    bool full = errno == ENOSPC || errno == EDQUOT;

    return failure_set(STATUS_BACKUP_UNAVAILABLE, "%s in %.100s: %s%s", what, directory->path, strerror(errno),
                       full ? ": make room; nothing of this backup was kept" : "");
}

static void directory_close(struct destination *destination)
{
    struct directory *directory = directory_of(destination);

    if (directory->folder >= 0)
        close(directory->folder);
    free(directory);
}

/* --- writing --- */

static bool is_stale(const struct directory *directory, const char *name)
{
    size_t len = strlen(name);
    struct stat info;

    return name[0] == '.' && len > 15 && strcmp(name + len - 15, ".hsmbackup.part") == 0 &&
           fstatat(directory->folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && time(NULL) - info.st_mtime > STALE_S;
}

static DIR *open_listing(const struct directory *directory)
{
    int folder = openat(directory->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = folder >= 0 ? fdopendir(folder) : NULL;

    if (!listing && folder >= 0)
        close(folder);
    return listing;
}

static void remove_stale(struct directory *directory)
{
    DIR *listing = open_listing(directory);

    for (struct dirent *entry; listing && (entry = readdir(listing));)
        if (is_stale(directory, entry->d_name))
            unlinkat(directory->folder, entry->d_name, 0);
    if (listing)
        closedir(listing);
}

static status_code directory_create(struct destination *destination, const char *name)
{
    struct directory *directory = directory_of(destination);

    remove_stale(directory);
    snprintf(directory->name, sizeof(directory->name), "%s", name);
    snprintf(directory->temporary, sizeof(directory->temporary), ".%s.part", name);
    directory->file =
        openat(directory->folder, directory->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return directory->file >= 0 ? STATUS_OK : failed(directory, "a backup cannot be made");
}

static status_code directory_append(struct destination *destination, struct slice bytes)
{
    struct directory *directory = directory_of(destination);

    while (bytes.len > 0) {
        ssize_t n = write(directory->file, bytes.data, bytes.len);

        if (n < 0 && errno != EINTR)
            return failed(directory, "a backup cannot be written");
        if (n > 0)
            bytes = slice_of(bytes.data + n, bytes.len - (size_t)n);
    }
    return STATUS_OK;
}

static status_code directory_commit(struct destination *destination)
{
    struct directory *directory = directory_of(destination);

    if (fsync(directory->file) != 0)
        return failed(directory, "a backup cannot be synced");
    if (renameat(directory->folder, directory->temporary, directory->folder, directory->name) != 0)
        return failed(directory, "a backup cannot be renamed");
    close(directory->file);
    directory->file = -1;
    return fsync(directory->folder) == 0 ? STATUS_OK : failed(directory, "the directory cannot be synced");
}

static void directory_abandon(struct destination *destination)
{
    struct directory *directory = directory_of(destination);

    if (directory->file < 0)
        return;
    close(directory->file);
    directory->file = -1;
    unlinkat(directory->folder, directory->temporary, 0);
}

/* --- reading --- */

static status_code pass_on(const struct directory *directory, int file, const struct backup_sink *sink)
{
    CLEANUP(bytes_release) struct bytes buffer = BYTES_INIT;
    uint8_t *at = bytes_reserve(&buffer, READ_SIZE);

    CHECK(at, STATUS_OUT_OF_MEMORY, "no memory to read a backup");
    for (;;) {
        ssize_t n = read(file, at, READ_SIZE);

        if (n < 0 && errno != EINTR)
            return failed(directory, "a backup cannot be read");
        if (n == 0)
            return STATUS_OK;
        if (n > 0)
            TRY(sink->take(sink->context, slice_of(at, (size_t)n)));
    }
}

static status_code directory_read(struct destination *destination, const char *name, const struct backup_sink *sink)
{
    struct directory *directory = directory_of(destination);
    int file = openat(directory->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    CHECK(file >= 0 || errno != ENOENT, STATUS_OBJECT_NOT_FOUND, "%.100s has no backup %s", directory->path, name);
    if (file < 0)
        return failed(directory, "a backup cannot be read");
    status_code status = pass_on(directory, file, sink);

    close(file);
    return status;
}

static status_code directory_list(struct destination *destination, backup_listed listed, void *context)
{
    struct directory *directory = directory_of(destination);
    status_code status = STATUS_OK;
    DIR *listing = open_listing(directory);
    struct backup_name name;
    struct stat info;

    if (!listing)
        return failed(directory, "backups cannot be listed");
    for (struct dirent *entry; status == STATUS_OK && (entry = readdir(listing));)
        if (backup_name_parse(entry->d_name, &name) &&
            fstatat(directory->folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
            status = listed(context, &name, (uint64_t)info.st_size);
    closedir(listing);
    return status;
}

static status_code directory_remove(struct destination *destination, const char *name)
{
    struct directory *directory = directory_of(destination);

    if (unlinkat(directory->folder, name, 0) != 0) {
        CHECK(errno != ENOENT, STATUS_OBJECT_NOT_FOUND, "%.100s has no backup %s", directory->path, name);
        return failed(directory, "a backup cannot be removed");
    }
    return fsync(directory->folder) == 0 ? STATUS_OK : failed(directory, "the directory cannot be synced");
}

static const struct destination_operations operations = {
    .close = directory_close,
    .create = directory_create,
    .append = directory_append,
    .commit = directory_commit,
    .abandon = directory_abandon,
    .read = directory_read,
    .list = directory_list,
    .remove = directory_remove,
};

status_code destination_open_directory(const char *path, struct destination **destination)
{
    struct directory *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a directory");
    made->base.operations = &operations;
    made->file = -1;
    snprintf(made->path, sizeof(made->path), "%s", path);
    made->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *destination = &made->base; /* the caller closes it, also when this fails */
    return made->folder >= 0 ? STATUS_OK : failed(made, "no backups");
}
