/*
 * depot_state.h - what the broker's store is made of (depot.h); for depot.c and depot_time.c alone.
 */
#ifndef TRI_CORE_DEPOT_STATE_H
#define TRI_CORE_DEPOT_STATE_H

#include <stdlib.h>

#include "broker/core/depot.h"

struct tri_tenant {
    uint64_t space;  /* 0: nobody */
    bool present;    /* logged in */
    bool waits;      /* has asked for space */
    bool is_patient; /* it said no deadline */
    uint64_t wanted, deadline_ns;
    struct tri_node waiting;
    uint64_t granules; /* on lease, and */
    uint32_t slots;
};

/* A sealed object. */
struct tri_stored {
    struct tri_buf buf; /* first */
    struct tri_place place;
    struct tri_depot *store; /* NULL: that has ended */
    struct tri_node link;    /* store->released, store->found, store->pinned */
};

struct tri_depot {
    struct tri_arena arena;
    struct tri_register reg;
    struct tri_runs *runs;
    struct tri_tenant *tenants;  /* [TRI_TENANTS_MAX] */
    struct tri_stored **objects; /* [slot]; NULL */
    uint32_t *free_slots;
    uint64_t *bits;     /* of slots: what is pinned */
    uint64_t *freed_ns; /* [extent]: when something there became free, and it was not looked at since; 0 */
    size_t object_capacity, free_slot_capacity, bits_capacity, free_slot_count;
    uint32_t tenants_used, slots_used, slots_backed;
    uint64_t leased, sealed, gone; /* granules */
    uint32_t object_count, gone_count, waiters;
    struct tri_node waiting;  /* tri_tenant.waiting, in order */
    struct tri_node released; /* since the last look */
    struct tri_node pinned;   /* gone, but some process has them pinned */
    struct tri_node found;    /* of the register, and nobody has said it yet: retained here */
    bool freed;               /* something became free, or was asked for, since the first of `waiting` was looked at */
    bool starved;             /* the system had no memory for another extent */
    uint32_t backing,
        backing_done; /* the extent that gets memory, or TRI_NO_EXTENT; how many of its granules have it */
    uint64_t now_ns, gone_ns, idle_ns;
    uint64_t reclaimed_ns; /* the last time that all tables of pins were read for what is gone */
    uint32_t lease_slots[TRI_LEASE_SLOTS_MAX];
};

#define TRI_NO_EXTENT UINT32_MAX
enum tri_room { TRI_ROOM_NONE, TRI_ROOM_MADE, TRI_ROOM_LATER };

uint32_t tri_depot_granules(uint64_t bytes);
/* Memory for what lies at `at` in this part. */
trp_err tri_depot_back(struct tri_depot *store, enum tri_arena_part part, const void *base, const void *at,
                       uint64_t size, trp_error *error);
void tri_depot_collect(const struct tri_depot *store, uint64_t *bits);
void tri_depot_free_span(struct tri_depot *store, struct tri_span span);
struct tri_stored *tri_stored_new(struct tri_depot *store, const struct tri_place *place);
void tri_depot_end(struct tri_depot *store, struct tri_stored *object);
/* From what is gone and not pinned any more, else from extents that have no memory yet: LATER, some of one was backed. */
enum tri_room tri_depot_make_room(struct tri_depot *store, uint32_t wanted);
void tri_depot_stop_backing(struct tri_depot *store);
void tri_depot_give_idle(struct tri_depot *store);
bool tri_depot_reclaim(struct tri_depot *store); /* whether anything that was gone is free now */

static inline uint32_t
tri_depot_slots_free(const struct tri_depot *store)
{
    return store->arena.slots - store->slots_used + (uint32_t)store->free_slot_count;
}
static inline bool
tri_depot_has_owners(const struct tri_depot *store, uint32_t granule)
{
    return tri_runs_is_backed(store->runs, granule / TRI_EXTENT_GRANULES);
}
static inline bool
tri_depot_is_backed(const struct tri_depot *store, struct tri_span span)
{
    for (uint32_t at = span.start; at < span.start + span.count; at += TRI_EXTENT_GRANULES)
        if (!tri_depot_has_owners(store, at))
            return false;
    return span.count == 0 || tri_depot_has_owners(store, span.start + span.count - 1);
}

#endif
