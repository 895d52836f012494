/* hsmd: the command line, the order in which the node's parts come up, and signals.
 *
 * Order: configuration, privileges, log, hardening, cryptography and its self-tests, node, listeners, metrics; and
 * back. Signals are blocked in every thread and taken one by one by the main thread, which does nothing else. */
#include <nng/nng.h>
#include <popt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "hardening.h"
#include "identity/presence.h"
#include "node.h"
#include "notify.h"
#include "server/server.h"

#define OVERRIDES_MAX 64
#define DRAIN_LOOK_MS 20

/* Exit statuses, after sysexits(3); docs/node.md lists them. */
enum {
    STOPPED = 0,
    WRONG_USAGE = 64,
    STORE_UNUSABLE = 66,
    FAILED_INSIDE = 70,
    SYSTEM_FAILED = 71,
    TRY_LATER = 75,
    WRONG_CONFIG = 78,
};

static const struct {
    status_code code;
    int exit_status;
} EXIT_STATUSES[] = {
    {STATUS_CONFIG_INVALID, WRONG_CONFIG},    {STATUS_CLUSTER_STATE, WRONG_CONFIG},
    {STATUS_TLS_ERROR, WRONG_CONFIG},         {STATUS_NOT_SUPPORTED, WRONG_CONFIG},
    {STATUS_STORE_FOREIGN, STORE_UNUSABLE},   {STATUS_STORE_DAMAGED, STORE_UNUSABLE},
    {STATUS_STORE_READ_ONLY, STORE_UNUSABLE}, {STATUS_STORE_FULL, STORE_UNUSABLE},
    {STATUS_STORE_LOCKED, TRY_LATER},         {STATUS_IO_ERROR, SYSTEM_FAILED},
    {STATUS_OUT_OF_MEMORY, SYSTEM_FAILED},    {STATUS_RANDOM_FAILED, SYSTEM_FAILED},
};

static int exit_status_of(status_code code)
{
    for (size_t i = 0; i < sizeof EXIT_STATUSES / sizeof EXIT_STATUSES[0]; i++)
        if (EXIT_STATUSES[i].code == code)
            return EXIT_STATUSES[i].exit_status;
    return code == STATUS_OK ? STOPPED : FAILED_INSIDE;
}

/* The command line. */

struct arguments {
    char *config;
    int check, print, version;
    const char *overrides[OVERRIDES_MAX];
    size_t n_overrides;
};

enum { OPTION_SET = 1 };

static int wrong_usage(const char *what, const char *which)
{
    fprintf(stderr, "hsmd: %s%s%s\nTry hsmd --help.\n", what, which ? ": " : "", which ? which : "");
    return WRONG_USAGE;
}

static int read_arguments(poptContext options, struct arguments *arguments)
{
    int option;
    while ((option = poptGetNextOpt(options)) > 0) {
        char *value = poptGetOptArg(options);
        if (arguments->n_overrides == OVERRIDES_MAX) {
            free(value);
            return wrong_usage("too many --set", NULL);
        }
        arguments->overrides[arguments->n_overrides++] = value;
    }
    if (option < -1)
        return wrong_usage(poptStrerror(option), poptBadOption(options, POPT_BADOPTION_NOALIAS));
    if (poptPeekArg(options))
        return wrong_usage("unexpected argument", poptPeekArg(options));
    return STOPPED;
}

static int parse(int argc, const char **argv, struct arguments *arguments)
{
    const struct poptOption table[] = {
        {"config", 'c', POPT_ARG_STRING, &arguments->config, 0, "Configuration file (default: $HSMD_CONFIG, or none)",
         "FILE"},
        {"set", 's', POPT_ARG_STRING, NULL, OPTION_SET, "Overrides a setting; may be repeated", "NAME=VALUE"},
        {"check-config", 0, POPT_ARG_NONE, &arguments->check, 0, "Checks the configuration and exits", NULL},
        {"print-config", 0, POPT_ARG_NONE, &arguments->print, 0,
         "Prints all settings with their defaults, as a file to start from", NULL},
        {"version", 'V', POPT_ARG_NONE, &arguments->version, 0, "Prints the version", NULL},
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext options = poptGetContext("hsmd", argc, argv, table, 0);
    poptSetOtherOptionHelp(options, "[--config FILE] [--set NAME=VALUE ...]");
    int status = read_arguments(options, arguments);
    poptFreeContext(options);
    return status;
}

static void free_arguments(struct arguments *arguments)
{
    free(arguments->config);
    for (size_t i = 0; i < arguments->n_overrides; i++)
        free((void *)(uintptr_t)arguments->overrides[i]);
}

static int print_settings(void)
{
    CLEANUP(bytes_release) struct bytes text = BYTES_INIT;
    if (node_config_print(&text) != STATUS_OK || fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout))
        return SYSTEM_FAILED;
    return STOPPED;
}

/* Signals. */

static void block_signals(sigset_t *signals)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* the write fails, which is dealt with */
}

static void reload(struct node *node)
{
    if (log_open(&node->config.log) != STATUS_OK)
        log_event(LOG_LEVEL_ERROR, "log file kept", "detail", failure_detail(), NULL);
    if (identity_reload(node->identity) != STATUS_OK) {
        log_event(LOG_LEVEL_ERROR, "certificate kept", "detail", failure_detail(), NULL);
        return;
    }
    if (identity_state(node->identity) == IDENTITY_MEMBER && node_announce(node) != STATUS_OK)
        log_event(LOG_LEVEL_ERROR, "not announced", "detail", failure_detail(), NULL);
    log_event(LOG_LEVEL_INFO, "reloaded", NULL);
}

/** Waits until nothing is being answered, drain-timeout-s have passed, or a second signal says at once. */
static void drain(struct node *node, const sigset_t *signals)
{
    const struct timespec look = {0, DRAIN_LOOK_MS * 1000000};
    unsigned left = node->config.drain_timeout_s * 1000 / DRAIN_LOOK_MS;
    server_drain(node->server);
    for (; left > 0 && !server_idle(node->server); left--) {
        int number = sigtimedwait(signals, NULL, &look);
        if (number == SIGTERM || number == SIGINT)
            break;
    }
    if (!server_idle(node->server))
        log_event(LOG_LEVEL_WARNING, "stopped with requests unanswered", "hint", "clients send them to other nodes",
                  NULL);
}

static void serve_until_stopped(struct node *node, const sigset_t *signals)
{
    for (;;) {
        int number = sigwaitinfo(signals, NULL);
        if (number == SIGHUP)
            reload(node);
        if (number != SIGTERM && number != SIGINT)
            continue;
        log_event(LOG_LEVEL_INFO, "stopping", "signal", number == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
        notify_systemd("STOPPING=1");
        atomic_store(&node->state, NODE_DRAINING);
        presence_tell(node);
        drain(node, signals);
        return;
    }
}

/* Up and down. */

static status_code start_metrics(struct node *node)
{
    if (strcmp(node->config.metrics, "off") == 0)
        return STATUS_OK;
    return metrics_serve(node, node->config.metrics, &node->metrics_port, &node->metrics);
}

static status_code run_node(struct node *node, const sigset_t *signals)
{
    TRY(start_metrics(node));
    TRY(server_start(node, &node->server));
    if (identity_state(node->identity) == IDENTITY_MEMBER)
        TRY(node_announce(node));
    TRY(node_write_ready(node));
    log_event(LOG_LEVEL_INFO, "ready", "version", HSMD_VERSION, "cryptography", crypto_version(), "state",
              node_state_name(atomic_load(&node->state)), NULL);
    notify_systemd("READY=1");
    serve_until_stopped(node, signals);
    return STATUS_OK;
}

static status_code start_cryptography(const struct node_config *config)
{
    TRY(crypto_start(config->fips, &config->policy));
    return crypto_self_test();
}

static status_code run(const struct node_config *config)
{
    struct node *node = NULL;
    sigset_t signals;

    TRY(hardening_drop_privileges(config));
    TRY(log_open(&config->log));
    block_signals(&signals);
    TRY(hardening_apply(config));
    TRY(start_cryptography(config));
    TRY(node_start(config, &node));
    status_code code = run_node(node, &signals);
    char detail[FAILURE_DETAIL_MAX];
    snprintf(detail, sizeof detail, "%s", failure_detail());
    if (node->server)
        server_stop(node->server);
    metrics_stop(node->metrics);
    node_stop(node);
    nng_fini(); /* its threads keep random generators of ours until they end */
    crypto_stop();
    return code == STATUS_OK ? code : failure_set(code, "%s", detail);
}

/** On stderr as well when the log goes to a file: whoever started hsmd looks there. */
static int end(status_code code, const struct node_config *config)
{
    if (code == STATUS_OK)
        log_event(LOG_LEVEL_INFO, "stopped", NULL);
    else
        log_event(LOG_LEVEL_ERROR, "not started", "status", status_name(code), "detail", failure_detail(), NULL);
    if (code != STATUS_OK && config->log.file)
        fprintf(stderr, "hsmd: %s\n", failure_detail());
    log_close();
    return exit_status_of(code);
}

static int begin(const struct arguments *arguments)
{
    static struct node_config config;
    const char *path = arguments->config ? arguments->config : getenv("HSMD_CONFIG");

    if (arguments->version)
        return printf("hsmd %s\n", HSMD_VERSION) < 0 ? SYSTEM_FAILED : STOPPED;
    if (arguments->print)
        return print_settings();
    status_code code = node_config_load_with(path, arguments->overrides, arguments->n_overrides, &config);
    if (code != STATUS_OK) {
        fprintf(stderr, "hsmd: %s\n", failure_detail());
        return exit_status_of(code);
    }
    if (arguments->check)
        return printf("The configuration is valid.\n") < 0 ? SYSTEM_FAILED : STOPPED;
    return end(run(&config), &config);
}

int main(int argc, const char **argv)
{
    CLEANUP(free_arguments) struct arguments arguments = {0};
    umask(077);
    int status = parse(argc, argv, &arguments);
    return status == STOPPED ? begin(&arguments) : status;
}
