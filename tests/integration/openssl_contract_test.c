/* What programs rarely do, do wrongly, or would be surprised by: operations begun again, parameters of the wrong size,
 * variants that the cluster does not have, URIs that name something else. Each is done right or refused; nothing is
 * signed that was not asked for, and nothing private comes out. */
#include "openssl_fixture.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/prov_ssl.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <openssl/x509.h>

static const unsigned char MESSAGE[] = "what is signed";

static EVP_PKEY *ec_key, *rsa_key, *ed_key;

/* --- keys --- */

static EVP_PKEY *generate(const char *kind, const char *label)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(library, kind, OURS);
    EVP_PKEY *key = NULL;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("hsm-label", (char *)(uintptr_t)label, 0),
        strcmp(kind, "EC") == 0
            ? OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t) "P-256", 0)
            : OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };

    WORKS(EVP_PKEY_keygen_init(context));
    WORKS(EVP_PKEY_CTX_set_params(context, params));
    WORKS(EVP_PKEY_generate(context, &key));
    EVP_PKEY_CTX_free(context);
    return key;
}

static int keys_begin(void **state)
{
    if (openssl_begin(state) != 0)
        return 1;
    ec_key = generate("EC", "contract-ec");
    rsa_key = generate("RSA", "contract-rsa");
    ed_key = generate("ED25519", "contract-ed");
    return 0;
}

static int keys_end(void **state)
{
    EVP_PKEY_free(ec_key);
    EVP_PKEY_free(rsa_key);
    EVP_PKEY_free(ed_key);
    return openssl_end(state);
}

/* The public part, OpenSSL's own. */
static EVP_PKEY *public_part(EVP_PKEY *key)
{
    unsigned char *info = NULL;
    int info_len = i2d_PUBKEY(key, &info);
    const unsigned char *at = info;
    EVP_PKEY *public = d2i_PUBKEY_ex(NULL, &at, info_len, library, THEIRS);

    assert_non_null(public);
    OPENSSL_free(info);
    return public;
}

static hsm_key object_of(uint64_t class, const char *label)
{
    hsm_find *find;
    hsm_key object;
    size_t n = 0;
    const hsm_attribute wanted[] = {hsm_attribute_uint(HSM_ATTR_CLASS, &class),
                                    hsm_attribute_text(HSM_ATTR_LABEL, label)};

    OK(hsm_find_open(session, wanted, 2, NULL, 0, &find));
    OK(hsm_find_next(find, &object, NULL, 1, &n));
    assert_int_equal(n, 1);
    hsm_find_close(find);
    return object;
}

/* --- signing --- */

/* OpenSSL's own programs begin a BIO's signature again with nothing at all. */
static void signing_that_begins_again_keeps_the_digest(void **state)
{
    EVP_PKEY *keys[] = {ec_key, rsa_key};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        EVP_MD_CTX *context = EVP_MD_CTX_new(), *verifying = EVP_MD_CTX_new();
        EVP_PKEY *public = public_part(keys[i]);
        unsigned char signature[512];
        size_t signature_len = sizeof(signature);

        WORKS(EVP_DigestSignInit_ex(context, NULL, "SHA512", library, NULL, keys[i], NULL));
        WORKS(EVP_DigestSignInit_ex(context, NULL, NULL, library, NULL, NULL, NULL));
        WORKS(EVP_DigestSign(context, signature, &signature_len, MESSAGE, sizeof(MESSAGE)));
        WORKS(EVP_DigestVerifyInit_ex(verifying, NULL, "SHA512", library, THEIRS, public, NULL));
        WORKS(EVP_DigestVerify(verifying, signature, signature_len, MESSAGE, sizeof(MESSAGE)));
        EVP_PKEY_free(public);
        EVP_MD_CTX_free(context);
        EVP_MD_CTX_free(verifying);
    }
}

static void a_digest_of_another_length_is_not_signed(void **state)
{
    const unsigned char digest[20] = {1};
    EVP_PKEY *keys[] = {ec_key, rsa_key};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(library, keys[i], OURS);
        unsigned char signature[512];
        size_t signature_len = sizeof(signature);

        WORKS(EVP_PKEY_sign_init(context));
        WORKS(EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()));
        REFUSED("32 bytes", EVP_PKEY_sign(context, signature, &signature_len, digest, sizeof(digest)));
        EVP_PKEY_CTX_free(context);
    }
}

static void pss_with_a_mask_that_the_cluster_does_not_have_is_refused(void **state)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL;
    unsigned char signature[512];
    size_t signature_len = sizeof(signature);

    (void)state;
    WORKS(EVP_DigestSignInit_ex(context, &parameters, "SHA256", library, NULL, rsa_key, NULL));
    WORKS(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING));
    WORKS(EVP_PKEY_CTX_set_rsa_mgf1_md_name(parameters, "MD5", NULL));
    REFUSED("MGF1 with MD5", EVP_DigestSign(context, signature, &signature_len, MESSAGE, sizeof(MESSAGE)));
    EVP_MD_CTX_free(context);
}

/* OpenSSL 3.2 and later have them as parameters; earlier ones do not know them at all. */
static void variants_of_eddsa_are_refused(void **state)
{
    const OSSL_PARAM variants[][2] = {
        {OSSL_PARAM_construct_utf8_string("instance", (char *)(uintptr_t) "Ed25519ph", 0), OSSL_PARAM_construct_end()},
        {OSSL_PARAM_construct_octet_string("context-string", (char *)(uintptr_t) "for this", 8),
         OSSL_PARAM_construct_end()},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();

        assert_int_not_equal(EVP_DigestSignInit_ex(context, NULL, NULL, library, NULL, ed_key, variants[i]), 1);
        ERR_clear_error();
        EVP_MD_CTX_free(context);
    }
}

/* Programs do not always look whether an operation has begun, and OpenSSL lets them go on. */
static void what_has_not_begun_neither_signs_nor_verifies(void **state)
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, (char *)(uintptr_t) "20", 0), /* no PSS */
        OSSL_PARAM_construct_end(),
    };
    unsigned char signature[512] = {0};

    (void)state;
    for (int verifies = 0; verifies < 2; verifies++) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        size_t signature_len = sizeof(signature);

        assert_int_not_equal((verifies ? EVP_DigestVerifyInit_ex : EVP_DigestSignInit_ex)(
                                 context, NULL, "SHA256", library, OURS, rsa_key, params),
                             1);
        assert_int_not_equal(EVP_DigestSign(context, signature, &signature_len, MESSAGE, sizeof(MESSAGE)), 1);
        assert_int_not_equal(EVP_DigestSignUpdate(context, MESSAGE, sizeof(MESSAGE)), 1);
        assert_int_not_equal(EVP_DigestVerify(context, signature, 256, MESSAGE, sizeof(MESSAGE)), 1);
        assert_int_not_equal(EVP_DigestVerifyUpdate(context, MESSAGE, sizeof(MESSAGE)), 1);
        assert_int_not_equal(EVP_DigestVerifyFinal(context, signature, 256), 1);
        EVP_MD_CTX_free(context);
    }
    ERR_clear_error();
}

static void what_is_no_signature_is_not_verified(void **state)
{
    EVP_PKEY *keys[] = {ec_key, rsa_key, ed_key};
    unsigned char nothing[512] = {0};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t len = 0; len <= sizeof(nothing); len += 64) {
            EVP_MD_CTX *context = EVP_MD_CTX_new();

            WORKS(EVP_DigestVerifyInit_ex(context, NULL, i == 2 ? NULL : "SHA256", library, OURS, keys[i], NULL));
            assert_int_equal(EVP_DigestVerify(context, nothing, len, MESSAGE, sizeof(MESSAGE)), 0);
            EVP_MD_CTX_free(context);
        }
    }
    ERR_clear_error();
}

/* --- premaster secrets --- */

static int decrypt_premaster(const unsigned char *encrypted, size_t encrypted_len, unsigned version,
                             unsigned char out[64], size_t *out_len)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(library, rsa_key, OURS);
    const OSSL_PARAM params[] = {
        version ? OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version)
                : OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };

    *out_len = 64;
    WORKS(EVP_PKEY_decrypt_init(context));
    WORKS(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_WITH_TLS_PADDING));
    WORKS(EVP_PKEY_CTX_set_params(context, params));
    int result = EVP_PKEY_decrypt(context, out, out_len, encrypted, encrypted_len);

    EVP_PKEY_CTX_free(context);
    return result;
}

static void encrypt(int padding, const unsigned char *plain, size_t plain_len, unsigned char *out, size_t *out_len)
{
    EVP_PKEY *public = public_part(rsa_key);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(library, public, THEIRS);

    WORKS(EVP_PKEY_encrypt_init(context));
    WORKS(EVP_PKEY_CTX_set_rsa_padding(context, padding));
    WORKS(EVP_PKEY_encrypt(context, out, out_len, plain, plain_len));
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(public);
}

static void whatever_is_wrong_with_a_premaster_secret_it_is_48_bytes_long(void **state)
{
    const unsigned char good[SSL_MAX_MASTER_KEY_LENGTH] = {3, 3, 7}, zeros[256] = {0};
    unsigned char encrypted[256], out[64];
    size_t encrypted_len = sizeof(encrypted), out_len;

    (void)state;
    encrypt(RSA_PKCS1_PADDING, good, sizeof(good), encrypted, &encrypted_len);
    WORKS(decrypt_premaster(encrypted, encrypted_len, 0x303, out, &out_len));
    assert_int_equal(out_len, sizeof(good));
    assert_memory_equal(out, good, sizeof(good));
    /* Another version in front, no version to look for, wrong padding, a secret of another length. */
    WORKS(decrypt_premaster(encrypted, encrypted_len, 0x302, out, &out_len));
    assert_int_equal(out_len, sizeof(good));
    assert_memory_not_equal(out, good, sizeof(good));
    REFUSED("version", decrypt_premaster(encrypted, encrypted_len, 0, out, &out_len));
    encrypt(RSA_NO_PADDING, zeros, sizeof(zeros), encrypted, &encrypted_len);
    WORKS(decrypt_premaster(encrypted, encrypted_len, 0x303, out, &out_len));
    assert_int_equal(out_len, sizeof(good));
    assert_memory_not_equal(out, zeros, sizeof(good));
    /* What is no ciphertext of this key at all: too short, or not below the modulus. */
    for (size_t len = 1; len <= sizeof(encrypted); len += 255) {
        memset(encrypted, 0xff, len);
        WORKS(decrypt_premaster(encrypted, len, 0x303, out, &out_len));
        assert_int_equal(out_len, sizeof(good));
    }
    encrypt(RSA_PKCS1_PADDING, good, sizeof(good) - 1, encrypted, &encrypted_len);
    WORKS(decrypt_premaster(encrypted, encrypted_len, 0x303, out, &out_len));
    assert_int_equal(out_len, sizeof(good));
    assert_memory_not_equal(out, good, sizeof(good) - 1);
}

static X509 *certificate_of(EVP_PKEY *key)
{
    X509 *certificate = X509_new_ex(library, NULL);

    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    WORKS(X509_set_pubkey(certificate, key));
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static void tls_1_2_exchanges_keys_by_rsa(void **state)
{
    SSL_CTX *contexts[] = {SSL_CTX_new_ex(library, NULL, TLS_server_method()),
                           SSL_CTX_new_ex(library, NULL, TLS_client_method())};
    X509 *certificate = certificate_of(rsa_key);
    SSL *sides[2];
    BIO *ends[2];
    int done[2] = {0, 0};

    (void)state;
    WORKS(SSL_CTX_use_certificate(contexts[0], certificate));
    WORKS(SSL_CTX_use_PrivateKey(contexts[0], rsa_key));
    WORKS(BIO_new_bio_pair(&ends[0], 1 << 16, &ends[1], 1 << 16));
    for (int i = 0; i < 2; i++) {
        WORKS(SSL_CTX_set_max_proto_version(contexts[i], TLS1_2_VERSION));
        WORKS(SSL_CTX_set_cipher_list(contexts[i], "AES256-GCM-SHA384"));
        sides[i] = SSL_new(contexts[i]);
        SSL_set_bio(sides[i], ends[i], ends[i]);
    }
    SSL_set_accept_state(sides[0]);
    SSL_set_connect_state(sides[1]);
    for (int i = 1, turns = 0; turns < 20 && (done[0] != 1 || done[1] != 1); i = !i, turns++)
        done[i] = SSL_do_handshake(sides[i]);
    WORKS(done[0]);
    WORKS(done[1]);
    assert_string_equal(SSL_get_cipher_name(sides[0]), "AES256-GCM-SHA384");
    for (int i = 0; i < 2; i++) {
        SSL_free(sides[i]);
        SSL_CTX_free(contexts[i]);
    }
    X509_free(certificate);
}

/* --- key agreement and key management --- */

static void shared_information_that_is_too_long_leaves_none(void **state)
{
    static unsigned char information[4096];
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(library, ec_key, OURS);
    unsigned char *kept = NULL;

    (void)state;
    WORKS(EVP_PKEY_derive_init(context));
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_EXCHANGE_PARAM_KDF_UKM, information, sizeof(information)),
        OSSL_PARAM_construct_end(),
    };

    REFUSED("at most", EVP_PKEY_CTX_set_params(context, params));
    OSSL_PARAM asked[] = {OSSL_PARAM_construct_octet_ptr(OSSL_EXCHANGE_PARAM_KDF_UKM, (void **)&kept, 0),
                          OSSL_PARAM_construct_end()};

    WORKS(EVP_PKEY_CTX_get_params(context, asked));
    assert_int_equal(asked[0].return_size, 0);
    EVP_PKEY_CTX_free(context);
}

static void parameters_alone_make_no_key_in_the_cluster(void **state)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(library, "EC", OURS);
    EVP_PKEY *parameters = NULL, *copy;
    EVP_PKEY *public = public_part(ec_key);
    unsigned char *point = NULL;
    size_t n_before = n_objects();

    (void)state;
    WORKS(EVP_PKEY_paramgen_init(context));
    WORKS(EVP_PKEY_CTX_set_group_name(context, "P-256"));
    WORKS(EVP_PKEY_paramgen(context, &parameters));
    assert_int_equal(n_objects(), n_before);
    EVP_PKEY_CTX_free(context);
    /* A copy gets its point; what it was copied from has none. */
    copy = EVP_PKEY_dup(parameters);
    assert_non_null(copy);
    size_t point_len = EVP_PKEY_get1_encoded_public_key(public, &point);

    WORKS(EVP_PKEY_set1_encoded_public_key(copy, point, point_len));
    assert_int_equal(EVP_PKEY_eq(copy, ec_key), 1);
    assert_int_not_equal(EVP_PKEY_eq(parameters, ec_key), 1);
    OPENSSL_free(point);
    EVP_PKEY_free(public);
    EVP_PKEY_free(copy);
    EVP_PKEY_free(parameters);
}

static void nothing_private_comes_out(void **state)
{
    EVP_PKEY *keys[] = {ec_key, rsa_key, ed_key};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        OSSL_PARAM *params = NULL;
        BIGNUM *number = NULL;
        unsigned char *der = NULL, raw[64];
        size_t raw_len = sizeof(raw);

        assert_int_not_equal(EVP_PKEY_todata(keys[i], EVP_PKEY_KEYPAIR, &params), 1);
        assert_null(EVP_PKEY2PKCS8(keys[i]));
        int der_len = i2d_PrivateKey(keys[i], &der);
        hsm_reference *reference = NULL;

        OK(hsm_reference_parse(der, (size_t)der_len, &reference));
        hsm_reference_free(reference);
        OPENSSL_free(der);
        assert_int_not_equal(EVP_PKEY_get_bn_param(keys[i], OSSL_PKEY_PARAM_RSA_D, &number), 1);
        assert_int_not_equal(EVP_PKEY_get_bn_param(keys[i], OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
        assert_int_not_equal(EVP_PKEY_get_raw_private_key(keys[i], raw, &raw_len), 1);
        WORKS(EVP_PKEY_todata(keys[i], EVP_PKEY_PUBLIC_KEY, &params));
        assert_null(OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_RSA_D));
        assert_null(OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PRIV_KEY));
        OSSL_PARAM_free(params);
    }
    ERR_clear_error();
}

/* --- URIs --- */

/* The type of what a URI names; 0: nothing. */
static int type_of(const char *uri)
{
    OSSL_STORE_CTX *store = OSSL_STORE_open_ex(uri, library, OURS, NULL, NULL, NULL, NULL, NULL);
    OSSL_STORE_INFO *info = store ? OSSL_STORE_load(store) : NULL;
    int type = info ? OSSL_STORE_INFO_get_type(info) : 0;

    OSSL_STORE_INFO_free(info);
    OSSL_STORE_close(store);
    return type;
}

static const char *uri_of(hsm_key object, const char *rest)
{
    static char uri[200];
    size_t at = (size_t)snprintf(uri, sizeof(uri), "hsm:object=");

    for (size_t i = 0; i < HSM_ID_LEN; i++)
        at += (size_t)snprintf(uri + at, sizeof(uri) - at, "%02x", object.id[i]);
    snprintf(uri + at, sizeof(uri) - at, "%s", rest);
    return uri;
}

static hsm_key make_certificate(void)
{
    EVP_PKEY *own = EVP_PKEY_Q_keygen(library, THEIRS, "ED25519");
    X509 *certificate = X509_new_ex(library, THEIRS);
    unsigned char *der = NULL;
    uint64_t class = HSM_CLASS_CERTIFICATE;
    hsm_key object;

    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    WORKS(X509_set_pubkey(certificate, own));
    assert_true(X509_sign(certificate, own, NULL) > 0);
    int der_len = i2d_X509(certificate, &der);
    const hsm_attribute template[] = {
        hsm_attribute_uint(HSM_ATTR_CLASS, &class),
        hsm_attribute_of(HSM_ATTR_VALUE, der, (size_t)der_len),
        hsm_attribute_bool(HSM_ATTR_TOKEN, 1),
    };

    OK(hsm_object_create(session, template, 3, &object));
    OPENSSL_free(der);
    X509_free(certificate);
    EVP_PKEY_free(own);
    return object;
}

static void an_object_is_given_as_what_the_uri_says_or_not_at_all(void **state)
{
    hsm_key private = object_of(HSM_CLASS_PRIVATE_KEY, "contract-ec");
    hsm_key certificate = make_certificate();

    (void)state;
    assert_int_equal(type_of(uri_of(private, "")), OSSL_STORE_INFO_PKEY);
    assert_int_equal(type_of(uri_of(private, ";type=private")), OSSL_STORE_INFO_PKEY);
    REFUSED("another type", type_of(uri_of(private, ";type=cert")));
    assert_int_equal(type_of(uri_of(certificate, "")), OSSL_STORE_INFO_CERT);
    assert_int_equal(type_of(uri_of(certificate, ";type=cert")), OSSL_STORE_INFO_CERT);
    REFUSED("another type", type_of(uri_of(certificate, ";type=private")));
}

/* Whoever knows pkcs11: URIs may write one. */
static void a_password_in_a_uri_is_not_told_in_the_error(void **state)
{
    const char *data;
    int flags;
    bool named = false;

    (void)state;
    assert_int_equal(type_of("hsm:label=contract-ec;pin-value=Geheim-1234"), 0);
    while (ERR_get_error_all(NULL, NULL, NULL, &data, &flags) != 0) {
        named |= strstr(data, "pin-value") != NULL;
        assert_null(strstr(data, "Geheim"));
    }
    assert_true(named);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signing_that_begins_again_keeps_the_digest),
        cmocka_unit_test(a_digest_of_another_length_is_not_signed),
        cmocka_unit_test(pss_with_a_mask_that_the_cluster_does_not_have_is_refused),
        cmocka_unit_test(variants_of_eddsa_are_refused),
        cmocka_unit_test(what_has_not_begun_neither_signs_nor_verifies),
        cmocka_unit_test(what_is_no_signature_is_not_verified),
        cmocka_unit_test(whatever_is_wrong_with_a_premaster_secret_it_is_48_bytes_long),
        cmocka_unit_test(tls_1_2_exchanges_keys_by_rsa),
        cmocka_unit_test(shared_information_that_is_too_long_leaves_none),
        cmocka_unit_test(parameters_alone_make_no_key_in_the_cluster),
        cmocka_unit_test(nothing_private_comes_out),
        cmocka_unit_test(an_object_is_given_as_what_the_uri_says_or_not_at_all),
        cmocka_unit_test(a_password_in_a_uri_is_not_told_in_the_error),
    };

    return cmocka_run_group_tests(tests, keys_begin, keys_end);
}
