/* Spilling to a place that fails, tears and is full: what was there stays, what was not written whole is not there. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/spill/files.h"
#include "tests/store/spill_data.h"
#include "tests/store/spill_memory.h"

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)

enum { NAMES = 64, MOST = 96 * 1024 };

/* What should be spilled: the seed of each object's bytes, 0 for none; and what is. */
struct world {
    struct memory memory;
    struct tri_spill *spill;
    uint64_t seeds[NAMES];
    size_t sizes[NAMES];
    uint64_t random;
    uint64_t appended, refused, lost;
};

static void
begin(struct world *world, uint64_t seed, uint64_t max_bytes)
{
    const struct tri_spill_options options = {.max_bytes = max_bytes, .file_bytes = 256 * KIB, .sync = seed % 2 == 0};
    memory_init(&world->memory);
    world->random = seed;
    cr_assert_eq(tri_spill_create(&world->memory.backend, &options, &world->spill, NULL), TRP_OK);
}

static void
end(struct world *world)
{
    struct tri_spill_backend *backend = &world->memory.backend;
    tri_spill_destroy(&world->spill);
    cr_assert_eq(world->memory.handles, 0);
    tri_spill_backend_destroy(&backend);
}

static uint64_t
draw(struct world *world, uint64_t below)
{
    return tri_random_next(&world->random) % below;
}

static struct tri_id
name(size_t i)
{
    return (struct tri_id){5, i};
}

static void
fill(uint8_t *bytes, size_t size, uint64_t seed)
{
    (seed % 2 == 0 ? fill_noise : fill_text)(bytes, size, seed);
}

/* Is it there, and as it was? `torn`: or lost. */
static void
expect_object(struct world *world, size_t i, bool torn)
{
    static uint8_t back[MOST + 1], bytes[MOST];
    trp_error error = {0};
    back[world->sizes[i]] = 0x5a;
    const trp_err err = tri_spill_read(world->spill, name(i), back, world->sizes[i], &error);
    cr_assert_eq(back[world->sizes[i]], 0x5a);
    if (err == TRP_EOBJLOST && torn) {
        world->lost++;
        return;
    }
    cr_assert_eq(err, TRP_OK, "object %zu: %s", i, error.message);
    fill(bytes, world->sizes[i], world->seeds[i]);
    cr_assert(memcmp(back, bytes, world->sizes[i]) == 0, "object %zu has other bytes", i);
}

static void
expect_all(struct world *world, bool torn)
{
    uint64_t count = 0;
    const char *wrong = tri_spill_check(world->spill);
    cr_assert(wrong == NULL, "%s", wrong);
    cr_assert_geq(tri_spill_stat(world->spill).file_bytes, memory_bytes(&world->memory), "the budget knows all files");
    for (size_t i = 0; i < NAMES; i++) {
        cr_assert_eq(tri_spill_find(world->spill, name(i), NULL), world->seeds[i] != 0, "object %zu", i);
        if (world->seeds[i] != 0) {
            expect_object(world, i, torn);
            count++;
        }
    }
    cr_assert_eq(tri_spill_stat(world->spill).objects, count);
}

/* ---------------------------------------------------------------------------------------------------------- the mix */

static trp_err
append_some(struct world *world)
{
    enum { BATCH = 8 };
    struct tri_spill_item items[BATCH];
    uint64_t seeds[BATCH];
    size_t count = 0;
    trp_error error = {0};
    for (uint64_t tries = 1 + draw(world, BATCH); tries > 0; tries--) {
        const size_t i = draw(world, NAMES), size = draw(world, MOST);
        bool taken = world->seeds[i] != 0;
        for (size_t k = 0; k < count; k++)
            taken |= items[k].id.number == i;
        if (taken)
            continue;
        uint8_t *bytes = malloc(size + 1);
        seeds[count] = draw(world, UINT64_MAX - 1) + 1;
        fill(bytes, size, seeds[count]);
        items[count++] = (struct tri_spill_item){name(i), bytes, size};
    }
    const trp_err err = tri_spill_append(world->spill, items, count, &error);
    for (size_t k = 0; k < count; k++) {
        if (err == TRP_OK) {
            world->seeds[items[k].id.number] = seeds[k];
            world->sizes[items[k].id.number] = items[k].size;
        }
        free((void *)(uintptr_t)items[k].data);
    }
    cr_assert_eq(error.code, err, "each error is a sentence");
    *(err == TRP_OK ? &world->appended : &world->refused) += 1;
    return err;
}

static void
drop_some(struct world *world)
{
    const size_t i = draw(world, NAMES);
    cr_assert_eq(tri_spill_drop(world->spill, name(i)), world->seeds[i] != 0 ? TRP_OK : TRP_ENOENT);
    world->seeds[i] = 0;
}

/* The next process: claims what it knows of, in any order. */
static void
restart(struct world *world)
{
    struct tri_spill_place places[NAMES];
    const uint64_t max_bytes = tri_spill_stat(world->spill).max_bytes;
    const struct tri_spill_options options = {.max_bytes = max_bytes, .file_bytes = 256 * KIB};
    uint64_t removed, foreign;
    for (size_t i = 0; i < NAMES; i++)
        (void)tri_spill_find(world->spill, name(i), &places[i]);
    tri_spill_destroy(&world->spill);
    cr_assert_eq(tri_spill_create(&world->memory.backend, &options, &world->spill, NULL), TRP_OK);
    for (size_t i = 0; i < NAMES; i++)
        if (world->seeds[i] != 0)
            cr_assert_eq(tri_spill_claim(world->spill, name(i), &places[i], NULL), TRP_OK);
    cr_assert_eq(tri_spill_sweep(world->spill, &removed, &foreign, NULL), TRP_OK);
}

static void
step(struct world *world)
{
    bool did;
    switch (draw(world, 8)) {
    case 0:
    case 1:
        (void)append_some(world);
        break;
    case 2:
        (void)tri_spill_compact(world->spill, &did, NULL);
        break;
    case 3:
        if (world->memory.fail_count == 0 && draw(world, 8) == 0)
            restart(world);
        break;
    default:
        drop_some(world);
    }
}

Test(spill_faults, a_mix_of_everything_is_what_a_table_would_be)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world *world = calloc(1, sizeof *world);
        begin(world, seed, seed % 3 == 0 ? 4 * MIB : 64 * MIB);
        for (int i = 0; i < 1500; i++) {
            step(world);
            if (i % 50 == 0)
                expect_all(world, false);
        }
        expect_all(world, false);
        cr_expect_gt(world->appended, 100);
        cr_expect_gt(tri_spill_stat(world->spill).compacted, 0);
        end(world);
        free(world);
    }
}

Test(spill_faults, an_operation_that_fails_harms_nothing_but_what_asked_for_it)
{
    const int errnums[] = {ENOSPC, EIO, EMFILE, ENOMEM, EACCES, EDQUOT};
    uint64_t refused = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world *world = calloc(1, sizeof *world);
        begin(world, seed, 16 * MIB);
        for (int i = 0; i < 150; i++) {
            world->memory.fail_from = world->memory.operations + 1 + draw(world, 12);
            world->memory.fail_count = draw(world, 3) == 0 ? 1 + draw(world, 5) : 1;
            world->memory.errnum = errnums[draw(world, 6)];
            step(world);
            world->memory.fail_count = 0;
            if (i % 10 == 0)
                expect_all(world, false);
        }
        expect_all(world, false);
        uint64_t removed, foreign;
        cr_expect_eq(tri_spill_sweep(world->spill, &removed, &foreign, NULL), TRP_OK);
        refused += world->refused;
        cr_expect_gt(world->appended, 3);
        end(world);
        free(world);
    }
    cr_expect_gt(refused, 100);
}

Test(spill_faults, each_errno_of_a_write_is_a_code_and_a_sentence)
{
    const struct {
        int errnum;
        trp_err err;
        const char *word;
    } rows[] = {
        {ENOSPC, TRP_EDISKFULL, "are free"}, {EDQUOT, TRP_EDISKFULL, "are free"},
        {EFBIG, TRP_EDISKFULL, "are free"},  {ENOMEM, TRP_ENOMEM, "memory"},
        {EMFILE, TRP_ELIMIT, "open files"},  {EACCES, TRP_EACCES, "denied"},
        {EROFS, TRP_EACCES, "Read-only"},    {EIO, TRP_EUNAVAILABLE, "Input/output"},
    };
    uint8_t bytes[5000] = {0};
    const struct tri_spill_item item = {name(1), bytes, sizeof bytes};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world world = {0};
        trp_error error = {0};
        begin(&world, 1, MIB);
        world.memory.fail_from = 3; /* list, open, write */
        world.memory.fail_count = 1;
        world.memory.errnum = rows[i].errnum;
        cr_expect_eq(tri_spill_append(world.spill, &item, 1, &error), rows[i].err, "%d", rows[i].errnum);
        cr_expect(strstr(error.message, rows[i].word) != NULL, "%s", error.message);
        expect_all(&world, false);
        cr_expect_eq(memory_bytes(&world.memory), 0);
        end(&world);
    }
}

Test(spill_faults, an_object_that_cannot_be_read_just_now_is_not_called_lost)
{
    const struct {
        uint64_t operation; /* that fails: 1 opens the file, 2 reads */
        int errnum;
        trp_err err;
        const char *word;
    } rows[] = {
        {1, EMFILE, TRP_ELIMIT, "open files"},  {1, ENFILE, TRP_ELIMIT, "open files"},
        {1, ENOMEM, TRP_ENOMEM, "memory"},      {2, ENOMEM, TRP_ENOMEM, "memory"},
        {1, ENOENT, TRP_EOBJLOST, "No such"},   {1, EPERM, TRP_EOBJLOST, "not permitted"},
        {1, EIO, TRP_EOBJLOST, "Input/output"}, {2, EIO, TRP_EOBJLOST, "Input/output"},
    };
    static uint8_t bytes[5000];
    const struct tri_spill_options options = {.max_bytes = MIB};
    const struct tri_spill_item item = {name(1), bytes, sizeof bytes};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world world = {0};
        struct tri_spill_place place;
        trp_error error = {0};
        begin(&world, 1, MIB);
        cr_assert_eq(tri_spill_append(world.spill, &item, 1, NULL), TRP_OK);
        cr_assert(tri_spill_find(world.spill, name(1), &place));
        tri_spill_destroy(&world.spill);
        cr_assert_eq(tri_spill_create(&world.memory.backend, &options, &world.spill, NULL), TRP_OK);
        world.memory.fail_from = world.memory.operations + rows[i].operation;
        world.memory.fail_count = 1;
        world.memory.errnum = rows[i].errnum;
        cr_expect_eq(tri_spill_claim(world.spill, name(1), &place, &error), rows[i].err, "row %zu", i);
        cr_expect(strstr(error.message, rows[i].word) != NULL, "%s", error.message);
        world.memory.fail_count = 0;
        cr_expect_eq(tri_spill_claim(world.spill, name(1), &place, NULL), TRP_OK);
        end(&world);
    }
}

Test(spill_faults, a_slow_place_is_waited_for_seldom)
{
    struct world world = {0};
    static uint8_t bytes[MOST], back[MOST];
    struct tri_spill_item items[10];
    begin(&world, 1, 16 * MIB);
    world.memory.delay_ns = TRI_NS_PER_MS;
    for (size_t i = 0; i < 10; i++)
        items[i] = (struct tri_spill_item){name(i), bytes, 10000};
    cr_assert_eq(tri_spill_append(world.spill, items, 10, NULL), TRP_OK);
    cr_expect_eq(world.memory.waited_ns, 2 * TRI_NS_PER_MS, "a file is made, and written once");
    cr_assert_eq(tri_spill_read(world.spill, name(4), back, 10000, NULL), TRP_OK);
    cr_expect_eq(world.memory.waited_ns, 5 * TRI_NS_PER_MS, "two headers, and what is behind them");
    cr_assert_eq(tri_spill_drop(world.spill, name(4)), TRP_OK);
    cr_expect_eq(world.memory.waited_ns, 5 * TRI_NS_PER_MS);
    end(&world);
}

Test(spill_faults, a_full_disk_refuses_the_batch_and_keeps_all_else)
{
    struct world *world = calloc(1, sizeof *world);
    begin(world, 3, 64 * MIB);
    world->memory.capacity = 1 * MIB;
    for (int i = 0; i < 30; i++) {
        const uint64_t before = memory_bytes(&world->memory);
        const trp_err err = append_some(world);
        cr_assert(err == TRP_OK || err == TRP_EDISKFULL);
        if (err != TRP_OK)
            cr_expect_eq(memory_bytes(&world->memory), before, "what was written of it is cut off");
        expect_all(world, false);
    }
    cr_expect_gt(world->refused, 3);
    while (append_some(world) != TRP_OK)
        drop_some(world);
    expect_all(world, false);
    end(world);
    free(world);
}

/* --------------------------------------------------------------------------------------------------------- torn writes */

Test(spill_faults, a_write_torn_at_any_byte_loses_what_it_was_of_and_never_gives_garbage)
{
    const size_t size = 700;
    uint64_t most = UINT64_MAX;
    for (uint64_t torn = 0; torn <= most; torn++) {
        struct world world = {0};
        uint8_t bytes[4][700];
        begin(&world, 1, MIB);
        struct tri_spill_item items[4];
        for (size_t i = 0; i < 4; i++) {
            world.seeds[i] = i + 2;
            world.sizes[i] = size;
            fill(bytes[i], size, world.seeds[i]);
            items[i] = (struct tri_spill_item){name(i), bytes[i], size};
        }
        world.memory.tear_at = 2;
        world.memory.tear_size = torn;
        cr_assert_eq(tri_spill_append(world.spill, items, 1, NULL), TRP_OK);
        cr_assert_eq(tri_spill_append(world.spill, items + 1, 2, NULL), TRP_OK);
        cr_assert_eq(tri_spill_append(world.spill, items + 3, 1, NULL), TRP_OK);
        struct tri_spill_place first, second, third;
        cr_assert(tri_spill_find(world.spill, name(1), &first) && tri_spill_find(world.spill, name(2), &second) &&
                  tri_spill_find(world.spill, name(3), &third));
        most = third.offset - first.offset;
        expect_object(&world, 0, false);
        expect_object(&world, 3, false);
        expect_object(&world, 1, torn < first.stored_size);
        expect_object(&world, 2, torn < most);
        cr_assert_eq(world.lost, (torn < first.stored_size) + (torn < most), "torn at %d", (int)torn);
        end(&world);
    }
}

Test(spill_faults, a_mix_with_torn_writes_never_gives_garbage)
{
    uint64_t lost = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *world = calloc(1, sizeof *world);
        begin(world, 2 * seed, 64 * MIB);
        for (int i = 0; i < 200; i++) {
            bool did;
            if (i % 10 == 0) {
                world->memory.tear_at = world->memory.writes + 1;
                world->memory.tear_size = draw(world, MOST);
            }
            if (draw(world, 3) == 0)
                (void)append_some(world);
            else
                drop_some(world);
            if (i % 7 == 0)
                (void)tri_spill_compact(world->spill, &did, NULL);
        }
        expect_all(world, true);
        lost += world->lost;
        end(world);
        free(world);
    }
    cr_expect_gt(lost, 0);
}

Test(spill_faults, a_file_that_compacting_cannot_read_stays_until_its_objects_have_died)
{
    enum { SIZE = 60 * 1024, COUNT = 6 };
    struct world *world = calloc(1, sizeof *world);
    uint8_t *bytes = calloc(1, SIZE);
    trp_error error = {0};
    bool did = false;
    begin(world, 1, 16 * MIB);
    for (size_t i = 0; i < COUNT; i++) {
        const struct tri_spill_item item = {name(i), bytes, SIZE};
        fill(bytes, SIZE, 2);
        cr_assert_eq(tri_spill_append(world->spill, &item, 1, NULL), TRP_OK);
    }
    cr_assert_eq(tri_spill_stat(world->spill).files, 2);
    memory_find(&world->memory, 0)->size = 100;
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(tri_spill_drop(world->spill, name(i)), TRP_OK);
    cr_expect_eq(tri_spill_compact(world->spill, &did, &error), TRP_EOBJLOST);
    cr_expect(did && strstr(error.message, "too early") != NULL, "%s", error.message);
    cr_expect_eq(tri_spill_compact(world->spill, &did, &error), TRP_OK);
    cr_expect_not(did, "it is not tried again");
    cr_expect_eq(tri_spill_read(world->spill, name(3), bytes, SIZE, &error), TRP_EOBJLOST);
    cr_expect_eq(tri_spill_read(world->spill, name(5), bytes, SIZE, &error), TRP_OK);
    for (size_t i = 3; i < 5; i++)
        cr_expect_eq(tri_spill_drop(world->spill, name(i)), TRP_OK);
    cr_expect_null(memory_find(&world->memory, 0));
    cr_assert_eq(tri_spill_check(world->spill), NULL);
    end(world);
    free(world);
    free(bytes);
}
