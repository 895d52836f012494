/* Structured logging: one line an event, key=value or JSON, to stderr (journald) or a file. Never secrets. Thread-safe.
 */
#pragma once

#include "protocol/bytes.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_settings {
    enum log_level level;
    bool json;
    const char *file; /* NULL: stderr */
};

status_code log_open(const struct log_settings *settings);
void log_close(void);
bool log_enabled(enum log_level level);

/** `event` is a short constant ("node started"); then pairs of key and value, all const char *, ended by NULL. Values
 * are escaped. */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

/** For numbers as values: a text that lives until the thread's eighth next call. */
const char *log_number(long long number);
const char *log_hex(struct slice bytes);
