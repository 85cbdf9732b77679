/*
 * options.c - the command line by a verb's row: options, operands, and numbers among them. One thread. It knows the
 * generic options, and no verb.
 */
#include "tools/cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct tri_option of_nodes[] = {
    {"dir", 0, "DIR", "the node's directory; else $TROUPE_DIR, else the default one", TRI_WORD_DIRECTORY},
    {"namespace", 0, "NAME", "where names without one are looked up; else \"default\"", NULL},
    {"timeout", 't', "TIME", "how long it may take: 5 (seconds), 200ms, 2m; else as long as it takes", NULL},
};
static const struct tri_option of_all[] = {
    {"json", 0, NULL, "listings and errors as JSON", NULL},
    {"raw", 'r', NULL, "a string as it is, without the quotes of JSON", NULL},
    {"full", 0, NULL, "tensors and long bytes with all they have", NULL},
    {"quiet", 'q', NULL, "no results, only errors", NULL},
    {"verbose", 'v', NULL, "says what it does", NULL},
    {"no-color", 0, NULL, "no colours on a terminal, as NO_COLOR=1", NULL},
    {"help", 'h', NULL, "this text", NULL},
};
enum { OF_NODES = sizeof of_nodes / sizeof *of_nodes, OF_ALL = sizeof of_all / sizeof *of_all };

const struct tri_option *
tri_option_at(const struct tri_verb *verb, int i)
{
    const int of_node = (verb->flags & TRI_NEEDS_NODE) != 0 ? OF_NODES : 0;
    int own = 0;

    while (verb->options != NULL && verb->options[own].name != NULL)
        own++;
    if (i < own)
        return &verb->options[i];
    i -= own;
    if (i < of_node)
        return &of_nodes[i];
    i -= of_node;
    return i < OF_ALL ? &of_all[i] : NULL;
}

const char *
tri_option(const struct tri_args *args, const char *name)
{
    const struct tri_option *option;

    for (int i = 0; (option = tri_option_at(args->verb, i)) != NULL; i++)
        if (strcmp(option->name, name) == 0)
            return args->values[i];
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------------- parsing */

bool
tri_is_option(const char *word, size_t size)
{
    return size > 1 && word[0] == '-' && !(word[1] >= '0' && word[1] <= '9') && word[1] != '.';
}

int
tri_option_of(const struct tri_verb *verb, const char *word, const char **text)
{
    const bool is_long = word[0] == '-' && word[1] == '-';
    const size_t size = is_long ? strcspn(word + 2, "=") : 1;
    const struct tri_option *option;

    *text = NULL;
    if (!tri_is_option(word, strlen(word)))
        return -1;
    for (int i = 0; (option = tri_option_at(verb, i)) != NULL; i++) {
        if (is_long && strlen(option->name) == size && memcmp(option->name, word + 2, size) == 0) {
            *text = word[2 + size] == '=' ? word + 2 + size + 1 : NULL;
            return i;
        }
        if (!is_long && option->letter == word[1]) {
            *text = word[2] != '\0' ? word + 2 : NULL;
            return *text == NULL || option->value != NULL ? i : -1; /* flags are not clustered */
        }
    }
    return -1;
}

const struct tri_option *
tri_option_before_value(const struct tri_verb *verb, const char *word)
{
    const char *text;
    const int i = tri_option_of(verb, word, &text);
    const struct tri_option *option = i >= 0 ? tri_option_at(verb, i) : NULL;

    return option != NULL && option->value != NULL && text == NULL ? option : NULL;
}

/* Nobody's option: with the one that was probably meant. */
static int
refuse_option(struct tri_cli *cli, const struct tri_verb *verb, const char *word)
{
    char texts[TRI_OPTIONS_MAX][64];
    const char *names[TRI_OPTIONS_MAX + 1] = {NULL};
    const struct tri_option *option;
    char typed[128];

    /* One letter is near to every other. */
    for (int i = 0; word[1] == '-' && i < TRI_OPTIONS_MAX && (option = tri_option_at(verb, i)) != NULL; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "--%s", option->name);
        names[i] = texts[i];
    }
    (void)snprintf(typed, sizeof typed, "%.*s", (int)strcspn(word, "="), word);
    return tri_unknown(cli, "option", typed, names);
}

/* The option in argv[*at], and its value in the same word or the next. */
static int
take_option(struct tri_cli *cli, int argc, char **argv, int *at, struct tri_args *args)
{
    const char *word = argv[*at], *text, *dashes;
    const int i = tri_option_of(args->verb, word, &text);
    const struct tri_option *option;

    if (i < 0)
        return refuse_option(cli, args->verb, word);
    option = tri_option_at(args->verb, i);
    dashes = option->name[1] == '\0' ? "-" : "--";
    if (option->value == NULL && text != NULL)
        return tri_refuse(cli, "%s%s takes no value, got '%s'", dashes, option->name, text);
    if (option->value != NULL && text == NULL) {
        if (*at + 1 >= argc)
            return tri_refuse(cli, "%s%s needs a value: %s%s %s", dashes, option->name, dashes, option->name,
                              option->value);
        text = argv[++*at];
    }
    args->values[i] = option->value != NULL ? text : "";
    return TRI_EXIT_OK;
}

/* What the operand at this place may be: a TRI_WORD_; NULL: a value. Whoever runs a program knows what its words are. */
static const char *
kind_of_operand(const struct tri_verb *verb, int at)
{
    int i = 0;

    while (verb->words != NULL && verb->words[i] != NULL && i < at && strcmp(verb->words[i], TRI_WORD_PROGRAM) != 0)
        i++;
    return verb->words != NULL ? verb->words[i] : NULL;
}

/* Names of files are whatever bytes they are. */
static bool
is_file_kind(const char *kind)
{
    return kind != NULL && (strcmp(kind, TRI_WORD_FILE) == 0 || strcmp(kind, TRI_WORD_DIRECTORY) == 0 ||
                            strcmp(kind, TRI_WORD_PROGRAM) == 0);
}

/* The next operand of `args`, which is argument `number` of the command line. */
static int
take_operand(struct tri_cli *cli, char *text, int number, struct tri_args *args)
{
    const size_t size = strlen(text), good = tri_utf8_end(text, size);
    const char *kind = kind_of_operand(args->verb, args->count);
    struct tri_shape shape;

    tri_shape_of(args->verb, &shape);
    const bool is_file = is_file_kind(kind) && shape.least > 0; /* the first of `sh` may be a word of a script */
    if (good < size && !is_file)
        return tri_refuse(cli, "argument %d is not UTF-8, from its byte %zu on%s", number, good,
                          kind == NULL ? "; bytes are written \"bytes:N:HEX\"" : "");
    if (size == 0 && is_file && args->count == 0)
        return tri_refuse(cli, "%s is empty", shape.missing[0]);
    args->operands[args->count++] = text;
    return TRI_EXIT_OK;
}

int
tri_options_parse(struct tri_cli *cli, int argc, char **argv, char **operands, struct tri_args *args)
{
    bool ended = false;

    args->operands = operands;
    for (int i = 0; i < argc; i++) {
        const bool is_operand = ended || !tri_is_option(argv[i], strlen(argv[i]));
        int exit_code = TRI_EXIT_OK;
        cli->word = argv[i];
        if (!ended && strcmp(argv[i], "--") == 0) {
            ended = true;
        } else if (is_operand) {
            exit_code = take_operand(cli, argv[i], i + 1, args);
            ended = ended || (args->verb->flags & TRI_REST_IS_GIVEN) != 0;
        } else {
            exit_code = take_option(cli, argc, argv, &i, args);
        }
        if (exit_code != TRI_EXIT_OK)
            return exit_code;
    }
    cli->word = NULL;
    return TRI_EXIT_OK;
}

void
tri_shape_of(const struct tri_verb *verb, struct tri_shape *shape)
{
    const char *at = verb->operands != NULL ? verb->operands : "";

    *shape = (struct tri_shape){0};
    for (at += strspn(at, " "); *at != '\0'; at += strspn(at, " ")) {
        const size_t size = strcspn(at, " ");
        if (at[0] != '[') {
            const size_t plain = strcspn(at, ".");
            if (shape->least < 3)
                (void)snprintf(shape->missing[shape->least], sizeof shape->missing[0], "%.*s",
                               (int)(plain < size ? plain : size), at);
            shape->least++;
        }
        if (shape->most >= 0)
            shape->most++;
        if (memmem(at, size, "...", 3) != NULL)
            shape->most = -1;
        at += size;
    }
}

/* ------------------------------------------------------------------------------------------------------------- numbers */

bool
tri_read_amount(const char *text, double *amount)
{
    char *end = NULL;

    if (text[0] == '\0' || strspn(text, "0123456789.eE+-") != strlen(text))
        return false; /* no hexadecimal, no infinity */
    *amount = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*amount) && *amount >= 0;
}

int
tri_take_number(struct tri_cli *cli, const char *what, const char *text, int64_t least, int64_t most, int64_t *number)
{
    char *end = NULL;
    long long taken;

    errno = 0;
    taken = strtoll(text, &end, 10);
    if (text[0] == '\0' || text[0] == ' ' || *end != '\0' || errno != 0 || taken < least || taken > most)
        return tri_refuse(cli, "%s needs a number from %" PRId64 " to %" PRId64 ", got '%s'", what, least, most, text);
    *number = taken;
    return TRI_EXIT_OK;
}
