/* HMAC, CMAC and GMAC with a key of the cluster, against OpenSSL's own. */
#include "openssl_fixture.h"

#include <openssl/core_names.h>
#include <signal.h>

static const uint8_t VALUE[150] =
    "a secret of one hundred and fifty bytes, of which most are nothing: longer than any block";
static const uint8_t NONCE[16] = "a nonce";

static int begin(void **state)
{
    if (openssl_begin(state) != 0)
        return 1;
    secret_of(HSM_KEY_TYPE_GENERIC_SECRET, "generic", VALUE, 32);
    secret_of(HSM_KEY_TYPE_GENERIC_SECRET, "long", VALUE, 150);
    secret_of(HSM_KEY_TYPE_AES, "aes16", VALUE, 16);
    secret_of(HSM_KEY_TYPE_AES, "aes24", VALUE, 24);
    secret_of(HSM_KEY_TYPE_AES, "aes32", VALUE, 32);
    return 0;
}

static EVP_MAC_CTX *context_of(const char *name, bool ours)
{
    EVP_MAC *mac = EVP_MAC_fetch(library, name, ours ? OURS : THEIRS);

    assert_non_null(mac);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    return context;
}

/* What a MAC is computed with, beside the key. */
struct how {
    const char *mac, *parameter, *value; /* its name; "digest" or "cipher", and which */
    const char *uri;
    size_t key_len;
    size_t nonce_len;
};

static int start(EVP_MAC_CTX *context, const struct how *how, bool ours)
{
    OSSL_PARAM params[4], *param = params;

    if (how->value)
        *param++ = OSSL_PARAM_construct_utf8_string(how->parameter, (char *)(uintptr_t)how->value, 0);
    if (how->nonce_len)
        *param++ = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, (void *)(uintptr_t)NONCE, how->nonce_len);
    if (ours)
        *param++ = OSSL_PARAM_construct_utf8_string("hsm-key", (char *)(uintptr_t)how->uri, 0);
    *param = OSSL_PARAM_construct_end();
    return EVP_MAC_init(context, ours ? NULL : VALUE, ours ? 0 : how->key_len, params);
}

static size_t compute(const struct how *how, bool ours, const uint8_t *data, size_t len, size_t part, uint8_t out[64])
{
    EVP_MAC_CTX *context = context_of(how->mac, ours);
    size_t out_len = 0, size = 0;

    WORKS(start(context, how, ours));
    for (size_t at = 0; at < len; at += part)
        WORKS(EVP_MAC_update(context, data + at, len - at < part ? len - at : part));
    WORKS(EVP_MAC_final(context, NULL, &size, 0));
    WORKS(EVP_MAC_final(context, out, &out_len, 64));
    assert_int_equal(size, out_len);
    assert_int_equal(EVP_MAC_CTX_get_mac_size(context), out_len);
    EVP_MAC_CTX_free(context);
    return out_len;
}

static void check(const struct how *how, const uint8_t *data, size_t len, size_t part)
{
    uint8_t ours[64], theirs[64];
    size_t our_len = compute(how, true, data, len, part, ours);

    assert_int_equal(our_len, compute(how, false, data, len, len ? len : 1, theirs));
    assert_memory_equal(ours, theirs, our_len);
}

static void hmac_is_that_of_openssl(void **state)
{
    static const char *const HASHES[] = {"SHA1",     "SHA224",   "SHA256",   "SHA2-384",   "SHA-512",    "SHA3-224",
                                         "SHA3-256", "SHA3-384", "SHA3-512", "SHA512-224", "SHA-512/256"};
    static const size_t LENGTHS[] = {0, 1, 63, 64, 65, 128, 1000};
    uint8_t *data = pattern(LONG_LEN);

    (void)state;
    for (size_t i = 0; i < sizeof(HASHES) / sizeof(*HASHES); i++) {
        struct how how = {"HMAC", OSSL_MAC_PARAM_DIGEST, HASHES[i], "hsm:label=generic", 32, 0};

        check(&how, data, LENGTHS[i % 7], 7);
        how.uri = "hsm:label=long";
        how.key_len = 150;
        check(&how, data, LENGTHS[(i + 3) % 7], 1000);
    }
    struct how how = {"HMAC", OSSL_MAC_PARAM_DIGEST, "SHA256", "hsm:label=generic;type=secret", 32, 0};
    check(&how, data, LONG_LEN, 700001);
    free(data);
}

static void cmac_and_gmac_are_those_of_openssl(void **state)
{
    static const struct how HOW[] = {
        {"CMAC", OSSL_MAC_PARAM_CIPHER, "AES-128-CBC", "hsm:label=aes16", 16, 0},
        {"CMAC", OSSL_MAC_PARAM_CIPHER, "AES192", "hsm:label=aes24", 24, 0},
        {"CMAC", OSSL_MAC_PARAM_CIPHER, "aes-256-cbc", "hsm:label=aes32", 32, 0},
        {"GMAC", OSSL_MAC_PARAM_CIPHER, "AES-128-GCM", "hsm:label=aes16", 16, 12},
        {"GMAC", OSSL_MAC_PARAM_CIPHER, "AES-192-GCM", "hsm:label=aes24", 24, 12},
        {"GMAC", OSSL_MAC_PARAM_CIPHER, "id-aes256-GCM", "hsm:label=aes32", 32, 12},
        {"GMAC", OSSL_MAC_PARAM_CIPHER, "AES-256-GCM", "hsm:label=aes32", 32, 16},
    };
    static const size_t LENGTHS[] = {0, 1, 15, 16, 17, 32, 1000};
    uint8_t *data = pattern(LONG_LEN);

    (void)state;
    for (size_t i = 0; i < 7 * 7; i++)
        check(&HOW[i % 7], data, LENGTHS[i / 7], 7);
    for (size_t i = 0; i < 6; i += 3) /* more than is gathered before it travels */
        check(&HOW[i], data, LONG_LEN, 700001);
    free(data);
}

/* The key says how long it is. */
static void a_cipher_need_not_be_named(void **state)
{
    static const struct how CMAC = {"CMAC", NULL, NULL, "hsm:label=aes24", 24, 0};
    static const struct how THEIR_CMAC = {"CMAC", OSSL_MAC_PARAM_CIPHER, "AES-192-CBC", NULL, 24, 0};
    uint8_t ours[64], theirs[64];

    (void)state;
    assert_int_equal(compute(&CMAC, true, VALUE, 150, 13, ours), 16);
    compute(&THEIR_CMAC, false, VALUE, 150, 150, theirs);
    assert_memory_equal(ours, theirs, 16);
}

static void a_message_goes_on_in_a_copy(void **state)
{
    static const struct how HOW[] = {
        {"HMAC", OSSL_MAC_PARAM_DIGEST, "SHA256", "hsm:label=generic", 32, 0},
        {"CMAC", OSSL_MAC_PARAM_CIPHER, "AES-128-CBC", "hsm:label=aes16", 16, 0},
        {"GMAC", OSSL_MAC_PARAM_CIPHER, "AES-128-GCM", "hsm:label=aes16", 16, 12},
    };
    uint8_t *data = pattern(LONG_LEN), ours[64], copied[64], theirs[64];
    static const size_t LENGTHS[] = {100, LONG_LEN};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        EVP_MAC_CTX *context = context_of(HOW[i / 2].mac, true);
        size_t len = LENGTHS[i % 2], our_len, copied_len;

        WORKS(start(context, &HOW[i / 2], true));
        WORKS(EVP_MAC_update(context, data, len / 2));
        EVP_MAC_CTX *copy = EVP_MAC_CTX_dup(context);
        assert_non_null(copy);
        WORKS(EVP_MAC_update(context, data + len / 2, len - len / 2));
        WORKS(EVP_MAC_final(context, ours, &our_len, sizeof(ours)));
        EVP_MAC_CTX_free(context);
        WORKS(EVP_MAC_update(copy, data + len / 2, len - len / 2));
        WORKS(EVP_MAC_final(copy, copied, &copied_len, sizeof(copied)));
        EVP_MAC_CTX_free(copy);
        assert_int_equal(our_len, copied_len);
        assert_memory_equal(ours, copied, our_len);
        compute(&HOW[i / 2], false, data, len, len, theirs);
        assert_memory_equal(ours, theirs, our_len);
    }
    free(data);
}

static void a_context_serves_for_another_message(void **state)
{
    static const struct how HMAC = {"HMAC", OSSL_MAC_PARAM_DIGEST, "SHA256", "hsm:label=generic", 32, 0};
    static const struct how GMAC = {"GMAC", NULL, NULL, "hsm:label=aes32", 32, 12};
    EVP_MAC_CTX *context = context_of("HMAC", true);
    uint8_t first[64], second[64];
    size_t len;

    (void)state;
    WORKS(start(context, &HMAC, true));
    WORKS(EVP_MAC_update(context, VALUE, 10));
    WORKS(EVP_MAC_final(context, first, &len, sizeof(first)));
    REFUSED("has ended", EVP_MAC_update(context, VALUE, 10));
    REFUSED("has ended", EVP_MAC_final(context, second, &len, sizeof(second)));
    WORKS(EVP_MAC_init(context, NULL, 0, NULL));
    WORKS(EVP_MAC_update(context, VALUE, 10));
    WORKS(EVP_MAC_final(context, second, &len, sizeof(second)));
    assert_memory_equal(first, second, 32);
    EVP_MAC_CTX_free(context);

    /* GMAC under one nonce twice gives its key away. */
    context = context_of("GMAC", true);
    WORKS(start(context, &GMAC, true));
    WORKS(EVP_MAC_final(context, first, &len, sizeof(first)));
    WORKS(EVP_MAC_init(context, NULL, 0, NULL));
    REFUSED("nonce for each message", EVP_MAC_final(context, second, &len, sizeof(second)));
    WORKS(start(context, &GMAC, true));
    WORKS(EVP_MAC_final(context, second, &len, sizeof(second)));
    EVP_MAC_CTX_free(context);
}

static void wrong_keys_and_parameters_are_refused(void **state)
{
    const struct how good = {"HMAC", OSSL_MAC_PARAM_DIGEST, "SHA256", "hsm:label=generic", 32, 0};
    const struct how good_cmac = {"CMAC", OSSL_MAC_PARAM_CIPHER, "AES-256-CBC", "hsm:label=aes32", 32, 0};
    EVP_MAC_CTX *hmac = context_of("HMAC", true), *cmac = context_of("CMAC", true), *gmac = context_of("GMAC", true);
    struct how how = good;
    uint8_t out[64], *longest = pattern(200);
    size_t len;

    (void)state;
    how.uri = "hsm:label=aes32";
    REFUSED("a generic secret", start(hmac, &how, true));
    how.uri = "hsm:label=nobody";
    REFUSED("no secret key of the cluster", start(hmac, &how, true));
    how = good, how.value = "MD5";
    REFUSED("no HMAC with MD5", start(hmac, &how, true));
    how.value = "nonsense";
    REFUSED("no HMAC with nonsense", start(hmac, &how, true));
    REFUSED("named by the parameter hsm-key", EVP_MAC_init(hmac, VALUE, 32, NULL));
    REFUSED("named by the parameter hsm-key", start(hmac, &good, false));
    how = good, how.value = NULL;
    WORKS(EVP_MAC_init(hmac, NULL, 0, NULL));
    REFUSED("no key", EVP_MAC_update(hmac, VALUE, 1));
    EVP_MAC_CTX_free(hmac);
    hmac = context_of("HMAC", true);
    WORKS(start(hmac, &how, true));
    REFUSED("needs a digest", EVP_MAC_update(hmac, VALUE, 1));
    WORKS(start(hmac, &good, true));
    WORKS(EVP_MAC_update(hmac, NULL, 0));
    REFUSED("no data", EVP_MAC_update(hmac, NULL, 1));
    WORKS(EVP_MAC_update(hmac, VALUE, 1));
    REFUSED("another key", EVP_MAC_CTX_set_params(hmac, NAMED("hsm:label=long")));
    assert_true(EVP_MAC_final(hmac, out, &len, 31) <= 0);
    WORKS(EVP_MAC_final(hmac, out, &len, 32));

    how = good_cmac, how.uri = "hsm:label=generic";
    REFUSED("an AES key", start(cmac, &how, true));
    how = good_cmac, how.value = "AES-256-GCM";
    REFUSED("not AES-256-GCM", start(cmac, &how, true));
    how.value = "AES-128-CBC";
    WORKS(start(cmac, &how, true));
    REFUSED("256 bits, not 128", EVP_MAC_final(cmac, out, &len, sizeof(out)));

    WORKS(start(gmac, &(struct how){"GMAC", NULL, NULL, "hsm:label=aes32", 32, 0}, true));
    REFUSED("nonce for each message", EVP_MAC_update(gmac, VALUE, 1));
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, longest, 200),
                           OSSL_PARAM_construct_end()};
    REFUSED("1 to 128 bytes", EVP_MAC_CTX_set_params(gmac, params));
    params[0].data_size = 0;
    REFUSED("1 to 128 bytes", EVP_MAC_CTX_set_params(gmac, params));
    EVP_MAC_CTX_free(hmac);
    EVP_MAC_CTX_free(cmac);
    EVP_MAC_CTX_free(gmac);
    free(longest);
    ERR_clear_error();
}

/* The last: it takes a node away. */
static void a_message_survives_a_node_killed_in_its_middle(void **state)
{
    static const struct how HMAC = {"HMAC", OSSL_MAC_PARAM_DIGEST, "SHA256", "hsm:label=generic", 32, 0};
    struct world *world = *state;
    EVP_MAC_CTX *context = context_of("HMAC", true);
    uint8_t *data = pattern(LONG_LEN), ours[64], theirs[64];
    size_t len;

    WORKS(start(context, &HMAC, true));
    WORKS(EVP_MAC_update(context, data, LONG_LEN / 2));
    kill(world->nodes[0].pid, SIGKILL);
    WORKS(EVP_MAC_update(context, data + LONG_LEN / 2, LONG_LEN / 2));
    WORKS(EVP_MAC_final(context, ours, &len, sizeof(ours)));
    EVP_MAC_CTX_free(context);
    compute(&HMAC, false, data, LONG_LEN, LONG_LEN, theirs);
    assert_memory_equal(ours, theirs, 32);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_is_that_of_openssl),
        cmocka_unit_test(cmac_and_gmac_are_those_of_openssl),
        cmocka_unit_test(a_cipher_need_not_be_named),
        cmocka_unit_test(a_message_goes_on_in_a_copy),
        cmocka_unit_test(a_context_serves_for_another_message),
        cmocka_unit_test(wrong_keys_and_parameters_are_refused),
        cmocka_unit_test(a_message_survives_a_node_killed_in_its_middle),
    };
    return cmocka_run_group_tests(tests, begin, openssl_end);
}
