/* test_pins.c - tables of pins: what they pin, and that nonsense in one pins nothing. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "store/pins.h"

enum { SLOTS = 130 };

struct stage {
    tri_slot_word words[SLOTS];
    struct tri_pin_table *table;
    struct tri_pinner pinner;
    uint64_t bits[SLOTS / 64 + 1];
};

static struct stage *
staged(void)
{
    struct stage *stage = calloc(1, sizeof *stage);
    cr_assert_not_null(stage);
    stage->table = calloc(1, TRI_PIN_TABLE_BYTES);
    cr_assert_not_null(stage->table);
    tri_pinner_init(&stage->pinner, stage->table);
    return stage;
}

static void
struck(struct stage *stage)
{
    tri_pinner_fini(&stage->pinner);
    free(stage->table);
    free(stage);
}

static bool
is_pinned(struct stage *stage, uint32_t slot)
{
    for (size_t i = 0; i < sizeof stage->bits / sizeof *stage->bits; i++)
        stage->bits[i] = 0;
    tri_pins_collect(stage->table, stage->words, SLOTS, stage->bits);
    return stage->bits[slot / 64] >> slot % 64 & 1;
}

Test(pins, only_a_resident_object_of_the_same_generation_is_pinned)
{
    struct stage *stage = staged();
    uint32_t entry = 77, start = 78;
    cr_expect_eq(tri_pin(&stage->pinner, stage->words, 129, 0, &entry, &start), TRI_PIN_GONE, "nothing was there yet");
    tri_slot_show(&stage->words[129], 5, 0x3fffffff);
    cr_expect_eq(tri_pin(&stage->pinner, stage->words, 129, 4, &entry, &start), TRI_PIN_GONE,
                 "another object had the slot");
    cr_expect(entry == 77 && start == 78, "outputs are written on success only");
    cr_expect_not(is_pinned(stage, 129), "an attempt leaves nothing");
    cr_expect_eq(tri_pin(&stage->pinner, stage->words, 129, 5, &entry, &start), TRI_PINNED);
    cr_expect(is_pinned(stage, 129));
    cr_expect_eq(start, 0x3fffffff);
    tri_slot_mark(&stage->words[129]);
    cr_expect_eq(tri_slot_start(&stage->words[129]), 0x3fffffff);
    cr_expect_eq(tri_slot_state(&stage->words[129]), TRI_SLOT_LEAVING);
    cr_expect_eq(tri_slot_generation(&stage->words[129]), 5);
    uint32_t second;
    cr_expect_eq(tri_pin(&stage->pinner, stage->words, 129, 5, &second, &start), TRI_PIN_GONE, "it is leaving");
    cr_expect(is_pinned(stage, 129), "the first pin stands, and the broker sees it");
    tri_unpin(&stage->pinner, entry);
    cr_expect_not(is_pinned(stage, 129));
    tri_slot_clear(&stage->words[129]);
    cr_expect_eq(tri_pin(&stage->pinner, stage->words, 129, 5, &second, &start), TRI_PIN_GONE);
    tri_slot_show(&stage->words[129], 5, 7);
    cr_expect_eq(tri_pin(&stage->pinner, stage->words, 129, 5, &second, &start), TRI_PINNED);
    cr_expect_eq(start, 7, "it came back at another place");
    struck(stage);
}

Test(pins, what_is_being_made_is_pinned_before_its_word_says_anything)
{
    struct stage *stage = staged();
    uint32_t entry;
    tri_slot_show(&stage->words[7], 2, 1);
    tri_slot_clear(&stage->words[7]);
    cr_assert(tri_pin_new(&stage->pinner, 7, 2, &entry));
    cr_expect(is_pinned(stage, 7), "the broker sees it once it is sealed");
    tri_unpin(&stage->pinner, entry);
    cr_expect_not(is_pinned(stage, 7));
    struck(stage);
}

Test(pins, entries_are_used_again_and_a_full_table_says_so)
{
    struct stage *stage = staged();
    uint32_t *entries = calloc(TRI_PINS_HELD, sizeof *entries), one, start;
    cr_assert_not_null(entries);
    tri_slot_show(&stage->words[3], 1, 0);
    for (uint32_t i = 0; i < TRI_PINS_HELD; i++)
        cr_assert_eq(tri_pin(&stage->pinner, stage->words, 3, 1, &entries[i], &start), TRI_PINNED);
    cr_expect_eq(tri_pin(&stage->pinner, stage->words, 3, 1, &one, &start), TRI_PIN_FULL);
    tri_slot_show(&stage->words[4], 9, 5);
    cr_expect_eq(tri_pin_to_copy(&stage->pinner, stage->words, 4, 8, &start), TRI_PIN_GONE);
    cr_expect_eq(tri_pin_to_copy(&stage->pinner, stage->words, 4, 9, &start), TRI_PINNED);
    cr_expect(start == 5 && is_pinned(stage, 4), "for as long as it is copied");
    tri_pin_copied(&stage->pinner);
    cr_expect_not(is_pinned(stage, 4));
    cr_expect_eq(tri_pin(&stage->pinner, stage->words, 3, 1, &one, &start), TRI_PIN_FULL, "that one is not to be had");
    for (uint32_t i = 1; i < TRI_PINS_HELD; i++)
        tri_unpin(&stage->pinner, entries[i]);
    cr_expect(is_pinned(stage, 3), "one is left");
    cr_expect_eq(tri_pin(&stage->pinner, stage->words, 3, 1, &one, &start), TRI_PINNED);
    tri_unpin(&stage->pinner, one);
    tri_unpin(&stage->pinner, entries[0]);
    cr_expect_not(is_pinned(stage, 3));
    free(entries);
    struck(stage);
}

Test(pins, a_table_of_nonsense_pins_nothing_and_is_read_within_its_bounds)
{
    struct stage *stage = staged();
    tri_slot_show(&stage->words[0], 0, 0);
    stage->table->used = UINT32_MAX;
    stage->table->entries[0] = UINT64_MAX;
    stage->table->entries[1] = (uint64_t)(SLOTS + 1) << 32;
    stage->table->entries[2] = 1; /* a generation of no slot */
    stage->table->entries[3] = UINT64_C(1) << 32 | 9;
    uint64_t bits[SLOTS / 64 + 1] = {0};
    cr_expect_eq(tri_pins_collect(stage->table, stage->words, SLOTS, bits), TRI_PINS_MAX);
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        cr_expect_eq(bits[i], 0);
    struck(stage);
}
