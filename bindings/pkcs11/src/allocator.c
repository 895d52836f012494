/* One allocator for the module and all that it needs. OpenSSL's pkcs11-provider loads modules with RTLD_DEEPBIND: then
 * they and what they bring along (libyaml) call the C library's malloc and free, even in a program that has its own, as
 * BIND has jemalloc; while the C library's own functions, strdup and strndup among them, call the program's. What these
 * gave would go back to another allocator than it came from. So the module exports what it needs of them, made of the
 * malloc that goes with the free of who calls. Nobody finds these where modules are loaded otherwise: the C library's
 * come first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

EXPORTED char *strndup(const char *text, size_t max)
{
    size_t len = strnlen(text, max);
    char *copy = malloc(len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

EXPORTED char *strdup(const char *text)
{
    return strndup(text, strlen(text));
}

EXPORTED void *reallocarray(void *old, size_t n, size_t size)
{
    size_t len;

    if (__builtin_mul_overflow(n, size, &len)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, len);
}
