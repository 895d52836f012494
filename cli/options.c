/* Options: see options.h. */
#include "options.h"

#include <stdio.h>
#include <string.h>

static struct options given = {.password_fd = -1, .new_password_fd = -1, .grace = -1};
static int help, version;

#define TEXT(name, field, argument, doc)                                                                               \
    {                                                                                                                  \
        name, 0, POPT_ARG_STRING, &given.field, 0, doc, argument                                                       \
    }
#define NUMBER(name, field, argument, doc)                                                                             \
    {                                                                                                                  \
        name, 0, POPT_ARG_INT, &given.field, 0, doc, argument                                                          \
    }
#define REAL(name, field, argument, doc)                                                                               \
    {                                                                                                                  \
        name, 0, POPT_ARG_DOUBLE, &given.field, 0, doc, argument                                                       \
    }
#define FLAG(name, field, doc)                                                                                         \
    {                                                                                                                  \
        name, 0, POPT_ARG_NONE, &given.field, 0, doc, NULL                                                             \
    }

static const char common[] =
    "config output user password-file password-fd endpoint approval second-factor help version";

static struct poptOption table[] = {
    TEXT("config", config, "FILE",
         "client configuration (default: $HSM_CONFIG, ~/.config/hsm/hsm.yaml, /etc/hsm/hsm.yaml)"),
    TEXT("output", output, "FORMAT", "table or json"),
    TEXT("user", user, "NAME", "who logs in"),
    TEXT("password-file", password_file, "FILE", "file whose first line is the password"),
    NUMBER("password-fd", password_fd, "N", "file descriptor to read the password from"),
    TEXT("endpoint", endpoint, "URL", "talk to this node alone, such as ipc:///var/lib/hsmd/node.sock"),
    FLAG("help", yes, "show help"),
    FLAG("version", yes, "show the version"),
    TEXT("name", name, "NAME", "name of a cluster, a CA, a client, a node"),
    TEXT("csr", csr, "FILE", "certificate signing request, PEM"),
    TEXT("certificate", certificate, "FILE", "certificate, PEM"),
    TEXT("ca", ca, "FILE", "certificate of the CA, PEM"),
    TEXT("self-signed", self_signed, "DIRECTORY", "make a CA there and sign with it: for trying out"),
    TEXT("to", to, "STORE", "etcd, or sqlite: and the absolute path of a file that does not exist yet"),
    TEXT("recovery-shares", recovery_shares, "M/N",
         "split the recovery key into N shares, of which M are needed (default 2/3), or none: no backups"),
    TEXT("recovery-file", recovery_file, "FILE",
         "activate: write the recovery key there (1/1, or --recovery-shares) instead of showing it; restore: read it"),
    TEXT("backup", backup, "NAME", "which backup (default: the newest)"),
    TEXT("from", from, "WHERE", "directory:/PATH or s3:https://HOST/BUCKET/PREFIX (default: the node's backup-to)"),
    NUMBER("grace", grace, "SECONDS",
           "how long the key before goes on opening what clients hold (default 86400); 0 after it was exposed"),
    FLAG("background", background, "do not wait until it is done"),
    NUMBER("since", since, "N", "from this entry on"),
    TEXT("second-factor", second_factor, "FILE", "private key (PEM) that signs the challenge of a login"),
    FLAG("for-logins", for_logins, "the key is also the second factor of logins from now on"),
    TEXT("approval", approval, "TOKEN", "the quorum token with which others approved this"),
    NUMBER("uses", uses, "N", "how many operations the quorum token is for (default 1)"),
    TEXT("directory", directory, "DIRECTORY", "where the CA's key and certificate are"),
    TEXT("ca-directory", directory, "DIRECTORY", "as --directory"),
    TEXT("role", role, "ROLE", "user: admin, crypto-user or auditor; certificate: node or client"),
    TEXT("out", out, "FILE", "where the result goes (default: standard output)"),
    TEXT("in", in, "FILE", "what is worked on (default: standard input)"),
    TEXT("key", key, "KEY", "label or unique id of the key; ca client: file for the private key"),
    TEXT("mechanism", mechanism, "NAME", "mechanism, such as ecdsa, rsa-pkcs-pss, aes-gcm"),
    TEXT("hash", hash, "NAME", "hash, such as sha256"),
    TEXT("mgf-hash", state, "NAME", "hash of the mask generation function (default: the hash)"),
    TEXT("format", format, "FORMAT", "signature: raw or der; key: pem or der; random: hex or raw"),
    FLAG("reference", reference, "a key reference, to be given to programs in place of the private key"),
    TEXT("signature", signature, "FILE", "the signature"),
    TEXT("aad", aad, "TEXT", "additional authenticated data, OAEP label, or EdDSA context"),
    TEXT("label", label, "TEXT", "label of the key"),
    TEXT("id", id, "HEX", "identifier that the keys of a pair share"),
    TEXT("type", type, "TYPE", "key type, such as rsa, ec, aes"),
    {"attribute", 0, POPT_ARG_ARGV, &given.attributes, 0, "an attribute, such as extractable=true; may be repeated",
     "NAME=VALUE"},
    TEXT("wrapping-key", wrapping_key, "KEY", "the key that wraps"),
    TEXT("new-password-file", new_password_file, "FILE", "file whose first line is the new password"),
    NUMBER("new-password-fd", new_password_fd, "N", "file descriptor to read the new password from"),
    NUMBER("limit", limit, "N", "show no more than so many"),
    NUMBER("days", days, "N", "how long a certificate is valid (default: CA 3650, others 825)"),
    NUMBER("threads", threads, "N", "threads (default 1)"),
    NUMBER("depth", depth, "N", "operations in flight per thread (default 1: synchronous calls)"),
    REAL("seconds", seconds, "S", "how long (default 5)"),
    REAL("interval", interval, "S", "report so often"),
    FLAG("check", check, "verify each result, with OpenSSL"),
    FLAG("undo", undo, "take it back: share no longer, serve again"),
    FLAG("yes", all, "do not ask"),
    POPT_TABLEEND,
};

#define N_OPTIONS (sizeof(table) / sizeof(*table) - 1)

static bool used[N_OPTIONS];

static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = list; (at = strstr(at, name)); at += len) {
        if ((at == list || at[-1] == ' ') && (at[len] == 0 || at[len] == ' '))
            return true;
    }
    return false;
}

static bool takes(const struct command *command, const char *name)
{
    if (listed(common, name))
        return true;
    if (!command)
        return false;
    return listed(command->options, strcmp(name, "ca-directory") ? name : "directory");
}

bool options_parse(int argc, const char **argv, struct options *options, poptContext *popt)
{
    int code;

    for (size_t i = 0; i < N_OPTIONS; i++)
        table[i].val = (int)i + 1;
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (strcmp(table[i].longName, "help") == 0)
            table[i].arg = &help;
        if (strcmp(table[i].longName, "version") == 0)
            table[i].arg = &version;
    }
    *popt = poptGetContext("hsm", argc, argv, table, 0);
    while ((code = poptGetNextOpt(*popt)) > 0)
        used[code - 1] = true;
    *options = given;
    if (code == -1)
        return true;
    fprintf(stderr, "hsm: %s: %s\n", poptBadOption(*popt, POPT_BADOPTION_NOALIAS), poptStrerror(code));
    return false;
}

const char *options_alien(const struct command *command)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (used[i] && !takes(command, table[i].longName))
            return table[i].longName;
    }
    return NULL;
}

bool options_help_wanted(void)
{
    return help;
}

bool options_version_wanted(void)
{
    return version;
}

void options_each(const struct command *command, void (*visit)(const char *name, const char *argument, const char *doc))
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        bool is_common = listed(common, table[i].longName);

        if (command ? !is_common && takes(command, table[i].longName) : is_common)
            visit(table[i].longName, table[i].argDescrip, table[i].descrip);
    }
}

static void print_one(const char *name, const char *argument, const char *doc)
{
    char text[64];

    snprintf(text, sizeof(text), "--%s%s%s", name, argument ? " " : "", argument ? argument : "");
    printf("  %-28s %s\n", text, doc);
}

void options_print(const struct command *command)
{
    options_each(command, print_one);
}
