/*
 * pins.h - how a process reads an object in place, and the broker knows not to take it away, without a message between them.
 *
 * Each object that can be in the arena has a slot, and each slot a word: its state and generation, which only brokers write and
 * all processes map read-only; while the object is resident it says where it lies, too: it may come back at another place. Each process has a table of pins that only it writes and brokers map read-only. A pin is the
 * slot and generation of an object in an entry of the table:
 *
 *   process: write the entry; read the word: still resident in that generation? then it stays. Else clear the entry, ask.
 *   broker:  mark the word as leaving; read all tables: is it in any? then make it resident again. Else it is free to go.
 *
 * Either side writes first and reads then, all of it sequentially consistent, so that at least one of them sees the other
 * (Dekker's rule). A process that dies leaves nothing to be undone: its table is dropped.
 *
 * Tables come from other processes: whatever stands in them, nothing is read outside of them, and a pin of nonsense pins nothing.
 */
#ifndef TRI_PINS_H
#define TRI_PINS_H

#include "transport/base/base.h"

typedef _Atomic uint64_t tri_slot_word; /* from the low end: generation 32 bits, first granule 30, state 2 */

enum tri_slot_state {
    TRI_SLOT_ABSENT, /* of nobody, or not in the arena now */
    TRI_SLOT_RESIDENT,
    TRI_SLOT_LEAVING /* being given up: who does not have it pinned already asks the broker */
};

/* A table, in memory that its process and the brokers map. */
struct tri_pin_table {
    _Atomic uint32_t used; /* entries from here on were never written */
    uint32_t reserved;
    _Atomic uint64_t entries[]; /* slot + 1 in the high half, generation in the low one; 0: free */
};
#define TRI_PINS_MAX        8191u              /* with its head, 64 KiB */
#define TRI_PINS_HELD       (TRI_PINS_MAX - 1) /* the last entry is for who only copies */
#define TRI_PIN_TABLE_BYTES (sizeof(struct tri_pin_table) + TRI_PINS_MAX * sizeof(uint64_t))

/* ---------------------------------------------------------------------------------------------------------- processes */

/* What a process keeps of its own table. One thread at a time. */
struct tri_pinner {
    struct tri_pin_table *table; /* of TRI_PIN_TABLE_BYTES, all zero at first */
    uint32_t used;               /* entries from here on were never written */
    uint32_t *unused;            /* entries to be used again */
    size_t unused_count, unused_capacity;
};
void tri_pinner_init(struct tri_pinner *pinner, struct tri_pin_table *table);
void tri_pinner_fini(struct tri_pinner *pinner);

enum tri_pinned {
    TRI_PINNED,   /* *entry is to be given to tri_unpin; the object lies at granule *start until then */
    TRI_PIN_GONE, /* not resident in this generation: ask the broker */
    TRI_PIN_FULL  /* the table has no entry, or the process no memory, left */
};
enum tri_pinned tri_pin(struct tri_pinner *pinner, tri_slot_word *words, uint32_t slot, uint32_t generation,
                        uint32_t *entry, uint32_t *start);
/* The first pin of an object that this process is making: nobody else knows of the slot yet, and its word is not looked at. false: the
 * table is full. */
bool tri_pin_new(struct tri_pinner *pinner, uint32_t slot, uint32_t generation, uint32_t *entry);
void tri_unpin(struct tri_pinner *pinner, uint32_t entry);
/* Where the table is full: one object at a time, until tri_pin_copied, to be copied meanwhile. TRI_PINNED or TRI_PIN_GONE. */
enum tri_pinned tri_pin_to_copy(struct tri_pinner *pinner, tri_slot_word *words, uint32_t slot, uint32_t generation,
                                uint32_t *start);
void tri_pin_copied(struct tri_pinner *pinner);

/* ------------------------------------------------------------------------------------------------------------- brokers */

/* The slot gets another object: its next generation, which is not there yet. */
void tri_slot_renew(tri_slot_word *word);
/* The slot has the object of this generation, in the arena from this granule on. */
void tri_slot_show(tri_slot_word *word, uint32_t generation, uint32_t start);
/* First step of giving it up. The second is tri_pins_collect over all tables; the third show or clear. */
void tri_slot_mark(tri_slot_word *word);
/* It is not in the arena any more; the generation stays. */
void tri_slot_clear(tri_slot_word *word);
enum tri_slot_state tri_slot_state(tri_slot_word *word);
uint32_t tri_slot_generation(tri_slot_word *word);
uint32_t tri_slot_start(tri_slot_word *word); /* of one that is not absent */

/* Sets the bit of each of `slots` slots that is pinned in this table in the generation that its word has. Returns how many pins
 * were looked at. */
uint32_t tri_pins_collect(struct tri_pin_table *table, tri_slot_word *words, uint32_t slots, uint64_t *bits);

#endif
