/*
 * ours.c - Troupe's side of the comparison with its rivals: the same loops as ray_side.py, erlang_side.erl and caf_side.cpp,
 * through the public interface with default options. One thread. Prints a JSON object a line; run.sh puts them together.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <troupe/troupe.h>

enum { BODY = 64, WINDOW_MAX = 1024, BATCH = 10, STARTS = 5 };

static trp_runtime *runtime;
static trp_error error;
static double scale = 1;

static double
now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
need(trp_err err)
{
    if (err == TRP_OK)
        return;
    fprintf(stderr, "rivals_ours: %s\n", error.message);
    exit(1);
}

static size_t
times(size_t count)
{
    size_t scaled = (size_t)((double)count * scale);
    return scaled > 10 ? scaled : 10;
}

static void
report(const char *name, const char *unit, double value)
{
    printf("{\"case\": \"%s\", \"unit\": \"%s\", \"value\": %.6g}\n", name, unit, value);
    fflush(stdout);
}

static int
by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* "quantiles": the latency below which so many of a thousand calls stay. */
static void
report_latencies(const char *name, double *us, size_t count)
{
    static const int per_mille[] = {1, 10, 50, 100, 250, 500, 750, 900, 950, 990, 999};
    qsort(us, count, sizeof *us, by_size);
    printf("{\"case\": \"%s\", \"unit\": \"us\", \"value\": %.6g, \"quantiles\": [", name, us[count / 2]);
    for (size_t i = 0; i < sizeof per_mille / sizeof *per_mille; i++)
        printf("%s[%d, %.6g]", i > 0 ? ", " : "", per_mille[i], us[(count - 1) * (size_t)per_mille[i] / 1000]);
    printf("]}\n");
    fflush(stdout);
}

/* An echo of an actor, or of a task where there is none. */
static void
submit(trp_actor *actor, uint64_t number, trp_ref **ref)
{
    uint8_t body[BODY] = {0};
    memcpy(body, &number, sizeof number);
    need(actor != NULL ? trp_call(actor, "echo", TRP_ARGS(trp_bytes(body, BODY)), ref, &error)
                       : trp_task(runtime, "echo:noop", TRP_ARGS(trp_bytes(body, BODY)), ref, &error));
}

static void
take(trp_ref **ref, uint64_t number)
{
    trp_value value;
    uint64_t got = 0;
    need(trp_get(*ref, 60000, &value, &error));
    if (value.kind == TRP_BYTES && value.size == BODY)
        memcpy(&got, value.as.bytes, sizeof got);
    if (value.kind != TRP_BYTES || value.size != BODY || got != number) {
        fprintf(stderr, "rivals_ours: echo %" PRIu64 " came back as something else\n", number);
        exit(1);
    }
    trp_ref_release(ref);
}

static void
one_by_one(const char *name, trp_actor *actor, size_t count)
{
    double *us = calloc(count, sizeof *us);
    need(us != NULL ? TRP_OK : TRP_ENOMEM);
    for (size_t i = 0; i < count; i++) {
        trp_ref *ref = NULL;
        double begin = now_s();
        submit(actor, i, &ref);
        take(&ref, i);
        us[i] = (now_s() - begin) * 1e6;
    }
    report_latencies(name, us, count);
    free(us);
}

/* Calls a second with `window` of them outstanding: the oldest result is taken, then the next call made. */
static double
rate_of(trp_actor *actor, size_t window, size_t count)
{
    static trp_ref *ring[WINDOW_MAX];
    double begin = now_s();
    for (size_t i = 0; i < count + window; i++) {
        if (i >= window)
            take(&ring[i % window], i - window);
        if (i < count)
            submit(actor, i, &ring[i % window]);
    }
    return (double)count / (now_s() - begin);
}

static void
by_window(trp_actor *actor)
{
    static const size_t windows[] = {1, 4, 16, 64, 256, 1000};
    printf("{\"case\": \"outstanding\", \"unit\": \"/s\", \"points\": [");
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        printf("%s[%zu, %.6g]", i > 0 ? ", " : "", windows[i],
               rate_of(actor, windows[i], times(windows[i] < 64 ? 20000 : 200000)));
    printf("]}\n");
    fflush(stdout);
}

static double
spawn_ms(size_t count)
{
    trp_actor *actors[BATCH] = {NULL};
    trp_ref *refs[BATCH] = {NULL};
    double begin = now_s(), taken;
    for (size_t i = 0; i < count; i++) {
        need(trp_spawn(runtime, "echo:Echo", TRP_NOARGS, NULL, &actors[i], &error));
        submit(actors[i], i, &refs[i]);
    }
    for (size_t i = 0; i < count; i++)
        take(&refs[i], i);
    taken = (now_s() - begin) * 1e3;
    for (size_t i = 0; i < count; i++)
        trp_actor_release(&actors[i]);
    return taken;
}

static double
median_spawn_ms(size_t count)
{
    double ms[STARTS];
    for (size_t i = 0; i < STARTS; i++)
        ms[i] = spawn_ms(count);
    qsort(ms, STARTS, sizeof *ms, by_size);
    return ms[STARTS / 2];
}

int
main(int argc, char **argv)
{
    trp_actor *echo = NULL;
    trp_ref *ref = NULL;
    trp_config config = {.node = {.module_path = argc > 1 ? argv[1] : NULL}};
    double begin = now_s();

    if (argc > 3 || (argc == 3 && strcmp(argv[2], "--quick") != 0) || (argc > 1 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: rivals_ours [MODULE_PATH [--quick]]\n");
        return 2;
    }
    if (argc == 3)
        scale = 0.001;
    need(trp_init(&config, &runtime, &error));
    submit(NULL, 0, &ref);
    take(&ref, 0);
    report("start", "ms", (now_s() - begin) * 1e3);
    need(trp_spawn(runtime, "echo:Echo", TRP_NOARGS, NULL, &echo, &error));
    one_by_one("call.sync", echo, times(5000));
    report("call.async", "/s", rate_of(echo, 1000, times(500000)));
    by_window(echo);
    one_by_one("task.sync", NULL, times(3000));
    report("task.async", "/s", rate_of(NULL, 1000, times(300000)));
    report("spawn.own", "ms", median_spawn_ms(1));
    report("spawn.own.10", "/s", BATCH * 1e3 / median_spawn_ms(BATCH));
    trp_actor_release(&echo);
    begin = now_s();
    trp_shutdown(&runtime);
    report("shutdown", "ms", (now_s() - begin) * 1e3);
    return 0;
}
