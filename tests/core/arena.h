/*
 * arena.h - an arena for the tests of the core: its shared parts as plain memory, which outlives a broker. What is backed
 * is counted.
 */
#ifndef TRI_TEST_CORE_ARENA_H
#define TRI_TEST_CORE_ARENA_H

#include <criterion/criterion.h>

#include "broker/core/depot.h"

/* A copy of an object, on a disk of plain memory. */
struct copy {
    struct tri_id id;
    uint64_t size, tag;
    bool damaged, claimed;
};

struct arena {
    struct tri_arena arena; /* for a core's configuration */
    /* Spilling: what was asked for, and what there is. Nothing happens before the test says so. */
    uint64_t *tags; /* [granule]: what is written there */
    struct tri_spill_piece *batch;
    uint32_t batch_count;
    struct tri_spill_piece reads[64]; /* in order */
    uint32_t read_count;
    struct copy *copies;
    size_t copy_count, batch_capacity, copy_capacity;
    uint64_t claims, drops; /* so far */
    uint64_t backed_granules;
    uint64_t none_left_at; /* from so many extents on the system has no memory; 0: never */
    uint64_t backed;       /* extents */
    uint64_t awaited[64];  /* spaces of processes whose end is asked for */
    uint32_t awaited_count;
};

struct arena *arena_new(uint32_t granules);
void arena_free(struct arena *arena);
/* What a process does: pins an object that it makes, and lets go of it. */
void arena_pin(struct arena *arena, uint32_t tenant, uint32_t entry, uint32_t slot);
void arena_unpin(struct arena *arena, uint32_t tenant, uint32_t entry);
struct tri_place arena_place(const struct arena *arena, uint32_t slot, uint32_t start, uint64_t size);

/* It can spill from now on; before a core has it. */
void arena_can_spill(struct arena *arena);
/* What a process writes where an object lies, and whether that is what is there. */
void arena_write(struct arena *arena, uint32_t start, uint64_t size, uint64_t tag);
bool arena_has(const struct arena *arena, uint32_t start, uint64_t size, uint64_t tag);
/* The batch is written, all of it; the event is the caller's to say. */
void arena_finish_batch(struct arena *arena);
/* It is not. */
void arena_fail_batch(struct arena *arena);
/* The first of the reads is done. TRP_OK, or TRP_EOBJLOST with the reason. `next`: what was written behind it. */
trp_err arena_finish_read(struct arena *arena, struct tri_spill_piece *piece, struct tri_id *next, trp_error *error);
struct copy *arena_copy(struct arena *arena, struct tri_id id); /* NULL: there is none */
/* The broker has died: what was under way is not, the next one begins with what is there. */
void arena_broker_died(struct arena *arena);
void arena_sweep(struct arena *arena); /* what nobody has claimed since goes */

#endif
