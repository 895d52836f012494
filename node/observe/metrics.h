/* Counters of this node: per operation and per status, gauges, and a latency histogram per operation. Updated without
 * locks by the workers, served over HTTP on loopback in Prometheus' text format, and listed by NODE_DESCRIBE. */
#pragma once

#include "protocol/message.h"

struct node;
struct metrics_server;

enum metric {
    METRIC_CONNECTIONS,         /* gauge */
    METRIC_MESSAGES,            /* counter */
    METRIC_BYTES_IN,            /* counter */
    METRIC_BYTES_OUT,           /* counter */
    METRIC_TLS_FAILURES,        /* counter */
    METRIC_PROTOCOL_ERRORS,     /* counter */
    METRIC_LOGIN_FAILURES,      /* counter */
    METRIC_OBJECT_CACHE_HITS,   /* counter */
    METRIC_OBJECT_CACHE_MISSES, /* counter */
    METRIC_OBJECTS_CACHED,      /* gauge */
    METRIC_STORE_WRITES,        /* counter */
    METRIC_STORE_ERRORS,        /* counter */
    METRIC_AUDIT_ENTRIES,       /* counter */
    METRIC_BACKUP_FAILURES,     /* counter */
    METRIC_COUNT
};

void metric_add(unsigned worker, enum metric metric, int64_t delta);

/** One operation finished with `status` after `nanoseconds`. */
void metric_operation(unsigned worker, enum operation operation, status_code status, uint64_t nanoseconds);

/** Sum over workers. */
int64_t metric_value(enum metric metric);
uint64_t metric_operations_total(enum operation operation);

/** What the process had used when it was looked at last; all zero at first. Its caller's alone. */
struct load_sample {
    double cpu_s, time_s;
};

/** To be called about once a second: how busy the process was since the last time. */
void metrics_sample_load(struct load_sample *before, unsigned n_workers);

/** Processor time that the process took in the last second or so, in percent of what its workers could take. */
unsigned metrics_load_percent(void);

/** Appends the whole page. */
void metrics_render(struct node *node, struct bytes *page);

/** Serves http://127.0.0.1:PORT/metrics and /health (port 0: any free one; *port gets it). */
status_code metrics_serve(struct node *node, const char *address, uint16_t *port, struct metrics_server **server);
void metrics_stop(struct metrics_server *server);
