/*
 * depot_grow.c - memory behind the arena, as it is wanted, and given back where it is idle. One thread; the time is passed in.
 */
#include "broker/core/depot_state.h"

/* Backing takes a millisecond for so many: the broker does other things in between. */
enum { SLICE_GRANULES = 1024 };

static void
unback(struct tri_depot *store, uint32_t start, uint32_t count)
{
    if (count > 0)
        store->arena.unback(store->arena.user, TRI_PART_ARENA, (uint64_t)start * TRI_GRANULE,
                            (uint64_t)count * TRI_GRANULE);
}

void
tri_depot_stop_backing(struct tri_depot *store)
{
    if (store->backing == TRI_NO_EXTENT)
        return;
    unback(store, tri_runs_extent(store->runs, store->backing).start, store->backing_done);
    store->backing = TRI_NO_EXTENT;
}

static trp_err
begin_backing(struct tri_depot *store, uint32_t extent, trp_error *error)
{
    const struct tri_span span = tri_runs_extent(store->runs, extent);
    struct tri_register *reg = &store->reg;
    tri_depot_stop_backing(store);
    TRP_TRY(tri_depot_back(store, TRI_PART_REGISTER, store->arena.reg, &reg->backed[extent], 1, error));
    TRP_TRY(tri_depot_back(store, TRI_PART_REGISTER, store->arena.reg, &reg->owners[span.start],
                           span.count * sizeof *reg->owners, error));
    store->backing = extent;
    store->backing_done = 0;
    return TRP_OK;
}

/* One slice more of this extent. */
static trp_err
back_more(struct tri_depot *store, uint32_t extent, trp_error *error)
{
    const struct tri_span span = tri_runs_extent(store->runs, extent);
    if (tri_runs_reserve(store->runs, 1) != TRP_OK)
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for more of it");
    if (store->backing != extent)
        TRP_TRY(begin_backing(store, extent, error));
    const uint32_t left = span.count - store->backing_done, count = left < SLICE_GRANULES ? left : SLICE_GRANULES;
    TRP_TRY(store->arena.back(store->arena.user, TRI_PART_ARENA,
                              (uint64_t)(span.start + store->backing_done) * TRI_GRANULE, (uint64_t)count * TRI_GRANULE,
                              error));
    store->backing_done += count;
    if (count < left)
        return TRP_OK;
    store->backing = TRI_NO_EXTENT;
    store->reg.backed[extent] = 1;
    tri_runs_back(store->runs, extent);
    return TRP_OK;
}

enum tri_room
tri_depot_make_room(struct tri_depot *store, uint32_t wanted, bool needs_slot)
{
    uint32_t extent, count;
    trp_error why;
    if (store->gone_count > 0 && tri_depot_reclaim(store))
        return TRI_ROOM_MADE;
    if (needs_slot && tri_depot_slots_free(store) == 0)
        return TRI_ROOM_NONE;
    if (!tri_runs_wanted(store->runs, wanted, &extent, &count))
        return tri_depot_spill_for(store, wanted);
    while (tri_runs_is_backed(store->runs, extent))
        extent++; /* some of the neighbours may be */
    if (back_more(store, extent, &why) == TRP_OK) {
        store->starved = false;
        return tri_runs_is_backed(store->runs, extent) ? TRI_ROOM_MADE : TRI_ROOM_LATER;
    }
    tri_depot_stop_backing(store);
    if (!store->starved)
        tri_log(TRI_WARNING, "the object store does not grow: %s", why.message);
    store->starved = true;
    return tri_depot_spill_for(store, wanted);
}

/* ------------------------------------------------------------------------------------------------------------- idle */

/* An extent of which nothing was taken for a while. */
static bool
is_over(struct tri_depot *store, uint32_t extent)
{
    const uint64_t backed = tri_runs_stat(store->runs).backed;
    if (store->arena.keeps_one && backed <= tri_runs_extent(store->runs, extent).count)
        return false;
    return tri_runs_reserve(store->runs, 1) == TRP_OK && tri_runs_unback(store->runs, extent);
}

void
tri_depot_give_idle(struct tri_depot *store)
{
    store->idle_ns = TRI_NEVER;
    for (uint32_t i = 0; i < tri_runs_extents(store->runs); i++) {
        if (store->freed_ns[i] == 0)
            continue;
        const uint64_t due_ns = store->freed_ns[i] + TRI_IDLE_EXTENT_S * TRI_NS_PER_S;
        if (due_ns > store->now_ns) {
            store->idle_ns = due_ns < store->idle_ns ? due_ns : store->idle_ns;
            continue;
        }
        store->freed_ns[i] = 0;
        if (!is_over(store, i))
            continue;
        store->reg.backed[i] = 0;
        unback(store, tri_runs_extent(store->runs, i).start, tri_runs_extent(store->runs, i).count);
    }
}
