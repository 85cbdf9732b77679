/*
 * cases_call.c - calls to own-process actors: latency, rate, several drivers, open loop. One thread.
 */
#include "tools/bench/bench.h"

enum {
    WARM_CALLS = 20000,
    RATE_CALLS = 400000,
    LARGE_CALLS = 100000,
    LARGE_SIZE = 1024,
    THINK_NS = 300,
    NN_DRIVERS = 2,
    NN_CALLS = 300000, /* each driver */
    LOAD_MS = 400,
};

static void
set_rate(struct tri_bench_sample *sample, size_t count, uint64_t took_ns, uint64_t cpu_before, uint64_t cpu_after)
{
    sample->value = (double)count * 1e9 / (double)took_ns;
    sample->cpu = tri_bench_cpu_per_million(cpu_before, cpu_after, count);
}

/* ---------------------------------------------------------------------------------------------- 1,000 outstanding */

/* What a variant of call.async means. */
static const struct {
    size_t body_size, count;
    uint64_t think_ns;
} rates[] = {
    {TRI_BENCH_BODY_SIZE, RATE_CALLS, 0},
    {LARGE_SIZE, LARGE_CALLS, 0},
    {TRI_BENCH_BODY_SIZE, RATE_CALLS, THINK_NS},
};

static trp_err
open_rate(struct tri_bench *bench, trp_error *error)
{
    uint64_t took;

    TRP_TRY(tri_bench_start(bench, 1, error));
    TRP_TRY(tri_chain_open(1, &bench->chain, error));
    tri_limit_think(1);
    TRP_TRY(tri_bench_ring(bench->runtime, bench->actors, 1, TRI_BENCH_BODY_SIZE, TRI_BENCH_OUTSTANDING, WARM_CALLS, 0,
                           &took, error));
    return tri_chain_rate(bench->chain, TRI_BENCH_BODY_SIZE, TRI_BENCH_OUTSTANDING, WARM_CALLS, 0, &took, error);
}

static trp_err
rate_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    int kind = bench->measurement->variant;
    uint64_t took, before = tri_bench_cpu_ns(bench);

    TRP_TRY(tri_bench_ring(bench->runtime, bench->actors, 1, rates[kind].body_size, TRI_BENCH_OUTSTANDING,
                           rates[kind].count, rates[kind].think_ns, &took, error));
    set_rate(samples, rates[kind].count, took, before, tri_bench_cpu_ns(bench));
    return TRP_OK;
}

static trp_err
rate_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    int kind = bench->measurement->variant;
    uint64_t took, before = tri_bench_limit_cpu_ns(bench);

    TRP_TRY(tri_chain_rate(bench->chain, rates[kind].body_size, TRI_BENCH_OUTSTANDING, rates[kind].count,
                           rates[kind].think_ns, &took, error));
    set_rate(samples, rates[kind].count, took, before, tri_bench_limit_cpu_ns(bench));
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------ 2 drivers x 2 actors */

static trp_err
open_nn(struct tri_bench *bench, trp_error *error)
{
    uint64_t took;

    TRP_TRY(tri_bench_serve(bench, NN_DRIVERS, error));
    TRP_TRY(tri_driver_tell(bench->drivers, NN_DRIVERS, TRI_DRIVER_RUN, WARM_CALLS, &took, error));
    TRP_TRY(tri_chain_open(2, &bench->chain, error));
    return tri_chain_rate(bench->chain, TRI_BENCH_BODY_SIZE, TRI_BENCH_OUTSTANDING, WARM_CALLS, 0, &took, error);
}

static trp_err
nn_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    uint64_t took, before = tri_bench_cpu_ns(bench);

    TRP_TRY(tri_driver_tell(bench->drivers, NN_DRIVERS, TRI_DRIVER_RUN, NN_CALLS, &took, error));
    set_rate(samples, (size_t)NN_CALLS * NN_DRIVERS, took, before, tri_bench_cpu_ns(bench));
    return TRP_OK;
}

static trp_err
nn_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    uint64_t took, before = tri_bench_limit_cpu_ns(bench);

    TRP_TRY(tri_chain_rate(bench->chain, TRI_BENCH_BODY_SIZE, TRI_BENCH_OUTSTANDING, RATE_CALLS, 0, &took, error));
    set_rate(samples, RATE_CALLS, took, before, tri_bench_limit_cpu_ns(bench));
    return TRP_OK;
}

/* ----------------------------------------------------------------------------------------------------- open loop */

static trp_err
open_load(struct tri_bench *bench, trp_error *error)
{
    uint64_t took;

    TRP_TRY(open_rate(bench, error));
    TRP_TRY(tri_bench_ring(bench->runtime, bench->actors, 1, TRI_BENCH_BODY_SIZE, TRI_BENCH_OUTSTANDING, RATE_CALLS, 0,
                           &took, error));
    bench->peak = (double)RATE_CALLS * 1e9 / (double)took;
    TRP_TRY(tri_chain_rate(bench->chain, TRI_BENCH_BODY_SIZE, TRI_BENCH_OUTSTANDING, RATE_CALLS, 0, &took, error));
    bench->limit_peak = (double)RATE_CALLS * 1e9 / (double)took;
    return TRP_OK;
}

static size_t
load_count(double rate)
{
    double count = rate * LOAD_MS / 1e3;

    return count < TRI_BENCH_LATENCIES_MAX ? (size_t)count : TRI_BENCH_LATENCIES_MAX;
}

/* The second figure is the first's p99. */
static void
set_load(struct tri_bench *bench, size_t count, struct tri_bench_sample *samples)
{
    tri_bench_latencies(bench, count, samples);
    samples[1].value = samples[0].p99;
}

static trp_err
load_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    double rate = bench->peak / 2;
    size_t count = load_count(rate);
    uint64_t before = tri_bench_cpu_ns(bench);

    TRP_TRY(tri_bench_open_loop(bench, bench->actors[0], TRI_BENCH_BODY_SIZE, rate, count, error));
    samples->cpu = tri_bench_cpu_per_million(before, tri_bench_cpu_ns(bench), count);
    set_load(bench, count, samples);
    return TRP_OK;
}

static trp_err
load_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    double rate = bench->limit_peak / 2;
    size_t count = load_count(rate);
    uint64_t before = tri_bench_limit_cpu_ns(bench);

    TRP_TRY(tri_chain_load(bench->chain, TRI_BENCH_BODY_SIZE, rate, count, bench->latency_ns, error));
    samples->cpu = tri_bench_cpu_per_million(before, tri_bench_limit_cpu_ns(bench), count);
    set_load(bench, count, samples);
    return TRP_OK;
}

const struct tri_bench_measurement tri_bench_calls[] = {
    {{{"call.sync", "us", "64 B echo, one after the other", TRI_BENCH_RATIO_MOST, 1.0, true}},
     tri_bench_sync_open,
     tri_bench_sync_ours,
     tri_bench_sync_limit,
     0,
     false,
     1},
    {{{"call.async", "/s", "64 B echo, 1,000 outstanding", TRI_BENCH_RATIO_LEAST, 1.3, true}},
     open_rate,
     rate_ours,
     rate_limit,
     0,
     false,
     0},
    {{{"call.async.1k", "/s", "1 KiB echo, 1,000 outstanding", TRI_BENCH_RATIO_LEAST, 1.3, true}},
     open_rate,
     rate_ours,
     rate_limit,
     0,
     false,
     1},
    {{{"call.async.think", "/s", "64 B echo, 1,000 outstanding, the caller computes 300 ns between calls",
       TRI_BENCH_RATIO_LEAST, 1.0, true}},
     open_rate,
     rate_ours,
     rate_limit,
     0,
     false,
     2},
    {{{"call.nn", "/s", "64 B echo, 2 drivers x 2 actors, 1,000 outstanding each", TRI_BENCH_RATIO_LEAST, 1.3, true}},
     open_nn,
     nn_ours,
     nn_limit,
     0,
     false,
     0},
    {{{"call.load", "us", "64 B echo, open loop at half of the peak, p50", TRI_BENCH_RATIO_MOST, 1.0, true},
      {"call.load.p99", "us", "the same, p99", TRI_BENCH_RATIO_MOST, 1.0, false}},
     open_load,
     load_ours,
     load_limit,
     0,
     false,
     0},
};
const size_t tri_bench_call_count = sizeof tri_bench_calls / sizeof *tri_bench_calls;
