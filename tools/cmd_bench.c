/*
 * cmd_bench.c - `troupe bench`: the command line, which cases are wanted, the progress line. One thread.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/bench/bench.h"
#include "tools/troupe.h"

enum { CASES_MAX = 64, DEFAULT_ROUNDS = 5 };

struct options {
    bool json, list, help;
    int rounds;
    const char *module_path;
    const char *cases[CASES_MAX];
    int case_count;
};

/* All measurements, in the order in which they run. */
struct group {
    const struct tri_bench_measurement *rows;
    const size_t *count;
};
static const struct group groups[] = {
    {tri_bench_calls, &tri_bench_call_count},   {tri_bench_tasks, &tri_bench_task_count},
    {tri_bench_starts, &tri_bench_start_count}, {tri_bench_idle, &tri_bench_idle_count},
    {tri_bench_waits, &tri_bench_wait_count},   {tri_bench_many, &tri_bench_many_count},
};
enum { GROUP_COUNT = sizeof groups / sizeof *groups };

static const char usage[] =
    "usage: troupe bench [--json] [--rounds N] [--module-path DIR] [CASE...]\n"
    "       troupe bench --list\n"
    "\n"
    "Measures Troupe beside what the raw library or the bare kernel reaches with the same work, in turn, and prints\n"
    "medians. Without a CASE all run, except those that --list marks with '*'.\n"
    "\n"
    "  --json             one JSON object a line\n"
    "  --rounds N         1 to 99; 5 unless given (some cases take fewer)\n"
    "  --module-path DIR  where echo.so lies, if not beside this program\n"
    "  --list             the cases and what they are\n"
    "\n"
    "ratio is value / limit. spread is (largest - smallest) / median over the rounds; above 50% a case is noisy:\n"
    "something else ran, measure it again. cpu is processor seconds of all processes per million calls.\n"
    "met is yes, or what falls short of must: ratio or value, the figure itself; or p99 or cpu, which must be at most\n"
    "1.5 and 1.3 of the limit's where both sides have them. What is not met does not make the command fail.\n";

/* ------------------------------------------------------------------------------------------------------- the cases */

/* Calls visit for each figure of each measurement. */
typedef void visit_fn(const struct tri_bench_measurement *measurement, const struct tri_bench_figure *figure,
                      void *user);
static void
each_figure(visit_fn *visit, void *user)
{
    for (size_t g = 0; g < GROUP_COUNT; g++)
        for (size_t i = 0; i < *groups[g].count; i++)
            for (int f = 0; f < TRI_BENCH_FIGURES_MAX && groups[g].rows[i].figures[f].name != NULL; f++)
                visit(&groups[g].rows[i], &groups[g].rows[i].figures[f], user);
}

static void
list_figure(const struct tri_bench_measurement *measurement, const struct tri_bench_figure *figure, void *user)
{
    (void)user;
    printf("%-17s%s %-6s %s\n", figure->name, measurement->only_if_named ? "*" : " ", figure->unit, figure->about);
}

struct names {
    const char *names[CASES_MAX + 1];
    size_t count;
};

static void
note_name(const struct tri_bench_measurement *measurement, const struct tri_bench_figure *figure, void *user)
{
    struct names *names = user;

    (void)measurement;
    if (names->count < CASES_MAX)
        names->names[names->count++] = figure->name;
}

static bool
is_named(const struct options *options, const char *name)
{
    for (int i = 0; i < options->case_count; i++)
        if (strcmp(options->cases[i], name) == 0)
            return true;
    return false;
}

static bool
is_wanted(const struct options *options, const struct tri_bench_measurement *measurement, int figure)
{
    return options->case_count == 0 ? !measurement->only_if_named
                                    : is_named(options, measurement->figures[figure].name);
}

/* ------------------------------------------------------------------------------------------------ the command line */

static bool
take_rounds(const char *text, int *rounds)
{
    char *end;
    long number = text != NULL ? strtol(text, &end, 10) : 0;

    if (text == NULL || *end != 0 || number < 1 || number > TRI_BENCH_ROUNDS_MAX) {
        fprintf(stderr, "troupe bench: --rounds needs a number from 1 to %d\n", TRI_BENCH_ROUNDS_MAX);
        return false;
    }
    *rounds = (int)number;
    return true;
}

static bool
take_case(const char *name, struct options *options)
{
    struct names all = {{NULL}, 0};

    each_figure(note_name, &all);
    for (size_t i = 0; i < all.count; i++)
        if (strcmp(all.names[i], name) == 0 && options->case_count < CASES_MAX) {
            options->cases[options->case_count++] = all.names[i];
            return true;
        }
    tri_unknown("case", name, all.names);
    fprintf(stderr, "Run `troupe bench --list` for the list.\n");
    return false;
}

static bool
take_option(int argc, char **argv, int *at, struct options *options)
{
    static const char *const known[] = {"--json", "--rounds", "--module-path", "--list", "--help", NULL};
    const char *word = argv[*at];

    if (strcmp(word, "--json") == 0)
        return options->json = true;
    if (strcmp(word, "--list") == 0)
        return options->list = true;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return options->help = true;
    if (strcmp(word, "--rounds") == 0)
        return take_rounds(++*at < argc ? argv[*at] : NULL, &options->rounds);
    if (strcmp(word, "--module-path") == 0 && *at + 1 < argc) {
        options->module_path = argv[++*at];
        return true;
    }
    if (strcmp(word, "--module-path") == 0)
        fprintf(stderr, "troupe bench: --module-path needs a directory\n");
    else
        tri_unknown("option", word, known);
    return false;
}

static bool
parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++)
        if (argv[i][0] == '-' ? !take_option(argc, argv, &i, options) : !take_case(argv[i], options))
            return false;
    return true;
}

/* --------------------------------------------------------------------------------------------------------- running */

static void
show_progress(const char *name, int round, int rounds)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (round == 0)
        fprintf(stderr, "\r\033[K%s: starting", name);
    else
        fprintf(stderr, "\r\033[K%s: round %d of %d", name, round, rounds);
}

static void
clear_progress(void)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

static bool
run_measurement(struct tri_bench *bench, const struct options *options, const struct tri_bench_measurement *measurement)
{
    struct tri_bench_result results[TRI_BENCH_FIGURES_MAX];
    bool wanted = false;
    trp_error error;
    trp_err err;

    for (int f = 0; f < TRI_BENCH_FIGURES_MAX && measurement->figures[f].name != NULL; f++)
        wanted = wanted || is_wanted(options, measurement, f);
    if (!wanted)
        return true;
    err = tri_bench_measure(bench, measurement, options->rounds, show_progress, results, &error);
    clear_progress();
    if (err != TRP_OK) {
        fprintf(stderr, "troupe bench: %s: %s\n", measurement->figures[0].name, error.message);
        return false;
    }
    for (int f = 0; f < TRI_BENCH_FIGURES_MAX && measurement->figures[f].name != NULL; f++)
        if (is_wanted(options, measurement, f))
            (options->json ? tri_bench_print_json : tri_bench_print_row)(&results[f]);
    return true;
}

/* Private nodes, whatever node this user runs: an empty directory is where one is looked for. */
static bool
make_home(char *directory)
{
    if (mkdtemp(directory) == NULL) {
        fprintf(stderr, "troupe bench: no directory in /tmp: %s\n", strerror(errno));
        return false;
    }
    setenv("TROUPE_DIR", directory, 1);
    return true;
}

static int
run_all(const struct options *options)
{
    static struct tri_bench bench;
    char home[] = "/tmp/troupe-bench-XXXXXX";
    bool all_ran = true;

    bench.module_path = options->module_path != NULL ? options->module_path : tri_bench_module_path();
    if (bench.module_path == NULL) {
        fprintf(stderr, "troupe bench: echo.so is not beside this program; --module-path DIR says where it is\n");
        return TRI_EXIT_FAILED;
    }
    if (!make_home(home))
        return TRI_EXIT_FAILED;
    signal(SIGPIPE, SIG_IGN);
    tri_bench_adopt_orphans();
    if (!options->json)
        tri_bench_print_header();
    for (size_t g = 0; g < GROUP_COUNT; g++)
        for (size_t i = 0; i < *groups[g].count; i++)
            all_ran = run_measurement(&bench, options, &groups[g].rows[i]) && all_ran;
    rmdir(home);
    return all_ran ? TRI_EXIT_OK : TRI_EXIT_FAILED;
}

int
tri_cmd_bench(int argc, char **argv)
{
    struct options options = {.rounds = DEFAULT_ROUNDS};

    if (!parse(argc, argv, &options))
        return TRI_EXIT_USAGE;
    if (options.help) {
        fputs(usage, stdout);
        return TRI_EXIT_OK;
    }
    if (options.list) {
        each_figure(list_figure, NULL);
        return TRI_EXIT_OK;
    }
    return run_all(&options);
}
