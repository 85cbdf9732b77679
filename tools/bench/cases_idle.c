/*
 * cases_idle.c - what a node costs that does nothing: memory and processor time. One thread.
 */
#include "tools/bench/bench.h"

#include <unistd.h>

enum { MORE_HOSTS = 20, IDLE_HOSTS = 10, SETTLE_NS = 500000000, NODE_MAX = 256, WATCHED_NS = 2000000000 };

static void
settle(void)
{
    tri_limit_sleep_until(tri_limit_now_ns() + SETTLE_NS);
}

/* Waits until the number of the node's processes stays the same: hosts of released actors are gone, spares are there. */
static void
await_quiet(struct tri_bench *bench)
{
    int pids[NODE_MAX];
    size_t before;
    uint64_t give_up = tri_limit_now_ns() + (uint64_t)TRI_BENCH_TIMEOUT_MS * 1000000u;

    do {
        before = tri_bench_node_pids(bench, pids, NODE_MAX);
        settle();
    } while (tri_bench_node_pids(bench, pids, NODE_MAX) != before && tri_limit_now_ns() < give_up);
}

static trp_err
open_memory(struct tri_bench *bench, trp_error *error)
{
    return tri_bench_start(bench, 1, error);
}

/* All that the node runs counts, spare hosts too. What this program maps as well (libc, libzmq) is shared with it. */
static trp_err
memory_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    double one, more;

    await_quiet(bench);
    one = (double)tri_bench_pss(bench, false);
    TRP_TRY(tri_bench_spawn(bench, MORE_HOSTS, error));
    await_quiet(bench);
    more = (double)tri_bench_pss(bench, false);
    samples[0].value = one / 1e6;
    samples[1].value = (more - one) / MORE_HOSTS / 1e6;
    while (bench->actor_count > 1)
        trp_actor_release(&bench->actors[--bench->actor_count]);
    return TRP_OK;
}

static trp_err
open_cpu(struct tri_bench *bench, trp_error *error)
{
    TRP_TRY(tri_bench_start(bench, IDLE_HOSTS, error));
    settle();
    return TRP_OK;
}

static trp_err
cpu_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    int pids[NODE_MAX];
    size_t count = tri_bench_node_pids(bench, pids, NODE_MAX - 1);
    uint64_t before = 0, after = 0, start = tri_limit_now_ns();

    pids[count++] = (int)getpid();
    for (size_t i = 0; i < count; i++)
        before += tri_limit_cpu_ns(pids[i]);
    tri_limit_sleep_until(start + WATCHED_NS);
    for (size_t i = 0; i < count; i++)
        after += tri_limit_cpu_ns(pids[i]);
    samples->value = (double)(after - before) / (double)(tri_limit_now_ns() - start);
    return count > IDLE_HOSTS ? TRP_OK : tri_limit_fail(error, "the node's processes are not to be seen in /proc");
}

const struct tri_bench_measurement tri_bench_idle[] = {
    {{{"idle.memory", "MB", "root, broker, spare hosts and one host, PSS", TRI_BENCH_VALUE_MOST, 12, false},
      {"idle.memory.host", "MB", "each further idle own-process actor, PSS", TRI_BENCH_VALUE_MOST, 1, false}},
     open_memory,
     memory_ours,
     NULL,
     3,
     false,
     0},
    {{{"idle.cpu", "cores", "a node with 10 idle hosts, and its driver", TRI_BENCH_VALUE_MOST, 0.002, false}},
     open_cpu,
     cpu_ours,
     NULL,
     3,
     false,
     0},
};
const size_t tri_bench_idle_count = sizeof tri_bench_idle / sizeof *tri_bench_idle;
