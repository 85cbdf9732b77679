/*
 * register.c - where the parts of register.h lie. Pure.
 */
#include "store/register.h"

#include "store/pins.h"
#include "store/runs.h"

static uint64_t
padded(uint64_t size)
{
    return (size + TRI_GRANULE - 1) / TRI_GRANULE * TRI_GRANULE;
}

static uint64_t
extents_at(void)
{
    return padded(sizeof(struct tri_register_head) + TRI_TENANTS_MAX * sizeof(struct tri_tenant_record));
}

static uint64_t
owners_at(uint32_t granules)
{
    return extents_at() + padded((granules - 1) / TRI_EXTENT_GRANULES + 1);
}

static uint64_t
records_at(uint32_t granules)
{
    return owners_at(granules) + padded(granules * sizeof(uint16_t));
}

uint64_t
tri_part_bytes(enum tri_arena_part part, uint32_t granules, uint32_t slots)
{
    const uint64_t sizes[TRI_PARTS] = {
        [TRI_PART_ARENA] = (uint64_t)granules * TRI_GRANULE,
        [TRI_PART_WORDS] = padded(slots * sizeof(tri_slot_word)),
        [TRI_PART_PINS] = TRI_TENANTS_MAX * TRI_PIN_TABLE_BYTES,
        [TRI_PART_REGISTER] = records_at(granules) + padded(slots * sizeof(struct tri_slot_record)),
    };
    return sizes[part];
}

void
tri_register_at(struct tri_register *made, void *memory, uint32_t granules)
{
    uint8_t *at = memory;
    made->head = memory;
    made->tenants = (void *)(at + sizeof *made->head);
    made->backed = at + extents_at();
    made->owners = (void *)(at + owners_at(granules));
    made->records = (void *)(at + records_at(granules));
}

/* The one that is not said is written, then it is: whoever reads finds either whole. */
void
tri_record_file(struct tri_slot_record *record, const struct tri_file_place *place)
{
    const uint8_t other = record->file_at == 0;
    record->files[other] = *place;
    __atomic_store_n(&record->file_at, other, __ATOMIC_RELEASE);
}
