/* Putting many records into an etcd that no node uses yet, in batches, each of which demands that the text under
 * /cluster is still what the filler knows: whoever else began to use these keys ends it. */
#pragma once

#include "store/etcd_record.h"

struct etcd_fill {
    struct etcd_client *client;
    const struct etcd_settings *settings;
    const char *expected; /* text under /cluster; NULL: there is none */
    json_t *changes;      /* of the batch, which has so many bytes */
    size_t bytes;
    struct bytes value;
};

/** A record_visitor whose context is the fill. */
status_code etcd_fill_add(void *fill, const struct store_write *record, uint64_t revision);

/** Sends what is left of the last batch. */
status_code etcd_fill_flush(struct etcd_fill *fill);
void etcd_fill_release(struct etcd_fill *fill);

/** One transaction. Takes over `changes`. STATUS_CONFLICT when the text under /cluster is another. */
status_code etcd_fill_transact(const struct etcd_fill *fill, json_t *changes);

/** The change that puts `text` under PREFIX/NAME. */
json_t *etcd_fill_key(const struct etcd_settings *settings, const char *name, const char *text);

/** Removes all records. */
status_code etcd_fill_empty(struct etcd_client *client, const struct etcd_settings *settings);
