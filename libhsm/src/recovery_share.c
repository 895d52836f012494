/* See recovery_share.h. Shamir's scheme over GF(2^8) with the polynomial of AES (FIPS 197, section 4.2). Written here
 * rather than taken from libgfshare, which looks up logarithms of secret bytes in tables (and so tells the caches),
 * draws its randomness through one global function that is random() by default, and does not exist on Windows. */
#include "recovery_share.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include "library_context.h"

#define PREFIX       "HSMRK"
#define FORMAT       1u
#define CHECKSUM_LEN 4u
#define BODY_LEN     (4u + SHARE_SET_LEN + RECOVERY_KEY_BYTES)
#define ENCODED_LEN  (BODY_LEN + CHECKSUM_LEN)
#define GROUP        6u

/* --- the field --- */

/* Without branches or look-ups that depend on the operands. */
static uint8_t multiply(uint8_t a, uint8_t b)
{
    uint8_t product = 0;

    for (int bit = 0; bit < 8; bit++) {
        product ^= (uint8_t)(-(b >> bit & 1) & a);
        a = (uint8_t)((a << 1) ^ (-(a >> 7) & 0x1b));
    }
    return product;
}

/* a^254. */
static uint8_t invert(uint8_t a)
{
    uint8_t power = a, result = 1;

    for (int bit = 1; bit < 8; bit++) {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    return result;
}

/* --- splitting and joining --- */

static uint8_t evaluate(const uint8_t *coefficients, uint32_t threshold, uint8_t secret, uint8_t x)
{
    uint8_t y = 0;

    for (uint32_t i = threshold - 1; i > 0; i--)
        y = multiply((uint8_t)(y ^ coefficients[i - 1]), x);
    return y ^ secret;
}

status_code shares_make(const uint8_t key[RECOVERY_KEY_BYTES], uint32_t threshold, uint32_t n,
                        struct recovery_share *shares)
{
    uint8_t coefficients[UINT8_MAX] = {0};

    for (size_t byte = 0; byte < RECOVERY_KEY_BYTES; byte++) {
        CHECK(threshold < 2 || RAND_priv_bytes_ex(library_context(), coefficients, threshold - 1, 0) == 1,
              STATUS_RANDOM_FAILED, "no random bytes for shares");
        for (uint32_t i = 0; i < n; i++)
            shares[i].value[byte] = evaluate(coefficients, threshold, key[byte], (uint8_t)(i + 1));
    }
    secret_wipe(coefficients, sizeof(coefficients));
    for (uint32_t i = 0; i < n; i++) {
        shares[i].threshold = (uint8_t)threshold;
        shares[i].n = (uint8_t)n;
        shares[i].index = (uint8_t)(i + 1);
    }
    return STATUS_OK;
}

/* Lagrange's weight of a share at zero: the product of x_j / (x_j - x_i). */
static uint8_t weight(const struct recovery_share *shares, size_t threshold, size_t i)
{
    uint8_t result = 1;

    for (size_t j = 0; j < threshold; j++)
        if (j != i)
            result = multiply(result, multiply(shares[j].index, invert(shares[j].index ^ shares[i].index)));
    return result;
}

void shares_join(const struct recovery_share *shares, size_t threshold, uint8_t key[RECOVERY_KEY_BYTES])
{
    memset(key, 0, RECOVERY_KEY_BYTES);
    for (size_t i = 0; i < threshold; i++) {
        uint8_t factor = weight(shares, threshold, i);

        for (size_t byte = 0; byte < RECOVERY_KEY_BYTES; byte++)
            key[byte] ^= multiply(shares[i].value[byte], factor);
    }
}

/* --- text --- */

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* no I, L, O, U: D. Crockford's base 32 */

static int digit_value(char c)
{
    static const char alike[] = "O0I1L1";
    char upper = (char)toupper((unsigned char)c);

    for (size_t i = 0; alike[i]; i += 2)
        if (alike[i] == upper)
            upper = alike[i + 1];
    const char *found = upper ? strchr(digits, upper) : NULL;

    return found ? (int)(found - digits) : -1;
}

static status_code checksum(const uint8_t body[BODY_LEN], uint8_t sum[CHECKSUM_LEN])
{
    uint8_t hash[EVP_MAX_MD_SIZE];

    CHECK(EVP_Q_digest(library_context(), "SHA256", NULL, body, BODY_LEN, hash, NULL) == 1, STATUS_INTERNAL,
          "hashing a share");
    memcpy(sum, hash, CHECKSUM_LEN);
    return STATUS_OK;
}

status_code share_to_text(const struct recovery_share *share, char text[SHARE_TEXT_MAX])
{
    uint8_t encoded[ENCODED_LEN + 1] = {FORMAT, share->threshold, share->n, share->index};
    size_t at = sizeof(PREFIX) - 1, n = 0;

    memcpy(encoded + 4, share->set, SHARE_SET_LEN);
    memcpy(encoded + 4 + SHARE_SET_LEN, share->value, RECOVERY_KEY_BYTES);
    TRY(checksum(encoded, encoded + BODY_LEN));
    memcpy(text, PREFIX, at);
    for (size_t bit = 0; bit < 8u * ENCODED_LEN; bit += 5) {
        unsigned two = (unsigned)encoded[bit / 8] << 8 | encoded[bit / 8 + 1];

        if (n++ % GROUP == 0)
            text[at++] = '-';
        text[at++] = digits[two >> (11 - bit % 8) & 31];
    }
    text[at] = 0;
    secret_wipe(encoded, sizeof(encoded));
    return STATUS_OK;
}

/* The bytes behind the prefix; false for a wrong letter or length. */
static bool decode(const char *text, uint8_t encoded[ENCODED_LEN])
{
    size_t n_bits = 0, prefix = sizeof(PREFIX) - 1;
    unsigned gathered = 0;

    while (*text == ' ')
        text++;
    for (size_t i = 0; i < prefix; i++)
        if (toupper((unsigned char)text[i]) != PREFIX[i])
            return false;
    for (const char *c = text + prefix; *c; c++) {
        int value = digit_value(*c);

        if (strchr("- \t\r\n", *c))
            continue;
        if (value < 0 || n_bits / 8 >= ENCODED_LEN)
            return false;
        gathered = gathered << 5 | (unsigned)value;
        n_bits += 5;
        if (n_bits / 8 > (n_bits - 5) / 8 && n_bits / 8 <= ENCODED_LEN)
            encoded[n_bits / 8 - 1] = (uint8_t)(gathered >> n_bits % 8);
    }
    /* What is left of the last letter is zero: every share has one spelling. */
    return n_bits / 8 == ENCODED_LEN && (gathered & ((1u << n_bits % 8) - 1)) == 0;
}

status_code share_from_text(const char *text, size_t number, struct recovery_share *share)
{
    uint8_t encoded[ENCODED_LEN], sum[CHECKSUM_LEN];

    CHECK(text && decode(text, encoded), STATUS_INVALID_ARGUMENT,
          "share %zu is not complete, or mistyped: it begins with " PREFIX " and has %u letters and digits behind it",
          number, (8 * ENCODED_LEN + 4) / 5);
    TRY(checksum(encoded, sum));
    CHECK(memcmp(sum, encoded + BODY_LEN, CHECKSUM_LEN) == 0, STATUS_INVALID_ARGUMENT,
          "share %zu is mistyped: its checksum is wrong", number);
    CHECK(encoded[0] == FORMAT && encoded[1] && encoded[1] <= encoded[2] && encoded[3] && encoded[3] <= encoded[2],
          STATUS_INVALID_ARGUMENT, "share %zu is of a newer kind: use a newer version", number);
    share->threshold = encoded[1];
    share->n = encoded[2];
    share->index = encoded[3];
    memcpy(share->set, encoded + 4, SHARE_SET_LEN);
    memcpy(share->value, encoded + 4 + SHARE_SET_LEN, RECOVERY_KEY_BYTES);
    secret_wipe(encoded, sizeof(encoded));
    return STATUS_OK;
}
