/* See presence_files.h. */
#include "store/presence_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct presence_files {
    char *folder;
    pthread_mutex_t lock; /* guards fd */
    int fd;               /* this node's file, locked; -1: none yet */
};

status_code presence_files_open(const char *store_path, struct presence_files **files)
{
    struct presence_files *made = calloc(1, sizeof(*made));

    CHECK(made && asprintf(&made->folder, "%s-nodes", store_path) > 0, STATUS_OUT_OF_MEMORY, "no memory for a store");
    pthread_mutex_init(&made->lock, NULL);
    made->fd = -1;
    *files = made;
    return STATUS_OK;
}

void presence_files_close(struct presence_files *files)
{
    if (!files)
        return;
    if (files->fd >= 0)
        close(files->fd);
    pthread_mutex_destroy(&files->lock);
    free(files->folder);
    free(files);
}

static char *path_of(const struct presence_files *files, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", files->folder, name) > 0 ? path : NULL;
}

/* A lock of the open file, not of the process: it meets no other lock that this process has. */
static bool lock_file(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

static bool is_locked(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

static void free_text(char **text)
{
    free(*text);
}

/* With the lock held. */
static status_code open_own(struct presence_files *files, const uint8_t node_id[ID_LEN])
{
    char name[2 * ID_LEN + 1];

    hex_encode(slice_of(node_id, ID_LEN), name);
    CLEANUP(free_text) char *path = path_of(files, name);
    CHECK(path, STATUS_OUT_OF_MEMORY, "no memory for a path");
    CHECK(mkdir(files->folder, 0700) == 0 || errno == EEXIST, STATUS_IO_ERROR, "%s: %s", files->folder,
          strerror(errno));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    CHECK(fd >= 0, STATUS_IO_ERROR, "%s: %s", path, strerror(errno));
    if (!lock_file(fd)) {
        close(fd);
        FAIL(STATUS_STORE_LOCKED, "%s is locked: is this node running twice?", path);
    }
    files->fd = fd;
    return STATUS_OK;
}

/* With the lock held. */
static status_code put(struct presence_files *files, const uint8_t node_id[ID_LEN], struct slice value)
{
    if (files->fd < 0)
        TRY(open_own(files, node_id));
    bool written = pwrite(files->fd, value.data, value.len, 0) == (ssize_t)value.len &&
                   ftruncate(files->fd, (off_t)value.len) == 0;

    CHECK(written, STATUS_IO_ERROR, "writing into %s: %s", files->folder, strerror(errno));
    return STATUS_OK;
}

status_code presence_files_put(struct presence_files *files, const uint8_t node_id[ID_LEN], struct slice value)
{
    pthread_mutex_lock(&files->lock);
    status_code status = put(files, node_id, value);

    pthread_mutex_unlock(&files->lock);
    return status;
}

static status_code visit_file(const struct presence_files *files, const char *name, presence_visitor visit,
                              void *context)
{
    CLEANUP(free_text) char *path = path_of(files, name);
    uint8_t id[ID_LEN], value[PRESENCE_MAX];

    if (!path || !hex_decode(name, id, ID_LEN))
        return STATUS_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return STATUS_OK;
    /* A node does not see its own lock through the same open file, but this is another one. */
    ssize_t len = is_locked(fd) ? pread(fd, value, sizeof(value), 0) : -1;

    close(fd);
    return len >= 0 ? visit(context, id, slice_of(value, (size_t)len)) : STATUS_OK;
}

status_code presence_files_each(struct presence_files *files, presence_visitor visit, void *context)
{
    DIR *folder = opendir(files->folder);
    status_code status = STATUS_OK;

    if (!folder)
        return STATUS_OK;
    for (struct dirent *entry; status == STATUS_OK && (entry = readdir(folder));)
        status = visit_file(files, entry->d_name, visit, context);
    closedir(folder);
    return status;
}
