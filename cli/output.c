/* Results, for people as tables and for machines as JSON. */
#include <ctype.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "command.h"

void say(const struct context *context, const char *format, ...)
{
    va_list arguments;

    if (context->json)
        return;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

const char *dashed(const char *name, char *buffer, size_t size)
{
    size_t i = 0;

    for (; name && name[i] && i + 1 < size; i++)
        buffer[i] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
    buffer[i] = 0;
    return buffer;
}

void hex_text(const uint8_t *data, size_t len, char *text)
{
    for (size_t i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", data[i]);
    text[2 * len] = 0;
}

json_t *json_hex(const uint8_t *data, size_t len)
{
    char *text = malloc(2 * len + 1);
    json_t *value;

    if (!text)
        return json_null();
    hex_text(data, len, text);
    value = json_string(text);
    free(text);
    return value;
}

json_t *json_time(uint64_t ms)
{
    char text[32];
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    if (!ms || !gmtime_r(&seconds, &tm))
        return json_null();
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

static int print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2));

    if (!text)
        return usage("out of memory");
    puts(text);
    free(text);
    return EXIT_OK;
}

static void cell_text(const json_t *value, char *text, size_t size)
{
    text[0] = 0;
    if (json_is_string(value))
        snprintf(text, size, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(text, size, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, size, "%.2f", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(text, size, "%s", json_is_true(value) ? "yes" : "no");
}

static void add_columns(struct libscols_table *table, const char *const *columns, unsigned n_columns)
{
    for (unsigned i = 0; i < n_columns; i++) {
        char title[64];

        snprintf(title, sizeof(title), "%s", columns[i]);
        for (char *c = title; *c; c++)
            *c = *c == '_' ? ' ' : (char)toupper((unsigned char)*c);
        scols_table_new_column(table, title, 0, 0);
    }
}

int output_rows(const struct context *context, json_t *rows, const char *const *columns, unsigned n_columns)
{
    struct libscols_table *table;
    size_t i;
    json_t *row;

    if (context->json)
        return print_json(rows);
    table = scols_new_table();
    if (!table)
        return usage("out of memory");
    add_columns(table, columns, n_columns);
    json_array_foreach(rows, i, row)
    {
        struct libscols_line *line = scols_table_new_line(table, NULL);

        for (unsigned j = 0; line && j < n_columns; j++) {
            char text[512];

            cell_text(json_object_get(row, columns[j]), text, sizeof(text));
            scols_line_set_data(line, j, text);
        }
    }
    scols_print_table(table);
    scols_unref_table(table);
    return EXIT_OK;
}

int output_object(const struct context *context, json_t *object)
{
    const char *key;
    json_t *value;

    if (context->json)
        return print_json(object);
    json_object_foreach(object, key, value)
    {
        char text[4096];

        if (json_is_array(value) || json_is_object(value))
            continue;
        cell_text(value, text, sizeof(text));
        printf("%-24s %s\n", key, text);
    }
    return EXIT_OK;
}
