/*
 * parameters.c - the parameters of a description ("name:s, score:d=60"), and values that fit a picture, plain or odd, or do not.
 * Pure; one thread. The loader has taken the description: what is wrong in it was refused.
 */
#include "tools/module/module.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------------- taking it apart */

/* Up to a comma that is in no string and no brackets. */
static size_t
length_of(const char *text)
{
    bool quoted = false;
    size_t i = 0;
    int depth = 0;

    for (; text[i] != '\0' && (quoted || depth > 0 || text[i] != ','); i++) {
        if (quoted && text[i] == '\\' && text[i + 1] != '\0')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && strchr("[{(", text[i]) != NULL)
            depth++;
        else if (!quoted && strchr("]})", text[i]) != NULL)
            depth--;
    }
    return i;
}

/* Without blanks at its ends, cut to the room that there is. */
static void
copy_part(char *into, size_t size, const char *text, size_t length)
{
    while (length > 0 && *text == ' ') {
        text++;
        length--;
    }
    while (length > 0 && text[length - 1] == ' ')
        length--;
    (void)snprintf(into, size, "%.*s", (int)length, text);
}

static void
read_one(const char *text, size_t length, struct tri_parameters *parameters)
{
    struct tri_parameter *one = &parameters->list[parameters->count];
    const char *colon = memchr(text, ':', length), *equals, *end = text + length;

    if (colon == NULL) {
        parameters->open = parameters->open || memchr(text, '.', length) != NULL;
        return;
    }
    equals = memchr(colon, '=', (size_t)(end - colon));
    copy_part(one->name, sizeof one->name, text, (size_t)(colon - text));
    copy_part(one->picture, sizeof one->picture, colon + 1, (size_t)((equals != NULL ? equals : end) - colon - 1));
    one->fallback[0] = '\0';
    if (equals != NULL)
        copy_part(one->fallback, sizeof one->fallback, equals + 1, (size_t)(end - equals - 1));
    parameters->count++;
}

void
tri_parameters_read(const char *description, struct tri_parameters *parameters)
{
    parameters->count = 0;
    parameters->open = false;
    while (*description != '\0' && parameters->count < TRI_PARAMETERS_MAX) {
        const size_t length = length_of(description);
        read_one(description, length, parameters);
        description += length + (description[length] == ',' ? 1 : 0);
    }
}

/* ------------------------------------------------------------------------------------------------------------- samples */

enum { LONG_TEXT = 16384 };

static const char *
skip_picture(const char *picture)
{
    int depth = 0;

    do {
        depth += strchr("[({", *picture) != NULL ? 1 : 0;
        depth -= strchr("])}", *picture) != NULL ? 1 : 0;
        picture++;
    } while (depth > 0 && *picture != '\0');
    return picture;
}

static trp_value *
room(struct tri_samples *samples, size_t count)
{
    trp_value *items = samples->items + samples->used;

    if (count > sizeof samples->items / sizeof *samples->items - samples->used)
        return NULL;
    samples->used += count;
    return items;
}

static const trp_value none = {.kind = TRP_NONE};

static trp_value sample_at(struct tri_samples *samples, const char *picture, int turn);

static trp_value
sample_list(struct tri_samples *samples, const char *picture, int turn)
{
    trp_value *items = room(samples, 2);

    if (turn == 1)
        return trp_list(NULL, 0);
    if (items == NULL)
        return none;
    items[0] = items[1] = sample_at(samples, picture + 1, turn);
    return items[0].kind == TRP_NONE ? none : trp_list(items, 2);
}

static trp_value
sample_map(struct tri_samples *samples, const char *picture, int turn)
{
    trp_value *items = room(samples, 2);

    if (turn == 1)
        return trp_map(NULL, 0);
    if (items == NULL)
        return none;
    items[0] = trp_str(turn == 2 ? "" : "key");
    items[1] = sample_at(samples, picture + 2, turn);
    return items[1].kind == TRP_NONE ? none : trp_map(items, 1);
}

static trp_value
sample_tuple(struct tri_samples *samples, const char *picture, int turn)
{
    trp_value *items;
    size_t count = 0;

    for (const char *at = picture + 1; *at != ')' && *at != '\0'; at = skip_picture(at))
        count++;
    items = room(samples, count);
    if (items == NULL)
        return none;
    picture++;
    for (size_t i = 0; i < count; i++, picture = skip_picture(picture)) {
        items[i] = sample_at(samples, picture, turn);
        if (items[i].kind == TRP_NONE)
            return none;
    }
    return trp_tuple(items, count);
}

static trp_value
sample_text(int turn)
{
    static char long_text[LONG_TEXT + 1];

    if (long_text[0] == '\0')
        (void)memset(long_text, 'x', LONG_TEXT);
    return trp_str(turn == 0 ? "text" : turn == 1 ? "" : turn == 2 ? "%s%n/../\xc3\xa4\xf0\x9f\x8e\xad" : long_text);
}

static trp_value
sample_tensor(int turn)
{
    static float numbers[6] = {1, 2, 3, 4, 5, 6};
    static int64_t shapes[TRI_TURNS][2] = {{2, 3}, {0, 3}, {6, 1}, {1, 6}};
    static DLTensor tensors[TRI_TURNS];

    tensors[turn] = trp_dense(numbers, turn == 3 ? TRP_UINT8 : TRP_FLOAT32, 2, shapes[turn]);
    return trp_tensor(&tensors[turn]);
}

static trp_value
sample_at(struct tri_samples *samples, const char *picture, int turn)
{
    static const int64_t integers[TRI_TURNS] = {1, 0, INT64_MIN, INT64_MAX};
    static const double numbers[TRI_TURNS] = {1.5, 0, -HUGE_VAL, NAN};

    switch (*picture) {
    case 'i':
        return trp_i64(integers[turn]);
    case 'd':
        return trp_f64(numbers[turn]);
    case '?':
        return trp_bool(turn % 2 == 0);
    case 's':
        return sample_text(turn);
    case 'b':
        return trp_bytes(sample_text(turn).as.str, sample_text(turn).size);
    case 't':
        return sample_tensor(turn);
    case 'a':
        return samples->other != NULL ? trp_actor_value(samples->other) : none;
    case 'v':
        return turn == 0 ? trp_i64(1) : turn == 1 ? trp_null() : turn == 2 ? sample_text(2) : trp_list(NULL, 0);
    case '[':
        return sample_list(samples, picture, turn);
    case '{':
        return sample_map(samples, picture, turn);
    case '(':
        return sample_tuple(samples, picture, turn);
    default:
        return none; /* a reference of its own is replaced by its value before it gets there */
    }
}

trp_value
tri_sample(struct tri_samples *samples, const char *picture, int turn)
{
    const bool nested = picture[0] == '[' && picture[1] == 'r' && samples->object != NULL;
    trp_value *items = nested ? room(samples, 1) : NULL;

    if (items == NULL)
        return sample_at(samples, picture, turn);
    items[0] = trp_ref_value(samples->object);
    return trp_list(items, turn == 1 ? 0 : 1);
}

trp_value
tri_misfit(const char *picture)
{
    if (*picture == 'v')
        return none;
    return strchr("id?", *picture) != NULL ? trp_str("misfit") : trp_i64(7);
}
