/*
 * verb.c - `troupe sh`: a script from a file, from -c or from standard input, or lines typed at a terminal. One thread.
 */
#include "tools/sh/sh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/json.h"
#include "tools/verbs/verbs.h"

enum { SCRIPT_MAX = 64 * 1024 * 1024 };

static bool
on_find(void *user, const char *name, trp_value *value)
{
    struct tri_sh_found found;
    const bool good = tri_sh_find(user, name, strlen(name), &found);

    if (good)
        *value = found.value;
    return good;
}

static void
sh_fini(struct tri_sh *sh)
{
    while (sh->variables != NULL)
        tri_sh_unset(sh, sh->variables->name);
    tri_values_fini(&sh->texts);
    trp_shutdown(&sh->cli.runtime);
}

/* $args: the words after the script's name; JSON as the value that it is, others as text. */
static int
set_arguments(struct tri_sh *sh, char **words, int count)
{
    trp_value *items = calloc((size_t)count + 1, sizeof *items);
    struct tri_sh_value held = {.value = trp_null()};
    struct tri_values values = {0};
    int exit_code = items != NULL ? TRI_EXIT_OK : tri_fail_text(&sh->cli, "out of memory");

    for (int i = 0; i < count && exit_code == TRI_EXIT_OK; i++)
        if (tri_json_is(words[i], strlen(words[i])))
            exit_code = tri_json_read(&sh->cli, &values, words[i], words[i], strlen(words[i]), &items[i]);
        else
            items[i] = trp_str(words[i]);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_sh_value_set(sh, &held, NULL, trp_list(items, (size_t)count));
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_sh_assign(sh, "args", strlen("args"), &held);
    tri_values_fini(&values);
    free(items);
    return exit_code;
}

/* "#!" at its beginning is a comment like any other. */
int
tri_sh_read(struct tri_cli *cli, FILE *file, const char *name, char **text)
{
    size_t size = 0, good;
    const int exit_code = tri_read_all(cli, file, name, SCRIPT_MAX, text, &size);

    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (strlen(*text) != size)
        return tri_fail_text(cli, "%.500s: a NUL byte: it is no script", name);
    good = tri_utf8_end(*text, size);
    return good == size ? TRI_EXIT_OK : tri_fail_text(cli, "%.500s: not UTF-8, from byte %zu on", name, good);
}

static int
run_file(struct tri_sh *sh, const char *path)
{
    const bool is_stdin = path == NULL || strcmp(path, "-") == 0;
    struct tri_source source = {.name = is_stdin ? "standard input" : path};
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    char *text = NULL;
    int exit_code;

    if (file == NULL)
        return tri_fail_file(&sh->cli, path, errno);
    exit_code = tri_sh_read(&sh->cli, file, source.name, &text);
    if (!is_stdin)
        (void)fclose(file);
    if (exit_code == TRI_EXIT_OK) {
        source.text = text;
        exit_code = tri_sh_run(sh, &source);
    }
    free(text);
    return exit_code;
}

static int
run_sh(struct tri_cli *cli, const struct tri_args *args)
{
    const char *text = tri_option(args, "c");
    struct tri_sh sh = {.cli = *cli};
    const struct tri_source source = {.name = "-c", .text = text};
    int exit_code;

    sh.cli.runtime = NULL;
    sh.cli.defaults = args;
    sh.cli.find = on_find;
    sh.cli.own_name = tri_sh_own_name;
    sh.cli.take = NULL;
    sh.cli.user = &sh;
    exit_code = set_arguments(&sh, args->operands + (text == NULL && args->count > 0),
                              args->count - (text == NULL && args->count > 0));
    if (exit_code == TRI_EXIT_OK && text != NULL)
        exit_code = tri_sh_run(&sh, &source);
    else if (exit_code == TRI_EXIT_OK && args->count == 0 && isatty(STDIN_FILENO))
        exit_code = tri_sh_interact(&sh);
    else if (exit_code == TRI_EXIT_OK)
        exit_code = run_file(&sh, args->count > 0 ? args->operands[0] : NULL);
    sh_fini(&sh);
    return exit_code;
}

static const struct tri_option sh_options[] = {
    {"c", 'c', "TEXT", "runs this text; the operands are its $args", NULL},
    {0},
};
static const char *const sh_words[] = {TRI_WORD_FILE, NULL};

const struct tri_verb tri_verb_sh = {
    .name = "sh",
    .group = "Shell",
    .about = "runs scripts of these verbs, or lines typed at a terminal",
    .operands = "[FILE] [WORD...]",
    .words = sh_words,
    .options = sh_options,
    .flags = TRI_NEEDS_NODE | TRI_REST_IS_GIVEN,
    .more =
        "The words of a line are those of a command line without `troupe`. Besides:\n"
        "  x = call c get       a variable; $x, $x.key, $x[0] is its value, $? the last exit status, $args the WORDs\n"
        "  call c get | call d add       hands the result on, as the last argument or where $_ stands\n"
        "  for x in 1..10 { ... }   for x in $list { ... }   while COND { ... }\n"
        "  if COND { ... } else { ... }  COND: a command, $x == 5 (!= < <= > >=), not, &&, ||\n"
        "  par { ... }          makes its calls at once and waits for all; x = par { ... } is their list\n"
        "  echo, exit, source, unset, vars\n"
        "A script ends at the first command that fails, with its exit status. troupe-sh(1) has it all.\n",
    .run = run_sh,
};
