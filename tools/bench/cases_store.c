/*
 * cases_store.c - objects: making them and getting them, small ones and such as lie in shared memory. One thread.
 *
 * What a copy costs depends on the pages: each object here is released before the next is made, so that all but the first
 * are written to pages that this process, or that host, has written before.
 */
#include "tools/bench/bench.h"

#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, SMALL = 1024, SMALL_COUNT = 20000, REPEATS = 30, ROUND_BYTES = 400 * MIB };

static trp_err
open_store(struct tri_bench *bench, trp_error *error)
{
    TRP_TRY(tri_bench_start(bench, 1, error));
    return tri_memory_limit_open((size_t)bench->measurement->variant, &bench->memory, error);
}

static size_t
repeats(const struct tri_bench *bench)
{
    const size_t count = ROUND_BYTES / (size_t)bench->measurement->variant;

    return count < 4 ? 4 : count < REPEATS * 10 ? count : REPEATS * 10;
}

/* GB/s of so many bytes at a time, from the first `count` latencies: their median. */
static void
set_rate(struct tri_bench *bench, size_t count, struct tri_bench_sample *sample)
{
    struct tri_bench_sample latency;

    tri_bench_latencies(bench, count, &latency); /* us */
    sample->value = (double)bench->measurement->variant / latency.value / 1e3;
    sample->p99 = NAN;
}

/* ------------------------------------------------------------------------------------------------------------ putting */

static trp_err
put_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    const size_t count = repeats(bench);
    const trp_value value = trp_bytes(tri_memory_limit_source(bench->memory), (size_t)bench->measurement->variant);

    for (size_t i = 0; i <= count; i++) {
        const uint64_t before = tri_limit_now_ns();
        trp_ref *ref = NULL;
        TRP_TRY(trp_put(bench->runtime, value, &ref, error));
        trp_ref_release(&ref);
        if (i > 0) /* the first one touches its pages */
            bench->latency_ns[i - 1] = tri_limit_now_ns() - before;
    }
    set_rate(bench, count, samples);
    return TRP_OK;
}

static trp_err
put_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    const size_t count = repeats(bench);

    (void)error;
    for (size_t i = 0; i < count; i++)
        bench->latency_ns[i] = tri_memory_limit_copy(bench->memory);
    set_rate(bench, count, samples);
    return TRP_OK;
}

static trp_err
small_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    static trp_ref *refs[SMALL_COUNT];
    const trp_value value = trp_bytes(tri_memory_limit_source(bench->memory), SMALL);
    uint64_t before = tri_limit_now_ns();
    trp_err err = TRP_OK;

    for (size_t i = 0; err == TRP_OK && i < SMALL_COUNT; i++)
        err = trp_put(bench->runtime, value, &refs[i], error);
    samples[0].value = SMALL_COUNT * 1e9 / (double)(tri_limit_now_ns() - before);
    before = tri_limit_now_ns();
    for (size_t i = 0; err == TRP_OK && i < SMALL_COUNT; i++) {
        trp_value got;
        err = trp_get(refs[i], 0, &got, error);
        if (err == TRP_OK && got.size != SMALL)
            err = tri_limit_fail(error, "an object came back as something else");
    }
    samples[1].value = SMALL_COUNT * 1e9 / (double)(tri_limit_now_ns() - before);
    for (size_t i = 0; i < SMALL_COUNT; i++)
        trp_ref_release(&refs[i]);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------ getting */

/* The first get of an object that a call returned, and its first byte; then all of them. */
static trp_err
get_one(struct tri_bench *bench, uint64_t *took_ns, uint64_t *pass_ns, trp_error *error)
{
    const trp_value size = trp_i64(bench->measurement->variant);
    trp_ref *ref = NULL;
    size_t ready, count = 0;
    trp_value value;
    trp_err err;

    TRP_TRY(trp_call(bench->actors[0], "make", trp_args(&size, 1), &ref, error));
    err = trp_wait(&ref, 1, 1, TRI_BENCH_TIMEOUT_MS, &ready, &count, error);
    const uint64_t before = tri_limit_now_ns();
    if (err == TRP_OK)
        err = trp_get(ref, 0, &value, error);
    if (err == TRP_OK &&
        (value.size != (size_t)bench->measurement->variant || *(volatile const char *)value.as.bytes != 1))
        err = tri_limit_fail(error, "what was made came back as something else");
    *took_ns = tri_limit_now_ns() - before;
    if (err == TRP_OK)
        *pass_ns = tri_limit_pass(value.as.bytes, value.size);
    trp_ref_release(&ref);
    return err;
}

static trp_err
get_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    uint64_t pass_ns[REPEATS];

    for (size_t i = 0; i < REPEATS; i++)
        TRP_TRY(get_one(bench, &bench->latency_ns[i], &pass_ns[i], error));
    tri_bench_latencies(bench, REPEATS, &samples[0]);
    memcpy(bench->latency_ns, pass_ns, sizeof pass_ns);
    tri_bench_latencies(bench, REPEATS, &samples[1]);
    return TRP_OK;
}

static trp_err
get_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    for (size_t i = 0; i < REPEATS; i++)
        TRP_TRY(tri_memory_limit_read(bench->memory, &bench->latency_ns[i], error));
    tri_bench_latencies(bench, REPEATS, &samples[0]);
    for (size_t i = 0; i < REPEATS; i++)
        bench->latency_ns[i] = tri_memory_limit_pass(bench->memory);
    tri_bench_latencies(bench, REPEATS, &samples[1]);
    return TRP_OK;
}

/* ---------------------------------------------------------------------------------------------------------- arguments */

static trp_err
arg_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    const size_t size = (size_t)bench->measurement->variant, count = 200;
    const trp_value value = trp_bytes(tri_memory_limit_source(bench->memory), size);

    for (size_t i = 0; i < count; i++) {
        const uint64_t before = tri_limit_now_ns();
        trp_ref *ref = NULL;
        trp_value got;
        TRP_TRY(trp_call(bench->actors[0], "echo", trp_args(&value, 1), &ref, error));
        trp_err err = trp_get(ref, TRI_BENCH_TIMEOUT_MS, &got, error);
        if (err == TRP_OK && (got.size != size || ((const char *)got.as.bytes)[size - 1] != 7))
            err = tri_limit_fail(error, "an echo came back as something else");
        bench->latency_ns[i] = tri_limit_now_ns() - before;
        trp_ref_release(&ref);
        TRP_TRY(err);
    }
    tri_bench_latencies(bench, count, samples);
    return TRP_OK;
}

/* A call of 64 bytes, and the two copies: of what is sent, and of what comes back. */
static trp_err
arg_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    const size_t count = 200;

    TRP_TRY(tri_bench_sync(bench, bench->actors[0], TRI_BENCH_BODY_SIZE, count, error));
    for (size_t i = 0; i < count; i++)
        bench->latency_ns[i] += tri_memory_limit_copy(bench->memory) + tri_memory_limit_copy(bench->memory);
    tri_bench_latencies(bench, count, samples);
    return TRP_OK;
}

const struct tri_bench_measurement tri_bench_stores[] = {
    {{{"put.large", "GB/s", "trp_put of 100 MiB and its release; beside it memcpy", TRI_BENCH_RATIO_LEAST, 0.9, false}},
     open_store,
     put_ours,
     put_limit,
     0,
     false,
     100 * MIB},
    {{{"put.1m", "GB/s", "the same of 1 MiB", TRI_BENCH_RATIO_LEAST, 0.9, false}},
     open_store,
     put_ours,
     put_limit,
     0,
     false,
     MIB},
    {{{"put.small", "/s", "trp_put of 1 KiB", TRI_BENCH_VALUE_LEAST, 300000, false},
      {"get.small", "/s", "trp_get of each of those", TRI_BENCH_VALUE_LEAST, 2000000, false}},
     open_store,
     small_ours,
     NULL,
     0,
     false,
     MIB},
    {{{"get.local", "us",
       "the first get of 100 MiB that a call returned, and its first byte; beside it mmap and the same",
       TRI_BENCH_VALUE_MOST, 5, false},
      {"get.local.pass", "us", "one pass over all of its bytes; beside it one over memory that is mapped already",
       TRI_BENCH_STATED, 0, false}},
     open_store,
     get_ours,
     get_limit,
     0,
     false,
     100 * MIB},
    {{{"arg.1m", "us", "echo of 1 MiB; beside it a call of 64 bytes and both copies", TRI_BENCH_RATIO_MOST, 1.2,
       false}},
     open_store,
     arg_ours,
     arg_limit,
     0,
     false,
     MIB},
};
const size_t tri_bench_store_count = sizeof tri_bench_stores / sizeof *tri_bench_stores;
