/* Choosing a destination: destination.h. */
#include "backup/destination.h"

static const char directory[] = "directory:", s3[] = "s3:";

status_code destination_open(const struct node_config *config, const char *where, struct destination **destination)
{
    CHECK(where[0], STATUS_BACKUP_UNAVAILABLE,
          "this node keeps no backups: set backup-to, such as directory:/var/backups/hsm, and restart it");
    if (strncmp(where, directory, sizeof(directory) - 1) == 0)
        return destination_open_directory(where + sizeof(directory) - 1, destination);
    if (strncmp(where, s3, sizeof(s3) - 1) == 0)
        return destination_open_s3(config, where + sizeof(s3) - 1, destination);
    FAIL(STATUS_CONFIG_INVALID, "backups go to directory:/PATH or s3:https://HOST/BUCKET/PREFIX, not to %.100s", where);
}

void destination_close(struct destination *destination)
{
    if (!destination)
        return;
    destination->operations->abandon(destination);
    destination->operations->close(destination);
}
