/* A command: words, what it takes, what it does. One table (commands.c) names them all; help, completion, suggestions
 * and the man page come from it. */
#pragma once

#include <hsm/hsm.h>
#include <jansson.h>
#include <stdbool.h>

/* Exit statuses, as the man page lists them. */
enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_NOT_ALLOWED = 4,
    EXIT_UNAVAILABLE = 5,
    EXIT_INVALID = 6, /* a signature, tag or wrapped key that is not valid */
};

/** Every option of every command; NULL or 0 when it was not given. */
struct options {
    char *config, *output, *user, *password_file, *endpoint;
    int password_fd;
    char *name, *csr, *certificate, *ca, *directory, *role, *out, *in, *key, *mechanism, *hash, *format, *signature;
    char *label, *id, *new_password_file, *aad, *state, *self_signed, *to, *wrapping_key, *type;
    char *recovery_shares, *recovery_file, *backup, *from, *approval, *second_factor;
    int since, for_logins, grace, background;
    char **attributes;
    int new_password_fd, limit, bytes, days, threads, depth, undo, session;
    double seconds, interval;
    int check, yes, mgf_hash, all, uses, reference;
};

struct context {
    struct options options;
    const char **arguments; /* behind the command's words */
    unsigned n_arguments;
    bool json;
    hsm_config *config;
    hsm_cluster *cluster;
    hsm_session *session;
};

struct command {
    const char *words;     /* "key generate" */
    const char *arguments; /* "TYPE", for help; "" for none */
    unsigned min_arguments, max_arguments;
    const char *options; /* names of the options that it takes, separated by spaces */
    const char *summary;
    int (*run)(struct context *context);
};

extern const struct command COMMANDS[];
extern const unsigned N_COMMANDS;

/* context.c: each prints what went wrong and returns the exit status to leave with; 0 on success. */
int context_cluster(struct context *context); /* opens the cluster (or the endpoint) */

/** The same for showing how nodes are: does not wait long for one that does not answer. */
int context_cluster_impatient(struct context *context);
int context_session(struct context *context); /* and logs in */
void context_close(struct context *context);

/** Prints the library's last error, behind `what`; returns the exit status for it. */
int report(const char *what, hsm_status status);

/** Prints a mistake in the use of the command; returns EXIT_USAGE. */
int usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs a call of the library and leaves on failure. */
#define CALL(what, call)                                                                                               \
    do {                                                                                                               \
        hsm_status call_status_ = (call);                                                                              \
        if (call_status_ != HSM_OK)                                                                                    \
            return report((what), call_status_);                                                                       \
    } while (0)

/* Runs one of our own functions, which has reported already. */
#define STEP(call)                                                                                                     \
    do {                                                                                                               \
        int step_status_ = (call);                                                                                     \
        if (step_status_ != EXIT_OK)                                                                                   \
            return step_status_;                                                                                       \
    } while (0)

#define CLEANUP(function) __attribute__((cleanup(function)))

/* password.c: the caller wipes with password_wipe. */
struct password {
    char text[HSM_PASSWORD_MAX + 2];
    size_t len;
};
int password_get(const char *prompt, const char *file, int fd, bool twice, struct password *password);
void password_wipe(struct password *password);

/** Asks before something that cannot be undone, unless --yes was given. */
int confirm(const struct context *context, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* quorum.c */
int token_parse(const char *text, uint8_t id[HSM_ID_LEN]);

/** SHA-256 with RSA or ECDSA, by the private key (PEM) in a file. */
#define SIGNATURE_MAX 8192
int sign_with_file(const char *path, const void *text, size_t text_len, uint8_t *signature, size_t *signature_len);

/* files.c */
struct content {
    uint8_t *data;
    size_t len;
};
int content_read(const char *path, struct content *content); /* NULL or "-": standard input */
int content_write(const char *path, const void *data, size_t len, bool secret);
void content_release(struct content *content); /* wipes */

/* output.c */
/** Prints an array of objects as a table with these columns (keys of the objects, upper-cased), or as JSON. */
int output_rows(const struct context *context, json_t *rows, const char *const *columns, unsigned n_columns);
/** Prints one object as lines of key and value, or as JSON. */
int output_object(const struct context *context, json_t *object);
/** For people only: nothing in JSON mode. */
void say(const struct context *context, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hex_text(const uint8_t *data, size_t len, char *text);
json_t *json_hex(const uint8_t *data, size_t len);
json_t *json_time(uint64_t ms);
/** "RSA_PKCS" becomes "rsa-pkcs". */
const char *dashed(const char *name, char *buffer, size_t size);

/* keys.c */
/** Finds the object that `text` means: a label, or its unique id in hexadecimal; the first class that has one wins. */
int key_resolve(struct context *context, const char *text, const uint32_t *classes, unsigned n_classes, hsm_key *key);
/** The same of any class. */
int key_resolve_any(struct context *context, const char *text, hsm_key *key);
/** Type of a key, and its curve or 0. */
int key_type_of(struct context *context, hsm_key key, uint32_t *type);

int run_ca_create(struct context *context);
int run_ca_sign(struct context *context);
int run_ca_client(struct context *context);
int run_cluster_create(struct context *context);
int run_cluster_initialize(struct context *context);
int run_cluster_activate(struct context *context);
int run_cluster_migrate_store(struct context *context);
int run_cluster_restore(struct context *context);
int run_trust_anchor_add(struct context *context);
int run_trust_anchor_list(struct context *context);
int run_trust_anchor_remove(struct context *context);
int run_cluster_rotate_key(struct context *context);
int run_cluster_give_up_damaged(struct context *context);
int run_cluster_masking_key(struct context *context);
int run_cluster_describe(struct context *context);
int run_cluster_watch(struct context *context);
int run_node_list(struct context *context);
int run_node_describe(struct context *context);
int run_node_csr(struct context *context);
int run_node_renew(struct context *context);
int run_node_replace(struct context *context);
int run_node_join(struct context *context);
int run_node_drain(struct context *context);
int run_node_remove(struct context *context);
int run_user_create(struct context *context);
int run_user_delete(struct context *context);
int run_user_list(struct context *context);
int run_user_password(struct context *context);
int run_key_generate(struct context *context);
int run_key_list(struct context *context);
int run_key_show(struct context *context);
int run_key_import(struct context *context);
int run_key_export(struct context *context);
int run_key_delete(struct context *context);
int run_key_set(struct context *context);
int run_key_share(struct context *context);
int run_key_wrap(struct context *context);
int run_key_unwrap(struct context *context);
int run_sign(struct context *context);
int run_verify(struct context *context);
int run_encrypt(struct context *context);
int run_decrypt(struct context *context);
int run_random(struct context *context);
int run_user_signer(struct context *context);
int run_quorum_request(struct context *context);
int run_quorum_sign(struct context *context);
int run_quorum_approve(struct context *context);
int run_quorum_cancel(struct context *context);
int run_quorum_list(struct context *context);
int run_quorum_set(struct context *context);
int run_backup_create(struct context *context);
int run_backup_list(struct context *context);
int run_backup_verify(struct context *context);
int run_backup_delete(struct context *context);
int run_audit_show(struct context *context);
int run_audit_verify(struct context *context);
int run_audit_export(struct context *context);
int run_bench(struct context *context);
int run_top(struct context *context);
int run_completion(struct context *context);
int run_man(struct context *context);
