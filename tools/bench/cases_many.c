/*
 * cases_many.c - a million calls outstanding: the memory that they take, over all processes. One thread.
 */
#include "tools/bench/bench.h"

/* One caller: its credit is at the broker, the rest waits in itself. */
enum { DRIVERS = 1, CALLS = 1000000 /* each driver */ };

static trp_err
open_gate(struct tri_bench *bench, trp_error *error)
{
    TRP_TRY(tri_bench_serve(bench, DRIVERS, error));
    TRP_TRY(trp_spawn(bench->runtime, "echo:Gate", TRP_NOARGS, NULL, &bench->actors[2], error));
    bench->actor_count++;
    return TRP_OK;
}

/* The actor waits for the gate's answer, so that nothing behind it can end. */
static trp_err
hold(struct tri_bench *bench, trp_ref **passed, trp_ref **held, trp_error *error)
{
    trp_value item, list;

    TRP_TRY(trp_call(bench->actors[2], "pass", TRP_NOARGS, passed, error));
    item = trp_ref_value(*passed);
    list = trp_list(&item, 1);
    return trp_call(bench->actors[0], "hold", trp_args(&list, 1), held, error);
}

static trp_err
fill_and_drain(struct tri_bench *bench, double *bytes, trp_error *error)
{
    double before = (double)tri_bench_pss(bench, true);
    uint64_t took;

    TRP_TRY(tri_driver_tell(bench->drivers, DRIVERS, TRI_DRIVER_FILL, CALLS, &took, error));
    *bytes = ((double)tri_bench_pss(bench, true) - before) / ((double)DRIVERS * CALLS);
    TRP_TRY(trp_send(bench->actors[2], "open", TRP_NOARGS, error));
    return tri_driver_tell(bench->drivers, DRIVERS, TRI_DRIVER_DRAIN, CALLS, &took, error);
}

static trp_err
many_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    trp_ref *passed = NULL, *held = NULL;
    trp_err err = hold(bench, &passed, &held, error);

    if (err == TRP_OK)
        err = fill_and_drain(bench, &samples->value, error);
    trp_ref_release(&passed);
    trp_ref_release(&held);
    return err;
}

const struct tri_bench_measurement tri_bench_many[] = {
    {{{"outstanding.1m", "B", "PSS of all processes for each of a million calls outstanding", TRI_BENCH_VALUE_MOST, 500,
       false}},
     open_gate,
     many_ours,
     NULL,
     1,
     true,
     0},
};
const size_t tri_bench_many_count = sizeof tri_bench_many / sizeof *tri_bench_many;
