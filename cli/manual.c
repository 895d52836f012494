/* Completion and man page, both from the tables of commands and options. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "options.h"

static void print_option_word(const char *name, const char *argument, const char *doc)
{
    (void)argument;
    (void)doc;
    printf(" --%s", name);
}

static void print_cases(void)
{
    for (unsigned i = 0; i < N_COMMANDS; i++) {
        printf("        '%s') options='", COMMANDS[i].words);
        options_each(&COMMANDS[i], print_option_word);
        options_each(NULL, print_option_word);
        printf("' ;;\n");
    }
}

int run_completion(struct context *context)
{
    if (strcmp(context->arguments[0], "bash"))
        return usage("there is completion for bash only");
    printf("# bash completion for hsm\n_hsm()\n{\n    local words='' word options='' commands='");
    for (unsigned i = 0; i < N_COMMANDS; i++)
        printf("%s%s", i ? "|" : "", COMMANDS[i].words);
    printf("'\n    local current=${COMP_WORDS[COMP_CWORD]}\n"
           "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
           "        case $word in -*) ;; *) words=\"${words:+$words }$word\" ;; esac\n"
           "    done\n"
           "    case $words in\n");
    print_cases();
    printf("    esac\n"
           "    if [ -n \"$options\" ]; then\n"
           "        case $current in -*) COMPREPLY=($(compgen -W \"$options\" -- \"$current\")); return ;; esac\n"
           "        COMPREPLY=($(compgen -f -- \"$current\")); return\n"
           "    fi\n"
           "    COMPREPLY=($(compgen -W \"$(printf '%%s' \"$commands\" | tr '|' '\\n' |\n"
           "        sed -n \"s/^${words:+$words }\\([a-z-]*\\).*/\\1/p\" | sort -u)\" -- \"$current\"))\n"
           "}\ncomplete -F _hsm hsm\n");
    return EXIT_OK;
}

static void print_option_item(const char *name, const char *argument, const char *doc)
{
    printf(".It Fl Fl %s%s%s\n%s.\n", name, argument ? " Ar " : "", argument ? argument : "", doc);
}

int run_man(struct context *context)
{
    (void)context;
    printf(".Dd $Mdocdate$\n.Dt HSM 1\n.Os\n.Sh NAME\n.Nm hsm\n.Nd operate and use a cluster of HSM nodes\n"
           ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar option ...\n.Sh DESCRIPTION\n"
           "Creates and runs clusters, manages users and keys, and uses keys.\n"
           "Output is for people unless\n.Fl Fl output Cm json\nis given.\n.Sh COMMANDS\n.Bl -tag -width Ds\n");
    for (unsigned i = 0; i < N_COMMANDS; i++) {
        printf(".It Cm %s%s%s\n%s.\n", COMMANDS[i].words, *COMMANDS[i].arguments ? " Ar " : "", COMMANDS[i].arguments,
               COMMANDS[i].summary);
        if (!*COMMANDS[i].options)
            continue;
        printf(".Bl -tag -width Ds\n");
        options_each(&COMMANDS[i], print_option_item);
        printf(".El\n");
    }
    printf(".El\n.Sh OPTIONS\n.Bl -tag -width Ds\n");
    options_each(NULL, print_option_item);
    printf(
        ".El\n.Sh EXIT STATUS\n.Bl -tag -width Ds\n.It 0\nDone.\n.It 1\nFailed.\n.It 2\nWrong use.\n.It 3\nNot found.\n"
        ".It 4\nNot logged in, or not permitted.\n.It 5\nNo node answered.\n"
        ".It 6\nA signature, tag or wrapped key is not valid.\n.El\n");
    return EXIT_OK;
}
