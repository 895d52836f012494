/* Presence in etcd: a key PREFIX/nodes/ID for each node that is there, under a lease that its node keeps alive. Who is
 * there is asked of etcd now and then, so that telling it costs nothing. */
#pragma once

#include "store/etcd_record.h"

struct etcd_presence;

/** What it refers to must outlive it. */
status_code etcd_presence_open(struct etcd_client *client, const struct etcd_settings *settings,
                               struct etcd_presence **presence);

/** Gives the lease up, unless etcd is known to be away. Harmless on NULL. */
void etcd_presence_close(struct etcd_presence *presence, bool away);

/** Takes the value; it is written at the next upkeep. */
status_code etcd_presence_put(struct etcd_presence *presence, const uint8_t node_id[ID_LEN], struct slice value);

/** To be called about twice a second, by one thread: keeps the lease, writes what is new, asks who is there. */
void etcd_presence_upkeep(struct etcd_presence *presence);

/** STATUS_STORE_UNAVAILABLE when that was not to be learned lately. */
status_code etcd_presence_each(struct etcd_presence *presence, presence_visitor visit, void *context);
