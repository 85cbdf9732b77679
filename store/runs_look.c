/*
 * runs_look.c - what is asked of the table of runs.h: where there would be room, if memory were behind it or if something that is taken
 * were given back, and whether all of it is right. Pure; it changes nothing.
 */
#include "store/runs_inside.h"

/* ---------------------------------------------------------------------------------------------------------- extents */

/* Of [start, start + count), in which nothing is taken: the extents that are not backed. */
static void
missing(const struct tri_runs *runs, uint32_t start, uint32_t count, uint32_t *first, uint32_t *extents,
        uint32_t *absent)
{
    *absent = 0;
    for (uint32_t extent = start / TRI_EXTENT_GRANULES; extent <= (start + count - 1) / TRI_EXTENT_GRANULES; extent++) {
        if (tri_runs_is_backed(runs, extent))
            continue;
        if ((*absent)++ == 0)
            *first = extent;
        *extents = extent - *first + 1;
    }
}

struct wish {
    uint32_t count, fewest, first, extents;
};

/* From the beginning of this run, which is not taken. */
static void
consider(const struct tri_runs *runs, uint32_t index, struct wish *wish)
{
    const uint32_t start = node(runs, index)->start;
    uint32_t end = start, from = 0, span = 0, absent = 0;
    for (; index != NONE && node(runs, index)->state != TAKEN && end - start < wish->count;
         index = node(runs, index)->behind)
        end = end_of(node(runs, index));
    if (end - start < wish->count)
        return;
    missing(runs, start, wish->count, &from, &span, &absent);
    if (absent > 0 && absent < wish->fewest)
        *wish = (struct wish){wish->count, absent, from, span};
}

/* It begins with a hole, or with what is free before one: so runs that are taken, of which there may be a million, are not
 * looked at. */
bool
tri_runs_wanted(const struct tri_runs *runs, uint32_t count, uint32_t *first, uint32_t *extents)
{
    struct wish wish = {.count = count, .fewest = UINT32_MAX};
    for (uint32_t extent = 0; extent < tri_runs_extents(runs) && wish.fewest > 1; extent++) {
        if (tri_runs_is_backed(runs, extent))
            continue;
        const uint32_t hole = node_at(runs, tri_runs_extent(runs, extent).start), before = node(runs, hole)->before;
        if (before != NONE && node(runs, before)->state == FREE)
            consider(runs, before, &wish);
        consider(runs, hole, &wish);
    }
    if (wish.fewest == UINT32_MAX)
        return false;
    *first = wish.first;
    *extents = wish.extents;
    return true;
}

/* ---------------------------------------------------------------------------------------------------------- windows */

/* TRI_COST_NEVER: nothing can be done about it. */
static uint64_t
cost_of(const struct node *run, tri_run_cost *cost, void *user)
{
    if (run->state == FREE)
        return 0;
    return run->state == TAKEN ? cost(user, (struct tri_span){run->start, run->count}) : TRI_COST_NEVER;
}

bool
tri_runs_window(const struct tri_runs *runs, uint32_t count, tri_run_cost *cost, void *user, struct tri_span *window)
{
    uint64_t least = TRI_COST_NEVER, sum = 0;
    uint32_t left = runs->first;
    for (uint32_t right = left; right != NONE; right = node(runs, right)->behind) {
        const struct node *last = node(runs, right);
        const uint64_t added = cost_of(last, cost, user);
        if (added == TRI_COST_NEVER) {
            left = last->behind;
            sum = 0;
            continue;
        }
        sum += added;
        while (end_of(last) - end_of(node(runs, left)) >= count) {
            sum -= cost_of(node(runs, left), cost, user);
            left = node(runs, left)->behind;
        }
        const uint32_t start = node(runs, left)->start;
        if (end_of(last) - start >= count && sum < least) {
            least = sum;
            *window = (struct tri_span){start, end_of(last) - start};
        }
    }
    return least != TRI_COST_NEVER;
}

bool
tri_runs_next(const struct tri_runs *runs, uint32_t start, uint32_t end, struct tri_span *run)
{
    for (uint32_t i = node_around(runs, start); i != NONE && node(runs, i)->start < end; i = node(runs, i)->behind)
        if (node(runs, i)->state == TAKEN && node(runs, i)->start >= start) {
            *run = (struct tri_span){node(runs, i)->start, node(runs, i)->count};
            return true;
        }
    return false;
}

/* --------------------------------------------------------------------------------------------------- looking around */

struct tri_runs_stat
tri_runs_stat(const struct tri_runs *runs)
{
    struct tri_runs_stat stat = {.limit = runs->limit,
                                 .backed = runs->backed,
                                 .taken = runs->taken,
                                 .taken_runs = runs->taken_runs,
                                 .free_runs = runs->free_runs};
    uint32_t class = CLASSES;
    for (uint32_t next = next_filled(runs, 0); next < CLASSES; next = next_filled(runs, next + 1))
        class = next;
    if (class < CLASSES)
        for (uint32_t i = runs->bins[class]; i != NONE; i = node(runs, i)->bin_next)
            if (node(runs, i)->count > stat.longest_free)
                stat.longest_free = node(runs, i)->count;
    return stat;
}

static const char *
check_node(const struct tri_runs *runs, uint32_t index, uint32_t end, uint32_t before)
{
    const struct node *run = node(runs, index);
    if (run->start != end || run->count == 0)
        return "runs overlap, or leave something out";
    if (run->before != before)
        return "a run's link to the one before it is wrong";
    if (node_at(runs, run->start) != index)
        return "the index does not know a run";
    if (before != NONE && run->state == FREE && node(runs, before)->state == FREE)
        return "two neighbours are free, and not one run";
    return NULL;
}

static bool
is_index_right(const struct tri_runs *runs)
{
    for (uint32_t block = 0; block <= (runs->limit - 1) / BLOCK; block++) {
        const uint32_t first = runs->at[block];
        if (first != NONE &&
            (node(runs, first)->start / BLOCK != block || node_at(runs, node(runs, first)->start) != first))
            return false;
    }
    return true;
}

const char *
tri_runs_check(const struct tri_runs *runs)
{
    uint32_t end = 0, before = NONE, free_runs = 0, taken_runs = 0, binned = 0;
    uint64_t backed = 0, taken = 0;
    for (uint32_t i = runs->first; i != NONE; before = i, i = node(runs, i)->behind) {
        const struct node *run = node(runs, i);
        const char *wrong = check_node(runs, i, end, before);
        if (wrong != NULL)
            return wrong;
        end = end_of(run);
        backed += run->state != HOLE ? run->count : 0;
        taken += run->state == TAKEN ? run->count : 0;
        free_runs += run->state == FREE;
        taken_runs += run->state == TAKEN;
    }
    for (uint32_t class = 0; class < CLASSES; class ++)
        for (uint32_t i = runs->bins[class]; i != NONE; i = node(runs, i)->bin_next, binned++)
            if (node(runs, i)->state != FREE || class_of(node(runs, i)->count) != class)
                return "a bin has a run that does not belong there";
    if (!is_index_right(runs))
        return "the index has a run that is none";
    if (end != runs->limit || backed != runs->backed || taken != runs->taken)
        return "the sums are wrong";
    return free_runs == runs->free_runs && taken_runs == runs->taken_runs && binned == free_runs
               ? NULL
               : "the counts are wrong";
}
