/*
 * troupe.c - the command: finds the verb and runs it. One thread. It must not know what verbs do.
 */
#include "tools/troupe.h"

#include <stdio.h>
#include <string.h>

#include "bench/limits/limits.h"
#include "tools/bench/bench.h"

static tri_verb_fn cmd_help;

static const struct tri_verb verbs[] = {
    {"bench", "measure calls, tasks, starts and idle costs beside what the machine can do", tri_cmd_bench},
    {"version", "print the version of the library", tri_cmd_version},
    {"help", "print this text", cmd_help},
};
enum { VERB_COUNT = sizeof verbs / sizeof *verbs };

static void
print_usage(FILE *out)
{
    fprintf(out, "usage: troupe VERB [ARGUMENTS]\n\n");
    for (size_t i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].about);
    fprintf(out, "\n`troupe VERB --help` says more.\n");
}

static const struct tri_verb *
find_verb(const char *name)
{
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(name, verbs[i].name) == 0)
            return &verbs[i];
    return NULL;
}

static int
refuse_verb(const char *typed)
{
    const char *names[VERB_COUNT + 1] = {NULL};

    for (size_t i = 0; i < VERB_COUNT; i++)
        names[i] = verbs[i].name;
    tri_unknown("verb", typed, names);
    fprintf(stderr, "Run `troupe help` for the list.\n");
    return TRI_EXIT_USAGE;
}

/* `help VERB` is `VERB --help`. */
static int
cmd_help(int argc, char **argv)
{
    const struct tri_verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;
    char option[] = "--help";

    if (argc > 1 && verb == NULL)
        return refuse_verb(argv[1]);
    if (verb != NULL && verb->run != cmd_help)
        return verb->run(2, (char *[]){argv[1], option, NULL});
    print_usage(stdout);
    return TRI_EXIT_OK;
}

int
main(int argc, char **argv)
{
    const struct tri_verb *verb;
    int exit_code = 0;

    if (tri_limit_role(argc, argv, &exit_code) || tri_bench_role(argc, argv, &exit_code))
        return exit_code;
    if (argc < 2) {
        print_usage(stderr);
        return TRI_EXIT_USAGE;
    }
    verb = find_verb(argv[1]);
    return verb != NULL ? verb->run(argc - 1, argv + 1) : refuse_verb(argv[1]);
}
