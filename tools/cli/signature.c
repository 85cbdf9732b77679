/*
 * signature.c - the parameters of a method as a person reads them: "step:i=1" is "step: int64 = 1". Pure; any thread. It takes
 * what modules offer, which was checked when they were loaded; what it does not know it writes as it is.
 */
#include <string.h>

#include "tools/cli/signature.h"

struct text {
    char *text;
    size_t size, length;
};

static void
add(struct text *text, const char *more, size_t size)
{
    if (text->length + 1 < text->size) {
        const size_t room = text->size - 1 - text->length;
        memcpy(text->text + text->length, more, size < room ? size : room);
        text->text[text->length + (size < room ? size : room)] = '\0';
    }
    text->length += size;
}

static void
add_word(struct text *text, const char *word)
{
    add(text, word, strlen(word));
}

/* One picture (base.h, trp_check); returns what follows it. */
static const char *
add_picture(struct text *text, const char *at, int level)
{
    static const char letters[] = "id?sbtrav";
    static const char *const words[] = {"int64",  "float64",   "bool",  "string", "bytes",
                                        "tensor", "reference", "actor", "any"};
    static const char opens[] = "[({", closes[] = "])}";
    static const char *const kinds[] = {"list of ", "tuple of ", "map of "};
    const char *letter = *at != '\0' ? strchr(letters, *at) : NULL, *open = *at != '\0' ? strchr(opens, *at) : NULL;
    bool first = true;

    if (letter != NULL)
        add_word(text, words[letter - letters]);
    if (open == NULL || level > TRP_NESTING_MAX)
        return *at != '\0' ? at + 1 : at;
    add_word(text, kinds[open - opens]);
    at++;
    if (*open == '{' && *at == 's')
        at++; /* its keys are strings, all of them */
    while (*at != '\0' && *at != closes[open - opens]) {
        add_word(text, first ? "" : ", ");
        at = add_picture(text, at, level + 1);
        first = false;
    }
    return *at != '\0' ? at + 1 : at;
}

/* The end of a default: the next comma outside of strings and brackets. */
static const char *
default_end(const char *at)
{
    bool quoted = false;
    int depth = 0;

    for (; *at != '\0'; at++) {
        if (quoted && *at == '\\' && at[1] != '\0')
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted && (*at == '[' || *at == '{'))
            depth++;
        else if (!quoted && (*at == ']' || *at == '}'))
            depth--;
        else if (!quoted && depth == 0 && *at == ',')
            break;
    }
    return at;
}

size_t
tri_signature_text(const char *args, char *text, size_t size)
{
    struct text out = {text, size, 0};
    const char *at = args;

    if (size > 0)
        text[0] = '\0';
    for (at += strspn(at, " "); *at != '\0'; at += strspn(at, " ,")) {
        const size_t name = strcspn(at, ":, ");
        add_word(&out, out.length > 0 ? ", " : "");
        add(&out, at, name);
        at += name;
        at += strspn(at, " ");
        if (*at == ':') {
            at++;
            at += strspn(at, " ");
            add_word(&out, ": ");
            at = add_picture(&out, at, 0);
            at += strspn(at, " ");
        }
        if (*at == '=') {
            const char *end = default_end(++at);
            add_word(&out, " = ");
            add(&out, at, (size_t)(end - at));
            at = end;
        }
        if (*at != '\0' && *at != ',' && *at != ' ' && name == 0)
            add(&out, at++, 1);
    }
    return out.length;
}
