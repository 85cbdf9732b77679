/*
 * values.h - private to actors/: pictures, the letters that say of which kind a value is to be (troupe/base.h).
 */
#ifndef TRI_VALUES_H
#define TRI_VALUES_H

#include "schemas/schemas.h"

/* How a value misses a picture: "", or ", at [2].score", the place; and both kinds, in words: "an int64", "a string". */
struct tri_miss {
    char place[128];
    const char *expected;
    const char *found;
    bool bad_picture;
};

/* One picture at *picture, which is moved behind it. false: it is none, or nested deeper than 32. */
bool tri_picture_skip(const char **picture);
/* Whether the value is as the picture at `picture` says; else how it misses. *converts (may be NULL): an int64 stands where a
 * float64, or a number where a bool was asked for. */
bool tri_picture_fits(const char *picture, trp_value value, bool *converts, struct tri_miss *miss);
/* The value at one place, converted to what the letter there asks for (which it fits). */
trp_value tri_picture_convert(char letter, trp_value value);
/* Walks from the outside in: the level of the outermost value is tri_level_of, that of what lies in another one more. false:
 * here is one level too many (TRP_NESTING_MAX), or arguments where none can be. Arguments and keywords are no levels. */
static inline int
tri_level_of(trp_value value)
{
    return value.kind == TRP_ARGS ? -2 : value.kind == TRP_KEYWORD ? -1 : 0;
}
static inline bool
tri_level_may_open(trp_kind kind, int *level)
{
    if (kind == TRP_ARGS || kind == TRP_KEYWORD)
        return *level < (kind == TRP_ARGS ? -1 : 0);
    if (*level < 0)
        *level = 0;
    return *level < TRP_NESTING_MAX;
}
/* "an int64" */
const char *tri_kind_words(trp_kind kind);
const char *tri_letter_words(char letter);
trp_kind tri_letter_kind(char letter); /* TRP_NONE: 'v', any */

#endif
