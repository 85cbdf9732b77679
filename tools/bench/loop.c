/*
 * loop.c - the loops that calls are measured in: one after the other, a ring of so many outstanding, and an open loop. Each
 * call is a call of its own with a result of its own, which is got, checked and released. One thread, the caller's.
 */
#include <stdlib.h>

#include "tools/bench/bench.h"

enum { BODY_MAX = 4096, SYNC_COUNT = 3000 };

trp_err
tri_bench_call(trp_runtime *runtime, trp_actor *actor, uint64_t number, size_t body_size, trp_ref **ref,
               trp_error *error)
{
    static uint8_t body[BODY_MAX];
    trp_value argument = trp_bytes(body, body_size);

    memcpy(body, &number, sizeof number);
    if (actor == NULL)
        return trp_task(runtime, "echo:noop", trp_args(&argument, 1), ref, error);
    return trp_call(actor, "echo", trp_args(&argument, 1), ref, error);
}

trp_err
tri_bench_take(trp_ref **ref, uint64_t number, size_t body_size, int64_t timeout_ms, trp_error *error)
{
    trp_value value;
    uint64_t got = 0;

    TRP_TRY(trp_get(*ref, timeout_ms, &value, error));
    if (value.kind != TRP_BYTES || value.size != body_size)
        return tri_limit_fail(error, "an echo came back as something else");
    memcpy(&got, value.as.bytes, sizeof got);
    if (got != number)
        return tri_limit_fail(error, "echo %llu came back as %llu", (unsigned long long)number,
                              (unsigned long long)got);
    trp_ref_release(ref);
    return TRP_OK;
}

trp_err
tri_bench_sync(struct tri_bench *bench, trp_actor *actor, size_t body_size, size_t count, trp_error *error)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t before = tri_limit_now_ns();
        trp_ref *ref = NULL;
        trp_err err;

        TRP_TRY(tri_bench_call(bench->runtime, actor, i, body_size, &ref, error));
        err = tri_bench_take(&ref, i, body_size, TRI_BENCH_TIMEOUT_MS, error);
        bench->latency_ns[i] = tri_limit_now_ns() - before;
        trp_ref_release(&ref);
        TRP_TRY(err);
    }
    return TRP_OK;
}

trp_err
tri_bench_sync_open(struct tri_bench *bench, trp_error *error)
{
    TRP_TRY(tri_bench_start(bench, bench->measurement->variant, error));
    TRP_TRY(tri_chain_open(1, &bench->chain, error));
    TRP_TRY(tri_bench_sync(bench, bench->actors[0], TRI_BENCH_BODY_SIZE, SYNC_COUNT / 10, error));
    return tri_chain_sync(bench->chain, TRI_BENCH_BODY_SIZE, SYNC_COUNT / 10, bench->latency_ns, error);
}

trp_err
tri_bench_sync_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    uint64_t before = tri_bench_cpu_ns(bench);

    TRP_TRY(tri_bench_sync(bench, bench->actors[0], TRI_BENCH_BODY_SIZE, SYNC_COUNT, error));
    samples->cpu = tri_bench_cpu_per_million(before, tri_bench_cpu_ns(bench), SYNC_COUNT);
    tri_bench_latencies(bench, SYNC_COUNT, samples);
    return TRP_OK;
}

trp_err
tri_bench_sync_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    uint64_t before = tri_bench_limit_cpu_ns(bench);

    TRP_TRY(tri_chain_sync(bench->chain, TRI_BENCH_BODY_SIZE, SYNC_COUNT, bench->latency_ns, error));
    samples->cpu = tri_bench_cpu_per_million(before, tri_bench_limit_cpu_ns(bench), SYNC_COUNT);
    tri_bench_latencies(bench, SYNC_COUNT, samples);
    return TRP_OK;
}

static void
release_all(trp_ref **refs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        trp_ref_release(&refs[i]);
    free(refs);
}

trp_err
tri_bench_ring(trp_runtime *runtime, trp_actor *const *actors, size_t actor_count, size_t body_size, size_t outstanding,
               size_t count, uint64_t think_ns, uint64_t *took_ns, trp_error *error)
{
    trp_ref **refs = calloc(outstanding, sizeof *refs);
    size_t sent = 0;
    trp_err err = refs != NULL ? TRP_OK : tri_limit_fail(error, "no memory");
    uint64_t before = tri_limit_now_ns();

    for (size_t taken = 0; err == TRP_OK && taken < count; taken++) {
        while (err == TRP_OK && sent < count && sent - taken < outstanding) {
            trp_actor *actor = actor_count > 0 ? actors[sent % actor_count] : NULL;
            if (think_ns > 0)
                tri_limit_think(think_ns);
            err = tri_bench_call(runtime, actor, sent, body_size, &refs[sent % outstanding], error);
            sent++;
        }
        if (err == TRP_OK)
            err = tri_bench_take(&refs[taken % outstanding], taken, body_size, TRI_BENCH_TIMEOUT_MS, error);
    }
    *took_ns = tri_limit_now_ns() - before;
    if (refs != NULL)
        release_all(refs, outstanding);
    return err;
}

/* Takes what has come, oldest first; an actor answers one caller in order. */
static trp_err
take_ready(struct tri_bench *bench, trp_ref **refs, size_t sent, size_t body_size, uint64_t start_ns, double gap_ns,
           size_t *taken, trp_error *error)
{
    while (*taken < sent) {
        trp_err err = tri_bench_take(&refs[*taken], *taken, body_size, 0, error);

        if (err == TRP_ETIMEDOUT)
            return TRP_OK;
        TRP_TRY(err);
        bench->latency_ns[*taken] = tri_limit_now_ns() - (start_ns + (uint64_t)(gap_ns * (double)*taken));
        ++*taken;
    }
    return TRP_OK;
}

static trp_err
run_open_loop(struct tri_bench *bench, trp_actor *actor, trp_ref **refs, size_t body_size, double rate, size_t count,
              trp_error *error)
{
    double gap_ns = 1e9 / rate;
    uint64_t start = tri_limit_now_ns(), now = start;
    uint64_t give_up = start + (uint64_t)(gap_ns * (double)count) + (uint64_t)TRI_BENCH_TIMEOUT_MS * 1000000u;
    size_t sent = 0, taken = 0;

    while (taken < count) {
        uint64_t tick = tri_limit_now_ns() + TRI_LIMIT_TICK_NS;

        for (now = tri_limit_now_ns(); sent < count && start + (uint64_t)(gap_ns * (double)sent) <= now; sent++)
            TRP_TRY(tri_bench_call(bench->runtime, actor, sent, body_size, &refs[sent], error));
        TRP_TRY(take_ready(bench, refs, sent, body_size, start, gap_ns, &taken, error));
        if (now > give_up)
            return tri_limit_fail(error, "the node does not keep up with %.0f calls per second", rate);
        tri_limit_sleep_until(tick);
    }
    return TRP_OK;
}

trp_err
tri_bench_open_loop(struct tri_bench *bench, trp_actor *actor, size_t body_size, double rate, size_t count,
                    trp_error *error)
{
    trp_ref **refs = calloc(count, sizeof *refs);
    trp_err err;

    if (refs == NULL)
        return tri_limit_fail(error, "no memory");
    err = run_open_loop(bench, actor, refs, body_size, rate, count, error);
    release_all(refs, count);
    return err;
}

void
tri_bench_latencies(struct tri_bench *bench, size_t count, struct tri_bench_sample *sample)
{
    sample->value = (double)tri_limit_percentile(bench->latency_ns, count, 50) / 1e3;
    sample->p99 = (double)tri_limit_percentile(bench->latency_ns, count, 99) / 1e3;
}
