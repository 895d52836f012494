/* Passwords: from a file, from a file descriptor, or asked for on the terminal without echo; never from an argument. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "command.h"

void password_wipe(struct password *password)
{
    OPENSSL_cleanse(password, sizeof(*password));
}

/* The first line of what the descriptor yields. */
static int read_line(int fd, const char *what, struct password *password)
{
    char c;

    password->len = 0;
    for (;;) {
        ssize_t n = read(fd, &c, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return usage("%s: %s", what, strerror(errno));
        if (n == 0 || c == '\n')
            break;
        if (password->len > HSM_PASSWORD_MAX)
            return usage("%s: a password has at most %d bytes", what, HSM_PASSWORD_MAX);
        password->text[password->len++] = c;
    }
    password->text[password->len] = 0;
    return password->len ? EXIT_OK : usage("%s: the password is empty", what);
}

static int read_file(const char *path, struct password *password)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return usage("%s: %s", path, strerror(errno));
    int status = read_line(fd, path, password);

    close(fd);
    return status;
}

static int ask(const char *prompt, struct password *password)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    struct termios before, silent;

    if (fd < 0 || tcgetattr(fd, &before) != 0) {
        if (fd >= 0)
            close(fd);
        return usage("a password is needed and there is no terminal: use --password-file or --password-fd");
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(fd, TCSAFLUSH, &silent);
    dprintf(fd, "%s", prompt);
    int status = read_line(fd, "password", password);

    tcsetattr(fd, TCSAFLUSH, &before);
    dprintf(fd, "\n");
    close(fd);
    return status;
}

int password_get(const char *prompt, const char *file, int fd, bool twice, struct password *password)
{
    CLEANUP(password_wipe) struct password again = {.len = 0};

    if (file)
        return read_file(file, password);
    if (fd >= 0)
        return read_line(fd, "password", password);
    STEP(ask(prompt, password));
    if (!twice)
        return EXIT_OK;
    STEP(ask("Again: ", &again));
    if (again.len != password->len || CRYPTO_memcmp(again.text, password->text, again.len) != 0)
        return usage("the two passwords differ");
    return EXIT_OK;
}

int confirm(const struct context *context, const char *format, ...)
{
    char answer[16] = "", question[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(question, sizeof(question), format, arguments);
    va_end(arguments);
    if (context->options.all)
        return EXIT_OK;
    if (!isatty(STDIN_FILENO))
        return usage("%s Give --yes to do it without being asked.", question);
    printf("%s [y/N] ", question);
    fflush(stdout);
    if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
        return EXIT_FAILED;
    return EXIT_OK;
}
