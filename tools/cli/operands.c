/*
 * operands.c - the words of a command line as values: JSON, files of it, what is kept under a name, keywords, plain words. One
 * thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/json.h"

enum { FILE_MAX = 256 * 1024 * 1024 }; /* bytes of JSON; a call takes 64 MiB of values */

/* -------------------------------------------------------------------------------------------------------------- files */

static int
value_of_stream(struct tri_cli *cli, struct tri_values *values, FILE *file, const char *path, trp_value *value)
{
    char *text = NULL;
    size_t size = 0;
    int exit_code = tri_read_all(cli, file, path, FILE_MAX, &text, &size);

    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_json_read(cli, values, path, text, size, value);
    free(text); /* the JSON has copies */
    return exit_code;
}

static int
value_of_file(struct tri_cli *cli, struct tri_values *values, const char *path, trp_value *value)
{
    int exit_code;
    FILE *file;

    if (path[0] == '\0')
        return tri_refuse(cli, "'@' needs the path of a file; a string is written '\"@\"'");
    file = fopen(path, "re");
    if (file == NULL)
        return tri_fail_file(cli, path, errno);
    exit_code = value_of_stream(cli, values, file, path, value);
    (void)fclose(file);
    return exit_code;
}

static int
value_of_stdin(struct tri_cli *cli, struct tri_values *values, trp_value *value)
{
    if (values->has_read_stdin)
        return tri_refuse(cli, "'-' stands for standard input, which can be read once");
    values->has_read_stdin = true;
    clearerr(cli->in);     /* a terminal may go on after its Ctrl-D */
    if (cli->find == NULL) /* the shell goes on */
        tri_stop_unwatch();
    return value_of_stream(cli, values, cli->in, "standard input", value);
}

/* -------------------------------------------------------------------------------------------------------------- words */

static int
value_of_name(struct tri_cli *cli, struct tri_values *values, const char *name, trp_value *value)
{
    char text[300];

    if (name[0] == '\0')
        return tri_refuse(cli, "'%%' needs a name; a string is written '\"%%\"'");
    if (cli->find != NULL && cli->find(cli->user, name, value))
        return TRI_EXIT_OK;
    if (snprintf(text, sizeof text, "ref:%s", name) >= (int)sizeof text)
        return tri_refuse(cli, "a name has at most 255 bytes, got %zu", strlen(name));
    return tri_json_string(cli, values, text, strlen(text), value); /* a handle, which keeps nothing of the text */
}

/* Whether whoever typed it meant JSON: it begins as only JSON does. */
static bool
is_meant_as_json(const char *word)
{
    return strchr("{[\"", word[0]) != NULL || (word[0] >= '0' && word[0] <= '9') ||
           (word[0] == '-' && word[1] >= '0' && word[1] <= '9');
}

static int
value_of_word(struct tri_cli *cli, struct tri_values *values, const char *word, trp_value *value)
{
    const size_t size = strlen(word);
    char where[80];

    if (size == 0 || (!is_meant_as_json(word) && !tri_json_is(word, size)))
        return tri_json_string(cli, values, word, size, value);
    if (size > 40)
        (void)snprintf(where, sizeof where, "'%.*s...'", (int)tri_utf8_end(word, 40), word);
    else
        (void)snprintf(where, sizeof where, "'%s'", word);
    return tri_json_read(cli, values, where, word, size, value);
}

int
tri_value_of(struct tri_cli *cli, struct tri_values *values, const char *operand, trp_value *value)
{
    cli->word = operand;
    if (strcmp(operand, "-") == 0)
        return value_of_stdin(cli, values, value);
    if (operand[0] == '@' && operand[1] == '@')
        return tri_json_string(cli, values, operand + 1, strlen(operand + 1), value);
    if (operand[0] == '@')
        return value_of_file(cli, values, operand + 1, value);
    if (operand[0] == '%')
        return value_of_name(cli, values, operand + 1, value);
    return value_of_word(cli, values, operand, value);
}

/* ----------------------------------------------------------------------------------------------------------- arguments */

static size_t
identifier_size(const char *text)
{
    size_t size = 0;

    while (text[size] == '_' || (text[size] >= 'a' && text[size] <= 'z') || (text[size] >= 'A' && text[size] <= 'Z') ||
           (size > 0 && text[size] >= '0' && text[size] <= '9'))
        size++;
    return size;
}

/* Bytes of the identifier that a '=' follows; 0: it is no keyword. */
static size_t
keyword_size(const char *word)
{
    const size_t size = identifier_size(word);

    return word[size] == '=' ? size : 0;
}

static int
take_argument(struct tri_cli *cli, struct tri_values *values, const char *word, bool *keywords, trp_value *item)
{
    const size_t name_size = keyword_size(word);
    trp_value *pair;
    char *name;

    if (name_size == 0 && *keywords)
        return tri_refuse(cli, "'%.60s' stands after an argument by name; those come last", word);
    if (name_size == 0)
        return tri_value_of(cli, values, word, item);
    *keywords = true;
    name = strndup(word, name_size);
    pair = calloc(2, sizeof *pair);
    if (!tri_values_hold(values, name, free) | !tri_values_hold(values, pair, free))
        return tri_fail_text(cli, "out of memory");
    pair[0] = trp_str(name);
    *item = trp_keyword(pair);
    return tri_value_of(cli, values, word + name_size + 1, &pair[1]);
}

bool
tri_module_of_file(const char *text, size_t size, char *name, size_t name_size)
{
    const char *slash = memrchr(text, '/', size), *begin = slash != NULL ? slash + 1 : text;
    const size_t rest = size - (size_t)(begin - text), stem = identifier_size(begin);

    if (stem == 0 || stem >= name_size ||
        !((rest == stem + 3 && memcmp(begin + stem, ".so", 3) == 0) ||
          (rest == stem + 2 && memcmp(begin + stem, ".c", 2) == 0)))
        return false;
    (void)snprintf(name, name_size, "%.*s", (int)stem, begin);
    return true;
}

int
tri_check_offered(struct tri_cli *cli, const char *operand, const char *form)
{
    const char *colon = strchr(operand, ':'), *behind = strchr(form, ':');
    const size_t size = colon != NULL ? (size_t)(colon - operand) : strlen(operand);
    char module[64];

    cli->word = operand;
    if (tri_module_of_file(operand, size, module, sizeof module))
        return tri_refuse(cli, "'%.255s' has a file where a module's name has to be; write %s%.255s", operand, module,
                          colon != NULL && colon[1] != '\0' ? colon : behind);
    if (colon == NULL || size == 0 || colon[1] == '\0')
        return tri_refuse(cli, "'%.255s' has to be %s", operand, form);
    return TRI_EXIT_OK;
}

int
tri_arguments(struct tri_cli *cli, struct tri_values *values, char *const *operands, int count, trp_value *args)
{
    trp_value *items = calloc((size_t)count + 1, sizeof *items);
    bool keywords = false;
    int exit_code = TRI_EXIT_OK;

    if (!tri_values_hold(values, items, free))
        return tri_fail_text(cli, "out of memory");
    for (int i = 0; i < count && exit_code == TRI_EXIT_OK; i++)
        exit_code = take_argument(cli, values, operands[i], &keywords, &items[i]);
    *args = count > 0 ? trp_args(items, (size_t)count) : TRP_NOARGS;
    return exit_code;
}
