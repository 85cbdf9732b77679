/*
 * rounds.c - runs a measurement: ours and the limit in turn, round by round, then medians. One thread. It must not know
 * what is measured.
 */
#include <stdlib.h>

#include "tools/bench/bench.h"

/* What all rounds gave for one figure. */
struct series {
    double value[TRI_BENCH_ROUNDS_MAX], p99[TRI_BENCH_ROUNDS_MAX], cpu[TRI_BENCH_ROUNDS_MAX];
};

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts; NAN where any round had none. */
static double
median(double *values, int count)
{
    for (int i = 0; i < count; i++)
        if (isnan(values[i]))
            return (double)NAN;
    if (count == 0)
        return (double)NAN;
    qsort(values, (size_t)count, sizeof *values, compare);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static trp_err
run_side(struct tri_bench *bench,
         trp_err (*side)(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error),
         struct series *series, int round, trp_error *error)
{
    struct tri_bench_sample samples[TRI_BENCH_FIGURES_MAX];

    for (int i = 0; i < TRI_BENCH_FIGURES_MAX; i++)
        samples[i] = (struct tri_bench_sample){(double)NAN, (double)NAN, (double)NAN};
    if (side != NULL)
        TRP_TRY(side(bench, samples, error));
    for (int i = 0; i < TRI_BENCH_FIGURES_MAX; i++) {
        series[i].value[round] = samples[i].value;
        series[i].p99[round] = samples[i].p99;
        series[i].cpu[round] = samples[i].cpu;
    }
    return TRP_OK;
}

const char *
tri_bench_shortfall(const struct tri_bench_result *result)
{
    const struct tri_bench_figure *figure = result->figure;

    if ((figure->rule == TRI_BENCH_RATIO_MOST && !(result->ratio <= figure->must)) ||
        (figure->rule == TRI_BENCH_RATIO_LEAST && !(result->ratio >= figure->must)))
        return "ratio";
    if (figure->rule == TRI_BENCH_VALUE_LEAST && !(result->value >= figure->must))
        return "value";
    if (figure->rule == TRI_BENCH_VALUE_MOST && !(result->value <= figure->must))
        return "value";
    if (figure->bound && result->p99 > TRI_BENCH_P99_MOST * result->limit_p99)
        return "p99";
    if (figure->bound && result->cpu > TRI_BENCH_CPU_MOST * result->limit_cpu)
        return "cpu";
    return "";
}

static void
conclude(const struct tri_bench_figure *figure, struct series *ours, struct series *limit, int rounds,
         struct tri_bench_result *result)
{
    *result = (struct tri_bench_result){.figure = figure, .rounds = rounds};
    result->value = median(ours->value, rounds); /* and sorted */
    result->p99 = median(ours->p99, rounds);
    result->cpu = median(ours->cpu, rounds);
    result->limit = median(limit->value, rounds);
    result->limit_p99 = median(limit->p99, rounds);
    result->limit_cpu = median(limit->cpu, rounds);
    result->ratio = result->value / result->limit;
    result->spread = result->value > 0 ? (ours->value[rounds - 1] - ours->value[0]) / result->value : 0;
    result->met = *tri_bench_shortfall(result) == 0;
}

trp_err
tri_bench_measure(struct tri_bench *bench, const struct tri_bench_measurement *measurement, int rounds,
                  tri_bench_progress_fn *progress, struct tri_bench_result *results, trp_error *error)
{
    static struct series ours[TRI_BENCH_FIGURES_MAX], limit[TRI_BENCH_FIGURES_MAX];
    int wanted = measurement->rounds > 0 && measurement->rounds < rounds ? measurement->rounds : rounds;
    trp_err err;

    bench->measurement = measurement;
    progress(measurement->figures[0].name, 0, wanted);
    err = measurement->open(bench, error);
    for (int round = 0; err == TRP_OK && round < wanted; round++) {
        progress(measurement->figures[0].name, round + 1, wanted);
        err = run_side(bench, measurement->ours, ours, round, error);
        if (err == TRP_OK)
            err = run_side(bench, measurement->limit, limit, round, error);
    }
    tri_bench_close(bench);
    for (int i = 0; err == TRP_OK && i < TRI_BENCH_FIGURES_MAX && measurement->figures[i].name != NULL; i++)
        conclude(&measurement->figures[i], &ours[i], &limit[i], wanted, &results[i]);
    return err;
}
