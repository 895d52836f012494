/* The options of all commands, parsed by popt from one table. */
#pragma once

#include <popt.h>
#include "command.h"

/** Parses argv; what is no option is left to poptGetArgs of *popt, which the caller frees. False after a message. */
bool options_parse(int argc, const char **argv, struct options *options, poptContext *popt);

/** Names of options given that `command` does not take; NULL when there is none. */
const char *options_alien(const struct command *command);

bool options_help_wanted(void);
bool options_version_wanted(void);
void options_print(const struct command *command); /* NULL: those that every command takes */

/** Calls `visit` for each option that the command takes (NULL: the common ones). */
void options_each(const struct command *command,
                  void (*visit)(const char *name, const char *argument, const char *doc));
