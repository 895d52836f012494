/* hsm, the command for operators and developers: finds the command that was meant, checks its options, runs it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "options.h"
#include "protocol/names.h"

/* --- which command --- */

static unsigned n_words(const char *words)
{
    return strchr(words, ' ') ? 2 : 1;
}

static bool matches(const struct command *command, const char **arguments, unsigned n)
{
    char joined[128];

    if (n < n_words(command->words))
        return false;
    if (n_words(command->words) == 1)
        return strcmp(command->words, arguments[0]) == 0;
    snprintf(joined, sizeof(joined), "%s %s", arguments[0], arguments[1]);
    return strcmp(command->words, joined) == 0;
}

static const struct command *find(const char **arguments, unsigned n)
{
    for (unsigned i = 0; i < N_COMMANDS; i++) {
        if (matches(&COMMANDS[i], arguments, n))
            return &COMMANDS[i];
    }
    return NULL;
}

static const char *nearest(const char **arguments, unsigned n)
{
    const char *best = COMMANDS[0].words;
    unsigned least = 64;

    for (unsigned i = 0; i < N_COMMANDS; i++) {
        char typed[128];

        snprintf(typed, sizeof(typed), "%s%s%s", arguments[0], n > 1 && n_words(COMMANDS[i].words) == 2 ? " " : "",
                 n > 1 && n_words(COMMANDS[i].words) == 2 ? arguments[1] : "");
        if (names_distance(typed, COMMANDS[i].words) < least) {
            least = names_distance(typed, COMMANDS[i].words);
            best = COMMANDS[i].words;
        }
    }
    return best;
}

/* --- help --- */

static void print_commands(const char *group)
{
    for (unsigned i = 0; i < N_COMMANDS; i++) {
        const struct command *command = &COMMANDS[i];
        size_t len = group ? strlen(group) : 0;

        if (!group || (strncmp(command->words, group, len) == 0 && command->words[len] == ' '))
            printf("  %-25s %s\n", command->words, command->summary);
    }
}

static int print_help(const struct command *command)
{
    if (!command) {
        printf("usage: hsm COMMAND [OPTION...]\n\nCommands (hsm COMMAND --help tells more):\n");
        print_commands(NULL);
        printf("\nOptions of every command:\n");
        options_print(NULL);
        printf("\nExit status: 0 done, 1 failed, 2 wrong use, 3 not found, 4 not logged in or not permitted,\n"
               "5 no node answered, 6 a signature, tag or wrapped key is not valid.\n");
        return EXIT_OK;
    }
    printf("usage: hsm %s%s%s [OPTION...]\n\n%s\n\n", command->words, *command->arguments ? " " : "",
           command->arguments, command->summary);
    options_print(command);
    printf("\nOptions of every command:\n");
    options_print(NULL);
    return EXIT_OK;
}

static bool is_group(const char *word)
{
    for (unsigned i = 0; i < N_COMMANDS; i++) {
        if (strncmp(COMMANDS[i].words, word, strlen(word)) == 0 && COMMANDS[i].words[strlen(word)] == ' ')
            return true;
    }
    return false;
}

static int unknown(const char **arguments, unsigned n)
{
    if (n == 0) {
        print_help(NULL);
        return EXIT_USAGE;
    }
    if (n == 1 && is_group(arguments[0])) {
        fprintf(stderr, "hsm %s: which?\n", arguments[0]);
        print_commands(arguments[0]);
        return EXIT_USAGE;
    }
    return usage("there is no command '%s%s%s'; did you mean 'hsm %s'?", arguments[0], n > 1 ? " " : "",
                 n > 1 ? arguments[1] : "", nearest(arguments, n));
}

/* --- running --- */

static int run(const struct command *command, struct context *context)
{
    const char *alien = options_alien(command);
    const char *output = context->options.output;

    if (alien)
        return usage("%s does not take --%s: see hsm %s --help", command->words, alien, command->words);
    if (context->n_arguments < command->min_arguments || context->n_arguments > command->max_arguments)
        return usage("usage: hsm %s %s", command->words, command->arguments);
    if (output && strcmp(output, "json") && strcmp(output, "table"))
        return usage("--output is table or json, not %s", output);
    context->json = output && strcmp(output, "json") == 0;
    int status = command->run(context);

    context_close(context);
    return status;
}

int usage(const char *format, ...)
{
    va_list arguments;

    fputs("hsm: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct context context = {0};
    poptContext popt;

    if (!options_parse(argc, (const char **)argv, &context.options, &popt))
        return EXIT_USAGE;
    const char **arguments = poptGetArgs(popt);
    unsigned n = 0;

    while (arguments && arguments[n])
        n++;
    const struct command *command = n ? find(arguments, n) : NULL;
    int status;

    if (options_version_wanted())
        status = printf("hsm %s\n", HSM_VERSION_TEXT) < 0;
    else if (options_help_wanted() && (command || n == 0))
        status = print_help(command);
    else if (!command)
        status = unknown(arguments, n);
    else {
        context.arguments = arguments + n_words(command->words);
        context.n_arguments = n - n_words(command->words);
        status = run(command, &context);
    }
    poptFreeContext(popt);
    return status;
}
