/*
 * main.c - sim: runs seeds until one breaks an invariant; prints it, and the same run's hash when it is run again.
 */
#include <time.h>

#include "tests/sim/sim.h"

static double
seconds(void)
{
    return (double)tri_now_ns() / 1e9;
}

static int
usage(void)
{
    (void)fprintf(stderr, "usage: sim [--seeds N] [--from N] [--seed N [--trace]] [--steps N] [--quiet]\n");
    return 2;
}

struct arguments {
    struct sim_options options;
    uint64_t seeds, from;
    bool one, quiet;
};

static bool
parse(int argc, char **argv, struct arguments *arguments)
{
    for (int i = 1; i < argc; i++) {
        uint64_t *number = NULL, steps = 0;
        if (strcmp(argv[i], "--trace") == 0)
            arguments->options.trace = true;
        else if (strcmp(argv[i], "--quiet") == 0)
            arguments->quiet = true;
        else if (i + 1 == argc)
            return false;
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
        if (number == NULL)
            continue;
        arguments->one |= number == &arguments->options.seed;
        *number = strtoull(argv[++i], NULL, 10);
        if (steps > 0)
            arguments->options.steps = (uint32_t)steps;
    }
    return true;
}

static int
show(struct sim_world *world, const struct sim_options *options)
{
    uint64_t hash = world->hash, step = world->step;

    (void)printf("seed %llu: step %llu: %s\n", (unsigned long long)options->seed, (unsigned long long)step, world->why);
    if (!options->trace) {
        (void)sim_run(options, world);
        (void)printf("seed %llu: run hash %016llx, again %016llx%s\n", (unsigned long long)options->seed,
                     (unsigned long long)hash, (unsigned long long)world->hash,
                     hash == world->hash ? "" : ": NOT THE SAME RUN");
        (void)printf("replay: sim --seed %llu --steps %u --trace\n", (unsigned long long)options->seed, options->steps);
    }
    return 1;
}

int
main(int argc, char **argv)
{
    struct arguments arguments = {.options = {.steps = 2000}, .seeds = 20, .from = 1};
    struct sim_world *world = calloc(1, sizeof *world);
    uint64_t steps = 0, faults[4] = {0};
    double from = seconds();

    if (world == NULL || !parse(argc, argv, &arguments)) {
        free(world);
        return usage();
    }
    if (arguments.one) {
        arguments.from = arguments.options.seed;
        arguments.seeds = 1;
    }
    for (uint64_t i = 0; i < arguments.seeds; i++) {
        arguments.options.seed = arguments.from + i;
        if (sim_run(&arguments.options, world) != TRP_OK) {
            int result = show(world, &arguments.options);
            free(world);
            return result;
        }
        steps += world->step;
        faults[0] += world->broker_kills;
        faults[1] += world->host_kills;
        faults[2] += world->driver_kills;
        faults[3] += world->cuts;
        if (!arguments.quiet && (arguments.one || (i + 1) % 50 == 0))
            (void)printf("%llu seeds, run hash %016llx\n", (unsigned long long)(i + 1),
                         (unsigned long long)world->hash);
    }
    (void)printf(
        "seeds %llu to %llu: %llu steps, %.0f per second; killed %llu brokers, %llu hosts, %llu drivers; cut %llu "
        "links; nothing found\n",
        (unsigned long long)arguments.from, (unsigned long long)(arguments.from + arguments.seeds - 1),
        (unsigned long long)steps, (double)steps / (seconds() - from), (unsigned long long)faults[0],
        (unsigned long long)faults[1], (unsigned long long)faults[2], (unsigned long long)faults[3]);
    free(world);
    return 0;
}
