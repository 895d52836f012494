/* See use_proof.h. */
#include "user/use_proof.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include "node.h"
#include "protocol/reader.h"
#include "protocol/writer.h"
#include "user/request_hash.h"
#include "user/users_internal.h"

#define LIFETIME_MS   120000u
#define CLOCK_SKEW_MS 300000u /* between nodes, as for tickets */
#define PURPOSE       "use of a key"
#define CONTEXT_LEN   (sizeof(PURPOSE) + ID_LEN)

struct proof {
    uint8_t user_id[ID_LEN], session_id[ID_LEN], object_id[ID_LEN];
    uint8_t nonce[ID_LEN]; /* no two proofs are the same */
    uint64_t credential_version, expires_ms;
};

/* --- what was taken --- */

/* An entry makes room when its proof has expired, never before: a table that is full refuses. Passwords are checked so
 * slowly that an honest cluster does not fill it. */
#define SETS 1024u
#define WAYS 8u

struct taken {
    uint8_t nonce[ID_LEN];
    uint8_t request[REQUEST_HASH_LEN];
    uint64_t expires_ms; /* 0: free */
};

struct use_spent {
    pthread_mutex_t lock; /* guards the entries */
    struct taken entries[SETS][WAYS];
};

struct use_spent *use_spent_new(void)
{
    struct use_spent *spent = calloc(1, sizeof(*spent));

    if (spent)
        pthread_mutex_init(&spent->lock, NULL);
    return spent;
}

void use_spent_free(struct use_spent *spent)
{
    if (spent)
        pthread_mutex_destroy(&spent->lock);
    free(spent);
}

static struct taken *find(struct taken set[WAYS], const uint8_t nonce[ID_LEN])
{
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].expires_ms && memcmp(set[i].nonce, nonce, ID_LEN) == 0)
            return &set[i];
    return NULL;
}

static struct taken *find_room(struct taken set[WAYS], uint64_t now_ms)
{
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].expires_ms <= now_ms)
            return &set[i];
    return NULL;
}

/** Under the lock. */
static status_code take_in(struct taken set[WAYS], const struct proof *proof, const uint8_t request[REQUEST_HASH_LEN],
                           uint64_t now_ms)
{
    struct taken *known = find(set, proof->nonce), *room;

    CHECK(!known || memcmp(known->request, request, REQUEST_HASH_LEN) == 0, STATUS_AUTHENTICATION_NEEDED,
          "the password was given for another use of this key: give it for each");
    if (known)
        return STATUS_OK;
    room = find_room(set, now_ms);
    CHECK(room, STATUS_BUSY, "too many keys are used with a password at this moment");
    memcpy(room->nonce, proof->nonce, ID_LEN);
    memcpy(room->request, request, REQUEST_HASH_LEN);
    room->expires_ms = proof->expires_ms;
    return STATUS_OK;
}

static status_code take(struct node *node, const struct caller *caller, const struct proof *proof)
{
    struct use_spent *spent = node->users->spent;
    uint8_t request[REQUEST_HASH_LEN];
    unsigned set = (proof->nonce[0] | proof->nonce[1] << 8) % SETS;

    TRY(request_hash(caller, request));
    pthread_mutex_lock(&spent->lock);
    status_code status = take_in(spent->entries[set], proof, request, node_now_ms(node));
    pthread_mutex_unlock(&spent->lock);
    return status;
}

/* --- the written form --- */

/* Apart from tickets and challenges, which are sealed under the same key; of this cluster, not of the one that it was
 * restored from. */
static struct slice context_of(const struct node *node, uint8_t context[CONTEXT_LEN])
{
    memcpy(context, PURPOSE, sizeof(PURPOSE));
    memcpy(context + sizeof(PURPOSE), identity_cluster_id(node->identity), ID_LEN);
    return slice_of(context, CONTEXT_LEN);
}

static status_code proof_seal(struct node *node, const struct proof *proof, struct bytes *sealed)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    uint8_t context[CONTEXT_LEN];

    write_array(&plaintext, 6);
    write_bin(&plaintext, slice_of(proof->user_id, ID_LEN));
    write_bin(&plaintext, slice_of(proof->session_id, ID_LEN));
    write_bin(&plaintext, slice_of(proof->object_id, ID_LEN));
    write_bin(&plaintext, slice_of(proof->nonce, ID_LEN));
    write_uint(&plaintext, proof->credential_version);
    write_uint(&plaintext, proof->expires_ms);
    TRY(bytes_ok(&plaintext));
    return seal(node->keyring, SEAL_NEWEST, SEAL_TICKET, context_of(node, context), bytes_slice(&plaintext), sealed);
}

static status_code read_id(struct reader *reader, uint8_t id[ID_LEN])
{
    struct slice bytes;

    TRY(read_bin(reader, ID_LEN, &bytes));
    CHECK(bytes.len == ID_LEN, STATUS_STORE_DAMAGED, "an id has %u bytes, not %zu", ID_LEN, bytes.len);
    memcpy(id, bytes.data, ID_LEN);
    return STATUS_OK;
}

static status_code proof_open(struct node *node, struct slice sealed, struct proof *proof)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    uint8_t context[CONTEXT_LEN];
    uint32_t n;

    TRY(unseal(node->keyring, SEAL_TICKET, context_of(node, context), sealed, &plaintext));
    struct reader reader = reader_of(bytes_slice(&plaintext));

    TRY(read_array(&reader, &n));
    CHECK(n == 6, STATUS_STORE_DAMAGED, "a proof has 6 parts, not %u", n);
    TRY(read_id(&reader, proof->user_id));
    TRY(read_id(&reader, proof->session_id));
    TRY(read_id(&reader, proof->object_id));
    TRY(read_id(&reader, proof->nonce));
    TRY(read_uint(&reader, &proof->credential_version));
    return read_uint(&reader, &proof->expires_ms);
}

/* --- making and checking --- */

status_code use_proof_make(struct node *node, const struct caller *caller, const uint8_t object_id[ID_LEN],
                           struct slice password, const struct login_proof *second, struct bytes *sealed,
                           uint64_t *expires_ms)
{
    CLEANUP(account_wipe) struct account account;
    struct proof proof = {.expires_ms = 0};

    TRY(users_check_login(node->users, slice_text(caller->user_name), password, second, &account));
    CHECK(memcmp(account.id, caller->user_id, ID_LEN) == 0, STATUS_TICKET_EXPIRED,
          "the user was deleted, and another has its name: log in again");
    CHECK(RAND_bytes_ex(crypto_context(), proof.nonce, ID_LEN, 0) == 1, STATUS_RANDOM_FAILED, "no random bytes");
    memcpy(proof.user_id, account.id, ID_LEN);
    memcpy(proof.session_id, caller->session_id, ID_LEN);
    memcpy(proof.object_id, object_id, ID_LEN);
    proof.credential_version = account.credential_version;
    proof.expires_ms = node_now_ms(node) + LIFETIME_MS;
    *expires_ms = proof.expires_ms;
    return proof_seal(node, &proof, sealed);
}

static bool is_for(const struct proof *proof, const struct caller *caller, const uint8_t object_id[ID_LEN])
{
    return memcmp(proof->user_id, caller->user_id, ID_LEN) == 0 &&
           memcmp(proof->session_id, caller->session_id, ID_LEN) == 0 &&
           memcmp(proof->object_id, object_id, ID_LEN) == 0;
}

status_code use_proof_check(struct node *node, const struct caller *caller, const uint8_t object_id[ID_LEN])
{
    struct slice sealed = caller->request ? values_bytes(caller->request, FIELD_USE_PROOF) : slice_of(NULL, 0);
    struct standing user;
    struct proof proof;

    CHECK(sealed.len, STATUS_AUTHENTICATION_NEEDED,
          "the key's ALWAYS_AUTHENTICATE is true: give the user's password before each use");
    CHECK(proof_open(node, sealed, &proof) == STATUS_OK && is_for(&proof, caller, object_id),
          STATUS_AUTHENTICATION_NEEDED,
          "the password was given for another key, by another user or in another session");
    CHECK(proof.expires_ms <= node_now_ms(node) + LIFETIME_MS + CLOCK_SKEW_MS, STATUS_AUTHENTICATION_NEEDED,
          "the password was given to a node whose clock is far ahead: give it again");
    CHECK(node_now_ms(node) < proof.expires_ms, STATUS_AUTHENTICATION_NEEDED,
          "the password was given more than %u s ago: give it again", LIFETIME_MS / 1000);
    TRY(users_standing(node->users, STORE_USER, proof.user_id, &user));
    CHECK(user.exists && user.credential_version == proof.credential_version, STATUS_AUTHENTICATION_NEEDED,
          "the password has changed since it was given");
    return take(node, caller, &proof);
}
