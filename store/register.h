/*
 * register.h - what a broker writes down of the arena, in shared memory that only brokers map and that outlives them: which
 * extents have memory, whose each granule is, what each slot stands for, which process has which table of pins. The next broker makes everything
 * anew from it. Each entry is changed by one store, so that a broker that dies between two leaves something that is right
 * either way.
 *
 * The memory is sparse: no part of it is touched before it was backed. Zeroed, it says that nothing is anybody's.
 */
#ifndef TRI_REGISTER_H
#define TRI_REGISTER_H

#include "transport/base/base.h"

enum {
    TRI_TENANTS_MAX = 4096, /* processes with an entry; the number is that of their table of pins, too */
    TRI_NO_TENANT = 65535,
    TRI_SLOTS_MAX = 1048576, /* of a node: objects, resident or spilled. One that was never used takes no memory */
};

/* The parts of the arena, each of them shared memory that is backed before it is touched. */
enum tri_arena_part { TRI_PART_ARENA, TRI_PART_WORDS, TRI_PART_PINS, TRI_PART_REGISTER, TRI_PARTS };

struct tri_register_head {
    uint32_t tenants_used; /* entries from here on were never written, */
    uint32_t slots_used;   /* nor were these */
    uint64_t zero;
};
struct tri_tenant_record {
    uint64_t space; /* of the process; 0: nobody's */
    int32_t pid;
    uint32_t has_pins; /* its table has memory */
};
enum tri_slot_use {
    TRI_SLOT_FREE,
    TRI_SLOT_LEASED,
    TRI_SLOT_SEALED,
    TRI_SLOT_SPILLED /* sealed, and not in the arena: a file has it */
};
struct tri_file_place {
    uint64_t file, offset, stored_size;
};
struct tri_slot_record {
    uint64_t size; /* SEALED, SPILLED: bytes */
    struct tri_id
        id; /* SEALED, SPILLED: the object whose value this is, which carries no references; none: some process says it again */
    uint32_t start; /* SEALED: granule */
    uint32_t meta_size;
    uint16_t tenant; /* LEASED: whose */
    uint8_t use;
    uint8_t file_at; /* SPILLED: which of the two says where it is */
    uint8_t zero[4];
    struct tri_file_place files[2];
};

struct tri_register {
    struct tri_register_head *head;
    struct tri_tenant_record *tenants;
    uint8_t *backed;  /* [extent] */
    uint16_t *owners; /* [granule]: the tenant that has it on lease, plus 1; 0: free or sealed */
    struct tri_slot_record *records;
};

/* How large a part is, a multiple of a granule: as root, broker and processes map it. */
uint64_t tri_part_bytes(enum tri_arena_part part, uint32_t granules, uint32_t slots);
void tri_register_at(struct tri_register *made, void *memory, uint32_t granules);

/* Where the copy of this slot's object lies from now on. Only who writes the files calls it, whichever thread that is. */
void tri_record_file(struct tri_slot_record *record, const struct tri_file_place *place);
/* The name of a slot's object among what is spilled, and back: each generation has its own. */
static inline struct tri_id
tri_spilled_id(uint32_t slot, uint32_t generation)
{
    return (struct tri_id){1, (uint64_t)generation << 32 | slot};
}
static inline uint32_t
tri_spilled_slot(struct tri_id id)
{
    return (uint32_t)id.number;
}
static inline uint32_t
tri_spilled_generation(struct tri_id id)
{
    return (uint32_t)(id.number >> 32);
}

#endif
