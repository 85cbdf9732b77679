/*
 * bench.h - what the parts of `troupe bench` share. Private to tools/.
 *
 * A measurement opens something, does its work and the limit's in turn for some rounds, and closes it. It gives one or more
 * figures; each figure is a case with a name of its own. Everything goes through the public interface with default
 * options.
 *
 * Threads: one, the command's.
 */
#ifndef TRI_BENCH_H
#define TRI_BENCH_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <troupe/troupe.h>

#include "bench/limits/limits.h"

enum {
    TRI_BENCH_FIGURES_MAX = 2,
    TRI_BENCH_ROUNDS_MAX = 99,
    TRI_BENCH_BODY_SIZE = 64,
    TRI_BENCH_OUTSTANDING = 1000,
    TRI_BENCH_LATENCIES_MAX = 1000000,
    TRI_BENCH_TIMEOUT_MS = 30000,
};

/* How a figure is judged. */
enum tri_bench_rule {
    TRI_BENCH_STATED,      /* it is only told */
    TRI_BENCH_RATIO_MOST,  /* value / limit at most `must`: a time */
    TRI_BENCH_RATIO_LEAST, /* at least `must`: a rate */
    TRI_BENCH_VALUE_MOST,  /* the value itself at most `must` */
    TRI_BENCH_VALUE_LEAST, /* at least `must` */
};

struct tri_bench_figure {
    const char *name, *unit, *about;
    enum tri_bench_rule rule;
    double must;
    bool bound; /* also p99 at most 1.5, processor time at most 1.3 of the limit's, where both were measured */
};
#define TRI_BENCH_P99_MOST 1.5
#define TRI_BENCH_CPU_MOST 1.3

/* What one side of one round gave for one figure; NAN: it has none. */
struct tri_bench_sample {
    double value, p99;
    double cpu; /* processor seconds per million calls, all processes */
};

struct tri_bench;
struct tri_bench_measurement {
    struct tri_bench_figure figures[TRI_BENCH_FIGURES_MAX]; /* a NULL name ends them early */
    trp_err (*open)(struct tri_bench *bench, trp_error *error);
    trp_err (*ours)(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error);
    trp_err (*limit)(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error); /* NULL: none */
    int rounds;                                                                                    /* 0: as asked for */
    bool only_if_named; /* not part of the whole */
    int variant;        /* the measurement's own: bytes, ns... */
};

/* The tables of measurements; each in a file of its own. */
extern const struct tri_bench_measurement tri_bench_calls[], tri_bench_tasks[], tri_bench_starts[], tri_bench_idle[],
    tri_bench_waits[], tri_bench_stores[], tri_bench_spills[], tri_bench_many[], tri_bench_commands[];
extern const size_t tri_bench_call_count, tri_bench_task_count, tri_bench_start_count, tri_bench_idle_count,
    tri_bench_wait_count, tri_bench_store_count, tri_bench_spill_count, tri_bench_many_count, tri_bench_command_count;

enum { TRI_BENCH_ACTORS_MAX = 128, TRI_BENCH_DRIVERS_MAX = 8 };

/* The state of the measurement that is going on. */
struct tri_bench {
    const struct tri_bench_measurement *measurement;
    const char *module_path;
    trp_runtime *runtime;
    trp_actor *actors[TRI_BENCH_ACTORS_MAX];
    int actor_count;
    struct tri_chain *chain;
    struct tri_service *service;
    struct tri_echo *echo;
    struct tri_memory_limit *memory;
    struct tri_driver *drivers[TRI_BENCH_DRIVERS_MAX];
    int driver_count;
    double peak, limit_peak; /* calls per second, for open loops */
    uint64_t latency_ns[TRI_BENCH_LATENCIES_MAX];
};

/* --- the node (node.c) --- */

/* A private node, with default options, and `actors` echo actors that have answered once. */
trp_err tri_bench_start(struct tri_bench *bench, int actors, trp_error *error);
trp_err tri_bench_spawn(struct tri_bench *bench, int count, trp_error *error);
/* A node service with two named echo actors that this process holds, and drivers in processes of their own. */
trp_err tri_bench_serve(struct tri_bench *bench, int drivers, trp_error *error);
/* Ends all that a measurement can have opened. */
void tri_bench_close(struct tri_bench *bench);
/* trp_init as the bench does it. address: of a node service; NULL: none. */
trp_err tri_bench_init(const char *module_path, const char *address, trp_runtime **runtime, trp_error *error);
/* Where echo.so lies: beside this program's build tree, or installed; NULL: not found. Static. */
const char *tri_bench_module_path(void);

/* A node service in a directory of its own. */
struct tri_service;
trp_err tri_service_open(const char *module_path, struct tri_service **service, trp_error *error);
void tri_service_close(struct tri_service **service);
const char *tri_service_directory(const struct tri_service *service);

/* The limit's echo of call.command (cases_command.c). */
struct tri_echo;
void tri_bench_echo_close(struct tri_bench *bench);

/* --- processes (processes.c) --- */

/* Makes this process the one that its orphans fall to, so that a node stays in its tree. */
void tri_bench_adopt_orphans(void);
/* The node's processes: all descendants of this one but the limit's. Their number; at most `capacity` are written. */
size_t tri_bench_node_pids(const struct tri_bench *bench, int *pids, size_t capacity);
/* Processor time of this process and the node's so far; of this one and the limit's. */
uint64_t tri_bench_cpu_ns(const struct tri_bench *bench);
uint64_t tri_bench_limit_cpu_ns(const struct tri_bench *bench);
/* Proportional set size of the node's processes, in bytes; with_driver: of this one, too. */
uint64_t tri_bench_pss(const struct tri_bench *bench, bool with_driver);

/* --- loops over calls (loop.c); every result is got, checked and released --- */

/* A call, or a task where the actor is NULL: one argument of `body_size` bytes that begins with its number. */
trp_err tri_bench_call(trp_runtime *runtime, trp_actor *actor, uint64_t number, size_t body_size, trp_ref **ref,
                       trp_error *error);
/* Gets an echo, checks it, releases it. timeout 0: TRP_ETIMEDOUT where it is not there. */
trp_err tri_bench_take(trp_ref **ref, uint64_t number, size_t body_size, int64_t timeout_ms, trp_error *error);
trp_err tri_bench_sync(struct tri_bench *bench, trp_actor *actor, size_t body_size, size_t count, trp_error *error);
/* The measurement of calls one by one: of an actor, or where `variant` is 0 of tasks. */
trp_err tri_bench_sync_open(struct tri_bench *bench, trp_error *error);
trp_err tri_bench_sync_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error);
trp_err tri_bench_sync_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error);
/* `actor_count` actors in turn. */
trp_err tri_bench_ring(trp_runtime *runtime, trp_actor *const *actors, size_t actor_count, size_t body_size,
                       size_t outstanding, size_t count, uint64_t think_ns, uint64_t *took_ns, trp_error *error);
trp_err tri_bench_open_loop(struct tri_bench *bench, trp_actor *actor, size_t body_size, double rate, size_t count,
                            trp_error *error);
/* Processor time as seconds per million calls. */
static inline double
tri_bench_cpu_per_million(uint64_t before_ns, uint64_t after_ns, size_t calls)
{
    return (double)(after_ns - before_ns) / (double)calls / 1e3;
}
/* The first `count` latencies as a sample in us: p50 and p99. */
void tri_bench_latencies(struct tri_bench *bench, size_t count, struct tri_bench_sample *sample);

/* --- drivers in processes of their own (driver.c) --- */

/* True when this program was started as that driver and has done its work: to be called first in main. */
bool tri_bench_role(int argc, char **argv, int *exit_code);
struct tri_driver;
trp_err tri_driver_open(const char *directory, struct tri_driver **driver, trp_error *error);
void tri_driver_close(struct tri_driver **driver);
/* What drivers do when they are told to. */
enum tri_driver_work {
    TRI_DRIVER_RUN,   /* `count` calls, 1,000 outstanding */
    TRI_DRIVER_FILL,  /* `count` calls, none of which is waited for */
    TRI_DRIVER_DRAIN, /* gets the results of those */
};
/* Lets all of them do it, at the same time; from the first's start to the last's end. */
trp_err tri_driver_tell(struct tri_driver *const *drivers, size_t driver_count, enum tri_driver_work work, size_t count,
                        uint64_t *took_ns, trp_error *error);

/* --- running and printing --- */

/* A figure after all rounds: medians. NAN where there is none. */
struct tri_bench_result {
    const struct tri_bench_figure *figure;
    double value, p99, limit, limit_p99, ratio, spread, cpu, limit_cpu;
    int rounds;
    bool met;
};
typedef void tri_bench_progress_fn(const char *name, int round, int rounds);
/* results: one for each figure. */
trp_err tri_bench_measure(struct tri_bench *bench, const struct tri_bench_measurement *measurement, int rounds,
                          tri_bench_progress_fn *progress, struct tri_bench_result *results, trp_error *error);
struct tri_cli;
void tri_bench_print_header(struct tri_cli *cli);
void tri_bench_print_row(struct tri_cli *cli, const struct tri_bench_result *result);
void tri_bench_print_json(struct tri_cli *cli, const struct tri_bench_result *result);
/* Why it is not met, in a word or two; "" where it is. Static. */
const char *tri_bench_shortfall(const struct tri_bench_result *result);

#endif
