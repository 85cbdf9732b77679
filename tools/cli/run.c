/*
 * run.c - one verb from its words to its exit code: finds the row, parses, helps, runs, and sees that all was written. One
 * thread. It knows no verb.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/options.h"
#include "tools/cli/settings.h"

void
tri_cli_init(struct tri_cli *cli, const struct tri_verb *const *verbs)
{
    *cli = (struct tri_cli){.verbs = verbs, .out = stdout, .err = stderr, .in = stdin, .timeout_ms = TRP_FOREVER};
}

void
tri_cli_exit(struct tri_cli *cli, int exit_code)
{
    if (cli->owes)
        trp_shutdown(&cli->runtime);
    (void)fflush(cli->err);
    if (exit_code == TRI_EXIT_STOPPED)
        tri_stop_die(); /* a shell ends its own loop only where a signal ended us */
    _exit(exit_code);
}

const struct tri_verb *
tri_verb_find(const struct tri_cli *cli, int argc, char **argv, int *words)
{
    for (const struct tri_verb *const *verb = cli->verbs; *verb != NULL; verb++) {
        const char *name = (*verb)->name, *space = strchr(name, ' ');
        const size_t first = space != NULL ? (size_t)(space - name) : strlen(name);
        if (argc < (space != NULL ? 2 : 1) || strlen(argv[0]) != first || memcmp(argv[0], name, first) != 0 ||
            (space != NULL && strcmp(argv[1], space + 1) != 0))
            continue;
        *words = space != NULL ? 2 : 1;
        return *verb;
    }
    return NULL;
}

/* The names of the table as "did you mean" wants them; of two words where the first of them was right. */
static int
refuse_verb(struct tri_cli *cli, int argc, char **argv)
{
    enum { NAMES_MAX = 64 };
    const char *firsts[NAMES_MAX + 1] = {NULL}, *seconds[NAMES_MAX + 1] = {NULL};
    const size_t size = strlen(argv[0]);
    char known[256] = "";
    int first_count = 0, second_count = 0;

    for (size_t i = 0; cli->own_name != NULL && cli->own_name(i) != NULL && first_count < NAMES_MAX; i++)
        firsts[first_count++] = cli->own_name(i);
    for (const struct tri_verb *const *verb = cli->verbs; *verb != NULL && first_count < NAMES_MAX; verb++) {
        const char *name = (*verb)->name;
        if ((*verb)->flags & TRI_HIDDEN)
            continue;
        firsts[first_count++] = name;
        if (strncmp(name, argv[0], size) != 0 || name[size] != ' ')
            continue;
        (void)snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", second_count > 0 ? ", " : "",
                       name + size + 1);
        seconds[second_count++] = name + size + 1;
    }
    if (second_count > 0 && argc < 2)
        return tri_refuse(cli, "'troupe %s' needs one of: %s", argv[0], known);
    if (second_count > 0 && tri_suggest(argv[1], seconds) != NULL)
        return tri_refuse(cli, "there is no 'troupe %s %.100s'; did you mean '%s'?", argv[0], argv[1],
                          tri_suggest(argv[1], seconds));
    if (second_count > 0)
        return tri_refuse(cli, "there is no 'troupe %s %.100s'; there is: %s", argv[0], argv[1], known);
    return tri_unknown(cli, "verb", argv[0], firsts);
}

static int
check_count(struct tri_cli *cli, const struct tri_args *args)
{
    struct tri_shape shape;

    tri_shape_of(args->verb, &shape);
    if (args->count < shape.least)
        return tri_refuse(cli, "%s is missing; usage: troupe %s %s", shape.missing[args->count < 3 ? args->count : 2],
                          args->verb->name, args->verb->operands);
    if (shape.most == 0 && args->count > 0)
        return tri_refuse(cli, "takes no arguments, got '%s'", args->operands[0]);
    if (shape.most >= 0 && args->count > shape.most)
        return tri_refuse(cli, "'%s' is one argument too many; usage: troupe %s %s", args->operands[shape.most],
                          args->verb->name, args->verb->operands);
    return TRI_EXIT_OK;
}

static int
take_timeout(struct tri_cli *cli, const char *option)
{
    char what[600] = "--timeout";
    const char *text = NULL;
    const int exit_code = tri_setting(cli, TRI_KEY_TIMEOUT, option, &text);

    if (exit_code != TRI_EXIT_OK || text == NULL)
        return exit_code;
    if (option == NULL)
        (void)snprintf(what, sizeof what, "timeout in %s", tri_setting_from(cli, TRI_KEY_TIMEOUT));
    return tri_take_time(cli, what, text, &cli->timeout_ms);
}

/* An option that every verb has: of this command line, else of the shell's. */
static const char *
common(const struct tri_cli *cli, const struct tri_args *args, const char *name)
{
    const char *text = tri_option(args, name);

    return text != NULL || cli->defaults == NULL ? text : tri_option(cli->defaults, name);
}

/* What the options of all verbs say, in *cli. */
static int
take_common(struct tri_cli *cli, const struct tri_args *args)
{
    cli->json = common(cli, args, "json") != NULL;
    cli->raw = common(cli, args, "raw") != NULL;
    cli->full = common(cli, args, "full") != NULL;
    cli->quiet = common(cli, args, "quiet") != NULL;
    cli->verbose = common(cli, args, "verbose") != NULL;
    cli->no_color = common(cli, args, "no-color") != NULL;
    cli->directory = cli->namespace_ = NULL;
    cli->timeout_ms = TRP_FOREVER;
    if ((args->verb->flags & TRI_NEEDS_NODE) == 0)
        return TRI_EXIT_OK;
    cli->directory = common(cli, args, "dir");
    cli->namespace_ = common(cli, args, "namespace");
    return take_timeout(cli, common(cli, args, "timeout"));
}

static int
run_words(struct tri_cli *cli, int argc, char **argv, char **operands)
{
    struct tri_args args = {.verb = cli->verb};
    int exit_code;

    /* Its errors are objects, too, where they come before it. */
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        cli->json = cli->json || strcmp(argv[i], "--json") == 0;
    exit_code = tri_options_parse(cli, argc, argv, operands, &args);
    if (exit_code == TRI_EXIT_OK)
        exit_code = take_common(cli, &args);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (tri_option(&args, "help") != NULL) {
        cli->quiet = false;
        tri_help_verb(cli, args.verb);
        return TRI_EXIT_OK;
    }
    exit_code = check_count(cli, &args);
    return exit_code != TRI_EXIT_OK ? exit_code : args.verb->run(cli, &args);
}

int
tri_cli_run(struct tri_cli *cli, int argc, char **argv)
{
    const struct tri_cli before = *cli;
    char **operands;
    int words = 0, exit_code, flushed;

    cli->verb = NULL;
    cli->has_cancelled = false;
    cli->json = cli->quiet = cli->verbose = cli->no_color = false;
    if (argc < 1)
        return tri_refuse(cli, "a verb is missing");
    cli->verb = tri_verb_find(cli, argc, argv, &words);
    if (cli->verb == NULL) {
        exit_code = refuse_verb(cli, argc, argv);
    } else if ((operands = calloc((size_t)argc + 1, sizeof *operands)) == NULL) {
        exit_code = tri_fail_text(cli, "out of memory");
    } else {
        exit_code = run_words(cli, argc - words, argv + words, operands);
        free(operands);
    }
    flushed = tri_flush(cli);
    cli->verb = before.verb;
    cli->json = before.json;
    cli->raw = before.raw;
    cli->full = before.full;
    cli->quiet = before.quiet;
    cli->verbose = before.verbose;
    cli->no_color = before.no_color;
    cli->directory = before.directory;
    cli->namespace_ = before.namespace_;
    cli->timeout_ms = before.timeout_ms;
    return exit_code == TRI_EXIT_OK ? flushed : exit_code;
}
