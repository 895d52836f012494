/* The identity of a node: its files, the steps of its life cycle, the handover to a joining node, and TLS with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>
#include "identity/certificate.h"
#include "node.h"
#include "node_ca_fixture.h"

/* A node that has an identity and nothing else. */

struct subject {
    struct node node;
    char folder[64];
    struct identity *identity;
    char pem[8192];
};

static status_code open_subject(struct subject *subject)
{
    return identity_open(&subject->node, subject->folder, &subject->identity);
}

static struct subject *new_subject(void)
{
    struct subject *subject = calloc(1, sizeof *subject);
    snprintf(subject->node.config.name, sizeof subject->node.config.name, "node1");
    snprintf(subject->node.config.listen[0], sizeof subject->node.config.listen[0], "tls+tcp://127.0.0.1:0");
    subject->node.config.n_listen = 1;
    snprintf(subject->folder, sizeof subject->folder, "/tmp/hsmd-identity-XXXXXX");
    assert_non_null(mkdtemp(subject->folder));
    assert_int_equal(open_subject(subject), STATUS_OK);
    return subject;
}

static void close_subject(struct subject *subject)
{
    identity_close(subject->identity);
    subject->identity = NULL;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void free_subject(struct subject *subject)
{
    close_subject(subject);
    nftw(subject->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(subject);
}

static struct subject *new_member(const struct ca *ca)
{
    struct subject *subject = new_subject();
    assert_int_equal(identity_create_cluster(subject->identity, slice_text("demo")), STATUS_OK);
    sign_request(ca, subject->identity, -60, 3600, subject->pem, sizeof subject->pem);
    assert_int_equal(identity_initialize(subject->identity, slice_text(subject->pem), slice_text(ca->pem)), STATUS_OK);
    return subject;
}

static char *file_of(const struct subject *subject, const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", subject->folder, name);
    return path;
}

static void flip_byte(const char *path, long at)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 1, file);
    fclose(file);
}

#define assert_refused(call, status, why)                                                                              \
    do {                                                                                                               \
        assert_int_equal((call), (status));                                                                            \
        if (!strstr(failure_detail(), (why)))                                                                          \
            fail_msg("expected \"%s\" in \"%s\"", (why), failure_detail());                                            \
    } while (0)

/* Files. */

static void a_fresh_node_keeps_its_id_and_key(void **state)
{
    struct subject *subject = new_subject();
    struct bytes before = BYTES_INIT, after = BYTES_INIT;
    uint8_t id[ID_LEN];
    struct stat info;
    (void)state;

    assert_int_equal(identity_state(subject->identity), IDENTITY_EMPTY);
    memcpy(id, identity_node_id(subject->identity), ID_LEN);
    assert_int_equal(stat(subject->folder, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(stat(file_of(subject, "identity"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat(file_of(subject, "node.secret"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    close_subject(subject);
    assert_int_equal(open_subject(subject), STATUS_OK);
    assert_memory_equal(identity_node_id(subject->identity), id, ID_LEN);
    bytes_release(&before);
    bytes_release(&after);
    free_subject(subject);
}

static void a_second_hsmd_on_the_folder_is_refused(void **state)
{
    struct subject *subject = new_subject();
    struct identity *second = NULL;
    (void)state;
    assert_refused(identity_open(&subject->node, subject->folder, &second), STATUS_CONFIG_INVALID, "another hsmd");
    free_subject(subject);
}

static void wrong_modes_are_refused(void **state)
{
    struct subject *subject = new_subject();
    (void)state;
    close_subject(subject);
    chmod(subject->folder, 0750);
    assert_refused(open_subject(subject), STATUS_CONFIG_INVALID, "chmod 700");
    chmod(subject->folder, 0700);
    chmod(file_of(subject, "node.secret"), 0640);
    assert_refused(open_subject(subject), STATUS_CONFIG_INVALID, "node.secret in the state folder has mode 640");
    chmod(file_of(subject, "node.secret"), 0600);
    chmod(file_of(subject, "identity"), 0604);
    assert_refused(open_subject(subject), STATUS_CONFIG_INVALID, "identity in the state folder has mode 604");
    chmod(file_of(subject, "identity"), 0600);
    assert_int_equal(open_subject(subject), STATUS_OK);
    free_subject(subject);
}

static void damaged_files_are_refused(void **state)
{
    struct subject *subject = new_subject();
    (void)state;
    close_subject(subject);
    flip_byte(file_of(subject, "identity"), -1);
    assert_refused(open_subject(subject), STATUS_STORE_DAMAGED, "does not open under this node's secret");
    flip_byte(file_of(subject, "identity"), -1);
    flip_byte(file_of(subject, "identity"), 0);
    assert_refused(open_subject(subject), STATUS_STORE_DAMAGED, "damaged, or not hsmd's");
    flip_byte(file_of(subject, "identity"), 0);
    flip_byte(file_of(subject, "node.secret"), 3);
    assert_refused(open_subject(subject), STATUS_STORE_DAMAGED, "does not open under this node's secret");
    flip_byte(file_of(subject, "node.secret"), 3);
    assert_int_equal(truncate(file_of(subject, "node.secret"), 31), 0);
    assert_refused(open_subject(subject), STATUS_STORE_DAMAGED, "31 bytes");
    unlink(file_of(subject, "node.secret"));
    assert_refused(open_subject(subject), STATUS_CONFIG_INVALID, "neither node.secret");
    assert_int_equal(truncate(file_of(subject, "identity"), 100000), 0);
    assert_refused(open_subject(subject), STATUS_CONFIG_INVALID, "too large");
    free_subject(subject);
}

static void a_systemd_credential_takes_the_place_of_the_secret_file(void **state)
{
    char folder[] = "/tmp/hsmd-credential-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/hsmd-secret", folder);
    FILE *file = fopen(path, "w");
    fputs("a credential from systemd", file);
    fclose(file);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);

    struct subject *subject = new_subject();
    assert_int_equal(access(file_of(subject, "node.secret"), F_OK), -1);
    close_subject(subject);
    assert_int_equal(open_subject(subject), STATUS_OK);
    close_subject(subject);
    flip_byte(path, 0);
    assert_refused(open_subject(subject), STATUS_STORE_DAMAGED, "does not open");
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_refused(open_subject(subject), STATUS_CONFIG_INVALID, "hsmd-secret");
    free_subject(subject);
    unlink(path);
    rmdir(folder);
}

/* Life cycle. */

static void a_cluster_is_created_once(void **state)
{
    struct subject *subject = new_subject();
    static const uint8_t none[ID_LEN];
    uint8_t cluster[ID_LEN];
    struct secret key = SECRET_INIT;
    (void)state;

    assert_memory_equal(identity_cluster_id(subject->identity), none, ID_LEN);
    assert_int_equal(identity_masking_keys(subject->identity, &key), STATUS_CLUSTER_STATE);
    assert_int_equal(identity_create_cluster(subject->identity, slice_text("")), STATUS_INVALID_ARGUMENT);
    assert_int_equal(identity_create_cluster(subject->identity, slice_text("demo")), STATUS_OK);
    assert_int_equal(identity_state(subject->identity), IDENTITY_CREATED);
    memcpy(cluster, identity_cluster_id(subject->identity), ID_LEN);
    assert_memory_not_equal(cluster, none, ID_LEN);
    assert_int_equal(identity_create_cluster(subject->identity, slice_text("demo")), STATUS_OK);
    assert_memory_equal(identity_cluster_id(subject->identity), cluster, ID_LEN);
    assert_refused(identity_create_cluster(subject->identity, slice_text("other")), STATUS_CLUSTER_STATE, "demo");
    close_subject(subject);
    assert_int_equal(open_subject(subject), STATUS_OK);
    assert_int_equal(identity_state(subject->identity), IDENTITY_CREATED);
    assert_string_equal(identity_cluster_name(subject->identity), "demo");
    assert_true(identity_is_founding(subject->identity));
    assert_int_equal(identity_founded(subject->identity), STATUS_OK);
    assert_false(identity_is_founding(subject->identity));
    assert_int_equal(identity_masking_keys(subject->identity, &key), STATUS_OK);
    assert_int_equal(masking_keys_check(secret_slice(&key)), STATUS_OK);
    secret_release(&key);
    free_subject(subject);
}

static void initializing_makes_a_member(void **state)
{
    struct ca ca;
    (void)state;
    make_ca(&ca, "CA", true);
    struct subject *subject = new_member(&ca);
    assert_int_equal(identity_state(subject->identity), IDENTITY_MEMBER);
    assert_int_equal(identity_initialize(subject->identity, slice_text(subject->pem), slice_text(ca.pem)), STATUS_OK);
    close_subject(subject);
    assert_int_equal(open_subject(subject), STATUS_OK);
    assert_int_equal(identity_state(subject->identity), IDENTITY_MEMBER);
    free_subject(subject);
    free_ca(&ca);
}

static void certificates_that_do_not_fit_are_refused(void **state)
{
    struct ca ca, other, no_ca;
    char pem[8192];
    (void)state;
    make_ca(&ca, "CA", true);
    make_ca(&other, "other CA", true);
    make_ca(&no_ca, "no CA", false);
    struct subject *subject = new_subject(), *stranger = new_subject();
    struct identity *identity = subject->identity;

    sign_request(&ca, identity, -60, 3600, pem, sizeof pem);
    assert_refused(identity_initialize(identity, slice_text(pem), slice_text(ca.pem)), STATUS_CLUSTER_STATE,
                   "create the cluster first");
    assert_int_equal(identity_create_cluster(identity, slice_text("demo")), STATUS_OK);
    assert_refused(identity_initialize(identity, slice_text("junk"), slice_text(ca.pem)), STATUS_INVALID_ARGUMENT,
                   "not a PEM certificate");
    assert_refused(identity_initialize(identity, slice_text(pem), slice_text(other.pem)), STATUS_TLS_ERROR, "refused");
    assert_refused(identity_initialize(identity, slice_text(pem), slice_text(no_ca.pem)), STATUS_TLS_ERROR,
                   "not that of a CA");
    sign_request(&ca, identity, -7200, -3600, pem, sizeof pem);
    assert_refused(identity_initialize(identity, slice_text(pem), slice_text(ca.pem)), STATUS_TLS_ERROR, "expired");
    sign_request(&ca, identity, 3600, 7200, pem, sizeof pem);
    assert_refused(identity_initialize(identity, slice_text(pem), slice_text(ca.pem)), STATUS_TLS_ERROR,
                   "not yet valid");
    sign_request(&ca, stranger->identity, -60, 3600, pem, sizeof pem);
    assert_refused(identity_initialize(identity, slice_text(pem), slice_text(ca.pem)), STATUS_TLS_ERROR,
                   "not for this node's key");
    assert_int_equal(identity_state(identity), IDENTITY_CREATED);
    free_subject(stranger);
    free_subject(subject);
    free_ca(&no_ca);
    free_ca(&other);
    free_ca(&ca);
}

static void a_replaced_ca_file_is_noticed(void **state)
{
    struct ca ca, other;
    (void)state;
    make_ca(&ca, "CA", true);
    make_ca(&other, "CA", true);
    struct subject *subject = new_member(&ca);
    close_subject(subject);
    FILE *file = fopen(file_of(subject, "ca.pem"), "w");
    fputs(other.pem, file);
    fclose(file);
    assert_refused(open_subject(subject), STATUS_STORE_DAMAGED, "ca.pem");
    free_subject(subject);
    free_ca(&other);
    free_ca(&ca);
}

static void a_renewed_certificate_is_taken_up(void **state)
{
    struct ca ca;
    CLEANUP(bytes_release) struct bytes own = BYTES_INIT;
    uint8_t before[32], after[32];
    char pem[8192];
    (void)state;
    make_ca(&ca, "CA", true);
    struct subject *subject = new_member(&ca), *stranger = new_subject();
    assert_int_equal(identity_certificate(subject->identity, before, &own), STATUS_OK);
    sign_request(&ca, subject->identity, -30, 7200, pem, sizeof pem);
    FILE *file = fopen(file_of(subject, "node.pem"), "w");
    fputs(pem, file);
    fclose(file);
    assert_int_equal(identity_reload(subject->identity), STATUS_OK);
    assert_int_equal(identity_certificate(subject->identity, after, &own), STATUS_OK);
    assert_memory_not_equal(before, after, sizeof before);

    sign_request(&ca, stranger->identity, -30, 7200, pem, sizeof pem);
    file = fopen(file_of(subject, "node.pem"), "w");
    fputs(pem, file);
    fclose(file);
    assert_refused(identity_reload(subject->identity), STATUS_TLS_ERROR, "not for this node's key");
    assert_int_equal(identity_certificate(subject->identity, before, &own), STATUS_OK);
    assert_memory_equal(before, after, sizeof before);
    free_subject(stranger);
    free_subject(subject);
    free_ca(&ca);
}

/* Handover. */

struct joining {
    struct ca ca;
    struct subject *member, *joiner;
    char pem[8192];
    struct bytes handover;
};

static void begin_joining(struct joining *joining)
{
    uint8_t id[ID_LEN];
    memset(joining, 0, sizeof *joining);
    make_ca(&joining->ca, "CA", true);
    joining->member = new_member(&joining->ca);
    joining->joiner = new_subject();
    sign_request(&joining->ca, joining->joiner->identity, -60, 3600, joining->pem, sizeof joining->pem);
    assert_int_equal(identity_approve(joining->member->identity, slice_text(joining->pem), &joining->handover, id),
                     STATUS_OK);
    assert_memory_equal(id, identity_node_id(joining->joiner->identity), ID_LEN);
}

static status_code admit(struct joining *joining)
{
    return identity_admit(joining->joiner->identity, slice_text(joining->pem), slice_text(joining->ca.pem),
                          bytes_slice(&joining->handover));
}

static void end_joining(struct joining *joining)
{
    bytes_release(&joining->handover);
    free_subject(joining->joiner);
    free_subject(joining->member);
    free_ca(&joining->ca);
}

static void an_admitted_node_has_the_masking_key(void **state)
{
    struct joining joining;
    struct secret ours = SECRET_INIT, theirs = SECRET_INIT;
    (void)state;
    begin_joining(&joining);
    assert_int_equal(identity_masking_keys(joining.member->identity, &ours), STATUS_OK);
    struct slice key = masking_keys_key(secret_slice(&ours), 0);
    for (size_t i = 0; i + key.len <= joining.handover.len; i++)
        assert_memory_not_equal(joining.handover.data + i, key.data, key.len);
    assert_int_equal(admit(&joining), STATUS_OK);
    assert_int_equal(admit(&joining), STATUS_OK); /* its answer may have been lost */
    close_subject(joining.joiner);
    assert_int_equal(open_subject(joining.joiner), STATUS_OK);
    assert_int_equal(identity_state(joining.joiner->identity), IDENTITY_MEMBER);
    assert_string_equal(identity_cluster_name(joining.joiner->identity), "demo");
    assert_false(identity_is_founding(joining.joiner->identity));
    assert_memory_equal(identity_cluster_id(joining.joiner->identity), identity_cluster_id(joining.member->identity),
                        ID_LEN);
    assert_int_equal(identity_masking_keys(joining.joiner->identity, &theirs), STATUS_OK);
    assert_true(secret_equal(secret_slice(&ours), secret_slice(&theirs)));
    secret_release(&ours);
    secret_release(&theirs);
    end_joining(&joining);
}

static void every_altered_byte_of_a_handover_is_noticed(void **state)
{
    struct joining joining;
    (void)state;
    begin_joining(&joining);
    for (size_t i = 0; i < joining.handover.len; i++) {
        joining.handover.data[i] ^= 1;
        assert_int_not_equal(admit(&joining), STATUS_OK);
        assert_int_equal(identity_state(joining.joiner->identity), IDENTITY_EMPTY);
        joining.handover.data[i] ^= 1;
    }
    for (size_t len = 0; len < joining.handover.len; len += 7) {
        struct slice cut = slice_of(joining.handover.data, len);
        assert_int_not_equal(
            identity_admit(joining.joiner->identity, slice_text(joining.pem), slice_text(joining.ca.pem), cut),
            STATUS_OK);
    }
    assert_int_equal(admit(&joining), STATUS_OK);
    end_joining(&joining);
}

static void a_handover_for_another_node_is_refused(void **state)
{
    struct joining joining;
    char pem[8192];
    (void)state;
    begin_joining(&joining);
    struct subject *third = new_subject();
    sign_request(&joining.ca, third->identity, -60, 3600, pem, sizeof pem);
    assert_refused(
        identity_admit(third->identity, slice_text(pem), slice_text(joining.ca.pem), bytes_slice(&joining.handover)),
        STATUS_NOT_PERMITTED, "another node");
    free_subject(third);
    end_joining(&joining);
}

static void a_handover_from_a_stranger_is_refused(void **state)
{
    struct joining joining;
    struct ca other;
    char pem[8192];
    uint8_t id[ID_LEN];
    (void)state;
    begin_joining(&joining);
    make_ca(&other, "CA", true);
    struct subject *stranger = new_member(&other);
    bytes_clear(&joining.handover);
    assert_refused(identity_approve(stranger->identity, slice_text(joining.pem), &joining.handover, id),
                   STATUS_TLS_ERROR, "refused");
    /* The stranger's own CA signs the joiner's request, but the joiner is given the cluster's. */
    sign_request(&other, joining.joiner->identity, -60, 3600, pem, sizeof pem);
    bytes_clear(&joining.handover);
    assert_int_equal(identity_approve(stranger->identity, slice_text(pem), &joining.handover, id), STATUS_OK);
    assert_refused(admit(&joining), STATUS_NOT_PERMITTED, "another node, or for an earlier certificate");
    assert_int_equal(identity_admit(joining.joiner->identity, slice_text(pem), slice_text(joining.ca.pem),
                                    bytes_slice(&joining.handover)),
                     STATUS_TLS_ERROR);
    free_subject(stranger);
    free_ca(&other);
    end_joining(&joining);
}

static void a_certificate_without_node_id_is_not_approved(void **state)
{
    struct joining joining;
    char pem[8192];
    uint8_t id[ID_LEN];
    (void)state;
    begin_joining(&joining);
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509_NAME *subject = X509_NAME_new();
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)"client", -1, -1, 0);
    X509 *client = ca_issue(NULL, subject, key, &joining.ca, joining.ca.key, false, -60, 3600);
    certificate_to_pem(client, pem, sizeof pem);
    assert_refused(identity_approve(joining.member->identity, slice_text(pem), &joining.handover, id), STATUS_TLS_ERROR,
                   "not that of a node");
    X509_free(client);
    X509_NAME_free(subject);
    EVP_PKEY_free(key);
    end_joining(&joining);
}

static void a_member_is_not_admitted_elsewhere(void **state)
{
    struct joining joining;
    (void)state;
    begin_joining(&joining);
    assert_int_equal(identity_create_cluster(joining.joiner->identity, slice_text("own")), STATUS_OK);
    assert_refused(admit(&joining), STATUS_CLUSTER_STATE, "own");
    end_joining(&joining);
}

/* TLS. */

struct ends {
    SSL *client, *server;
};

/** Both ends in this thread, over a pair of memory buffers. 1 when both have finished. */
static int shake_hands(SSL_CTX *client_context, SSL_CTX *server_context, struct ends *ends)
{
    BIO *a = NULL, *b = NULL;
    int client = 0, server = 0;
    ends->client = SSL_new(client_context);
    ends->server = SSL_new(server_context);
    BIO_new_bio_pair(&a, 0, &b, 0);
    SSL_set_bio(ends->client, a, a);
    SSL_set_bio(ends->server, b, b);
    SSL_set_connect_state(ends->client);
    SSL_set_accept_state(ends->server);
    for (int i = 0; i < 20 && !(client == 1 && server == 1); i++) {
        client = SSL_do_handshake(ends->client);
        server = SSL_do_handshake(ends->server);
    }
    return client == 1 && server == 1;
}

static void hang_up(struct ends *ends)
{
    SSL_free(ends->client);
    SSL_free(ends->server);
}

static void tls_is_1_3_with_a_client_certificate(void **state)
{
    struct ca ca;
    SSL_CTX *server = NULL;
    struct ends ends;
    (void)state;
    make_ca(&ca, "CA", true);
    struct subject *subject = new_member(&ca);
    assert_int_equal(identity_tls_context(subject->identity, &server), STATUS_OK);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(client), ca.certificate);
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);

    assert_int_equal(shake_hands(client, server, &ends), 0); /* no certificate */
    hang_up(&ends);

    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509_NAME *name = X509_NAME_new();
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"client", -1, -1, 0);
    X509 *certificate = ca_issue(NULL, name, key, &ca, ca.key, false, -60, 3600);
    X509_NAME_free(name);
    SSL_CTX_use_certificate(client, certificate);
    SSL_CTX_use_PrivateKey(client, key);
    assert_int_equal(shake_hands(client, server, &ends), 1);
    assert_int_equal(SSL_version(ends.server), TLS1_3_VERSION);
    assert_non_null(SSL_get0_peer_certificate(ends.server));
    hang_up(&ends);

    SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
    assert_int_equal(shake_hands(client, server, &ends), 0);
    hang_up(&ends);
    X509_free(certificate);
    EVP_PKEY_free(key);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    free_subject(subject);
    free_ca(&ca);
}

static void a_client_of_another_ca_is_refused(void **state)
{
    struct ca ca, other;
    SSL_CTX *server = NULL;
    struct ends ends;
    (void)state;
    make_ca(&ca, "CA", true);
    make_ca(&other, "CA", true);
    struct subject *subject = new_member(&ca);
    assert_int_equal(identity_tls_context(subject->identity, &server), STATUS_OK);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_use_certificate(client, other.certificate);
    SSL_CTX_use_PrivateKey(client, other.key);
    assert_int_equal(shake_hands(client, server, &ends), 0);
    hang_up(&ends);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    free_subject(subject);
    free_ca(&other);
    free_ca(&ca);
}

static int start(void **state)
{
    struct crypto_policy policy = {false, false, false};
    struct log_settings quiet = {LOG_LEVEL_ERROR, false, "/dev/null"};
    (void)state;
    return log_open(&quiet) != STATUS_OK || crypto_start(false, &policy) != STATUS_OK;
}

static int stop(void **state)
{
    (void)state;
    crypto_stop();
    log_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_node_keeps_its_id_and_key),
        cmocka_unit_test(a_second_hsmd_on_the_folder_is_refused),
        cmocka_unit_test(wrong_modes_are_refused),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(a_systemd_credential_takes_the_place_of_the_secret_file),
        cmocka_unit_test(a_cluster_is_created_once),
        cmocka_unit_test(initializing_makes_a_member),
        cmocka_unit_test(certificates_that_do_not_fit_are_refused),
        cmocka_unit_test(a_replaced_ca_file_is_noticed),
        cmocka_unit_test(a_renewed_certificate_is_taken_up),
        cmocka_unit_test(an_admitted_node_has_the_masking_key),
        cmocka_unit_test(every_altered_byte_of_a_handover_is_noticed),
        cmocka_unit_test(a_handover_for_another_node_is_refused),
        cmocka_unit_test(a_handover_from_a_stranger_is_refused),
        cmocka_unit_test(a_certificate_without_node_id_is_not_approved),
        cmocka_unit_test(a_member_is_not_admitted_elsewhere),
        cmocka_unit_test(tls_is_1_3_with_a_client_certificate),
        cmocka_unit_test(a_client_of_another_ca_is_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
