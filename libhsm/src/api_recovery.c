/* The recovery key: made, split, joined (hsm/backup.h). */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include "api.h"
#include "hsm/backup.h"
#include "library_context.h"
#include "recovery_share.h"

_Static_assert(HSM_RECOVERY_KEY_LEN == RECOVERY_KEY_BYTES, "the key has one length");
_Static_assert(HSM_RECOVERY_SHARE_MAX == SHARE_TEXT_MAX, "a share has one length");

static status_code make_key(uint8_t *key)
{
    ARGUMENT(key, "no place for the recovery key");
    CHECK(RAND_priv_bytes_ex(library_context(), key, RECOVERY_KEY_BYTES, 0) == 1, STATUS_RANDOM_FAILED,
          "no random bytes for a recovery key");
    return STATUS_OK;
}

hsm_status hsm_recovery_key_make(uint8_t *key)
{
    return API(make_key(key));
}

/* Tells shares of different keys apart, and a wrong join from a right one; of the key it tells nothing. */
static status_code set_of(const uint8_t *key, uint8_t set[SHARE_SET_LEN])
{
    static const char purpose[] = "libhsm recovery shares";
    uint8_t input[sizeof(purpose) + RECOVERY_KEY_BYTES], hash[EVP_MAX_MD_SIZE];

    memcpy(input, purpose, sizeof(purpose));
    memcpy(input + sizeof(purpose), key, RECOVERY_KEY_BYTES);
    int done = EVP_Q_digest(library_context(), "SHA256", NULL, input, sizeof(input), hash, NULL);

    secret_wipe(input, sizeof(input));
    CHECK(done == 1, STATUS_INTERNAL, "hashing a recovery key");
    memcpy(set, hash, SHARE_SET_LEN);
    return STATUS_OK;
}

static void wipe_shares(struct recovery_share (*shares)[HSM_RECOVERY_SHARES])
{
    secret_wipe(shares, sizeof(*shares));
}

static status_code split(const uint8_t *key, uint32_t threshold, uint32_t n, char *texts)
{
    CLEANUP(wipe_shares) struct recovery_share shares[HSM_RECOVERY_SHARES] = {{0}};
    uint8_t set[SHARE_SET_LEN];

    ARGUMENT(key && texts, "no recovery key, or no place for its shares");
    CHECK(threshold >= 1 && threshold <= n && n <= HSM_RECOVERY_SHARES, STATUS_INVALID_ARGUMENT,
          "%u of %u shares: both are numbers from 1 to %u, the first not above the second", threshold, n,
          HSM_RECOVERY_SHARES);
    TRY(set_of(key, set));
    TRY(shares_make(key, threshold, n, shares));
    for (uint32_t i = 0; i < n; i++) {
        memcpy(shares[i].set, set, sizeof(set));
        TRY(share_to_text(&shares[i], texts + (size_t)i * SHARE_TEXT_MAX));
    }
    return STATUS_OK;
}

hsm_status hsm_recovery_key_split(const uint8_t *key, uint32_t threshold, uint32_t n, char *shares)
{
    return API(split(key, threshold, n, shares));
}

/* The share at `at` belongs to those before it. */
static status_code check_fits(const struct recovery_share *shares, size_t at)
{
    const struct recovery_share *share = &shares[at];

    CHECK(memcmp(share->set, shares[0].set, SHARE_SET_LEN) == 0 && share->threshold == shares[0].threshold,
          STATUS_INVALID_ARGUMENT, "share %zu is of another recovery key than share 1", at + 1);
    for (size_t i = 0; i < at; i++)
        CHECK(shares[i].index != share->index, STATUS_INVALID_ARGUMENT, "shares %zu and %zu are the same", i + 1,
              at + 1);
    return STATUS_OK;
}

static status_code join(const char *const *texts, size_t n, uint8_t *key)
{
    CLEANUP(wipe_shares) struct recovery_share shares[HSM_RECOVERY_SHARES] = {{0}};
    uint8_t joined[RECOVERY_KEY_BYTES], set[SHARE_SET_LEN];

    ARGUMENT(texts && key, "no shares, or no place for the recovery key");
    CHECK(n >= 1 && n <= HSM_RECOVERY_SHARES, STATUS_INVALID_ARGUMENT, "%zu shares", n);
    for (size_t i = 0; i < n; i++) {
        TRY(share_from_text(texts[i], i + 1, &shares[i]));
        TRY(check_fits(shares, i));
    }
    CHECK(n >= shares[0].threshold, STATUS_INVALID_ARGUMENT, "%zu of the %u shares that are needed", n,
          shares[0].threshold);
    shares_join(shares, shares[0].threshold, joined);
    status_code status = set_of(joined, set);

    if (status == STATUS_OK && memcmp(set, shares[0].set, SHARE_SET_LEN) != 0)
        status = failure_set(STATUS_INVALID_ARGUMENT, "the shares do not fit together");
    if (status == STATUS_OK)
        memcpy(key, joined, sizeof(joined));
    secret_wipe(joined, sizeof(joined));
    return status;
}

hsm_status hsm_recovery_key_join(const char *const *shares, size_t n, uint8_t *key)
{
    return API(join(shares, n, key));
}
