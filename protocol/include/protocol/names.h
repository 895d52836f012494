/* Names that people type: settings, mechanisms, key types, commands. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define NAME_DISTANCE_LEN 48u /* what lies beyond counts for nothing */

/** The same but for the case of letters and '_' for '-'. */
bool names_equal(const char *a, const char *b);

/** Levenshtein's distance of the two, up to NAME_DISTANCE_LEN: to say which name was meant. Case costs nothing, nor '_'
 * for '-'. */
unsigned names_distance(const char *a, const char *b);
