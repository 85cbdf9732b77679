/*
 * runs.h - who has which part of the arena. Pure: it hands out numbers, and touches no page.
 *
 * The arena is cut into granules of 4 KiB; what is handed out is a run of them. It grows and shrinks by extents of 64 MiB:
 * granules of an extent that has no memory behind it are in no free run. One table of runs in the order of their addresses, free
 * and taken ones; free neighbours are always one run; free runs hang in bins by size.
 *
 * Policy: the shortest of the first few that fit in the bin of that size, else the first of the next bin that has any (good fit);
 * of two that would do the one most of which the process wrote last, because touching a page for the first time costs ten times
 * the copy. Short runs are cut from the low end of a free one, long ones from its high end, so that they keep apart.
 *
 * All of it can be made anew from the list of taken runs (tri_runs_claim), which is why it lies in its owner's own memory.
 * One thread at a time.
 */
#ifndef TRI_RUNS_H
#define TRI_RUNS_H

#include "transport/base/base.h"

#define TRI_GRANULE         4096u
#define TRI_EXTENT_GRANULES 16384u /* 64 MiB */
#define TRI_RUN_LONG        4096u  /* 16 MiB, and more: cut from the high end */
#define TRI_WARM_GRANULES   512u   /* 2 MiB: of so much it is known which process wrote it last */
#define TRI_PROCESS_NOBODY  UINT16_MAX

struct tri_span {
    uint32_t start, count; /* granules */
};

struct tri_runs_stat {
    uint64_t limit, backed, taken; /* granules */
    uint32_t taken_runs, free_runs;
    uint32_t longest_free;
};

struct tri_runs;

/* `granules` is the limit; the last extent may be shorter than the others. Nothing is backed. TRP_ENOMEM. */
trp_err tri_runs_create(uint32_t granules, struct tri_runs **made, trp_error *error);
void tri_runs_destroy(struct tri_runs **made); /* NULL passes */

/* Makes sure that the next `n` calls of take, claim, give, back and unback cannot fail for memory. TRP_ENOMEM. */
trp_err tri_runs_reserve(struct tri_runs *runs, uint32_t n);

/* A free run of `count` granules (1 or more) for a process (a small number, or TRI_PROCESS_NOBODY). false: there is none in what is backed. */
bool tri_runs_take(struct tri_runs *runs, uint32_t count, uint16_t process, struct tri_span *run);
/* This very run, when all is made anew after the owner's death; quick in ascending order. false: part of it is taken, or outside of what is backed. */
bool tri_runs_claim(struct tri_runs *runs, struct tri_span run);
/* A taken run is free again. false: there is no taken run of this start and length. */
bool tri_runs_give(struct tri_runs *runs, struct tri_span run);
/* This part of a taken run becomes one of its own, and so does what is left on either side. Reserved as two calls. false: it does not
 * lie in one taken run. */
bool tri_runs_part(struct tri_runs *runs, struct tri_span part);
/* The taken run that begins at `start` and the one right before it become one. false: there are no such two. */
bool tri_runs_join(struct tri_runs *runs, uint32_t start);

/* ---------------------------------------------------------------------------------------------------------- extents */

uint32_t tri_runs_extents(const struct tri_runs *runs);                        /* how many there can be */
struct tri_span tri_runs_extent(const struct tri_runs *runs, uint32_t extent); /* where it lies */
bool tri_runs_is_backed(const struct tri_runs *runs, uint32_t extent);
/* Memory is behind it now: its granules are free. It was not backed. */
void tri_runs_back(struct tri_runs *runs, uint32_t extent);
/* Its memory is going to be given back. false: part of it is taken. */
bool tri_runs_unback(struct tri_runs *runs, uint32_t extent);
/* The extents to be backed so that `count` granules in a row fit: the fewest, from the lowest address. false: they never do, what
 * is taken stands between, or the limit. */
bool tri_runs_wanted(const struct tri_runs *runs, uint32_t count, uint32_t *first, uint32_t *extents);

/* ---------------------------------------------------------------------------------------------------------- windows */

#define TRI_COST_NEVER UINT64_MAX
/* What it costs to have this taken run given back, in any unit; TRI_COST_NEVER: it cannot be. */
typedef uint64_t tri_run_cost(void *user, struct tri_span run);
/* The neighbours that have to be given back so that `count` granules in a row are free, at the least cost: from the start of the
 * first to the end of the last. Looks at every run once. false: there are none. */
bool tri_runs_window(const struct tri_runs *runs, uint32_t count, tri_run_cost *cost, void *user,
                     struct tri_span *window);
/* The taken run behind the one that begins at `start`; of a window's start: the first in it. false: no more before `end`. */
bool tri_runs_next(const struct tri_runs *runs, uint32_t start, uint32_t end, struct tri_span *run);

struct tri_runs_stat tri_runs_stat(const struct tri_runs *runs);
/* Checks all that has to hold; NULL, or what does not. Looks at everything: for tests and the simulator. */
const char *tri_runs_check(const struct tri_runs *runs);

#endif
