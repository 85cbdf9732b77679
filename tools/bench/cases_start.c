/*
 * cases_start.c - starting things: an actor's host, a hundred of them, a node. One thread.
 */
#include "tools/bench/bench.h"

enum { SPAWNS = 20, AT_ONCE = 100, PAUSE_NS = 20000000, NODE_PROCESSES = 3 };

/* ------------------------------------------------------------------------------------------------ one at a time */

static trp_err
open_node(struct tri_bench *bench, trp_error *error)
{
    return tri_bench_start(bench, 1, error);
}

static trp_err
spawn_and_ask(struct tri_bench *bench, trp_actor **actor, trp_error *error)
{
    trp_ref *ref = NULL;
    trp_err err;

    TRP_TRY(trp_spawn(bench->runtime, "echo:Echo", TRP_NOARGS, NULL, actor, error));
    TRP_TRY(tri_bench_call(bench->runtime, *actor, 1, TRI_BENCH_BODY_SIZE, &ref, error));
    err = tri_bench_take(&ref, 1, TRI_BENCH_BODY_SIZE, TRI_BENCH_TIMEOUT_MS, error);
    trp_ref_release(&ref);
    return err;
}

/* Between two spawns both sides are left alone for 20 ms: the old host's end is no part of the next one's start. */
static trp_err
own_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    for (size_t i = 0; i < SPAWNS; i++) {
        trp_actor *actor = NULL;
        uint64_t before;
        trp_err err;

        tri_limit_sleep_until(tri_limit_now_ns() + PAUSE_NS);
        before = tri_limit_now_ns();
        err = spawn_and_ask(bench, &actor, error);
        bench->latency_ns[i] = tri_limit_now_ns() - before;
        trp_actor_release(&actor);
        TRP_TRY(err);
    }
    tri_bench_latencies(bench, SPAWNS, samples);
    return TRP_OK;
}

static trp_err
own_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    for (size_t i = 0; i < SPAWNS; i++) {
        tri_limit_sleep_until(tri_limit_now_ns() + PAUSE_NS);
        TRP_TRY(tri_limit_spawn_one(&bench->latency_ns[i], error));
    }
    tri_bench_latencies(bench, SPAWNS, samples);
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------- 100 at once */

static trp_err
spawn_all(struct tri_bench *bench, trp_ref **refs, trp_error *error)
{
    for (size_t i = 0; i < AT_ONCE; i++) {
        TRP_TRY(trp_spawn(bench->runtime, "echo:Echo", TRP_NOARGS, NULL, &bench->actors[bench->actor_count], error));
        bench->actor_count++;
        TRP_TRY(tri_bench_call(bench->runtime, bench->actors[bench->actor_count - 1], i, TRI_BENCH_BODY_SIZE, &refs[i],
                               error));
    }
    for (size_t i = 0; i < AT_ONCE; i++)
        TRP_TRY(tri_bench_take(&refs[i], i, TRI_BENCH_BODY_SIZE, TRI_BENCH_TIMEOUT_MS, error));
    return TRP_OK;
}

static trp_err
many_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    trp_ref *refs[AT_ONCE] = {NULL};
    uint64_t before = tri_limit_now_ns();
    trp_err err = spawn_all(bench, refs, error);

    samples->value = AT_ONCE * 1e9 / (double)(tri_limit_now_ns() - before);
    for (size_t i = 0; i < AT_ONCE; i++)
        trp_ref_release(&refs[i]);
    while (bench->actor_count > 1)
        trp_actor_release(&bench->actors[--bench->actor_count]);
    tri_limit_sleep_until(tri_limit_now_ns() + (uint64_t)PAUSE_NS * 10);
    return err;
}

static trp_err
many_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    uint64_t took = 0;

    (void)bench;
    TRP_TRY(tri_limit_spawn_many(AT_ONCE, &took, error));
    samples->value = AT_ONCE * 1e9 / (double)took;
    return TRP_OK;
}

/* --------------------------------------------------------------------------------------------------- a whole node */

static trp_err
open_nothing(struct tri_bench *bench, trp_error *error)
{
    (void)bench;
    (void)error;
    return TRP_OK;
}

static trp_err
node_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    trp_ref *ref = NULL;
    uint64_t before = tri_limit_now_ns(), began_to_end;
    trp_err err;

    TRP_TRY(tri_bench_init(bench->module_path, NULL, &bench->runtime, error));
    TRP_TRY(tri_bench_call(bench->runtime, NULL, 1, TRI_BENCH_BODY_SIZE, &ref, error));
    err = tri_bench_take(&ref, 1, TRI_BENCH_BODY_SIZE, TRI_BENCH_TIMEOUT_MS, error);
    began_to_end = tri_limit_now_ns();
    samples[0].value = (double)(began_to_end - before) / 1e6;
    trp_ref_release(&ref);
    trp_shutdown(&bench->runtime);
    samples[1].value = (double)(tri_limit_now_ns() - began_to_end) / 1e6;
    return err;
}

static trp_err
node_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    uint64_t took = 0;

    (void)bench;
    TRP_TRY(tri_limit_fork_many(NODE_PROCESSES, &took, error));
    samples[0].value = samples[1].value = (double)took / 1e6;
    return TRP_OK;
}

const struct tri_bench_measurement tri_bench_starts[] = {
    {{{"spawn.own", "us", "an own-process actor, from spawn to its first reply", TRI_BENCH_RATIO_MOST, 2.0, false}},
     open_node,
     own_ours,
     own_limit,
     0,
     false,
     0},
    {{{"spawn.own.100", "/s", "the same, 100 at once", TRI_BENCH_RATIO_LEAST, 0.5, false}},
     open_node,
     many_ours,
     many_limit,
     0,
     false,
     0},
    {{{"start", "ms", "trp_init with a private node to the first task's result", TRI_BENCH_VALUE_MOST, 50, false},
      {"start.shutdown", "ms", "trp_shutdown of it", TRI_BENCH_VALUE_MOST, 50, false}},
     open_nothing,
     node_ours,
     node_limit,
     0,
     false,
     0},
};
const size_t tri_bench_start_count = sizeof tri_bench_starts / sizeof *tri_bench_starts;
