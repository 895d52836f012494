/* A node without network for tests: real store, sealing, cryptography and users in a folder of its own, and requests
 * handed straight to the handlers. A second node on the same store plays the rest of the cluster. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "node.h"

struct fixture {
    char folder[64];
    struct node *node, *other; /* on one store */
    struct caller alice, bob, carol, admin, auditor;
};

/** cmocka group fixture. */
int fixture_start(void **state);
int fixture_stop(void **state);

/** As above, with settings of the test's own. */
struct fixture *fixture_make(void (*configure)(struct node_config *config));
void fixture_free(struct fixture *fixture);

/** A request and its answer. Both stay until exchange_end or the next run. */
struct exchange {
    struct node *node;
    const struct caller *caller;
    struct values request, answer;
    struct bytes kept[8]; /* what the request refers to */
    unsigned n_kept;
    struct bytes buffers[CALL_BUFFERS_MAX];
};

void exchange_begin(struct exchange *exchange, struct node *node, const struct caller *caller);
void exchange_end(struct exchange *exchange); /* fits CLEANUP */
status_code exchange_run(struct exchange *exchange, enum operation operation);

/* Filling in a request. */
void put_id(struct exchange *exchange, enum field field, const uint8_t id[ID_LEN]);
void put_uint(struct exchange *exchange, enum field field, uint64_t number);
void put_text(struct exchange *exchange, enum field field, const char *text);
void put_bytes(struct exchange *exchange, enum field field, const void *data, size_t len);
void put_copy(struct exchange *exchange, enum field field, struct slice value);
void put_template(struct exchange *exchange, enum field field, const struct values *template);
void put_wanted(struct exchange *exchange, const uint64_t *numbers, uint32_t n);

/** Attributes in an answer. */
void answer_attributes(const struct exchange *exchange, enum field field, struct values *attributes);

/** A fresh id, different each time. */
struct id {
    uint8_t bytes[ID_LEN];
};
struct id new_id(void);

/** A template: an empty one, and one for token objects with a label. */
struct values template_empty(void);
struct values template_token(const char *label);

/** An AES-256 token key of the caller's, with the template's attributes added; fails the test if it cannot be. */
struct id make_aes(struct node *node, const struct caller *caller, const char *label, const struct values *more);

/** A P-256 pair of token keys; *public_id may be NULL. */
struct id make_p256(struct node *node, const struct caller *caller, const char *label, struct id *public_id);

/** Changes attributes of a token object. */
status_code set_attributes(struct node *node, const struct caller *caller, struct id id, const struct values *template);
status_code share_object(struct node *node, const struct caller *caller, struct id id, const char *user, bool share);

/** The attributes of a token object as its user sees them; false when there is none for him. */
bool look_at(struct node *node, const struct caller *caller, struct id id, struct values *attributes,
             struct bytes *storage);
bool flag_of(struct node *node, const struct caller *caller, struct id id, enum attribute attribute);
