/* The table of settings, and how a value's text becomes a field of struct node_config. Every value is checked here,
 * wherever it came from, so that the rest of the node may rely on ranges and lengths. */
#include "config/setting.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "protocol/names.h"

#define FIELD_OF(field) offsetof(struct node_config, field), sizeof(((struct node_config *)0)->field)
#define TEXT(setting, field, standard, doc)                                                                            \
    {                                                                                                                  \
        setting, SETTING_TEXT, FIELD_OF(field), 0, 0, 0, NULL, standard, doc                                           \
    }
#define PATH(setting, field, standard, doc)                                                                            \
    {                                                                                                                  \
        setting, SETTING_PATH, FIELD_OF(field), 0, 0, 0, NULL, standard, doc                                           \
    }
#define URLS(setting, field, schemes, standard, doc)                                                                   \
    {                                                                                                                  \
        setting, SETTING_URLS, FIELD_OF(field[0]), offsetof(struct node_config, n_##field), 0, 0, schemes, standard,   \
            doc                                                                                                        \
    }
#define NUMBER(setting, field, min, max, standard, doc)                                                                \
    {                                                                                                                  \
        setting, SETTING_NUMBER, FIELD_OF(field), 0, min, max, NULL, standard, doc                                     \
    }
#define BOOL(setting, field, standard, doc)                                                                            \
    {                                                                                                                  \
        setting, SETTING_BOOL, FIELD_OF(field), 0, 0, 0, NULL, standard, doc                                           \
    }
#define CHOICE(setting, field, words, standard, doc)                                                                   \
    {                                                                                                                  \
        setting, SETTING_CHOICE, FIELD_OF(field), 0, 0, 0, words, standard, doc                                        \
    }

const struct setting SETTINGS[] = {
    TEXT("name", name, "", "Name of this node, for people. Default: the host's name."),
    TEXT("zone", zone, "", "Availability zone; clients may prefer nodes of their own."),
    PATH("state-folder", state_folder, "/var/lib/hsmd",
         "Where identity and keys of this node live; mode 0700. Never share one between nodes, never lose it."),
    TEXT("store", store, "",
         "The store that the cluster's nodes share: sqlite:PATH (nodes of one machine), or etcd. Default: sqlite, "
         "store.db "
         "in the state folder."),
    URLS("etcd-endpoints", etcd_endpoints, "https http", "", "URLs of etcd's members, for store: etcd."),
    TEXT("etcd-prefix", etcd_prefix, "/libhsm", "What all keys of this cluster in etcd begin with."),
    PATH("etcd-ca-file", etcd_ca_file, "", "Certificate of the authority that signed etcd's certificates (PEM)."),
    PATH("etcd-certificate-file", etcd_certificate_file, "", "This node's certificate for etcd (PEM)."),
    PATH("etcd-key-file", etcd_key_file, "", "The private key of that certificate (PEM)."),
    NUMBER(
        "staleness-limit-s", staleness_limit_s, 0, 31536000, "0",
        "How long a node serves keys after it was last known to be up to date with etcd, in seconds; 0: without limit. "
        "Logins and changes always need etcd."),
    URLS("listen", listen, "tls+tcp tcp ipc", "tls+tcp://0.0.0.0:2223",
         "URLs to serve clients on. tcp:// and ipc:// are without TLS: for tests, or behind something that protects "
         "them."),
    URLS("listen-nng", listen_nng, "tls+tcp tcp ipc inproc ws wss", "",
         "URLs to serve clients on through the NNG library: wss:// and, on loopback, ws://, for clients that reach no "
         "other. tls+tcp://, tcp:// and ipc:// are carried as under listen, which is faster."),
    TEXT("advertise", advertise, "",
         "URL that clients are told to reach this node by. Default: the first URL that it listens on."),
    TEXT("metrics", metrics, "127.0.0.1:9464",
         "Where metrics (Prometheus) and the health check are served: ADDRESS:PORT on loopback, or off."),
    NUMBER("workers", workers, 0, 32, "0", "Threads that answer requests; 0: one a processor."),
    NUMBER("slow-workers", slow_workers, 1, 16, "2", "Threads for what takes long: RSA key generation, logins."),
    NUMBER("store-workers", store_workers, 1, 16, "8",
           "Threads for changes, which wait for the store's disk or network; those that wait together are written "
           "together."),
    NUMBER("object-cache", object_cache, 16, 10000000, "20000", "Keys and other objects kept opened in memory."),
    NUMBER("tail-interval-ms", tail_interval_ms, 1, 60000, "20",
           "How often changes made by other nodes are looked for, in milliseconds."),
    NUMBER("rotation-pause-ms", rotation_pause_ms, 0, 5000, "2",
           "Pause after every 48 records that are sealed anew while the masking key is replaced, in milliseconds."),
    NUMBER("ticket-lifetime-s", ticket_lifetime_s, 60, 86400, "3600",
           "How long a login lasts without being used, in seconds."),
    NUMBER("login-limit-s", login_limit_s, 0, 31536000, "0",
           "How long a login lasts however much it is used, in seconds; 0: as long as it is used."),
    NUMBER("password-iterations", password_iterations, 1000, 10000000, "210000",
           "Iterations of PBKDF2-HMAC-SHA-512 over a password, from its next change on."),
    NUMBER("login-attempts", login_attempts, 1, 1000, "5", "Failed logins of a user before it is locked out."),
    NUMBER("login-lock-s", login_lock_s, 1, 3600, "30",
           "First lock-out in seconds; doubles with each further failure, up to an hour."),
    NUMBER("quorum-token-lifetime-s", quorum_token_lifetime_s, 60, 604800, "600",
           "How long approvals for a quorum token may be gathered and spent, in seconds."),
    NUMBER("keys-per-user", keys_per_user, 1, 100000000, "1000000", "Most objects that a user may own."),
    NUMBER("connections-max", connections_max, 1, 1000000, "4096", "Most client connections at a time."),
    NUMBER("drain-timeout-s", drain_timeout_s, 0, 3600, "30",
           "How long a stop waits for requests at hand, in seconds."),
    TEXT("backup-to", backup_to, "",
         "Where backups are kept: directory:/PATH, or s3:https://HOST/BUCKET/PREFIX. Without it this node makes none."),
    NUMBER(
        "backup-interval-s", backup_interval_s, 0, 31536000, "86400",
        "How old the newest backup of this cluster may become before an automatic one is made, in seconds; 0: only on "
        "demand."),
    NUMBER("backup-keep-days", backup_keep_days, 0, 36500, "90",
           "After an automatic backup those that are older are removed, but never the newest; 0: all are kept."),
    TEXT("backup-s3-region", backup_s3_region, "us-east-1", "Region that requests to the bucket are signed for."),
    PATH("backup-s3-credentials-file", backup_s3_credentials_file, "",
         "File of one line, ACCESS-KEY-ID:SECRET-ACCESS-KEY, which only this node's user may read."),
    PATH("backup-s3-ca-file", backup_s3_ca_file, "",
         "Certificate of the authority that signed the bucket's certificate (PEM). Default: the system's."),
    NUMBER("audit-checkpoint-interval-s", audit_checkpoint_interval_s, 0, 86400, "3600",
           "How often this node logs how far its audit log has come, signed, in seconds; and when it stops. 0: never."),
    BOOL("audit-key-use", audit_key_use, "false", "Record every use of a key in the audit log, not just changes."),
    BOOL("fips", fips, "false", "Use OpenSSL's FIPS provider; the node does not start without it."),
    BOOL("hardening", hardening, "true", "System-call filter, locked memory, no core files, no debugger."),
    BOOL("allow-des3-encrypt", policy.allow_des3_encrypt, "false", "Let 3DES keys encrypt, not just decrypt."),
    BOOL("allow-raw-rsa", policy.allow_raw_rsa, "false", "Let RSA keys be used without padding."),
    BOOL("allow-sha1-sign", policy.allow_sha1_sign, "false", "Let signatures over SHA-1 digests be made."),
    TEXT("run-as", run_as, "", "User to become when started as root. Default: stay."),
    CHOICE("log-level", log.level, "error warning info debug", "info", "Least important events that are logged."),
    CHOICE("log-format", log.json, "text json", "text", "key=value lines, or a JSON object a line."),
    PATH("log-file", log_file, "", "File to log to; reopened on SIGHUP. Default: standard error."),
};
const size_t N_SETTINGS = sizeof SETTINGS / sizeof SETTINGS[0];

const struct setting *setting_find(const char *name)
{
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (strcmp(SETTINGS[i].name, name) == 0)
            return &SETTINGS[i];
    return NULL;
}

const struct setting *setting_nearest(const char *name)
{
    const struct setting *nearest = NULL;
    size_t len = strlen(name);
    unsigned least = (unsigned)(len < 6 ? 2 : len / 2);
    if (len == 0 || len > NAME_DISTANCE_LEN)
        return NULL;
    for (size_t i = 0; i < N_SETTINGS; i++) {
        unsigned distance = names_distance(name, SETTINGS[i].name);
        if (distance <= least && (!nearest || distance < least)) {
            least = distance;
            nearest = &SETTINGS[i];
        }
    }
    return nearest;
}

status_code setting_unknown(const char *name, const char *source)
{
    const struct setting *nearest = setting_nearest(name);
    if (nearest)
        FAIL(STATUS_CONFIG_INVALID, "%s: unknown setting %.64s; did you mean %s?", source, name, nearest->name);
    FAIL(STATUS_CONFIG_INVALID, "%s: unknown setting %.64s; hsmd --print-config lists all", source, name);
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static status_code put_text(const struct setting *setting, char *field, const char *value, const char *source)
{
    size_t len = strlen(value);
    CHECK(len < setting->size, STATUS_CONFIG_INVALID, "%s: %s is longer than %zu bytes", source, setting->name,
          setting->size - 1);
    CHECK(is_printable(value), STATUS_CONFIG_INVALID, "%s: %s contains control characters", source, setting->name);
    memcpy(field, value, len + 1);
    return STATUS_OK;
}

static status_code put_path(const struct setting *setting, char *field, const char *value, const char *source)
{
    CHECK(value[0] == '/' || !value[0], STATUS_CONFIG_INVALID, "%s: %s must be an absolute path, not %.64s", source,
          setting->name, value);
    return put_text(setting, field, value, source);
}

static status_code put_number(const struct setting *setting, unsigned *field, const char *value, const char *source)
{
    char *end = NULL;
    unsigned long number = strtoul(value, &end, 10);
    bool digits = value[0] >= '0' && value[0] <= '9' && strlen(value) <= 10;
    CHECK(digits && *end == 0 && number >= setting->min && number <= setting->max, STATUS_CONFIG_INVALID,
          "%s: %s must be a number from %u to %u, not %.32s", source, setting->name, setting->min, setting->max, value);
    *field = (unsigned)number;
    return STATUS_OK;
}

static status_code put_bool(const struct setting *setting, bool *field, const char *value, const char *source)
{
    static const struct {
        const char *word;
        bool meaning;
    } WORDS[] = {{"true", true}, {"false", false}, {"yes", true}, {"no", false}, {"on", true}, {"off", false}};
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (strcasecmp(value, WORDS[i].word) != 0)
            continue;
        *field = WORDS[i].meaning;
        return STATUS_OK;
    }
    FAIL(STATUS_CONFIG_INVALID, "%s: %s must be true or false, not %.32s", source, setting->name, value);
}

/** Index of a word in a list separated by spaces, or -1. */
static int word_index(const char *words, const char *wanted, size_t wanted_len)
{
    for (int i = 0; *words; i++) {
        size_t len = strcspn(words, " ");
        if (len == wanted_len && memcmp(words, wanted, len) == 0)
            return i;
        words += len + (words[len] == ' ');
    }
    return -1;
}

static status_code put_choice(const struct setting *setting, struct node_config *config, const char *value,
                              const char *source)
{
    int index = word_index(setting->choices, value, strlen(value));
    CHECK(index >= 0, STATUS_CONFIG_INVALID, "%s: %s must be one of: %s; not %.32s", source, setting->name,
          setting->choices, value);
    if (setting->offset == offsetof(struct node_config, log.json))
        config->log.json = index == 1;
    else
        config->log.level = (enum log_level)index;
    return STATUS_OK;
}

void setting_list_clear(const struct setting *setting, struct node_config *config)
{
    *(unsigned *)((char *)config + setting->count_offset) = 0;
}

status_code setting_list_add(const struct setting *setting, struct node_config *config, const char *value,
                             const char *source)
{
    unsigned *n = (unsigned *)((char *)config + setting->count_offset);
    const char *scheme_end = strstr(value, "://");
    CHECK(scheme_end && word_index(setting->choices, value, (size_t)(scheme_end - value)) >= 0 && scheme_end[3],
          STATUS_CONFIG_INVALID, "%s: %s must be a URL with one of the schemes: %s; not %.64s", source, setting->name,
          setting->choices, value);
    CHECK(*n < NODE_LISTENERS_MAX, STATUS_CONFIG_INVALID, "%s: %s holds more than %d URLs", source, setting->name,
          NODE_LISTENERS_MAX);
    TRY(put_text(setting, (char *)config + setting->offset + *n * setting->size, value, source));
    (*n)++;
    return STATUS_OK;
}

static status_code put_list(const struct setting *setting, struct node_config *config, const char *value,
                            const char *source)
{
    setting_list_clear(setting, config);
    while (*value) {
        char element[256];
        size_t len = strcspn(value, ",");
        size_t skipped = strspn(value, " ");
        CHECK(len < sizeof element, STATUS_CONFIG_INVALID, "%s: %s holds a URL that is too long", source,
              setting->name);
        if (len > skipped) {
            snprintf(element, sizeof element, "%.*s", (int)(len - skipped), value + skipped);
            TRY(setting_list_add(setting, config, element, source));
        }
        value += len + (value[len] == ',');
    }
    return STATUS_OK;
}

status_code setting_set(const struct setting *setting, struct node_config *config, const char *value,
                        const char *source)
{
    void *field = (char *)config + setting->offset;
    switch (setting->kind) {
    case SETTING_TEXT:
        return put_text(setting, field, value, source);
    case SETTING_PATH:
        return put_path(setting, field, value, source);
    case SETTING_URLS:
        return put_list(setting, config, value, source);
    case SETTING_NUMBER:
        return put_number(setting, field, value, source);
    case SETTING_BOOL:
        return put_bool(setting, field, value, source);
    case SETTING_CHOICE:
        return put_choice(setting, config, value, source);
    }
    FAIL(STATUS_INTERNAL, "%s has no kind", setting->name);
}
