/*
 * testing_differ.c - troupe/testing.h's comparisons: how a value, or what a function returned, differs from what a test expects, in
 * words. Any thread; it knows no runtime.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "actors/values.h"
#include "transport/base/base.h"
#include <troupe/testing.h>

enum { SHOWN_MOST = 400 };
static const trp_value none = {.kind = TRP_NONE};

/* Where two values differ, from the outside in. */
struct place {
    char text[128]; /* ".marks[2]"; "": the whole */
    trp_value got, expected;
};

/* Appends what there is room for. */
static void add(char *text, size_t size, const char *format, ...) TRP_PRINTF(3, 4);
static void
add(char *text, size_t size, const char *format, ...)
{
    const size_t used = strnlen(text, size);
    va_list list;

    if (used >= size)
        return;
    va_start(list, format);
    (void)vsnprintf(text + used, size - used, format, list);
    va_end(list);
}

/* A value, cut with "..." where it is long; with its kind where that matters. */
static void
add_value(char *text, size_t size, trp_value value, bool with_kind)
{
    char shown[SHOWN_MOST + 1];
    size_t whole;

    if (value.kind == TRP_NONE) {
        add(text, size, "nothing");
        return;
    }
    whole = trp_format(value, shown, sizeof shown);
    add(text, size, "%s%s", shown, whole >= sizeof shown ? "..." : "");
    if (with_kind)
        add(text, size, ", %s", tri_kind_words(value.kind));
}

/* Item i of both; TRP_NONE beyond the end of one. */
static bool
step_into_item(struct place *place)
{
    const trp_value got = place->got, expected = place->expected;

    for (size_t i = 0; i < got.size || i < expected.size; i++) {
        const trp_value a = i < got.size ? trp_at(got, i) : none;
        const trp_value b = i < expected.size ? trp_at(expected, i) : none;
        if (a.kind != TRP_NONE && b.kind != TRP_NONE && trp_equal(a, b))
            continue;
        add(place->text, sizeof place->text, "[%zu]", i);
        place->got = a;
        place->expected = b;
        return true;
    }
    return false;
}

/* The first key of `from` whose value the other one has not, or otherwise. */
static bool
step_into_entry(struct place *place, trp_value from)
{
    for (size_t i = 0; i < from.size; i++) {
        const char *key = trp_as_str(trp_key_at(from, i));
        const trp_value a = trp_field(place->got, key), b = trp_field(place->expected, key);
        if (a.kind != TRP_NONE && b.kind != TRP_NONE && trp_equal(a, b))
            continue;
        add(place->text, sizeof place->text, ".%.60s", key);
        place->got = a;
        place->expected = b;
        return true;
    }
    return false;
}

static void
find_place(struct place *place)
{
    bool deeper = true;

    for (int level = 0; deeper && level <= TRP_NESTING_MAX; level++) {
        const trp_kind kind = place->got.kind;
        if (kind != place->expected.kind)
            return;
        if (kind == TRP_MAP)
            deeper = step_into_entry(place, place->expected) || step_into_entry(place, place->got);
        else
            deeper = (kind == TRP_LIST || kind == TRP_TUPLE || kind == TRP_ARGS) && step_into_item(place);
    }
}

bool
trp_test_differ(trp_value got, trp_value expected, char *text, size_t size)
{
    struct place place = {"", got, expected};
    bool kinds_differ;

    if (trp_equal(got, expected) || (got.kind == TRP_NONE && expected.kind == TRP_NONE))
        return false;
    if (size == 0)
        return true;
    find_place(&place);
    kinds_differ = place.got.kind != place.expected.kind;
    text[0] = '\0';
    add(text, size, "got       ");
    add_value(text, size, got, kinds_differ && place.text[0] == '\0');
    add(text, size, "\nexpected  ");
    add_value(text, size, expected, kinds_differ && place.text[0] == '\0');
    if (place.text[0] == '\0')
        return true;
    add(text, size, "\nat %s: ", place.text);
    add_value(text, size, place.got, kinds_differ);
    add(text, size, "; not ");
    add_value(text, size, place.expected, kinds_differ);
    return true;
}

bool
trp_test_returned(trp_err got, trp_err expected, const trp_error *error, char *text, size_t size)
{
    const bool told = got != TRP_OK && error != NULL && error->code == got && error->message[0] != '\0';

    if (got == expected)
        return false;
    if (size == 0)
        return true;
    text[0] = '\0';
    add(text, size, "got       %s", trp_strerror(got));
    add(text, size, "\nexpected  %s", trp_strerror(expected));
    if (told)
        add(text, size, "\nit said   %s", error->message);
    if (told && error->code == TRP_ETASK && error->cause != 0)
        add(text, size, "\ncause     %s", trp_strerror((trp_err)error->cause));
    return true;
}
