/*
 * stress_pins.c - threads that stand for processes pin objects and read them, while one that stands for the broker gives them up,
 * writes others into their place and shows those. What a pin protects is plain memory: ThreadSanitizer sees each read that a
 * pin does not keep apart from a write, and the readers see each object that is not the one they pinned.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/pins.h"

enum { READERS = 4, SLOTS = 16, WORDS = 64, READS = 30000, HELD = 3 };

static tri_slot_word words[SLOTS];
enum { PLACES = 2 * SLOTS };             /* an object may be at either of its slot's two */
static uint32_t contents[PLACES][WORDS]; /* all of them the generation */
static struct tri_pin_table *tables[READERS];
static _Atomic unsigned readers_left = READERS, failures;
static _Atomic uint64_t pinned_reads;

static void
check(bool holds, const char *what)
{
    if (!holds && atomic_fetch_add(&failures, 1) < 10)
        (void)fprintf(stderr, "stress_pins: %s\n", what);
}

static void
read_object(uint32_t start, uint32_t generation)
{
    for (int i = 0; i < WORDS; i++)
        check(contents[start][i] == generation, "a pinned object is another one");
}

static void *
reader(void *argument)
{
    const size_t number = (size_t)argument;
    uint64_t random = number + 1;
    struct tri_pinner pinner;
    struct {
        uint32_t start, generation, entry;
        bool held;
    } held[HELD] = {{0}};
    tri_pinner_init(&pinner, tables[number]);
    for (uint64_t reads = 0; reads < READS;) {
        const uint32_t slot = (uint32_t)(tri_random_next(&random) % SLOTS),
                       i = (uint32_t)(tri_random_next(&random) % HELD);
        if (held[i].held) {
            read_object(held[i].start, held[i].generation);
            tri_unpin(&pinner, held[i].entry);
            held[i].held = false;
        }
        const uint32_t generation = tri_slot_generation(&words[slot]);
        const enum tri_pinned pinned = tri_pin(&pinner, words, slot, generation, &held[i].entry, &held[i].start);
        check(pinned != TRI_PIN_FULL, "a table of 65,536 is full");
        if (pinned != TRI_PINNED)
            continue;
        held[i].generation = generation;
        held[i].held = true;
        read_object(held[i].start, generation);
        reads++;
    }
    for (uint32_t i = 0; i < HELD; i++)
        if (held[i].held)
            tri_unpin(&pinner, held[i].entry);
    tri_pinner_fini(&pinner);
    atomic_fetch_add(&pinned_reads, READS);
    atomic_fetch_sub(&readers_left, 1);
    return NULL;
}

/* Gives up some of the slots and shows other objects there; how many it could. */
static unsigned
replace(uint64_t *random)
{
    uint64_t chosen = tri_random_next(random) & tri_random_next(random) & ((UINT64_C(1) << SLOTS) - 1), pinned = 0;
    unsigned replaced = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (chosen >> slot & 1)
            tri_slot_mark(&words[slot]);
    for (size_t i = 0; i < READERS; i++)
        (void)tri_pins_collect(tables[i], words, SLOTS, &pinned);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (!(chosen >> slot & 1))
            continue;
        uint32_t generation = tri_slot_generation(&words[slot]), start = tri_slot_start(&words[slot]);
        if (!(pinned >> slot & 1)) {
            tri_slot_clear(&words[slot]);
            generation += (uint32_t)(tri_random_next(random) & 1); /* another object, or the same one comes back */
            start = 2 * slot + (uint32_t)(tri_random_next(random) & 1);
            for (int i = 0; i < WORDS; i++) {
                contents[2 * slot][i] = contents[2 * slot + 1][i] = UINT32_MAX;
                contents[start][i] = generation;
            }
            replaced++;
        }
        tri_slot_show(&words[slot], generation, start);
    }
    return replaced;
}

int
main(void)
{
    pthread_t threads[READERS];
    uint64_t random = 99, replaced = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        tri_slot_show(&words[slot], 0, 2 * slot);
    for (size_t i = 0; i < READERS; i++)
        if ((tables[i] = calloc(1, TRI_PIN_TABLE_BYTES)) == NULL ||
            pthread_create(&threads[i], NULL, reader, (void *)i) != 0)
            return 2;
    while (atomic_load(&readers_left) > 0)
        replaced += replace(&random);
    for (size_t i = 0; i < READERS; i++) {
        (void)pthread_join(threads[i], NULL);
        free(tables[i]);
    }
    check(replaced > READS / 100, "hardly anything was ever replaced");
    (void)printf("%llu pinned reads, %llu objects replaced, %u failures\n",
                 (unsigned long long)atomic_load(&pinned_reads), (unsigned long long)replaced, atomic_load(&failures));
    return atomic_load(&failures) == 0 ? 0 : 1;
}
