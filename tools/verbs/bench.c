/*
 * bench.c - `troupe bench`: the command line, which cases are wanted, the progress line. One thread.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bench/bench.h"
#include "tools/verbs/verbs.h"

enum { CASES_MAX = 64, DEFAULT_ROUNDS = 5 };

struct options {
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
    {tri_bench_calls, &tri_bench_call_count},       {tri_bench_tasks, &tri_bench_task_count},
    {tri_bench_starts, &tri_bench_start_count},     {tri_bench_idle, &tri_bench_idle_count},
    {tri_bench_waits, &tri_bench_wait_count},       {tri_bench_stores, &tri_bench_store_count},
    {tri_bench_spills, &tri_bench_spill_count},     {tri_bench_many, &tri_bench_many_count},
    {tri_bench_commands, &tri_bench_command_count},
};
enum { GROUP_COUNT = sizeof groups / sizeof *groups };

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

enum { CASE_FIELDS = 4 };
struct listing {
    trp_value entries[CASES_MAX][2 * CASE_FIELDS], rows[CASES_MAX];
    size_t count;
};

static void
list_figure(const struct tri_bench_measurement *measurement, const struct tri_bench_figure *figure, void *user)
{
    struct listing *listing = user;
    const trp_value row[2 * CASE_FIELDS] = {
        trp_str("case"),  trp_str(figure->name),  trp_str("unit"),          trp_str(figure->unit),
        trp_str("about"), trp_str(figure->about), trp_str("only_if_named"), trp_bool(measurement->only_if_named)};

    if (listing->count == CASES_MAX)
        return;
    memcpy(listing->entries[listing->count], row, sizeof row);
    listing->rows[listing->count] = trp_map(listing->entries[listing->count], CASE_FIELDS);
    listing->count++;
}

static void
show_case(trp_value row, const char *key, char *text, size_t size)
{
    const bool marked = trp_field(row, "only_if_named").as.boolean;

    (void)snprintf(text, size, "%s%s", trp_as_str(trp_field(row, key)), marked ? "*" : "");
}

static int
list_cases(struct tri_cli *cli)
{
    static const struct tri_column columns[] = {
        {"CASE", "case", false, show_case}, {"UNIT", "unit", false, NULL}, {"WHAT", "about", false, NULL}};
    struct listing listing = {.count = 0};

    each_figure(list_figure, &listing);
    return tri_give_rows(cli, NULL, trp_list(listing.rows, listing.count), columns, sizeof columns / sizeof *columns,
                         NULL);
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

static int
refuse_case(struct tri_cli *cli, const char *typed, const char *const *names)
{
    const char *meant = tri_suggest(typed, names);

    if (meant != NULL)
        return tri_refuse(cli, "unknown case '%.100s'; did you mean '%s'?", typed, meant);
    return tri_refuse(cli, "unknown case '%.100s'; `troupe bench --list` lists them", typed);
}

static int
take_cases(struct tri_cli *cli, const struct tri_args *args, struct options *options)
{
    struct names all = {{NULL}, 0};

    each_figure(note_name, &all);
    if (args->count > CASES_MAX)
        return tri_refuse(cli, "%d cases are asked for, %d are the most", args->count, CASES_MAX);
    for (int i = 0; i < args->count; i++) {
        for (size_t k = 0; k < all.count; k++)
            if (strcmp(all.names[k], args->operands[i]) == 0)
                options->cases[options->case_count] = all.names[k];
        if (options->cases[options->case_count++] == NULL)
            return refuse_case(cli, args->operands[i], all.names);
    }
    return TRI_EXIT_OK;
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

static int
run_measurement(struct tri_cli *cli, struct tri_bench *bench, const struct options *options,
                const struct tri_bench_measurement *measurement)
{
    struct tri_bench_result results[TRI_BENCH_FIGURES_MAX];
    bool wanted = false;
    trp_error error;
    trp_err err;

    for (int f = 0; f < TRI_BENCH_FIGURES_MAX && measurement->figures[f].name != NULL; f++)
        wanted = wanted || is_wanted(options, measurement, f);
    if (!wanted)
        return TRI_EXIT_OK;
    err = tri_bench_measure(bench, measurement, options->rounds, show_progress, results, &error);
    clear_progress();
    if (err != TRP_OK)
        return tri_fail_text(cli, "%s: %s", measurement->figures[0].name, error.message);
    for (int f = 0; f < TRI_BENCH_FIGURES_MAX && measurement->figures[f].name != NULL; f++)
        if (is_wanted(options, measurement, f))
            (cli->json ? tri_bench_print_json : tri_bench_print_row)(cli, &results[f]);
    return TRI_EXIT_OK;
}

static bool
has_echo(const char *directory)
{
    char path[PATH_MAX];

    return directory[0] != '\0' && snprintf(path, sizeof path, "%s/echo.so", directory) < (int)sizeof path &&
           access(path, R_OK) == 0;
}

static int
run_all(struct tri_cli *cli, const struct options *options)
{
    static struct tri_bench bench;
    char home[] = "/tmp/troupe-bench-XXXXXX";
    int exit_code = TRI_EXIT_OK, flushed = TRI_EXIT_OK;

    bench.module_path = options->module_path != NULL ? options->module_path : tri_bench_module_path();
    if (options->module_path != NULL && !has_echo(options->module_path))
        return tri_fail_text(cli, "--module-path: there is no echo.so in '%.200s'", options->module_path);
    if (bench.module_path == NULL)
        return tri_fail_text(cli, "echo.so is not beside this program; --module-path DIR says where it is");
    if (mkdtemp(home) == NULL)
        return tri_fail_text(cli, "no directory in /tmp: %s", strerror(errno));
    setenv("TROUPE_DIR", home, 1); /* private nodes, whatever node this user runs */
    tri_bench_adopt_orphans();
    if (!cli->json)
        tri_bench_print_header(cli);
    for (size_t g = 0; g < GROUP_COUNT; g++)
        for (size_t i = 0; i < *groups[g].count && flushed == TRI_EXIT_OK; i++) {
            const int ran = run_measurement(cli, &bench, options, &groups[g].rows[i]);
            exit_code = ran != TRI_EXIT_OK ? ran : exit_code;
            flushed = tri_flush(cli);
        }
    rmdir(home);
    return flushed != TRI_EXIT_OK ? flushed : exit_code;
}

static int
run_bench(struct tri_cli *cli, const struct tri_args *args)
{
    const char *rounds = tri_option(args, "rounds");
    struct options options = {.module_path = tri_option(args, "module-path")};
    int64_t number = DEFAULT_ROUNDS;
    int exit_code;

    if (rounds != NULL && (exit_code = tri_take_number(cli, "--rounds", rounds, 1, TRI_BENCH_ROUNDS_MAX, &number)) != 0)
        return exit_code;
    options.rounds = (int)number;
    exit_code = take_cases(cli, args, &options);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (tri_option(args, "list") != NULL)
        return list_cases(cli);
    return run_all(cli, &options);
}

static const struct tri_option bench_options[] = {
    {"rounds", 0, "N", "1 to 99; 5 unless given (some cases take fewer)", NULL},
    {"module-path", 0, "DIR", "where echo.so lies, if not beside this program", TRI_WORD_DIRECTORY},
    {"list", 0, NULL, "the cases and what they are", NULL},
    {0},
};

const struct tri_verb tri_verb_bench = {
    .name = "bench",
    .group = "The command",
    .about = "measures calls, tasks, starts and idle costs beside what the machine can do",
    .operands = "[CASE...]",
    .options = bench_options,
    .more =
        "Measures Troupe beside what the raw library or the bare kernel reaches with the same work, in turn, and "
        "prints\n"
        "medians; with --json one JSON object a line. Without a CASE all run, except those that --list marks with "
        "'*'.\n"
        "\n"
        "ratio is value / limit. spread is (largest - smallest) / median over the rounds; above 50% a case is noisy:\n"
        "something else ran, measure it again. cpu is processor seconds of all processes per million calls.\n"
        "met is yes, or what falls short of must: ratio or value, the figure itself; or p99 or cpu, which must be at "
        "most\n"
        "1.5 and 1.3 of the limit's where both sides have them. What is not met does not make the command fail.\n",
    .run = run_bench,
};
