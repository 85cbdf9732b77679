/*
 * space.c - the list of space.h. A process has few free pieces (what is in use by others is not here), so a sorted array does.
 */
#include "store/space.h"

#include <stdlib.h>
#include <string.h>

void
tri_space_fini(struct tri_space *space)
{
    free(space->pieces);
    *space = (struct tri_space){0};
}

static uint32_t
end_of(struct tri_span run)
{
    return run.start + run.count;
}

static void
drop(struct tri_space *space, size_t i)
{
    space->count--;
    memmove(&space->pieces[i], &space->pieces[i + 1], (space->count - i) * sizeof *space->pieces);
}

trp_err
tri_space_give(struct tri_space *space, struct tri_span run)
{
    if (!TRI_RESERVE(space->pieces, space->capacity, space->count + 1))
        return TRP_ENOMEM;
    size_t i = space->count;
    while (i > 0 && space->pieces[i - 1].start > run.start)
        i--;
    TRI_ASSERT(run.count > 0 && (i == 0 || end_of(space->pieces[i - 1]) <= run.start) &&
               (i == space->count || end_of(run) <= space->pieces[i].start));
    space->free_granules += run.count;
    const bool joins_before = i > 0 && end_of(space->pieces[i - 1]) == run.start;
    const bool joins_behind = i < space->count && end_of(run) == space->pieces[i].start;
    if (joins_before) {
        space->pieces[i - 1].count += run.count + (joins_behind ? space->pieces[i].count : 0);
        if (joins_behind)
            drop(space, i);
    } else if (joins_behind) {
        space->pieces[i] = (struct tri_span){run.start, run.count + space->pieces[i].count};
    } else {
        memmove(&space->pieces[i + 1], &space->pieces[i], (space->count - i) * sizeof *space->pieces);
        space->pieces[i] = run;
        space->count++;
    }
    return TRP_OK;
}

bool
tri_space_take(struct tri_space *space, uint32_t count, struct tri_span *run)
{
    TRI_ASSERT(count > 0);
    size_t best = space->count;
    for (size_t i = 0; i < space->count; i++)
        if (space->pieces[i].count >= count &&
            (best == space->count || space->pieces[i].count < space->pieces[best].count))
            best = i;
    if (best == space->count)
        return false;
    struct tri_span *piece = &space->pieces[best];
    *run = (struct tri_span){piece->start, count};
    *piece = (struct tri_span){piece->start + count, piece->count - count};
    if (piece->count == 0)
        drop(space, best);
    space->free_granules -= count;
    return true;
}

bool
tri_space_leave(struct tri_space *space, uint32_t least, struct tri_span *run)
{
    for (size_t i = space->count; i-- > 0;) {
        if (space->pieces[i].count >= least)
            continue;
        *run = space->pieces[i];
        space->free_granules -= run->count;
        drop(space, i);
        return true;
    }
    return false;
}
