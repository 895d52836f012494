/* Measuring: threads that call, or one thread (or several) that keeps many operations in flight. The key is a session
 * key, so that nothing is left behind. With --check every result is verified with OpenSSL, which costs its share of the
 * processor. */
#include <math.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "command.h"
#include "key_types.h"

#define DIGEST_LEN  32
#define DATA_LEN    65536
#define BUCKETS     512 /* logarithmic: 16 a doubling, from 1 microsecond on */
#define THREADS_MAX 1024

enum kind { KIND_NOOP, KIND_RANDOM, KIND_SIGN, KIND_ENCRYPT };

struct work {
    enum kind kind;
    size_t size;
    hsm_mechanism mechanism;
    hsm_key key;
    EVP_PKEY *public_key;
};

struct tally {
    _Atomic uint64_t n, failures, wrong, max_us, interval_max_us;
    _Atomic uint32_t bucket[BUCKETS];
};

struct runner {
    pthread_t thread;
    struct context *context;
    const struct work *work;
    struct tally *tally;
    unsigned depth;
    bool check;
    uint64_t end_ns;
    char failure[256];
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- counting --- */

static unsigned bucket_of(uint64_t ns)
{
    double us = (double)ns / 1000;
    unsigned bucket = us < 1 ? 0 : (unsigned)(16 * log2(us)) + 1;

    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double bucket_us(unsigned bucket)
{
    return bucket ? exp2((bucket - 0.5) / 16) : 0.5;
}

static void raise_to(_Atomic uint64_t *maximum, uint64_t value)
{
    uint64_t before = atomic_load_explicit(maximum, memory_order_relaxed);

    while (before < value && !atomic_compare_exchange_weak(maximum, &before, value))
        continue;
}

static void count(struct tally *tally, uint64_t ns)
{
    atomic_fetch_add_explicit(&tally->n, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&tally->bucket[bucket_of(ns)], 1, memory_order_relaxed);
    raise_to(&tally->max_us, ns / 1000);
    raise_to(&tally->interval_max_us, ns / 1000);
}

static double percentile(struct tally *const *tallies, unsigned n, double part)
{
    uint64_t total = 0, seen = 0;

    for (unsigned i = 0; i < n; i++)
        total += atomic_load(&tallies[i]->n);
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        for (unsigned i = 0; i < n; i++)
            seen += atomic_load(&tallies[i]->bucket[bucket]);
        if (total && (double)seen >= part * (double)total)
            return bucket_us(bucket);
    }
    return 0;
}

/* --- what is measured --- */

static int parse(const char *text, struct work *work, struct key_type *type)
{
    static const struct {
        const char *name, *key_type;
        uint32_t mechanism, hash;
    } signatures[] = {
        {"rsa2048-sign", "rsa-2048", HSM_MECHANISM_RSA_PKCS, HSM_HASH_SHA256},
        {"rsa3072-sign", "rsa-3072", HSM_MECHANISM_RSA_PKCS, HSM_HASH_SHA256},
        {"rsa4096-sign", "rsa-4096", HSM_MECHANISM_RSA_PKCS, HSM_HASH_SHA256},
        {"p256-sign", "ec-p256", HSM_MECHANISM_ECDSA, HSM_HASH_SHA256},
        {"p384-sign", "ec-p384", HSM_MECHANISM_ECDSA, HSM_HASH_SHA256},
        {"ed25519-sign", "ed25519", HSM_MECHANISM_EDDSA, HSM_HASH_NONE},
    };
    hsm_mechanism mechanism = HSM_MECHANISM_INIT(0);

    work->mechanism = mechanism;
    if (strcmp(text, "noop") == 0) {
        work->kind = KIND_NOOP;
        return EXIT_OK;
    }
    for (size_t i = 0; i < sizeof(signatures) / sizeof(*signatures); i++) {
        if (strcmp(text, signatures[i].name))
            continue;
        work->kind = KIND_SIGN;
        work->size = DIGEST_LEN;
        work->mechanism.type = signatures[i].mechanism;
        work->mechanism.hash = signatures[i].hash;
        return key_type_parse(signatures[i].key_type, type);
    }
    if (sscanf(text, "random-%zu", &work->size) == 1 && work->size >= 1 && work->size <= DATA_LEN) {
        work->kind = KIND_RANDOM;
        return EXIT_OK;
    }
    if (sscanf(text, "aes256gcm-%zu", &work->size) == 1 && work->size <= DATA_LEN) {
        work->kind = KIND_ENCRYPT;
        work->mechanism.type = HSM_MECHANISM_AES_GCM;
        return key_type_parse("aes-256", type);
    }
    return usage("there is no work %s: rsa2048-sign, rsa3072-sign, rsa4096-sign, p256-sign, p384-sign, ed25519-sign, "
                 "aes256gcm-SIZE, random-SIZE, noop",
                 text);
}

static int make_key(struct context *context, const struct key_type *type, struct work *work)
{
    CLEANUP(template_release) struct template template = {.n = 0}, empty = {.n = 0};
    uint8_t der[1024];
    const uint8_t *at = der;
    size_t len = sizeof(der);
    hsm_key public_key;

    STEP(template_key_type(&template, type));
    if (!type->pair) {
        CALL("bench", hsm_key_generate(context->session, type->mechanism, template.list, template.n, &work->key));
        return EXIT_OK;
    }
    CALL("bench", hsm_key_pair_generate(context->session, type->mechanism, template.list, template.n, empty.list,
                                        empty.n, &public_key, &work->key));
    CALL("bench", hsm_key_export_public(context->session, public_key, der, &len));
    work->public_key = d2i_PUBKEY(NULL, &at, (long)len);
    return EXIT_OK;
}

/* --- checking --- */

static bool ecdsa_good(EVP_PKEY_CTX *context, const uint8_t *signature, size_t len, const uint8_t *digest)
{
    ECDSA_SIG *made = ECDSA_SIG_new();
    uint8_t der[256], *at = der;
    BIGNUM *r = BN_bin2bn(signature, (int)(len / 2), NULL), *s = BN_bin2bn(signature + len / 2, (int)(len / 2), NULL);
    int n = made && r && s && ECDSA_SIG_set0(made, r, s) ? i2d_ECDSA_SIG(made, &at) : 0;
    bool good = n > 0 && EVP_PKEY_verify(context, der, (size_t)n, digest, DIGEST_LEN) == 1;

    ECDSA_SIG_free(made);
    return good;
}

static bool signature_good(const struct work *work, const uint8_t *signature, size_t len, const uint8_t *digest)
{
    if (work->mechanism.type == HSM_MECHANISM_EDDSA) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool good = context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, work->public_key) == 1 &&
                    EVP_DigestVerify(context, signature, len, digest, DIGEST_LEN) == 1;

        EVP_MD_CTX_free(context);
        return good;
    }
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(work->public_key, NULL);
    bool good = context && EVP_PKEY_verify_init(context) == 1;

    if (good && work->mechanism.type == HSM_MECHANISM_RSA_PKCS)
        good = EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0 &&
               EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) > 0 &&
               EVP_PKEY_verify(context, signature, len, digest, DIGEST_LEN) == 1;
    else if (good)
        good = ecdsa_good(context, signature, len, digest);
    EVP_PKEY_CTX_free(context);
    return good;
}

static bool result_good(struct runner *runner, const uint8_t *out, size_t len, const uint8_t *nonce,
                        const uint8_t *data)
{
    const struct work *work = runner->work;
    hsm_mechanism mechanism = work->mechanism;
    static const uint8_t zero[32];

    switch (work->kind) {
    case KIND_SIGN:
        return signature_good(work, out, len, data);
    case KIND_RANDOM:
        return len == work->size && (len < 16 || memcmp(out, zero, 16) != 0);
    case KIND_ENCRYPT: {
        uint8_t *back = malloc(work->size + 64);
        size_t back_len = work->size + 64;

        mechanism.nonce = nonce;
        mechanism.nonce_len = 12;
        bool good = back &&
                    hsm_decrypt(runner->context->session, work->key, &mechanism, out, len, back, &back_len) == HSM_OK &&
                    back_len == work->size && memcmp(back, data, back_len) == 0;
        free(back);
        return good;
    }
    default:
        return true;
    }
}

/* --- running --- */

static void note_failure(struct runner *runner, const char *detail, hsm_status status)
{
    if (!runner->failure[0])
        snprintf(runner->failure, sizeof(runner->failure), "%s: %s", hsm_status_name(status), detail);
    atomic_fetch_add(&runner->tally->failures, 1);
}

/* A different input each time, so that a stale answer would be noticed. */
static void vary(uint8_t *data, uint64_t i)
{
    memcpy(data, &i, sizeof(i));
}

static hsm_status call_once(struct runner *runner, const uint8_t *data, uint8_t *out, size_t *len, uint8_t *nonce)
{
    const struct work *work = runner->work;
    hsm_mechanism mechanism = work->mechanism;

    switch (work->kind) {
    case KIND_NOOP:
        return hsm_ping(runner->context->cluster);
    case KIND_RANDOM:
        *len = work->size;
        return hsm_random(runner->context->session, out, work->size);
    case KIND_SIGN:
        if (mechanism.type == HSM_MECHANISM_EDDSA)
            return hsm_sign(runner->context->session, work->key, &mechanism, data, DIGEST_LEN, out, len);
        return hsm_sign_digest(runner->context->session, work->key, &mechanism, data, DIGEST_LEN, out, len);
    case KIND_ENCRYPT:
        mechanism.nonce_out = nonce;
        return hsm_encrypt(runner->context->session, work->key, &mechanism, data, work->size, out, len);
    }
    return HSM_INTERNAL;
}

static void run_calls(struct runner *runner, uint8_t *data, uint8_t *out)
{
    uint8_t nonce[HSM_NONCE_MADE_LEN];
    uint64_t start = now_ns();

    for (uint64_t i = 0; start < runner->end_ns; i++) {
        size_t len = DATA_LEN;

        vary(data, i);
        hsm_status status = call_once(runner, data, out, &len, nonce);
        uint64_t end = now_ns();

        count(runner->tally, end - start);
        if (status != HSM_OK)
            note_failure(runner, hsm_last_error()->detail, status);
        else if (runner->check && !result_good(runner, out, len, nonce, data))
            atomic_fetch_add(&runner->tally->wrong, 1);
        start = runner->check ? now_ns() : end;
    }
}

struct flight {
    uint64_t start_ns;
    uint64_t number;
};

static hsm_status submit(struct runner *runner, hsm_queue *queue, uint8_t *data, struct flight *flight, uint64_t i)
{
    const struct work *work = runner->work;
    hsm_session *session = runner->context->session;

    vary(data, i);
    flight->number = i;
    flight->start_ns = now_ns();
    switch (work->kind) {
    case KIND_NOOP:
        return hsm_submit_ping(queue, flight);
    case KIND_RANDOM:
        return hsm_submit_random(queue, session, work->size, flight);
    case KIND_SIGN:
        return work->mechanism.type == HSM_MECHANISM_EDDSA
                   ? hsm_submit_sign(queue, session, work->key, &work->mechanism, data, DIGEST_LEN, flight)
                   : hsm_submit_sign_digest(queue, session, work->key, &work->mechanism, data, DIGEST_LEN, flight);
    case KIND_ENCRYPT:
        return hsm_submit_encrypt(queue, session, work->key, &work->mechanism, data, work->size, flight);
    }
    return HSM_INTERNAL;
}

static void complete(struct runner *runner, const hsm_completion *completion, uint8_t *data)
{
    struct flight *flight = completion->user_data;

    count(runner->tally, now_ns() - flight->start_ns);
    if (completion->status != HSM_OK) {
        note_failure(runner, completion->detail, completion->status);
        return;
    }
    vary(data, flight->number);
    if (runner->check && !result_good(runner, completion->output, completion->output_len, completion->nonce, data))
        atomic_fetch_add(&runner->tally->wrong, 1);
}

static void run_queue(struct runner *runner, hsm_queue *queue, uint8_t *data, struct flight *flights)
{
    uint64_t n = 0;
    unsigned outstanding = 0;

    for (unsigned i = 0; i < runner->depth; i++, outstanding++) {
        if (submit(runner, queue, data, &flights[i], n++) != HSM_OK)
            break;
    }
    while (outstanding) {
        hsm_completion completion = HSM_COMPLETION_INIT;

        if (hsm_queue_next(queue, -1, &completion) != HSM_OK)
            break;
        struct flight *flight = completion.user_data;

        outstanding--;
        complete(runner, &completion, data);
        hsm_completion_release(&completion);
        if (now_ns() < runner->end_ns && submit(runner, queue, data, flight, n++) == HSM_OK)
            outstanding++;
    }
}

static void *run_thread(void *argument)
{
    struct runner *runner = argument;
    uint8_t *data = calloc(1, DATA_LEN + 64), *out = malloc(DATA_LEN + 1024);
    struct flight *flights = calloc(runner->depth, sizeof(*flights));
    hsm_queue *queue = NULL;

    if (!data || !out || !flights) {
        note_failure(runner, "out of memory", HSM_OUT_OF_MEMORY);
    } else if (runner->depth == 1) {
        run_calls(runner, data, out);
    } else if (hsm_queue_open(runner->context->cluster, &queue) == HSM_OK) {
        run_queue(runner, queue, data, flights);
        hsm_queue_close(queue);
    } else {
        note_failure(runner, hsm_last_error()->detail, HSM_OUT_OF_MEMORY);
    }
    free(data);
    free(out);
    free(flights);
    return NULL;
}

/* --- reporting --- */

static uint64_t sum(struct runner *runners, unsigned n, size_t offset)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < n; i++)
        total += atomic_load((_Atomic uint64_t *)((char *)runners[i].tally + offset));
    return total;
}

static json_t *node_shares(hsm_cluster *cluster, json_t *before)
{
    hsm_statistics *statistics = NULL;
    json_t *shares = json_object();

    if (hsm_cluster_statistics(cluster, &statistics) != HSM_OK)
        return shares;
    for (size_t i = 0; i < statistics->n_nodes; i++) {
        const hsm_node_statistics *node = statistics->nodes[i];
        json_int_t had = json_integer_value(json_object_get(before, node->name));

        json_object_set_new(shares, node->name, json_integer((json_int_t)node->n_requests - had));
        json_object_set_new(before, node->name, json_integer((json_int_t)node->n_requests));
    }
    hsm_statistics_free(statistics);
    return shares;
}

static void print_line(const struct context *context, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);

    if (context->json && text)
        puts(text);
    else
        printf("%6.1f s %12.0f op/s   slowest %8.1f ms   failed %lld\n",
               json_real_value(json_object_get(line, "interval")), json_real_value(json_object_get(line, "ops_per_s")),
               (double)json_integer_value(json_object_get(line, "max_us")) / 1000,
               (long long)json_integer_value(json_object_get(line, "failures")));
    fflush(stdout);
    free(text);
    json_decref(line);
}

static void report_intervals(struct context *context, struct runner *runners, unsigned n, double interval,
                             uint64_t start, uint64_t end)
{
    json_auto_t *seen = json_object();
    uint64_t done = 0, failed = 0, last = start;

    json_decref(node_shares(context->cluster, seen));
    while (interval > 0 && now_ns() < end) {
        usleep((useconds_t)(interval * 1e6));
        uint64_t now = now_ns(), slowest = 0;
        uint64_t ops = sum(runners, n, offsetof(struct tally, n)),
                 bad = sum(runners, n, offsetof(struct tally, failures));

        for (unsigned i = 0; i < n; i++) {
            uint64_t own = atomic_exchange(&runners[i].tally->interval_max_us, 0);

            slowest = own > slowest ? own : slowest;
        }
        print_line(context,
                   json_pack("{s:f, s:f, s:I, s:I, s:o}", "interval", (double)(now - start) / 1e9, "ops_per_s",
                             (double)(ops - done) / ((double)(now - last) / 1e9), "max_us", (json_int_t)slowest,
                             "failures", (json_int_t)(bad - failed), "nodes", node_shares(context->cluster, seen)));
        done = ops;
        failed = bad;
        last = now;
    }
}

static double cpu_us(void)
{
    struct rusage usage_now;

    getrusage(RUSAGE_SELF, &usage_now);
    return (double)(usage_now.ru_utime.tv_sec + usage_now.ru_stime.tv_sec) * 1e6 +
           (double)(usage_now.ru_utime.tv_usec + usage_now.ru_stime.tv_usec);
}

static int report_total(const struct context *context, struct runner *runners, unsigned n, double seconds, double cpu)
{
    struct tally *tallies[THREADS_MAX];
    uint64_t slowest = 0, ops = sum(runners, n, offsetof(struct tally, n));
    uint64_t failures = sum(runners, n, offsetof(struct tally, failures));
    uint64_t wrong = sum(runners, n, offsetof(struct tally, wrong));
    const char *failure = "";

    for (unsigned i = 0; i < n; i++) {
        tallies[i] = runners[i].tally;
        slowest = atomic_load(&tallies[i]->max_us) > slowest ? atomic_load(&tallies[i]->max_us) : slowest;
        failure = runners[i].failure[0] ? runners[i].failure : failure;
    }
    json_auto_t *total = json_pack("{s:I, s:f, s:f, s:f, s:f, s:I, s:f, s:I, s:I, s:s}", "operations", (json_int_t)ops,
                                   "ops_per_s", (double)ops / seconds, "p50_us", percentile(tallies, n, 0.5), "p99_us",
                                   percentile(tallies, n, 0.99), "p999_us", percentile(tallies, n, 0.999), "max_us",
                                   (json_int_t)slowest, "cpu_us_per_op", ops ? cpu / (double)ops : 0.0, "failures",
                                   (json_int_t)failures, "wrong", (json_int_t)wrong, "first_failure", failure);
    if (context->json) {
        char *text = json_dumps(total, JSON_COMPACT);

        puts(text ? text : "{}");
        free(text);
    } else {
        output_object(context, total);
    }
    return failures || wrong ? EXIT_FAILED : EXIT_OK;
}

static int run_all(struct context *context, const struct work *work, unsigned n, unsigned depth, double seconds)
{
    struct runner *runners = calloc(n, sizeof(*runners));
    double cpu = cpu_us();
    uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9);

    if (!runners)
        return usage("out of memory");
    for (unsigned i = 0; i < n; i++) {
        runners[i] = (struct runner){.context = context,
                                     .work = work,
                                     .tally = calloc(1, sizeof(struct tally)),
                                     .depth = depth,
                                     .check = context->options.check,
                                     .end_ns = end};
        if (!runners[i].tally || pthread_create(&runners[i].thread, NULL, run_thread, &runners[i]) != 0)
            return usage("thread %u cannot be started", i);
    }
    report_intervals(context, runners, n, context->options.interval, start, end);
    for (unsigned i = 0; i < n; i++)
        pthread_join(runners[i].thread, NULL);
    int status = report_total(context, runners, n, (double)(now_ns() - start) / 1e9, cpu_us() - cpu);

    for (unsigned i = 0; i < n; i++)
        free(runners[i].tally);
    free(runners);
    return status;
}

int run_bench(struct context *context)
{
    struct work work = {0};
    struct key_type type = {0};
    int threads = context->options.threads ? context->options.threads : 1;
    int depth = context->options.depth ? context->options.depth : 1;
    double seconds = context->options.seconds > 0 ? context->options.seconds : 5;

    if (threads < 1 || threads > THREADS_MAX || depth < 1 || depth > 65536)
        return usage("--threads goes from 1 to %d, --depth from 1 to 65536", THREADS_MAX);
    STEP(parse(context->arguments[0], &work, &type));
    STEP(context_session(context));
    if (type.type)
        STEP(make_key(context, &type, &work));
    int status = run_all(context, &work, (unsigned)threads, (unsigned)depth, seconds);

    EVP_PKEY_free(work.public_key);
    return status;
}
