/* Where backups are kept, as an interface: a directory, or a bucket that speaks S3. A backup appears under its name
 * when it is complete, or never. Each is used by one thread at a time. */
#pragma once

#include "backup/backup_format.h"
#include "config/node_config.h"

struct destination;

/** Called per backup; returning anything but STATUS_OK ends the listing with that status. */
typedef status_code (*backup_listed)(void *context, const struct backup_name *name, uint64_t size);

struct destination_operations {
    void (*close)(struct destination *destination);

    /** Begins a backup, takes its bytes in order, and lets it appear. One at a time. */
    status_code (*create)(struct destination *destination, const char *name);
    status_code (*append)(struct destination *destination, struct slice bytes);
    status_code (*commit)(struct destination *destination);

    /** Removes what was begun and not committed. Harmless without. */
    void (*abandon)(struct destination *destination);

    /** Passes on all bytes of a backup. STATUS_OBJECT_NOT_FOUND. */
    status_code (*read)(struct destination *destination, const char *name, const struct backup_sink *sink);

    /** Everything that is named as a backup, in no order. */
    status_code (*list)(struct destination *destination, backup_listed listed, void *context);

    /** STATUS_OBJECT_NOT_FOUND. */
    status_code (*remove)(struct destination *destination, const char *name);
};

/** First member of every implementation. */
struct destination {
    const struct destination_operations *operations;
};

/** `where`: "directory:/PATH" or "s3:https://HOST/BUCKET/PREFIX". STATUS_BACKUP_UNAVAILABLE when it is empty or cannot
 * be reached; STATUS_CONFIG_INVALID. What it put into *destination is the caller's to close, also after a failure. */
status_code destination_open(const struct node_config *config, const char *where, struct destination **destination);
void destination_close(struct destination *destination);

status_code destination_open_directory(const char *path, struct destination **destination);
status_code destination_open_s3(const struct node_config *config, const char *url, struct destination **destination);
