/*
 * cases_task.c - tasks on the pool. One thread.
 */
#include <stdlib.h>

#include "tools/bench/bench.h"

enum { BATCH = 1000, BATCHES = 100 };

/* --------------------------------------------------------------------------------------------- batches of 1,000 */

static trp_err
run_batches(struct tri_bench *bench, size_t batches, uint64_t *took_ns, trp_error *error)
{
    uint64_t before = tri_limit_now_ns();

    for (size_t i = 0; i < batches; i++)
        TRP_TRY(tri_bench_ring(bench->runtime, NULL, 0, TRI_BENCH_BODY_SIZE, BATCH, BATCH, 0, took_ns, error));
    *took_ns = tri_limit_now_ns() - before;
    return TRP_OK;
}

static trp_err
open_async(struct tri_bench *bench, trp_error *error)
{
    uint64_t took;

    TRP_TRY(tri_bench_start(bench, 0, error));
    TRP_TRY(tri_chain_open(2, &bench->chain, error));
    TRP_TRY(run_batches(bench, BATCHES / 10, &took, error));
    return tri_chain_rate(bench->chain, TRI_BENCH_BODY_SIZE, BATCH, (size_t)BATCH * BATCHES / 10, 0, &took, error);
}

static trp_err
async_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    uint64_t took, before = tri_bench_cpu_ns(bench);

    TRP_TRY(run_batches(bench, BATCHES, &took, error));
    samples->cpu = tri_bench_cpu_per_million(before, tri_bench_cpu_ns(bench), (size_t)BATCH * BATCHES);
    samples->value = (double)BATCH * BATCHES * 1e9 / (double)took;
    return TRP_OK;
}

/* The limit never lets its queue run dry, which is the harder measure. */
static trp_err
async_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    size_t count = (size_t)BATCH * BATCHES;
    uint64_t took, before = tri_bench_limit_cpu_ns(bench);

    TRP_TRY(tri_chain_rate(bench->chain, TRI_BENCH_BODY_SIZE, BATCH, count, 0, &took, error));
    samples->cpu = tri_bench_cpu_per_million(before, tri_bench_limit_cpu_ns(bench), count);
    samples->value = (double)count * 1e9 / (double)took;
    return TRP_OK;
}

const struct tri_bench_measurement tri_bench_tasks[] = {
    {{{"task.sync", "us", "a task that gives 64 B back, one after the other", TRI_BENCH_RATIO_MOST, 1.2, true}},
     tri_bench_sync_open,
     tri_bench_sync_ours,
     tri_bench_sync_limit,
     0,
     false,
     0},
    {{{"task.async", "/s", "the same, batches of 1,000 on the pool", TRI_BENCH_RATIO_LEAST, 0.7, true}},
     open_async,
     async_ours,
     async_limit,
     0,
     false,
     0},
};
const size_t tri_bench_task_count = sizeof tri_bench_tasks / sizeof *tri_bench_tasks;
