/*
 * arena.h - an arena for the tests of the core: its shared parts as plain memory, which outlives a broker. What is backed
 * is counted.
 */
#ifndef TRI_TEST_CORE_ARENA_H
#define TRI_TEST_CORE_ARENA_H

#include <criterion/criterion.h>

#include "broker/core/depot.h"

struct arena {
    struct tri_arena arena; /* for a core's configuration */
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

#endif
