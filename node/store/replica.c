/* See replica.h. */
#include "store/replica.h"

#include "observe/log.h"
#include "store/sqlite_write.h"

static status_code open_both(const char *path, const uint8_t *cluster_id, struct replica *replica)
{
    TRY(store_open_sqlite(path, cluster_id, &replica->reads));
    TRY(sqlite_connection_open(path, &replica->writer));
    return connection_execute(replica->writer, "PRAGMA synchronous = NORMAL");
}

status_code replica_open(const char *path, const uint8_t *cluster_id, struct replica *replica)
{
    *replica = (struct replica){NULL, NULL};
    status_code status = open_both(path, cluster_id, replica);

    if (status == STATUS_STORE_DAMAGED) {
        log_event(LOG_LEVEL_WARNING, "replica damaged", "file", path, "detail", failure_detail(), "hint",
                  "it is made anew from etcd", NULL);
        replica_close(replica);
        sqlite_remove_files(path);
        status = open_both(path, cluster_id, replica);
    }
    if (status != STATUS_OK)
        replica_close(replica);
    return status;
}

void replica_close(struct replica *replica)
{
    if (replica->writer)
        sqlite_connection_close(replica->writer);
    if (replica->reads)
        replica->reads->operations->close(replica->reads);
    *replica = (struct replica){NULL, NULL};
}

status_code replica_begin(struct replica *replica)
{
    return connection_execute(replica->writer, "BEGIN IMMEDIATE");
}

void replica_abandon(struct replica *replica)
{
    sqlite3_exec(replica->writer->db, "ROLLBACK", NULL, NULL, NULL);
}

status_code replica_empty(struct replica *replica)
{
    return connection_execute(replica->writer, "DELETE FROM records; DELETE FROM tokens; DELETE FROM changes");
}

status_code replica_follow(struct replica *replica, const struct store_write *write, uint64_t revision)
{
    return sqlite_follow(replica->writer, write, revision);
}

static status_code belong(struct replica *replica, const uint8_t *cluster_id)
{
    uint8_t held[ID_LEN];
    status_code status = store_cluster_id(replica->reads, held);

    return status == STATUS_OBJECT_NOT_FOUND ? sqlite_take_cluster_id(replica->writer, cluster_id) : status;
}

status_code replica_end(struct replica *replica, const uint8_t *cluster_id, uint64_t revision)
{
    uint64_t before;

    TRY(belong(replica, cluster_id));
    TRY(connection_revision(replica->writer, &before));
    TRY(sqlite_advance(replica->writer, before, revision));
    return connection_execute(replica->writer, "COMMIT");
}

status_code replica_end_anew(struct replica *replica, const uint8_t *cluster_id, uint64_t revision)
{
    TRY(sqlite_changes_begin(replica->writer, revision));
    return replica_end(replica, cluster_id, revision);
}
