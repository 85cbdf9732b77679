/*
 * arena.c - the arena of arena.h.
 */
#include "tests/core/arena.h"

#include <stdlib.h>
#include <string.h>

static trp_err
on_back(void *user, enum tri_arena_part part, uint64_t offset, uint64_t size, trp_error *error)
{
    struct arena *arena = user;
    cr_assert(offset % 4096 == 0 && size % 4096 == 0 && size > 0);
    if (part != TRI_PART_ARENA)
        return TRP_OK;
    cr_assert(offset + size <= (uint64_t)arena->arena.granules * TRI_GRANULE);
    if (arena->none_left_at > 0 && arena->backed_granules >= arena->none_left_at * TRI_EXTENT_GRANULES)
        return TRI_FAIL(error, TRP_ESTOREFULL, "no memory");
    arena->backed_granules += size / TRI_GRANULE;
    arena->backed = (arena->backed_granules + TRI_EXTENT_GRANULES - 1) / TRI_EXTENT_GRANULES;
    return TRP_OK;
}

static void
on_unback(void *user, enum tri_arena_part part, uint64_t offset, uint64_t size)
{
    struct arena *arena = user;
    if (part == TRI_PART_PINS)
        memset(arena->arena.pins + offset, 0, size);
    if (part != TRI_PART_ARENA)
        return;
    arena->backed_granules -= size / TRI_GRANULE;
    arena->backed = (arena->backed_granules + TRI_EXTENT_GRANULES - 1) / TRI_EXTENT_GRANULES;
}

static void
on_await_end(void *user, uint64_t space, int32_t pid)
{
    struct arena *arena = user;
    (void)pid;
    cr_assert_lt(arena->awaited_count, 64);
    arena->awaited[arena->awaited_count++] = space;
}

struct arena *
arena_new(uint32_t granules)
{
    struct arena *arena = calloc(1, sizeof *arena);
    cr_assert_not_null(arena);
    arena->arena = (struct tri_arena){.granules = granules,
                                      .slots = tri_slots_for(granules),
                                      .fresh = true,
                                      .back = on_back,
                                      .unback = on_unback,
                                      .await_end = on_await_end,
                                      .user = arena};
    arena->arena.words = calloc(arena->arena.slots, sizeof(tri_slot_word));
    arena->arena.pins = calloc(TRI_TENANTS_MAX, TRI_PIN_TABLE_BYTES);
    arena->arena.reg = calloc(1, tri_part_bytes(TRI_PART_REGISTER, granules, arena->arena.slots));
    cr_assert(arena->arena.words != NULL && arena->arena.pins != NULL && arena->arena.reg != NULL);
    return arena;
}

void
arena_free(struct arena *arena)
{
    free(arena->arena.words);
    free(arena->arena.pins);
    free(arena->arena.reg);
    free(arena);
}

static struct tri_pin_table *
table_of(const struct arena *arena, uint32_t tenant)
{
    return (struct tri_pin_table *)(void *)(arena->arena.pins + tenant * TRI_PIN_TABLE_BYTES);
}

void
arena_pin(struct arena *arena, uint32_t tenant, uint32_t entry, uint32_t slot)
{
    struct tri_pin_table *table = table_of(arena, tenant);
    table->entries[entry] = ((uint64_t)slot + 1) << 32 | tri_slot_generation(&arena->arena.words[slot]);
    if (table->used <= entry)
        table->used = entry + 1;
}

void
arena_unpin(struct arena *arena, uint32_t tenant, uint32_t entry)
{
    table_of(arena, tenant)->entries[entry] = 0;
}

struct tri_place
arena_place(const struct arena *arena, uint32_t slot, uint32_t start, uint64_t size)
{
    return (struct tri_place){
        .slot = slot, .generation = tri_slot_generation(&arena->arena.words[slot]), .start = start, .size = size};
}
