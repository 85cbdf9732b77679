/*
 * values_check.c - pictures: whether a value is as "[(si)]" says, and how it misses if it is not. Pure; any thread.
 *
 * A picture nests at most 32 deep, so the recursion is bounded by what a program's author wrote, never by a message.
 */
#include "actors/values.h"

#include <stdarg.h>
#include <stdio.h>

enum { PICTURE_DEPTH = 32 };

/* -------------------------------------------------------------------------------------------------------------- words */

static const struct letter {
    trp_kind kind;
    const char *words;
} letters[128] = {
    ['i'] = {TRP_I64, "an int64"},    ['d'] = {TRP_F64, "a float64"},  ['?'] = {TRP_BOOL, "a bool"},
    ['s'] = {TRP_STR, "a string"},    ['b'] = {TRP_BYTES, "bytes"},    ['t'] = {TRP_TENSOR, "a tensor"},
    ['r'] = {TRP_REF, "a reference"}, ['a'] = {TRP_ACTOR, "an actor"}, ['v'] = {TRP_NONE, "a value"},
    ['['] = {TRP_LIST, "a list"},     ['('] = {TRP_TUPLE, "a tuple"},  ['{'] = {TRP_MAP, "a map"},
};

static const struct letter *
find_letter(char letter)
{
    unsigned char at = (unsigned char)letter;
    return at < 128 && letters[at].words != NULL ? &letters[at] : NULL;
}

const char *
tri_letter_words(char letter)
{
    const struct letter *found = find_letter(letter);
    return found != NULL ? found->words : "?";
}

trp_kind
tri_letter_kind(char letter)
{
    const struct letter *found = find_letter(letter);
    return found != NULL ? found->kind : TRP_NONE;
}

const char *
tri_kind_words(trp_kind kind)
{
    static const char *const words[] = {
        [TRP_NULL] = "null",      [TRP_BOOL] = "a bool",       [TRP_I64] = "an int64",    [TRP_F64] = "a float64",
        [TRP_STR] = "a string",   [TRP_BYTES] = "bytes",       [TRP_LIST] = "a list",     [TRP_TUPLE] = "a tuple",
        [TRP_MAP] = "a map",      [TRP_TENSOR] = "a tensor",   [TRP_REF] = "a reference", [TRP_ACTOR] = "an actor",
        [TRP_ARGS] = "arguments", [TRP_KEYWORD] = "a keyword",
    };
    if ((unsigned)kind < sizeof words / sizeof *words && words[kind] != NULL)
        return words[kind];
    return "nothing";
}

/* --------------------------------------------------------------------------------------------------------- the grammar */

static bool
skip(const char **picture, int depth)
{
    char letter = **picture;
    if (depth > PICTURE_DEPTH || find_letter(letter) == NULL)
        return false;
    ++*picture;
    if (letter == '[') {
        if (!skip(picture, depth + 1))
            return false;
        return *(*picture)++ == ']';
    }
    if (letter == '(') {
        while (**picture != ')')
            if (!skip(picture, depth + 1))
                return false;
        ++*picture;
    } else if (letter == '{') {
        if (*(*picture)++ != 's' || !skip(picture, depth + 1))
            return false;
        return *(*picture)++ == '}';
    }
    return true;
}

bool
tri_picture_skip(const char **picture)
{
    const char *at = *picture;
    if (!skip(&at, 0))
        return false;
    *picture = at;
    return true;
}

/* ----------------------------------------------------------------------------------------------------------- matching */

struct matching {
    struct tri_miss *miss;
    char place[sizeof((struct tri_miss *)0)->place];
    bool converts;
};

static bool fits(struct matching *matching, const char *picture, trp_value value);

/* Writes one more step of the way behind what is there; returns where it began. */
__attribute__((format(printf, 2, 3))) static size_t
enter(struct matching *matching, const char *format, ...)
{
    size_t used = strlen(matching->place);
    va_list list;
    va_start(list, format);
    vsnprintf(matching->place + used, sizeof matching->place - used, format, list);
    va_end(list);
    return used;
}

static bool
missed(struct matching *matching, const char *expected, const char *found)
{
    if (matching->miss != NULL) {
        memset(matching->miss, 0, sizeof *matching->miss);
        snprintf(matching->miss->place, sizeof matching->miss->place, "%s", matching->place);
        matching->miss->expected = expected;
        matching->miss->found = found;
    }
    return false;
}

static bool
fits_list(struct matching *matching, const char *picture, trp_value value)
{
    for (size_t i = 0; i < value.size; i++) {
        size_t used = enter(matching, "[%zu]", i);
        if (!fits(matching, picture, trp_at(value, i)))
            return false;
        matching->place[used] = '\0';
    }
    return true;
}

static bool
fits_map(struct matching *matching, const char *picture, trp_value value)
{
    for (size_t i = 0; i < value.size; i++) {
        trp_value key = trp_key_at(value, i);
        size_t used = enter(matching, "[\"%.32s\"]", trp_as_str(key));
        if (key.kind != TRP_STR)
            return missed(matching, "a string for a key", tri_kind_words(key.kind));
        if (!fits(matching, picture, trp_at(value, i)))
            return false;
        matching->place[used] = '\0';
    }
    return true;
}

static bool
fits_tuple(struct matching *matching, const char *picture, trp_value value)
{
    size_t i = 0;
    for (; *picture != ')'; i++) {
        size_t used = enter(matching, "(%zu)", i);
        if (!fits(matching, picture, trp_at(value, i)))
            return false;
        matching->place[used] = '\0';
        skip(&picture, 0);
    }
    return i == value.size || missed(matching, "a tuple of fewer items", "one of more");
}

static bool
fits(struct matching *matching, const char *picture, trp_value value)
{
    const struct letter *letter = find_letter(*picture);
    if (*picture == 'v')
        return (value.kind != TRP_NONE && value.kind <= TRP_ACTOR) ||
               missed(matching, "a value", tri_kind_words(value.kind));
    if (*picture == 'd' && value.kind == TRP_I64)
        return matching->converts = true;
    if (*picture == '?' && value.kind == TRP_I64 && (value.as.i64 == 0 || value.as.i64 == 1))
        return matching->converts = true;
    if (value.kind != letter->kind)
        return missed(matching, letter->words, tri_kind_words(value.kind));
    if (*picture == '[')
        return fits_list(matching, picture + 1, value);
    if (*picture == '(')
        return fits_tuple(matching, picture + 1, value);
    if (*picture == '{')
        return fits_map(matching, picture + 2, value);
    return true;
}

bool
tri_picture_fits(const char *picture, trp_value value, bool *converts, struct tri_miss *miss)
{
    struct matching matching = {.miss = miss};
    const char *end = picture;
    if (!tri_picture_skip(&end)) {
        if (miss != NULL)
            *miss = (struct tri_miss){.bad_picture = true};
        return false;
    }
    bool good = fits(&matching, picture, value);
    if (converts != NULL)
        *converts = matching.converts;
    return good;
}

trp_value
tri_picture_convert(char letter, trp_value value)
{
    if (letter == 'd' && value.kind == TRP_I64)
        return trp_f64((double)value.as.i64);
    if (letter == '?' && value.kind == TRP_I64)
        return trp_bool(value.as.i64 != 0);
    return value;
}

trp_err
trp_check(trp_value value, const char *picture, trp_error *error)
{
    struct tri_miss miss;
    const char *end = picture;
    if (picture == NULL || !tri_picture_skip(&end) || *end != '\0')
        return TRI_FAIL(error, TRP_EINVAL, "'%s' is no picture of a value", picture != NULL ? picture : "NULL");
    if (tri_picture_fits(picture, value, NULL, &miss))
        return TRP_OK;
    return TRI_FAIL(error, TRP_ETYPE, "the value%s%s is to be %s, and is %s", miss.place[0] != '\0' ? " at " : "",
                    miss.place, miss.expected, miss.found);
}
