/*
 * depot_state.h - what the broker's store is made of (depot.h); for depot.c and the files depot_*.c alone.
 */
#ifndef TRI_CORE_DEPOT_STATE_H
#define TRI_CORE_DEPOT_STATE_H

#include <stdlib.h>

#include "broker/core/depot.h"

/* Who waits for room, in order. */
struct tri_ask {
    struct tri_node link; /* store->waiting */
    bool waits;
    bool is_patient;   /* it said no deadline: it waits as long as something moves */
    bool steps_aside;  /* who wants less behind it is served first */
    bool is_gathering; /* it is a tri_gather's, else a tenant's */
    uint64_t deadline_ns;
};

struct tri_candidate;

struct tri_tenant {
    struct tri_ask ask; /* for a lease */
    uint64_t wanted;
    uint64_t space;    /* 0: nobody */
    bool present;      /* logged in */
    bool revoked;      /* REVOKE is with it */
    uint64_t granules; /* on lease, and */
    uint32_t slots;
};

/* Objects that shall be in the arena together. */
struct tri_gather {
    struct tri_ask ask;
    struct tri_node link; /* store->reading, store->gathered; of one that waits or was told of: none */
    void *user;
    trp_err err;
    trp_error error;
    uint32_t count, taken; /* those before `taken` are there, or have room and are being read: they stay */
    struct tri_buf *bufs[];
};

enum tri_stored_state {
    TRI_STORED_RESIDENT,
    TRI_STORED_WRITING, /* resident, and being copied away */
    TRI_STORED_SPILLED,
    TRI_STORED_READING, /* it has room, and is being copied there */
    TRI_STORED_LOST     /* its copy is damaged */
};

/* A sealed object. */
struct tri_stored {
    struct tri_buf buf; /* first; `foreign` is its depot, NULL: that has ended */
    struct tri_place place;
    struct tri_node link;   /* store->released, store->found, store->pinned */
    struct tri_node recent; /* store->recent */
    uint32_t at_rest;       /* of the references, those that do not need it in the arena */
    uint8_t state;
    uint8_t ahead;   /* READING: so many neighbours of it are read, too */
    trp_error *lost; /* LOST: why; NULL: there was no memory to say */
};

/* What is known of spilling. */
struct tri_spilling {
    struct tri_node recent;       /* tri_stored.recent: what is in the arena, the longest unused first */
    struct tri_stored **batch;    /* that is being written, */
    struct tri_candidate *sorted; /* what might be, by address */
    struct tri_spill_piece *pieces;
    size_t batch_capacity, sorted_capacity, piece_capacity;
    uint32_t count, sorted_count;
    uint32_t most;     /* objects of a batch: fewer since one had no room on the disk */
    uint32_t reading;  /* objects on their way back */
    uint64_t look_ns;  /* nothing could be spilled: not looked for before */
    uint64_t moved_ns; /* the last time that something was spilled, restored or backed */
    bool failed;       /* the last batch was not written: */
    trp_error error;   /* why; until */
    uint64_t retry_ns; /* then it is tried again */
    uint64_t spilled;  /* bytes of objects that are not in the arena, */
    uint32_t objects;  /* and how many */
    uint64_t lost;     /* objects, ever */
    uint64_t out_bytes, out_objects, back_bytes, back_objects; /* ever */
    uint64_t out_ns, back_ns;                                  /* so long that took, */
    uint64_t out_since_ns, back_since_ns;                      /* and what is under way began */
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
    struct tri_node waiting;  /* tri_ask.link, in order */
    struct tri_node reading;  /* tri_gather.link: each of its objects has room */
    struct tri_node gathered; /* tri_gather.link: to be told of */
    struct tri_node released; /* since the last look */
    struct tri_node pinned;   /* gone, but some process has them pinned */
    struct tri_node found;    /* of the register, and nobody has said it yet: retained here */
    bool freed;               /* something became free, or was asked for, since the first of `waiting` was looked at */
    bool starved;             /* the system had no memory for another extent */
    bool is_short;            /* there was no room for who waits first, just now */
    uint32_t backing,
        backing_done; /* the extent that gets memory, or TRI_NO_EXTENT; how many of its granules have it */
    uint64_t now_ns, gone_ns, idle_ns;
    uint64_t revoked_ns; /* the last time that idle leases were asked for */
    uint64_t cleared_ns; /* when all was spilled that could be, as there was no room between it */
    uint64_t again_ns; /* there was no room for who waits: pins and references may be fewer then, which nobody tells */
    uint64_t reclaimed_ns; /* the last time that all tables of pins were read for what is gone */
    uint32_t lease_slots[TRI_LEASE_SLOTS_MAX];
    struct tri_spilling spilling;
};

#define TRI_NO_EXTENT UINT32_MAX
enum tri_room {
    TRI_ROOM_NONE,
    TRI_ROOM_MADE,
    TRI_ROOM_LATER,    /* it is being backed: ask again soon */
    TRI_ROOM_SPILLING, /* there will be some when what is being spilled, or read, is */
    TRI_ROOM_UNSPILLED /* there would be, if it could be spilled */
};

uint32_t tri_depot_granules(uint64_t bytes);
/* Memory for what lies at `at` in this part. */
trp_err tri_depot_back(struct tri_depot *store, enum tri_arena_part part, const void *base, const void *at,
                       uint64_t size, trp_error *error);
void tri_depot_collect(const struct tri_depot *store, uint64_t *bits);
void tri_depot_free_span(struct tri_depot *store, struct tri_span span);
/* A lease of what it wants, or more. */
bool tri_depot_grant(struct tri_depot *store, uint32_t tenant, struct tri_granted *granted);
void tri_depot_wait(struct tri_depot *store, struct tri_ask *ask, uint64_t deadline_ns);
void tri_depot_wait_no_more(struct tri_depot *store, struct tri_ask *ask);
uint64_t tri_depot_queue_next_ns(const struct tri_depot *store);
struct tri_stored *tri_stored_new(struct tri_depot *store, const struct tri_place *place, bool is_spilled);
void tri_depot_end(struct tri_depot *store, struct tri_stored *object);
/* From what is gone and not pinned any more, else from extents that have no memory yet, else from what can be spilled. */
enum tri_room tri_depot_make_room(struct tri_depot *store, uint32_t wanted, bool needs_slot);
void tri_depot_stop_backing(struct tri_depot *store);
void tri_depot_give_idle(struct tri_depot *store);
bool tri_depot_reclaim(struct tri_depot *store); /* whether anything that was gone is free now */

/* depot_spill.c */
/* What a gathering has found here lies so that the rest has no window: all that rests goes, and what is wanted of it comes back side
 * by side. Not at each look. false: nothing does, or something is being spilled. */
bool tri_depot_clear(struct tri_depot *store);
enum tri_room tri_depot_spill_for(struct tri_depot *store, uint32_t wanted);
void tri_depot_spill_look(struct tri_depot *store); /* more is taken than shall be? */
uint64_t tri_depot_spill_next_ns(const struct tri_depot *store);
void tri_depot_drop_copy(struct tri_depot *store, const struct tri_stored *object);
uint64_t tri_depot_mark_granules(const struct tri_depot *store); /* so many may be taken before anything is spilled */
void tri_depot_used(struct tri_depot *store, struct tri_stored *object);

/* depot_restore.c */
enum tri_room tri_depot_gather_more(struct tri_depot *store, struct tri_gather *gather);
void tri_gather_end(struct tri_depot *store, struct tri_gather *gather, trp_err err, const trp_error *error);
static inline struct tri_stored *
tri_stored_of(const struct tri_buf *buf)
{
    return (struct tri_stored *)(uintptr_t)buf;
}
static inline bool
tri_stored_has_span(const struct tri_stored *object)
{
    return object->state != TRI_STORED_SPILLED && object->state != TRI_STORED_LOST;
}
static inline bool
tri_stored_is_readable(const struct tri_stored *object)
{
    return object->state == TRI_STORED_RESIDENT || object->state == TRI_STORED_WRITING;
}
static inline struct tri_id
tri_stored_id(const struct tri_stored *object)
{
    return tri_spilled_id(object->place.slot, object->place.generation);
}
static inline uint32_t
tri_stored_references(const struct tri_stored *object)
{
    return (uint32_t)atomic_load_explicit(&object->buf.references, memory_order_relaxed);
}

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
