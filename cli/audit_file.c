/* See audit_file.h. A line of an export is an entry, or {"checkpoint": {text, signature, certificate}}. */
#include "audit_file.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include "protocol/message.h"

#define HASH_LEN   32
#define NODE_URI   "urn:hsm:node:"
#define TEXT_LIMIT 1024

json_t *audit_entry_json(const hsm_audit_entry *entry, const char *node)
{
    json_t *object = json_pack("{s:s, s:I, s:I, s:o, s:s, s:s, s:i, s:s, s:s, s:o, s:o}", "node", node, "sequence",
                               (json_int_t)entry->sequence, "time_ms", (json_int_t)entry->time_ms, "time",
                               json_time(entry->time_ms), "operation", entry->operation ? entry->operation : "", "user",
                               entry->user ? entry->user : "", "status", (int)entry->status, "result",
                               hsm_status_name(entry->status), "detail", entry->detail ? entry->detail : "",
                               "previous_hash", json_hex(entry->previous_hash, entry->previous_hash_len), "hash",
                               json_hex(entry->hash, entry->hash_len));

    if (entry->has_object)
        json_object_set_new(object, "object", json_hex(entry->object, HSM_ID_LEN));
    return object;
}

/* What was read so far. */
struct walk {
    const char *path;
    unsigned long line;
    char node[2 * HSM_ID_LEN + 1]; /* whose log it is */
    uint64_t first, last;          /* sequences; 0: none yet */
    uint8_t hash[HASH_LEN];        /* of the last */
    uint64_t n_checkpoints;
    X509 *ca;
};

static void walk_release(struct walk *walk)
{
    X509_free(walk->ca);
}

static int broken(const struct walk *walk, const char *what)
{
    fprintf(stderr, "hsm: %s: line %lu: %s\n", walk->path, walk->line, what);
    return EXIT_INVALID;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static bool hex_of(const json_t *object, const char *name, uint8_t *out, size_t len)
{
    return hex_decode(text_of(object, name), out, len);
}

/* --- entries --- */

/* The hash of what the line says, encoded as the node encoded it. */
static bool hash_entry(const json_t *line, uint8_t hash[HASH_LEN])
{
    CLEANUP(bytes_release) struct bytes encoded = BYTES_INIT;
    uint8_t previous[HASH_LEN], object[ID_LEN];
    struct values fields;

    if (!hex_of(line, "previous_hash", previous, sizeof(previous)))
        return false;
    values_init(&fields);
    values_put_uint(&fields, FIELD_SEQUENCE, (uint64_t)json_integer_value(json_object_get(line, "sequence")));
    values_put_uint(&fields, FIELD_TIME_MS, (uint64_t)json_integer_value(json_object_get(line, "time_ms")));
    values_put_uint(&fields, FIELD_STATUS, (uint64_t)json_integer_value(json_object_get(line, "status")));
    values_put_bytes(&fields, FIELD_OPERATION, slice_text(text_of(line, "operation")));
    values_put_bytes(&fields, FIELD_PREVIOUS_HASH, slice_of(previous, sizeof(previous)));
    if (*text_of(line, "user"))
        values_put_bytes(&fields, FIELD_USER_NAME, slice_text(text_of(line, "user")));
    if (hex_of(line, "object", object, sizeof(object)))
        values_put_bytes(&fields, FIELD_OBJECT_ID, slice_of(object, sizeof(object)));
    if (*text_of(line, "detail"))
        values_put_bytes(&fields, FIELD_DETAIL, slice_text(text_of(line, "detail")));
    values_encode(&FIELD_SCHEMA, &fields, &encoded);
    return bytes_ok(&encoded) == STATUS_OK &&
           EVP_Q_digest(NULL, "SHA256", NULL, encoded.data, encoded.len, hash, NULL) == 1;
}

static int check_entry(struct walk *walk, const json_t *line)
{
    uint64_t sequence = (uint64_t)json_integer_value(json_object_get(line, "sequence"));
    uint8_t said[HASH_LEN], is[HASH_LEN], previous[HASH_LEN];
    char what[160];

    if (!hash_entry(line, is) || !hex_of(line, "hash", said, sizeof(said)) || memcmp(is, said, sizeof(is)) != 0) {
        snprintf(what, sizeof(what), "entry %llu was changed: its hash is not that of what it says",
                 (unsigned long long)sequence);
        return broken(walk, what);
    }
    if (walk->last && sequence != walk->last + 1) {
        snprintf(what, sizeof(what), "entry %llu is missing: %llu follows %llu", (unsigned long long)walk->last + 1,
                 (unsigned long long)sequence, (unsigned long long)walk->last);
        return broken(walk, what);
    }
    if (walk->last && (!hex_of(line, "previous_hash", previous, sizeof(previous)) ||
                       memcmp(previous, walk->hash, sizeof(previous)) != 0)) {
        snprintf(what, sizeof(what), "entry %llu does not continue the one before: one of both was replaced",
                 (unsigned long long)sequence);
        return broken(walk, what);
    }
    if (walk->last && strcmp(walk->node, text_of(line, "node")) != 0)
        return broken(walk, "this entry is of another node: each node has a log of its own");
    snprintf(walk->node, sizeof(walk->node), "%s", text_of(line, "node"));
    walk->first = walk->first ? walk->first : sequence;
    walk->last = sequence;
    memcpy(walk->hash, is, sizeof(is));
    return EXIT_OK;
}

/* --- checkpoints --- */

static X509 *read_certificate(const char *pem, size_t len)
{
    BIO *memory = BIO_new_mem_buf(pem, (int)len);
    X509 *certificate = memory ? PEM_read_bio_X509(memory, NULL, NULL, NULL) : NULL;

    BIO_free(memory);
    ERR_clear_error();
    return certificate;
}

/* Clients have certificates of the same CA: only a node's names a node. */
static bool is_node(X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        found = name->type == GEN_URI && ASN1_STRING_length(name->d.ia5) > (int)sizeof(NODE_URI) - 1 &&
                memcmp(ASN1_STRING_get0_data(name->d.ia5), NODE_URI, sizeof(NODE_URI) - 1) == 0;
    }
    GENERAL_NAMES_free(names);
    return found;
}

static bool signature_is_good(X509 *certificate, const char *text, const uint8_t *signature, size_t signature_len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    bool good = context && key && EVP_DigestVerifyInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
                EVP_DigestVerify(context, signature, signature_len, (const uint8_t *)text, strlen(text)) == 1;

    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

/* A certificate may have expired since: what counts is that the CA made it for a node. */
static bool is_signed(const struct walk *walk, const json_t *checkpoint)
{
    const char *pem = text_of(checkpoint, "certificate"), *hex = text_of(checkpoint, "signature");
    X509 *certificate = read_certificate(pem, strlen(pem));
    uint8_t signature[TEXT_LIMIT];
    size_t len = strlen(hex) / 2;
    bool good = certificate && len <= sizeof(signature) && hex_decode(hex, signature, len) && is_node(certificate) &&
                X509_verify(certificate, X509_get0_pubkey(walk->ca)) == 1 &&
                signature_is_good(certificate, text_of(checkpoint, "text"), signature, len);

    X509_free(certificate);
    ERR_clear_error();
    return good;
}

static int check_checkpoint(struct walk *walk, const json_t *checkpoint)
{
    char node[2 * HSM_ID_LEN + 1], hash[2 * HASH_LEN + 1], last[2 * HASH_LEN + 1], what[200];
    unsigned long long sequence;

    if (!is_signed(walk, checkpoint))
        return broken(walk, "the checkpoint's signature is not a node's of this CA");
    if (sscanf(text_of(checkpoint, "text"),
               "libhsm audit checkpoint 1 cluster: %*32s node: %32s sequence: %llu hash: %64s", node, &sequence,
               hash) != 3)
        return broken(walk, "the checkpoint is of a kind that this version does not know");
    if (walk->last && strcmp(node, walk->node) != 0)
        return broken(walk, "the checkpoint is of another node's log");
    if (sequence != walk->last) {
        snprintf(what, sizeof(what),
                 "entry %llu is missing: the checkpoint is of %llu entries, but the log ends at %llu",
                 (unsigned long long)walk->last + 1, sequence, (unsigned long long)walk->last);
        return broken(walk, what);
    }
    hex_text(walk->hash, HASH_LEN, last);
    if (walk->last && strcmp(hash, last) != 0)
        return broken(walk, "the checkpoint is of another log: entries before it were replaced");
    walk->n_checkpoints++;
    return EXIT_OK;
}

/* --- the file --- */

static int check_line(struct walk *walk, const char *text, size_t len)
{
    json_error_t error;
    json_auto_t *line = json_loadb(text, len, 0, &error);
    const json_t *checkpoint = json_object_get(line, "checkpoint");

    walk->line++;
    if (!json_is_object(line))
        return broken(walk, "this is no line of an exported audit log");
    return checkpoint ? check_checkpoint(walk, checkpoint) : check_entry(walk, line);
}

static int check_lines(struct walk *walk, const struct content *content)
{
    const char *at = (const char *)content->data, *end = at + content->len;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = newline ? (size_t)(newline - at) : (size_t)(end - at);

        if (len)
            STEP(check_line(walk, at, len));
        at += len + 1;
    }
    return EXIT_OK;
}

static int read_ca(const char *path, X509 **ca)
{
    CLEANUP(content_release) struct content content = {NULL, 0};

    STEP(content_read(path, &content));
    *ca = read_certificate((const char *)content.data, content.len);
    return *ca ? EXIT_OK : usage("%s is no certificate (PEM)", path);
}

int audit_file_verify(struct context *context, const char *path, const char *ca_file)
{
    CLEANUP(content_release) struct content content = {NULL, 0};
    CLEANUP(walk_release) struct walk walk = {.path = path};

    STEP(read_ca(ca_file, &walk.ca));
    STEP(content_read(path, &content));
    STEP(check_lines(&walk, &content));
    if (walk.n_checkpoints == 0)
        return broken(&walk, "the log has no checkpoint: whether entries were cut off its end cannot be told");
    if (context->json) {
        json_auto_t *verdict =
            json_pack("{s:s, s:I, s:I, s:I, s:b}", "node", walk.node, "first", (json_int_t)walk.first, "last",
                      (json_int_t)walk.last, "checkpoints", (json_int_t)walk.n_checkpoints, "complete", 1);

        return output_object(context, verdict);
    }
    say(context, "Entries %llu to %llu of node %s, up to checkpoint %llu: none missing or changed.",
        (unsigned long long)walk.first, (unsigned long long)walk.last, walk.node,
        (unsigned long long)walk.n_checkpoints);
    return EXIT_OK;
}
