/*
 * arena.c - the arena of arena.h.
 */
#include "tests/core/arena.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PINS_BYTES ((size_t)TRI_TENANTS_MAX * TRI_PIN_TABLE_BYTES) /* of which hardly any is touched */

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
                                      .slots = granules / 16 < 1024 ? 1024 : granules / 16,
                                      .fresh = true,
                                      .back = on_back,
                                      .unback = on_unback,
                                      .await_end = on_await_end,
                                      .user = arena};
    arena->arena.words = calloc(arena->arena.slots, sizeof(tri_slot_word));
    arena->arena.pins =
        mmap(NULL, PINS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    arena->arena.reg = calloc(1, tri_part_bytes(TRI_PART_REGISTER, granules, arena->arena.slots));
    cr_assert(arena->arena.words != NULL && arena->arena.pins != MAP_FAILED && arena->arena.reg != NULL);
    return arena;
}

void
arena_free(struct arena *arena)
{
    free(arena->arena.words);
    (void)munmap(arena->arena.pins, PINS_BYTES);
    free(arena->arena.reg);
    free(arena->tags);
    free(arena->batch);
    free(arena->copies);
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

/* ----------------------------------------------------------------------------------------------------------- spilling */

struct copy *
arena_copy(struct arena *arena, struct tri_id id)
{
    for (size_t i = 0; i < arena->copy_count; i++)
        if (arena->copies[i].id.space == id.space && arena->copies[i].id.number == id.number)
            return &arena->copies[i];
    return NULL;
}

static bool
on_spill(void *user, const struct tri_spill_piece *pieces, uint32_t count)
{
    struct arena *arena = user;
    cr_assert_eq(arena->batch_count, 0, "one batch at a time");
    cr_assert_gt(count, 0);
    cr_assert(TRI_RESERVE(arena->batch, arena->batch_capacity, count));
    memcpy(arena->batch, pieces, count * sizeof *pieces);
    arena->batch_count = count;
    return true;
}

static bool
on_restore(void *user, const struct tri_spill_piece *piece)
{
    struct arena *arena = user;
    cr_assert_lt(arena->read_count, 64);
    arena->reads[arena->read_count++] = *piece;
    return true;
}

static void
on_drop(void *user, struct tri_id id)
{
    struct arena *arena = user;
    struct copy *copy = arena_copy(arena, id);
    cr_assert_not_null(copy, "a copy is dropped that there is not");
    *copy = arena->copies[--arena->copy_count];
    arena->drops++;
}

static void
on_claim(void *user, struct tri_id id, uint64_t size, const struct tri_file_place *place)
{
    struct arena *arena = user;
    struct copy *copy = arena_copy(arena, id);
    cr_assert(copy != NULL && copy->size == size && place->stored_size == size);
    copy->claimed = true;
    arena->claims++;
}

static struct tri_spill_files
on_files(void *user)
{
    const struct arena *arena = user;
    return (struct tri_spill_files){.files = arena->copy_count};
}

void
arena_can_spill(struct arena *arena)
{
    arena->tags = calloc(arena->arena.granules, sizeof *arena->tags);
    cr_assert_not_null(arena->tags);
    arena->arena.spiller = (struct tri_spiller){on_spill, on_restore, on_drop, on_claim, on_files, arena};
}

static uint32_t
granules_of(uint64_t size)
{
    return (uint32_t)((size + TRI_GRANULE - 1) / TRI_GRANULE);
}

void
arena_write(struct arena *arena, uint32_t start, uint64_t size, uint64_t tag)
{
    for (uint32_t i = 0; i < granules_of(size); i++)
        arena->tags[start + i] = tag;
}

bool
arena_has(const struct arena *arena, uint32_t start, uint64_t size, uint64_t tag)
{
    for (uint32_t i = 0; i < granules_of(size); i++)
        if (arena->tags[start + i] != tag)
            return false;
    return true;
}

void
arena_finish_batch(struct arena *arena)
{
    struct tri_register reg;
    tri_register_at(&reg, arena->arena.reg, arena->arena.granules);
    cr_assert_gt(arena->batch_count, 0);
    for (uint32_t i = 0; i < arena->batch_count; i++) {
        const struct tri_spill_piece *piece = &arena->batch[i];
        const struct tri_file_place place = {1, arena->copy_count, piece->size};
        cr_assert_null(arena_copy(arena, piece->id), "an object has a copy already");
        cr_assert(TRI_RESERVE(arena->copies, arena->copy_capacity, arena->copy_count + 1));
        const uint64_t tag = arena->tags[piece->start];
        cr_assert(arena_has(arena, piece->start, piece->size, tag), "its memory was another's when it was copied");
        arena->copies[arena->copy_count++] = (struct copy){.id = piece->id, .size = piece->size, .tag = tag};
        tri_record_file(&reg.records[tri_spilled_slot(piece->id)], &place);
    }
    arena->batch_count = 0;
}

void
arena_fail_batch(struct arena *arena)
{
    cr_assert_gt(arena->batch_count, 0);
    arena->batch_count = 0;
}

trp_err
arena_finish_read(struct arena *arena, struct tri_spill_piece *piece, struct tri_id *next, trp_error *error)
{
    cr_assert_gt(arena->read_count, 0);
    *piece = arena->reads[0];
    memmove(arena->reads, arena->reads + 1, --arena->read_count * sizeof *arena->reads);
    const struct copy *copy = arena_copy(arena, piece->id);
    cr_assert(copy != NULL && copy->size == piece->size);
    const bool has_next = copy + 1 < arena->copies + arena->copy_count;
    *next = has_next ? copy[1].id : (struct tri_id){0, 0};
    if (copy->damaged)
        return TRI_FAIL(error, TRP_EOBJLOST, "its copy is damaged");
    arena_write(arena, piece->start, piece->size, copy->tag);
    return TRP_OK;
}

void
arena_broker_died(struct arena *arena)
{
    arena->batch_count = arena->read_count = 0;
    arena->arena.fresh = false;
    for (size_t i = 0; i < arena->copy_count; i++)
        arena->copies[i].claimed = false;
}

void
arena_sweep(struct arena *arena)
{
    size_t kept = 0;
    for (size_t i = 0; i < arena->copy_count; i++)
        if (arena->copies[i].claimed)
            arena->copies[kept++] = arena->copies[i];
    arena->copy_count = kept;
}
