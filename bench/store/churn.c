/*
 * churn.c - the arena's allocator under churn: objects of 100 KB to 64 MiB (all sizes on a logarithmic scale alike) come and go
 * at random while 70 % of the arena are taken. No page is touched. Says what padding takes, how often an object found no run
 * though there was room, how much had to be spilled for it, and what a 64 MiB object takes, tried again and again.
 *
 *   churn [OPERATIONS [MIB]]     10,000,000 and 8,192
 *
 * One thread. It ends with 1 if a bound of docs/benchmarks.md is missed.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/runs.h"

enum { OBJECTS_MAX = 1 << 20, BIG = 16384 };
static const double live_share = 0.7, padding_most = 0.03;

struct object {
    struct tri_span run;
    uint64_t bytes;
};

struct churn {
    struct tri_runs *runs;
    struct object *objects; /* in no order */
    uint32_t *object_at;    /* [granule] + 1 of the object that begins there */
    size_t count;
    uint64_t random, live_bytes, granules;
    uint64_t stuck, spilled, asked; /* takes that found no run, and granules spilled and asked for then */
    double worst;                   /* spilled / asked of one 64 MiB request */
};

static double
drawn(struct churn *churn)
{
    return (double)(tri_random_next(&churn->random) >> 11) * 0x1p-53;
}

static uint64_t
drawn_size(struct churn *churn)
{
    return (uint64_t)exp(log(102401) + drawn(churn) * (log(67108864) - log(102401)));
}

static void
end_object(struct churn *churn, size_t i)
{
    struct object *object = &churn->objects[i];
    if (!tri_runs_give(churn->runs, object->run))
        abort();
    churn->live_bytes -= object->bytes;
    churn->object_at[object->run.start] = 0;
    *object = churn->objects[--churn->count];
    if (i < churn->count)
        churn->object_at[object->run.start] = (uint32_t)i + 1;
}

static uint64_t
cost(void *user, struct tri_span run)
{
    (void)user;
    return run.count;
}

/* What stands in the cheapest window is spilled: its granules. */
static uint64_t
make_room(struct churn *churn, uint32_t count)
{
    struct tri_span window, run;
    uint64_t spilled = 0;
    if (!tri_runs_window(churn->runs, count, cost, NULL, &window))
        abort();
    while (tri_runs_next(churn->runs, window.start, window.start + window.count, &run)) {
        spilled += run.count;
        end_object(churn, churn->object_at[run.start] - 1);
    }
    return spilled;
}

static void
add_object(struct churn *churn, uint64_t bytes)
{
    const uint32_t count = (uint32_t)((bytes + TRI_GRANULE - 1) / TRI_GRANULE);
    struct object object = {.bytes = bytes};
    if (tri_runs_reserve(churn->runs, 1) != TRP_OK || churn->count == OBJECTS_MAX)
        abort();
    if (!tri_runs_take(churn->runs, count, (uint16_t)(bytes % 4), &object.run)) {
        const uint64_t spilled = make_room(churn, count);
        churn->stuck++;
        churn->spilled += spilled;
        churn->asked += count;
        if (count == BIG && (double)spilled / count > churn->worst)
            churn->worst = (double)spilled / count;
        if (!tri_runs_take(churn->runs, count, (uint16_t)(bytes % 4), &object.run))
            abort();
    }
    churn->object_at[object.run.start] = (uint32_t)churn->count + 1;
    churn->objects[churn->count++] = object;
    churn->live_bytes += bytes;
}

/* Room for another one within the share that is to be taken. */
static void
keep_share(struct churn *churn, uint64_t bytes)
{
    while ((double)(tri_runs_stat(churn->runs).taken * TRI_GRANULE + bytes) >
           live_share * (double)churn->granules * TRI_GRANULE)
        end_object(churn, tri_random_next(&churn->random) % churn->count);
}

static int
report(const struct churn *churn, uint64_t operations, double seconds)
{
    const struct tri_runs_stat stat = tri_runs_stat(churn->runs);
    const double padding = (double)(stat.taken * TRI_GRANULE - churn->live_bytes) / (double)churn->live_bytes;
    printf("%" PRIu64 " creates and deletes in an arena of %" PRIu64 " MiB: %.0f ns each\n", operations,
           churn->granules / 256, seconds * 1e9 / (double)operations);
    printf("live at the end: %zu objects, %" PRIu64
           " MiB, %.1f %% of the arena; padding %.2f %% of it (must: %.0f %%)\n",
           churn->count, churn->live_bytes >> 20, 100.0 * (double)stat.taken / (double)stat.limit, 100 * padding,
           100 * padding_most);
    printf("free runs: %u, the longest %u MiB\n", stat.free_runs, stat.longest_free / 256);
    printf("no run was long enough: %" PRIu64 " times (%.3f %%); then spilled %.2f of what was asked for\n",
           churn->stuck, 100.0 * (double)churn->stuck / (double)operations,
           churn->asked > 0 ? (double)churn->spilled / (double)churn->asked : 0);
    printf("a request of 64 MiB: at worst %.2f of its own size was spilled (must: 1)\n", churn->worst);
    return padding <= padding_most && churn->worst <= 1 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    const uint64_t operations = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    struct churn churn = {.random = 1, .granules = (argc > 2 ? strtoull(argv[2], NULL, 10) : 8192) * 256};
    churn.objects = calloc(OBJECTS_MAX, sizeof *churn.objects);
    churn.object_at = calloc(churn.granules, sizeof *churn.object_at);
    if (churn.objects == NULL || churn.object_at == NULL || churn.granules < 4 * BIG ||
        tri_runs_create((uint32_t)churn.granules, &churn.runs, NULL) != TRP_OK) {
        fprintf(stderr, "churn: no memory, or an arena below 256 MiB\n");
        return 2;
    }
    for (uint32_t extent = 0; extent < tri_runs_extents(churn.runs); extent++)
        tri_runs_back(churn.runs, extent);
    const uint64_t began = tri_now_ns();
    for (uint64_t i = 0; i < operations; i++) {
        const uint64_t bytes = i % 1000 == 999 ? (uint64_t)BIG * TRI_GRANULE : drawn_size(&churn);
        keep_share(&churn, bytes);
        add_object(&churn, bytes);
    }
    const int status = report(&churn, operations, (double)(tri_now_ns() - began) / 1e9);
    const char *wrong = tri_runs_check(churn.runs);
    if (wrong != NULL)
        fprintf(stderr, "churn: %s\n", wrong);
    tri_runs_destroy(&churn.runs);
    free(churn.objects);
    free(churn.object_at);
    return wrong != NULL ? 2 : status;
}
