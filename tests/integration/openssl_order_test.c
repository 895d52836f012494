/* The provider in openssl.cnf changes nothing for programs that do not ask for it, wherever it stands there: before
 * OpenSSL's own or behind. Needs no cluster, and would fail if anything tried to reach one. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define OURS    "hsm"
#define DEFAULT "default"

/* --- a process for each test: what comes first is decided once in the life of one --- */

static void in_child(void (*test)(void))
{
    pid_t child = fork();
    int result = -1;

    assert_true(child >= 0);
    if (child == 0) {
        test();
        fflush(NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
}

/* In a child. */
static void must(bool condition, const char *text, const char *name, int line)
{
    if (condition)
        return;
    print_error("%s:%d: %s (%s)\n", __FILE__, line, text, name);
    ERR_print_errors_fp(stderr);
    _exit(1);
}
#define MUST(condition)          must(condition, #condition, "", __LINE__)
#define MUST_OF(name, condition) must(condition, #condition, name, __LINE__)

/* --- every method of every kind --- */

struct kind {
    int n_ours;   /* methods */
    int n_shared; /* names that OpenSSL's own has too */
};

/* For each name of each of our methods: whoever does not ask gets OpenSSL's, and whoever does gets ours. */
#define KIND(type, first_name)                                                                                         \
    static void look_at_name_##type(const char *name, void *argument)                                                  \
    {                                                                                                                  \
        struct kind *kind = argument;                                                                                  \
        type *theirs = type##_fetch(NULL, name, "provider=" DEFAULT), *any = type##_fetch(NULL, name, NULL),           \
             *ours = type##_fetch(NULL, name, "provider=" OURS);                                                       \
                                                                                                                       \
        MUST_OF(name, ours &&strcmp(OSSL_PROVIDER_get0_name(type##_get0_provider(ours)), OURS) == 0);                  \
        MUST_OF(name, any &&strcmp(OSSL_PROVIDER_get0_name(type##_get0_provider(any)), theirs ? DEFAULT : OURS) == 0); \
        kind->n_shared += theirs != NULL;                                                                              \
        type##_free(theirs);                                                                                           \
        type##_free(any);                                                                                              \
        type##_free(ours);                                                                                             \
        ERR_clear_error();                                                                                             \
    }                                                                                                                  \
    static void look_at_##type(type *method, void *argument)                                                           \
    {                                                                                                                  \
        struct kind *kind = argument;                                                                                  \
                                                                                                                       \
        if (strcmp(OSSL_PROVIDER_get0_name(type##_get0_provider(method)), OURS) != 0)                                  \
            return;                                                                                                    \
        kind->n_ours++;                                                                                                \
        MUST(type##_names_do_all(method, look_at_name_##type, argument));                                              \
    }                                                                                                                  \
    static void all_##type(void)                                                                                       \
    {                                                                                                                  \
        struct kind kind = {0, 0};                                                                                     \
                                                                                                                       \
        type##_do_all_provided(NULL, look_at_##type, &kind);                                                           \
        MUST(kind.n_ours > 0 && kind.n_shared > 0);                                                                    \
    }                                                                                                                  \
    /* The very first that the process asks for. */                                                                    \
    static void ours_##type(void)                                                                                      \
    {                                                                                                                  \
        type *ours = type##_fetch(NULL, first_name, "provider=" OURS);                                                 \
                                                                                                                       \
        MUST(ours &&strcmp(OSSL_PROVIDER_get0_name(type##_get0_provider(ours)), OURS) == 0);                           \
        type##_free(ours);                                                                                             \
        all_##type();                                                                                                  \
    }                                                                                                                  \
    static void any_##type(void)                                                                                       \
    {                                                                                                                  \
        type *any = type##_fetch(NULL, first_name, NULL);                                                              \
                                                                                                                       \
        MUST(any &&strcmp(OSSL_PROVIDER_get0_name(type##_get0_provider(any)), DEFAULT) == 0);                          \
        type##_free(any);                                                                                              \
        all_##type();                                                                                                  \
    }                                                                                                                  \
    static void type##_is_openssls_unless_ours_is_asked_for(void **state)                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        in_child(ours_##type);                                                                                         \
        in_child(any_##type);                                                                                          \
        in_child(all_##type);                                                                                          \
    }

KIND(EVP_KEYMGMT, "RSA")
KIND(EVP_SIGNATURE, "RSA")
KIND(EVP_ASYM_CIPHER, "RSA")
KIND(EVP_KEYEXCH, "ECDH")
KIND(EVP_CIPHER, "AES-256-GCM")
KIND(EVP_MAC, "HMAC")

/* --- many threads --- */

#define N_THREADS 8

static pthread_barrier_t barrier;

static void *fetch_in_thread(void *argument)
{
    (void)argument;
    pthread_barrier_wait(&barrier);
    EVP_KEYMGMT *key_management = EVP_KEYMGMT_fetch(NULL, "RSA", NULL);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL),
               *ours = EVP_CIPHER_fetch(NULL, "AES-256-GCM", "provider=" OURS);

    MUST(key_management && cipher && ours);
    MUST(strcmp(OSSL_PROVIDER_get0_name(EVP_KEYMGMT_get0_provider(key_management)), DEFAULT) == 0);
    MUST(strcmp(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher)), DEFAULT) == 0);
    EVP_KEYMGMT_free(key_management);
    EVP_CIPHER_free(cipher);
    EVP_CIPHER_free(ours);
    return NULL;
}

static void all_at_once(void)
{
    pthread_t threads[N_THREADS];

    MUST(pthread_barrier_init(&barrier, NULL, N_THREADS) == 0);
    for (size_t i = 0; i < N_THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, fetch_in_thread, NULL) == 0);
    for (size_t i = 0; i < N_THREADS; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
}

static void threads_may_all_begin_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        in_child(all_at_once);
}

/* --- what programs do --- */

static bool is_of(const EVP_PKEY *key, const char *provider)
{
    return strcmp(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(key)), provider) == 0;
}

static EVP_PKEY *written_and_read(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *back = NULL, *public_key = NULL;

    MUST(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    back = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    MUST(back && is_of(back, DEFAULT) && EVP_PKEY_eq(key, back) == 1);
    MUST(PEM_write_bio_PUBKEY(bio, key) == 1);
    public_key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    MUST(public_key && is_of(public_key, DEFAULT) && EVP_PKEY_eq(key, public_key) == 1);
    EVP_PKEY_free(public_key);
    BIO_free(bio);
    return back;
}

static void sign_and_verify(EVP_PKEY *key, const char *digest)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char signature[1024];
    size_t len = sizeof(signature);

    MUST(EVP_DigestSignInit_ex(context, NULL, digest, NULL, NULL, key, NULL) == 1);
    MUST(EVP_DigestSign(context, signature, &len, (const unsigned char *)"data", 4) == 1);
    EVP_MD_CTX_reset(context);
    MUST(EVP_DigestVerifyInit_ex(context, NULL, digest, NULL, NULL, key, NULL) == 1);
    MUST(EVP_DigestVerify(context, signature, len, (const unsigned char *)"data", 4) == 1);
    EVP_MD_CTX_free(context);
}

static void encrypt_and_decrypt(EVP_PKEY *key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    unsigned char sealed[1024], back[1024];
    size_t len = sizeof(sealed), back_len = sizeof(back);

    MUST(EVP_PKEY_encrypt_init(context) == 1);
    MUST(EVP_PKEY_encrypt(context, sealed, &len, (const unsigned char *)"data", 4) == 1);
    MUST(EVP_PKEY_decrypt_init(context) == 1);
    MUST(EVP_PKEY_decrypt(context, back, &back_len, sealed, len) == 1);
    MUST(back_len == 4 && memcmp(back, "data", 4) == 0);
    EVP_PKEY_CTX_free(context);
}

static void agree(EVP_PKEY *key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    unsigned char secret[128];
    size_t len = sizeof(secret);

    MUST(EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_derive_set_peer(context, key) == 1);
    MUST(EVP_PKEY_derive(context, secret, &len) == 1);
    EVP_PKEY_CTX_free(context);
}

static void certify(EVP_PKEY *key)
{
    X509 *certificate = X509_new();

    MUST(X509_gmtime_adj(X509_getm_notBefore(certificate), 0) && X509_gmtime_adj(X509_getm_notAfter(certificate), 60));
    MUST(X509_set_pubkey(certificate, key) == 1 && X509_sign(certificate, key, EVP_sha256()) > 0);
    MUST(X509_verify(certificate, key) == 1 && is_of(X509_get0_pubkey(certificate), DEFAULT));
    X509_free(certificate);
}

static void keys_are_made_and_used(void)
{
    EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048),
             *ec = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), *edwards = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
             *montgomery = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    EVP_PKEY *keys[] = {rsa, ec, edwards, montgomery};

    for (size_t i = 0; i < 4; i++) {
        MUST(keys[i] && is_of(keys[i], DEFAULT));
        EVP_PKEY *back = written_and_read(keys[i]);
        EVP_PKEY_free(back);
    }
    sign_and_verify(rsa, "SHA256");
    sign_and_verify(ec, "SHA256");
    sign_and_verify(edwards, NULL);
    encrypt_and_decrypt(rsa);
    agree(ec);
    agree(montgomery);
    certify(rsa);
    certify(ec);
    for (size_t i = 0; i < 4; i++)
        EVP_PKEY_free(keys[i]);
}

static void a_key_is_made_of_its_numbers(void)
{
    unsigned char raw[32] = "a private key of Ed25519";
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, raw, sizeof(raw));

    MUST(key && is_of(key, DEFAULT));
    sign_and_verify(key, NULL);
    EVP_PKEY_free(key);
}

static void ciphers_and_macs_take_keys(void)
{
    static const unsigned char KEY[32] = "key", NONCE[16] = "nonce";
    const EVP_CIPHER *const CIPHERS[] = {EVP_aes_128_ecb(), EVP_aes_256_cbc(), EVP_aes_192_ctr(), EVP_aes_256_gcm()};
    unsigned char out[64], mac[64];
    int len;
    size_t mac_len;

    for (size_t i = 0; i < sizeof(CIPHERS) / sizeof(*CIPHERS); i++) {
        EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

        MUST(EVP_EncryptInit_ex2(context, CIPHERS[i], KEY, NONCE, NULL) == 1);
        MUST(EVP_EncryptUpdate(context, out, &len, KEY, 32) == 1);
        EVP_CIPHER_CTX_free(context);
    }
    MUST(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, KEY, 32, KEY, 32, mac, sizeof(mac), &mac_len) && mac_len == 32);
    MUST(EVP_Q_mac(NULL, "CMAC", NULL, "AES-256-CBC", NULL, KEY, 32, KEY, 32, mac, sizeof(mac), &mac_len));
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(NULL, "HMAC", NULL, KEY, 32);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    mac_len = sizeof(mac);
    MUST(EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) == 1);
    MUST(EVP_DigestSign(context, mac, &mac_len, KEY, 32) == 1 && mac_len == 32);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

static void programs_notice_nothing(void **state)
{
    (void)state;
    in_child(keys_are_made_and_used);
    in_child(a_key_is_made_of_its_numbers);
    in_child(ciphers_and_macs_take_keys);
}

/* A library context that a program has made for itself is another matter: the program loads what it wants. */
static void a_context_of_a_programs_own(void)
{
    OSSL_LIB_CTX *own = OSSL_LIB_CTX_new();
    OSSL_PROVIDER *theirs = OSSL_PROVIDER_load(own, DEFAULT), *ours = OSSL_PROVIDER_load(own, HSM_PROVIDER);
    EVP_CIPHER *any = EVP_CIPHER_fetch(own, "AES-256-GCM", NULL);

    MUST(theirs && ours && any && EVP_CIPHER_get0_provider(any) == theirs);
    EVP_CIPHER_free(any);
    OSSL_PROVIDER_unload(ours);
    OSSL_PROVIDER_unload(theirs);
    OSSL_LIB_CTX_free(own);
}

static void other_library_contexts_work(void **state)
{
    (void)state;
    in_child(a_context_of_a_programs_own);
}

/* --- the configuration --- */

static char configuration[] = "/tmp/hsm-order-XXXXXX";

static void write_configuration(bool ours_first)
{
    int fd = mkstemp(configuration);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (!file)
        abort();
    fprintf(file,
            "openssl_conf = init\n[init]\nproviders = providers\n[providers]\n%s = %s_sect\n%s = %s_sect\n"
            "[default_sect]\nactivate = 1\n[hsm_sect]\nmodule = %s\nconfig = /nowhere/hsm.yaml\nactivate = 1\n",
            ours_first ? OURS : DEFAULT, ours_first ? OURS : DEFAULT, ours_first ? DEFAULT : OURS,
            ours_first ? DEFAULT : OURS, HSM_PROVIDER);
    fclose(file);
    setenv("OPENSSL_CONF", configuration, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(EVP_KEYMGMT_is_openssls_unless_ours_is_asked_for),
        cmocka_unit_test(EVP_SIGNATURE_is_openssls_unless_ours_is_asked_for),
        cmocka_unit_test(EVP_ASYM_CIPHER_is_openssls_unless_ours_is_asked_for),
        cmocka_unit_test(EVP_KEYEXCH_is_openssls_unless_ours_is_asked_for),
        cmocka_unit_test(EVP_CIPHER_is_openssls_unless_ours_is_asked_for),
        cmocka_unit_test(EVP_MAC_is_openssls_unless_ours_is_asked_for),
        cmocka_unit_test(threads_may_all_begin_at_once),
        cmocka_unit_test(programs_notice_nothing),
        cmocka_unit_test(other_library_contexts_work),
    };

    write_configuration(argc > 1 && strcmp(argv[1], "ours_first") == 0);
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(configuration);
    return result;
}
