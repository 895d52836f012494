/* ECB, CBC, CTR and key wrap with a key of the cluster, side by side with OpenSSL's own ciphers: the same texts, and
 * the same lengths from every single update. */
#include "openssl_fixture.h"

#include <openssl/core_names.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

static const uint8_t VALUE[32] = "a key of thirty-two bytes, known";
static const uint8_t NONCE[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 255, 255, 255, 255, 255, 250};
static hsm_key keys[3];

#define N_BITS 3
static const int BITS[N_BITS] = {128, 192, 256};

static const char *uri_of(int bits)
{
    static char uri[64];

    snprintf(uri, sizeof(uri), "hsm:label=aes%d;type=secret", bits);
    return uri;
}

static int begin(void **state)
{
    if (openssl_begin(state) != 0)
        return 1;
    for (int i = 0; i < N_BITS; i++) {
        char label[32];

        snprintf(label, sizeof(label), "aes%d", BITS[i]);
        keys[i] = secret_of(HSM_KEY_TYPE_AES, label, VALUE, (size_t)BITS[i] / 8);
    }
    return 0;
}

/* --- two contexts side by side --- */

struct pair {
    EVP_CIPHER *our_cipher, *their_cipher;
    EVP_CIPHER_CTX *ours, *theirs;
};

static struct pair pair_of(const char *mode, int bits)
{
    char name[32];
    struct pair pair;

    snprintf(name, sizeof(name), "AES-%d-%s", bits, mode);
    pair.our_cipher = EVP_CIPHER_fetch(library, name, OURS);
    pair.their_cipher = EVP_CIPHER_fetch(library, name, THEIRS);
    assert_non_null(pair.our_cipher);
    assert_non_null(pair.their_cipher);
    pair.ours = EVP_CIPHER_CTX_new();
    pair.theirs = EVP_CIPHER_CTX_new();
    EVP_CIPHER_CTX_set_flags(pair.ours, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    EVP_CIPHER_CTX_set_flags(pair.theirs, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    return pair;
}

static void pair_free(struct pair *pair)
{
    EVP_CIPHER_CTX_free(pair->ours);
    EVP_CIPHER_CTX_free(pair->theirs);
    EVP_CIPHER_free(pair->our_cipher);
    EVP_CIPHER_free(pair->their_cipher);
}

static void pair_init(struct pair *pair, int bits, const uint8_t *nonce, int encrypts, int padding)
{
    WORKS(EVP_CipherInit_ex2(pair->ours, pair->our_cipher, NULL, nonce, encrypts, NAMED(uri_of(bits))));
    WORKS(EVP_CipherInit_ex2(pair->theirs, pair->their_cipher, VALUE, nonce, encrypts, NULL));
    WORKS(EVP_CIPHER_CTX_set_padding(pair->ours, padding));
    WORKS(EVP_CIPHER_CTX_set_padding(pair->theirs, padding));
}

/* Gives `len` bytes in parts of `part` to both; what they agree on is appended to `out`. */
static int pair_update(struct pair *pair, const uint8_t *data, size_t len, size_t part, uint8_t *out)
{
    uint8_t *theirs = malloc(part + 32);
    int total = 0;

    for (size_t at = 0; at < len; at += part) {
        int n = (int)(len - at < part ? len - at : part), our_len = -1, their_len = -1;

        WORKS(EVP_CipherUpdate(pair->ours, out + total, &our_len, data + at, n));
        WORKS(EVP_CipherUpdate(pair->theirs, theirs, &their_len, data + at, n));
        assert_int_equal(our_len, their_len);
        assert_memory_equal(out + total, theirs, (size_t)their_len);
        total += our_len;
    }
    free(theirs);
    return total;
}

static int pair_final(struct pair *pair, uint8_t *out)
{
    uint8_t theirs[32];
    int our_len = -1, their_len = -1;
    int result = EVP_CipherFinal_ex(pair->ours, out, &our_len);

    assert_int_equal(result, EVP_CipherFinal_ex(pair->theirs, theirs, &their_len));
    if (!result)
        return -1;
    assert_int_equal(our_len, their_len);
    assert_memory_equal(out, theirs, (size_t)their_len);
    return our_len;
}

/* There and back; -1 in both when the text is not of whole blocks and should be. */
static void check_text(struct pair *pair, int bits, int padding, size_t len, size_t part)
{
    uint8_t *data = pattern(len), *text = pattern(len + 64), *back = pattern(len + 64);
    const uint8_t *nonce = EVP_CIPHER_get_iv_length(pair->our_cipher) > 0 ? NONCE : NULL;

    pair_init(pair, bits, nonce, 1, padding);
    int text_len = pair_update(pair, data, len, part, text), last = pair_final(pair, text + text_len);
    if (last >= 0) {
        text_len += last;
        pair_init(pair, bits, nonce, 0, padding);
        int back_len = pair_update(pair, text, (size_t)text_len, part, back);
        back_len += pair_final(pair, back + back_len);
        assert_int_equal(back_len, len);
        assert_memory_equal(back, data, len);
    }
    ERR_clear_error();
    free(data), free(text), free(back);
}

static void streams_are_those_of_openssl(void **state)
{
    static const char *const MODES[] = {"ECB", "CBC", "CTR"};
    static const size_t LENGTHS[] = {0, 1, 15, 16, 17, 32, 33, 48};

    (void)state;
    for (size_t mode = 0; mode < 3; mode++)
        for (int padding = 0; padding < 2; padding++) {
            for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(*LENGTHS); i++) {
                int bits = BITS[i % N_BITS];
                struct pair pair = pair_of(MODES[mode], bits);

                check_text(&pair, bits, padding, LENGTHS[i], 7);
                check_text(&pair, bits, padding, LENGTHS[i], 16);
                pair_free(&pair);
            }
            struct pair pair = pair_of(MODES[mode], 256);
            check_text(&pair, 256, padding, LONG_LEN + (size_t)padding * 5, 700001);
            pair_free(&pair);
        }
}

/* Set where EVP_Cipher has a function of its own; ours go through update and final. */
#define DONE_BY_UPDATE ((unsigned long)EVP_CIPH_FLAG_CUSTOM_CIPHER)

static void ciphers_describe_themselves_as_those_of_openssl(void **state)
{
    static const char *const MODES[] = {"ECB", "CBC", "CTR", "GCM", "CCM", "WRAP", "WRAP-PAD"};

    (void)state;
    for (size_t i = 0; i < sizeof(MODES) / sizeof(*MODES) * N_BITS; i++) {
        struct pair pair = pair_of(MODES[i / N_BITS], BITS[i % N_BITS]);
        const EVP_CIPHER *ours = pair.our_cipher, *theirs = pair.their_cipher;

        assert_string_equal(EVP_CIPHER_get0_name(ours), EVP_CIPHER_get0_name(theirs));
        assert_int_equal(EVP_CIPHER_get_nid(ours), EVP_CIPHER_get_nid(theirs));
        assert_int_equal(EVP_CIPHER_get_type(ours), EVP_CIPHER_get_type(theirs));
        assert_int_equal(EVP_CIPHER_get_mode(ours), EVP_CIPHER_get_mode(theirs));
        assert_int_equal(EVP_CIPHER_get_flags(ours), EVP_CIPHER_get_flags(theirs) & ~DONE_BY_UPDATE);
        assert_int_equal(EVP_CIPHER_get_block_size(ours), EVP_CIPHER_get_block_size(theirs));
        assert_int_equal(EVP_CIPHER_get_key_length(ours), EVP_CIPHER_get_key_length(theirs));
        assert_int_equal(EVP_CIPHER_get_iv_length(ours), EVP_CIPHER_get_iv_length(theirs));
        WORKS(EVP_CipherInit_ex2(pair.ours, ours, NULL, NULL, 1, NULL));
        WORKS(EVP_CipherInit_ex2(pair.theirs, theirs, NULL, NULL, 1, NULL));
        assert_int_equal(EVP_CIPHER_CTX_get_key_length(pair.ours), EVP_CIPHER_CTX_get_key_length(pair.theirs));
        assert_int_equal(EVP_CIPHER_CTX_get_iv_length(pair.ours), EVP_CIPHER_CTX_get_iv_length(pair.theirs));
        assert_int_equal(EVP_CIPHER_CTX_get_tag_length(pair.ours), EVP_CIPHER_CTX_get_tag_length(pair.theirs));
        pair_free(&pair);
    }
    ERR_clear_error();
}

static void an_initialization_vector_can_be_read(void **state)
{
    struct pair pair = pair_of("CBC", 256);
    uint8_t nonce[16] = {0};

    (void)state;
    pair_init(&pair, 256, NONCE, 1, 1);
    WORKS(EVP_CIPHER_CTX_get_original_iv(pair.ours, nonce, sizeof(nonce)));
    assert_memory_equal(nonce, NONCE, 16);
    assert_int_equal(EVP_CIPHER_CTX_get_original_iv(pair.ours, nonce, 15), 0);
    ERR_clear_error();
    pair_free(&pair);
}

static void a_text_goes_on_in_a_copy(void **state)
{
    static const char *const MODES[] = {"ECB", "CBC", "CTR"};
    uint8_t *data = pattern(100);

    (void)state;
    for (size_t mode = 0; mode < 6; mode++) {
        struct pair pair = pair_of(MODES[mode / 2], 192);
        EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();
        uint8_t out[200], other[200];
        int len, last, other_len;

        pair_init(&pair, 192, mode / 2 ? NONCE : NULL, mode % 2, 1);
        len = pair_update(&pair, data, 48, 48, out);
        memcpy(other, out, (size_t)len);
        WORKS(EVP_CIPHER_CTX_copy(copy, pair.ours));
        other_len = len;
        len += pair_update(&pair, data + 48, 32, 5, out + len);
        /* The original is gone before the copy goes on. */
        EVP_CIPHER_CTX_free(pair.ours);
        pair.ours = EVP_CIPHER_CTX_new();
        WORKS(EVP_CipherUpdate(copy, other + other_len, &last, data + 48, 32));
        assert_int_equal(other_len + last, len);
        assert_memory_equal(out, other, (size_t)len);
        EVP_CIPHER_CTX_free(copy);
        pair_free(&pair);
    }
    free(data);
}

static void a_text_may_take_the_place_of_the_other(void **state)
{
    struct pair pair = pair_of("CBC", 128);
    uint8_t *data = pattern(4096), *theirs = pattern(4096);
    int len, last;

    (void)state;
    pair_init(&pair, 128, NONCE, 1, 0);
    WORKS(EVP_CipherUpdate(pair.theirs, theirs, &last, data, 4096));
    WORKS(EVP_CipherUpdate(pair.ours, data, &len, data, 4096));
    assert_int_equal(len, 4096);
    assert_memory_equal(data, theirs, 4096);
    free(data), free(theirs);
    pair_free(&pair);
}

static void a_context_serves_for_another_text(void **state)
{
    struct pair pair = pair_of("CBC", 256);
    uint8_t first[64], second[64], data[20] = "a text of 20 bytes";
    int len, last;

    (void)state;
    pair_init(&pair, 256, NONCE, 1, 1);
    len = pair_update(&pair, data, 20, 20, first);
    len += pair_final(&pair, first + len);
    REFUSED("has ended", EVP_CipherUpdate(pair.ours, second, &last, data, 20));
    REFUSED("has ended", EVP_CipherFinal_ex(pair.ours, second, &last));

    /* Without anything new: the same key and initialization vector, as OpenSSL has it for CBC. */
    WORKS(EVP_CipherInit_ex2(pair.ours, NULL, NULL, NULL, -1, NULL));
    WORKS(EVP_CipherUpdate(pair.ours, second, &last, data, 20));
    assert_memory_equal(first, second, (size_t)last);
    pair_free(&pair);

    /* Two texts under one initial counter would be as good as in the clear. */
    pair = pair_of("CTR", 256);
    pair_init(&pair, 256, NONCE, 1, 1);
    pair_update(&pair, data, 20, 20, first);
    WORKS(EVP_CipherInit_ex2(pair.ours, NULL, NULL, NULL, -1, NULL));
    REFUSED("used for another text", EVP_CipherUpdate(pair.ours, second, &last, data, 20));
    WORKS(EVP_CipherInit_ex2(pair.ours, NULL, NULL, NONCE, -1, NULL));
    WORKS(EVP_CipherUpdate(pair.ours, second, &last, data, 20));
    assert_memory_equal(first, second, 20);
    pair_free(&pair);
}

static void bad_padding_and_broken_blocks_are_refused(void **state)
{
    struct pair pair = pair_of("CBC", 256);
    uint8_t data[32] = {0}, out[64];
    int len;

    (void)state;
    pair_init(&pair, 256, NONCE, 1, 0); /* 32 zeros: no padding at their end */
    assert_int_equal(pair_update(&pair, data, 32, 32, out), 32);
    memcpy(data, out, 32);
    pair_init(&pair, 256, NONCE, 0, 1);
    assert_int_equal(pair_update(&pair, data, 32, 32, out), 16);
    REFUSED("padding is not valid", EVP_CipherFinal_ex(pair.ours, out, &len));

    pair_init(&pair, 256, NONCE, 0, 1);
    assert_int_equal(pair_update(&pair, data, 31, 31, out), 16);
    REFUSED("not of whole blocks", EVP_CipherFinal_ex(pair.ours, out, &len));
    pair_init(&pair, 256, NONCE, 0, 1);
    REFUSED("not of whole blocks", EVP_CipherFinal_ex(pair.ours, out, &len));
    pair_free(&pair);
}

/* --- key wrap --- */

static void wrapping_is_that_of_openssl(void **state)
{
    static const char *const MODES[] = {"WRAP", "WRAP-PAD"};
    static const size_t LENGTHS[] = {1, 7, 8, 9, 16, 24, 31, 32, 40, 400};
    uint8_t *data = pattern(400);

    (void)state;
    for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(*LENGTHS) * 2; i++) {
        int bits = BITS[i % N_BITS], len = (int)LENGTHS[i / 2], our_len = -1, their_len = -1, room = -1;
        struct pair pair = pair_of(MODES[i % 2], bits);
        uint8_t ours[500], theirs[500], back[500];

        pair_init(&pair, bits, NULL, 1, 1);
        int result = EVP_CipherUpdate(pair.ours, ours, &our_len, data, len);
        if (EVP_CipherUpdate(pair.theirs, theirs, &their_len, data, len) <= 0) {
            assert_int_equal(result, 0);
            pair_free(&pair);
            continue;
        }
        WORKS(result);
        assert_int_equal(our_len, their_len);
        assert_memory_equal(ours, theirs, (size_t)their_len);
        WORKS(EVP_CipherUpdate(pair.ours, NULL, &room, data, len));
        assert_int_equal(room, our_len);
        WORKS(EVP_CipherFinal_ex(pair.ours, back, &room));
        assert_int_equal(room, 0);

        pair_init(&pair, bits, NULL, 0, 1);
        WORKS(EVP_CipherUpdate(pair.ours, back, &our_len, ours, their_len));
        assert_int_equal(our_len, len);
        assert_memory_equal(back, data, (size_t)len);
        ours[their_len - 1] ^= 1;
        REFUSED("integrity check", EVP_CipherUpdate(pair.ours, back, &our_len, ours, their_len));
        pair_free(&pair);
    }
    free(data);
    ERR_clear_error();
}

static void another_initial_value_of_wrapping_is_refused(void **state)
{
    static const uint8_t STANDARD[8] = {0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6};
    struct pair pair = pair_of("WRAP", 256);
    uint8_t out[64];
    int len;

    (void)state;
    pair_init(&pair, 256, NONCE, 1, 1);
    REFUSED("the standard's alone", EVP_CipherUpdate(pair.ours, out, &len, VALUE, 32));
    pair_init(&pair, 256, STANDARD, 1, 1);
    WORKS(EVP_CipherUpdate(pair.ours, out, &len, VALUE, 32));
    pair_free(&pair);
}

/* --- keys --- */

static int named(const EVP_CIPHER *cipher, const char *uri)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int result = EVP_EncryptInit_ex2(context, cipher, NULL, NONCE, NAMED(uri));

    EVP_CIPHER_CTX_free(context);
    return result;
}

static void keys_are_named_in_every_way(void **state)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(library, "AES-256-CBC", OURS);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    char object[64] = "hsm:object=";
    uint8_t id[3] = {1, 2, 0xab};
    hsm_attribute change = hsm_attribute_of(HSM_ATTR_ID, id, sizeof(id));

    (void)state;
    for (size_t i = 0; i < HSM_ID_LEN; i++)
        snprintf(object + 11 + 2 * i, 3, "%02x", keys[2].id[i]);
    OK(hsm_object_set(session, keys[2], &change, 1));
    WORKS(named(cipher, "hsm:label=aes256"));
    WORKS(named(cipher, "hsm:label=aes256;type=secret"));
    WORKS(named(cipher, "hsm:label=%61es256"));
    WORKS(named(cipher, "hsm:id=0102AB"));
    WORKS(named(cipher, object));

    /* After the initialization, too. */
    WORKS(EVP_EncryptInit_ex2(context, cipher, NULL, NONCE, NULL));
    WORKS(EVP_CIPHER_CTX_set_params(context, NAMED(object)));
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
}

static void wrong_keys_are_refused(void **state)
{
    static const uint8_t OTHER[32] = "other";
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(library, "AES-256-CBC", OURS);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    hsm_key twins[2], generic = secret_of(HSM_KEY_TYPE_GENERIC_SECRET, "generic", OTHER, 32), public_key, private_key;
    char longest[3000];
    uint8_t out[64];
    int len;

    (void)state;
    twins[0] = secret_of(HSM_KEY_TYPE_AES, "twin", OTHER, 32);
    twins[1] = secret_of(HSM_KEY_TYPE_AES, "twin", VALUE, 32);
    OK(hsm_key_pair_generate_ec(session, "pair", HSM_CURVE_P256, &public_key, &private_key));
    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "hsm:label=", 10);
    longest[sizeof(longest) - 1] = 0;
    REFUSED("no secret key of the cluster", named(cipher, "hsm:label=nobody"));
    REFUSED("no secret key of the cluster", named(cipher, "hsm:label=pair"));
    REFUSED("several secret keys", named(cipher, "hsm:label=twin"));
    REFUSED("an AES key", named(cipher, "hsm:label=generic"));
    REFUSED("128 bits, not 256", named(cipher, "hsm:label=aes128"));
    REFUSED("names no key", named(cipher, "hsm:"));
    REFUSED("names no key", named(cipher, "hsm:type=secret"));
    REFUSED("begins with hsm:", named(cipher, "aes256"));
    REFUSED("type=secret", named(cipher, "hsm:label=aes256;type=private"));
    REFUSED("no such key", named(cipher, "hsm:object=00000000000000000000000000000000"));
    REFUSED("hexadecimal", named(cipher, "hsm:object=00"));
    REFUSED("less than", named(cipher, longest));
    REFUSED("named by the parameter hsm-key", EVP_EncryptInit_ex2(context, cipher, VALUE, NONCE, NULL));

    WORKS(EVP_EncryptInit_ex2(context, cipher, NULL, NONCE, NULL));
    REFUSED("no key", EVP_EncryptUpdate(context, out, &len, OTHER, 32));
    REFUSED("no key", EVP_EncryptFinal_ex(context, out, &len));
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    OK(hsm_object_delete(session, twins[0]));
    OK(hsm_object_delete(session, twins[1]));
    OK(hsm_object_delete(session, generic));
    OK(hsm_object_delete(session, public_key));
    OK(hsm_object_delete(session, private_key));
}

static void absurd_calls_are_refused(void **state)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(library, "AES-256-CBC", OURS);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t out[64];
    size_t len = 17;
    int out_len;
    OSSL_PARAM key_len[] = {OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_KEYLEN, &len), OSSL_PARAM_construct_end()};

    (void)state;
    WORKS(EVP_EncryptInit_ex2(context, cipher, NULL, NULL, NAMED(uri_of(256))));
    REFUSED("no initialization vector", EVP_EncryptUpdate(context, out, &out_len, VALUE, 32));
    REFUSED("32 bytes", EVP_CIPHER_CTX_set_params(context, key_len));
    WORKS(EVP_EncryptInit_ex2(context, NULL, NULL, NONCE, NULL));
    REFUSED("no place", EVP_EncryptUpdate(context, out, &out_len, NULL, 32));
    REFUSED("no place", EVP_EncryptUpdate(context, NULL, &out_len, VALUE, 32));
    WORKS(EVP_EncryptUpdate(context, out, &out_len, VALUE, 0));
    assert_int_equal(out_len, 0);
    WORKS(EVP_EncryptUpdate(context, out, &out_len, VALUE, 32));
    REFUSED("another key", EVP_CIPHER_CTX_set_params(context, NAMED(uri_of(256))));
    REFUSED("before the first data", EVP_CIPHER_CTX_set_padding(context, 0));
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
}

static void a_use_that_the_key_forbids_is_refused(void **state)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(library, "AES-256-CBC", OURS);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    hsm_key key = secret_of(HSM_KEY_TYPE_AES, "one way", VALUE, 32);
    hsm_attribute change = hsm_attribute_bool(HSM_ATTR_DECRYPT, 0);
    uint8_t out[64];
    int len;

    (void)state;
    OK(hsm_object_set(session, key, &change, 1));
    WORKS(EVP_EncryptInit_ex2(context, cipher, NULL, NONCE, NAMED("hsm:label=one%20way")));
    WORKS(EVP_EncryptUpdate(context, out, &len, VALUE, 32));
    WORKS(EVP_DecryptInit_ex2(context, NULL, NULL, NONCE, NULL));
    REFUSED("DECRYPT", EVP_DecryptUpdate(context, out, &len, VALUE, 32));
    OK(hsm_object_delete(session, key));

    /* The key has gone, as soon as the other node knows. */
    int result = 1;
    for (time_t end = time(NULL) + 30; result == 1 && time(NULL) < end;) {
        WORKS(EVP_EncryptInit_ex2(context, NULL, NULL, NONCE, NULL));
        result = EVP_EncryptUpdate(context, out, &len, VALUE, 32);
    }
    REFUSED("no such key", result);
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
}

/* The last: it takes a node away. */
static void a_stream_survives_a_node_killed_in_its_middle(void **state)
{
    struct world *world = *state;
    struct pair cbc = pair_of("CBC", 256), ctr = pair_of("CTR", 128);
    uint8_t *data = pattern(100), out[200];
    int len;

    pair_init(&cbc, 256, NONCE, 1, 1);
    pair_init(&ctr, 128, NONCE, 0, 1);
    len = pair_update(&cbc, data, 40, 40, out);
    pair_update(&ctr, data, 41, 41, out + 100);
    kill(world->nodes[0].pid, SIGKILL);
    len += pair_update(&cbc, data + 40, 60, 33, out + len);
    len += pair_final(&cbc, out + len);
    assert_int_equal(len, 112);
    pair_update(&ctr, data + 41, 59, 9, out + 100);
    pair_free(&cbc);
    pair_free(&ctr);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_those_of_openssl),
        cmocka_unit_test(ciphers_describe_themselves_as_those_of_openssl),
        cmocka_unit_test(an_initialization_vector_can_be_read),
        cmocka_unit_test(a_text_goes_on_in_a_copy),
        cmocka_unit_test(a_text_may_take_the_place_of_the_other),
        cmocka_unit_test(a_context_serves_for_another_text),
        cmocka_unit_test(bad_padding_and_broken_blocks_are_refused),
        cmocka_unit_test(wrapping_is_that_of_openssl),
        cmocka_unit_test(another_initial_value_of_wrapping_is_refused),
        cmocka_unit_test(keys_are_named_in_every_way),
        cmocka_unit_test(wrong_keys_are_refused),
        cmocka_unit_test(absurd_calls_are_refused),
        cmocka_unit_test(a_use_that_the_key_forbids_is_refused),
        cmocka_unit_test(a_stream_survives_a_node_killed_in_its_middle),
    };
    return cmocka_run_group_tests(tests, begin, openssl_end);
}
