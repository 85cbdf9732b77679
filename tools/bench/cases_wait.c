/*
 * cases_wait.c - waiting for many references. One thread.
 */
#include "tools/bench/bench.h"

enum { REFS = 1000, FEW = 100, REPEATS = 20 };

static trp_err
open_actor(struct tri_bench *bench, trp_error *error)
{
    return tri_bench_start(bench, 1, error);
}

static trp_err
submit(struct tri_bench *bench, trp_ref **refs, size_t count, trp_error *error)
{
    for (size_t i = 0; i < count; i++)
        TRP_TRY(tri_bench_call(bench->runtime, bench->actors[0], i, TRI_BENCH_BODY_SIZE, &refs[i], error));
    return TRP_OK;
}

static trp_err
take_all(trp_ref **refs, size_t count, trp_error *error)
{
    for (size_t i = 0; i < count; i++)
        TRP_TRY(tri_bench_take(&refs[i], i, TRI_BENCH_BODY_SIZE, TRI_BENCH_TIMEOUT_MS, error));
    return TRP_OK;
}

static void
release_all(trp_ref **refs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        trp_ref_release(&refs[i]);
}

/* --------------------------------------------------------------------------------------- one wait for 1,000 ready */

static trp_err
wait_ready(struct tri_bench *bench, trp_ref **refs, trp_error *error)
{
    size_t ready[REFS], count = 0;

    TRP_TRY(submit(bench, refs, REFS, error));
    TRP_TRY(trp_wait(refs, REFS, REFS, TRI_BENCH_TIMEOUT_MS, ready, &count, error));
    for (size_t i = 0; i < REPEATS; i++) {
        uint64_t before = tri_limit_now_ns();
        TRP_TRY(trp_wait(refs, REFS, REFS, TRI_BENCH_TIMEOUT_MS, ready, &count, error));
        bench->latency_ns[i] = tri_limit_now_ns() - before;
        if (count != REFS)
            return tri_limit_fail(error, "%zu of %d references were ready", count, REFS);
    }
    return take_all(refs, REFS, error);
}

static trp_err
ready_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    trp_ref *refs[REFS] = {NULL};
    trp_err err = wait_ready(bench, refs, error);

    release_all(refs, REFS);
    tri_bench_latencies(bench, REPEATS, samples);
    return err;
}

/* ------------------------------------------------------------------------------------- as many waits as references */

/* Submits `count` calls and waits as often for one of those left; the time of the waits. */
static trp_err
wait_each(struct tri_bench *bench, trp_ref **refs, size_t count, uint64_t *took_ns, trp_error *error)
{
    trp_ref *left[REFS];
    size_t left_count = count;
    uint64_t before;

    TRP_TRY(submit(bench, refs, count, error));
    memcpy(left, refs, count * sizeof *left);
    before = tri_limit_now_ns();
    while (left_count > 0) {
        size_t ready = 0, ready_count = 0;

        TRP_TRY(trp_wait(left, left_count, 1, TRI_BENCH_TIMEOUT_MS, &ready, &ready_count, error));
        if (ready_count != 1)
            return tri_limit_fail(error, "none of %zu references became ready", left_count);
        left[ready] = left[--left_count];
    }
    *took_ns = tri_limit_now_ns() - before;
    return take_all(refs, count, error);
}

static trp_err
each_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    trp_ref *refs[REFS] = {NULL};
    uint64_t took = 0;
    trp_err err = wait_each(bench, refs, REFS, &took, error);

    release_all(refs, REFS);
    samples->value = (double)took / 1e3;
    return err;
}

/* What it would take if it grew with the number of references and no faster: ten times 100 waits for one of 100. */
static trp_err
each_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    trp_ref *refs[FEW] = {NULL};
    uint64_t sum = 0;
    trp_err err = TRP_OK;

    for (size_t i = 0; err == TRP_OK && i < REFS / FEW; i++) {
        uint64_t took = 0;
        err = wait_each(bench, refs, FEW, &took, error);
        release_all(refs, FEW);
        sum += took;
    }
    samples->value = (double)sum / 1e3;
    return err;
}

const struct tri_bench_measurement tri_bench_waits[] = {
    {{{"wait.1000", "us", "one wait for 1,000 references that are ready", TRI_BENCH_VALUE_MOST, 200, false}},
     open_actor,
     ready_ours,
     NULL,
     0,
     false,
     0},
    {{{"wait.1000.each", "us", "1,000 waits for one of 1,000; beside it ten times 100 waits for one of 100",
       TRI_BENCH_RATIO_MOST, 1.5, false}},
     open_actor,
     each_ours,
     each_limit,
     0,
     false,
     0},
};
const size_t tri_bench_wait_count = sizeof tri_bench_waits / sizeof *tri_bench_waits;
