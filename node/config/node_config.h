/* Settings of a node, from a YAML file; each can also come from the environment as HSMD_<NAME> (dashes as underscores).
 * Unknown settings are refused with the nearest right name, file and line. */
#pragma once

#include "crypto/key.h"
#include "observe/log.h"

#define NODE_LISTENERS_MAX 8

struct node_config {
    char name[65];                                /* name: of this node, for people; default: the host name */
    char zone[65];                                /* zone */
    char state_folder[1024];                      /* state-folder: identity and keys of this node, mode 0700 */
    char store[1024];                             /* store: sqlite:PATH or etcd; default sqlite:STATE-FOLDER/store.db */
    char etcd_endpoints[NODE_LISTENERS_MAX][256]; /* etcd-endpoints: URLs of etcd's members */
    unsigned n_etcd_endpoints;
    char etcd_prefix[128];                    /* etcd-prefix: of all keys of this cluster */
    char etcd_ca_file[1024];                  /* etcd-ca-file */
    char etcd_certificate_file[1024];         /* etcd-certificate-file */
    char etcd_key_file[1024];                 /* etcd-key-file */
    unsigned staleness_limit_s;               /* staleness-limit-s: 0: keys are used however long etcd has been away */
    char listen[NODE_LISTENERS_MAX][256];     /* listen: URLs of direct listeners */
    char listen_nng[NODE_LISTENERS_MAX][256]; /* listen-nng: URLs of NNG listeners */
    unsigned n_listen, n_listen_nng;
    char advertise[256];          /* advertise: URL that clients are told; default: the first listener's bound URL */
    char metrics[256];            /* metrics: ADDRESS:PORT on loopback, or "off" */
    unsigned workers;             /* workers: threads that answer; default: processors */
    unsigned slow_workers;        /* slow-workers: threads for key generation and logins; default 2 */
    unsigned store_workers;       /* store-workers: threads for changes, which wait for the store; default 8 */
    unsigned object_cache;        /* object-cache: objects kept opened; default 20,000 */
    unsigned tail_interval_ms;    /* tail-interval-ms: how often changes by other nodes are looked for; default 20 */
    unsigned rotation_pause_ms;   /* rotation-pause-ms: between steps of sealing anew; default 2 */
    unsigned ticket_lifetime_s;   /* ticket-lifetime-s; default 3,600 */
    unsigned login_limit_s;       /* login-limit-s; default 0: none */
    unsigned password_iterations; /* password-iterations: PBKDF2-HMAC-SHA-512; default 210,000 */
    unsigned login_attempts;      /* login-attempts: failures before lock-out; default 5 */
    unsigned
        login_lock_s; /* login-lock-s: first lock-out, doubling with each further failure up to one hour; default 30 */
    unsigned quorum_token_lifetime_s; /* quorum-token-lifetime-s; default 600 */
    unsigned keys_per_user;           /* keys-per-user: quota; default 1,000,000 */
    unsigned connections_max;         /* connections-max; default 4,096 */
    unsigned drain_timeout_s;   /* drain-timeout-s: how long SIGTERM waits for what is being answered; default 30 */
    char backup_to[512];        /* backup-to: directory:/PATH or s3:https://HOST/BUCKET/PREFIX; "": none are kept */
    unsigned backup_interval_s; /* backup-interval-s: of automatic backups; 0: none; default a day */
    unsigned backup_keep_days;  /* backup-keep-days: automatic backups remove older ones; 0: never; default 90 */
    char backup_s3_region[32];  /* backup-s3-region */
    char backup_s3_credentials_file[1024]; /* backup-s3-credentials-file */
    char backup_s3_ca_file[1024];          /* backup-s3-ca-file */
    unsigned audit_checkpoint_interval_s;  /* audit-checkpoint-interval-s; 0: none; default 3,600 */
    bool audit_key_use;                    /* audit-key-use */
    bool fips;                             /* fips: load OpenSSL's FIPS provider */
    bool hardening;                        /* hardening: seccomp, locked memory; default true */
    struct crypto_policy policy;           /* allow-des3-encrypt, allow-raw-rsa, allow-sha1-sign */
    char run_as[64];                       /* run-as: user to become after start as root; default: stay */
    struct log_settings log;               /* log-level, log-format (text or json), log-file */
    char log_file[1024];
};

/** Defaults, then the file, then the environment. STATUS_CONFIG_INVALID names file, line, setting and the nearest one.
 */
status_code node_config_load(const char *path, struct node_config *config);

/** The same, and then `overrides` of the form NAME=VALUE, from the command line. */
status_code node_config_load_with(const char *path, const char *const *overrides, size_t n_overrides,
                                  struct node_config *config);

/** Writes every setting with its default and its explanation, as a YAML file to start from. */
status_code node_config_print(struct bytes *out);
