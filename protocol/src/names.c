/* Names that people type: see names.h. */
#include "protocol/names.h"

#include <ctype.h>
#include <string.h>

static char folded(char c)
{
    return c == '-' ? '_' : (char)toupper((unsigned char)c);
}

bool names_equal(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if (folded(*a) != folded(*b))
            return false;
    }
    return *a == *b;
}

unsigned names_distance(const char *a, const char *b)
{
    unsigned row[NAME_DISTANCE_LEN + 1];
    unsigned n = (unsigned)strnlen(b, NAME_DISTANCE_LEN);

    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 0; i < NAME_DISTANCE_LEN && a[i]; i++) {
        unsigned diagonal = row[0];

        row[0] = i + 1;
        for (unsigned j = 1; j <= n; j++) {
            unsigned changed = diagonal + (folded(a[i]) != folded(b[j - 1]));
            unsigned best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

            diagonal = row[j];
            row[j] = changed < best ? changed : best;
        }
    }
    return row[n];
}
