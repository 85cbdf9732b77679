/*
 * pins.c - the two sides of pins.h. It knows words and tables, not what an object is, nor how memory is shared.
 */
#include "store/pins.h"

#include <stdlib.h>
#include <string.h>

enum { STATE_SHIFT = 62, START_SHIFT = 32, SLOT_SHIFT = 32 };
#define START_MAX ((UINT32_C(1) << (STATE_SHIFT - START_SHIFT)) - 1)

static uint64_t
word_of(enum tri_slot_state state, uint32_t generation, uint32_t start)
{
    return (uint64_t)state << STATE_SHIFT | (uint64_t)start << START_SHIFT | generation;
}

static enum tri_slot_state
state_of(uint64_t word)
{
    return (enum tri_slot_state)(word >> STATE_SHIFT);
}

static uint32_t
start_of(uint64_t word)
{
    return (uint32_t)(word >> START_SHIFT) & START_MAX;
}

/* ---------------------------------------------------------------------------------------------------------- processes */

void
tri_pinner_init(struct tri_pinner *pinner, struct tri_pin_table *table)
{
    *pinner = (struct tri_pinner){.table = table};
}

void
tri_pinner_fini(struct tri_pinner *pinner)
{
    free(pinner->unused);
    *pinner = (struct tri_pinner){0};
}

/* An entry, with room to put it back later, so that tri_unpin cannot fail. */
static bool
take_entry(struct tri_pinner *pinner, uint32_t *entry)
{
    if (pinner->unused_count > 0) {
        *entry = pinner->unused[--pinner->unused_count];
        return true;
    }
    const uint32_t used = pinner->used;
    if (used == TRI_PINS_HELD || !TRI_RESERVE(pinner->unused, pinner->unused_capacity, (size_t)used + 1))
        return false;
    pinner->used++;
    if (atomic_load_explicit(&pinner->table->used, memory_order_relaxed) < pinner->used)
        atomic_store(&pinner->table->used, pinner->used);
    *entry = used;
    return true;
}

static void
write_entry(struct tri_pinner *pinner, uint32_t entry, uint32_t slot, uint32_t generation)
{
    atomic_store(&pinner->table->entries[entry], ((uint64_t)slot + 1) << SLOT_SHIFT | generation);
}

static bool
is_resident(tri_slot_word *word, uint32_t generation, uint32_t *start)
{
    const uint64_t seen = atomic_load(word);
    if (state_of(seen) != TRI_SLOT_RESIDENT || (uint32_t)seen != generation)
        return false;
    *start = start_of(seen);
    return true;
}

bool
tri_pin_new(struct tri_pinner *pinner, uint32_t slot, uint32_t generation, uint32_t *entry)
{
    if (!take_entry(pinner, entry))
        return false;
    write_entry(pinner, *entry, slot, generation);
    return true;
}

enum tri_pinned
tri_pin(struct tri_pinner *pinner, tri_slot_word *words, uint32_t slot, uint32_t generation, uint32_t *entry,
        uint32_t *start)
{
    uint32_t taken;
    if (!tri_pin_new(pinner, slot, generation, &taken))
        return TRI_PIN_FULL;
    if (is_resident(&words[slot], generation, start)) {
        *entry = taken;
        return TRI_PINNED;
    }
    tri_unpin(pinner, taken);
    return TRI_PIN_GONE;
}

void
tri_unpin(struct tri_pinner *pinner, uint32_t entry)
{
    /* What was read of the object was read before. */
    atomic_store_explicit(&pinner->table->entries[entry], 0, memory_order_release);
    pinner->unused[pinner->unused_count++] = entry;
}

enum tri_pinned
tri_pin_to_copy(struct tri_pinner *pinner, tri_slot_word *words, uint32_t slot, uint32_t generation, uint32_t *start)
{
    atomic_store(&pinner->table->used, TRI_PINS_MAX);
    write_entry(pinner, TRI_PINS_HELD, slot, generation);
    if (is_resident(&words[slot], generation, start))
        return TRI_PINNED;
    tri_pin_copied(pinner);
    return TRI_PIN_GONE;
}

void
tri_pin_copied(struct tri_pinner *pinner)
{
    atomic_store_explicit(&pinner->table->entries[TRI_PINS_HELD], 0, memory_order_release);
}

/* ------------------------------------------------------------------------------------------------------------- brokers */

void
tri_slot_renew(tri_slot_word *word)
{
    atomic_store(word, word_of(TRI_SLOT_ABSENT, tri_slot_generation(word) + 1, 0));
}

void
tri_slot_show(tri_slot_word *word, uint32_t generation, uint32_t start)
{
    TRI_ASSERT(start <= START_MAX);
    atomic_store(word, word_of(TRI_SLOT_RESIDENT, generation, start));
}

void
tri_slot_mark(tri_slot_word *word)
{
    atomic_store(word, word_of(TRI_SLOT_LEAVING, tri_slot_generation(word), tri_slot_start(word)));
}

void
tri_slot_clear(tri_slot_word *word)
{
    atomic_store(word, word_of(TRI_SLOT_ABSENT, tri_slot_generation(word), 0));
}

enum tri_slot_state
tri_slot_state(tri_slot_word *word)
{
    return state_of(atomic_load(word));
}

uint32_t
tri_slot_generation(tri_slot_word *word)
{
    return (uint32_t)atomic_load(word);
}

uint32_t
tri_slot_start(tri_slot_word *word)
{
    return start_of(atomic_load(word));
}

uint32_t
tri_pins_collect(struct tri_pin_table *table, tri_slot_word *words, uint32_t slots, uint64_t *bits)
{
    const uint32_t used = atomic_load(&table->used);
    const uint32_t entries = used < TRI_PINS_MAX ? used : TRI_PINS_MAX;
    for (uint32_t i = 0; i < entries; i++) {
        const uint64_t entry = atomic_load(&table->entries[i]);
        const uint64_t slot = (entry >> SLOT_SHIFT) - 1; /* of a free entry: beyond all */
        if (slot < slots && tri_slot_generation(&words[slot]) == (uint32_t)entry)
            bits[slot / 64] |= UINT64_C(1) << slot % 64;
    }
    return entries;
}
