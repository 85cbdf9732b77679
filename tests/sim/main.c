/*
 * main.c - sim: runs seeds until one breaks an invariant; prints it, and the same run's hash when it is run again. At the end:
 * which seeds were run, how many steps, how many deaths. One thread. It must not know what an invariant is.
 */
#include <unistd.h>

#include "tests/sim/sim.h"

#define LLU(number) ((unsigned long long)(number))

struct arguments {
    struct sim_options options;
    uint64_t seeds, from;
    bool one, quiet, keep_going;
};

struct totals {
    uint64_t from_ns, shown_ns, steps, longest, brokers, hosts, drivers, cuts, found;
};

static int
usage(void)
{
    (void)fprintf(stderr,
                  "usage: sim [--seeds N] [--from N] [--keep-going] [--seed N [--trace]] [--steps N] [--quiet]\n");
    return 2;
}

static bool
parse_number(const char *text, uint64_t *number)
{
    char *end;

    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static bool
parse(int argc, char **argv, struct arguments *arguments)
{
    uint64_t steps = arguments->options.steps;

    for (int i = 1; i < argc; i++) {
        uint64_t *number = NULL;
        if (strcmp(argv[i], "--trace") == 0)
            arguments->options.trace = true;
        else if (strcmp(argv[i], "--quiet") == 0)
            arguments->quiet = true;
        else if (strcmp(argv[i], "--keep-going") == 0)
            arguments->keep_going = true;
        else if (strcmp(argv[i], "--seeds") == 0)
            number = &arguments->seeds;
        else if (strcmp(argv[i], "--from") == 0)
            number = &arguments->from;
        else if (strcmp(argv[i], "--seed") == 0)
            number = &arguments->options.seed;
        else if (strcmp(argv[i], "--steps") == 0)
            number = &steps;
        else
            return false;
        arguments->one |= number == &arguments->options.seed;
        if (number != NULL && (i + 1 == argc || !parse_number(argv[++i], number)))
            return false;
    }
    arguments->options.steps = (uint32_t)steps;
    if (arguments->one) {
        arguments->from = arguments->options.seed;
        arguments->seeds = 1;
    }
    return steps > 0 && steps <= UINT32_MAX && arguments->seeds > 0;
}

static void
show_finding(struct sim_world *world, const struct sim_options *options)
{
    uint64_t hash = world->hash, step = world->step;

    (void)printf("seed %llu: step %llu: %s\n", LLU(options->seed), LLU(step), world->why);
    if (!options->trace) {
        (void)sim_run(options, world);
        (void)printf("seed %llu: run hash %016llx, again %016llx%s\n", LLU(options->seed), LLU(hash), LLU(world->hash),
                     hash == world->hash ? "" : ": NOT THE SAME RUN");
        (void)printf("replay: sim --seed %llu --steps %u --trace\n", LLU(options->seed), options->steps);
    }
    (void)fflush(stdout);
}

static double
per_second(const struct totals *totals)
{
    return (double)totals->steps * 1e9 / (double)(tri_now_ns() - totals->from_ns + 1);
}

/* On a terminal one line that is written over, else a line now and then. */
static void
show_progress(const struct arguments *arguments, struct totals *totals, uint64_t done, uint64_t hash)
{
    bool terminal = isatty(STDERR_FILENO) != 0;
    uint64_t now_ns = tri_now_ns();

    if (arguments->quiet)
        return;
    if (terminal && (now_ns - totals->shown_ns >= TRI_NS_PER_S / 5 || done == arguments->seeds)) {
        totals->shown_ns = now_ns;
        (void)fprintf(stderr, "\r%llu of %llu seeds, %llu steps, %.0f per second, %llu findings %s", LLU(done),
                      LLU(arguments->seeds), LLU(totals->steps), per_second(totals), LLU(totals->found),
                      done == arguments->seeds ? "\n" : "");
    } else if (!terminal && (arguments->one || done % 1000 == 0)) {
        (void)printf("%llu seeds, %llu steps, run hash %016llx\n", LLU(done), LLU(totals->steps), LLU(hash));
        (void)fflush(stdout);
    }
}

static void
add(struct totals *totals, const struct sim_world *world)
{
    totals->steps += world->step;
    totals->longest = world->step > totals->longest ? world->step : totals->longest;
    totals->brokers += world->broker_kills;
    totals->hosts += world->host_kills;
    totals->drivers += world->driver_kills;
    totals->cuts += world->cuts;
}

static void
show_totals(const struct arguments *arguments, const struct totals *totals)
{
    char found[48] = "nothing found";

    if (totals->found > 0)
        (void)snprintf(found, sizeof found, "%llu SEEDS WITH A FINDING", LLU(totals->found));
    (void)printf(
        "seeds %llu to %llu: %llu steps (at most %llu in one seed), %.0f per second; killed %llu brokers, %llu "
        "hosts, %llu drivers; cut %llu links; %s\n",
        LLU(arguments->from), LLU(arguments->from + arguments->seeds - 1), LLU(totals->steps), LLU(totals->longest),
        per_second(totals), LLU(totals->brokers), LLU(totals->hosts), LLU(totals->drivers), LLU(totals->cuts), found);
}

int
main(int argc, char **argv)
{
    struct arguments arguments = {.options = {.steps = 2000}, .seeds = 20, .from = 1};
    struct sim_world *world = calloc(1, sizeof *world);
    struct totals totals = {.from_ns = tri_now_ns()};

    tri_log_setup("sim", TRI_ERROR, STDERR_FILENO); /* full disks are what is asked for */

    if (world == NULL || !parse(argc, argv, &arguments)) {
        free(world);
        return usage();
    }
    for (uint64_t i = 0; i < arguments.seeds; i++) {
        arguments.options.seed = arguments.from + i;
        trp_err err = sim_run(&arguments.options, world);
        add(&totals, world);
        if (err != TRP_OK) {
            totals.found++;
            show_finding(world, &arguments.options);
            if (!arguments.keep_going)
                break;
        }
        show_progress(&arguments, &totals, i + 1, world->hash);
    }
    if (totals.found == 0 || arguments.keep_going)
        show_totals(&arguments, &totals);
    free(world);
    return totals.found == 0 ? 0 : 1;
}
