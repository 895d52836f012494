/* What the benchmark's programs share: a clock, a record of latencies and the one JSON object that they print. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static inline uint64_t measure_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/** Processor time of this process and its finished children, in microseconds. */
static inline double measure_cpu_us(void)
{
    struct rusage self, children;

    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec + children.ru_utime.tv_sec + children.ru_stime.tv_sec) *
               1e6 +
           (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec + children.ru_utime.tv_usec +
                    children.ru_stime.tv_usec);
}

#define MEASURE_SAMPLES 65536u

/** Latencies of one thread; when full, later ones replace earlier ones evenly. */
struct measure {
    uint64_t n;
    uint32_t sample_ns[MEASURE_SAMPLES];
};

static inline void measure_add(struct measure *measure, uint64_t ns)
{
    measure->sample_ns[measure->n++ % MEASURE_SAMPLES] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int measure_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/** Prints {"ops_per_s", "p50_us", "p99_us", "cpu_us_per_op"} for all threads together. */
static inline void measure_print(struct measure *const *threads, unsigned n_threads, double seconds, double cpu_us)
{
    uint32_t *all = malloc(sizeof(*all) * MEASURE_SAMPLES * n_threads);
    uint64_t total = 0, n = 0;

    if (!all)
        exit(1);
    for (unsigned i = 0; i < n_threads; i++) {
        uint64_t kept = threads[i]->n < MEASURE_SAMPLES ? threads[i]->n : MEASURE_SAMPLES;

        for (uint64_t j = 0; j < kept; j++)
            all[n++] = threads[i]->sample_ns[j];
        total += threads[i]->n;
    }
    qsort(all, n, sizeof(*all), measure_compare);
    printf("{\"ops_per_s\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"cpu_us_per_op\": %.2f}\n",
           (double)total / seconds, n ? all[n / 2] / 1e3 : 0.0, n ? all[n * 99 / 100] / 1e3 : 0.0,
           total ? cpu_us / (double)total : 0.0);
    free(all);
}
