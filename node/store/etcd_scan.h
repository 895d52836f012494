/* Reading all records in etcd, at one revision, page by page. */
#pragma once

#include "store/etcd_record.h"

/** In ascending order of kind and id; the visitor's revision is etcd's. *at: etcd's revision to read at; 0 reads the
 * newest and is replaced by it. STATUS_CONFLICT when it was compacted. */
status_code etcd_scan(struct etcd_client *client, const struct etcd_settings *settings, uint64_t *at,
                      record_visitor visit, void *context);

/** The pair under PREFIX/NAME, as of etcd's revision `at` (0: now): its value (or NULL: not wanted) and its revision, 0
 * when there is none. */
status_code etcd_get(struct etcd_client *client, const struct etcd_settings *settings, const char *name, uint64_t at,
                     unsigned timeout_ms, struct bytes *value, uint64_t *revision);
