/* A small CA for clusters: one key, certificates for nodes and clients. For owners who have no CA of their own; the key
 * is theirs to keep off line. */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ca.h"
#include "command.h"

#define DAYS_CA    3650
#define DAYS_OTHER 825

static int openssl_failed(const char *what)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;

    fprintf(stderr, "hsm: %s: %s\n", what, reason ? reason : "failed");
    ERR_clear_error();
    return EXIT_FAILED;
}

static void x509_free(X509 **certificate)
{
    X509_free(*certificate);
}

static void pkey_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void req_free(X509_REQ **request)
{
    X509_REQ_free(*request);
}

static int write_key(const char *path, EVP_PKEY *key)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool ok = file && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);

    if (!file)
        return usage("%s: cannot be made, or is there already", path);
    ok = fclose(file) == 0 && ok;
    return ok ? EXIT_OK : openssl_failed(path);
}

static int write_certificate(const char *path, X509 *certificate)
{
    FILE *file = !path || strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    bool ok = file && PEM_write_X509(file, certificate);

    if (!file)
        return usage("%s cannot be written", path);
    if (file != stdout)
        ok = fclose(file) == 0 && ok;
    return ok ? EXIT_OK : openssl_failed(path ? path : "writing the certificate");
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension && X509_add_ext(certificate, extension, -1);

    X509_EXTENSION_free(extension);
    return ok;
}

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[16];
    BIGNUM *number = RAND_bytes(bytes, sizeof(bytes)) == 1 ? BN_bin2bn(bytes, sizeof(bytes), NULL) : NULL;
    bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));

    BN_free(number);
    return ok;
}

static X509 *certificate_new(const X509_NAME *subject, X509 *issuer, EVP_PKEY *key, int days)
{
    X509 *made = X509_new();
    bool ok = made && X509_set_version(made, X509_VERSION_3) && set_serial(made) &&
              X509_gmtime_adj(X509_getm_notBefore(made), -300) &&
              X509_time_adj_ex(X509_getm_notAfter(made), days, 0, NULL) && X509_set_subject_name(made, subject) &&
              X509_set_issuer_name(made, issuer ? X509_get_subject_name(issuer) : subject) &&
              X509_set_pubkey(made, key);

    if (!ok) {
        X509_free(made);
        made = NULL;
    }
    return made;
}

static X509_NAME *name_new(const char *common_name)
{
    X509_NAME *name = X509_NAME_new();

    if (name && !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0)) {
        X509_NAME_free(name);
        name = NULL;
    }
    return name;
}

static int make_ca(const char *directory, const char *common_name, int days)
{
    CLEANUP(x509_free) X509 *certificate = NULL;
    CLEANUP(pkey_free) EVP_PKEY *key = EVP_EC_gen("P-384");
    char path[1100];
    X509_NAME *name = name_new(common_name);

    certificate = key && name ? certificate_new(name, NULL, key, days) : NULL;
    X509_NAME_free(name);
    if (!certificate || !add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(certificate, certificate, NID_subject_key_identifier, "hash") ||
        !X509_sign(certificate, key, EVP_sha384()))
        return openssl_failed("making the CA");
    if (mkdir(directory, 0700) != 0 && access(directory, W_OK) != 0)
        return usage("%s cannot be made or written", directory);
    snprintf(path, sizeof(path), "%s/ca.key", directory);
    STEP(write_key(path, key));
    snprintf(path, sizeof(path), "%s/ca.pem", directory);
    return write_certificate(path, certificate);
}

int run_ca_create(struct context *context)
{
    const struct options *options = &context->options;

    if (!options->directory)
        return usage("ca create needs --directory");
    STEP(make_ca(options->directory, options->name ? options->name : "HSM cluster CA",
                 options->days ? options->days : DAYS_CA));
    say(context, "Made a CA in %s. Keep ca.key where nobody else reaches it.", options->directory);
    return EXIT_OK;
}

static int load_ca(const char *directory, X509 **certificate, EVP_PKEY **key)
{
    char path[1100];
    FILE *file;

    if (!directory)
        return usage("where is the CA? give --directory");
    snprintf(path, sizeof(path), "%s/ca.pem", directory);
    file = fopen(path, "re");
    *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    if (file)
        fclose(file);
    if (!*certificate)
        return usage("%s is missing or no certificate: hsm ca create makes one", path);
    snprintf(path, sizeof(path), "%s/ca.key", directory);
    file = fopen(path, "re");
    *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (file)
        fclose(file);
    return *key ? EXIT_OK : usage("%s is missing or no key", path);
}

/* The names that the request asks for: a node's certificate carries its id there. */
static bool copy_names(X509_REQ *request, X509 *certificate)
{
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    int at = extensions ? X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, -1) : -1;
    bool ok = at < 0 || X509_add_ext(certificate, X509v3_get_ext(extensions, at), -1);

    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return ok;
}

static int issue(X509 *ca, EVP_PKEY *ca_key, X509_REQ *request, bool node, int days, X509 **certificate)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);

    if (!key || X509_REQ_verify(request, key) != 1)
        return usage("the request's signature is not valid");
    *certificate = certificate_new(X509_REQ_get_subject_name(request), ca, key, days);
    if (!*certificate || !add_extension(*certificate, ca, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(*certificate, ca, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(*certificate, ca, NID_ext_key_usage, node ? "serverAuth,clientAuth" : "clientAuth") ||
        !add_extension(*certificate, ca, NID_subject_key_identifier, "hash") ||
        !add_extension(*certificate, ca, NID_authority_key_identifier, "keyid") || !copy_names(request, *certificate) ||
        !X509_sign(*certificate, ca_key, EVP_sha384()))
        return openssl_failed("signing");
    return EXIT_OK;
}

static X509_REQ *read_request(const struct content *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    return request;
}

/* Signs a request with the CA of a directory; the certificate as PEM. Used by the life-cycle commands too. */
int ca_sign_pem(const char *directory, const struct content *request_pem, bool node, int days, char **certificate_pem)
{
    CLEANUP(x509_free) X509 *ca = NULL, *certificate = NULL;
    CLEANUP(pkey_free) EVP_PKEY *ca_key = NULL;
    CLEANUP(req_free) X509_REQ *request = read_request(request_pem);

    if (!request)
        return usage("that is no certificate signing request");
    STEP(load_ca(directory, &ca, &ca_key));
    STEP(issue(ca, ca_key, request, node, days ? days : DAYS_OTHER, &certificate));

    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long len = bio && PEM_write_bio_X509(bio, certificate) ? BIO_get_mem_data(bio, &text) : 0;

    *certificate_pem = len > 0 ? strndup(text, (size_t)len) : NULL;
    BIO_free(bio);
    return *certificate_pem ? EXIT_OK : openssl_failed("writing the certificate");
}

int run_ca_sign(struct context *context)
{
    CLEANUP(content_release) struct content request = {NULL, 0};
    const struct options *options = &context->options;
    char *pem = NULL;
    bool node = options->role && strcmp(options->role, "node") == 0;

    if (!options->role || (!node && strcmp(options->role, "client")))
        return usage("--role is node or client");
    STEP(content_read(options->csr, &request));
    STEP(ca_sign_pem(options->directory, &request, node, options->days, &pem));
    int status = content_write(options->out, pem, strlen(pem), false);
    free(pem);
    return status;
}

static X509_REQ *request_new(const char *common_name, EVP_PKEY *key)
{
    X509_REQ *request = X509_REQ_new();
    X509_NAME *name = name_new(common_name);
    bool ok = request && name && X509_REQ_set_version(request, X509_REQ_VERSION_1) &&
              X509_REQ_set_subject_name(request, name) && X509_REQ_set_pubkey(request, key) &&
              X509_REQ_sign(request, key, EVP_sha256());

    X509_NAME_free(name);
    if (!ok) {
        X509_REQ_free(request);
        request = NULL;
    }
    return request;
}

int run_ca_client(struct context *context)
{
    CLEANUP(x509_free) X509 *ca = NULL, *certificate = NULL;
    CLEANUP(pkey_free) EVP_PKEY *ca_key = NULL, *key = EVP_EC_gen("P-256");
    const struct options *options = &context->options;
    CLEANUP(req_free) X509_REQ *request = key ? request_new(options->name ? options->name : "client", key) : NULL;

    if (!options->certificate || !options->key)
        return usage("ca client needs --certificate and --key: where the two files go");
    if (!request)
        return openssl_failed("making the request");
    STEP(load_ca(options->directory, &ca, &ca_key));
    STEP(issue(ca, ca_key, request, false, options->days ? options->days : DAYS_OTHER, &certificate));
    STEP(write_key(options->key, key));
    STEP(write_certificate(options->certificate, certificate));
    say(context, "Made %s and %s.", options->certificate, options->key);
    return EXIT_OK;
}

int ca_make_default(const char *directory)
{
    return make_ca(directory, "HSM cluster CA", DAYS_CA);
}
