/* Reading all records of an SQLite store, in the order that etcd has. */
#pragma once

#include "store/sqlite_connection.h"

/** Every record, with revision 0. */
status_code sqlite_scan(struct connection *connection, record_visitor visit, void *context);

/** The same within one transaction, which keeps what it sees at one revision. */
status_code sqlite_snapshot(struct connection *connection, const struct snapshot_visitor *visitor, void *context);
