/* The table of settings, and changing one through it. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include "protocol/names.h"
#include "protocol/secret.h"

enum kind { KIND_TEXT, KIND_SECRET, KIND_NUMBER, KIND_CHOICE, KIND_NODES };

static const struct setting {
    const char *name;
    enum kind kind;
    size_t offset;
    uint32_t min, max, otherwise; /* numbers */
    const char *choices;          /* separated by spaces, in the order of their enum */
    const char *doc;
} settings[] = {
    {"nodes", KIND_NODES, 0, 0, 0, 0, NULL,
     "URLs of nodes, separated by commas (a list in the file); others are learned from them"},
    {"ca-file", KIND_TEXT, offsetof(struct hsm_config, ca_file), 0, 0, 0, NULL, "certificate of the cluster's CA, PEM"},
    {"certificate-file", KIND_TEXT, offsetof(struct hsm_config, certificate_file), 0, 0, 0, NULL,
     "this client's certificate, PEM"},
    {"key-file", KIND_TEXT, offsetof(struct hsm_config, key_file), 0, 0, 0, NULL, "this client's private key, PEM"},
    {"user", KIND_TEXT, offsetof(struct hsm_config, user), 0, 0, 0, NULL, "user for hsm_login_default"},
    {"password", KIND_SECRET, offsetof(struct hsm_config, password), 0, 0, 0, NULL,
     "its password; better in a file of mode 0600: password-file"},
    {"password-file", KIND_TEXT, offsetof(struct hsm_config, password_file), 0, 0, 0, NULL,
     "file whose first line is the password"},
    {"zone", KIND_TEXT, offsetof(struct hsm_config, zone), 0, 0, 0, NULL,
     "availability zone of this client, for balance: zone"},
    {"transport", KIND_CHOICE, offsetof(struct hsm_config, transport), 0, 1, TRANSPORT_DIRECT, "direct nng",
     "direct: plain sockets, no threads; nng: the NNG library"},
    {"balance", KIND_CHOICE, offsetof(struct hsm_config, balance), 0, 2, BALANCE_ROUND_ROBIN,
     "round-robin zone least-outstanding",
     "which node is next: each in turn; those of our zone first; the least loaded and quickest"},
    {"connections", KIND_NUMBER, offsetof(struct hsm_config, connections), 1, 8, 2, NULL, "connections to each node"},
    {"timeout-ms", KIND_NUMBER, offsetof(struct hsm_config, timeout_ms), TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, 10000, NULL,
     "deadline of a call"},
    {"attempt-timeout-ms", KIND_NUMBER, offsetof(struct hsm_config, attempt_timeout_ms), TIMEOUT_MIN_MS, TIMEOUT_MAX_MS,
     200, NULL, "how long one node is given before another is asked"},
    {"connect-timeout-ms", KIND_NUMBER, offsetof(struct hsm_config, connect_timeout_ms), 10, 600000, 2000, NULL,
     "how long opening a connection may take"},
    {"refresh-interval-ms", KIND_NUMBER, offsetof(struct hsm_config, refresh_interval_ms), 0, 86400000, 30000, NULL,
     "how often the list of nodes is refreshed; 0: never"},
};

#define N_SETTINGS (sizeof(settings) / sizeof(*settings))

static char **text_of(const struct hsm_config *config, const struct setting *setting)
{
    return (char **)((char *)config + setting->offset);
}

static uint32_t *number_of(const struct hsm_config *config, const struct setting *setting)
{
    return (uint32_t *)((char *)config + setting->offset);
}

/* --- finding --- */

static const struct setting *nearest(const char *name)
{
    const struct setting *best = &settings[0];

    for (size_t i = 1; i < N_SETTINGS; i++) {
        if (names_distance(name, settings[i].name) < names_distance(name, best->name))
            best = &settings[i];
    }
    return best;
}

static status_code find(const char *name, const char *origin, const struct setting **setting)
{
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (strcmp(settings[i].name, name) == 0) {
            *setting = &settings[i];
            return STATUS_OK;
        }
    }
    FAIL(STATUS_CONFIG_INVALID, "%s: there is no setting %.64s; did you mean %s?", origin, name, nearest(name)->name);
}

bool config_describe(size_t index, const char **name, const char **doc)
{
    if (index >= N_SETTINGS)
        return false;
    *name = settings[index].name;
    *doc = settings[index].doc;
    return true;
}

/* --- setting --- */

static void free_text(char **text, bool secret)
{
    if (*text && secret)
        secret_wipe(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static status_code set_text(char **text, const char *value, bool secret)
{
    char *copy = value[0] ? strdup(value) : NULL;

    CHECK(copy || !value[0], STATUS_OUT_OF_MEMORY, "no memory for a setting");
    free_text(text, secret);
    *text = copy;
    return STATUS_OK;
}

static status_code set_number(const struct setting *setting, uint32_t *number, const char *value, const char *origin)
{
    char *end;

    errno = 0;
    unsigned long long parsed = strtoull(value, &end, 10);
    CHECK(isdigit((unsigned char)value[0]) && *end == 0 && errno == 0 && parsed >= setting->min &&
              parsed <= setting->max,
          STATUS_CONFIG_INVALID, "%s: %s takes a number from %u to %u, not %.64s", origin, setting->name, setting->min,
          setting->max, value);
    *number = (uint32_t)parsed;
    return STATUS_OK;
}

static status_code set_choice(const struct setting *setting, uint32_t *number, const char *value, const char *origin)
{
    const char *at = setting->choices;
    size_t len = strlen(value);

    for (uint32_t i = 0; len && *at; i++) {
        size_t n = strcspn(at, " ");

        if (n == len && strncmp(at, value, n) == 0) {
            *number = i;
            return STATUS_OK;
        }
        at += n + (at[n] == ' ');
    }
    FAIL(STATUS_CONFIG_INVALID, "%s: %s is one of: %s; not %.64s", origin, setting->name, setting->choices, value);
}

static void free_nodes(struct hsm_config *config)
{
    for (unsigned i = 0; i < config->n_nodes; i++)
        free(config->nodes[i]);
    config->n_nodes = 0;
}

static status_code check_url(const char *url, const char *origin)
{
    static const char *const schemes[] = {"tls+tcp://", "tcp://", "ipc://", "ws://", "wss://", "inproc://"};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        if (strncmp(url, schemes[i], strlen(schemes[i])) == 0 && url[strlen(schemes[i])])
            return STATUS_OK;
    }
    FAIL(STATUS_CONFIG_INVALID, "%s: nodes: %.64s is no URL of a node, such as tls+tcp://HOST:PORT", origin, url);
}

static status_code set_nodes(struct hsm_config *config, const char *value, const char *origin)
{
    free_nodes(config);
    while (*value) {
        size_t n = strcspn(value, ",");
        size_t lead = strspn(value, " "), len = n > lead ? n - lead : 0;

        while (len && value[lead + len - 1] == ' ')
            len--;
        CHECK(config->n_nodes < CONFIG_NODES_MAX, STATUS_CONFIG_INVALID, "%s: more than %u nodes", origin,
              CONFIG_NODES_MAX);
        char *url = strndup(value + lead, len);
        CHECK(url, STATUS_OUT_OF_MEMORY, "no memory for a setting");
        config->nodes[config->n_nodes++] = url;
        TRY(check_url(url, origin));
        value += n + (value[n] == ',');
    }
    return STATUS_OK;
}

status_code config_set(struct hsm_config *config, const char *name, const char *value, const char *origin)
{
    const struct setting *setting;

    TRY(find(name, origin, &setting));
    switch (setting->kind) {
    case KIND_TEXT:
    case KIND_SECRET:
        return set_text(text_of(config, setting), value, setting->kind == KIND_SECRET);
    case KIND_NUMBER:
        return set_number(setting, number_of(config, setting), value, origin);
    case KIND_CHOICE:
        return set_choice(setting, number_of(config, setting), value, origin);
    case KIND_NODES:
        return set_nodes(config, value, origin);
    }
    return STATUS_OK;
}

/* --- reading --- */

static void append_text(struct bytes *out, const char *text)
{
    bytes_append(out, text, strlen(text));
}

static void append_choice(struct bytes *out, const char *choices, uint32_t index)
{
    while (index-- > 0)
        choices += strcspn(choices, " ") + 1;
    bytes_append(out, choices, strcspn(choices, " "));
}

status_code config_get(const struct hsm_config *config, const char *name, struct bytes *text)
{
    const struct setting *setting;
    char digits[16];

    TRY(find(name, "hsm_config_get", &setting));
    switch (setting->kind) {
    case KIND_SECRET:
        FAIL(STATUS_NOT_PERMITTED, "%s is not given out", name);
    case KIND_TEXT:
        append_text(text, *text_of(config, setting) ? *text_of(config, setting) : "");
        break;
    case KIND_NUMBER:
        snprintf(digits, sizeof(digits), "%u", *number_of(config, setting));
        append_text(text, digits);
        break;
    case KIND_CHOICE:
        append_choice(text, setting->choices, *number_of(config, setting));
        break;
    case KIND_NODES:
        for (unsigned i = 0; i < config->n_nodes; i++) {
            append_text(text, i ? "," : "");
            append_text(text, config->nodes[i]);
        }
        break;
    }
    return bytes_ok(text);
}

/* --- life --- */

status_code config_new(struct hsm_config **config)
{
    struct hsm_config *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a configuration");
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (settings[i].kind == KIND_NUMBER || settings[i].kind == KIND_CHOICE)
            *number_of(made, &settings[i]) = settings[i].otherwise;
    }
    *config = made;
    return STATUS_OK;
}

void config_free(struct hsm_config *config)
{
    if (!config)
        return;
    free_nodes(config);
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (settings[i].kind == KIND_TEXT || settings[i].kind == KIND_SECRET)
            free_text(text_of(config, &settings[i]), settings[i].kind == KIND_SECRET);
    }
    free(config);
}

static status_code copy_into(const struct hsm_config *from, struct hsm_config *to)
{
    for (size_t i = 0; i < N_SETTINGS; i++) {
        const struct setting *setting = &settings[i];

        if (setting->kind == KIND_NUMBER || setting->kind == KIND_CHOICE)
            *number_of(to, setting) = *number_of(from, setting);
        else if (setting->kind != KIND_NODES && *text_of(from, setting))
            TRY(set_text(text_of(to, setting), *text_of(from, setting), setting->kind == KIND_SECRET));
    }
    for (unsigned i = 0; i < from->n_nodes; i++) {
        char *url = strdup(from->nodes[i]);

        CHECK(url, STATUS_OUT_OF_MEMORY, "no memory for a setting");
        to->nodes[to->n_nodes++] = url;
    }
    return STATUS_OK;
}

status_code config_copy(const struct hsm_config *from, struct hsm_config **copy)
{
    struct hsm_config *made;

    TRY(config_new(&made));
    status_code status = copy_into(from, made);
    if (status != STATUS_OK) {
        config_free(made);
        return status;
    }
    *copy = made;
    return STATUS_OK;
}
