/*
 * run.c - `troupe run`: a program as a driver on this node. One thread.
 */
#include "tools/verbs/verbs.h"

#include "tools/cli/home.h"
#include "tools/cli/program.h"

static int
run_run(struct tri_cli *cli, const struct tri_args *args)
{
    struct tri_home home;
    int exit_code = tri_home_look(cli, &home);

    if (exit_code == TRI_EXIT_OK && home.pid == 0)
        return tri_refuse_empty(cli, home.directory);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_program_check(cli, args->operands[0]);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    tri_tell(cli, "runs %s on the node at %s", args->operands[0], home.directory);
    return tri_program_run(cli, args->operands, "TROUPE_DIR", home.directory);
}

static const char *const run_words[] = {TRI_WORD_PROGRAM, NULL};

const struct tri_verb tri_verb_run = {
    .name = "run",
    .group = "Nodes",
    .about = "runs a program on this node: what it prints and what its actors print",
    .operands = "PROGRAM [ARG...]",
    .words = run_words,
    .flags = TRI_NEEDS_NODE | TRI_REST_IS_GIVEN,
    .more = "The program gets the node in $TROUPE_DIR, where trp_init looks for it. The exit status is the program's; "
            "126 and\n"
            "127 if it cannot be run or is not found, 128 and the signal's number if it was killed.\n",
    .run = run_run,
};
