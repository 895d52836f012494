/* Names of backups: backup_format.h. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "backup/backup_format.h"

#define SUFFIX    ".hsmbackup"
#define SHORT_LEN 4u /* bytes of an id that stand in a name */

void backup_name_of(const struct backup_header *header, char name[BACKUP_NAME_MAX])
{
    char cluster[2 * SHORT_LEN + 1], backup[2 * BACKUP_ID_LEN + 1], when[32];
    time_t seconds = (time_t)(header->created_ms / 1000);
    struct tm utc;

    hex_encode(slice_of(header->cluster_id, SHORT_LEN), cluster);
    hex_encode(slice_of(header->backup_id, BACKUP_ID_LEN), backup);
    gmtime_r(&seconds, &utc);
    strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &utc);
    snprintf(name, BACKUP_NAME_MAX, "%s-%s-r%llu-%s" SUFFIX, cluster, when, (unsigned long long)header->revision,
             backup);
}

static bool all_of(const char *text, size_t len, const char *allowed)
{
    return strspn(text, allowed) >= len && strlen(text) >= len;
}

/* CCCCCCCC-YYYYmmddTHHMMSSZ-rN-ID.hsmbackup */
bool backup_name_parse(const char *text, struct backup_name *name)
{
    static const char digits[] = "0123456789", hex[] = "0123456789abcdef";
    struct tm utc = {0};
    char *end = NULL;

    if (strlen(text) >= sizeof(name->text) || !all_of(text, 8, hex) || text[8] != '-')
        return false;
    const char *rest = strptime(text + 9, "%Y%m%dT%H%M%SZ", &utc);

    if (!rest || rest != text + 25 || rest[0] != '-' || rest[1] != 'r' || !all_of(rest + 2, 1, digits))
        return false;
    name->revision = strtoull(rest + 2, &end, 10);
    if (*end != '-' || !all_of(end + 1, 2 * (size_t)BACKUP_ID_LEN, hex) ||
        strcmp(end + 1 + 2 * (size_t)BACKUP_ID_LEN, SUFFIX) != 0)
        return false;
    name->created_ms = 1000ull * (uint64_t)timegm(&utc);
    memcpy(name->cluster, text, 8);
    name->cluster[8] = 0;
    snprintf(name->text, sizeof(name->text), "%s", text);
    return true;
}
