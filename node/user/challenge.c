/* See challenge.h. */
#include "user/challenge.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <time.h>
#include "node.h"
#include "protocol/reader.h"
#include "protocol/writer.h"
#include "user/signer.h"

#define LIFETIME_MS 120000u
#define NONCE_LEN   32u
#define TEXT_MAX    512u
#define PURPOSE     "login challenge"

#define CONTEXT_LEN (sizeof(PURPOSE) + ID_LEN)

/* Apart from tickets, which are sealed under the same key; of this cluster, not of the one that it was restored from.
 */
static struct slice context_of(const struct node *node, uint8_t context[CONTEXT_LEN])
{
    memcpy(context, PURPOSE, sizeof(PURPOSE));
    memcpy(context + sizeof(PURPOSE), identity_cluster_id(node->identity), ID_LEN);
    return slice_of(context, CONTEXT_LEN);
}

static status_code compose(struct node *node, struct slice user_name, uint64_t until_ms, struct bytes *text)
{
    char cluster[2 * ID_LEN + 1], nonce_hex[2 * NONCE_LEN + 1], until[32], lines[TEXT_MAX];
    time_t seconds = (time_t)(until_ms / 1000);
    uint8_t nonce[NONCE_LEN];
    struct tm utc;

    CHECK(RAND_bytes_ex(crypto_context(), nonce, sizeof(nonce), 0) == 1, STATUS_RANDOM_FAILED, "no random bytes");
    hex_encode(slice_of(identity_cluster_id(node->identity), ID_LEN), cluster);
    hex_encode(slice_of(nonce, sizeof(nonce)), nonce_hex);
    gmtime_r(&seconds, &utc);
    strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", &utc);
    int len =
        snprintf(lines, sizeof(lines), "libhsm login challenge 1\ncluster: %s\nuser: %.*s\nnonce: %s\nuntil: %s\n",
                 cluster, (int)user_name.len, (const char *)user_name.data, nonce_hex, until);

    bytes_append(text, lines, (size_t)len);
    return bytes_ok(text);
}

status_code challenge_make(struct node *node, struct slice user_name, struct bytes *text, struct bytes *state)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    uint64_t until_ms = node_now_ms(node) + LIFETIME_MS;
    uint8_t context[CONTEXT_LEN];

    CHECK(user_name.len >= 1 && user_name.len <= USER_NAME_MAX, STATUS_INVALID_ARGUMENT,
          "a user name has 1 to %u characters", USER_NAME_MAX);
    TRY(compose(node, user_name, until_ms, text));
    write_array(&plaintext, 3);
    write_bin(&plaintext, user_name);
    write_uint(&plaintext, until_ms);
    write_bin(&plaintext, bytes_slice(text));
    TRY(bytes_ok(&plaintext));
    return seal(node->keyring, SEAL_NEWEST, SEAL_TICKET, context_of(node, context), bytes_slice(&plaintext), state);
}

static status_code open_state(struct node *node, struct slice state, struct bytes *plaintext, struct slice *user_name,
                              uint64_t *until_ms, struct slice *text)
{
    uint8_t context[CONTEXT_LEN];
    uint32_t n;

    TRY(unseal(node->keyring, SEAL_TICKET, context_of(node, context), state, plaintext));
    struct reader reader = reader_of(bytes_slice(plaintext));

    TRY(read_array(&reader, &n));
    TRY(read_bin(&reader, USER_NAME_MAX, user_name));
    TRY(read_uint(&reader, until_ms));
    return read_bin(&reader, TEXT_MAX, text);
}

status_code challenge_check(struct node *node, const struct account *account, const struct login_proof *proof)
{
    CLEANUP(bytes_release) struct bytes plaintext = BYTES_INIT;
    struct slice user_name, text;
    uint64_t until_ms;

    if (!account->second_factor)
        return STATUS_OK;
    CHECK(proof->state.len && proof->signature.len, STATUS_SECOND_FACTOR_NEEDED,
          "%s logs in with a signed challenge besides the password", account->name);
    bool fits = open_state(node, proof->state, &plaintext, &user_name, &until_ms, &text) == STATUS_OK &&
                slice_equal(user_name, slice_text(account->name)) && node_now_ms(node) < until_ms;

    CHECK(fits && signer_verify(account, text, proof->signature) == STATUS_OK, STATUS_LOGIN_FAILED,
          "the challenge is too old or another user's, or its signature is wrong");
    return STATUS_OK;
}
