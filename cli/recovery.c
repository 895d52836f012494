/* See recovery.h. */
#include "recovery.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SHARES "2/3"
#define FILE_SHARES    "1/1"
#define SHARE_PREFIX   "HSMRK"

void recovery_wipe(struct recovery *recovery)
{
    OPENSSL_cleanse(recovery, sizeof(*recovery));
}

int recovery_make(const struct context *context, struct recovery *recovery)
{
    const struct options *options = &context->options;
    const char *shares = options->recovery_shares ? options->recovery_shares
                         : options->recovery_file ? FILE_SHARES
                                                  : DEFAULT_SHARES;
    char end;

    recovery->given = strcmp(shares, "none") != 0;
    if (!recovery->given)
        return EXIT_OK;
    if (sscanf(shares, "%3u/%3u%c", &recovery->threshold, &recovery->n, &end) != 2 || recovery->threshold < 1 ||
        recovery->threshold > recovery->n || recovery->n > HSM_RECOVERY_SHARES)
        return usage("--recovery-shares takes M/N, such as 2/3: N shares, of which M are needed; or none");
    CALL("recovery key", hsm_recovery_key_make(recovery->key));
    return EXIT_OK;
}

struct texts {
    char *shares; /* recovery->n of them */
    size_t len;
};

static void texts_release(struct texts *texts)
{
    if (texts->shares)
        OPENSSL_cleanse(texts->shares, texts->len);
    free(texts->shares);
}

static int write_file(const char *path, const struct recovery *recovery, const struct texts *texts)
{
    CLEANUP(texts_release) struct texts lines = {malloc(texts->len + recovery->n), texts->len + recovery->n};
    size_t at = 0;

    if (!lines.shares)
        return usage("no memory for the shares");
    for (unsigned i = 0; i < recovery->n; i++)
        at += (size_t)snprintf(lines.shares + at, lines.len - at, "%s\n",
                               texts->shares + (size_t)i * HSM_RECOVERY_SHARE_MAX);
    return content_write(path, lines.shares, at, true);
}

static int print(const struct context *context, const struct recovery *recovery, const struct texts *texts)
{
    json_auto_t *list = json_array();

    for (unsigned i = 0; i < recovery->n; i++)
        json_array_append_new(list, json_string(texts->shares + (size_t)i * HSM_RECOVERY_SHARE_MAX));
    if (context->json) {
        json_auto_t *object = json_pack("{s:i, s:O}", "needed", (int)recovery->threshold, "recovery_shares", list);

        return output_object(context, object);
    }
    printf("Recovery key, in %u shares, of which any %u make a new cluster of a backup. They are shown this once; "
           "without\n"
           "them backups are worth nothing. Give each to somebody else.\n\n",
           recovery->n, recovery->threshold);
    for (unsigned i = 0; i < recovery->n; i++)
        printf("  %u  %s\n", i + 1, texts->shares + (size_t)i * HSM_RECOVERY_SHARE_MAX);
    printf("\n");
    return fflush(stdout) == 0 ? EXIT_OK : usage("the shares cannot be written to standard output");
}

int recovery_show(const struct context *context, const struct recovery *recovery)
{
    CLEANUP(texts_release) struct texts texts = {NULL, (size_t)recovery->n * HSM_RECOVERY_SHARE_MAX};

    if (!recovery->given)
        return EXIT_OK;
    texts.shares = calloc(recovery->n, HSM_RECOVERY_SHARE_MAX);
    if (!texts.shares)
        return usage("no memory for the shares");
    CALL("recovery key", hsm_recovery_key_split(recovery->key, recovery->threshold, recovery->n, texts.shares));
    return context->options.recovery_file ? write_file(context->options.recovery_file, recovery, &texts)
                                          : print(context, recovery, &texts);
}

/* --- reading --- */

struct gathered {
    struct password lines[HSM_RECOVERY_SHARES];
    const char *texts[HSM_RECOVERY_SHARES];
    size_t n;
};

static void gathered_wipe(struct gathered **gathered)
{
    if (*gathered)
        OPENSSL_cleanse(*gathered, sizeof(**gathered));
    free(*gathered);
}

static bool add(struct gathered *gathered, const char *text, size_t len)
{
    struct password *line = &gathered->lines[gathered->n];

    if (gathered->n == HSM_RECOVERY_SHARES || len >= sizeof(line->text))
        return false;
    memcpy(line->text, text, len);
    line->text[len] = 0;
    gathered->texts[gathered->n++] = line->text;
    return true;
}

/* Every line with a share in it, so that what activation printed can be read as it is. */
static int read_lines(const char *path, struct gathered *gathered)
{
    CLEANUP(content_release) struct content content = {NULL, 0};

    STEP(content_read(path, &content));
    const char *at = (const char *)content.data, *end = at + content.len;

    while (at < end) {
        size_t len = 0;
        while (at + len < end && at[len] != '\n' && at[len] != '\r')
            len++;
        for (size_t i = 0; i + sizeof(SHARE_PREFIX) - 1 <= len; i++) {
            if (strncmp(at + i, SHARE_PREFIX, sizeof(SHARE_PREFIX) - 1) != 0)
                continue;
            if (!add(gathered, at + i, len - i))
                return usage("%s: too many shares, or one that is too long", path);
            break;
        }
        at += len + 1;
    }
    return gathered->n ? EXIT_OK : usage("%s holds no share: one begins with " SHARE_PREFIX, path);
}

static int ask(struct gathered *gathered, uint8_t *key)
{
    char prompt[32];

    for (;;) {
        CLEANUP(password_wipe) struct password line = {.len = 0};

        snprintf(prompt, sizeof(prompt), "Share %zu: ", gathered->n + 1);
        STEP(password_get(prompt, NULL, -1, false, &line));
        if (!add(gathered, line.text, line.len))
            return usage("too many shares");
        hsm_status status = hsm_recovery_key_join(gathered->texts, gathered->n, key);

        if (status == HSM_OK)
            return EXIT_OK;
        /* Mistyped, or not enough yet: the text says which, and a wrong one is asked for again. */
        fprintf(stderr, "%s\n", hsm_last_error()->detail);
        if (!strstr(hsm_last_error()->detail, "that are needed"))
            gathered->n--;
    }
}

int recovery_read(const struct context *context, struct recovery *recovery)
{
    CLEANUP(gathered_wipe) struct gathered *gathered = calloc(1, sizeof(*gathered));

    if (!gathered)
        return usage("no memory for shares");
    recovery->given = true;
    if (!context->options.recovery_file)
        return ask(gathered, recovery->key);
    STEP(read_lines(context->options.recovery_file, gathered));
    CALL("recovery key", hsm_recovery_key_join(gathered->texts, gathered->n, recovery->key));
    return EXIT_OK;
}
