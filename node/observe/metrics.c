/* Counters of the node, and their page in Prometheus' text format.
 *
 * Every worker counts in a block of cache lines of its own, so that counting costs no traffic between processors; a
 * reader adds the blocks up. Threads without a worker number use the last block: all counting is atomic. */
#include "observe/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "node.h"

#define STATUS_MAX 64u
#define BLOCKS     (WORKERS_MAX + 1)

/** Upper bounds in nanoseconds, and how Prometheus writes them in seconds; the last bucket has none. */
static const struct bucket {
    uint64_t up_to;
    const char *label;
} BUCKETS[] = {
    {10000, "1e-05"},    {25000, "2.5e-05"},   {50000, "5e-05"},    {100000, "0.0001"},  {250000, "0.00025"},
    {500000, "0.0005"},  {1000000, "0.001"},   {2500000, "0.0025"}, {5000000, "0.005"},  {10000000, "0.01"},
    {25000000, "0.025"}, {50000000, "0.05"},   {100000000, "0.1"},  {250000000, "0.25"}, {500000000, "0.5"},
    {1000000000, "1"},   {UINT64_MAX, "+Inf"},
};
#define N_BUCKETS (sizeof BUCKETS / sizeof BUCKETS[0])

/* Operations have sparse numbers: counters are kept for those that exist. */
enum operation_row {
#define OPERATION(name, number, access, cost, required, optional, answer, doc) ROW_##name,
#include "protocol/operations.def"
#undef OPERATION
    N_ROWS
};

static const uint8_t ROW_OF[OPERATION_NUMBER_MAX + 1] = {
#define OPERATION(name, number, access, cost, required, optional, answer, doc) [number] = ROW_##name + 1,
#include "protocol/operations.def"
#undef OPERATION
};

static const uint8_t OPERATION_OF[N_ROWS] = {
#define OPERATION(name, number, access, cost, required, optional, answer, doc) [ROW_##name] = number,
#include "protocol/operations.def"
#undef OPERATION
};

struct operation_counters {
    _Atomic uint64_t buckets[N_BUCKETS];
    _Atomic uint64_t nanoseconds;
    _Atomic uint64_t failures;
};

struct block {
    _Alignas(64) _Atomic int64_t metrics[METRIC_COUNT];
    _Atomic uint64_t statuses[STATUS_MAX];
    struct operation_counters operations[N_ROWS];
};

static struct block blocks[BLOCKS];

static const struct metric_row {
    const char *name;
    const char *type;
    const char *help;
} METRICS[METRIC_COUNT] = {
    [METRIC_CONNECTIONS] = {"hsmd_connections", "gauge", "Client connections that are open"},
    [METRIC_MESSAGES] = {"hsmd_messages_total", "counter", "Messages answered; each holds one or more operations"},
    [METRIC_BYTES_IN] = {"hsmd_received_bytes_total", "counter", "Bytes of messages received"},
    [METRIC_BYTES_OUT] = {"hsmd_sent_bytes_total", "counter", "Bytes of answers sent"},
    [METRIC_TLS_FAILURES] = {"hsmd_tls_failures_total", "counter", "TLS handshakes that failed or were refused"},
    [METRIC_PROTOCOL_ERRORS] = {"hsmd_protocol_errors_total", "counter", "Connections closed for what they sent"},
    [METRIC_LOGIN_FAILURES] = {"hsmd_login_failures_total", "counter", "Logins refused"},
    [METRIC_OBJECT_CACHE_HITS] = {"hsmd_object_cache_hits_total", "counter", "Objects found opened in the cache"},
    [METRIC_OBJECT_CACHE_MISSES] = {"hsmd_object_cache_misses_total", "counter", "Objects opened from store or blob"},
    [METRIC_OBJECTS_CACHED] = {"hsmd_objects_cached", "gauge", "Objects kept opened"},
    [METRIC_STORE_WRITES] = {"hsmd_store_writes_total", "counter", "Writes to the store that succeeded"},
    [METRIC_STORE_ERRORS] = {"hsmd_store_errors_total", "counter", "Reads and writes of the store that failed"},
    [METRIC_AUDIT_ENTRIES] = {"hsmd_audit_entries_total", "counter", "Entries written to the audit log"},
    [METRIC_BACKUP_FAILURES] = {"hsmd_backup_failures_total", "counter", "Automatic backups that were not made"},
};

static struct block *block_of(unsigned worker)
{
    return &blocks[worker < WORKERS_MAX ? worker : WORKERS_MAX];
}

void metric_add(unsigned worker, enum metric metric, int64_t delta)
{
    atomic_fetch_add_explicit(&block_of(worker)->metrics[metric], delta, memory_order_relaxed);
}

void metric_operation(unsigned worker, enum operation operation, status_code status, uint64_t nanoseconds)
{
    if ((unsigned)operation > OPERATION_NUMBER_MAX || ROW_OF[operation] == 0)
        return;

    struct block *block = block_of(worker);
    struct operation_counters *counters = &block->operations[ROW_OF[operation] - 1];
    size_t bucket = 0;
    while (nanoseconds > BUCKETS[bucket].up_to)
        bucket++;
    unsigned number = status >= 0 && (unsigned)status < STATUS_MAX ? (unsigned)status : STATUS_INTERNAL;
    atomic_fetch_add_explicit(&counters->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->nanoseconds, nanoseconds, memory_order_relaxed);
    atomic_fetch_add_explicit(&block->statuses[number], 1, memory_order_relaxed);
    if (status != STATUS_OK)
        atomic_fetch_add_explicit(&counters->failures, 1, memory_order_relaxed);
}

int64_t metric_value(enum metric metric)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < BLOCKS; i++)
        sum += atomic_load_explicit(&blocks[i].metrics[metric], memory_order_relaxed);
    return sum;
}

/** Adds up the counters of an operation over all workers; returns how often it ran. */
static uint64_t row_sum(unsigned row, struct operation_counters *sum)
{
    uint64_t total = 0;
    memset(sum, 0, sizeof *sum);
    for (unsigned i = 0; i < BLOCKS; i++) {
        struct operation_counters *counters = &blocks[i].operations[row];
        for (size_t bucket = 0; bucket < N_BUCKETS; bucket++) {
            uint64_t n = atomic_load_explicit(&counters->buckets[bucket], memory_order_relaxed);
            sum->buckets[bucket] += n;
            total += n;
        }
        sum->nanoseconds += atomic_load_explicit(&counters->nanoseconds, memory_order_relaxed);
        sum->failures += atomic_load_explicit(&counters->failures, memory_order_relaxed);
    }
    return total;
}

uint64_t metric_operations_total(enum operation operation)
{
    struct operation_counters sum;
    if ((unsigned)operation > OPERATION_NUMBER_MAX || ROW_OF[operation] == 0)
        return 0;
    return row_sum(ROW_OF[operation] - 1, &sum);
}

__attribute__((format(printf, 2, 3))) static void print(struct bytes *page, const char *format, ...)
{
    char line[320];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (len > 0)
        bytes_append(page, line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

static void print_head(struct bytes *page, const char *name, const char *type, const char *help)
{
    print(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/** The operation's name as people write it: "key-pair-generate". Lives until the thread's next call. */
static const char *label_of(unsigned row)
{
    static _Thread_local char label[64];
    const char *name = operation_info(OPERATION_OF[row])->name;
    size_t len = 0;
    for (; len < sizeof label - 1 && name[len]; len++)
        label[len] = name[len] == '_' ? '-' : (char)tolower((unsigned char)name[len]);
    label[len] = 0;
    return label;
}

static void render_operation(struct bytes *page, unsigned row)
{
    struct operation_counters sum;
    uint64_t total = row_sum(row, &sum), cumulative = 0;
    const char *name = label_of(row);

    if (total == 0)
        return;
    for (size_t bucket = 0; bucket < N_BUCKETS; bucket++) {
        cumulative += sum.buckets[bucket];
        print(page, "hsmd_operation_duration_seconds_bucket{operation=\"%s\",le=\"%s\"} %" PRIu64 "\n", name,
              BUCKETS[bucket].label, cumulative);
    }
    print(page, "hsmd_operation_duration_seconds_sum{operation=\"%s\"} %.9f\n", name, (double)sum.nanoseconds / 1e9);
    print(page, "hsmd_operation_duration_seconds_count{operation=\"%s\"} %" PRIu64 "\n", name, total);
}

static void render_operations(struct bytes *page)
{
    struct operation_counters sum;

    print_head(page, "hsmd_operations_total", "counter", "Operations carried out, also those that failed");
    for (unsigned row = 0; row < N_ROWS; row++)
        print(page, "hsmd_operations_total{operation=\"%s\"} %" PRIu64 "\n", label_of(row), row_sum(row, &sum));
    print_head(page, "hsmd_operation_failures_total", "counter", "Operations answered with an error");
    for (unsigned row = 0; row < N_ROWS; row++)
        if (row_sum(row, &sum) > 0)
            print(page, "hsmd_operation_failures_total{operation=\"%s\"} %" PRIu64 "\n", label_of(row),
                  (uint64_t)sum.failures);
    print_head(page, "hsmd_operation_duration_seconds", "histogram", "Time that the node spent on an operation");
    for (unsigned row = 0; row < N_ROWS; row++)
        render_operation(page, row);
}

static void render_statuses(struct bytes *page)
{
    print_head(page, "hsmd_answers_total", "counter", "Answers by status");
    for (unsigned status = 0; status < STATUS_MAX; status++) {
        uint64_t n = 0;
        for (unsigned i = 0; i < BLOCKS; i++)
            n += atomic_load_explicit(&blocks[i].statuses[status], memory_order_relaxed);
        if (n > 0)
            print(page, "hsmd_answers_total{status=\"%s\"} %" PRIu64 "\n", status_name((status_code)status), n);
    }
}

static long resident_pages(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static _Atomic unsigned load_percent;

void metrics_sample_load(struct load_sample *before, unsigned n_workers)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double time = (double)now.tv_sec + (double)now.tv_nsec / 1e9, cpu = cpu_seconds();

    if (before->time_s > 0 && time > before->time_s)
        atomic_store(
            &load_percent,
            (unsigned)(100 * (cpu - before->cpu_s) / ((time - before->time_s) * (n_workers ? n_workers : 1)) + 0.5));
    *before = (struct load_sample){cpu, time};
}

unsigned metrics_load_percent(void)
{
    return atomic_load(&load_percent);
}

static void render_process(struct bytes *page)
{
    print_head(page, "hsmd_load_ratio", "gauge", "Processor time of the last second, of what the workers could take");
    print(page, "hsmd_load_ratio %.2f\n", metrics_load_percent() / 100.0);
    print_head(page, "process_cpu_seconds_total", "counter", "Processor time of the process");
    print(page, "process_cpu_seconds_total %.6f\n", cpu_seconds());
    print_head(page, "process_resident_memory_bytes", "gauge", "Memory of the process");
    print(page, "process_resident_memory_bytes %ld\n", resident_pages() * sysconf(_SC_PAGESIZE));
}

static void render_node(struct node *node, struct bytes *page)
{
    static const enum node_state STATES[] = {NODE_UNINITIALIZED, NODE_SERVING, NODE_DRAINING, NODE_FAILED};
    enum node_state state = atomic_load(&node->state);

    print_head(page, "hsmd_state", "gauge", "1 for the state that the node is in");
    for (size_t i = 0; i < sizeof STATES / sizeof STATES[0]; i++)
        print(page, "hsmd_state{state=\"%s\"} %d\n", node_state_name(STATES[i]), STATES[i] == state);
    print_head(page, "hsmd_cluster_active", "gauge", "1 once the first administrator exists");
    print(page, "hsmd_cluster_active %d\n", (int)atomic_load(&node->cluster_active));
    print_head(page, "hsmd_store_age_seconds", "gauge",
               "Time since this node was last known to reflect the store's newest revision");
    print(page, "hsmd_store_age_seconds %.3f\n", (double)node_store_age_ms(node) / 1000);
    print_head(page, "hsmd_store_revision", "gauge", "Revision of the store that this node has caught up with");
    print(page, "hsmd_store_revision %" PRIu64 "\n", (uint64_t)atomic_load(&node->revision));
    print_head(page, "hsmd_start_time_seconds", "gauge", "Start of the node, seconds since 1970-01-01 UTC");
    print(page, "hsmd_start_time_seconds %.3f\n", (double)node->started_ms / 1e3);
}

void metrics_render(struct node *node, struct bytes *page)
{
    render_node(node, page);
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        print_head(page, METRICS[i].name, METRICS[i].type, METRICS[i].help);
        print(page, "%s %" PRId64 "\n", METRICS[i].name, metric_value((enum metric)i));
    }
    render_operations(page);
    render_statuses(page);
    render_process(page);
}
