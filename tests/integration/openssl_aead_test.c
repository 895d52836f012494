/* GCM and CCM with a key of the cluster, against OpenSSL's own. */
#include "openssl_fixture.h"

#include <openssl/core_names.h>
#include <signal.h>
#include <sys/wait.h>

static const uint8_t VALUE[32] = "a key of thirty-two bytes, known";
static const uint8_t NONCE[64] = "a nonce, of which as many bytes are taken as a test has use for";

static int begin(void **state)
{
    if (openssl_begin(state) != 0)
        return 1;
    secret_of(HSM_KEY_TYPE_AES, "aes", VALUE, 32);
    secret_of(HSM_KEY_TYPE_AES, "short", VALUE, 16);
    return 0;
}

/* --- a text and what goes with it --- */

struct text {
    const char *cipher; /* name */
    bool ccm;
    int key_len, nonce_len, tag_len;
    const uint8_t *aad, *data;
    int aad_len, len;
};

static EVP_CIPHER_CTX *context_of(const struct text *text, bool ours, int encrypts, const uint8_t *nonce,
                                  const uint8_t *tag)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(library, text->cipher, ours ? OURS : THEIRS);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

    assert_non_null(cipher);
    WORKS(EVP_CipherInit_ex2(context, cipher, NULL, NULL, encrypts, NULL));
    WORKS(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, text->nonce_len, NULL));
    if (text->ccm || tag)
        WORKS(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, text->tag_len, (void *)(uintptr_t)tag));
    WORKS(EVP_CipherInit_ex2(context, NULL, ours ? NULL : VALUE, nonce, encrypts,
                             ours ? NAMED(text->key_len == 16 ? "hsm:label=short" : "hsm:label=aes") : NULL));
    EVP_CIPHER_free(cipher);
    return context;
}

static void give_aad(EVP_CIPHER_CTX *context, const struct text *text, int part)
{
    int len;

    if (text->ccm)
        WORKS(EVP_CipherUpdate(context, NULL, &len, NULL, text->len));
    for (int at = 0; at < text->aad_len; at += part) {
        int n = text->aad_len - at < part ? text->aad_len - at : part;

        WORKS(EVP_CipherUpdate(context, NULL, &len, text->aad + at, n));
        assert_int_equal(len, n);
    }
}

static void run(EVP_CIPHER_CTX *context, const uint8_t *in, int in_len, int part, uint8_t *out)
{
    int len;

    for (int at = 0; at < in_len; at += part) {
        int n = in_len - at < part ? in_len - at : part;

        WORKS(EVP_CipherUpdate(context, out + at, &len, in + at, n));
        assert_int_equal(len, n);
    }
}

static void seal(const struct text *text, bool ours, int part, uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *context = context_of(text, ours, 1, NONCE, NULL);
    int last = -1;

    give_aad(context, text, text->ccm && !ours ? text->aad_len : 5);
    if (text->len == 0 && text->ccm && !ours) /* OpenSSL's CCM wants to be told of an empty text */
        WORKS(EVP_CipherUpdate(context, out, &last, text->data, 0));
    run(context, text->data, text->len, part, out);
    WORKS(EVP_CipherFinal_ex(context, out + text->len, &last));
    assert_int_equal(last, 0);
    WORKS(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, text->tag_len, tag));
    EVP_CIPHER_CTX_free(context);
}

/* Sealed by both alike; opened by us; not opened with anything changed. */
static void check(const struct text *text, int part)
{
    uint8_t *ours = pattern((size_t)text->len + 16), *theirs = pattern((size_t)text->len + 16);
    uint8_t *back = pattern((size_t)text->len + 16), our_tag[16], their_tag[16];
    int last;

    seal(text, true, part, ours, our_tag);
    seal(text, false, text->len ? text->len : 1, theirs, their_tag);
    assert_memory_equal(ours, theirs, (size_t)text->len);
    assert_memory_equal(our_tag, their_tag, (size_t)text->tag_len);

    memset(back, 0, (size_t)text->len);
    EVP_CIPHER_CTX *context = context_of(text, true, 0, NONCE, our_tag);
    give_aad(context, text, 5);
    run(context, ours, text->len, part, back);
    WORKS(EVP_CipherFinal_ex(context, back + text->len, &last));
    assert_int_equal(last, 0);
    assert_memory_equal(back, text->data, (size_t)text->len);
    EVP_CIPHER_CTX_free(context);
    free(ours), free(theirs), free(back);
}

static const uint8_t AAD[] = "additional data, in the clear";

static struct text text_of(const char *cipher, int nonce_len, int tag_len, const uint8_t *data, size_t len)
{
    return (struct text){.cipher = cipher,
                         .ccm = strstr(cipher, "CCM") != NULL,
                         .key_len = strstr(cipher, "128") ? 16 : 32,
                         .nonce_len = nonce_len,
                         .tag_len = tag_len,
                         .aad = AAD,
                         .aad_len = sizeof(AAD),
                         .data = data,
                         .len = (int)len};
}

static void gcm_is_that_of_openssl(void **state)
{
    static const size_t LENGTHS[] = {0, 1, 15, 16, 17, 100, 5000};
    static const int TAGS[] = {16, 15, 14, 13, 12, 8, 4};
    uint8_t *data = pattern(LONG_LEN);

    (void)state;
    for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(*LENGTHS); i++) {
        struct text text = text_of(i % 2 ? "AES-256-GCM" : "AES-128-GCM", 12, TAGS[i], data, LENGTHS[i]);

        check(&text, 7 + (int)i * 100);
        text.aad_len = 0;
        check(&text, 16 + (int)i * 100);
    }
    struct text text = text_of("AES-256-GCM", 12, 16, data, LONG_LEN);
    check(&text, 700001);
    free(data);
}

static void gcm_with_other_nonces_goes_in_one_piece(void **state)
{
    static const int NONCES[] = {1, 8, 13, 16, 64};
    uint8_t *data = pattern(200), out[200];
    int len;

    (void)state;
    for (size_t i = 0; i < sizeof(NONCES) / sizeof(*NONCES); i++) {
        struct text text = text_of("AES-256-GCM", NONCES[i], 16, data, i * 40);

        check(&text, 200);
    }
    struct text text = text_of("AES-256-GCM", 16, 16, data, 100);
    EVP_CIPHER_CTX *context = context_of(&text, true, 1, NONCE, NULL);
    WORKS(EVP_CipherUpdate(context, out, &len, data, 50));
    REFUSED("has ended", EVP_CipherUpdate(context, out, &len, data + 50, 50));
    EVP_CIPHER_CTX_free(context);
    context = context_of(&text, true, 0, NONCE, NULL);
    REFUSED("tag is wanted", EVP_CipherUpdate(context, out, &len, data, 50));
    EVP_CIPHER_CTX_free(context);
    free(data);
}

static void ccm_is_that_of_openssl(void **state)
{
    static const size_t LENGTHS[] = {0, 1, 15, 16, 17, 100, 5000};
    uint8_t *data = pattern(5000);

    (void)state;
    for (int i = 0; i < 7; i++) {
        struct text text = text_of(i % 2 ? "AES-128-CCM" : "AES-256-CCM", 7 + i, 4 + 2 * i, data, LENGTHS[i]);

        check(&text, 5000);
    }
    free(data);
}

/* --- tags --- */

static void a_wrong_tag_is_refused(void **state)
{
    static const char *const CIPHERS[] = {"AES-256-GCM", "AES-256-CCM"};
    uint8_t data[40] = "a text", sealed[40], back[40], tag[16];
    int len;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct text text = text_of(CIPHERS[i], 12, 16, data, sizeof(data));

        seal(&text, true, 40, sealed, tag);
        for (int wrong = 0; wrong < 3; wrong++) { /* tag, text, additional data */
            uint8_t bad_tag[16];

            memcpy(bad_tag, tag, 16);
            bad_tag[15] ^= wrong == 0;
            sealed[3] ^= wrong == 1;
            text.aad_len = (int)sizeof(AAD) - (wrong == 2);
            EVP_CIPHER_CTX *context = context_of(&text, true, 0, NONCE, bad_tag);
            give_aad(context, &text, 50);
            memset(back, 0, sizeof(back));
            if (text.ccm) {
                REFUSED("tag does not verify", EVP_CipherUpdate(context, back, &len, sealed, 40));
                assert_int_equal(back[0], 0); /* nothing of the text came out */
            } else {
                WORKS(EVP_CipherUpdate(context, back, &len, sealed, 40));
                REFUSED("tag does not verify", EVP_CipherFinal_ex(context, back, &len));
            }
            EVP_CIPHER_CTX_free(context);
            sealed[3] ^= wrong == 1;
        }
    }
}

static void a_tag_may_come_last(void **state)
{
    uint8_t data[40] = "a text", sealed[40], back[40], tag[16];
    struct text text = text_of("AES-256-GCM", 12, 16, data, sizeof(data));
    int len;

    (void)state;
    seal(&text, true, 40, sealed, tag);
    EVP_CIPHER_CTX *context = context_of(&text, true, 0, NONCE, NULL);
    give_aad(context, &text, 50);
    run(context, sealed, 40, 9, back);
    REFUSED("tag was not given", EVP_CipherFinal_ex(context, back, &len));
    REFUSED("before the data", EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 12, tag));
    WORKS(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag));
    WORKS(EVP_CipherFinal_ex(context, back, &len));
    EVP_CIPHER_CTX_free(context);
}

/* --- nonces --- */

static void read_nonce(EVP_CIPHER_CTX *context, uint8_t *nonce)
{
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_IV, nonce, 12),
                           OSSL_PARAM_construct_end()};

    WORKS(EVP_CIPHER_CTX_get_params(context, params));
}

static void a_node_makes_the_nonce_when_none_is_given(void **state)
{
    static const char *const CIPHERS[] = {"AES-256-GCM", "AES-256-CCM"};
    uint8_t data[40] = "a text", sealed[40], back[40], tag[16], nonces[2][12];
    int len;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct text text = text_of(CIPHERS[i], 12, 16, data, sizeof(data));
        EVP_CIPHER_CTX *context = context_of(&text, true, 1, NULL, NULL);

        for (size_t n = 0; n < 2; n++) { /* the context serves for another text, under another nonce */
            REFUSED("no initialization vector yet", EVP_CIPHER_CTX_get_original_iv(context, nonces[n], 12));
            give_aad(context, &text, 50);
            WORKS(EVP_CipherUpdate(context, sealed, &len, data, 40));
            read_nonce(context, nonces[n]);
            WORKS(EVP_CipherFinal_ex(context, back, &len));
            WORKS(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag));

            EVP_CIPHER_CTX *reader = context_of(&text, false, 0, nonces[n], tag);
            give_aad(reader, &text, 50);
            WORKS(EVP_CipherUpdate(reader, back, &len, sealed, 40));
            assert_memory_equal(back, data, 40);
            if (!text.ccm)
                WORKS(EVP_CipherFinal_ex(reader, back, &len));
            EVP_CIPHER_CTX_free(reader);
            WORKS(EVP_CipherInit_ex2(context, NULL, NULL, NULL, -1, NULL));
        }
        assert_memory_not_equal(nonces[0], nonces[1], 12);
        EVP_CIPHER_CTX_free(context);
    }
}

/* Whoever sees two texts under one nonce can forge others. */
static void a_nonce_serves_once(void **state)
{
    static const char *const CIPHERS[] = {"AES-256-GCM", "AES-256-CCM"};
    uint8_t data[40] = "a text", sealed[40];
    int len;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct text text = text_of(CIPHERS[i], 12, 16, data, sizeof(data));
        EVP_CIPHER_CTX *context = context_of(&text, true, 1, NONCE, NULL);

        WORKS(EVP_CipherUpdate(context, sealed, &len, data, 40));
        WORKS(EVP_CipherFinal_ex(context, sealed, &len));
        REFUSED("has ended", EVP_CipherUpdate(context, sealed, &len, data, 40));
        WORKS(EVP_CipherInit_ex2(context, NULL, NULL, NULL, -1, NULL));
        REFUSED("used for another text", EVP_CipherUpdate(context, sealed, &len, data, 40));
        WORKS(EVP_CipherInit_ex2(context, NULL, NULL, NONCE + 1, -1, NULL));
        WORKS(EVP_CipherUpdate(context, sealed, &len, data, 40));
        EVP_CIPHER_CTX_free(context);

        text.nonce_len = 13;
        context = context_of(&text, true, 1, NULL, NULL);
        REFUSED("no initialization vector", EVP_CipherUpdate(context, sealed, &len, data, 40));
        EVP_CIPHER_CTX_free(context);
        text.nonce_len = 12;
        context = context_of(&text, true, 0, NULL, sealed);
        REFUSED("no initialization vector", EVP_CipherUpdate(context, sealed, &len, data, 40));
        EVP_CIPHER_CTX_free(context);
    }
}

/* --- copies --- */

static void a_text_goes_on_in_a_copy(void **state)
{
    uint8_t data[100] = "a text", ours[100], copied[100], tag[16], copied_tag[16];
    struct text text = text_of("AES-256-GCM", 12, 16, data, sizeof(data));
    const uint8_t *const GIVEN[] = {NONCE, NULL};
    int len;

    (void)state;
    for (size_t i = 0; i < 2; i++) { /* with a nonce of the program's, and of the node's */
        EVP_CIPHER_CTX *context = context_of(&text, true, 1, GIVEN[i], NULL), *copy = EVP_CIPHER_CTX_new();

        give_aad(context, &text, 50);
        run(context, data, 33, 33, ours);
        WORKS(EVP_CIPHER_CTX_copy(copy, context));
        memcpy(copied, ours, 33);
        run(context, data + 33, 67, 10, ours + 33);
        WORKS(EVP_CipherFinal_ex(context, ours, &len));
        WORKS(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag));
        EVP_CIPHER_CTX_free(context);
        run(copy, data + 33, 67, 21, copied + 33);
        WORKS(EVP_CipherFinal_ex(copy, copied, &len));
        WORKS(EVP_CIPHER_CTX_ctrl(copy, EVP_CTRL_AEAD_GET_TAG, 16, copied_tag));
        assert_memory_equal(ours, copied, 100);
        assert_memory_equal(tag, copied_tag, 16);
        EVP_CIPHER_CTX_free(copy);
    }

    /* Additional data alone. */
    EVP_CIPHER_CTX *context = context_of(&text, true, 1, NONCE, NULL), *copy = EVP_CIPHER_CTX_new();
    give_aad(context, &text, 50);
    WORKS(EVP_CIPHER_CTX_copy(copy, context));
    EVP_CIPHER_CTX_free(context);
    run(copy, data, 100, 100, copied);
    WORKS(EVP_CipherFinal_ex(copy, copied, &len));
    WORKS(EVP_CIPHER_CTX_ctrl(copy, EVP_CTRL_AEAD_GET_TAG, 16, copied_tag));
    seal(&text, false, 100, ours, tag);
    assert_memory_equal(tag, copied_tag, 16);
    EVP_CIPHER_CTX_free(copy);
}

/* --- hostile programs --- */

static void absurd_calls_are_refused(void **state)
{
    uint8_t data[40] = "a text", out[60], *large = pattern(HSM_MESSAGE_MAX + 1);
    struct text text = text_of("AES-256-GCM", 12, 16, data, sizeof(data));
    EVP_CIPHER_CTX *context = context_of(&text, true, 1, NONCE, NULL);
    int len;

    (void)state;
    REFUSED("no data", EVP_CipherUpdate(context, out, &len, NULL, 3));
    REFUSED("no place", EVP_CipherUpdate(context, NULL, &len, NULL, 3));
    REFUSED("additional data", EVP_CipherUpdate(context, NULL, &len, large, HSM_MESSAGE_MAX + 1));
    REFUSED("when encryption has ended", EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, out));
    REFUSED("made by encryption", EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, out));
    assert_true(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 0, NULL) <= 0);
    REFUSED("this length", EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 129, NULL));
    WORKS(EVP_CipherUpdate(context, out, &len, data, 40));
    REFUSED("before the text", EVP_CipherUpdate(context, NULL, &len, data, 3));
    REFUSED("another nonce", EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 13, NULL));
    EVP_CIPHER_CTX_free(context);

    context = context_of(&text, true, 0, NONCE, NULL);
    REFUSED("no tags of 11", EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 11, out));
    EVP_CIPHER_CTX_free(context);

    text = text_of("AES-256-CCM", 12, 16, data, sizeof(data));
    context = context_of(&text, true, 1, NONCE, NULL);
    REFUSED("no tags of 5", EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 5, NULL));
    REFUSED("this length", EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 14, NULL));
    uint8_t *sealed = pattern(HSM_MESSAGE_MAX + 17);
    REFUSED("in one piece", EVP_CipherUpdate(context, sealed, &len, large, HSM_MESSAGE_MAX + 1));
    WORKS(EVP_CipherUpdate(context, out, &len, data, 40));
    REFUSED("16 bytes, not 12", EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 12, out));
    EVP_CIPHER_CTX_free(context);
    free(large), free(sealed);
    ERR_clear_error();
}

/* A signal has not reached all threads of a process when kill returns: waits until it has stopped. */
static void stop_nodes(const struct world *world)
{
    for (size_t i = 0; i < 2; i++) {
        int status = 0;

        assert_int_equal(kill(world->nodes[i].pid, SIGSTOP), 0);
        assert_int_equal(waitpid(world->nodes[i].pid, &status, WUNTRACED), world->nodes[i].pid);
        assert_true(WIFSTOPPED(status));
    }
}

static void continue_nodes(const struct world *world)
{
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(kill(world->nodes[i].pid, SIGCONT), 0);
}

static void an_update_that_no_node_answered_can_be_repeated(void **state)
{
    const struct world *world = *state;
    uint8_t data[100] = "a text", ours[100], theirs[100], tag[16], their_tag[16];
    struct text text = text_of("AES-256-GCM", 12, 16, data, sizeof(data));
    int len;

    EVP_CIPHER_CTX *context = context_of(&text, true, 1, NONCE, NULL), *copy = EVP_CIPHER_CTX_new();
    EVP_CIPHER_CTX *without = context_of(&text, true, 1, NULL, NULL);
    give_aad(context, &text, 50);
    run(context, data, 33, 33, ours);
    stop_nodes(world);
    int result = EVP_CipherUpdate(context, ours + 33, &len, data + 33, 67);
    int result_without = EVP_CipherUpdate(without, theirs, &len, data, 100);
    continue_nodes(world);
    REFUSED("no node answered in time", result);
    assert_int_equal(result_without, 0);

    /* A nonce that is still to be made is made for one context alone. */
    REFUSED("still to be made", EVP_CIPHER_CTX_copy(copy, without));
    run(without, data, 100, 100, theirs);
    WORKS(EVP_CIPHER_CTX_copy(copy, without));
    EVP_CIPHER_CTX_free(without);
    EVP_CIPHER_CTX_free(copy);
    run(context, data + 33, 67, 67, ours + 33);
    WORKS(EVP_CipherFinal_ex(context, ours, &len));
    WORKS(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag));
    EVP_CIPHER_CTX_free(context);
    seal(&text, false, 100, theirs, their_tag);
    assert_memory_equal(ours, theirs, 100);
    assert_memory_equal(tag, their_tag, 16);
}

/* The last: it takes a node away. */
static void a_stream_survives_a_node_killed_in_its_middle(void **state)
{
    struct world *world = *state;
    uint8_t data[100] = "a text", ours[100], theirs[100], tag[16], their_tag[16];
    struct text text = text_of("AES-256-GCM", 12, 16, data, sizeof(data));
    int len;

    EVP_CIPHER_CTX *context = context_of(&text, true, 1, NONCE, NULL);
    give_aad(context, &text, 50);
    run(context, data, 33, 33, ours);
    kill(world->nodes[0].pid, SIGKILL);
    run(context, data + 33, 67, 20, ours + 33);
    WORKS(EVP_CipherFinal_ex(context, ours, &len));
    WORKS(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag));
    EVP_CIPHER_CTX_free(context);
    seal(&text, false, 100, theirs, their_tag);
    assert_memory_equal(ours, theirs, 100);
    assert_memory_equal(tag, their_tag, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcm_is_that_of_openssl),
        cmocka_unit_test(gcm_with_other_nonces_goes_in_one_piece),
        cmocka_unit_test(ccm_is_that_of_openssl),
        cmocka_unit_test(a_wrong_tag_is_refused),
        cmocka_unit_test(a_tag_may_come_last),
        cmocka_unit_test(a_node_makes_the_nonce_when_none_is_given),
        cmocka_unit_test(a_nonce_serves_once),
        cmocka_unit_test(a_text_goes_on_in_a_copy),
        cmocka_unit_test(absurd_calls_are_refused),
        cmocka_unit_test(an_update_that_no_node_answered_can_be_repeated),
        cmocka_unit_test(a_stream_survives_a_node_killed_in_its_middle),
    };
    return cmocka_run_group_tests(tests, begin, openssl_end);
}
