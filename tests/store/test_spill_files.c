/* test_spill_files.c - spilled objects in files: batches, gaps, the budget, and what the next process finds. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/spill/files.h"
#include "tests/store/spill_data.h"
#include "tests/store/spill_memory.h"

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)

static struct memory memory;

static struct tri_spill *
created(uint64_t max_bytes, uint64_t file_bytes)
{
    struct tri_spill *spill = NULL;
    trp_error error = {0};
    const struct tri_spill_options options = {.max_bytes = max_bytes, .file_bytes = file_bytes};
    if (memory.backend.ops == NULL)
        memory_init(&memory);
    cr_assert_eq(tri_spill_create(&memory.backend, &options, &spill, &error), TRP_OK, "%s", error.message);
    return spill;
}

static void
ended(struct tri_spill **spill)
{
    struct tri_spill_backend *backend = &memory.backend;
    tri_spill_destroy(spill);
    cr_expect_eq(memory.handles, 0, "all files are closed");
    tri_spill_backend_destroy(&backend);
}

static void
well(const struct tri_spill *spill)
{
    const char *wrong = tri_spill_check(spill);
    cr_assert(wrong == NULL, "%s", wrong);
    cr_assert_geq(tri_spill_stat(spill).file_bytes, memory_bytes(&memory));
}

static struct tri_id
name(uint64_t number)
{
    return (struct tri_id){3, number};
}

/* Every third object is noise. */
static uint8_t *
content(uint64_t number, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    cr_assert_not_null(bytes);
    (number % 3 == 0 ? fill_noise : fill_text)(bytes, size, number);
    return bytes;
}

static trp_err
append(struct tri_spill *spill, uint64_t number, size_t size, trp_error *error)
{
    uint8_t *bytes = content(number, size);
    const struct tri_spill_item item = {name(number), bytes, size};
    const trp_err err = tri_spill_append(spill, &item, 1, error);
    free(bytes);
    return err;
}

static void
appended(struct tri_spill *spill, uint64_t number, size_t size)
{
    trp_error error = {0};
    cr_assert_eq(append(spill, number, size, &error), TRP_OK, "%s", error.message);
}

static void
expect_object(struct tri_spill *spill, uint64_t number, size_t size)
{
    trp_error error = {0};
    uint8_t *bytes = content(number, size), *back = malloc(size + 1);
    back[size] = 0x5a;
    cr_assert_eq(tri_spill_read(spill, name(number), back, size, &error), TRP_OK, "%s", error.message);
    cr_assert(memcmp(bytes, back, size) == 0, "object %d is another one", (int)number);
    cr_assert_eq(back[size], 0x5a);
    free(bytes);
    free(back);
}

/* It is refused as lost; with this word in the sentence, which names the file, too. */
static void
expect_lost(struct tri_spill *spill, uint64_t number, size_t size, const char *word)
{
    trp_error error = {0};
    uint8_t *back = malloc(size + 1);
    back[size] = 0x5a;
    cr_expect_eq(tri_spill_read(spill, name(number), back, size, &error), TRP_EOBJLOST, "'%s'", error.message);
    cr_expect(strstr(error.message, word) != NULL && strstr(error.message, "memory") != NULL, "'%s'", error.message);
    cr_expect_eq(back[size], 0x5a);
    free(back);
}

Test(spill_files, objects_come_back_with_the_same_bytes)
{
    const size_t sizes[] = {0, 1, 100 * KIB, TRI_SPILL_BLOCK, TRI_SPILL_BLOCK + 1, 9 * MIB};
    struct tri_spill *spill = created(256 * MIB, 0);
    for (size_t i = 0; i < 12; i++)
        appended(spill, i, sizes[i % 6]);
    well(spill);
    for (size_t i = 0; i < 12; i++)
        expect_object(spill, i, sizes[i % 6]);
    const struct tri_spill_stat stat = tri_spill_stat(spill);
    cr_expect_eq(stat.objects, 12);
    cr_expect_eq(stat.appended_raw, stat.restored_raw);
    cr_expect_lt(stat.file_bytes, stat.raw_bytes);
    ended(&spill);
}

Test(spill_files, a_batch_of_small_objects_is_written_at_once_and_read_in_its_order)
{
    enum { COUNT = 500 };
    struct tri_spill_item items[COUNT];
    struct tri_spill *spill = created(64 * MIB, 0);
    for (uint64_t i = 0; i < COUNT; i++)
        items[i] = (struct tri_spill_item){name(i), content(i, 10 * KIB + i), 10 * KIB + i};
    cr_assert_eq(tri_spill_append(spill, items, COUNT, NULL), TRP_OK);
    well(spill);
    cr_expect_leq(memory.writes, 20, "%d writes", (int)memory.writes);
    struct tri_id id = name(0);
    for (uint64_t i = 0; i < COUNT; i++) {
        cr_expect_eq(id.number, i);
        expect_object(spill, i, 10 * KIB + i);
        cr_expect_eq(tri_spill_next(spill, id, &id), i + 1 < COUNT);
        free((void *)(uintptr_t)items[i].data);
    }
    ended(&spill);
}

Test(spill_files, an_object_is_read_block_by_block_while_it_is_moved)
{
    struct tri_spill_reader reader;
    struct tri_spill *spill = created(256 * MIB, 16 * MIB);
    const size_t size = 2 * TRI_SPILL_BLOCK + 5;
    bool did = false;
    appended(spill, 0, 12 * MIB);
    appended(spill, 1, size);
    appended(spill, 3, 12 * MIB);
    uint8_t *bytes = content(1, size), *back = malloc(size);
    cr_assert_eq(tri_spill_read_begin(spill, name(1), &reader, NULL), TRP_OK);
    cr_expect(reader.blocks == 3 && reader.raw_size == size);
    cr_assert_eq(tri_spill_read_block(spill, &reader, back, NULL), TRP_OK);
    cr_expect_arr_eq(back, bytes, TRI_SPILL_BLOCK);
    cr_expect_eq(tri_spill_drop(spill, name(0)), TRP_OK);
    cr_expect_eq(tri_spill_drop(spill, name(3)), TRP_OK);
    cr_expect_eq(tri_spill_compact(spill, &did, NULL), TRP_OK);
    cr_expect(did);
    while (reader.index < reader.blocks)
        cr_assert_eq(tri_spill_read_block(spill, &reader, back, NULL), TRP_OK);
    cr_expect(memcmp(back, bytes, size) == 0);
    cr_assert_eq(tri_spill_read_begin(spill, name(1), &reader, NULL), TRP_OK);
    cr_expect_eq(tri_spill_drop(spill, name(1)), TRP_OK);
    cr_expect_eq(tri_spill_read_block(spill, &reader, back, NULL), TRP_ENOENT);
    appended(spill, 1, size + 1);
    cr_expect_eq(tri_spill_read_block(spill, &reader, back, NULL), TRP_ENOENT, "an object of another size");
    free(bytes);
    free(back);
    ended(&spill);
}

Test(spill_files, what_cannot_be_spilled_is_refused_before_anything_is_written)
{
    struct tri_spill *spill = created(8 * MIB, 1 * MIB);
    appended(spill, 1, 100 * KIB);
    uint8_t *bytes = calloc(1, 8 * MIB);
    const struct {
        const char *name;
        struct tri_spill_item items[2];
        size_t count;
        trp_err err;
        const char *word;
    } rows[] = {
        {"spilled already", {{name(1), bytes, 5}}, 1, TRP_EEXIST, "already"},
        {"twice", {{name(2), bytes, 5}, {name(2), bytes, 5}}, 2, TRP_EINVAL, "twice"},
        {"no id", {{{0, 0}, bytes, 5}}, 1, TRP_EINVAL, "without an id"},
        {"too large", {{name(2), bytes, TRI_SPILL_OBJECT_MAX + 1}}, 1, TRP_ELIMIT, "larger"},
        {"over the budget", {{name(2), bytes, 8 * MIB}}, 1, TRP_EDISKFULL, "8388608 (spill_max_bytes)"},
        {"over it together", {{name(2), bytes, 6 * MIB}, {name(3), bytes, 1 * MIB}}, 2, TRP_EDISKFULL, "7340352"},
    };
    const uint64_t operations = memory.operations;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trp_error error = {0};
        cr_expect_eq(tri_spill_append(spill, rows[i].items, rows[i].count, &error), rows[i].err, "%s", rows[i].name);
        cr_expect(strstr(error.message, rows[i].word) != NULL, "%s: '%s'", rows[i].name, error.message);
        well(spill);
    }
    cr_expect_eq(memory.operations, operations);
    cr_expect_eq(tri_spill_stat(spill).objects, 1);
    cr_expect_eq(tri_spill_read(spill, name(1), bytes, 5, NULL), TRP_EINVAL);
    cr_expect_eq(tri_spill_read(spill, name(2), bytes, 5, NULL), TRP_ENOENT);
    cr_expect_eq(tri_spill_drop(spill, name(2)), TRP_ENOENT);
    expect_object(spill, 1, 100 * KIB);
    free(bytes);
    ended(&spill);
}

Test(spill_files, a_file_goes_with_its_last_object_and_the_next_begins_when_one_is_full)
{
    struct tri_spill *spill = created(64 * MIB, 1 * MIB);
    for (uint64_t i = 0; i < 30; i++)
        appended(spill, 3 * i, 300 * KIB); /* noise: four to a file */
    well(spill);
    cr_expect_eq(tri_spill_stat(spill).files, 8);
    for (uint64_t i = 0; i < 4; i++)
        cr_expect_eq(tri_spill_drop(spill, name(3 * i)), TRP_OK);
    cr_expect_eq(tri_spill_stat(spill).files, 7);
    for (uint64_t i = 4; i < 30; i++)
        expect_object(spill, 3 * i, 300 * KIB);
    for (uint64_t i = 4; i < 30; i++)
        cr_expect_eq(tri_spill_drop(spill, name(3 * i)), TRP_OK);
    well(spill);
    cr_expect(tri_spill_stat(spill).files == 0 && memory_bytes(&memory) == 0);
    appended(spill, 1, 5);
    expect_object(spill, 1, 5);
    ended(&spill);
}

Test(spill_files, no_more_files_are_open_than_allowed)
{
    struct tri_spill *spill = created(64 * MIB, 64 * KIB);
    for (uint64_t i = 0; i < 60; i++)
        appended(spill, 3 * i, 100 * KIB);
    cr_expect_gt(tri_spill_stat(spill).files, 2 * TRI_SPILL_OPEN_MAX);
    for (uint64_t i = 0; i < 60; i++) {
        expect_object(spill, 3 * i, 100 * KIB);
        cr_expect_leq(memory.handles, TRI_SPILL_OPEN_MAX);
    }
    well(spill);
    ended(&spill);
}

struct moves {
    struct tri_spill *spill;
    uint64_t count;
};

static void
on_moved(void *user, struct tri_id id, const struct tri_spill_place *place)
{
    struct moves *moves = user;
    struct tri_spill_place now;
    cr_expect(tri_spill_find(moves->spill, id, &now) && memcmp(place, &now, sizeof now) == 0);
    moves->count++;
}

Test(spill_files, a_file_that_is_mostly_gaps_is_compacted_and_the_budget_holds_meanwhile)
{
    struct moves moves = {0};
    const struct tri_spill_options options = {
        .max_bytes = 8 * MIB, .file_bytes = 1 * MIB, .sync = true, .moved = on_moved, .user = &moves};
    uint64_t count = 0, files, left = 0;
    bool did = true;
    memory_init(&memory);
    cr_assert_eq(tri_spill_create(&memory.backend, &options, &moves.spill, NULL), TRP_OK);
    while (append(moves.spill, 3 * count, 100 * KIB, NULL) == TRP_OK)
        count++;
    cr_expect_gt(count, 50);
    files = tri_spill_stat(moves.spill).files;
    for (uint64_t i = 0; i < count; i++)
        if (i % 4 != 0)
            cr_expect_eq(tri_spill_drop(moves.spill, name(3 * i)), TRP_OK);
        else
            left++;
    cr_expect_eq(tri_spill_stat(moves.spill).files, files);
    while (did) {
        trp_error error = {0};
        cr_assert_eq(tri_spill_compact(moves.spill, &did, &error), TRP_OK, "%s", error.message);
        well(moves.spill);
        cr_expect_leq(memory_bytes(&memory), options.max_bytes);
    }
    cr_expect_geq(moves.count, left - 4);
    const struct tri_spill_stat stat = tri_spill_stat(moves.spill);
    cr_expect_geq(stat.live_bytes, stat.file_bytes / 2);
    for (uint64_t i = 0; i < count; i += 4)
        expect_object(moves.spill, 3 * i, 100 * KIB);
    ended(&moves.spill);
}

Test(spill_files, the_next_process_takes_over_what_it_claims_and_sweeps_the_rest)
{
    enum { COUNT = 40 };
    struct tri_spill_place places[COUNT];
    struct tri_spill *spill = created(64 * MIB, 1 * MIB);
    uint64_t removed = 0, foreign = 1;
    for (uint64_t i = 0; i < COUNT; i++) {
        appended(spill, 3 * i, 100 * KIB);
        cr_assert(tri_spill_find(spill, name(3 * i), &places[i]));
    }
    const uint64_t files = tri_spill_stat(spill).files;
    tri_spill_destroy(&spill);

    spill = created(64 * MIB, 1 * MIB);
    cr_expect_eq(tri_spill_stat(spill).files, files);
    for (uint64_t i = 0; i < COUNT; i += COUNT / 2)
        cr_expect_eq(tri_spill_claim(spill, name(3 * i), &places[i], NULL), TRP_OK);
    cr_expect_eq(tri_spill_claim(spill, name(0), &places[0], NULL), TRP_EEXIST);
    cr_expect_eq(tri_spill_sweep(spill, &removed, &foreign, NULL), TRP_OK);
    cr_expect_eq(removed, files - 2);
    cr_expect_eq(foreign, 0);
    well(spill);
    expect_object(spill, 0, 100 * KIB);
    expect_object(spill, 3 * COUNT / 2, 100 * KIB);
    appended(spill, 1000, 100 * KIB);
    expect_object(spill, 1000, 100 * KIB);
    cr_expect_eq(tri_spill_clear(spill, NULL), TRP_OK);
    cr_expect(tri_spill_stat(spill).files == 0 && memory_bytes(&memory) == 0);
    ended(&spill);
}

Test(spill_files, what_a_process_was_writing_when_it_died_is_gone)
{
    struct tri_spill *spill = created(64 * MIB, 4 * MIB);
    struct tri_spill_place first, second;
    uint64_t removed, foreign;
    appended(spill, 3, 100 * KIB);
    appended(spill, 6, 100 * KIB);
    cr_assert(tri_spill_find(spill, name(3), &first) && tri_spill_find(spill, name(6), &second));
    tri_spill_destroy(&spill);
    memory_find(&memory, first.file)->size -= 1; /* the second one, all but a byte of it */

    spill = created(64 * MIB, 4 * MIB);
    cr_expect_eq(tri_spill_claim(spill, name(6), &second, NULL), TRP_EOBJLOST);
    cr_expect_eq(tri_spill_claim(spill, name(3), &first, NULL), TRP_OK);
    cr_expect_eq(tri_spill_sweep(spill, &removed, &foreign, NULL), TRP_OK);
    cr_expect_eq(removed, 0);
    cr_expect_eq(memory_bytes(&memory), first.stored_size);
    well(spill);
    expect_object(spill, 3, 100 * KIB);
    appended(spill, 6, 100 * KIB);
    expect_object(spill, 6, 100 * KIB);
    ended(&spill);
}

Test(spill_files, a_budget_that_nobody_named_is_half_of_what_is_free)
{
    memory_init(&memory);
    memory.capacity = 64 * MIB;
    struct tri_spill *spill = created(0, 0);
    cr_expect_eq(tri_spill_stat(spill).max_bytes, 32 * MIB);
    appended(spill, 3, 10 * MIB);
    tri_spill_destroy(&spill);
    spill = created(0, 0);
    cr_expect_eq(tri_spill_stat(spill).max_bytes, 32 * MIB, "what lies there is to be used again");
    ended(&spill);
}

Test(spill_files, a_claim_that_cannot_be_is_refused)
{
    struct tri_spill *spill = created(64 * MIB, 4 * MIB);
    struct tri_spill_place good;
    appended(spill, 3, 100 * KIB);
    appended(spill, 6, 100 * KIB);
    cr_assert(tri_spill_find(spill, name(6), &good));
    tri_spill_destroy(&spill);
    spill = created(64 * MIB, 4 * MIB);
    const uint64_t file = good.file, offset = good.offset, stored = good.stored_size, raw = good.raw_size;
    const struct {
        const char *name;
        struct tri_spill_place place;
    } rows[] = {
        {"no such file", {file + 1, offset, stored, raw}},
        {"another object's place", {file, 0, stored, raw}},
        {"no object's place", {file, offset + 1, stored - 1, raw - 1}},
        {"behind the end", {file, offset + stored, stored, raw}},
        {"far behind the end", {file, UINT64_MAX, stored, raw}},
        {"over the end", {file, offset, stored + 1, raw + 1}},
        {"shorter than its headers", {file, offset, 64, raw}},
        {"longer than it can be", {file, 0, 2 * stored, raw}},
        {"another size", {file, offset, stored, raw + 1}},
        {"endless", {file, offset, UINT64_MAX, UINT64_MAX}},
        {"endless and short", {file, offset, stored, UINT64_MAX}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trp_error error = {0};
        cr_expect_eq(tri_spill_claim(spill, name(6), &rows[i].place, &error), TRP_EOBJLOST, "%s", rows[i].name);
        cr_expect_gt(strlen(error.message), 30);
        well(spill);
    }
    cr_expect_eq(tri_spill_claim(spill, name(9), &good, NULL), TRP_EOBJLOST, "another id");
    cr_expect_eq(tri_spill_claim(spill, (struct tri_id){0, 0}, &good, NULL), TRP_EINVAL);
    cr_expect_eq(tri_spill_claim(spill, name(6), &good, NULL), TRP_OK);
    expect_object(spill, 6, 100 * KIB);
    ended(&spill);
}

Test(spill_files, no_changed_byte_is_ever_given_out)
{
    const size_t size = 2000;
    struct tri_spill *spill = created(8 * MIB, 0);
    appended(spill, 1, size);
    appended(spill, 3, size);
    struct memory_file *file = memory_find(&memory, 0);
    cr_assert_not_null(file);
    for (uint64_t at = 0; at < file->size; at++) {
        struct tri_spill_place first;
        cr_assert(tri_spill_find(spill, name(1), &first));
        file->data[at] ^= 0x21;
        expect_lost(spill, at < first.stored_size ? 1 : 3, size, "troupe-0000000000000000.spill");
        expect_object(spill, at < first.stored_size ? 3 : 1, size);
        file->data[at] ^= 0x21;
    }
    for (uint64_t left = file->size; left-- > 0;) {
        file->size = left;
        expect_lost(spill, 3, size, "too early");
        if (left % 97 == 0)
            well(spill);
        file->size = 0;
        expect_lost(spill, 1, size, "too early");
        file->size = left;
        struct tri_spill_place first;
        (void)tri_spill_find(spill, name(1), &first);
        if (left >= first.stored_size)
            expect_object(spill, 1, size);
        else
            break;
    }
    file->removed = true;
    ended(&spill);
}
