/*
 * runs.c - the table of runs.h: runs linked in the order of their addresses, an index from each few granules to the first run that
 * begins there, and bins of free runs. Each extent without memory is a run of its own, a hole. Pure; one thread at a time. It must
 * not know what lies in a run, or what a process is.
 */
#include "store/runs_inside.h"

#include <stdlib.h>
#include <string.h>

#define LOOKS 16u /* at so many runs of a bin, before the next one */

/* ------------------------------------------------------------------------------------------------------------ nodes */

/* A new node behind `before` (NONE: at the front), in no bin. */
static uint32_t
insert(struct tri_runs *runs, uint32_t before, uint32_t start, uint32_t count, enum state state)
{
    uint32_t made = runs->unused;
    if (made != NONE) {
        runs->unused = node(runs, made)->behind;
        runs->unused_count--;
    } else {
        TRI_ASSERT(runs->used < runs->capacity);
        made = runs->used++;
    }
    const uint32_t behind = before == NONE ? runs->first : node(runs, before)->behind;
    *node(runs, made) =
        (struct node){.start = start, .count = count, .before = before, .behind = behind, .state = (uint8_t)state};
    if (before == NONE)
        runs->first = made;
    else
        node(runs, before)->behind = made;
    if (behind != NONE)
        node(runs, behind)->before = made;
    uint32_t *first = &runs->at[start / BLOCK];
    if (*first == NONE || node(runs, *first)->start > start)
        *first = made;
    return made;
}

static void
drop(struct tri_runs *runs, uint32_t index)
{
    struct node *dropped = node(runs, index);
    const uint32_t block = dropped->start / BLOCK, behind = dropped->behind;
    if (dropped->before == NONE)
        runs->first = dropped->behind;
    else
        node(runs, dropped->before)->behind = dropped->behind;
    if (dropped->behind != NONE)
        node(runs, dropped->behind)->before = dropped->before;
    if (runs->at[block] == index)
        runs->at[block] = behind != NONE && node(runs, behind)->start / BLOCK == block ? behind : NONE;
    dropped->behind = runs->unused;
    runs->unused = index;
    runs->unused_count++;
}

/* Cuts a node in two; the part behind, of the same state, is in no bin. */
static uint32_t
split(struct tri_runs *runs, uint32_t index, uint32_t count)
{
    const struct node whole = *node(runs, index);
    TRI_ASSERT(count > 0 && count < whole.count);
    node(runs, index)->count = count;
    return insert(runs, index, whole.start + count, whole.count - count, (enum state)whole.state);
}

/* Makes one node of two neighbours of one state, which are in no bin. */
static void
join(struct tri_runs *runs, uint32_t left, uint32_t right)
{
    node(runs, left)->count += node(runs, right)->count;
    drop(runs, right);
}

/* ------------------------------------------------------------------------------------------------------------- bins */

static void
bin_put(struct tri_runs *runs, uint32_t index)
{
    struct node *freed = node(runs, index);
    const uint32_t class = class_of(freed->count);
    freed->bin_prev = NONE;
    freed->bin_next = runs->bins[class];
    if (freed->bin_next != NONE)
        node(runs, freed->bin_next)->bin_prev = index;
    runs->bins[class] = index;
    runs->filled[class / 64] |= UINT64_C(1) << class % 64;
    runs->free_runs++;
}

static void
bin_remove(struct tri_runs *runs, uint32_t index)
{
    const struct node *removed = node(runs, index);
    const uint32_t class = class_of(removed->count);
    if (removed->bin_next != NONE)
        node(runs, removed->bin_next)->bin_prev = removed->bin_prev;
    if (removed->bin_prev != NONE)
        node(runs, removed->bin_prev)->bin_next = removed->bin_next;
    else
        runs->bins[class] = removed->bin_next;
    if (runs->bins[class] == NONE)
        runs->filled[class / 64] &= ~(UINT64_C(1) << class % 64);
    runs->free_runs--;
}

/* A node becomes free: one with its free neighbours, and in its bin. */
static void
set_free(struct tri_runs *runs, uint32_t index)
{
    node(runs, index)->state = FREE;
    const uint32_t before = node(runs, index)->before, behind = node(runs, index)->behind;
    if (behind != NONE && node(runs, behind)->state == FREE) {
        bin_remove(runs, behind);
        join(runs, index, behind);
    }
    if (before != NONE && node(runs, before)->state == FREE) {
        bin_remove(runs, before);
        join(runs, before, index);
        index = before;
    }
    bin_put(runs, index);
}

/* [start, start + count) of a free or missing node becomes a node of its own, in no bin; what is left of it stays what it was. */
static uint32_t
carve(struct tri_runs *runs, uint32_t index, uint32_t start, uint32_t count)
{
    const bool binned = node(runs, index)->state == FREE;
    if (binned)
        bin_remove(runs, index);
    if (start > node(runs, index)->start) {
        const uint32_t rest = index;
        index = split(runs, index, start - node(runs, index)->start);
        if (binned)
            bin_put(runs, rest);
    }
    if (count < node(runs, index)->count) {
        const uint32_t rest = split(runs, index, count);
        if (binned)
            bin_put(runs, rest);
    }
    return index;
}

/* --------------------------------------------------------------------------------------------------- making, reserving */

trp_err
tri_runs_create(uint32_t granules, struct tri_runs **made, trp_error *error)
{
    TRI_ASSERT(granules > 0);
    struct tri_runs *runs = calloc(1, sizeof *runs);
    if (runs == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the arena's table of runs");
    const size_t chunks = (size_t)granules / TRI_WARM_GRANULES + 1;
    runs->limit = granules;
    runs->at = calloc((granules - 1) / BLOCK + 1, sizeof *runs->at);
    runs->warm = malloc(chunks * sizeof *runs->warm);
    runs->used = 1; /* node 0 is NONE */
    if (runs->at == NULL || runs->warm == NULL || tri_runs_reserve(runs, tri_runs_extents(runs)) != TRP_OK) {
        tri_runs_destroy(&runs);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the table of an arena of %u granules", granules);
    }
    memset(runs->warm, 0xff, chunks * sizeof *runs->warm);
    for (uint32_t extent = tri_runs_extents(runs); extent-- > 0;)
        insert(runs, NONE, tri_runs_extent(runs, extent).start, tri_runs_extent(runs, extent).count, HOLE);
    *made = runs;
    return TRP_OK;
}

void
tri_runs_destroy(struct tri_runs **made)
{
    struct tri_runs *runs = *made;
    if (runs == NULL)
        return;
    free(runs->nodes);
    free(runs->at);
    free(runs->warm);
    free(runs);
    *made = NULL;
}

trp_err
tri_runs_reserve(struct tri_runs *runs, uint32_t n)
{
    const size_t needed =
        (size_t)runs->used + 2 * (size_t)n - (runs->unused_count < 2 * (size_t)n ? runs->unused_count : 2 * (size_t)n);
    return TRI_RESERVE(runs->nodes, runs->capacity, needed) ? TRP_OK : TRP_ENOMEM;
}

/* ------------------------------------------------------------------------------------------------------ take and give */

/* The granules of [start, start + count) that the process wrote last. */
static uint32_t
warmth(const struct tri_runs *runs, uint32_t start, uint32_t count, uint16_t process)
{
    uint32_t warm = 0;
    for (uint32_t chunk = start / TRI_WARM_GRANULES; chunk <= (start + count - 1) / TRI_WARM_GRANULES; chunk++)
        warm += runs->warm[chunk] == process ? TRI_WARM_GRANULES : 0;
    return warm;
}

static uint32_t
place_in(const struct node *run, uint32_t count)
{
    return count >= TRI_RUN_LONG ? end_of(run) - count : run->start;
}

/* The best of the first few of a bin that are long enough; NONE: none is. */
static uint32_t
choose(const struct tri_runs *runs, uint32_t class, uint32_t count, uint16_t process)
{
    uint32_t best = NONE, best_warm = 0, looks = 0;
    for (uint32_t index = runs->bins[class]; index != NONE && looks < LOOKS;
         index = node(runs, index)->bin_next, looks++) {
        const struct node *run = node(runs, index);
        if (run->count < count)
            continue;
        const uint32_t warm = process == TRI_PROCESS_NOBODY ? 0 : warmth(runs, place_in(run, count), count, process);
        if (best == NONE || warm > best_warm || (warm == best_warm && run->count < node(runs, best)->count)) {
            best = index;
            best_warm = warm;
        }
    }
    return best;
}

static void
set_taken(struct tri_runs *runs, uint32_t index)
{
    node(runs, index)->state = TAKEN;
    runs->taken += node(runs, index)->count;
    runs->taken_runs++;
}

bool
tri_runs_take(struct tri_runs *runs, uint32_t count, uint16_t process, struct tri_span *run)
{
    TRI_ASSERT(count > 0);
    uint32_t class = class_of(count);
    uint32_t index = choose(runs, class, count, process);
    if (index == NONE && (class = next_filled(runs, class + 1)) < CLASSES)
        index = choose(runs, class, count, process);
    if (index == NONE)
        return false;
    index = carve(runs, index, place_in(node(runs, index), count), count);
    set_taken(runs, index);
    *run = (struct tri_span){node(runs, index)->start, count};
    if (process != TRI_PROCESS_NOBODY)
        for (uint32_t chunk = run->start / TRI_WARM_GRANULES; chunk <= (run->start + count - 1) / TRI_WARM_GRANULES;
             chunk++)
            runs->warm[chunk] = process;
    return true;
}

bool
tri_runs_claim(struct tri_runs *runs, struct tri_span run)
{
    if (run.count == 0 || run.start >= runs->limit || run.count > runs->limit - run.start)
        return false;
    const uint32_t index = node_around(runs, run.start);
    if (node(runs, index)->state != FREE || end_of(node(runs, index)) < run.start + run.count)
        return false;
    set_taken(runs, carve(runs, index, run.start, run.count));
    return true;
}

/* The taken run that begins there; NONE: none does. */
static uint32_t
taken_at(const struct tri_runs *runs, uint32_t start)
{
    const uint32_t index = start < runs->limit ? node_at(runs, start) : NONE;
    return index != NONE && node(runs, index)->state == TAKEN ? index : NONE;
}

bool
tri_runs_give(struct tri_runs *runs, struct tri_span run)
{
    const uint32_t index = taken_at(runs, run.start);
    if (index == NONE || node(runs, index)->count != run.count)
        return false;
    runs->taken -= run.count;
    runs->taken_runs--;
    set_free(runs, index);
    return true;
}

bool
tri_runs_part(struct tri_runs *runs, struct tri_span part)
{
    if (part.count == 0 || part.start >= runs->limit || part.count > runs->limit - part.start)
        return false;
    uint32_t index = node_around(runs, part.start);
    if (node(runs, index)->state != TAKEN || end_of(node(runs, index)) < part.start + part.count)
        return false;
    if (part.start > node(runs, index)->start) {
        index = split(runs, index, part.start - node(runs, index)->start);
        runs->taken_runs++;
    }
    if (part.count < node(runs, index)->count) {
        split(runs, index, part.count);
        runs->taken_runs++;
    }
    return true;
}

bool
tri_runs_join(struct tri_runs *runs, uint32_t start)
{
    const uint32_t index = taken_at(runs, start);
    const uint32_t before = index != NONE ? node(runs, index)->before : NONE;
    if (before == NONE || node(runs, before)->state != TAKEN)
        return false;
    join(runs, before, index);
    runs->taken_runs--;
    return true;
}

/* ---------------------------------------------------------------------------------------------------------- extents */

uint32_t
tri_runs_extents(const struct tri_runs *runs)
{
    return (runs->limit - 1) / TRI_EXTENT_GRANULES + 1;
}

struct tri_span
tri_runs_extent(const struct tri_runs *runs, uint32_t extent)
{
    const uint32_t start = extent * TRI_EXTENT_GRANULES, left = runs->limit - start;
    return (struct tri_span){start, left < TRI_EXTENT_GRANULES ? left : TRI_EXTENT_GRANULES};
}

bool
tri_runs_is_backed(const struct tri_runs *runs, uint32_t extent)
{
    const uint32_t index = node_at(runs, tri_runs_extent(runs, extent).start);
    return index == NONE || node(runs, index)->state != HOLE;
}

void
tri_runs_back(struct tri_runs *runs, uint32_t extent)
{
    TRI_ASSERT(!tri_runs_is_backed(runs, extent));
    const struct tri_span place = tri_runs_extent(runs, extent);
    runs->backed += place.count;
    set_free(runs, node_at(runs, place.start));
}

bool
tri_runs_unback(struct tri_runs *runs, uint32_t extent)
{
    const struct tri_span place = tri_runs_extent(runs, extent);
    const uint32_t index = node_around(runs, place.start);
    if (node(runs, index)->state != FREE || end_of(node(runs, index)) < place.start + place.count)
        return false;
    node(runs, carve(runs, index, place.start, place.count))->state = HOLE;
    runs->backed -= place.count;
    return true;
}
