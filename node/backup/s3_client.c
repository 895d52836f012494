/* See s3_client.h. */
#include "backup/s3_client.h"

#include <errno.h>
#include <expat.h>
#include <openssl/evp.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "crypto/key.h"

#define ATTEMPTS        5u
#define FIRST_PAUSE_MS  200u
#define CONNECT_MS      5000L
#define STALLED_S       30L /* without a byte: the request is tried again */
#define ANSWER_MAX      ((size_t)16 << 20)
#define CREDENTIALS_MAX 8192u
#define TEXT_MAX        1024u

struct s3_client {
    CURL *curl;
    struct curl_slist *headers;
    char bucket_url[600]; /* https://HOST/BUCKET */
    char prefix[256];
    char signing[64];
    char key_id[256];
    char secret[256];
    struct bytes answer;
};

/* One attempt. */
struct attempt {
    struct s3_client *client;
    const struct s3_request *request;
    struct curl_slist *headers;
    uint64_t n_taken; /* bytes that went to `take`, over all attempts */
    status_code taken;
};

/* --- opening --- */

void s3_client_close(struct s3_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    curl_slist_free_all(client->headers);
    bytes_release(&client->answer);
    secret_wipe(client->secret, sizeof(client->secret));
    free(client);
}

const char *s3_prefix(const struct s3_client *client)
{
    return client->prefix;
}

/* What needs no escaping, neither in the request nor in what is signed. */
static bool is_plain(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:[]")] == 0;
}

static status_code split_url(struct s3_client *client, const char *url)
{
    const char *host = strstr(url, "://"), *bucket = host ? strchr(host + 3, '/') : NULL;
    const char *prefix = bucket ? strchr(bucket + 1, '/') : NULL;
    size_t len = prefix ? (size_t)(prefix - url) : strlen(url);

    CHECK((strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0) && bucket && bucket[1] &&
              bucket[1] != '/' && is_plain(url) && len < sizeof(client->bucket_url),
          STATUS_CONFIG_INVALID, "a bucket is named https://HOST/BUCKET/PREFIX, in plain letters; not %.100s", url);
    memcpy(client->bucket_url, url, len);
    if (!prefix || !prefix[1])
        return STATUS_OK;
    size_t prefix_len = strlen(prefix + 1);

    CHECK(prefix_len + 2 <= sizeof(client->prefix), STATUS_CONFIG_INVALID, "the bucket's prefix is too long");
    snprintf(client->prefix, sizeof(client->prefix), "%s%s", prefix + 1, prefix[prefix_len] == '/' ? "" : "/");
    return STATUS_OK;
}

static status_code read_file(const char *path, struct bytes *content)
{
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(file >= 0, STATUS_CONFIG_INVALID, "backup-s3-credentials-file %.100s: %s", path, strerror(errno));
    uint8_t *at = bytes_reserve(content, CREDENTIALS_MAX);
    bool whole = fstat(file, &info) == 0;
    ssize_t n = at && whole ? read(file, at, CREDENTIALS_MAX) : -1;

    close(file);
    CHECK(n > 0, STATUS_CONFIG_INVALID, "backup-s3-credentials-file %.100s cannot be read", path);
    CHECK((info.st_mode & 077) == 0, STATUS_CONFIG_INVALID,
          "backup-s3-credentials-file %.100s has mode %03o: others can read it; chmod 600 it", path,
          (unsigned)info.st_mode & 0777);
    content->len = (size_t)n;
    return STATUS_OK;
}

static status_code take_credentials(struct s3_client *client, char *text)
{
    char *rest = NULL, header[4096 + 32];
    const char *key_id = strtok_r(text, ":\r\n", &rest), *secret = key_id ? strtok_r(NULL, ":\r\n", &rest) : NULL;
    const char *token = secret ? strtok_r(NULL, ":\r\n", &rest) : NULL;

    CHECK(secret && strlen(key_id) < sizeof(client->key_id) && strlen(secret) < sizeof(client->secret) &&
              (!token || strlen(token) <= 4096),
          STATUS_CONFIG_INVALID,
          "backup-s3-credentials-file holds one line: ACCESS-KEY-ID:SECRET-ACCESS-KEY, and :SESSION-TOKEN if there is "
          "one");
    snprintf(client->key_id, sizeof(client->key_id), "%s", key_id);
    snprintf(client->secret, sizeof(client->secret), "%s", secret);
    if (!token)
        return STATUS_OK;
    snprintf(header, sizeof(header), "x-amz-security-token: %s", token);
    struct curl_slist *headers = curl_slist_append(client->headers, header);

    secret_wipe(header, sizeof(header));
    CHECK(headers, STATUS_OUT_OF_MEMORY, "no memory for a header");
    client->headers = headers;
    return STATUS_OK;
}

static status_code read_credentials(struct s3_client *client, const char *path)
{
    CLEANUP(bytes_release) struct bytes content = BYTES_SECRET;

    CHECK(path[0], STATUS_CONFIG_INVALID, "backups in a bucket need backup-s3-credentials-file");
    TRY(read_file(path, &content));
    CHECK(bytes_append(&content, "", 1), STATUS_OUT_OF_MEMORY, "no memory for credentials");
    return take_credentials(client, (char *)content.data);
}

static size_t take_bytes(char *data, size_t size, size_t n, void *context);

static void set_common(struct s3_client *client, const char *ca_file)
{
    CURL *curl = client->curl;

    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALLED_S);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, client->signing);
    curl_easy_setopt(curl, CURLOPT_USERNAME, client->key_id);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, client->secret);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    if (ca_file[0])
        curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);
}

static status_code fill(struct s3_client *client, const struct node_config *config, const char *url)
{
    TRY(split_url(client, url));
    snprintf(client->signing, sizeof(client->signing), "aws:amz:%s:s3", config->backup_s3_region);
    /* The body is no form. (A header that is taken away would be signed all the same, by older versions of libcurl.) */
    client->headers = curl_slist_append(NULL, "Content-Type: application/octet-stream");
    client->answer.limit = ANSWER_MAX;
    client->curl = curl_easy_init();
    CHECK(client->curl && client->headers, STATUS_OUT_OF_MEMORY, "no memory for a bucket");
    TRY(read_credentials(client, config->backup_s3_credentials_file));
    set_common(client, config->backup_s3_ca_file);
    return STATUS_OK;
}

status_code s3_client_open(const struct node_config *config, const char *url, struct s3_client **client)
{
    *client = calloc(1, sizeof(**client));
    CHECK(*client, STATUS_OUT_OF_MEMORY, "no memory for a bucket");
    return fill(*client, config, url);
}

/* --- XML --- */

struct parsing {
    s3_element element;
    void *context;
    char text[TEXT_MAX];
    size_t len;
};

static void XMLCALL on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct parsing *parsing = context;

    (void)name, (void)attributes;
    parsing->len = 0;
}

static void XMLCALL on_text(void *context, const XML_Char *text, int len)
{
    struct parsing *parsing = context;
    size_t room = sizeof(parsing->text) - 1 - parsing->len, n = (size_t)len < room ? (size_t)len : room;

    memcpy(parsing->text + parsing->len, text, n);
    parsing->len += n;
}

static void XMLCALL on_end(void *context, const XML_Char *name)
{
    struct parsing *parsing = context;

    parsing->text[parsing->len] = 0;
    parsing->element(parsing->context, name, parsing->text);
    parsing->len = 0;
}

status_code s3_parse(struct slice xml, s3_element element, void *context)
{
    struct parsing parsing = {.element = element, .context = context};
    XML_Parser parser = XML_ParserCreate(NULL);

    CHECK(parser, STATUS_OUT_OF_MEMORY, "no memory for an answer");
    XML_SetUserData(parser, &parsing);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    bool good = XML_Parse(parser, (const char *)xml.data, (int)xml.len, 1) == XML_STATUS_OK;

    XML_ParserFree(parser);
    CHECK(good, STATUS_BACKUP_UNAVAILABLE, "the bucket's answer is no XML: is it a bucket that speaks S3?");
    return STATUS_OK;
}

/* --- requests --- */

static long answered(const struct s3_client *client)
{
    long code = 0;

    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

static size_t take_bytes(char *data, size_t size, size_t n, void *context)
{
    struct attempt *attempt = context;
    size_t len = size * n;
    long code = answered(attempt->client);

    if (code < 300 && attempt->request->take) {
        attempt->taken = attempt->request->take(attempt->request->context, slice_of(data, len));
        attempt->n_taken += len;
        return attempt->taken == STATUS_OK ? len : 0;
    }
    return bytes_append(&attempt->client->answer, data, len) ? len : 0;
}

static size_t take_header(char *data, size_t size, size_t n, void *context)
{
    static const char name[] = "etag:";
    char *etag = context;
    size_t len = size * n, at = sizeof(name) - 1;

    if (!etag || len <= at || strncasecmp(data, name, at) != 0)
        return len;
    while (at < len && data[at] == ' ')
        at++;
    size_t end = len;
    while (end > at && (data[end - 1] == '\r' || data[end - 1] == '\n'))
        end--;
    if (end - at < 130)
        snprintf(etag, 130, "%.*s", (int)(end - at), data + at);
    return len;
}

struct reason {
    char code[64], message[128];
};

static void take_reason(void *context, const char *name, const char *text)
{
    struct reason *reason = context;

    if (strcmp(name, "Code") == 0)
        snprintf(reason->code, sizeof(reason->code), "%s", text);
    if (strcmp(name, "Message") == 0)
        snprintf(reason->message, sizeof(reason->message), "%s", text);
}

static status_code refused(struct s3_client *client, const struct s3_request *request, long code)
{
    struct reason reason = {"", ""};

    CHECK(code != 404 || !request->key, STATUS_OBJECT_NOT_FOUND, "the bucket has no %.100s", request->key);
    (void)s3_parse(bytes_slice(&client->answer), take_reason, &reason);
    FAIL(STATUS_BACKUP_UNAVAILABLE, "%.100s: %s %.80s: HTTP status %ld %.40s %.80s", client->bucket_url,
         request->method, request->key ? request->key : "", code, reason.code, reason.message);
}

/* S3 wants the hash of the body told and signed; older versions of libcurl leave that to the caller. */
static status_code put_hash(const struct s3_request *request, const struct curl_slist *common,
                            struct curl_slist **headers)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    char hex[2 * 32 + 1], line[128];

    CHECK(EVP_Q_digest(crypto_context(), "SHA256", NULL, request->body.data, request->body.len, hash, NULL) == 1,
          STATUS_INTERNAL, "hashing a request");
    hex_encode(slice_of(hash, 32), hex);
    snprintf(line, sizeof(line), "x-amz-content-sha256: %s", hex);
    *headers = curl_slist_append(NULL, line);
    for (; common && *headers; common = common->next)
        if (!curl_slist_append(*headers, common->data))
            break;
    CHECK(*headers && !common, STATUS_OUT_OF_MEMORY, "no memory for a header");
    return STATUS_OK;
}

static void prepare(struct attempt *attempt)
{
    const struct s3_request *request = attempt->request;
    struct s3_client *client = attempt->client;
    char url[1400], range[32];

    snprintf(url, sizeof(url), "%s%s%s%s%s%s", client->bucket_url, request->key ? "/" : "",
             request->key ? client->prefix : "", request->key ? request->key : "", request->query ? "?" : "",
             request->query ? request->query : "");
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, attempt->headers);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, attempt);
    curl_easy_setopt(client->curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, request->etag);
    if (strcmp(request->method, "GET") == 0) {
        curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, NULL);
    } else { /* as a POST with another name, of whose body libcurl signs the hash */
        curl_easy_setopt(client->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, request->body.data ? (const char *)request->body.data : "");
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
    /* What was passed on already is not asked for again. */
    snprintf(range, sizeof(range), "%llu-", (unsigned long long)attempt->n_taken);
    curl_easy_setopt(client->curl, CURLOPT_RANGE, attempt->n_taken ? range : NULL);
    bytes_clear(&client->answer);
}

/* *again: another attempt may do better. */
static status_code try_once(struct attempt *attempt, bool *again)
{
    struct s3_client *client = attempt->client;

    prepare(attempt);
    CURLcode result = curl_easy_perform(client->curl);
    long code = answered(client);

    *again = false;
    TRY(attempt->taken);
    if (result != CURLE_OK) {
        *again = true;
        FAIL(STATUS_BACKUP_UNAVAILABLE, "%.120s: %s", client->bucket_url, curl_easy_strerror(result));
    }
    *again = code >= 500 || code == 429 || code == 408;
    return code < 300 ? STATUS_OK : refused(client, attempt->request, code);
}

static void pause_before(unsigned attempt)
{
    unsigned ms = FIRST_PAUSE_MS << attempt;
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

static void attempt_release(struct attempt *attempt)
{
    curl_slist_free_all(attempt->headers);
}

status_code s3_request(struct s3_client *client, const struct s3_request *request)
{
    CLEANUP(attempt_release) struct attempt attempt = {.client = client, .request = request, .taken = STATUS_OK};
    status_code status = STATUS_OK;
    bool again = true;

    TRY(put_hash(request, client->headers, &attempt.headers));
    for (unsigned n = 0; n < ATTEMPTS && again; n++) {
        if (n > 0)
            pause_before(n - 1);
        status = try_once(&attempt, &again);
        if (status == STATUS_OK)
            break;
    }
    TRY(status);
    return request->answer ? bytes_assign(request->answer, bytes_slice(&client->answer)) : STATUS_OK;
}

status_code s3_escape(struct s3_client *client, const char *text, struct bytes *out)
{
    char *escaped = curl_easy_escape(client->curl, text, 0);

    CHECK(escaped, STATUS_OUT_OF_MEMORY, "no memory for a request");
    bytes_append(out, escaped, strlen(escaped));
    curl_free(escaped);
    return bytes_ok(out);
}
