/* Structured log lines: key=value or JSON, one write(2) a line, to stderr or a file that can be reopened.
 *
 * A line is bounded (LINE_MAX_LEN) and printable whatever the values hold: control characters, quotes and invalid UTF-8
 * are escaped, so that nothing that a client sent can forge a line or drive a terminal. Called by every part of the
 * node, from any thread; works (to stderr) before log_open. */
#include "observe/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN  8192u
#define VALUE_MAX_LEN 1024u
#define RING          8u

static const char *const LEVEL_NAMES[] = {"error", "warning", "info", "debug"};

static _Atomic int log_level = LOG_LEVEL_INFO;
static _Atomic bool log_json;
static _Atomic int log_fd = STDERR_FILENO;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER; /* one line at a time; opening and closing */

struct line {
    char text[LINE_MAX_LEN];
    size_t len;
    bool json;
    bool full;
};

static void line_put(struct line *line, const char *text, size_t len)
{
    /* Room is kept for what ends a line, so that a cut one is still well-formed. */
    if (line->full || len > sizeof line->text - line->len - 4) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void line_text(struct line *line, const char *text)
{
    line_put(line, text, strlen(text));
}

/** Bytes of the UTF-8 sequence at `at`; 0 when it is none (RFC 3629, section 4; overlong and surrogates are none). */
static size_t utf8_len(const unsigned char *at, size_t left)
{
    if (at[0] < 0x80)
        return 1;
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool wrong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
                 (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f);
    return wrong ? 0 : len;
}

static void line_escaped(struct line *line, unsigned char byte)
{
    char escape[8];
    snprintf(escape, sizeof escape, "\\u%04x", byte);
    line_text(line, escape);
}

/** C1 control characters (U+0080 to U+009F) are escaped too: terminals obey them. */
static bool is_control(const unsigned char *at, size_t len)
{
    return len == 0 || at[0] < 0x20 || at[0] == 0x7f || (len == 2 && at[0] == 0xc2 && at[1] < 0xa0);
}

static void line_quoted(struct line *line, const char *value)
{
    const unsigned char *at = (const unsigned char *)value;
    size_t left = strnlen(value, VALUE_MAX_LEN);

    line_put(line, "\"", 1);
    while (left > 0) {
        size_t len = utf8_len(at, left);
        if (*at == '"' || *at == '\\')
            line_put(line, "\\", 1);
        if (is_control(at, len))
            line_escaped(line, len == 2 ? at[1] : at[0]);
        else
            line_put(line, (const char *)at, len);
        at += len ? len : 1;
        left -= len ? len : 1;
    }
    line_put(line, "\"", 1);
}

static bool is_plain(const char *value)
{
    size_t len = strnlen(value, VALUE_MAX_LEN);
    return len > 0 && len < VALUE_MAX_LEN &&
           strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/+@,%") == len;
}

static void line_pair(struct line *line, const char *key, const char *value)
{
    size_t before = line->len;

    if (line->json) {
        line_text(line, before == 0 ? "{" : ",");
        line_quoted(line, key);
        line_put(line, ":", 1);
        line_quoted(line, value);
    } else {
        line_text(line, before == 0 ? "" : " ");
        line_text(line, key);
        line_put(line, "=", 1);
        if (is_plain(value))
            line_text(line, value);
        else
            line_quoted(line, value);
    }
    if (line->full) /* a pair that does not fit is left out as a whole */
        line->len = before;
}

static void line_time(char out[32])
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + len, 32 - len, ".%03uZ", (unsigned)(now.tv_nsec / 1000000) % 1000u);
}

/** A log that cannot be written (a full disk) must not stop the node: what does not fit is dropped. */
static void line_write(struct line *line)
{
    if (line->json)
        line->text[line->len++] = '}';
    line->text[line->len++] = '\n';

    pthread_mutex_lock(&log_lock);
    const char *at = line->text;
    size_t left = line->len;
    while (left > 0) {
        ssize_t n = write(atomic_load(&log_fd), at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += n;
        left -= (size_t)n;
    }
    pthread_mutex_unlock(&log_lock);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

void log_event(enum log_level level, const char *event, ...)
{
    if (!log_enabled(level))
        return;

    int saved = errno;
    struct line line;
    char time_text[32];
    line.len = 0;
    line.full = false;
    line.json = atomic_load(&log_json);
    line_time(time_text);
    line_pair(&line, "time", time_text);
    line_pair(&line, "level", LEVEL_NAMES[level]);
    line_pair(&line, "event", event);

    va_list pairs;
    va_start(pairs, event);
    for (const char *key = va_arg(pairs, const char *); key; key = va_arg(pairs, const char *)) {
        const char *value = va_arg(pairs, const char *);
        line_pair(&line, key, value ? value : "");
    }
    va_end(pairs);
    line_write(&line);
    errno = saved;
}

/** The file's descriptor, or stderr's. */
static status_code log_file_open(const char *file, int *fd)
{
    *fd = STDERR_FILENO;
    if (!file || !file[0])
        return STATUS_OK;
    *fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    CHECK(*fd >= 0, STATUS_CONFIG_INVALID, "log-file %s cannot be opened: %s", file, strerror(errno));
    return STATUS_OK;
}

status_code log_open(const struct log_settings *settings)
{
    int fd;
    TRY(log_file_open(settings->file, &fd));

    pthread_mutex_lock(&log_lock);
    int before = atomic_exchange(&log_fd, fd);
    if (before != STDERR_FILENO)
        close(before);
    pthread_mutex_unlock(&log_lock);
    atomic_store(&log_level, (int)settings->level);
    atomic_store(&log_json, settings->json);
    return STATUS_OK;
}

void log_close(void)
{
    pthread_mutex_lock(&log_lock);
    int before = atomic_exchange(&log_fd, STDERR_FILENO);
    if (before != STDERR_FILENO)
        close(before);
    pthread_mutex_unlock(&log_lock);
}

const char *log_number(long long number)
{
    static _Thread_local char ring[RING][24];
    static _Thread_local unsigned next;
    char *text = ring[next++ % RING];
    snprintf(text, sizeof ring[0], "%lld", number);
    return text;
}

const char *log_hex(struct slice bytes)
{
    enum { SHOWN = 64 };
    static _Thread_local char ring[RING][2 * SHOWN + 1];
    static _Thread_local unsigned next;
    char *text = ring[next++ % RING];
    hex_encode(slice_of(bytes.data, bytes.len < SHOWN ? bytes.len : SHOWN), text);
    return text;
}
