/* A cluster for tests in C: a CA made on the spot, real hsmd processes in a folder of their own, brought to life
 * through the public API alone. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>
#include "hsm/hsm.h"

#define ADMIN          "admin"
#define ADMIN_PASSWORD "admin password"
#define USER           "crypto"
#define USER_PASSWORD  "crypto password"

struct node {
    pid_t pid;
    char folder[256];
    char socket[300]; /* URL of its own socket */
    char url[300];    /* that it listens on, once it is a member */
};

struct world {
    char folder[200];
    struct node nodes[2];
    hsm_config *config;
    hsm_cluster *cluster;
    hsm_session *admin, *user;
};

/** More settings of its nodes: "\"NAME\": VALUE,". To be set before world_begin. */
extern const char *world_settings;

/** For cmocka's groups: `*state` is the world. */
int world_begin(void **state);
int world_end(void **state);

/** Starts another node beside the first; joins it through admin.h. */
void world_join(struct world *world);

/** A session of a user with a password. */
hsm_session *world_login(struct world *world, const char *user, const char *password);

/** Its client's configuration without a user, to be changed and freed. */
hsm_config *world_config(const struct world *world);

/** Fails the test, with what hsm_last_error says, unless `status` is `expected`. */
void expect_status(hsm_status expected, hsm_status status, const char *call, const char *file, int line);
#define OK(call)              expect_status(HSM_OK, call, #call, __FILE__, __LINE__)
#define FAILS(expected, call) expect_status(expected, call, #call, __FILE__, __LINE__)

/** Whether the client uses the nng transport (HSM_TRANSPORT). */
bool over_nng(void);

/** Writes a file with mode 0600. */
void write_file(const char *path, const void *data, size_t len);

/* --- what tests of cryptography share --- */

#define LONG_LEN ((size_t)5 << 19) /* 2.5 MiB: three messages */

/** `len` bytes that repeat nowhere soon; to be freed. */
uint8_t *pattern(size_t len);

/** A token key AES-256. */
hsm_key aes_key(hsm_session *session);

/** Does an operation in parts of `part` bytes; returns the length of what came out. */
size_t in_parts(hsm_session *session, uint32_t kind, hsm_key key, const hsm_mechanism *mechanism, const uint8_t *data,
                size_t len, size_t part, uint32_t flags, uint8_t *out, size_t room);
