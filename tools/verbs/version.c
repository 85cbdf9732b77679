/*
 * version.c - `troupe version` and `troupe help`. One thread.
 */
#include "tools/verbs/verbs.h"

#include "tools/cli/options.h"

static int
run_version(struct tri_cli *cli, const struct tri_args *args)
{
    (void)args;
    if (tri_wants_value(cli))
        return tri_give(cli, NULL, trp_str(trp_version()));
    tri_print(cli, "troupe %s\n", trp_version());
    return TRI_EXIT_OK;
}

static int
run_help(struct tri_cli *cli, const struct tri_args *args)
{
    const struct tri_verb *verb;
    int words = 0;

    if (args->count == 0)
        return tri_help_all(cli);
    verb = tri_verb_find(cli, args->count, args->operands, &words);
    if (verb == NULL)
        return tri_cli_run(cli, args->count, args->operands); /* says which verb was meant */
    tri_help_verb(cli, verb);
    return TRI_EXIT_OK;
}

static const char *const help_words[] = {TRI_WORD_VERB, NULL};

const struct tri_verb tri_verb_version = {
    .name = "version",
    .group = "The command",
    .about = "prints the version of the library",
    .run = run_version,
};

const struct tri_verb tri_verb_help = {
    .name = "help",
    .group = "The command",
    .about = "prints the verbs, or what one of them takes",
    .operands = "[VERB...]",
    .words = help_words,
    .run = run_help,
};
