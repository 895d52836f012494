/* See etcd_client.h. */
#include "store/etcd_client.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CONNECT_TIMEOUT_MS 1000L
#define ATTEMPT_TIMEOUT_MS 2500u
#define PAUSE_MS           50u /* between rounds over all endpoints */
#define ANSWER_MAX         ((size_t)256 << 20)

struct handle {
    CURL *curl;
    struct bytes answer;
    struct handle *next;
};

struct etcd_client {
    struct etcd_settings settings;
    struct curl_slist *headers;
    _Atomic unsigned endpoint;
    pthread_mutex_t lock; /* guards idle */
    struct handle *idle;
};

/* --- JSON --- */

json_t *etcd_base64(struct slice data)
{
    size_t len = 4 * ((data.len + 2) / 3);
    char *text = malloc(len + 1);
    json_t *value = NULL;

    if (text) {
        EVP_EncodeBlock((unsigned char *)text, data.data, (int)data.len);
        value = json_stringn_nocheck(text, len);
    }
    free(text);
    return value;
}

status_code etcd_bytes(const json_t *object, const char *name, struct bytes *data)
{
    const json_t *member = json_object_get(object, name);
    size_t len = json_string_length(member);
    const char *text = json_string_value(member);

    bytes_clear(data);
    if (len == 0)
        return STATUS_OK;
    CHECK(len % 4 == 0, STATUS_STORE_DAMAGED, "etcd's %s is not base64", name);
    CHECK(bytes_reserve(data, len / 4 * 3), STATUS_OUT_OF_MEMORY, "no memory for etcd's %s", name);
    int decoded = EVP_DecodeBlock(data->data, (const unsigned char *)text, (int)len);
    size_t padding = (text[len - 1] == '=') + (size_t)(text[len - 2] == '=');

    CHECK(decoded >= (int)padding, STATUS_STORE_DAMAGED, "etcd's %s is not base64", name);
    data->len = (size_t)decoded - padding;
    return STATUS_OK;
}

uint64_t etcd_number(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);

    if (json_is_integer(member))
        return (uint64_t)json_integer_value(member);
    return json_is_string(member) ? strtoull(json_string_value(member), NULL, 10) : 0;
}

json_t *etcd_decimal(uint64_t number)
{
    return json_sprintf("%llu", (unsigned long long)number);
}

/* Numbers of gRPC's status codes. */
enum { GRPC_INVALID_ARGUMENT = 3, GRPC_OUT_OF_RANGE = 11 };

status_code etcd_error(const json_t *error)
{
    const char *text = json_string_value(json_object_get(error, "message"));
    uint64_t code = etcd_number(error, "code") + etcd_number(error, "grpc_code");

    if (!text)
        text = json_is_string(json_object_get(error, "error")) ? json_string_value(json_object_get(error, "error"))
                                                               : "no reason given";
    if (strstr(text, "database space exceeded"))
        FAIL(STATUS_STORE_FULL, "etcd: %.120s: compact and defragment it, or raise its quota, then disarm the alarm",
             text);
    if (strstr(text, "request is too large"))
        FAIL(STATUS_TOO_LARGE, "etcd: %.120s: raise its max-request-bytes", text);
    if (code == GRPC_OUT_OF_RANGE)
        FAIL(STATUS_CONFLICT, "etcd: %.160s", text);
    if (code == GRPC_INVALID_ARGUMENT)
        FAIL(STATUS_INTERNAL, "etcd refuses the request: %.160s", text);
    FAIL(STATUS_STORE_UNAVAILABLE, "etcd: %.160s: try again", text);
}

/* --- connections --- */

static size_t take_answer(char *data, size_t size, size_t n, void *context)
{
    struct bytes *answer = context;

    return bytes_append(answer, data, size * n) ? size * n : 0;
}

static void handle_free(struct handle *handle)
{
    if (!handle)
        return;
    curl_easy_cleanup(handle->curl);
    bytes_release(&handle->answer);
    free(handle);
}

static void set_common(const struct etcd_client *client, CURL *curl)
{
    const struct etcd_settings *settings = &client->settings;

    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* whatever the environment says */
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, 5L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (settings->ca_file[0]) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, settings->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* the owner's authority alone */
    }
    if (settings->certificate_file[0])
        curl_easy_setopt(curl, CURLOPT_SSLCERT, settings->certificate_file);
    if (settings->key_file[0])
        curl_easy_setopt(curl, CURLOPT_SSLKEY, settings->key_file);
}

static struct handle *handle_new(const struct etcd_client *client)
{
    struct handle *handle = calloc(1, sizeof(*handle));

    if (!handle)
        return NULL;
    handle->answer.limit = ANSWER_MAX;
    handle->curl = curl_easy_init();
    if (!handle->curl) {
        free(handle);
        return NULL;
    }
    set_common(client, handle->curl);
    curl_easy_setopt(handle->curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(handle->curl, CURLOPT_WRITEDATA, &handle->answer);
    return handle;
}

static struct handle *borrow(struct etcd_client *client)
{
    pthread_mutex_lock(&client->lock);
    struct handle *handle = client->idle;

    if (handle)
        client->idle = handle->next;
    pthread_mutex_unlock(&client->lock);
    return handle ? handle : handle_new(client);
}

static void give_back(struct etcd_client *client, struct handle *handle)
{
    if (handle->answer.capacity > (1u << 20))
        bytes_release(&handle->answer);
    pthread_mutex_lock(&client->lock);
    handle->next = client->idle;
    client->idle = handle;
    pthread_mutex_unlock(&client->lock);
}

const char *etcd_endpoint(struct etcd_client *client)
{
    return client->settings.endpoints[atomic_load(&client->endpoint) % client->settings.n_endpoints];
}

void etcd_next_endpoint(struct etcd_client *client)
{
    atomic_fetch_add(&client->endpoint, 1);
}

static bool set_url(struct etcd_client *client, unsigned endpoint, const char *path, CURL *curl)
{
    char url[320];

    snprintf(url, sizeof(url), "%s%s", client->settings.endpoints[endpoint % client->settings.n_endpoints], path);
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK;
}

CURL *etcd_stream_handle(struct etcd_client *client, const char *path)
{
    CURL *curl = curl_easy_init();

    if (!curl)
        return NULL;
    set_common(client, curl);
    if (!set_url(client, atomic_load(&client->endpoint), path, curl)) {
        curl_easy_cleanup(curl);
        return NULL;
    }
    return curl;
}

/* --- calls --- */

uint64_t etcd_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_ms(unsigned ms)
{
    const struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

/* Before the request was on its way nothing can have been done. */
static bool never_sent(CURLcode code)
{
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_SSL_CONNECT_ERROR ||
           code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE;
}

static status_code understand(struct handle *handle, json_t **answer)
{
    json_error_t error;
    long http = 0;
    json_t *root = json_loadb((const char *)handle->answer.data, handle->answer.len, 0, &error);

    curl_easy_getinfo(handle->curl, CURLINFO_RESPONSE_CODE, &http);
    if (http == 200 && json_is_object(root)) {
        *answer = root;
        return STATUS_OK;
    }
    status_code status = json_is_object(root) ? etcd_error(root)
                                              : failure_set(STATUS_STORE_UNAVAILABLE,
                                                            "etcd answers with HTTP status %ld and no JSON", http);
    json_decref(root);
    return status;
}

struct attempt {
    const char *path, *body;
    unsigned endpoint, timeout_ms;
};

static status_code try_endpoint(struct etcd_client *client, struct handle *handle, const struct attempt *attempt,
                                json_t **answer, bool *sent)
{
    bytes_clear(&handle->answer);
    *sent = false;
    CHECK(set_url(client, attempt->endpoint, attempt->path, handle->curl), STATUS_OUT_OF_MEMORY, "no memory for a URL");
    curl_easy_setopt(handle->curl, CURLOPT_TIMEOUT_MS, (long)attempt->timeout_ms);
    curl_easy_setopt(handle->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(attempt->body));
    curl_easy_setopt(handle->curl, CURLOPT_POSTFIELDS, attempt->body);
    CURLcode code = curl_easy_perform(handle->curl);

    *sent = !never_sent(code);
    CHECK(!handle->answer.overflow, STATUS_TOO_LARGE, "etcd answers with more than %zu bytes", ANSWER_MAX);
    CHECK(code == CURLE_OK, STATUS_STORE_UNAVAILABLE, "etcd at %.80s: %.100s",
          client->settings.endpoints[attempt->endpoint % client->settings.n_endpoints], curl_easy_strerror(code));
    return understand(handle, answer);
}

/* One endpoint after another, and round again, until one answers or the time is over. */
static status_code try_all(struct etcd_client *client, struct handle *handle, struct attempt *attempt,
                           unsigned timeout_ms, json_t **answer, bool *uncertain)
{
    uint64_t end = etcd_clock_ms() + timeout_ms;

    for (unsigned n = 1;; n++) {
        uint64_t now = etcd_clock_ms();
        bool sent;

        attempt->endpoint = atomic_load(&client->endpoint);
        attempt->timeout_ms = end > now && end - now < ATTEMPT_TIMEOUT_MS ? (unsigned)(end - now) : ATTEMPT_TIMEOUT_MS;
        status_code status = try_endpoint(client, handle, attempt, answer, &sent);

        if (status != STATUS_STORE_UNAVAILABLE)
            return status;
        *uncertain |= sent;
        /* Only if no other thread moved on meanwhile. */
        atomic_compare_exchange_strong(&client->endpoint, &attempt->endpoint, attempt->endpoint + 1);
        if (etcd_clock_ms() + PAUSE_MS >= end)
            return status;
        if (n % client->settings.n_endpoints == 0)
            pause_ms(PAUSE_MS);
    }
}

status_code etcd_call(struct etcd_client *client, const char *path, const json_t *request, unsigned timeout_ms,
                      json_t **answer, bool *uncertain)
{
    bool maybe_done = false;
    struct handle *handle = borrow(client);
    char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
    status_code status;

    *answer = NULL;
    if (handle && body) {
        struct attempt attempt = {.path = path, .body = body};

        status = try_all(client, handle, &attempt, timeout_ms, answer, &maybe_done);
    } else {
        status = failure_set(STATUS_OUT_OF_MEMORY, "no memory for a request to etcd");
    }
    if (handle)
        give_back(client, handle);
    free(body);
    if (uncertain)
        *uncertain = maybe_done;
    return status;
}

/* --- opening --- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void initialize_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

status_code etcd_client_open(const struct etcd_settings *settings, struct etcd_client **client)
{
    CHECK(settings->n_endpoints > 0, STATUS_CONFIG_INVALID, "etcd-endpoints is empty: list the members of etcd");
    pthread_once(&curl_once, initialize_curl);
    struct etcd_client *made = calloc(1, sizeof(*made));

    CHECK(made, STATUS_OUT_OF_MEMORY, "no memory for a client of etcd");
    made->settings = *settings;
    pthread_mutex_init(&made->lock, NULL);
    made->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!made->headers) {
        etcd_client_close(made);
        FAIL(STATUS_OUT_OF_MEMORY, "no memory for a client of etcd");
    }
    *client = made;
    return STATUS_OK;
}

void etcd_client_close(struct etcd_client *client)
{
    if (!client)
        return;
    while (client->idle) {
        struct handle *handle = client->idle;

        client->idle = handle->next;
        handle_free(handle);
    }
    curl_slist_free_all(client->headers);
    pthread_mutex_destroy(&client->lock);
    free(client);
}
