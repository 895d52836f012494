/* See api_fixture.h. HSMD names the program; the environment variable of that name overrides it. */
#include "api_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_MS 60000

bool over_nng(void)
{
    const char *transport = getenv("HSM_TRANSPORT");

    return transport && strcmp(transport, "nng") == 0;
}

/* HSM_SCHEME: of the URL by which the client finds the first node. */
static const char *scheme(void)
{
    return getenv("HSM_SCHEME") ? getenv("HSM_SCHEME") : "tls+tcp://";
}

/* The node's settings that make it listen there. */
static const char *listening(void)
{
    if (strcmp(scheme(), "wss://") == 0)
        return "\"listen\": [\"tls+tcp://127.0.0.1:0\"], \"listen-nng\": [\"wss://127.0.0.1:0/hsm\"]";
    return strcmp(scheme(), "tcp://") == 0 ? "\"listen\": [\"tcp://127.0.0.1:0\"]"
                                           : "\"listen\": [\"tls+tcp://127.0.0.1:0\"]";
}

static EVP_PKEY *ca_key;
static X509 *ca_certificate;

void expect_status(hsm_status expected, hsm_status status, const char *call, const char *file, int line)
{
    const hsm_error *error = hsm_last_error();

    if (status == expected)
        return;
    print_error("%s:%d: %s\n  gave %s, not %s: %s (operation %s, node %s)\n", file, line, call, hsm_status_name(status),
                hsm_status_name(expected), status ? error->detail : "", error->operation, error->node);
    _fail(file, line);
}

void write_file(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    close(fd);
}

static char *read_text(const char *path)
{
    static char text[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return text;
}

/* --- the owner's CA --- */

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, ca_certificate ? ca_certificate : certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_true(X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

static X509 *certificate_for(EVP_PKEY *key, const X509_NAME *subject)
{
    static long serial;
    X509 *certificate = X509_new();

    assert_non_null(certificate);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_subject_name(certificate, subject);
    X509_set_issuer_name(certificate, ca_certificate ? X509_get_subject_name(ca_certificate) : subject);
    X509_set_pubkey(certificate, key);
    return certificate;
}

static X509_NAME *name_of(const char *text)
{
    X509_NAME *name = X509_NAME_new();

    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0);
    return name;
}

static void make_ca(void)
{
    X509_NAME *name = name_of("test CA");

    ca_key = EVP_EC_gen("P-256");
    X509 *made = certificate_for(ca_key, name);
    add_extension(made, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(made, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(made, NID_subject_key_identifier, "hash");
    assert_true(X509_sign(made, ca_key, EVP_sha256()));
    ca_certificate = made;
    X509_NAME_free(name);
}

static char *pem_of(X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data;

    PEM_write_bio_X509(bio, certificate);
    long len = BIO_get_mem_data(bio, &data);
    char *text = strndup(data, (size_t)len);
    BIO_free(bio);
    return text;
}

static char *sign_request(const hsm_buffer *csr)
{
    BIO *bio = BIO_new_mem_buf(csr->data, (int)csr->len);
    X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);

    assert_non_null(request);
    X509 *made = certificate_for(X509_REQ_get0_pubkey(request), X509_REQ_get_subject_name(request));
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++)
        X509_add_ext(made, sk_X509_EXTENSION_value(extensions, i), -1);
    assert_true(X509_sign(made, ca_key, EVP_sha256()));
    char *pem = pem_of(made);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_free(made);
    X509_REQ_free(request);
    BIO_free(bio);
    return pem;
}

static void write_client(const struct world *world)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_NAME *name = name_of("client");
    X509 *certificate = certificate_for(key, name);
    char path[300];

    add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(certificate, NID_ext_key_usage, "clientAuth");
    assert_true(X509_sign(certificate, ca_key, EVP_sha256()));
    char *pem = pem_of(certificate), *ca_pem = pem_of(ca_certificate);
    snprintf(path, sizeof(path), "%s/client.pem", world->folder);
    write_file(path, pem, strlen(pem));
    snprintf(path, sizeof(path), "%s/ca.pem", world->folder);
    write_file(path, ca_pem, strlen(ca_pem));
    snprintf(path, sizeof(path), "%s/client.key", world->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    free(pem);
    free(ca_pem);
    X509_free(certificate);
    X509_NAME_free(name);
    EVP_PKEY_free(key);
}

/* --- nodes --- */

const char *world_settings = "";

static void node_configure(const struct world *world, struct node *node, unsigned number)
{
    char path[300], text[2048];

    snprintf(node->folder, sizeof(node->folder), "%s/node%u", world->folder, number);
    assert_int_equal(mkdir(node->folder, 0700), 0);
    snprintf(node->socket, sizeof(node->socket), "ipc://%s/node.sock", node->folder);
    snprintf(path, sizeof(path), "%s/hsmd.yaml", node->folder);
    snprintf(text, sizeof(text),
             "{\"name\": \"node%u\", \"zone\": \"a\", \"state-folder\": \"%s\", \"store\": \"sqlite:%s/store.db\",\n"
             " %s, %s \"metrics\": \"127.0.0.1:0\"}\n",
             number, node->folder, world->folder, listening(), world_settings);
    write_file(path, text, strlen(text));
}

static void node_start(struct node *node)
{
    char config[300], log[300];
    const char *program = getenv("HSMD") ? getenv("HSMD") : HSMD;

    snprintf(config, sizeof(config), "%s/hsmd.yaml", node->folder);
    snprintf(log, sizeof(log), "%s/hsmd.log", node->folder);
    node->pid = fork();
    assert_true(node->pid >= 0);
    if (node->pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves nothing running */
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    execl(program, program, "--config", config, (char *)NULL);
    _exit(127);
}

static void pause_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

/* Until its ready file is there and, for members, says what it listens on. */
static void node_wait(struct node *node, bool member)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/ready.json", node->folder);
    for (int waited = 0; waited < READY_MS; waited += 10, pause_ms(10)) {
        char *text = read_text(path), *url = strstr(text, scheme());

        if (waitpid(node->pid, NULL, WNOHANG) != 0) {
            snprintf(path, sizeof(path), "%s/hsmd.log", node->folder);
            print_error("hsmd ended: %s\n", read_text(path));
            node->pid = 0;
            fail();
        }
        if (member && url) {
            url[strcspn(url, "\"")] = 0;
            snprintf(node->url, sizeof(node->url), "%s", url);
            return;
        }
        if (!member && *text)
            return;
    }
    fail_msg("the node was not ready in time");
}

static void node_stop(struct node *node)
{
    if (node->pid <= 0)
        return;
    kill(node->pid, SIGKILL);
    waitpid(node->pid, NULL, 0);
    node->pid = 0;
}

/* --- the world --- */

static hsm_cluster *open_socket(const struct node *node)
{
    hsm_cluster *cluster = NULL;

    OK(hsm_cluster_open_endpoint(node->socket, NULL, &cluster));
    return cluster;
}

static void create_cluster(struct world *world)
{
    hsm_buffer csr = {NULL, 0};
    struct node *first = &world->nodes[0];

    node_configure(world, first, 1);
    node_start(first);
    node_wait(first, false);
    hsm_cluster *socket = open_socket(first);
    OK(hsm_cluster_create(socket, "test", &csr));
    char *certificate = sign_request(&csr), *ca_pem = pem_of(ca_certificate);
    OK(hsm_cluster_initialize(socket, certificate, ca_pem));
    node_wait(first, true);
    hsm_cluster_close(socket);
    hsm_buffer_free(&csr);
    free(certificate);
    free(ca_pem);
}

static void configure_client(struct world *world)
{
    char path[300];

    OK(hsm_config_new(&world->config));
    OK(hsm_config_set(world->config, "nodes", world->nodes[0].url));
    snprintf(path, sizeof(path), "%s/ca.pem", world->folder);
    OK(hsm_config_set(world->config, "ca-file", path));
    snprintf(path, sizeof(path), "%s/client.pem", world->folder);
    OK(hsm_config_set(world->config, "certificate-file", path));
    snprintf(path, sizeof(path), "%s/client.key", world->folder);
    OK(hsm_config_set(world->config, "key-file", path));
    if (getenv("HSM_TRANSPORT"))
        OK(hsm_config_set(world->config, "transport", getenv("HSM_TRANSPORT")));
}

hsm_config *world_config(const struct world *world)
{
    static const char *const names[] = {"nodes", "ca-file", "certificate-file", "key-file"};
    hsm_config *config = NULL;

    OK(hsm_config_new(&config));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char value[400];
        size_t len = sizeof(value);

        OK(hsm_config_get(world->config, names[i], value, &len));
        OK(hsm_config_set(config, names[i], value));
    }
    return config;
}

hsm_session *world_login(struct world *world, const char *user, const char *password)
{
    hsm_session *session = NULL;

    OK(hsm_session_open(world->cluster, &session));
    OK(hsm_login(session, user, password, strlen(password)));
    return session;
}

int world_begin(void **state)
{
    struct world *world = (struct world *)calloc(1, sizeof(*world));

    snprintf(world->folder, sizeof(world->folder), "%s/hsm-api-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(world->folder));
    *state = world;
    make_ca();
    write_client(world);
    create_cluster(world);
    configure_client(world);
    OK(hsm_cluster_open(world->config, &world->cluster));
    OK(hsm_cluster_activate(world->cluster, ADMIN, ADMIN_PASSWORD, strlen(ADMIN_PASSWORD)));
    world->admin = world_login(world, ADMIN, ADMIN_PASSWORD);
    OK(hsm_user_create(world->admin, USER, USER_PASSWORD, strlen(USER_PASSWORD), HSM_ROLE_USER));
    world->user = world_login(world, USER, USER_PASSWORD);
    return 0;
}

void world_join(struct world *world)
{
    struct node *node = &world->nodes[1];
    hsm_buffer csr = {NULL, 0}, state = {NULL, 0}, handover = {NULL, 0};

    node_configure(world, node, 2);
    node_start(node);
    node_wait(node, false);
    hsm_cluster *socket = open_socket(node);
    OK(hsm_node_csr(socket, &csr, &state));
    assert_true(state.len > 0);
    char *certificate = sign_request(&csr), *ca_pem = pem_of(ca_certificate);
    OK(hsm_node_approve(world->admin, certificate, &handover));
    OK(hsm_node_admit(socket, certificate, ca_pem, handover.data, handover.len));
    node_wait(node, true);
    hsm_cluster_close(socket);
    hsm_buffer_free(&csr);
    hsm_buffer_free(&state);
    hsm_buffer_free(&handover);
    free(certificate);
    free(ca_pem);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info, (void)kind, (void)at;
    return remove(path);
}

int world_end(void **state)
{
    struct world *world = (struct world *)*state;

    hsm_session_close(world->admin);
    hsm_session_close(world->user);
    hsm_cluster_close(world->cluster);
    hsm_config_free(world->config);
    for (size_t i = 0; i < 2; i++)
        node_stop(&world->nodes[i]);
    if (getenv("HSM_KEEP"))
        print_message("kept: %s\n", world->folder);
    else
        nftw(world->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    X509_free(ca_certificate);
    EVP_PKEY_free(ca_key);
    free(world);
    return 0;
}
