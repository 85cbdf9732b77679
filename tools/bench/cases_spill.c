/*
 * cases_spill.c - eight times more objects than there is room for: how fast they are spilled, and come back. One thread.
 */
#include "tools/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MIB = 1 << 20,
    STORE = 512 * MIB,
    OBJECT = 16 * MIB,
    OBJECTS = 256, /* 4 GiB, of which each second one is text */
    TOGETHER = 8,  /* are got */
    PAGE = 4096,
    LOOK_US = 1000
};

static struct {
    char directory[64];
    char *text, *weights;
    trp_ref *refs[OBJECTS];
} made;

static trp_err
open_spill(struct tri_bench *bench, trp_error *error)
{
    (void)bench;
    if (made.text != NULL)
        return TRP_OK;
    made.text = malloc(OBJECT);
    made.weights = malloc(OBJECT);
    if (made.text == NULL || made.weights == NULL)
        return tri_limit_fail(error, "no memory");
    tri_limit_text(made.text, OBJECT);
    tri_limit_weights(made.weights, OBJECT);
    return TRP_OK;
}

/* A node of its own for each round, whose files lie on the limit's disk. */
static trp_err
start_node(struct tri_bench *bench, trp_error *error)
{
    (void)snprintf(made.directory, sizeof made.directory, "/var/tmp/troupe-bench-XXXXXX");
    if (mkdtemp(made.directory) == NULL)
        return tri_limit_fail(error, "no directory in /var/tmp to spill to");
    const trp_config config = {
        .node = {.module_path = bench->module_path, .store_bytes = STORE, .spill_dir = made.directory}};
    return trp_init(&config, &bench->runtime, error);
}

/* Of the store's row. */
static trp_err
ask(struct tri_bench *bench, const char *key, int64_t *number, trp_error *error)
{
    trp_ref *ref = NULL;
    trp_value rows;

    TRP_TRY(trp_query(bench->runtime, "store", &ref, error));
    const trp_err err = trp_get(ref, TRI_BENCH_TIMEOUT_MS, &rows, error);
    if (err == TRP_OK)
        *number = trp_as_i64(trp_field(trp_at(rows, 0), key));
    trp_ref_release(&ref);
    return err;
}

static const char *
data_of(int i)
{
    return i % 2 == 0 ? made.text : made.weights;
}

/* Puts them all, until nothing is being written any more; the rate is that of the bytes that were spilled. */
static trp_err
spill_all(struct tri_bench *bench, struct tri_bench_sample *sample, trp_error *error)
{
    const uint64_t before = tri_limit_now_ns();
    int64_t spilled = 0, writing = 1;

    for (int i = 0; i < OBJECTS; i++)
        TRP_TRY(trp_put(bench->runtime, trp_bytes(data_of(i), OBJECT), &made.refs[i], error));
    while (writing > 0 && tri_limit_now_ns() - before < (uint64_t)TRI_BENCH_TIMEOUT_MS * 10 * 1000000) {
        TRP_TRY(ask(bench, "writing", &writing, error));
        if (writing > 0)
            (void)usleep(LOOK_US);
    }
    const uint64_t took = tri_limit_now_ns() - before;
    TRP_TRY(ask(bench, "spilled_total", &spilled, error));
    sample->value = (double)spilled / (double)took * 1e3;
    return TRP_OK;
}

static bool
is_same(trp_value value, const char *data)
{
    if (value.size != OBJECT)
        return false;
    for (size_t at = 0; at < OBJECT; at += PAGE)
        if (((const char *)value.as.bytes)[at] != data[at])
            return false;
    return true;
}

/* Gets them, some at a time, looks into each page, and releases them. */
static trp_err
restore_all(struct tri_bench *bench, struct tri_bench_sample *sample, trp_error *error)
{
    const uint64_t before = tri_limit_now_ns();
    int64_t restored = 0;

    for (int i = 0; i < OBJECTS; i += TOGETHER) {
        trp_value values[TOGETHER];
        TRP_TRY(trp_get_all(&made.refs[i], TOGETHER, TRI_BENCH_TIMEOUT_MS, values, error));
        for (int k = 0; k < TOGETHER; k++) {
            if (!is_same(values[k], data_of(i + k)))
                return tri_limit_fail(error, "object %d came back as something else", i + k);
            trp_ref_release(&made.refs[i + k]);
        }
    }
    const uint64_t took = tri_limit_now_ns() - before;
    TRP_TRY(ask(bench, "restored_total", &restored, error));
    sample->value = (double)restored / (double)took * 1e3;
    return TRP_OK;
}

static trp_err
spill_ours(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    trp_err err = start_node(bench, error);

    sync(); /* as the limit begins, too */
    if (err == TRP_OK)
        err = spill_all(bench, &samples[0], error);
    sync();
    if (err == TRP_OK)
        err = restore_all(bench, &samples[1], error);
    for (int i = 0; i < OBJECTS; i++)
        trp_ref_release(&made.refs[i]);
    trp_shutdown(&bench->runtime);
    (void)rmdir(made.directory);
    return err;
}

/* A program of its own, as this one does not know LZ4. */
static trp_err
spill_limit(struct tri_bench *bench, struct tri_bench_sample *samples, trp_error *error)
{
    char command[512];
    double out = 0, back = 0;

    (void)bench;
    (void)snprintf(command, sizeof command, "exec '%s' /var/tmp %d", tri_limit_program("bench-disk"),
                   OBJECTS * (OBJECT / MIB));
    FILE *pipe = popen(command, "re");
    if (pipe == NULL)
        return tri_limit_fail(error, "bench-disk does not start");
    const int count = fscanf(pipe, "%lf %lf", &out, &back);
    const int status = pclose(pipe);
    if (count != 2 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return tri_limit_fail(error, "bench-disk says nothing");
    samples[0].value = (double)OBJECTS * OBJECT / out * 1e3;
    samples[1].value = (double)OBJECTS * OBJECT / back * 1e3;
    return TRP_OK;
}

const struct tri_bench_measurement tri_bench_spills[] = {
    {{{"spill", "MB/s", "4 GiB of text and weights through 512 MiB; beside it the slower of a disk and LZ4",
       TRI_BENCH_RATIO_LEAST, 0.7, false},
      {"restore", "MB/s", "and getting all of it again", TRI_BENCH_RATIO_LEAST, 0.7, false}},
     open_spill,
     spill_ours,
     spill_limit,
     3,
     true,
     0},
};
const size_t tri_bench_spill_count = sizeof tri_bench_spills / sizeof *tri_bench_spills;
