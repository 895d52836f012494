/* A slot: one cluster, and this application's login to it. All sessions of a slot share the login, as the standard
 * says; session objects belong to the session that made them, and are gone with it. */
#pragma once

#include <stdatomic.h>
#include "module.h"
#include "object.h"

enum login_state { LOGIN_NONE, LOGIN_USER, LOGIN_OFFICER };

/* The module's own login: guest.h. */
enum guest_state { GUEST_OUTSIDE, GUEST_IN, GUEST_REFUSED };

/* A mechanism that a node of the cluster offers, and what the node's policy takes away of its uses. */
struct slot_mechanism {
    uint32_t mechanism, uses, key_bits_min, key_bits_max;
    CK_FLAGS refused, refused_with_sha1; /* bits of CKF_ */
};

struct slot {
    CK_SLOT_ID id;
    unsigned n_users; /* sessions, calls and the module's table itself; guarded by the module's lock */
    hsm_config *config;
    hsm_cluster *cluster;
    hsm_session *login;
    pthread_mutex_t login_lock; /* a login or logout under way; taken before the module's lock */
    hsm_session *guest;
    pthread_mutex_t guest_lock;           /* the guest is logging in; taken before the module's lock */
    _Atomic enum guest_state guest_state; /* set to GUEST_IN under guest_lock */
    pid_t login_process;                  /* that logged in: a child of fork leaves its parent's login alone */
    _Atomic enum login_state state;       /* changed under the module's lock, which guards all that follows */
    unsigned n_sessions, n_read_write;
    _Atomic uint64_t n_logins_ended; /* tells a call, and a search, whether its login is still the same */
    struct object_table objects;
    struct slot_mechanism *mechanisms; /* once asked for; stays as it is until the slot goes */
    size_t n_mechanisms;
};

/* Opens what is configured: the files that HSM_PKCS11_CLUSTERS names, separated by colons; else those in
 * /etc/hsm/clusters.d; else the one that every program of the library takes. Slot ids count from 0. */
CK_RV slots_open(void);

/* Lets go of all slots. Under the module's lock: closed when nobody uses them any more. */
void slots_close(void);

CK_ULONG slots_count(void);

/* After fork, in the child: no login is under way. */
void slots_after_fork(void);

/* A slot by its id, counted; CKR_SLOT_ID_INVALID. */
CK_RV slot_enter(CK_SLOT_ID id, struct slot **slot);
void slot_leave(struct slot **slot);

/* Whether it is still one of the module's slots. Under the module's lock. */
bool slot_is_open(const struct slot *slot);

/* Counts one more user. Under the module's lock. */
void slot_hold(struct slot *slot);

/* The mechanisms of the cluster; asks a node the first time. */
CK_RV slot_mechanisms(struct slot *slot, const struct slot_mechanism **mechanisms, size_t *n);
