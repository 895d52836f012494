/* Requests to a bucket that speaks S3, signed by libcurl (AWS Signature Version 4) and tried again, with growing
 * pauses, while that can help. */
#pragma once

#include <curl/curl.h>
#include "config/node_config.h"
#include "protocol/bytes.h"

struct s3_client;

/** `url`: https://HOST/BUCKET/PREFIX, path style. STATUS_CONFIG_INVALID; credentials come from the configured file. */
status_code s3_client_open(const struct node_config *config, const char *url, struct s3_client **client);
void s3_client_close(struct s3_client *client);

/** PREFIX/ of the URL, or "". */
const char *s3_prefix(const struct s3_client *client);

struct s3_request {
    const char *method; /* GET, PUT, POST, DELETE */
    const char *key;    /* behind the prefix; NULL: the bucket itself */
    const char *query;  /* sorted and escaped; NULL: none */
    struct slice body;
    struct bytes *answer; /* gets the body of a successful answer, unless `take` does */
    status_code (*take)(void *context, struct slice bytes);
    void *context;
    char *etag; /* 130 bytes for the answer's ETag; NULL: not wanted */
};

/** STATUS_OBJECT_NOT_FOUND for what is not there; STATUS_BACKUP_UNAVAILABLE with the reason. */
status_code s3_request(struct s3_client *client, const struct s3_request *request);

/** Appends `text`, escaped for a query. */
status_code s3_escape(struct s3_client *client, const char *text, struct bytes *out);

/** Called per element that has text in it, in the order of their ends. */
typedef void (*s3_element)(void *context, const char *name, const char *text);

/** STATUS_BACKUP_UNAVAILABLE when it is no XML. */
status_code s3_parse(struct slice xml, s3_element element, void *context);
